"""Words cut into pieces, so that no word is unknown; and maps of pieces shown on words."""

import hashlib
import io
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from sys import intern

import torch

from utils.data.download import cache_folder, on_disk, replacing

MARK = "▁"  # begins the first piece of every word
MOST = 2**31 - 4  # pieces: with three of its own, sentencepiece counts them in 32 bits


def learn_subwords(sentences, size):
    """Learn at most `size` pieces from sentences, lists of words, by merging what often stands together.

    All letters of the text are pieces; then the most frequent pair of neighbours becomes a piece, again and
    again (byte pair encoding: Sennrich, Haddow and Birch 2016, algorithm 1, as sentencepiece does it). The
    result, a `Subwords`, is kept in the cache folder under the size and the checksum of all the sentences,
    and learned only once, or again where the file is damaged. A size below 1, too small to hold every letter,
    or above what sentencepiece can count is a ValueError; a cache folder that cannot be used is a DataError.
    """
    import sentencepiece  # slow to import, and only subwords need it

    if not 1 <= size <= MOST:
        raise ValueError(
            f"subwords is the number of pieces, from 1 (8000 is a good start) to {MOST}, not {size}"
        )
    lines = [_line(words) for words in sentences]
    key = hashlib.sha256(f"bpe {size} sentencepiece {sentencepiece.__version__}\n".encode())
    for line in lines:
        key.update(f"{line}\n".encode())
    path = cache_folder() / "subwords" / f"{key.hexdigest()[:32]}.model"
    with on_disk("subwords could not be read", path.parent), suppress(FileNotFoundError, RuntimeError):
        return Subwords(path)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=size + 3,  # its unknown, begin and end, which stay unused
            character_coverage=1.0,
            normalization_rule_name="identity",  # the words come as they are to be
            hard_vocab_limit=False,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(
            f"{size} pieces cannot be learned from these {len(lines):,} sentences "
            f"({' '.join(str(error).split())}): choose more pieces than the text has different letters"
        ) from error
    with on_disk("subwords could not be stored", path.parent), replacing(path) as partial:
        partial.write_bytes(model.getvalue())
    return Subwords(path)


class Subwords:
    """Cuts words into the pieces of a model that `learn_subwords` made; a damaged one is a RuntimeError.

    The first piece of a word begins with `MARK`. Put together, the pieces are the words again.
    """

    def __init__(self, path):
        self._model = _load(str(path))

    @property
    def pieces(self):
        """All pieces that the model knows, each letter of the text it was learned from among them."""
        model = self._model
        ids = (i for i in range(len(model)) if not model.is_control(i) and not model.is_unknown(i))
        return [model.id_to_piece(i) for i in ids]

    def cut(self, words):
        """Cut a list of words into a list of pieces; letters that were never seen are pieces too."""
        return list(map(intern, self._model.encode(_line(words), out_type=str)))


@lru_cache(maxsize=4)
def _load(path):
    import sentencepiece

    data = Path(path).read_bytes()
    if not data:  # for sentencepiece that is a model without pieces
        raise RuntimeError(f"{path} is empty")
    return sentencepiece.SentencePieceProcessor(model_proto=data)


def _line(words):
    """Words as one line of text; a mark of their own would look like the begin of a word."""
    return " ".join(words).replace(MARK, "_")


def word_of_each(pieces):
    """Number the word that each piece belongs to, from 0: a list of int as long as `pieces`.

    A word begins at every piece that begins with `MARK`, and at the first piece whatever it is.
    """
    return list(accumulate(int(i > 0 and piece.startswith(MARK)) for i, piece in enumerate(pieces)))


def merge_pieces(pieces):
    """Put pieces together into words, without the marks."""
    words = []
    for piece in pieces:
        if piece.startswith(MARK) or not words:
            words.append(piece.removeprefix(MARK))
        else:
            words[-1] += piece
    return words


def map_on_words(weights, src_pieces, tgt_pieces):
    """Show attention weights over pieces on words: the weights, the source words and the target words.

    weights (tgt_len, src_len) are over the pieces; a further row or column, an end token's, stays as it is.
    A source word has the sum of the weights of its pieces, for that is how much it was looked at; a target
    word has the mean of the rows of its pieces, for each was one look. So a row that summed to one still
    does. Other sizes are a ValueError.
    """
    ends = [size - len(pieces) for size, pieces in zip(weights.shape, (tgt_pieces, src_pieces), strict=True)]
    if not set(ends) <= {0, 1}:
        raise ValueError(
            f"{len(tgt_pieces)} target and {len(src_pieces)} source pieces do not fit weights of "
            f"{tuple(weights.shape)}: give the pieces that they were computed for"
        )
    means = _membership(tgt_pieces, ends[0]).to(weights)  # (tgt_len, tgt_words)
    sums = _membership(src_pieces, ends[1]).to(weights)  # (src_len, src_words)
    weights = (means / means.sum(0)).T @ weights @ sums  # (tgt_words, src_words)
    return weights, merge_pieces(src_pieces), merge_pieces(tgt_pieces)


def _membership(pieces, ends):
    """Say which piece belongs to which word: 1 where it does, (pieces + ends, words + ends)."""
    words = word_of_each(pieces)
    count = words[-1] + 1 if words else 0
    return torch.eye(count + ends)[[*words, *[count] * ends]]
