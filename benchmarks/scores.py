"""Score functions side by side: BLEU by clauses, alignment error at three shifts, and seconds of one core.

    python -m benchmarks.scores [--seeds 3] [--updates 600]

Every model has the same sizes and sees the same batches of the reviews; a seed draws its first weights and
its batches. Alignment error compares, on the test reviews, the largest weight of each target word with the
gold links. Writes benchmarks/results/scores.json, and a table of it, scores.txt, which demo 02 shows.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import mean

from benchmarks.machine import describe
from utils.metrics import alignment_errors, bleu_by_length, diagonal_links, link_map
from utils.models import Seq2Seq, forced_weights, translate
from utils.plotting import NAMES
from utils.text import encoded_reviews
from utils.training import in_parallel, seed_everything, train

RESULTS = Path(__file__).parent / "results" / "scores.json"
ATTENTIONS = ("dot", "scaled", "multiplicative", "additive", "bahdanau")
SHIFTS = (-1, 0, 1)
SIZES = dict(embed_dim=64, hidden_dim=96)
TRAINING = dict(batch_tokens=1_500, learning_rate=1e-2, curriculum=0.6)


def measure(attention, seed, updates):
    """Train one model, and read its translations and its maps of the test reviews."""
    encoded = encoded_reviews()
    test = encoded.corpus["test"]
    seed_everything(seed)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, **SIZES)
    started = time.process_time()
    train(model, encoded, updates, seed=seed, progress=False, **TRAINING)
    seconds = time.process_time() - started
    written = [" ".join(t.tokens) for t in translate(model, encoded, encoded.tokens("test", "src"))]
    by_clauses = bleu_by_length(test.clauses, written, test.tgt, range(1, 7), n_bootstrap=0)
    return {
        "attention": attention,
        "seed": seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds": round(seconds, 1),
        "bleu": {first: round(score.score, 2) for (first, _), score in by_clauses},
        "error": alignment_errors(forced_weights(model, encoded, "test"), test.links),
    }


def table(results):
    """The results as text: a line for each model, means over its seeds, and the error of each seed."""
    seeds = len({run["seed"] for run in results["runs"]})
    lines = [
        results["machine"],
        f"{results['command']}  (means of {seeds} seeds, {results['settings']['test_sentences']:,} reviews)",
        "",
        f"{'':<38}{'BLEU at this many clauses':>30}{'error at shift':>17}{'CPU':>5}",
        f"{'':<38}{''.join(f'{n:>6}' for n in range(1, 6))}  {''.join(f'{s:>+5}' for s in SHIFTS)}"
        "  seconds  error of each seed",
    ]
    for attention in ATTENTIONS:
        runs = [run for run in results["runs"] if run["attention"] == attention]
        quality = "".join(f"{mean(run['bleu'][n] for run in runs):6.1f}" for n in runs[0]["bleu"])
        error = "".join(f"{mean(run['error'][shift] for run in runs):5.2f}" for shift in runs[0]["error"])
        of_seeds = " ".join(f"{run['error']['0']:.2f}" for run in runs)
        seconds = mean(run["cpu_seconds"] for run in runs)
        lines.append(f"{NAMES[attention]:<38}{quality}  {error}{seconds:9.0f}  {of_seeds}")
    diagonal = "".join(f"{error:5.2f}" for error in results["diagonal"].values())
    return "\n".join([*lines, f"{'the diagonal':<38}{'':30}  {diagonal}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=600)
    args = parser.parse_args()
    jobs = [
        dict(attention=attention, seed=seed, updates=args.updates)
        for attention in reversed(ATTENTIONS)  # the slowest first, so that no core waits at the end
        for seed in range(args.seeds)
    ]
    runs = in_parallel(measure, jobs, workers=2)
    test = encoded_reviews().corpus["test"]
    lengths = [(len(src.split()), len(tgt.split())) for src, tgt in zip(test.src, test.tgt, strict=True)]
    diagonal = [link_map(diagonal_links(src, tgt), tgt, src) for src, tgt in lengths]
    results = {
        "command": f"python -m benchmarks.scores --seeds {args.seeds} --updates {args.updates}",
        "machine": f"{describe()}; one thread a model",
        "settings": {**SIZES, **TRAINING, "test_sentences": len(test)},
        "diagonal": alignment_errors(diagonal, test.links),
        "runs": runs,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = table(json.loads(RESULTS.read_text()))
    RESULTS.with_suffix(".txt").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
