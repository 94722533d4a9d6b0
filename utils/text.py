"""Sentences to tokens, tokens to ids, ids to padded batches of similar length."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from sys import intern

import torch
from torch.nn.utils.rnn import pad_sequence

from utils.data.corpus import Corpus
from utils.data.reviews import load_reviews
from utils.data.tasks import load_questions, load_summaries
from utils.subwords import learn_subwords, map_on_words, merge_pieces

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIALS = (PAD, BOS, EOS, UNK)
PAD_ID, BOS_ID, EOS_ID, UNK_ID = range(4)


@lru_cache
def _moses(language):
    from sacremoses import MosesDetokenizer, MosesTokenizer  # slow to import, and only raw text needs it

    return MosesTokenizer(language), MosesDetokenizer(language)


def tokenize(sentence, tokenization="words", language="en"):
    """Split a sentence into tokens.

    "words" splits at spaces; "moses" lower-cases and applies the Moses tokenizer of `language`. A word is in
    memory once, however often it comes: that takes less room, and equal ones are compared at once.
    """
    if tokenization == "words":
        return list(map(intern, sentence.split()))
    if tokenization == "moses":
        return list(map(intern, _moses(language)[0].tokenize(sentence.lower(), escape=False)))
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

    @property
    def target_tokens(self):
        """The number of real target tokens."""
        return int((self.tgt_out != PAD_ID).sum())

    def to(self, device):
        """Move the tensors to `device`; lengths stay on the CPU, where packing wants them."""
        return Batch(
            self.src.to(device), self.src_lengths, self.tgt_in.to(device), self.tgt_out.to(device), self.rows
        )


def pad(sequences, pad_id=PAD_ID):
    """Stack id sequences of different lengths into (batch, longest), filled up with `pad_id`."""
    sequences = [torch.as_tensor(ids, dtype=torch.long) for ids in sequences]
    return pad_sequence(sequences, batch_first=True, padding_value=pad_id)


class Sequences:
    """Id sequences of different lengths, one after the other in one tensor: row `i` is a view of it.

    A tensor for each sentence would take several times the room of its ids.
    """

    def __init__(self, sequences):
        ids = []
        self.lengths = []
        for sequence in sequences:
            ids += sequence
            self.lengths.append(len(sequence))
        self.ids = torch.tensor(ids, dtype=torch.long)
        self.starts = [0, *accumulate(self.lengths)]

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, row):
        return self.ids[self.starts[row] : self.starts[row + 1]]


def part(rows, lengths, batch_tokens):
    """Part rows, in their order, into batches: as many as fit into `batch_tokens` padded cells, at least one.

    `lengths` has each row's target with its begin and its end token; a batch is given one of the two.
    """
    chunks, chunk, longest = [], [], 0
    for row in rows:
        longest = max(longest, lengths[row] - 1)
        if chunk and longest * (len(chunk) + 1) > batch_tokens:
            chunks.append(chunk)
            chunk, longest = [], lengths[row] - 1
        chunk.append(row)
    return [*chunks, chunk] if chunk else chunks


def lengths_to_mask(lengths, max_len):
    """Mark the real tokens: bool (batch, max_len), True where the position is below the length."""
    return torch.arange(max_len, device=lengths.device) < lengths[:, None]


class EncodedCorpus:
    """A corpus made ready for training: tokens, the two vocabularies, and batches of ids.

    The vocabularies hold the tokens that the training split has at least `min_count` times.
    Training pairs with a side longer than `max_tokens` are left out; other splits stay whole.

    With `subwords`, a number, words are cut into pieces, and the pieces are the tokens. Each side learns at
    most that many from its own half of the training split, and they are its vocabulary: `min_count` is for
    words. They are learned apart because the two sides share no embeddings, so that of joint pieces each
    would keep many that are only the other's.

    With `prompt_end`, a token that every target has once, a target's words up to it are given and not
    predicted, like the question before an answer: in `tgt_out` they are padding, which no loss counts.
    """

    def __init__(self, corpus: Corpus, min_count=1, max_tokens=None, subwords=None, prompt_end=None):
        self.corpus, self.prompt_end = corpus, prompt_end
        self._subwords = {}
        self._tokens = {}
        src, tgt = self.tokens("train", "src"), self.tokens("train", "tgt")
        if not src:
            raise ValueError("the training split is empty: give it pairs to learn from")
        if subwords is not None:
            self._subwords = {"src": learn_subwords(src, subwords), "tgt": learn_subwords(tgt, subwords)}
            src = self._tokens["train", "src"] = [self._subwords["src"].cut(words) for words in src]
            tgt = self._tokens["train", "tgt"] = [self._subwords["tgt"].cut(words) for words in tgt]
        self.train_rows = [
            row
            for row in range(len(src))
            if not max_tokens or max(len(src[row]), len(tgt[row])) <= max_tokens
        ]
        if not self.train_rows:
            raise ValueError(f"no training pair has at most {max_tokens} tokens: raise max_tokens")
        if self._subwords:
            self.src_vocab, self.tgt_vocab = (Vocabulary(cutter.pieces) for cutter in self._subwords.values())
        else:
            self.src_vocab = Vocabulary.from_sentences((src[row] for row in self.train_rows), min_count)
            self.tgt_vocab = Vocabulary.from_sentences((tgt[row] for row in self.train_rows), min_count)
        self._ids = {}

    def _language(self, side):
        return self.corpus.src_lang if side == "src" else self.corpus.tgt_lang

    def tokenize(self, sentence, side="src"):
        """Split a sentence of one side ("src" or "tgt") into the tokens that the vocabulary knows."""
        return self.cut(tokenize(sentence, self.corpus.tokenization, self._language(side)), side)

    def cut(self, words, side="src"):
        """Cut the words of one side into tokens: into pieces, or not at all where words are the tokens."""
        return self._subwords[side].cut(words) if self._subwords else list(words)

    def tokens(self, split, side):
        """All sentences of one side ("src" or "tgt") of a split, as lists of tokens."""
        if (split, side) not in self._tokens:
            sentences = getattr(self.corpus[split], side)
            self._tokens[split, side] = [self.tokenize(sentence, side) for sentence in sentences]
        return self._tokens[split, side]

    def words(self, tokens):
        """Put tokens together into words, where they are pieces of words; else they are words already."""
        return merge_pieces(tokens) if self._subwords else list(tokens)

    def detokenize(self, tokens, side="tgt"):
        """Join tokens of one side into a sentence: the way back from `tokenize`, but for upper case."""
        return detokenize(self.words(tokens), self.corpus.tokenization, self._language(side))

    def on_words(self, translation):
        """Show a `Translation` on words: its tokens put together, its weights as in `map_on_words`."""
        if not self._subwords:
            return translation
        src, tgt, weights = translation.src_tokens, translation.tokens, translation.weights
        if weights is not None:
            weights = map_on_words(weights, src, tgt)[0]
        return replace(translation, src_tokens=self.words(src), tokens=self.words(tgt), weights=weights)

    @property
    def fingerprint(self):
        """A checksum of the vocabularies and of how many pairs there are to learn from, as 16 hex digits."""
        facts = repr((self.src_vocab.tokens, self.tgt_vocab.tokens, len(self.train_rows)))
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    def _encoded(self, split):
        if split not in self._ids:
            encode_src, encode_tgt = self.src_vocab.encode, self.tgt_vocab.encode
            src = Sequences([*encode_src(tokens), EOS_ID] for tokens in self.tokens(split, "src"))
            tgt = Sequences([BOS_ID, *encode_tgt(tokens), EOS_ID] for tokens in self.tokens(split, "tgt"))
            self._ids[split] = src, tgt
        return self._ids[split]

    def chunks(self, split, batch_tokens, seed=None):
        """Part the rows of a split into batches of similar length, from short to long, as `part` does.

        With `seed`, which pairs of one length share a batch is drawn from it.
        """
        src, tgt = self._encoded(split)
        rows = self.train_rows if split == "train" else range(len(src))
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            rows = [rows[i] for i in torch.randperm(len(rows), generator=generator)]
        rows = sorted(rows, key=lambda row: (src.lengths[row], tgt.lengths[row]))
        return part(rows, tgt.lengths, batch_tokens)

    def batch(self, split, rows):
        """Pad the pairs of these rows into one `Batch`."""
        src, tgt = self._encoded(split)
        tgt_in, tgt_out = pad([tgt[row][:-1] for row in rows]), pad([tgt[row][1:] for row in rows])
        if self.prompt_end is not None:
            written = (tgt_in == self.tgt_vocab.ids[self.prompt_end]).cumsum(1) > 0
            tgt_out = tgt_out.masked_fill(~written, PAD_ID)
        return Batch(
            src=pad([src[row] for row in rows]),
            src_lengths=torch.tensor([src.lengths[row] for row in rows]),
            tgt_in=tgt_in,
            tgt_out=tgt_out,
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


@lru_cache
def encoded_questions():
    """Give the questions about reviews ready for training, made once in each process."""
    return EncodedCorpus(load_questions(), prompt_end="?")


@lru_cache
def encoded_summaries():
    """Give the summaries of reviews ready for training, made once in each process."""
    return EncodedCorpus(load_summaries())
