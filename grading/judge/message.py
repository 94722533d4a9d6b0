"""Word the message: which property an answer breaks first, and where it can be seen."""

import re
from dataclasses import replace

import numpy as np

from grading.judge.compare import RTOL, close, equal, number, same_gradient
from grading.judge.registry import Fault
from grading.sandbox.cases import TORCH, Unknown

FEW = 12  # so many numbers are still worth printing
LONG = 160  # and so many letters
STOPPED = ""  # the kind of an error that the judge itself reports
NOT_NUMBERS = {"nan": "NaN (or ValueError)", "inf": "infinity (or a division by zero)"}
HOLDS = "Right: "  # how the line on the parts of an answer begins
NOT_WRITTEN = "It is not written yet: replace raise NotImplementedError with your answer."

ERRORS = (  # what common errors of torch and Python mean: a pattern, the name of the mistake, and what to do
    (
        r"hx should also be 3-D but got 2-D",
        "state_without_its_axis",
        "A GRU takes its first state with an axis of layers in front, (1, batch, hidden): write state[None].",
    ),
    (
        r"hx should also be 2-D but got 3-D",
        "token_without_its_axis",
        "The tokens lack the axis of steps: one token for each sentence is (batch, 1), not (batch,).",
    ),
    (
        r"PackedSequence",
        "packed_not_padded",
        "A PackedSequence is only for recurrent layers: make it a tensor with pad_packed_sequence first.",
    ),
    (
        r"must be Tensor, not tuple|'tuple' object has no attribute|operand type.*'tuple'",
        "tuple_not_unpacked",
        "A call that returns several results gives a tuple. Unpack it, as in: first, second = call(...).",
    ),
    (
        r"batch2 tensor to be|mat1 and mat2 shapes cannot be multiplied|mat1 and mat2 must",
        "matrices_dont_fit",
        "The two sides of a matrix product don't fit. It sums over the last axis of the left side and the "
        "last but one of the right side: swap these two with transpose(1, 2). (.T reverses all axes.)",
    ),
    (
        r"The size of tensor a \(\d+\) must match the size of tensor b|shape mismatch|not broadcastable",
        "shapes_dont_fit",
        "Tensors are combined number by number (+, *, masked_fill) and their shapes don't fit. Add an axis "
        "with unsqueeze or None where one is missing; for a sum of products use @.",
    ),
    (r"^name '\w+' is not defined", "name_not_defined", "Import the name, or define it in the same cell."),
)


# What is wrong with an outcome


def find_faults(this, case, expected, got):
    """Return the faults of an outcome, up to the first that breaks the case's own part.

    What comes after that one may follow from it.
    """
    found = []
    for fault in map(_fault, filter(None, _faults(this, case, expected, got))):
        part = this.torch if fault.part == TORCH else fault.part
        found.append(replace(fault, part=part or case.part))
        if not part:
            break
    return found


def _fault(said):
    return Fault(said) if isinstance(said, str) else said


def _faults(this, case, expected, got):
    if got.error and not got.outputs:
        yield _error_fault(case, *got.error)
        return
    if len(got.outputs) != len(this.outputs):
        wanted = f"expected {' and '.join(this.outputs)}."
        yield Fault(f"It returned {_things(got.outputs)}, {wanted}", wanted.capitalize())
        return
    named = dict(zip(this.outputs, got.outputs, strict=True))
    for faults in (_kind_faults, _input_faults, _property_faults, _value_faults):
        yield from faults(this, case, expected, got, named)
    if not case.elsewhere:
        yield _gradient_fault(expected, got)


def _error_fault(case, kind, message):
    if kind == "NotImplementedError":
        return Fault(NOT_WRITTEN)
    if kind == STOPPED:
        return Fault(message)
    if case.elsewhere:
        return Fault(
            "It makes a new tensor on the CPU, whatever device its inputs are on, so it would fail on a GPU. "
            "Pass device=..., or make it from an input, as in x.new_zeros(...).",
            name="made_on_the_cpu",
        )
    nothing = [name for name, value in case.inputs.items() if value is None]
    if nothing and kind in ("AttributeError", "TypeError") and "NoneType" in message:
        todo = f"It fails if {nothing[0]} is None. Treat None as a case of its own"
        return Fault(f"{todo}: it raised {kind}: {message}", f"{todo}.", f"{nothing[0]}_is_none")
    text, hidden = f"It raised {kind}: {message}", "It raised an error on an input that you cannot see."
    for pattern, name, todo in ERRORS:
        if re.search(pattern, message):
            return Fault(f"{todo} {text}", hidden, name)
    return Fault(text, hidden)


def _kind_faults(this, case, expected, got, named):
    wanted = expected.outputs or [None] * len(named)
    for (name, what), e in zip(this.outputs.items(), wanted, strict=True):
        yield _unlike(name, what, e, named[name])


def _input_faults(this, case, expected, got, named):
    for name, before in case.inputs.items():
        if not equal(before, got.inputs.get(name)):
            text = f"{name} was changed in place. Make a new one: the caller still needs the old one."
            yield Fault(text, name="changed_in_place", part=TORCH)


def _property_faults(this, case, expected, got, named):
    for holds, broken in enumerate(this.properties):
        if fault := broken(case, named):
            yield replace(_fault(fault), holds=holds)


