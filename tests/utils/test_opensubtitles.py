import io
import random
import zipfile
from pathlib import Path

import pytest

from utils.data import download, load_opensubtitles, opensubtitles
from utils.data.download import DataError

from .loopback import serve

SHARED = Path(__file__).parents[3] / "shared" / "data" / "opensubtitles"
real = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the real files are not beside the repository: no {SHARED}"
)
V1, V2018 = (f"OPUS-OpenSubtitles/{version}/moses/de-en.txt.zip" for version in ("v1", "v2018"))
PAIRS = [(f"Satz {number}.", f"Sentence {number}.") for number in range(12)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "opensubtitles"


@pytest.fixture
def opus(monkeypatch):
    with serve({}) as server:
        monkeypatch.setenv("ATTENTION_OPUS_URL", f"{server.url}/OPUS-OpenSubtitles/")
        yield server


@pytest.fixture
def made_up(opus, monkeypatch):
    """Serve PAIRS as both versions, with two pairs each held out."""
    for name in ("TEST", "VALID"):
        monkeypatch.setattr(opensubtitles, name, 2)
    opus.files |= {V1: archive(PAIRS), V2018: archive(PAIRS)}
    return opus


def text(sentences):
    return b"".join((s if isinstance(s, bytes) else s.encode()) + b"\n" for s in sentences)


def archive(pairs=None, method=zipfile.ZIP_DEFLATED, **sides):
    """A zip as OPUS makes them, of pairs or of the text of each side."""
    if pairs is not None:
        sides = {
            language: text(side)
            for language, side in zip(("de", "en"), zip(*pairs, strict=True), strict=True)
        }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        file.writestr("README", "made up")
        for language, data in sides.items():
            file.writestr(f"OpenSubtitles.{'-'.join(sides)}.{language}", data)
        file.writestr(f"OpenSubtitles.{'-'.join(sides)}.ids", b"x\n" * 10)
    return made.getvalue()


def load(src="de", tgt="en", pairs=None, version="v2018"):
    return load_opensubtitles(src, tgt, pairs, version, progress=False)


def pairs_of(split):
    return list(zip(split.src, split.tgt, strict=True))


@real
def test_the_real_text(opus, folder):
    sides = {language: (SHARED / f"de-en.{language}").read_bytes() for language in ("de", "en")}
    opus.files |= {V1: archive(**sides), V2018: archive(**sides)}
    expected = list(
        zip(*(side.decode().removesuffix("\n").split("\n") for side in sides.values()), strict=True)
    )
    whole, part = load(version="v1"), load(pairs=5_000)
    for corpus in (whole, part):
        test, valid, train = (pairs_of(corpus[name]) for name in ("test", "valid", "train"))
        assert len(test) == len(valid) == 1_000
        assert not set(train) & set(test + valid)
    assert len(pairs_of(part["train"])) == 5_000 == len(part["train"])
    kept = test + valid + train
    assert pairs_of(whole["train"])[:5_000] == train and len(whole["train"]) > 30_000
    # What is kept is the corpus's text in its order, but for what the notes count.
    stripped = [tuple(side.strip() for side in pair) for pair in expected]
    held_out = set(test + valid)
    usable = [pair for pair in stripped if all(pair)]
    assert usable[:2_000] == test + valid
    assert pairs_of(whole["train"]) == [pair for pair in usable[2_000:] if pair not in held_out]
    assert kept[2_000:] == pairs_of(whole["train"])[:5_000]
    asked = len(opus.asked)
    back = load("en", "de", pairs=5_000)
    assert back["test"].src == part["test"].tgt and list(back["train"].tgt) == list(part["train"].src)
    assert len(opus.asked) == asked  # both directions are one download
    assert sorted(path.name for path in folder.iterdir()) == ["v1-de-en-all", "v2018-de-en-5000"]


@real
def test_another_pair_of_languages(opus):
    sides = {language: (SHARED / f"en-fr.{language}").read_bytes() for language in ("en", "fr")}
    opus.files[V2018.replace("de-en", "en-fr")] = archive(**sides)
    corpus = load("fr", "en", 500)
    assert (corpus.src_lang, corpus.tgt_lang, len(corpus["train"])) == ("fr", "en", 500)
    assert corpus["test"].tgt[:9] == [line.strip() for line in sides["en"].decode().split("\n")[:9]]


def test_of_a_large_file_only_the_first_part_is_downloaded(opus):
    """Text that cannot be compressed: 44 MB, of which the first pairs and a buffer or two are fetched."""
    rng = random.Random(0)
    line = [rng.randbytes(200).hex() for _ in range(500)]
    pairs = [(f"{number} {line[number % 499]}", f"{number} {line[number % 497]}") for number in range(55_000)]
    opus.files[V2018] = archive(pairs, zipfile.ZIP_STORED)
    size = len(opus.files[V2018])
    assert size > 44e6
    corpus = load(pairs=1_000)
    assert pairs_of(corpus["train"]) == pairs[2_000:3_000]
    assert opus.sent < size / 2  # 1.2 MB are needed, and each of two sockets holds up to some MB


def test_a_corpus_keeps_its_sentences_and_says_where_it_comes_from(made_up):
    corpus = load()
    assert pairs_of(corpus["test"]) == PAIRS[:2]
    assert pairs_of(corpus["valid"]) == PAIRS[2:4]
    assert pairs_of(corpus["train"]) == PAIRS[4:]
    assert corpus["train"].links is None and corpus.tokenization == "moses"
    shown = repr(corpus)
    for fact in ("OpenSubtitles v2018: de to en", "8 pairs", "Lison", "opensubtitles.org", "left out: none"):
        assert fact in shown


def test_what_is_there_needs_no_network(made_up):
    load(version="v1")
    made_up.mode = 503
    asked = len(made_up.asked)
    assert pairs_of(load(version="v1")["train"]) == PAIRS[4:]
    with pytest.raises(DataError, match="answered 503"):
        load(version="v1", pairs=3)
    assert len(made_up.asked) == asked + 1


def test_lines_that_cannot_be_learned_from(made_up, monkeypatch):
    monkeypatch.setattr(opensubtitles, "LINE", 2**14)
    bad = [
        ("", "Empty."),
        ("Leer.", "   "),
        ("Kühe".encode("latin-1"), "Cows."),
        ("Lang " * 10_000, "Long."),  # several times what is read at once
        ("Lang.", b"\xff" * 100_000),
        PAIRS[1],  # in test already
    ]
    mixed = PAIRS[:4] + [pair for couple in zip(bad, PAIRS[4:], strict=False) for pair in couple] + PAIRS[10:]
    made_up.files[V2018] = archive(mixed)
    corpus = load()
    assert pairs_of(corpus["train"]) == PAIRS[4:]
    for fact in (
        "2 with a side empty",
        "2 with a side not UTF-8",
        "1 with a side over 2,000",
        "1 with a side of a pair",
    ):
        assert fact in corpus.notes


@pytest.mark.parametrize("version", ["v1", "v2018"])
def test_sides_of_different_length(made_up, folder, version):
    made_up.files[V1] = made_up.files[V2018] = archive(de=text(["a"] * 9), en=text(["b"] * 8))
    with pytest.raises(DataError, match="do not have the same number of lines: choose another version"):
        load(version=version)
    assert list(folder.iterdir()) == []


def test_a_last_line_without_an_end(made_up):
    made_up.files[V1] = archive(de=text(["a", "b", "c", "d", "e"])[:-1], en=text(["1", "2", "3", "4", "5"]))
    assert pairs_of(load(version="v1")["train"]) == [("e", "5")]


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (404, "answered 404 .*: choose two languages that OPUS has"),
        (429, "answered 429 .*: wait a few minutes"),
        (503, "answered 503 .*: wait a few minutes"),
        ("whole", "127.0.0.1 does not give parts of files: correct or unset ATTENTION_OPUS_URL"),
        ("stall", "127.0.0.1 stopped before the end of the file: check your internet connection"),
        ("silent", "127.0.0.1 stopped before the end of the file: check your internet connection"),
        ("cut", "127.0.0.1 stopped before the end of the file: check your internet connection"),
    ],
)
@pytest.mark.parametrize("version", ["v1", "v2018"])
def test_a_failing_server(made_up, folder, monkeypatch, mode, sentence, version):
    made_up.mode = mode
    with monkeypatch.context() as patch:
        if mode in ("stall", "silent"):
            patch.setattr(download, "TIMEOUT", 0.2)
        with pytest.raises(
            DataError, match=f"^OpenSubtitles could not be downloaded because .*{sentence}"
        ) as caught:
            load(version=version)
    assert "\n" not in str(caught.value) and caught.value.__cause__ is not None
    assert list(folder.iterdir()) == []
    made_up.mode = "right"
    assert pairs_of(load(version=version)["train"]) == PAIRS[4:]


