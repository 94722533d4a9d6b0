"""Threads, float precision and batch size: the measurements behind the course's choices.

    python -m benchmarks.speed.training_settings [--hidden 64 256 512] [--seconds 40] [--seeds 2]

Speed: target tokens per second of training with additive attention on the reviews, on one thread and on two,
in float32 and bfloat16, by batch size, all in turns within one run; and of two trainings side by side on one
thread each, together.

Learning: large batches are faster per token, but a token of a small batch teaches more. So models train with
each batch size for the same number of seconds, with as many updates as fit, and the validation loss shows
which learned most (lower is better). All use the same peak learning rate.
"""

import time
from itertools import product

import torch

from benchmarks import harness
from utils.models import Seq2Seq
from utils.text import encoded_reviews
from utils.training import Batches, in_parallel, seed_everything, train, train_step, tune_process

BATCH_TOKENS = (300, 900, 2_700)
PRECISIONS = {"float32": None, "bfloat16": "bfloat16"}
THREADS = (1, 2)


def make_model(encoded, hidden, seed=0):
    """Return an untrained model with embeddings half as wide as its states."""
    seed_everything(seed)
    return Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "additive", hidden // 2, hidden)


def speeds(hidden, turns, threads=(1,), precisions=tuple(PRECISIONS)):
    """Return target tokens per second by (threads, precision, tokens per batch), measured in turns."""
    tune_process()
    encoded, before = encoded_reviews(), torch.get_num_threads()
    model = make_model(encoded, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    kinds = list(product(threads, precisions, BATCH_TOKENS))
    batches = {tokens: Batches(encoded, turns + 1, tokens, 0, 0.0) for tokens in BATCH_TOKENS}
    seconds, counts = dict.fromkeys(kinds, 0.0), dict.fromkeys(kinds, 0)
    for turn, kind in product(range(turns + 1), kinds):
        count, precision, tokens = kind
        torch.set_num_threads(count)
        batch = batches[tokens][turn]
        started = time.perf_counter()
        train_step(model, batch, optimizer, autocast=PRECISIONS[precision])
        if turn:  # the first turn warms up
            seconds[kind] += time.perf_counter() - started
            counts[kind] += batch.target_tokens
    torch.set_num_threads(before)
    return {kind: counts[kind] / seconds[kind] for kind in kinds}


def measure(hidden, turns, seconds=None, seeds=0):
    """Measure the speed of all kinds of training or, if `seconds` are given, what models learn."""
    if seconds is not None:
        return {"learned": learned(hidden, turns, seconds, seeds)}
    alone = speeds(hidden, turns, THREADS)
    pair = in_parallel(speeds, [{"hidden": hidden, "turns": turns}] * 2, workers=2)
    found = {}
    for precision in PRECISIONS:
        for threads in THREADS:
            name = f"{precision}, {threads} thread{'s' * (threads > 1)}"
            found[name] = {tokens: alone[threads, precision, tokens] for tokens in BATCH_TOKENS}
        found[f"{precision}, 2 trainings"] = {
            tokens: sum(one[1, precision, tokens] for one in pair) for tokens in BATCH_TOKENS
        }
    return {"speed": found}


def learned(hidden, turns, seconds, seeds):
    """Return by tokens per batch how many updates fit into the seconds, and the validation loss per seed."""
    speed = speeds(hidden, turns, precisions=("float32",))
    updates = {
        tokens: max(1, round(seconds * speed[1, "float32", tokens] / tokens)) for tokens in BATCH_TOKENS
    }
    jobs = [
        {"hidden": hidden, "tokens": tokens, "updates": updates[tokens], "seed": seed}
        for tokens in BATCH_TOKENS
        for seed in range(seeds)
    ]
    losses = iter(in_parallel(validation_loss, jobs, workers=2))
    return {
        tokens: {"updates": updates[tokens], "losses": [next(losses) for _ in range(seeds)]}
        for tokens in updates
    }


def validation_loss(hidden, tokens, updates, seed):
    """Train with batches of this size; return the validation loss in nats per token."""
    encoded = encoded_reviews()
    model = make_model(encoded, hidden, seed)
    history = train(
        model, encoded, updates, batch_tokens=tokens, validate_every=updates, seed=seed, progress=False
    )
    return history.rows[-1]["valid_loss"]


def table(record):
    """Return a table of text of the speeds per hidden size, then one of the losses."""
    lines = ["target tokens per second in training"]
    for run in record["runs"]:
        if "speed" in run:
            lines += ["", f"hidden {run['hidden']}"]
            lines.append(f"{'tokens per batch':<28}" + "".join(f"{tokens:>9,}" for tokens in BATCH_TOKENS))
            for name, row in run["speed"].items():
                lines.append(f"{name:<28}" + "".join(f"{speed:>9,.0f}" for speed in row.values()))
            continue
        about = f"validation loss after {run['seconds']:g} seconds of training on one thread"
        lines += ["", f"{about}, hidden {run['hidden']}"]
        for tokens, row in run["learned"].items():
            losses = " ".join(f"{loss:.3f}" for loss in row["losses"])
            lines.append(f"{f'{int(tokens):,} tokens per batch':<28}{row['updates']:>7,} updates   {losses}")
    return "\n".join(lines)


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument(
        "--hidden", type=int, nargs="+", default=[64, 256, 512], help="hidden sizes; one learns"
    )
    parser.add_argument("--turns", type=int, default=12, help="timed steps of each kind")
    parser.add_argument("--seconds", type=float, default=40, help="training time of each model that learns")
    parser.add_argument("--seeds", type=int, default=2, help="random seeds per batch size")
    args = parser.parse_args()
    jobs = [{"hidden": hidden, "turns": args.turns} for hidden in args.hidden]
    jobs.append({**jobs[0], "seconds": args.seconds, "seeds": args.seeds})
    harness.run(args, measure, jobs, table)


if __name__ == "__main__":
    main()
