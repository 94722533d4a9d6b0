"""Grades go into the sheets of learning platforms."""

import csv

import pytest

from grading import CourseError
from grading.pipeline.export import fill

CANVAS = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Exercise 2 (1234)
    Points Possible,,,,,17.00
"Doe, Jane",10412,,jane,A,
"Smith, John",10413,,john,A,3
"""
MOODLE = """Identifier,"Full name",Status,Grade,"Maximum grade"
"Participant 4711","Ada Lovelace",Submitted,,17
"Participant 4712","Alan Turing",Submitted,,17
"""


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_canvas_sheet_gets_the_scores_and_keeps_the_rest(tmp_path):
    sheet, out = tmp_path / "canvas.csv", tmp_path / "import.csv"
    sheet.write_text(CANVAS, "utf-8")
    assert fill(sheet, out, {"10412": 12.5, "99": 1.0}, column="Exercise 2 (1234)") == (1, [], ["99"])
    head, possible, jane, john = rows(out)
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Exercise 2 (1234)"]
    assert possible[-1] == "17.00"
    assert jane == ["Doe, Jane", "10412", "", "jane", "A", "12.5"]
    assert john[-1] == "3"


def test_moodle_sheet_leaves_out_whom_a_person_has_still_to_grade(tmp_path):
    sheet, out = tmp_path / "moodle.csv", tmp_path / "import.csv"
    sheet.write_text(MOODLE, "utf-8")
    assert fill(sheet, out, {"4711": 17.0, "4712": None}) == (1, ["4712"], [])
    assert [row[3] for row in rows(out)] == ["Grade", "17", ""]


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        (CANVAS, None, "sheet.csv: name the column that takes the grade with --column"),
        (CANVAS, "Exercise", "it has no column 'Exercise'; name the column"),
        ("a,b\n1,2\n", None, "export it again"),
    ],
)
def test_a_sheet_that_cannot_be_filled_is_said(text, column, reason, tmp_path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(text, "utf-8")
    with pytest.raises(CourseError, match=reason):
        fill(sheet, tmp_path / "out.csv", {}, column)
    assert not (tmp_path / "out.csv").exists()
