import io
import random
import zipfile
from pathlib import Path

import pytest

from utils.data import download, load_opensubtitles, opensubtitles
from utils.data.download import DataError

from .loopback import serve

pytestmark = pytest.mark.usefixtures("data_folder")
SHARED = Path(__file__).parents[3] / "shared" / "data" / "opensubtitles"
real = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real files are not in {SHARED}")
V1, V2018 = (f"OPUS-OpenSubtitles/{version}/moses/de-en.txt.zip" for version in ("v1", "v2018"))
PAIRS = [(f"Satz {number}.", f"Sentence {number}.") for number in range(12)]


@pytest.fixture
def folder(data_folder):
    return data_folder / "opensubtitles"


@pytest.fixture
def opus(monkeypatch):
    with serve({}) as server:
        monkeypatch.setenv("ATTENTION_OPUS_URL", f"{server.url}/OPUS-OpenSubtitles/")
        yield server


@pytest.fixture
def toy_opus(opus, monkeypatch):
    """Serve PAIRS as both versions, with two pairs each for test and valid."""
    for name in ("TEST", "VALID"):
        monkeypatch.setattr(opensubtitles, name, 2)
    opus.files |= {V1: archive(PAIRS), V2018: archive(PAIRS)}
    return opus


def text(sentences):
    return b"".join((s if isinstance(s, bytes) else s.encode()) + b"\n" for s in sentences)


def archive(pairs=None, method=zipfile.ZIP_DEFLATED, **sides):
    """Build a zip like those of OPUS, from pairs or from the text of each side."""
    if pairs is not None:
        de, en = zip(*pairs, strict=True)
        sides = {"de": text(de), "en": text(en)}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        file.writestr("README", "toy")
        for language, data in sides.items():
            file.writestr(f"OpenSubtitles.{'-'.join(sides)}.{language}", data)
        file.writestr(f"OpenSubtitles.{'-'.join(sides)}.ids", b"x\n" * 10)
    return made.getvalue()


def load(src="de", tgt="en", pairs=None, version="v2018"):
    return load_opensubtitles(src, tgt, pairs, version, progress=False)


def pairs_of(split):
    return list(zip(split.src, split.tgt, strict=True))


@real
def test_real_text_is_loaded_in_order(opus, folder):
    sides = {language: (SHARED / f"de-en.{language}").read_bytes() for language in ("de", "en")}
    opus.files |= {V1: archive(**sides), V2018: archive(**sides)}
    lines = (side.decode().removesuffix("\n").split("\n") for side in sides.values())
    expected = list(zip(*lines, strict=True))
    whole, start = load(version="v1"), load(pairs=5_000)
    stripped = [tuple(side.strip() for side in pair) for pair in expected]
    useful = [pair for pair in stripped if all(pair)]
    held_out = set(useful[:2_000])
    train = [pair for pair in useful[2_000:] if pair not in held_out]
    assert len(train) > 30_000
    for corpus, pairs in (whole, train), (start, train[:5_000]):
        assert pairs_of(corpus["test"]) == useful[:1_000]
        assert pairs_of(corpus["valid"]) == useful[1_000:2_000]
        assert pairs_of(corpus["train"]) == pairs
    asked = len(opus.asked)
    back = load("en", "de", pairs=5_000)
    assert back["test"].src == start["test"].tgt
    assert list(back["train"].tgt) == list(start["train"].src)
    assert len(opus.asked) == asked, "both directions share one download"
    assert sorted(path.name for path in folder.iterdir()) == ["v1-de-en-all", "v2018-de-en-5000"]


@real
def test_other_languages_can_be_loaded(opus):
    sides = {language: (SHARED / f"en-fr.{language}").read_bytes() for language in ("en", "fr")}
    opus.files[V2018.replace("de-en", "en-fr")] = archive(**sides)
    corpus = load("fr", "en", 500)
    assert (corpus.src_lang, corpus.tgt_lang, len(corpus["train"])) == ("fr", "en", 500)
    assert corpus["test"].tgt[:9] == [line.strip() for line in sides["en"].decode().split("\n")[:9]]


