"""Build the notebooks from lessons/, the only place where they are edited.

    python make_notebooks.py [NAME ...]                 build all lessons, or the named ones
    python make_notebooks.py [NAME ...] --no-execute    the same, but reuse the demos' outputs
    python make_notebooks.py --check                    report built notebooks that differ from lessons/
    python make_notebooks.py [NAME ...] --register      add exercises to the instructor's gradebook
    python make_notebooks.py --figures                  draw lessons/figures/*.svg as PNG, with Chromium

lessons/demo/NAME.py becomes demo/NAME.ipynb, executed, with outputs. lessons/exercises/NAME.py becomes
exercises/solution/NAME/NAME.ipynb, from which nbgrader makes exercises/starter/NAME/NAME.ipynb.

In a demo, a cell marked `# %% claim` asserts what the text above it says. The build runs it and leaves it
out. Text such as {gap:.1f} is filled in from the dictionary `numbers`, which any cell may add to. Outputs
between **Predict.** and **What happened.** are hidden until the reader opens them, and so is the explanation.

The build embeds figures, such as ![alt](../figures/funnel.svg), as PNG, because several programs that show
notebooks block SVG.

Notebooks are built in a temporary folder first, so a failed build changes nothing. Only --register touches
the gradebook. It updates the tests stored there. Once students have submitted, nbgrader refuses to add or
remove graded cells, so no score is lost.
"""

import argparse
import ast
import hashlib
import html
import json
import logging
import os
import platform
import re
import shutil
import sys
import tempfile
from base64 import b64encode
from collections import Counter
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import zip_longest
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from PIL import Image, PngImagePlugin
from traitlets.config.loader import PyFileConfigLoader

ROOT = Path(__file__).resolve().parent
LARGEST = 1_000_000  # bytes per demo: larger notebooks do not open on the web
CELL_SECONDS = 600
NOTEBOOK_METADATA = {  # what JupyterLab writes when it saves a notebook
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": platform.python_version(),
    },
}
WIDGET = "application/vnd.jupyter.widget-view+json"
MARKS = {"answer": "code", "test": "code", "written": "markdown"}  # and the type of the cells that carry them
REGIONS = {"SOLUTION": ("answer", "written"), "HIDDEN TESTS": ("test",)}  # and the marks they belong to
HIDDEN_TESTS = re.compile(r"BEGIN HIDDEN TESTS\n(.*?)^[^\n]*END HIDDEN TESTS", re.DOTALL | re.MULTILINE)
CLAIM = {"title": "claim"}  # how jupytext reads `# %% claim`
JUPYTEXT_METADATA = {"cell_marker", "lines_to_next_cell", "lines_to_end_of_cell_marker"}
FIGURE = re.compile(r"!\[([^]]*)\]\(\.\./figures/(\w+)\.svg\)")
PREDICT, ANSWER = "**Predict.**", "**What happened.**"
NEXT = re.compile(r"\n\n(?=#+ |\*\*(?:Predict|Think)\.\*\*)")  # where the explanation ends
HIDDEN = {"tags": ["hide-output"], "jupyter": {"outputs_hidden": True}}  # for myst-nb, and for JupyterLab
# A number in a text, after what may look like one: code and formulas stay as they are.
NUMBER = re.compile(
    r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$(?:(?!\n\n)[^$])+\$"
    r"|\{(?P<name>[A-Za-z_]\w*)(?P<keys>(?:\[[^][{}]+\])*):(?P<format>[^{}\n]+)\}",
    re.DOTALL,
)
# Hidden code around the claims, so that later cells find variables and random generators as readers do.
FIRST = """numbers = {}
def _keep_state():
    import random, sys
    names, states = dict(globals()), [(random.setstate, random.getstate())]
    if "numpy" in sys.modules:
        states.append((sys.modules["numpy"].random.set_state, sys.modules["numpy"].random.get_state()))
    if "torch" in sys.modules:
        states.append((sys.modules["torch"].set_rng_state, sys.modules["torch"].get_rng_state()))
    def restore():
        globals().update(names)
        for set_state, state in states:
            set_state(state)
    return restore
"""
BEFORE, AFTER = "_restore = _keep_state()", "_restore()"
LAST = """try:
    print(__import__("json").dumps(numbers, allow_nan=False, default=lambda number: number.item()))
except Exception as error:
    raise TypeError("numbers may hold finite numbers, strings, lists and dictionaries") from error
"""
# For a notebook that is handed around alone: the first lines of an exercise, a folded cell of a demo.
SETUP = '''from importlib.util import find_spec
from pathlib import Path

if not (find_spec("utils") and find_spec("grading")):  # the course is missing: install it from its wheel
    wheels = [str(path) for path in Path().glob("attention_course-*.whl")]
    if not wheels:
        raise ModuleNotFoundError(
            "this notebook needs the course. Open it with `make lab` or `course lab`; in VS Code, choose the "
            "course's .venv as kernel; in Colab, upload attention_course-....whl, which `make wheel` builds "
            "or your instructor hands out, beside this notebook. Then run this cell again."
        )
    get_ipython().run_line_magic("pip", f"install --quiet {wheels[-1]}")
'''
FOLDED = {"jupyter": {"source_hidden": True}, "tags": ["remove-cell"]}  # in JupyterLab, and on the site


