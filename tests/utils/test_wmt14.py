import io
import itertools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from utils.data import load_wmt14, wmt14
from utils.data.download import DataError

from .loopback import Hub, serve

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data" / "wmt14"
CARD = """---
configs:
- config_name: de-en
  data_files:
  - split: train
    path: de-en/train-*
  - split: validation
    path: de-en/validation-*
  - split: test
    path: de-en/test-*
---
"""
TRAIN = [(f"Satz {number}.", f"Sentence {number}.") for number in range(3_000)]
VALID = [("Eins.", "One."), ("Zwei.", "Two.")]
TEST = [("Drei.", "Three."), ("Vier.", "Four."), ("Fünf.", "Five.")]

# The hub's client reads HF_ENDPOINT when it is imported, so it runs in its own process. It does not wait
# between retries, and each job has a new commit, so nothing is cached.
CHILD = """
import json, os, sys, time, types
import huggingface_hub.utils._http
from utils.data import load_wmt14, wmt14
from utils.data.download import DataError

waits = []
huggingface_hub.utils._http.time = types.SimpleNamespace(**vars(time) | {"sleep": waits.append})
for line in sys.stdin:
    job = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    os.environ.update(job["environment"])
    wmt14.COMMIT, wmt14.HELD_OUT, wmt14.BUFFER = job["commit"], job["held_out"], job["buffer"]
    waits.clear()
    try:
        corpus = load_wmt14(*job["arguments"], progress=False)
        splits = {name: [*zip(split.src, split.tgt)] for name, split in corpus.splits.items()}
        answer = {"splits": splits, "shown": repr(corpus), "notes": corpus.notes}
    except DataError as error:
        answer = {"error": str(error), "cause": repr(error.__cause__)}
    answer["waits"] = len(waits)
    print(json.dumps(answer), flush=True)
"""


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


@contextmanager
def loading_process(folder, **environment):
    """Start a process that loads WMT14 as each line of its input says."""
    environment = os.environ | {"HF_HOME": str(folder), "NO_PROXY": "*"} | environment
    environment.pop("HF_TOKEN", None)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with child:
        yield child
    assert child.returncode == 0


