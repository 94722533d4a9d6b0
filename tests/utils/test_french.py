"""Classes and base forms of French words."""

from utils.data.french import CLASSES, MASCULINE, lemma, word_class
from utils.data.reviews import load_reviews


def test_no_word_has_two_classes():
    assert sum(map(len, CLASSES.values())) == len(set.union(*CLASSES.values()))


def test_classes_of_some_words():
    some = {
        "la": "article", "soupe": "noun", "n'": "negation", "froide": "adjective", "avons": "auxiliary",
        "aimé": "participle", "et": "other",
    }  # fmt: skip
    assert {word: word_class(word) for word in some} == some


def test_most_words_of_reviews_have_a_class():
    words = " ".join(load_reviews(train=200)["train"].tgt).split()
    assert sum(word_class(word) == "other" for word in words) < 0.4 * len(words)


def test_forms_of_a_word_share_a_lemma():
    assert lemma("froide") == lemma("froids") == "froid"
    assert lemma("la") == lemma("l'") == "le" and lemma("n'") == "ne" and lemma("soupe") == "soupe"
    assert MASCULINE["froide"] == "froid" and MASCULINE["froides"] == "froids"
    assert not set(MASCULINE) & set(MASCULINE.values())
