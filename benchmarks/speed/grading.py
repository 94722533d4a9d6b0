"""Submissions graded per minute: this course's grader against `nbgrader autograde`, on the same class.

    python -m benchmarks.speed.grading [--students 24] [--large 96 1000]

Every student hands in exercise 02: right, wrong in known ways, or unfinished. nbgrader runs one kernel per
submission, one after the other. `course grade` grades them in its sandbox with one worker and with
two, gradebook and graded notebooks included. Then both write the feedback pages, in the same way. Larger
classes show how time and memory grow.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import psutil

from benchmarks import harness
from benchmarks.harness import ROOT
from examples import make_class
from examples.make_class import NAME, notebook

PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

CLASS = (  # what the students answer, in turn; they answer the rest correctly
    {},
    make_class.OTHERWISE,
    {"dot_score": make_class.MISSING_TRANSPOSE, "scaled_dot_score": make_class.NOT_SCALED},
    {"masked_softmax": make_class.MASK_IGNORED, "attend": make_class.KEYS_AS_VALUES},
    {"AdditiveScore": make_class.NO_TANH},
    {"attend": "def attend(query, keys, values, mask, score):\n    raise NotImplementedError"},
)


def new_course(folder, students):
    """Make a course folder in which this many students have handed in."""
    folder.mkdir()
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for kind in ("solution", "starter"):
        shutil.copytree(ROOT / "exercises" / kind / NAME, folder / "exercises" / kind / NAME)
    for number in range(students):
        place = folder / "submitted" / f"student{number:04}" / NAME
        place.mkdir(parents=True)
        nbformat.write(notebook(CLASS[number % len(CLASS)]), place / f"{NAME}.ipynb")
    return folder


def timed(command, course, watched=False):
    """Run a command; return its seconds and, if watched, its processes' peak memory in MiB, else 0."""
    environment = os.environ | {"PATH": PATH, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=course, env=environment, stdout=output, stderr=output)
        peak, done = [0], threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peak, done))
        if watched:
            watch.start()
        code = process.wait()
        done.set()
        if watched:
            watch.join()
        if code:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{output.read().decode()[-2000:]}")
    return time.perf_counter() - started, peak[0]


def _watch(pid, peak, done):
    """Keep the highest memory of a process and its children in `peak`; shared memory counts once.

    Each look takes some tenths of a second. So looks are rare, and there are none while nbgrader is compared.
    """
    while not done.wait(4.0):
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return
        held = sum(map(_own_memory, family))
        peak[0] = max(peak[0], held / 2**20)


def _own_memory(process):
    try:
        return process.memory_full_info().pss
    except psutil.Error:  # it has ended
        return 0


def scores(course):
    """Return every student's points in the gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return {s.student.id: s.score for s in gradebook.find_assignment(NAME).submissions}


def measure(students, workers, stock):
    """Grade one class with each number of workers and, with `stock`, by nbgrader and with feedback as well.

    Return seconds, and MiB where nbgrader is not compared, by the way of grading.
    """
    took = {}

    def ours(course, *options):
        command = [sys.executable, "-m", "grading", "grade", NAME, "--again", *options]
        return timed(command, course, watched=not stock)

    with tempfile.TemporaryDirectory() as folder:
        course = new_course(Path(folder) / "ours", students)
        if stock:
            other = new_course(Path(folder) / "stock", students)
            timed(["nbgrader", "generate_assignment", NAME, "--force"], other)
            took["nbgrader autograde"] = timed(["nbgrader", "autograde", NAME], other)
        for count in workers:
            took[f"course grade, workers {count}"] = ours(course, "--workers", str(count), "--no-feedback")
        if stock:
            if (found := scores(course)) != (wanted := scores(other)):
                raise RuntimeError(f"expected nbgrader's points, {wanted}, found {found}")
            took["course grade, workers 2, and feedback"] = ours(course, "--workers", "2")
            took["nbgrader generate_feedback alone"] = timed(["nbgrader", "generate_feedback", NAME], other)
    return {"took": took}


def table(record):
    """Return a line of text per class and way of grading."""
    lines = [f"{'':<38}{'students':>9}{'seconds':>9}{'per min':>10}{'x stock':>9}{'MiB':>8}"]
    for run in record["runs"]:
        students, took = run["students"], run["took"]
        stock = record["runs"][0]["took"]["nbgrader autograde"][0] / record["runs"][0]["students"]
        for how, (seconds, memory) in took.items():
            times = "" if "feedback" in how else f"{stock * students / seconds:.1f}"
            held = f"{memory:,.0f}" if memory else ""
            line = f"{how:<38}{students:>9}{seconds:>9.1f}{60 * students / seconds:>10.0f}{times:>9}{held:>8}"
            lines.append(line.rstrip())
    return "\n".join(lines)


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("--students", type=int, default=24, help="size of the class that both graders grade")
    parser.add_argument("--large", type=int, nargs="*", default=[96, 1000], help="sizes of larger classes")
    args = parser.parse_args()
    jobs = [{"students": args.students, "workers": [1, 2], "stock": True}]
    jobs += [{"students": students, "workers": [1, 2], "stock": False} for students in args.large[:1]]
    jobs += [{"students": students, "workers": [2], "stock": False} for students in args.large[1:]]
    sources = (ROOT / "grading").rglob("*.py")
    harness.run(args, measure, jobs, table, sources=sources)


if __name__ == "__main__":
    main()
