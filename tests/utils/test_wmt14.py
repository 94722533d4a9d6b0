import io
import itertools
import random
import re
import sys
from collections import Counter
from pathlib import Path

import httpx2
import pyarrow
import pyarrow.parquet
import pytest

from utils.data import load_wmt14, wmt14
from utils.data.download import DataError

from .hub import in_process

SHARED = Path(__file__).parents[3] / "shared" / "data" / "wmt14"
HELD_OUT = wmt14.HELD_OUT
TRAIN = [(f"Satz {number}.", f"Sentence {number}.") for number in range(3_000)]
VALID = [("Eins.", "One."), ("Zwei.", "Two.")]
TEST = [("Drei.", "Three."), ("Vier.", "Four."), ("Fünf.", "Five.")]


def parquet(pairs, names=("de", "en"), kind=None, column="translation", **options):
    """Build a Parquet file like those on the hub, in groups of 1,000 rows."""
    sides = [pyarrow.array(side, kind or pyarrow.string()) for side in zip(*pairs, strict=True)]
    return write_parquet(sides, names, column, **options)


def not_utf8(pairs):
    """Build a Parquet file whose strings have arbitrary bytes, which Arrow does not check."""
    sides = [pyarrow.array(side, pyarrow.binary()) for side in zip(*pairs, strict=True)]
    return write_parquet([side.view(pyarrow.string()) for side in sides])


def write_parquet(sides, names=("de", "en"), column="translation", **options):
    table, file = pyarrow.table({column: pyarrow.StructArray.from_arrays(sides, names)}), io.BytesIO()
    pyarrow.parquet.write_table(table, file, row_group_size=1_000, **options)
    return file.getvalue()


COMMITS = itertools.count(1)


class Toy:
    """Toy data on a `Hub`, and the folder that WMT14 is loaded into."""

    def __init__(self, hub, folder, monkeypatch):
        self.hub, self.folder, self.monkeypatch = hub, folder, monkeypatch
        self.publish([TRAIN[:1_000], TRAIN[1_000:2_000], TRAIN[2_000:]], VALID, TEST)

    def publish(self, train, valid, test, held_out=None):
        shards = {"train": train, "validation": [valid], "test": [test]}
        self.hub.files = {
            f"de-en/{split}-{number:05}-of-{len(files):05}.parquet": (
                file if isinstance(file, bytes) else parquet(file)
            )
            for split, files in shards.items()
            for number, file in enumerate(files)
        }
        sizes = held_out or {"valid": ("validation", len(VALID)), "test": ("test", len(TEST))}
        self.monkeypatch.setattr(wmt14, "HELD_OUT", sizes)
        commit = f"{next(COMMITS):040x}"  # so nothing is cached
        self.monkeypatch.setattr(wmt14, "FILES", re.sub("@[^/]*", f"@{commit}", wmt14.FILES))

    def load(self, *arguments):
        """Load WMT14, and return the corpus and its sentence pairs by split."""
        self.monkeypatch.setenv("ATTENTION_DATA", str(self.folder))
        corpus = load_wmt14(*arguments, progress=False)
        return corpus, {
            name: [*zip(split.src, split.tgt, strict=True)] for name, split in corpus.splits.items()
        }

    def load_error(self, *arguments):
        """Check that loading fails and leaves no file, and return the message."""
        with pytest.raises(DataError) as error:
            self.load(*arguments)
        assert "\n" not in str(error.value)
        assert list((self.folder / "wmt14").glob("*")) == []
        return str(error.value)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    with in_process() as hub:
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield Toy(hub, tmp_path, monkeypatch)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real files are not in {SHARED}")
def test_real_text_is_shuffled_from_every_file(toy):
    def pairs_of(stem):
        sides = [(SHARED / f"{stem}.{language}").read_text("utf-8") for language in ("de", "en")]
        return list(zip(*(side.removesuffix("\n").split("\n") for side in sides), strict=True))

    europarl, news = pairs_of("europarl-v7"), pairs_of("news-2009-2012")
    held_out = [pairs_of(f"newstest{year}") for year in (2013, 2014)]
    toy.publish([europarl, news[:5_000], news[5_000:]], *held_out, HELD_OUT)
    _, splits = toy.load("de", "en", 6_000, 1)
    assert [splits["valid"], splits["test"]] == held_out
    train = splits["train"]
    assert len(train) == 6_000
    assert not Counter(train) - Counter((de.strip(), en.strip()) for de, en in europarl + news)
    for file in (europarl, news[:5_000], news[5_000:]):
        assert len(set(file) & set(train[:3_000])) > 300, "every file is among the first pairs"
    rows = {pair: row for row, pair in enumerate(europarl)}
    order = [rows[pair] for pair in train if pair in rows]
    assert sum(a < b for a, b in itertools.pairwise(order)) < 0.6 * len(order)


