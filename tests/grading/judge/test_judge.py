"""The checks tell right from wrong and name the mistake: every right answer and known mistake of the bank."""

import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.quality.misconceptions import Entry, judge, own_bank, right_variants
from grading.checks import check
from grading.judge.compare import equal
from grading.judge.judge import draw, examine
from grading.judge.registry import all_checks, mistakes_of
from grading.sandbox.calls import call
from grading.sandbox.cases import Outcome, Unknown
from grading.sandbox.protocol import decode, encode
from utils import attention, metrics

CHECKS = all_checks()
FUNCTIONS = [name for name, this in CHECKS.items() if this.reference]  # the others are judged by properties
SHIPPED = {path.stem for path in (Path(__file__).parents[1] / "exercises" / "right").glob("*.py")}


BANK = list(own_bank())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_known_mistake_is_caught_and_named_and_every_right_answer_passes(name, record_property):
    """A mistake can be missed by all cases, or be taken for one that stands before it in the bank."""
    entries = [entry for entry in BANK if entry.name == name]
    verdicts, distinct = judge(name, entries, seed=0, wire=over_a_wire)
    missed = {}
    for i, (entry, verdict) in enumerate(zip(entries, verdicts, strict=True)):
        (label,), exercise = entry.labels, CHECKS[name].exercise
        if entry.right:
            record_property("bank", [exercise, "variants", "passed", verdict.passed])
            good = verdict.passed
        else:
            record_property("bank", [exercise, "mistakes", "caught", not verdict.passed])
            record_property("bank", [exercise, "mistakes", "named", verdict.mistake == label])
            good = verdict.mistake == label and "Something else" not in verdict.sentence
        if not good or not (entry.right or "\n  seen with " in str(verdict)):
            missed[f"{i}: {label}"] = str(verdict)
    assert missed == {} and distinct >= (6 if CHECKS[name].exercise in SHIPPED else 0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_right_answers_pass_with_other_inputs_too(name):
    right = Entry(name, ("right",), lambda: CHECKS[name].reference)
    verdicts, _ = judge(name, [right, *(e for e in BANK if e.name == name and e.right)], seed=1)
    assert [str(verdict) for verdict in verdicts if not verdict.passed] == []


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if CHECKS[name].exercise in SHIPPED])
def test_the_bank_of_the_exercises_that_the_course_ships_is_rich(name):
    assert len({known.name for known in mistakes_of(name)}) >= 6 and len(right_variants(name)) >= 4
    drawn = draw(CHECKS[name], seed=0)
    assert 3 <= sum(case.visible for case in drawn if not case.elsewhere) < len(drawn)


def over_a_wire(call):
    """A call in another process: a case and its outcome cross as arrays, numbers and text."""

    @cache
    def send(case):
        sent = decode(encode(case))
        assert (sent.kept, sent.sizes, sent.library) == ({}, case.sizes, case.library)
        assert equal(sent.inputs, case.inputs) and equal(sent.parameters, case.parameters)

    def there_and_back(answer, case):
        send(case)
        return decode(encode(call(answer, case)))

    return there_and_back


@cache
def graded_cells():
    lessons = Path(__file__).parents[3] / "lessons" / "exercises"
    cells = [cell for path in sorted(lessons.glob("*.py")) for cell in jupytext.read(path).cells]
    return {cell.metadata["test"]: cell.source for cell in cells if "test" in cell.metadata}


@pytest.mark.filterwarnings("ignore:a warning is no mistake")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_graded_cell_of_the_lesson_checks_the_answer_alone_and_accepts_every_right_one(name, monkeypatch):
    """Its tests by hand, too, must not insist on one way of writing it."""
    cell, asked = graded_cells()[name], []
    monkeypatch.setattr("grading.checks.check", lambda *args, **settings: asked.append((args, settings)))
    hidden = re.search("### BEGIN HIDDEN TESTS.*### END HIDDEN TESTS", cell, re.DOTALL)[0]
    for answer in (CHECKS[name].reference, *right_variants(name)):
        exec(cell.replace(hidden, ""), {name: answer})
        exec("from grading.checks import check\n" + hidden, {name: answer})
        assert asked == [((name, answer), {"cases": "visible"}), ((name, answer), {})]
        asked.clear()


def divided_by_hidden_in_a_loop(query, keys):
    scores = query.new_zeros(query.shape[0], query.shape[1], keys.shape[1])
    for t in range(query.shape[1]):
        for s in range(keys.shape[1]):
            scores[:, t, s] = (query[:, t] * keys[:, s]).mean(-1)
    return scores


