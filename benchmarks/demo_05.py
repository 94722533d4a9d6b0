"""The comparison of demo 05 with several seeds: questions and summaries, with and without attention.

    python -m benchmarks.demo_05 [--seeds 3] [--workers 2]

Runs the lesson's own functions. A seed draws a model's first weights and its batches; both models of a seed
see the same batches. Writes benchmarks/results/demo_05.json after each seed, from which the lesson makes its
tables; what is there already with the same settings is kept, so that an interrupted run goes on.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.lessons import taught
from benchmarks.machine import describe
from utils.training import in_parallel

LESSON = "05_beyond_translation"
RESULTS = Path(__file__).parent / "results" / "demo_05.json"


def measure(task, attention, seed):
    """Train one model on a task and judge it on the test split."""
    names, started = taught(LESSON), time.process_time()
    model = names["pupil" if task == "questions" else "journalist"](attention, seed)
    run = {"task": task, "attention": attention, "seed": seed}
    run["cpu_seconds"] = round(time.process_time() - started, 1)
    if task == "questions":
        run["right"] = names["right_by_clauses"](model)
    else:
        texts = [" ".join(done.tokens) for done in names["write"](model)]
        run["overall"] = names["score"](texts)
        run["by_sentences"] = [names["score"](texts, n)[0] for n in range(1, 6)]
    if attention != "none" and task == "questions":
        run["pointing"], run["table"] = names["pointing"](model)
        run["covered"] = names["covered"](model)
    elif attention != "none":
        run["fed"] = names["feeding"](model)
    print(run, file=sys.stderr, flush=True)
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    names = taught(LESSON)
    settings = {name.lower(): names[name] for name in ("SIZES", "QUESTIONS", "SUMMARIES")}
    old = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    runs = old["runs"] if old.get("settings") == settings else []
    for seed in range(args.seeds):
        jobs = [
            {"task": task, "attention": attention, "seed": seed}
            for task in ("questions", "summaries")
            for attention in names["ATTENTIONS"]
            if not any((task, attention, seed) == (r["task"], r["attention"], r["seed"]) for r in runs)
        ]
        runs = runs + in_parallel(measure, jobs, workers=args.workers) if jobs else runs
        results = {
            "command": f"python -m benchmarks.demo_05 --seeds {args.seeds}",
            "machine": f"{describe()}; one thread a model",
            "settings": settings,
            "runs": runs,
        }
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
