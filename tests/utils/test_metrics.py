import math

import pytest
import sacrebleu
import torch

from utils.data import Split
from utils.metrics import (
    alignment_error_interval,
    alignment_error_rate,
    alignment_errors,
    attention_entropy,
    bleu,
    bleu_by_length,
    coverage,
    diagonal_links,
    hard_alignment,
    link_map,
    mean_interval,
    ngram_recall,
    overlap_f1,
    resampled_interval,
    translation_scores,
)

REFERENCES = [f"the {a} was {b} and the {c} was cold" for a in "abcd" for b in "efg" for c in "hij"]
HYPOTHESES = [
    r if i % 3 else r.replace("cold", "hot").replace("and", "but") for i, r in enumerate(REFERENCES)
]


def test_bleu_is_sacrebleus_with_an_interval_around_it():
    score = bleu(HYPOTHESES, REFERENCES)
    assert score.score == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], tokenize="none", force=True).score
    assert score.low < score.score < score.high
    assert score.signature.startswith("nrefs:1|bs:300|") and "tok:none" in score.signature
    assert bleu(REFERENCES, REFERENCES).score == pytest.approx(100)
    assert math.isnan(bleu(HYPOTHESES, REFERENCES, n_bootstrap=0).low)


def test_bleu_refuses_lists_that_do_not_match():
    with pytest.raises(ValueError, match="1 hypotheses, 2 references"):
        bleu(["a"], ["a", "b"])


@pytest.mark.parametrize("n_bootstrap", [1, -1])
def test_an_interval_needs_two_resamplings(n_bootstrap):
    with pytest.raises(ValueError, match="2 or more, or 0 for no interval"):
        bleu(HYPOTHESES, REFERENCES, n_bootstrap=n_bootstrap)
    assert bleu(HYPOTHESES, REFERENCES, n_bootstrap=2).low <= bleu(HYPOTHESES, REFERENCES).high


def test_bleu_by_length_parts_the_sentences():
    lengths = [3, 3, 8, 9, 30]
    hypotheses = ["a b c d"] * 2 + ["x y z w"] * 2 + ["a b c d"]
    rows = bleu_by_length(lengths, hypotheses, ["a b c d"] * 5, [1, 5, 10, 20, 40], n_bootstrap=0)
    assert [bounds for bounds, _ in rows] == [(1, 4), (5, 9), (20, 39)]
    assert [score.sentences for _, score in rows] == [2, 2, 1]
    assert [round(score.score) for _, score in rows] == [100, 0, 100]


def test_hard_alignment_takes_the_largest_weight_and_shift():
    weights = torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
    assert hard_alignment(weights) == {(1, 0), (0, 1)}
    assert hard_alignment(weights, shift=1) == {(2, 0), (1, 1)}
    assert hard_alignment(weights, shift=-1) == {(0, 0)}
    assert hard_alignment(torch.tensor([[0.25, 0.375, 0.375], [0.0, 0.0, 0.0]])) == {(1, 0), (0, 1)}


def test_diagonal_goes_from_corner_to_corner():
    assert diagonal_links(3, 3) == {(0, 0), (1, 1), (2, 2)}
    assert diagonal_links(2, 4) == {(0, 0), (0, 1), (1, 2), (1, 3)}
    assert diagonal_links(4, 1) == {(0, 0)}


def test_alignment_error_rate_by_hand():
    sure, possible = [{(0, 0), (1, 1)}], [{(0, 0), (1, 1), (2, 1)}]
    # A = {00, 21}: one of two is sure, both are possible, |A| + |S| = 4 -> 1 - 3/4
    assert alignment_error_rate([{(0, 0), (2, 1)}], sure, possible) == pytest.approx(0.25)
    assert alignment_error_rate(sure, sure) == 0
    assert alignment_error_rate([{(5, 5)}], sure) == 1
    # over a corpus, links are pooled, not averaged: A = 1 + 1, S = 2 + 1, hits 1 + 0
    assert alignment_error_rate([{(0, 0)}, {(3, 3)}], [*sure, {(1, 1)}]) == pytest.approx(1 - 2 / 5)
    with pytest.raises(ValueError, match="no link"):
        alignment_error_rate([set()], [set()])


