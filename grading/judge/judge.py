"""Tell right answers from wrong ones, and say which mistake was made.

A `Check` is a reference, a generator of cases and a comparison. The judge holds them. The answer runs in
`grading.sandbox.calls.call`, or behind another `call` that does the same in another process, and the judge
sees nothing of it but an `Outcome`. Inputs are drawn again for every seed.
"""

from dataclasses import dataclass, replace

import numpy as np

from grading.judge.message import evidence, find_fault
from grading.judge.recognize import recognize
from grading.judge.registry import Fault, find_check
from grading.judge.relation import RELATIONS
from grading.judge.shown import grids
from grading.sandbox import calls
from grading.sandbox.cases import Outcome

PROBE_SEED, PROBES = 20, 4  # all wrong answers of a class get these cases


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer: `mistake` names a known misconception, `sentence` says what is wrong
    and `evidence` shows an input where it can be seen, without its numbers where students may
    not know them (`visible` False). `grids` has its tensors that differ, for a page.
    """

    passed: bool
    mistake: str | None = None
    sentence: str = ""
    evidence: str = ""
    visible: bool = False
    grids: tuple = ()

    def __str__(self):
        return f"{self.sentence}\n{self.evidence}".strip()


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
        if got[-1].error and got[-1].error[0] == "NotImplementedError":
            break  # nothing is written yet: no other case will tell more
    faults = [find_fault(this, *row) for row in zip(drawn, expected, got, strict=False)]
    failed = [i for i, fault in enumerate(faults) if fault]
    if not failed:
        return Verdict(passed=True)
    known = recognize(name, drawn, expected, got, failed)
    seen = [i for i in failed if not drawn[i].elsewhere and (got[i].outputs or not known)] or failed
    shown = next((i for i in seen if drawn[i].visible), seen[0])
    fault, visible = faults[shown], drawn[shown].visible
    if known and known.name in RELATIONS and visible:
        known = Fault(f"{fault.text} {known.text}", name=fault.name or known.name)
    return Verdict(
        passed=False,
        mistake=known.name if known else fault.name,
        sentence=known.text if known else (fault.text if visible else fault.hidden or fault.text),
        evidence=evidence(this, drawn[shown], expected[shown], got[shown]),
        visible=visible,
        grids=grids(this, drawn[shown], expected[shown], got[shown]),
    )


def draw(this, seed):
    """The cases of a check: those that students may see, then the others, each in the order of the check.

    What an answer gives in a hidden case can so never come to light in the message on a visible one.
    """
    rng = np.random.default_rng(seed)
    drawn = [_completed(this, case, rng) for case in this.draw(rng)]
    drawn.sort(key=lambda case: not case.visible)
    if this.device:
        visible = [case for case in drawn if case.visible]
        title = f"{visible[0].title}, on another device"
        drawn.insert(len(visible), replace(visible[0], title=title, pulls=0, elsewhere=True))
    return drawn


def probes(this):
    """Return the cases with which wrong answers are compared, the same for everybody."""
    return [case for case in draw(this, PROBE_SEED) if case.visible and not case.elsewhere][:PROBES]


def _trusted(this, case):
    if this.reference is None:
        return Outcome()
    outcome = this.observe(calls.call, this.reference, case)
    if outcome.error:
        raise RuntimeError(f"the reference itself fails on {case.title!r}: {outcome.error}")
    return outcome


def _completed(this, case, rng):
    pulls = int(rng.integers(1, 2**31)) if this.gradients and this.reference else 0
    return replace(case, returns=1 if this.read else len(this.outputs), pulls=pulls)
