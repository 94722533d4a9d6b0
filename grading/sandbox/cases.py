"""What goes to an answer and what comes back: plain data only, so that both can cross to another process.

Arrays, numbers, text, None, and lists, tuples, sets and dicts of them: see `grading.sandbox.protocol`.
"""

from dataclasses import dataclass, field

ORDINARY = "ordinary input"
TORCH = "torch"  # stands for the part of a check that its property `torch` names


@dataclass(frozen=True, eq=False)
class Case:
    """One call of an answer. Two cases are never equal, so results can be cached by case.

    `inputs` are the arguments in order, as plain data; arrays become tensors. Those whose name starts with an
    underscore are for the harness, and messages don't show them. `library` names what is
    passed after them: argument to dotted name in `utils`. `sizes` and `parameters` make a module: of
    the answer where that is a class, else of the class that `library` names. `harness` names a
    function in an exercise's harness.py, "exercise.function", that takes the answer and all arguments and
    calls it in its own way; without it the answer is just called. `returns` counts the outputs. With
    `pulls`, a seed, the gradients of the sum of outputs times random numbers are compared too. `elsewhere`
    plays that the inputs are on another device. `kept` is what only the judge may see. `part` names what
    the case tests: points are given by part.
    """

    title: str
    inputs: dict
    library: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)
    pulls: int = 0
    visible: bool = False
    harness: str = ""
    returns: int = 1
    elsewhere: bool = False
    kept: dict = field(default_factory=dict)
    part: str = ORDINARY


@dataclass(frozen=True)
class Unknown:
    """Stands for a value that is no plain data, and says what it is."""

    kind: str


@dataclass(frozen=True)
class Outcome:
    """What one call gave.

    `outputs` are plain data or `Unknown`; `inputs` are the case's inputs as the call left them;
    `gradients` go by the name of an input or parameter, None where none arrived. `error` is
    (type, message): with outputs it was raised by the gradients, else by the call.
    """

    outputs: tuple = ()
    inputs: dict = field(default_factory=dict)
    gradients: dict = field(default_factory=dict)
    error: tuple | None = None
