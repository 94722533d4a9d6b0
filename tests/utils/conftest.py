import random

import pytest

from utils.data import Corpus, Split
from utils.explorer import export
from utils.text import EncodedCorpus


@pytest.fixture(scope="session")
def copy_corpus():
    """Build a tiny language whose translation is the sentence in capital letters."""
    rng = random.Random(0)

    def split(pairs):
        src = [" ".join(rng.choice("abcdefgh") for _ in range(rng.randint(2, 7))) for _ in range(pairs)]
        return Split(src, [sentence.upper() for sentence in src])

    return Corpus("letters", "en", "fr", {"train": split(160), "valid": split(24)}, "words", "none", "none")


@pytest.fixture(scope="session")
def encoded(copy_corpus):
    return EncodedCorpus(copy_corpus)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory):
    """The folder with the models that a page loads, beside that page."""
    return export.write_models(tmp_path_factory.mktemp("site") / "models")[0].parent


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """Use an empty cache folder, and no proxy for servers on this machine."""
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "cache"


@pytest.fixture
def offline(page):
    """Return a page that may not request anything from the network, nor raise an error."""
    requests, errors = [], []

    def refuse_network(route):
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            requests.append(route.request.url)
            route.abort()

    page.on("pageerror", lambda error: errors.append(error))
    page.route("**", refuse_network)
    page.set_default_timeout(10_000)
    yield page
    assert requests == errors == []
