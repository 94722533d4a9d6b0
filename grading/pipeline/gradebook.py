"""The gradebook: the one writer of verdicts, through nbgrader's own models, a transaction a student."""

import contextlib
import hashlib
import logging
import os
import shutil
import sys
import tempfile
from copy import deepcopy
from pathlib import Path

from nbgrader.api import Gradebook, InvalidEntry, MissingEntry
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import parse_utc
from sqlalchemy import exc, make_url
from sqlalchemy.orm import scoped_session, sessionmaker

from grading import CourseError
from grading.pipeline import result, returned
from grading.pipeline.assignments import ELSEWHERE, EMPTY, ROOT
from grading.pipeline.deadlines import Deadlines, DeadlinesPlugin

# nbgrader calls alembic by its bare name to make a gradebook, also where the environment is not activated
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ.setdefault("PGCONNECT_TIMEOUT", "10")  # seconds


SILENT = logging.getLogger("grading.silent")  # nbgrader says much that only its own commands need
SILENT.disabled = True
EXAMPLE = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"


class GradebookError(CourseError):
    """The gradebook cannot be used; the text says why."""


class Refused(CourseError):
    """The gradebook is there, and does not take this one verdict; the text says why."""


def _penalty(penalties, student, book, seconds_late):
    """Return what lateness costs a notebook, as nbgrader's own preprocessor finds it, or None."""
    if not seconds_late:
        return None
    penalty = penalties.plugin_inst.late_submission_penalty(student, book.score, seconds_late)
    return None if penalty is None else penalties._check_late_penalty(book, penalty)


