"""A short form of all benchmarks in one table: what was measured, the aim, and whether it is met.

    python -m benchmarks [NAME ...] [--record]
    python -m benchmarks --stale                 # list the records whose code has changed since

Each benchmark measures in a new process, with smaller sizes and fewer turns than its own command. What takes
longer than a few minutes, such as running all demos, is read from its record, and the row says so. A
benchmark that fails says why in its rows, and the others go on; then the exit status is 1. A missed aim is no
failure.
"""

from dataclasses import dataclass

import torch

from benchmarks import harness
from benchmarks.profiling import fresh_process
from benchmarks.quality import translation
from benchmarks.speed import attention, data, decoding, demos, startup, teacher_forcing

BATCH_TOKENS = (900, 1_800)  # per batch: the default of `utils.cli_train`, and about what tutorials take
BENCHMARKS = {
    "training": teacher_forcing.figures,
    "attention": attention.figures,
    "decoding": decoding.figures,
    "data": data.figures,
    "startup": startup.figures,
    "demos": demos.figures,
    "translation": translation.figures,
}


@dataclass(frozen=True)
class Row:
    """A row of the table: a figure of a benchmark, its label and unit, and the aim, if any."""

    benchmark: str
    figure: str
    label: str
    unit: str = ""
    least: float | None = None
    most: float | None = None

    def show(self, value):
        """Return a number with its unit."""
        if self.unit == "%":
            return f"{value:.1%}"
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        return f"{value:,.{digits}f} {self.unit}".rstrip()

    def line(self, value):
        """Return the row as text, for a value or for the error that took its place."""
        if isinstance(value, Exception):
            return f"{self.label:<56}failed: " + " ".join(f"{type(value).__name__}: {value}".split())
        aim = met = ""
        if self.least is not None:
            aim, met = f"at least {self.show(self.least)}", "yes" if value >= self.least else "no"
        elif self.most is not None:
            aim, met = f"at most {self.show(self.most)}", "yes" if value <= self.most else "no"
        return f"{self.label:<56}{self.show(value):>14}{aim:>24}{met:>6}".rstrip()


ROWS = (
    *(
        Row("training", f"additive, {key}, {tokens}", f"hidden 512, {tokens:,} tokens: {label}", unit, aim)
        for tokens in BATCH_TOKENS
        for key, label, unit, aim in (
            ("times_tutorial", "training / tutorials' loop", "times", 12),
            ("times_loop", "training / loop, same batches", "times", None),
            ("share_of_peak", "share of products", "", 0.65),
            ("share_of_limit", "share of GRUs and products", "", None),
        )
    ),
    Row("training", "additive for multiplicative", "training time: additive / Luong", "times", None, 2),
    Row("attention", "time", "scaled dot, 1,024 words: time / PyTorch's own", "times"),
    Row("attention", "memory", "additive, 1,024 words: memory / all scores at once", "%", None, 0.5),
    Row("decoding", "greedy", "translating, greedy: batches / one by one", "times", 20),
    Row("decoding", "beam", "translating, beam of 5: batches / one by one", "times", 20),
    Row("data", "source padding", "padding of the source, in buckets", "%", None, 0.08),
    Row("data", "target padding", "padding of the target, in buckets", "%", None, 0.08),
    Row("data", "sentences per second", "from file to batch: sentences per second"),
    Row("data", "bytes per pair", "memory per pair, ready for training", "bytes"),
    Row("startup", "import", "imports of the first demo", "s", None, 2),
    Row("startup", "import after torch", "imports of the first demo, torch loaded", "s", None, 0.3),
    Row("startup", "first heat map", "from opening a notebook to the first heat map", "s", None, 30),
    Row("demos", "minutes", "all demos, one after the other (recorded)", "minutes", None, 10),
    Row("translation", "minutes", "to BLEU 28.3 on Multi30K, one core (recorded)", "minutes"),
)  # fmt: skip
if torch.cuda.is_available():
    ROWS += tuple(
        Row(
            "training",
            f"{name}, tokens_per_second, {BATCH_TOKENS[-1]}",
            f"on the GPU, {name}: tokens per second",
        )
        for name in ("additive", "additive, compiled")
    )


def measured(names):
    """Run benchmarks, one after the other; yield each of their rows with its value or error."""
    for name in names:
        found, error = {}, None
        try:
            found = fresh_process(BENCHMARKS[name])
        except Exception as failure:  # of any kind: the others go on
            error = failure
        for row in ROWS:
            if row.benchmark == name:
                yield row, error or found.get(row.figure, KeyError(row.figure))


def main():
    """Run the command line; return the exit status."""
    parser = harness.parser("benchmarks", __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}")
    parser.add_argument("--stale", action="store_true", help="list the records whose code has changed since")
    args = parser.parse_args()
    if unknown := set(args.names) - set(BENCHMARKS):
        parser.error(
            f"no benchmark is called {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}"
        )
    if args.stale:
        print(*harness.stale(), sep="\n")
        return 0
    record = harness.provenance(args, [harness.ROOT / "benchmarks" / "summary.py"])
    lines = [f"{'':<56}{'measured':>14}{'aim':>24}{'met':>6}"]
    print(harness.head(record), "", *lines, sep="\n", flush=True)
    values = []
    for row, value in measured(args.names or BENCHMARKS):
        values.append(value)
        lines.append(row.line(value))
        print(lines[-1], flush=True)
    if args.record:
        harness.write("bench", record, "\n".join(lines))
    return int(any(isinstance(value, Exception) for value in values))
