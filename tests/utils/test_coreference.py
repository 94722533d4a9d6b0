"""The antecedent of "it", against sentences judged by hand, and the separation of the three lists."""

import pytest

from utils.data.coreference import ANIMALS, HELD_OUT, PLACES, load_coreference, make_sentence


@pytest.fixture(scope="module")
def lists():
    return load_coreference(train=1_500, valid=300, test=600)


def nouns(sentence):
    return frozenset((sentence.tokens[sentence.antecedent], sentence.tokens[sentence.other]))


@pytest.mark.parametrize(
    ("first", "verb", "second", "adjective", "antecedent", "kind"),
    [
        ("animal", "cross", "street", "tired", "animal", "sense"),
        ("animal", "cross", "street", "wide", "street", "sense"),
        ("street", "attract", "animal", "tired", "animal", "sense"),
        ("street", "attract", "animal", "wide", "street", "sense"),
        ("dog", "catch", "cat", "slow", "dog", "role"),
        ("dog", "catch", "cat", "fast", "cat", "role"),
        ("cat", "hear", "dog", "deaf", "cat", "role"),
        ("cat", "fear", "dog", "small", "dog", "role"),
    ],
)
def test_antecedent_is_the_noun_that_a_reader_would_choose(first, verb, second, adjective, antecedent, kind):
    sentence = make_sentence(first, verb, second, adjective, "that night", ("old", ""))
    assert str(sentence) == (
        f"that night the old {first} didn't {verb} the {second} because it was too {adjective}"
    )
    assert (sentence.tokens[sentence.it], sentence.kind) == ("it", kind)
    assert sentence.tokens[sentence.antecedent] == antecedent
    assert nouns(sentence) == {first, second}


@pytest.mark.parametrize(
    "words",
    [
        ("animal", "cross", "street", "slow"),
        ("street", "cross", "animal", "wide"),
        ("dog", "catch", "street", "slow"),
        ("dog", "sing", "cat", "tired"),
    ],
)
def test_sentences_outside_the_grammar_are_rejected(words):
    with pytest.raises(ValueError, match="expected a sentence of the grammar, got"):
        make_sentence(*words)


def test_lists_share_no_pair_of_nouns(lists):
    train, valid, test = ({nouns(sentence) for sentence in sentences} for sentences in lists)
    assert train.isdisjoint(valid)
    assert test.isdisjoint(train | valid)
    assert HELD_OUT in test
    assert frozenset.union(*train) == {*ANIMALS, *PLACES}
    assert [len(sentences) for sentences in lists] == [1_500, 300, 600]


def test_order_and_kind_are_no_clue(lists):
    for sentences in lists:
        assert len({sentence.tokens for sentence in sentences}) == len(sentences)
        for kind in ("sense", "role"):
            of_kind = [sentence for sentence in sentences if sentence.kind == kind]
            assert len(of_kind) == len(sentences) / 2
            first = sum(sentence.antecedent < sentence.other for sentence in of_kind) / len(of_kind)
            assert first == pytest.approx(0.5, abs=1.5 / len(of_kind) ** 0.5), "three standard deviations"
    assert len({sentence.it for sentence in lists[0]}) > 3, "the position of it varies"


def test_lists_depend_on_the_seed_alone(lists):
    assert load_coreference(train=1_500, valid=300, test=600) == lists
    assert load_coreference(train=1_500, valid=300, test=600, seed=1) != lists
