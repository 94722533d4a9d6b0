"""Formgrader's buttons: Autograde runs in the sandbox, and Generate Feedback makes the course's own pages."""

import subprocess
import sys

from nbgrader.apps.api import NbGraderAPI


def autograde(self, assignment_id, student_id, force=True, create=True):
    """Grade a submission as `course grade` does. Return what Formgrader shows."""
    return _run(self, assignment_id, "--student", student_id, "--again")


def generate_feedback(self, assignment_id, student_id=None, force=True):
    """Update feedback pages as `course grade` does. Return what Formgrader shows."""
    return _run(self, assignment_id, *(["--student", student_id] if student_id else []))


def _run(self, assignment_id, *options):
    command = [sys.executable, "-P", "-m", "grading", "grade", assignment_id, *options]
    command += ["--course", self.coursedir.root, "--db", self.coursedir.db_url, "--require-sandbox"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {"success": done.returncode == 0, "log": done.stdout}
    return found if found["success"] else found | {"error": done.stderr}


def route():
    """Make the buttons call the safe run."""
    NbGraderAPI.autograde, NbGraderAPI.generate_feedback = autograde, generate_feedback
