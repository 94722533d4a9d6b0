"""Build the notebooks from lessons/, the only place where they are edited.

    python make_notebooks.py [NAME ...]                 build all lessons, or the named ones
    python make_notebooks.py [NAME ...] --no-execute    the same, without running the demos
    python make_notebooks.py --check                    say where the built notebooks differ from lessons/
    python make_notebooks.py [NAME ...] --register      make exercises known to the instructor's gradebook

lessons/demo/NAME.py becomes demo/NAME.ipynb, run, with outputs. lessons/exercises/NAME.py becomes
exercises/solution/NAME/NAME.ipynb, from which nbgrader makes exercises/starter/NAME/NAME.ipynb.
Everything is built in a temporary folder first: a build that fails leaves no trace. Only --register
touches the gradebook. It updates the tests that are kept there, and where students have handed in
already, nbgrader refuses to add or remove graded cells, so that no score is lost.
"""

import argparse
import ast
import hashlib
import logging
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader

ROOT = Path(__file__).resolve().parent
LARGEST = 1_000_000  # bytes of a demo, so that it opens on the web
CELL_SECONDS = 600
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
WIDGET = "application/vnd.jupyter.widget-view+json"
MARKS = {"answer": "code", "test": "code", "written": "markdown"}  # and the type of the cells that carry them
REGIONS = {"SOLUTION": ("answer", "written"), "HIDDEN TESTS": ("test",)}  # and the marks they may stand under
OF_JUPYTEXT = {"cell_marker", "lines_to_next_cell", "lines_to_end_of_cell_marker"}


class LessonError(Exception):
    """A lesson that cannot be built, with its file and cell in the message."""


def main(argv=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a lesson, such as 02_attention")
    parser.add_argument("--no-execute", action="store_true", help="keep outputs where the code is the same")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--register", action="store_true")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        if options.check:
            return check(root, options.names)
        if options.register:
            return register(root, options.names)
        build(root, options.names, execute=not options.no_execute)
    except LessonError as error:
        sys.exit(f"make_notebooks: {error}")


def build(root, names=(), execute=True):
    """Build lessons and put the notebooks in their places."""
    with tempfile.TemporaryDirectory() as folder:
        built = write_notebooks(root, Path(folder), names)
        for path in built:
            if path.parts[0] == "demo":
                finish_demo(root, Path(folder), path, execute)
        for path in built:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(folder, path), root / path)
            print(path)


def register(root, names=()):
    """Make exercises known to the gradebook that nbgrader's own commands use."""
    url = CourseDirectory(config=grading_config(root)).db_url
    # nbgrader calls alembic by its bare name to make a gradebook, also where the environment is not activated
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        for lesson in lessons(root, names, "exercises"):
            write_exercise(root, Path(folder), lesson, url)
            print(f"{lesson.stem} is in {url}")


def check(root, names=()):
    """Print each built notebook that is not what lessons/ would give. Return 1 if there are any."""
    with tempfile.TemporaryDirectory() as folder:
        built = write_notebooks(root, Path(folder), names)
        problems = [found for path in built if (found := difference(root, Path(folder), path))]
    if not names:
        problems += [f"{path} comes from no lesson: remove it" for path in orphans(root, built)]
    for problem in problems:
        print(problem)
    return int(bool(problems))


# From text to notebooks


def lessons(root, names, kind):
    """The lesson files of one kind, demo or exercises, in order: all, or those that are named."""
    every = sorted((root / "lessons").glob("*/*.py"))
    unknown = set(names) - {lesson.stem for lesson in every}
    if unknown:
        known = ", ".join(sorted({lesson.stem for lesson in every}))
        raise LessonError(f"there is no lesson {', '.join(sorted(unknown))}: choose from {known}")
    return [
        lesson for lesson in every if lesson.parent.name == kind and lesson.stem in (names or {lesson.stem})
    ]


def write_notebooks(root, folder, names):
    """Build lessons into a folder, demos without outputs. Return the notebooks' paths under it."""
    for lesson in lessons(root, names, "demo"):
        write(read_lesson(lesson), folder / "demo" / f"{lesson.stem}.ipynb")
    for lesson in lessons(root, names, "exercises"):
        write_exercise(root, folder, lesson)
    return sorted(path.relative_to(folder) for path in folder.rglob("*.ipynb"))


