"""A Transformer and its parts: self-attention, a causal mask, many heads, positions, blocks, the translator.

Everything rests on `utils.attention`, and a mask is as in `masked_softmax`: bool, True = may be looked at,
(batch, src_len), the same for every query, or (batch, tgt_len, src_len). Two axes always mean
(batch, src_len), so a causal mask is given a batch axis first: causal_mask(length).expand(batch, -1, -1), or
src_mask[:, None] & causal_mask(length), which hides padding too.
"""

from functools import lru_cache, partial

import torch
from torch import nn

from utils.attention import attend, attend_shared, scaled_dot_score
from utils.decoding import Shared, greedy_search
from utils.text import BOS_ID, EOS_ID, PAD_ID, lengths_to_mask


def self_attention(x, w_query, w_key, w_value, mask=None):
    """Let every word of a sentence look at the words of that sentence; give (context, weights).

    x (batch, length, hidden); w_query and w_key (hidden, key_dim), w_value (hidden, value_dim). Query, keys
    and values are x times their matrix; the scores are divided by the root of key_dim. Give context
    (batch, length, value_dim) and weights (batch, length, length), a row for each word that looks. A word
    that may look at nothing gets zeros. Vaswani et al. 2017, equation 1.
    """
    return attend(x @ w_query, x @ w_key, x @ w_value, mask, scaled_dot_score)


def causal_mask(length):
    """Say which word may look at which when words are written in order: at itself and those before it.

    Give bool (length, length) on the CPU, True = may look: a row for each word that looks, a column for
    each that is looked at. Vaswani et al. 2017, section 3.2.3.
    """
    return torch.ones(length, length, dtype=torch.bool).tril()


class MultiHeadAttention(nn.Module):
    """Attend in several heads at once, each with its own part of the vectors (Vaswani et al. 2017, 3.2.2).

    forward(query, keys, values, mask=None): query (batch, tgt_len, hidden), keys and values
    (batch, src_len, hidden). Returns output (batch, tgt_len, hidden) and weights
    (batch, heads, tgt_len, src_len). A sentence looks at itself with attention(x, x, x), a decoder looks at
    its source with attention(x, encoder_states, encoder_states). Head h has the h-th run of hidden / heads
    numbers of each projected vector. There is no bias, so a query with nothing to attend to gets zeros.
    `hidden_dim` must be a multiple of `heads`.
    """

    def __init__(self, hidden_dim, heads):
        super().__init__()
        if hidden_dim % heads:
            raise ValueError(
                f"hidden_dim is shared out evenly among heads, but {hidden_dim} is no multiple of {heads}"
            )
        self.heads = heads
        self.query_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.key_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.value_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.out_proj = nn.Linear(hidden_dim, hidden_dim, bias=False)

    def forward(self, query, keys, values, mask=None):
        return self.from_projected(query, *self.project(keys, values), mask)

    def project(self, keys, values):
        """Give keys and values as the heads look them up, (batch, heads, src_len, head_dim) each."""
        return self._split(self.key_proj(keys)), self._split(self.value_proj(values))

    def from_projected(self, query, keys, values, mask=None, owner=None):
        """Attend to what `project` has given; a step-by-step decoder asks for that once for each word.

        `owner` is as in `utils.attention.attend_shared`: who shares keys and values.
        """
        look = partial(self._look, keys=keys, values=values, mask=mask)
        context, weights = attend_shared(look, self.query_proj(query), owner, len(keys))
        return self.out_proj(context), weights  # weights (batch, heads, tgt_len, src_len)

    def _look(self, query, keys, values, mask):
        """Attend between the projections: context (batch, tgt_len, hidden), weights."""
        batch = query.shape[0]
        if mask is not None:
            if mask.shape[0] != batch:
                raise ValueError(
                    f"mask must have a row or a table for each of the {batch} sentences, but is "
                    f"{tuple(mask.shape)}: give one for all of them a batch axis, mask.expand(batch, -1, -1)"
                )
            mask = mask.repeat_interleave(self.heads, dim=0)  # (batch * heads, ...)
        rows = (heads.flatten(0, 1) for heads in (self._split(query), keys, values))  # (batch * heads, ...)
        context, weights = attend(*rows, mask, scaled_dot_score)
        context = context.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2)  # (batch, tgt_len, hidden)
        return context, weights.unflatten(0, (batch, -1))  # (batch, heads, tgt_len, src_len)

    def _split(self, x):
        """Share (batch, length, hidden) out among the heads: (batch, heads, length, head_dim)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


def positional_encoding(length, hidden_dim):
    """Give every position a vector of sines and cosines, from waves of many lengths.

    Give (length, hidden_dim), float32, on the CPU, with angles in radians: position p, counted from 0, has
    sin(p / 10000^(2i / hidden_dim)) in column 2i and the cosine of the same angle in column 2i + 1.
    `hidden_dim` must be even. Vaswani et al. 2017, section 3.5.
    """
    if hidden_dim % 2:
        raise ValueError(f"sines and cosines come in pairs: make hidden_dim even, not {hidden_dim}")
    position = torch.arange(length, dtype=torch.float64)[:, None]  # (length, 1)
    column = torch.arange(0, hidden_dim, 2, dtype=torch.float64)  # (hidden_dim / 2,)
    angle = position / 10_000 ** (column / hidden_dim)  # (length, hidden_dim / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).float()  # (length, hidden_dim)


_positions = lru_cache(positional_encoding)  # a search wants them at every step


class TransformerBlock(nn.Module):
    """Let the words of a sentence look at each other, then let each think for itself.

    forward(x, mask=None, source=None): x (batch, length, hidden). Returns output (batch, length, hidden) and
    the weights of its attention (batch, heads, length, length). With `source` (batch, src_len, hidden) its
    words are looked at instead, and weights are (batch, heads, length, src_len). The parts are those of
    Vaswani et al. 2017, section 3.1 and equation 2; the norm stands before each part and not after the sum
    (Xiong et al. 2020, "pre-LN"), which trains without a warm-up of the learning rate. A stack of such
    blocks ends in one more LayerNorm.
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
        return self.think(x + self.dropout(context)), weights

    def think(self, x):
        """Let each word think for itself: the block's second part."""
        thought = self.ff_out(torch.relu(self.ff_in(self.ff_norm(x))))
        return x + self.dropout(thought)


