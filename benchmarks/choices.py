"""Threads, float precision and batch size: what the course's choices of them rest on.

    python -m benchmarks.choices [--hidden 64 256 512] [--seconds 40] [--seeds 2]

Two tables, of additive attention on the reviews.

Speed: target tokens a second of training on one thread and on two, in float32 and in bfloat16, with batches
of different size, in turns within one run; and of two trainings side by side on one thread each, together.

Learning: large batches are faster a token, and small ones learn more from it. So models with different
batches get the same seconds of computing, as many updates as the first table says fit into them, and their
validation loss tells which learned most. Lower is better; each number is one seed. The peak of the learning
rate is the same for all of them. Results are in benchmarks/results/choices.txt.
"""

import argparse
import time
from itertools import product
from pathlib import Path

import torch

from benchmarks.machine import describe
from utils.models import Seq2Seq
from utils.text import PAD_ID, encoded_reviews
from utils.training import Batches, in_parallel, seed_everything, train, train_step, tune_process

RESULTS = Path(__file__).parent / "results" / "choices.txt"
BATCH_TOKENS = (300, 900, 2_700)
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}
THREADS = (1, 2)


def make(encoded, hidden, seed=0):
    """A model that is not trained, with embeddings half as wide as its states."""
    seed_everything(seed)
    return Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "additive", hidden // 2, hidden)


def speeds(hidden, turns, side_by_side=False):
    """Target tokens a second by (threads, precision, batch tokens), all in turns.

    With `side_by_side` only those of one thread: another process does the same meanwhile.
    """
    tune_process()
    encoded, before = encoded_reviews(), torch.get_num_threads()
    model = make(encoded, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    kinds = [*product(THREADS[:1] if side_by_side else THREADS, PRECISIONS, BATCH_TOKENS)]
    drawn = {tokens: Batches(encoded, turns + 1, tokens, 0, 0.0) for tokens in BATCH_TOKENS}
    seconds, counts = dict.fromkeys(kinds, 0.0), dict.fromkeys(kinds, 0)
    for turn in range(turns + 1):
        for kind in kinds:
            threads, precision, tokens = kind
            torch.set_num_threads(threads)
            batch = drawn[tokens][turn]
            started = time.perf_counter()
            train_step(model, batch, optimizer, autocast=PRECISIONS[precision])
            if turn:  # the first one warms up
                seconds[kind] += time.perf_counter() - started
                counts[kind] += int((batch.tgt_out != PAD_ID).sum())
    torch.set_num_threads(before)
    return {kind: counts[kind] / seconds[kind] for kind in kinds}


def learned(hidden, tokens, updates, seed):
    """Validation loss, in nats a token, after a training with batches of this size."""
    encoded = encoded_reviews()
    model = make(encoded, hidden, seed)
    history = train(model, encoded, updates, tokens, validate_every=updates, seed=seed, progress=False)
    return history.rows[-1]["valid_loss"]


def speed_lines(hidden, turns):
    """The first table of one size, and tokens a second side by side in float32 by batch tokens."""
    alone = speeds(hidden, turns)
    pair = in_parallel(speeds, [dict(hidden=hidden, turns=turns, side_by_side=True)] * 2, workers=2)
    lines = [
        f"hidden {hidden}",
        f"{'tokens a batch':<28}" + "".join(f"{tokens:>9,}" for tokens in BATCH_TOKENS),
    ]
    for precision in PRECISIONS:
        for threads in THREADS:
            cells = "".join(f"{alone[threads, precision, tokens]:>9,.0f}" for tokens in BATCH_TOKENS)
            lines.append(f"{f'{precision}, {threads} thread' + 's' * (threads > 1):<28}{cells}")
        both = {tokens: sum(one[1, precision, tokens] for one in pair) for tokens in BATCH_TOKENS}
        lines.append(
            f"{f'{precision}, 2 trainings':<28}" + "".join(f"{both[t]:>9,.0f}" for t in BATCH_TOKENS)
        )
    return lines, {tokens: alone[1, "float32", tokens] for tokens in BATCH_TOKENS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--turns", type=int, default=12, help="steps of each kind that are timed")
    parser.add_argument("--seconds", type=float, default=40, help="of computing for each model that learns")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    command = f"python -m benchmarks.choices --hidden {' '.join(map(str, args.hidden))} --turns {args.turns}"
    lines = [describe(), f"{command} --seconds {args.seconds:g} --seeds {args.seeds}", ""]
    lines.append("target tokens a second in training")
    first = None
    for hidden in args.hidden:
        found, speed = speed_lines(hidden, args.turns)
        first = first or (hidden, speed)
        lines += ["", *found]
    hidden, speed = first
    jobs = [
        dict(
            hidden=hidden,
            tokens=tokens,
            updates=max(1, round(args.seconds * speed[tokens] / tokens)),
            seed=seed,
        )
        for tokens in BATCH_TOKENS
        for seed in range(args.seeds)
    ]
    losses = in_parallel(learned, jobs, workers=2)
    lines += [
        "",
        f"validation loss after {args.seconds:g} seconds of computing on one thread, hidden {hidden}",
    ]
    for tokens in BATCH_TOKENS:
        own = [(job, loss) for job, loss in zip(jobs, losses, strict=True) if job["tokens"] == tokens]
        each = " ".join(f"{loss:.3f}" for _, loss in own)
        lines.append(f"{f'{tokens:,} tokens a batch':<28}{own[0][0]['updates']:>7,} updates   {each}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
