"""The class report counts what the verdicts say."""

from dataclasses import replace

import pytest

from grading.pipeline.assignments import Assignment
from grading.pipeline.report import distribution, mistakes, page, why_a_person
from grading.pipeline.result import GRADED, NOT_GRADABLE, NOT_YET, CheckResult, Result


def check(name, points, mistake=None, message=""):
    return CheckResult(name, points, 2, message, mistake)


def row(student, *checks, **more):
    return Result(GRADED, student=student, checks=checks, **{"sandboxed": True} | more)


UNREADABLE = Result(NOT_GRADABLE, student="gil", reason="gil.ipynb is not a notebook")


@pytest.mark.parametrize(
    ("scores", "most", "lines"),
    [
        ([0, 2, 2, 1.5], 2, [("0", 1), ("1", 1), ("2", 2)]),
        ([], 1, [("0", 0), ("1", 0)]),
        ([0, 2, 3, 21, 20.5], 21, [("0 to 2", 2), ("3 to 5", 1), ("18 to 20", 1), ("21 to 23", 1)]),
    ],
)
def test_every_score_is_counted_in_one_line(scores, most, lines):
    found = distribution(scores, most)
    assert [line for line in found if line[1] or most < 3] == lines
    assert sum(count for _, count in found) == len(scores)


def test_the_most_common_mistake_comes_first_with_its_sentence():
    rows = [
        row("ana", check("double", 0, "halved", "it is halved.\n  seen with 3")),
        row("bo", check("double", 0, "squared", "it is squared."), check("root", 0, "squared", "no root.")),
        row("cy", check("double", 0, "squared", "it is squared."), check("root", 0, None, "wrong.")),
    ]
    assert mistakes(rows) == [
        {"exercise": "double", "name": "squared", "sentence": "it is squared.", "students": ["bo", "cy"]},
        {"exercise": "double", "name": "halved", "sentence": "it is halved.", "students": ["ana"]},
        {"exercise": "root", "name": "squared", "sentence": "no root.", "students": ["bo"]},
    ]


def test_a_person_is_needed_for_failures_and_notes():
    assert why_a_person(row("ana")) == []
    assert why_a_person(row("ana", notes=["cell 4 was left out"])) == ["cell 4 was left out"]
    assert why_a_person(Result(NOT_YET, student="ana", reason="this run was for others")) == []
    assert why_a_person(replace(UNREADABLE, notes=("a note",))) == ["gil.ipynb is not a notebook", "a note"]


def test_the_page_has_averages_of_the_graded_and_escapes_everything():
    assignment = Assignment("01_sums", (("double", 2), ("root", 2)), (("why", 3),), None, False)
    rows = [
        row("ana", check("double", 2), check("root", 2)),
        row("<b>bo</b>", check("double", 2), check("root", 0, "sq", "<script>no</script>"), sandboxed=False),
        row("cy", check("double", 2), check("root", 2)),
        UNREADABLE,
    ]
    text = " ".join(page("01_sums", rows, assignment).split())
    assert "4 submissions, 3 graded, on average 3.3 of 4 points" in text
    assert "1 of them were graded without a sandbox" in text
    assert '3 of 3</td><td class="number">100%' in text and '2 of 3</td><td class="number">67%' in text
    assert "&lt;b&gt;bo&lt;/b&gt;" in text and "<b>bo" not in text and "<script>no" not in text
    assert "gil.ipynb is not a notebook" in text
    assert "0 graded" in page("01_sums", [UNREADABLE], assignment)
