"""Grade all that was handed in for an assignment: course grade ASSIGNMENT.

Every verdict is first a file in graded/, written as soon as it is there. Gradebook, graded notebooks,
feedback, table and report are made from these files, so that a run that was cut off at any point is
finished by running the same command again.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import secrets
import stat
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import filelock
import nbformat
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import parse_utc
from tqdm import tqdm
from traitlets.config.loader import PyFileConfigLoader

from grading import CourseError
from grading.pipeline import deadlines, executor, feedback, proof, regrade, report, result, returned
from grading.pipeline.assignments import ROOT, NotGradable, named, read_bytes, readable
from grading.pipeline.gradebook import Book, GradebookError, Refused
from grading.pipeline.result import FAILED, GRADED, NOT_GRADABLE, NOT_YET, Result
from grading.sandbox.client import visible_inside

# nbgrader's exchange writes these files beside a notebook, and reads them again to return feedback.
EXCHANGE_FILES = ("timestamp.txt", "submission_secret.txt")
NO_EXCHANGE = "not from the exchange "  # how they begin if a submission came in another way
SITE = os.environ.get("SITE_URL", "")  # the address of the web edition
LONGEST_NAME = 100  # bytes of a student's


class RunError(CourseError):
    """The run as a whole cannot happen, or did not end; the text says why and what to do."""


@dataclass(frozen=True)
class Submission:
    """A notebook that a student submitted. `path` is how messages name it; `about` goes into its result."""

    path: str
    data: bytes
    about: dict


class Run:
    """Grading one assignment in one course folder."""

    def __init__(self, name, course=".", db=None):
        self.assignment, self.course = named(name), Path(course).resolve()
        self.name = name = self.assignment.name
        if place := visible_inside(self.course):
            raise RunError(f"submissions could read {self.course}, as it lies in {place}: move it elsewhere")
        self.version = result.version(self.assignment)
        place = self.course if (self.course / "nbgrader_config.py").is_file() else ROOT
        self.config = PyFileConfigLoader("nbgrader_config.py", path=str(place)).load_config()
        self.config.CourseDirectory.root = str(self.course)
        if db:
            self.config.CourseDirectory.db_url = db
        self.coursedir = CourseDirectory(config=self.config, assignment_id=name)
        self.folder = self.course / "graded" / name
        self.deadlines = deadlines.read(self.course)
        self.book = self.lost = None
        self.standings, self.requests = {}, {}
        self.changes = self.folder / ".changes.jsonl"
        self.started = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        self.pageless = {}

    def grade(
        self,
        workers=None,
        scheduler=None,
        students=(),
        require=False,
        again=False,
        seed=None,
        feedback=True,
        shared=None,
        requests=None,
    ):
        """Grade everybody, or the named students. Give a row for everybody, one a student.

        `shared` is the socket of a sandbox for the workers on this machine, see `grading.sandbox`.
        `requests` is a CSV file of who asks to be graded again, see `regrade.read_requests`.
        """
        everybody = self.everybody()
        if requests:
            self.requests = regrade.read_requests(requests, self.assignment, everybody)
            students, again = [*self.requests], True
        chosen = self._chosen(students, everybody)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            registered = self.folder / ".registered"
            with (
                self._alone(),
                Book(self.coursedir, self.config, self.assignment, registered) as self.book,
            ):
                self._grade(chosen, workers, scheduler, require, again, seed, shared)
                if not self.lost:
                    self.standings = self.book.standings(self.deadlines)
                if feedback and not self.lost:
                    self._write_feedback(chosen)
            rows = [self.row(student) for student in sorted({*everybody, *chosen})]
            before, text = _small_text(Path(f"{self.folder}.csv"), 10_000_000), table(rows, self.assignment)
            about = {"absent": self._absent(), "seed": seed, "site": SITE, "answer": self.answer}
            page = report.page(self.name, rows, self.assignment, before, **about)
            result.write_text(f"{self.folder}.html", page)
            result.write_text(f"{self.folder}.csv", text)
            if self.changes.is_file():
                result.write_text(f"{self.folder}.changes.html", regrade.page(self.name, self.changes))
        except (GradebookError, Refused, executor.ClusterError) as error:
            raise RunError(str(error)) from error
        except OSError as error:
            raise RunError(
                f"{error.filename or self.folder} could not be written ({error.strerror or error}): what was "
                f"graded before is kept, so make room and run the command again"
            ) from error
        if self.lost:
            raise RunError(f"{self.lost}; all verdicts are kept in {self.folder}: run the command again")
        return rows

    def _chosen(self, students, everybody):
        for student in students:
            if student not in everybody:
                there = self.place(student)
                raise RunError(f"{student!r} has not handed in {self.name}: there is no {there}")
        chosen = sorted(set(students)) or everybody
        if not chosen:
            raise RunError(f"nobody has handed in {self.name}: there is no {self.place('STUDENT')}")
        return chosen

    # Finding what was handed in

    def everybody(self):
        """The students who handed in something for this assignment."""
        submitted = self.course / self.coursedir.submitted_directory
        if not submitted.is_dir():
            raise RunError(
                f"there is no {submitted}: put what students handed in there, as STUDENT/{self.name}/"
                f"{self.name}.ipynb, or name the course's folder with --course"
            )
        names = sorted(path.name for path in submitted.iterdir() if not path.name.startswith("."))
        return [name for name in names if os.path.lexists(self.place(name))]

    def place(self, student, step=None):
        """The folder of a student's work: as it was submitted, or at a later step."""
        step = step or self.coursedir.submitted_directory
        return Path(self.coursedir.format_path(step, student, self.name))

    def read(self, student):
        """A student's `Submission`. Raise NotGradable, with the reason, where there is none to be graded."""
        folder, notes = self.place(student), []
        for part in (folder.parent, folder):
            if part.is_symlink():
                raise NotGradable(f"{self._shown(part)} is a link: put the folder itself there")
        path = folder / f"{self.name}.ipynb"
        if not os.path.lexists(path):
            others = (
                [p for p in folder.glob("*.ipynb") if not p.name.startswith(".")] if folder.is_dir() else []
            )
            if len(others) == 1:
                path = others[0]
                notes.append(f"it was handed in as {_line(path.name)}, not as {self.name}.ipynb")
            elif others:
                raise NotGradable(
                    f"{self._shown(folder)} holds {len(others)} notebooks, and none is called "
                    f"{self.name}.ipynb: keep the right one"
                )
        try:
            data = read_bytes(path, self.assignment)
        except NotGradable as problem:
            raise NotGradable(str(problem).replace(str(path), self._shown(path))) from None
        about = {
            "student": known_as(student),
            "assignment": self.name,
            "key": result.key(data, self.version),
            "timestamp": self._handed_in(student),
            "notes": tuple(notes),
        }
        return Submission(self._shown(path), data, about)

    def _shown(self, path):
        return str(path.relative_to(self.course)) if path.is_relative_to(self.course) else str(path)

    # Grading

    @contextlib.contextmanager
    def _alone(self):
        """Only one run at a time writes here. The system frees the lock when a run ends, however it ends."""
        try:
            lock = filelock.FileLock(self.folder / ".lock").acquire(blocking=False)
        except filelock.Timeout:
            raise RunError(f"another run is grading {self.name} here: wait until it has ended") from None
        with lock:
            yield

    def _grade(self, students, workers, scheduler, require, again, seed, shared):
        with tqdm(total=len(students), desc=self.name, unit="notebook", disable=None) as bar:
            missing = []
            for student in students:
                known = self._known(student)
                unsafe = require and known and known.sandboxed is False
                if known and known.key is None:
                    self._finish(known)
                elif again or not known or known.status == FAILED or unsafe:
                    missing.append(student)
                    continue
                else:
                    self._deliver(known)
                bar.update()
            if not missing:
                return
            with executor.connect(workers, scheduler) as client:
                how = self.version, seed, require, shared
                self._prove(client, how)
                queue = self._queue(missing, bar)
                for submission, found in executor.grade_all(client, self.name, queue, *how):
                    notes = (*submission.about["notes"], *found.notes)
                    self._finish(replace(found, **submission.about | {"notes": notes}))
                    bar.update()

    def _prove(self, client, how):
        """Raise RunError if a check is wrong, which would cost the whole class. Do it once per version."""
        proven, made_of = proof.PROVEN / self.name, proof.digest(self.assignment, self.version)
        if _small_text(proven) == made_of:
            return
        if problem := proof.problem(client, self.assignment, *how):
            raise RunError(
                f"nobody was graded, because {problem.rstrip('.')}. Mend the check or the solution, and run "
                f"the command again"
            )
        with contextlib.suppress(OSError):  # the course's own folder may be read-only
            result.write_text(proven, made_of)

    def _queue(self, students, bar):
        """The submissions to be graded, read one by one. What has vanished gets its verdict here."""
        for student in students:
            try:
                yield self.read(student)
            except NotGradable as problem:
                self._finish(self._unreadable(student, problem))
                bar.update()

    def _known(self, student):
        """The verdict on what lies in submitted/ now, by this version, or None where there is none yet."""
        try:
            key = self.read(student).about["key"]
        except NotGradable as problem:
            return self._unreadable(student, problem)
        found = result.read(self._file(known_as(student)))
        return replace(found, timestamp=self._handed_in(student)) if found and found.key == key else None

    def _handed_in(self, student):
        """Return when a student handed in, as a person, a platform or nbgrader noted it, or None."""
        noted = self.deadlines.handed_in.get(self.name, {}).get(student)
        return noted.isoformat() if noted else _timestamp(self.place(student) / "timestamp.txt")

    def _late_without_a_time(self, student):
        """Did the platform say that a submission was late, and not when it came?"""
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            said = json.loads(_small_text(self.place(student) / "collected.json", 10_000) or "{}")
            return bool(said.get("late")) and not self._handed_in(student)
        return False

    def _unreadable(self, student, problem):
        return Result(NOT_GRADABLE, self.name, known_as(student), reason=str(problem))

    def _file(self, student):
        return self.folder / f"{student}.json"

    def _finish(self, found):
        old = result.read(self._file(found.student))
        before = None
        with contextlib.suppress(GradebookError, Refused):  # `_deliver` says so
            before = self.book.grades(found.student) if old and not self.lost else None
        found = result.write(self._file(found.student), found)
        self._deliver(found)
        with contextlib.suppress(GradebookError, Refused):
            if before and not self.lost:
                self._note_changes(old, found, before)

    def _note_changes(self, old, found, before):
        """Note whose points changed, and why. Written answers that a student asks about wait again."""
        requests = next((self.requests[one] for one in self.requests if known_as(one) == found.student), ())
        for answer, _ in requests:
            if answer in dict(self.assignment.written):
                self.book.reopen(found.student, answer)
        changes = regrade.difference(old, found, before, self.book.grades(found.student))
        if changes or requests:
            reason = regrade.why(old, found, requests)
            regrade.note(self.changes, self.started, found.student, reason, changes)

    def _deliver(self, found):
        """Write a result into the gradebook, then the graded notebook: both wait if that is lost."""
        notebook = returned.graded_notebook(found, self.assignment.notebook)
        path = self._graded_notebook(found.student)
        try:
            before = nbformat.read(path, 4)
        except (OSError, ValueError):
            before = None
        try:
            if not self.lost:
                self.book.save(found, notebook, before)
                result.write_if_changed(path, nbformat.v4.writes(notebook) + "\n")
                self._carry_exchange_files(found.student, self.coursedir.autograded_directory)
        except GradebookError as error:
            self.lost = error
        except Refused as error:
            failed = Result(FAILED, found.assignment, found.student, found.key, found.timestamp, str(error))
            result.write(self._file(found.student), failed)

    def _graded_notebook(self, student):
        return self.place(student, self.coursedir.autograded_directory) / f"{self.name}.ipynb"

    def page(self, student):
        """Return the place of a student's feedback page."""
        return self.place(student, self.coursedir.feedback_directory) / f"{self.name}.html"

    def refresh_pages(self):
        """Bring penalties and pages up to date with what a person has entered since the last run."""
        try:
            with (
                self._alone(),
                Book(self.coursedir, self.config, self.assignment, self.folder / ".registered") as self.book,
            ):
                self.standings = self.book.standings(self.deadlines)
                self._write_feedback(self.everybody())
        except (GradebookError, Refused) as error:
            raise RunError(str(error)) from error

    def _write_feedback(self, students):
        """Write the pages that are out of date. One that cannot be made costs no other student theirs."""
        for student in tqdm(students, desc="feedback", unit="page", disable=None):
            found = result.read(self._file(known_as(student)))
            if not found:
                continue
            try:
                grades, standing = self.book.grades(found.student), self.standings.get(found.student)
                text = feedback.page(found, self.assignment, grades, standing, SITE)
                result.write_if_changed(self.page(found.student), text)
                self._carry_exchange_files(found.student, self.coursedir.feedback_directory)
            except GradebookError as error:
                self.lost = error
                return
            except Exception as error:
                if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                    raise
                self.page(found.student).unlink(missing_ok=True)
                self.pageless[found.student] = f"it has no feedback page: {type(error).__name__}: {error}"

    def _carry_exchange_files(self, student, step):
        """Copy the exchange's files of a submission to a later step, or remove them there if it has none.

        Beside a page they are never missing: without them `nbgrader release_feedback` fails for everybody. A
        submission that came in another way gets a secret that nobody knows.
        """
        page = step == self.coursedir.feedback_directory
        for name in EXCHANGE_FILES:
            text, copy = _small_text(self.place(student) / name), self.place(student, step) / name
            if text is None and page:
                kept = _small_text(copy) or ""
                text = kept if kept.startswith(NO_EXCHANGE) else f"{NO_EXCHANGE}{secrets.token_hex(16)}"
            if text is None:
                copy.unlink(missing_ok=True)
            else:
                result.write_if_changed(copy, text)

    # Telling

    def answer(self, student, name):
        """Return the source of a student's answer, or nothing."""
        found = result.read(self._file(student))
        return next((cell["source"] for cell in found.cells if cell["name"] == name), "") if found else ""

    def _absent(self):
        """Return who was on the list of the platform when submissions were collected, and had none."""
        lines = (_small_text(Path(f"{self.folder}.collected.txt"), 10_000_000) or "").split("\n")
        return [line.removeprefix("absent: ") for line in lines if line.startswith("absent: ")]

    def status(self, student):
        """Return the status of a student's last result, or None if there is none."""
        found = result.read(self._file(known_as(student)))
        return found and found.status

    def row(self, student):
        """What the table and the report say of a student: the result without the cells."""
        found = self._known(student)
        if not found:
            return Result(NOT_YET, self.name, known_as(student), reason="this run was for others")
        notes = [_line(note) for note in (*found.notes, self.pageless.get(found.student)) if note]
        if self._late_without_a_time(student):
            notes.append(f"the platform says it is late, not when it came: note it in {deadlines.FILE}")
        about = {"cells": (), "notes": tuple(notes), "reason": _line(found.reason)}
        return replace(found, **about, standing=self.standings.get(found.student))


