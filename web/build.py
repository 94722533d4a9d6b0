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
from web.charts import CHARTS  # noqa: E402

PLAYGROUND = "<!-- playground -->"  # stands where a page shows the playground
MODELS = "_static/models"  # where the site has their weights
ALT = (
    "Attention weights of “the restaurant was amazing but the service was slow”, translated to French: each "
    "French word attends almost only to the English word that it translates."
)
RECORD = re.compile(r"^```\{literalinclude\} results/(?!bench)(\w+)\.txt\n```\n", re.M)
NAMED = re.compile(r"\[(demo/)?(\d\d_\w+)\](?=\()")  # a lesson or an exercise by its file
EXPLAINED = re.compile(r"\| (demo|exercise) (\d\d) \|$", re.M)  # where the glossary says a term is explained
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
            text = EXPLAINED.sub(link_lesson, NAMED.sub(lambda match: f"[{title(*match.groups())}]", text))
            text = relinked(RECORD.sub(charted, text), file, places)
            if PLAYGROUND in text:
                text = text.replace(PLAYGROUND, f"````{{raw}} html\n{playground_html()}\n````")
            place.write_text(text, "utf-8")
        elif "starter" not in file.parts:
            nbformat.write(notebook_page(file, places, exercises), place)
    shutil.copytree(ROOT / "benchmarks" / "results", pages / "results")  # pages include parts of these
    for name in filter(drawn, CHARTS):
        figure = CHARTS[name](harness.read(name)).figure
        figure.savefig(pages / "results" / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
    write_api(pages)


def drawn(name):
    """Return whether a record has a chart. Records of old benchmarks keep only their text."""
    return name in CHARTS and "runs" in harness.read(name)


def charted(match):
    """Return the chart of a record, if it has one, and its text, folded."""
    name, chart = match[1], ""
    if drawn(name):
        chart = f"```{{figure}} results/{name}.svg\n:alt: {CHARTS[name].__doc__}\n```\n\n"
    return f"{chart}<details><summary>The numbers</summary>\n\n{match[0]}\n</details>\n"


def title(lesson, stem):
    """Return the title of a lesson, or else of an exercise, without its number."""
    folder = ROOT / ("demo" if lesson else f"exercises/solution/{stem}")
    heading = nbformat.read(folder / f"{stem}.ipynb", 4).cells[0].source.splitlines()[0]
    return heading.partition(" · ")[2]


def link_lesson(match):
    """Return the last cell of a row of the glossary, as a link."""
    kind, number = match.groups()
    pattern = "demo/{}_*.ipynb" if kind == "demo" else "exercises/starter/{0}_*/{0}_*.ipynb"
    (file,) = ROOT.glob(pattern.format(number))
    name = f"{'lesson' if kind == 'demo' else kind} {number}"
    return f"| [{name}]({os.path.relpath(file, WEB)}) |"


@cache
def playground_html():
    """Return the playground with all pretrained models, which it loads from files of the site."""
    snapshots = [
        {"update": update} | judge(pretrained.restore(*export.read("additive", update)))
        for update in (*export.SNAPSHOTS, None)  # the last is the finished model
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
