"""From file to batch: sentences per second at each stage, padding with and without buckets, and memory.

    python -m benchmarks.speed.data [--pairs 1000 4000 16000 64000]

Two corpora: the reviews, which a grammar writes, and Multi30K, which is read from its files and tokenized by
Moses's rules; without a download, the table says so. Each stage does one part of the work of `EncodedCorpus`:
"read" gets the sentences as text, "tokenize" splits the training sentences into tokens, "vocabularies" counts
and sorts them, "encode" maps them to ids, and "batches" sorts them by length and pads every batch of an
epoch. A sentence is one side of a pair. Times are the shortest of some turns, in CPU seconds of one thread.

Padding is the share of cells without a token in an epoch's batches: "buckets" are those of
`EncodedCorpus.chunks`; "random" has the same pairs in random order, as many per batch as fit into the same
number of target cells.

Memory is the growth of the resident memory (Linux), in a new process per size: first by the reviews' text and
gold links, then by what training adds: tokens, vocabularies and ids. `benchmarks.speed.streaming` measures
the loader of large corpora.
"""

import random
from itertools import pairwise

import torch

from benchmarks import harness
from benchmarks.profiling import fresh_process, resident_memory, with_cpu_seconds
from utils.data import load_multi30k, load_reviews
from utils.data.download import DataError
from utils.text import PAD_ID, EncodedCorpus, Vocabulary, group_rows, tokenize

CORPORA = {"reviews": (load_reviews, 1), "Multi30K": (load_multi30k, 2)}  # loader, minimum count of a word
BATCH_TOKENS = 1_500
STAGES = ("read", "tokenize", "vocabularies", "encode", "batches")


def stages(load, min_count=1, turns=3):
    """Return sentences per second of each of `STAGES`, and of all stages together as "all"."""
    corpus = load()
    for language in (corpus.src_lang, corpus.tgt_lang):
        tokenize("", corpus.tokenization, language)  # builds its tables, once
    seconds = [_seconds_per_sentence(load, min_count) for _ in range(turns)]
    return {stage: 1 / min(turn[stage] for turn in seconds) for stage in (*STAGES, "all")}


def _seconds_per_sentence(load, min_count):
    corpus, read = with_cpu_seconds(load)
    train, kind = corpus["train"], corpus.tokenization
    sides = ((train.src, corpus.src_lang), (train.tgt, corpus.tgt_lang))
    tokens, cut = with_cpu_seconds(
        lambda: [[tokenize(text, kind, name) for text in side] for side, name in sides]
    )
    _, count = with_cpu_seconds(lambda: [Vocabulary.from_sentences(side, min_count) for side in tokens])
    encoded = EncodedCorpus(corpus, min_count)
    _, encode = with_cpu_seconds(lambda: encoded.batch("train", [0]))  # the first batch encodes the split
    _, pad = with_cpu_seconds(lambda: [len(batch.rows) for batch in encoded.batches("train", BATCH_TOKENS)])
    pairs = [sum(map(len, corpus.splits.values())), *[len(train)] * 4]
    took = [
        seconds / count / 2 for seconds, count in zip((read, cut, count, encode, pad), pairs, strict=True)
    ]
    return dict(zip((*STAGES, "all"), (*took, sum(took)), strict=True))


def padding(encoded, batch_tokens=BATCH_TOKENS, seed=0):
    """Return the shares of cells without a token in an epoch's batches, as {"buckets": (source, target),
    ...}.
    """
    lengths = [len(tokens) + 2 for tokens in encoded.tokens("train", "tgt")]
    shuffled = random.Random(seed).sample(encoded.train_rows, len(encoded.train_rows))
    ways = {
        "buckets": encoded.chunks("train", batch_tokens, seed),
        "random": group_rows(shuffled, lengths, batch_tokens),
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
    """Return the bytes per pair of so many reviews, and the bytes per pair that training with them adds."""

    def ready(corpus):
        encoded = EncodedCorpus(corpus)
        encoded.batch("train", [0])
        return encoded

    ready(load_reviews(train=100, valid=0, test=0, long=0))  # builds what is needed only once
    kept, sizes = [], [resident_memory()]
    for make in (lambda: load_reviews(train=pairs, valid=0, test=0, long=0), lambda: ready(kept[0])):
        kept.append(make())
        sizes.append(resident_memory())
    return [(after - before) / pairs for before, after in pairwise(sizes)]


def measure(corpus=None, pairs=None, turns=3):
    """Measure the speed and the padding of a corpus, or the memory of so many pairs of reviews."""
    if pairs is not None:
        text, ready = fresh_process(memory, pairs)
        return {"text": text, "ready": ready}
    load, min_count = CORPORA[corpus]
    try:
        encoded = EncodedCorpus(load(), min_count)
    except DataError as error:
        return {"error": str(error)}
    return {"speed": stages(load, min_count, turns), "padding": padding(encoded)}


def figures():
    """Return the short form, all about the reviews."""
    found = measure("reviews", turns=1)
    src, tgt = found["padding"]["buckets"]
    return {
        "source padding": src,
        "target padding": tgt,
        "sentences per second": found["speed"]["all"],
        "bytes per pair": measure(pairs=4_000)["ready"],
    }


def table(record):
    """Return three tables of text: speed, padding, memory."""
    speeds = [f"{'sentences/s':<12}" + "".join(f"{stage:>14}" for stage in (*STAGES, "all"))]
    wastes = [f"{'padding':<12}{f'{BATCH_TOKENS:,} tokens':<14}{'source':>10}{'target':>10}"]
    sizes = [f"{'bytes per pair of reviews':<28}{'pairs':>10}{'text':>10}{'encoded':>10}{'MB in all':>11}"]
    for run in record["runs"]:
        if "pairs" in run:
            pairs, text, ready = run["pairs"], run["text"], run["ready"]
            megabytes = pairs * (text + ready) / 2**20
            sizes.append(f"{'':<28}{pairs:>10,}{text:>10,.0f}{ready:>10,.0f}{megabytes:>11.1f}")
        elif "error" in run:
            speeds.append(f"{run['corpus']:<12}not measured: {run['error']}")
        else:
            speeds.append(
                f"{run['corpus']:<12}" + "".join(f"{speed:>14,.0f}" for speed in run["speed"].values())
            )
            wastes += [
                f"{run['corpus']:<12}{way:<14}" + "".join(f"{share:>10.1%}" for share in shares)
                for way, shares in run["padding"].items()
            ]
    return "\n".join([*speeds, "", *wastes, "", *sizes])


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    sizes = [1_000, 4_000, 16_000, 64_000]
    parser.add_argument("--pairs", type=int, nargs="+", default=sizes, help="reviews whose memory to measure")
    args = parser.parse_args()
    torch.set_num_threads(1)
    jobs = [{"corpus": corpus} for corpus in CORPORA] + [{"pairs": pairs} for pairs in args.pairs]
    harness.run(args, measure, jobs, table)


if __name__ == "__main__":
    main()
