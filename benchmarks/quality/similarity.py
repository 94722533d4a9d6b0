"""Similarity: how many planted copies `course similar` lists, and how many pairs that wrote independently.

    python -m benchmarks.quality.similarity [--seeds 10] [--students 24]

A class is drawn from answers that do not copy each other: the solution, right variants of the tests,
mistakes of the grader's bank, and `wrong_answers.txt`. Two students may make the same mistake, in different
texts: they are twins. Only the solution, and answers of at most SHORT tokens, may come from several students.
The limits of `course similar` were chosen with such classes of the four TUNED exercises. Held-out classes
measure them again: those of the same exercises have only the answers of `held_out_answers.txt`, and those of
the other exercises have them besides all others. Nothing was changed after this measurement.

Then five students join, each with the notebook of another, in one of the COPIES' disguises:

- renamed: other names, no comments, another layout
- reordered: renamed, and statements that do not need each other change places
- edited: reordered, and `.shape[i]` becomes `.size(i)`, as `x.unsqueeze(1)` becomes `x[:, None]`
- half: about half of the answers are copied verbatim, the others are the solution's

A copy without any mistake has no wrong results, so `course similar` can't list it. Recall leaves it out.
"""

import ast
import inspect
import io
import itertools
import random
import re
import textwrap
import tokenize
from collections import Counter
from contextlib import suppress
from functools import cache
from unittest import mock

from benchmarks import harness
from benchmarks.harness import ROOT
from benchmarks.quality import misconceptions
from grading.judge.judge import probes
from grading.judge.registry import find_check, mistakes_of, patched
from grading.judge.shown import behavior
from grading.pipeline import similar
from grading.pipeline.assignments import named, starter_sources
from grading.pipeline.result import GRADED, CheckResult, Result
from grading.sandbox import calls

TUNED = "01_bottleneck", "02_attention", "04_alignment", "07_self_attention"
EXERCISES = *TUNED, "03_translator", "08_language_models", "09_real_translation"
COPIES = "verbatim", "renamed", "reordered", "edited", "half"
SHORT = 30
RULES = {
    "code and results": {"RARE": similar.RARE},
    "code alone": {"RARE": 0},
    "results alone": {"LEAST": 0, "ALIKE": 0},
}


@cache
def answers(name, held_out):
    """Return independent answers as (mistake, author, source, results); right ones have no mistake."""
    known = [] if held_out and find_check(name).exercise in TUNED else known_answers(name)
    for entry in misconceptions.read(misconceptions.HELD_OUT) if held_out else ():
        if entry.name == name:
            mistake, did = (None, ()) if entry.right else (entry.labels[0], _results(name, entry.answer))
            known.append((mistake, entry.source, entry.source, did))
    stub, right, wrong = _cells("starter", name)[name].partition("    def forward")[0], [], []
    for mistake, author, source, did in known:
        if source.startswith("def forward"):
            source = stub + textwrap.indent(source, "    ")
        if mistake is None:
            right.append((mistake, author, source, did))
        elif did:
            wrong.append((mistake, author, source, did))
    return _cells("solution", name)[name], right, wrong


def known_answers(name):
    """Return what the tests, the grader's bank and `wrong_answers.txt` hold, as `answers` does."""
    found = []
    for answer in misconceptions.right_variants(name):
        with suppress(OSError):  # of classes that are made with another forward
            source = textwrap.dedent(inspect.getsource(answer))
            if source.startswith(("def ", "class ")):
                found.append((None, answer, source, ()))
    for known in mistakes_of(name):
        target, change = known.make.args
        if known.make.func is patched:
            source, author = textwrap.dedent(inspect.getsource(target)), target
            for old, new in change.items():
                source = source.replace(old, new)
        else:
            source = textwrap.dedent(inspect.getsource(change)).partition("def ")[2].partition("(")[2]
            author = source = f"def {'forward' if isinstance(target, type) else name}({source}"
        found.append((known.name, author, source, _results(name, known.answer)))
    return found + [
        (entry.labels[0], entry.source, entry.source, _results(name, entry.answer))
        for entry in misconceptions.read(misconceptions.OTHERS)
        if entry.name == name and not entry.right
    ]


def _results(name, answer):
    """Return what an answer does on the probes, or nothing if it does the same as the reference."""
    cases, right = _reference(name)
    found = _behaviors(name, answer, cases)
    return () if found == right else found


@cache
def _reference(name):
    """Return the probes of a check, and what its reference does on them."""
    this = find_check(name)
    cases = probes(this)
    return cases, _behaviors(name, this.reference, cases)


def _behaviors(name, answer, cases):
    return tuple(behavior(find_check(name).observe(calls.call, answer, case)) for case in cases)


@cache
def _cells(kind, name):
    exercise = find_check(name).exercise
    return starter_sources(ROOT / "exercises" / kind / exercise / f"{exercise}.ipynb")


@cache
def _short(source):
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return sum(bool(token.string.strip()) for token in tokens) <= SHORT


def independent(rng, pools, count):
    """Return the answers of students who work alone, as dicts of (source, results). `pools` has `answers`."""
    students, used = [], set()
    kinds = {name: sorted({mistake for mistake, *_ in wrong}) for name, (*_, wrong) in pools.items()}
    order = {name: rng.sample(kinds[name], len(kinds[name])) for name in pools}

    def choose(pool):
        free = [one for one in pool if (one[1] not in used) or _short(one[2])]
        if not free:
            return None
        one = rng.choice(free)
        used.add(one[1])
        return one[2:]

    for _ in range(count):
        often, mine = rng.betavariate(1.5, 3), {}  # how often a student is wrong
        for name, (solution, right, wrong) in pools.items():
            at = min(int(rng.expovariate(1 / 5)), len(order[name]) - 1)  # some mistakes are more common
            pool = [one for one in wrong if one[0] == order[name][at]] if rng.random() < often else right
            mine[name] = (choose(pool) if pool is not right or rng.random() < 0.4 else None) or (solution, ())
        students.append(mine)
    return students


