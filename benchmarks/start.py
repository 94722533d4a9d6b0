"""How long a learner waits: for the imports, and from opening a notebook to its first heat map.

    python -m benchmarks.start [NAME ...] [--turns 5] [--clone]

Imports are those of the first cell that has any in the first lesson, in fresh processes: from nothing, which
is mostly torch, and once torch is loaded. Seconds on the clock, the middle of some turns; the files have been
read before, so that a first start after switching on the machine takes longer. Below them, what our own
modules and the libraries that these import took, torch apart, in milliseconds (`python -X importtime`).

Then the code cells of lessons, in order, in a fresh kernel, as after opening the notebook: seconds until the
imports are done, until the first picture is shown and until the first heat map is, where a lesson has one: in
lesson 02 that is a row made up by hand, in lesson 03 the map of a model that has been trained before it.
With --clone, the same for a fresh clone of this repository, whose environment is installed first: minutes,
and the network where pip has not kept the packages. How long whole lessons take is measured by
`benchmarks.demos`. The tables are also written to benchmarks/results/start.txt.
"""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from nbclient import NotebookClient

from benchmarks.lessons import DEMOS
from benchmarks.machine import describe
from make_notebooks import ROOT, code_cells, read_lesson

RESULTS = Path(__file__).parent / "results" / "start.txt"
FIRST = "01_bottleneck"
LESSONS = ("01_bottleneck", "02_attention", "03_translator")
MOMENTS = ("imports", "picture", "heat map")
MOST = 12  # rows of what is slow to import
HEAT_MAPS = {"plot_attention", "plot_maps", "explore"}  # what draws them
TIMED = (
    "import time\n{before}\nstarted = time.perf_counter()\n{imports}\nprint(time.perf_counter() - started)"
)


def lesson_imports(name=FIRST):
    """The imports of the first cell of a lesson that has any, as text."""
    for cell in code_cells(read_lesson(DEMOS / f"{name}.py")):
        found = [
            node for node in ast.parse(cell.source).body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        if found:
            return "\n".join(map(ast.unparse, found))
    raise ValueError(f"lesson {name} imports nothing")


def _python(*options):
    return subprocess.run([sys.executable, *options], cwd=ROOT, check=True, capture_output=True, text=True)


def import_seconds(imports, before="", turns=5):
    """Seconds that imports take in a fresh process where `before` has been run: the middle of some turns."""
    program = TIMED.format(before=before, imports=imports)
    return median(float(_python("-c", program).stdout) for _ in range(turns))


def slowest(imports, ours="utils"):
    """What imports cost once torch is loaded, as (module or library, milliseconds), the slowest first.

    A module of ours counts by itself, without what it imports; a library as a whole, where it is first met.
    """
    said = _python(
        "-X", "importtime", "-c", f"import torch\nprint('-', file=__import__('sys').stderr)\n{imports}"
    )
    costs, parents = {}, []
    lines = re.findall(r"^import time: +(\d+) \| +(\d+) \|( +)(\S+)$", said.stderr.split("\n-\n")[1], re.M)
    for own, whole, indent, name in reversed(lines):  # a module stands below those that it imports
        parents = [(depth, parent) for depth, parent in parents if depth < len(indent)]
        of_ours = name.split(".")[0] == ours
        if of_ours or all(parent.split(".")[0] == ours for _, parent in parents):
            key = name if of_ours else name.split(".")[0]
            costs[key] = costs.get(key, 0.0) + int(own if of_ours else whole) / 1e3
        parents.append((len(indent), name))
    return sorted(costs.items(), key=lambda row: -row[1])


def _draws(cell):
    """Does a cell call what draws a heat map?"""
    calls = (node.func for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call))
    return any(getattr(call, "id", getattr(call, "attr", None)) in HEAT_MAPS for call in calls)


def _shows(cell):
    """Did a cell show a picture?"""
    data = [output.get("data", {}) for output in cell.outputs]
    return any("image/png" in kinds or "<img " in kinds.get("text/html", "") for kinds in data)


def waits(name):
    """Run a lesson's cells in a fresh kernel: seconds to "imports", "picture" and, if it has one, "heat map".

    It stops where all of them are there.
    """
    notebook = read_lesson(DEMOS / f"{name}.py")
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    wanted = {"imports", "picture"} | ({"heat map"} if any(_draws(cell) for _, cell in cells) else set())
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}})
    found, started = {}, time.perf_counter()
    with client.setup_kernel():
        for index, cell in cells:
            client.execute_cell(cell, index)
            now = time.perf_counter() - started
            found.setdefault("imports", now)
            if _shows(cell):
                found.setdefault("picture", now)
                if _draws(cell):
                    found.setdefault("heat map", now)
            if set(found) == wanted:
                break
    return found


def from_clone():
    """Clone this repository, install its environment, and open lesson 02 there: seconds of each."""
    run = f"import json\nfrom benchmarks.start import waits\nprint(json.dumps(waits({LESSONS[1]!r})))"
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "course"
        for name, command, place in (
            ("clone", ["git", "clone", "--quiet", ROOT, clone], ROOT),
            ("install", ["make", ".venv/.ready"], clone),
            ("run", [clone / ".venv" / "bin" / "python", "-c", run], clone),
        ):
            started = time.perf_counter()
            done = subprocess.run(
                command, cwd=place, env=environment, check=True, stdout=subprocess.PIPE, text=True
            )
            took[name] = time.perf_counter() - started
    return took | {"run": json.loads(done.stdout)["heat map"]}  # without the start of what measures


def figures():
    """The short form: seconds of the imports, and to the first heat map of the first lesson that has one."""
    imports = lesson_imports()
    return {
        "import": import_seconds(imports, turns=3),
        "import after torch": import_seconds(imports, "import torch", turns=3),
        "first heat map": waits(LESSONS[1])["heat map"],
    }


def table(names, turns, clone):
    """Measure everything: the lines of the tables."""
    imports = lesson_imports()
    cold, warm = (import_seconds(imports, before, turns) for before in ("", "import torch"))
    lines = [f"imports of {FIRST}: {cold:.2f} s from nothing, {warm:.2f} s once torch is loaded", ""]
    lines += [f"{name:<28}{milliseconds:>8.0f} ms" for name, milliseconds in slowest(imports)[:MOST]]
    lines += ["", f"{'seconds until':<28}" + "".join(f"{moment:>10}" for moment in MOMENTS)]
    for name in names:
        found = waits(name)
        cells = [f"{found[moment]:.1f}" if moment in found else "–" for moment in MOMENTS]
        lines.append(f"{name:<28}" + "".join(f"{cell:>10}" for cell in cells))
    if clone:
        took = from_clone()
        lines += ["", ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())]
        lines[-1] += f": {sum(took.values()):.0f} s from a fresh clone to the first heat map"
    return lines


def main():
    known = [lesson.stem for lesson in sorted(DEMOS.glob("*.py"))]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a lesson, such as 02_attention")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--clone", action="store_true", help="also from a fresh clone of what is committed")
    args = parser.parse_args()
    names = args.names or list(LESSONS)
    if unknown := set(names) - set(known):
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    command = " ".join(["python -m benchmarks.start", *args.names, f"--turns {args.turns}"])
    command += " --clone" * args.clone
    report = "\n".join([describe(), command, "", *table(names, args.turns, args.clone)]) + "\n"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(report, "utf-8")
    print(report, end="")


if __name__ == "__main__":
    main()
