import random

import pytest

from utils.data import Corpus, Split


def make_copy_corpus():
    """Build a tiny language whose translation is the sentence in capital letters."""
    rng = random.Random(0)

    def split(pairs):
        src = [" ".join(rng.choice("abcdefgh") for _ in range(rng.randint(2, 7))) for _ in range(pairs)]
        return Split(src, [sentence.upper() for sentence in src])

    return Corpus("letters", "en", "fr", {"train": split(160), "valid": split(24)}, "words", "none", "none")


@pytest.fixture(scope="session")
def copy_corpus():
    return make_copy_corpus()


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """Use an empty cache folder, and no proxy for servers on this machine."""
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "cache"
