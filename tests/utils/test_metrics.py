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
    compare_systems,
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

REFERENCES = [
    f"the {food} was {taste} , and the {person} was n't {mood}"
    for food in ("soup", "tea", "fish", "bread")
    for taste in ("hot", "cold", "good")
    for person, mood in (("waiter", "kind"), ("cook", "there"))
]
WORSE = [text.replace("and the", "but a") if i % 2 else text for i, text in enumerate(REFERENCES)]
ONE_WORD_WORSE = [text.replace("hot", "warm") if i == 7 else text for i, text in enumerate(WORSE)]


# BLEU


def test_bleu_is_that_of_sacrebleu_with_an_interval():
    score = bleu(WORSE, REFERENCES)
    assert score.score == sacrebleu.corpus_bleu(WORSE, [REFERENCES], tokenize="none", force=True).score
    assert score.low < score.score < score.high
    assert score.signature.startswith("nrefs:1|bs:300|")
    assert "tok:none" in score.signature
    assert bleu(REFERENCES, REFERENCES).score == pytest.approx(100)
    assert str(score).endswith(f"{score.high:.1f}] on 24 sentences")


def test_bleu_interval_is_optional():
    assert math.isnan(bleu(WORSE, REFERENCES, n_bootstrap=0).low)
    narrow, wide = bleu(WORSE, REFERENCES, n_bootstrap=2), bleu(WORSE, REFERENCES)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


@pytest.mark.parametrize(
    ("references", "n_bootstrap", "message"),
    [
        (["a", "b"], 300, "got 1 hypotheses and 2 references"),
        (["a"], 1, "2 or more, or 0 for no interval, got 1"),
        (["a"], -1, "2 or more, or 0 for no interval, got -1"),
    ],
)
def test_bleu_rejects_invalid_arguments(references, n_bootstrap, message):
    with pytest.raises(ValueError, match=message):
        bleu(["a"], references, n_bootstrap=n_bootstrap)


def test_bleu_by_length_bins_sentences():
    hypotheses = ["a b c d"] * 2 + ["x y z w"] * 2 + ["a b c d"]
    rows = bleu_by_length([3, 3, 8, 9, 30], hypotheses, ["a b c d"] * 5, [1, 5, 10, 20, 40], n_bootstrap=0)
    scores = [(bounds, round(score.score), score.sentences) for bounds, score in rows]
    assert scores == [((1, 4), 100, 2), ((5, 9), 0, 2), ((20, 39), 100, 1)]


# Comparison of systems


def compare(system_a, system_b, n_samples=200):
    return compare_systems(REFERENCES, system_a, system_b, n_samples=n_samples)


def test_comparison_has_the_scores_and_intervals_of_bleu():
    found = compare(WORSE, ONE_WORD_WORSE)
    for name, system in (("a", WORSE), ("b", ONE_WORD_WORSE)):
        score = bleu(system, REFERENCES, n_bootstrap=200)
        assert found[f"bleu_{name}"] == pytest.approx(score.score)
        assert found[f"interval_{name}"] == pytest.approx((score.low, score.high))
    assert found["difference"] == pytest.approx(found["bleu_b"] - found["bleu_a"])


def test_comparison_tells_a_difference_from_noise():
    found, swapped = compare(WORSE, REFERENCES), compare(REFERENCES, WORSE)
    assert found["difference"] == -swapped["difference"] > 5
    assert found["p_value"] == swapped["p_value"] < 0.05
    assert not found["within_noise"] and not swapped["within_noise"]
    one = compare(WORSE, [text.replace("the", "a") if i == 3 else text for i, text in enumerate(WORSE)])
    assert one["difference"] != 0 and one["p_value"] >= 0.05 and one["within_noise"]
    same = compare(WORSE, list(WORSE))
    assert same["difference"] == 0 and same["p_value"] < 0.05 and same["within_noise"]


def test_comparison_can_tokenize():
    raw = ["It's cold, isn't it?", "Yes, it is."] * 5
    worse = ["It's cold isn't it", "Yes it is"] * 5
    words, tokens = (compare_systems(raw, worse, raw, tokenize, 50)["bleu_a"] for tokenize in ("none", "13a"))
    assert words < tokens


@pytest.mark.parametrize(("size", "size_b"), [(2, 1), (0, 0)])
def test_comparison_needs_lists_of_equal_length(size, size_b):
    with pytest.raises(ValueError, match=f"got {size} references, {size} sentences of A and {size_b} of B"):
        compare_systems(["a"] * size, ["a"] * size, ["a"] * size_b)


# Alignments


