"""The remedies of demo 01 with several seeds: a wider vector, and reading the source backwards.

    python -m benchmarks.demo_01 [--seeds 5] [--workers 2]

Runs the lesson's own functions `run` and `run_one_way`, one seed after the other. A seed draws the first
weights and the batches; all are judged on the test reviews, by the number of clauses. Writes
benchmarks/results/demo_01.json, from which the lesson makes its tables.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.lessons import taught
from benchmarks.machine import describe
from utils.metrics import bleu_by_length
from utils.text import encoded_reviews
from utils.training import in_parallel

LESSON = "01_bottleneck"
RESULTS = Path(__file__).parent / "results" / "demo_01.json"
KINDS = (
    *({"attention": "none", "hidden_dim": width} for width in (24, 48, 96, 192)),
    {"attention": "bahdanau", "hidden_dim": 96},
    *({"backwards": backwards, "hidden_dim": 96} for backwards in (False, True)),
)


def measure(seed, **kind):
    """Train one model and measure BLEU of the test reviews by their number of clauses."""
    names, test = taught(LESSON), encoded_reviews().corpus["test"]
    model, written = names["run_one_way" if "backwards" in kind else "run"](seed=seed, **kind)
    rows = bleu_by_length(test.clauses, written[: len(test)], test.tgt, range(1, 7), n_bootstrap=0)
    run = {
        **kind,
        "seed": seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "bleu": {str(clauses): score.score for (clauses, _), score in rows},
    }
    print(run, file=sys.stderr, flush=True)
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    jobs = [dict(seed=seed, **kind) for seed in range(args.seeds) for kind in KINDS]
    results = {
        "command": f"python -m benchmarks.demo_01 --seeds {args.seeds}",
        "machine": f"{describe()}; one thread a model",
        "settings": taught(LESSON)["BUDGET"],
        "runs": in_parallel(measure, jobs, workers=args.workers),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
