"""How long each demo takes, from top to bottom, offline.

    python -m benchmarks.demos [NAME ...]

Runs the lessons, or the named ones, as plain Python one after the other, each in a process of its own, with
nothing in the cache folder. Times are of this machine and of whatever else it does meanwhile, so compare them
with each other. Writes benchmarks/results/demos.txt; the rows of lessons that are not named stay as they are.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.lessons import DEMOS
from benchmarks.machine import describe

RESULTS = Path(__file__).parent / "results" / "demos.txt"


def seconds(lesson):
    """Run one lesson; give seconds on the clock, and of computing in all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {
            "MPLBACKEND": "agg",
            "PYTHONPATH": str(DEMOS.parents[1]),
            "ATTENTION_DATA": folder,
            "ATTENTION_MULTI30K_URL": "http://127.0.0.1:9",  # nobody answers: offline
        }
        before, started = os.times(), time.perf_counter()
        subprocess.run(
            [sys.executable, str(lesson)], env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        after = os.times()
    computing = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    return time.perf_counter() - started, computing


def table(rows):
    """Lay out name, seconds on the clock and of computing, with their sums."""
    rows = [*rows, ("all", *map(sum, list(zip(*rows, strict=True))[1:]))]
    head = f"{'':<24}{'seconds':>10}{'computing':>12}"
    return "\n".join([head, *(f"{name:<24}{clock:>10.0f}{cpu:>12.0f}" for name, clock, cpu in rows)])


def recorded():
    """What was recorded of each lesson: a dict of name and seconds on the clock and of computing."""
    old = RESULTS.read_text("utf-8") if RESULTS.exists() else ""
    return {name: (float(a), float(b)) for name, a, b in re.findall(r"^(\d\S+) +(\d+) +(\d+)$", old, re.M)}


def figures():
    """The short form is what was recorded: the minutes of all lessons. A lesson without is a ValueError."""
    rows, lessons = recorded(), sorted(lesson.stem for lesson in DEMOS.glob("*.py"))
    if missing := [name for name in lessons if name not in rows]:
        raise ValueError(f"{', '.join(missing)} is not recorded: run python -m benchmarks.demos")
    return {"minutes": sum(rows[name][0] for name in lessons) / 60}


def main():
    lessons = {lesson.stem: lesson for lesson in sorted(DEMOS.glob("*.py"))}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a lesson, such as 02_attention")
    names = parser.parse_args().names or list(lessons)
    if unknown := set(names) - set(lessons):
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose from {', '.join(lessons)}")
    rows = recorded()
    for name in names:
        rows[name] = seconds(lessons[name])
        print(f"{name:<24}{rows[name][0]:>10.0f}{rows[name][1]:>12.0f}", file=sys.stderr, flush=True)
    rows = [(name, *rows[name]) for name in lessons if name in rows]
    text = f"{describe()}\npython -m benchmarks.demos\n\n{table(rows)}\n"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text, "utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
