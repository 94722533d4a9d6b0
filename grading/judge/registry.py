"""What is known about each function that is checked: its check, and the mistakes of its exercise's bank.

Each folder of `grading.exercises` holds one exercise. Its modules register what they hold when they are
imported, which happens when something of them is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

EXERCISES = sorted(path.parent.name for path in Path(__file__).parents[1].glob("exercises/*/checks.py"))
_CHECKS = {}


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


def checks(name, reference, outputs, properties=(), gradients=True, device=True):
    """Register the decorated generator of cases as the check of the answer called `name`."""

    def register(draw):
        _CHECKS[name] = Check(reference, draw, outputs, properties, gradients, device)
        return draw

    return register


@cache
def all_checks():
    """Return a dict with the check of each function, by its name."""
    for exercise in EXERCISES:
        import_module(f"grading.exercises.{exercise}.checks")
    return _CHECKS


def find_check(name):
    """Return the check of the function called `name`."""
    if name not in all_checks():
        raise KeyError(f"no check is called {name!r}: choose from {', '.join(all_checks())}")
    return _CHECKS[name]


def mistakes_of(name):
    """Return the known mistakes of the function called `name`."""
    bank = find_check(name).draw.__module__.replace(".checks", ".mistakes")
    return import_module(bank).MISCONCEPTIONS.get(name, ())
