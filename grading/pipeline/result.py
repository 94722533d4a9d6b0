"""The result of grading one submission, and the file that keeps it.

The gradebook, the feedback and the report are made from `graded/ASSIGNMENT/STUDENT.json` alone. A result is
valid for the submission and the version of the course that its key names. With another of either, the
submission is graded again.
"""

import base64
import binascii
import contextlib
import hashlib
import json
import os
import re
import struct
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from grading.pipeline.assignments import ROOT
from grading.sandbox.limits import PICTURE, PICTURES, TEXT

GRADED, NOT_GRADABLE, FAILED = "graded", "not gradable", "failed, needs a person"
NOT_YET = "not graded yet"  # only in reports
ALL_SOURCES, ALL_OUTPUTS = 200_000, 4_000_000  # letters of a notebook that a result keeps
WIDEST = 4_000  # pixels of a picture
NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # what files and databases refuse
CUT = "\n... (the rest was left out)"


@dataclass(frozen=True)
class CheckResult:
    """What one check gave: `message` is for the student, and `mistake` the name of a known mistake.

    `grids` has what was expected and what came in a visible case, see `judge.shown.grids`. `behavior` has a
    digest for each probe of a wrong answer: all wrong answers to the same check get the same probes. `parts`
    has a dict of name, points and right for each part: `points` is the sum over those that are right.
    """

    name: str
    points: float
    max_points: float
    message: str = ""
    mistake: str | None = None
    grids: tuple = ()
    behavior: tuple = ()
    parts: tuple = ()

    @property
    def wrong(self):
        """The names of the parts that are wrong, if others are right."""
        return [part["name"] for part in self.parts if self.points and not part["right"]]


def mark(points, most):
    """Return the sign for the points of an answer: right, partly right or wrong."""
    return "✓" if points >= most else "~" if points else "✗"


@dataclass(frozen=True)
class Standing:
    """What the gradebook holds of a submission: how late it is, the points that this costs, and the points of
    tests and persons without them, None while a person has still to grade it.
    """

    seconds_late: float = 0
    penalty: float = 0
    total: float | None = None

    @property
    def late(self):
        """How late it is, for people."""
        days, hours = self.seconds_late / 86_400, self.seconds_late / 3_600
        return f"{days:.1f} days" if days >= 1 else f"{hours:.1f} hours" if self.seconds_late else ""


@dataclass(frozen=True)
class Result:
    """What grading one submission gave.

    `checks` are `CheckResult`s, and `written` names the answers that a person grades, with their points and
    `where` they are, see `assignments.where_written`.
    `reason` says why a submission has the status NOT_GRADABLE or FAILED, and `notes` what a person should
    know. `cells` are dicts of kind, name, source, outputs and error. The run adds whose submission it is, its
    key and when it was submitted. Only a report knows the gradebook's `standing`.
    """

    status: str
    assignment: str = ""
    student: str = ""
    key: dict | None = None
    timestamp: str | None = None
    reason: str = ""
    sandboxed: bool | None = None
    checks: tuple = ()
    written: tuple = ()
    notes: tuple = ()
    cells: tuple = ()
    standing: "Standing | None" = None

    @property
    def score(self):
        """The points of all checks, or None if the submission wasn't graded."""
        return sum(check.points for check in self.checks) if self.status == GRADED else None

    @property
    def max_score(self):
        return sum(check.max_points for check in self.checks)

    def as_json(self, cells=False):
        """Return plain data, with the notebook's cells or without."""
        left_out = {"standing"} if cells else {"standing", "cells"}
        plain = clean(asdict(self)) | {"score": self.score, "max_score": self.max_score}
        return {name: value for name, value in plain.items() if name not in left_out}


def of_json(plain):
    """Return the `Result` that `as_json` made this plain data of."""
    known = {field.name: plain[field.name] for field in fields(Result) if field.name in plain}
    known |= {name: tuple(known[name]) for name in ("written", "notes", "cells") if name in known}
    return Result(**known | {"checks": tuple(CheckResult(**check) for check in known.get("checks", ()))})


def write(path, result):
    """Write a result so that readers see the old one or the new one, even after a crash.

    Return it as it can be read, in which all text is clean.
    """
    plain = result.as_json(cells=True)
    write_text(path, json.dumps(plain, ensure_ascii=False))
    return of_json(plain)


def write_text(path, text):
    """Write a file at once and for good: to another name, to the disk, and then to its place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with open(unfinished, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the new name, too, must be on the disk
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_if_changed(path, text):
    """Write a file as `write_text` does, unless it has this text already."""
    with contextlib.suppress(OSError, ValueError):
        if Path(path).read_text("utf-8") == text:
            return
    write_text(path, text)


def read(path):
    """Return the result in a file, or None if there is none that can be read."""
    try:
        return of_json(json.loads(Path(path).read_text("utf-8")))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def key(data, version):
    """Return what a result is valid for: these bytes of a submission, and this version of the course."""
    return {"submission": hashlib.sha256(data).hexdigest(), "version": version}


def version(assignment):
    """A digest of what verdicts depend on: the sources of the grader, the library and the lesson, and the
    starter.
    """
    digest = hashlib.sha256()
    paths = [path for folder in ("grading", "utils") for path in (ROOT / folder).rglob("*.py")]
    lesson = (ROOT / "lessons" / "exercises").glob(f"{assignment.name}.py")
    for path in [*sorted(paths), *lesson, assignment.notebook]:
        for part in (path.name.encode(), path.read_bytes()):
            digest.update(struct.pack("<Q", len(part)) + part)
    return digest.hexdigest()


def cells_of(cells, ran):
    """Return a submission's cells as plain data, within limits. `ran` has (outputs, error) by number."""
    sources, outputs, kept = ALL_SOURCES, ALL_OUTPUTS, []
    for number, cell in enumerate(cells):
        shown, error = ran.get(number, ([], None))
        source = cell.source if len(cell.source) <= sources else cell.source[:sources] + CUT
        sources -= min(sources, len(cell.source))
        shown = clean_outputs(shown, outputs)
        outputs -= sum(len(text) for output in shown for text in output.values())
        about = {"kind": cell.kind, "name": cell.name, "error": error}
        kept.append({**about, "source": source, "outputs": shown})
    return tuple(clean(kept))


def clean_outputs(outputs, most):
    """What of a cell's outputs is text or a PNG picture, within the limits. The worker may send anything."""
    kept, letters, pictures = [], TEXT, PICTURES
    for output in outputs:
        text, png = output.get("text"), output.get("png")
        if isinstance(text, str) and min(letters, most) > 0:
            short = text[: min(letters, most)]
            kept.append({"text": short if short == text else short + CUT})
            letters, most = letters - len(short), most - len(short)
        elif isinstance(png, str) and pictures and len(png) <= min(PICTURE, most) and _is_png(png):
            kept.append({"png": png})
            pictures, most = pictures - 1, most - len(png)
    return kept


def _is_png(text):
    try:
        data = base64.b64decode(text, validate=True)
        width, height = struct.unpack(">II", data[16:24])
    except (binascii.Error, ValueError, struct.error):
        return False
    return data[:8] == b"\x89PNG\r\n\x1a\n" and 0 < width <= WIDEST and 0 < height <= WIDEST


def clean(value):
    """Plain data in which every text is one that a file, a page and a database take."""
    if isinstance(value, str):
        return NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value.replace("\r\n", "\n").replace("\r", "\n"))
    if isinstance(value, dict):
        return {clean(name): clean(item) for name, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list | tuple) else value