def write_exercise(root, folder, lesson, gradebook=None):
    """Build an exercise's solution, and with nbgrader its starter, under a folder."""
    config = grading_config(root)
    config.CourseDirectory.root = str(folder)
    if gradebook:
        config.CourseDirectory.db_url = gradebook
    else:
        config.GenerateAssignment.no_database = True
        config.SaveCells.enabled = False
    name = lesson.stem
    write(read_lesson(lesson), folder / config.CourseDirectory.source_directory / name / f"{name}.ipynb")
    coursedir = CourseDirectory(config=config, assignment_id=name)
    try:
        GenerateAssignment(coursedir=coursedir, config=config, force=True).start()
    except NbGraderException as error:
        raise LessonError(
            f"{lesson}: nbgrader did not make the starter, it says why above ({error})"
        ) from error


def grading_config(root):
    return PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()


def read_lesson(lesson):
    """The notebook of a lesson file, marks turned into nbgrader's metadata, without outputs."""
    form = {"extension": ".py", "format_name": "percent", "comment_magics": False}
    cells = jupytext.reads(lesson.read_text("utf-8"), form).cells
    seen = Counter()
    for number, cell in enumerate(cells, 1):
        try:
            cell.metadata = metadata_from_marks(cell, lesson.parent.name == "exercises")
            cell.id = cell_id(lesson, cell, seen)
        except LessonError as error:
            first = cell.source.strip().split("\n")[0]
            raise LessonError(f"{lesson}: cell {number} ({first}): {error}") from None
    return nbformat.v4.new_notebook(cells=cells, metadata=NOTEBOOK_METADATA)


def metadata_from_marks(cell, marks_allowed):
    """A cell's metadata for nbgrader, empty without marks. Raise LessonError where a cell breaks a rule."""
    marks = {key: value for key, value in cell.metadata.items() if key not in OF_JUPYTEXT}
    kinds = [kind for kind in MARKS if kind in marks]
    kind = kinds[0] if len(kinds) == 1 and marks_allowed else None
    unknown = set(marks) - {kind} - ({"points"} if kind in ("test", "written") else set())
    if unknown:
        allowed = 'answer="name", test="name" points=N, and written="name" points=N on [markdown]'
        raise LessonError(
            f"cannot use {', '.join(sorted(unknown))} here: marks are {allowed}, one a cell, in exercises"
        )
    if cell.cell_type == "code":
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            raise LessonError(f"line {error.lineno} is not plain Python (lessons have no magics)") from None
    for region, under in REGIONS.items():
        found = re.findall(rf"\b(BEGIN|END) {region}\b", cell.source)
        if found and kind not in under:
            raise LessonError(f"{found[0]} {region} may only stand in a cell marked {' or '.join(under)}")
        if found != ["BEGIN", "END"] * (len(found) // 2):
            raise LessonError(f"BEGIN {region} and END {region} do not pair up")
        if kind == "answer" and region == "SOLUTION" and not found:
            raise LessonError("an answer needs BEGIN SOLUTION and END SOLUTION around what students write")
    if kind is None:
        return {}

    name, points = marks[kind], marks.get("points")
    if cell.cell_type != MARKS[kind]:
        raise LessonError(f"{kind} belongs on a {MARKS[kind]} cell")
    if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,50}", name):
        raise LessonError(f'{kind} needs a name of letters, digits, - and _, such as {kind}="masked_softmax"')
    nbgrader = {
        "grade": kind != "answer",
        "grade_id": f"test_{name}" if kind == "test" else name,
        "locked": kind == "test",
        "schema_version": 3,
        "solution": kind != "test",
        "task": False,
    }
    if kind != "answer":
        if isinstance(points, bool) or not isinstance(points, int | float) or points <= 0:
            raise LessonError(f"{kind} needs points=N, a number above 0")
        nbgrader["points"] = points
    return {"nbgrader": nbgrader}


