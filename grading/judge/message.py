"""Word the message: which property an answer breaks first, and where it can be seen."""

import numpy as np

from grading.judge.compare import ATOL, RTOL, close, equal, number, same_gradient
from grading.sandbox.cases import Unknown

FEW = 12  # so many numbers are still worth printing
LONG = 300  # and so many letters
STOPPED = ""  # the kind of an error that the judge itself reports
NOT_WRITTEN = "it is not written yet: put your answer in the place of raise NotImplementedError."


# What is wrong with an outcome


def find_fault(this, case, expected, got):
    """Say in one sentence which property an outcome breaks first, or None.

    What comes from the answer could hold what it was given, so a hidden case is told without it: a pair
    of sentences has the discreet one second, and a single one ends where its colon stands.
    """
    fault = _first_fault(this, case, expected, got)
    if fault is None:
        return None
    full, discreet = fault if isinstance(fault, tuple) else (fault, fault.split(":")[0].rstrip(".") + ".")
    return full if case.visible else discreet


def _first_fault(this, case, expected, got):
    if got.error and not got.outputs:
        return _error_fault(case, *got.error)
    if len(got.outputs) != len(this.outputs):
        meant = " and ".join(this.outputs)
        return f"it returned {_things(got.outputs)}, where {meant} were meant.", f"{meant} were meant."
    named = dict(zip(this.outputs, got.outputs, strict=True))
    for faults in (_kind_faults, _input_faults, _property_faults, _value_faults):
        if sentence := next(filter(None, faults(this, case, expected, got, named)), None):
            return sentence
    return None if case.elsewhere else _wrong_gradient(expected, got)


def _error_fault(case, kind, message):
    if kind == "NotImplementedError":
        return NOT_WRITTEN, NOT_WRITTEN
    if kind == STOPPED:
        return message, message
    if case.elsewhere:
        return (
            "it makes a new tensor on the CPU, whatever device its inputs are on, and would fail on a "
            "GPU: give device=..., or make it from an input, as in x.new_zeros(...)."
        )
    return f"it raised {kind}: {message}", "it raised an error on an input that you cannot see."


def _kind_faults(this, case, expected, got, named):
    wanted = expected.outputs or [None] * len(named)
    for (name, what), e in zip(this.outputs.items(), wanted, strict=True):
        yield _unlike(name, what, e, named[name])


def _input_faults(this, case, expected, got, named):
    for name, before in case.inputs.items():
        if not equal(before, got.inputs.get(name)):
            yield f"{name} was changed in place: work on a new one, the caller still needs the old one."


def _property_faults(this, case, expected, got, named):
    for broken in this.properties:
        yield broken(case, named)


def _value_faults(this, case, expected, got, named):
    for name, e in zip(this.outputs, expected.outputs, strict=False):
        if isinstance(e, np.ndarray) and np.isfinite(e).all() and not np.isfinite(named[name]).all():
            yield f"{name} holds NaN or infinity, where every number should be finite."
        elif not close(e, named[name]):
            if isinstance(e, np.ndarray):
                yield f"{name} has the right shape, but not the right numbers."
            else:
                yield f"{name} is of the right kind, but not what was expected."


def _unlike(name, what, e, g):
    """Say what is wrong with the kind, the shape or the dtype of an output, or None. `e` is as expected."""
    if not isinstance(what, str):
        if _is_a(what, g):
            return None
        return (
            f"{name} should be a {what.__name__}, but is {_kind(g)}.",
            f"{name} should be a {what.__name__}.",
        )
    if isinstance(g, list | tuple) and g and isinstance(g[0], np.ndarray):
        return f"it returned {_things(g)}, where {name} was meant.", f"{name} alone was meant."
    if not isinstance(g, np.ndarray):
        meant = f"{name} should be a plain torch.Tensor on the CPU"
        return f"{meant}, but is {_kind(g)}.", f"{meant}."
    if e is None:
        return None
    if g.shape != e.shape:
        axes = f"({', '.join(what.split())}) = {e.shape}" if what else "a single number, shape (),"
        return (
            f"{name} has shape {g.shape}, where {axes} was meant.",
            f"{name} has a shape that was not meant.",
        )
    if g.dtype != e.dtype and (e.dtype.kind == "f" or e.dtype.kind != g.dtype.kind):
        if e.dtype.kind == "f":
            keep = f"{e.dtype} was meant: keep the dtype of the inputs."
            return f"{name} is {g.dtype}, where {keep}", f"{name} has another dtype, where {keep}"
        return f"{name} is {g.dtype}, where {e.dtype} was meant.", f"{name} should be {e.dtype}."
    return None


