"""Reference answers that the library does not have, because it solves these exercises in another form."""

from torch import nn

from utils import decoding


class Decoder(nn.Module):
    """Exercise 01: write a sentence with a GRU whose first state is all it knows of the source.

    forward(tgt_in, decoder_state): ids (batch, tgt_len), state (batch, hidden). Returns logits
    (batch, tgt_len, vocab) and the state after the last token, (batch, hidden). Sutskever et al. 2014.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.out = nn.Linear(hidden_dim, vocab_size)

    def forward(self, tgt_in, decoder_state):
        states, last = self.rnn(self.embedding(tgt_in), decoder_state[None])
        return self.out(states), last[0]


def beam_search(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Exercise 09: search one sentence with the library's search, which takes a batch of them.

    `step(tokens, state)` takes the last ids (hypotheses,) and a tuple of tensors with one row per hypothesis,
    and returns log-probabilities (hypotheses, vocab) and the new state. Returns the ids of the best
    hypothesis, a list without begin and end token, and its score.
    """

    def step_of_batch(tokens, state):
        log_probs, parts = step(tokens[0], tuple(part[0] for part in state.hypotheses))
        return log_probs[None], decoding.DecodingState(tuple(part[None] for part in parts)), None

    start = decoding.DecodingState(tuple(part[None] for part in state))
    found = decoding.beam_search(step_of_batch, start, bos_id, eos_id, beam_size, max_len, length_penalty)
    ids = found.ids[0].tolist()
    return ids[: ids.index(eos_id)] if eos_id in ids else ids, found.scores.item()
