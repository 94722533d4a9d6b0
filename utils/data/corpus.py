"""The one shape that every parallel corpus of this course has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

Links = frozenset  # of (source position, target position), 0-based


@dataclass(frozen=True)
class Split:
    """Sentence pairs, line by line parallel.

    `src` and `tgt` are sentences: lists, or `Lines` that lie on disk where there may be millions.
    `links` are gold word alignments: for each pair a frozenset of (source position, target position),
    0-based, over the corpus's tokens. `clauses` counts the clauses of each source sentence. Both are
    None where a corpus does not know them.
    """

    src: Sequence[str]
    tgt: Sequence[str]
    links: list[Links] | None = None
    clauses: list[int] | None = None

    def __post_init__(self):
        for name in ("tgt", "links", "clauses"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.src):
                raise ValueError(
                    f"a split's columns must have one entry a sentence pair, but src has "
                    f"{len(self.src)} and {name} has {len(column)}: give all of them the same length"
                )

    def __len__(self):
        return len(self.src)

    @cached_property
    def words(self):
        """The fewest and the most words of a source sentence; None where there is no sentence."""
        fewest, most = None, 0
        for sentence in self.src:
            count = len(sentence.split())
            fewest, most = count if fewest is None else min(fewest, count), max(most, count)
        return None if fewest is None else (fewest, most)

    def __getitem__(self, rows):
        """The split of the chosen rows: a slice, or a sequence of row numbers."""
        if isinstance(rows, slice):
            rows = range(*rows.indices(len(self)))

        def pick(column):
            return None if column is None else [column[row] for row in rows]

        return Split(pick(self.src), pick(self.tgt), pick(self.links), pick(self.clauses))


@dataclass(frozen=True)
class Corpus:
    """A parallel corpus: its splits, and where it comes from.

    `tokenization` says how a sentence becomes tokens (`utils.text.tokenize` reads it): "words" for
    text whose tokens are already parted by spaces, "moses" for raw text. `notes` says what a reader of
    results should know about how the pairs were chosen.
    """

    name: str
    src_lang: str
    tgt_lang: str
    splits: dict[str, Split]
    tokenization: str
    licence: str
    citation: str
    home: str = field(default="")
    notes: str = field(default="")

    def __getitem__(self, split):
        if split not in self.splits:
            raise KeyError(f"{self.name} has no split {split!r}: choose from {', '.join(self.splits)}")
        return self.splits[split]

    def __repr__(self):
        rows = [f"{self.name}: {self.src_lang} to {self.tgt_lang}"]
        for name, split in self.splits.items():
            gold = ", gold alignments" if split.links is not None else ""
            lengths = "{} to {} source words".format(*split.words) if split.words else "empty"
            rows.append(f"  {name:<18} {len(split):>7,} pairs, {lengths}{gold}")
        rows += [f"  licence: {self.licence}", f"  cite: {self.citation}"]
        rows += [f"  home: {self.home}"] if self.home else []
        return "\n".join(rows + ([f"  notes: {self.notes}"] if self.notes else []))
