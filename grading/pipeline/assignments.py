"""What an assignment consists of, and what a student handed in for it."""

import difflib
import json
import os
import stat
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from grading import CourseError

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 20 * 2**20  # bytes of a notebook
MOST_CELLS, MOST_CODE = 2_000, 2_000_000
LONG = 2_000  # letters of a message
ANSWERED, EMPTY, ELSEWHERE = "answered", "empty", "elsewhere"  # where a written answer is


class NotGradable(CourseError):
    """A notebook cannot be graded; the text says why and what to do."""

    def __str__(self):
        return readable(super().__str__()).replace("\n", " ")  # a file's name may hold anything


@dataclass(frozen=True)
class Assignment:
    """An exercise: its graded cells in order, as (name, points), those of tests without "test_".

    `reviews` says if it works with the embedded sentences.
    """

    name: str
    tests: tuple
    written: tuple
    notebook: Path
    reviews: bool

    @property
    def names(self):
        """The grade ids of its graded cells."""
        return {f"test_{name}" for name, _ in self.tests} | {name for name, _ in self.written}


@dataclass(frozen=True)
class Cell:
    """A cell of a submission, with its grade_id as `name`: `test` names the check of a test cell, `written` a
    written answer.
    """

    kind: str
    source: str
    name: str = ""
    test: str | None = None
    written: str | None = None
    metadata: dict = field(default_factory=dict)


@lru_cache
def assignments():
    """All assignments of the course, by name, as the starters have them."""
    starters = sorted((ROOT / "exercises" / "starter").glob("*/*.ipynb"))
    return {path.stem: read_assignment(path) for path in starters}


def named(name):
    """Return the assignment of this name, or the only one whose name begins like this. Raise NotGradable."""
    known = assignments()
    found = [name] if name in known else [other for other in known if name and other.startswith(name)]
    if len(found) != 1:
        close = found or difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(known)}"
        raise NotGradable(f"no exercise is called {name}: {hint}")
    return known[found[0]]


def read_assignment(path):
    """The assignment of a starter or a solution."""
    tests, written, text = [], [], path.read_text("utf-8")
    for cell in json.loads(text)["cells"]:
        mark = cell["metadata"].get("nbgrader", {})
        if mark.get("grade") and not mark.get("solution"):
            tests.append((mark["grade_id"].removeprefix("test_"), mark["points"]))
        elif mark.get("grade"):
            written.append((mark["grade_id"], mark["points"]))
    return Assignment(path.stem, tuple(tests), tuple(written), path, "_reviews" in text)


def read_submission(path, assignment):
    """The cells of a submitted notebook. Raise NotGradable, with what to do, where it is no notebook."""
    return parse(read_bytes(path, assignment), path, assignment)


