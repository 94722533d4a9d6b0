"""Run a student's answer on one case. This is the side of the grader that knows no right answer.

A `Case` goes in and an `Outcome` comes out: see `grading.sandbox.cases`.
"""

import os
import pkgutil
import warnings
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from importlib import import_module

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence as Packed
from torch.overrides import TorchFunctionMode

from grading.sandbox.cases import Outcome, Unknown

DEEPEST = 8  # lists in lists


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
            answer, library, run = _prepare(answer, case)
            inputs = {name: alive(value) for name, value in case.inputs.items()}
            device = _AnotherDevice() if case.elsewhere else nullcontext()
            with device:
                returned = run(*inputs.values(), *library)
            outputs = _outputs(returned, case.returns)
            if case.elsewhere:
                outputs = [device.blame(output) for output in outputs]
            outcome = Outcome(
                outputs=tuple(plain(output) for output in outputs),
                inputs={name: plain(value) for name, value in inputs.items()},
            )
            if case.pulls:
                outcome = replace(outcome, gradients=_gradients(answer, library, run, case))
        except Exception as error:
            outcome = replace(outcome, error=(type(error).__name__, str(error)))
    return outcome


def module(kind, sizes, parameters):
    """Make a module of a class with these sizes, and put these arrays in the place of its parameters."""
    made = kind(**sizes)
    found = {name: tuple(p.shape) for name, p in made.named_parameters()}
    wanted = {name: value.shape for name, value in parameters.items()}
    if found != wanted:
        raise TypeError(
            f"its parameters are {found} where {wanted} is needed: leave __init__ as it was given"
        )
    for name, parameter in made.named_parameters():
        parameter.data = alive(parameters[name])
    return made


def alive(value):
    """Plain data with a tensor of its own for every array."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        return {name: alive(item) for name, item in value.items()}
    return type(value)(alive(item) for item in value) if isinstance(value, list | tuple | set) else value


def plain(value, depth=0):
    """A value as plain data, an array of its own for every tensor, and `Unknown` for all that is neither."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        try:
            found = value.detach().numpy().copy()
        except (TypeError, RuntimeError):
            found = None
        if found is None or found.dtype.kind not in "biuf":
            return Unknown(f"a {value.dtype} tensor on {value.device}")
        return found
    if (
        isinstance(value, list | tuple | set | frozenset | dict)
        and type(value) is not Packed
        and depth < DEEPEST
    ):
        if isinstance(value, dict):
            return {plain(k, depth + 1): plain(item, depth + 1) for k, item in value.items()}
        items = [plain(item, depth + 1) for item in value]
        if isinstance(value, set | frozenset):
            return {
                tuple(map(_hashable, item)) if isinstance(item, tuple) else _hashable(item) for item in items
            }
        return tuple(items) if isinstance(value, tuple) else items
    return Unknown(f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins."))


def _hashable(item):
    """Tensors in a set are no numbers: two that are equal count as two things."""
    return Unknown(f"an {item.dtype} tensor") if isinstance(item, np.ndarray) else item


def _prepare(answer, case):
    """The answer and the library as they are passed on, and what to call."""
    library = [pkgutil.resolve_name(f"utils.{name}") for name in case.library.values()]
    answer, *library = (
        module(thing, case.sizes, case.parameters) if isinstance(thing, type) and case.sizes else thing
        for thing in (answer, *library)
    )
    run = partial(_harness(case.harness), answer) if case.harness else answer
    return answer, library, run


def _harness(name):
    exercise, function = name.split(".")
    return getattr(import_module(f"grading.exercises.{exercise}.harness"), function)


def _outputs(returned, count):
    return list(returned) if count > 1 and isinstance(returned, tuple | list) else [returned]


def _gradients(answer, library, run, case):
    """The gradients of every float input and every parameter, by name; {} where an output has none."""
    leaves = {name: alive(value) for name, value in case.inputs.items()}
    wanted = {name: x.requires_grad_() for name, x in leaves.items() if _is_float(x)}
    outputs = _outputs(run(*leaves.values(), *library), case.returns)
    for thing in (answer, *library):
        if isinstance(thing, torch.nn.Module):
            wanted.update(thing.named_parameters())
    if len(outputs) != case.returns or not all(map(_is_float, outputs)):
        return {}
    rng = np.random.default_rng(case.pulls)
    pulls = (torch.from_numpy(rng.standard_normal(tuple(output.shape))).to(output) for output in outputs)
    total = sum((output * pull).sum() for output, pull in zip(outputs, pulls, strict=True))
    if not total.requires_grad:
        return dict.fromkeys(wanted)
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    return {name: None if g is None else plain(g) for name, g in zip(wanted, found, strict=True)}


def _is_float(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


class _AnotherDevice(TorchFunctionMode):
    """Play that every tensor is on a device that is not the CPU, but those that are made here without one.

    As on a GPU: single numbers, indices and what is copied into another tensor may come from the CPU;
    any other operation on both fails.
    """

    MAKE = {
        *(torch.zeros, torch.ones, torch.full, torch.empty, torch.eye, torch.arange, torch.linspace),
        *(torch.tensor, torch.as_tensor, torch.rand, torch.randn, torch.randint, torch.randperm),
        *(torch.tril_indices, torch.triu_indices, torch.from_numpy),
    }
    MOVE = {torch.Tensor.to, torch.Tensor.type_as, torch.Tensor.cuda}
    MAY_MIX = {torch.Tensor.__getitem__, torch.Tensor.__setitem__, torch.Tensor.copy_, *MOVE}

    def __init__(self):
        super().__init__()
        self.made = {}  # those on the CPU, by id, held so that no id comes twice

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = list(_tensors([*args, *kwargs.values()]))
        made = [t for t in tensors if id(t) in self.made]
        given = [t for t in tensors if id(t) not in self.made]
        if function not in self.MAY_MIX and any(t.dim() for t in made) and given:
            raise RuntimeError("Expected all tensors to be on the same device")
        result = function(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            if function in self.MOVE:
                self.made.pop(id(result), None)
            elif kwargs.get("device") is None and not given and (made or function in self.MAKE):
                self.made[id(result)] = result
        return result

    def blame(self, output):
        """Refuse an output that was made on the CPU."""
        if any(id(tensor) in self.made for tensor in _tensors([output])):
            raise RuntimeError("Expected all tensors to be on the same device")
        return output


def _tensors(values):
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