def test_a_server_that_dies_in_the_middle_of_a_side(opus, folder, monkeypatch):
    rng = random.Random(0)
    pairs = [(rng.randbytes(99).hex(), rng.randbytes(99).hex()) for _ in range(5_000)]
    opus.files[V2018] = archive(pairs)
    begun = opensubtitles._lines

    def dies(member):
        opus.mode = "cut"  # the lists of members are there, and the text is asked for now
        return begun(member)

    monkeypatch.setattr(opensubtitles, "_lines", dies)
    with pytest.raises(DataError, match="stopped before the end of the file"):
        load()
    assert list(folder.iterdir()) == []
    opus.mode = "right"
    monkeypatch.setattr(opensubtitles, "_lines", begun)
    assert pairs_of(load()["train"]) == pairs[2_000:]


def test_no_network(monkeypatch, folder):
    with serve({}) as closed:
        pass
    for url in (closed.url, "http://a-host-that-cannot-exist.invalid"):
        monkeypatch.setenv("ATTENTION_OPUS_URL", url)
        with pytest.raises(DataError, match="cannot be reached: check your internet connection"):
            load()
    assert list(folder.iterdir()) == []


def spoil(data, at, with_=None):
    return data[:at] + (with_ or bytes([data[at] ^ 1])) + data[at + 1 :]