def read_bytes(path, assignment):
    """A submitted file's bytes. Raise NotGradable for what is no plain file, or too large."""
    path = Path(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise NotGradable(f"there is no {path}: hand in {assignment.name}.ipynb") from None
    except OSError as error:
        raise NotGradable(
            f"{path} cannot be read ({error.strerror}): it must be a file, not a link"
        ) from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise NotGradable(f"{path} is not a file")
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > LARGEST:
            raise NotGradable(
                f"{path} has {found.st_size:,} bytes, more than {LARGEST:,}: clear its outputs and save it"
            )
        return file.read(LARGEST + 1)


def cells_in(data, path):
    """The cells of a notebook's bytes, as dicts in which anything may stand."""
    try:
        cells = json.loads(data.decode("utf-8-sig"))["cells"]
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise ValueError("its cells are no list of cells")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotGradable(
            f"{path} is not a notebook ({type(error).__name__}): open it in JupyterLab and save it again"
        ) from None
    if len(cells) > MOST_CELLS:
        raise NotGradable(f"{path} has {len(cells):,} cells, more than {MOST_CELLS:,}")
    return cells


def grade_ids(data, path):
    """The grade ids in a notebook's bytes."""
    return [name for cell in cells_in(data, path) if (name := _grade_id(cell))]


def parse(data, path, assignment):
    """The cells of a notebook's bytes. Raise NotGradable if they are those of another assignment."""
    cells = cells_in(data, path)
    other = recognize(map(_grade_id, cells), assignments() | {assignment.name: assignment})
    if other and other.name != assignment.name:
        raise NotGradable(f"{path} is {other.name}, not {assignment.name}: hand in the right notebook")
    tests, written, seen = dict(assignment.tests), dict(assignment.written), set()
    found, code = [], 0
    for cell in cells:
        name, source = _grade_id(cell), cell.get("source", "")
        if isinstance(source, list):
            source = "".join(line for line in source if isinstance(line, str))
        source = source.encode(errors="replace").decode() if isinstance(source, str) else ""
        code += len(source)
        kind = cell.get("cell_type") if cell.get("cell_type") in ("code", "markdown", "raw") else "raw"
        test = name.removeprefix("test_") if name.startswith("test_") else None
        if test in tests:  # also a copy of a test cell is not run: the grader has its own
            found.append(Cell(kind, source, name, test=test if test not in seen else ""))
            seen.add(test)
        else:
            found.append(Cell(kind, source, name, written=name if name in written else None))
    if code > MOST_CODE:
        raise NotGradable(f"{path} holds {code:,} letters, more than {MOST_CODE:,}: keep data in files")
    if not any(cell.test or cell.written for cell in found) and not any(c.kind == "code" for c in found):
        raise NotGradable(f"{path} holds neither code nor a cell of {assignment.name}: is it the right file?")
    return found


def readable(text, most=LONG):
    """A text that students can have written, shortened, without what is not printed: it could play tricks
    on a terminal.
    """
    shown = (letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text[:most])
    return "".join(shown) + "..." * (len(text) > most)


def _grade_id(cell):
    metadata = cell.get("metadata")
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = mark.get("grade_id") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else ""


def recognize(names, known):
    """The assignment to which most of these grade ids belong, or None."""
    names = {*names}
    shared = {one: len(one.names & names) for one in known.values()}
    best = max(shared, key=shared.get, default=None)
    return best if best and shared[best] else None


def find_assignment(path):
    """The assignment a notebook belongs to: by the graded cells that it has, else by its name."""
    known, path = assignments(), Path(path)
    data = read_bytes(path, known.get(path.stem) or next(iter(known.values())))
    found = recognize(grade_ids(data, path), known) or known.get(path.stem)
    if not found:
        raise NotGradable(
            f"{path} is none of this course's exercises ({', '.join(known)}): is it the right file?"
        )
    return found


def where_written(cells, assignment):
    """Return for each written answer where it is: ANSWERED in its cell, EMPTY, or perhaps ELSEWHERE.

    It may stand elsewhere if its cell is missing, or if that is unchanged and has new text beside it.
    """
    given = starter_sources(assignment.notebook)

    def new(beside):
        """Is the first cell that isn't empty neither the starter's nor graded?"""
        cell = next((cell for cell in beside if cell.source.strip()), None)
        graded = cell is None or cell.test is not None or cell.written
        return not graded and cell.source.strip() not in given.values()

    found = {}
    for name, _ in assignment.written:
        at = [i for i, cell in enumerate(cells) if cell.written == name]
        if any(cells[i].source.strip() not in ("", given.get(name)) for i in at):
            found[name] = ANSWERED
        elif not at or any(new(cells[i + 1 :]) or new(reversed(cells[:i])) for i in at):
            found[name] = ELSEWHERE
        else:
            found[name] = EMPTY
    return found


@lru_cache
def starter_sources(path):
    """The sources of a starter's cells by grade id, or by number if they have none."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return {_grade_id(cell) or i: "".join(cell["source"]).strip() for i, cell in enumerate(cells)}
