"""The reader's own copies of the notebooks: they follow the course until the reader changes them."""

import hashlib
import json
import os
import re
from pathlib import Path

from grading.pipeline.assignments import ROOT


def copy_notebooks(into, root=ROOT):
    """Copy the demos of the course at `root` into `into`/demo, and the exercises into `into`/exercises.

    Update a copy when the course has changed, unless the reader has changed the text of a cell. Running cells
    is no change. Return two lists of paths: the copies that were written, and those that stay as they are
    although the course has a newer version.
    """
    record = Path(into, ".copied.json")
    known = json.loads(record.read_text("utf-8")) if record.exists() else {}
    written, kept = [], []
    for source in sorted([*root.glob("demo/*.ipynb"), *root.glob("exercises/starter/*/*.ipynb")]):
        name = f"{source.relative_to(root).parts[0]}/{source.name}"
        own = Path(into, name)
        text = _relinked(source.read_text("utf-8"), source, own)
        new, before = {"file": _digest(text), "cells": _cells(text)}, known.get(name, {})
        found = _cells(own.read_text("utf-8")) if own.exists() else None
        if found not in (None, before.get("cells"), new["cells"]):  # the reader has changed it
            if new != before:
                kept.append(own)
            continue
        if found is None or new != before:
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(text, "utf-8", newline="\n")
            written.append(own)
        known[name] = new
    record.write_text(json.dumps(known, indent=1), "utf-8")
    return written, kept


def _relinked(text, source, own):
    """Return a notebook's text with relative links that work from the place of the copy."""

    def there(link):
        return Path(os.path.relpath(source.parent / link[0], own.parent)).as_posix()

    return re.sub(r"(?<=\]\()\.\./[^)\s#]+", there, text)


def _cells(text):
    """Return a digest of the cells of a notebook without their outputs, or of a text that is no notebook."""
    try:
        cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    except (ValueError, KeyError, TypeError):
        return _digest(text)
    return _digest(json.dumps(cells))


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
