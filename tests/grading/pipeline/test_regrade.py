"""Grading again says whose points changed and why, and grades those again who ask for it."""

import re

import pytest

from examples.make_class import NAME, notebook
from grading import CourseError
from grading.pipeline.assignments import assignments
from grading.pipeline.gradebook import Book
from grading.pipeline.regrade import note, page, read_requests
from grading.pipeline.run import Run
from tests.grading.pipeline.test_run import hand_in
from tests.grading.points import POINTS

HEAD = "student,answer,reason\n"


def book(course):
    run = Run(NAME, course)
    found = Book(run.coursedir, run.config, run.assignment)
    found.open()
    return found


def changes(course):
    text = (course / "graded" / f"{NAME}.changes.html").read_text("utf-8")
    rows = re.findall(r'<th scope="row">(.*?)</th>\s*<td>(.*?)</td>\s*<td>(.*?)</td>', text, re.DOTALL)
    return [tuple(re.sub(r"<.*?>\s*", " ", cell).strip() for cell in row) for row in rows]


def test_a_page_says_whose_points_changed_and_why_and_a_request_opens_an_answer(here, tmp_path):
    for student in ("ana", "bo"):
        hand_in(tmp_path, student, notebook(right=("dot_score",)))

    def grade(**settings):
        with here():
            Run(NAME, tmp_path).grade(**settings)

    grade()
    grade()
    assert not (tmp_path / "graded" / f"{NAME}.changes.html").exists()

    hand_in(tmp_path, "ana", notebook(right=("dot_score", "attend")))
    grade()
    assert changes(tmp_path) == [("ana", "another submission", f"attend: 0, now {POINTS['attend']:g}")]

    for row in book(tmp_path).written("why_attention"):
        book(tmp_path).give(row["student"], "why_attention", 1, "", row["version"])
    asked = tmp_path / "asked.csv"
    asked.write_text(HEAD + "bo,why_attention,I said <b>more</b>\nbo,,all of it\n")
    grade(requests=asked)
    why = "request: why_attention: I said &lt;b&gt;more&lt;/b&gt;; request: all of it"
    assert changes(tmp_path)[0] == ("bo", why, "why_attention: 1, now waits for a person")
    assert len(changes(tmp_path)) == 2
    rows = book(tmp_path).written("why_attention")
    waits = {row["student"]: (row["needs"], row["points"]) for row in rows}
    assert waits == {"ana": (False, 1), "bo": (True, 1)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("student,reason\nana,x\n", "needs the columns student, answer, reason and a row"),
        (HEAD, "needs the columns student, answer, reason and a row for each request: no rows"),
        (HEAD + "eve,,x\n", "line 2: 'eve' has not handed in"),
        (HEAD + "ana,attend,x\nana,dots,x\n", r"line 3: expected an answer \(dot_score, .*, got 'dots'"),
    ],
)
def test_a_file_of_requests_that_cannot_be_used_says_why(text, said, tmp_path):
    (tmp_path / "asked.csv").write_text(text)
    with pytest.raises(CourseError, match=said):
        read_requests(tmp_path / "asked.csv", assignments()[NAME], ["ana"])


def test_the_page_is_read_on_every_screen(show, tmp_path):
    why, changed = f"request: {'why' * 40}", ["attend: 0, now 3", "dot: 2, now 0"]
    for run, student in (("2026-11-20 09:00:00 UTC", "ana"), ("2026-11-21 09:00:00 UTC", "x" * 90)):
        note(tmp_path / "changes", run, student, why, changed)
    note(tmp_path / "changes", run, "ana", "the course has changed", [])
    shown = show(page(NAME, tmp_path / "changes"))
    assert shown.locator("h2").all_inner_texts() == ["2026-11-21 09:00:00 UTC", "2026-11-20 09:00:00 UTC"]
    assert shown.locator("tbody th").all_inner_texts() == ["ana", "x" * 90, "ana"]