class LessonError(Exception):
    """A lesson that cannot be built. The message names its file and cell."""


def main(argv=None, root=ROOT):
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a lesson, such as 02_attention")
    parser.add_argument("--no-execute", action="store_true", help="reuse outputs if the code is unchanged")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="build nothing; exit with 1 if a notebook differs")
    mode.add_argument("--register", action="store_true", help="add exercises to the gradebook")
    mode.add_argument("--figures", action="store_true", help="draw the figures again that have changed")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        if options.check:
            return check(root, options.names)
        if options.register:
            return register(root, options.names)
        if options.figures:
            with chromium() as browser:
                return draw_figures(root / "lessons" / "figures", browser)
        build(root, options.names, execute=not options.no_execute)
    except LessonError as error:
        sys.exit(f"make_notebooks: {error}")


def build(root, names=(), execute=True):
    """Build lessons and copy the notebooks to their places."""
    with tempfile.TemporaryDirectory() as folder:
        for lesson in lessons(root, names):
            write_lesson(root, Path(folder), lesson, execute)
        built = notebooks_in(folder)
        for path in built:
            if (size := Path(folder, path).stat().st_size) > LARGEST:
                raise LessonError(
                    f"{path} has {size:,} bytes, more than {LARGEST:,}: show smaller or fewer figures"
                )
        for path in built:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(folder, path), root / path)
            print(path)


def register(root, names=()):
    """Add exercises to the gradebook that nbgrader's own commands use."""
    url = CourseDirectory(config=grading_config(root)).db_url
    # nbgrader starts alembic by its bare name, so it must be found even if the environment is not activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        for lesson in lessons(root, names):
            if lesson.parent.name == "exercises":
                write_exercise(root, Path(folder), lesson, url)
                print(f"{lesson.stem} is in {url}")


def check(root, names=()):
    """Print each notebook that differs from what lessons/ would give. Return 1 if there are any, else 0."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        for lesson in lessons(root, names):
            try:
                write_lesson(root, Path(folder), lesson, execute=False)
            except LessonError as error:
                problems.append(str(error))
        built = notebooks_in(folder)
        complete = not (names or problems)
        problems += [found for path in built if (found := difference(root, Path(folder), path))]
    if complete:
        problems += [f"{path} comes from no lesson: remove it" for path in orphans(root, built)]
    for problem in problems:
        print(problem)
    return int(bool(problems))


# From text to notebooks


def lessons(root, names):
    """Return the files of all lessons, or of the named ones: the demos first, each kind in order."""
    every = sorted((root / "lessons").glob("*/*.py"))
    unknown = set(names) - {lesson.stem for lesson in every}
    if unknown:
        known = ", ".join(sorted({lesson.stem for lesson in every}))
        raise LessonError(f"there is no lesson {', '.join(sorted(unknown))}: choose from {known}")
    return [lesson for lesson in every if lesson.stem in (names or {lesson.stem})]


def write_lesson(root, folder, lesson, execute):
    """Build one lesson's notebooks in a folder."""
    if lesson.parent.name == "demo":
        write(make_demo(root, lesson, execute), folder / "demo" / f"{lesson.stem}.ipynb")
    else:
        write_exercise(root, folder, lesson)


def notebooks_in(folder):
    """Return the paths of all notebooks in a folder, relative to it, in order."""
    return sorted(path.relative_to(folder) for path in Path(folder).rglob("*.ipynb"))


