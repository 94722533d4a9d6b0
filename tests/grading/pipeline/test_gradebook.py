"""The gradebook takes each verdict whole or not at all, and keeps what a person gave."""

import copy

import pytest
from nbgrader.api import Gradebook, InvalidEntry
from nbgrader.converters.base import NbGraderException
from sqlalchemy import exc

from grading.pipeline import gradebook, returned
from grading.pipeline.assignments import ANSWERED, ELSEWHERE, EMPTY
from grading.pipeline.gradebook import Book, GradebookError, Refused
from grading.pipeline.result import GRADED, NOT_GRADABLE, CheckResult, Result
from grading.pipeline.run import Run
from tests.grading.points import POINTS

NAME = "02_attention"
WRITTEN = "why_attention"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(NAME, tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="module")
def book(run):
    with Book(run.coursedir, run.config, run.assignment, run.course / "registered") as book:
        yield book


def record(run, student, answer="Because.", code="x = 1", where=ANSWERED, **points):
    """A verdict in which all tests have passed but for those that are given their points."""
    checks = [
        CheckResult(name, points.get(name, most), most, "it is *wrong*.\n  seen with 3" * (name in points))
        for name, most in run.assignment.tests
    ]
    cells = [
        {"kind": "code", "name": "dot_score", "source": code, "outputs": []},
        {"kind": "markdown", "name": WRITTEN, "source": answer, "outputs": []},
    ]
    written = ({"name": WRITTEN, "max_points": 3, "where": where},)
    return Result(GRADED, student=student, checks=tuple(checks), written=written, cells=tuple(cells))


def save(book, run, verdict, before=None):
    """Save a verdict, and give the notebook that was graded."""
    notebook = returned.graded_notebook(verdict, run.assignment.notebook)
    book.save(verdict, notebook, before)
    return notebook


def points(book, student):
    """By cell: points of the tests, points of a person, and if the cell waits for a person."""
    with book._transaction() as gradebook:
        grades = gradebook.find_submission_notebook(NAME, NAME, student).grades
        return {g.name: (g.auto_score, g.manual_score, g.needs_manual_grade) for g in grades}


def give(run, student, cell, points):
    """What a person does in Formgrader."""
    with Gradebook(run.coursedir.db_url) as other:
        grade = other.find_grade(cell, NAME, NAME, student)
        grade.manual_score, grade.needs_manual_grade = points, False
        other.db.commit()


def test_tests_have_their_points_and_written_answers_wait(book, run):
    save(book, run, record(run, "ana", attend=0))
    found = points(book, "ana")
    assert found["test_dot_score"] == (POINTS["dot_score"], None, False)
    assert found["test_attend"] == (0, None, False)
    assert found[WRITTEN] == (None, None, True)
    with Gradebook(run.coursedir.db_url) as other:
        comment = other.find_comment("attend", NAME, NAME, "ana").comment
    assert comment == "it is \\*wrong\\*.\n\n      seen with 3"


def test_an_answer_that_is_empty_has_no_points_and_one_that_may_stand_elsewhere_waits(book, run):
    save(book, run, record(run, "bo", "", where=EMPTY))
    assert points(book, "bo")[WRITTEN] == (0, None, False)
    with Gradebook(run.coursedir.db_url) as other:
        assert other.find_comment(WRITTEN, NAME, NAME, "bo").comment == "No response."
    first = save(book, run, record(run, "bo", "", where=ELSEWHERE))
    assert points(book, "bo")[WRITTEN] == (None, None, True)
    give(run, "bo", WRITTEN, 2)
    second = save(book, run, record(run, "bo", "", where=ELSEWHERE), first)
    assert points(book, "bo")[WRITTEN] == (None, 2, False)
    save(book, run, record(run, "bo", "", code="# another text", where=ELSEWHERE), second)
    assert points(book, "bo")[WRITTEN] == (None, None, True)


def test_what_could_not_be_graded_waits_for_a_person_and_keeps_no_points(book, run):
    save(book, run, record(run, "cy"))
    save(book, run, Result(NOT_GRADABLE, student="cy", reason="it is no notebook"))
    assert set(points(book, "cy").values()) == {(None, None, True)}


