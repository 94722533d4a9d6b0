"""Exercise 03: a trained translator is judged by what it does, and what the other checks say of mistakes."""

import copy
import re
from dataclasses import replace
from importlib import import_module

import jupytext
import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import harness
from benchmarks.quality import exercise_03
from grading.checks import check
from grading.judge.judge import draw, examine
from grading.judge.registry import all_checks
from grading.sandbox.calls import call
from grading.sandbox.cases import Outcome
from grading.sandbox.protocol import decode, encode
from utils import models, pretrained
from utils.data import new_reviews
from utils.models import Seq2Seq
from utils.text import encoded_reviews
from utils.training import seed_everything

pytestmark = pytest.mark.usefixtures("singly")
CHECKS = all_checks()
limits = import_module("grading.exercises.03_translator.checks")
ALLOWANCE, BLEU, ERROR, LEARNED, SIZE = (
    getattr(limits, name) for name in ("ALLOWANCE", "BLEU", "ERROR", "LEARNED", "SIZE")
)


@pytest.fixture(scope="module")
def trained():
    return pretrained.load("additive")


def untrained(context="dot"):
    encoded = encoded_reviews()
    seed_everything(0)
    return Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), context, 8, 16)


def graded_cell():
    cells = jupytext.read(exercise_03.LESSON).cells
    return next(cell.source for cell in cells if cell.metadata.get("test") == "translator")


# A trained translator


def test_a_trained_one_passes(trained):
    exec(graded_cell(), {"translator": trained})


def test_an_untrained_one_fails_its_bleu():
    asked = f"BLEU on {SIZE} new reviews is .*, where at least {BLEU} is asked for: it has hardly learned"
    with pytest.raises(AssertionError, match=asked):
        exec(graded_cell(), {"translator": untrained()})


def test_one_whose_training_has_diverged_is_told_so():
    model = untrained()
    for weights in model.parameters():
        weights.data.fill_(torch.nan)
    with pytest.raises(AssertionError, match="its training has diverged: train it again with a lower"):
        check("translator", model, cases="visible")


def test_one_without_attention_is_told_so():
    with pytest.raises(AssertionError, match="is asked for: it has no attention"):
        check("translator", untrained("initial"), cases="visible")


def decoding(trained, change):
    """The trained translator with a decoder whose calls and results are changed."""

    class Changed(nn.Module):
        def __init__(self, decoder):
            super().__init__()
            self.decoder = decoder

        def forward(self, *inputs):
            return change(self.decoder, *inputs)

    changed = copy.deepcopy(trained)
    changed.decoder = Changed(changed.decoder)
    return changed


@pytest.mark.parametrize("context", ["dot", "initial"])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_decoder_of_ones_own_needs_a_forward_only(context, beam_size):
    """Exercise 03 suggests to put it into the translator."""
    model = untrained(context)
    own = decoding(model, lambda decoder, *inputs: decoder(*inputs))
    sentences = [["we", "liked", "the", "soup"], ["good", "bread"], []]
    found, expected = (
        models.translate(one, encoded_reviews(), sentences, 7, beam_size=beam_size) for one in (own, model)
    )
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.weights, other.weights)


def test_one_with_another_decoder_is_told_so(trained):
    """The judge knows its parameters only, and could not run it."""
    with pytest.raises(AssertionError, match="(?i)a Seq2Seq as the course makes it: put its decoder back"):
        check("translator", decoding(trained, None), cases="visible", seed=1)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(None, "NoneType"), ("a translator", "str"), (Seq2Seq, "Seq2Seq"), (nn.Linear(2, 2), "Linear")],
)
def test_what_is_no_translator_is_said(answer, kind):
    sentence = f"translator should be a trained Seq2Seq, a model, but it is {kind}"
    with pytest.raises(AssertionError, match=f"(?i){sentence}"):
        check("translator", answer, cases="visible")


def test_one_of_other_vocabularies_is_told():
    with pytest.raises(AssertionError, match="make it with len.encoded.src_vocab. and len.encoded.tgt_vocab"):
        check("translator", Seq2Seq(7, 11, "dot", 8, 16), cases="visible")


# What comes from the answer's side is data that nobody vouches for.


def perfect(case):
    """Gold translations, each with a map that has the gold links."""
    maps = []
    for src, tgt, links in zip(case.kept["sentences"], case.kept["gold"], case.kept["links"], strict=True):
        weights = np.zeros((len(tgt.split()) + 1, len(src.split()) + 1))
        for t in range(len(weights)):
            weights[t, next((s for s, other in sorted(links) if other == t), -1)] = 1.0
        maps.append(weights)
    return list(case.kept["gold"]), maps


