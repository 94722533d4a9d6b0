"""What a lesson defines, for the measurements and tests that rest on the lesson's own functions."""

import argparse
import ast
import json
import sys
from functools import partial
from pathlib import Path

from benchmarks.machine import describe
from utils.training import in_parallel

DEMOS = Path(__file__).resolve().parents[1] / "lessons" / "demo"


def taught(stem):
    """The imports, functions, classes and constants (names in capitals) of a demo, without its other code."""
    path = DEMOS / f"{stem}.py"
    tree = ast.parse(path.read_text("utf-8"))
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Assign) and all(name.isupper() for name in map(ast.unparse, node.targets)))
    ]
    names = {}
    exec(compile(tree, str(path), "exec"), names)
    return names


def record_seeds(about, results, settings, kinds, measure, seeds):
    """The command line of a measurement with several seeds: write the record that a demo makes its tables of.

    `measure(seed=seed, **kind)` trains one model of each kind, a dict, and gives a dict of what it finds. The
    record is written after each seed. Seeds that are in it already, with the same settings, are kept: a
    command that was interrupted goes on. Delete it when the lesson's functions have changed.
    """
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    settings = json.loads(json.dumps(settings))
    old = json.loads(results.read_text("utf-8")) if results.exists() else {}
    runs = old["runs"] if old.get("settings") == settings else []
    for seed in range(args.seeds):
        jobs = [{**kind, "seed": seed} for kind in kinds]
        jobs = [job for job in jobs if not any(job.items() <= run.items() for run in runs)]
        if not jobs:
            continue
        runs = runs + in_parallel(partial(_told, measure), jobs, workers=args.workers)
        record = {
            "command": f"python -m benchmarks.{results.stem} --seeds {seed + 1}",
            "machine": f"{describe()}; one thread a model",
            "settings": settings,
            "runs": runs,
        }
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def of_seeds(record, *path, **kind):
    """What a record has at a path of keys for each seed of one kind of model, in the order of the seeds."""
    found = sorted(
        (run for run in record["runs"] if kind.items() <= run.items()), key=lambda run: run["seed"]
    )
    for key in path:
        found = [run[key] for run in found]
    return found


def _told(measure, **job):
    run = {**job, **measure(**job)}
    print(run, file=sys.stderr, flush=True)
    return run
