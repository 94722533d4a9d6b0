"""Grade on Gradescope: the zip file that it builds a container from, and what runs for each submission."""

import json
import zipfile
from pathlib import Path

from grading import CourseError
from grading.judge.solution import LESSONS
from grading.pipeline.assignments import NotGradable
from grading.pipeline.grade import grade
from grading.pipeline.result import GRADED
from grading.sandbox.client import Sandbox

SETUP = """#!/bin/sh
set -e
apt-get update && apt-get install -y bubblewrap python3.11 python3.11-venv
python3.11 -m venv /autograder/venv
/autograder/venv/bin/pip install /autograder/source/*.whl
place=$(/autograder/venv/bin/python -c "from grading.judge.solution import LESSONS; print(LESSONS)")
mkdir -p "$place" && cp /autograder/source/[0-9]*.py "$place"
"""
RUN = "#!/bin/sh\nexec /autograder/venv/bin/course gradescope {}{}\n"


def write_package(assignment, wheel, out, unsandboxed=False):
    """Write the autograder's zip file for an assignment, with the course's wheel and the solution in it."""
    wheel, lesson = Path(wheel), LESSONS / f"{assignment.name}.py"
    if not lesson.is_file():
        raise CourseError(f"there is no {lesson}: run this command in the course's repository")
    if wheel.suffix != ".whl" or not wheel.is_file():
        raise CourseError(f"{wheel} is no wheel of the course: `make wheel` builds one in build/wheel")
    run = RUN.format(assignment.name, " --allow-unsandboxed" if unsandboxed else "")
    with zipfile.ZipFile(out, "w") as file:
        file.write(wheel, wheel.name)
        file.write(lesson, lesson.name)
        for name, text in (("setup.sh", SETUP), ("run_autograder", run)):
            about = zipfile.ZipInfo(name)
            about.external_attr = 0o755 << 16
            file.writestr(about, text)


def run(assignment, root, unsandboxed=False):
    """Grade the notebook in `root`/submission, and write `root`/results/results.json for Gradescope.

    Raise CourseError if it cannot be graded safely, or if the judge fails: Gradescope then reports that the
    autograder failed, instead of points.
    """
    found = sorted(Path(root, "submission").rglob("*.ipynb"))
    try:
        if len(found) != 1:
            only = f"submit only {assignment.name}.ipynb"
            raise NotGradable(f"expected one notebook, found {len(found)}: {only}")
        with Sandbox(not unsandboxed, assignment.reviews) as sandbox:
            report = grade(found[0], sandbox, assignment)
        if report.status != GRADED:
            raise CourseError(f"{report.status}: {report.reason}")
        results = {"output": "\n".join(_remarks(report)), "tests": [_test(check) for check in report.checks]}
    except NotGradable as error:
        results = {"output": str(error).replace(f"{root}/submission/", ""), "score": 0}
    place = Path(root, "results")
    place.mkdir(exist_ok=True)
    results |= {"visibility": "visible", "stdout_visibility": "hidden"}
    (place / "results.json").write_text(json.dumps(results, ensure_ascii=False, indent=1), "utf-8")


def _remarks(report):
    yield from report.notes
    for written in report.written:
        yield f"{written['name']}: up to {written['max_points']:g} points, graded by a person"
    if not report.sandboxed:
        yield "Not sandboxed."


def _test(check):
    passed = check.points == check.max_points
    about = {"name": check.name, "score": check.points, "max_score": check.max_points}
    about |= {"status": "passed" if passed else "failed", "visibility": "visible"}
    return about | ({"output": check.message, "output_format": "text"} if check.message else {})