def known_as(student):
    """Return the name under which records, pages and the gradebook keep the student of a folder.

    That is the folder's name, unless it is long or holds what files, databases or people cannot read.
    """
    data = student.encode("utf-8", "surrogatepass")
    plain = student.isprintable() and student == student.strip() and len(data) <= LONGEST_NAME
    if plain and not re.search("~[0-9a-f]{16}$", student):
        return student
    return f"{_line(student)[:40].strip()}~{hashlib.sha256(data).hexdigest()[:16]}"


def _line(text):
    return readable(text).replace("\n", " ")


def _small_text(path, most=200):
    """Return the text of a small file that is no link, or None."""
    try:
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode) and found.st_size < most:
            return path.read_text("utf-8")
    except (OSError, ValueError):
        pass
    return None


def _timestamp(path):
    """Return when a submission was handed in, as nbgrader's exchange and collectors note it, or None."""
    try:
        return parse_utc((_small_text(path) or "").strip()).isoformat()
    except (ValueError, OverflowError, AttributeError):
        return None


def table(rows, assignment):
    """The rows as CSV, for a spreadsheet."""
    names = [name for name, _ in assignment.tests]
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    late = ["late", "penalty", "total"]
    out.writerow(
        ["student", "score", "max_score", *late, *names, "mistakes", "status", "sandboxed", "reason"]
    )
    for row in rows:
        points = {check.name: f"{check.points:g}" for check in row.checks}
        known = " ".join(f"{check.name}:{check.mistake}" for check in row.checks if check.mistake)
        score = [f"{row.score:g}", f"{row.max_score:g}"] if row.status == GRADED else ["", ""]
        said = "; ".join([*filter(None, [row.reason]), *row.notes])
        sandboxed = {True: "yes", False: "no", None: ""}[row.sandboxed]
        each = [points.get(name, "") for name in names]
        held = row.standing or result.Standing()
        total = "" if held.total is None else f"{held.total:g}"
        late = [held.late, f"{held.penalty:g}", total]
        told = [known, row.status, sandboxed, report.cell(said)]
        out.writerow([report.cell(row.student), *score, *late, *each, *told])
    return text.getvalue()


