import pytest
import torch

from utils.ibm_model1 import IBMModel1
from utils.data import load_reviews
from utils.metrics import alignment_error_rate, hard_alignment

SRC, TGT = [["a", "b"], ["a"]], [["x", "y"], ["x"]]


def test_one_round_by_hand():
    """In the first pair, x and y go to NULL, a and b by thirds; in the second, x to NULL and a by halves."""
    model = IBMModel1(SRC, TGT, rounds=1)
    by_hand = {(None, "x"): 5 / 7, (None, "y"): 2 / 7, ("a", "x"): 5 / 7, ("a", "y"): 2 / 7}
    by_hand |= {("b", "x"): 1 / 2, ("b", "y"): 1 / 2}
    assert {pair: model.probability(*pair) for pair in by_hand} == pytest.approx(by_hand)
    weights = model.weights(*SRC[:1], *TGT[:1])
    assert torch.allclose(weights, torch.tensor([[10 / 27, 7 / 27], [4 / 15, 7 / 15]]))


def test_probabilities_of_a_source_word_sum_to_one():
    model = IBMModel1(SRC, TGT, rounds=7)
    for source in (None, "a", "b"):
        assert model.probability(source, "x") + model.probability(source, "y") == pytest.approx(1)


def test_words_that_meet_more_often_win():
    src = [["the", "house"], ["the", "book"], ["a", "book"]]
    tgt = [["das", "Haus"], ["das", "Buch"], ["ein", "Buch"]]
    model = IBMModel1(src, tgt, rounds=20)
    for pair in zip(src, tgt, strict=True):
        assert hard_alignment(model.weights(*pair)) == {(0, 0), (1, 1)}


def test_unknown_words_have_no_share():
    model = IBMModel1(SRC, TGT)
    assert model.probability("a", "z") == model.probability("z", "x") == 0
    assert torch.equal(model.weights(["z"], ["x", "q"])[1], torch.zeros(1))
    assert model.weights([], ["x"]).shape == (1, 0)


def test_words_that_never_met_have_no_probability():
    model = IBMModel1([["a"], ["b"]], [["x"], ["y"]])
    assert model.probability("a", "y") == 0 < model.probability("a", "x")


def test_it_aligns_reviews_better_with_more_rounds():
    split = load_reviews(train=2_000, valid=0, test=0, long=0)["train"]
    src, tgt = ([text.split() for text in side] for side in (split.src, split.tgt))
    errors = []
    for rounds in (0, 1, 5):
        model = IBMModel1(src, tgt, rounds)
        maps = [model.weights(*pair) for pair in zip(src, tgt, strict=True)]
        errors.append(alignment_error_rate([hard_alignment(weights) for weights in maps], split.links))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.5


def test_lists_that_are_no_pairs_are_refused():
    for src, tgt in (([["a"]], []), ([], []), ([["a"]], [[]])):
        with pytest.raises(ValueError, match="pairs of sentences"):
            IBMModel1(src, tgt)
