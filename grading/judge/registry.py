"""What is known about each function that is checked: its check, and the mistakes of its exercise's bank.

Each folder of `grading.exercises` holds one exercise. Its modules register what they hold when they are
imported, which happens when something of them is asked for.
"""

import ast
import inspect
import io
import re
import sys
import textwrap
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from importlib import import_module
from pathlib import Path

from grading.judge.compare import ATOL

EXERCISES = sorted(path.parent.name for path in Path(__file__).parents[1].glob("exercises/*/checks.py"))
_CHECKS, _MISTAKES = {}, {}


@dataclass(frozen=True)
class Fault:
    """What is wrong with an outcome, in a sentence for the student.

    `hidden` says it for an input that students may not see. It contains nothing that comes from the answer,
    which could contain the input. Without it, `text` is such a sentence. `name` is the id of a mistake.
    `part` is the part that it breaks, if that isn't the case's, and `holds` the number of properties that
    are known to hold.
    """

    text: str
    hidden: str = ""
    name: str | None = None
    part: str = ""
    holds: int = 0


def fault(text, shown, **more):
    """Return a `Fault` whose text adds what is `shown` of the answer, where students may see the input."""
    return Fault(f"{text}: {shown}.", f"{text}.", **more)


@dataclass(frozen=True, eq=False)
class Check:
    """How one function is checked.

    `draw(rng)` yields cases. `outputs` maps the name of each output to what it is: a tensor, as the
    names of its axes ("" for a single number), or a type: float, int, str, set, list, tuple or dict.
    Each of `properties` is called with a case and the outputs by name, all of the right kind and shape. It
    returns a `Fault` if a property is broken, or a sentence that contains nothing of the answer, else None.
    Without a `reference` they alone decide. If all outputs are tensors, `gradients` compares those of float
    tensors, and `device` adds a case in which the inputs are on another device. Numbers may differ by `atol`,
    which is larger if an answer draws at random. `read(case, returned)` makes the outputs of what a harness
    returned if that is not what is compared. It runs in the judge, so a student's code cannot replace it.
    `part_of` names the part of the points that an output costs if it is wrong, where that isn't the case's
    part; `unchanged` makes a part of leaving the inputs as they are.
    """

    reference: Callable | None
    draw: Callable
    outputs: dict
    properties: tuple = ()
    gradients: bool = True
    device: bool = True
    atol: float = ATOL
    read: Callable | None = None
    part_of: dict = field(default_factory=dict)
    unchanged: bool = False

    @property
    def exercise(self):
        """The name of the exercise's folder."""
        return self.draw.__module__.split(".")[2]

    @property
    def tensors(self):
        """Are all outputs tensors, as the answer returned them?"""
        return not self.read and all(isinstance(what, str) for what in self.outputs.values())

    @property
    def torch(self):
        """The part for how tensors are treated rather than their numbers, "" if nothing of that is tested."""
        tested = {"gradient": self.gradients, "dtype": self.tensors, "device": self.device}
        *most, last = [name for name, asked in tested.items() if asked] or [""]
        return f"{', '.join(most)} and {last}" if most else last or "inputs unchanged" * self.unchanged

    def observe(self, call, answer, case):
        """Return the `Outcome` of an answer on a case, with the outputs that are compared."""
        outcome = call(answer, case)
        if self.read is None or not outcome.outputs:
            return outcome
        try:
            return replace(outcome, outputs=tuple(self.read(case, *outcome.outputs)))
        except Exception as error:  # anything may have come
            return replace(outcome, outputs=(), error=(type(error).__name__, str(error)))


def checks(name, reference, outputs, properties=(), **settings):
    """Register the decorated generator of cases as the check of the answer called `name`."""

    def register(draw):
        this = Check(reference, draw, outputs, properties, **settings)
        only = {} if this.tensors else {"gradients": False, "device": False}
        _CHECKS[name] = replace(this, **only)
        return draw

    return register


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that runs: its name, what a teacher says to it, and the right answer it is made of."""

    name: str
    sentence: str
    of: Callable
    make: Callable

    @cached_property
    def answer(self):
        return self.make()


def mistake(*targets):
    """Register the decorated function as a known mistake of each target, a right answer.

    The function's name is the mistake's id, and its docstring tells the student what is wrong and what to do.
    If it takes arguments, it is the wrong answer itself, or the wrong `forward` of a class. A dict among the
    targets is a patch: it makes the mistake in each target's source by replacing each key, which must occur
    exactly once, with its value. Several patches are several ways to make the same mistake.
    """
    patches = [target for target in targets if isinstance(target, dict)]
    targets = [target for target in targets if not isinstance(target, dict)]

    def register(function):
        sentence = " ".join(function.__doc__.split())
        for target in targets:
            ways = [partial(patched, target, patch) for patch in patches]
            if function.__code__.co_argcount or function.__code__.co_flags & inspect.CO_VARARGS:
                ways.insert(0, partial(_written, target, function))
            bank = _MISTAKES.setdefault(target.__name__, [])
            bank += [Mistake(function.__name__, sentence, target, way) for way in ways]
        return function

    return register


@cache
def composed(one, other):
    """Return an answer with both mistakes, or None if they cannot be made in the same source."""
    makers = one.make, other.make
    if one.of is not other.of or any(make.func is not patched for make in makers):
        return None
    first, second = (make.args[1] for make in makers)
    if any(a in b or b in a for a in first for b in second):
        return None
    return patched(one.of, first | second)


def _written(target, function):
    return with_forward(target, function) if isinstance(target, type) else function


def with_forward(target, forward):
    """Return a class like `target` with another forward."""
    return type(target.__name__, (target,), {"forward": forward})


def patched(target, patch):
    """Return a function or class made of the source of `target` after a patch."""
    source = _source(target)
    for old in patch:
        if source.count(old) != 1:
            raise ValueError(
                f"expected {old!r} exactly once in the source of {target.__name__}, found it "
                f"{source.count(old)} times: copy a piece of the source that occurs once into the patch"
            )
    source = re.sub("|".join(map(re.escape, patch)), lambda found: patch[found[0]], source)
    names = dict(vars(sys.modules[target.__module__]))
    exec(source, names)
    return names[target.__name__]


@cache  # looking for a class takes long
def _source(target):
    """Return the source of a function or class without comments and docstrings: patches change code."""
    source = textwrap.dedent(inspect.getsource(target))
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]].rstrip()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) and node.body[1:]:
            first, last = node.body[0].lineno - 1, node.body[0].end_lineno
            lines[first:last] = [""] * (last - first)
    return "\n".join(lines) + "\n"


def load_checks(exercises=EXERCISES):
    """Import the checks of exercises."""
    for exercise in exercises:
        import_module(f"grading.exercises.{exercise}.checks")


def trains(exercise):
    """Does the notebook of an exercise train a model?"""
    return import_module(f"grading.exercises.{exercise}.checks").TRAINS


def all_checks():
    """Return a dict with the check of each function, by its name."""
    load_checks()
    return _CHECKS


def find_check(name):
    """Return the check of the function called `name`."""
    known = _CHECKS if name in _CHECKS else all_checks()
    if name not in known:
        raise KeyError(f"no check is called {name!r}: choose from {', '.join(known)}")
    return known[name]


def mistakes_of(name):
    """Return the known mistakes of the function called `name`."""
    import_module(find_check(name).draw.__module__.replace(".checks", ".mistakes"))
    return _MISTAKES.get(name, ())
