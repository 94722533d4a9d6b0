"""Recurrent translators: one encoder, one decoder whose context can be chosen, and Bahdanau's decoder."""

from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from utils.attention import AdditiveScore, attend, make_score
from utils.decoding import DecodingState, Translator
from utils.text import EOS_ID, PAD_ID, lengths_to_mask, pad

CONTEXTS = ("initial", "fixed", "dot", "scaled", "multiplicative", "additive")
RECURRENT = (*CONTEXTS, "bahdanau")
EMBEDDING_STD = 0.5


def initialize(model):
    """Initialize all parameters of a translator in place.

    Weight matrices are Xavier uniform (Glorot and Bengio 2010), for a GRU one per gate. The recurrent
    matrices of a GRU are orthogonal, one per gate (Saxe et al. 2014). Biases are zero, and a LayerNorm starts
    as the identity. Embeddings are normal with a standard deviation of `EMBEDDING_STD`, and zero for padding.
    Bahdanau et al. 2015, appendix B.1, draw from narrower normal distributions instead of Xavier's.
    """
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=EMBEDDING_STD)
            with torch.no_grad():
                module.weight[module.padding_idx] = 0.0
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear | nn.RNNBase | nn.RNNCellBase):
            for name, parameter in module.named_parameters():
                _initialize_parameter(name, parameter, gates=1 if isinstance(module, nn.Linear) else 3)


def _initialize_parameter(name, parameter, gates):
    if parameter.dim() == 1:
        nn.init.zeros_(parameter)
        return
    for matrix in parameter.data.chunk(gates):
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(matrix)
        else:
            nn.init.xavier_uniform_(matrix)


class TiedEmbedding(nn.Embedding):
    """One vector per token: for the source, for the target, and as the token's weights in the output layer.

    As an embedding, a vector is multiplied by the square root of its size, `dim`. Raises `ValueError` unless
    both languages have one vocabulary. Press and Wolf 2017; Vaswani et al. 2017, section 3.4.
    """

    def __init__(self, src_vocab_size, tgt_vocab_size, dim):
        if src_vocab_size != tgt_vocab_size:
            raise ValueError(
                "tied embeddings need one vocabulary for both languages, but they have "
                f"{src_vocab_size} and {tgt_vocab_size} tokens: encode the corpus with shared=True"
            )
        super().__init__(src_vocab_size, dim, padding_idx=PAD_ID)
        nn.init.normal_(self.weight, std=dim**-0.5)
        with torch.no_grad():
            self.weight[PAD_ID] = 0.0

    def forward(self, ids):
        return super().forward(ids) * self.embedding_dim**0.5