def write_exercise(root, folder, lesson, gradebook=None):
    """Build an exercise's solution, and its starter with nbgrader, in a folder."""
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
            f"{lesson}: nbgrader did not make the starter, see its message above ({error})"
        ) from error


def grading_config(root):
    """Return the settings of nbgrader_config.py."""
    return PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()


def read_lesson(lesson):
    """Return a lesson's notebook without outputs: marks become nbgrader's metadata, claims become tags."""
    form = {"extension": ".py", "format_name": "percent", "comment_magics": False}
    cells = jupytext.reads(lesson.read_text("utf-8"), form).cells
    seen = Counter()
    for number, cell in enumerate(cells):
        try:
            check_code(cell)
            cell.metadata = read_marks(cell, lesson.parent.name)
            check_test(cell, lesson)
            cell.id = cell_id(lesson, cell, seen)
            if is_claim(cell) and not text_above(cells, number):
                raise LessonError("a claim belongs directly below the text that it supports")
            if cell.cell_type == "markdown":
                embed = partial(embedded_figure, lesson.parents[1] / "figures")
                cell.source = FIGURE.sub(embed, cell.source)
        except LessonError as error:
            first = cell.source.strip().split("\n")[0]
            raise LessonError(f"{lesson}: cell {number + 1} ({first}): {error}") from None
    if lesson.parent.name == "demo":
        hide_answers(cells)
    elif first := next((c for c in cells if c.cell_type == "code" and "from utils" in c.source), None):
        first.source = f"{SETUP}\n{first.source}"
    return new_notebook(cells=cells, metadata=NOTEBOOK_METADATA)


def check_code(cell):
    """Raise `LessonError` if a code cell isn't plain Python."""
    if cell.cell_type == "code":
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            raise LessonError(f"line {error.lineno} is not plain Python (lessons have no magics)") from None


def read_marks(cell, kind):
    """Return the metadata that a cell's marks give in a demo or exercise. Wrong marks raise LessonError."""
    marks = {key: value for key, value in cell.metadata.items() if key not in JUPYTEXT_METADATA}
    if marks == CLAIM and kind == "demo":
        if cell.cell_type != "code":
            raise LessonError("claim belongs on a code cell")
        marks, metadata = {}, {"tags": ["claim"]}
    else:
        metadata = {}
    found = [mark for mark in MARKS if mark in marks]
    mark = found[0] if len(found) == 1 and kind == "exercises" else None
    unknown = set(marks) - {mark} - ({"points"} if mark in ("test", "written") else set())
    if unknown:
        raise LessonError(
            f"cannot use {', '.join(sorted(unknown))} here: a cell of an exercise has one mark or none, "
            'answer="name", test="name" points=N, or written="name" points=N on [markdown]; a cell of a demo '
            "may be marked claim"
        )
    check_regions(cell, mark)
    return {"nbgrader": nbgrader_metadata(cell, mark, marks)} if mark else metadata