def test_the_interval_of_the_error_is_of_whole_sentences():
    predicted, sure = [{(0, 0)}, {(3, 3)}] * 20, [{(0, 0), (1, 1)}, {(1, 1)}] * 20
    rate, low, high = alignment_error_interval(predicted, sure)
    assert rate == pytest.approx(alignment_error_rate(predicted, sure)) == pytest.approx(1 - 2 / 5)
    assert 0.45 < low < rate - 0.05 and rate + 0.05 < high < 0.75
    assert alignment_error_interval(sure, sure) == (0, 0, 0)


MASK = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])
ROWS = torch.tensor([[[1.0, 0.0, 0.0], [0.25, 0.25, 0.5]]])


def test_entropy_by_hand_in_nats_without_padding():
    found = attention_entropy(ROWS.expand(3, 2, 3), MASK)
    by_hand = [[0.0, 1.5 * math.log(2)], [0.0, math.log(2)], [0.0, 0.0]]
    assert torch.allclose(found, torch.tensor(by_hand))
    assert torch.equal(attention_entropy(ROWS), found[:1])
    even = attention_entropy(torch.full((2, 3, 5), 0.2, dtype=torch.float64))
    assert even.shape == (2, 3) and torch.allclose(even, torch.full_like(even, math.log(5)))


def test_coverage_adds_up_what_each_source_token_receives():
    found = coverage(ROWS.expand(3, 2, 3), MASK)
    assert found.tolist() == [[1.25, 0.25, 0.5], [1.25, 0.25, 0.0], [0.0, 0.0, 0.0]]
    assert torch.equal(coverage(ROWS), found[:1])
    weights = torch.rand(2, 3, 5, dtype=torch.float64).softmax(-1)
    assert torch.allclose(coverage(weights).sum(-1), torch.tensor(3.0, dtype=torch.float64))


def test_maps_count_where_the_translation_is_right_and_without_their_end_tokens():
    gold = Split(["a b", "c d"], ["w x y z", "w x y z"], [frozenset({(0, 0), (0, 1), (1, 2), (1, 3)})] * 2)
    source, other = torch.eye(3)[[0, 0, 1, 1, 2]], torch.eye(3)[[2, 0, 1, 0, 2]]
    other[0] = torch.tensor(
        [0.1, 0.3, 0.6]
    )  # most on the end token, and more on the wrong word than the right
    maps = [source, other]  # all right, and two of four
    right = ["w x y z", "w x y z"]
    score, error = translation_scores(right, maps, gold)
    assert score == pytest.approx(100)
    assert error == pytest.approx(0.25)
    score, error = translation_scores(["w x y z", "w x y y"], maps, gold)
    assert score < 100 and error == 0
    for without in (translation_scores(right, [], gold), translation_scores(right, [None, None], gold)):
        assert without[0] == pytest.approx(100) and math.isnan(without[1])
    assert math.isnan(translation_scores(["w", "w"], maps, gold)[1])


def test_recall_counts_wanted_ngrams_that_are_written():
    written = ["le vin rouge et le vin", "la soupe"]
    assert ngram_recall(written, [[("vin",), ("vin",), ("pain",)], [("soupe",)]]) == pytest.approx(3 / 4)
    assert ngram_recall(written, [[("vin", "rouge"), ("rouge", "vin")], []]) == pytest.approx(1 / 2)
    assert ngram_recall(written, [[("rouge",)], [("soupe",), ("soupe",)]]) == pytest.approx(2 / 3)
    assert ngram_recall(["", "a"], [[("a",)], [("a", "b")]]) == 0


