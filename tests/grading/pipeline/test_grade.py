"""One notebook is graded: its cells run in the worker, and the judge sees arrays only."""

import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace

import nbformat
import pytest

import grading.pipeline.grade
from grading import check_notebook
from grading.cli import as_text
from grading.judge.judge import examine
from grading.judge.registry import trains
from grading.pipeline import feedback
from grading.pipeline.assignments import ROOT, assignments
from grading.pipeline.grade import Limits, grade
from grading.pipeline.missing import NOT_RUN
from grading.pipeline.result import FAILED, GRADED, Result
from grading.pipeline.returned import graded_notebook
from grading.sandbox.calls import call
from grading.sandbox.client import Line, Lost
from tests.grading.points import MOST, POINTS, WRITTEN
from utils import attention

pytestmark = pytest.mark.usefixtures("bubblewrap")
SOLUTIONS = sorted((ROOT / "exercises" / "solution").glob("*/*.ipynb"))


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


def missed(report):
    return {check.name: check.message for check in report.checks if check.points < check.max_points}


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_the_answers_of_a_solution_get_all_points_and_those_of_a_starter_none(path, sandbox, tmp_path):
    """Without the cells that train, plot and tell, and so without the trained translator."""
    for kind in ("solution", "starter"):
        notebook = nbformat.read(ROOT / "exercises" / kind / path.stem / path.name, 4)
        first = next(c for c in notebook.cells if c.cell_type == "code")
        notebook.cells = [
            c for c in notebook.cells if c is first or "nbgrader" in c.metadata and c.id != "translator"
        ]
        nbformat.write(notebook, tmp_path / path.name)
        report = grade(tmp_path / path.name, sandbox)
        assert (report.assignment, report.notes, report.sandboxed) == (path.stem, (), True)
        if kind == "solution":
            assert missed(report).keys() <= {"translator"}, missed(report)
        else:
            assert report.score == 0 and len(missed(report)) == len(report.checks)
            assert all("not written yet" in m or "There is no" in m for m in missed(report).values())


@pytest.mark.slow
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_whole_solution_gets_all_points(path, sandbox):
    report = grade(path, sandbox)
    assert (missed(report), report.notes) == ({}, ())
    assert report.score == report.max_score > 0


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
    ran = {cell["source"].split("\n")[-1]: cell for cell in report.cells if cell["kind"] == "code"}
    assert ran["1 / 0"]["error"] == "ZeroDivisionError"
    assert ran["x = ["]["error"] == "SyntaxError"
    assert any("png" in output for output in ran["plt.plot([1, 2])"]["outputs"])


def test_an_answer_is_taken_as_it_is_where_its_test_stands(submit, sandbox):
    def change(notebook):
        notebook.cells.append(nbformat.v4.new_code_cell("dot_score = None"))

    report = grade(submit(change), sandbox)
    assert report.score == report.max_score


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
    sentence, parts, seen = found["masked_softmax"].message.split("\n")
    assert "you cannot see" in sentence and "secret" not in sentence + seen and "." not in seen
    assert "; every kind of mask (0.25); " in parts and parts.endswith("Not yet: scores of any size (0.25).")
    assert found["masked_softmax"].points == POINTS["masked_softmax"] - 0.25


def test_an_error_of_the_judge_is_no_zero_and_not_told_to_the_student(submit, sandbox, monkeypatch):
    def fails(name, *args, **kwargs):
        if name == "attend":
            raise KeyError("a hidden input")
        return examine(name, *args, **kwargs)

    monkeypatch.setattr("grading.pipeline.grade.examine", fails)
    report = grade(submit(lambda notebook: None), sandbox)
    assert (report.status, report.score, report.checks) == (FAILED, None, ())
    assert report.reason == "attend could not be judged: KeyError: 'a hidden input'"
    assert "failed, needs a person: attend could not be judged" in as_text(report)
    first = graded_notebook(report, assignments()["02_attention"].notebook).cells[0].source
    assert "A person will grade it" in first and "hidden" not in first


