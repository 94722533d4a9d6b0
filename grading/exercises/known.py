"""What one known mistake is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that runs, its name, and the sentence a teacher would say to it."""

    name: str
    sentence: str
    answer: Callable


def with_forward(reference, forward):
    """The class as students are given it, with another forward."""
    return type(reference.__name__, (reference,), {"forward": forward})
