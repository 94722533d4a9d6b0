"""Grade notebooks from the command line: python -m grading check NOTEBOOK, or run ASSIGNMENT."""

import argparse
import json
import sys
from pathlib import Path

from grading import loading
from grading.pipeline.assignments import NotGradable, assignments, find_assignment
from grading.pipeline.result import GRADED


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m grading", description="Grade this course's exercises.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="grade one notebook and print points and messages")
    check.add_argument("notebook")
    check.add_argument("--assignment", help="the exercise it belongs to, where neither name nor cells tell")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.add_argument("--require-sandbox", action="store_true", help="refuse to run without bubblewrap")
    start = commands.add_parser("start", help="copy the notebooks into your own folder, or update the copies")
    start.add_argument("--into", default="my", help="the folder (default: my)")
    collect = commands.add_parser("collect", help="put what a platform handed out into submitted/")
    collect.add_argument("source", help="the zip file or folder that the platform gave, or STUDENT/ folders")
    collect.add_argument("--roster", required=True, metavar="CSV", help="the platform's list of students")
    collect.add_argument("--assignment", help="the exercise (default: the one of most notebooks)")
    collect.add_argument("--course", default=".", help="the folder that holds submitted/ (default: this one)")
    run = commands.add_parser("run", help="grade all that was handed in for an assignment")
    run.add_argument("assignment", metavar="ASSIGNMENT")
    run.add_argument("--course", default=".", help="the folder that holds submitted/ (default: this one)")
    where = run.add_mutually_exclusive_group()
    where.add_argument("--workers", type=_count, metavar="N", help="processes on this machine (one a core)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a running dask scheduler: tcp://HOST:8786")
    run.add_argument("--student", action="append", default=[], metavar="S", help="only this one, or these")
    run.add_argument("--db", metavar="URL", help="the gradebook (gradebook.db in the course's folder)")
    run.add_argument("--require-sandbox", action="store_true", help="refuse to run without bubblewrap")
    run.add_argument("--no-feedback", action="store_true", help="leave the feedback pages for another time")
    run.add_argument("--again", action="store_true", help="also what was graded already")
    run.add_argument("--seed", type=int, metavar="N", help="draw the same inputs for every submission")
    export = commands.add_parser("export", help="put the grades into a sheet of Canvas or Moodle")
    export.add_argument("assignment", metavar="ASSIGNMENT")
    export.add_argument("sheet", help="the CSV file that the platform exported")
    export.add_argument("--out", required=True, help="the CSV file to write, for the platform to import")
    export.add_argument("--column", help="the column that takes the grade (Moodle: Grade)")
    export.add_argument("--course", default=".", help="the folder of the course (default: this one)")
    export.add_argument("--db", metavar="URL", help="the gradebook (gradebook.db in the course's folder)")
    back = commands.add_parser("return", help="put the feedback pages into a zip file for Canvas or Moodle")
    back.add_argument("assignment", metavar="ASSIGNMENT")
    back.add_argument("--out", required=True, metavar="ZIP", help="the file to write, for the platform")
    back.add_argument("--course", default=".", help="the folder of the course (default: this one)")
    back.add_argument("--db", metavar="URL", help="the gradebook (gradebook.db in the course's folder)")
    options = parser.parse_args(arguments)
    if options.command == "run":
        return run_all(options)
    if options.command == "export":
        return export_grades(options)
    if options.command == "return":
        return hand_back(options)
    if options.command == "collect":
        return collect_all(options)
    from grading.sandbox.client import SandboxError

    try:
        return start_work(options) if options.command == "start" else check_one(options)
    except (NotGradable, SandboxError) as error:
        print(error, file=sys.stderr)
        return 2


def check_one(options):
    from grading.pipeline.grade import grade
    from grading.sandbox.client import Sandbox

    known = assignments()
    if options.assignment and options.assignment not in known:
        raise NotGradable(f"no exercise is called {options.assignment}: choose from {', '.join(known)}")
    assignment = known.get(options.assignment) or find_assignment(options.notebook, known)
    with Sandbox(options.require_sandbox, assignment.reviews) as sandbox:
        if not sandbox.sandboxed:
            print(NOT_SANDBOXED, file=sys.stderr)
        report = grade(options.notebook, sandbox, assignment)
    print(json.dumps(report.as_json(), indent=2) if options.json else as_text(report))
    return 0


