"""Multi30K, German to English, with and without attention under one budget.

    python -m benchmarks.multi30k [--epochs 4] [--attention none additive]

Trains each model for the same number of passes over the same batches, translates the 2016 Flickr test
set greedily, and prints BLEU on detokenised text with sacrebleu's signature, the lower-cased tokenised
figure that published notebooks report, BLEU by length, and target tokens a second. The corpus is
downloaded on first use. Checkpoints lie in the cache folder, so a stopped run goes on where it was.
The table is also written to benchmarks/results/multi30k.json.
"""

import argparse
import json
from pathlib import Path

from benchmarks.machine import describe
from utils.data import load_multi30k
from utils.data.download import cache_folder
from utils.metrics import bleu_by_length
from utils.models import ATTENTIONS, Seq2Seq
from utils.text import EncodedCorpus
from utils.train import evaluate
from utils.training import Batches, seed_everything, train

RESULTS = Path(__file__).parent / "results" / "multi30k.json"
TEST = "test_2016_flickr"
EDGES = (1, 10, 15, 20, 100)
SIZES = {"embed_dim": 256, "hidden_dim": 512, "dropout": 0.4}
SETTINGS = {"batch_tokens": 1_800, "learning_rate": 2e-3}


def train_and_score(encoded, attention, epochs, seed):
    """Train one model and measure it: a dict of what the table shows."""
    seed_everything(seed)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, **SIZES)
    in_epoch = Batches(encoded, 1, SETTINGS["batch_tokens"], seed, 0.0).in_epoch
    name = f"{attention}-{epochs}-epochs-seed-{seed}.pt"
    checkpoint = cache_folder() / "checkpoints" / "multi30k" / name
    history = train(
        model,
        encoded,
        updates=epochs * in_epoch,
        validate_every=in_epoch,
        seed=seed,
        checkpoint=checkpoint,
        **SETTINGS,
    )
    result = evaluate(model, encoded, TEST)
    lengths = [len(sentence) for sentence in encoded.tokens(TEST, "src")]
    last = history.rows[-1]
    return {
        "attention": attention,
        "seed": seed,
        "epochs": epochs,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": last["seconds"],
        "tokens_a_second": last["target_tokens"] / last["seconds"],
        "valid_loss": last["valid_loss"],
        "bleu": vars(result.bleu),
        "tokenised_bleu": vars(result.tokenised_bleu),
        "by_length": [
            {"first": first, "last": last, **vars(score)}
            for (first, last), score in bleu_by_length(
                lengths, result.translations, result.references, EDGES, tokenize="13a"
            )
        ],
    }


def table(rows):
    """Lay the results out as a Markdown table and the signatures under it."""
    lengths = [f"{cell['first']}–{cell['last']} words" for cell in rows[0]["by_length"][:-1]]
    lengths.append(f"{rows[0]['by_length'][-1]['first']} words and more")
    head = ["attention", "BLEU [95%]", "tokenised", *lengths, "parameters", "tokens/s", "minutes"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        score, tokenised = row["bleu"], row["tokenised_bleu"]
        lines.append(
            [
                row["attention"],
                f"{score['score']:.1f} [{score['low']:.1f}, {score['high']:.1f}]",
                f"{tokenised['score']:.1f}",
                *(f"{cell['score']:.1f} (n={cell['sentences']})" for cell in row["by_length"]),
                f"{row['parameters'] / 1e6:.1f} M",
                f"{row['tokens_a_second']:,.0f}",
                f"{row['seconds'] / 60:.1f}",
            ]
        )
    signatures = f"BLEU: {rows[0]['bleu']['signature']} (lower-cased)\n"
    signatures += f"tokenised: {rows[0]['tokenised_bleu']['signature']} (Moses tokens, lower-cased)"
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n\n" + signatures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--attention", nargs="+", choices=ATTENTIONS, default=["none", "additive"])
    args = parser.parse_args()

    encoded = EncodedCorpus(load_multi30k("de", "en", splits=("train", "valid", TEST)), min_count=2)
    results = {"machine": describe(), "command": f"python -m benchmarks.multi30k --epochs {args.epochs}"}
    results |= {"sizes": SIZES, "settings": SETTINGS, "rows": []}
    for attention in args.attention:
        print(f"training with attention {attention!r} for {args.epochs} epochs", flush=True)
        results["rows"].append(train_and_score(encoded, attention, args.epochs, args.seed))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(f"\n{results['machine']}\n")
    print(table(results["rows"]))


if __name__ == "__main__":
    main()