def test_the_command_prints_a_report_or_json_and_says_what_it_cannot_grade(course, tmp_path):
    starter = ROOT / "exercises" / "starter" / "02_attention" / "02_attention.ipynb"
    status, shown, _ = course("check", starter)
    assert status == 0 and f"02_attention: 0 of {MOST:g} points" in shown and "✗ attend: 0 of " in shown
    assert f"why_attention: up to {WRITTEN:g} points, graded by a person" in shown
    assert "Not sandboxed" not in shown
    status, shown, _ = course("check", starter, "--json")
    result = json.loads(shown)
    assert (status, result["assignment"], result["status"]) == (0, "02_attention", "graded")
    assert (result["score"], result["max_score"]) == (0, MOST)
    names = {"name", "points", "max_points", "message", "mistake", "grids", "behavior", "parts"}
    assert result["checks"][0].keys() == names
    status, shown, said = course("check", tmp_path / "nothing.ipynb")
    assert (status, shown, said.count("\n")) == (2, "", 1) and "there is no" in said
    assert "choose from 0" in course("check", starter, "--assignment", "02_cooking")[2]


def test_a_notebook_can_grade_itself_but_not_while_it_is_graded(monkeypatch, capfd):
    monkeypatch.delenv("ATTENTION_GRADING", raising=False)
    check_notebook(ROOT / "exercises/starter/02_attention/02_attention.ipynb")
    assert f"02_attention: 0 of {MOST:g} points" in capfd.readouterr().out
    monkeypatch.setenv("ATTENTION_GRADING", "1")
    check_notebook("anything.ipynb")
    assert "being graded" in capfd.readouterr().out


class Attempts:
    """Stands in the place of a sandbox: each attempt has other answers, and "kill" ends all processes."""

    sandboxed = True

    def __init__(self, *attempts):
        self.attempts = list(attempts)

    @contextlib.contextmanager
    def submission(self, memory):
        answers, over = self.attempts.pop(0), []

        def ask_all(name, cases, seconds):
            for case in cases:
                if answers[name] == "kill":
                    over.append(True)
                if over:
                    raise Lost("it ended the process that ran it")
                yield call(answers[name], case)

        line = SimpleNamespace(ask_all=ask_all)
        yield SimpleNamespace(
            run=lambda *cell: ([], None), snapshot=lambda seconds: line, is_over=lambda: bool(over)
        )


@pytest.mark.parametrize("killer", ["scaled_dot_score", "dot_score"])
def test_an_answer_that_was_wrong_once_gains_nothing_by_ending_the_process(killer):
    other = {"scaled_dot_score": "dot_score", "dot_score": "scaled_dot_score"}[killer]
    exercise = assignments()["02_attention"]
    short = replace(exercise, tests=((other, 2), (killer, 2)), written=())
    right, wrong = getattr(attention, other), getattr(attention, killer)
    data = json.dumps({"cells": [{"cell_type": "code", "source": "1"}]}).encode()

    def singles(query, keys):
        if query.shape[1] == 1:
            raise ValueError
        return right(query, keys)

    for first, points in ((wrong, 0), (singles, 1.5), (right, 2)):
        sandbox = Attempts({other: first, killer: "kill"}, {other: right, killer: "kill"})
        report = grade("mallory.ipynb", sandbox, short, 3, data)
        assert [check.points for check in report.checks] == [points, 0] and not sandbox.attempts
    assert "ended the process" in report.checks[1].message


def test_an_endless_loop_is_waited_for_in_one_cell_and_one_case(submit, sandbox, monkeypatch):
    asked, ask_all = [], Line.ask_all

    def counted(line, name, cases, seconds):
        asked.append(name)
        return ask_all(line, name, cases, seconds)

    def change(notebook):
        endless = "def masked_softmax(scores, mask):\n    while True:\n        pass\n"
        cell(notebook, "masked_softmax").source = endless

    monkeypatch.setattr(Line, "ask_all", counted)
    report = grade(submit(change), sandbox, limits=Limits(cell=4, cells=60, check=3))
    assert report.notes == ("cell 29 was left out: it did not finish within 4 seconds",)
    assert missed(report).keys() == {"masked_softmax"}
    assert missed(report)["masked_softmax"].startswith("it did not finish within 3 seconds.")
    assert asked.count("masked_softmax") == 1


