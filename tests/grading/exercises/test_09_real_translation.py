"""What is said of mistakes in exercise 09 that the bank does not know, and what its machine refuses."""

import itertools
import operator
import os
import re
from functools import partial
from importlib import import_module
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch

from grading.checks import check
from grading.judge.judge import draw, examine
from grading.judge.recognize import same
from grading.judge.registry import all_checks, mistakes_of
from grading.sandbox.protocol import encode
from utils.metrics import compare_systems

pytestmark = pytest.mark.usefixtures("once", "singly")
CHECKS = all_checks()
real_translation = import_module("grading.exercises.09_real_translation.harness")
beam_search = CHECKS["beam_search"].reference


def another_score(*args):
    ids, score = beam_search(*args)
    return ids, score - 1


def end_in_the_middle(step, state, bos_id, eos_id, *rest):
    ids, score = beam_search(step, state, bos_id, eos_id, *rest)
    return [eos_id, *ids], score


def too_many(*args):
    ids, score = beam_search(*args)
    return ids + [max(set(range(4)) - set(args[2:4]))] * (args[5] + 1), score


def no_ids(*args):
    ids, score = beam_search(*args)
    return [float(i) + 0.5 for i in ids] or [-1], score


def never_stops(step, state, bos_id, *rest):
    while True:
        _, state = step(torch.tensor([bos_id]), state)


def state_left_behind(step, state, bos_id, eos_id, beam_size, *rest):
    _, state = step(torch.tensor([bos_id]), state)
    step(torch.tensor([bos_id] * 2), state)


def a_token_too_flat(step, state, bos_id, *rest):
    step(bos_id, state)


def without_p(*args):
    return {key: value for key, value in compare_systems(*args).items() if key != "p_value"}


def half_a_point_more(*args):
    found = compare_systems(*args)
    return found | {"bleu_a": found["bleu_a"] + 0.5}


def wider_intervals(*args):
    found = compare_systems(*args)
    return found | {key: (found[key][0] - 1, found[key][1] + 1) for key in ("interval_a", "interval_b")}


