"""Write a new exercise's files, and prove that an exercise grades as it should."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from traceback import extract_tb

import numpy as np
import torch

from grading import CourseError
from grading.judge.judge import draw, examine, parts_of, shares
from grading.judge.registry import find_check, mistakes_of, with_forward
from grading.pipeline import proof
from grading.pipeline.assignments import ROOT, assignments
from grading.pipeline.grade import grade
from grading.pipeline.result import GRADED
from grading.sandbox.calls import call
from grading.sandbox.client import Sandbox

SEEDS = range(5)
NAMES = "Of the lesson, it may use imports, functions, classes and constants in capitals: nothing else is run"
STATED = re.compile(r"^.*·\s*([\d.]+) points?\s*$", re.MULTILINE)
LESSON = '''# %% [markdown]
r"""
# Exercise NUMBER · TITLE

**What question does this exercise answer?**

About 10 minutes, 3 points.
"""

# %%
import torch

# %% [markdown]
r"""
### Exercise NUMBER.1 · Average each sequence

5 min · ●○○ · 2 points

Points: 1.5 for ordinary input; 0.5 for gradient, dtype and device.

Explain the task here, with the shapes and an example that can be computed by hand.
"""


# %% answer="FUNCTION"
def FUNCTION(values):
    """Average the numbers of each sequence.

    values (batch, length). Return averages (batch,), in the same dtype.
    """
    ### BEGIN SOLUTION
    return values.mean(-1)
    ### END SOLUTION


# %% test="FUNCTION" points=2
import torch
from grading.checks import check

check("FUNCTION", FUNCTION, cases="visible")
assert FUNCTION(torch.tensor([[1.0, 3.0]])).tolist() == [2.0], "the average of 1 and 3 is 2"
print("NUMBER.1: all visible tests pass")

### BEGIN HIDDEN TESTS
check("FUNCTION", FUNCTION)
### END HIDDEN TESTS

# %% [markdown] written="why_FUNCTION" points=1
r"""
### Exercise NUMBER.2 · Explain it

5 min · ●○○ · 1 point

Ask a question here. A person grades the answer.

<!-- ### BEGIN SOLUTION -->
A model answer.

**Rubric**

1. Full: what earns the point. Half: what earns half of it. None: what earns nothing.
<!-- ### END SOLUTION -->
"""
'''
CHECKS = '''"""Exercise NUMBER: the cases of each answer. The right answer is the lesson's solution."""

from grading.judge.registry import checks
from grading.judge.solution import solution
from grading.sandbox.cases import Case

TRAINS = False  # True gives the notebook minutes instead of seconds
lesson = solution(__name__)


@checks("FUNCTION", lesson.FUNCTION, {"averages": "batch"})
def _(rng):
    yield Case("one sequence of three numbers", {"values": rng.standard_normal((1, 3))}, visible=True)
    yield Case("several sequences", {"values": rng.standard_normal((3, 5))}, visible=True)
    yield Case("numbers in float32", {"values": rng.standard_normal((2, 7)).astype("float32")})
'''
MISTAKES = '''"""Exercise NUMBER: known mistakes, the likeliest first."""

from grading.judge.registry import mistake
from grading.judge.solution import solution

lesson = solution(__name__)


@mistake(lesson.FUNCTION, {"mean(-1)": "mean(0)"})
def wrong_axis():
    """The average runs over the batch. Average the numbers of each sequence, the last axis."""


@mistake(lesson.FUNCTION)
def not_divided(values):
    """This is the sum. Divide it by the length of the sequence."""
    return values.sum(-1)