def check_regions(cell, mark):
    """Raise LessonError unless the BEGIN and END lines of a cell pair up and suit its mark."""
    for region, marks in REGIONS.items():
        found = re.findall(rf"\b(BEGIN|END) {region}\b", cell.source)
        if found and mark not in marks:
            raise LessonError(f"{found[0]} {region} is only allowed in a cell marked {' or '.join(marks)}")
        if found != ["BEGIN", "END"] * (len(found) // 2):
            raise LessonError(f"BEGIN {region} and END {region} do not pair up")
        if mark == "answer" and region == "SOLUTION" and not found:
            raise LessonError("an answer needs BEGIN SOLUTION and END SOLUTION around what students write")


def check_test(cell, lesson):
    """Raise LessonError unless what grades a test cell is a check of the lesson's exercise."""
    name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
    if not name.startswith("test_"):
        return
    name = name.removeprefix("test_")
    hidden = ast.parse("\n".join(re.findall(HIDDEN_TESTS, cell.source)))
    called, asserts = [], 0
    for node in ast.walk(hidden):
        match node:
            case ast.Call(func=ast.Name(id="check"), args=[ast.Constant(value=text), *_]):
                called.append(text)
            case ast.Assert():
                asserts += 1
    if asserts or called != [name]:
        raise LessonError(
            f'the hidden tests of {name} must be check("{name}", {name}), found {asserts} asserts and '
            f"checks of {called}: the grader runs checks only, so write these tests as cases of the check"
        )
    exercise = lesson.parents[2] / "grading" / "exercises" / lesson.stem / "checks.py"
    if exercise.parents[1].is_dir():
        text = exercise.read_text("utf-8") if exercise.is_file() else ""
        if not re.search(rf'@checks\(\s*"{name}"', text):
            raise LessonError(f'{name} has no check: write one with @checks("{name}", ...) in {exercise}')


def nbgrader_metadata(cell, mark, marks):
    """Return nbgrader's metadata for a marked cell."""
    name, points = marks[mark], marks.get("points")
    if cell.cell_type != MARKS[mark]:
        raise LessonError(f"{mark} belongs on a {MARKS[mark]} cell")
    if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,50}", name):
        raise LessonError(f'{mark} needs a name of letters, digits, - and _, such as {mark}="masked_softmax"')
    metadata = {
        "grade": mark != "answer",
        "grade_id": f"test_{name}" if mark == "test" else name,
        "locked": mark == "test",
        "schema_version": 3,
        "solution": mark != "test",
        "task": False,
    }
    if mark == "answer":
        return metadata
    if isinstance(points, bool) or not isinstance(points, int | float) or points <= 0:
        raise LessonError(f"{mark} needs points=N, a number above 0")
    return metadata | {"points": points}


