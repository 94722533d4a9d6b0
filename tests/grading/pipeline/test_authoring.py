"""A new exercise: written, proven, released, and graded, in a copy of the course."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial

import nbformat
import pytest

from grading import CourseError
from grading.judge.registry import Check, Mistake, patched
from grading.pipeline import authoring
from grading.pipeline.assignments import ROOT
from grading.sandbox.cases import Case

NAME = "10_smoothing"


@pytest.fixture
def course(tmp_path):
    """A copy of the course with two exercises, and a function that runs its commands."""
    root = tmp_path / "course"
    for place in ("grading", "utils", "lessons/figures", "lessons/exercises/02_attention.py",
                  "lessons/exercises/01_bottleneck.py", "exercises/solution/02_attention",
                  "exercises/starter/02_attention", "make_notebooks.py", "nbgrader_config.py"):  # fmt: skip
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / place).is_dir() else shutil.copy
        copy(ROOT / place, root / place)

    def run(*words, status=0):
        command = [sys.executable, "-m", "grading", *map(str, words)]
        where = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=root, env=where, capture_output=True, text=True)
        assert done.returncode == status, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    run.root = root
    return run


def replace_in(path, old, new, count=1):
    text = path.read_text("utf-8")
    assert text.count(old) == count, f"{old!r} is in {path} {text.count(old)} times"
    path.write_text(text.replace(old, new), "utf-8")


def hand_in(root, student, answer):
    """Submit the starter with this body of the function and a written answer."""
    notebook = nbformat.read(root / "exercises" / "starter" / NAME / f"{NAME}.ipynb", 4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("raise NotImplementedError", answer)
        cell.source = cell.source.replace("*Write your answer here.*", "Because it is.")
    place = root / "class" / "submitted" / student / NAME / f"{NAME}.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(notebook, place)


@pytest.mark.slow
@pytest.mark.usefixtures("bubblewrap")
def test_an_exercise_is_written_proven_released_and_graded(course):
    assert "lessons/exercises/10_smoothing.py" in course("new", NAME)
    assert "exists: choose another name" in course("new", NAME, status=2)
    assert f"✓ {NAME} grades as it should" in course("author", "10")

    folder = course.root / "grading" / "exercises" / NAME
    lesson = course.root / "lessons" / "exercises" / f"{NAME}.py"
    replace_in(lesson, "return values.mean(-1)", "return values[:, 1:] - values[:, :-1]")
    replace_in(lesson, "tolist() == [2.0]", "tolist() == [[2.0]]")
    replace_in(lesson, "5 min · ●○○ · 2 points", "5 min · ●○○ · 4 points")
    replace_in(folder / "checks.py", '"averages": "batch"', '"differences": "batch steps"')
    replace_in(folder / "mistakes.py", '{"mean(-1)": "mean(0)"}', '{"[:, 1:]": "[:, :-1]"}')
    said = course("author", "10", status=1)
    assert 'smoothing has points=2, and its text says 4: end a line with "· 2 points"' in said
    replace_in(lesson, "5 min · ●○○ · 4 points", "5 min · ●○○ · 2 points")
    replace_in(folder / "mistakes.py", "return values.sum(-1)", "return values[:, 1:] - values[:, :-1] + 0")
    said = course("author", "10", status=1)
    assert "smoothing: not_divided is not caught: add a case in which it gives another result" in said
    replace_in(folder / "mistakes.py", "values[:, 1:] - values[:, :-1] + 0", "values")
    replace_in(folder / "checks.py", "visible=True)", "visble=True)", count=2)
    assert "checks.py, line 13: TypeError: Case" in course("author", "10", status=1)
    replace_in(folder / "mistakes.py", "def not_divided(values):", "def not_divided(values:")
    for words in (("author", "10"), ("grade", NAME)):
        assert "mistakes.py, line 15: '(' was never closed. Correct it" in course(*words, status=2)
    replace_in(folder / "mistakes.py", "def not_divided(values:", "def not_divided(values):")
    replace_in(folder / "checks.py", "visble=True)", "visible=True)", count=2)
    assert f"✓ {NAME} grades as it should" in course("author", NAME)

    right, wrong = "return values.diff()", "return values[:, :-1] - values[:, :-1]"
    for student, answer in (("ada", right), ("bo", wrong)):
        hand_in(course.root, student, answer)
    course("grade", NAME, "--course", course.root / "class")
    graded = course.root / "class" / "graded" / NAME
    found = {student: json.loads((graded / f"{student}.json").read_text()) for student in ("ada", "bo")}
    assert [found[student]["score"] for student in ("ada", "bo")] == [2, 0]
    assert found["bo"]["checks"][0]["mistake"] == "wrong_axis"

    for path in lesson.parent.iterdir():  # as in the copy of a student
        path.unlink()
    code = """from grading.checks import check
check("smoothing", None, cases="visible")
check("lengths_to_mask", lambda lengths, max_len: lengths)"""
    where = os.environ | {"PYTHONPATH": str(course.root)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=course.root, env=where, capture_output=True, text=True
    )
    assert "your copy has no solution to compare with" in done.stdout, done.stderr
    assert "AssertionError: lengths_to_mask: mask " in done.stderr  # judged without a lesson, too


def mean(values):
    return values.mean(-1) / one  # noqa: F821 (unknown on purpose, unless a test sets it)


@pytest.mark.parametrize(
    ("known", "visible", "axes", "patch", "said"),
    [
        ({"one": 1}, True, "batch", {"mean(-1)": "mean(0)"}, []),
        ({"one": 1}, False, "batch", {"-1": "0"}, ["mean has no visible case"]),
        ({"one": 1}, True, "batch length", {"-1": "0"}, ["expected 1 names for the axes of means"]),
        ({}, True, "batch", {"-1": "0"}, ["fails on 'small': NameError: name 'one' is not"]),
        ({"one": 1}, True, "batch", {"sum": "0"}, ["wrong: expected 'sum' exactly once"]),
    ],
)  # fmt: skip
def test_a_check_that_cannot_be_used_says_why(known, visible, axes, patch, said, monkeypatch):
    def cases(rng):
        yield Case("small", {"values": rng.standard_normal((2, 3))}, visible=visible)

    for name, value in known.items():
        monkeypatch.setitem(globals(), name, value)
    wrong = Mistake("wrong", "It is wrong.", mean, partial(patched, mean, patch))
    monkeypatch.setattr(authoring, "find_check", lambda name: Check(mean, cases, {"means": axes}))
    monkeypatch.setattr(authoring, "mistakes_of", lambda name: [wrong])
    found = list(authoring.wrong_cases("mean"))
    assert len(found) == len(said) and all(map(str.__contains__, found, said))


def test_a_new_exercise_takes_few_lines_beside_its_text(tmp_path):
    *_, checks, mistakes = authoring.new(NAME, tmp_path)
    lines = (checks.read_text() + mistakes.read_text()).splitlines()
    assert len([line for line in lines if line.strip()]) <= 40


@pytest.mark.parametrize("name", ["smoothing", "10-smoothing", "../10_smoothing", "10_Smoothing"])
def test_a_name_that_is_no_exercise_is_refused(name, tmp_path):
    with pytest.raises(CourseError, match=f"expected a name such as 10_smoothing, got '{re.escape(name)}'"):
        authoring.new(name, tmp_path)


def test_an_exercise_is_found_by_its_number():
    assert authoring.full_name("2") == authoring.full_name("02_attention") == "02_attention"
    with pytest.raises(CourseError, match="got '77': choose from 01_bottleneck"):
        authoring.full_name("77")
