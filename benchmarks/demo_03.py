"""The fair experiment of demo 03 with several seeds: five translators alike in all but their attention.

    python -m benchmarks.demo_03 [--seeds 5] [--workers 2]

Runs the lesson's own functions `learn`, `translations` and `judge`, one seed after the other. A seed draws a
model's first weights and its batches; all models of a seed see the same batches, and all are judged on the
same test reviews. Writes benchmarks/results/demo_03.json, from which the lesson makes its tables.
"""

import time
from pathlib import Path

from benchmarks.lessons import record_seeds, taught
from utils.text import encoded_reviews

LESSON = "03_translator"
RESULTS = Path(__file__).parent / "results" / "demo_03.json"


def measure(attention, seed):
    """Train one model and judge its translations of the test reviews."""
    names = taught(LESSON)
    encoded_reviews()
    started = time.process_time()
    model = names["learn"](attention, seed)
    seconds = time.process_time() - started
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds": round(seconds, 1),
        **names["judge"](names["translations"](model)),
    }


def main():
    names = taught(LESSON)
    kinds = [{"attention": name} for name in names["ATTENTIONS"]]
    record_seeds(__doc__, RESULTS, {**names["SIZES"], **names["BUDGET"]}, kinds, measure, seeds=5)


if __name__ == "__main__":
    main()