def test_recall_refuses_what_it_cannot_answer():
    with pytest.raises(ValueError, match="2 sentences, 1 lists"):
        ngram_recall(["a", "b"], [[("a",)]])
    with pytest.raises(ValueError, match="0 n-grams"):
        ngram_recall(["a"], [[]])


def test_overlap_is_the_harmonic_mean_of_precision_and_recall():
    found = ["pros", "view", ";", "cons", "bread", "tea"]
    wanted = ["pros", "view", ";", "cons", "view", "bread"]
    precision, recall = 5 / 6, 5 / 6  # tea is too much, the second view is missing
    assert overlap_f1([found], [wanted]) == pytest.approx(2 * precision * recall / (precision + recall))
    precision, recall = 1 / 3, 1 / 2
    one_of_three = 2 * precision * recall / (precision + recall)
    assert overlap_f1([["a", "b", "c"], []], [["a", "d"], []]) == pytest.approx((one_of_three + 1) / 2)
    assert overlap_f1([["a"], []], [[], ["a"]]) == 0


def test_overlap_refuses_texts_that_do_not_pair_up():
    for found, wanted in ([["a"]], []), ([], []):
        with pytest.raises(ValueError, match=f"{len(found)} found, 0 wanted"):
            overlap_f1(found, wanted)


def test_interval_of_a_mean_is_students():
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx(2) and (low + high) / 2 == pytest.approx(2)
    assert high - mean == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    assert mean_interval([7, 7, 7, 7]) == (7, 7, 7)
    for values in ([], [1.0], [1.0] * 11, [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="2 to 10"):
            mean_interval(values)


@pytest.mark.parametrize("runs", range(2, 11))
def test_interval_holds_the_true_mean_as_often_as_it_says(runs):
    """Integrated under Student's density: 95% of it lies within the quantile that is used."""
    _, _, high = mean_interval([0.0] * (runs - 1) + [1.0])
    spread = torch.tensor([0.0] * (runs - 1) + [1.0]).std().item()
    quantile = (high - 1 / runs) * math.sqrt(runs) / spread
    freedom, t = runs - 1, torch.linspace(0, quantile, 20_001, dtype=torch.float64)
    density = (1 + t**2 / freedom) ** (-(freedom + 1) / 2)
    scale = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)
    assert 2 * scale * torch.trapezoid(density, t).item() == pytest.approx(0.95, abs=1e-4)


def test_resampling_draws_groups_and_not_their_values():
    groups = [[0.0] * 50, [1.0] * 50] * 8  # 800 values, but only 16 independent groups
    mean, low, high = resampled_interval([*groups, []])
    assert mean == 0.5 and (high - low) / 2 == pytest.approx(1.96 * 0.5 / 4, rel=0.1)
    assert resampled_interval([group[0] for group in groups]) == (mean, low, high), "one number each"
    assert resampled_interval([[1.0, 2.0, 3.0], [6.0]])[0] == 3, "each value counts alike"
    assert resampled_interval([[7.0], [7.0, 7.0]]) == (7, 7, 7)
    with pytest.raises(ValueError, match="a group with a value"):
        resampled_interval([[], []])


def test_links_come_back_from_their_map():
    links = {(0, 1), (2, 0), (2, 1)}
    weights = link_map(links, 2, 3)
    assert weights.tolist() == [[0, 0, 1], [1, 0, 1]]
    assert hard_alignment(link_map({(0, 1), (2, 0)}, 2, 3)) == {(0, 1), (2, 0)}


def test_errors_at_each_shift_are_those_of_the_shifted_links():
    maps = [link_map({(1, 0), (2, 1)}, 2, 3), link_map({(0, 0)}, 1, 2)]
    gold = [{(0, 0), (1, 1)}, {(0, 0)}]
    # shift -1 hits both of the first and drops the link of the second: A = 2, S = 3
    assert alignment_errors(maps, gold) == pytest.approx({-1: 1 - 4 / 5, 0: 1 - 2 / 6, 1: 1})
    assert list(alignment_errors(maps, gold, shifts=(0,))) == [0]
