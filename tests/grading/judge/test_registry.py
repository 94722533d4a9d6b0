"""Every graded answer has its check, in the folder of its exercise."""

import pytest

from grading.judge.registry import all_checks, find_check
from grading.pipeline.assignments import assignments


def test_every_test_of_the_starters_has_a_check_in_its_own_exercise():
    graded = {name: exercise for exercise, one in assignments().items() for name, _ in one.tests}
    assert graded == {name: check.draw.__module__.split(".")[2] for name, check in all_checks().items()}


def test_a_check_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(KeyError, match="no check is called 'cosine': choose from .*dot_score"):
        find_check("cosine")
