"""Sentence pairs on disk, for corpora that are larger than memory."""

import json
import os
import re
import shutil
import struct
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from tqdm.auto import tqdm

from utils.data.download import DataError, cache_folder, disk_errors

MAX_CHARACTERS = 2_000  # a longer line is a table, or text that was not split into sentences
END = struct.Struct("<Q")  # the position in bytes where a line ends


class Lines(Sequence):
    """The lines of a UTF-8 text file as a sequence of sentences, read from disk on access.

    `path` is the text file. A file with the suffix .ends beside it has the position where each line ends, so
    any line can be read without those before it. `start` and `stop` select a range of lines, as in a slice.
    A slice returns a list. No file stays open, so threads and worker processes can share the object.
    """

    def __init__(self, path, start=0, stop=None):
        self._path = Path(path)
        self._ends = self._path.with_suffix(".ends")
        self._rows = range(self._ends.stat().st_size // END.size)[start:stop]

    def __len__(self):
        return len(self._rows)

    def __repr__(self):
        return f"<{len(self):,} sentences in {self._path}>"

    def __getitem__(self, row):
        rows = self._rows[row]  # a number or a range, which knows negative rows, slices and IndexError
        if isinstance(row, slice):
            return list(self._read(rows)) if rows.step == 1 else [next(self._read([row])) for row in rows]
        return next(self._read([rows]))

    def __iter__(self):
        return self._read(self._rows)

    def _read(self, rows):
        """Yield the sentences of consecutive rows."""
        if rows:
            with open(self._path, "rb") as text:
                text.seek(self._end(rows[0] - 1))
                for line in islice(text, len(rows)):
                    yield line[:-1].decode("utf-8")

    def _end(self, row):
        if row < 0:
            return 0
        with open(self._ends, "rb") as ends:
            ends.seek(row * END.size)
            return END.unpack(ends.read(END.size))[0]


def clean_pairs(pairs, left_out, source):
    """Decode sentence pairs from bytes, and drop those that are of no use for training.

    A pair is dropped, and counted by reason in the Counter `left_out`, if a side is empty (or None), longer
    than `MAX_CHARACTERS`, or not UTF-8. Line ends within a sentence become spaces. Yields pairs of strings.

    Raises DataError, which names `source`, if the format has probably changed: all pairs are dropped, or
    more than 1,000 pairs and most of those seen so far.
    """
    kept = 0
    for pair in pairs:
        reason = None
        try:
            src, tgt = (re.sub(r"[\r\n]+", " ", (side or b"").decode("utf-8")).strip() for side in pair)
            if not src or not tgt:
                reason = "empty"
            elif max(len(src), len(tgt)) > MAX_CHARACTERS:
                reason = f"over {MAX_CHARACTERS:,} characters"
        except UnicodeDecodeError:
            reason = "not UTF-8"
        if reason is None:
            kept += 1
            yield src, tgt
            continue
        left_out[reason] += 1
        if left_out.total() > max(1_000, kept):
            break
    if left_out.total() > kept and (not kept or left_out.total() > 1_000):
        raise DataError(
            f"most sentence pairs from {source} cannot be used ({describe(left_out)}): its format has "
            f"changed, so get the newest version of this course"
        )


def describe(left_out):
    """Return how many pairs were left out and why, as text."""
    return ", ".join(f"{count:,} with a side {reason}" for reason, count in sorted(left_out.items()))


def cached_pairs(name, languages, pairs, total=None, progress=True):
    """Store sentence pairs on disk unless they are cached.

    `name` is the folder, relative to the cache folder. `pairs(left_out)` returns an iterable of pairs, one
    text for each of the two `languages`, and counts what it drops in the Counter `left_out`. It is only
    called if the folder is missing or incomplete. Pairs are written one by one, so they need not fit into
    memory. `total` is their number, for the progress bar.

    Returns the folder and `left_out`. The folder gets its name once it is complete, so a failure leaves
    nothing behind, and several processes may store it at once. Raises DataError if the disk fails.
    """
    folder = cache_folder() / name
    if (left_out := _read_left_out(folder)) is not None:
        return folder, left_out
    source = pairs(left_out := Counter())
    with disk_errors(f"{name} could not be stored", folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            complete = Path(scratch) / "complete"
            complete.mkdir()
            with tqdm(source, name, total, unit=" pairs", unit_scale=True, disable=not progress) as bar:
                _write(complete, languages, bar)
            sizes = {path.name: path.stat().st_size for path in complete.iterdir()}
            facts = {"sizes": sizes, "left_out": left_out}
            (complete / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
            if _read_left_out(folder) is None:  # no other process was faster
                shutil.rmtree(folder, ignore_errors=True)
                try:
                    os.rename(complete, folder)
                except OSError:
                    if _read_left_out(folder) is None:
                        raise
    return folder, left_out


def _read_left_out(folder):
    """Return the counts of dropped pairs in a folder of pairs, or None if it is missing or incomplete."""
    try:
        facts = json.loads((folder / "facts.json").read_text("utf-8"))
        if all((folder / name).stat().st_size == size for name, size in facts["sizes"].items()):
            return Counter(facts["left_out"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _write(folder, languages, pairs):
    with ExitStack() as stack:
        texts = [stack.enter_context(open(folder / f"{language}.txt", "wb")) for language in languages]
        ends = [stack.enter_context(open(folder / f"{language}.ends", "wb")) for language in languages]
        for pair in pairs:
            for sentence, text, end in zip(pair, texts, ends, strict=True):
                text.write(sentence.encode("utf-8") + b"\n")
                end.write(END.pack(text.tell()))
