"""Find a simple relation between what was expected and what came, over the cases that students may see.

RELATIONS names each and says how it is found. Each gets rows (case, expected, got), arrays of one output, of
which two or more differ, and returns a phrase for the student, or None if the relation fails in one row.
"""

from itertools import permutations

import numpy as np

from grading.judge.compare import RTOL, close

FEWEST = 4  # numbers that a relation must explain in all, or it may be chance


def find_relation(rows, axes=(), atol=0.0):
    """Return (name, phrase) of the first relation that holds in all rows, or None. `axes` name the axes."""
    wrong = [row for row in rows if not close(row[1], row[2], atol)]
    numbers = all(e.dtype.kind == "f" for _, e, _ in rows)
    if len(wrong) < 2 or sum(np.unique(e).size for _, e, _ in wrong) < FEWEST:
        return None
    with np.errstate(all="ignore"):
        for name, relation in RELATIONS.items():
            if (numbers or name in FOR_ALL) and (phrase := relation(rows, list(axes))):
                return name, phrase
    return None


def _same(rows, change):
    """Does the change make what came of what was expected, in all rows?"""
    return all(
        e.shape == g.shape and np.allclose(change(e), g, RTOL, 1e-5, equal_nan=True) for _, e, g in rows
    )


def _axis_name(axes, i):
    return axes[i] if i < len(axes) else f"axis {i}"


def _axes_permuted(rows, axes):
    for order in permutations(range(rows[0][1].ndim)):
        if list(order) != sorted(order) and all(close(e.transpose(order), g) for _, e, g in rows):
            named = [_axis_name(axes, i) for i in order]
            return f"the numbers are right, and the axes are in the order ({', '.join(named)})"
    return None


def _factor(e, g):
    """The number that makes `g` of `e`, or None."""
    if e.shape != g.shape or not np.isfinite(g).all() or e.dtype.kind != "f" or not (e * e).sum():
        return None
    factor = float((e * g).sum() / (e * e).sum())
    return factor if abs(factor) > 1e-3 and np.allclose(factor * e, g, RTOL, 1e-6) else None


def _times_a_constant(rows, axes):
    found = [(case, _factor(e, g)) for case, e, g in rows if e.any() or g.any()]
    if len(found) < 2 or None in [factor for _, factor in found]:
        return None
    first = found[0][1]
    if all(abs(factor / first - 1) < 1e-3 for _, factor in found):
        return "the signs are reversed" if abs(first + 1) < 1e-3 else f"every number is {_times(first)}"
    for name in found[0][0].inputs:
        sizes = [getattr(case.inputs.get(name), "shape", ()) for case, _ in found]
        for axis in range(-1, -1 - min(map(len, sizes)), -1):
            for how, power in (("the square root of ", 0.5), ("", 1.0)):
                for verb, sign in (("divided", -1), ("multiplied", 1)):
                    should = [shape[axis] ** (sign * power) for shape in sizes]
                    if len({*should}) > 1 and all(
                        abs(factor / s - 1) < 1e-3 for (_, factor), s in zip(found, should, strict=True)
                    ):
                        place = axis if axis == -1 else len(sizes[0]) + axis
                        return f"every number is {verb} by {how}{name}.shape[{place}] once too often"
    return None


def _times(factor):
    if abs(1 / factor - round(1 / factor)) < 1e-3:
        return f"{round(1 / factor)} times too small"
    known = {1 / np.log(2): "in bits: use the natural logarithm", 1 / np.log(10): "a logarithm to base ten"}
    said = next((text for value, text in known.items() if abs(factor / value - 1) < 1e-3), None)
    if said is None and abs(factor) < 1:
        return f"{1 / factor:.3g} times too small"
    return f"{factor:.3g} times too large" if said is None else f"{factor:.3g} times the expected one, {said}"


def _plus_a_constant(rows, axes):
    parts = [np.asarray(g, float) - e for _, e, g in rows if e.shape == g.shape and e.dtype.kind != "b"]
    if len(parts) < len(rows):
        return None
    constant = float(parts[0].flat[0])
    if abs(constant) < 1e-3 or not all(np.allclose(part, constant, RTOL, 1e-5) for part in parts):
        return None
    return f"every number is {abs(constant):.3g} too {'large' if constant > 0 else 'small'}"


def _moved(rows, axes):
    for axis in range(rows[0][1].ndim):
        name = _axis_name(axes, axis)
        long = [row for row in rows if row[1].shape == row[2].shape and row[1].shape[axis] > 2]
        if len(long) < 2:
            continue
        for text, change, of in (
            ("one place too late", lambda e: e[:-1], lambda g: g[1:]),
            ("one place too early", lambda e: e[1:], lambda g: g[:-1]),
            ("in reverse order", lambda e: e[::-1], lambda g: g),
        ):
            if all(close(change(np.moveaxis(e, axis, 0)), of(np.moveaxis(g, axis, 0))) for _, e, g in long):
                return f"the numbers are right, and {text} along {name}"
    return None


