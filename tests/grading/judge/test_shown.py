"""Arrays for pages are small, and alike behavior has the same digest."""

import numpy as np
import pytest

from grading.judge.judge import examine
from grading.judge.shown import COLUMNS, ROWS, behavior, grids
from grading.sandbox.cases import Case, Outcome
from utils import attention


def test_a_wrong_answer_shows_which_cells_differ():
    verdict = examine("scaled_dot_score", attention.dot_score, seed=3)
    (grid,) = verdict.grids
    assert grid["name"] == "scores" and grid["expected"]["shape"] == grid["got"]["shape"] == [1, 1, 3]
    assert grid["got"]["differs"] == [[True, True, True]]
    assert grid["expected"]["cells"] != grid["got"]["cells"] and len(grid["got"]["cells"][0]) == 3
    assert examine("dot_score", attention.dot_score).grids == ()


class AnyCheck:
    outputs, atol = {"x": ""}, 1e-5


def shown(e, g, visible=True):
    return grids(AnyCheck, Case("", {}, visible=visible), Outcome((e,)), Outcome((g,)))


@pytest.mark.parametrize("shape", [(), (3,), (20,), (9, 30), (2, 9, 30), (2, 2, 1, 30)])
def test_the_window_is_small_and_holds_the_first_difference(shape):
    e = np.zeros(shape)
    g = e.copy()
    g[tuple(n - 1 for n in shape)] = 1
    (found,) = shown(e, g)
    cells, differs = np.array(found["got"]["cells"]), np.array(found["got"]["differs"])
    assert cells.shape[0] <= ROWS and cells.shape[1] <= COLUMNS
    assert differs.sum() == 1 and cells[differs] == ["1"]


def test_other_shapes_are_shown_beside_each_other_and_hidden_cases_not_at_all():
    (found,) = shown(np.zeros((2, 1, 3)), np.zeros((0, 3)))
    assert found["expected"]["shape"] == [2, 1, 3] and found["got"] == {
        "shape": [0, 3],
        "cells": [],
        "differs": [],
    }
    (found,) = shown(np.zeros((1, 2)), np.zeros((2, 2)))
    assert found["expected"]["differs"] == [[False] * 2] and found["got"]["differs"] == [[True] * 2] * 2
    assert shown(np.zeros(2), np.ones(2), visible=False) == ()


def test_behavior_is_alike_within_rounding_only():
    def told(*outputs, **more):
        return behavior(Outcome(outputs, **more))

    third = np.array([1 / 3, 0.0])
    assert told(third) == told(third + 1e-12) != told(third + 1e-2)
    assert told(third) != told(third.astype(int)) and told(third) != told(third[None])
    at = [told(error=("KeyError", f"<object at 0x7f{i}>")) for i in range(2)]
    assert at[0] == at[1] != told(error=("KeyError", "x"))
