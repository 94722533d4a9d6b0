"""Subwords, so that few words are unknown, and attention maps merged from subwords to words."""

import hashlib
import io
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from sys import intern

import torch

from utils.data.download import cache_folder, disk_errors, replacing

MARK = "▁"  # starts the first piece of every word
MAX_SIZE = 2**31 - 4  # sentencepiece counts pieces, with three of its own, in 32 bits


def learn_subwords(sentences, size):
    """Learn at most `size` subwords ("pieces") by byte pair encoding and return them as `Subwords`.

    `sentences` are lists of words. All letters are pieces. Then the most frequent pair of neighbors becomes
    a piece, again and again. The model is cached under the size and the checksum of all sentences, and
    learned again if its file is damaged.

    Raises ValueError if `size` is below 1, too small to hold every letter, or above `MAX_SIZE`, and DataError
    if the cache folder cannot be used. Sennrich et al. 2016, algorithm 1, as implemented by sentencepiece.
    """
    import sentencepiece  # slow to import

    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"expected 1 to {MAX_SIZE} subwords, got {size}: 8000 is a good start")
    lines = [_line(words) for words in sentences]
    key = hashlib.sha256(f"bpe {size} sentencepiece {sentencepiece.__version__}\n".encode())
    for line in lines:
        key.update(f"{line}\n".encode())
    path = cache_folder() / "subwords" / f"{key.hexdigest()[:32]}.model"
    with disk_errors("subwords could not be read", path.parent), suppress(FileNotFoundError, RuntimeError):
        return Subwords(path)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=size + 3,  # its own unknown, begin and end tokens, which stay unused
            character_coverage=1.0,
            normalization_rule_name="identity",
            hard_vocab_limit=False,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(
            f"could not learn {size} subwords from {len(lines):,} sentences "
            f"({' '.join(str(error).split())}): choose more subwords than the text has different letters"
        ) from error
    with disk_errors("subwords could not be stored", path.parent), replacing(path) as partial:
        partial.write_bytes(model.getvalue())
    return Subwords(path)


class Subwords:
    """Cut words into the pieces of a model file written by `learn_subwords`.

    The first piece of a word starts with `MARK`. `merge_pieces` is the inverse of `cut`. Raises RuntimeError
    if the file is damaged.
    """

    def __init__(self, path):
        self._model = _load(str(path))

    @property
    def pieces(self):
        """All pieces of the model, which include every letter of the training text."""
        model = self._model
        ids = (i for i in range(len(model)) if not model.is_control(i) and not model.is_unknown(i))
        return [model.id_to_piece(i) for i in ids]

    def cut(self, words):
        """Cut a list of words into a list of pieces. Unseen letters become pieces outside `pieces`."""
        return list(map(intern, self._model.encode(_line(words), out_type=str)))


@lru_cache(maxsize=4)
def _load(path):
    import sentencepiece

    data = Path(path).read_bytes()
    if not data:  # sentencepiece would accept it as a model without pieces
        raise RuntimeError(f"{path} is empty")
    return sentencepiece.SentencePieceProcessor(model_proto=data)


def _line(words):
    """Join words into a line of text, in which a `MARK` cannot be taken for the start of a word."""
    return " ".join(words).replace(MARK, "_")


def word_of_each(pieces):
    """Return the index of the word that each piece belongs to, a list as long as `pieces`.

    A word starts at the first piece and at every piece that starts with `MARK`.
    """
    return list(accumulate(int(i > 0 and piece.startswith(MARK)) for i, piece in enumerate(pieces)))


def merge_pieces(pieces):
    """Merge pieces into words, without the marks."""
    return "".join(pieces).removeprefix(MARK).split(MARK) if pieces else []


def map_on_words(weights, src_pieces, tgt_pieces):
    """Merge attention weights over pieces into weights over words.

    `weights` is (tgt_len, src_len). A row or column more than there are pieces belongs to an end token and
    is kept. Returns the weights (tgt_words, src_words), the source words and the target words.

    A source word gets the sum of the weights of its pieces. A target word gets the mean of the rows of its
    pieces, so rows that sum to one still do. Raises ValueError if the sizes do not fit.
    """
    ends = [size - len(pieces) for size, pieces in zip(weights.shape, (tgt_pieces, src_pieces), strict=True)]
    if not set(ends) <= {0, 1}:
        raise ValueError(
            f"expected one weight per piece, with or without end tokens, got weights of shape "
            f"{tuple(weights.shape)} for {len(tgt_pieces)} target and {len(src_pieces)} source pieces: pass "
            f"the pieces that the weights were computed for"
        )
    means = _membership(tgt_pieces, ends[0]).to(weights)  # (tgt_len, tgt_words)
    sums = _membership(src_pieces, ends[1]).to(weights)  # (src_len, src_words)
    weights = (means / means.sum(0)).T @ weights @ sums  # (tgt_words, src_words)
    return weights, merge_pieces(src_pieces), merge_pieces(tgt_pieces)


def _membership(pieces, ends):
    """Return a matrix (pieces + ends, words + ends) that is 1 where a piece belongs to a word."""
    words = word_of_each(pieces)
    count = words[-1] + 1 if words else 0
    return torch.eye(count + ends)[[*words, *[count] * ends]]
