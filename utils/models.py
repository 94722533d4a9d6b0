"""Recurrent translators: an encoder, a plain decoder, and two decoders with attention."""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from utils.attention import AdditiveScore, MultiplicativeScore, attend, attend_shared, make_score
from utils.decoding import Shared, beam_search_batch, greedy_search
from utils.text import BOS_ID, EOS_ID, PAD_ID, lengths_to_mask, pad

ATTENTIONS = ("none", "dot", "scaled", "multiplicative", "additive", "bahdanau")


class Encoder(nn.Module):
    """Read a sentence in both directions with a GRU (Cho et al. 2014; Bahdanau et al. 2015, section 3.2).

    forward(src, src_lengths): ids (batch, src_len), lengths (batch,) on the CPU. Returns
    encoder_states (batch, src_len, hidden), zero at padding, and decoder_state (batch, hidden):
    the decoder's first state, made of the last state of each direction. `hidden_dim` must be even.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id, dropout=0.0):
        super().__init__()
        if hidden_dim % 2:
            raise ValueError(f"hidden_dim is shared by two directions: make it even, not {hidden_dim}")
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim // 2, batch_first=True, bidirectional=True)
        self.to_decoder = nn.Linear(hidden_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, src, src_lengths):
        embedded = self.dropout(self.embedding(src))
        if src_lengths.min() == src.shape[1]:  # no padding to leave out: the same, and sooner
            encoder_states, last = self.rnn(embedded)
        else:
            packed = pack_padded_sequence(embedded, src_lengths, batch_first=True, enforce_sorted=False)
            states, last = self.rnn(packed)
            encoder_states, _ = pad_packed_sequence(states, batch_first=True, total_length=src.shape[1])
        both_ends = torch.cat([last[0], last[1]], dim=-1)  # (batch, hidden)
        return encoder_states, torch.tanh(self.to_decoder(both_ends))


class Decoder(nn.Module):
    """Write a sentence from one vector (Sutskever et al. 2014).

    forward(tgt_in, decoder_state): ids (batch, tgt_len), state (batch, hidden). Returns logits
    (batch, tgt_len, vocab) and the state after the last token.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.out = nn.Linear(hidden_dim, vocab_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tgt_in, decoder_state):
        states, last = self.rnn(self.dropout(self.embedding(tgt_in)), decoder_state[None])
        return self.out(self.dropout(states)), last[0]


class LuongDecoder(nn.Module):
    """Attend after the cell: its new state is the query (Luong et al. 2015, section 3, equation 5).

    forward(tgt_in, decoder_state, encoder_states, src_mask, owner=None): ids (batch, tgt_len), state
    (batch, hidden), states (batch, src_len, hidden), mask (batch, src_len), True = a real token.
    Returns logits (batch, tgt_len, vocab), the state after the last token, and weights
    (batch, tgt_len, src_len). The cell never waits for a context, so all steps of a known target
    run in one call and attend in one product. `score` is a name of `utils.attention.make_score`.
    Hypotheses that share a source name their row of it in `owner`, as in `utils.attention.attend_shared`.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id, dropout=0.0, score="multiplicative"):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.score = make_score(score, hidden_dim, hidden_dim, hidden_dim)
        self.combine = nn.Linear(2 * hidden_dim, hidden_dim, bias=False)
        self.out = nn.Linear(hidden_dim, vocab_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask, owner=None):
        query, last = self.rnn(self.dropout(self.embedding(tgt_in)), decoder_state[None])
        look = partial(attend, keys=encoder_states, values=encoder_states, mask=src_mask, score=self.score)
        context, weights = attend_shared(look, query, owner, len(encoder_states))
        attentional = torch.tanh(self.combine(torch.cat([context, query], dim=-1)))
        return self.out(self.dropout(attentional)), last[0], weights


class BahdanauDecoder(nn.Module):
    """Attend before the cell: the old state is the query, the context an input (Bahdanau et al. 2015, A.2.2).

    Same call and results as `LuongDecoder`. Each step waits for the one before; only the keys, which
    do not change, are projected once for all steps.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.score = AdditiveScore(hidden_dim, hidden_dim, hidden_dim)
        self.cell = nn.GRUCell(embed_dim + hidden_dim, hidden_dim)
        self.combine = nn.Linear(embed_dim + 2 * hidden_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, vocab_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask, owner=None):
        embedded = self.dropout(self.embedding(tgt_in))
        keys, score = self.score.project_keys(encoder_states), self.score.from_projected
        look = partial(attend, keys=keys, values=encoder_states, mask=src_mask, score=score)
        states, contexts, weights = [], [], []
        for step in embedded.unbind(1):
            query = decoder_state[:, None]  # (batch, 1, hidden)
            context, step_weights = attend_shared(look, query, owner, len(encoder_states))
            decoder_state = self.cell(torch.cat([step, context[:, 0]], dim=-1), decoder_state)
            states.append(decoder_state)
            contexts.append(context[:, 0])
            weights.append(step_weights)
        seen = torch.cat([embedded, torch.stack(states, 1), torch.stack(contexts, 1)], dim=-1)
        return self.out(self.dropout(torch.tanh(self.combine(seen)))), decoder_state, torch.cat(weights, 1)


