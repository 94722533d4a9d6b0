"""What all benchmarks share: the command line, the jobs, the record, and which records are out of date.

A benchmark measures jobs, which are dicts of arguments, and lays the results out as a table:

    python -m benchmarks.speed.decoding              # print the table, write nothing to the repository
    python -m benchmarks.speed.decoding --record     # also write it to benchmarks/results

A record is a JSON file with the results of all jobs ("runs") and everything needed to repeat the command. The
text file beside it holds the table.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache, partial
from modulefinder import ModuleFinder
from pathlib import Path

import torch

from utils.training import in_parallel

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DEMOS = ROOT / "lessons" / "demo"
PROGRESS = ROOT / "build" / "benchmarks"
PRESENTATION = {"benchmarks/harness.py", "utils/plotting.py"}  # how a result looks, not what it is


def parser(benchmark, about, seeds=None):
    """Return an argument parser with the options of all benchmarks.

    `benchmark` is the full name of the module, `__spec__.name`, and `about` its docstring. A benchmark with
    `seeds`, a default, trains models: it gets `--seeds` and `--workers`, and `run` resumes it.
    """
    found = argparse.ArgumentParser(prog=f"python -m {benchmark}", description=about.split("\n")[0])
    found.set_defaults(benchmark=benchmark, workers=None)
    found.add_argument("--record", action="store_true", help="also write the results to benchmarks/results")
    if seeds is not None:
        found.add_argument("--seeds", type=int, default=seeds, help="random seeds per model")
        found.add_argument("--workers", type=int, default=2, help="models to train at the same time")
        found.add_argument("--add", action="store_true", help="keep the record's runs, measure the others")
    return found


def demo_names():
    """Return the names of all demos, in order."""
    return [demo.stem for demo in sorted(DEMOS.glob("*.py"))]


def demo(name):
    """Return the name of a demo, for use as the `type` of an argument."""
    if name not in demo_names():
        raise argparse.ArgumentTypeError(f"no demo is called {name}: choose from {', '.join(demo_names())}")
    return name


def run(args, measure, jobs, table, *, sources=(), name=None, **facts):
    """Measure all jobs, print the table, and write the record if the command line asks for it.

    `measure(**job)` returns a dict of results. `table(record)` returns text; its jobs and results, merged,
    are `record["runs"]`. `sources` are files the results depend on besides the benchmark's imports; `name` is
    the record's name, by default the module's. All other keyword arguments become part of the record.

    If the benchmark trains models, they train in parallel, and finished jobs are kept in build/benchmarks:
    the same command resumes where it was interrupted, and with more seeds measures only those. Other settings
    or other code start over. With --add, all runs of the record are kept, and each names its origin.
    """
    name = name or args.benchmark.rpartition(".")[2]
    record = provenance(args, sources) | facts
    print(head(record), flush=True)
    if args.workers:
        settings = {key: value for key, value in record["settings"].items() if key != "seeds"}
        kept = _recorded(name) if args.add else []
        new = [job for job in jobs if not any(job.items() <= run.items() for run in kept)]
        runs = kept + _resume(
            measure, new, args.workers, PROGRESS / f"{name}.jsonl", [record["code"], settings]
        )
    else:
        runs = [_measure(measure, **job) for job in jobs]
    record = json.loads(json.dumps(record | {"runs": runs}))
    text = table(record)
    print(f"\n{text}")
    if args.record:
        write(name, record, text)
    return record


def write(name, record, text):
    """Write a record and its table to benchmarks/results."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    (RESULTS / f"{name}.txt").write_text(f"{head(record)}\n\n{text}\n", "utf-8")