class ColumnsAsWeights(attention.AdditiveScore):
    def forward(self, query, keys):
        return torch.einsum("abc->acb", super().forward(query, keys))


def softmax_with_no_axis_given(scores, mask):
    if mask is not None:
        mask = mask[:, None, :] if mask.dim() == 2 else mask
        scores = torch.where(mask, scores, -torch.inf)
    return nn.functional.softmax(scores)  # over axis 0, with a warning


def masked_by_multiplying(scores, mask):
    weights = torch.softmax(scores, 2)
    if mask is None:
        return weights
    return weights.masked_fill(~(mask if mask.dim() == 3 else mask[:, None]), 0)


def keys_taken_for_values(query, keys, values, mask, score):
    weights = attention.masked_softmax(score(query, keys), mask)
    return torch.einsum("bts,bsd->btd", weights, keys), weights


@pytest.mark.parametrize(
    ("name", "answer", "mistake"),
    [
        ("scaled_dot_score", divided_by_hidden_in_a_loop, "divided_by_hidden"),
        ("AdditiveScore", ColumnsAsWeights, "transposed_scores"),
        ("masked_softmax", softmax_with_no_axis_given, "softmax_over_batch"),
        ("masked_softmax", masked_by_multiplying, "masked_after"),
        ("attend", keys_taken_for_values, "keys_as_values"),
    ],
)
def test_a_known_mistake_is_named_however_it_is_written(name, answer, mistake):
    assert examine(name, answer, seed=5).mistake == mistake


# Mistakes that the bank does not know: the message says which property broke.


def not_written(*args):
    raise NotImplementedError


def divided_by_zero(query, keys):
    return 1 / 0


class EqualToEverything(torch.Tensor):
    def __eq__(self, other):
        return True

    __hash__ = torch.Tensor.__hash__


def in_place(scores, mask):
    weights = attention.masked_softmax(scores, mask)
    scores.fill_(0)
    return weights


def in_place_of_keys(query, keys):
    keys /= math.sqrt(keys.shape[-1])
    return query @ keys.mT


def zeroed_in_place(scores, mask):
    """Right numbers, but softmax needs its own result again for the gradient."""
    weights = attention.masked_softmax(scores, mask).exp()
    result = weights.log()
    weights[:] = 1
    return result


def uniform(scores, mask):
    real = attention.masked_softmax(torch.zeros_like(scores), mask)
    return 0.9 * real


def leaky(scores, mask):
    return torch.softmax(scores * 2, -1)


def empty_rows_of_one(scores, mask):
    weights = attention.masked_softmax(scores, mask)
    return torch.where(weights.sum(-1, keepdim=True) == 0, 1.0, weights)


def nan_in_the_empty(query, keys, values, mask, score):
    context, weights = attention.attend(query, keys, values, mask, score)
    return context / weights.sum(-1, keepdim=True), weights


def half_detached(query, keys, values, mask, score):
    weights = attention.masked_softmax(score(query, keys), mask)
    return weights.detach() @ values, weights


def three_results(query, keys, values, mask, score):
    return *attention.attend(query, keys, values, mask, score), score(query, keys)


class WithBias(attention.MultiplicativeScore):
    def __init__(self, query_dim, key_dim):
        super().__init__(query_dim, key_dim)
        self.key_proj = nn.Linear(key_dim, query_dim)


class DetachedMatrix(attention.MultiplicativeScore):
    def forward(self, query, keys):
        return query @ (keys @ self.key_proj.weight.detach().T).mT


def on_the_cpu(query, keys):
    return (query @ keys.mT) * torch.ones(1, keys.shape[1], dtype=query.dtype)


def first_row_hidden(length):
    return torch.ones(length, length, dtype=torch.bool).tril() & (torch.arange(length) > 0)[:, None]


def nothing_is_no_error(predicted, sure, possible):
    return metrics.alignment_error_rate(predicted, sure, possible) if any(predicted) or any(sure) else 0.25


