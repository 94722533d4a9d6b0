"""The points of a function are shared out over parts: a near miss keeps those that are right."""

import pytest
import torch

from benchmarks.quality.misconceptions import judge, own_bank
from grading.judge.judge import draw, examine, parts_of, shares
from grading.judge.registry import all_checks
from grading.pipeline import proof
from grading.pipeline.assignments import assignments
from grading.pipeline.authoring import wrong_points
from grading.sandbox.cases import ORDINARY
from utils import attention, language_models, training

CHECKS = all_checks()
LOSES = {  # mistakes of the bank that break one part alone
    "lengths_to_mask": {
        "max_len_ignored": "room beyond the longest sentence",
        "not_bool": "dtype and device",
    },
    "masked_softmax": {
        "even_where_empty": "rows with nothing to attend to",
        "nan_painted_over": "gradient, dtype and device",
        "overflow": "scores of any size",
    },
    "train_step": {"clipped_by_value": "clipping", "in_evaluation_mode": "training mode"},
    "plot_attention": {
        "drawn_with_pyplot": "an Axes that is given",
        "axes_without_names": "axis labels",
        "colour_scale_per_map": "color scale",
    },
}


@pytest.mark.parametrize("points", [1, 2, 3, 4, 0.5])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_shares_add_up_and_half_or_more_is_for_ordinary_input(points, count):
    worth = shares(points, [str(number) for number in range(count)])
    ordinary, *others = worth.values()
    assert sum(worth.values()) == pytest.approx(points) and ordinary >= points / 2
    assert all(share <= points / 4 for share in others)
    assert len({*others}) <= 1 and all(share > 0 for share in others)
    if points >= 2:
        assert sum(worth.values()) == points and all(4 * share == int(4 * share) for share in worth.values())


@pytest.mark.parametrize("name", CHECKS)
def test_every_draw_has_the_same_parts_and_students_see_ordinary_input(name):
    first, second = (draw(CHECKS[name], seed) for seed in (0, 1))
    assert parts_of(CHECKS[name], first) == parts_of(CHECKS[name], second)
    ordinary = [case.visible for case in first if case.part == ORDINARY]
    assert any(ordinary) and not all(ordinary)


@pytest.mark.parametrize("name", assignments())
def test_the_text_says_what_each_part_is_worth(name):
    assert list(wrong_points(proof.given("solution", assignments()[name]))) == []


@pytest.mark.parametrize("name", LOSES)
def test_a_mistake_costs_only_the_part_that_it_breaks(name):
    entries = [entry for entry in own_bank() if entry.name == name and entry.labels[0] in LOSES[name]]
    verdicts, _ = judge(name, entries, seed=4)
    lost = {
        entry.labels[0]: [part for part, right in verdict.parts.items() if not right]
        for entry, verdict in zip(entries, verdicts, strict=True)
    }
    assert lost == {mistake: [part] for mistake, part in LOSES[name].items()}


def test_right_results_in_the_place_of_the_inputs_cost_a_part_of_their_own():
    def in_place(tokens, *rest):
        inputs, targets = language_models.mask_tokens(tokens, *rest)
        return tokens.copy_(inputs), targets

    assert examine("mask_tokens", in_place).parts == {ORDINARY: True, "inputs unchanged": False}


def zeros(scores, mask):
    return torch.zeros_like(scores)


def wrong_numbers_of_another_dtype(query, keys):
    return (query @ keys.mT + 1).float()


def unwritten_without_a_mask(scores, mask):
    if mask is None:
        raise NotImplementedError
    return attention.masked_softmax(scores, mask)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("masked_softmax", zeros),  # right where nothing can be attended to
        ("masked_softmax", unwritten_without_a_mask),
        ("dot_score", wrong_numbers_of_another_dtype),
    ],
)
def test_no_part_counts_where_ordinary_input_is_wrong_or_something_is_unwritten(name, answer):
    verdict = examine(name, answer)
    assert not any(verdict.parts.values()) and "Not yet" not in str(verdict)


def test_the_message_says_which_parts_are_right_and_what_they_are_worth():
    def even_where_empty(scores, mask):
        weights = attention.masked_softmax(scores, mask)
        return torch.where(weights.sum(-1, keepdim=True) == 0, 1.0, weights)

    verdict = examine("masked_softmax", even_where_empty)
    line = str(verdict).split("\n")[1]
    assert line.startswith("Right: ordinary input; every kind of mask; scores of any size; gradient")
    assert line.endswith(". Not yet: rows with nothing to attend to.")
    assert "Right: ordinary input (2); " in verdict.text(3) and "to attend to (0.25)." in verdict.text(3)


def test_a_mistake_without_a_name_is_told_what_holds():
    def sharper(scores, mask):
        return attention.masked_softmax(scores**3, mask)

    sentence = examine("masked_softmax", sharper).sentence
    assert "not the right numbers. This much is right: where nothing" in sentence
    assert sentence.endswith("padding gets no weight; the weights of each row sum to one.")
    doubled = examine("masked_softmax", lambda s, m: attention.masked_softmax(s, m) ** 3.3).sentence
    assert "do not sum to one" in doubled and doubled.endswith("padding gets no weight.")
    assert "This much" not in examine("sequence_loss", lambda *args: -training.sequence_loss(*args)).sentence