@pytest.fixture(scope="module")
def hub_and_child(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    with serve({}, Hub) as server, loading_process(folder, HF_ENDPOINT=server.url) as child:
        yield server, child


COMMITS = itertools.count(1)


class ToyHub:
    """A hub with toy data, and a process that loads WMT14 from it."""

    def __init__(self, hub_and_child, folder):
        self.hub, self.child = hub_and_child
        self.folder = folder
        self.hub.mode, self.hub.token, self.hub.data_alone = "right", None, False
        self.hub.failures, self.hub.right_for, self.hub.sent = None, 0, 0
        self.hub.asked.clear()
        self.buffer = wmt14.BUFFER
        self.held_out = {"valid": ("validation", len(VALID)), "test": ("test", len(TEST))}
        self.publish([TRAIN[:1_000], TRAIN[1_000:2_000], TRAIN[2_000:]], VALID, TEST)

    def publish(self, train, valid, test):
        shards = {"train": train, "validation": [valid], "test": [test]}
        self.hub.files = {"wmt/wmt14/README.md": CARD.encode()} | {
            f"wmt/wmt14/de-en/{split}-{number:05}-of-{len(files):05}.parquet": (
                file if isinstance(file, bytes) else parquet(file)
            )
            for split, files in shards.items()
            for number, file in enumerate(files)
        }
        self.commit = f"{next(COMMITS):040x}"

    def load(self, *arguments, **environment):
        job = {
            "arguments": arguments,
            "environment": {"ATTENTION_DATA": str(self.folder), **environment},
            "commit": self.commit,
            "held_out": self.held_out,
            "buffer": self.buffer,
        }
        print(json.dumps(job), file=self.child.stdin, flush=True)
        answer = json.loads(self.child.stdout.readline())
        if "splits" in answer:
            answer["splits"] = {name: [*map(tuple, pairs)] for name, pairs in answer["splits"].items()}
        return answer

    def load_error(self, *arguments, **environment):
        """Check that loading fails and leaves no file, and return the message."""
        answer = self.load(*arguments, **environment)
        assert "error" in answer, f"loaded {answer.get('shown')}"
        assert "\n" not in answer["error"]
        assert list((self.folder / "wmt14").glob("[!h]*")) == [], 'all but the library\'s own "hub"'
        return answer["error"]


@pytest.fixture
def toy(hub_and_child, tmp_path):
    return ToyHub(hub_and_child, tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real files are not in {SHARED}")
def test_real_text_is_shuffled_from_every_file(toy):
    def pairs_of(stem):
        sides = [(SHARED / f"{stem}.{language}").read_text("utf-8") for language in ("de", "en")]
        return list(zip(*(side.removesuffix("\n").split("\n") for side in sides), strict=True))

    europarl, news = pairs_of("europarl-v7"), pairs_of("news-2009-2012")
    toy.publish([europarl, news[:5_000], news[5_000:]], pairs_of("newstest2013"), pairs_of("newstest2014"))
    toy.held_out = wmt14.HELD_OUT
    splits = toy.load("de", "en", 6_000, 1)["splits"]
    assert splits["valid"] == pairs_of("newstest2013")
    assert len(splits["valid"]) == 3_000
    assert splits["test"] == pairs_of("newstest2014")
    assert len(splits["test"]) == 3_003
    train = splits["train"]
    assert len(train) == 6_000
    assert not Counter(train) - Counter((de.strip(), en.strip()) for de, en in europarl + news)
    for file in (europarl, news[:5_000], news[5_000:]):
        assert len(set(file) & set(train[:3_000])) > 300, "every file is among the first pairs"
    rows = {pair: row for row, pair in enumerate(europarl)}
    order = [rows[pair] for pair in train if pair in rows]
    assert sum(a < b for a, b in itertools.pairwise(order)) < 0.6 * len(order)


def test_pairs_depend_on_the_seed_and_are_cached(toy):
    first = toy.load("de", "en", 500, 3)["splits"]
    assert (first["valid"], first["test"]) == (VALID, TEST)
    assert len(set(first["train"])) == 500
    assert set(first["train"]) < set(TRAIN)
    asked = len(toy.hub.asked)
    back = toy.load("en", "de", 500, 3)["splits"]
    assert back == {name: [(en, de) for de, en in pairs] for name, pairs in first.items()}
    assert len(toy.hub.asked) == asked, "from the cache"
    other = toy.load("de", "en", 500, 4)["splits"]
    assert other["train"] != first["train"]
    assert other["test"] == first["test"]
    toy.folder = toy.folder / "again"
    assert toy.load("de", "en", 500, 3)["splits"] == first
    assert sorted(path.name for path in (toy.folder / "wmt14").glob("[!h]*")) == [
        "test",
        "train-500-seed-3",
        "valid",
    ]


def test_more_pairs_than_exist_load_all_of_them(toy):
    assert sorted(toy.load("de", "en", 10**6)["splits"]["train"]) == sorted(TRAIN)


def test_corpus_prints_its_origin(toy):
    answer = toy.load("de", "en", 10, 5)
    for fact in (
        "WMT14: de to en",
        "10 pairs",
        "research",
        "Bojar",
        "huggingface.co/datasets/wmt/wmt14",
        "seed 5",
    ):
        assert fact in answer["shown"]


def test_token_is_sent_to_the_hub(toy):
    toy.hub.token = "hf_right"
    for environment in ({}, {"HF_TOKEN": "hf_another"}):
        assert "answered 401 (Unauthorized): correct or unset HF_TOKEN" in toy.load_error(
            "de", "en", 10, **environment
        )
    assert len(toy.load("de", "en", 10, HF_TOKEN="hf_right")["splits"]["train"]) == 10


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (429, "answered 429 (Too Many Requests): wait five minutes, or set HF_TOKEN to a token of a free"),
        (503, "answered 503 (Service Unavailable): wait a few minutes"),
        ("cut", "stopped before the end of the file: check your internet connection"),
    ],
)
@pytest.mark.parametrize("data_alone", [False, True])
def test_server_errors_are_explained(toy, mode, sentence, data_alone):
    toy.hub.mode, toy.hub.data_alone = mode, data_alone
    assert sentence in toy.load_error("de", "en", 10)
    toy.hub.mode = "right"
    assert len(toy.load("de", "en", 10)["splits"]["train"]) == 10


