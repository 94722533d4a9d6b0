"""The graded notebook, as nbgrader's Formgrader shows it."""

import copy
import re
from functools import lru_cache

import nbformat

from grading.pipeline import result

NOTE = "about_this_grading"  # the grade_id-like name of the cell that the grader puts on top
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|$~])")


def graded_notebook(found, starter):
    """The notebook of a result, in the form that nbgrader's Formgrader and feedback know.

    The student's cells with the outputs that they gave, the starter's test cells with the message as
    output, and the starter's metadata on every cell that it marks, found by its grade_id. Depends on the
    result and the starter only.
    """
    starter = _starter(starter)
    marked = {cell.metadata.nbgrader.grade_id: cell for cell in starter.cells if "nbgrader" in cell.metadata}
    checks = {f"test_{check.name}": check for check in found.checks}
    cells, left = [], dict(marked)
    for number, cell in enumerate(found.cells):
        given = left.get(cell["name"])
        if given is not None and given.cell_type == cell["kind"]:
            del left[cell["name"]]
            cells.append(_marked_cell(given, cell, checks))
        else:
            cells.append(_cell(cell["kind"], cell["source"], cell["outputs"], f"cell-{number + 1}"))
    # gone from the submission: graded cells have their place in the gradebook
    graded = (given for given in left.values() if given.metadata.nbgrader.grade)
    cells += [_marked_cell(given, None, checks) for given in graded]
    if text := _about(found):
        note = _cell("markdown", text, [], NOTE)
        note.metadata[NOTE] = True
        cells.insert(0, note)
    return nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(starter.metadata))


@lru_cache
def _starter(path):
    return nbformat.read(path, 4)


def _marked_cell(given, cell, checks):
    mark = given.metadata.nbgrader
    if mark.grade and not mark.solution:
        check = checks.get(mark.grade_id)
        shown = [{"text": sign(check) + "\n" + check.message}] if check else [{"text": "Not graded."}]
        new = _cell("code", given.source, shown, given.id)
    else:
        source, outputs = (cell["source"], cell["outputs"]) if cell else (given.source, [])
        new = _cell(given.cell_type, source, outputs, given.id)
    new.metadata = copy.deepcopy(given.metadata)
    return new


def _cell(kind, source, outputs, name):
    """A cell as nbformat has them. The notebook is validated once, as a whole, when it is made."""
    cell = {"cell_type": kind, "id": name, "metadata": {}, "source": source}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": [_output(output) for output in outputs]}
    return nbformat.from_dict(cell)


def _output(output):
    if "text" in output:
        return {"output_type": "stream", "name": "stdout", "text": output["text"]}
    return {"output_type": "display_data", "data": {"image/png": output["png"]}, "metadata": {}}


def _about(found):
    lines = []
    if found.status == result.FAILED:  # its reason can name hidden inputs
        lines.append("**This notebook has no grade yet.** The grader failed on it. A person will grade it.")
    elif found.status != result.GRADED:
        lines.append(f"**This notebook could not be graded.** {escaped(found.reason)}")
    if found.sandboxed is False:
        lines.append("**Not sandboxed.** This notebook was graded without protection from its own code.")
    lines += [f"- {escaped(note)}" for note in found.notes]
    return "\n".join(["### About this grading", "", *lines]) if lines else ""


def sign(check):
    """The points of a check in a line."""
    mark = result.mark(check.points, check.max_points)
    return f"{mark} {check.points:g} of {check.max_points:g} points"


def comment(check):
    """A check's message as Markdown: a sentence, and what was seen as it is."""
    if not check.message:
        return None
    sentence, *seen = check.message.split("\n")
    return "\n".join([escaped(sentence), *(["", *(f"    {line}" for line in seen)] if seen else [])])


def escaped(text):
    """Text in which Markdown finds nothing to interpret."""
    return MARKDOWN.sub(r"\\\1", text)


def work(notebook, name=None):
    """What a person graded: the text of a written answer, or else all cells of the student."""
    own, answer = [], None
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("solution") and mark.get("grade") and mark["grade_id"] == name:
            answer = cell.source
        if NOTE not in cell.metadata and (mark.get("solution") or not mark.get("grade")):
            own.append(cell.source)
    return own if answer is None else answer
