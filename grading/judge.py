"""Tell right answers from wrong ones, and say which mistake was made.

A `Check` is a reference, a generator of cases and a comparison. The judge holds them; the answer runs in
`grading.calls.call`, or behind another `call` that does the same in another process, and the judge sees
nothing of it but an `Outcome`. Inputs are drawn anew for every seed. Numbers count as equal within RTOL
of the expected one plus ATOL, in float32 and float64 alike: wide enough for any order of summing and for
a small number in a denominator, and far narrower than what any mistake changes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from grading.calls import call
from grading.cases import Outcome, Unknown
from grading.misconceptions import MISCONCEPTIONS
from grading.shelves import Shelf

RTOL, ATOL = 1e-4, 1e-5
FEW = 12  # so many numbers are still worth printing
LONG = 300  # and so many letters
STOPPED = ""  # the kind of an error that the judge itself reports
NOT_WRITTEN = "it is not written yet: put your answer in the place of raise NotImplementedError."


@dataclass(frozen=True)
class Check:
    """How one function is checked.

    `draw(rng)` yields cases. `outputs` maps the name of each output to what it is: a tensor, as the
    names of its axes ("" for a single number), or a type: float, int, str, set, list, tuple or dict.
    Each of `properties` is called with a case and the outputs by name, all of the right kind and
    shape, and gives a sentence where a property is broken, else None. Without a `reference` they alone
    decide. `gradients` are compared where outputs are float tensors; `device` adds a case in which
    the inputs are on another device.
    """

    reference: Callable | None
    draw: Callable
    outputs: dict
    properties: tuple = ()
    gradients: bool = True
    device: bool = True


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer: `mistake` names a known misconception, `sentence` says what is wrong
    and `evidence` shows the smallest input where it can be seen, without its numbers where students may
    not know them (`visible` False).
    """

    passed: bool
    mistake: str | None = None
    sentence: str = ""
    evidence: str = ""
    visible: bool = False

    def __str__(self):
        return f"{self.sentence}\n{self.evidence}".strip()


_REGISTERED = {}
CHECKS = Shelf("grading.checks", lambda module: _REGISTERED)


def checks(name, reference, outputs, properties=(), gradients=True, device=True):
    """Register the decorated generator of cases as the check of the answer called `name`."""

    def register(draw):
        _REGISTERED[name] = Check(reference, draw, outputs, properties, gradients, device)
        return draw

    return register


def examine(name, answer, cases="all", seed=0, call=call, drawn=None):
    """Check an answer and give the `Verdict`. `call` may be another that does the same elsewhere, and
    `drawn` what `draw` has given before.
    """
    if name not in CHECKS:
        raise KeyError(f"no check is called {name!r}: choose from {', '.join(CHECKS)}")
    if cases not in ("all", "visible"):
        raise ValueError(f"cases is 'all' or 'visible', not {cases!r}")
    this = CHECKS[name]
    drawn = draw(this, seed) if drawn is None else drawn
    drawn = [case for case in drawn if case.visible or cases == "all"]
    expected = [_trusted(this.reference, case) for case in drawn]
    got = []
    for case in drawn:
        got.append(call(answer, case))
        if got[-1].error and got[-1].error[0] == "NotImplementedError":
            break  # nothing is written yet: no other case will tell more
    faults = [_fault(this, *row) for row in zip(drawn, expected, got, strict=False)]
    failed = [i for i, fault in enumerate(faults) if fault]
    if not failed:
        return Verdict(passed=True)
    known = _recognise(name, drawn, got, failed)
    seen = [i for i in failed if not drawn[i].elsewhere and (got[i].outputs or not known)] or failed
    shown = next((i for i in seen if drawn[i].visible), seen[0])
    return Verdict(
        passed=False,
        mistake=known.name if known else None,
        sentence=known.sentence if known else faults[shown],
        evidence=_evidence(this, drawn[shown], expected[shown], got[shown]),
        visible=drawn[shown].visible,
    )


def draw(this, seed):
    """The cases of a check: those that students may see, then the others, the smallest of each first.

    What an answer gives in a hidden case can so never come to light in the message on a visible one.
    """
    rng = np.random.default_rng(seed)
    drawn = [_completed(this, case, rng) for case in this.draw(rng)]
    drawn.sort(key=lambda case: (not case.visible, case.size()))
    if this.device:
        visible = [case for case in drawn if case.visible]
        title = f"{visible[0].title}, on another device"
        drawn.insert(len(visible), replace(visible[0], title=title, pulls=0, elsewhere=True))
    return drawn


def _trusted(reference, case):
    if reference is None:
        return Outcome()
    outcome = call(reference, case)
    if outcome.error:
        raise RuntimeError(f"the reference itself fails on {case.title!r}: {outcome.error}")
    return outcome


def _completed(this, case, rng):
    pulls = int(rng.integers(1, 2**31)) if this.gradients and this.reference else 0
    return replace(case, returns=len(this.outputs), pulls=pulls)


