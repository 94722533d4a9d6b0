"""Formgrader's button Autograde, which would run a student's code with the rights of who presses it."""

import subprocess
import sys

from nbgrader.apps.api import NbGraderAPI


def autograde(self, assignment_id, student_id, force=True, create=True):
    """Grade a submission as `python -m grading run` does. Return what Formgrader shows."""
    command = [sys.executable, "-m", "grading", "run", assignment_id, "--student", student_id, "--again"]
    command += ["--course", self.coursedir.root, "--db", self.coursedir.db_url, "--require-sandbox"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {"success": done.returncode == 0, "log": done.stdout}
    return found if found["success"] else found | {"error": done.stderr}


def route():
    """Let the button call the safe run."""
    NbGraderAPI.autograde = autograde
