"""Sentences to tokens, tokens to ids, ids to padded batches of similar length."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from utils.data.corpus import Corpus
from utils.data.reviews import load_reviews

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIALS = (PAD, BOS, EOS, UNK)
PAD_ID, BOS_ID, EOS_ID, UNK_ID = range(4)


@lru_cache
def _moses(language):
    from sacremoses import MosesDetokenizer, MosesTokenizer  # slow to import, and only raw text needs it

    return MosesTokenizer(language), MosesDetokenizer(language)


def tokenize(sentence, tokenization="words", language="en"):
    """Split a sentence into tokens.

    "words" splits at spaces; "moses" lower-cases and applies the Moses tokenizer of `language`.
    """
    if tokenization == "words":
        return sentence.split()
    if tokenization == "moses":
        return _moses(language)[0].tokenize(sentence.lower(), escape=False)
    raise ValueError(f'tokenization is "words" or "moses", not {tokenization!r}')


def detokenize(tokens, tokenization="words", language="en"):
    """Join tokens into a sentence: the way back from `tokenize`, but for upper case."""
    if tokenization == "words":
        return " ".join(tokens)
    return _moses(language)[1].detokenize(tokens, unescape=False)


class Vocabulary:
    """The tokens a model knows, each with an id; ids 0 to 3 are padding, begin, end and unknown."""

    def __init__(self, tokens):
        self.tokens = [*SPECIALS, *tokens]
        self.ids = {token: id_ for id_, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            twice = [token for token, n in Counter(self.tokens).items() if n > 1]
            raise ValueError(
                f"a vocabulary holds each token once, but {twice[:3]} come again: remove the copies"
            )

    @classmethod
    def from_sentences(cls, sentences, min_count=1):
        """Collect the tokens seen at least `min_count` times, most frequent first (ties: alphabetical)."""
        counts = Counter(token for sentence in sentences for token in sentence)
        return cls(sorted((t for t in counts if counts[t] >= min_count), key=lambda t: (-counts[t], t)))

    def __len__(self):
        return len(self.tokens)

    def __contains__(self, token):
        return token in self.ids

    def encode(self, tokens):
        """Turn tokens into ids, without begin or end; an unknown token becomes `UNK_ID`."""
        return [self.ids.get(token, UNK_ID) for token in tokens]

    def decode(self, ids):
        """Turn ids into tokens, up to but without the first end token; padding and begin are dropped."""
        tokens = []
        for id_ in ids:
            if id_ == EOS_ID:
                break
            if id_ not in (PAD_ID, BOS_ID):
                tokens.append(self.tokens[id_])
        return tokens


@dataclass
class Batch:
    """Padded ids of some sentence pairs, in the order of `rows`.

    src (batch, src_len) ends each sentence with its end token; src_lengths (batch,) counts real
    tokens. tgt_in (batch, tgt_len) begins with the begin token; tgt_out (batch, tgt_len) is the
    same sentence one step later and ends with the end token.
    """

    src: torch.Tensor
    src_lengths: torch.Tensor
    tgt_in: torch.Tensor
    tgt_out: torch.Tensor
    rows: list[int]

    def to(self, device):
        """Move the tensors to `device`; lengths stay on the CPU, where packing wants them."""
        return Batch(
            self.src.to(device), self.src_lengths, self.tgt_in.to(device), self.tgt_out.to(device), self.rows
        )


def pad(sequences, pad_id=PAD_ID):
    """Stack id sequences of different lengths into (batch, longest), filled up with `pad_id`."""
    out = torch.full((len(sequences), max(map(len, sequences))), pad_id)
    for row, ids in enumerate(sequences):
        out[row, : len(ids)] = torch.as_tensor(ids)
    return out


def lengths_to_mask(lengths, max_len):
    """Mark the real tokens: bool (batch, max_len), True where the position is below the length."""
    return torch.arange(max_len, device=lengths.device) < lengths[:, None]


class EncodedCorpus:
    """A corpus made ready for training: tokens, the two vocabularies, and batches of ids.

    The vocabularies hold the tokens that the training split has at least `min_count` times.
    Training pairs with a side longer than `max_tokens` are left out; other splits stay whole.
    """

    def __init__(self, corpus: Corpus, min_count=1, max_tokens=None):
        self.corpus = corpus
        self._tokens = {}
        src, tgt = self.tokens("train", "src"), self.tokens("train", "tgt")
        self.train_rows = [
            row
            for row in range(len(src))
            if not max_tokens or max(len(src[row]), len(tgt[row])) <= max_tokens
        ]
        if not self.train_rows:
            raise ValueError(f"no training pair has at most {max_tokens} tokens: raise max_tokens")
        self.src_vocab = Vocabulary.from_sentences((src[row] for row in self.train_rows), min_count)
        self.tgt_vocab = Vocabulary.from_sentences((tgt[row] for row in self.train_rows), min_count)
        self._ids = {}

    def tokens(self, split, side):
        """All sentences of one side ("src" or "tgt") of a split, as lists of tokens."""
        if (split, side) not in self._tokens:
            language = self.corpus.src_lang if side == "src" else self.corpus.tgt_lang
            sentences = getattr(self.corpus[split], side)
            self._tokens[split, side] = [tokenize(s, self.corpus.tokenization, language) for s in sentences]
        return self._tokens[split, side]

    def _encoded(self, split):
        if split not in self._ids:
            src = [torch.tensor([*self.src_vocab.encode(t), EOS_ID]) for t in self.tokens(split, "src")]
            tgt = [
                torch.tensor([BOS_ID, *self.tgt_vocab.encode(t), EOS_ID]) for t in self.tokens(split, "tgt")
            ]
            self._ids[split] = src, tgt
        return self._ids[split]

    def chunks(self, split, batch_tokens, seed=None):
        """Part the rows of a split into batches of similar length, from short to long.

        A batch has as many pairs as fit into `batch_tokens` cells of padded target (at least one).
        With `seed`, which pairs of one length share a batch is drawn from it.
        """
        src, tgt = self._encoded(split)
        rows = self.train_rows if split == "train" else range(len(src))
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            rows = [rows[i] for i in torch.randperm(len(rows), generator=generator)]
        chunks, chunk, longest = [], [], 0
        for row in sorted(rows, key=lambda row: (len(src[row]), len(tgt[row]))):
            longest = max(longest, len(tgt[row]) - 1)
            if chunk and longest * (len(chunk) + 1) > batch_tokens:
                chunks.append(chunk)
                chunk, longest = [], len(tgt[row]) - 1
            chunk.append(row)
        return [*chunks, chunk] if chunk else chunks

    def batch(self, split, rows):
        """Pad the pairs of these rows into one `Batch`."""
        src, tgt = self._encoded(split)
        return Batch(
            src=pad([src[row] for row in rows]),
            src_lengths=torch.tensor([len(src[row]) for row in rows]),
            tgt_in=pad([tgt[row][:-1] for row in rows]),
            tgt_out=pad([tgt[row][1:] for row in rows]),
            rows=rows,
        )

    def batches(self, split, batch_tokens=4_000):
        """Yield every pair of a split once, in batches of similar length, from short to long."""
        for rows in self.chunks(split, batch_tokens):
            yield self.batch(split, rows)


@lru_cache
def encoded_reviews(clauses=None):
    """Give the embedded reviews ready for training, made once in each process.

    With `clauses`, only those of at most so many clauses; the split of long reviews is then empty.
    """
    corpus = load_reviews()
    if clauses is None:
        return EncodedCorpus(corpus)
    splits = {
        name: split[[row for row, count in enumerate(split.clauses) if count <= clauses]]
        for name, split in corpus.splits.items()
    }
    return EncodedCorpus(replace(corpus, splits=splits))
