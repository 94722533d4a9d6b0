"""Recognize a mistake: one of the bank, two at once, or a simple relation between expected and got."""

from dataclasses import replace
from functools import lru_cache
from itertools import combinations

import numpy as np

from grading.judge.compare import ATOL, close, same_gradient
from grading.judge.registry import Fault, composed, find_check, mistakes_of
from grading.judge.relation import find_relation
from grading.sandbox import calls
from grading.sandbox.cases import Outcome

MOST = 0.8  # of the cases that are wrong, and of all, must agree with a mistake if another one was made too
BESIDES = "That explains most of what is wrong, but not all: something else is wrong too."


def same(a, b, atol=ATOL):
    """Two outcomes that could come from the same mistake. Two calls that fail may fail differently."""
    if bool(a.error) != bool(b.error) or len(a.outputs) != len(b.outputs):
        return False
    for x, y in zip(a.outputs, b.outputs, strict=True):
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.dtype != y.dtype:
            return False
        if not close(x, y, atol):
            return False
    if not close(a.inputs, b.inputs):
        return False
    return all(same_gradient(a.gradients.get(n), b.gradients.get(n)) for n in {*a.gradients, *b.gradients})


def recognize(name, cases, expected, got, failed):
    """Return a `Fault` that names what is wrong, or None.

    A mistake of the bank that does the same on every case comes first. Where all that went wrong are errors,
    it raises the same ones: there is no wrong output to tell it by. All else is only looked for if something
    is wrong that students may see.
    """
    return _Search(name, cases, expected, got, failed).first()