UNKNOWN = [
    ("causal_mask", first_row_hidden, "right shape, but some entries are True instead of False"),
    ("alignment_error_rate", nothing_is_no_error, r"expected error NaN .or ValueError.\n  got +error 0.25"),
    ("dot_score", on_the_cpu, "would fail on a GPU", "made_on_the_cpu"),
    ("dot_score", not_written, "It is not written yet"),
    ("dot_score", divided_by_zero, "It raised ZeroDivisionError: division by zero"),
    (
        "dot_score",
        lambda q, k: None,
        "scores should be a plain torch.Tensor on the CPU, got NoneType",
        "not_a_tensor",
    ),
    ("dot_score", lambda q, k: (q @ k.mT).numpy(), "got numpy.ndarray", "not_a_tensor"),
    (
        "dot_score",
        lambda q, k: (q @ k.mT).as_subclass(EqualToEverything),
        "got .*EqualToEverything",
        "not_a_tensor",
    ),
    ("dot_score", lambda q, k: (q @ k.mT).to("meta"), "got a torch.float.* tensor on meta", "not_a_tensor"),
    ("dot_score", lambda q, k: (q @ k.mT, q), "It returned 2 things, expected scores"),
    (
        "dot_score",
        lambda q, k: (q @ k.mT)[:, 0],
        r"shape \(1, 3\), expected \(batch, .*\) = \(1, 1, 3\)\. An axis of length 1 was dropped",
        "axis_squeezed_away",
    ),
    ("dot_score", lambda q, k: (q @ k.mT).float(), "scores is float32, expected float64", "wrong_dtype"),
    ("dot_score", lambda q, k: (q @ k.mT).double(), "scores should be float32", "wrong_dtype"),
    ("dot_score", lambda q, k: 1.1 * (q @ k.mT), "every number is 1.1 times too large", "times_a_constant"),
    ("dot_score", lambda q, k: (q @ k.mT).log(), "scores contains NaN or infinity"),
    ("dot_score", lambda q, k: (q @ k.mT).detach(), "no gradient reaches query", "no_gradient"),
    ("dot_score", lambda q, k: q @ k.detach().mT, "no gradient reaches keys", "no_gradient"),
    ("dot_score", torch.no_grad()(attention.dot_score), "no gradient reaches query", "no_gradient"),
    ("scaled_dot_score", in_place_of_keys, "keys was changed in place", "changed_in_place"),
    ("MultiplicativeScore", WithBias, "It raised TypeError: its parameters are .* leave __init__"),
    ("MultiplicativeScore", DetachedMatrix, "no gradient reaches key_proj.weight", "no_gradient"),
    ("masked_softmax", in_place, "scores was changed in place", "changed_in_place"),
    ("masked_softmax", zeroed_in_place, "their gradient fails with RuntimeError.*inplace"),
    ("masked_softmax", uniform, r"do not sum to one: those of row \[0, 0\] sum to 0.9000"),
    ("masked_softmax", leaky, "Padding receives weight"),
    ("masked_softmax", empty_rows_of_one, "weights is not zero where nothing can be attended to"),
    ("attend", nan_in_the_empty, "context is NaN where nothing can be attended to"),
    (
        "masked_softmax",
        lambda scores, mask: attention.masked_softmax(scores, mask.clone()),
        "It fails if mask is None.*: it raised AttributeError: 'NoneType'",
        "mask_is_none",
    ),
    ("attend", half_detached, "The outputs are right, but the gradient of query is not"),
    ("attend", three_results, "It returned 3 things, expected context and weights"),
]


@pytest.mark.parametrize(("name", "answer", "message", "mistake"), [(*row, None)[:4] for row in UNKNOWN])
def test_an_unknown_mistake_is_told_by_the_property_it_breaks(name, answer, message, mistake):
    verdict = examine(name, answer)
    assert verdict.mistake == mistake and re.search(message, str(verdict)), verdict


def test_the_message_shows_the_smallest_input_with_what_was_expected_and_what_came():
    with pytest.raises(AssertionError) as error:
        check("scaled_dot_score", attention.dot_score, seed=1)
    case = next(c for c in CHECKS["dot_score"].draw(np.random.default_rng(1)))
    first, seen, expected, got, seed = str(error.value).splitlines()
    query, keys = case.inputs["query"], case.inputs["keys"]
    assert first.startswith("scaled_dot_score: The scores aren't scaled")
    assert f"query (1, 1, 2) = {query.round(4).tolist()}, keys (1, 3, 2) = {keys.round(4).tolist()}" in seen
    product = query @ keys.swapaxes(1, 2)
    assert expected.endswith(f"scores (1, 1, 3) = {(product / 2**0.5).round(4).tolist()}")
    assert got.endswith(f"scores (1, 1, 3) = {product.round(4).tolist()}")
    assert seed.endswith("seed=1")


