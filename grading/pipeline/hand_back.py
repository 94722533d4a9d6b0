"""Put feedback pages into a zip file that Canvas and Moodle take back for the whole class."""

import contextlib
import json
import zipfile
from pathlib import Path

from grading.pipeline.collect import CANVAS, MOODLE
from grading.pipeline.result import NOT_GRADABLE
from grading.pipeline.run import known_as


def name_in_zip(student, assignment, platform="", name=""):
    """Return how a platform finds the page of a notebook that it gave this name.

    Canvas looks for NAME_ID_ATTACHMENT_, and Moodle for NAME_ID_assignsubmission_file_.
    """
    page, parts = f"{assignment}.html", Path(name).parts
    pattern, parts = {"Canvas": (CANVAS, parts[-1:]), "Moodle": (MOODLE, parts)}.get(platform, (None, ()))
    found = next(filter(None, (pattern.fullmatch(part) for part in parts)), None)
    return f"{found['prefix']}_{page}" if found else f"{student}/{page}"


def write_zip(run, out):
    """Write the pages of a `Run`, up to date, into a zip file. Return who has one and who has none yet."""
    ready, waiting = [], []
    run.refresh_pages()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for folder in run.everybody():
            student = known_as(folder)
            standing, status = run.standings.get(student), run.status(folder)
            page = run.page(student)
            final = status == NOT_GRADABLE or (standing and standing.total is not None)
            if not final or not page.is_file():
                waiting.append(student)
                continue
            noted = []
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found = json.loads((run.place(folder) / "collected.json").read_text("utf-8"))
                noted = [found["platform"], found["from"]]
            file.write(page, name_in_zip(student, run.name, *noted))
            ready.append(student)
    return ready, waiting
