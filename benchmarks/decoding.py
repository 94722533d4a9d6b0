"""Translating: sentences a second, greedy and by beam search, in batches against one by one.

    python -m benchmarks.decoding [--sentences 512] [--hidden 256] [--updates 150]

Trains each model a little on the reviews, so that it ends its sentences, then translates the same test
reviews one by one and in batches of similar length, in turns within one run: trust the ratios. "same words"
is the share of sentences that come out alike both ways. Below is where the time of the batches of additive
attention goes, by PyTorch's profiler: what a batch saves is all but the arithmetic. The table is also written
to benchmarks/results/decoding.txt.
"""

import argparse
import time
from functools import partial
from pathlib import Path

from benchmarks.machine import describe, shares_in_words, time_parts
from utils.data import load_reviews
from utils.models import translate
from utils.plotting import NAMES
from utils.text import EncodedCorpus
from utils.runs import Settings, make_model
from utils.training import train

RESULTS = Path(__file__).parent / "results" / "decoding.txt"
MODELS = ("none", "multiplicative", "additive", "bahdanau", "transformer")
BEAM, BATCH = 5, 256


def trained(name, encoded, hidden, updates):
    """A model that has learned for a short while, so that its sentences end."""
    settings = Settings(corpus="reviews", model=name, embed_dim=64, hidden_dim=hidden, layers=2, dropout=0.0)
    model = make_model(settings, encoded)
    train(model, encoded, updates, learning_rate=5e-3, curriculum=0.6, progress=False)
    return model


def measure(model, encoded, sentences, turns=2):
    """Sentences a second by (beam size, batch size), the best of some turns, and how many agree in words."""
    best, words = {}, {}
    for _ in range(turns):
        for beam_size in (1, BEAM):
            for batch_size in (1, BATCH):
                started = time.perf_counter()
                found = translate(model, encoded, sentences, 60, batch_size, beam_size)
                speed = len(sentences) / (time.perf_counter() - started)
                best[beam_size, batch_size] = max(speed, best.get((beam_size, batch_size), 0.0))
                words[beam_size, batch_size] = [done.tokens for done in found]
    same = [sum(map(list.__eq__, words[beam, 1], words[beam, BATCH])) for beam in (1, BEAM)]
    return best, [count / len(sentences) for count in same]


def parts_of_batches(model, encoded, sentences):
    """Where the time of batches goes, greedy and by beam: a line each."""
    for search, beam_size in (("greedy", 1), ("beam", BEAM)):
        parts = time_parts(partial(translate, model, encoded, sentences, 60, BATCH, beam_size))
        yield f"additive, {search}, in batches: {shares_in_words(parts)}"


def figures(sentences=256, hidden=256, updates=150):
    """The short form: how many times as fast batches are, with additive attention, greedy and by beam."""
    encoded = EncodedCorpus(load_reviews())
    model = trained("additive", encoded, hidden, updates)
    best, _ = measure(model, encoded, encoded.tokens("test", "src")[:sentences], turns=1)
    return {name: best[beam, BATCH] / best[beam, 1] for name, beam in (("greedy", 1), ("beam", BEAM))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", type=int, default=512)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--updates", type=int, default=150)
    args = parser.parse_args()
    encoded = EncodedCorpus(load_reviews())
    sentences = encoded.tokens("test", "src")[: args.sentences]
    lines = [
        describe(),
        f"python -m benchmarks.decoding --sentences {args.sentences} --hidden {args.hidden}"
        f" --updates {args.updates}",
        "",
        f"{'sentences a second':<38}{'greedy:':>9}{'one':>7}{BATCH:>8}{'ratio':>7}"
        f"{f'beam of {BEAM}:':>13}{'one':>7}{BATCH:>8}{'ratio':>7}  same words",
    ]
    for name in MODELS:
        model = trained(name, encoded, args.hidden, args.updates)
        best, same = measure(model, encoded, sentences)
        cells = [
            f"{'':>{9 if beam == 1 else 13}}{best[beam, 1]:7.1f}{best[beam, BATCH]:8.1f}"
            f"{best[beam, BATCH] / best[beam, 1]:7.1f}"
            for beam in (1, BEAM)
        ]
        lines.append(f"{NAMES.get(name, name.capitalize()):<38}{''.join(cells)}  {same[0]:.0%} {same[1]:.0%}")
        print(lines[-1], flush=True)
        if name == "additive":
            shares = [*parts_of_batches(model, encoded, sentences)]
    lines += ["", *shares]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