class Slow:
    """Stands in the place of a sandbox: each cell takes as many seconds as its first line says."""

    sandboxed = True

    def __init__(self):
        self.now, self.defined = 0.0, set()

    @contextlib.contextmanager
    def submission(self, memory):
        yield SimpleNamespace(run=self.run, snapshot=self.snapshot, is_over=lambda: False)

    def run(self, source, seconds):
        self.now += float(source.split("\n")[0].removeprefix("# "))
        self.defined.update(name for name in ("dot_score", "attend") if f"def {name}" in source)
        return [], None

    def snapshot(self, seconds):
        there = {*self.defined}

        def ask_all(name, cases, seconds):
            yield from (call(attention.dot_score, case) if name in there else None for case in cases)

        return SimpleNamespace(ask_all=ask_all)


def test_an_answer_whose_cell_has_no_time_left_is_not_called_missing(monkeypatch):
    sandbox = Slow()
    monkeypatch.setattr(grading.pipeline.grade, "time", SimpleNamespace(monotonic=lambda: sandbox.now))
    exercise = replace(assignments()["02_attention"], tests=(("dot_score", 2), ("attend", 3)), written=())
    dot, attend = (f"# 1\ndef {name}(): ..." for name in ("dot_score", "attend"))
    for slow, reached in ((59, True), (60, False)):
        sandbox.now, sandbox.defined = 0.0, set()
        sources = [dot, f"# {slow - 1}\ntrain()", attend, attend]
        data = json.dumps({"cells": [{"cell_type": "code", "source": source} for source in sources]}).encode()
        report = grade("slow.ipynb", sandbox, exercise, 3, data, Limits(cell=100, cells=60))
        assert report.checks[0].points == 2
        said, why = report.checks[1].message, "cell 2 and others took all 60 seconds that the cells have"
        if reached:
            assert "not reached" not in said and report.notes[0] == f"{why}: from cell 4 on, none was run"
        else:
            assert said == f"Its cell was not reached, because {why}."
            assert feedback.state(report.checks[1]) == feedback.LOST
            assert report.notes[0] == f"{why}: from cell 3 on, none was run"
            assert [cell["error"] for cell in report.cells] == [None, None, NOT_RUN, NOT_RUN]
            assert "fails in" not in as_text(report)


def test_only_an_exercise_that_trains_has_minutes():
    long = {name for name in assignments() if trains(name)}
    assert assignments().keys() - long == {"02_attention"}


def test_a_page_says_that_its_notebook_was_not_sandboxed():
    exercise = assignments()["02_attention"]
    pages = [
        graded_notebook(Result(GRADED, exercise.name, sandboxed=sandboxed), exercise.notebook)
        for sandboxed in (True, False)
    ]
    assert ["**Not sandboxed.**" in str(page) for page in pages] == [False, True]


def test_however_much_a_notebook_prints_its_page_is_small(submit, sandbox):
    def change(notebook):
        loud = "for _ in range(200):\n    print('<&>' * 100_000)"
        notebook.cells[2:2] = [nbformat.v4.new_code_cell(loud) for _ in range(15)]
        answer = f"def dot_score(query, keys):\n    {loud.replace('    ', '        ')}"
        cell(notebook, "dot_score").source = f"{answer}\n{loud}"

    exercise = assignments()["02_attention"]
    report = grade(submit(change), sandbox, exercise)
    assert missed(report).keys() == {"dot_score"}
    pages = feedback.page(report, exercise), json.dumps(report.as_json(cells=True))
    assert max(map(len, pages)) < 1_000_000
    assert "... (the rest" in pages[1]