def cell_id(lesson, cell, seen):
    """Return a cell's grade_id, or a digest of its text, so that editing one cell keeps the others' ids."""
    if "nbgrader" in cell.metadata:
        name = cell.metadata["nbgrader"]["grade_id"]
        if seen[name]:
            raise LessonError(f"the name {name} is already used: names must be unique in a notebook")
    else:
        text = f"{lesson.parent.name}/{lesson.stem} {cell.cell_type} {cell.source}"
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
    seen[name] += 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def write(notebook, path):
    """Validate a notebook and write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook) + "\n", "utf-8", newline="\n")


# Figures and answers


@contextmanager
def chromium():
    """Start Chromium without a window or calls in the background. Raise `LessonError` if it is missing."""
    from playwright.sync_api import sync_playwright  # builds don't need it

    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if not program:
        raise LessonError(f"this needs Chromium: install one of the programs {', '.join(names)}")
    quiet = [f"--disable-{calls}" for calls in ("background-networking", "component-update", "sync")]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *quiet])
        yield browser
        browser.close()


def draw_figures(folder, browser):
    """Draw each SVG file of a folder as a PNG file of the same name, unless that shows this very SVG."""
    page = browser.new_page(device_scale_factor=2)
    for svg in sorted(folder.glob("*.svg")):
        digest, png = hashlib.sha256(svg.read_bytes()).hexdigest(), svg.with_suffix(".png")
        if figure_digest(png) == digest:
            continue
        page.set_content(f"<style>body {{ margin: 0; background: #fdfdfb }}</style>{svg.read_text('utf-8')}")
        drawn = Image.open(BytesIO(page.locator("svg").screenshot())).convert("RGB")
        info = PngImagePlugin.PngInfo()
        info.add_text("svg", digest)
        drawn.quantize(256, dither=Image.Dither.NONE).save(png, pnginfo=info, optimize=True)
        print(png)
    page.close()


def figure_digest(png):
    """Return the digest of the SVG file that a PNG file shows, or None."""
    return Image.open(png).text.get("svg") if png.exists() else None


def embedded_figure(folder, match):
    """Return an HTML image that holds a figure, half as wide as its PNG file, which suits sharp screens."""
    alt, name = match.groups()
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    if not svg.exists() or figure_digest(png) != hashlib.sha256(svg.read_bytes()).hexdigest():
        raise LessonError(
            f"there is no {png.name} that shows {svg.name}: draw it with python make_notebooks.py --figures"
        )
    width, data = Image.open(png).width // 2, b64encode(png.read_bytes()).decode()
    alt = html.escape(" ".join(alt.split()))
    return f'<img alt="{alt}" width="{width}" src="data:image/png;base64,{data}">'


def hide_answers(cells):
    """Hide outputs that answer a question of the reader, and fold the text that explains them."""
    asked = False
    for cell in cells:
        if cell.cell_type == "markdown":
            before, answer, after = cell.source.partition(ANSWER)
            asked = PREDICT in after or (not answer and (asked or PREDICT in before))
            if answer:
                after, *rest = NEXT.split(after, maxsplit=1)
                folded = f"<details><summary><b>What happened</b></summary>\n\n{after.strip()}\n\n</details>"
                cell.source = "\n\n".join([before + folded, *rest])
        elif asked and not is_claim(cell):
            cell.metadata = dict(HIDDEN)


# Claims and numbers


def is_claim(cell):
    """Return whether a cell is a claim."""
    return "claim" in cell.metadata.get("tags", [])


def text_above(cells, number):
    """Return the text that a claim, the cell of this number, supports; "" if it does not follow a text."""
    while number and is_claim(cells[number]):
        number -= 1
    return cells[number].source if cells[number].cell_type == "markdown" else ""


def claims_digest(notebook):
    """Return a digest of all claims and of their places in the code, or None if there are none."""
    claims, place = [], 0
    for cell in notebook.cells:
        if is_claim(cell):
            claims.append((place, cell.source))
        place += cell.cell_type == "code"
    return hashlib.sha256(json.dumps(claims).encode()).hexdigest()[:12] if claims else None


def fill_in(notebook, numbers):
    """Replace each {name:format} in the texts of a notebook by its number."""

    def value(match):
        if not match["name"]:
            return match[0]
        try:
            found = numbers[match["name"]]
            for key in re.findall(r"\[(.+?)\]", match["keys"]):
                found = found[int(key) if isinstance(found, list) else key]
            return format(found, match["format"])
        except (LookupError, TypeError, ValueError) as error:
            known = ", ".join(sorted(numbers)) or "nothing"
            raise LessonError(
                f"cannot fill in {match[0]} ({type(error).__name__}: {error}). The dictionary `numbers` "
                f"holds {known}. Add the number in a code cell or a claim and run the demo, or edit the text"
            ) from None

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = NUMBER.sub(value, cell.source)
            bare = [name for name in numbers if f"{{{name}}}" in cell.source]
            if bare:
                raise LessonError(f"{{{bare[0]}}} has no format: write {{{bare[0]}:d}} or {{{bare[0]}:.1f}}")


# Demos


def make_demo(root, lesson, execute):
    """Return the notebook of a demo with its outputs: run it, or reuse an earlier run of the same code."""
    notebook, path = read_lesson(lesson), Path("demo", f"{lesson.stem}.ipynb")
    claims = {"digest": claims_digest(notebook), "numbers": {}}
    try:
        if execute:
            print(f"running {path}", flush=True)
            claims["numbers"] = run(notebook, root / "demo")
        notebook.cells = [cell for cell in notebook.cells if not is_claim(cell)]
        if not execute and (root / path).exists():
            claims = reuse_run(notebook, claims, nbformat.read(root / path, 4))
        if execute or (root / path).exists():
            fill_in(notebook, claims["numbers"])
        for cell in code_cells(notebook):
            if not cell.outputs:  # there is nothing to hide but a progress bar
                cell.metadata = {}
        if first := [place for place, cell in enumerate(notebook.cells) if "from utils" in cell.source]:
            code = f"# Is the course here?\n{SETUP}".strip()
            notebook.cells.insert(first[0], new_code_cell(code, id="setup", metadata=FOLDED))
    except LessonError as error:
        raise LessonError(f"{path}: {error}") from error.__cause__
    if claims["digest"] or claims["numbers"]:
        notebook.metadata["claims"] = claims
    return notebook


def reuse_run(notebook, claims, old):
    """Give a notebook the outputs of an earlier run of the same code and claims. Return that run's claims."""
    before = old.metadata.get("claims", {"digest": None, "numbers": {}})
    pairs = list(zip_longest(code_cells(notebook), code_cells(old)))
    same = all(new and was and new.source == was.source for new, was in pairs)
    if same and before["digest"] == claims["digest"]:
        for new, was in pairs:
            new.outputs, new.execution_count = was.outputs, was.execution_count
    return before


def code_cells(notebook):
    """Return the code cells that readers see: all but the claims and the folded one."""
    cells = notebook.cells
    return [cell for cell in cells if cell.cell_type == "code" and cell.id != "setup" and not is_claim(cell)]


