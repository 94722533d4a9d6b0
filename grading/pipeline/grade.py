"""Grade one notebook: its cells run in the worker, its answers are judged here."""

import secrets
import time
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from grading.judge.judge import draw, examine, probes, shares
from grading.judge.message import NOT_WRITTEN, STOPPED
from grading.judge.registry import find_check, trains
from grading.judge.shown import behavior
from grading.pipeline.assignments import (
    ELSEWHERE,
    find_assignment,
    parse,
    read_submission,
    readable,
    starter_sources,
    where_written,
)
from grading.pipeline.missing import MISSING, NOT_RUN, explain
from grading.pipeline.result import FAILED, GRADED, CheckResult, Result, cells_of
from grading.sandbox.cases import Outcome
from grading.sandbox.client import Lost, TooSlow
from grading.sandbox.limits import MEMORY

RESTARTS = 3  # so often a cell may end the process that runs it, and the others still count
DIFFERS = "It was wrong when it was first asked, and right later: its results should be the same each time."
PROBE_SECONDS = 10  # for the probes of a check
NOT_REACHED = "Its test was not reached: a cell before it was stopped."
END = ""  # the name of the snapshot after the last cell


@dataclass(frozen=True)
class Limits:
    """What a notebook may take: seconds for a cell, for all cells with all restarts, and for a check, and
    bytes of memory for all its processes together. `later` is the share of the time that each cell and check
    still gets once one ran out of time.
    """

    cell: float = 180
    cells: float = 400
    check: float = 60
    memory: int = MEMORY
    later: float = 1.0

    @property
    def hurried(self):
        return replace(self, cell=self.cell * self.later, check=self.check * self.later, later=1.0)


QUICK = Limits(cell=10, cells=60, check=10, later=0.25)  # for an exercise that trains nothing


def grade(
    path,
    sandbox,
    assignment=None,
    seed=None,
    data=None,
    limits=None,
    progress=lambda text: None,
):
    """Grade a notebook and return its `Result`. Raise NotGradable where it is no notebook of this course.

    If the judge itself fails, the result has the status FAILED and no points.

    With `data`, its bytes, the path is only a name in messages. `progress` is called with what comes next.
    """
    assignment = assignment or find_assignment(path)
    limits = limits or (Limits() if trains(assignment.name) else QUICK)
    cells = read_submission(path, assignment) if data is None else parse(data, path, assignment)
    outputs, lines, notes, reason = {}, {}, [], ""
    not_run, took, fatal = {}, {}, {}  # why cells are not run, their seconds, and answers that ended all
    wrong = {name: set() for name, _ in assignment.tests}  # parts that were wrong once
    seed = secrets.randbits(32) if seed is None else seed
    until = time.monotonic() + limits.cells
    while True:
        started, restarts = time.monotonic(), len(not_run) + len(fatal)

        def may_restart(started=started, restarts=restarts):
            now = time.monotonic()
            return restarts < RESTARTS and now + (now - started) < until

        progress("starting the sandbox")
        with sandbox.submission(limits.memory) as submission:
            culprit, why = _run_cells(cells, not_run, took, submission, outputs, lines, limits, progress)
            if isinstance(why, TooSlow):
                limits = limits.hurried
            if culprit is None or not may_restart():
                if culprit is not None:
                    notes.append(f"cell {culprit + 1} ended it, and the rest was not run: {why}")
                elif why:
                    notes.append(why)
                progress(f"checking the answers (at most {limits.check:g} s each)")
                try:
                    checks = _judge(assignment, lines, seed, limits, fatal, wrong, submission, may_restart)
                    break
                except _Over as answer:
                    fatal[answer.name] = answer.why
                    continue
                except JudgeError as error:
                    reason, checks = readable(str(error)), []
                    break
        notes.append(f"cell {culprit + 1} was left out: {why}")
    where = where_written(cells, assignment)
    lost = [name for name in where if where[name] == ELSEWHERE]
    notes += [f"{name}: the written answer may stand in another cell than its own" for name in lost]
    if not any(cell.test is not None or cell.written for cell in cells):
        notes.append(f"it has none of the graded cells of {assignment.name}: is it the right notebook?")
    outputs |= {i: ([{"text": f"(this cell {why})"}], NOT_RUN) for i, why in not_run.items()}
    kept, given = cells_of(cells, outputs), starter_sources(assignment.notebook)
    left_out = [(cells[i].source, why) for i, why in not_run.items()]
    return Result(
        status=FAILED if reason else GRADED,
        reason=reason,
        assignment=assignment.name,
        sandboxed=sandbox.sandboxed,
        checks=tuple(explain(check, kept, given, left_out) for check in checks),
        written=tuple(
            {"name": name, "max_points": points, "where": where[name]} for name, points in assignment.written
        ),
        notes=tuple(notes),
        cells=kept,
    )


def _run_cells(cells, not_run, took, submission, outputs, lines, limits, progress):
    """Run the cells in order, and take a snapshot where a test stands and one at the end.

    Return the number of the cell that ended the process and the `Lost`, or None and a note. `not_run` says
    why cells are left out, and gets those that ended the process or had no time left. `took` adds up their
    seconds.
    """
    lines.clear()
    last, note = 0, ""
    try:
        for i, cell in enumerate(cells):
            if cell.test:
                lines[cell.test] = submission.snapshot(limits.check)
            if cell.kind != "code" or cell.test is not None or i in not_run or not cell.source.strip():
                continue
            if sum(took.values()) >= limits.cells:
                most = max(took, key=took.get) + 1
                note = f"cell {most} and others took all {limits.cells:g} seconds that the cells have"
                rest = (j for j in range(i, len(cells)) if cells[j].kind == "code" and cells[j].test is None)
                not_run.update(dict.fromkeys(rest, f"was not reached, because {note}"))
                note += f": from cell {i + 1} on, none was run"
                break
            last = i
            progress(f"running cell {i + 1} of {len(cells)} (at most {limits.cell:g} s)")
            began = time.monotonic()
            try:
                outputs[i] = submission.run(cell.source, limits.cell)
            finally:
                took[i] = took.get(i, 0) + time.monotonic() - began
        lines[END] = _Later(lambda: submission.snapshot(limits.check))
    except Lost as lost:
        not_run[last] = f"was stopped: {lost}"
        return last, lost
    return None, note


