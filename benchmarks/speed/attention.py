"""Attention forward and backward: time and memory by sentence length, compared with PyTorch's attention.

    python -m benchmarks.speed.attention [--longest 4096] [--hidden 64]

One sentence attends to itself: query, keys and values are (1, length, hidden), on one thread. "scaled dot" is
`attend` as lesson 02 teaches it, which stores all (length, length) scores. "PyTorch" is
F.scaled_dot_product_attention, which computes the same numbers without storing them. "additive, whole" stores
(length, length, hidden) at once; "additive" is the course's own, which splits long targets into parts and
recomputes each part in the backward pass. The table has the shortest time of a call and the growth of the
resident memory at its peak (Linux). Cells that would need more than --most MB stay empty.
"""

from itertools import product

import torch
from torch import nn

from benchmarks import harness
from benchmarks.profiling import best_seconds, peak_memory
from utils.attention import AdditiveScore, attend, scaled_dot_score

KINDS = ("scaled dot", "PyTorch", "additive, whole", "additive")


def attention(kind, hidden):
    """Return one of `KINDS`, a function of query, keys and values that returns the context."""
    if kind == "PyTorch":  # wants a dimension for heads
        return lambda *tensors: nn.functional.scaled_dot_product_attention(*(x[:, None] for x in tensors))
    torch.manual_seed(0)
    additive = AdditiveScore(hidden, hidden, hidden)

    def whole(query, keys):
        return additive.sum_of_tanh(additive.query_proj(query), additive.project_keys(keys))

    score = {"scaled dot": scaled_dot_score, "additive": additive, "additive, whole": whole}[kind]
    return lambda query, keys, values: attend(query, keys, values, None, score)[0]


def measure(length, kind, hidden=64, seconds=1.0, most=6_000):
    """Return milliseconds of the fastest call and MB at its peak, or None where `most` MB are not enough."""
    if 3 * 4 * length**2 * (hidden if "whole" in kind else 1) / 2**20 > most:
        return {"ms": None, "MB": None}
    tensors = [torch.randn(1, length, hidden, requires_grad=True) for _ in range(3)]
    call = attention(kind, hidden)

    def forward_and_backward():
        for tensor in tensors:
            tensor.grad = None
        call(*tensors).sum().backward()

    megabytes = peak_memory(forward_and_backward)
    return {"ms": 1e3 * best_seconds(forward_and_backward, seconds), "MB": megabytes}


def figures(length=1_024, hidden=64, seconds=0.5):
    """Return the short form: our time / PyTorch's, and our memory / that of all scores at once."""
    torch.set_num_threads(1)
    found = {kind: measure(length, kind, hidden, seconds) for kind in KINDS}
    return {
        "time": found["scaled dot"]["ms"] / found["PyTorch"]["ms"],
        "memory": found["additive"]["MB"] / found["additive, whole"]["MB"],
    }


def table(record):
    """Return a line of text per length."""
    rows = {}
    for run in record["runs"]:
        cells = "–", "–"
        if run["ms"] is not None:
            cells = f"{run['ms']:,.2f}", f"{run['MB']:,.1f}"
        rows.setdefault(run["length"], []).append("{:>14}{:>10}".format(*cells))
    lines = [f"{length:>7}{''.join(cells)}" for length, cells in rows.items()]
    head = [f"{'length':>7}" + "".join(f"{kind:>24}" for kind in KINDS)]
    return "\n".join([*head, f"{'':>7}" + f"{'ms':>14}{'MB':>10}" * len(KINDS), *lines])


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("--longest", type=int, default=4_096, help="tokens of the longest sentence")
    parser.add_argument("--hidden", type=int, default=64, help="size of queries, keys and values")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to repeat each call")
    parser.add_argument("--most", type=int, default=6_000, help="memory limit of a call in MB")
    args = parser.parse_args()
    torch.set_num_threads(1)  # small products gain nothing from a second thread
    lengths = [2**power for power in range(4, args.longest.bit_length())]
    fixed = {"hidden": args.hidden, "seconds": args.seconds, "most": args.most}
    jobs = [{"length": length, "kind": kind, **fixed} for length, kind in product(lengths, KINDS)]
    harness.run(args, measure, jobs, table)


if __name__ == "__main__":
    main()