SHARING = (Decoder, LuongDecoder, BahdanauDecoder)  # decoders whose hypotheses can share a source


class Seq2Seq(nn.Module):
    """A translator: `Encoder` and the decoder that `attention` names (one of `ATTENTIONS`).

    "none" is the plain `Decoder`; "dot", "scaled", "multiplicative" and "additive" are a
    `LuongDecoder` with that score; "bahdanau" is a `BahdanauDecoder`, whose score is additive.
    """

    def __init__(self, src_vocab_size, tgt_vocab_size, attention, embed_dim=64, hidden_dim=64, dropout=0.0):
        super().__init__()
        if attention not in ATTENTIONS:
            raise ValueError(f"attention is one of {', '.join(ATTENTIONS)}, not {attention!r}")
        self.attention = attention
        self.encoder = Encoder(src_vocab_size, embed_dim, hidden_dim, PAD_ID, dropout)
        sizes = (tgt_vocab_size, embed_dim, hidden_dim, PAD_ID, dropout)
        if attention == "none":
            self.decoder = Decoder(*sizes)
        elif attention == "bahdanau":
            self.decoder = BahdanauDecoder(*sizes)
        else:
            self.decoder = LuongDecoder(*sizes, score=attention)

    def encode(self, src, src_lengths):
        """Read the source: encoder_states, decoder_state and src_mask."""
        encoder_states, decoder_state = self.encoder(src, src_lengths)
        return encoder_states, decoder_state, lengths_to_mask(src_lengths, src.shape[1]).to(src.device)

    def decode(self, tgt_in, decoder_state, encoder_states, src_mask, *owner):
        """Run the decoder: logits, decoder_state, and weights, which are None without attention.

        Only hypotheses that share a source have an `owner`, as in `utils.attention.attend_shared`.
        """
        if self.attention == "none":
            return *self.decoder(tgt_in, decoder_state), None
        return self.decoder(tgt_in, decoder_state, encoder_states, src_mask, *owner)

    def forward(self, src, src_lengths, tgt_in):
        """Predict each next target token, given the true ones before it: logits and weights."""
        encoder_states, decoder_state, src_mask = self.encode(src, src_lengths)
        logits, _, weights = self.decode(tgt_in, decoder_state, encoder_states, src_mask)
        return logits, weights

    @torch.no_grad()
    def greedy(self, src, src_lengths, max_len):
        """Translate by the likeliest token at each step.

        Returns ids (batch, steps), the end token and what follows it included, and weights
        (batch, steps, src_len) or None. Stops when every sentence has ended, or at `max_len`.
        """
        with _projecting_once(self):
            return greedy_search(self.advance, self.start(src, src_lengths), BOS_ID, EOS_ID, max_len)

    def start(self, src, src_lengths):
        """Read the source: the state that a search begins with, a tuple."""
        encoder_states, decoder_state, src_mask = self.encode(src, src_lengths)
        return decoder_state, Shared(encoder_states, src_mask)

    def advance(self, tokens, state):
        """Continue hypotheses by one token: logits, the new state and, with attention, the weights."""
        decoder_state, source = state
        if type(self.decoder) not in SHARING or getattr(self.decode, "__func__", None) is not Seq2Seq.decode:
            source = source.copied()  # what somebody has put in their place knows of no owner
        owner = () if source.owner is None else (source.owner,)
        logits, decoder_state, weights = self.decode(
            tokens.unsqueeze(1), decoder_state, *source.tensors, *owner
        )
        weights = () if weights is None else (weights[:, 0],)  # (hypotheses, src_len)
        return logits[:, 0], (decoder_state, source), *weights

    def step(self, tokens, state):
        """Continue hypotheses by one token, as `utils.decoding.beam_search` asks of its `step`."""
        logits, state, *_ = self.advance(tokens, state)
        return logits.log_softmax(-1), state


