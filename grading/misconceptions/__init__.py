"""What students get wrong, and what they get right in another way: one module an exercise.

Each `Misconception` is a wrong answer that runs, with the sentence a teacher would say to it. An answer
that does the same as one of them on every case is told so by name. One name may stand twice, where the
same mistake is often written in two ways whose numbers differ. `RIGHT` are correct answers written in
other ways: every one must pass. The tests hold all of them against their checks.
"""

from grading.misconceptions.known import Misconception
from grading.shelves import Shelf

MISCONCEPTIONS = Shelf("grading.misconceptions", lambda module: module.MISCONCEPTIONS)
RIGHT = Shelf("grading.misconceptions", lambda module: module.RIGHT)

__all__ = ["MISCONCEPTIONS", "RIGHT", "Misconception"]
