"""Sentence pairs kept on disk, so that a corpus may be larger than memory."""

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

from utils.data.download import DataError, cache_folder, on_disk

MAX_CHARACTERS = 2_000  # more than that is a table, or text that was not split into sentences
END = struct.Struct("<Q")  # where a line ends, in bytes


class Lines(Sequence):
    """Sentences that lie on disk, one a line of a UTF-8 file, and are read when they are asked for.

    A slice is a list. Beside the file lies where each of its lines ends, so that a sentence is found
    without reading those before it; `start` and `stop` choose some of the lines. Nothing is held
    open, so that threads and worker processes may share it.
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
        rows = self._rows[row]  # a number or a range: negative rows, slices and errors as in any sequence
        if isinstance(row, slice):
            return list(self._read(rows)) if rows.step == 1 else [next(self._read([row])) for row in rows]
        return next(self._read([rows]))

    def __iter__(self):
        return self._read(self._rows)

    def _read(self, rows):
        """Yield the sentences of some rows that follow each other."""
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


def usable(pairs, left_out, home):
    """Yield as text those `pairs` of bytes that can be learned from, and count the others in `left_out`.

    A pair is left out if a side is empty (or None), longer than MAX_CHARACTERS, or not UTF-8. Line
    ends within a sentence become spaces. Where more than 1,000 pairs and most of those seen, or all,
    are such, it is not this corpus: a DataError, which names `home`.
    """
    count = 0
    for pair in pairs:
        reason = None
        try:
            src, tgt = (re.sub(r"[\r\n]+", " ", (side or b"").decode("utf-8")).strip() for side in pair)
        except UnicodeDecodeError:
            reason = "not UTF-8"
        else:
            if not src or not tgt:
                reason = "empty"
            elif max(len(src), len(tgt)) > MAX_CHARACTERS:
                reason = f"over {MAX_CHARACTERS:,} characters"
        if reason is None:
            count += 1
            yield src, tgt
            continue
        left_out[reason] += 1
        if left_out.total() > max(1_000, count):
            break
    if left_out.total() > count and (not count or left_out.total() > 1_000):
        raise DataError(
            f"most sentence pairs from {home} cannot be used ({reasons(left_out)}): its format has "
            f"changed, so get the newest version of this course"
        )


def reasons(left_out):
    """Say how many pairs were left out and why."""
    return ", ".join(f"{count:,} with a side {reason}" for reason, count in sorted(left_out.items()))


def stored(name, languages, pairs, total=None, progress=True):
    """Return the folder in which sentence pairs are kept, and how many were left out and why.

    `name` is relative to the cache folder. A folder that is there and whole is used as it is: then
    nothing else is done. Otherwise `pairs(left_out)` gives the pairs, one text for each of the two
    `languages`, and adds to the Counter `left_out` what it drops; they go straight to disk, so that
    their number does not matter to memory. `total` is for the progress bar.

    The folder takes its name only when it is whole: whatever stops the making of it leaves nothing
    behind. Several processes may make one folder at once. A full or read-only disk is a DataError.
    """
    folder = cache_folder() / name
    if (left_out := _kept(folder)) is not None:
        return folder, left_out
    source = pairs(left_out := Counter())
    with on_disk(f"{name} could not be stored", folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            with tqdm(source, name, total, unit=" pairs", unit_scale=True, disable=not progress) as bar:
                _write(made, languages, bar)
            sizes = {path.name: path.stat().st_size for path in made.iterdir()}
            facts = {"sizes": sizes, "left_out": left_out}
            (made / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
            if _kept(folder) is None:  # else another process was faster
                shutil.rmtree(folder, ignore_errors=True)
                try:
                    os.rename(made, folder)
                except OSError:
                    if _kept(folder) is None:
                        raise
    return folder, left_out


def _kept(folder):
    """What was left out of the pairs in a folder; None if it is not there or not whole."""
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
        positions = [0 for _ in languages]
        for pair in pairs:
            for side, sentence in enumerate(pair):
                positions[side] += texts[side].write(sentence.encode("utf-8") + b"\n")
                ends[side].write(END.pack(positions[side]))
