"""The Transformer and its parts: self-attention, masks, heads, positions, blocks, and the translator.

Attention is that of `utils.attention`, and masks are those of `masked_softmax`: bool, True = may be attended
to, (batch, src_len), the same for every query, or (batch, tgt_len, src_len). Two axes always mean
(batch, src_len), so give a causal mask a batch axis first: causal_mask(length).expand(batch, -1, -1), or
src_mask[:, None] & causal_mask(length), which also masks padding.
"""

from functools import lru_cache

import torch
from torch import nn

from utils.attention import attend, scaled_dot_score
from utils.decoding import DecodingState, Translator
from utils.models import TiedEmbedding, initialize
from utils.text import PAD_ID, lengths_to_mask


def self_attention(x, w_query, w_key, w_value, mask=None):
    """Let every word of a sentence attend to the words of the same sentence.

    x (batch, length, hidden); w_query and w_key (hidden, key_dim), w_value (hidden, value_dim). Query, keys,
    and values are x times their matrix; scores are divided by the square root of key_dim. Returns context
    (batch, length, value_dim) and weights (batch, length, length), one row per query. A word that may attend
    to nothing gets zeros. Vaswani et al. 2017, equation 1.
    """
    return attend(x @ w_query, x @ w_key, x @ w_value, mask, scaled_dot_score)


def causal_mask(length):
    """Return the mask of a decoder: each word may attend to itself and to the words before it.

    Returns bool (length, length) on the CPU, True = may be attended to; rows are queries, columns are keys.
    Vaswani et al. 2017, section 3.2.3.
    """
    return torch.ones(length, length, dtype=torch.bool).tril()


