"""Training speed on a GPU: target tokens a second in bfloat16, with the fused optimiser.

    python -m benchmarks.gpu [--hidden 512] [--batch-tokens 8000]

Trains with additive attention on the reviews by `train_step`, as `utils.train` does. The loss of every step
is asked for, so that what is timed has been computed. The first steps, which load and choose the GPU's
programs, do not count. The line is also written to benchmarks/results/gpu.txt.
"""

import argparse
import time
from pathlib import Path

import torch

from benchmarks.machine import describe
from utils.models import Seq2Seq
from utils.text import PAD_ID, encoded_reviews
from utils.training import Batches, seed_everything, train_step

RESULTS = Path(__file__).parent / "results" / "gpu.txt"
WARM_UP = 5


def measure(device, hidden=512, batch_tokens=8_000, steps=30):
    """Target tokens a second that a model with additive attention learns from on a device."""
    encoded = encoded_reviews()
    seed_everything(0)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "additive", 256, hidden).to(device)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    batches = Batches(encoded, WARM_UP + steps, batch_tokens, seed=0, curriculum=0.0)
    tokens, seconds = 0, 0.0
    for step in range(WARM_UP + steps):
        batch = batches[step].to(device)
        started = time.perf_counter()
        train_step(model, batch, optimizer, autocast=torch.bfloat16)
        if step >= WARM_UP:
            seconds += time.perf_counter() - started
            tokens += int((batch.tgt_out != PAD_ID).sum())
    return tokens / seconds


def figures():
    """The short form is the whole of it."""
    return {"tokens_per_second": measure("cuda")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--batch-tokens", type=int, default=8_000)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use")
    speed = measure("cuda", args.hidden, args.batch_tokens)
    command = f"python -m benchmarks.gpu --hidden {args.hidden} --batch-tokens {args.batch_tokens}"
    machine = f"{describe()}; {torch.cuda.get_device_name()}"
    report = f"{machine}\n{command}\n\n{speed:,.0f} target tokens a second\n"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(report, "utf-8")
    print(report, end="")


if __name__ == "__main__":
    main()