SECRET = "12345678987654321"  # what an answer could tell of a hidden input, as a number or as text


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("dot_score", lambda outputs: Outcome(error=(SECRET, SECRET))),
        ("dot_score", lambda outputs: Outcome(outputs=(Unknown(SECRET),))),
        ("hard_alignment", lambda outputs: Outcome(outputs=({(SECRET, 0)},))),
        ("hard_alignment", lambda outputs: Outcome(outputs=({(int(SECRET), 0)},))),
        ("hard_alignment", lambda outputs: Outcome(outputs=({SECRET},))),
        ("alignment_error_rate", lambda outputs: Outcome(outputs=(float(SECRET),))),
        ("beam_search", lambda outputs: Outcome(outputs=([0] * 54321, 0.0))),
        ("beam_search", lambda outputs: Outcome(outputs=(outputs[0], float(SECRET)))),
        ("compare_systems", lambda outputs: Outcome(outputs=(outputs[0] | {SECRET: 1},))),
        ("compare_systems", lambda outputs: Outcome(outputs=({SECRET: 1},))),
        ("bleu_by_length", lambda outputs: Outcome(outputs=([((int(SECRET), 2), 1.0)],))),
        ("translate", lambda outputs: Outcome(outputs=([([SECRET], None)] * 54321,))),
        ("translate", lambda outputs: Outcome(outputs=([([SECRET] * 99, None)] * len(outputs[0]),))),
        ("translate", lambda outputs: Outcome(outputs=(SECRET,))),
        ("lengths_to_mask", lambda outputs: Outcome(outputs=(np.zeros((5, 4, 3, 2), bool),))),
        ("lengths_to_mask", lambda outputs: Outcome(outputs=(np.ones_like(outputs[0]),))),
    ],
)
def test_nothing_of_an_answer_comes_back_through_the_message_on_a_hidden_case(name, outcome, once):
    def secretive(answer, case):
        found = once(answer, case)
        return found if case.visible else replace(outcome(found.outputs), inputs=found.inputs)

    verdict = examine(name, CHECKS[name].reference, seed=3, call=secretive)
    assert not verdict.passed and not verdict.visible
    assert [part for part in (SECRET[:9], "54321", "5, 4, 3, 2") if part in str(verdict)] == []


def wrong_head(head, context, weights):
    weights = weights.copy()
    weights[:, min(head, weights.shape[1] - 1)] *= 0.5
    return context, weights


def without_keys(first, comparison):
    return ({key: value for i, (key, value) in enumerate(comparison.items()) if (i + first) % 3},)


def cut_links(count, links):
    return (set(sorted(links)[count + 1 :]),)


@pytest.mark.parametrize(
    ("name", "change"),
    [("MultiHeadAttention", wrong_head), ("compare_systems", without_keys), ("hard_alignment", cut_links)],
)
def test_what_is_said_on_a_hidden_case_does_not_depend_on_what_is_wrong(name, change, once):
    """A number of a head, a set of keys or a count would each be a few bits of the hidden input."""

    def said(number):
        def secretive(answer, case):
            found = once(answer, case)
            return found if case.visible else replace(found, outputs=change(number, *found.outputs))

        return str(examine(name, CHECKS[name].reference, seed=3, call=secretive))

    assert said(0) == said(1) != ""


def test_inputs_are_drawn_anew_and_a_seed_draws_them_again():
    def drawn(seed):
        seen = []
        check("dot_score", lambda q, k: seen.append(q.detach().clone()) or q @ k.mT, seed=seed)
        return seen

    def same(a, b):
        return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))

    assert same(drawn(1), drawn(1))
    assert not same(drawn(None), drawn(None))


@pytest.mark.parametrize("name", ["attend", "greedy_decode", "translate"])
def test_a_check_leaves_the_random_numbers_of_the_notebook_alone(name):
    """Also those that make a model for their cases."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    check(name, CHECKS[name].reference, cases="visible")
    assert torch.equal(torch.get_rng_state(), before)


def test_visible_cases_can_be_asked_alone():
    seen = []

    def counting(answer, case):
        seen.append(case.visible)
        return call(answer, case)

    assert examine("attend", attention.attend, cases="visible", call=counting).passed
    assert seen and all(seen)


def test_what_cannot_be_asked_is_said():
    with pytest.raises(KeyError, match="no check is called 'cosine': choose from .*dot_score"):
        check("cosine", attention.dot_score)
    with pytest.raises(ValueError, match="cases is 'all' or 'visible'"):
        check("dot_score", attention.dot_score, cases="some")
