"""Exercise 01: mistakes that no bank knows are told by what they break; the lesson's run shows the fall."""

import re
from pathlib import Path

import jupytext
import pytest
import sacrebleu
import torch

from grading.checks import check
from grading.judge.judge import draw, examine
from grading.judge.registry import all_checks, mistakes_of
from utils import models, text

CHECKS = all_checks()
greedy_decode, bleu_by_length = (CHECKS[name].reference for name in ("greedy_decode", "bleu_by_length"))
LESSON = Path(__file__).parents[3] / "lessons" / "exercises" / "01_bottleneck.py"


def odd_places(lengths, max_len):
    mask = text.lengths_to_mask(lengths, max_len)
    return mask & (torch.arange(max_len) != 1)


class LeaksAtPadding(models.Encoder):
    def forward(self, src, src_lengths):
        states, decoder_state = super().forward(src, src_lengths)
        real = text.lengths_to_mask(src_lengths, src.shape[1])
        return torch.where(real.unsqueeze(-1), states, 0.01), decoder_state


def second_choice_first(*inputs):
    ids = greedy_decode(*inputs)
    return torch.cat([(ids[:, :1] + 1) % 3, ids[:, 1:]], 1)


def second_choice_later(*inputs):
    ids = greedy_decode(*inputs).clone()
    ids[:, 1:2] = 0
    return ids


def one_bin_short(*inputs):
    return bleu_by_length(*inputs)[:-1]


def scores_alone(*inputs):
    return [score for _, score in bleu_by_length(*inputs)]


UNKNOWN = [
    ("lengths_to_mask", odd_places, "as many True as its length says: row .* has 2, .* is 3"),
    ("Encoder", LeaksAtPadding, "an encoder state at a padded place is not zero"),
    ("greedy_decode", second_choice_first, "the very first token is wrong"),
    ("greedy_decode", second_choice_later, "right at first and then go wrong.*right for 1 tokens"),
    ("greedy_decode", lambda *inputs: greedy_decode(*inputs).tolist(), "ids should be a plain torch.Tensor"),
    ("bleu_by_length", one_bin_short, "the rows are not for the right lengths"),
    ("bleu_by_length", scores_alone, r"a row should be \(\(first, last\), score\)"),
]


@pytest.mark.parametrize(("name", "answer", "message"), UNKNOWN)
def test_an_unknown_mistake_is_told_by_the_property_it_breaks(name, answer, message):
    verdict = examine(name, answer)
    assert verdict.mistake not in {known.name for known in mistakes_of(name)}
    assert re.search(message, str(verdict), re.IGNORECASE), verdict


def steps_for_words(logits, targets, pad_id):
    """It raises an error wherever the vocabulary is not as large as a sentence is long."""
    return torch.nn.functional.cross_entropy(logits, targets, ignore_index=pad_id)


def tokenised(*inputs):
    return [
        (lengths, sacrebleu.corpus_bleu(*bin_of(inputs, lengths)).score)
        for lengths, _ in bleu_by_length(*inputs)
    ]


def bin_of(inputs, lengths):
    sources, hypotheses, references, _ = inputs
    chosen = [i for i, source in enumerate(sources) if lengths[0] <= len(source.split()) <= lengths[1]]
    return [hypotheses[i] for i in chosen], [[references[i] for i in chosen]]


@pytest.mark.parametrize(
    ("name", "answer", "mistake"),
    [
        ("lengths_to_mask", lambda n, width: torch.arange(width)[:, None] < n, "transposed"),
        ("sequence_loss", steps_for_words, "vocabulary_not_on_axis_1"),
        ("bleu_by_length", tokenised, "tokenised_again"),
    ],
)
def test_a_mistake_is_named_by_the_tests_that_students_see(name, answer, mistake):
    for seed in range(3):
        assert examine(name, answer, "visible", seed).mistake == mistake


def test_what_stands_behind_the_end_token_is_not_compared():
    def noisy(*inputs):
        ids, eos_id = greedy_decode(*inputs), inputs[5]
        behind = (ids == eos_id).cumsum(1) - (ids == eos_id).int() > 0
        return torch.where(behind, torch.randint_like(ids, 3), ids)

    check("greedy_decode", noisy)


def test_translators_are_drawn_until_their_sentences_end_as_the_case_says():
    for case in draw(CHECKS["greedy_decode"], seed=3):
        ids, inputs = case.kept["ids"], case.inputs
        ended = (ids == inputs["eos_id"]).any(1)
        assert 0 < inputs["bos_id"] != inputs["eos_id"] > 0 and not (ids == inputs["bos_id"]).any()
        assert ids.shape[0] == len(inputs["src"]) and ids.shape[1] <= inputs["max_len"]
        assert ended.all() or ids.shape[1] == inputs["max_len"]
        assert len({tuple(row) for row in ids}) == len(ids) or inputs["max_len"] == 1


@pytest.mark.slow
def test_what_the_lesson_says_of_its_run_is_what_it_shows(capsys):
    """BLEU falls from bin to bin, and the last bin has between a quarter and a third of the first one's."""
    cells = [cell.source for cell in jupytext.read(LESSON).cells if cell.cell_type == "code"]
    names = {
        "Encoder": models.Encoder,
        "Decoder": CHECKS["Decoder"].reference,
        "greedy_decode": greedy_decode,
        "bleu_by_length": bleu_by_length,
    }
    start = next(i for i, source in enumerate(cells) if "= load_reviews(" in source)
    threads = torch.get_num_threads()
    try:
        exec("\n".join([cells[0], *cells[start:]]), names)
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    scores = [float(score) for score in re.findall(r"words: BLEU +(\d+\.\d)", printed)]
    assert len(scores) == 4 and scores == sorted(scores, reverse=True)
    assert scores[0] > 50 and 0.23 < scores[3] / scores[0] < 0.36
    assert len(re.findall(r"^source .*\nreference .*\nhypothesis ", printed, re.M)) == 2
