"""Wrong answers: how many the grader catches, and how many it names, by function.

    python -m benchmarks.quality.misconceptions [--bank FILE] [--seeds 3] [--show]

A bank is a list of answers, each with the name of the function, labels and a source. Without `--bank`, three
are measured: the grader's own, with the right variants of its tests, and two files beside this module:
`wrong_answers.txt`, with which the grader was improved and whose first lines describe the format, and
`held_out_answers.txt`, whose writer had never seen the grader. Answers run in this process: measure only
banks that you trust.

- caught: it fails with every seed; by luck: with some seeds, but not all.
- named: it fails with every seed, and each time the message has the name of a mistake.
- rightly: each of these names is one of its labels; misleading: one of them is not.
- partly: it fails with every seed, and each time keeps a part of its points.
- false alarms: right answers that fail with some seed.

An answer that does the same as another in all cases counts as an entry, and not as a distinct mistake.
"""

import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from unittest import mock

import jupytext

from benchmarks import harness
from benchmarks.harness import ROOT
from grading.judge.judge import draw, examine
from grading.judge.recognize import same
from grading.judge.registry import all_checks, find_check, mistakes_of, with_forward
from grading.sandbox import calls

OTHERS = ROOT / "benchmarks" / "quality" / "wrong_answers.txt"
HELD_OUT = OTHERS.with_name("held_out_answers.txt")
RIGHT = "right"
COLUMNS = (
    *("entries", "distinct", "caught", "by luck", "named", "rightly", "misleading", "partly"),
    *("variants", "alarms"),
)


@dataclass(frozen=True)
class Entry:
    """An answer of a bank: the function that it is for, its labels, and its source or how it is made."""

    name: str
    labels: tuple
    source: object  # of a call or of text

    @property
    def right(self):
        return RIGHT in self.labels

    @cached_property
    def answer(self):
        return made(self.name, self.source) if isinstance(self.source, str) else self.source()


def read(path):
    """Return the entries of a file in the format that `wrong_answers.txt` describes."""
    parts = re.split(r"^# %% *(\w+): *(.*)\n", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
    if not parts:
        raise ValueError(f"expected answers that begin with '# %% NAME: LABELS' in {path}, found none")
    return [
        Entry(name, tuple(labels.split()), source)
        for name, labels, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def own_bank():
    """Return the grader's own mistakes, and the right answers that they and its tests are made of."""
    for name in all_checks():
        bank = mistakes_of(name)
        yield from (Entry(name, (known.name,), lambda known=known: known.answer) for known in bank)
        yield from (Entry(name, (RIGHT,), lambda answer=answer: answer) for answer in right_variants(name))


def right_variants(name):
    """Return right answers that are written in other ways: the bank patches some of them."""
    module, others = f"tests.grading.exercises.right.{find_check(name).exercise}", {}
    if find_spec(module):
        others = import_module(module).RIGHT
    return [*dict.fromkeys(known.of for known in mistakes_of(name)), *others.get(name, ())]


def made(name, source):
    """Return the answer of a source, as it would be in the notebook."""
    imports, stub = _cells(name)
    names = {}
    exec(imports, names)
    exec(source, names)
    if name in names:
        return names[name]
    exec(stub, names)
    return with_forward(names[name], names["forward"])


@cache
def _cells(name):
    """The first code cell of an exercise, which has its imports, and the cell of an answer."""
    lesson = ROOT / "lessons" / "exercises" / f"{find_check(name).exercise}.py"
    cells = [cell for cell in jupytext.read(lesson).cells if cell.cell_type == "code"]
    stub = next(cell.source for cell in cells if cell.metadata.get("answer") == name)
    return cells[0].source, stub


def judge(name, entries, seed, wire=lambda call: call):
    """Return the verdict on each entry, all with the same cases, and the number of distinct wrong answers.

    `wire` may make another call of the one that remembers.
    """
    this, distinct = find_check(name), []
    drawn = draw(this, seed)
    with mock.patch.object(calls, "call", cache(calls.call)) as once:
        verdicts = [examine(name, entry.answer, call=wire(once), drawn=drawn) for entry in entries]
        for entry in entries:
            row = [this.observe(once, entry.answer, case) for case in drawn if not case.elsewhere]
            if not (entry.right or any(_alike(row, other) for other in distinct)):
                distinct.append(row)
    return verdicts, len(distinct)


def _alike(row, other):
    return all(same(a, b) and a.error == b.error for a, b in zip(row, other, strict=True))


def measure(name, entries, seeds, show=False):
    """Return a dict of counts for the entries of one function."""
    judged = [judge(name, entries, seed) for seed in range(seeds)]
    counts = dict.fromkeys(COLUMNS, 0) | {"distinct": max(distinct for _, distinct in judged)}
    for entry, *verdicts in zip(entries, *(verdicts for verdicts, _ in judged), strict=True):
        failed, said = [not v.passed for v in verdicts], [v.mistake for v in verdicts if v.mistake]
        rightly = len(said) == seeds and set(said) <= {*entry.labels}
        if entry.right:
            counts["variants"] += 1
            counts["alarms"] += any(failed)
        else:
            counts["entries"] += 1
            counts["caught"] += all(failed)
            counts["by luck"] += any(failed) and not all(failed)
            counts["named"] += len(said) == seeds
            counts["rightly"] += rightly
            counts["misleading"] += not {*said} <= {*entry.labels}
            counts["partly"] += all(failed) and all(any(v.parts.values()) for v in verdicts)
        if show and (any(failed) if entry.right else not rightly):
            print(f"\n{name}, {' '.join(entry.labels)}\n{entry.source}")
            print("\n".join(dict.fromkeys(f"-> {v.mistake}: {v}" for v in verdicts)), flush=True)
    return counts


def table(record):
    """Return a table of text for each bank, with a row for each function."""
    lines = []
    for bank in dict.fromkeys(run["bank"] for run in record["runs"]):
        rows = [run for run in record["runs"] if run["bank"] == bank]
        rows.append({"function": "all"} | {column: sum(row[column] for row in rows) for column in COLUMNS})
        lines += ["", f"{bank:<22}" + "".join(f"{column:>11}" for column in COLUMNS)]
        lines += [f"{row['function']:<22}" + "".join(f"{row[c]:>11}" for c in COLUMNS) for row in rows]
    return "\n".join(lines[1:])


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("--bank", type=harness.Path, help="a file of answers")
    parser.add_argument("--seeds", type=int, default=3, help="random seeds per answer")
    parser.add_argument("--show", action="store_true", help="print the answers that are not rightly named")
    args = parser.parse_args()
    banks = {path.name: read(path) for path in ([args.bank] if args.bank else [OTHERS, HELD_OUT])}
    if not args.bank:
        banks = {"own": [*own_bank()]} | banks

    def of_function(bank, function):
        entries = [entry for entry in banks[bank] if entry.name == function]
        return measure(function, entries, args.seeds, args.show)

    jobs = [
        {"bank": bank, "function": name}
        for bank, entries in banks.items()
        for name in dict.fromkeys(entry.name for entry in entries)
        if find_check(name).reference
    ]
    harness.run(
        args, of_function, jobs, table, sources=[OTHERS, HELD_OUT, *ROOT.glob("grading/exercises/*/*.py")]
    )


if __name__ == "__main__":
    main()