def _judge(assignment, lines, seed, limits, fatal, wrong, submission, may_restart):
    """Check every answer of the assignment, but for those that are known to end all others.

    While the notebook may be started again, such an answer raises `_Over`. A part of an answer that was
    `wrong` once stays so: nobody gains by ending the process and being asked again.

    What a student may see is asked of all answers before any of them is given a hidden input: they share
    a folder, and one could tell the other.
    """
    asked, drawn = {}, {}

    def still_there(name):
        if name not in fatal and may_restart() and submission.is_over():
            for other in asked:
                wrong[other] |= asked[other].broken(other, drawn[other])
            raise _Over(name, asked[name].over or "it ended the processes of all other answers.")

    for name, _ in assignment.tests:
        places = [lines[place] for place in (name, END) if place in lines]
        asked[name] = _Asked(places, limits.check, fatal.get(name) or (None if places else NOT_REACHED))
        drawn[name] = draw(find_check(name), seed)
        asked[name].ahead(name, [case for case in drawn[name] if case.visible])
        if asked[name].left <= 0:
            limits = limits.hurried
        still_there(name)
    graded = []
    for name, points in assignment.tests:
        asked[name].left = min(asked[name].left, limits.check)
        if not any(outcome.error for outcome in asked[name].known):
            asked[name].ahead(name, [case for case in drawn[name] if not case.visible])
        try:
            verdict = examine(name, name, call=asked[name], drawn=drawn[name])
        except Exception as error:  # of the check, or of what the answer returned: only a person can tell
            still_there(name)
            raise JudgeError(f"{name} could not be judged: {type(error).__name__}: {error}") from error
        still_there(name)
        if verdict.passed and wrong[name]:
            verdict = replace(verdict, sentence=DIFFERS)
        verdict = verdict.without(wrong[name])
        wrong[name] |= verdict.broken
        parts = tuple(
            {"name": part, "points": share, "right": verdict.parts[part]}
            for part, share in shares(points, verdict.parts).items()
        )
        earned = points if verdict.passed else sum(part["points"] for part in parts if part["right"])
        about = readable(verdict.text(points)), verdict.mistake, verdict.grids
        graded.append(CheckResult(name, earned, points, *about, parts=parts))
    return [replace(check, behavior=_probe(check, asked[check.name])) for check in graded]


def _probe(check, ask):
    """Return what a wrong answer does with cases that are the same for everybody: a digest for each."""
    written = not check.message.startswith((NOT_WRITTEN, MISSING.format(check.name)))
    if check.points == check.max_points or not written:
        return ()
    this, ask.left = find_check(check.name), min(ask.left, PROBE_SECONDS)
    cases = probes(this)
    ask.known = ask._ask(check.name, cases)
    found = [this.observe(ask, check.name, case) for case in cases]
    return tuple(behavior(outcome) for outcome in found if not outcome.error or outcome.error[0] != STOPPED)


class JudgeError(Exception):
    """An answer could not be judged. The text says why, and is not for students."""


class _Over(Exception):
    """An answer that was called ended all processes of its notebook."""

    def __init__(self, name, why):
        self.name, self.why = name, why


class _Later:
    """Stands for the line to a snapshot, which is taken when the first answer is asked for there."""

    def __init__(self, snapshot):
        self.snapshot = cache(snapshot)

    def ask_all(self, *order):
        yield from self.snapshot().ask_all(*order)


class _Asked:
    """A `call` that asks the worker, where the answer is called by its name in the notebook."""

    def __init__(self, places, seconds, over=None):
        self.places, self.left, self.over = list(places), seconds, over
        self.known = []

    def ahead(self, name, cases):
        """Ask for the next cases now, at once; they are given out when they are called for."""
        self.known += self._ask(name, cases)

    def __call__(self, name, case):
        return self.known.pop(0) if self.known else self._ask(name, [case])[0]

    def broken(self, name, drawn):
        """Return the parts that are wrong in what it has given, and nobody has judged yet."""
        if self.over or not self.known:
            return set()
        given = iter(self.known)
        return examine(name, name, call=lambda *_: next(given), drawn=drawn[: len(self.known)]).broken

    def _ask(self, name, cases):
        outcomes = []
        while self.places and not self.over and len(outcomes) < len(cases):
            left = cases[len(outcomes) :]
            lost, until = None, time.monotonic() + self.left
            try:
                for reply in self.places[0].ask_all(name, left, self.left):
                    if reply is None:  # not defined there: perhaps it is at the end
                        break
                    outcomes.append(reply if _is_outcome(reply) else _stopped("it sent what is no answer."))
                    self.places = self.places[:1]
            except Lost as problem:  # perhaps ended from elsewhere, and still there at the end
                lost = problem
            self.left = until - time.monotonic()
            if lost and (len(self.places) == 1 or self.left <= 0):
                self.over = f"{lost}."
            if len(outcomes) < len(cases):
                self.places.pop(0)
        return outcomes + [_stopped(self.over or f"{MISSING.format(name)}.")] * (len(cases) - len(outcomes))


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