def cut_short(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    return beam_search(step, state, bos_id, eos_id, beam_size, min(2, max_len), length_penalty)


UNKNOWN = [
    ("beam_search", another_score, "the score is not the one that these ids have"),
    ("beam_search", cut_short, "the score is that of these ids without their end token"),
    ("beam_search", end_in_the_middle, "ids still holds the end token"),
    ("beam_search", too_many, "ids are returned, more than max_len"),
    ("beam_search", no_ids, "ids should be token ids"),
    ("beam_search", never_stops, "RuntimeError: step was called .* does the search stop"),
    ("beam_search", state_left_behind, "step got 2 tokens, but a state of 1 and 1 rows"),
    ("beam_search", a_token_too_flat, "step wants tokens as a tensor of one axis"),
    ("beam_search", lambda *args: beam_search(*args)[0], "It returned one thing, expected ids and score"),
    ("compare_systems", without_p, "the dict lacks p_value"),
    ("compare_systems", lambda *args: compare_systems(*args) | {"t": 1}, "the dict has other keys too: t"),
    ("compare_systems", half_a_point_more, "bleu_a is not sacrebleu's corpus BLEU"),
    ("compare_systems", wider_intervals, "the entry interval_a of the dict is not what was expected"),
    (
        "compare_systems",
        lambda *a: compare_systems(*a) | {"interval_b": 3.0},
        "interval_b should be two numbers",
    ),
    ("compare_systems", lambda *args: list(compare_systems(*args).values()), "comparison should be a dict"),
]


@pytest.mark.parametrize(("name", "answer", "message"), UNKNOWN)
def test_an_unknown_mistake_is_told_by_the_property_it_breaks(name, answer, message):
    verdict = examine(name, answer, cases="visible")
    assert verdict.mistake not in {known.name for known in mistakes_of(name)}
    assert re.search(message, str(verdict), re.IGNORECASE), verdict


def test_the_machine_of_tables_moves_with_its_state():
    log_probs = torch.tensor([[0.0, -1.0, -2.0], [-3.0, -4.0, -5.0]])
    goes_to = torch.tensor([[0, 0, 1], [1, 1, 0]])
    seen = []

    def answer(step, state, *settings):
        seen.append(step(torch.tensor([0]), state))
        _, (node, table) = seen[0]
        pair = torch.tensor([0, 0])
        seen.append(step(torch.tensor([1, 2]), (node[pair], table[pair])))
        return torch.tensor([2]), 0.5

    assert real_translation.decode(answer, log_probs, goes_to, 0, 1, 2, 3, 1.0) == [[2], 0.5]
    assert torch.equal(seen[0][0], log_probs[:1])
    assert torch.equal(seen[1][0], log_probs)  # one stayed at node 0, the other went to node 1


def test_the_seed_of_the_resampling_is_not_the_machines(monkeypatch):
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    assert examine("compare_systems", partial(CHECKS["compare_systems"].reference), seed=0).passed
    assert real_translation.compare(lambda: os.environ["SACREBLEU_SEED"]) == "12345"
    assert os.environ["SACREBLEU_SEED"] == "7"


def test_no_case_of_beam_search_is_decided_by_rounding():
    """Less precise tables lead to the same words."""
    for seed in range(10):
        for case in CHECKS["beam_search"].draw(np.random.default_rng(seed)):
            inputs = list(case.inputs.values())
            double = [torch.from_numpy(v) if hasattr(v, "dtype") else v for v in inputs]
            single = [double[0].float(), *double[1:]]
            first, second = (real_translation.decode(beam_search, *args) for args in (double, single))
            assert first[0] == second[0] and first[1] == pytest.approx(second[1], abs=1e-4)


# What a student sees before handing in: the visible cases alone.


@pytest.mark.parametrize("name", ["beam_search", "compare_systems"])
def test_visible_cases_are_thesame_at_every_draw(name):
    """They come first, and are drawn before any other."""

    def visible(seed):
        drawn = CHECKS[name].draw(np.random.default_rng(seed))
        return [encode(case) for case in itertools.takewhile(lambda case: case.visible, drawn)]

    assert len(visible(0)) > 5 and visible(0) == visible(1)


@pytest.mark.parametrize("name", ["beam_search", "compare_systems"])
def test_visible_cases_tell_known_mistakes_from_the_right_answer_and_from_each_other(name, once):
    """So all of them fail, and the name that is given is never that of another one in the list."""
    cases = [case for case in draw(CHECKS[name], 0) if case.visible]
    answers = [("right", CHECKS[name].reference)]
    answers += [(known.name, known.answer) for known in mistakes_of(name)]
    outcomes = [(who, [once(answer, case) for case in cases]) for who, answer in answers]
    for (one, a), (other, b) in itertools.combinations(outcomes, 2):
        errors = ([outcome.error for outcome in outcomes] for outcomes in (a, b))
        assert one == other or not all(map(same, a, b)) or operator.ne(*errors), (one, other)


(LESSON,) = (Path(__file__).parents[3] / "lessons" / "exercises").glob("*_real_translation.py")
WRITTEN = next(c.source for c in jupytext.read(LESSON).cells if c.metadata.get("answer") == "beam_search")


@pytest.mark.parametrize(
    ("mistake", "right", "wrong"),
    [
        ("state_of_the_first", "part[parents[going_on]]", "part[torch.zeros_like(parents[going_on])]"),
        (
            "states_not_reordered",
            "part[parents[going_on]]",
            "(part.expand(places, *part.shape[1:]) if length == 1 else part)[going_on]",
        ),
        ("parents_taken_twice", "part[parents[going_on]]", "part[parents][parents[going_on]]"),
        ("places_filled_again", "min(beam_size - len(finished), ", "min(beam_size, "),
        (
            "more_places_than_candidates",
            "min(beam_size - len(finished), len(candidates))",
            "beam_size - len(finished)",
        ),
        (
            "unfinished_compete",
            "max(finished or scored,",
            "max(finished + [pair for pair in scored if pair[0][-1] != eos_id],",
        ),
        (
            "stops_when_one_leads",
            "if not written:",
            "if not written or finished and max(finished, key=lambda pair: pair[1])[1] > sums.max() / "
            "length**length_penalty:",
        ),
        ("one_token_too_few", "range(1, max_len + 1)", "range(1, max_len)"),
        ("nothing_added_up", "(sums.unsqueeze(1) + log_probs)", "log_probs"),
        (
            "parent_and_token_swapped",
            "chosen // log_probs.shape[1], chosen % log_probs.shape[1]",
            "chosen % log_probs.shape[1], chosen // log_probs.shape[1]",
        ),
    ],
)
@pytest.mark.parametrize("cases", ["visible", "all"])
def test_a_mistake_in_a_search_written_in_another_way_gets_thesame_name(mistake, right, wrong, cases):
    assert WRITTEN.count(right) == 1
    made = {"torch": torch}
    exec(WRITTEN.replace(right, wrong), made)
    assert examine("beam_search", made["beam_search"], cases=cases, seed=1).mistake == mistake


def test_an_error_alone_is_no_known_mistake_unless_it_is_thesame_error():
    def another_error(*args):
        raise TypeError("something else went wrong")

    assert examine("compare_systems", another_error, cases="visible").mistake is None


def test_a_message_on_the_comparison_shows_what_differs_and_no_long_lists():
    with pytest.raises(AssertionError) as error:
        check("compare_systems", wider_intervals, cases="visible")
    first, seen, expected, got, _ = str(error.value).splitlines()
    assert "interval_a" in first and "references (7), the first " in seen and len(seen) < 400
    assert "interval_b" in expected and "interval_b" in got and "bleu" not in expected + got
