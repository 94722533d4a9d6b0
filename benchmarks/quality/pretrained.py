"""The founding experiment: every context in the same decoder, and the pretrained models that come of it.

    python -m benchmarks.quality.pretrained [--seeds 3]

Trains every model of `utils.pretrained` on the reviews with the same budget, one thread each. A seed draws
the initial weights and the batches. Weights are rounded to 8 bits, and the rounded model is measured: BLEU of
the test reviews (`long`: of the reviews with more clauses than any in training) by their number of clauses,
the share of test reviews that it translates differently than before rounding, and the error of the alignment
which links each target word to the source word with the largest weight, against the gold links. The first
model also stores snapshots of its training. Stores the models in build/pretrained, and with `--record` those
of the first two seeds in utils/checkpoints too.
"""

import shutil
from itertools import product
from statistics import mean

from benchmarks import harness
from utils import pretrained
from utils.metrics import alignment_errors, bleu, bleu_by_length, diagonal_links, link_map
from utils.models import Seq2Seq, forced_weights, translate
from utils.plotting import NAMES
from utils.text import encoded_reviews
from utils.training import Callback, Checkpoint, TrainConfig, Trainer, seed_everything, validation_loss
from utils.transformer import Transformer

BUILD = harness.ROOT / "build" / "pretrained"
RECURRENT = {"embed_dim": 32, "hidden_dim": 96}
TRANSFORMER = {"hidden_dim": 48, "heads": 4, "ff_dim": 96, "layers": 2}
BUDGET = {"updates": 6_000, "batch_tokens": 700, "learning_rate": 5e-3, "curriculum": 0.8}
SNAPSHOTS = {"additive": (0, 50, 100, 200, 400, 800)}  # of seed 0
GOAL = 80.0  # BLEU of the validation reviews


class Snapshots(Callback):
    """Store the model after some updates."""

    def __init__(self, context, seed):
        self.context, self.seed = context, seed
        self.updates = SNAPSHOTS.get(context, ()) if seed == 0 else ()

    def on_start(self, trainer):
        """Store the untrained model."""
        self.on_update(trainer)

    def on_update(self, trainer):
        """Store the model if a snapshot is due."""
        if trainer.update in self.updates:
            pretrained.save(trainer.model, self.context, self.seed, trainer.update, BUILD)

    def judge(self):
        """Return the update, loss, and alignment error of every snapshot."""
        models = {u: pretrained.load(self.context, self.seed, u, BUILD) for u in self.updates}
        return [{"update": update} | judge(model) for update, model in models.items()]


def judge(model):
    """Return the loss and the alignment error of a model on the validation reviews."""
    encoded = encoded_reviews()
    links = encoded.corpus["valid"].links
    return {
        "loss": validation_loss(model, encoded),
        "error": alignment_errors(forced_weights(model, encoded, "valid"), links, shifts=(0,))[0],
    }


def write(model, split):
    """Return the translations of a split, as text."""
    encoded = encoded_reviews()
    return [" ".join(found.tokens) for found in translate(model, encoded, encoded.tokens(split, "src"))]


def by_clauses(model, split):
    """Return the BLEU of the translations of a split by their number of clauses."""
    reviews = encoded_reviews().corpus[split]
    edges = range(1, max(reviews.clauses) + 2)
    rows = bleu_by_length(reviews.clauses, write(model, split), reviews.tgt, edges, n_bootstrap=0)
    return {first: round(score.score, 2) for (first, _), score in rows}


