"""Prove an assignment's checks before they grade anybody: its own solution has to pass them."""

import hashlib
import json
import re
from dataclasses import dataclass

from grading.pipeline import executor
from grading.pipeline.assignments import ROOT
from grading.pipeline.result import GRADED

PROVEN = ROOT / "build" / "proven"  # notes what was proven, for all course folders


@dataclass(frozen=True)
class Given:
    """A notebook of the course's own, to be graded like a submission. `proven` names its answers."""

    path: str
    data: bytes
    proven: frozenset


def given(kind, assignment):
    """Return the solution or the starter, without answers that are no function or class.

    Such an answer is trained, which would take longer than all checks.
    """
    path = ROOT / "exercises" / kind / assignment.name / f"{assignment.name}.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    tests, proven, kept = dict(assignment.tests), set(), []
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        defined = re.search(rf"^(def|class) {name}\b", "".join(cell["source"]), re.MULTILINE)
        if name not in tests or defined:
            kept.append(cell)
            proven |= {name} & tests.keys()
    return Given(f"the {kind}", json.dumps(notebook | {"cells": kept}).encode(), frozenset(proven))


def digest(assignment, version):
    """Return what a proof holds for: this version of the course and of the solution."""
    return hashlib.sha256(version.encode() + given("solution", assignment).data).hexdigest()


def problem(client, assignment, *how):
    """Return what is wrong with the checks, as a sentence, or None.

    The starter is graded as well. It earns nothing, but its answers are compared with all known mistakes.
    """
    both = given("solution", assignment), given("starter", assignment)
    for notebook, found in executor.grade_all(client, assignment.name, both, *how):
        if found.status != GRADED:
            return f"the grader failed on {notebook.path}: {found.reason}"
        for check in found.checks if notebook is both[0] else ():
            if check.points < check.max_points and check.name in notebook.proven:
                return f"the check of {check.name} refuses the solution: {check.message.split(chr(10))[0]}"
    return None