def _normalized(rows, axes):
    for axis in range(rows[0][1].ndim):
        name = _axis_name(axes, axis)
        for text, change in (
            ("a softmax over {} was applied to it", lambda e, axis=axis: _softmax(e, axis)),
            ("a log_softmax over {} was applied to it", lambda e, axis=axis: np.log(_softmax(e, axis))),
            ("it was divided by its sum over {}", lambda e, axis=axis: e / e.sum(axis, keepdims=True)),
            (
                "it was divided by its norm over {}",
                lambda e, axis=axis: e / np.linalg.norm(e, axis=axis, keepdims=True),
            ),
        ):
            if _same(rows, change):
                return text.format(name)
    return None


def _softmax(e, axis):
    powers = np.exp(e - e.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def _function_applied(rows, axes):
    functions = {
        "tanh": np.tanh,
        "exp": np.exp,
        "log": np.log,
        "sigmoid": lambda e: 1 / (1 + np.exp(-e)),
        "relu": lambda e: np.maximum(e, 0),
        "abs": np.abs,
        "the square": np.square,
        "the square root": np.sqrt,
    }
    for name, function in functions.items():
        if _same(rows, function):
            return f"{name} was applied to it once too often"
    return None


def _function_missing(rows, axes):
    for name, function in {"tanh": np.tanh, "exp": np.exp, "relu": lambda g: np.maximum(g, 0)}.items():
        if all(e.shape == g.shape and close(e, function(g)) for _, e, g in rows):
            return f"{name} is missing at its end"
    return None


def _only_in_part(rows, axes):
    """Right but for a part of the places, the same part in all cases that differ."""
    wrong = [
        (case, ~np.isclose(e, g, RTOL, 1e-5, equal_nan=True)) for case, e, g in rows if e.shape == g.shape
    ]
    wrong = [(case, places) for case, places in wrong if places.any()]
    if len(wrong) < 2 or len({e.shape == g.shape for _, e, g in rows}) > 1:
        return None
    for part, where in _parts(rows[0][1].ndim, axes):
        found = [where(case, places.shape) for case, places in wrong]
        if all(
            region is not None
            and not region.all()
            and not (places & ~region).any()
            and 2 * (places & region).sum() > region.sum()
            for region, (_, places) in zip(found, wrong, strict=True)
        ):
            return f"all is right but for what is {part}"
    return None


def _parts(ndim, axes):
    yield "in rows with nothing to attend to", _at_empty_rows
    yield "at padding", _at_padding
    for axis in range(ndim):
        name = _axis_name(axes, axis)
        if name == "batch":
            yield "in sentences after the first", lambda case, shape: np.indices(shape)[0] > 0
            continue
        for place, index in (("first", 0), ("last", -1)):
            yield (
                f"at the {place} place of {name}",
                lambda case, shape, axis=axis, index=index: np.indices(shape)[axis] == index % shape[axis],
            )


def _mask(case):
    return next((m for name, m in case.inputs.items() if name.endswith("mask") and m is not None), None)


def _at_empty_rows(case, shape):
    mask = _mask(case)
    if mask is None or mask.shape[0] != shape[0] or not (empty := ~mask.any(-1)).any():
        return None
    empty = empty.reshape(empty.shape + (1,) * (len(shape) - empty.ndim))
    try:
        return np.broadcast_to(empty, shape)
    except ValueError:
        return None


def _at_padding(case, shape):
    mask, lengths = _mask(case), case.inputs.get("src_lengths")
    if mask is not None and mask.ndim == 2 and mask.shape == (shape[0], shape[-1]):
        return np.broadcast_to(~mask.reshape(shape[0], *(1,) * (len(shape) - 2), shape[-1]), shape)
    if lengths is not None and len(shape) == 3 and len(lengths) == shape[0]:
        return np.broadcast_to((np.arange(shape[1]) >= lengths[:, None])[..., None], shape)
    return None


def _reversed_truth(rows, axes):
    if all(e.dtype.kind == "b" and e.shape == g.shape and np.array_equal(~e, g) for _, e, g in rows):
        return "True and False are reversed"
    return None


RELATIONS = {
    "times_a_constant": _times_a_constant,
    "axes_permuted": _axes_permuted,
    "truth_reversed": _reversed_truth,
    "plus_a_constant": _plus_a_constant,
    "moved_along_an_axis": _moved,
    "normalized": _normalized,
    "function_applied": _function_applied,
    "function_missing": _function_missing,
    "right_but_for_a_part": _only_in_part,
}
FOR_ALL = (
    "axes_permuted",
    "truth_reversed",
    "moved_along_an_axis",
    "right_but_for_a_part",
)  # ids and truth, too
