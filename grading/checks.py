"""Tell right answers from wrong ones, and say which mistake was made.

A check is a reference, a generator of cases and a comparison. A `Case` and an `Outcome` hold nothing but
arrays, numbers and text, so both can cross a wire: `call` is the only place where an answer runs, and
`examine` takes another `call` in its place, one that asks a second process. Inputs are drawn anew for
every seed. Numbers count as equal within RTOL of the expected one plus ATOL, in float32 and float64 alike:
wide enough for any order of summing and for a small number in a denominator, and far narrower than what
any mistake changes.
"""

import os
import pkgutil
import secrets
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from grading.misconceptions import MISCONCEPTIONS
from utils import attention

RTOL, ATOL = 1e-4, 1e-5
FEW = 12  # so many numbers are still worth printing


@dataclass(frozen=True)
class Case:
    """One call of an answer.

    `inputs` are the arguments in order: arrays, numbers, text or None. `library` names what is passed
    after them: argument to dotted name in `utils`. `sizes` and `parameters` make a module: of the
    answer where that is a class, else of the class that `library` names. With `pulls`, one array
    an output, the gradients of the sum of outputs times pulls are compared too.
    """

    title: str
    inputs: dict
    library: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)
    pulls: tuple = ()
    visible: bool = False

    def arrays(self):
        return {name: value for name, value in self.inputs.items() if isinstance(value, np.ndarray)}


@dataclass(frozen=True)
class Outcome:
    """What one call gave.

    `outputs` are arrays, or text that says what was returned instead; `inputs` are the case's arrays
    as the call left them; `gradients` go by the name of an input or parameter, None where none
    arrived. `error` is (type, message): with outputs it was raised by the gradients, else by the call.
    """

    outputs: tuple = ()
    inputs: dict = field(default_factory=dict)
    gradients: dict = field(default_factory=dict)
    error: tuple | None = None


@dataclass(frozen=True)
class Check:
    """How one function is checked.

    `draw(rng)` yields cases. `outputs` maps the name of each output to the names of its axes.
    Each of `properties` is called with a case and the outputs by name, all of the right shape, and
    gives a sentence where a property is broken, else None.
    """

    reference: Callable
    draw: Callable
    outputs: dict
    properties: tuple = ()
    gradients: bool = True


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer: `mistake` names a known misconception, `sentence` says what is wrong
    and `evidence` shows the smallest input where it can be seen; `visible` says if students may know it.
    """

    passed: bool
    mistake: str | None = None
    sentence: str = ""
    evidence: str = ""
    visible: bool = False


CHECKS = {}


def checks(name, reference, outputs, properties=(), gradients=True):
    """Register the decorated generator of cases as the check of the function called `name`."""

    def register(draw):
        CHECKS[name] = Check(reference, draw, outputs, properties, gradients)
        return draw

    return register


def check(name, answer, cases="all", seed=None):
    """Raise AssertionError, with a message to learn from, unless the answer is right.

    `name` is a key of `CHECKS`; `cases` is "all" or "visible"; the same `seed` draws the same inputs.
    """
    seed = secrets.randbits(32) if seed is None else seed
    verdict = examine(name, answer, cases, seed)
    if not verdict.passed:
        raise AssertionError(f"{name}: {verdict.sentence}\n{verdict.evidence}\n  drawn with seed={seed}")


def call(answer, case):
    """Run an answer on a case. What it prints or warns of is dropped: neither is a mistake."""
    with (
        open(os.devnull, "w") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[]),
    ):
        warnings.simplefilter("ignore")
        outcome = Outcome()
        try:
            function, library = _prepare(answer, case)
            inputs = {name: _tensor(value) for name, value in case.inputs.items()}
            returned = _as_tuple(function(*inputs.values(), *library))
            outcome = Outcome(
                outputs=tuple(_plain(output) for output in returned),
                inputs={name: _plain(inputs[name]) for name in case.arrays()},
            )
            if case.pulls:
                outcome = replace(outcome, gradients=_gradients(function, library, case))
        except Exception as error:
            outcome = replace(outcome, error=(type(error).__name__, str(error)))
    return outcome


def examine(name, answer, cases="all", seed=0, call=call):
    """Check an answer and give the `Verdict`. `call` may be another that does the same elsewhere."""
    if name not in CHECKS:
        raise KeyError(f"no check is called {name!r}: choose from {', '.join(CHECKS)}")
    if cases not in ("all", "visible"):
        raise ValueError(f"cases is 'all' or 'visible', not {cases!r}")
    this, rng = CHECKS[name], np.random.default_rng(seed)
    drawn = [_with_pulls(this, case, rng) for case in this.draw(rng)]
    drawn = [case for case in drawn if case.visible or cases == "all"]
    drawn.sort(key=lambda case: sum(array.size for array in case.arrays().values()))  # the smallest is shown
    expected = [_trusted(this.reference, case) for case in drawn]
    got = [call(answer, case) for case in drawn]
    faults = [_fault(this, *row) for row in zip(drawn, expected, got, strict=True)]
    failed = [i for i, fault in enumerate(faults) if fault]
    if not failed:
        return Verdict(passed=True)
    known = _recognise(name, drawn, got, failed)
    shown = next((i for i in failed if known and got[i].outputs), failed[0])
    return Verdict(
        passed=False,
        mistake=known.name if known else None,
        sentence=known.sentence if known else faults[shown],
        evidence=_evidence(this, drawn[shown], expected[shown], got[shown]),
        visible=drawn[shown].visible,
    )


def _prepare(answer, case):
    """The function to call, and what is passed to it after the inputs."""
    library = [pkgutil.resolve_name(f"utils.{name}") for name in case.library.values()]
    return _module(answer, case), [_module(thing, case) for thing in library]


def _module(thing, case):
    """Make a module of a class, with the case's sizes and parameters; give a function back as it is."""
    if not (isinstance(thing, type) and case.sizes):
        return thing
    module = thing(**case.sizes)
    found = {name: tuple(p.shape) for name, p in module.named_parameters()}
    wanted = {name: value.shape for name, value in case.parameters.items()}
    if found != wanted:
        raise TypeError(
            f"its parameters are {found} where {wanted} is needed: leave __init__ as it was given"
        )
    for name, parameter in module.named_parameters():
        parameter.data = _tensor(case.parameters[name])
    return module