def test_points_of_a_person_stay_while_the_work_is_the_same(book, run):
    first = save(book, run, record(run, "di"))
    give(run, "di", WRITTEN, 2)
    give(run, "di", "test_attend", 1)
    save(book, run, record(run, "di"), first)
    assert points(book, "di")[WRITTEN] == (None, 2, False)
    assert points(book, "di")["test_attend"] == (POINTS["attend"], 1, False)
    second = save(book, run, record(run, "di", code="x = 2"), first)
    assert points(book, "di")[WRITTEN] == (None, 2, False)  # the answer is the same
    assert points(book, "di")["test_attend"] == (POINTS["attend"], None, True)
    save(book, run, record(run, "di", "Something else.", code="x = 2"), second)
    assert points(book, "di")[WRITTEN] == (None, None, True)


def test_points_of_a_person_wait_for_one_where_the_verdict_has_changed(book, run):
    first = save(book, run, record(run, "eli"))
    give(run, "eli", "test_attend", 1)
    save(book, run, record(run, "eli", attend=0), first)
    assert points(book, "eli")["test_attend"] == (0, 1, True)
    give(run, "eli", "test_attend", 1)
    save(book, run, record(run, "eli", attend=0))  # what was graded before is not known any more
    assert points(book, "eli")["test_attend"] == (0, 1, True)


def test_a_verdict_that_fails_halfway_changes_nothing(book, run, monkeypatch):
    save(book, run, record(run, "fay", attend=0))
    before = book.grades("fay")
    monkeypatch.setattr(returned, "comment", lambda check: 1 / 0)
    for student in ("fay", "gus"):
        with pytest.raises(ZeroDivisionError):
            save(book, run, record(run, student))
    assert book.grades("fay") == before and book.grades("gus") is None


def test_the_assignment_is_made_known_once(book, run, monkeypatch):
    monkeypatch.setattr(gradebook, "GenerateAssignment", None)
    registered = run.course / "registered"
    with Book(run.coursedir, run.config, run.assignment, registered):
        pass
    registered.write_text("of an older solution")
    with pytest.raises(TypeError, match="not callable"):
        Book(run.coursedir, run.config, run.assignment, registered).__enter__()


def test_changed_cells_ask_for_a_new_gradebook(book, run, monkeypatch):
    def refuses(self):
        raise NbGraderException("cells were added")

    monkeypatch.setattr(gradebook.GenerateAssignment, "start", refuses)
    with pytest.raises(GradebookError, match="does not take 02_attention.*begin a new gradebook with --db"):
        Book(run.coursedir, run.config, run.assignment).__enter__()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "'nonsense' is no database: give a URL such as"),
        ("postgresql+psycopg://me:secret@127.0.0.1:9/none", "cannot be used"),
        ("nosuch://me:secret@127.0.0.1/none", "cannot be used"),
        ("sqlite:////proc/none/gradebook.db", "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(run, url, sentence):
    coursedir = copy.deepcopy(run.coursedir)
    coursedir.db_url = url
    with pytest.raises(GradebookError, match=sentence) as error:
        Book(coursedir, run.config, run.assignment).__enter__()
    assert "secret" not in str(error.value) and "\n" not in str(error.value)


def within(error, cause):
    """An error of nbgrader, raised while it handled its cause."""
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (exc.OperationalError("SELECT", {}, OSError("no route\nto it")), GradebookError),
        (within(InvalidEntry("of it"), exc.OperationalError("SELECT", {}, OSError("gone"))), GradebookError),
        (OSError("the disk is gone"), GradebookError),
        (InvalidEntry("NUL is not allowed"), Refused),
        (exc.DataError("INSERT", {}, ValueError("NUL is not allowed")), Refused),
        (within(InvalidEntry("of it"), exc.DataError("INSERT", {}, ValueError("NUL"))), Refused),
    ],
)
def test_a_database_that_is_gone_is_told_from_one_that_refuses(book, error, raised):
    with pytest.raises(raised) as found, book._trouble():
        raise error
    assert "\n" not in str(found.value)