def measure(context, seed):
    """Train one model, store it, and measure what is stored."""
    encoded = encoded_reviews()
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    seed_everything(seed)
    if context == "transformer":
        model = Transformer(*sizes, **TRANSFORMER)
    else:
        model = Seq2Seq(*sizes, context, **RECURRENT)
    valid, snapshots = encoded.corpus["valid"], Snapshots(context, seed)
    trainer = Trainer(
        model,
        encoded,
        TrainConfig(**BUDGET, seed=seed, validate_every=500),
        evaluate=lambda model: {"bleu": bleu(write(model, "valid"), valid.tgt, n_bootstrap=0).score},
        callbacks=[Checkpoint(BUILD / f"{context}-{seed}.pt"), snapshots],
    )
    last = trainer.fit().rows[-1]
    exact = write(model.eval(), "test")
    pretrained.save(model, context, seed, folder=BUILD)
    model = pretrained.load(context, seed, folder=BUILD)
    error = None
    if context not in ("initial", "fixed"):
        error = alignment_errors(forced_weights(model, encoded, "test"), encoded.corpus["test"].links)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds": round(last["cpu_seconds"], 1),
        "tokens_per_second": round(last["target_tokens"] / last["cpu_seconds"]),
        "bleu": by_clauses(model, "test"),
        "long": by_clauses(model, "long"),
        "changed": mean(a != b for a, b in zip(exact, write(model, "test"), strict=True)),
        "error": error,
        "curve": [[row["update"], row["cpu_seconds"], row["bleu"]] for row in trainer.history.rows],
        "snapshots": snapshots.judge(),
    }


def minutes_to(curve, goal):
    """Return the CPU minutes of training until the first validation with this BLEU, or None."""
    return next((seconds / 60 for _, seconds, score in curve if score >= goal), None)


def _line(context, runs):
    """Return the line of one model: means over its seeds, then the error of each seed."""
    scores = "".join(f"{mean(run['bleu'][n] for run in runs):6.1f}" for n in "12345")
    scores += "".join(f"{mean(run['long'][n] for run in runs):6.1f}" for n in ("6", "8", "12"))
    worst = min(run["bleu"]["1"] for run in runs)
    reached = [minutes_to(run["curve"], GOAL) for run in runs]
    minutes = "–" if None in reached else f"{mean(reached):.1f}"
    errors = " ".join(f"{run['error']['0']:.2f}" for run in runs if run["error"]) or "–"
    speed = mean(run["tokens_per_second"] for run in runs)
    changed = mean(run["changed"] for run in runs)
    return (
        f"{NAMES[context]:<24}{runs[0]['parameters']:>9,}{scores}{worst:8.1f}{minutes:>9}{speed:>10,.0f}"
        f"{changed:>8.1%}  {errors}"
    )


def table(record):
    """Return the table as text."""
    contexts = dict.fromkeys(run["context"] for run in record["runs"])
    groups = {context: harness.of_kind(record, context=context) for context in contexts}
    return "\n".join(
        [
            f"means of {max(map(len, groups.values()))} seeds, {record['test_sentences']:,} test reviews; "
            f"worst: the lowest BLEU of a seed on one clause",
            f"minutes: CPU minutes to a validation BLEU of {GOAL:g}; "
            "tokens: target tokens per CPU second in training; "
            "changed: test reviews translated differently after rounding to 8 bits",
            "",
            f"{'':<33}{'BLEU at this many clauses':^48}",
            f"{'':<23}parameters     1     2     3     4     5     6     8    12   worst  minutes    tokens"
            " changed  alignment error per seed",
            *(_line(context, runs) for context, runs in groups.items()),
            f"{'the diagonal':<24}{'':82}  {record['diagonal']['0']:.2f}",
        ]
    )


def main():
    """Run the command line."""
    args = harness.parser(__spec__.name, __doc__, seeds=3).parse_args()
    jobs = [
        {"context": context, "seed": seed} for seed, context in product(range(args.seeds), pretrained.MODELS)
    ]
    test = encoded_reviews().corpus["test"]
    lengths = [(len(src.split()), len(tgt.split())) for src, tgt in zip(test.src, test.tgt, strict=True)]
    diagonal = [link_map(diagonal_links(src, tgt), tgt, src) for src, tgt in lengths]
    facts = {
        "budget": BUDGET,
        "sizes": {"recurrent": RECURRENT, "transformer": TRANSFORMER},
        "vocabulary": encoded_reviews().fingerprint,
        "test_sentences": len(test),
        "diagonal": alignment_errors(diagonal, test.links),
    }
    harness.run(args, measure, jobs, table, **facts)
    if args.record:
        for seed in range(2):
            for file in BUILD.glob(f"*-seed-{seed}*.npz"):
                shutil.copy(file, pretrained.FOLDER)


if __name__ == "__main__":
    main()