@contextmanager
def _projecting_once(model):
    """Let the scores of a model project the same keys once, however many steps ask for it."""
    scores = [part for part in model.modules() if isinstance(part, (AdditiveScore, MultiplicativeScore))]
    for score in scores:
        score.project_keys = _remembering(score.project_keys)
    try:
        yield
    finally:
        for score in scores:
            del score.project_keys


def _remembering(function):
    """Call a function of one tensor only when it is another tensor than last time."""
    last = [None, None]

    def remember(tensor):
        if last[0] is not tensor:
            last[:] = tensor, function(tensor)
        return last[1]

    return remember


@dataclass
class Translation:
    """What a model wrote for one sentence.

    `tokens` are the target tokens without the end token. `weights` (tgt_len + 1, src_len + 1) has a
    row for each of them and one for the end token, a column for each source token and one for its
    end token; it is None without attention.
    """

    src_tokens: list[str]
    tokens: list[str]
    weights: torch.Tensor | None


def _in_batches(model, encoded, src_tokens, batch_size):
    """Yield rows (the shortest sentences first), src and src_lengths, on the model's device."""
    device = next(model.parameters()).device
    order = sorted(range(len(src_tokens)), key=lambda row: len(src_tokens[row]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ids = [[*encoded.src_vocab.encode(src_tokens[row]), EOS_ID] for row in rows]
        yield rows, pad(ids).to(device), torch.tensor([len(i) for i in ids])


def translate(model, encoded, src_tokens, max_len=None, batch_size=256, beam_size=1, length_penalty=1.0):
    """Translate tokenised sentences: a list of `Translation`, in the order given.

    `encoded` is the `EncodedCorpus` whose vocabularies the model was trained with. `max_len` bounds
    a translation in tokens; without it, twice the longest source of the batch and ten more. A `beam_size`
    of 1 is greedy decoding; with a larger one, and its `length_penalty`, see `utils.decoding.beam_search`.
    Text in the place of tokens, and a size below 1, are a ValueError.
    """
    if isinstance(src_tokens, str) or any(isinstance(sentence, str) for sentence in src_tokens):
        raise ValueError(
            "translate takes a list of sentences, each a list of tokens, not text: cut each one with "
            "encoded.tokenize(sentence), or with sentence.split() where words are parted by spaces"
        )
    if batch_size < 1 or (max_len is not None and max_len < 1):
        raise ValueError(f"batch_size and max_len are at least 1, not {batch_size} and {max_len}")
    was_training = model.training
    model.eval()
    done = [None] * len(src_tokens)
    for rows, src, src_lengths in _in_batches(model, encoded, src_tokens, batch_size):
        longest = 2 * src.shape[1] + 10 if max_len is None else max_len
        if beam_size == 1:
            ids, weights = model.greedy(src, src_lengths, longest)
        else:
            ids, weights = _beam(model, src, src_lengths, longest, beam_size, length_penalty)
        for i, row in enumerate(rows):
            tokens = encoded.tgt_vocab.decode(ids[i].tolist())
            seen = None if weights is None else weights[i][: len(tokens) + 1, : src_lengths[i]].cpu()
            done[row] = Translation(src_tokens[row], tokens, seen)
    model.train(was_training)
    return done


@torch.no_grad()
def _beam(model, src, src_lengths, max_len, beam_size, length_penalty):
    """Translate by beam search: ids (batch, longest), and a list of weights (steps, src_len) or None."""

    def step(tokens, state):
        logits, *rest = model.advance(tokens, state)
        return logits.log_softmax(-1), *rest

    with _projecting_once(model):
        state = model.start(src, src_lengths)
        found = beam_search_batch(step, state, BOS_ID, EOS_ID, beam_size, max_len, length_penalty)
    weights = [weights for _, _, *rest in found for weights in rest]
    return pad([[*ids, EOS_ID] for ids, *_ in found]), weights or None


@torch.no_grad()
def forced_weights(model, encoded, split):
    """Have the model write the reference translations of a split, and return its attention weights.

    One tensor a pair, (tgt_len, src_len), over the tokens of `encoded.tokens(split, ...)`: the end
    tokens' row and column are left out, so a row may sum to less than one.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    done = [None] * len(encoded.corpus[split])
    for batch in encoded.batches(split):
        _, weights = model(batch.src.to(device), batch.src_lengths, batch.tgt_in.to(device))
        if weights is None:
            raise ValueError("this model has no attention, so it has no weights to show")
        tgt_lengths = (batch.tgt_in != PAD_ID).sum(1)
        for i, row in enumerate(batch.rows):
            done[row] = weights[i, : tgt_lengths[i] - 1, : batch.src_lengths[i] - 1].cpu()
    model.train(was_training)
    return done