class MultiHeadAttention(nn.Module):
    """Attend with several heads at once, each with its own part of the vectors.

    forward(query, keys, values, mask=None): query (batch, tgt_len, hidden), keys and values
    (batch, src_len, hidden). Returns output (batch, tgt_len, hidden) and weights
    (batch, heads, tgt_len, src_len). attention(x, x, x) is self-attention; a decoder attends to its source
    with attention(x, encoder_states, encoder_states). Head h uses the h-th run of hidden / heads numbers of
    each projected vector. Raises `ValueError` unless `hidden_dim` is a multiple of `heads`.

    Vaswani et al. 2017, section 3.2.2. There are no biases, so a query with nothing to attend to gets zeros.
    """

    def __init__(self, hidden_dim, heads):
        super().__init__()
        if hidden_dim % heads:
            raise ValueError(
                f"hidden_dim is split evenly between heads: expected a multiple of {heads}, got {hidden_dim}"
            )
        self.heads = heads
        self.query_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.key_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.value_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.out_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)

    def forward(self, query, keys, values, mask=None):
        return self.from_projected(query, *self.project(keys, values), mask)

    def project(self, keys, values):
        """Return projected keys and values, (batch, heads, src_len, head_dim) each."""
        return self._split(self.key_proj(keys)), self._split(self.value_proj(values))

    def from_projected(self, query, keys, values, mask=None):
        """Attend to keys and values that `project` has already projected, as a step-by-step decoder does."""
        batch = query.shape[0]
        if mask is not None:
            if mask.shape[0] != batch:
                raise ValueError(
                    f"expected a mask with one entry for each of the {batch} sentences, got "
                    f"{tuple(mask.shape)}: give it a batch axis, mask.expand(batch, -1, -1)"
                )
            mask = mask.repeat_interleave(self.heads, dim=0)  # (batch * heads, ...)
        query = self._split(self.query_proj(query))
        rows = (part.flatten(0, 1) for part in (query, keys, values))  # (batch * heads, ...)
        context, weights = attend(*rows, mask, scaled_dot_score)
        context = context.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2)  # (batch, tgt_len, hidden)
        return self.out_proj(context), weights.unflatten(0, (batch, -1))  # (batch, heads, tgt_len, src_len)

    def _split(self, x):
        """Split (batch, length, hidden) between the heads: (batch, heads, length, head_dim)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def positional_encoding(length, hidden_dim):
    """Return a vector of sines and cosines for every position.

    Returns (length, hidden_dim), float32, on the CPU; angles are in radians. Position t, counted from 0, has
    sin(t / 10000^(2j / hidden_dim)) in column 2j and the cosine of the same angle in column 2j + 1. Raises
    `ValueError` unless `hidden_dim` is even. Vaswani et al. 2017, section 3.5.
    """
    if hidden_dim % 2:
        raise ValueError(f"sines and cosines come in pairs: expected an even hidden_dim, got {hidden_dim}")
    position = torch.arange(length, dtype=torch.float64)[:, None]  # (length, 1)
    column = torch.arange(0, hidden_dim, 2, dtype=torch.float64)  # (hidden_dim / 2,)
    angle = position / 10_000 ** (column / hidden_dim)  # (length, hidden_dim / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).float()  # (length, hidden_dim)


_cached_positions = lru_cache(positional_encoding)  # a search needs them at every step


class TransformerBlock(nn.Module):
    """Attention between the words of a sentence, then a feed-forward network for each word.

    forward(x, mask=None, source=None): x (batch, length, hidden). Returns output (batch, length, hidden) and
    the attention weights (batch, heads, length, length). With `source` (batch, src_len, hidden), x attends to
    it instead of itself, and weights are (batch, heads, length, src_len).

    The parts are those of Vaswani et al. 2017, section 3.1 and equation 2. The norm stands before each part,
    not after the sum (Xiong et al. 2020, "pre-LN"), so training needs no warm-up, and a stack of blocks ends
    in one more LayerNorm.
    """

    def __init__(self, hidden_dim, heads, ff_dim, dropout):
        super().__init__()
        self.attention = MultiHeadAttention(hidden_dim, heads)
        self.attention_norm = nn.LayerNorm(hidden_dim)
        self.ff_in = nn.Linear(hidden_dim, ff_dim)
        self.ff_out = nn.Linear(ff_dim, hidden_dim)
        self.ff_norm = nn.LayerNorm(hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None, source=None):
        normed = self.attention_norm(x)
        source = normed if source is None else source
        context, weights = self.attention(normed, source, source, mask)
        return self.feed_forward(x + self.dropout(context)), weights

    def feed_forward(self, x):
        """Apply the second part of the block to each word by itself."""
        hidden = torch.relu(self.ff_in(self.ff_norm(x)))
        return x + self.dropout(self.ff_out(hidden))


class DecoderBlock(nn.Module):
    """Attention to the words written so far, then to the source, then a feed-forward network.

    forward(x, encoder_states, src_mask): x (batch, tgt_len, hidden), states (batch, src_len, hidden), mask
    (batch, src_len), True = a real token. No word attends to one after it. Returns output
    (batch, tgt_len, hidden) and the weights on the source (batch, heads, tgt_len, src_len). Vaswani et al.
    2017, section 3.1, with norms before the parts as in `TransformerBlock`.
    """

    def __init__(self, hidden_dim, heads, ff_dim, dropout):
        super().__init__()
        self.self_norm = nn.LayerNorm(hidden_dim)
        self.self_attention = MultiHeadAttention(hidden_dim, heads)
        self.cross_block = TransformerBlock(hidden_dim, heads, ff_dim, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, encoder_states, src_mask):
        normed = self.self_norm(x)
        past = causal_mask(x.shape[1]).to(x.device).expand(len(x), -1, -1)
        context, _ = self.self_attention(normed, normed, normed, past)
        return self.cross_block(x + self.dropout(context), src_mask, encoder_states)

    def step(self, x, keys, values, source_keys, source_values, src_mask):
        """Continue hypotheses by one word, as `forward` does, without projecting earlier words again.

        x (batch, beam, hidden); keys and values (batch, beam, heads, written, head_dim) are those of the
        words written so far. The keys and values of the source (batch, heads, src_len, head_dim) are shared
        by the hypotheses of a sentence. Returns output (batch, beam, hidden), weights
        (batch, heads, beam, src_len), and keys and values with this word.
        """
        batch, beam, _ = x.shape
        normed = self.self_norm(x).flatten(0, 1).unsqueeze(1)  # (batch * beam, 1, hidden)
        now = self.self_attention.project(normed, normed)
        keys, values = (
            torch.cat([past.flatten(0, 1), new], dim=2) for past, new in zip((keys, values), now, strict=True)
        )
        context, _ = self.self_attention.from_projected(normed, keys, values)
        x = x + self.dropout(context).view(x.shape)
        block = self.cross_block
        context, weights = block.attention.from_projected(
            block.attention_norm(x), source_keys, source_values, src_mask
        )
        x = block.feed_forward(x + self.dropout(context))
        return x, weights, keys.unflatten(0, (batch, beam)), values.unflatten(0, (batch, beam))


class Transformer(Translator):
    """A translator without recurrence (Vaswani et al. 2017), called and trained like `utils.models.Seq2Seq`.

    `layers` blocks read the source and as many write the target; positions are sines and cosines. All vectors
    have the size `hidden_dim`. The weights it returns are those of the last decoder block on the source,
    averaged over its heads. It departs from the paper: norms stand before the parts, and only with `tied` are
    embeddings multiplied by √hidden_dim and shared with the output layer; see `utils.models.TiedEmbedding`.
    """

    def __init__(
        self,
        src_vocab_size,
        tgt_vocab_size,
        hidden_dim=64,
        heads=4,
        ff_dim=128,
        layers=2,
        dropout=0.0,
        tied=False,
    ):
        super().__init__()
        self.config = {
            "src_vocab_size": src_vocab_size,
            "tgt_vocab_size": tgt_vocab_size,
            "hidden_dim": hidden_dim,
            "heads": heads,
            "ff_dim": ff_dim,
            "layers": layers,
            "dropout": dropout,
            "tied": tied,
        }
        self.src_embedding = nn.Embedding(src_vocab_size, hidden_dim, padding_idx=PAD_ID)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, hidden_dim, padding_idx=PAD_ID)
        sizes = (hidden_dim, heads, ff_dim, dropout)
        self.encoder = nn.ModuleList(TransformerBlock(*sizes) for _ in range(layers))
        self.encoder_norm = nn.LayerNorm(hidden_dim)
        self.decoder = nn.ModuleList(DecoderBlock(*sizes) for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(hidden_dim)
        self.out = nn.Linear(hidden_dim, tgt_vocab_size)
        self.dropout = nn.Dropout(dropout)
        initialize(self)
        if tied:
            self.src_embedding = TiedEmbedding(src_vocab_size, tgt_vocab_size, hidden_dim)
            self.tgt_embedding, self.out.weight = self.src_embedding, self.src_embedding.weight

    def _embed(self, embedding, ids):
        """Embed ids (batch, length) and add their positions."""
        x = embedding(ids)
        return self.dropout(x + _cached_positions(*x.shape[1:]).to(x))

    def encode(self, src, src_lengths):
        """Read the source: encoder_states (batch, src_len, hidden) and src_mask (batch, src_len)."""
        src_mask = lengths_to_mask(src_lengths, src.shape[1]).to(src.device)
        x = self._embed(self.src_embedding, src)
        for block in self.encoder:
            x, _ = block(x, src_mask)
        return self.encoder_norm(x), src_mask

    def decode(self, tgt_in, encoder_states, src_mask):
        """Predict the token after each of tgt_in (batch, tgt_len), all at once.

        Returns logits (batch, tgt_len, vocab) and weights (batch, tgt_len, src_len).
        """
        x = self._embed(self.tgt_embedding, tgt_in)
        for block in self.decoder:
            x, weights = block(x, encoder_states, src_mask)
        return self.out(self.decoder_norm(x)), weights.mean(1)

    def forward(self, src, src_lengths, tgt_in):
        """Predict each next target token, given the true ones before it: logits and weights."""
        return self.decode(tgt_in, *self.encode(src, src_lengths))

    def start(self, src, src_lengths):
        """Read the source, as `Translator.start` does.

        The state has the keys and values of every decoder block: of the words written so far, none yet, for
        each hypothesis, and of the source.
        """
        encoder_states, src_mask = self.encode(src, src_lengths)
        source = []
        for block in self.decoder:
            pair = block.cross_block.attention.project(encoder_states, encoder_states)
            source += [part.contiguous() for part in pair]
        past = tuple(part[:, None, :, :0] for part in source)
        return DecodingState(past, (*source, src_mask))

    def step(self, tokens, state):
        """Continue hypotheses by one token each, as `Translator.step` does."""
        *source, src_mask = state.source
        written = state.hypotheses[0].shape[3]
        x = self.tgt_embedding(tokens)  # (batch, beam, hidden)
        x = self.dropout(x + _cached_positions(written + 1, x.shape[2])[written].to(x))
        past = []
        for i, block in enumerate(self.decoder):
            pair = slice(2 * i, 2 * i + 2)  # keys and values
            x, weights, *pair = block.step(x, *state.hypotheses[pair], *source[pair], src_mask)
            past += pair
        return self.out(self.decoder_norm(x)), DecodingState(tuple(past), state.source), weights.mean(1)
