"""A student's wrong answer becomes a draft for the bank of mistakes."""

import ast

import pytest

from examples.make_class import KEYS_AS_VALUES, NAME, NO_TANH
from grading import CourseError
from grading.judge.message import NOT_WRITTEN
from grading.pipeline import result
from grading.pipeline.draft import draft
from grading.pipeline.result import GRADED, CheckResult, Result


@pytest.fixture
def course(tmp_path):
    sources = {
        "attend": f"def helper(x):\n    return x\n{KEYS_AS_VALUES}",
        "AdditiveScore": NO_TANH,
        "dot_score": "1 +",
    }
    cells = tuple({"kind": "code", "name": name, "source": source} for name, source in sources.items())
    messages = {"attend": 'Not "right".\n  seen with 3', "masked_softmax": NOT_WRITTEN, "causal_mask": ""}
    checks = tuple(CheckResult(name, 0, 3, message) for name, message in messages.items())
    result.write(
        tmp_path / "graded" / NAME / "ana.json", Result(GRADED, NAME, "ana", checks=checks, cells=cells)
    )
    return tmp_path


def test_the_draft_is_a_decorated_function_that_does_the_same(course):
    text = draft(course, NAME, "attend", "ana")
    helper, function = ast.parse(text).body
    assert ast.unparse(function.decorator_list[0]) == "mistake(attend)" and helper.name == "helper"
    assert ast.get_docstring(function) == 'Not "right".' and "weights @ keys" in text
    (forward,) = ast.parse(draft(course, NAME, "AdditiveScore", "ana")).body
    assert forward.args.args[0].arg == "self" and "self.v(" in ast.unparse(forward)


@pytest.mark.parametrize(
    ("name", "student", "says"),
    [
        ("attend", "bo", "there is no record"),
        ("dot_score", "ana", "ana has no cell that defines dot_score"),
        ("masked_softmax", "ana", "masked_softmax of ana is not written yet: choose a student"),
        ("causal_mask", "ana", "is right: choose"),
        ("cooking", "ana", "choose from"),
    ],
)
def test_what_cannot_be_drafted_is_said(course, name, student, says):
    with pytest.raises(CourseError, match=says):
        draft(course, NAME, name, student)
