import gzip
import hashlib
from pathlib import Path

import pytest

from utils.data import load_multi30k, multi30k
from utils.data.download import DataError

from .loopback import serve

pytestmark = pytest.mark.usefixtures("data_folder")
SHARED = Path(__file__).parents[3] / "shared" / "data" / "multi30k"
PAIRS = {"train": 29_000, "valid": 1_014, "test_2016_flickr": 1_000, "test_2017_flickr": 1_000}
TOY = {"de": ["Ein Hund\u2028läuft.", "Zwei Kühe.", ""], "en": ["A dog runs.", "Two cows.", "So."]}


@pytest.fixture
def folder(data_folder):
    return data_folder / "multi30k"


@pytest.fixture
def toy_server(monkeypatch):
    """Serve a toy corpus with matching checksums. publish(language, bytes) replaces one side."""
    with serve({}) as server:

        def publish(language, text):
            server.files[f"mirror/val.{language}.gz"] = data = gzip.compress(text)
            monkeypatch.setitem(multi30k.SHA256, f"val.{language}.gz", hashlib.sha256(data).hexdigest())

        for language, sentences in TOY.items():
            publish(language, "".join(f"{sentence}\n" for sentence in sentences).encode())
        server.publish = publish
        monkeypatch.setitem(multi30k.SPLITS, "valid", ("val", 3))
        monkeypatch.setenv("ATTENTION_MULTI30K_URL", f"{server.url}/mirror/")
        yield server


def load(src="de", tgt="en", splits=("valid",)):
    return load_multi30k(src, tgt, splits, progress=False)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real files are not in {SHARED}")
def test_real_files_are_loaded_completely(folder, monkeypatch):
    real = {path.name: path.read_bytes() for path in SHARED.glob("*.gz")}
    with serve(real) as server:
        monkeypatch.setenv("ATTENTION_MULTI30K_URL", server.url)
        pairs = ("de", "en"), ("en", "fr"), ("fr", "de")
        corpora = {pair: load_multi30k(*pair, progress=False) for pair in pairs}
    assert sorted(server.asked) == sorted(f"/{name}" for name in real), "one request per file"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == real
    for (src, tgt), corpus in corpora.items():
        assert (corpus.src_lang, corpus.tgt_lang) == (src, tgt)
        assert {name: len(split) for name, split in corpus.splits.items()} == PAIRS
        for name, split in corpus.splits.items():
            stem = "val" if name == "valid" else name
            for language, sentences in ((src, split.src), (tgt, split.tgt)):
                text = "".join(f"{sentence}\n" for sentence in sentences)
                assert text.encode() == gzip.decompress(real[f"{stem}.{language}.gz"])
    load_multi30k("fr", "en", progress=False)  # from the cache, as the server is closed


def test_every_file_has_its_own_checksum():
    stems = {stem for stem, _ in multi30k.SPLITS.values()}
    assert multi30k.SHA256.keys() == {f"{stem}.{name}.gz" for stem in stems for name in multi30k.LANGUAGES}
    assert len({*map(bytes.fromhex, multi30k.SHA256.values())}) == len(multi30k.SHA256)


def test_corpus_has_its_sentences_and_its_origin(toy_server):
    corpus = load()
    assert (corpus["valid"].src, corpus["valid"].tgt) == (TOY["de"], TOY["en"])
    assert load("en", "de")["valid"].src == TOY["en"]
    assert corpus.tokenization == "moses"
    shown = repr(corpus)
    for fact in ("Multi30K: de to en", "3 pairs", "non-commercial", "Elliott", "github.com/multi30k/dataset"):
        assert fact in shown


def test_text_must_be_utf8(toy_server):
    toy_server.publish("de", "Kühe\n\n\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"val\.de\.gz is not gzipped UTF-8 text: delete it"):
        load()


@pytest.mark.parametrize("text", [b"one\n", b"one\ntwo\nthree\nfour\n"])
def test_sides_must_have_the_expected_number_of_lines(toy_server, text):
    toy_server.publish("en", text)
    with pytest.raises(DataError, match=r"val\.en\.gz has \d lines instead of 3: delete it"):
        load()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cs", "en"), "a language of Multi30K, de, en, fr, got 'cs'"),
        (("de", "EN"), "a language of Multi30K, de, en, fr, got 'EN'"),
        (("de", "de"), "expected two different languages, got 'de' twice"),
        (("de", "en", ("valid", "val")), "a split of Multi30K, train, valid, .*, got 'val'"),
        (("de", "en", "valid"), r"write \('valid',\)"),
    ],
)
def test_invalid_arguments_are_rejected_before_any_download(toy_server, arguments, message):
    with pytest.raises(ValueError, match=message):
        load(*arguments)
    assert toy_server.asked == []