def read(name):
    """Return a record of benchmarks/results."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def head(record):
    """Return lines: the command, and when, where and with which versions it ran. Kept runs come first."""
    versions = [f"{name} {version}" for name, version in record["versions"].items()]
    made = ", ".join([record["date"], f"commit {record['commit']}", record["machine"], *versions])
    origins = {tuple(run["origin"]): None for run in record.get("runs", ()) if "origin" in run}
    return "\n".join([line for origin in origins for line in origin] + [record["command"], made])


def of_kind(record, *path, **kind):
    """Return what all runs of one kind hold at a path of keys, ordered by seed."""
    found = [run for run in record["runs"] if kind.items() <= run.items()]
    found.sort(key=lambda run: run.get("seed", 0))
    for key in path:
        found = [run[key] for run in found]
    return found


def _measure(measure, /, **job):
    started = time.perf_counter()
    found = {**job, **measure(**job)}
    about = ", ".join(f"{key} {value}" for key, value in job.items())
    print(f"{about or 'done'}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return found


def _recorded(name):
    """Return the runs of a record, if there is one, each with the head of the record that it comes from."""
    if not (RESULTS / f"{name}.json").exists():
        return []
    record = read(name)
    return [{"origin": head(record | {"runs": []}).splitlines()} | run for run in record["runs"]]


def _resume(measure, jobs, workers, progress, key):
    """Return the results of all jobs; measure only those that the file `progress` lacks for this key."""
    progress.parent.mkdir(parents=True, exist_ok=True)
    lines = progress.read_text("utf-8").splitlines() if progress.exists() else []
    done = [line["run"] for line in map(json.loads, lines) if line["key"] == json.loads(json.dumps(key))]
    runs = [next((run for run in done if job.items() <= run.items()), None) for job in jobs]
    left = [job for job, run in zip(jobs, runs, strict=True) if run is None]
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of {len(jobs)} jobs are in {progress}", file=sys.stderr, flush=True)
    new = iter(in_parallel(partial(_keep, measure, progress, key), left, workers) if left else ())
    return [run or next(new) for run in runs]


def _keep(measure, progress, key, /, **job):
    found = _measure(measure, **job)
    with open(progress, "ab", buffering=0) as file:  # one write per job, as other processes append too
        file.write(json.dumps({"key": key, "run": found}).encode() + b"\n")
    return found


# Where a result comes from


def provenance(args, sources=()):
    """Return what a record says about its command, code, machine and versions."""
    files = source_files(ROOT / f"{args.benchmark.replace('.', '/')}.py", *sources)
    changed = "+changes" * bool(_git("status", "--porcelain", "--", *files))
    hidden = {"benchmark", "record", "workers", "add"}
    return {
        "command": shlex.join(
            ["python", "-m", args.benchmark, *(a for a in sys.argv[1:] if a not in ("--add", "--record"))]
        ),
        "settings": {
            key: os.path.relpath(v, ROOT) if isinstance(v, Path) else v
            for key, v in vars(args).items()
            if key not in hidden
        },
        "commit": (_git("rev-parse", "--short", "HEAD") or "unknown") + changed,
        "date": str(datetime.date.today()),
        "machine": machine(args.workers),
        "versions": {"Python": platform.python_version(), "torch": torch.__version__},
        "code": digest(files),
        "sources": files,
    }


def machine(workers=None):
    """Return one line about this machine and how many threads the results used."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    threads = f"{workers} processes of one thread" if workers else f"{torch.get_num_threads()} threads"
    return f"{gpu}{model}, {threads} on {os.cpu_count()} cores"


@cache
def source_files(*files):
    """Return these files and all files of the project that they import, relative to the project's folder."""
    finder, files = ModuleFinder([str(ROOT)]), [file for file in files if file.exists()]
    for file in (file for file in files if file.suffix == ".py"):
        with suppress(ImportError):  # a script has no relative imports, as some checks do
            finder.run_script(str(file))
    found = {*files, *(Path(module.__file__) for module in finder.modules.values() if module.__file__)}
    return sorted({file.relative_to(ROOT).as_posix() for file in found} - PRESENTATION)


def digest(files):
    """Return a checksum of the project's files with these names; a missing file counts as empty."""
    texts = [(ROOT / name).read_bytes() if (ROOT / name).exists() else b"" for name in files]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]


def stale():
    """Yield a line for each record whose source files have changed since it was written."""
    for file in sorted(RESULTS.glob("*.json")):
        record = json.loads(file.read_text("utf-8"))
        if record.get("code") == digest(record["sources"]):
            continue
        commit = record["commit"].removesuffix("+changes")
        changed = _git("diff", "--name-only", commit, "--", *record["sources"]).split()
        listed = ", ".join(changed[:3]) + f" and {len(changed) - 3} more" * (len(changed) > 3)
        yield f"{file.stem}: recorded at {record['commit']}, since then changed: {listed or 'unknown files'}"


def _git(*arguments):
    """Return what git prints, or nothing if git or the repository is missing."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