def test_failed_requests_are_retried(toy):
    toy.hub.mode, toy.hub.data_alone, toy.hub.failures = 503, True, 3
    answer = toy.load("de", "en", 10)
    assert len(answer["splits"]["train"]) == 10
    assert answer["waits"] == 3


@pytest.fixture(scope="module")
def large():
    """Build an uncompressed file of 40 MB."""
    words = " ".join(map(str, range(280)))
    rows = [(f"{number} {words}", f"{words} {number}") for number in range(19_000)]
    return parquet(rows, compression="none", use_dictionary=False)


def test_only_the_start_of_a_large_file_is_downloaded(toy, large):
    """1 MB is needed, and the hub's client fetches blocks of 6 MB."""
    toy.publish([large], VALID, TEST)
    toy.buffer = 500
    assert len(toy.load("de", "en", 500)["splits"]["train"]) == 500
    assert toy.hub.sent < len(large) / 2


def test_server_that_stops_in_the_middle_is_explained(toy, large):
    toy.publish([large], VALID, TEST)
    toy.hub.mode, toy.hub.data_alone, toy.hub.right_for = 503, True, 25_000_000
    assert "answered 503" in toy.load_error("de", "en", 19_000)
    assert toy.hub.sent > 25_000_000


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "cannot be reached: check your internet connection, then run this again"),
        ({"HF_HUB_OFFLINE": "1"}, "is set: unset it, then run this again"),
    ],
)
def test_missing_network_is_explained(tmp_path, environment, sentence):
    with serve({}, Hub) as closed:
        pass
    with loading_process(tmp_path, HF_ENDPOINT=closed.url, **environment) as child:
        assert ToyHub((closed, child), tmp_path).load_error("de", "en", 10).endswith(sentence)


def test_missing_package_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install --constraint .*requirements-tests\.txt datasets"):
        load_wmt14("de", "en", 10)


def test_useless_pairs_are_dropped_and_counted(toy):
    fine = [(f"{n}".encode(), f"{n}".encode()) for n in range(20)]
    bad = [(b"", b"Empty."), (b"None.", None), ("Kühe".encode("latin-1"), b"Cows."), (b"Long." * 9_999, b"x")]
    rows = fine[:9] + bad + fine[9:]
    toy.publish([not_utf8(rows)], VALID, TEST)
    answer = toy.load("de", "en", 20)
    assert sorted(answer["splits"]["train"]) == sorted((de.decode(), en.decode()) for de, en in fine)
    for fact in ("2 with a side empty", "1 with a side not UTF-8", "1 with a side over 2,000 characters"):
        assert fact in answer["notes"]


@pytest.mark.parametrize(
    "held_out", [VALID[:1], VALID + TEST, [("", "One."), *VALID[1:]]], ids=["fewer", "more", "empty"]
)
def test_held_out_split_must_have_its_size(toy, held_out):
    toy.publish([TRAIN], held_out, TEST)
    error = toy.load("de", "en", 10)["error"]
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
    "languages": parquet(TRAIN, names=("de", "fr")),
    "column": parquet(TRAIN, column="text"),
    "kind": parquet([(1, 2)] * 9, kind=pyarrow.int64()),
    "not Parquet": b"<html>Please log in.</html>" * 99,
    "no useful pairs": not_utf8([(b"\xff", b"\xff")] * 9),
}


@pytest.mark.parametrize("data", CHANGED.values(), ids=CHANGED)
def test_changed_format_is_explained(toy, data):
    toy.publish([data], VALID, TEST)
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
