import pytest

from utils.metrics import bleu, compare_systems

REFERENCES = [
    f"the {food} was {taste} , and the {person} was n't {mood}"
    for food in ("soup", "tea", "fish", "bread")
    for taste in ("hot", "cold", "good")
    for person, mood in (("waiter", "kind"), ("cook", "there"))
]
WORSE = [r.replace("and the", "but a") if i % 2 else r for i, r in enumerate(REFERENCES)]
A_WORD = [r.replace("hot", "warm") if i == 7 else r for i, r in enumerate(WORSE)]


def test_scores_and_intervals_are_those_of_bleu():
    found = compare_systems(REFERENCES, WORSE, A_WORD, n_samples=200)
    for name, system in (("a", WORSE), ("b", A_WORD)):
        score = bleu(system, REFERENCES, n_bootstrap=200)
        assert found[f"bleu_{name}"] == pytest.approx(score.score)
        assert found[f"interval_{name}"] == pytest.approx((score.low, score.high))
    assert found["difference"] == pytest.approx(found["bleu_b"] - found["bleu_a"])


def test_the_better_system_wins_in_either_order():
    found = compare_systems(REFERENCES, WORSE, REFERENCES, n_samples=200)
    back = compare_systems(REFERENCES, REFERENCES, WORSE, n_samples=200)
    assert found["difference"] > 5 and found["difference"] == -back["difference"]
    assert found["p_value"] == back["p_value"] < 0.05
    assert not found["within_noise"] and not back["within_noise"]


def test_one_sentence_of_many_is_within_noise():
    system = [r.replace("the", "a") if i == 3 else r for i, r in enumerate(WORSE)]
    found = compare_systems(REFERENCES, WORSE, system, n_samples=200)
    assert found["difference"] != 0 and found["p_value"] >= 0.05 and found["within_noise"]


def test_a_system_against_itself_is_within_noise():
    found = compare_systems(REFERENCES, WORSE, list(WORSE), n_samples=200)
    assert found["difference"] == 0 and found["within_noise"]
    assert found["p_value"] < 0.05  # which is why the difference is looked at


def test_the_same_sentences_tell_more_than_two_intervals():
    """B mends one kind of word in every third sentence: the intervals overlap, and it is no luck."""
    spoilt = [" ".join(r.split()[: 5 + i % 6]) for i, r in enumerate(REFERENCES)]
    mended = [s.replace("was hot", "is hot").replace("was good", "is good") for s in spoilt]
    found = compare_systems(REFERENCES, mended, spoilt, n_samples=200)
    assert found["interval_a"][1] > found["interval_b"][0]
    assert not found["within_noise"]


def test_tokens_are_taken_as_they_are_unless_told():
    raw = ["It's cold, isn't it?", "Yes, it is."] * 5
    spoilt = ["It's cold isn't it", "Yes it is"] * 5
    none = compare_systems(raw, spoilt, raw, n_samples=50)
    assert none["bleu_a"] < compare_systems(raw, spoilt, raw, tokenize="13a", n_samples=50)["bleu_a"]


def test_lists_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="2 references, 2 sentences of A and 1 of B"):
        compare_systems(["a", "b"], ["a", "b"], ["a"])
    with pytest.raises(ValueError, match="0 references"):
        compare_systems([], [], [])
