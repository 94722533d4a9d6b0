"""A mistake is named although another one was made too, and a relation where the bank has no name."""

import math
import re

import pytest
import torch

from benchmarks.quality.misconceptions import OTHERS, made, measure, read
from grading.exercises.common import full
from grading.judge.judge import examine
from grading.judge.recognize import BESIDES
from utils import attention, metrics, transformer


def scaled(factor):
    return lambda query, keys: factor * attention.dot_score(query, keys)


def wrong_at_padding(weights, mask):
    covered = metrics.coverage(weights, mask)
    return covered if mask is None else torch.where(mask, covered, 5 * torch.ones_like(covered))


def only_first_sentence(query, keys):
    scores = attention.dot_score(query, keys)
    return torch.cat([scores[:1], 3 + scores[1:] * scores[1:]])


@pytest.mark.parametrize(
    ("name", "answer", "mistake", "phrase"),
    [
        ("dot_score", scaled(2), "times_a_constant", "every number is 2 times too large"),
        ("dot_score", scaled(0.25), "times_a_constant", "every number is 4 times too small"),
        ("dot_score", scaled(-1), "times_a_constant", "the signs are reversed"),
        (
            "scaled_dot_score",
            lambda q, k: (q @ k.mT) / q.shape[-1] ** 1.5,
            "times_a_constant",
            r"every number is divided by query.shape\[-1\] once too often",
        ),
        ("dot_score", lambda q, k: 1 + q @ k.mT, "plus_a_constant", "every number is 1 too large"),
        ("dot_score", lambda q, k: (q @ k.mT).tanh(), "function_applied", "tanh was applied to it once too"),
        ("dot_score", lambda q, k: (q @ k.mT).softmax(0), "normalized", "softmax over batch was applied"),
        (
            "dot_score",
            only_first_sentence,
            "right_but_for_a_part",
            "right but for what is in sentences after",
        ),
        ("coverage", wrong_at_padding, "right_but_for_a_part", "all is right but for what is at padding"),
        (
            "causal_mask",
            lambda n: transformer.causal_mask(n).flip(1),
            "moved_along_an_axis",
            "in reverse order",
        ),
        (
            "positional_encoding",
            lambda n, d: transformer.positional_encoding(n, d).roll(1, 1) * 1.7 + 0.2,
            None,
            "not the right numbers",
        ),
    ],
)
def test_a_relation_between_expected_and_got_is_found(name, answer, mistake, phrase):
    for seed in range(3):
        verdict = examine(name, answer, seed=seed)
        assert verdict.mistake == mistake and re.search(phrase, verdict.sentence), verdict


def test_no_relation_is_told_that_only_hidden_cases_show():
    """Right with every visible size: the message must not say more than that something is wrong."""

    def wrong_in_a_batch_of_one(query, keys):
        scores = attention.dot_score(query, keys)
        return 2 * scores if len(query) == 1 and query.shape[1] > 1 else scores

    verdict = examine("dot_score", wrong_in_a_batch_of_one)
    assert not verdict.passed and not verdict.visible and "times" not in verdict.sentence


def none_forgotten(weights, mask):
    return torch.xlogy(weights * mask[:, None], weights).sum(-1)


def shared_root(x, w_query, w_key, w_value, mask=None):
    scores = (x @ w_query) @ (x @ w_key).mT / math.sqrt(x.shape[-1])
    real = full(mask, scores)
    weights = scores.masked_fill(~real, -math.inf).softmax(-1)
    return weights @ (x @ w_value), weights


@pytest.mark.parametrize(
    ("name", "answer", "mistake"),
    [("attention_entropy", none_forgotten, "no_minus"), ("self_attention", shared_root, "root_of_hidden")],
)
def test_a_mistake_is_named_although_other_cases_raise_or_give_nan(name, answer, mistake):
    for seed in range(3):
        verdict = examine(name, answer, seed=seed)
        assert verdict.mistake == mistake and verdict.sentence.endswith(BESIDES), verdict


