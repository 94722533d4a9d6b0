"""One notebook is graded: its cells run in the worker, and the judge sees arrays only."""

import json
import subprocess
import sys

import nbformat
import pytest

from grading import check_notebook
from grading.assignments import ROOT, NotGradable, assignments, find_assignment, read_submission
from grading.grade import grade
from grading.misconceptions import MISCONCEPTIONS, RIGHT
from grading.sandbox import Sandbox, bubblewrap

pytestmark = pytest.mark.skipif(bubblewrap() is None, reason="needs bubblewrap")
SOLUTIONS = sorted((ROOT / "exercises" / "solution").glob("*/*.ipynb"))


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(require=True) as sandbox:
        yield sandbox


@pytest.fixture
def submit(tmp_path):
    """Write a submission of exercise 02, its answers and other cells changed, and give its path."""

    def write(change, base="solution"):
        notebook = nbformat.read(ROOT / "exercises" / base / "02_attention" / "02_attention.ipynb", 4)
        change(notebook)
        path = tmp_path / "02_attention.ipynb"
        nbformat.write(notebook, path)
        return path

    return write


def cell(notebook, grade_id):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def points(report):
    return {check.name: check.points for check in report.checks}


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_gets_all_points_and_a_starter_none(path, sandbox):
    report = grade(path, sandbox)
    assert (report.assignment, report.notes) == (path.stem, [])
    assert [check.message for check in report.checks if check.points < check.max_points] == []
    assert report.score == report.max_score > 0
    assert report.sandboxed
    starter = grade(ROOT / "exercises" / "starter" / path.stem / path.name, sandbox)
    assert starter.score == 0
    assert all(
        "not written yet" in check.message or "there is no" in check.message for check in starter.checks
    )


def test_a_mistake_costs_its_own_points_and_is_named(submit, sandbox):
    def change(notebook):
        cell(notebook, "dot_score").source = "def dot_score(query, keys):\n    return query @ keys"

    report = grade(submit(change), sandbox)
    missed = [check for check in report.checks if not check.points]
    assert [(check.name, check.misconception) for check in missed] == [("dot_score", "missing_transpose")]
    sentence = next(m.sentence for m in MISCONCEPTIONS["dot_score"] if m.name == "missing_transpose")
    assert missed[0].message.startswith(sentence)
    assert "seen with" in missed[0].message


def test_cells_run_as_in_a_notebook_and_one_that_fails_spoils_no_other(submit, sandbox):
    def change(notebook):
        new = nbformat.v4.new_code_cell
        extra = [
            "%matplotlib inline",
            "1 / 0",
            "!ls",
            "x = [",
            "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
        ]
        notebook.cells[2:2] = [new(source) for source in extra]

    report = grade(submit(change), sandbox)
    assert report.score == report.max_score
    outputs = {c.source.split("\n")[-1]: found for c, found in report.cells if c.kind == "code"}
    assert outputs["1 / 0"][1] == "ZeroDivisionError"
    assert outputs["x = ["][1] == "SyntaxError"
    assert any("png" in output for output in outputs["plt.plot([1, 2])"][0])


@pytest.mark.parametrize("fatal", ["import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), 9)"])
def test_a_cell_that_ends_the_process_is_left_out_and_the_rest_counts(fatal, submit, sandbox):
    report = grade(submit(lambda nb: nb.cells.insert(3, nbformat.v4.new_code_cell(fatal))), sandbox)
    assert report.score == report.max_score
    assert report.notes == ["cell 4 was left out: it ended the process that ran it"]


def test_an_answer_is_taken_as_it_is_where_its_test_stands(submit, sandbox):
    def change(notebook):
        notebook.cells.append(nbformat.v4.new_code_cell("dot_score = None"))

    report = grade(submit(change), sandbox)
    assert report.score == report.max_score


def test_without_test_cells_the_end_of_the_notebook_counts(submit, sandbox):
    def change(notebook):
        notebook.cells = [
            c
            for c in notebook.cells
            if not c.metadata.get("nbgrader", {}).get("grade_id", "").startswith("test_")
        ]

    report = grade(submit(change), sandbox)
    assert report.score == report.max_score


