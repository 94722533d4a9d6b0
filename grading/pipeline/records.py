"""Records: the verdict on one submission as one JSON file, written at once or not at all.

`graded/ASSIGNMENT/STUDENT.json` is all that the gradebook, the feedback and the report are made from. A
record holds for the submission and the version of the course that it names; with another of either, the
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
from pathlib import Path

from grading.pipeline.assignments import ROOT
from grading.sandbox.limits import PICTURE, PICTURES, TEXT

GRADED, NOT_GRADABLE, FAILED = "graded", "not gradable", "failed"
ALL_SOURCES, ALL_OUTPUTS = 500_000, 4_000_000  # letters of a notebook that a record keeps
WIDEST = 4_000  # pixels of a picture
NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # what files and databases refuse
CUT = "\n... (the rest was left out)"


def write(path, record):
    """Write a record so that whoever looks sees the old one or the new one, also after a crash."""
    write_text(path, json.dumps(record, ensure_ascii=False, indent=1))


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
    """The record in a file, or None where there is none that can be read."""
    try:
        record = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and {"key", "status", "student"} <= record.keys() else None


def key(data, version):
    """What a record is valid for: these bytes of a submission, and this version of the course."""
    return {"submission": hashlib.sha256(data).hexdigest(), "version": version}


def version(assignment):
    """A digest of what verdicts depend on: the sources of the grader and the library, and the starter."""
    digest = hashlib.sha256()
    paths = [path for folder in ("grading", "utils") for path in (ROOT / folder).rglob("*.py")]
    for path in [*sorted(paths), assignment.notebook]:
        for part in (path.name.encode(), path.read_bytes()):
            digest.update(struct.pack("<Q", len(part)) + part)
    return digest.hexdigest()


def of_report(report, names):
    """The verdict of a `Report` as plain data, the cells with it. `names` are the cells' grade_ids."""
    sources, outputs, cells = ALL_SOURCES, ALL_OUTPUTS, []
    for (cell, (shown, _)), name in zip(report.cells, names, strict=True):
        source = cell.source if len(cell.source) <= sources else cell.source[:sources] + CUT
        sources -= min(sources, len(cell.source))
        kept = clean_outputs(shown, outputs)
        outputs -= sum(len(text) for output in kept for text in output.values())
        cells.append({"kind": cell.kind, "name": name, "source": source, "outputs": kept})
    return clean({**report.as_json(), "cells": cells})


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
