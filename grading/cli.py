"""The command `course`: open the lessons, check an exercise, grade a class. Try `course --help`."""

import argparse
import contextlib
import difflib
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

from grading import CourseError, loading
from grading.pipeline.assignments import ROOT, NotGradable, find_assignment, named
from grading.pipeline.missing import failure
from grading.pipeline.result import GRADED, mark

NOT_SANDBOXED = (
    "NOT SANDBOXED: this system has no working bubblewrap, so the notebook runs with all your rights. "
    "Check only notebooks that you trust."
)
COLORS = {"✓": 32, "~": 33, "✗": 31}  # green, yellow and red on terminals


def main(arguments=None):
    """Run the command line and return its exit status."""
    try:
        try:
            return _main(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `course check 02 | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it exits
        return 141  # as shells report a command that the closed pipe ended


def _main(arguments):
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # old consoles of Windows know no check marks
    all_commands = parser()
    options, rest = all_commands.parse_known_args(arguments)
    if rest and not hasattr(options, "passed_on"):
        all_commands.error(f"unrecognized arguments: {' '.join(rest)}")
    options.passed_on = rest
    try:
        return options.run(options) or 0
    except BrokenPipeError:
        raise
    except (CourseError, OSError, UnicodeError, SyntaxError) as error:
        if isinstance(error, PermissionError) or getattr(error, "errno", 0) == errno.EROFS:
            why = "permission denied. Run this command in your own folder, where you may write"
            error = f"{error.filename}: {why}"
        elif isinstance(error, FileNotFoundError):
            error = f"there is no {error.filename}"
        elif isinstance(error, SyntaxError):  # of an exercise's own files: students' code runs elsewhere
            error = f"{error.filename}, line {error.lineno}: {error.msg}. Correct it, and run this again"
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What was graded is kept: run the same command again for the rest.", file=sys.stderr)
        return 130


def parser():
    """Return the parser of all commands: each is a function below, and its docstring is its help."""
    parser = argparse.ArgumentParser(prog="course", description="Work on this course, or grade a class.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name, run, *parents, **settings):
        text = run.__doc__.rstrip(".")
        added = commands.add_parser(name, help=text, description=f"{text}.", parents=parents, **settings)
        added.set_defaults(run=run)
        return added

    one, safe, place, book, trust = (argparse.ArgumentParser(add_help=False) for _ in range(5))
    one.add_argument("assignment", metavar="ASSIGNMENT", help="an exercise, such as 02_attention")
    safe.add_argument("--require-sandbox", action="store_true", help="refuse to run without bubblewrap")
    place.add_argument("--course", default=".", metavar="FOLDER", help="the class's folder (default: .)")
    book.add_argument("--db", metavar="URL", help="the gradebook (default: gradebook.db in that folder)")
    trust.add_argument("--allow-unsandboxed", action="store_true", help="grade even without a sandbox")

    command("lab", open_lab).set_defaults(passed_on=[])
    add = command("start", start_work).add_argument
    add("--into", default="my", metavar="FOLDER", help="the folder (default: my)")
    add = command("check", check_notebooks, safe).add_argument
    add("what", nargs="+", help="a name, which stands for my/exercises/NAME.ipynb, a notebook, or a folder")
    add("--assignment", help="the exercise it belongs to, if neither its name nor its cells tell")
    add("--json", action="store_true", help="print the result as JSON")
    add("--fail-under", type=float, metavar="PERCENT", help="exit with 1 if a notebook has fewer points")
    add = command("collect", collect_all, place).add_argument
    add("source", help="the zip file or folder that the platform gave, or STUDENT/ folders")
    add("--roster", required=True, metavar="CSV", help="the platform's list of students")
    add("--assignment", help="the exercise (default: the one of most notebooks)")
    add = command("grade", grade_all, one, place, book, safe).add_argument
    add("--workers", type=_count, metavar="N", help="processes (default: one per core, 2 GiB each)")
    add("--scheduler", metavar="ADDRESS", help="a running dask scheduler: tcp://HOST:8786")
    add("--student", action="append", default=[], metavar="S", help="only this student; may be repeated")
    add("--no-feedback", action="store_true", help="do not write feedback pages")
    add("--requests", metavar="CSV", help="grade again who asks for it: columns student, answer, reason")
    add("--again", action="store_true", help="also grade what was graded already")
    add("--seed", type=int, metavar="N", help="draw the same inputs for every submission")
    command("written", grade_written, one, place, book)
    command("formgrader", open_formgrader, place).set_defaults(passed_on=[])
    add = command("draft", draft_mistake, one, place).add_argument
    add("exercise", help="the function or class that is wrong, such as attend")
    add("student", help="whose answer it is")
    command("similar", show_similar, one, place)
    add = command("export", export_grades, one, place, book).add_argument
    add("sheet", help="the CSV file that the platform exported")
    add("--out", required=True, metavar="CSV", help="the file to write, for the platform to import")
    add("--column", help="the column that takes the grade (Moodle: Grade)")
    add = command("return", return_feedback, one, place, book).add_argument
    add("--out", required=True, metavar="ZIP", help="the file to write, for the platform")
    add = command("new", new_exercise).add_argument
    add("name", help="its name, such as 10_smoothing")
    add = command("author", prove_exercise).add_argument
    add("name", help="the exercise or its number")
    add = command("package", package_gradescope, one, trust).add_argument
    add("--wheel", required=True, metavar="WHL", help="the course, as `make wheel` builds it")
    add("--out", required=True, metavar="ZIP", help="the file to write, for Gradescope")
    add = command("gradescope", run_gradescope, one, trust).add_argument
    add("--root", default="/autograder", metavar="FOLDER", help="where Gradescope keeps a submission")
    command("site", build_site).set_defaults(passed_on=[])
    return parser


def _count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


# Notebooks in JupyterLab


def open_lab(options):
    """Open JupyterLab on the first lesson; options of JupyterLab, such as --no-browser, are passed on."""
    start_work(argparse.Namespace(into="my"))
    first = min(Path("my", "demo").glob("*.ipynb"))
    _jupyter(Path.cwd(), f"/lab/tree/{first.as_posix()}", options.passed_on)


def open_formgrader(options):
    """Open Formgrader, which shows whole graded notebooks; options of JupyterLab are passed on."""
    folder = Path(options.course).resolve()
    if not folder.is_dir():
        raise CourseError(f"there is no folder {folder}: name the class's folder with --course")
    _jupyter(folder, "/formgrader", options.passed_on)


def _jupyter(folder, page, passed_on):
    """Run JupyterLab in a folder with its own settings: those in the reader's home folder have no effect.

    It runs in this process, so that Ctrl-C and SIGTERM reach it and it can end its kernels.
    """
    settings = folder / ".jupyter"
    page_config = settings / "labconfig" / "page_config.json"
    page_config.parent.mkdir(parents=True, exist_ok=True)
    page_config.write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}\n')
    arguments = [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url={page}", *passed_on]
    if hasattr(os, "getuid") and os.getuid() == 0:
        arguments.append("--allow-root")
    os.environ |= {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "JUPYTER_CONFIG_DIR": str(settings),
        "JUPYTER_CONFIG_PATH": str(ROOT),  # for nbgrader_config.py
        "JUPYTER_DATA_DIR": str(settings / "data"),
        "ATTENTION_CLASS": str(folder),
    }
    os.environ.pop("PYTHONSAFEPATH", None)  # notebooks may import the reader's own modules
    os.chdir(folder)
    from jupyterlab.labapp import LabApp  # now, because it reads the environment when it is imported

    LabApp.launch_instance(arguments)


def start_work(options):
    """Copy the notebooks into your own folder, or update the copies that you have not changed."""
    from grading.start import copy_notebooks

    written, kept = copy_notebooks(options.into)
    if written or not kept:
        print(f"{options.into}: {f'{len(written)} notebooks copied or updated' if written else 'up to date'}")
    for own in kept:
        print(f"{own} stays as you changed it. The course has a newer version: to get it, rename yours")


def check_notebooks(options):
    """Grade your own notebooks, and print their points and what is wrong."""
    from grading.sandbox.client import Sandbox

    paths = [path for what in options.what for path in _notebooks(what)]
    reports, not_gradable = {}, {}
    for path in paths:
        try:
            reports[path] = named(options.assignment) if options.assignment else find_assignment(path)
        except NotGradable as error:
            if len(paths) == 1:
                raise
            not_gradable[path] = error
    many = len(reports) > 1
    reviews = many and any(one.reviews for one in reports.values())
    with Sandbox(options.require_sandbox, reviews, many=many) as sandbox:
        with loading():  # while the sandbox starts
            import torch

            from grading.judge.registry import load_checks
            from grading.pipeline.grade import grade

            load_checks({one.name for one in reports.values()})
        torch.set_num_threads(1)  # the matrices are small: more threads wait for each other on a busy machine
        if not sandbox.sandboxed:
            print(NOT_SANDBOXED, file=sys.stderr)
        for path, assignment in reports.items():
            with _status_line(path.name) as progress:
                reports[path] = grade(path, sandbox, assignment, progress=progress)
    if options.json:
        found = [report.as_json() for report in reports.values()]
        print(json.dumps(found[0] if len(paths) == 1 else found, indent=2))
    elif len(paths) == 1:
        print(as_text(reports[paths[0]], _in_color()))
    else:
        print(as_table(reports, _in_color()))
        print(*(f"not graded: {error}" for error in not_gradable.values()), sep="\n", end="")
    least = (options.fail_under or 0) / 100
    return int(any((report.score or 0) < least * report.max_score for report in reports.values()))


def _notebooks(what):
    """Return the paths of the notebooks that a word of the command line stands for."""
    path = Path(what)
    if path.is_dir():
        found = [p for p in sorted(path.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
        if not found:
            raise CourseError(f"there is no notebook in {path}: name a folder with notebooks")
        return found
    if not path.exists() and path.suffix != ".ipynb":
        path = Path("my", "exercises", f"{named(what).name}.ipynb")
    if not path.exists():
        others = {other.name: other for other in path.parent.glob("*.ipynb")}
        close = difflib.get_close_matches(path.name, others, n=1)
        hint = f"did you mean {others[close[0]]}?" if close else "`course start` copies the exercises to my/"
        raise CourseError(f"there is no {path}: {hint}")
    return [path]


def _in_color():
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@contextlib.contextmanager
def _status_line(name):
    """On a terminal, show what is being done; the line disappears at the end."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    try:
        yield lambda text: print(f"\r\x1b[K{name}: {text}", end="", file=sys.stderr, flush=True)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _paint(text, sign, wanted):
    return f"\x1b[{COLORS[sign]}m{text}\x1b[0m" if wanted else text


def as_text(report, color=False):
    """A report for people: first the cells that failed, then the points."""
    if report.status == GRADED:
        lines = [f"{report.assignment}: {report.score:g} of {report.max_score:g} points that tests can give"]
    else:
        lines = [f"{report.assignment}: {report.status}: {report.reason}"]
    failed = [(number, cell, why) for number, cell in enumerate(report.cells, 1) if (why := failure(cell))]
    for number, cell, why in failed:
        name = f" ({cell['name']})" if cell["name"] else ""
        lines.append(_paint(f"! cell {number}{name} fails in {why}", "✗", color))
    for check in report.checks:
        sign = mark(check.points, check.max_points)
        lines.append(f"{_paint(sign, sign, color)} {check.name}: {check.points:g} of {check.max_points:g}")
        lines += [f"    {line}" for line in check.message.splitlines()]
    lines += [f"· {w['name']}: up to {w['max_points']:g} points, graded by a person" for w in report.written]
    lines += [f"Note: {note}" for note in report.notes]
    if not report.sandboxed:
        lines.append("Not sandboxed.")
    return "\n".join(lines)


def as_table(reports, color=False):
    """A line per notebook: its points, and the answers that are still wrong."""
    lines = []
    for path, report in reports.items():
        wrong = [
            f"{check.name} ({check.points:g} of {check.max_points:g})" if check.points else check.name
            for check in report.checks
            if check.points < check.max_points
        ]
        score = f"{report.score or 0:g} of {report.max_score:g}"
        rest = ", ".join(wrong) if report.status == GRADED else report.reason
        sign, width = "✗" if rest else "✓", max(len(p.stem) for p in reports)
        lines.append(f"{_paint(sign, sign, color)} {path.stem:<{width}}  {score:>11}  {rest}".rstrip())
    score = sum(report.score or 0 for report in reports.values())
    most = sum(report.max_score for report in reports.values())
    return "\n".join([*lines, f"{score:g} of {most:g} points. For messages, check one exercise by its name."])


# Classes


def collect_all(options):
    """Put what a learning platform handed out into submitted/."""
    from grading.pipeline import collect, deadlines
    from grading.pipeline.result import write_text

    course = Path(options.course)

    def place(student, name):
        return course / "submitted" / student / name

    if options.assignment:
        named(options.assignment)
    roster = collect.read_roster(options.roster, deadlines.read(course).zone)
    name, platform, count, notes = collect.collect(options.source, roster, place, options.assignment)
    report = course / "graded" / f"{name}.collected.txt"
    notes["absent"] = collect.all_absent(notes["absent"], report, name, place)
    text = collect.as_text(name, platform, count, notes)
    write_text(report, text + "\n")
    print(f"{text}\n{report} holds this list.")


def grade_all(options):
    """Grade everything that was handed in for an assignment."""
    from grading.pipeline import executor
    from grading.sandbox.client import shared_sandbox

    if options.workers and options.scheduler:
        raise CourseError("--workers and --scheduler exclude each other: workers belong to this machine")
    assignment = named(options.assignment)
    for file in (ROOT / "grading" / "exercises" / assignment.name).glob("*.py"):
        compile(file.read_bytes(), file, "exec")  # report a syntax error once, before any worker starts
    if options.scheduler:
        options.require_sandbox = True
        return _grade_all(options, None)
    with shared_sandbox(options.require_sandbox, assignment.reviews) as (shared, sandboxed):
        options.require_sandbox = sandboxed  # a run that begins with a sandbox never goes on without
        executor.prepare()
        return _grade_all(options, shared)  # both start while the rest is loaded


def _grade_all(options, shared):
    # jsonschema would load it for a second, to check a kind of address that no notebook has
    sys.modules.setdefault("rfc3987_syntax", None)
    with loading():
        from grading.pipeline.run import Run, as_text

    run = Run(options.assignment, options.course, options.db)
    rows = run.grade(
        *(options.workers, options.scheduler, options.student, options.require_sandbox),
        *(options.again, options.seed, not options.no_feedback, shared, options.requests),
    )
    print(as_text(rows, run.assignment))
    print(f"{run.folder}.html is the class report, {run.folder}.csv the table.")
    if run.changes.is_file():
        print(f"{run.folder}.changes.html shows whose points changed, and why.")


def grade_written(options):
    """Serve a page on which you grade written answers, with the rubric beside them."""
    from grading.pipeline.run import Run
    from grading.pipeline.written import serve

    serve(Run(options.assignment, options.course, options.db))


def draft_mistake(options):
    """Print a draft for the bank of mistakes, made from a student's wrong answer."""
    from grading.pipeline.draft import draft

    print(draft(Path(options.course), named(options.assignment).name, options.exercise, options.student))


def show_similar(options):
    """List students whose answers are alike and wrong in the same rare way: evidence, not a verdict."""
    from grading.pipeline import result, similar

    name = named(options.assignment).name
    folder = Path(options.course) / "graded" / name
    records = [found for path in sorted(folder.glob("*.json")) if (found := result.read(path))]
    if not records:
        raise CourseError(
            f"there are no records in {folder}: grade the class first with `course grade {name}`"
        )
    found = similar.pairs(records, similar.given(name))
    print(similar.ABOUT, *found, f"{len(found)} pairs among {len(records)} students", sep="\n\n")


def export_grades(options):
    """Put the grades into a sheet of Canvas or Moodle."""
    from grading.pipeline.export import fill, scores_of
    from grading.pipeline.run import Run

    run = Run(options.assignment, options.course, options.db)
    grades, not_graded, not_in_sheet = fill(options.sheet, options.out, scores_of(run), options.column)
    print(f"{options.out}: {grades} grades")
    without = [student for student in not_graded if run.status(student) not in (None, GRADED)]
    waiting = [student for student in not_graded if student not in without]
    for students, why in (
        (without, "no grade, because the submission could not be graded"),
        (waiting, f"no grade before a person has graded all answers (course written {run.name})"),
        (not_in_sheet, "not in the sheet"),
    ):
        if students:
            print(f"{why}: {', '.join(students)}")


def return_feedback(options):
    """Put the feedback pages into a zip file for Canvas or Moodle."""
    from grading.pipeline.hand_back import write_zip
    from grading.pipeline.run import Run

    ready, waiting = write_zip(Run(options.assignment, options.course, options.db), options.out)
    print(f"{options.out}: {len(ready)} feedback pages")
    if waiting:
        print(f"left out, because there is no final grade yet: {', '.join(waiting)}")


def new_exercise(options):
    """Write the files of a new exercise."""
    from grading.pipeline import authoring

    print(*authoring.new(options.name), sep="\n")
    print(
        f"They work as they are. Write yours in their place, and prove it with: course author {options.name}"
    )


def prove_exercise(options):
    """Build an exercise, and prove that it grades as it should."""
    from grading.pipeline import authoring

    text, well = authoring.report(authoring.full_name(options.name))
    print(text)
    return int(not well)


def package_gradescope(options):
    """Write an autograder for Gradescope."""
    from grading.pipeline.gradescope import write_package

    write_package(named(options.assignment), options.wheel, options.out, options.allow_unsandboxed)
    print(f"{options.out} is the autograder: upload it in Gradescope under Configure Autograder")


def run_gradescope(options):
    """Grade a submission inside Gradescope's container."""
    from grading.pipeline.gradescope import run

    run(named(options.assignment), options.root, options.allow_unsandboxed)


def build_site(options):
    """Build the web edition in build/site."""
    build = ROOT / "web" / "build.py"
    if not build.exists():
        raise CourseError("the web edition is built from the repository: clone it, and run `make site` there")
    return subprocess.call([sys.executable, "-P", build, *options.passed_on], cwd=ROOT)