def test_a_wrong_checksum(made_up, folder):
    """A letter changes in text that is not compressed: all that can tell is the checksum in the zip."""
    data = archive(PAIRS, zipfile.ZIP_STORED)
    made_up.files[V1] = spoil(data, data.index(b"Satz 7"))
    with pytest.raises(DataError, match=r"is not OpenSubtitles as .* \(Bad CRC-32 .*\): run this again"):
        load(version="v1")
    assert list(folder.iterdir()) == []
    made_up.files[V1] = data
    assert pairs_of(load(version="v1")["train"]) == PAIRS[4:]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"<html>Please log in.</html>", "File is not a zip file.*log-in page"),
        (archive(PAIRS)[:-100], "File is not a zip file.*log-in page"),
        (archive(es=b"uno\n", pt=b"um\n"), "no text of de among .*newest version"),
        (
            archive(de=text(["\ufeff"] * 9), en=text([""] * 9)),
            "most sentence pairs from OPUS cannot be used .*changed",
        ),
        (archive(PAIRS[:4]), "too few pairs of de and en to learn from"),
        (
            spoil(archive(PAIRS), 60 + archive(PAIRS).index(b".de"), b"\xff" * 9),
            "is not OpenSubtitles as this course",
        ),
    ],
)
def test_a_changed_format(made_up, folder, data, sentence):
    made_up.files[V2018] = data
    with pytest.raises(DataError, match=sentence):
        load()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("de", "de"), "choose two different languages"),
        (("de", "../en"), "a language is a code such as"),
        (("DE", "en"), "a language is a code such as"),
        (("de", "en", 0), "1 or more, and not 0"),
        (("de", "en", 5, "v2024"), "in version v1 or v2018, and not 'v2024'"),
    ],
)
def test_arguments_that_make_no_sense(made_up, arguments, message):
    with pytest.raises(ValueError, match=message):
        load(*arguments)
    assert made_up.asked == []
