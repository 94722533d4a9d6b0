"""The workflow for GitHub Classroom: its script, in a folder that stands in for all repositories."""

import os
import subprocess

import pytest
import yaml

from examples.make_class import NAME
from grading.pipeline import deadlines
from grading.pipeline.assignments import ROOT, NotGradable
from grading.pipeline.run import Run

GH = """#!/bin/sh
case "$2" in
  list) echo attention-ana; echo other-bo; echo attention-cy; echo attention-di ;;
  clone) git clone -q "$REPOSITORIES/$3" "$4" ;;
esac
"""


def repository(folder, path, text="", link=None):
    file = folder / path
    file.parent.mkdir(parents=True)
    file.symlink_to(link) if link else file.write_text(text, "utf-8")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=folder, check=True)


def test_the_workflow_collects_plain_notebooks_of_the_assignment_and_grades_them_sandboxed(tmp_path):
    steps = yaml.safe_load((ROOT / "examples" / "classroom.yml").read_text("utf-8"))["jobs"]["grade"]["steps"]
    scripts = {step["name"]: step["run"] for step in steps if "run" in step}
    assert f"course grade {NAME} --course class --require-sandbox" in scripts["Grade"].replace(
        '"$EXERCISE"', NAME
    )
    place, private = tmp_path / "github" / "org", tmp_path / "private"
    repository(place / "attention-ana", f"work/{NAME}.ipynb", "ana's")
    repository(place / "other-bo", f"{NAME}.ipynb", "bo's")
    solution = private / "solution.ipynb"
    repository(private, "solution.ipynb", "the solution")
    (private / "deadlines.toml").write_text("[penalty]\npercent_per_day = 10\n", "utf-8")
    repository(place / "attention-cy", f"{NAME}.ipynb", link=solution)
    repository(place / "attention-di", "notes.txt", "nothing")
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH)
    gh.chmod(0o755)
    about = {
        "EXERCISE": NAME,
        "ORGANIZATION": "org",
        "PREFIX": "attention-",
        "REPOSITORIES": str(tmp_path / "github"),
    }
    environment = os.environ | about | {"PATH": f"{gh.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", scripts["Submissions"]], cwd=private, env=environment, check=True)
    run = Run(NAME, private / "class")
    assert run.everybody() == ["ana", "cy", "di"] and run.read("ana").data == b"ana's"
    for student in ("cy", "di"):
        with pytest.raises(NotGradable, match=f"there is no .*: hand in {NAME}.ipynb"):
            run.read(student)
    assert deadlines.read(private / "class").penalty == {"percent_per_day": 10}
