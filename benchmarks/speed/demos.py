"""How long each demo takes from top to bottom, offline.

    python -m benchmarks.speed.demos [DEMO ...]

Runs the demos, or the named ones, as plain Python without their claims, one after the other, each in a new
process with an empty cache folder. "seconds" is wall-clock time and "CPU" the time of all its processes and
threads together. Other programs on the machine slow them down, so compare demos with each other.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import DEMOS, ROOT, demo_names
from make_notebooks import plain_python


def measure(demo):
    """Run one demo; return wall-clock seconds, and CPU seconds of all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {
            "MPLBACKEND": "agg",
            "PYTHONPATH": str(ROOT),
            "ATTENTION_DATA": folder,
            "ATTENTION_MULTI30K_URL": "http://127.0.0.1:9",  # no server listens here: offline
        }
        script = Path(folder, f"{demo}.py")
        script.write_text(plain_python(DEMOS / script.name), "utf-8")
        before, started = os.times(), time.perf_counter()
        command = [sys.executable, str(script)]
        subprocess.run(command, env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds, after = time.perf_counter() - started, os.times()
    cpu = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return {"seconds": seconds, "cpu_seconds": cpu}


def table(record):
    """Return a line of text per demo, and the sums."""
    rows = [(run["demo"], run["seconds"], run["cpu_seconds"]) for run in record["runs"]]
    rows.append(("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])))
    lines = [f"{name:<24}{seconds:>10.0f}{cpu:>12.0f}" for name, seconds, cpu in rows]
    return "\n".join([f"{'':<24}{'seconds':>10}{'CPU':>12}", *lines])


def figures():
    """Return the short form, the recorded minutes of all demos; raise `ValueError` if one is not recorded."""
    seconds = {run["demo"]: run["seconds"] for run in harness.read("demos")["runs"]}
    if missing := [name for name in demo_names() if name not in seconds]:
        raise ValueError(f"{', '.join(missing)} not recorded: run python -m benchmarks.speed.demos --record")
    return {"minutes": sum(seconds[name] for name in demo_names()) / 60}


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("demos", nargs="*", type=harness.demo, metavar="DEMO", help="such as 02_attention")
    args = parser.parse_args()
    names = args.demos or demo_names()
    sources = [DEMOS / f"{name}.py" for name in names]
    harness.run(args, measure, [{"demo": name} for name in names], table, sources=sources)


if __name__ == "__main__":
    main()
