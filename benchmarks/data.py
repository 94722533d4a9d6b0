"""From file to batch: sentences a second of each stage, padding with buckets and without, memory.

    python -m benchmarks.data [--pairs 1000 4000 16000 64000]

Two corpora: the reviews, which a grammar writes, and Multi30K, read from its files and tokenized by Moses's
rules; where it cannot be had, the table says so. A stage is what `EncodedCorpus` does with it, alone: "read"
gives the sentences as text, "tokenize" cuts the training split into tokens, "vocabularies" counts and sorts
them, "encode" makes ids of them, and "batches" sorts them by length and pads every batch of an epoch. A
sentence is one side of a pair. Each is the best of some turns, in seconds of computing of one thread.

Padding is the share of cells that hold no token, in the batches of an epoch: "buckets" are those of
`EncodedCorpus.chunks`, and "random" has the same pairs in random order, as many a batch as fit into the same
number of target cells.

Memory is what the resident set has grown by (Linux), in a process of its own for each size: by the reviews,
which hold text and gold links, and by what comes on top of them for training, tokens, vocabularies and ids.
What a loader of large corpora takes is measured by `benchmarks.corpora`. The table is also written to
benchmarks/results/data.txt.
"""

import argparse
import random
import time
from itertools import pairwise
from pathlib import Path

import torch

from benchmarks.machine import describe, fresh_process, resident_memory
from utils.data import load_multi30k, load_reviews
from utils.data.download import DataError
from utils.text import PAD_ID, EncodedCorpus, Vocabulary, part, tokenize

RESULTS = Path(__file__).parent / "results" / "data.txt"
CORPORA = {"reviews": (load_reviews, 1), "Multi30K": (load_multi30k, 2)}  # and the words' least count
BATCH_TOKENS = 1_500
STAGES = ("read", "tokenize", "vocabularies", "encode", "batches")


def _timed(function):
    started = time.process_time()
    made = function()
    return made, time.process_time() - started


def stages(load, min_count=1, turns=3):
    """Sentences a second of each of `STAGES`, and of all of them in turn as "all": the best of some turns."""
    corpus = load()
    for language in (corpus.src_lang, corpus.tgt_lang):
        tokenize("", corpus.tokenization, language)  # its tables are made only once
    seconds = [_seconds_a_sentence(load, min_count) for _ in range(turns)]
    return {stage: 1 / min(turn[stage] for turn in seconds) for stage in (*STAGES, "all")}


def _seconds_a_sentence(load, min_count):
    corpus, read = _timed(load)
    train, kind = corpus["train"], corpus.tokenization
    sides = ((train.src, corpus.src_lang), (train.tgt, corpus.tgt_lang))
    tokens, cut = _timed(lambda: [[tokenize(text, kind, name) for text in side] for side, name in sides])
    _, count = _timed(lambda: [Vocabulary.from_sentences(side, min_count) for side in tokens])
    encoded = EncodedCorpus(corpus, min_count)
    _, encode = _timed(lambda: encoded.batch("train", [0]))  # the first one encodes the split
    _, pad = _timed(lambda: [len(batch.rows) for batch in encoded.batches("train", BATCH_TOKENS)])
    took = [
        read / sum(map(len, corpus.splits.values())),
        *(s / len(train) for s in (cut, count, encode, pad)),
    ]
    return {stage: s / 2 for stage, s in zip((*STAGES, "all"), (*took, sum(took)), strict=True)}


def padding(encoded, batch_tokens=BATCH_TOKENS, seed=0):
    """Shares of cells without a token in the batches of an epoch, as {way: (source, target)}."""
    lengths = [len(tokens) + 2 for tokens in encoded.tokens("train", "tgt")]
    shuffled = random.Random(seed).sample(encoded.train_rows, len(encoded.train_rows))
    ways = {
        "buckets": encoded.chunks("train", batch_tokens, seed),
        "random": part(shuffled, lengths, batch_tokens),
    }
    return {way: _empty(encoded, chunks) for way, chunks in ways.items()}


def _empty(encoded, chunks):
    cells, real = torch.zeros(2), torch.zeros(2)
    for rows in chunks:
        batch = encoded.batch("train", rows)
        cells += torch.tensor([batch.src.numel(), batch.tgt_in.numel()])
        real += torch.tensor([batch.src_lengths.sum(), (batch.tgt_in != PAD_ID).sum()])
    return tuple((1 - real / cells).tolist())


def memory(pairs):
    """Bytes a pair that so many reviews take, and bytes a pair that come on top for training with them."""

    def ready(corpus):
        encoded = EncodedCorpus(corpus)
        encoded.batch("train", [0])
        return encoded

    ready(load_reviews(train=100, valid=0, test=0, long=0))  # what is made only once
    kept, sizes = [], [resident_memory()]
    for make in (lambda: load_reviews(train=pairs, valid=0, test=0, long=0), lambda: ready(kept[0])):
        kept.append(make())
        sizes.append(resident_memory())
    return [(after - before) / pairs for before, after in pairwise(sizes)]


def figures():
    """The short form: shares of padding, and the speed from file to batch, of the reviews."""
    encoded = EncodedCorpus(load_reviews())
    src, tgt = padding(encoded)["buckets"]
    _, ready = fresh_process(memory, 4_000)
    return {
        "source padding": src,
        "target padding": tgt,
        "sentences a second": stages(load_reviews, turns=1)["all"],
        "bytes a pair": ready,
    }


def table(pairs):
    """Measure everything: the lines of the table."""
    speeds, wastes = [], []
    for name, (load, min_count) in CORPORA.items():
        try:
            load()
        except DataError as error:
            speeds.append(f"{name:<12}not measured: {error}")
            continue
        speed = stages(load, min_count)
        speeds.append(f"{name:<12}" + "".join(f"{speed[stage]:>14,.0f}" for stage in (*STAGES, "all")))
        print(speeds[-1], flush=True)
        for way, shares in padding(EncodedCorpus(load(), min_count)).items():
            wastes.append(f"{name:<12}{way:<14}" + "".join(f"{share:>10.1%}" for share in shares))
            print(wastes[-1], flush=True)
    sizes = [(count, *fresh_process(memory, count)) for count in pairs]
    return [
        f"{'sentences/s':<12}" + "".join(f"{stage:>14}" for stage in (*STAGES, "all")),
        *speeds,
        "",
        f"{'padding':<12}{f'{BATCH_TOKENS:,} tokens':<14}{'source':>10}{'target':>10}",
        *wastes,
        "",
        f"{'bytes a pair of the reviews':<28}{'pairs':>10}{'corpus':>10}{'encoded':>10}{'MB in all':>11}",
        *(
            f"{'':<28}{count:>10,}{text:>10,.0f}{ready:>10,.0f}{count * (text + ready) / 2**20:>11.1f}"
            for count, text, ready in sizes
        ),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000, 4_000, 16_000, 64_000])
    args = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python -m benchmarks.data --pairs {' '.join(map(str, args.pairs))}"
    report = "\n".join([describe(), command, "", *table(args.pairs)]) + "\n"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(report, "utf-8")
    print(f"\n{report}")


if __name__ == "__main__":
    main()
