"""From sentences to tokens, from tokens to ids, from ids to padded batches."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, takewhile
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
SIDES = ("src", "tgt")


@lru_cache
def _moses(language):
    from sacremoses import MosesDetokenizer, MosesTokenizer  # slow to import

    return MosesTokenizer(language), MosesDetokenizer(language)


def tokenize(sentence, tokenization="words", language="en"):
    """Split a sentence into tokens.

    `tokenization` is "words", which splits at spaces, or "moses", which lowercases the sentence and applies
    the Moses tokenizer of `language`. Tokens are interned: equal tokens share one string in memory.
    """
    if tokenization == "words":
        return list(map(intern, sentence.split()))
    if tokenization == "moses":
        return list(map(intern, _moses(language)[0].tokenize(sentence.lower(), escape=False)))
    raise ValueError(f'expected tokenization "words" or "moses", got {tokenization!r}')


def detokenize(tokens, tokenization="words", language="en"):
    """Join tokens into a sentence: the inverse of `tokenize`, except for upper case."""
    if tokenization == "words":
        return " ".join(tokens)
    return _moses(language)[1].detokenize(tokens, unescape=False)


class Vocabulary:
    """Map tokens to ids and back. Ids 0 to 3 are `PAD_ID`, `BOS_ID`, `EOS_ID` and `UNK_ID`."""

    def __init__(self, tokens):
        self.tokens = [*SPECIALS, *tokens]
        self.ids = {token: id_ for id_, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            repeated = [token for token, count in Counter(self.tokens).items() if count > 1]
            raise ValueError(f"expected distinct tokens, got {repeated[:3]} more than once: remove copies")

    @classmethod
    def from_sentences(cls, sentences, min_count=1):
        """Collect the tokens that occur at least `min_count` times, by frequency, then alphabetically."""
        counts = Counter(token for sentence in sentences for token in sentence)
        return cls(sorted((t for t in counts if counts[t] >= min_count), key=lambda t: (-counts[t], t)))

    def __len__(self):
        return len(self.tokens)

    def __contains__(self, token):
        return token in self.ids

    def encode(self, tokens):
        """Return the ids of tokens, without begin or end token. Unknown tokens become `UNK_ID`."""
        return [self.ids.get(token, UNK_ID) for token in tokens]

    def decode(self, ids):
        """Return the tokens of ids up to the first end token, without padding and begin tokens."""
        written = takewhile(lambda id_: id_ != EOS_ID, ids)
        return [self.tokens[id_] for id_ in written if id_ not in (PAD_ID, BOS_ID)]


@dataclass
class Batch:
    """Padded ids of sentence pairs, in the order of `rows`.

    - src (batch, src_len): each sentence ends with the end token.
    - src_lengths (batch,): the number of real tokens.
    - tgt_in (batch, tgt_len): each sentence starts with the begin token.
    - tgt_out (batch, tgt_len): the same sentences one step later, with the end token.
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
        """Move the tensors to `device`, except for the lengths: packing needs them on the CPU."""
        return Batch(
            self.src.to(device), self.src_lengths, self.tgt_in.to(device), self.tgt_out.to(device), self.rows
        )


def pad(sequences, pad_id=PAD_ID):
    """Stack id sequences of different lengths into one tensor (batch, max_len), padded with `pad_id`."""
    sequences = [torch.as_tensor(ids, dtype=torch.long) for ids in sequences]
    return pad_sequence(sequences, batch_first=True, padding_value=pad_id)


