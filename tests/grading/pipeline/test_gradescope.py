"""The autograder for Gradescope, in a copy of the folders that its documentation describes."""

import json
import subprocess
import zipfile

import nbformat
import pytest

from examples.make_class import NAME, NEARLY, NOT_SCALED, notebook
from grading.cli import main
from grading.judge.solution import LESSONS
from grading.sandbox import client
from tests.grading.points import POINTS


@pytest.fixture
def autograder(tmp_path):
    """Run the autograder on files by name; return its exit status and results.json, or None."""

    def run(files, *options):
        for part in ("source", "submission", "results"):
            (tmp_path / part).mkdir()
        for name, found in files.items():
            nbformat.write(found, tmp_path / "submission" / name)
        status = main(["gradescope", NAME, "--root", str(tmp_path), *options])
        results = tmp_path / "results" / "results.json"
        return status, json.loads(results.read_text("utf-8")) if results.exists() else None

    return run


@pytest.mark.usefixtures("bubblewrap")
def test_results_carry_points_messages_and_visibility(autograder):
    answers = {"scaled_dot_score": NOT_SCALED, "masked_softmax": NEARLY}
    status, results = autograder({"mine.ipynb": notebook(answers)})
    tests = {test["name"]: test for test in results["tests"]}
    assert status == 0 and {name: test["max_score"] for name, test in tests.items()} == POINTS
    lost = {n: test["score"] for n, test in tests.items() if test["status"] == "failed"}
    assert lost == {"scaled_dot_score": 0, "masked_softmax": 2.25}
    assert "The scores aren't scaled" in tests["scaled_dot_score"]["output"]
    assert "Not yet: rows with nothing to attend to (0.25); " in tests["masked_softmax"]["output"]
    assert {test["visibility"] for test in tests.values()} == {"visible"}
    assert "why_attention: up to 3 points, graded by a person" in results["output"]


def test_without_a_sandbox_it_refuses_and_writes_no_points(autograder, monkeypatch, capsys):
    monkeypatch.setattr(client, "bubblewrap", lambda: None)
    assert autograder({f"{NAME}.ipynb": notebook()}) == (2, None)
    assert "bubblewrap is needed" in capsys.readouterr().err


def test_without_a_sandbox_it_grades_if_told_so(autograder, monkeypatch):
    monkeypatch.setattr(client, "bubblewrap", lambda: None)
    status, results = autograder({f"{NAME}.ipynb": notebook()}, "--allow-unsandboxed")
    assert status == 0 and "Not sandboxed." in results["output"]


def test_two_notebooks_get_a_reason(autograder):
    status, results = autograder({"a.ipynb": notebook(), "b.ipynb": notebook()})
    assert status == 0 and results["score"] == 0 and "expected one notebook, found 2" in results["output"]


def test_the_package_is_what_gradescope_expects(tmp_path, capsys):
    wheel, out = tmp_path / "attention_course-1.whl", tmp_path / "autograder.zip"
    wheel.write_bytes(b"wheel")
    assert main(["package", NAME, "--wheel", str(wheel), "--out", str(out)]) == 0
    with zipfile.ZipFile(out) as file:
        assert {*file.namelist()} == {wheel.name, f"{NAME}.py", "setup.sh", "run_autograder"}
        assert f"course gradescope {NAME}\n" in file.read("run_autograder").decode()
        assert file.getinfo("run_autograder").external_attr >> 16 == 0o755
        file.extractall(tmp_path / "source")
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.write_text(f"#!/bin/sh\necho '{tmp_path}/a place'\n")
    python.chmod(0o755)
    setup = (tmp_path / "source" / "setup.sh").read_text().replace("/autograder", str(tmp_path))
    place_lesson = "\n".join(setup.splitlines()[-2:])
    subprocess.run(["sh", "-ec", place_lesson], check=True)
    placed = tmp_path / "a place" / f"{NAME}.py"
    assert placed.read_bytes() == (LESSONS / f"{NAME}.py").read_bytes()
    assert main(["package", NAME, "--wheel", str(tmp_path / "no.whl"), "--out", str(out)]) == 2
    assert "`make wheel` builds one" in capsys.readouterr().err