def test_pairs_depend_on_the_seed_and_are_cached(toy):
    corpus, first = toy.load("de", "en", 500, 3)
    for fact in ("WMT14: de to en", "500 pairs", "research", "Bojar", "hub", "huggingface.co", "seed 3"):
        assert fact in repr(corpus)
    assert (first["valid"], first["test"]) == (VALID, TEST)
    assert len(set(first["train"])) == 500
    assert set(first["train"]) < set(TRAIN)
    asked = len(toy.hub.asked)
    _, back = toy.load("en", "de", 500, 3)
    assert back == {name: [(en, de) for de, en in pairs] for name, pairs in first.items()}
    assert len(toy.hub.asked) == asked, "from the cache"
    _, other = toy.load("de", "en", 500, 4)
    assert other["train"] != first["train"]
    assert other["test"] == first["test"]
    toy.folder = toy.folder / "again"
    assert toy.load("de", "en", 500, 3)[1] == first
    stored = sorted(path.name for path in (toy.folder / "wmt14").iterdir())
    assert stored == ["test", "train-500-seed-3", "valid"]


def test_more_pairs_than_exist_load_all_of_them(toy):
    assert sorted(toy.load("de", "en", 10**6)[1]["train"]) == sorted(TRAIN)


def test_token_is_sent_to_the_hub(toy, monkeypatch):
    toy.hub.token = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    assert "answered 401 (Unauthorized): correct or unset HF_TOKEN" in toy.load_error("de", "en", 10)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert len(toy.load("de", "en", 10)[1]["train"]) == 10


def unreachable(_):
    raise httpx2.ConnectError("Connection refused")


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (429, "answered 429 (Too Many Requests): wait five minutes, or set HF_TOKEN to a token of a free"),
        (503, "answered 503 (Service Unavailable): wait a few minutes"),
        ("cut", "stopped before the end of the file: check your internet connection"),
        (unreachable, "cannot be reached: check your internet connection, then run this again"),
    ],
)
@pytest.mark.parametrize("kind", ["", ".parquet"])
def test_server_errors_are_explained(toy, failure, sentence, kind):
    """Of all requests, and of those for data alone."""
    right, fail = toy.hub.fail, failure if callable(failure) else lambda _: failure
    toy.hub.fail = lambda path: fail(path) if path.endswith(kind) else None
    assert sentence in toy.load_error("de", "en", 10)
    toy.hub.fail = right
    assert len(toy.load("de", "en", 10)[1]["train"]) == 10


def test_failed_requests_are_retried(toy):
    failures = [503] * 3
    toy.hub.fail = lambda path: failures.pop() if failures and path.endswith(".parquet") else None
    assert len(toy.load("de", "en", 10)[1]["train"]) == 10
    assert len(toy.hub.waits) == 3


@pytest.fixture(scope="module")
def large():
    """Build an uncompressed file of 40 MB."""
    words = " ".join(map(str, range(280)))
    rows = [(f"{number} {words}", f"{words} {number}") for number in range(19_000)]
    return parquet(rows, compression="none", use_dictionary=False)


def test_only_the_start_of_a_large_file_is_downloaded(toy, large, monkeypatch):
    """1 MB is needed, and the hub's client fetches blocks of 6 MB."""
    toy.publish([large], VALID, TEST)
    monkeypatch.setattr(wmt14, "BUFFER", 500)
    assert len(toy.load("de", "en", 500)[1]["train"]) == 500
    assert toy.hub.sent < len(large) / 2


