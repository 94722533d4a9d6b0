import random

import pytest

from utils.data import Corpus, Split


def make_copy_corpus():
    """A tiny language: each letter becomes its capital, word by word."""
    rng = random.Random(0)

    def split(pairs):
        src = [" ".join(rng.choice("abcdefgh") for _ in range(rng.randint(2, 7))) for _ in range(pairs)]
        return Split(src, [sentence.upper() for sentence in src])

    return Corpus("letters", "en", "fr", {"train": split(160), "valid": split(24)}, "words", "none", "none")


@pytest.fixture(scope="session")
def copy_corpus():
    return make_copy_corpus()