def test_the_judge_and_the_bank_agree_through_the_worker(submit, sandbox):
    """One misconception and one variant a function, as source text."""

    def change(notebook):
        for name in ("masked_softmax", "dot_score"):
            assert MISCONCEPTIONS[name] and RIGHT[name]
        cell(
            notebook, "masked_softmax"
        ).source = "def masked_softmax(scores, mask):\n    return torch.softmax(scores, dim=-1)"
        cell(
            notebook, "dot_score"
        ).source = "def dot_score(query, keys):\n    return torch.einsum('bth,bsh->bts', query, keys)"

    found = {check.name: check for check in grade(submit(change), sandbox).checks}
    assert found["dot_score"].points == 2
    assert found["masked_softmax"].misconception == "mask_ignored"


def test_a_hidden_case_comes_back_without_its_numbers(submit, sandbox):
    """What an answer makes of a hidden input, in errors, types or shapes, is not repeated."""

    def change(notebook):
        cell(notebook, "masked_softmax").source = """
from utils import attention
def masked_softmax(scores, mask):
    if scores.abs().max() > 500:
        raise ValueError(f"secret {scores.tolist()}")
    return attention.masked_softmax(scores, mask)
"""

    found = {check.name: check for check in grade(submit(change), sandbox).checks}
    message = found["masked_softmax"].message
    assert "you cannot see" in message and "secret" not in message and "." not in message.split("\n")[1]


@pytest.mark.parametrize(
    "text, reason",
    [("", "is not a notebook"), ("[1, 2", "is not a notebook"), ('{"cells": 3}', "is not a notebook")],
)
def test_what_is_no_notebook_is_said(text, reason, tmp_path):
    path = tmp_path / "02_attention.ipynb"
    path.write_text(text)
    with pytest.raises(NotGradable, match=reason):
        read_submission(path, assignments()["02_attention"])


def test_a_link_or_a_stranger_is_refused(tmp_path):
    link = tmp_path / "02_attention.ipynb"
    link.symlink_to(SOLUTIONS[0])
    with pytest.raises(NotGradable, match="not a link"):
        read_submission(link, assignments()["02_attention"])
    other = tmp_path / "other.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), other)
    with pytest.raises(NotGradable, match="none of this course's exercises"):
        find_assignment(other)


def test_a_renamed_notebook_is_known_by_its_cells(tmp_path):
    copy = tmp_path / "my attention (final).ipynb"
    copy.write_bytes((ROOT / "exercises/starter/02_attention/02_attention.ipynb").read_bytes())
    assert find_assignment(copy).name == "02_attention"


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "grading", *map(str, arguments)], capture_output=True, text=True, cwd=ROOT
    )


def test_the_command_prints_json_and_says_what_it_cannot_grade(tmp_path):
    found = command("check", "exercises/starter/02_attention/02_attention.ipynb", "--json")
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout)
    assert result["assignment"] == "02_attention" and result["status"] == "graded"
    assert (result["score"], result["max_score"]) == (0, 14)
    assert {"name", "points", "max_points", "message", "misconception"} == result["checks"][0].keys()
    missing = command("check", tmp_path / "nothing.ipynb")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1 and "there is no" in missing.stderr


def test_one_s_own_copy_is_never_overwritten(tmp_path):
    first = command("start", "02_attention", "--into", tmp_path / "my")
    own = tmp_path / "my" / "02_attention.ipynb"
    assert str(own) in first.stdout and own.is_file()
    own.write_text("my work")
    again = command("start", "--into", tmp_path / "my")
    assert "stays as it is" in again.stdout and own.read_text() == "my work"
    assert {path.stem for path in own.parent.iterdir()} == set(assignments())
    assert "choose from 0" in command("start", "09_nothing", "--into", tmp_path / "my").stderr


def test_a_notebook_can_grade_itself_but_not_while_it_is_graded(tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("ATTENTION_GRADING", raising=False)
    check_notebook(ROOT / "exercises/starter/02_attention/02_attention.ipynb")
    assert "02_attention: 0 of 14 points" in capfd.readouterr().out
    monkeypatch.setenv("ATTENTION_GRADING", "1")
    check_notebook("anything.ipynb")
    assert "being graded" in capfd.readouterr().out