def plain_python(lesson):
    """Return the code of a lesson that readers see, as one script."""
    return "\n\n".join(cell.source for cell in code_cells(read_lesson(lesson)))


def run(notebook, cwd):
    """Run a demo and its claims in a folder, without the user's settings. Return the dictionary `numbers`."""
    cwd.mkdir(exist_ok=True)
    cells = [hidden(FIRST)]
    for cell in notebook.cells:
        cells += [hidden(BEFORE), cell, hidden(AFTER)] if is_claim(cell) else [cell]
    notebook.cells = [*cells, hidden(LAST)]
    with tempfile.TemporaryDirectory() as settings:
        Path(settings, "matplotlibrc").write_text("figure.dpi: 80\n")
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            store_widget_state=False,
            resources={"metadata": {"path": str(cwd)}},
        )
        with client.setup_kernel(env=os.environ | {"IPYTHONDIR": settings, "MATPLOTLIBRC": settings}):
            for number, cell in enumerate(notebook.cells):
                try:
                    client.execute_cell(cell, number, store_history=not is_claim(cell))
                except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                    raise LessonError(what_failed(notebook.cells, number, error)) from error
    for cell in code_cells(notebook):
        cell.outputs = [output for output in cell.outputs if not is_progress_bar(output)]
        for output in cell.outputs:
            if problem := what_is_wrong(output):
                raise LessonError(f"{problem}, from the cell\n{cell.source}")
        if cell.metadata and cell.outputs:
            blank_first_line(cell.outputs[0])
    return json.loads(notebook.cells[-1].outputs[0].text)


def hidden(code):
    """Return a cell that is run like a claim and left out of the notebook."""
    return new_code_cell(code, metadata={"tags": ["claim"]})


def what_failed(cells, number, error):
    """Return a message about the cell of this number, which failed."""
    text, traceback = text_above(cells, number), re.sub(r"\x1b\[[\d;]*m", "", str(error))
    if not is_claim(cells[number]) or not text:
        return f"a cell failed\n{traceback}"
    return (
        f"a claim failed\n{traceback}\nThe claim is about the text\n\n{text}\n\n"
        "If the result is right, change the text and the claim; if it is not, change the code."
    )


def blank_first_line(output):
    """Put a blank line before an output, because JupyterLab shows the first line of a hidden one."""
    if output.output_type == "stream":
        output.text = f" \n{output.text}"
    for kind in {"text/html", "text/plain"} & set(output.get("data", {})):
        output.data[kind] = f" \n{output.data[kind]}"


def is_progress_bar(output):
    """Return whether an output is a progress bar."""
    data = output.get("data", {})
    return WIDGET in data and re.search(r"\[\d+:\d\d", data.get("text/plain", ""))


def what_is_wrong(output):
    """Return why readers should not see an output, or None."""
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
    """Return one sentence on how a notebook differs from the one built in the folder, or None."""
    if not (root / path).exists():
        return f"{path} is missing: make notebooks"
    built, found = nbformat.read(folder / path, 4), nbformat.read(root / path, 4)
    demo = path.parts[0] == "demo"
    ignored = {"outputs", "execution_count"} if demo else set()
    for number, (new, old) in enumerate(zip_longest(built.cells, found.cells, fillvalue={}), 1):
        unlike = sorted(part for part in {*new, *old} - ignored if new.get(part) != old.get(part))
        if unlike:
            first = (old or new)["source"].strip().split("\n")[0]
            return f"{path}: cell {number} ({first}) differs from its lesson in {', '.join(unlike)}"
    if demo and any(cell.source and cell.execution_count is None for cell in code_cells(built)):
        return f"{path} was not run to its end with its lesson's claims: make notebooks"
    language = found.metadata.get("language_info", {})
    if "version" in language:  # that of the last reader who saved the notebook
        built.metadata.language_info.version = language.version
    if built.metadata != found.metadata:
        return f"{path}: the notebook's metadata differs from what its lesson gives"
    return None


def orphans(root, built):
    """Yield files that no lesson gives: nbgrader would hand files beside a solution to students."""
    for path in sorted([*root.glob("demo/**/*"), *root.glob("exercises/**/*")]):
        path = path.relative_to(root)
        if (root / path).is_file() and path not in built and ".ipynb_checkpoints" not in path.parts:
            yield path


if __name__ == "__main__":
    sys.exit(main())