def as_text(rows, assignment):
    """The rows for people, and below them those who need one."""
    wide = max([len("student"), *(len(row.student) for row in rows)])
    most = sum(points for _, points in assignment.tests)
    lines = [f"{'student':<{wide}}  score of {most:g}  what was seen"]
    for row in rows:
        wrong = [check for check in row.checks if check.points < check.max_points]
        seen = [check.name + (f" ({check.mistake})" if check.mistake else "") for check in wrong]
        score = f"{row.score:g}" if row.status == GRADED else "-"
        if row.status != GRADED:
            seen = [row.status]
        if row.sandboxed is False:
            seen.append("not sandboxed")
        if row.standing and row.standing.late:
            seen.append(f"{row.standing.late} late: penalty {row.standing.penalty:g}")
        shown = f"{row.student:<{wide}}  {score:>{len(f'score of {most:g}')}}  {'; '.join(seen)}"
        lines.append(shown.rstrip())
    done = [row.score for row in rows if row.status == GRADED]
    lines.append(
        f"{len(done)} of {len(rows)} graded"
        + (f", {sum(done) / len(done):.1f} of {most:g} points on average" if done else "")
    )
    for row in rows:
        lines += [f"{row.student} needs a person: {why}" for why in report.why_a_person(row)]
    return "\n".join(lines)
