"""The class report: a page for the teacher that needs no network, made from the verdicts."""

import csv
import io
import re
from datetime import UTC, datetime
from statistics import correlation, quantiles
from urllib.parse import quote

from grading.pipeline.draft import command
from grading.pipeline.feedback import LOST, PARTLY, RIGHT, UNWRITTEN, WRONG, code, state, templates, titles
from grading.pipeline.lessons import section
from grading.pipeline.result import GRADED, NOT_YET

BARS = 10
STATES = (RIGHT, PARTLY, WRONG, UNWRITTEN, LOST)
SIGNS = {RIGHT: "✓", PARTLY: "~", WRONG: "✗", UNWRITTEN: "·", LOST: "?"}
FEW = 4  # with fewer submissions, discrimination says nothing


def page(name, rows, assignment, before="", answer=lambda student, name: "", site="", **about):
    """The report on an assignment as HTML. Everything that comes from outside is escaped.

    `before` is the table of the last run as CSV. `answer(student, name)` returns a student's source. `about`
    has the absent students, the seed and what else the page says of the run.
    """
    done = [row for row in rows if row.status == GRADED]
    tests = dict(assignment.tests)
    tested = [(title, check) for title, check, _ in titles(assignment.notebook) if check in tests]
    scores = [row.score for row in done]
    totals = [total for row in rows if (total := total_of(row)) is not None]
    most = sum(tests.values())
    template = templates().get_template("report.html.j2")
    return template.render(
        name=name,
        rows=[(row, {check.name: (check, state(check)) for check in row.checks}) for row in rows],
        done=done,
        most=most,
        all_points=most + sum(points for _, points in assignment.written),
        spread=spread(scores),
        total_spread=spread(totals),
        totals=len(totals),
        not_sandboxed=sum(not row.sandboxed for row in done),
        scores=distribution(scores, most),
        exercises=[(title, item(done, check, tests[check])) for title, check in tested],
        mistakes=[(entry, section(entry["exercise"], entry["name"], site)) for entry in mistakes(done)],
        groups=[(group, code(answer(group["students"][0], group["exercise"]))) for group in unnamed(done)],
        people=[(row.student, row.status, why) for row in rows if (why := why_a_person(row))],
        late=[row for row in rows if row.standing and row.standing.late],
        written=[name for name, _ in assignment.written],
        waiting=[row.student for row in done if row.standing and row.standing.total is None],
        changes=changes(before, rows),
        command=command,
        number=lambda title: (re.findall(r"\d+\.\d+", title) or [""])[0],
        share=lambda count, of: round(100 * count / of) if of else 0,
        link=lambda student: quote(f"../feedback/{student}/{name}/{name}.html"),
        signs=SIGNS,
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=next((row.key["version"][:12] for row in rows if row.key), ""),
        **{"absent": (), "seed": None} | about,
    )


def total_of(row):
    """Return the points of tests and persons without the penalty, or None if a person has yet to grade."""
    return row.standing.total if row.standing else None


def spread(scores):
    """Return the least, the quartiles, the most and the mean of scores, or None if there are none."""
    if not scores:
        return None
    low, middle, high = quantiles(scores * (1 + (len(scores) == 1)), n=4, method="inclusive")
    return {
        "least": min(scores),
        "lower quartile": low,
        "median": middle,
        "upper quartile": high,
        "most": max(scores),
        "mean": sum(scores) / len(scores),
    }


def distribution(scores, most):
    """Counts of scores, as (label, count): a line a point, or a range of points where there are many."""
    step = max(1, -(-int(most) // BARS)) if most > 2 * BARS else 1
    lines = []
    for low in range(0, int(most) + 1, step):
        high = min(low + step, most + 1)
        label = f"{low}" if step == 1 else f"{low} to {low + step - 1}"
        lines.append((label, sum(low <= score < high for score in scores)))
    return lines


def item(rows, name, points):
    """Return how an exercise did: counts by state, the share of its points, and its discrimination.

    The share is what test theory calls difficulty: 100% is an easy exercise. Discrimination is the
    correlation of an exercise's points with the points of all others, None where one of both is constant.
    """
    checks = [(check, row.score - check.points) for row in rows for check in row.checks if check.name == name]
    own, rest = [check.points for check, _ in checks], [other for _, other in checks]
    varies = len(checks) >= FEW and len(set(own)) > 1 and len(set(rest)) > 1
    return {
        "name": name,
        "points": points,
        "counts": {each: sum(state(check) == each for check, _ in checks) for each in STATES},
        "share": sum(own) / (points * len(own)) if own and points else 0,
        "discrimination": correlation(own, rest) if varies else None,
    }


def mistakes(rows):
    """The known mistakes with who made them, those that most share first."""
    found = {}
    for row in rows:
        for check in row.checks:
            if check.mistake:
                at = check.name, check.mistake
                sentence = check.message.split("\n")[0]
                entry = {"exercise": at[0], "name": at[1], "sentence": sentence, "students": []}
                found.setdefault(at, entry)["students"].append(row.student)
    return sorted(found.values(), key=lambda mistake: -len(mistake["students"]))


def unnamed(rows):
    """The failures that no known mistake explains, in groups that did the same on the same probes."""
    found = {}
    for row in rows:
        for check in row.checks:
            if check.mistake or state(check) not in (WRONG, PARTLY):
                continue
            same = tuple(check.behavior) or row.student  # what was not probed is like nothing else
            entry = {"exercise": check.name, "message": check.message, "students": []}
            entry["wrong"] = check.wrong
            found.setdefault((check.name, same), entry)["students"].append(row.student)
    return sorted(found.values(), key=lambda group: -len(group["students"]))


def changes(before, rows):
    """Return what a table of an earlier run, as CSV, doesn't say: (student, what was, what is).

    None stands for a run that had no earlier one.
    """
    if not before:
        return None
    old = {row["student"]: (row["score"], row["total"]) for row in csv.DictReader(io.StringIO(before))}
    found = []
    for row in rows:
        new = tuple("" if points is None else f"{points:g}" for points in (row.score, total_of(row)))
        was = old.get(cell(row.student))
        if was != new:
            found.append((row.student, "new" if was is None else _points(*was), _points(*new)))
    return found


def _points(score, total):
    return f"{score or 'no'} points" + f", {total} in all" * bool(total)


def cell(text):
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def why_a_person(row):
    """Why somebody should look at a submission: reasons, none where there are none."""
    return [*([row.reason] if row.status not in (GRADED, NOT_YET) else []), *row.notes]
