import gzip
import hashlib
from pathlib import Path

import pytest

from utils.data import load_multi30k, multi30k
from utils.data.download import DataError

from .loopback import serve

SHARED = Path(__file__).parents[3] / "shared" / "data" / "multi30k"
PAIRS = {"train": 29_000, "valid": 1_014, "test_2016_flickr": 1_000, "test_2017_flickr": 1_000}
MADE_UP = {"de": ["Ein Hund\u2028läuft.", "Zwei Kühe.", ""], "en": ["A dog runs.", "Two cows.", "So."]}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "multi30k"


@pytest.fixture
def made_up(monkeypatch):
    """Serve a small corpus, and make the pins fit it: publish(language, bytes) puts other bytes there."""
    with serve({}) as server:
        pins = {}

        def publish(language, text):
            server.files[f"mirror/val.{language}.gz"] = data = gzip.compress(text)
            pins[language] = hashlib.sha256(data).hexdigest()

        for language, sentences in MADE_UP.items():
            publish(language, "".join(f"{sentence}\n" for sentence in sentences).encode())
        server.publish = publish
        monkeypatch.setitem(multi30k.SPLITS, "valid", ("val", 3, pins))
        monkeypatch.setenv("ATTENTION_MULTI30K_URL", f"{server.url}/mirror/")
        yield server


def load(src="de", tgt="en", splits=("valid",)):
    return load_multi30k(src, tgt, splits, progress=False)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real files are not beside the repository: no {SHARED}")
def test_the_real_files(folder, monkeypatch):
    real = {path.name: path.read_bytes() for path in SHARED.glob("*.gz")}
    with serve(real) as server:
        monkeypatch.setenv("ATTENTION_MULTI30K_URL", server.url)
        pairs = ("de", "en"), ("en", "fr"), ("fr", "de")
        corpora = {pair: load_multi30k(*pair, progress=False) for pair in pairs}
    assert sorted(server.asked) == sorted(f"/{name}" for name in real)  # each file once
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == real
    for (src, tgt), corpus in corpora.items():
        assert (corpus.src_lang, corpus.tgt_lang) == (src, tgt)
        assert {name: len(split) for name, split in corpus.splits.items()} == PAIRS
        for name, split in corpus.splits.items():
            stem = "val" if name == "valid" else name
            for language, sentences in ((src, split.src), (tgt, split.tgt)):
                text = "".join(f"{sentence}\n" for sentence in sentences)
                assert text.encode() == gzip.decompress(real[f"{stem}.{language}.gz"])
    load_multi30k("fr", "en", progress=False)  # all there: the server is gone, and nobody asks for it


def test_the_pins_are_whole():
    assert {name: count for name, (_, count, _) in multi30k.SPLITS.items()} == PAIRS | {
        "test_2017_mscoco": 461,
        "test_2018_flickr": 1_071,
    }
    pins = [pin for _, _, pins in multi30k.SPLITS.values() for pin in pins.values()]
    assert all(tuple(pins) == multi30k.LANGUAGES for _, _, pins in multi30k.SPLITS.values())
    assert len(set(pins)) == len(pins) == 18
    assert all(len(bytes.fromhex(pin)) == 32 for pin in pins)
    assert multi30k.COMMIT in multi30k.URL


def test_a_corpus_keeps_its_sentences_and_says_where_it_comes_from(made_up):
    corpus = load()
    assert corpus["valid"].src == MADE_UP["de"]
    assert corpus["valid"].tgt == MADE_UP["en"]
    assert corpus["valid"].links is None
    assert load("en", "de")["valid"].src == MADE_UP["en"]
    assert corpus.tokenization == "moses"
    shown = repr(corpus)
    for fact in ("Multi30K: de to en", "3 pairs", "non-commercial", "Elliott", "github.com/multi30k/dataset"):
        assert fact in shown


def test_a_failed_load_goes_on_where_it_stopped(made_up, folder):
    english = made_up.files.pop("mirror/val.en.gz")
    with pytest.raises(DataError, match=r"^val\.en\.gz could not be downloaded because .* answered 404"):
        load()
    assert [path.name for path in folder.iterdir()] == ["val.de.gz"]
    made_up.files["mirror/val.en.gz"] = english
    assert load()["valid"].tgt == MADE_UP["en"]
    assert made_up.asked.count("/mirror/val.de.gz") == 1


def test_text_that_is_not_utf8(made_up):
    made_up.publish("de", "Kühe\n\n\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"val\.de\.gz is not gzip text in UTF-8: delete it"):
        load()


@pytest.mark.parametrize("text", [b"one\n", b"one\ntwo\nthree\nfour\n"])
def test_a_side_with_another_number_of_lines(made_up, text):
    made_up.publish("en", text)
    with pytest.raises(DataError, match=r"val\.en\.gz has \d lines and not 3: delete it"):
        load()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cs", "en"), "no language 'cs': choose from de, en, fr"),
        (("de", "EN"), "no language 'EN': choose from de, en, fr"),
        (("de", "de"), "choose two different languages"),
        (("de", "en", ("valid", "val")), "no split 'val': choose from train, valid, test_2016_flickr"),
        (("de", "en", "valid"), r"write \('valid',\)"),
    ],
)
def test_names_that_do_not_exist(made_up, arguments, message):
    with pytest.raises(ValueError, match=message):
        load(*arguments)
    assert made_up.asked == []  # told before anything is downloaded