def test_server_that_stops_in_the_middle_is_explained(toy, large):
    toy.publish([large], VALID, TEST)
    toy.hub.fail = lambda path: 503 if toy.hub.sent > 25_000_000 else None
    assert "answered 503" in toy.load_error("de", "en", 19_000)
    assert toy.hub.sent > 25_000_000


def test_offline_mode_is_explained(toy, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert toy.load_error("de", "en", 10).endswith("is set: unset it, then run this again")


def test_missing_package_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install --constraint .*requirements-tests\.txt datasets"):
        load_wmt14("de", "en", 10)
    monkeypatch.setattr("utils.data.wmt14.LOCK", tmp_path / "missing.txt")
    with pytest.raises(DataError, match="pip install datasets`"):
        load_wmt14("de", "en", 10)


def test_useless_pairs_are_dropped_and_counted(toy):
    fine = [(f"{n}".encode(), f"{n}".encode()) for n in range(20)]
    bad = [(b"", b"Empty."), (b"None.", None), ("Kühe".encode("latin-1"), b"Cows."), (b"Long." * 9_999, b"x")]
    rows = fine[:9] + bad + fine[9:]
    toy.publish([not_utf8(rows)], VALID, TEST)
    corpus, splits = toy.load("de", "en", 20)
    assert sorted(splits["train"]) == sorted((de.decode(), en.decode()) for de, en in fine)
    for fact in ("2 with a side empty", "1 with a side not UTF-8", "1 with a side over 2,000 characters"):
        assert fact in corpus.notes


@pytest.mark.parametrize(
    "held_out", [VALID[:1], VALID + TEST, [("", "One."), *VALID[1:]]], ids=["fewer", "more", "empty"]
)
def test_held_out_split_must_have_its_size(toy, held_out):
    toy.publish([TRAIN], held_out, TEST)
    with pytest.raises(DataError) as caught:
        toy.load("de", "en", 10)
    error = str(caught.value)
    assert "the validation split of WMT14 does not have the expected 2 sentence pairs" in error
    assert error.endswith("the data on the hub has changed, so get the newest version of this course")
    assert not (toy.folder / "wmt14" / "valid").exists()


def test_damaged_file_is_explained(toy):
    """Some compressed bytes are wrong, but the metadata of the file is intact."""
    rng = random.Random(0)
    data = bytearray(parquet([(rng.randbytes(99).hex(), rng.randbytes(99).hex()) for _ in range(3_000)]))
    data[len(data) // 3 : len(data) // 3 + 999] = bytes(999)
    toy.publish([bytes(data)], VALID, TEST)
    sentence = toy.load_error("de", "en", 3_000)
    assert "does not have the expected format of WMT14" in sentence
    assert "run this again" in sentence


CHANGED = {
    "languages": lambda: parquet(TRAIN, names=("de", "fr")),
    "column": lambda: parquet(TRAIN, column="text"),
    "kind": lambda: parquet([(1, 2)] * 9, kind=pyarrow.int64()),
    "not Parquet": lambda: b"<html>Please log in.</html>" * 99,
    "no useful pairs": lambda: not_utf8([(b"\xff", b"\xff")] * 9),
}


@pytest.mark.parametrize("make", CHANGED.values(), ids=CHANGED)
def test_changed_format_is_explained(toy, make):
    toy.publish([make()], VALID, TEST)
    assert "newest version of this course" in toy.load_error("de", "en", 10)


def test_missing_files_are_explained(toy):
    toy.hub.files = {name: data for name, data in toy.hub.files.items() if "train" not in name}
    assert "newest version of this course" in toy.load_error("de", "en", 10)
    toy.hub.files = {}
    assert "newest version of this course" in toy.load_error("de", "en", 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("de", "fr"), 'expected "de" to "en" or "en" to "de", got \'de\' to \'fr\''),
        (("de", "de"), "got 'de' to 'de'"),
        (("de", "en", 0), "1 or more training pairs, got pairs=0"),
        (("de", "en", 9, -1), "seed of 0 or more, got -1"),
        (("de", "en", 9, None), "seed of 0 or more, got None"),
    ],
)
def test_invalid_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_wmt14(*arguments)
