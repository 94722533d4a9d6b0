"""The checks of all exercises, one module each, and `check`, which an exercise calls."""

import secrets

from grading.judge import CHECKS, examine

__all__ = ["CHECKS", "check", "examine"]


def check(name, answer, cases="all", seed=None):
    """Raise AssertionError, with a message to learn from, unless the answer is right.

    `name` is a key of `CHECKS`; `cases` is "all" or "visible"; the same `seed` draws the same inputs.
    """
    seed = secrets.randbits(32) if seed is None else seed
    verdict = examine(name, answer, cases, seed)
    if not verdict.passed:
        drawn = f"\n  drawn with seed={seed}" if verdict.visible else ""
        raise AssertionError(f"{name}: {verdict}{drawn}")