def test_hard_alignment_takes_the_largest_weight():
    weights = torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
    assert hard_alignment(weights) == {(1, 0), (0, 1)}
    assert hard_alignment(weights, shift=1) == {(2, 0), (1, 1)}
    assert hard_alignment(weights, shift=-1) == {(0, 0)}
    assert hard_alignment(torch.tensor([[0.25, 0.375, 0.375], [0.0, 0.0, 0.0]])) == {(1, 0), (0, 1)}


@pytest.mark.parametrize(
    ("sizes", "links"),
    [((3, 3), {(0, 0), (1, 1), (2, 2)}), ((2, 4), {(0, 0), (0, 1), (1, 2), (1, 3)}), ((4, 1), {(0, 0)})],
)
def test_diagonal_links_join_the_corners(sizes, links):
    assert diagonal_links(*sizes) == links


def test_link_map_is_the_inverse_of_hard_alignment():
    assert link_map({(0, 1), (2, 0), (2, 1)}, 2, 3).tolist() == [[0, 0, 1], [1, 0, 1]]
    assert hard_alignment(link_map({(0, 1), (2, 0)}, 2, 3)) == {(0, 1), (2, 0)}


def test_alignment_error_rate_by_hand():
    sure, possible = [{(0, 0), (1, 1)}], [{(0, 0), (1, 1), (2, 1)}]
    # A = {00, 21}: one of two is sure, both are possible, |A| + |S| = 4 -> 1 - 3/4
    assert alignment_error_rate([{(0, 0), (2, 1)}], sure, possible) == pytest.approx(0.25)
    assert alignment_error_rate(sure, sure) == 0
    assert alignment_error_rate([{(5, 5)}], sure) == 1
    # over a corpus, links are pooled, not averaged: A = 1 + 1, S = 2 + 1, hits 1 + 0
    assert alignment_error_rate([{(0, 0)}, {(3, 3)}], [*sure, {(1, 1)}]) == pytest.approx(1 - 2 / 5)
    with pytest.raises(ValueError, match="expected predicted or gold links, got none"):
        alignment_error_rate([set()], [set()])


def test_alignment_error_interval_resamples_sentences():
    predicted, sure = [{(0, 0)}, {(3, 3)}] * 20, [{(0, 0), (1, 1)}, {(1, 1)}] * 20
    rate, low, high = alignment_error_interval(predicted, sure)
    assert rate == pytest.approx(alignment_error_rate(predicted, sure)) == pytest.approx(1 - 2 / 5)
    assert 0.45 < low < rate - 0.05
    assert rate + 0.05 < high < 0.75
    assert alignment_error_interval(sure, sure) == (0, 0, 0)


def test_alignment_errors_shift_the_links():
    maps = [link_map({(1, 0), (2, 1)}, 2, 3), link_map({(0, 0)}, 1, 2)]
    gold = [{(0, 0), (1, 1)}, {(0, 0)}]
    # shift -1 hits both of the first and drops the link of the second: A = 2, S = 3
    assert alignment_errors(maps, gold) == pytest.approx({-1: 1 - 4 / 5, 0: 1 - 2 / 6, 1: 1})
    assert list(alignment_errors(maps, gold, shifts=(0,))) == [0]


def test_translation_scores_use_exact_translations_without_end_tokens():
    gold = Split(["a b", "c d"], ["w x y z", "w x y z"], [frozenset({(0, 0), (0, 1), (1, 2), (1, 3)})] * 2)
    all_right, half_right = torch.eye(3)[[0, 0, 1, 1, 2]], torch.eye(3)[[2, 0, 1, 0, 2]]
    half_right[0] = torch.tensor([0.1, 0.3, 0.6])  # most weight on the end token, then on the wrong word
    maps, exact = [all_right, half_right], ["w x y z", "w x y z"]
    assert translation_scores(exact, maps, gold) == pytest.approx((100, 0.25))
    score, error = translation_scores(["w x y z", "w x y y"], maps, gold)
    assert score < 100
    assert error == 0
    for no_maps in ([], [None, None]):
        assert translation_scores(exact, no_maps, gold) == pytest.approx((100, math.nan), nan_ok=True)
    assert math.isnan(translation_scores(["w", "w"], maps, gold)[1])


# Entropy and coverage

MASK = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])
ROWS = torch.tensor([[[1.0, 0.0, 0.0], [0.25, 0.25, 0.5]]])