'''


def new(name, root=ROOT):
    """Write the lesson, checks and mistakes of a new exercise, and return their paths."""
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", name):
        raise CourseError(f"expected a name such as 10_smoothing, got {name!r}")
    number, function = name.split("_", 1)
    folder = root / "grading" / "exercises" / name
    files = {
        root / "lessons" / "exercises" / f"{name}.py": LESSON,
        folder / "checks.py": CHECKS,
        folder / "mistakes.py": MISTAKES,
    }
    taken = [str(path) for path in files if path.exists()]
    if taken:
        raise CourseError(f"{', '.join(taken)} exists: choose another name, or edit that exercise")
    if function in (name for one in assignments().values() for name, _ in one.tests):
        raise CourseError(f"an exercise with an answer {function} exists: choose another name")
    words = {
        "NUMBER": str(int(number)),
        "FUNCTION": function,
        "TITLE": function.replace("_", " ").capitalize(),
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub("|".join(words), lambda found: words[found[0]], text), "utf-8")
    return list(files)


def full_name(short):
    """Return the exercise that a name or its number stands for."""
    known = sorted(path.stem for path in (ROOT / "lessons" / "exercises").glob("*.py"))
    found = [name for name in known if name == short or name.split("_")[0] == short.zfill(2)]
    if len(found) != 1:
        raise CourseError(
            f"expected an exercise or its number, got {short!r}: choose from {', '.join(known)}"
        )
    return found[0]


def author(name):
    """Build an exercise and yield what is wrong with it, as sentences."""
    built = subprocess.run([sys.executable, ROOT / "make_notebooks.py", name], capture_output=True, text=True)
    if built.returncode:
        raise CourseError(built.stderr.strip())
    assignment = assignments()[name]
    missing = []
    for answer, _ in assignment.tests:
        try:
            find_check(answer)
        except KeyError:
            missing.append(answer)
            yield f'{answer} has no check: add @checks("{answer}", ...) to grading/exercises/{name}/checks.py'
    wrong = [problem for answer, _ in assignment.tests if not missing for problem in wrong_cases(answer)]
    yield from wrong
    if missing or wrong:
        return
    yield from wrong_points(proof.given("solution", assignment))
    yield from wrong_grades(assignment)
    for answer, _ in assignment.tests:
        yield from wrong_names(answer)


def points_line(answer, points):
    """Return the line that says in an exercise's text what each part is worth, "" if there is only one."""
    this = find_check(answer)
    worth = shares(points, parts_of(this, draw(this, seed=0)))
    each = "; ".join(f"{share:g} for {part}" for part, share in worth.items())
    return f"Points: {each}." if len(worth) > 1 else ""


def wrong_points(solution):
    """Yield where the points in the text differ from those of the graded cell below it, and of its parts."""
    text = None
    for cell in json.loads(solution.data)["cells"]:
        mark, source = cell["metadata"].get("nbgrader", {}), "".join(cell["source"])
        text = source if STATED.search(source) else text
        if mark.get("grade"):
            name, stated = mark["grade_id"].removeprefix("test_"), STATED.search(text or "")
            if not stated or float(stated[1]) != mark["points"]:
                said = f"says {stated[1]}" if stated else "says nothing"
                points = f"{mark['points']:g}"
                yield f'{name} has points={points}, and its text {said}: end a line with "· {points} points"'
            line = "" if mark["solution"] else points_line(name, mark["points"])
            if line not in " ".join((text or "").split()):
                yield f"the text of {name} doesn't say what its parts are worth: write {line!r}"


def wrong_cases(answer):
    """Yield what is wrong with a check or its mistakes themselves: with it, nothing can be graded."""
    this = find_check(answer)
    for known in mistakes_of(answer):
        try:
            _ = known.answer
        except ValueError as error:  # of a patch
            yield f"{answer}: {known.name}: {error}"
    if not any(case.visible for case in this.draw(np.random.default_rng(0))):
        yield f"{answer} has no visible case: mark a small one with visible=True"
        return
    for case in draw(this, seed=0) if this.reference else ():
        outcome = this.observe(call, this.reference, case)
        if outcome.error:
            kind, text = outcome.error
            hint = f". {NAMES}" if kind == "NameError" else ""
            yield f"{answer}: the solution fails on {case.title!r}: {kind}: {text}{hint}"
            return
        for (name, what), value in zip(this.outputs.items(), outcome.outputs, strict=False):
            if isinstance(what, str) and np.ndim(value) != len(what.split()):
                yield f"{answer}: expected {np.ndim(value)} names for the axes of {name}, got {what!r}"
                return


def wrong_grades(assignment):
    """Yield how the solution and the starter are graded wrongly, in the sandbox."""
    with Sandbox(False, assignment.reviews) as sandbox:
        for kind, seeds in (("solution", SEEDS), ("starter", SEEDS[:1])):
            given = proof.given(kind, assignment)
            for seed in seeds:
                found = grade(given.path, sandbox, assignment, seed, given.data)
                if found.status != GRADED:
                    yield f"the grader failed on {given.path}: {found.reason}"
                    return
                for check in found.checks:
                    right = check.points == check.max_points
                    if check.name in given.proven and right != (kind == "solution"):
                        said = check.message or "it earns full marks"
                        yield f"{given.path} of {check.name}, seed {seed}: {said}"


def wrong_names(answer):
    """Yield which mistakes and faults of an answer are missed, or called by another name."""
    this = find_check(answer)
    if this.reference is None:
        return
    drawn = draw(this, seed=0)
    if not mistakes_of(answer):
        yield f"{answer} has no known mistake: write the likeliest one into mistakes.py"
    for known in mistakes_of(answer):
        verdict = examine(answer, known.answer, drawn=drawn)
        if verdict.passed:
            yield f"{answer}: {known.name} is not caught: add a case in which it gives another result"
        elif verdict.mistake != known.name:
            yield f"{answer}: {known.name} is called {verdict.mistake}: add a case that tells them apart"
    for name, spoiled in faults(this, drawn[0]).items():
        verdict = examine(answer, spoiled, drawn=drawn)
        if verdict.mistake != name:
            yield f"{answer}: the fault {name} is called {verdict.mistake or verdict.sentence or 'right'}"


def faults(this, case):
    """Return right answers with another dtype, and with a tensor on the CPU, by the name of the fault."""
    if case.harness or not this.tensors:
        return {}

    is_class = isinstance(this.reference, type)
    right = this.reference.forward if is_class else this.reference

    def spoiled(change):
        def each(*args):
            given = right(*args)
            given = given if isinstance(given, tuple) else (given,)
            changed = tuple(change(one) if one.is_floating_point() else one for one in given)
            return changed if len(changed) > 1 else changed[0]

        return with_forward(this.reference, each) if is_class else each

    def other_dtype(one):
        return one.float() if one.dtype == torch.float64 else one.double()

    def on_the_cpu(one):
        return one + torch.zeros(max(one.shape[-1:], default=1), dtype=one.dtype)

    expected = this.observe(call, this.reference, case).outputs
    if not all(hasattr(one, "dtype") and one.dtype.kind == "f" for one in expected):
        return {}
    found = {"wrong_dtype": spoiled(other_dtype)}
    return found | {"made_on_the_cpu": spoiled(on_the_cpu)} if this.device else found


def report(name):
    """Return what `author` found as text, and whether all is well."""
    try:
        problems = list(author(name))
    except CourseError:
        raise
    except Exception as error:
        own = [at for at in extract_tb(error.__traceback__) if f"exercises{os.sep}{name}" in at.filename]
        if not own:
            raise
        problems = [f"{own[-1].filename}, line {own[-1].lineno}: {type(error).__name__}: {error}"]
    if problems:
        return "\n".join([f"✗ {problem}" for problem in problems]), False
    place = Path("exercises", "starter", name, f"{name}.ipynb")
    return f"✓ {name} grades as it should. Students get {place}.", True
