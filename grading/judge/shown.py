"""Show arrays in pages, and tell wrong answers that behave alike from others."""

import hashlib
import re

import numpy as np

from grading.judge.compare import RTOL, close

ROWS, COLUMNS = 6, 8  # of an array that a page shows
ADDRESS = re.compile(r"0x[0-9a-f]+")


def grids(this, case, expected, got):
    """Return the tensors of a visible case that differ, as plain data for a page.

    Each is a dict of the output's name, and for "expected" and "got" of a shape, the texts of a small window
    and which of these cells differ. The window is a matrix around the first cell that differs; `at` says
    where it begins.
    """
    found = []
    if not case.visible:
        return ()
    for name, e, g in zip(this.outputs, expected.outputs, got.outputs, strict=False):
        if isinstance(e, np.ndarray) and isinstance(g, np.ndarray) and not close(e, g, this.atol):
            found.append({"name": name, **_windows(e, g, this.atol)})
    return tuple(found)


def _windows(e, g, atol):
    if e.shape == g.shape:
        differs = ~np.isclose(e, g, RTOL, atol, equal_nan=True)
    else:
        differs = np.zeros(e.shape, dtype=bool)
    first = [int(i) for i in np.argwhere(differs)[0]] if differs.any() else [0] * e.ndim
    start = [max(0, i - most // 2) for i, most in zip(first[-2:], (ROWS, COLUMNS)[-e.ndim :], strict=False)]
    at = [*first[:-2], *start]
    return {
        "at": at,
        "expected": _window(e, at, differs),
        "got": _window(g, at, differs if e.shape == g.shape else np.ones(g.shape, dtype=bool)),
    }


def _window(array, at, differs):
    place = at if array.ndim == len(at) else [0] * array.ndim
    place = [min(i, n - 1) for i, n in zip(place, array.shape, strict=True)]

    def cut(values):
        if not values.size:
            return np.zeros((0, 0), values.dtype)
        matrix = np.atleast_2d(values[tuple(place[:-2])])
        row, column = ([0, 0] + place)[-2:]
        return matrix[row : row + ROWS, column : column + COLUMNS]

    numbers = cut(array)
    return {
        "shape": list(array.shape),
        "cells": [[_text(x) for x in row] for row in numbers],
        "differs": cut(differs).tolist(),
    }


def _text(number):
    return f"{number:.3g}" if isinstance(number, np.floating) else str(number)


def behavior(outcome):
    """Return a short digest of an outcome, the same for answers that do the same within rounding."""
    error = outcome.error and (outcome.error[0], ADDRESS.sub("", outcome.error[1].split("\n")[0]))
    seen = _plain((outcome.outputs, outcome.inputs, outcome.gradients)), error
    return hashlib.sha256(repr(seen).encode("utf-8", "replace")).hexdigest()[:12]


def _plain(value):
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.kind, [_plain(item) for item in value.ravel().tolist()]
    if isinstance(value, float):
        return f"{value:.3e}" if abs(value) > 1e-9 else "0"
    if isinstance(value, dict):
        return sorted((repr(key), _plain(item)) for key, item in value.items())
    if isinstance(value, set):
        return sorted(repr(_plain(item)) for item in value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else repr(value)
