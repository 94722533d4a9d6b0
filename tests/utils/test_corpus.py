import re

import pytest

from utils.data import Corpus, Split

SPLIT = Split(
    src=["a b c", "d", "e f"],
    tgt=["A B C", "D", "F E"],
    links=[frozenset({(0, 0), (1, 1), (2, 2)}), frozenset({(0, 0)}), frozenset({(0, 1), (1, 0)})],
    clauses=[2, 1, 1],
)
CORPUS = Corpus("toy", "en", "fr", {"train": SPLIT, "test": Split([], [])}, "words", "CC0", "Me (2020)")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(slice(1, 3), [1, 2]), (slice(None, None, -2), [2, 0]), ([2, 0, 2], [2, 0, 2]), (slice(9, None), [])],
)
def test_rows_keep_their_links_and_clauses(rows, expected):
    chosen = SPLIT[rows]
    assert len(chosen) == len(expected)
    for column in ("src", "tgt", "links", "clauses"):
        assert getattr(chosen, column) == [getattr(SPLIT, column)[row] for row in expected]


def test_rows_of_a_split_without_gold_have_none():
    chosen = Split(["a", "b"], ["A", "B"])[:1]
    assert (chosen.src, chosen.tgt, chosen.links, chosen.clauses) == (["a"], ["A"], None, None)


@pytest.mark.parametrize(
    ("column", "value"), [("tgt", ["c"]), ("links", [frozenset()] * 3), ("clauses", [1])]
)
def test_split_columns_must_have_equal_lengths(column, value):
    with pytest.raises(ValueError, match=f"got 2 in src and {len(value)} in {column}"):
        Split(**{"src": ["a", "b"], "tgt": ["A", "B"], column: value})


def test_words_are_the_extremes_of_the_source():
    assert SPLIT.words == (1, 3)
    assert Split(["", "a b"], ["", ""]).words == (0, 2)
    assert Split([], []).words is None


def test_corpus_returns_its_splits_by_name():
    assert CORPUS["train"] is SPLIT
    with pytest.raises(KeyError, match="toy has no split 'valid': choose from train, test"):
        CORPUS["valid"]


def test_corpus_prints_its_splits_and_its_origin():
    title, train, test, *origin = repr(CORPUS).splitlines()
    assert title == "toy: en to fr"
    assert re.fullmatch(r"  train +3 pairs, 1 to 3 source words, gold alignments", train)
    assert re.fullmatch(r"  test +0 pairs, empty", test)
    assert origin == ["  license: CC0", "  cite: Me (2020)"]


def test_corpus_prints_its_home_and_notes_if_there_are_any():
    corpus = Corpus("toy", "en", "fr", {}, "words", "CC0", "Me", home="https://toy.example", notes="small")
    assert repr(corpus).splitlines()[-2:] == ["  home: https://toy.example", "  notes: small"]
