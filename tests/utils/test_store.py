import errno
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from utils.data import Corpus, Lines, Split, store
from utils.data.download import DataError
from utils.data.store import MAX_CHARACTERS, reasons, stored, usable

ROOT = Path(__file__).parents[2]
PAIRS = [
    ("Kühe\u2028muhen.", "Cows moo."),
    ("", "An empty side."),
    ("Drei.", "Three 🐄."),
    ("Vier.", "Four."),
]
SRC, TGT = map(list, zip(*PAIRS, strict=True))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def keep(pairs=PAIRS, name="made/up"):
    return stored(name, ("de", "en"), lambda left_out: iter(pairs), progress=False)[0]


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_lines_are_a_sequence_of_the_sentences():
    lines = Lines(keep() / "de.txt")
    assert list(lines) == SRC and len(lines) == 4
    assert [lines[row] for row in range(-4, 4)] == SRC + SRC
    assert lines[1:3] == SRC[1:3] and lines[::-2] == SRC[::-2] and lines[9:] == [] and lines[:0] == []
    assert "Drei." in lines and lines.index("Vier.") == 3
    for row in (4, -5):
        with pytest.raises(IndexError):
            lines[row]
    with pytest.raises(TypeError):
        lines["0"]
    assert repr(lines).startswith("<4 sentences in ")


def test_a_part_of_the_lines():
    part = Lines(keep() / "en.txt", 1, 3)
    assert list(part) == TGT[1:3] and len(part) == 2
    assert part[0] == part[-2] == TGT[1] and part[1:] == TGT[2:3]
    with pytest.raises(IndexError):
        part[2]
    assert list(Lines(keep() / "en.txt", 4)) == list(Lines(keep() / "en.txt", 9, 12)) == []


def test_lines_go_to_other_processes_and_read_while_being_read():
    lines = pickle.loads(pickle.dumps(Lines(keep() / "de.txt")))
    assert [(line, lines[3]) for line in lines] == [(line, "Vier.") for line in SRC]


def test_a_corpus_of_lines_is_like_any_other():
    folder = keep()
    split = Split(Lines(folder / "de.txt"), Lines(folder / "en.txt"))
    assert split[1:3].tgt == TGT[1:3] and split[[3, 0]].src == [SRC[3], SRC[0]]
    assert split.words == (0, 2)
    corpus = Corpus("made up", "de", "en", {"train": split}, "words", "none", "none", notes="three cows")
    assert "4 pairs, 0 to 2 source words" in repr(corpus) and repr(corpus).endswith("  notes: three cows")


def test_pairs_are_kept_and_not_made_again(folder):
    def never(_):
        raise AssertionError("made again")

    def pairs(left_out):
        yield from PAIRS
        left_out["empty"] += 2

    first = stored("made/up", ("de", "en"), pairs, progress=False)
    assert (
        first == stored("made/up", ("de", "en"), never, progress=False) == (folder / "made/up", {"empty": 2})
    )
    assert files(folder) == ["de.ends", "de.txt", "en.ends", "en.txt", "facts.json"]
    assert (first[0] / "en.txt").read_text("utf-8") == "".join(f"{line}\n" for line in TGT)


@pytest.mark.parametrize("name", ["de.txt", "en.ends", "facts.json"])
def test_a_folder_that_is_not_whole_is_made_again(folder, name):
    path = keep() / name
    path.write_bytes(path.read_bytes()[:-1])
    assert list(Lines(keep() / "de.txt")) == SRC
    path.unlink()
    assert list(Lines(keep() / "de.txt")) == SRC
    assert len(files(folder)) == 5


@pytest.mark.parametrize("error", [DataError("gone"), KeyboardInterrupt()])
def test_what_stops_the_making_leaves_nothing(folder, error):
    def pairs(_):
        yield PAIRS[0]
        raise error

    with pytest.raises(type(error)):
        stored("made/up", ("de", "en"), pairs, progress=False)
    assert [*(folder / "made").iterdir()] == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.ENOSPC, "there is no room left in .*: free some space"), (errno.EROFS, "cannot be used")],
)
def test_a_disk_error(folder, monkeypatch, number, sentence):
    def write(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(store, "_write", write)
        with pytest.raises(DataError, match=f"^made/up could not be stored because .*{sentence}"):
            keep()
    assert files(folder) == []
    assert list(Lines(keep() / "de.txt")) == SRC


def test_processes_that_make_one_folder_at_once(folder):
    child = """
import sys
from utils.data.store import Lines, stored

def pairs(_):
    print("begun", flush=True)
    sys.stdin.readline()
    yield "eins", "one"

folder, _ = stored("made/up", ("de", "en"), pairs, progress=False)
print(*Lines(folder / "de.txt"))
"""
    command = [sys.executable, "-c", child]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["begun\n"] * 2
    for process in both:
        assert process.communicate("go\n", timeout=60) == ("eins\n", "")
    assert len(files(folder)) == 5


def test_the_progress_bar_names_the_corpus(capfd):
    stored("made/up", ("de", "en"), lambda _: iter(PAIRS), total=4)
    out, err = capfd.readouterr()
    assert out == "" and "made/up: 100%" in err


def test_what_cannot_be_learned_from_is_left_out_and_counted():
    long = "x" * (MAX_CHARACTERS + 1)
    pairs = [
        ("Eins.", "One."),
        ("", "Two."),
        ("Drei.", None),
        ("Vier.", " \t\xa0"),
        (long, "Five."),
        ("6", long),
    ]
    pairs += [("Sieben\r\nund\u2028acht.", " Seven, eight.\n"), ("ü" * MAX_CHARACTERS, "y")]
    encoded = [[side if side is None else side.encode() for side in pair] for pair in pairs]
    encoded.append(("Kühe".encode("latin-1"), b"cows"))
    left_out = Counter()
    assert list(usable(encoded, left_out, "here")) == [
        ("Eins.", "One."),
        ("Sieben und\u2028acht.", "Seven, eight."),
        ("ü" * MAX_CHARACTERS, "y"),
    ]
    assert left_out == {"empty": 3, "over 2,000 characters": 2, "not UTF-8": 1}
    assert reasons(left_out) == (
        "3 with a side empty, 1 with a side not UTF-8, 2 with a side over 2,000 characters"
    )


def test_a_corpus_of_which_most_cannot_be_used_is_another_one():
    def pairs(count):
        for number in range(count):
            asked.append(number)
            yield b"\xff", b"\xff"

    for count in (3, 10**9):
        asked, left_out = [], Counter()
        with pytest.raises(
            DataError, match=r"most sentence pairs from here cannot .* side not UTF-8.*newest version"
        ):
            list(usable(pairs(count), left_out, "here"))
        assert len(asked) == min(count, 1_001)
    fine = [(b"a", b"b")] * 2_000
    assert len(list(usable(fine + [(b"", b"")] * 1_500, Counter(), "here"))) == 2_000
    assert len(list(usable([(b"", b"")] * 1_000 + fine, Counter(), "here"))) == 2_000