def cell_id(lesson, cell, seen):
    """A cell's id: its grade_id, or else a digest of its text, so that no other cell's edit changes it."""
    if cell.metadata:
        name = cell.metadata["nbgrader"]["grade_id"]
        if seen[name]:
            raise LessonError(f"there is a {name} already")
    else:
        text = f"{lesson.parent.name}/{lesson.stem} {cell.cell_type} {cell.source}"
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
    seen[name] += 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def write(notebook, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook) + "\n", "utf-8", newline="\n")


# Demos


def finish_demo(root, folder, path, execute):
    """Give a built demo its outputs: run it, or else take those of an earlier build with the same code."""
    notebook = nbformat.read(folder / path, 4)
    if execute:
        print(f"running {path}", flush=True)
        run(notebook, path, root / "demo")
    elif (root / path).exists():
        old = nbformat.read(root / path, 4)
        pairs = list(zip_longest(code_cells(notebook), code_cells(old)))
        if all(new and was and new.source == was.source for new, was in pairs):
            for new, was in pairs:
                new.outputs, new.execution_count = was.outputs, was.execution_count
    write(notebook, folder / path)
    if (size := (folder / path).stat().st_size) > LARGEST:
        raise LessonError(f"{path} has {size:,} bytes, more than {LARGEST:,}: show smaller or fewer figures")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(notebook, path, cwd):
    """Run a demo in its folder, without one's own settings. Progress bars leave nothing behind."""
    cwd.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as settings:
        Path(settings, "matplotlibrc").write_text("figure.dpi: 80\n")
        env = os.environ | {"IPYTHONDIR": settings, "MATPLOTLIBRC": settings}
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            store_widget_state=False,
            resources={"metadata": {"path": str(cwd)}},
        )
        try:
            client.execute(env=env)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise LessonError(f"{path}: a cell failed\n{error}") from error
    notebook.metadata = NOTEBOOK_METADATA
    for cell in code_cells(notebook):
        cell.outputs = [output for output in cell.outputs if not is_progress_bar(output)]
        for output in cell.outputs:
            if problem := what_is_wrong(output):
                raise LessonError(f"{path}: {problem}, from the cell\n{cell.source}")


def is_progress_bar(output):
    data = output.get("data", {})
    return WIDGET in data and re.search(r"\[\d+:\d\d", data.get("text/plain", ""))


def what_is_wrong(output):
    """Why an output should not be shown to readers, or None."""
    if output.get("name") == "stderr":
        return f"text on stderr ({output.text.strip()})"
    data = output.get("data", {})
    if WIDGET in data:
        return "a widget, which shows nothing outside a running notebook"
    if re.search(r"\bat 0x[0-9a-f]+", data.get("text/plain", "")):
        return f"an object's memory address ({data['text/plain']}), which changes from run to run"
    return None


# Comparing


def difference(root, folder, path):
    """One sentence on how the notebook in its place differs from the built one, or None."""
    if not (root / path).exists():
        return f"{path} is missing: make notebooks"
    built, found = nbformat.read(folder / path, 4), nbformat.read(root / path, 4)
    demo = path.parts[0] == "demo"
    for number, (new, old) in enumerate(zip_longest(built.cells, found.cells, fillvalue={}), 1):
        parts = set(new) | set(old)
        parts -= {"outputs", "execution_count"} if demo else set()
        unlike = sorted(part for part in parts if new.get(part) != old.get(part))
        if unlike:
            first = (old or new)["source"].strip().split("\n")[0]
            return f"{path}: cell {number} ({first}) differs from its lesson in {', '.join(unlike)}"
    if not demo and built.metadata != found.metadata:
        return f"{path}: the notebook's metadata differs from what its lesson gives"
    if demo and any(cell.source and cell.execution_count is None for cell in code_cells(found)):
        return f"{path} was not run to its end: make notebooks"
    return None


def orphans(root, built):
    """Files that no lesson gives: nbgrader would hand what lies beside a solution to students."""
    for path in sorted([*root.glob("demo/**/*"), *root.glob("exercises/**/*")]):
        path = path.relative_to(root)
        if (root / path).is_file() and path not in built and ".ipynb_checkpoints" not in path.parts:
            yield path


if __name__ == "__main__":
    sys.exit(main())
