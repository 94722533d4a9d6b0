"""Formgrader's button Autograde, which would run a student's code with the rights of who presses it."""

import subprocess
import sys

from nbgrader.apps.api import NbGraderAPI


def autograde(self, assignment_id, student_id, force=True, create=True):
    """Grade a submission as `course grade` does. Return what Formgrader shows."""
    command = [sys.executable, "-P", "-m", "grading", "grade", assignment_id, "--student", student_id]
    command += ["--course", self.coursedir.root, "--db", self.coursedir.db_url]
    command += ["--again", "--require-sandbox"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {"success": done.returncode == 0, "log": done.stdout}
    return found if found["success"] else found | {"error": done.stderr}


def route():
    """Let the button call the safe run."""
    NbGraderAPI.autograde = autograde