def _tensor(value):
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


def _as_tuple(returned):
    return tuple(returned) if isinstance(returned, (tuple, list)) else (returned,)


def _plain(value):
    """A tensor's numbers as an array of its own, or text that says what the value is instead."""
    if type(value) is not torch.Tensor:
        return f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
    try:
        return value.detach().numpy().copy()
    except (TypeError, RuntimeError):
        return f"a {value.dtype} tensor on {value.device}"


def _gradients(function, library, case):
    """The gradients of every float input and every parameter, by name; {} where no output fits its pull."""
    leaves = {name: _tensor(value) for name, value in case.inputs.items()}
    wanted = {name: x.requires_grad_() for name, x in leaves.items() if _is_float(x)}
    outputs = _as_tuple(function(*leaves.values(), *library))
    for module in (function, *library):
        if isinstance(module, torch.nn.Module):
            wanted.update(module.named_parameters())
    fits = [_is_float(o) and tuple(o.shape) == p.shape for o, p in zip(outputs, case.pulls, strict=False)]
    if len(outputs) != len(case.pulls) or not all(fits):
        return {}
    total = sum((o * _tensor(p)).sum() for o, p in zip(outputs, case.pulls, strict=True))
    if not total.requires_grad:
        return dict.fromkeys(wanted)
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    return {name: None if g is None else _plain(g) for name, g in zip(wanted, found, strict=True)}


