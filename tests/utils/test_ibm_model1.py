import pytest
import torch

from utils.data import load_reviews
from utils.ibm_model1 import IBMModel1
from utils.metrics import alignment_error_rate, hard_alignment

SRC, TGT = [["a", "b"], ["a"]], [["x", "y"], ["x"]]


def test_one_round_by_hand():
    """In pair 1, NULL, a and b share x and y by thirds. In pair 2, NULL and a share x by halves."""
    model = IBMModel1(SRC, TGT, rounds=1)
    by_hand = {(None, "x"): 5 / 7, (None, "y"): 2 / 7, ("a", "x"): 5 / 7, ("a", "y"): 2 / 7}
    by_hand |= {("b", "x"): 1 / 2, ("b", "y"): 1 / 2}
    assert {pair: model.probability(*pair) for pair in by_hand} == pytest.approx(by_hand)
    torch.testing.assert_close(
        model.weights(SRC[0], TGT[0]), torch.tensor([[10 / 27, 7 / 27], [4 / 15, 7 / 15]])
    )


@pytest.mark.parametrize("source", [None, "a", "b"])
def test_probabilities_of_a_source_word_sum_to_one(source):
    model = IBMModel1(SRC, TGT, rounds=7)
    assert model.probability(source, "x") + model.probability(source, "y") == pytest.approx(1)


def test_words_that_occur_together_are_aligned():
    src = [["the", "house"], ["the", "book"], ["a", "book"]]
    tgt = [["das", "Haus"], ["das", "Buch"], ["ein", "Buch"]]
    model = IBMModel1(src, tgt, rounds=20)
    for pair in zip(src, tgt, strict=True):
        assert hard_alignment(model.weights(*pair)) == {(0, 0), (1, 1)}


def test_unknown_words_have_no_probability():
    model = IBMModel1(SRC, TGT)
    assert model.probability("a", "z") == model.probability("z", "x") == 0
    assert torch.equal(model.weights(["z"], ["x", "q"])[1], torch.zeros(1))
    assert model.weights([], ["x"]).shape == (1, 0)


def test_words_that_never_occur_together_have_no_probability():
    model = IBMModel1([["a"], ["b"]], [["x"], ["y"]])
    assert model.probability("a", "y") == 0 < model.probability("a", "x")


def test_more_rounds_align_reviews_better():
    split = load_reviews(train=1_000, valid=0, test=0, long=0)["train"]
    src, tgt = ([text.split() for text in side] for side in (split.src, split.tgt))
    errors = []
    for rounds in (0, 1, 5):
        model = IBMModel1(src, tgt, rounds)
        maps = [model.weights(*pair) for pair in zip(src[:200], tgt, strict=False)]
        errors.append(alignment_error_rate([hard_alignment(weights) for weights in maps], split.links[:200]))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.5


@pytest.mark.parametrize(("src", "tgt"), [([["a"]], []), ([], []), ([["a"]], [[]])])
def test_model_needs_parallel_sentences_with_words(src, tgt):
    message = f"got {len(src)} source and {len(tgt)} target sentences with 0 target words"
    with pytest.raises(ValueError, match=message):
        IBMModel1(src, tgt)
