"""Build the web edition: `make site` puts it into build/site.

Pages are laid out in build/pages first: the texts beside this file, the lessons with their stored outputs,
the exercises with their solutions folded, and a page for each module of the code. There they have the names
and links of the site. Then Sphinx makes HTML of them, and a warning is an error.
"""

import importlib
import os
import pkgutil
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell
from sphinx.cmd.build import build_main

WEB = Path(__file__).resolve().parent
ROOT = WEB.parent
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#]*)(#[^)]*)?\)")
MARKER = re.compile(r"^.*### (BEGIN|END) SOLUTION.*\n?", re.MULTILINE)


def main(folder=ROOT / "build"):
    """Build `folder`/site anew. Return 0, or Sphinx's status where something is wrong."""
    folder = Path(folder).resolve()
    for name in ("pages", "site", "doctrees"):
        shutil.rmtree(folder / name, ignore_errors=True)
    lay_out(folder / "pages")
    options = ["-c", WEB, "-d", folder / "doctrees", "-j", "auto", "-q", "-W", "--keep-going"]
    return build_main([*map(str, options), str(folder / "pages"), str(folder / "site")])


def lay_out(pages):
    """Write the source of every page into a folder, with links that hold there."""
    places = places_in(pages)
    readme = (ROOT / "README.md").read_text("utf-8")
    exercises = dict(re.findall(r"\(demo/(\w+)\.ipynb\).*\(exercises/starter/(\w+)/", readme))
    for file, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            text = file.read_text("utf-8").replace("- [ ] ", "- ")  # a page would not keep what is ticked
            place.write_text(relinked(text, file, places), "utf-8")
        elif "starter" not in file.parts:
            notebook = nbformat.read(file, 4)
            links = []
            if "demo" in file.parts:
                links.append(download("Download this notebook", file, place))
                if name := exercises.get(file.stem):
                    links.append(f"[Exercise {name[:2]}](../exercises/{name}.ipynb)")
            else:
                starter = ROOT / "exercises" / "starter" / file.stem / file.name
                links.append(download("Download this exercise", starter, place))
                links += [f"[Lesson {demo[:2]}](../lessons/{demo}.ipynb)"
                          for demo, name in exercises.items() if name == file.stem]  # fmt: skip
                notebook.cells = folded(notebook.cells, nbformat.read(starter, 4).cells)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = relinked(cell.source, file, places)
            notebook.cells.insert(1, new_markdown_cell(" · ".join(links)))
            nbformat.write(notebook, place)
    shutil.copytree(ROOT / "benchmarks" / "results", pages / "results")  # what pages include
    lay_out_api(pages)


def places_in(pages):
    """Where the repository's texts and notebooks stand among the pages."""
    places = {ROOT / "README.md": pages / "README.md", ROOT / "CONTRIBUTING.md": pages / "contributing.md"}
    places |= {file: pages / file.name for file in sorted(WEB.glob("*.md"))}
    places |= {file: pages / "lessons" / file.name for file in sorted(ROOT.glob("demo/*.ipynb"))}
    for kind in ("solution", "starter"):  # one page for both
        files = sorted(ROOT.glob(f"exercises/{kind}/*/*.ipynb"))
        places |= {file: pages / "exercises" / file.name for file in files}
    return places


def relinked(text, file, places):
    """A text whose links to files of the repository lead to their pages, or else to a copy to download."""

    def there(match):
        target, anchor = match[1], match[2] or ""
        if not target:  # a section of README is a page of that name, if there is one
            page = places.get(WEB / f"{anchor[1:]}.md")
            return f"]({page.name})" if page else match[0]
        linked = (file.parent / target).resolve()
        if not linked.exists():
            raise FileNotFoundError(f"{file.relative_to(ROOT)} links to {target}, which is not there")
        return f"]({os.path.relpath(places.get(linked, linked), places[file].parent)}{anchor})"

    return LINK.sub(there, text)


def download(text, file, place):
    return f"{{download}}`{text} <{os.path.relpath(file, place.parent)}>`"


def folded(solution, starter):
    """The cells of an exercise as students get it, each with its solution and tests folded."""
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
    return new_markdown_cell(f"<details><summary>{summary}</summary>\n\n{text.strip()}\n\n</details>")


def listing(code):
    return f"````python\n{code.strip()}\n````"


def lay_out_api(pages):
    """Write a page for each module, or package of modules, and one that lists them in a sentence each."""
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
    """The names of a package's modules, in order; none for a module. What only runs is left out."""
    path = getattr(importlib.import_module(name), "__path__", ())
    return [found.name for found in pkgutil.iter_modules(path, f"{name}.") if found.name[-2:] != "__"]


def documented(module):
    return f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(*sys.argv[1:]))
