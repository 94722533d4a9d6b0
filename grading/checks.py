"""What the tests of an exercise call."""

import secrets


def check(name, answer, cases="all", seed=None):
    """Raise AssertionError, with a message to learn from, unless the answer is right.

    `name` is the name of the function; `cases` is "all" or "visible"; the same `seed` draws the same inputs.
    """
    from grading.judge.judge import examine  # here, so that a notebook loads the judge only if it needs it
    from grading.judge.registry import find_check

    if getattr(find_check(name).reference, "absent", False):
        if cases != "visible":
            raise FileNotFoundError(f"{name} is compared with its solution in lessons/, which is missing")
        print(f"{name}: your copy has no solution to compare with. Grading compares your answer with it.")
        return
    seed = secrets.randbits(32) if seed is None else seed
    verdict = examine(name, answer, cases, seed)
    if not verdict.passed:
        drawn = f"\n  drawn with seed={seed}" if verdict.visible else ""
        raise AssertionError(f"{name}: {verdict}{drawn}")
