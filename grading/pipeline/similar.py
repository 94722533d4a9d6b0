"""Pairs of students whose answers are alike and wrong in the same rare way: evidence, and never a verdict."""

import ast
import io
import math
import tokenize
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from grading.pipeline.assignments import ROOT
from grading.pipeline.result import GRADED

GRAM = 6  # tokens in a row that are compared at once
ALIKE = 0.5  # share of an answer's grams, those that few students have counting more
LEAST = 25  # shared grams: a short answer has fewer, and two students may well write the same one
RARE = 2  # bits: at most a quarter of the class gave this wrong result
MARKS = {tokenize.NEWLINE: "\n", tokenize.INDENT: "indent", tokenize.DEDENT: "dedent"}
ABOUT = """\
This is evidence for a conversation, and not a verdict. A pair is listed if much of its code is alike, not
counting what the starter and the solution have, and if both gave the same wrong results that few others gave.
Copying explains this. So do working together, a common source, and chance in a large class: read both
notebooks, and ask. Other pairs may have copied, too: answers that are right or short say nothing here."""


@dataclass(frozen=True)
class Pair:
    """Two students: `alike` has the share of code in common, and `wrong` how many bits the same wrong results
    are worth, both by the name of the answer.
    """

    students: tuple
    alike: dict
    wrong: dict

    def __str__(self):
        alike = ", ".join(f"{name or 'own cells'} {share:.0%}" for name, share in self.alike.items())
        wrong = ", ".join(f"{name} (1 in {2**bits:.0f} students)" for name, bits in self.wrong.items())
        return f"{' and '.join(self.students)}\n  alike code: {alike}\n  the same wrong results: {wrong}"


def pairs(results, released):
    """Return each `Pair` of graded results that are alike, those with the strongest evidence first.

    `released` has the grams that everybody was given, by the name of the cell, see `given`. A gram or a wrong
    result counts the more, the fewer students have it: log2 of the class's size over their number.
    """
    done = [found for found in results if found.status == GRADED]
    own = [_own_code(found, released) for found in done]
    wrong = [
        {(c.name, i, digest) for c in found.checks for i, digest in enumerate(c.behavior)} for found in done
    ]
    bits = {
        thing: math.log2(len(done) / count)
        for everybody in (own, wrong)
        for thing, count in Counter(thing for one in everybody for thing in one).items()
    }
    found = []
    for a, b in combinations(range(len(done)), 2):
        same = _mean_bits(wrong[a] & wrong[b], bits, done[a])
        if max(same.values(), default=0) < RARE:
            continue
        shared, alike = own[a] & own[b], {}
        for name, count in Counter(name for name, _ in shared).items():
            common, *both = (
                sum(bits[gram] for gram in grams if gram[0] == name) for grams in (shared, own[a], own[b])
            )
            if count >= LEAST and common >= ALIKE * max(both):
                alike[name] = common / (max(both) or 1)
        if alike:
            rare = {name: value for name, value in same.items() if value >= RARE}
            found.append(Pair((done[a].student, done[b].student), alike, rare))
    return sorted(found, key=lambda pair: -sum(pair.wrong.values()))


def _mean_bits(same, bits, found):
    """Return the mean bits of the wrong results that are the same, over all probes of each answer."""
    total = Counter()
    for thing in same:
        total[thing[0]] += bits[thing]
    probes = {check.name: len(check.behavior) for check in found.checks}
    return {name: total[name] / probes[name] for name in sorted(total)}


def _own_code(found, released):
    """Return (name of the cell, gram) of the code that a student has added; own cells have no name."""
    everything = frozenset().union(*released.values())  # for cells that the student has added
    return {
        (cell["name"], gram)
        for cell in found.cells
        if cell["kind"] == "code" and not cell["name"].startswith("test_")
        for gram in grams(cell["source"]) - released.get(cell["name"] or None, everything)
    }


def given(name):
    """Return the grams of an assignment's starter and solution, by the name of the cell."""
    from nbformat import read

    found = {}
    for kind in ("starter", "solution"):
        for cell in read(ROOT / "exercises" / kind / name / f"{name}.ipynb", 4).cells:
            if cell.cell_type == "code":
                at = cell.metadata.get("nbgrader", {}).get("grade_id", "")
                found[at] = found.get(at, frozenset()) | grams(cell.source)
    return found


@lru_cache(10_000)
def grams(source):
    """Return the runs of GRAM tokens in Python code, without comments and docstrings.

    All names that the code itself binds count as the same name, so another name makes no difference.
    """
    own, words = _bound(source), ["\n"]
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            starts = words[-1] in MARKS.values()
            word = MARKS.get(token.type, token.string)
            blank = not token.string.strip() and token.type not in MARKS
            if blank or token.type == tokenize.COMMENT:
                continue
            if starts and (token.type == tokenize.STRING or word == "\n"):
                continue
            words.append("name" if word in own and words[-1] != "." else word)
    except (tokenize.TokenError, SyntaxError):  # what stands before the error counts
        pass
    return frozenset(zip(*(words[i:] for i in range(GRAM)), strict=False))


def _bound(source):
    """Return the names that Python code gives to values, arguments, functions and classes."""
    try:
        nodes = [*ast.walk(ast.parse(source))]
    except (SyntaxError, ValueError, RecursionError):
        return set()
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    stored |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return stored | {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
