"""Grade one notebook: its cells run in the worker, its answers are judged here."""

import secrets
import time
from dataclasses import asdict, dataclass, field

import numpy as np

from grading.assignments import find_assignment, read_submission
from grading.calls import Outcome
from grading.checks import examine
from grading.judge import STOPPED, Verdict
from grading.sandbox import Lost

CELL_SECONDS, CHECK_SECONDS, ALL_SECONDS = 90, 30, 240
RESTARTS = 3  # so often a cell may end the process that runs it, and the others still count
END = ""  # the name of the snapshot after the last cell


@dataclass
class Graded:
    """What one check gave. `message` is for the student; `misconception` names a known mistake."""

    name: str
    points: float
    max_points: float
    message: str = ""
    misconception: str | None = None


@dataclass
class Report:
    """What grading a notebook gave: points for what was checked, `written` answers for a person to grade."""

    assignment: str
    score: float
    max_score: float
    status: str
    sandboxed: bool
    checks: list = field(default_factory=list)
    written: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    cells: list = field(default_factory=list, repr=False)

    def as_json(self):
        """The report without the notebook's cells, as plain data."""
        return {name: value for name, value in asdict(self).items() if name != "cells"}


def grade(path, sandbox, assignment=None, seed=None):
    """Grade a notebook and give the `Report`. Raise NotGradable where it is no notebook of this course."""
    assignment = assignment or find_assignment(path)
    cells = read_submission(path, assignment)
    outputs, lines, notes = {}, {}, []
    skipped = set()
    while True:
        with sandbox.submission() as submission:
            culprit, why = _run_cells(cells, skipped, submission, outputs, lines)
            if culprit is None or len(skipped) >= RESTARTS:
                if culprit is not None:
                    why = "too many cells ended the process that ran them: the rest was not run"
                notes += [why] if why else []
                checks = _judge(assignment, lines, seed)
                break
        skipped.add(culprit)
        notes.append(f"cell {culprit + 1} was left out: {why}")
    return Report(
        assignment=assignment.name,
        score=sum(check.points for check in checks),
        max_score=sum(points for _, points in assignment.tests),
        status="graded",
        sandboxed=sandbox.sandboxed,
        checks=checks,
        written=[{"name": name, "max_points": points} for name, points in assignment.written],
        notes=notes,
        cells=[(cell, outputs.get(i, ([], None))) for i, cell in enumerate(cells)],
    )


def _run_cells(cells, skipped, submission, outputs, lines):
    """Run the cells in order, and take a snapshot where a test stands and one at the end.

    Gives the number of the cell that ended the process and why, or None and a note.
    """
    lines.clear()
    until, last, note = time.monotonic() + ALL_SECONDS, 0, ""
    try:
        for i, cell in enumerate(cells):
            if cell.test:
                lines[cell.test] = submission.snapshot(CHECK_SECONDS)
            if cell.kind != "code" or cell.test is not None or i in skipped or not cell.source.strip():
                continue
            if time.monotonic() > until:
                note = f"the cells took more than {ALL_SECONDS} seconds: from cell {i + 1} on nothing was run"
                break
            last = i
            outputs[i] = submission.run(cell.source, CELL_SECONDS)
        lines[END] = submission.snapshot(CHECK_SECONDS)
    except Lost as lost:
        outputs[last] = [{"text": f"(this cell was stopped: {lost})"}], "Stopped"
        return last, str(lost)
    return None, note


def _judge(assignment, lines, seed):
    """Check every answer of the assignment."""
    graded = []
    for name, points in assignment.tests:
        places = [lines[place] for place in (name, END) if place in lines]
        drawn = secrets.randbits(32) if seed is None else seed
        try:
            verdict = examine(name, name, seed=drawn, call=_Asked(places))
        except Exception as error:  # whatever the answer did to the judge, it has not shown to be right
            verdict = Verdict(False, sentence=f"it could not be judged ({type(error).__name__}).")
        earned = points if verdict.passed else 0
        graded.append(Graded(name, earned, points, str(verdict), verdict.mistake))
    return graded


class _Asked:
    """A `call` that asks the worker, where the answer is called by its name in the notebook."""

    def __init__(self, places):
        self.places, self.until, self.over = list(places), time.monotonic() + CHECK_SECONDS, None

    def __call__(self, name, case):
        while self.places and not self.over:
            try:
                left = max(0.1, self.until - time.monotonic())
                outcome = self.places[0].ask({"call": name, "case": case}, left)
            except Lost as lost:
                self.over = f"{lost}."
                break
            if outcome is not None:
                self.places = self.places[:1]
                return outcome if _is_outcome(outcome) else _stopped("it sent what is no answer.")
            self.places.pop(0)  # not defined there: perhaps it is at the end
        return _stopped(
            self.over or f"there is no {name} in the notebook: its cell is missing, or it failed."
        )


def _stopped(message):
    return Outcome(error=(STOPPED, message))


def _is_outcome(outcome):
    """The worker may say anything: is this an outcome, part for part?"""
    error = outcome.error if isinstance(outcome, Outcome) else 0
    return (
        (
            error is None
            or (isinstance(error, tuple) and len(error) == 2 and all(type(e) is str for e in error))
        )
        and (error is None or error[0] != STOPPED)
        and isinstance(outcome.outputs, tuple)
        and isinstance(outcome.inputs, dict)
        and isinstance(outcome.gradients, dict)
        and all(g is None or isinstance(g, np.ndarray) for g in outcome.gradients.values())
    )
