import errno
import itertools
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from utils.data import Lines, Split, store
from utils.data.download import DataError
from utils.data.store import MAX_CHARACTERS, cached_pairs, clean_pairs, describe

pytestmark = pytest.mark.usefixtures("data_folder")
ROOT = Path(__file__).parents[2]
PAIRS = [
    ("Kühe\u2028muhen.", "Cows moo."),
    ("", "An empty side."),
    ("Drei.", "Three 🐄."),
    ("Vier.", "Four."),
]
SRC, TGT = map(list, zip(*PAIRS, strict=True))


def store_pairs(pairs=lambda left_out: iter(PAIRS)):
    """Store pairs as the corpus toy/de-en, and return its folder and the counts of dropped pairs."""
    return cached_pairs("toy/de-en", ("de", "en"), pairs, progress=False)


@pytest.fixture
def folder():
    return store_pairs()[0]


def files(data_folder):
    return sorted(path.name for path in data_folder.rglob("*") if path.is_file())


def test_lines_are_a_sequence(folder):
    lines = Lines(folder / "de.txt")
    assert list(lines) == SRC
    assert len(lines) == 4
    assert [lines[row] for row in range(-4, 4)] == SRC + SRC
    assert lines[1:3] == SRC[1:3]
    assert lines[::-2] == SRC[::-2]
    assert lines[9:] == []
    assert lines[:0] == []
    assert "Drei." in lines
    assert lines.index("Vier.") == 3
    for row in (4, -5):
        with pytest.raises(IndexError):
            lines[row]
    with pytest.raises(TypeError):
        lines["0"]
    assert repr(lines).startswith("<4 sentences in ")


def test_lines_can_be_limited_to_a_range(folder):
    lines = Lines(folder / "en.txt", 1, 3)
    assert list(lines) == TGT[1:3]
    assert len(lines) == 2
    assert lines[0] == lines[-2] == TGT[1]
    assert lines[1:] == TGT[2:3]
    with pytest.raises(IndexError):
        lines[2]
    assert list(Lines(folder / "en.txt", 4)) == list(Lines(folder / "en.txt", 9, 12)) == []


def test_lines_can_be_pickled_and_indexed_during_iteration(folder):
    lines = pickle.loads(pickle.dumps(Lines(folder / "de.txt")))
    assert [(line, lines[3]) for line in lines] == [(line, "Vier.") for line in SRC]


def test_split_can_consist_of_lines(folder):
    split = Split(Lines(folder / "de.txt"), Lines(folder / "en.txt"))
    assert split[1:3].tgt == TGT[1:3]
    assert split[[3, 0]].src == [SRC[3], SRC[0]]
    assert split.words == (0, 2)


def test_stored_pairs_are_not_produced_again(data_folder):
    def pairs(left_out):
        yield from PAIRS
        left_out["empty"] += 2

    first = store_pairs(pairs)
    assert first == store_pairs(lambda _: pytest.fail("produced again"))
    assert first == (data_folder / "toy/de-en", {"empty": 2})
    assert files(data_folder) == ["de.ends", "de.txt", "en.ends", "en.txt", "facts.json"]
    assert (first[0] / "en.txt").read_text("utf-8") == "".join(f"{line}\n" for line in TGT)


@pytest.mark.parametrize("name", ["de.txt", "en.ends", "facts.json"])
def test_incomplete_folder_is_stored_again(data_folder, folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    assert list(Lines(store_pairs()[0] / "de.txt")) == SRC
    path.unlink()
    assert list(Lines(store_pairs()[0] / "de.txt")) == SRC
    assert len(files(data_folder)) == 5


@pytest.mark.parametrize("error", [DataError("gone"), KeyboardInterrupt()])
def test_interrupted_storing_leaves_no_file(data_folder, error):
    def pairs(_):
        yield PAIRS[0]
        raise error

    with pytest.raises(type(error)):
        store_pairs(pairs)
    assert list((data_folder / "toy").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.ENOSPC, "there is no room left in .*: free some space"), (errno.EROFS, "cannot be used")],
)
def test_disk_errors_raise_data_error(data_folder, monkeypatch, number, sentence):
    def write(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(store, "_write", write)
        with pytest.raises(DataError, match=f"^toy/de-en could not be stored because .*{sentence}"):
            store_pairs()
    assert files(data_folder) == []
    assert list(Lines(store_pairs()[0] / "de.txt")) == SRC


def test_two_processes_can_store_a_folder_at_once(data_folder):
    child = """
import sys
from utils.data.store import Lines, cached_pairs

def pairs(_):
    print("begun", flush=True)
    sys.stdin.readline()
    yield "eins", "one"

folder, _ = cached_pairs("toy/de-en", ("de", "en"), pairs, progress=False)
print(*Lines(folder / "de.txt"))
"""
    command = [sys.executable, "-c", child]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["begun\n"] * 2
    for process in both:
        assert process.communicate("go\n", timeout=60) == ("eins\n", "")
    assert len(files(data_folder)) == 5


def test_progress_bar_names_the_corpus(capfd):
    cached_pairs("toy/de-en", ("de", "en"), lambda _: iter(PAIRS), total=4)
    out, err = capfd.readouterr()
    assert out == ""
    assert "toy/de-en: 100%" in err


def test_useless_pairs_are_dropped_and_counted():
    too_long = "ü" * (MAX_CHARACTERS + 1)
    useless = [("", "Two."), ("Drei.", None), ("Vier.", " \t\xa0"), (too_long, "Five."), ("6", too_long)]
    useful = [("Eins.", "One."), ("Sieben\r\nund\u2028acht.", " Seven, eight.\n"), (too_long[1:], "y")]
    pairs = [[side if side is None else side.encode() for side in pair] for pair in (*useless, *useful)]
    pairs.append(("Kühe".encode("latin-1"), b"cows"))
    left_out = Counter()
    assert list(clean_pairs(pairs, left_out, "here")) == [
        ("Eins.", "One."),
        ("Sieben und\u2028acht.", "Seven, eight."),
        (too_long[1:], "y"),
    ]
    assert left_out == {"empty": 3, "over 2,000 characters": 2, "not UTF-8": 1}
    assert describe(left_out) == (
        "3 with a side empty, 1 with a side not UTF-8, 2 with a side over 2,000 characters"
    )


@pytest.mark.parametrize("count", [3, 10**9])
def test_mostly_useless_pairs_raise_data_error_early(count):
    left_out = Counter()
    with pytest.raises(DataError, match=r"pairs from here cannot .* side not UTF-8.*newest version"):
        list(clean_pairs(itertools.repeat((b"\xff", b"\xff"), count), left_out, "here"))
    assert left_out.total() == min(count, 1_001)


def test_many_useless_pairs_are_fine_among_more_useful_ones():
    useful, useless = [(b"a", b"b")] * 2_000, [(b"", b"")]
    assert len(list(clean_pairs(useful + useless * 1_500, Counter(), "here"))) == 2_000
    assert len(list(clean_pairs(useless * 1_000 + useful, Counter(), "here"))) == 2_000