class _Search:
    def __init__(self, name, cases, expected, got, failed):
        self.this, self.bank = find_check(name), mistakes_of(name)
        self.cases, self.expected, self.got = cases, expected, got
        self.rows = [i for i in range(len(got)) if not cases[i].elsewhere]
        self.wrong = [i for i in failed if not cases[i].elsewhere]
        self.errors_only = not any(got[i].outputs for i in self.wrong)

    def first(self):
        """Return the first fault that one of the ways to look finds."""
        if not self.wrong:
            return None
        ways = [self.exactly]
        if any(self.cases[i].visible for i in self.wrong):
            ways += [
                self.mostly,
                self.related,
                self.unused_parameter,
                self.related_to_a_mistake,
                self.two_at_once,
            ]
        return next(filter(None, (way() for way in ways)), None)

    def does(self, known, i):
        return _does(self.this, known, self.cases[i])

    def alike(self, known, i):
        outcome = self.does(known, i)
        if self.errors_only and outcome.error != self.got[i].error:
            return False
        return same(outcome, self.got[i], self.this.atol)

    def exactly(self):
        """A mistake that does the same on every case."""
        for known in self.bank:
            if all(self.alike(known, i) for i in self.rows):
                return Fault(known.sentence, name=known.name)
        return None

    def mostly(self):
        """The only mistake that gives the same numbers of an output in most cases, wrong ones and all.

        Cases where the answer raises are ignored, and if that isn't enough, those where it gives NaN.
        """
        if self.errors_only:
            found = {k.name: k for k in self.bank if self._in_most(self.wrong, k, self.alike)}
            return _besides(found)
        for ignore_nan in (False, True):
            for output in range(len(self.this.outputs)):
                usable = [i for i in self.rows if self._usable(output, i, ignore_nan)]
                wrong = [i for i in usable if not self._equal(self.expected[i], i, output)]

                def agrees(known, i, output=output):
                    outcome = self.does(known, i)
                    return self._equal(outcome, i, output) and not self._denied(outcome, i)

                found = {
                    known.name: known
                    for known in self.bank
                    if len(wrong) > 1
                    and self._in_most(wrong, known, agrees)
                    and self._in_most(usable, known, agrees)
                }
                if fault := _besides(found):
                    return fault
        return None

    def _in_most(self, rows, known, agrees):
        left = (1 - MOST) * len(rows)
        for i in rows:
            left -= not agrees(known, i)
            if left < 0:
                return False
        return len(rows) > 1

    def _usable(self, output, i, ignore_nan=True):
        both = self.got[i].outputs, self.expected[i].outputs  # without a reference, nothing is expected
        if any(len(outputs) != len(self.this.outputs) for outputs in both):
            return False
        return not (ignore_nan and any(_is_broken(outputs[output]) for outputs in both))

    def _denied(self, outcome, i):
        """Is an output right that the mistake makes wrong?"""
        for output, e in enumerate(self.expected[i].outputs):
            wrong = not close(e, outcome.outputs[output], self.this.atol)
            if wrong and self._equal(self.expected[i], i, output):
                return True
        return False

    def _equal(self, outcome, i, output):
        both = outcome.outputs, self.got[i].outputs  # either may lack some, or all
        if any(len(outputs) != len(self.this.outputs) for outputs in both):
            return False
        return close(*(outputs[output] for outputs in both), self.this.atol)

    def related(self):
        """A relation between an output and the expected one."""
        for output, found, phrase in self._relations(self.expected.__getitem__):
            return Fault(f"In {output}, {phrase}.", name=found)
        return None

    def related_to_a_mistake(self):
        """A relation between an output and that of a mistake: both were made."""
        for known in self.bank:
            for output, found, phrase in self._relations(lambda i, known=known: self.does(known, i)):
                if found in ("times_a_constant", "axes_permuted", "normalized", "function_applied"):
                    text = f"{known.sentence} Something else is wrong with {output}: {phrase}."
                    return Fault(text, name=known.name)
        return None

    def _relations(self, outcome_of):
        """Find relations between outcomes and outputs that students may see, in cases with a right number."""
        for output, (name, axes) in enumerate(self.this.outputs.items()):
            rows, differs = [], False
            for i in self.rows:
                if not self.cases[i].visible or not self._usable(output, i):
                    continue
                g = self.got[i].outputs[output]
                outcome = outcome_of(i) if isinstance(g, np.ndarray) else Outcome()
                e = outcome.outputs[output] if len(outcome.outputs) == len(self.this.outputs) else None
                if not isinstance(e, np.ndarray):
                    break
                rows.append((self.cases[i], e, g))
                differs = differs or not self._equal(self.expected[i], i, output)
            else:
                if differs and (
                    found := find_relation(
                        rows, axes.split() if isinstance(axes, str) else (), self.this.atol
                    )
                ):
                    yield name, *found

    def unused_parameter(self):
        """A part of the module that no gradient reaches although others get one."""
        seen = [i for i in self.rows if self.cases[i].visible and self.got[i].gradients]
        wrong = [
            i for i in seen for k in range(len(self.this.outputs)) if not self._equal(self.expected[i], i, k)
        ]
        if not wrong or not any(g is not None for i in seen for g in self.got[i].gradients.values()):
            return None
        due = {
            name
            for i in seen
            for name, g in self.expected[i].gradients.items()
            if name in self.cases[i].parameters and not same_gradient(g, None)
        }
        unused = {name for name in due if all(self.got[i].gradients.get(name) is None for i in seen)}
        if not unused:
            return None
        name = min(unused)
        part = name.rpartition(".")[0]
        part = part if {n for n in self.cases[seen[0]].parameters if n.startswith(part)} <= unused else name
        return Fault(
            f"self.{part} isn't used: no gradient reaches it. Use the modules that __init__ makes, and make "
            "no new ones in forward.",
            name="parameter_not_used",
        )

    def two_at_once(self):
        """Two mistakes that are patches of the same right answer, both made."""
        usable = [i for i in self.rows if all(self._usable(k, i) for k in range(len(self.this.outputs)))]
        at = next((i for i in usable if i in self.wrong and self.cases[i].visible), None)
        if at is None or len(usable) < 3 or dict in self.this.outputs.values():  # which take long to make
            return None

        def agrees(answer, i):
            case = self.cases[i]
            outcome = self.this.observe(calls.call, answer, replace(case, pulls=0) if case.pulls else case)
            return all(self._equal(outcome, i, k) for k in range(len(self.this.outputs)))

        for one, other in combinations(self.bank, 2):
            answer = composed(one, other) if one.name != other.name else None
            if answer and agrees(answer, at) and all(agrees(answer, i) for i in usable):
                return Fault(f"Two things are wrong. {one.sentence} {other.sentence}", name=one.name)
        return None


@lru_cache(5_000)
def _does(this, known, case):
    """Return what a mistake does on a case."""
    return this.observe(calls.call, known.answer, case)


def _besides(found):
    """The fault of the only mistake that was found."""
    if len(found) != 1:
        return None
    (known,) = found.values()
    return Fault(f"{known.sentence} {BESIDES}", name=known.name)


def _is_broken(value):
    """Does it hold NaN or infinity?"""
    floats = isinstance(value, float) or isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return floats and not np.isfinite(value).all()
