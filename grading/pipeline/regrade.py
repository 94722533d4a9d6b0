"""What grading again changed: whose points, and why. And the file of requests to grade again."""

import csv
import json
from itertools import groupby
from pathlib import Path

from grading import CourseError
from grading.pipeline.feedback import templates

COLUMNS = ["student", "answer", "reason"]


def read_requests(path, assignment, everybody):
    """Return the requests in a CSV file by student: lists of (answer, reason).

    Its columns are student, answer (empty for all answers) and reason.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {*COLUMNS} <= rows[0].keys():
        found = ", ".join(rows[0]) if rows else "no rows"
        raise CourseError(
            f"{path} needs the columns {', '.join(COLUMNS)} and a row for each request: {found}"
        )
    answers, found = dict(assignment.tests) | dict(assignment.written), {}
    for number, row in enumerate(rows, 2):
        student, answer, reason = ((row[column] or "").strip() for column in COLUMNS)
        if student not in everybody:
            raise CourseError(f"{path}, line {number}: {student!r} has not handed in {assignment.name}")
        if answer and answer not in answers:
            known = ", ".join(answers)
            raise CourseError(
                f"{path}, line {number}: expected an answer ({known}) or nothing, got {answer!r}"
            )
        found.setdefault(student, []).append((answer, reason))
    return found


def why(old, new, requests):
    """Return why a submission was graded again, for people."""
    if requests:
        return "; ".join(": ".join(filter(None, ("request", *about))) for about in requests)
    if not old.key or not new.key or old.key["submission"] != new.key["submission"]:
        return "another submission"
    return "the course has changed" if old.key["version"] != new.key["version"] else "graded again"


def difference(old, new, before, after):
    """Return what changed, in words. `before` and `after` are the gradebook's, see `Book.grades`."""
    found = [] if old.status == new.status else [f"{old.status}, now {new.status}"]
    for name, points in after["points"].items() if after else ():
        if points != before["points"].get(name):
            found.append(change(name.removeprefix("test_"), before["points"].get(name), points))
    return found


def change(name, before, now):
    """Return in words how the points of an answer changed. None means that it waits for a person."""
    before, now = ("waits for a person" if points is None else f"{points:g}" for points in (before, now))
    return f"{name}: {before}, now {now}"


def note(path, run, student, reason, changes):
    """Add a line to the file of changes."""
    line = {"run": run, "student": student, "why": reason, "changes": changes}
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def page(name, path):
    """Return the page of all changes as HTML: a table for each run, the newest first."""
    lines = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines() if line.endswith("}")]
    runs = [
        (run, sorted(rows, key=lambda row: row["student"]))
        for run, rows in groupby(lines, key=lambda line: line["run"])
    ]
    return templates().get_template("regrade.html.j2").render(name=name, runs=runs[::-1])
