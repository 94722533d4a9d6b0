"""Build the web edition into build/site, as `make site` does.

The build first writes the source of every page into build/pages: the texts beside this file, the lessons
with their stored outputs, the exercises with folded solutions, and a page for each module. Links are changed
to lead from page to page. Sphinx then makes HTML of them. A warning is an error.
"""

import importlib
import os
import pkgutil
import re
import shutil
import sys
from functools import cache
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell
from sphinx.cmd.build import build_main

WEB = Path(__file__).resolve().parent
ROOT = WEB.parent
sys.path.insert(0, str(ROOT))

from benchmarks import harness  # noqa: E402
from benchmarks.quality.pretrained import judge  # noqa: E402
from utils import pretrained  # noqa: E402
from utils.explorer import export, playground  # noqa: E402
from utils.plotting import NAMES, plot_curves  # noqa: E402

PLAYGROUND = "<!-- playground -->"  # stands where a page shows the playground
MODELS = "_static/models"  # where the site has their weights
ALT = (
    "Attention weights of “the restaurant was amazing but the service was slow”, translated to French: each "
    "French word attends almost only to the English word that it translates."
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#]*)(#[^)]*)?\)")
MARKER = re.compile(r"^.*### (BEGIN|END) SOLUTION.*\n?", re.MULTILINE)


def main(folder=ROOT / "build"):
    """Build `folder`/site from scratch. Return 0, or Sphinx's status if something is wrong."""
    folder = Path(folder).resolve()
    for name in ("pages", "site", "doctrees"):
        shutil.rmtree(folder / name, ignore_errors=True)
    write_pages(folder / "pages")
    options = ["-c", WEB, "-d", folder / "doctrees", "-j", "auto", "-q", "-W", "--keep-going"]
    status = build_main([*map(str, options), str(folder / "pages"), str(folder / "site")])
    export.write_models(folder / "site" / MODELS)
    return status


def write_pages(pages):
    """Write the source of every page into a folder, with links that work there."""
    places = places_in(pages)
    readme = (ROOT / "README.md").read_text("utf-8")
    exercises = dict(re.findall(r"\(demo/(\w+)\.ipynb\).*\(exercises/starter/(\w+)/", readme))
    for file, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            text = file.read_text("utf-8").replace("- [ ] ", "- ")  # a page cannot save a ticked box
            text = relinked(text, file, places)
            if PLAYGROUND in text:
                text = text.replace(PLAYGROUND, f"````{{raw}} html\n{playground_html()}\n````")
            place.write_text(text, "utf-8")
        elif "starter" not in file.parts:
            nbformat.write(notebook_page(file, places, exercises), place)
    shutil.copytree(ROOT / "benchmarks" / "results", pages / "results")  # pages include parts of these
    draw_bottleneck(pages / "results" / "pretrained.svg")
    write_api(pages)


def draw_bottleneck(file):
    """Draw the BLEU of the pretrained models by clauses, means of the seeds."""
    record, curves = harness.read("pretrained"), {}
    for run in record["runs"]:
        scores = run["bleu"] | run["long"]
        curves.setdefault(NAMES[run["context"]], []).append(list(scores.values()))
    means = {name: [sum(row) / len(row) for row in zip(*runs, strict=True)] for name, runs in curves.items()}
    ax = plot_curves(means, list(map(int, scores)), "clauses per review", "BLEU", legend="above")
    ax.axvline(5, color="gray", linestyle=":")
    ax.figure.savefig(file, metadata={"Date": None}, bbox_inches="tight")


@cache
def playground_html():
    """Return the playground with all pretrained models, which it loads from files of the site."""
    snapshots = [
        {"update": update} | judge(pretrained.restore(*export.read("additive", update)))
        for update in export.SNAPSHOTS
    ]
    data = {"files": f"{MODELS}/", "share": True, "snapshots": snapshots}
    shown = playground(pretrained.MODELS, alt=ALT, **data)
    return re.sub(r"\n\s*\n", "\n", shown._repr_html_())


def places_in(pages):
    """Return where each text and notebook of the repository goes among the pages."""
    places = {ROOT / "README.md": pages / "README.md", ROOT / "CONTRIBUTING.md": pages / "contributing.md"}
    places |= {file: pages / file.name for file in sorted(WEB.glob("*.md"))}
    places |= {file: pages / "lessons" / file.name for file in sorted(ROOT.glob("demo/*.ipynb"))}
    files = sorted(ROOT.glob("exercises/*/*/*.ipynb"))  # starter and solution share a page
    return places | {file: pages / "exercises" / file.name for file in files}


def notebook_page(file, places, exercises):
    """Return the notebook of a lesson's or an exercise's page. `exercises` maps lessons to exercises."""
    notebook, starter = nbformat.read(file, 4), ROOT / "exercises" / "starter" / file.stem / file.name
    if "demo" in file.parts:
        links = [download("Download this notebook", file, places)]
        if name := exercises.get(file.stem):
            links.append(f"[Exercise {name[:2]}](../exercises/{name}.ipynb)")
    else:
        links = [download("Download this exercise", starter, places)]
        for lesson in (lesson for lesson, name in exercises.items() if name == file.stem):
            links.append(f"[Lesson {lesson[:2]}](../lessons/{lesson}.ipynb)")
        notebook.cells = folded(notebook.cells, nbformat.read(starter, 4).cells)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relinked(cell.source, file, places)
    notebook.cells.insert(1, new_markdown_cell(" · ".join(links)))
    return notebook


def relinked(text, file, places):
    """Return a text whose links to files of the repository lead to their pages, or to a copy to download."""

    def new_link(match):
        target, anchor = match[1], match[2] or ""
        if not target:  # a section of README is a page of that name, if there is one
            page = places.get(WEB / f"{anchor[1:]}.md")
            return f"]({page.name})" if page else match[0]
        linked = (file.parent / target).resolve()
        if not linked.exists():
            raise FileNotFoundError(f"{file.relative_to(ROOT)} links to {target}, which does not exist")
        return f"]({os.path.relpath(places.get(linked, linked), places[file].parent)}{anchor})"

    return LINK.sub(new_link, text)


def download(text, file, places):
    """Return a download link to a file."""
    return f"{{download}}`{text} <{os.path.relpath(file, places[file].parent)}>`"


def folded(solution, starter):
    """Return the cells of an exercise as students get it, each with its solution and its tests folded."""
    cells, answer = [], None
    for solved, given in zip(solution, starter, strict=True):
        mark = solved.metadata.get("nbgrader")
        if mark and solved.cell_type == "markdown":
            task = given.source.removesuffix("*Write your answer here.*")
            answer = MARKER.sub("", solved.source.removeprefix(task))
            cells += [new_markdown_cell(task), fold("A possible answer, and how it is graded", answer)]
        elif mark and mark["solution"]:
            answer = listing(MARKER.sub("", solved.source))
            cells.append(given)
        elif mark:
            cells += [fold("A solution", answer), fold("The tests that you see", listing(given.source))]
        else:
            cells.append(given)
    return cells


def fold(summary, text):
    """Return a cell whose text is folded under a summary."""
    return new_markdown_cell(f"<details><summary>{summary}</summary>\n\n{text.strip()}\n\n</details>")


def listing(code):
    """Return code as a Markdown block."""
    return f"````python\n{code.strip()}\n````"


def write_api(pages):
    """Write a page for each module, with a package's modules on one page, and a page that lists them all."""
    (pages / "api").mkdir()
    text = "# The code\n"
    for name in ("utils", "grading"):
        text += f"\n## {name}\n\n| module | what it is for |\n| --- | --- |\n"
        for module in [name, *modules(name)]:
            about = importlib.import_module(module).__doc__.partition("\n")[0]
            text += f"| [{module}](api/{module}.md) | {about} |\n"
            sections = [f"# {module}", documented(module)]
            for part in modules(module) if module != name else ():
                sections += [f"## {part}", documented(part)]
            (pages / "api" / f"{module}.md").write_text("\n\n".join(sections) + "\n", "utf-8")
    text += "\n```{toctree}\n:hidden:\n:glob:\n\napi/*\n```\n"
    (pages / "api.md").write_text(text, "utf-8")


def modules(name):
    """Return the names of a package's modules, in order, without `__main__`; none for a module."""
    path = getattr(importlib.import_module(name), "__path__", ())
    return [found.name for found in pkgutil.iter_modules(path, f"{name}.") if found.name[-2:] != "__"]


def documented(module):
    """Return the Markdown that documents a module."""
    return f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