def start_work(options):
    from grading.start import copy_notebooks

    written, kept = copy_notebooks(options.into)
    if written:
        print(f"{options.into}: {len(written)} notebooks copied or updated")
    for own in kept:
        print(f"{own} stays as you changed it. The course has a newer version: to get it, rename yours")
    return 0


def collect_all(options):
    from grading.pipeline import collect
    from grading.pipeline.result import write_text

    course = Path(options.course)

    def place(student, name):
        return course / "submitted" / student / name

    try:
        if options.assignment and options.assignment not in assignments():
            raise collect.CollectError(
                f"no exercise is called {options.assignment}: choose from {', '.join(assignments())}"
            )
        roster = collect.read_roster(options.roster)
        name, *found = collect.collect(options.source, roster, place, options.assignment)
        report = course / "graded" / f"{name}.collected.txt"
        text = collect.as_text(name, *found)
        write_text(report, text + "\n")
    except (collect.CollectError, OSError, UnicodeError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{text}\n{report} holds this list.")
    return 0


def export_grades(options):
    from grading.pipeline.export import SheetError, fill, scores_of
    from grading.pipeline.gradebook import GradebookError, Refused
    from grading.pipeline.run import Run, RunError

    try:
        run = Run(options.assignment, options.course, options.db)
        filled = fill(options.sheet, options.out, scores_of(run), options.column)
    except (SheetError, RunError, GradebookError, Refused, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {filled.grades} grades")
    without = [student for student in filled.not_graded if run.status(student) not in (None, GRADED)]
    waiting = [student for student in filled.not_graded if student not in without]
    for students, why in (
        (without, "have no grade: their submission could not be graded"),
        (waiting, "have answers that a person has still to grade"),
        (filled.not_in_sheet, "are not in the sheet"),
    ):
        if students:
            print(f"{', '.join(students)} {why}")
    return 0


def hand_back(options):
    from grading.pipeline.hand_back import write_zip
    from grading.pipeline.run import Run, RunError

    try:
        ready, waiting = write_zip(Run(options.assignment, options.course, options.db), options.out)
    except (RunError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {len(ready)} feedback pages")
    if waiting:
        print(f"{', '.join(waiting)} have no final grade yet, so their pages are left out")
    return 0


def _count(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def run_all(options):
    from grading.pipeline import executor
    from grading.sandbox.client import SandboxError, shared_sandbox

    assignment = assignments().get(options.assignment)
    if options.scheduler or not assignment:
        options.require_sandbox = True
        return _run_all(options, None)
    try:
        with shared_sandbox(options.require_sandbox, assignment.reviews) as (shared, sandboxed):
            options.require_sandbox = sandboxed  # a run that begins with a sandbox never goes on without
            executor.prepare()
            return _run_all(options, shared)  # both start while the rest is loaded
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 2


def _run_all(options, shared):
    # jsonschema would load it for a second, to check a kind of address that no notebook has
    sys.modules.setdefault("rfc3987_syntax", None)
    with loading():
        from grading.pipeline.run import Run, RunError, as_text

    try:
        run = Run(options.assignment, options.course, options.db)
        rows = run.grade(
            *(options.workers, options.scheduler, options.student, options.require_sandbox),
            *(options.again, options.seed, not options.no_feedback, shared),
        )
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What was graded is kept: run the same command again for the rest.", file=sys.stderr)
        return 130
    print(as_text(rows, run.assignment))
    print(f"{run.folder}.html is the class report, {run.folder}.csv the table.")
    return 0


NOT_SANDBOXED = (
    "NOT SANDBOXED: this system has no working bubblewrap, so the notebook runs with all your rights. "
    "Check only notebooks that you trust."
)


def as_text(report):
    """A report for people."""
    if report.status == GRADED:
        lines = [f"{report.assignment}: {report.score:g} of {report.max_score:g} points that tests can give"]
    else:
        lines = [f"{report.assignment}: {report.status}: {report.reason}"]
    for check in report.checks:
        sign = "✓" if check.points == check.max_points else "✗"
        lines.append(f"{sign} {check.name}: {check.points:g} of {check.max_points:g}")
        lines += [f"    {line}" for line in check.message.splitlines()]
    lines += [f"· {w['name']}: up to {w['max_points']:g} points, graded by a person" for w in report.written]
    lines += [f"Note: {note}" for note in report.notes]
    if not report.sandboxed:
        lines.append("Not sandboxed.")
    return "\n".join(lines)

