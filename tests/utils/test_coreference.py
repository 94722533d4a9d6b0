"""Who "it" is, against sentences judged by hand; and that no two lists share a pair of nouns."""

import pytest

from utils.data.coreference import ANIMALS, HELD_OUT, PLACES, load_references, make_reference


@pytest.fixture(scope="module")
def lists():
    return load_references(train=1_500, valid=300, test=600)


def nouns(reference):
    return frozenset((reference.tokens[reference.meant], reference.tokens[reference.other]))


@pytest.mark.parametrize(
    ("first", "verb", "second", "adjective", "meant", "kind"),
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
def test_it_is_what_a_reader_takes_it_for(first, verb, second, adjective, meant, kind):
    reference = make_reference(first, verb, second, adjective, "that night", ("old", ""))
    assert str(reference) == (
        f"that night the old {first} didn't {verb} the {second} because it was too {adjective}"
    )
    assert reference.tokens[reference.it] == "it" and reference.kind == kind
    assert reference.tokens[reference.meant] == meant
    assert nouns(reference) == {first, second}


@pytest.mark.parametrize(
    "words",
    [
        ("animal", "cross", "street", "slow"),
        ("street", "cross", "animal", "wide"),
        ("dog", "catch", "street", "slow"),
        ("dog", "sing", "cat", "tired"),
    ],
)
def test_what_the_grammar_does_not_know_is_refused(words):
    with pytest.raises(ValueError, match="no rule for"):
        make_reference(*words)


def test_no_pair_of_nouns_is_in_two_lists(lists):
    train, valid, test = ({nouns(reference) for reference in some} for some in lists)
    assert not train & valid and not train & test and not valid & test and HELD_OUT in test
    assert {noun for pair in train for noun in pair} == {*ANIMALS, *PLACES}
    assert {len(some) for some in lists} == {1_500, 300, 600}


def test_neither_place_nor_kind_gives_the_answer_away(lists):
    for some in lists:
        assert len({reference.tokens for reference in some}) == len(some)
        for kind in ("sense", "role"):
            of_kind = [reference for reference in some if reference.kind == kind]
            assert len(of_kind) == len(some) / 2
            first = sum(reference.meant < reference.other for reference in of_kind) / len(of_kind)
            assert abs(first - 0.5) < 1.5 / len(of_kind) ** 0.5, "within three standard deviations of a coin"
    assert len({reference.it for reference in lists[0]}) > 3, "it has no fixed place"


def test_the_same_seed_gives_the_same_sentences(lists):
    assert load_references(train=1_500, valid=300, test=600) == lists
    assert load_references(train=1_500, valid=300, test=600, seed=1) != lists
