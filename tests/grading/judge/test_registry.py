"""Every graded answer has its check, in the folder of its exercise, and a mistake is ordinary code."""

import re

import pytest

from grading.judge import registry
from grading.judge.registry import all_checks, find_check, mistake, mistakes_of, patched
from grading.pipeline.assignments import assignments


def test_every_test_of_the_starters_has_a_check_in_its_own_exercise():
    graded = {name: exercise for exercise, one in assignments().items() for name, _ in one.tests}
    assert graded == {name: check.draw.__module__.split(".")[2] for name, check in all_checks().items()}


def test_a_check_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(KeyError, match="no check is called 'cosine': choose from .*dot_score"):
        find_check("cosine")


def halved(x, y=1):
    total = x + y
    return total / 2


class Doubled:
    def __init__(self, times=2):
        self.times = times

    def forward(self, x):
        return self.times * x


def test_a_mistake_is_code_or_patches_of_the_right_answer(monkeypatch):
    monkeypatch.setattr(registry, "_MISTAKES", {})

    @mistake(halved, {"/ 2": "/ 3"}, {"x + y": "x - y", "/ 2": "/ 4"})
    def divided(x, y=1):
        """The sum is divided
        by something else."""
        return x

    @mistake(Doubled)
    def plus_one(self, x):
        """One is added."""
        return self.times * x + 1

    ways, (other,) = registry._MISTAKES["halved"], registry._MISTAKES["Doubled"]
    assert [way.answer(7, 1) for way in ways] == [7, 8 / 3, 6 / 4]
    assert {way.name for way in ways} == {"divided"} and {way.of for way in ways} == {halved}
    assert {way.sentence for way in ways} == {"The sum is divided by something else."}
    assert other.answer(times=3).forward(1) == 4 and issubclass(other.answer, Doubled)
    assert patched(Doubled, {"self.times * x": "x"})().forward(5) == 5


@pytest.mark.parametrize(("old", "times"), [("x * y", 0), ("x", 2)])
def test_a_patch_that_does_not_apply_exactly_once_is_refused(old, times):
    expected = rf"expected '{re.escape(old)}' exactly once in the source of halved, found it {times}"
    with pytest.raises(ValueError, match=expected):
        patched(halved, {old: "y"})


@pytest.mark.parametrize("name", all_checks())
def test_what_is_said_of_a_mistake_is_short_and_ends_like_a_sentence(name):
    said = {known.sentence for known in mistakes_of(name)}
    assert [sentence for sentence in said if len(sentence) > 250 or not sentence.endswith((".", ".)"))] == []
