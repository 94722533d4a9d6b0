"""The fair experiment of demo 03 with several seeds: five translators alike in all but their attention.

    python -m benchmarks.demo_03 [--seeds 5] [--workers 2]

Runs the lesson's own functions `learn`, `translations` and `judge`, one seed after the other. A seed draws a
model's first weights and its batches; all models of a seed see the same batches, and all are judged on the
same test reviews. Writes benchmarks/results/demo_03.json, from which the lesson makes its tables.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.lessons import taught
from benchmarks.machine import describe
from utils.text import encoded_reviews
from utils.training import in_parallel

LESSON = "03_translator"
RESULTS = Path(__file__).parent / "results" / "demo_03.json"


def measure(attention, seed):
    """Train one model and judge its translations of the test reviews."""
    names = taught(LESSON)
    encoded_reviews()
    started = time.process_time()
    model = names["learn"](attention, seed)
    seconds = time.process_time() - started
    run = {
        "attention": attention,
        "seed": seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds": round(seconds, 1),
        **names["judge"](names["translations"](model)),
    }
    print(run, file=sys.stderr, flush=True)
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    names = taught(LESSON)
    jobs = [dict(attention=name, seed=seed) for seed in range(args.seeds) for name in names["ATTENTIONS"]]
    results = {
        "command": f"python -m benchmarks.demo_03 --seeds {args.seeds}",
        "machine": f"{describe()}; one thread a model",
        "settings": {**names["SIZES"], **names["BUDGET"]},
        "runs": in_parallel(measure, jobs, workers=args.workers),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
