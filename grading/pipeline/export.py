"""Put the grades into the sheet that a learning platform exported, so that it can be imported again."""

import contextlib
import csv
import re
from pathlib import Path

from grading import CourseError
from grading.pipeline.gradebook import Book

# Whose sheet it is: the column that says who a student is, and the column that takes the grade.
CANVAS, MOODLE = ("ID", None), ("Identifier", "Grade")


def fill(sheet, out, scores, column=None):
    """Write a copy of a CSV sheet with the scores of students in it.

    `scores` maps students, as their folder in submitted/ is called, to points or None. Canvas's
    gradebook knows students by its column ID, Moodle's grading worksheet by Identifier ("Participant
    4711"): the numbers by which `course collect` names students. `column` takes the grades:
    in Canvas the assignment's own, in Moodle it is Grade. Rows of others stay as they are. Return how many
    rows got a grade, the students who have none, and those who aren't in the sheet.
    """
    with Path(sheet).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames or []
    known = next((kind for kind in (MOODLE, CANVAS) if kind[0] in columns), None)
    if known is None:
        raise CourseError(
            f"{sheet} has neither a column ID (Canvas) nor Identifier (Moodle): export it again"
        )
    who, column = known[0], column or known[1]
    if column not in columns:
        missing = f"it has no column {column!r}; " if column else ""
        raise CourseError(
            f"{sheet}: {missing}name the column that takes the grade with --column ({', '.join(columns)})"
        )
    grades, not_graded, left = 0, [], dict(scores)
    for row in rows:
        number = re.search(r"\d+$", (row[who] or "").strip())
        student = number[0] if number else None
        if student not in scores:
            continue
        score = left.pop(student, None)
        if score is None:
            not_graded.append(student)
        else:
            row[column] = f"{score:g}"
            grades += 1
    with Path(out).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return grades, not_graded, sorted(left)


def scores_of(run):
    """Return every student's total in the gradebook of a `Run`, None if a person has still to grade."""
    book = Book(run.coursedir, run.config, run.assignment)
    book.open()
    with contextlib.closing(book.gradebook):
        found = book.standings(run.deadlines)
    if not found:
        raise CourseError(f"{run.name} is not in {book.name}: grade it first")
    return {student: standing.total for student, standing in found.items()}