@pytest.fixture
def said_of(monkeypatch):
    """What is said of translations and maps, whatever model they come from."""
    monkeypatch.setitem(CHECKS, "translator", replace(CHECKS["translator"], read=None))

    def said_of(change):
        def made_up(answer, case):
            return Outcome(outputs=change(*perfect(case)), inputs=case.inputs)

        return examine("translator", None, cases="visible", call=made_up)

    return said_of


def test_translations_and_maps_alone_decide(said_of):
    assert said_of(lambda texts, maps: (texts, maps)).passed


def some_wrong(texts, share):
    """So large a share of the texts with every other word wrong."""
    bad = round(share * len(texts))
    spoilt = [" ".join(word * (1 + i % 2) for i, word in enumerate(text.split())) for text in texts[:bad]]
    return spoilt + texts[bad:]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda texts, maps: (texts, []), "it has no attention, so there are no weights"),
        (lambda texts, maps: (some_wrong(texts, 0.6), maps), "asked for: it has learned, and could"),
        (lambda texts, maps: (some_wrong(texts, 0.9), maps), "asked for: it has hardly learned"),
        (lambda texts, maps: (texts[1:], maps), "each review should have one translation"),
        (lambda texts, maps: ([None] * len(texts), maps), "each review should have one translation"),
        (lambda texts, maps: (["bon"] * len(texts), maps), "its BLEU on"),
        (lambda texts, maps: (texts, maps[1:]), "no translation is right word for word, or some have no map"),
        (
            lambda texts, maps: ([f"{text} !" for text in texts], maps),
            "no translation is right word for word",
        ),
        (lambda texts, maps: (texts, ["a map"] * len(maps)), "does not sum to one"),
        (lambda texts, maps: (texts, [m[:-1] for m in maps]), "does not sum to one"),
        (lambda texts, maps: (texts, [m * np.nan for m in maps]), "does not sum to one"),
        (lambda texts, maps: (texts, [m[:, ::-1] for m in maps]), "its alignment error is"),
        (lambda texts, maps: ("bon", maps), "translations should be a list"),
    ],
)
def test_whatever_comes_back_gets_a_sentence(said_of, change, sentence):
    verdict = said_of(change)
    assert not verdict.passed and sentence.lower() in verdict.sentence.lower()


def test_reviews_stay_with_the_judge_and_are_new():
    for case in draw(CHECKS["translator"], 0):
        sent = decode(encode(case))
        assert case.kept["gold"] and sent.inputs == sent.kept == {}
    trained_on = set(encoded_reviews().corpus["train"].src)
    assert sum(src in trained_on for src in new_reviews(1_000, seed=3).src) < 10


def test_visible_reviews_stay_and_the_others_are_drawn_anew_with_an_allowance():
    (shown, hidden), (again, others) = (draw(CHECKS["translator"], seed) for seed in (0, 1))
    assert shown.visible and not hidden.visible
    assert shown.kept["sentences"] == again.kept["sentences"]
    assert set(hidden.kept["sentences"]).isdisjoint(others.kept["sentences"])
    assert (shown.kept["bleu"], shown.kept["error"]) == (BLEU, ERROR)
    assert hidden.kept["bleu"] == BLEU - ALLOWANCE["bleu"] > LEARNED
    assert hidden.kept["error"] == ERROR + ALLOWANCE["error"]
    assert len(shown.kept["sentences"]) == len(hidden.kept["sentences"]) == SIZE


# What the lesson says was measured


def test_the_lesson_says_what_was_measured():
    recorded = (harness.RESULTS / "exercise_03.txt").read_text("utf-8")
    lesson = exercise_03.LESSON.read_text("utf-8")
    assert f"BLEU of at least {BLEU}." in lesson and f"error of at most {ERROR}**" in lesson
    allowed = f"{BLEU - ALLOWANCE['bleu']} and {ERROR + ALLOWANCE['error']:.2f}"
    assert allowed in " ".join(lesson.split())
    scores, losses = recorded.split("loss of a batch")
    for name in exercise_03.ATTENTIONS:
        row = re.search(rf"^{name} +(\S+) +\S+ +\S+ +(\S+) +\S+ +(\S+) +\d+  (\d+) of (\d+)$", scores, re.M)
        least, low, high, passed, seeds = row.groups()
        span = "none" if low == "nan" else f"{low} to {high}"
        assert f'| `"{name}"` | {least} | {span} | {passed} of {seeds} |' in lesson
        if name != "initial":
            assert passed == seeds and float(least) >= BLEU + 5
    few = re.search(rf"^dot, {exercise_03.FEW} updates +(\S+)", scores, re.M)[1]
    assert f"BLEU of at least {few}" in " ".join(lesson.split())
    spans = dict(re.findall(r"(\d+): (\S+)", re.search(r"^dot  .*$", losses, re.M)[0]))
    for span in spans.values():
        assert span.replace("-", " to ") in lesson


