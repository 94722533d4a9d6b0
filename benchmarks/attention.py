"""Attention forward and backward: time and memory as the sentence grows, beside PyTorch's own attention.

    python -m benchmarks.attention [--longest 4096] [--hidden 64]

One sentence looks at itself: query, keys and values (1, length, hidden), forward and backward, on one thread.
"scaled dot" is `attend` as lesson 02 teaches it, which holds all (length, length) scores; "PyTorch" is
F.scaled_dot_product_attention, the same numbers without holding them; "additive, whole" holds
(length, length, hidden) at once; "additive" is the course's own, which beyond some size goes through the
target words part by part and computes each part again on the way back. The best of some turns; memory is
what the resident set grows by at its peak, which Linux keeps. What would need more than --most MB is left
out. The table is also written to benchmarks/results/attention.txt.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional as F

from benchmarks.machine import describe, peak_memory
from utils.attention import AdditiveScore, attend, scaled_dot_score

RESULTS = Path(__file__).parent / "results" / "attention.txt"


def ways(hidden):
    """The ways to attend by their name: functions of query, keys and values that give the context."""
    torch.manual_seed(0)
    score = AdditiveScore(hidden, hidden, hidden)

    def additive(query, keys, values, whole):
        from_projected = score.all_at_once if whole else score.from_projected
        return attend(query, score.project_keys(keys), values, None, from_projected)[0]

    return {
        "scaled dot": lambda query, keys, values: attend(query, keys, values, None, scaled_dot_score)[0],
        "PyTorch": lambda *tensors: F.scaled_dot_product_attention(
            *(x[:, None] for x in tensors)
        ),  # one head
        "additive, whole": partial(additive, whole=True),
        "additive": partial(additive, whole=False),
    }


def forward_and_backward(attention, tensors):
    for tensor in tensors:
        tensor.grad = None
    attention(*tensors).sum().backward()


def measure(attention, length, hidden, seconds):
    """Milliseconds of the best turn, and MB at the peak of one turn."""
    tensors = [torch.randn(1, length, hidden, requires_grad=True) for _ in range(3)]
    turn = partial(forward_and_backward, attention, tensors)
    megabytes = peak_memory(turn)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        started = time.perf_counter()
        turn()
        best = min(best, time.perf_counter() - started)
    return best * 1e3, megabytes


def figures(length=1_024, hidden=64, seconds=0.5):
    """The short form: how much of PyTorch's time we take, and of the memory of all scores at once."""
    torch.set_num_threads(1)
    found = {name: measure(way, length, hidden, seconds) for name, way in ways(hidden).items()}
    return {
        "time": found["scaled dot"][0] / found["PyTorch"][0],
        "memory": found["additive"][1] / found["additive, whole"][1],
    }


def table(longest, hidden, seconds, most):
    """Measure every way at every length: the lines of the table."""
    kinds = ways(hidden)
    head = "".join(f"{name:>24}" for name in kinds)
    lines = [f"{'length':>7}{head}", f"{'':>7}" + f"{'ms':>14}{'MB':>10}" * len(kinds)]
    length = 16
    while length <= longest:
        cells = []
        for name, attention in kinds.items():
            needed = 3 * 4 * length**2 * (hidden if "whole" in name else 1) / 2**20
            if needed > most:
                cells.append(f"{'–':>14}{'–':>10}")
                continue
            milliseconds, megabytes = measure(attention, length, hidden, seconds)
            cells.append(f"{milliseconds:14,.2f}{megabytes:10,.1f}")
        lines.append(f"{length:>7}{''.join(cells)}")
        print(lines[-1], flush=True)
        length *= 2
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--longest", type=int, default=4_096)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0, help="for a measurement; one turn at least")
    parser.add_argument("--most", type=int, default=6_000, help="MB that a measurement may need")
    args = parser.parse_args()
    torch.set_num_threads(1)  # small products gain nothing from a second one
    command = f"python -m benchmarks.attention --longest {args.longest} --hidden {args.hidden}"
    lines = [describe(), command, "", *table(args.longest, args.hidden, args.seconds, args.most)]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