def test_a_mistake_that_explains_only_some_wrong_cases_is_not_named():
    """Not scaled with one query, right otherwise, and something else with more than one sentence."""

    def mixed(query, keys):
        scores = attention.dot_score(query, keys)
        return scores if query.shape[1] == 1 else scores + query.sum() * keys.sum() + 1

    assert examine("scaled_dot_score", mixed).mistake != "not_scaled"


def test_two_mistakes_at_once_are_both_told():
    source = """
def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
    states, last = self.rnn(self.embedding(tgt_in), decoder_state[None])
    context, weights = attend(states, encoder_states, encoder_states, src_mask, self.score)
    return self.out(self.combine(torch.cat([states, context], -1))), last[0], weights
"""
    verdict = examine("LuongDecoder", made("LuongDecoder", source))
    assert verdict.sentence.startswith("Two things are wrong. The tanh around combine is missing.")
    assert "joined" in verdict.sentence.partition("before out.")[2]


def test_an_unused_parameter_is_told():
    class Fresh(attention.MultiplicativeScore):
        def forward(self, query, keys):
            return query @ torch.nn.Linear(keys.shape[-1], query.shape[-1]).to(keys)(keys).mT

    verdict = examine("MultiplicativeScore", Fresh)
    assert verdict.mistake == "parameter_not_used" and "self.key_proj isn't used" in verdict.sentence


@pytest.mark.parametrize(
    ("name", "source", "mistake"),
    [
        ("Decoder", "self.out(self.rnn(self.embedding(tgt_in), decoder_state)[0])", "state_without_its_axis"),
        ("Decoder", "self.out(self.rnn(self.embedding(tgt_in)))", "tuple_not_unpacked"),
        ("Decoder", "self.out(missing)", "name_not_defined"),
        ("Decoder", "self.out(tgt_in[..., None].to(decoder_state))", "matrices_dont_fit"),
    ],
)
def test_common_errors_are_explained_and_only_where_students_may_see_them(name, source, mistake):
    answer = made(name, f"def forward(self, tgt_in, decoder_state):\n    return {source}, decoder_state")
    verdict = examine(name, answer)
    assert verdict.mistake == mistake and "It raised" in verdict.sentence, verdict


def test_positions_that_are_tensors_are_no_links():
    verdict = examine("hard_alignment", lambda w: {(row.argmax(), t) for t, row in enumerate(w)})
    assert verdict.mistake == "tensors_in_links"


def test_the_table_of_the_benchmark_counts_what_it_says(tmp_path):
    bank = tmp_path / "bank.txt"
    bank.write_text(
        "A comment.\n"
        "# %% dot_score: one_step_only\ndef dot_score(query, keys):\n    return (query * keys).sum(-1)\n"
        "# %% dot_score: -\ndef dot_score(query, keys):\n    return torch.sum(query * keys, 2)\n"
        "# %% dot_score: wrong_dtype\ndef dot_score(query, keys):\n    return (query @ keys.mT).float()\n"
        "# %% dot_score: right\ndef dot_score(query, keys):\n    return 3 * query @ keys.mT\n"
    )
    counts = measure("dot_score", read(bank), seeds=2)
    assert counts == {
        "entries": 3,
        "distinct": 2,
        "caught": 3,
        "by luck": 0,
        "named": 3,
        "rightly": 2,
        "misleading": 1,
        "partly": 1,
        "variants": 1,
        "alarms": 1,
    }
    bank.write_text("nothing")
    with pytest.raises(ValueError, match="expected answers that begin with '# %% NAME: LABELS'"):
        read(bank)


@pytest.mark.parametrize("name", ["dot_score", "masked_softmax", "hard_alignment", "causal_mask"])
def test_wrong_answers_are_named_rightly_and_right_ones_pass(name):
    counts = measure(name, [entry for entry in read(OTHERS) if entry.name == name], seeds=1)
    assert counts["rightly"] == counts["entries"] == counts["caught"] and counts["alarms"] == 0
