"""The class report: a page for the teacher that needs no network, made from the verdicts."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grading.pipeline.result import GRADED, NOT_YET

BARS = 10


def page(name, rows, assignment):
    """The report on an assignment as HTML. Everything that comes from outside is escaped."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    done = [row for row in rows if row.status == GRADED]
    most = sum(points for _, points in assignment.tests)
    return environment.get_template("report.html.j2").render(
        name=name,
        rows=[(row, {check.name: f"{check.points:g}" for check in row.checks}) for row in rows],
        done=done,
        most=most,
        average=sum(row.score for row in done) / len(done) if done else 0,
        not_sandboxed=sum(not row.sandboxed for row in done),
        scores=distribution([row.score for row in done], most),
        exercises=[(name, points, _right(done, name)) for name, points in assignment.tests],
        mistakes=mistakes(done),
        people=[(row.student, row.status, why) for row in rows if (why := why_a_person(row))],
        written=[name for name, _ in assignment.written],
        share=lambda count, of: round(100 * count / of) if of else 0,
    )


def distribution(scores, most):
    """Counts of scores, as (label, count): a line a point, or a range of points where there are many."""
    step = max(1, -(-int(most) // BARS)) if most > 2 * BARS else 1
    lines = []
    for low in range(0, int(most) + 1, step):
        high = min(low + step, most + 1)
        label = f"{low}" if step == 1 else f"{low} to {low + step - 1}"
        lines.append((label, sum(low <= score < high for score in scores)))
    return lines


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


def why_a_person(row):
    """Why somebody should look at a submission: reasons, none where there are none."""
    return [*([row.reason] if row.status not in (GRADED, NOT_YET) else []), *row.notes]


def _right(rows, name):
    return sum(c.points == c.max_points for row in rows for c in row.checks if c.name == name)
