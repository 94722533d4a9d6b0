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
VALID, TEST = (
    [("Eins.", "One."), ("Zwei.", "Two.")],
    [("Drei.", "Three."), ("Vier.", "Four."), ("Fünf.", "Five.")],
)

# The hub's client reads HF_ENDPOINT once, when it is imported: so that a process of its own is given
# one. It is made not to wait between its tries, and each job has a commit that it cannot know already.
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
    """A Parquet file as the hub has them, in groups of 1,000 rows."""
    kind = kind or pyarrow.string()
    rows = pyarrow.array(
        [dict(zip(names, pair, strict=True)) for pair in pairs],
        pyarrow.struct([(name, kind) for name in names]),
    )
    made = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({column: rows}), made, row_group_size=1_000, **options)
    return made.getvalue()


def not_utf8(pairs, **options):
    """A Parquet file whose column of text holds other bytes, which Arrow neither forbids nor checks."""
    sides = [
        pyarrow.array(side, pyarrow.binary()).view(pyarrow.string()) for side in zip(*pairs, strict=True)
    ]
    rows = pyarrow.StructArray.from_arrays(sides, ["de", "en"])
    made = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"translation": rows}), made, **options)
    return made.getvalue()


@contextmanager
def started(folder, **environment):
    """A process that does the jobs it is sent."""
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
    with serve({}, Hub) as server, started(tmp_path_factory.mktemp("hub"), HF_ENDPOINT=server.url) as child:
        yield server, child


COMMITS = itertools.count(1)


class World:
    """A hub with a data set on it, and a way to load that in the process that knows the hub."""

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

    def fails(self, *arguments, **environment):
        """Load what cannot be loaded, and return the sentence that says why."""
        answer = self.load(*arguments, **environment)
        assert "error" in answer, f"loaded {answer.get('shown')}"
        assert "\n" not in answer["error"]
        assert [*(self.folder / "wmt14").glob("[!h]*")] == []  # all but the library's own "hub"
        return answer["error"]


@pytest.fixture
def world(hub_and_child, tmp_path):
    return World(hub_and_child, tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real files are not beside the repository: no {SHARED}")
def test_the_real_text(world):
    def pairs_of(stem):
        sides = [(SHARED / f"{stem}.{language}").read_text("utf-8") for language in ("de", "en")]
        return list(zip(*(side.removesuffix("\n").split("\n") for side in sides), strict=True))

    europarl, news = pairs_of("europarl-v7"), pairs_of("news-2009-2012")
    world.publish([europarl, news[:5_000], news[5_000:]], pairs_of("newstest2013"), pairs_of("newstest2014"))
    world.held_out = wmt14.HELD_OUT
    answer = world.load("de", "en", 12_000, 1)
    splits = answer["splits"]
    assert splits["valid"] == pairs_of("newstest2013") and len(splits["valid"]) == 3_000
    assert splits["test"] == pairs_of("newstest2014") and len(splits["test"]) == 3_003
    train = splits["train"]
    assert len(train) == 12_000 and not Counter(train) - Counter(
        (de.strip(), en.strip()) for de, en in europarl + news
    )
    # Every file of the training split is among the first pairs, and in no file's order.
    for part in (europarl, news[:5_000], news[5_000:]):
        assert len(set(part) & set(train[:3_000])) > 300
    places = {pair: place for place, pair in enumerate(europarl)}
    order = [places[pair] for pair in train if pair in places]
    assert sum(a < b for a, b in itertools.pairwise(order)) < 0.6 * len(order)


def test_pairs_are_chosen_by_seed_and_kept(world):
    first = world.load("de", "en", 500, 3)["splits"]
    assert (first["valid"], first["test"]) == (VALID, TEST)
    assert len(set(first["train"])) == 500 and set(first["train"]) < set(TRAIN)
    asked = len(world.hub.asked)
    back = world.load("en", "de", 500, 3)["splits"]
    assert back == {name: [(en, de) for de, en in pairs] for name, pairs in first.items()}
    assert len(world.hub.asked) == asked  # nothing was asked for again
    other = world.load("de", "en", 500, 4)["splits"]
    assert other["train"] != first["train"] and other["test"] == first["test"]
    world.folder = world.folder / "anew"
    assert world.load("de", "en", 500, 3)["splits"] == first
    assert sorted(path.name for path in (world.folder / "wmt14").glob("[!h]*")) == [
        "test",
        "train-500-seed-3",
        "valid",
    ]


def test_more_pairs_than_there_are_is_all_of_them(world):
    assert sorted(world.load("de", "en", 10**6)["splits"]["train"]) == sorted(TRAIN)


def test_a_corpus_says_where_it_comes_from(world):
    answer = world.load("de", "en", 10, 5)
    for fact in (
        "WMT14: de to en",
        "10 pairs",
        "research",
        "Bojar",
        "huggingface.co/datasets/wmt/wmt14",
        "seed 5",
    ):
        assert fact in answer["shown"]


def test_the_token_is_shown_to_the_hub(world):
    world.hub.token = "hf_made_up"
    for environment in ({}, {"HF_TOKEN": "hf_another"}):
        assert "answered 401 (Unauthorized): correct or unset HF_TOKEN" in world.fails(
            "de", "en", 10, **environment
        )
    assert len(world.load("de", "en", 10, HF_TOKEN="hf_made_up")["splits"]["train"]) == 10


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (
            429,
            "answered 429 (Too Many Requests): that is its limit of requests, so wait five minutes or set "
            "HF_TOKEN to a token of a free Hugging Face account",
        ),
        (500, "answered 500 (Internal Server Error): wait a few minutes"),
        (503, "answered 503 (Service Unavailable): wait a few minutes"),
        ("cut", "stopped before the end of the file: check your internet connection"),
    ],
)
@pytest.mark.parametrize("data_alone", [False, True])
def test_a_failing_server(world, mode, sentence, data_alone):
    world.hub.mode, world.hub.data_alone = mode, data_alone
    assert sentence in world.fails("de", "en", 10)
    world.hub.mode = "right"
    assert len(world.load("de", "en", 10)["splits"]["train"]) == 10


