"""Submissions graded a minute: this course's grader against `nbgrader autograde`, on the same class.

    python -m benchmarks.grading [--students 24] [--large 96 1000]

Every student hands in exercise 02, right, wrong in known ways or unfinished. nbgrader grades them one after
the other in a kernel each; `python -m grading run` grades them in its sandbox with one worker and with two,
gradebook and graded notebooks included. Both then write the feedback pages, in the same way. A larger
class shows how time and memory grow. Writes benchmarks/results/grading.txt.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import psutil

from benchmarks.machine import describe
from examples import make_class
from examples.make_class import NAME, notebook

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "grading.txt"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


CLASS = (  # what the students answer, in turn; the rest is right
    {},
    make_class.OTHERWISE,
    {"dot_score": make_class.MISSING_TRANSPOSE, "scaled_dot_score": make_class.NOT_SCALED},
    {"masked_softmax": make_class.MASK_IGNORED, "attend": make_class.KEYS_AS_VALUES},
    {"AdditiveScore": make_class.NO_TANH},
    {"attend": "def attend(query, keys, values, mask, score):\n    raise NotImplementedError"},
)


def new_course(folder, students):
    """A course folder in which these many students have handed in."""
    folder.mkdir()
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    for kind in ("solution", "starter"):
        shutil.copytree(ROOT / "exercises" / kind / NAME, folder / "exercises" / kind / NAME)
    for number in range(students):
        place = folder / "submitted" / f"student{number:04}" / NAME
        place.mkdir(parents=True)
        nbformat.write(notebook(CLASS[number % len(CLASS)]), place / f"{NAME}.ipynb")
    return folder


def timed(command, course, watched=False):
    """Seconds that a command takes, and, if watched, the most memory that its processes hold, in MiB."""
    environment = os.environ | {"PATH": PATH, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=course, env=environment, stdout=said, stderr=said)
        peak, done = [0], threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peak, done))
        if watched:
            watch.start()
        code = process.wait()
        done.set()
        if watched:
            watch.join()
        if code:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{said.read().decode()[-2000:]}")
    return time.perf_counter() - started, peak[0]


def _watch(pid, peak, done):
    """Keep the largest sum of memory that only these processes hold (what forks share counts once).

    Counting takes some tenths of a second, so it is done seldom, and not where nbgrader is compared.
    """
    while not done.wait(4.0):
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return
        held = 0
        for process in family:
            try:
                held += process.memory_full_info().pss
            except psutil.Error:
                continue
        peak[0] = max(peak[0], held / 2**20)


def ours(course, *options, watched=False):
    """Grade a class anew with this course's grader."""
    return timed([sys.executable, "-m", "grading", "run", NAME, "--again", *options], course, watched)


def scores(course):
    """Every student's points in the gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return {s.student.id: s.score for s in gradebook.find_assignment(NAME).submissions}


def compare(folder, students, tell):
    """Grade one class in every way, and `tell` (how, students, seconds, memory) of each as it ends."""
    course, stock = new_course(folder / "ours", students), new_course(folder / "stock", students)
    timed(["nbgrader", "generate_assignment", NAME, "--force"], stock)
    tell("nbgrader autograde", students, *timed(["nbgrader", "autograde", NAME], stock))
    for workers in ("1", "2"):
        seconds = ours(course, "--workers", workers, "--no-feedback")
        tell(f"grading run, workers {workers}", students, *seconds)
    if (found := scores(course)) != (wanted := scores(stock)):
        raise RuntimeError(f"the two graders disagree: {found} and {wanted}")
    tell("grading run, workers 2, and feedback", students, *ours(course, "--workers", "2"))
    tell("nbgrader generate_feedback alone", students, *timed(["nbgrader", "generate_feedback", NAME], stock))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--students", type=int, default=24)
    parser.add_argument("--large", type=int, nargs="*", default=[96, 1000], help="sizes of larger classes")
    args = parser.parse_args()
    larger = " ".join(map(str, args.large))
    lines = [
        describe(),
        f"python -m benchmarks.grading --students {args.students} --large {larger}",
        "",
        f"{'':<38}{'students':>9}{'seconds':>9}{'a minute':>10}{'x stock':>9}{'MiB':>8}",
    ]
    each = {}  # seconds a submission

    def tell(how, students, seconds, memory):
        each[how] = seconds / students
        times = each["nbgrader autograde"] / each[how]
        times = "" if "feedback" in how else f"{times:.1f}"
        held = f"{memory:,.0f}" if memory else ""
        line = f"{how:<38}{students:>9}{seconds:>9.1f}{60 / each[how]:>10.0f}{times:>9}{held:>8}"
        lines.append(line.rstrip())
        print(lines[-1], flush=True)

    print(*lines, sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        compare(folder, args.students, tell)
        for number, students in enumerate(args.large):
            course = new_course(folder / f"large{students}", students)
            for workers in ("1", "2") if number == 0 else ("2",):
                seconds = ours(course, "--workers", workers, "--no-feedback", watched=True)
                tell(f"grading run, workers {workers}", students, *seconds)
            if number == 0:
                gained = each["grading run, workers 1"] / each["grading run, workers 2"]
                lines.append(f"  (two workers give {gained:.2f} times one, the command's start included)")
                print(lines[-1], flush=True)
            shutil.rmtree(course)
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
