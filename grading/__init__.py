"""Grading: checks that tell right from wrong, the mistakes they know, and a sandbox for students' code."""

import gc
import os
import subprocess
import sys
from contextlib import contextmanager


def check_notebook(path):
    """Grade a notebook as it was saved, with all tests, and print points and messages.

    The same as `course check PATH`, from within a notebook.
    """
    if os.environ.get("ATTENTION_GRADING"):
        print("This notebook is being graded: it does not grade itself as well.")
        return
    command = [sys.executable, "-P", "-m", "grading", "check", os.fspath(path)]
    own = {"ATTENTION_GRADING": "1", "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own})
    print(done.stdout or done.stderr)


class CourseError(Exception):
    """A command cannot do what was asked for. The text says why, and what to do."""


@contextmanager
def loading():
    """Hold garbage collections back while modules load: they cost much and find nothing, then or later.

    What is loaded is left out of later ones too, which in a fork would copy all of it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