# What is wrong with an outcome


def _fault(this, case, expected, got):
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
        if not _equal(before, got.inputs.get(name)):
            yield f"{name} was changed in place: work on a new one, the caller still needs the old one."


def _property_faults(this, case, expected, got, named):
    for broken in this.properties:
        yield broken(case, named)


def _value_faults(this, case, expected, got, named):
    for name, e in zip(this.outputs, expected.outputs, strict=False):
        if isinstance(e, np.ndarray) and np.isfinite(e).all() and not np.isfinite(named[name]).all():
            yield f"{name} holds NaN or infinity, where every number should be finite."
        elif not _close(e, named[name]):
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
        value = _number(value)
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
        if g is None and e is not None and not _close(e, np.zeros_like(e)):
            return (
                f"the outputs are right, but no gradient reaches {name}, so nothing can be learned through "
                f"it: keep to torch operations, without .item(), .detach(), numpy or torch.no_grad()."
            )
        if isinstance(g, np.ndarray) and not np.isfinite(g).all():
            return (
                f"the outputs are right, but the gradient of {name} is NaN or infinite: a NaN that is "
                f"painted over afterwards still comes back when the model learns."
            )
        if not _same_gradient(g, e):
            return f"the outputs are right, but the gradient of {name} is not."
    return None


# Comparing plain data


def _number(value):
    """A tensor of one number as that number."""
    return value.item() if isinstance(value, np.ndarray) and value.shape in ((), (1,)) else value


def _close(e, g):
    """Is `g` the expected value, within rounding? A list is like a tuple, a tensor like its numbers."""
    if isinstance(e, np.ndarray):
        if not isinstance(g, np.ndarray) or e.shape != g.shape:
            return False
        return np.allclose(e, g, rtol=RTOL, atol=ATOL, equal_nan=True)
    e, g = _number(e), _number(g)
    if isinstance(e, list | tuple):
        g = g.tolist() if isinstance(g, np.ndarray) else g
        return isinstance(g, list | tuple) and len(e) == len(g) and all(map(_close, e, g))
    if isinstance(e, dict):
        return isinstance(g, dict) and e.keys() == g.keys() and all(_close(e[key], g[key]) for key in e)
    if isinstance(e, float) and isinstance(g, bool | int | float):
        return bool(np.isclose(e, g, rtol=RTOL, atol=ATOL, equal_nan=True))
    return (
        type(e) in (bool, int) and type(g) in (bool, int, float) and e == g or type(e) is type(g) and e == g
    )


def _equal(a, b):
    """Are two values the same to the last digit?"""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def _same_gradient(a, b):
    """None is a gradient of zeros; where NaN or infinity is in both, where it stands is no matter."""
    if a is None and b is None:
        return True
    a, b = (np.zeros_like(b) if a is None else a), (np.zeros_like(a) if b is None else b)
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return False
    both_broken = not np.isfinite(a).all() and not np.isfinite(b).all()
    return a.shape == b.shape and (both_broken or _close(a, b))


# Known mistakes


def _same(a, b):
    """Two outcomes that could come from the same mistake. Two calls that fail may fail differently."""
    if bool(a.error) != bool(b.error) or len(a.outputs) != len(b.outputs):
        return False
    for x, y in zip(a.outputs, b.outputs, strict=True):
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.dtype != y.dtype:
            return False
        if not _close(x, y):
            return False
    if not _close(a.inputs, b.inputs):
        return False
    return all(_same_gradient(a.gradients.get(n), b.gradients.get(n)) for n in {*a.gradients, *b.gradients})


def _recognise(name, cases, got, failed):
    """The known misconception that does the same on every case. Where all that went wrong are errors, it
    raises the same ones: there is no wrong output to tell it by.
    """
    wrong = [got[i] for i in failed if not cases[i].elsewhere]
    if not wrong:
        return None
    errors_only = not any(outcome.outputs for outcome in wrong)
    rows = [row for row in zip(cases, got, strict=False) if not row[0].elsewhere]

    def alike(a, b):
        return _same(a, b) and (not errors_only or a.error == b.error)

    for known in MISCONCEPTIONS.get(name, ()):
        if all(alike(call(known.answer, case), outcome) for case, outcome in rows):
            return known
    return None


# Showing


def _evidence(this, case, expected, got):
    """Where it was seen, what was expected and what came; only sizes where students may not know more."""
    inputs = [_show(name, value, case.visible) for name, value in case.inputs.items()]
    inputs += [f"{argument} {name}" for argument, name in case.library.items()]
    rows = [f"  seen with {case.title}: {', '.join(inputs)}"]
    if not case.visible:
        return rows[0]
    for name, e, g in zip(this.outputs, expected.outputs, got.outputs, strict=False):
        if _close(e, g):
            continue
        if isinstance(e, dict) and isinstance(g, dict) and e.keys() == g.keys():
            unlike = [key for key in e if not _close(e[key], g[key])]
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