def test_only_the_start_of_a_large_file_is_downloaded(opus):
    """The file has 44 MB. 1.2 MB are needed, and each of two sockets buffers a few MB."""
    words = " ".join(map(str, range(100)))
    pairs = [(f"{number} {words}", f"{words} {number}") for number in range(75_000)]
    opus.files[V2018] = archive(pairs, zipfile.ZIP_STORED)
    size = len(opus.files[V2018])
    assert size > 44e6
    corpus = load(pairs=1_000)
    assert pairs_of(corpus["train"]) == pairs[2_000:3_000]
    assert opus.sent < size / 2


def test_corpus_has_its_sentences_and_its_origin(toy_opus):
    corpus = load()
    assert pairs_of(corpus["test"]) == PAIRS[:2]
    assert pairs_of(corpus["valid"]) == PAIRS[2:4]
    assert pairs_of(corpus["train"]) == PAIRS[4:]
    assert corpus.tokenization == "moses"
    shown = repr(corpus)
    for fact in ("OpenSubtitles v2018: de to en", "8 pairs", "Lison", "opensubtitles.org", "left out: none"):
        assert fact in shown


def test_cached_corpus_needs_no_network(toy_opus):
    load(version="v1")
    toy_opus.mode = 503
    asked = len(toy_opus.asked)
    assert pairs_of(load(version="v1")["train"]) == PAIRS[4:]
    with pytest.raises(DataError, match="answered 503"):
        load(version="v1", pairs=3)
    assert len(toy_opus.asked) == asked + 1


def test_useless_pairs_are_dropped_and_counted(toy_opus, monkeypatch):
    monkeypatch.setattr(opensubtitles, "MAX_LINE", 2**14)
    bad = [
        ("", "Empty."),
        ("Leer.", "   "),
        ("Kühe".encode("latin-1"), "Cows."),
        ("Lang " * 10_000, "Long."),  # several times the longest line
        ("Lang.", b"\xff" * 100_000),
        PAIRS[1],  # also in test
    ]
    mixed = PAIRS[:4] + [pair for couple in zip(bad, PAIRS[4:], strict=False) for pair in couple] + PAIRS[10:]
    toy_opus.files[V2018] = archive(mixed)
    corpus = load()
    assert pairs_of(corpus["train"]) == PAIRS[4:]
    for reason in ("2 with a side empty, 2 with a side not UTF-8, 1 with a side of a", "1 with a side over"):
        assert reason in corpus.notes


def test_sides_must_have_equal_lengths(toy_opus, folder):
    toy_opus.files[V2018] = archive(de=text(["a"] * 9), en=text(["b"] * 8))
    with pytest.raises(DataError, match="have different numbers of lines: choose another version"):
        load()
    assert list(folder.iterdir()) == []


def test_last_line_may_lack_its_line_end(toy_opus):
    toy_opus.files[V1] = archive(de=text(["a", "b", "c", "d", "e"])[:-1], en=text(["1", "2", "3", "4", "5"]))
    assert pairs_of(load(version="v1")["train"]) == [("e", "5")]


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (404, "answered 404 .*: choose two languages that OPUS has"),
        (429, "answered 429 .*: wait a few minutes"),
        (503, "answered 503 .*: wait a few minutes"),
        ("whole", "127.0.0.1 does not support range requests: correct or unset ATTENTION_OPUS_URL"),
        ("stall", "127.0.0.1 stopped before the end of the file: check your internet connection"),
        ("silent", "127.0.0.1 stopped before the end of the file: check your internet connection"),
        ("cut", "127.0.0.1 stopped before the end of the file: check your internet connection"),
    ],
)
def test_server_errors_are_explained(toy_opus, folder, monkeypatch, mode, sentence):
    toy_opus.mode = mode
    with monkeypatch.context() as patch:
        if mode in ("stall", "silent"):
            patch.setattr(download, "TIMEOUT", 0.2)
        with pytest.raises(DataError, match=f"could not be downloaded because .*{sentence}") as caught:
            load()
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert list(folder.iterdir()) == []
    toy_opus.mode = "right"
    assert pairs_of(load()["train"]) == PAIRS[4:]