class DecoderBlock(nn.Module):
    """Let the words written so far look at each other, then at the source, then let each think for itself.

    forward(x, encoder_states, src_mask): x (batch, tgt_len, hidden), states (batch, src_len, hidden), mask
    (batch, src_len), True = a real token. No word sees one that comes after it. Returns output
    (batch, tgt_len, hidden) and the weights on the source (batch, heads, tgt_len, src_len). Vaswani et al.
    2017, section 3.1, with the norms before the parts as in `TransformerBlock`.
    """

    def __init__(self, hidden_dim, heads, ff_dim, dropout):
        super().__init__()
        self.own_norm = nn.LayerNorm(hidden_dim)
        self.own_attention = MultiHeadAttention(hidden_dim, heads)
        self.then = TransformerBlock(hidden_dim, heads, ff_dim, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, encoder_states, src_mask):
        normed = self.own_norm(x)
        past = causal_mask(x.shape[1]).to(x.device).expand(len(x), -1, -1)
        context, _ = self.own_attention(normed, normed, normed, past)
        return self.then(x + self.dropout(context), src_mask, encoder_states)

    def step(self, x, past, source, src_mask, owner):
        """Go on by one word, x (batch, 1, hidden), as `forward` does, and project no word before it again.

        `past` is keys and values of the words before it, `source` those of the source, as
        `MultiHeadAttention.project` gives them; `owner` is as in `utils.attention.attend_shared`. Returns
        output (batch, 1, hidden), weights (batch, heads, 1, src_len), and past with this word.
        """
        normed, then = self.own_norm(x), self.then
        now = self.own_attention.project(normed, normed)
        keys, values = (torch.cat(pair, dim=2) for pair in zip(past, now, strict=True))
        x = x + self.dropout(self.own_attention.from_projected(normed, keys, values)[0])
        context, weights = then.attention.from_projected(then.attention_norm(x), *source, src_mask, owner)
        return then.think(x + self.dropout(context)), weights, (keys, values)


class Transformer(nn.Module):
    """A translator without recurrence (Vaswani et al. 2017), called and trained as `utils.models.Seq2Seq` is.

    `layers` blocks read the source and as many write the target; sines and cosines tell positions. The same
    embedding size, `hidden_dim`, runs through all of it. Weights are those of the last decoder block on the
    source, the mean over its heads.
    """

    def __init__(
        self, src_vocab_size, tgt_vocab_size, hidden_dim=64, heads=4, ff_dim=128, layers=2, dropout=0.0
    ):
        super().__init__()
        self.src_embedding = nn.Embedding(src_vocab_size, hidden_dim, padding_idx=PAD_ID)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, hidden_dim, padding_idx=PAD_ID)
        sizes = (hidden_dim, heads, ff_dim, dropout)
        self.encoder = nn.ModuleList(TransformerBlock(*sizes) for _ in range(layers))
        self.encoder_norm = nn.LayerNorm(hidden_dim)
        self.decoder = nn.ModuleList(DecoderBlock(*sizes) for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(hidden_dim)
        self.out = nn.Linear(hidden_dim, tgt_vocab_size)
        self.dropout = nn.Dropout(dropout)

    def _embed(self, embedding, ids, first=0):
        """Embed ids (batch, length) whose first stands at position `first`."""
        x = embedding(ids)
        positions = _positions(first + x.shape[1], x.shape[2])[first:]
        return self.dropout(x + positions.to(x))

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

    @torch.no_grad()
    def greedy(self, src, src_lengths, max_len):
        """Translate by the likeliest token at each step; results as those of `Seq2Seq.greedy`."""
        return greedy_search(self.advance, self.start(src, src_lengths), BOS_ID, EOS_ID, max_len)

    def start(self, src, src_lengths):
        """Read the source: the state that a search begins with, a tuple.

        It has keys and values of each decoder block: of what is written, nothing yet, and of the source.
        """
        encoder_states, src_mask = self.encode(src, src_lengths)
        source = [block.then.attention.project(encoder_states, encoder_states) for block in self.decoder]
        source = [part.contiguous() for pair in source for part in pair]
        past = (part[:, :, :0] for part in source)
        return *past, Shared(*source, src_mask)

    def advance(self, tokens, state):
        """Continue hypotheses by one token; results as those of `Seq2Seq.advance`."""
        *past, shared = state
        *source, src_mask = shared.tensors
        x = self._embed(self.tgt_embedding, tokens.unsqueeze(1), first=past[0].shape[2])
        written = []
        for i, block in enumerate(self.decoder):
            pair = slice(2 * i, 2 * i + 2)  # keys and values
            x, weights, known = block.step(x, past[pair], source[pair], src_mask, shared.owner)
            written += known
        return self.out(self.decoder_norm(x))[:, 0], (*written, shared), weights.mean(1)[:, 0]

    def step(self, tokens, state):
        """Continue hypotheses by one token, as `utils.decoding.beam_search` asks of its `step`."""
        logits, state, _ = self.advance(tokens, state)
        return logits.log_softmax(-1), state
