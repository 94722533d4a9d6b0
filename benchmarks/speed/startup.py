"""How long a learner waits for the imports, and from opening a notebook to its first heat map.

    python -m benchmarks.speed.startup [DEMO ...] [--turns 5] [--clone]

Imports are those of the first code cell of the first demo that has any, each time in a new process: from
nothing, which is mostly torch, and once torch is loaded. Times are the median of some turns; the files have
been read before, so the first start after switching on the machine takes longer.

Then the code cells of demos run in order in a new kernel, as after opening the notebook: seconds until the
imports are done, until the first picture and until the first heat map, if there is one. With --clone, the
same for a fresh clone of this repository, after installing its environment: this takes minutes, and needs the
network unless pip has cached the packages. `benchmarks.speed.demos` measures whole demos.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from nbclient import NotebookClient

from benchmarks import harness
from benchmarks.harness import DEMOS, ROOT
from make_notebooks import code_cells, read_lesson

FIRST = "01_bottleneck"
OPENED = ("01_bottleneck", "02_attention", "03_translator")
MOMENTS = ("imports", "picture", "heat map")
HEAT_MAPS = {"plot_attention", "plot_maps", "explore"}  # functions that draw them
TIMED = (
    "import time\n{before}\nstarted = time.perf_counter()\n{imports}\nprint(time.perf_counter() - started)"
)


def lesson_imports():
    """Return the imports of the first demo's first code cell that has any, as text."""
    for cell in code_cells(read_lesson(DEMOS / f"{FIRST}.py")):
        nodes = ast.parse(cell.source).body
        if found := [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]:
            return "\n".join(map(ast.unparse, found))
    raise ValueError(f"expected imports in {FIRST}.py, found none")


def python(program):
    """Run a program in a new process; return what it prints."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def import_seconds(imports, before="", turns=5):
    """Return the median seconds that imports take in a new process which has run `before`."""
    program = TIMED.format(before=before, imports=imports)
    return median(float(python(program)) for _ in range(turns))


def _draws_heat_map(cell):
    calls = (node.func for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call))
    return any(getattr(call, "id", getattr(call, "attr", None)) in HEAT_MAPS for call in calls)


def _shows_picture(cell):
    data = [output.get("data", {}) for output in cell.outputs]
    return any("image/png" in kinds or "<img " in kinds.get("text/html", "") for kinds in data)


def waits(name):
    """Run a demo's cells in a new kernel until "imports", "picture" and "heat map" are there: seconds of
    each.

    A demo that draws no heat map stops at its first picture.
    """
    notebook = read_lesson(DEMOS / f"{name}.py")
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    wanted = len(MOMENTS) - (not any(_draws_heat_map(cell) for _, cell in cells))
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}})
    found, started = {}, perf_counter()
    with client.setup_kernel():
        for index, cell in cells:
            client.execute_cell(cell, index)
            now = perf_counter() - started
            found.setdefault("imports", now)
            if _shows_picture(cell):
                found.setdefault("picture", now)
                if _draws_heat_map(cell):
                    found.setdefault("heat map", now)
            if len(found) == wanted:
                break
    return found


def from_clone():
    """Clone this repository, install its environment, and open a demo there: seconds of each."""
    run = f"import json\nfrom benchmarks.speed.startup import waits\nprint(json.dumps(waits({OPENED[1]!r})))"
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    env = {key: value for key, value in os.environ.items() if key not in hidden}
    took = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "course"
        for name, command, place in (
            ("clone", ["git", "clone", "--quiet", ROOT, clone], ROOT),
            ("install", ["make", "start"], clone),
            ("tools", ["make", ".venv/requirements-instructors.ok"], clone),  # for `waits`, not for a reader
            ("run", [clone / ".venv" / "bin" / "python", "-c", run], clone),
        ):
            started = perf_counter()
            done = subprocess.run(command, cwd=place, env=env, check=True, stdout=subprocess.PIPE, text=True)
            took[name] = perf_counter() - started
    del took["tools"]
    return took | {"run": json.loads(done.stdout)["heat map"]}  # without starting Python


def measure(what, turns=5):
    """Measure the "imports", the "clone", or how long a reader waits in the demo with this name."""
    if what == "clone":
        return {"took": from_clone()}
    if what != "imports":
        return {"waits": waits(what)}
    imports = lesson_imports()
    cold, warm = (import_seconds(imports, before, turns) for before in ("", "import torch"))
    return {"cold": cold, "warm": warm}


def figures():
    """Return the short form: seconds of the imports and until the first heat map."""
    imports = lesson_imports()
    return {
        "import": import_seconds(imports, turns=3),
        "import after torch": import_seconds(imports, "import torch", turns=3),
        "first heat map": waits(OPENED[1])["heat map"],
    }


def table(record):
    """Return the text of all measurements."""
    lines = []
    for run in record["runs"]:
        if run["what"] == "imports":
            lines.append(
                f"imports of {FIRST}: {run['cold']:.2f} s from nothing, {run['warm']:.2f} s after torch"
            )
            lines += ["", f"{'seconds until':<28}" + "".join(f"{moment:>10}" for moment in MOMENTS)]
        elif run["what"] == "clone":
            took = run["took"]
            about = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
            lines += ["", f"{about}: {sum(took.values()):.0f} s from a fresh clone to the first heat map"]
        else:
            cells = [f"{run['waits'][key]:.1f}" if key in run["waits"] else "–" for key in MOMENTS]
            lines.append(f"{run['what']:<28}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("demos", nargs="*", type=harness.demo, metavar="DEMO", help="such as 02_attention")
    parser.add_argument("--turns", type=int, default=5, help="processes that import")
    parser.add_argument("--clone", action="store_true", help="also measure a fresh clone of the last commit")
    args = parser.parse_args()
    names = args.demos or OPENED
    jobs = [{"what": "imports", "turns": args.turns}, *({"what": name} for name in names)]
    jobs += [{"what": "clone"}] * args.clone
    harness.run(args, measure, jobs, table, sources=[DEMOS / f"{name}.py" for name in names])


if __name__ == "__main__":
    main()