def test_server_that_stops_in_the_middle_is_explained(opus, folder, monkeypatch):
    rng = random.Random(0)
    pairs = [(rng.randbytes(99).hex(), rng.randbytes(99).hex()) for _ in range(5_000)]
    opus.files[V2018] = archive(pairs)
    lines = opensubtitles._lines

    def cut_lines(member):
        opus.mode = "cut"  # the zip's directory has been read, and its text is read next
        return lines(member)

    monkeypatch.setattr(opensubtitles, "_lines", cut_lines)
    with pytest.raises(DataError, match="stopped before the end of the file"):
        load()
    assert list(folder.iterdir()) == []
    opus.mode = "right"
    monkeypatch.setattr(opensubtitles, "_lines", lines)
    assert pairs_of(load()["train"]) == pairs[2_000:]


def test_missing_network_is_explained(monkeypatch, folder):
    with serve({}) as closed:
        pass
    for url in (closed.url, "http://a-host-that-cannot-exist.invalid"):
        monkeypatch.setenv("ATTENTION_OPUS_URL", url)
        with pytest.raises(DataError, match="cannot be reached: check your internet connection"):
            load()
    assert list(folder.iterdir()) == []


def damage(data, at, replacement=None):
    return data[:at] + (replacement or bytes([data[at] ^ 1])) + data[at + 1 :]


def test_wrong_checksum_is_explained(toy_opus, folder):
    """One letter of uncompressed text is changed, which only the zip's checksum reveals."""
    data = archive(PAIRS, zipfile.ZIP_STORED)
    toy_opus.files[V1] = damage(data, data.index(b"Satz 7"))
    with pytest.raises(DataError, match=r"format of OpenSubtitles \(Bad CRC-32 .*\): run this again"):
        load(version="v1")
    assert list(folder.iterdir()) == []
    toy_opus.files[V1] = data
    assert pairs_of(load(version="v1")["train"]) == PAIRS[4:]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"<html>Please log in.</html>", "File is not a zip file.*log-in page"),
        (archive(PAIRS)[:-100], "File is not a zip file.*log-in page"),
        (archive(es=b"uno\n", pt=b"um\n"), "no text in de among .*newest version"),
        (
            archive(de=text(["\ufeff"] * 9), en=text([""] * 9)),
            "most sentence pairs from OPUS cannot be used .*changed",
        ),
        (archive(PAIRS[:4]), "too few pairs in de and en for training"),
        (
            damage(archive(PAIRS), 60 + archive(PAIRS).index(b".de"), b"\xff" * 9),
            "does not have the expected format of OpenSubtitles",
        ),
    ],
)
def test_changed_format_is_explained(toy_opus, folder, data, sentence):
    toy_opus.files[V2018] = data
    with pytest.raises(DataError, match=sentence):
        load()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("de", "de"), "expected two different languages, got 'de' twice"),
        (("de", "../en"), "expected a language code such as .* got '../en'"),
        (("DE", "en"), "expected a language code such as .* got 'DE'"),
        (("de", "en", 0), "1 or more training pairs, got pairs=0"),
        (("de", "en", 5, "v2024"), "expected version v1 or v2018 of OpenSubtitles, got 'v2024'"),
    ],
)
def test_invalid_arguments_are_rejected_before_any_download(toy_opus, arguments, message):
    with pytest.raises(ValueError, match=message):
        load(*arguments)
    assert toy_opus.asked == []