def _is_a(kind, value):
    if kind in (float, int):
        value = number(value)
        return isinstance(value, int) or (isinstance(value, float) and (kind is float or value.is_integer()))
    if kind in (list, tuple):
        return isinstance(value, list | tuple)
    return isinstance(value, kind)


def _kind(value):
    if isinstance(value, np.ndarray):
        return f"a {value.dtype} tensor of shape {value.shape}"
    return value.kind if isinstance(value, Unknown) else type(value).__name__


def _things(outputs):
    return "one thing" if len(outputs) == 1 else f"{len(outputs)} things"


def _wrong_gradient(expected, got):
    if got.error:
        fails = "the outputs are right, but their gradient fails"
        return f"{fails} with {got.error[0]}: {got.error[1]}", f"{fails}."
    for name, e in expected.gradients.items():
        g = got.gradients.get(name)
        if g is None and e is not None and not close(e, np.zeros_like(e)):
            return (
                f"the outputs are right, but no gradient reaches {name}, so nothing can be learned through "
                f"it: keep to torch operations, without .item(), .detach(), numpy or torch.no_grad()."
            )
        if isinstance(g, np.ndarray) and not np.isfinite(g).all():
            return (
                f"the outputs are right, but the gradient of {name} is NaN or infinite: a NaN that is "
                f"painted over afterwards still comes back when the model learns."
            )
        if not same_gradient(g, e):
            return f"the outputs are right, but the gradient of {name} is not."
    return None


# Showing where


def evidence(this, case, expected, got):
    """Where it was seen, what was expected and what came; only sizes where students may not know more."""
    inputs = [_show(name, value, case.visible) for name, value in case.inputs.items()]
    inputs += [f"{argument} {name}" for argument, name in case.library.items()]
    rows = [f"  seen with {case.title}: {', '.join(inputs)}"]
    if not case.visible:
        return rows[0]
    for name, e, g in zip(this.outputs, expected.outputs, got.outputs, strict=False):
        if close(e, g):
            continue
        if isinstance(e, dict) and isinstance(g, dict) and e.keys() == g.keys():
            unlike = [key for key in e if not close(e[key], g[key])]
            e, g = ({key: entries[key] for key in unlike} for entries in (e, g))
        if isinstance(g, np.ndarray) and isinstance(e, np.ndarray) and g.shape == e.shape and e.size > FEW:
            at = tuple(int(i) for i in np.argwhere(~np.isclose(e, g, RTOL, ATOL, equal_nan=True))[0])
            rows.append(f"  expected {name}{list(at)} {e[at]:.4f}, got {g[at]:.4f}")
        else:
            rows += [f"  expected {_show(name, e)}", f"  got      {_show(name, g)}"]
    return "\n".join(rows)


def _show(name, value, visible=True):
    """A name with its sizes, and with its numbers where they are few."""
    if not isinstance(value, np.ndarray):
        if not visible and _hides(value):
            return f"{name} ({len(value)})"
        text = value.kind if isinstance(value, Unknown) else str(_rounded(value))
        if len(text) > LONG and isinstance(value, list) and all(isinstance(item, str) for item in value):
            return f"{name} ({len(value)}), the first {value[0]!r}"
        if isinstance(value, set) and value:
            text = f"{{{', '.join(sorted(map(str, value)))}}}"  # the same text for the same set
        return f"{name} {text}" if len(text) <= LONG else f"{name} {text[:LONG]}..."
    text = f"{name} {value.shape}"
    return text if value.size > FEW or not visible else f"{text} = {_rounded(value)}"


def _hides(value):
    return isinstance(value, str | list | tuple | set | dict)


def _rounded(value):
    """Plain data as it is printed: four digits, tensors as lists."""
    if isinstance(value, np.ndarray):
        return _rounded(value.tolist())
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, list | tuple):
        return type(value)(_rounded(item) for item in value)
    return {key: _rounded(item) for key, item in value.items()} if isinstance(value, dict) else value
