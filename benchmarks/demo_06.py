"""The models of demo 06 with several seeds: four kinds of reader, and two translators.

    python -m benchmarks.demo_06 [--seeds 5] [--workers 2]

Runs the lesson's own functions. A seed draws a model's first weights and its batches; the two translators of
a seed see the same batches. Readers answer the lesson's test sentences, translators its reviews. Writes
benchmarks/results/demo_06.json, from which the lesson makes its tables.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks import lessons
from benchmarks.machine import describe
from utils.metrics import bleu_by_length
from utils.text import encoded_reviews
from utils.training import in_parallel

LESSON = "06_transformer"
RESULTS = Path(__file__).parent / "results" / "demo_06.json"


def measure(name, seed):
    """Train one reader or translator and test it."""
    taught = lessons.taught(LESSON)
    encoded_reviews()
    started = time.process_time()
    model, test = (
        (taught["learn"](seed, **taught["KINDS"][name]), of_reader)
        if name in taught["KINDS"]
        else (taught["translator"](name, seed)[0], of_translator)
    )
    seconds = time.process_time() - started
    run = {"name": name, "seed": seed, "cpu_seconds": seconds, **test(taught, model)}
    run = json.loads(json.dumps(run), parse_float=lambda number: round(float(number), 4))
    print(run, file=sys.stderr, flush=True)
    return run


def of_reader(taught, reader):
    """Right answers by kind: whole, with a word hidden, with a head silenced. And where "it" looks."""
    heads = reader.blocks[0].attention.heads
    return {
        **taught["by_kind"](taught["right"](reader)),
        "hidden": {
            word: taught["by_kind"](taught["right"](reader, taught["hiding"](place)))
            for word, place in taught["HIDEABLE"].items()
        },
        "silenced": [
            taught["without_head"](reader, look, head)
            for look in range(len(reader.blocks))
            for head in range(heads)
        ],
        "looks": taught["shares"](reader).mean(1).tolist(),
        "pair": taught["looks_of_it"](reader).tolist(),
    }


def of_translator(taught, model):
    """BLEU by number of clauses."""
    reviews = taught["reviews"]()
    translations = taught["written"](model, reviews)
    rows = bleu_by_length(reviews.clauses, translations, reviews.tgt, range(1, 8), n_bootstrap=0)
    parameters = sum(p.numel() for p in model.parameters())
    return {"parameters": parameters, "bleu": {str(n): score.score for (n, _), score in rows}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    taught = lessons.taught(LESSON)
    names = [*taught["KINDS"], *taught["RATES"]]
    jobs = [dict(name=name, seed=seed) for seed in range(args.seeds) for name in names]
    results = {
        "command": f"python -m benchmarks.demo_06 --seeds {args.seeds}",
        "machine": f"{describe()}; one thread a model",
        "settings": {key: taught[key] for key in ("READER", "RATES", "BUDGET", "SIZES")},
        "runs": in_parallel(measure, jobs, workers=args.workers),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