class Encoder(nn.Module):
    """Read a sentence in both directions with a GRU.

    forward(src, src_lengths): ids (batch, src_len), lengths (batch,) on the CPU. Returns encoder_states
    (batch, src_len, hidden), which are zero at padding, and decoder_state (batch, hidden), the decoder's
    first state: tanh of a linear layer of the last state of each direction. Each direction has half of
    `hidden_dim`, which must be even.

    Cho et al. 2014 (the GRU); Bahdanau et al. 2015, section 3.2. Bahdanau's decoder starts from the last
    state of the backward direction only.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id, dropout=0.0):
        super().__init__()
        if hidden_dim % 2:
            raise ValueError(f"hidden_dim: expected an even number, for two directions, got {hidden_dim}")
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim // 2, batch_first=True, bidirectional=True)
        self.to_decoder = nn.Linear(hidden_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, src, src_lengths):
        embedded = self.dropout(self.embedding(src))
        if src_lengths.min() == src.shape[1]:  # without padding there is nothing to pack, which is faster
            encoder_states, last = self.rnn(embedded)
        else:
            packed = pack_padded_sequence(embedded, src_lengths, batch_first=True, enforce_sorted=False)
            states, last = self.rnn(packed)
            encoder_states, _ = pad_packed_sequence(states, batch_first=True, total_length=src.shape[1])
        both_ends = torch.cat([last[0], last[1]], dim=-1)  # (batch, hidden)
        return encoder_states, torch.tanh(self.to_decoder(both_ends))


class _Decoder(nn.Module):
    """What both decoders share: `source`, `start` and `step` for a search, and what they attend with."""

    def source(self, encoder_states, src_mask):
        """Return what every decoding step looks at, a tuple: here keys, values and the mask."""
        keys = encoder_states
        if hasattr(self.score, "project_keys"):
            keys = self.score.project_keys(encoder_states)
        return keys, encoder_states, src_mask

    def look(self, query, source):
        """Return the context (batch, tgt_len, hidden) of queries (batch, tgt_len, hidden), and weights."""
        keys, values, mask = source
        return attend(query, keys, values, mask, getattr(self.score, "from_projected", self.score))

    def start(self, decoder_state, encoder_states, src_mask):
        """Return the `DecodingState` that a search begins with."""
        return DecodingState((decoder_state.unsqueeze(1),), self.source(encoder_states, src_mask))


class Decoder(_Decoder):
    """Write a sentence; `context` chooses what each step sees of the source.

    Every step is state = GRU(token, state), logits = out(tanh(combine([context; state]))). The context is

    - "initial": zeros. The source is only in the first state (Sutskever et al. 2014);
    - "fixed": the last encoder state of each direction, the same vector at every step (Cho et al. 2014);
    - "dot", "scaled", "multiplicative", "additive": attention over all encoder states, with the state as
      the query and the score of `utils.attention.make_score` (Luong et al. 2015, section 3, equation 5).

    Apart from the score, all have the same parameters. forward(tgt_in, decoder_state, encoder_states,
    src_mask): ids (batch, tgt_len), state (batch, hidden), states (batch, src_len, hidden), mask
    (batch, src_len), True = a real token. Returns logits (batch, tgt_len, vocab), the state after the last
    token, and weights (batch, tgt_len, src_len), or None without attention. Because no cell waits for a
    context, all steps of a known target run in one call.

    It departs from the papers: Luong et al. use LSTMs and also feed the last output into the cell, and the
    fixed context of Cho et al. also goes into the cell. Here only the output sees the context, so that only
    the context differs.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id, dropout=0.0, context="multiplicative"):
        super().__init__()
        if context not in CONTEXTS:
            raise ValueError(f"expected a context out of {', '.join(CONTEXTS)}, got {context!r}")
        self.context = context
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        if context not in ("initial", "fixed"):
            self.score = make_score(context, hidden_dim, hidden_dim, hidden_dim)
        self.combine = nn.Linear(2 * hidden_dim, hidden_dim, bias=False)
        self.out = nn.Linear(hidden_dim, vocab_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        states, last = self.rnn(self.dropout(self.embedding(tgt_in)), decoder_state[None])
        context, weights = self.look(states, self.source(encoder_states, src_mask))
        return self.predict(states, context), last[0], weights

    def source(self, encoder_states, src_mask):
        if self.context == "initial":
            return ()
        if self.context == "fixed":
            return (last_states(encoder_states, src_mask).unsqueeze(1),)
        return super().source(encoder_states, src_mask)

    def look(self, query, source):
        if self.context == "initial":
            return torch.zeros_like(query), None
        if self.context == "fixed":
            return source[0].expand_as(query), None
        return super().look(query, source)

    def step(self, tokens, state):
        """Continue hypotheses by one token each, as `utils.decoding.Translator.step` does."""
        (decoder_state,) = state.hypotheses  # (batch, beam, hidden)
        embedded = self.embedding(tokens).flatten(0, 1).unsqueeze(1)  # (batch * beam, 1, embed)
        new, _ = self.rnn(embedded, decoder_state.flatten(0, 1)[None])
        new = new.view(decoder_state.shape)
        context, weights = self.look(new, state.source)  # the beam takes the place of the target positions
        return self.predict(new, context), DecodingState((new,), state.source), weights

    def predict(self, states, context):
        """Return the logits of states and their contexts, (batch, tgt_len, hidden) each."""
        combined = torch.tanh(self.combine(torch.cat([context, states], dim=-1)))
        return self.out(self.dropout(combined))


class BahdanauDecoder(_Decoder):
    """Attend before the cell: the old state is the query, and the context is an input of the cell.

    Same call and results as `Decoder`, with the additive score. Each step waits for the one before; only the
    keys, which don't change, are projected once. Bahdanau et al. 2015, appendix A.2.2. It departs from the
    paper in its output layer, a tanh layer of token, state, and context in place of a maxout layer.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.score = AdditiveScore(hidden_dim, hidden_dim, hidden_dim)
        self.cell = nn.GRUCell(embed_dim + hidden_dim, hidden_dim)
        self.combine = nn.Linear(embed_dim + 2 * hidden_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, vocab_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        embedded = self.dropout(self.embedding(tgt_in))
        state, source = decoder_state.unsqueeze(1), self.source(encoder_states, src_mask)
        steps = []
        for token in embedded.split(1, dim=1):  # (batch, 1, embed)
            state, context, weights = self._advance(token, state, source)
            steps.append((state, context, weights))
        states, contexts, weights = (torch.cat(parts, dim=1) for parts in zip(*steps, strict=True))
        return self.predict(embedded, states, contexts), state[:, 0], weights

    def step(self, tokens, state):
        """Continue hypotheses by one token each, as `utils.decoding.Translator.step` does."""
        embedded = self.embedding(tokens)  # (batch, beam, embed)
        new, context, weights = self._advance(embedded, *state.hypotheses, state.source)
        return self.predict(embedded, new, context), DecodingState((new,), state.source), weights

    def _advance(self, embedded, state, source):
        """Attend, then run the cell: new state, context, and weights, (batch, beam, ...) each."""
        context, weights = self.look(state, source)
        inputs = torch.cat([embedded, context], dim=-1)
        new = self.cell(inputs.flatten(0, 1), state.flatten(0, 1))
        return new.view(state.shape), context, weights

    def predict(self, embedded, states, contexts):
        """Return the logits of embedded tokens, new states, and contexts, (batch, tgt_len, ...) each."""
        combined = torch.tanh(self.combine(torch.cat([embedded, states, contexts], dim=-1)))
        return self.out(self.dropout(combined))


def last_states(encoder_states, src_mask):
    """Return the last state of each direction, (batch, hidden): the forward half's at the last real token
    and the backward half's at the first.

    encoder_states (batch, src_len, hidden) and src_mask (batch, src_len), or None without padding.
    """
    half = encoder_states.shape[2] // 2
    last = -1 if src_mask is None else src_mask.sum(1) - 1
    forward = encoder_states[torch.arange(len(encoder_states)), last, :half]
    return torch.cat([forward, encoder_states[:, 0, half:]], dim=-1)


class Seq2Seq(Translator):
    """A recurrent translator: `Encoder`, and a decoder with one of `RECURRENT` as its context.

    "bahdanau" makes a `BahdanauDecoder`, all others a `Decoder`. `tied` makes a `TiedEmbedding` of both
    embeddings and the output layer, which have one size then. Raises `ValueError` for other names and sizes.
    """

    def __init__(
        self, src_vocab_size, tgt_vocab_size, context, embed_dim=64, hidden_dim=64, dropout=0.0, tied=False
    ):
        super().__init__()
        if context not in RECURRENT:
            raise ValueError(f"expected a context out of {', '.join(RECURRENT)}, got {context!r}")
        if tied and embed_dim != hidden_dim:
            raise ValueError(
                f"tied embeddings have the size of the output layer: embed_dim {embed_dim} must equal "
                f"hidden_dim {hidden_dim}"
            )
        self.config = {
            "src_vocab_size": src_vocab_size,
            "tgt_vocab_size": tgt_vocab_size,
            "context": context,
            "embed_dim": embed_dim,
            "hidden_dim": hidden_dim,
            "dropout": dropout,
            "tied": tied,
        }
        self.encoder = Encoder(src_vocab_size, embed_dim, hidden_dim, PAD_ID, dropout)
        sizes = (tgt_vocab_size, embed_dim, hidden_dim, PAD_ID, dropout)
        self.decoder = BahdanauDecoder(*sizes) if context == "bahdanau" else Decoder(*sizes, context)
        initialize(self)
        if tied:
            embedding = TiedEmbedding(src_vocab_size, tgt_vocab_size, embed_dim)
            self.encoder.embedding = self.decoder.embedding = embedding
            self.decoder.out.weight = embedding.weight

    def encode(self, src, src_lengths):
        """Read the source: encoder_states, decoder_state, and src_mask (batch, src_len)."""
        encoder_states, decoder_state = self.encoder(src, src_lengths)
        return encoder_states, decoder_state, lengths_to_mask(src_lengths, src.shape[1]).to(src.device)

    def decode(self, tgt_in, decoder_state, encoder_states, src_mask):
        """Run the decoder: logits, decoder_state, and weights, which are None without attention."""
        return self.decoder(tgt_in, decoder_state, encoder_states, src_mask)

    def forward(self, src, src_lengths, tgt_in):
        """Predict each next target token, given the true ones before it: logits and weights."""
        encoder_states, decoder_state, src_mask = self.encode(src, src_lengths)
        logits, _, weights = self.decode(tgt_in, decoder_state, encoder_states, src_mask)
        return logits, weights

    def start(self, src, src_lengths):
        """Read the source, as `Translator.start` does."""
        encoder_states, decoder_state, src_mask = self.encode(src, src_lengths)
        if hasattr(self.decoder, "start"):
            return self.decoder.start(decoder_state, encoder_states, src_mask)
        return DecodingState((decoder_state.unsqueeze(1),), (encoder_states, src_mask))

    def step(self, tokens, state):
        """Continue hypotheses by one token each, as `Translator.step` does.

        `decoder` may be another module, of which only `forward` is known: it gets a row per hypothesis.
        """
        if hasattr(self.decoder, "step"):
            return self.decoder.step(tokens, state)
        (decoder_state,), beam = state.hypotheses, tokens.shape[1]  # (batch, beam, hidden)
        source = (part if part is None else part.repeat_interleave(beam, dim=0) for part in state.source)
        logits, new, weights = self.decode(tokens.reshape(-1, 1), decoder_state.flatten(0, 1), *source)
        new, logits = new.reshape(decoder_state.shape), logits.reshape(*tokens.shape, -1)
        weights = None if weights is None else weights.reshape(*tokens.shape, -1)
        return logits, DecodingState((new,), state.source), weights


@contextmanager
def evaluating(model):
    """Put a model into evaluation mode, without gradients, and restore its mode in the end."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


@dataclass
class Translation:
    """What a model wrote for one sentence.

    `tokens` are the target tokens without the end token. `weights` (tgt_len + 1, src_len + 1) has a row for
    each of them and one for the end token, and a column for each source token and one for its end token. It
    is None without attention. A translation that was cut at `max_len` has no end token, so no row for it.
    """

    src_tokens: list[str]
    tokens: list[str]
    weights: torch.Tensor | None


def _in_batches(model, encoded, src_tokens, batch_size):
    """Yield rows (the shortest sentences first), src, and src_lengths, on the model's device."""
    device = next(model.parameters()).device
    order = sorted(range(len(src_tokens)), key=lambda row: len(src_tokens[row]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ids = [[*encoded.src_vocab.encode(src_tokens[row]), EOS_ID] for row in rows]
        yield rows, pad(ids).to(device), torch.tensor([len(i) for i in ids])


def translate(model, encoded, src_tokens, max_len=None, batch_size=256, beam_size=1, length_penalty=1.0):
    """Translate tokenized sentences.

    src_tokens is a list of sentences, each a list of tokens; `encoded` is the `EncodedCorpus` whose
    vocabularies the model was trained with. `max_len` is the largest number of tokens of a translation, by
    default twice the longest source of the batch plus ten. A `beam_size` of 1 is greedy decoding; for larger
    ones and for `length_penalty` see `utils.decoding.beam_search`. Returns a list of `Translation` in the
    order of the sentences. Raises `ValueError` for text instead of tokens and for sizes below 1.
    """
    if isinstance(src_tokens, str) or any(isinstance(sentence, str) for sentence in src_tokens):
        raise ValueError(
            "expected a list of sentences, each a list of tokens, got text: tokenize each sentence with "
            "encoded.tokenize(sentence), or with sentence.split() if spaces separate its tokens"
        )
    if batch_size < 1 or beam_size < 1 or (max_len is not None and max_len < 1):
        raise ValueError(
            "batch_size, beam_size and max_len must be at least 1, got "
            f"{batch_size}, {beam_size} and {max_len}"
        )
    done = [None] * len(src_tokens)
    with evaluating(model):
        for rows, src, src_lengths in _in_batches(model, encoded, src_tokens, batch_size):
            longest = 2 * src.shape[1] + 10 if max_len is None else max_len
            ids, _, weights = model.search(src, src_lengths, longest, beam_size, length_penalty)
            ids, weights = ids.cpu(), weights if weights is None else weights.cpu()
            for i, row in enumerate(rows):
                tokens = encoded.tgt_vocab.decode(ids[i].tolist())
                seen = None if weights is None else weights[i, : len(tokens) + 1, : src_lengths[i]].clone()
                done[row] = Translation(src_tokens[row], tokens, seen)
    return done


def forced_weights(model, encoded, split):
    """Return the attention weights of the model while it is fed the reference translations of a split.

    Returns one tensor per pair, (tgt_len, src_len), over the tokens of `encoded.tokens(split, ...)`. The row
    and the column of the end tokens are left out, so a row may sum to less than one. Raises `ValueError` for
    a model without attention.
    """
    device = next(model.parameters()).device
    done = [None] * len(encoded.corpus[split])
    with evaluating(model):
        for batch in encoded.batches(split):
            _, weights = model(batch.src.to(device), batch.src_lengths, batch.tgt_in.to(device))
            if weights is None:
                raise ValueError("this model has no attention, so it has no weights to show")
            tgt_lengths = (batch.tgt_in != PAD_ID).sum(1)
            for i, row in enumerate(batch.rows):
                done[row] = weights[i, : tgt_lengths[i] - 1, : batch.src_lengths[i] - 1].cpu()
    return done