def disguised(source, kind, rng):
    """Return a source that does the same and looks different."""
    if kind in ("verbatim", "half"):
        return source
    tree = ast.parse(source)
    stored = [
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    new = {name: f"my_{name[:1]}{i}" for i, name in enumerate(dict.fromkeys(stored))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = new.get(node.id, node.id)
        if kind != "renamed" and isinstance(node, ast.FunctionDef | ast.For):
            _reorder(node.body, rng)
    source = ast.unparse(tree)
    if kind == "edited":
        source = re.sub(r"\.shape\[([^]]*)\]", r".size(\1)", source).replace(".unsqueeze(1)", "[:, None]")
    return source


def _reorder(body, rng):
    """Swap some neighboring assignments, if neither uses a name that the other one assigns."""
    for i in range(len(body) - 1):
        pair = body[i : i + 2]
        names = [[node for node in ast.walk(part) if isinstance(node, ast.Name)] for part in pair]
        stored = [{node.id for node in part if isinstance(node.ctx, ast.Store)} for part in names]
        free = not any(stored[j] & {node.id for node in names[1 - j]} for j in (0, 1))
        if free and all(isinstance(part, ast.Assign) for part in pair) and rng.random() < 0.8:
            body[i : i + 2] = pair[::-1]


def copied(rng, student, kind):
    """Return the notebook of somebody who copies a student's."""
    return {
        name: (disguised(source, kind, rng), did)
        if kind != "half" or rng.random() < 0.5
        else (_cells("solution", name)[name], ())
        for name, (source, did) in student.items()
    }


def result_of(number, student):
    """Return the `Result` of a student's answers."""
    checks = [CheckResult(name, 0, 1, behavior=did) for name, (_, did) in student.items()]
    cells = [{"kind": "code", "name": name, "source": source} for name, (source, _) in student.items()]
    return Result(GRADED, student=str(number), checks=tuple(checks), cells=tuple(cells))


def measure(exercise, held_out, students, seeds):
    """Return counts for each rule, over one class for each seed."""
    names = [name for name, _ in named(exercise).tests if find_check(name).reference]
    pools = {name: answers(name, held_out) for name in names}
    given, counts = similar.given(exercise), {rule: Counter() for rule in RULES}
    for seed in range(seeds):
        rng = random.Random(f"{exercise} {seed}")
        group = independent(rng, pools, students)
        sources = rng.sample(range(students), len(COPIES))
        group += [copied(rng, group[source], kind) for source, kind in zip(sources, COPIES, strict=True)]
        true = {(str(source), str(students + i)) for i, source in enumerate(sources)}
        rows = [result_of(number, student) for number, student in enumerate(group)]
        for rule, changes in RULES.items():
            with mock.patch.multiple(similar, **changes):
                found = {pair.students for pair in similar.pairs(rows, given)}
            count = counts[rule]
            count["pairs"] += len(group) * (len(group) - 1) // 2 - len(true)
            count["false"] += len(found - true)
            for i, kind in enumerate(COPIES):
                if any(did for _, did in group[students + i].values()):
                    count[kind] += 1
                    count[f"{kind} listed"] += (str(sources[i]), str(students + i)) in found
    return counts


def table(record):
    """Return tables for tuned and held-out classes, with a row for each rule and exercise."""
    columns = ["classes", "pairs", "false", "copies", "listed", "precision", "recall", *COPIES]
    lines = []
    for held_out, rule in itertools.product((False, True), RULES):
        runs = [run for run in record["runs"] if run["held_out"] == held_out]
        title, total = f"{'held out' if held_out else 'tuned'}: {rule}", Counter()
        lines += ["", f"{title:<28}" + "".join(f"{column:>10}" for column in columns)]
        for run in [*runs, {"exercise": "all"}]:
            count = Counter(run.get(rule, total))
            total += Counter(run.get(rule))
            copies, listed = sum(count[k] for k in COPIES), sum(count[f"{k} listed"] for k in COPIES)
            shares = [listed / max(1, listed + count["false"]), listed / max(1, copies)]
            shares += [count[f"{kind} listed"] / max(1, count[kind]) for kind in COPIES]
            classes = record["settings"]["seeds"] * (len(runs) if run["exercise"] == "all" else 1)
            numbers = [classes, count["pairs"], count["false"], copies, listed]
            row = "".join(f"{n:>10}" for n in numbers) + "".join(f"{share:>10.2f}" for share in shares)
            lines.append(f"{run['exercise']:<28}{row}")
    return "\n".join(lines[1:])


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("--seeds", type=int, default=10, help="classes per exercise")
    parser.add_argument("--students", type=int, default=24, help="students who work alone, per class")
    parser.add_argument("--exercise", choices=EXERCISES, help="measure this exercise alone")
    args = parser.parse_args()
    jobs = [
        {"exercise": exercise, "held_out": held_out, "students": args.students, "seeds": args.seeds}
        for held_out, exercises in ((False, TUNED), (True, EXERCISES))
        for exercise in exercises
        if args.exercise in (None, exercise)
    ]
    answers = [misconceptions.OTHERS, misconceptions.HELD_OUT, *ROOT.glob("grading/exercises/*/*.py")]
    harness.run(args, measure, jobs, table, sources=answers)


if __name__ == "__main__":
    main()