def test_the_table_has_the_worst_of_the_seeds():
    runs = [
        dict(name="dot", seconds=10.0, bleu=90.0, exact=0.75, error=0.125, losses={0: 5.5, 9: 0.5}),
        dict(name="dot", seconds=12.0, bleu=60.0, exact=0.25, error=0.375, losses={0: 5.0, 9: 1.0}),
        dict(name="initial", seconds=6.0, bleu=20.0, exact=0.0, error=float("nan"), losses={0: 5.0, 9: 2.0}),
    ]
    *_, dot, initial, _, _, of_dot, of_initial = exercise_03.table({"runs": runs}).splitlines()
    assert dot.split() == ["dot", "60.0", "75.0", "50%", "0.125", "0.250", "0.375", "11", "1", "of", "2"]
    assert initial.split()[0] == "initial" and initial.endswith("0 of 1")
    assert of_dot.split() == ["dot", "0:", "5.00-5.50", "9:", "0.50-1.00"]
    assert of_initial.split() == ["initial", "0:", "5.00-5.00", "9:", "2.00-2.00"]


# The other checks: mistakes that the bank does not know


class NoisyWeights(models.Decoder):
    def forward(self, *inputs):
        logits, state, weights = super().forward(*inputs)
        return logits, state, weights * 0.9


class DetachedContext(models.Decoder):
    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        return super().forward(tgt_in, decoder_state, encoder_states.detach(), src_mask)


def gives_nothing(*inputs):
    CHECKS["train_step"].reference(*inputs)


def gives_all(model, batch, *settings):
    CHECKS["train_step"].reference(model, batch, *settings)
    return model(batch.src, batch.src_lengths, batch.tgt_in)


def twice_the_step(model, batch, optimizer, pad_id, max_norm):
    loss = CHECKS["train_step"].reference(model, batch, optimizer, pad_id, max_norm)
    optimizer.step()
    return loss


def lazily(model, encoded, sentences, max_len):
    return ((one.tokens, one.weights) for one in models.translate(model, encoded, sentences, max_len))


def first_alone(model, encoded, sentences, max_len):
    return [(one.tokens, one.weights) for one in models.translate(model, encoded, sentences[:1], max_len)]


def half_the_words(model, encoded, sentences, max_len):
    return [
        (one.tokens[: (len(one.tokens) + 1) // 2], one.weights)
        for one in models.translate(model, encoded, sentences, max_len)
    ]


@torch.no_grad()
def one_step_too_many(model, encoded, sentences, max_len):
    """As range(max_len + 1) does."""
    return CHECKS["translate"].reference(model, encoded, sentences, max_len + 1)


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("LuongDecoder", NoisyWeights, "The weights of a row do not sum to one"),
        ("LuongDecoder", DetachedContext, "no gradient reaches encoder_states"),
        ("train_step", gives_nothing, "train_step should return the loss of the batch, a number"),
        ("train_step", gives_all, "train_step should return the loss of the batch, a number"),
        ("train_step", twice_the_step, r"the furthest off is a number of \w+(\.\w+)+. It should have moved"),
        ("translate", lazily, "translate should give a list with one pair, .words, weights., for each"),
        ("translate", first_alone, "Return one pair for each sentence: got 1 for 2"),
        ("translate", half_the_words, "A map needs one row for each token that was written"),
        ("translate", one_step_too_many, r"max_len is \d+, and you wrote \d+"),
        ("translate", lambda *args: [("bon", None), ("bon", None)], "should be a list of text"),
    ],
)
def test_an_unknown_mistake_is_told_by_the_property_it_breaks(name, answer, message):
    assert re.search(message, str(examine(name, answer, cases="visible", seed=1)), re.IGNORECASE)


def test_sentences_that_end_and_those_that_are_cut_are_both_asked():
    """The cases of `translate` would be blind to the end token if no translation had one."""
    for seed in range(3):
        ended = cut = 0
        for case in draw(CHECKS["translate"], seed):
            (pairs,) = call(CHECKS["translate"].reference, case).outputs
            pairs = pairs if case.visible else []
            ended += any(0 < len(row) < len(seen) for row, seen in pairs)
            cut += any(len(row) == len(seen) for row, seen in pairs)
        assert ended >= 2 and cut >= 1