def _value_faults(this, case, expected, got, named):
    for name, e in zip(this.outputs, expected.outputs, strict=False):
        if isinstance(e, np.ndarray) and np.isfinite(e).all() and not np.isfinite(named[name]).all():
            text = f"{name} contains NaN or infinity. Every number should be finite."
        elif close(e, named[name], this.atol):
            continue
        elif isinstance(e, np.ndarray) and e.dtype.kind == "b":
            text = f"{name} has the right shape, but some entries are True instead of False, or reversed."
        elif isinstance(e, np.ndarray):
            text = f"{name} has the right shape, but not the right numbers."
        else:
            text = f"{name} has the right type, but not the expected value."
        yield Fault(text, part=this.part_of.get(name, ""), holds=len(this.properties))


def what_holds(this, faults):
    """Return a sentence on the properties that hold in all these outcomes, or "" if none is known to.

    `faults` has those of each wrong outcome. The docstring of a property says what holds.
    """
    first = min(found[-1].holds for found in faults)
    said = [broken.__doc__.strip().rstrip(".") for broken in this.properties[:first] if broken.__doc__]
    return f" This much is right: {'; '.join(s[0].lower() + s[1:] for s in said)}." if said else ""


def _unlike(name, what, e, g):
    """Return the `Fault` of an output's type, shape or dtype, or None. `e` is the expected output."""
    if not isinstance(what, str):
        wanted = f"{name} should be a {what.__name__}"
        return None if _is_a(what, g) else Fault(f"{wanted}, got {_kind(g)}.", f"{wanted}.")
    if isinstance(g, list | tuple) and g and isinstance(g[0], np.ndarray):
        return Fault(f"It returned {_things(g)}, expected {name} alone.", f"Expected {name} alone.")
    if not isinstance(g, np.ndarray):
        wanted = f"{name} should be a plain torch.Tensor on the CPU"
        return Fault(f"{wanted}, got {_kind(g)}.", f"{wanted}.", "not_a_tensor")
    if e is None:
        return None
    if g.shape != e.shape:
        return _wrong_shape(name, what, e, g)
    if g.dtype != e.dtype and (e.dtype.kind == "f" or e.dtype.kind != g.dtype.kind):
        keep = ": keep the dtype of the inputs." if e.dtype.kind == "f" else "."
        text = f"{name} is {g.dtype}, expected {e.dtype}{keep}"
        return Fault(text, f"{name} should be {e.dtype}{keep}", "wrong_dtype", TORCH)
    return None


def _wrong_shape(name, what, e, g):
    axes = f"({', '.join(what.split())}) = {e.shape}" if what else "a single number, shape ()"
    text, hidden = f"{name} has shape {g.shape}, expected {axes}.", f"{name} has an unexpected shape."
    if g.ndim < e.ndim and [n for n in g.shape if n != 1] == [n for n in e.shape if n != 1]:
        keep = "An axis of length 1 was dropped: keep every axis, and write squeeze(-1) instead of squeeze()."
        return Fault(f"{text} {keep}", f"{hidden} {keep}", "axis_squeezed_away")
    return Fault(text, hidden)


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


def _gradient_fault(expected, got):
    if got.error:
        fails = "The outputs are right, but their gradient fails"
        return Fault(f"{fails} with {got.error[0]}: {got.error[1]}", f"{fails}.", part=TORCH)
    for name, e in expected.gradients.items():
        g = got.gradients.get(name)
        if g is None and e is not None and not close(e, np.zeros_like(e)):
            return Fault(
                f"The outputs are right, but no gradient reaches {name}, so nothing is learned through it. "
                f"Use torch operations only, without .item(), .detach(), numpy or torch.no_grad().",
                name="no_gradient",
                part=TORCH,
            )
        if isinstance(g, np.ndarray) and not np.isfinite(g).all():
            return Fault(
                f"The outputs are right, but the gradient of {name} is NaN or infinite. A NaN that is "
                f"replaced afterwards still comes back in the gradient.",
                name="gradient_is_nan",
                part=TORCH,
            )
        if not same_gradient(g, e):
            return Fault(f"The outputs are right, but the gradient of {name} is not.", part=TORCH)
    return None


# Showing where


def evidence(this, case, expected, got):
    """Where it was seen, what was expected and what came; only sizes where students may not know more."""
    shown = {name: value for name, value in case.inputs.items() if name[0] != "_"}  # for the harness
    inputs = [_show(name, value, case.visible) for name, value in shown.items()]
    inputs += [f"{argument} {name}" for argument, name in case.library.items()]
    rows = [f"  seen with {case.title}: {', '.join(inputs)}"]
    if not case.visible:
        return rows[0]
    for name, e, g in zip(this.outputs, expected.outputs, got.outputs, strict=False):
        if close(e, g, this.atol):
            continue
        if isinstance(e, dict) and isinstance(g, dict) and e.keys() == g.keys():
            unlike = [key for key in e if not close(e[key], g[key], this.atol)]
            e, g = ({key: entries[key] for key in unlike} for entries in (e, g))
        if isinstance(g, np.ndarray) and isinstance(e, np.ndarray) and g.shape == e.shape and e.size > FEW:
            at = tuple(int(i) for i in np.argwhere(~np.isclose(e, g, RTOL, this.atol, equal_nan=True))[0])
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
        text = NOT_NUMBERS.get(text, text)
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
