"""Say why an answer could not be called: its cell failed, is missing, or defines another name."""

import difflib
import re
from dataclasses import replace

from grading.judge.message import NOT_WRITTEN
from grading.pipeline.assignments import readable

MISSING = "There is no {} in the notebook"  # how messages about such an answer begin
MISNAMED = "A name is wrong"
ITS_CELL = "Its cell"
NOT_RUN = "Not run"  # in the place of an error, if a cell was stopped or not reached
DEFINED = re.compile(r"^\s*(?:def|class)\s+(\w+)", re.M)


def failure(cell):
    """Return what stopped a cell of a result, with the line, or "" if nothing did or it is unwritten."""
    if cell["error"] in (None, NOT_RUN):  # notes say why a cell was not run
        return ""
    text = "".join(output.get("text", "") for output in cell["outputs"])
    line = re.search(r"Cell In\[\d+\], line (\d+)", text)
    last = (line for line in reversed(text.splitlines()) if line.startswith(cell["error"]))
    said = next(last, cell["error"])
    if said == "NotImplementedError":
        return ""
    return readable(f"{f'line {line[1]}: ' if line else ''}{said}", 300)


def explain(check, cells, given, not_run):
    """Return the result of a check, with a better message if the answer has no code that could be called.

    `cells` are those of the result, and `given` has the sources of the starter's cells by name. `not_run` has
    the source of each cell that was left out, and why.
    """
    missing = check.message.startswith(MISSING.format(check.name))
    if not missing and not check.message.startswith(NOT_WRITTEN):
        return check
    why = next((why for source, why in not_run if check.name in DEFINED.findall(source)), None)
    if missing and why:
        return replace(check, message=f"{ITS_CELL} {why}.")
    own = next((cell for cell in cells if cell["name"] == check.name), None)
    if own is None:
        why = "its cell is missing. Copy it from a new copy of the notebook."
    elif missing and (stopped := failure(own)):
        why = f"its cell fails in {stopped}"
    else:
        found = DEFINED.findall(own["source"])
        absent = [name for name in DEFINED.findall(given.get(check.name, "")) if name not in found]
        close = [(name, *difflib.get_close_matches(name, found, n=1)) for name in absent]
        typos = [f"you wrote {pair[1]} where {pair[0]} is expected" for pair in close if len(pair) == 2]
        if not missing and not typos:
            untouched = own["source"].strip() == given.get(check.name)
            return replace(check, message=NOT_WRITTEN) if untouched else check
        why = f"{', '.join(typos)}. Correct the name." if typos else "define it in its cell, unindented."
    return replace(check, message=f"{MISSING.format(check.name) if missing else MISNAMED}: {why}")
