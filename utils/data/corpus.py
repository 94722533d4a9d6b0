"""The data structure of every parallel corpus in this course."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

Links = frozenset  # of (source position, target position), counted from 0


@dataclass(frozen=True)
class Split:
    """Parallel sentence pairs.

    - src, tgt: sentences, as lists or as `Lines` on disk.
    - links: the gold word alignment of each pair, a frozenset of (source position, target position) counted
      from 0 over the corpus's tokens, or None if unknown.
    - clauses: the number of clauses of each source sentence, or None if unknown.

    Raises ValueError if they have different lengths.
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
                    f"expected one entry per sentence pair, got {len(self.src)} in src and {len(column)} in "
                    f"{name}: pass columns of the same length"
                )

    def __len__(self):
        return len(self.src)

    @cached_property
    def words(self):
        """The lowest and highest number of words of a source sentence, or None in an empty split."""
        counts = {len(sentence.split()) for sentence in self.src}
        return (min(counts), max(counts)) if counts else None

    def __getitem__(self, rows):
        """Return the split of these rows, a slice or a sequence of row numbers."""
        if isinstance(rows, slice):
            rows = range(*rows.indices(len(self)))
        columns = self.src, self.tgt, self.links, self.clauses
        return Split(*(None if column is None else [column[row] for row in rows] for column in columns))


@dataclass(frozen=True)
class Corpus:
    """A parallel corpus: its splits and its origin.

    `tokenization` is that of `utils.text.tokenize`: "words" for tokens separated by spaces, "moses" for raw
    text. `notes` says how the pairs were selected.
    """

    name: str
    src_lang: str
    tgt_lang: str
    splits: dict[str, Split]
    tokenization: str
    license: str
    citation: str
    home: str = ""
    notes: str = ""

    def __getitem__(self, split):
        if split not in self.splits:
            raise KeyError(f"{self.name} has no split {split!r}: choose from {', '.join(self.splits)}")
        return self.splits[split]

    def __repr__(self):
        lines = [f"{self.name}: {self.src_lang} to {self.tgt_lang}"]
        for name, split in self.splits.items():
            gold = ", gold alignments" if split.links is not None else ""
            lengths = "{} to {} source words".format(*split.words) if split.words else "empty"
            lines.append(f"  {name:<18} {len(split):>7,} pairs, {lengths}{gold}")
        origin = {"license": self.license, "cite": self.citation, "home": self.home, "notes": self.notes}
        return "\n".join(lines + [f"  {key}: {value}" for key, value in origin.items() if value])
