"""Classes and base forms of the French words in the reviews, for lessons that sort their results by them."""

from utils.data import reviews

_PAIRS = (("f", "m"), ("fp", "mp"))
# Feminine forms of adjectives, singular and plural, and their masculine forms, where the two differ.
MASCULINE = {
    adjective.forms[feminine]: adjective.forms[masculine]
    for adjective in reviews.LEXICON
    for feminine, masculine in _PAIRS
    if adjective.forms[feminine] != adjective.forms[masculine]
}
_ADJECTIVES = {form: word.forms["m"] for word in reviews.LEXICON for form in word.forms.values()}
_ARTICLES = {form: forms["m"] for forms in reviews.ARTICLES.values() for form in forms.values()}
_ELIDED = {"l'": "le", "d'": "de", "j'": "je", "c'": "ce", "n'": "ne", "qu'": "que"}
_SMALL = {"je", "j'", "nous", "ce", "c'", "à", "au", "aux", "de", "d'", "du", "des", "l'", *_ARTICLES}
CLASSES = {
    "noun": {word for noun in reviews.NOUN.values() for word in noun.phrase.fr} - _SMALL,
    "adjective": set(_ADJECTIVES),
    "participle": {verb.participle for verb in (*reviews.GUEST, *reviews.RESULT, *reviews.STAFF)},
    "auxiliary": {form for be in (reviews.WAS, reviews.IS, reviews.HAS) for form in be.values()},
    "negation": {"n'", "ne", "pas", "jamais"},
    "article": {"l'", *_ARTICLES},
}
CONTENT = ("noun", "adjective", "participle")


def word_class(word):
    """Return the class of a French word, one of `CLASSES`, or "other"."""
    return next((name for name, words in CLASSES.items() if word in words), "other")


def lemma(word):
    """Return one form for all forms of an adjective, an article, or a word that drops its vowel."""
    return (_ADJECTIVES | _ARTICLES | _ELIDED).get(word, word)