class Sequences:
    """Id sequences of different lengths, stored in one tensor. Indexing returns a view of a sequence.

    One tensor per sentence would take several times the memory of its ids.
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


def group_rows(rows, lengths, batch_tokens):
    """Group rows, in the given order, into batches of at most `batch_tokens` padded target tokens.

    `lengths` has the length of each row's target, including its begin and its end token: a batch holds only
    one of the two. A row that is too long becomes a batch by itself.
    """
    batches, batch, longest = [], [], 0
    for row in rows:
        longest = max(longest, lengths[row] - 1)
        if batch and longest * (len(batch) + 1) > batch_tokens:
            batches.append(batch)
            batch, longest = [], lengths[row] - 1
        batch.append(row)
    return [*batches, batch] if batch else batches


def lengths_to_mask(lengths, max_len):
    """Return a bool mask (batch, max_len), True for real tokens: positions below `lengths` (batch,)."""
    return torch.arange(max_len, device=lengths.device) < lengths[:, None]


class EncodedCorpus:
    """A corpus ready for training: tokens, two vocabularies, and batches of ids.

    The vocabularies hold the tokens that occur at least `min_count` times in the training split. Training
    pairs with more than `max_tokens` tokens on either side are left out. Other splits stay complete.

    With `subwords`, an int, words are cut into subwords, and these are the tokens. Each side learns at most
    that many from its half of the training split, and they are its vocabulary, whatever `min_count`.

    With `shared`, both sides have one vocabulary, of the words or subwords of both, for models with tied
    embeddings. Without, each side's vocabulary has only what it needs.

    With `prompt_end`, a token that occurs once in each target, the target up to and including this token is
    given to the model and not predicted, like the question before an answer. It is padding in `tgt_out`.
    """

    def __init__(
        self, corpus: Corpus, min_count=1, max_tokens=None, subwords=None, prompt_end=None, shared=False
    ):
        self.corpus, self.prompt_end = corpus, prompt_end
        self._subwords, self._tokens, self._ids = {}, {}, {}
        src, tgt = self.tokens("train", "src"), self.tokens("train", "tgt")
        if not src:
            raise ValueError("expected training pairs, got an empty training split: add sentence pairs to it")
        if subwords is not None:
            learned = [learn_subwords(half, subwords) for half in ([src + tgt] if shared else [src, tgt])]
            self._subwords = {"src": learned[0], "tgt": learned[-1]}
            src, tgt = ([self.cut(words, side) for words in self.tokens("train", side)] for side in SIDES)
            self._tokens = {("train", "src"): src, ("train", "tgt"): tgt}
        lengths = [max(map(len, pair)) for pair in zip(src, tgt, strict=True)]
        self.train_rows = [row for row, count in enumerate(lengths) if not max_tokens or count <= max_tokens]
        if not self.train_rows:
            raise ValueError(
                f"expected training pairs of at most {max_tokens} tokens, but the shortest has "
                f"{min(lengths)}: raise max_tokens"
            )
        halves = [[sentences[row] for row in self.train_rows] for sentences in (src, tgt)]
        self.src_vocab, self.tgt_vocab = (
            Vocabulary(self._subwords[side].pieces)
            if self._subwords
            else Vocabulary.from_sentences(half, min_count)
            for side, half in zip(SIDES, [sum(halves, [])] * 2 if shared else halves, strict=True)
        )

    def _language(self, side):
        return self.corpus.src_lang if side == "src" else self.corpus.tgt_lang

    def tokenize(self, sentence, side="src"):
        """Split a sentence of one side ("src" or "tgt") into tokens of its vocabulary."""
        return self.cut(tokenize(sentence, self.corpus.tokenization, self._language(side)), side)

    def cut(self, words, side="src"):
        """Cut the words of one side into subwords, or return them unchanged if words are the tokens."""
        return self._subwords[side].cut(words) if self._subwords else list(words)

    def tokens(self, split, side):
        """Return all sentences of one side ("src" or "tgt") of a split, as lists of tokens."""
        if (split, side) not in self._tokens:
            sentences = getattr(self.corpus[split], side)
            self._tokens[split, side] = [self.tokenize(sentence, side) for sentence in sentences]
        return self._tokens[split, side]

    def words(self, tokens):
        """Merge subwords into words, or return the tokens unchanged if they are words."""
        return merge_pieces(tokens) if self._subwords else list(tokens)

    def detokenize(self, tokens, side="tgt"):
        """Join tokens of one side into a sentence: the inverse of `tokenize`, except for upper case."""
        return detokenize(self.words(tokens), self.corpus.tokenization, self._language(side))

    def on_words(self, translation):
        """Convert a `Translation` from subwords to words, with the weights of `map_on_words`."""
        if not self._subwords:
            return translation
        src, tgt, weights = translation.src_tokens, translation.tokens, translation.weights
        if weights is not None:
            weights = map_on_words(weights, src, tgt)[0]
        return replace(translation, src_tokens=self.words(src), tokens=self.words(tgt), weights=weights)

    @property
    def fingerprint(self):
        """16 hex digits that identify the vocabularies and the number of training pairs."""
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
        """Group the rows of a split into batches of similar length, from short to long, by `group_rows`.

        With `seed`, pairs of equal length are shuffled first, so their batches differ between seeds.
        """
        src, tgt = self._encoded(split)
        rows = self.train_rows if split == "train" else range(len(src))
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            rows = [rows[i] for i in torch.randperm(len(rows), generator=generator)]
        rows = sorted(rows, key=lambda row: (src.lengths[row], tgt.lengths[row]))
        return group_rows(rows, tgt.lengths, batch_tokens)

    def batch(self, split, rows):
        """Pad the pairs of these rows into one `Batch`."""
        src, tgt = self._encoded(split)
        tgt_in, tgt_out = pad([tgt[row][:-1] for row in rows]), pad([tgt[row][1:] for row in rows])
        if self.prompt_end is not None:
            predicted = (tgt_in == self.tgt_vocab.ids[self.prompt_end]).cumsum(1) > 0  # (batch, tgt_len)
            tgt_out = tgt_out.masked_fill(~predicted, PAD_ID)
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
def encoded_reviews():
    """Return the reviews of `load_reviews` as an `EncodedCorpus`, cached per process."""
    return EncodedCorpus(load_reviews())


@lru_cache
def encoded_questions():
    """Return the questions about reviews as an `EncodedCorpus`, cached per process."""
    return EncodedCorpus(load_questions(), prompt_end="?")


@lru_cache
def encoded_summaries():
    """Return the summaries of reviews as an `EncodedCorpus`, cached per process."""
    return EncodedCorpus(load_summaries())
