"""Compare plain data: what an answer gave with what was expected.

Numbers count as equal within RTOL of the expected one plus ATOL, in float32 and float64 alike. This is wide
enough for any order of summing and for a small number in a denominator, and far narrower than what any
mistake changes.
"""

from functools import partial

import numpy as np

RTOL, ATOL = 1e-4, 1e-5


def number(value):
    """A tensor of one number as that number."""
    return value.item() if isinstance(value, np.ndarray) and value.shape in ((), (1,)) else value


def close(e, g, atol=ATOL):
    """Is `g` the expected value, within rounding? A list is like a tuple, a tensor like its numbers."""
    if isinstance(e, np.ndarray):
        if not isinstance(g, np.ndarray) or e.shape != g.shape:
            return False
        return np.array_equal(e, g) or np.allclose(e, g, rtol=RTOL, atol=atol, equal_nan=True)
    e, g = number(e), number(g)
    if isinstance(e, list | tuple):
        g = g.tolist() if isinstance(g, np.ndarray) else g
        return isinstance(g, list | tuple) and len(e) == len(g) and all(map(partial(close, atol=atol), e, g))
    if isinstance(e, dict):
        return isinstance(g, dict) and e.keys() == g.keys() and all(close(e[key], g[key], atol) for key in e)
    if isinstance(e, float) and isinstance(g, bool | int | float):
        return bool(np.isclose(e, g, rtol=RTOL, atol=atol, equal_nan=True))
    return (
        type(e) in (bool, int) and type(g) in (bool, int, float) and e == g or type(e) is type(g) and e == g
    )


def equal(a, b):
    """Are two values the same to the last digit?"""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def same_gradient(a, b):
    """None is a gradient of zeros; where NaN or infinity is in both, where it stands is no matter."""
    if a is None and b is None:
        return True
    a, b = (np.zeros_like(b) if a is None else a), (np.zeros_like(a) if b is None else b)
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return False
    both_broken = not np.isfinite(a).all() and not np.isfinite(b).all()
    return a.shape == b.shape and (both_broken or close(a, b))