def test_entropy_in_nats_ignores_padding():
    found = attention_entropy(ROWS.expand(3, 2, 3), MASK)
    by_hand = [[0.0, 1.5 * math.log(2)], [0.0, math.log(2)], [0.0, 0.0]]
    torch.testing.assert_close(found, torch.tensor(by_hand))
    assert torch.equal(attention_entropy(ROWS), found[:1])
    uniform = attention_entropy(torch.full((2, 3, 5), 0.2, dtype=torch.float64))
    torch.testing.assert_close(uniform, torch.full((2, 3), math.log(5), dtype=torch.float64))


def test_coverage_sums_over_target_rows():
    found = coverage(ROWS.expand(3, 2, 3), MASK)
    assert found.tolist() == [[1.25, 0.25, 0.5], [1.25, 0.25, 0.0], [0.0, 0.0, 0.0]]
    assert torch.equal(coverage(ROWS), found[:1])


# Recall and F1


@pytest.mark.parametrize(
    ("expected", "recall"),
    [
        ([[("vin",), ("vin",), ("pain",)], [("soupe",)]], 3 / 4),
        ([[("vin", "rouge"), ("rouge", "vin")], []], 1 / 2),
        ([[("rouge",)], [("soupe",), ("soupe",)]], 2 / 3),
        ([[("le", "vin", "rouge", "et", "le", "vin", "et")], [("la", "soupe")]], 1 / 2),
    ],
)
def test_recall_counts_expected_ngrams(expected, recall):
    assert ngram_recall(["le vin rouge et le vin", "la soupe"], expected) == pytest.approx(recall)


@pytest.mark.parametrize(
    ("texts", "ngrams", "message"),
    [(["a", "b"], [[("a",)]], "got 2 sentences, 1 lists"), (["a"], [[]], "and 0 n-grams")],
)
def test_recall_needs_ngrams_for_every_sentence(texts, ngrams, message):
    with pytest.raises(ValueError, match=message):
        ngram_recall(texts, ngrams)


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    found = ["pros", "view", ";", "cons", "bread"]
    expected = ["pros", "view", ";", "cons", "view", "bread", "tea"]
    precision, recall = 5 / 5, 5 / 7  # the second view and the tea are missing
    assert overlap_f1([found], [expected]) == pytest.approx(2 * precision * recall / (precision + recall))
    assert overlap_f1([["a", "b"], []], [["a", "d"], []]) == pytest.approx((1 / 2 + 1) / 2), "mean over texts"
    assert overlap_f1([["a"], []], [[], ["a"]]) == 0


@pytest.mark.parametrize("found", [[["a"]], []])
def test_f1_needs_as_many_found_as_expected_lists(found):
    with pytest.raises(ValueError, match=f"got {len(found)} and 0"):
        overlap_f1(found, [])


# Intervals


def test_mean_interval_is_that_of_student():
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == pytest.approx(2) == (low + high) / 2
    assert high - mean == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    assert mean_interval([7, 7, 7, 7]) == (7, 7, 7)


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 11, [[1.0, 2.0]]])
def test_mean_interval_needs_2_to_10_values(values):
    with pytest.raises(ValueError, match="expected a list of 2 to 10 values"):
        mean_interval(values)


@pytest.mark.parametrize("runs", range(2, 11))
def test_mean_interval_covers_95_percent_of_the_t_distribution(runs):
    values = [0.0] * (runs - 1) + [1.0]
    mean, _, high = mean_interval(values)
    quantile = (high - mean) * math.sqrt(runs) / torch.tensor(values).std().item()
    degrees, t = runs - 1, torch.linspace(0, quantile, 20_001, dtype=torch.float64)
    density = (1 + t**2 / degrees) ** (-(degrees + 1) / 2)
    scale = math.gamma((degrees + 1) / 2) / math.gamma(degrees / 2) / math.sqrt(degrees * math.pi)
    assert 2 * scale * torch.trapezoid(density, t).item() == pytest.approx(0.95, abs=1e-4)


def test_resampled_interval_draws_whole_groups():
    groups = [[0.0] * 50, [1.0] * 50] * 8  # 800 values, but only 16 independent groups
    mean, low, high = resampled_interval([*groups, []])
    assert mean == 0.5
    assert (high - low) / 2 == pytest.approx(1.96 * 0.5 / 4, rel=0.1)
    assert resampled_interval([group[0] for group in groups]) == (mean, low, high), "one number per group"
    assert resampled_interval([[1.0, 2.0, 3.0], [6.0]])[0] == 3, "every value has the same weight"
    assert resampled_interval([[7.0], [7.0, 7.0]]) == (7, 7, 7)


def test_resampled_interval_needs_a_value():
    with pytest.raises(ValueError, match="got only empty groups"):
        resampled_interval([[], []])
