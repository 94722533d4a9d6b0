"""Tell right answers from wrong ones, and say which mistake was made.

A `Check` is a reference, a generator of cases and a comparison. The judge holds them. The answer runs in
`grading.sandbox.calls.call`, or behind another `call` that does the same in another process, and the judge
sees nothing of it but an `Outcome`. Inputs are drawn again for every seed.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from grading.judge.message import HOLDS, evidence, find_faults, what_holds
from grading.judge.recognize import recognize
from grading.judge.registry import Fault, find_check
from grading.judge.relation import RELATIONS
from grading.judge.shown import grids
from grading.sandbox import calls
from grading.sandbox.cases import ORDINARY, TORCH, Outcome

PROBE_SEED, PROBES = 20, 4  # all wrong answers of a class get these cases


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer: `parts` says whether each part of its points is right, `mistake` names a
    known misconception, `sentence` says what is wrong and `evidence` shows an input where it can be seen,
    without its numbers where students may not know them (`visible` False). `grids` has its tensors that
    differ, for a page.
    """

    parts: dict
    mistake: str | None = None
    sentence: str = ""
    evidence: str = ""
    visible: bool = False
    grids: tuple = ()

    @property
    def broken(self):
        return {part for part, right in self.parts.items() if not right}

    @property
    def passed(self):
        return not self.broken

    def without(self, broken):
        """Return this verdict with more broken parts. If ordinary input is wrong, no part counts."""
        broken = self.broken | broken
        return replace(self, parts={part: not {part, ORDINARY} & broken for part in self.parts})

    def __str__(self):
        return self.text()

    def text(self, points=0):
        """Return the message, with what each part is worth if the answer is worth `points`."""
        worth = shares(points, self.parts)
        said = {part: f"{part} ({worth[part]:g})" if points else part for part in self.parts}
        right, wrong = (
            "; ".join(said[part] for part in self.parts if self.parts[part] == holds)
            for holds in (True, False)
        )
        partly = f"{HOLDS}{right}. Not yet: {wrong}." if right and wrong else ""
        return "\n".join(filter(None, (self.sentence, partly, self.evidence)))


def shares(points, parts):
    """Share the points of a function over its parts, as a dict.

    The first part, ordinary input, gets half or more. The others get equal shares, a quarter at most, in
    quarters of a point as far as possible.
    """
    ordinary, *others = parts
    each = points / 2 / max(2, len(others))
    each = math.floor(4 * each) / 4 or each
    return {ordinary: points - each * len(others)} | dict.fromkeys(others, each)


def parts_of(this, drawn):
    """Return the parts of a check with these cases, ordinary input first."""
    parts = dict.fromkeys([ORDINARY, *(case.part for case in drawn), *this.part_of.values()])
    return [part for part in parts if part != this.torch] + [this.torch] * bool(this.torch)


def examine(name, answer, cases="all", seed=0, call=None, drawn=None):
    """Check an answer and give the `Verdict`. `call` may be another that does the same elsewhere, and
    `drawn` what `draw` has given before.
    """
    if cases not in ("all", "visible"):
        raise ValueError(f"cases is 'all' or 'visible', not {cases!r}")
    this, call = find_check(name), call or calls.call
    drawn = draw(this, seed) if drawn is None else drawn
    drawn = [case for case in drawn if case.visible or cases == "all"]
    expected = [_trusted(this, case) for case in drawn]
    got = []
    for case in drawn:
        got.append(this.observe(call, answer, case))
        unwritten = got[-1].error and got[-1].error[0] == "NotImplementedError"
        if unwritten:
            break  # nothing is written yet: no other case will tell more
    faults = [find_faults(this, *row) for row in zip(drawn, expected, got, strict=False)]
    failed = [i for i, found in enumerate(faults) if found]
    parts = dict.fromkeys(parts_of(this, drawn), True)
    if not failed:
        return Verdict(parts)
    known = recognize(name, drawn, expected, got, failed)
    seen = [i for i in failed if not drawn[i].elsewhere and (got[i].outputs or not known)] or failed
    shown = next((i for i in seen if drawn[i].visible), seen[0])
    fault, visible = faults[shown][0], drawn[shown].visible
    if known and known.name in RELATIONS and visible:
        known = Fault(f"{fault.text} {known.text}", name=fault.name or known.name)
    elif not known and not fault.name and visible and not drawn[shown].elsewhere:
        seen = [faults[i] for i in failed if drawn[i].visible and not drawn[i].elsewhere]
        known = Fault(fault.text + what_holds(this, seen))
    broken = {fault.part for found in faults for fault in found}
    if unwritten or not broken <= parts.keys():
        broken = {ORDINARY}
    verdict = Verdict(
        parts,
        mistake=known.name if known else fault.name,
        sentence=known.text if known else (fault.text if visible else fault.hidden or fault.text),
        evidence=evidence(this, drawn[shown], expected[shown], got[shown]),
        visible=visible,
        grids=grids(this, drawn[shown], expected[shown], got[shown]),
    )
    return verdict.without(broken)


@lru_cache(64)
def draw(this, seed):
    """The cases of a check: those that students may see, then the others, each in the order of the check.

    What an answer gives in a hidden case can so never come to light in the message on a visible one.
    """
    rng = np.random.default_rng(seed)
    drawn = [_completed(this, case, rng) for case in this.draw(rng)]
    drawn.sort(key=lambda case: not case.visible)
    if this.device:
        visible = [case for case in drawn if case.visible]
        like = next((case for case in visible if case.part == ORDINARY), visible[0])
        title = f"{like.title}, on another device"
        there = replace(like, title=title, pulls=0, elsewhere=True, part=this.torch)
        drawn.insert(len(visible), there)
    return tuple(drawn)


def probes(this):
    """Return the cases with which wrong answers are compared, the same for everybody."""
    return [case for case in draw(this, PROBE_SEED) if case.visible and not case.elsewhere][:PROBES]


@lru_cache(2_000)
def _trusted(this, case):
    if this.reference is None:
        return Outcome()
    outcome = this.observe(calls.call, this.reference, case)
    if outcome.error:
        raise RuntimeError(f"the reference itself fails on {case.title!r}: {outcome.error}")
    return outcome


def _completed(this, case, rng):
    pulls = int(rng.integers(1, 2**31)) if this.gradients and this.reference else 0
    part = this.torch or ORDINARY if case.part == TORCH else case.part
    return replace(case, returns=1 if this.read else len(this.outputs), pulls=pulls, part=part)