def test_a_server_that_fails_once_is_asked_again(world):
    world.hub.mode, world.hub.data_alone, world.hub.failures = 503, True, 3
    answer = world.load("de", "en", 10)
    assert len(answer["splits"]["train"]) == 10 and answer["waits"] == 3


@pytest.fixture(scope="module")
def large():
    """A file of 40 MB that cannot be compressed."""
    rng = random.Random(0)
    rows = [(rng.randbytes(500).hex(), rng.randbytes(500).hex()) for _ in range(20_000)]
    return parquet(rows, compression="none", use_dictionary=False)


def test_of_a_large_file_only_what_is_needed_is_downloaded(world, large):
    world.publish([large], VALID, TEST)
    world.buffer = 500
    assert len(world.load("de", "en", 500)["splits"]["train"]) == 500
    assert world.hub.sent < len(large) / 2  # 1 MB is needed, and parts of 6 MB are fetched


def test_a_server_that_dies_in_the_middle(world, large):
    """The first groups of rows are there, and then nobody answers any more."""
    world.publish([large], VALID, TEST)
    world.hub.mode, world.hub.data_alone, world.hub.right_for = 503, True, 25_000_000
    assert "answered 503" in world.fails("de", "en", 20_000)
    assert world.hub.sent > 25_000_000


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "cannot be reached: check your internet connection, then run this again"),
        ({"HF_HUB_OFFLINE": "1"}, "is set: unset it, then run this again"),
    ],
)
def test_no_network(tmp_path, environment, sentence):
    with serve({}, Hub) as closed:
        pass
    with started(tmp_path, HF_ENDPOINT=closed.url, **environment) as child:
        assert World((closed, child), tmp_path).fails("de", "en", 10).endswith(sentence)


def test_lines_that_cannot_be_learned_from(world):
    fine = [(f"{n}".encode(), f"{n}".encode()) for n in range(20)]
    bad = [(b"", b"Empty."), (b"None.", None), ("Kühe".encode("latin-1"), b"Cows."), (b"Long." * 9_999, b"x")]
    rows = fine[:9] + bad + fine[9:]
    world.publish([not_utf8(rows)], VALID, TEST)
    answer = world.load("de", "en", 20)
    assert sorted(answer["splits"]["train"]) == sorted((de.decode(), en.decode()) for de, en in fine)
    for fact in ("2 with a side empty", "1 with a side not UTF-8", "1 with a side over 2,000 characters"):
        assert fact in answer["notes"]


@pytest.mark.parametrize(
    "held_out", [VALID[:1], VALID + TEST, [("", "One."), *VALID[1:]]], ids=["fewer", "more", "empty"]
)
def test_a_held_out_split_of_another_size(world, held_out):
    world.publish([TRAIN], held_out, TEST)
    error = world.load("de", "en", 10)["error"]
    assert "validation split does not have 2 sentence pairs" in error
    assert error.endswith("what the hub offers has changed, so get the newest version of this course")
    assert not (world.folder / "wmt14" / "valid").exists()


def test_a_wrong_checksum(world):
    """Bytes of the compressed text are others, while the file's table of contents is as it was."""
    rng = random.Random(0)
    data = bytearray(parquet([(rng.randbytes(99).hex(), rng.randbytes(99).hex()) for _ in range(3_000)]))
    data[len(data) // 3 : len(data) // 3 + 999] = bytes(999)
    world.publish([bytes(data)], VALID, TEST)
    sentence = world.fails("de", "en", 3_000)
    assert "is not WMT14 as this course knows it" in sentence and "run this again" in sentence


CHANGED = {
    "languages": parquet(TRAIN, names=("de", "fr")),
    "column": parquet(TRAIN, column="text"),
    "kind": parquet([(1, 2)] * 9, kind=pyarrow.int64()),
    "no table": b"<html>Please log in.</html>" * 99,
    "all unusable": not_utf8([(b"\xff", b"\xff")] * 9),
}


@pytest.mark.parametrize("data", CHANGED.values(), ids=CHANGED)
def test_a_changed_format(world, data):
    world.publish([data], VALID, TEST)
    assert "newest version of this course" in world.fails("de", "en", 10)


def test_a_data_set_without_the_split_or_the_files(world):
    world.hub.files = {name: data for name, data in world.hub.files.items() if "train" not in name}
    assert "newest version of this course" in world.fails("de", "en", 10)
    world.hub.files = {}
    assert "newest version of this course" in world.fails("de", "en", 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("de", "fr"), 'from "de" into "en"'),
        (("de", "de"), 'from "de" into "en"'),
        (("de", "en", 0), "1 or more, and not 0"),
        (("de", "en", 9, -1), "0 or more, and not -1"),
        (("de", "en", 9, None), "0 or more, and not None"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_wmt14(*arguments)