def _is_float(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _trusted(reference, case):
    outcome = call(reference, case)
    if outcome.error:
        raise RuntimeError(f"the reference itself fails on {case.title!r}: {outcome.error}")
    return outcome


def _with_pulls(this, case, rng):
    if not this.gradients:
        return case
    outputs = _trusted(this.reference, case).outputs
    return replace(case, pulls=tuple(rng.standard_normal(o.shape).astype(o.dtype) for o in outputs))


def _fault(this, case, expected, got):
    """Say in one sentence which property an outcome breaks first, or None."""
    if got.error and not got.outputs:
        kind, message = got.error
        if kind == "NotImplementedError":
            return "it is not written yet: put your answer in the place of raise NotImplementedError."
        return f"it raised {kind}: {message}"
    if len(got.outputs) != len(this.outputs):
        meant = " and ".join(this.outputs)
        return f"it returned {_count(got.outputs)}, where {meant} {_are(this.outputs)} meant."
    named = dict(zip(this.outputs, got.outputs, strict=True))
    for name, axes, e in zip(this.outputs, this.outputs.values(), expected.outputs, strict=True):
        g = named[name]
        if isinstance(g, str):
            return f"{name} should be a plain torch.Tensor on the CPU, but is {g}."
        if g.shape != e.shape:
            return f"{name} has shape {g.shape}, where ({', '.join(axes.split())}) = {e.shape} was meant."
        if g.dtype != e.dtype:
            return f"{name} is {g.dtype}, where the inputs are {e.dtype}: keep the dtype of the inputs."
    for name, before in case.arrays().items():
        after = got.inputs.get(name)
        if not (isinstance(after, np.ndarray) and np.array_equal(before, after, equal_nan=True)):
            return f"{name} was changed in place: work on a new tensor, the caller still needs the old one."
    for broken in this.properties:
        if sentence := broken(case, named):
            return sentence
    for name, e in zip(this.outputs, expected.outputs, strict=True):
        if not np.isfinite(named[name]).all():
            return f"{name} holds NaN or infinity, where every number should be finite."
        if not _close(named[name], e):
            return f"{name} has the right shape, but not the right numbers."
    if got.error:
        return f"the outputs are right, but their gradient fails with {got.error[0]}: {got.error[1]}"
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


def _count(outputs):
    return "one thing" if len(outputs) == 1 else f"{len(outputs)} things"


def _are(names):
    return "was" if len(names) == 1 else "were"


def _close(a, b):
    return np.allclose(a, b, rtol=RTOL, atol=ATOL, equal_nan=True)


def _same_gradient(a, b):
    """None is a gradient of zeros; where NaN or infinity is in both, where it stands is no matter."""
    if a is None and b is None:
        return True
    a, b = (np.zeros_like(b) if a is None else a), (np.zeros_like(a) if b is None else b)
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return False
    both_broken = not np.isfinite(a).all() and not np.isfinite(b).all()
    return a.shape == b.shape and (both_broken or _close(a, b))


def _same(a, b):
    """Two outcomes that could come from the same mistake. Two calls that fail may fail differently."""
    if (
        bool(a.error) != bool(b.error)
        or len(a.outputs) != len(b.outputs)
        or a.inputs.keys() != b.inputs.keys()
    ):
        return False
    for x, y in zip((*a.outputs, *a.inputs.values()), (*b.outputs, *b.inputs.values()), strict=True):
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            if x.shape != y.shape or x.dtype != y.dtype or not _close(x, y):
                return False
        elif isinstance(x, np.ndarray) or isinstance(y, np.ndarray) or x != y:
            return False
    return all(_same_gradient(a.gradients.get(n), b.gradients.get(n)) for n in {*a.gradients, *b.gradients})


def _recognise(name, cases, got, failed):
    """The known misconception that does the same on every case, and gives wrong outputs on one at least."""
    if not any(got[i].outputs for i in failed):
        return None
    for known in MISCONCEPTIONS.get(name, ()):
        if all(_same(call(known.answer, case), outcome) for case, outcome in zip(cases, got, strict=True)):
            return known
    return None


def _evidence(this, case, expected, got):
    rows = [f"  seen with {case.title}: {', '.join(_show(*item) for item in case.inputs.items())}"]
    if case.library:
        rows[0] += "".join(f", {argument} {name}" for argument, name in case.library.items())
    for name, e, g in zip(this.outputs, expected.outputs, got.outputs, strict=False):
        if not isinstance(g, np.ndarray) or g.shape != e.shape or (e.size <= FEW and not _close(e, g)):
            rows += [f"  expected {_show(name, e)}", f"  got      {_show(name, g)}"]
        elif not _close(e, g):
            at = tuple(int(i) for i in np.argwhere(~np.isclose(e, g, RTOL, ATOL, equal_nan=True))[0])
            rows.append(f"  expected {name}{list(at)} {e[at]:.4f}, got {g[at]:.4f}")
    return "\n".join(rows)


def _show(name, value):
    """A name with its sizes, and with its numbers where they are few."""
    if not isinstance(value, np.ndarray):
        return f"{name} {value}"
    text = f"{name} {value.shape}"
    if value.size > FEW:
        return text
    numbers = value.round(4).tolist() if value.dtype.kind == "f" else value.tolist()
    return f"{text} = {numbers}"


# Properties of weights: what can be said of them without knowing the right numbers.


def _real(case, weights):
    """Which weights belong to a real token: the case's mask, of the weights' shape."""
    mask = case.inputs["mask"]
    if mask is None:
        return np.ones(weights.shape, dtype=bool)
    return np.broadcast_to(mask[:, None] if mask.ndim == 2 else mask, weights.shape)


def nothing_to_attend_to(case, outputs):
    """Every output of a row without a real token is zero."""
    empty = ~_real(case, outputs["weights"]).any(-1)
    for name, output in outputs.items():
        row = output[empty]
        if np.isnan(row).any():
            return f"{name} is NaN where nothing can be attended to: such a row should be zeros."
        if (np.abs(row) > ATOL).any():
            return f"{name} is not zero where nothing can be attended to: such a row should be zeros."
    return None


def no_weight_on_padding(case, outputs):
    padding = ~_real(case, outputs["weights"])
    if (np.abs(outputs["weights"][padding]) > ATOL).any():
        return "padding receives weight: where the mask is False, the weight must be 0."
    return None


def rows_sum_to_one(case, outputs):
    some = _real(case, outputs["weights"]).any(-1)
    sums = outputs["weights"].sum(-1)
    wrong = some & np.isfinite(sums) & (np.abs(sums - 1) > 1e-3)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        return f"the weights of a row do not sum to one: those of row {list(at)} sum to {sums[at]:.4f}."
    return None


# Exercise 02. Sizes are distinct primes in another order each time, then the odd ones out.

SCORES = {"scores": "batch tgt_len src_len"}
WEIGHTS = {"weights": "batch tgt_len src_len"}
CONTEXT = {"context": "batch tgt_len value_dim"}
PRIMES = (2, 3, 5, 7, 11, 13)


def _parameters(rng, module, sizes, dtype):
    """Random numbers for every parameter; on the meta device the module itself draws none."""
    with torch.device("meta"):
        named = module(**sizes).named_parameters()
        return {name: rng.standard_normal(parameter.shape).astype(dtype) for name, parameter in named}


def _pairs(rng, dims, module=None):
    """Cases of query and keys. `dims` are the names of the sizes from query_dim on."""

    def case(title, shape, fill=rng.standard_normal, dtype="float64", visible=False):
        batch, tgt_len, src_len, *widths = (int(size) for size in shape)
        sizes = dict(zip(dims, widths, strict=True))
        query_dim, key_dim = widths[0], sizes.get("key_dim", widths[0])
        return Case(
            title,
            inputs={
                "query": fill((batch, tgt_len, query_dim)).astype(dtype),
                "keys": fill((batch, src_len, key_dim)).astype(dtype),
            },
            sizes=sizes if module else {},
            parameters=_parameters(rng, module, sizes, dtype) if module else {},
            visible=visible,
        )

    primes, n = rng.permutation(PRIMES[: 3 + len(dims)]), len(dims)
    b, t, s = primes[:3]
    yield case("one query and three keys", (1, 1, 3, *[2] * n), visible=True)
    yield case("sizes that all differ", primes, visible=True)
    yield case("numbers in float32", primes, dtype="float32")
    yield case("sizes that are all two", (2, 2, 2, *[2] * n))
    yield case("one decoding step", (b, 1, s, *primes[3:]), visible=True)
    yield case("a batch of one", (1, t, s, *primes[3:]))
    yield case("one key", (b, t, 1, *primes[3:]))
    yield case("length one throughout", (1, 1, 1, *PRIMES[-n:]))
    yield case("zeros", primes, fill=np.zeros, visible=True)


@checks("scaled_dot_score", attention.scaled_dot_score, SCORES)
@checks("dot_score", attention.dot_score, SCORES)
def _(rng):
    return _pairs(rng, ["hidden"])


@checks("MultiplicativeScore", attention.MultiplicativeScore, SCORES)
def _(rng):
    return _pairs(rng, ["query_dim", "key_dim"], attention.MultiplicativeScore)


@checks("AdditiveScore", attention.AdditiveScore, SCORES)
def _(rng):
    return _pairs(rng, ["query_dim", "key_dim", "attn_dim"], attention.AdditiveScore)


def _some_real(rng, *shape):
    """A mask, True = a real token, where every row has at least one real token and one padded."""
    order = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
    return order < rng.integers(1, shape[-1], (*shape[:-1], 1))


def _padded_at_the_end(rng, batch, src_len):
    """The mask of sentences of different lengths, the shortest of one token, the longest without padding."""
    lengths = rng.permutation(np.linspace(1, src_len, batch).round())
    return np.arange(src_len) < lengths[:, None]


@checks(
    "masked_softmax",
    attention.masked_softmax,
    WEIGHTS,
    (nothing_to_attend_to, no_weight_on_padding, rows_sum_to_one),
)
def _(rng):
    b, t, s = (int(size) for size in rng.permutation(PRIMES[1:4]))

    def case(title, scores, mask, visible=False):
        return Case(title, {"scores": scores, "mask": mask}, visible=visible)

    scores, normal = rng.standard_normal((b, t, s)), rng.standard_normal
    ends, scattered = _padded_at_the_end(rng, b, s), _some_real(rng, b, t, s)
    last = np.array([[True, True, False]])
    empty_sentence, empty_row = ends.copy(), scattered.copy()
    empty_sentence[0], empty_row[-1, 0] = False, False
    yield case("one row, its last key padded", normal((1, 1, 3)), last, True)
    yield case("scores near 1000", normal((1, 1, 3)) + 1000, last)
    yield case("scores near -1000", normal((1, 1, 3)) - 1000, last)
    yield case("two rows, one with nothing to attend to", normal((2, 1, 3)), last & [[False], [True]], True)
    yield case("sentences padded at the end", scores, ends, True)
    yield case("numbers in float32", scores.astype("float32"), ends)
    yield case("no mask", scores, None, True)
    yield case("a mask with nothing padded", scores, np.ones((b, s), dtype=bool))
    yield case("a mask for each query", scores, scattered, True)
    yield case("sizes that are all two", normal((2, 2, 2)), _padded_at_the_end(rng, 2, 2))
    yield case("sizes that are all two, a mask for each query", normal((2, 2, 2)), _some_real(rng, 2, 2, 2))
    yield case("one query", scores[:, :1], ends)
    yield case("one key", scores[..., :1], np.ones((b, 1), dtype=bool))
    yield case("all keys but one padded", scores, np.arange(s) == rng.integers(0, s, (b, 1)))
    yield case("scores of zero", np.zeros((b, t, s)), ends)
    yield case("a sentence with nothing to attend to", scores, empty_sentence)
    yield case("a query with nothing to attend to", scores, empty_row)


@checks(
    "attend",
    attention.attend,
    CONTEXT | WEIGHTS,
    (nothing_to_attend_to, no_weight_on_padding, rows_sum_to_one),
)
def _(rng):
    def case(title, shape, mask, score="dot_score", dtype="float64", fill=rng.standard_normal, visible=False):
        batch, tgt_len, src_len, query_dim, value_dim, *key_dim = (int(size) for size in shape)
        key_dim = key_dim[0] if key_dim else query_dim
        sizes, parameters = {}, {}
        if score == "AdditiveScore":
            sizes = {"query_dim": query_dim, "key_dim": key_dim, "attn_dim": 4}
            parameters = _parameters(rng, attention.AdditiveScore, sizes, dtype)
        return Case(
            title,
            inputs={
                "query": fill((batch, tgt_len, query_dim)).astype(dtype),
                "keys": fill((batch, src_len, key_dim)).astype(dtype),
                "values": fill((batch, src_len, value_dim)).astype(dtype),
                "mask": mask,
            },
            library={"score": f"attention.{score}"},
            sizes=sizes,
            parameters=parameters,
            visible=visible,
        )

    b, t, s, q, v, k = rng.permutation(PRIMES)
    ends, scattered = _padded_at_the_end(rng, b, s), _some_real(rng, b, t, s)
    last = np.array([[True, True, False]])
    empty_sentence = ends.copy()
    empty_sentence[0] = False
    empty = last & [[False], [True]]
    yield case("one query, three keys, the last padded", (1, 1, 3, 2, 2), last, visible=True)
    yield case("sizes that all differ", (b, t, s, q, v), ends, visible=True)
    yield case("numbers in float32", (b, t, s, q, v), ends, dtype="float32")
    yield case("the scaled score", (b, t, s, q, v), ends, "scaled_dot_score", visible=True)
    yield case("the additive score", (b, t, s, q, v, k), ends, "AdditiveScore")
    yield case("no mask", (b, t, s, q, v), None, visible=True)
    yield case("a mask for each query", (b, t, s, q, v), scattered, "scaled_dot_score")
    yield case("sizes that are all two", (2, 2, 2, 2, 2), _padded_at_the_end(rng, 2, 2))
    yield case("one decoding step", (b, 1, s, q, v), ends, visible=True)
    yield case("a batch of one, all keys but one padded", (1, t, s, q, v), np.arange(s)[None] == s // 2)
    yield case("one key", (b, t, 1, q, v), np.ones((b, 1), dtype=bool))
    yield case("zeros", (b, t, s, q, v), ends, fill=np.zeros)
    yield case("two sentences, one with nothing to attend to", (2, 1, 3, 2, 2), empty, visible=True)
    yield case("a sentence with nothing to attend to", (b, t, s, q, v), empty_sentence)
