"""What demo 04 finds for one or two seeds, for several: the lesson's translator and the biased one.

    python -m benchmarks.demo_04 [--seeds 4] [--workers 2]

Runs the lesson's own functions. A seed draws a model's first weights and its batches; all are read on the
same test reviews. Writes benchmarks/results/demo_04.json, from which the lesson makes its last table.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from benchmarks.demo_03 import lesson
from benchmarks.machine import describe
from utils.training import in_parallel

ROOT = Path(__file__).resolve().parents[1]
LESSON = ROOT / "lessons" / "demo" / "04_alignment.py"
RESULTS = ROOT / "benchmarks" / "results" / "demo_04.json"


def measure(seed, biased):
    """Train one translator, and read it as the lesson does."""
    names = lesson(LESSON)
    taught = names["learn"].__globals__  # what its functions see: the corpus and the model are set here
    reviews, clauses = taught["encoded_reviews"], taught["CLAUSES"]
    encoded, corpus = reviews(clauses), taught["mostly_masculine"] if biased else reviews
    test, english, french = (
        encoded.corpus["test"],
        encoded.tokens("test", "src"),
        encoded.tokens("test", "tgt"),
    )
    taught.update(encoded=encoded, test=test, english=english, french=french)
    model, _ = taught["learn"](seed, corpus=corpus)
    taught["model"] = model

    def write(model):
        done = taught["translate"](model, corpus(clauses), english)
        return done, taught["bleu"]([" ".join(found.tokens) for found in done], test.tgt, n_bootstrap=0).score

    done, score = write(model)
    maps = taught["forced_weights"](model, corpus(clauses), "test")
    run = {"seed": seed, "biased": biased, "bleu": score}
    run["error"] = taught["alignment_errors"](maps, test.links)[0]
    if biased:
        run["feminine"] = taught["agreement"](done, taught["FEMININE"])[0]
        run["masculine"] = taught["agreement"](done, taught["MASCULINE"])[0]
    else:
        away = [taught["distance"](*row) for row in zip(maps, french, test.links, strict=True)]
        run["article_behind"] = taught["by_class"]([[d == 1 for d in row] for row in away])["article"]
        rows = [row for row, found in enumerate(done) if found.tokens == french[row]][:100]
        same = [
            maps[row].argmax(-1) == taught["effects"](english[row], french[row]).argmax(-1) for row in rows
        ]
        run["largest_effect"] = torch.cat(same).float().mean().item() if same else None
        torch.manual_seed(seed)
        run["even"], run["shuffled"] = (
            write(taught["tampered"](taught[change]))[1] for change in ("Even", "Shuffled")
        )
    print(run, file=sys.stderr, flush=True)
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    taught = lesson(LESSON)
    jobs = [dict(seed=seed, biased=biased) for seed in range(args.seeds) for biased in (False, True)]
    results = {
        "command": f"python -m benchmarks.demo_04 --seeds {args.seeds}",
        "machine": f"{describe()}; one thread a model",
        "settings": {**taught["SIZES"], **taught["BUDGET"], "clauses": taught["CLAUSES"]},
        "runs": in_parallel(measure, jobs, workers=args.workers),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
