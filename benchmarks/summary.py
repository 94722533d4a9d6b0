"""The short form of the benchmarks in one table: what was measured, what was aimed at, and whether it is met.

    python -m benchmarks [NAME ...]

Each benchmark measures in a process of its own, with smaller sizes and fewer turns than its own command. What
takes too long for a few minutes, as all demos do and training to a BLEU, is read from what its command has
recorded, and the row says so. A benchmark that fails says why in its rows, the others go on, and the exit
status is 1; an aim that is not met is no failure. On a machine that does something else meanwhile all is
slower, and not all in the same measure. The table is also written to benchmarks/results/bench.txt.
"""

import argparse
import importlib
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks.machine import describe, fresh_process
from utils.data import load_reviews
from utils.text import EncodedCorpus

RESULTS = Path(__file__).parent / "results" / "bench.txt"
STEPS = 8  # of training for each model
BATCH_TOKENS = (900, 1_800)  # what `utils.cli_train` takes, and about what tutorials take


def training():
    """The training speed at hidden 512 of `benchmarks.teacher_forcing`: on a GPU where there is one."""
    from benchmarks.teacher_forcing import measure

    encoded, figures = EncodedCorpus(load_reviews()), {}
    for batch_tokens in BATCH_TOKENS:
        found, _, _ = measure(encoded, hidden=512, batch_tokens=batch_tokens, steps=STEPS)
        figures |= {f"{name}, {key}, {batch_tokens}": row[key] for name, row in found.items() for key in row}
    speed = {name: row["tokens_per_second"] for name, row in found.items()}
    return figures | {"additive for multiplicative": speed["multiplicative"] / speed["additive"]}


def figures_of(benchmark):
    """The short form of a benchmark: a dict of numbers."""
    return importlib.import_module(f"benchmarks.{benchmark}").figures()


BENCHMARKS = {"training": training} | {
    name: partial(figures_of, name)
    for name in ("attention", "decoding", "data", "start", "demos", "translation")
}


@dataclass(frozen=True)
class Row:
    """A row of the table: what a figure of a benchmark says, and the least or the most that is aimed at."""

    benchmark: str
    figure: str
    measure: str
    unit: str = ""
    least: float | None = None
    most: float | None = None

    def met(self, value):
        """Say "yes" or "no", or nothing where there is no aim."""
        if self.least is None and self.most is None:
            return ""
        reached = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
        return "yes" if reached else "no"

    def show(self, value):
        """A number with its unit, and with digits enough to compare it with the aim."""
        if self.unit == "%":
            return f"{value:.1%}"
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        return f"{value:,.{digits}f} {self.unit}".rstrip()

    @property
    def aim(self):
        if self.least is not None:
            return f"at least {self.show(self.least)}"
        return "" if self.most is None else f"at most {self.show(self.most)}"


ROWS = (
    *(
        Row("training", f"additive, {key}, {tokens}", f"hidden 512, {tokens:,} tokens: {measure}", unit, aim)
        for tokens in BATCH_TOKENS
        for key, measure, unit, aim in (
            ("times_tutorial", "training against tutorials' loop", "times", 12),
            ("times_loop", "against the loop, same batches", "times", None),
            ("share_of_peak", "share of products", "", 0.65),
            ("share_of_limit", "share of GRUs and products", "", None),
        )
    ),
    Row("training", "additive for multiplicative", "training, additive: time of Luong's", "times", None, 2),
    Row("attention", "time", "scaled dot, 1,024 words: time of PyTorch's own", "times"),
    Row("attention", "memory", "additive, 1,024 words: memory of all scores at once", "%", None, 0.5),
    Row("decoding", "greedy", "decoding in batches, greedy: against one by one", "times", 20),
    Row("decoding", "beam", "decoding in batches, beam of 5: against one by one", "times", 20),
    Row("data", "source padding", "padding of the source, in buckets", "%", None, 0.08),
    Row("data", "target padding", "padding of the target, in buckets", "%", None, 0.08),
    Row("data", "sentences a second", "from file to batch: sentences a second"),
    Row("data", "bytes a pair", "memory of a pair, ready for training", "bytes"),
    Row("start", "import", "imports of the first lesson", "s", None, 2),
    Row("start", "import after torch", "imports of the first lesson, torch loaded", "s", None, 0.3),
    Row("start", "first heat map", "from opening a notebook to the first heat map", "s", None, 30),
    Row("demos", "minutes", "all demos, one after the other (recorded)", "minutes", None, 10),
    Row("translation", "minutes", "to BLEU 28.3 on Multi30K, one core (recorded)", "minutes"),
)  # fmt: skip
if torch.cuda.is_available():
    ROWS += tuple(
        Row(
            "training",
            f"{name}, tokens_per_second, {BATCH_TOKENS[-1]}",
            f"training on the GPU, {name}: tokens a second",
        )
        for name in ("additive", "additive, compiled")
    )


def measured(names):
    """Run benchmarks, one after the other: (row, its value or the error) for each of their rows."""
    for name in names:
        found, error = {}, None
        try:
            found = fresh_process(BENCHMARKS[name])
        except Exception as failure:  # of any kind: the others go on
            error = failure
        for row in ROWS:
            if row.benchmark == name:
                yield row, error or found.get(row.figure, KeyError(row.figure))


def line(row, value):
    if isinstance(value, Exception):
        said = " ".join(f"failed: {type(value).__name__}: {value}".split())
        return f"{row.measure:<56}{said}"
    return f"{row.measure:<56}{row.show(value):>14}{row.aim:>24}{row.met(value):>6}".rstrip()


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}")
    started, failed = time.perf_counter(), False
    head = f"{'':<56}{'measured':>14}{'aim':>24}{'met':>6}"
    lines = [describe(), " ".join(["python -m benchmarks", *names]), "", head]
    print(*lines, sep="\n", flush=True)
    for row, value in measured(names):
        failed |= isinstance(value, Exception)
        lines.append(line(row, value))
        print(lines[-1], flush=True)
    lines.append(f"\n{(time.perf_counter() - started) / 60:.1f} minutes")
    print(lines[-1])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    return int(failed)