class Book:
    """An assignment in the gradebook. Use it in a `with` statement."""

    def __init__(self, coursedir, config, assignment, registered=None):
        """`registered` is a file that notes what the assignment was when it was last made known."""
        self.coursedir, self.config, self.assignment = coursedir, config, assignment
        self.registered = registered
        try:
            self.name = make_url(coursedir.db_url).render_as_string(hide_password=True)
        except exc.ArgumentError:
            raise GradebookError(
                f"{coursedir.db_url!r} is no database: give a URL such as {EXAMPLE}"
            ) from None
        self.gradebook = None

    def __enter__(self):
        self.open()
        self._register()
        return self

    def open(self):
        with self._trouble():
            self.gradebook = Gradebook(self.coursedir.db_url, self.coursedir.course_id)

    def __exit__(self, *error):
        if self.gradebook:
            self.gradebook.close()

    def _register(self):
        """Make the assignment known, or bring it up to date, as `nbgrader generate_assignment` does."""
        name = self.assignment.name
        solution = ROOT / "exercises" / "solution" / name / f"{name}.ipynb"
        made_of = hashlib.sha256(self.coursedir.db_url.encode() + solution.read_bytes()).hexdigest()
        with contextlib.suppress(OSError, Refused):
            if self.registered and self.registered.read_text("utf-8") == made_of:
                with self._transaction() as gradebook:
                    gradebook.find_notebook(name, name)
                return
        config = deepcopy(self.config)
        with tempfile.TemporaryDirectory() as folder:
            config.CourseDirectory.root = folder
            config.CourseDirectory.db_url = self.coursedir.db_url
            coursedir = CourseDirectory(config=config, assignment_id=name)
            place = Path(coursedir.format_path(coursedir.source_directory, ".", name), f"{name}.ipynb")
            place.parent.mkdir(parents=True)
            shutil.copyfile(solution, place)
            converter = GenerateAssignment(coursedir=coursedir, config=config, force=True)
            converter.log = SILENT
            try:
                with self._trouble():
                    converter.start()
            except (NbGraderException, SystemExit, Refused):
                raise GradebookError(
                    f"{self.name} does not take {name} as it is now: graded cells were added or taken away "
                    f"after students had handed in, so begin a new gradebook with --db"
                ) from None
        if self.registered:
            result.write_text(self.registered, made_of)

    @contextlib.contextmanager
    def _trouble(self):
        """Tell a database that is gone from one that refuses what it is given."""
        gone = (exc.OperationalError, exc.InterfaceError, exc.NoSuchModuleError, ImportError, OSError)
        try:
            yield
        except (*gone, exc.SQLAlchemyError, InvalidEntry, MissingEntry) as error:
            # nbgrader makes an InvalidEntry of whatever a statement raises
            cause = error.__context__ if isinstance(error, InvalidEntry) and error.__context__ else error
            if isinstance(cause, gone):
                reason = str(getattr(cause, "orig", None) or cause).strip().split("\n")[0]
                raise GradebookError(f"the gradebook {self.name} cannot be used: {reason}") from error
            raise Refused(f"the gradebook did not take it: {str(error).strip().splitlines()[0]}") from error

    @contextlib.contextmanager
    def _transaction(self):
        """The gradebook in one transaction: its own commits only take effect at the end, all or none."""
        outer = self.gradebook.db
        with self._trouble(), self.gradebook.engine.begin() as connection:
            session = scoped_session(
                sessionmaker(connection, join_transaction_mode="rollback_only", autoflush=False)
            )
            self.gradebook.db = session
            try:
                yield self.gradebook
                session.commit()
            finally:
                session.remove()
                self.gradebook.db = outer

    def save(self, found, notebook, before=None):
        """Write a verdict. `before` is the notebook that was graded earlier, if there is one.

        Points that a person gave stay as long as the work that they were given for is the same; else they
        are taken back, and the cell waits for a person again. The same verdict twice changes nothing.
        """
        name = self.assignment.name
        checks = {f"test_{check.name}": check for check in found.checks}
        graded = found.status == result.GRADED
        where = {answer["name"]: answer["where"] for answer in found.written} if graded else {}
        with self._transaction() as gradebook:
            gradebook.update_or_create_student(found.student)
            submission = gradebook.update_or_create_submission(name, found.student)
            submission.timestamp = parse_utc(found.timestamp) if found.timestamp else None
            (submitted,) = (book for book in submission.notebooks if book.name == name)
            _load_names(submitted)
            for grade in submitted.grades:
                if graded and grade.name in checks:
                    points = checks[grade.name].points
                else:
                    points = 0.0 if where.get(grade.name) == EMPTY else None
                work = None if where.get(grade.name) == ELSEWHERE else grade.name
                self._set(grade, points, work, notebook, before)
            for note in submitted.comments:
                check = checks.get(f"test_{note.name}")
                if check:
                    note.auto_comment = returned.comment(check)
                else:
                    note.auto_comment = "No response." if where.get(note.name) == EMPTY else None

    def _set(self, grade, points, work, notebook, before):
        by_hand = grade.manual_score is not None or grade.extra_credit
        if not by_hand:
            grade.needs_manual_grade = points is None
        elif before is None:
            grade.needs_manual_grade = True
        elif returned.work(before, work) != returned.work(notebook, work):
            grade.manual_score = grade.extra_credit = None
            grade.needs_manual_grade = True
        elif grade.auto_score != points:
            grade.needs_manual_grade = True
        grade.auto_score = points

    def standings(self, deadlines):
        """Bring due dates, extensions and penalties up to date, and return everybody's `Standing`.

        If neither the deadlines nor nbgrader's settings say what lateness costs, penalties stay as they are.
        """
        name, found = self.assignment.name, {}
        penalties = AssignLatePenalties(config=self.config, log=SILENT)
        penalties.init_plugin()
        plugin = penalties.plugin_inst
        ours = type(plugin) is DeadlinesPlugin and plugin.penalty_method == "none"
        known = not ours or deadlines != Deadlines()
        with self._transaction() as gradebook:
            try:
                assignment = gradebook.find_assignment(name)
            except MissingEntry:
                return {}
            if name in deadlines.due:
                assignment.duedate = deadlines.due[name].replace(tzinfo=None)
            for submission in assignment.submissions:
                student = submission.student_id
                if name in deadlines.due:
                    submission.extension = deadlines.extensions.get(name, {}).get(student)
                late = submission.total_seconds_late if assignment.duedate else 0
                penalty = 0
                for book in submission.notebooks:
                    if assignment.duedate and known:
                        book.late_submission_penalty = _penalty(penalties, student, book, late)
                    penalty += book.late_submission_penalty or 0
                total = None if submission.needs_manual_grade else max(0, submission.score - penalty)
                found[student] = result.Standing(late, penalty, total)
        return found

    def grades(self, student):
        """Return a student's points by graded cell, None where a person is to grade, and comments."""
        with self._transaction() as gradebook:
            try:
                found = gradebook.find_submission(self.assignment.name, student)
            except MissingEntry:
                return None
            for book in found.notebooks:
                _load_names(book)
            points = {
                grade.name: None if grade.needs_manual_grade else grade.score
                for book in found.notebooks
                for grade in book.grades
            }
            comments = {note.name: note.manual_comment for book in found.notebooks for note in book.comments}
            return {"points": points, "comments": comments}

    def written(self, name):
        """Return a row for everybody who has a written answer of this name to grade, as dicts."""
        with self._transaction() as gradebook:
            try:
                found = gradebook.find_assignment(self.assignment.name).submissions
            except MissingEntry:
                return []
            rows = [_written(gradebook, self.assignment.name, one.student_id, name)[0] for one in found]
            return [row for row in rows if row["to_grade"]]

    def give(self, student, name, points, comment, seen):
        """Give a written answer points and a comment, and return None.

        If it isn't any more what had the version `seen`, change nothing and return how it is now.
        """
        with self._transaction() as gradebook:
            row, grade, note = _written(gradebook, self.assignment.name, student, name)
            if row["version"] != seen:
                return row
            grade.manual_score, grade.needs_manual_grade = points, False
            note.manual_comment = comment.strip() or None
            return None

    def reopen(self, student, name):
        """Let a written answer wait for a person again, with the points that it has."""
        with self._transaction() as gradebook:
            _, grade, _ = _written(gradebook, self.assignment.name, student, name)
            grade.needs_manual_grade = True


def _load_names(submitted):
    """Load all cells of a notebook in few queries: else the name of each grade and comment takes one."""
    return submitted.notebook.grade_cells, submitted.notebook.solution_cells


def _written(gradebook, assignment, student, name):
    """Return what is known of a written answer as a dict, its grade and its comment."""
    grade = gradebook.find_grade(name, assignment, assignment, student)
    note = gradebook.find_comment(name, assignment, assignment, student)
    row = {"student": student, "needs": bool(grade.needs_manual_grade), "points": grade.manual_score}
    tested = all(one.auto_score is not None for one in grade.notebook.grades if one.cell_type == "code")
    row |= {"comment": note.manual_comment or "", "to_grade": tested and grade.auto_score is None}
    return row | {"version": hashlib.sha256(repr(row).encode()).hexdigest()}, grade, note
