"""Beam search over many sentences at once, for any model that predicts one token at a time."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from utils.text import BOS_ID, EOS_ID, PAD_ID

DIVERGED = (
    "the model's probabilities are NaN or all zero, so its training has diverged: train it again with a "
    "lower learning rate"
)


@dataclass
class DecodingState:
    """What a search carries from one decoding step to the next.

    `hypotheses` are tensors (batch, beam, ...) with one row per hypothesis, such as the decoder state.
    `source` are tensors (batch, ...), or None, that all hypotheses of a sentence share, such as projected
    keys and the mask. They are never copied for a hypothesis.
    """

    hypotheses: tuple
    source: tuple = ()

    def select(self, sentences, parents):
        """Return the state of some sentences, and of each one the hypotheses to continue.

        sentences (kept,) are row indices, or None to keep all; parents (kept, beam) index the hypotheses.
        """
        source = self.source
        if sentences is None:
            sentences = torch.arange(len(parents), device=parents.device)
        else:
            source = tuple(part if part is None else part[sentences] for part in source)
        return DecodingState(tuple(part[sentences[:, None], parents] for part in self.hypotheses), source)


class Translations(NamedTuple):
    """The best hypothesis of every sentence.

    ids (batch, steps) have an end token after each hypothesis that has ended, and end tokens from there on;
    one that reached the maximum length has none. scores (batch,); weights (batch, steps, src_len), a row
    for each token up to and including the end token, or None if the model has no attention.
    """

    ids: torch.Tensor
    scores: torch.Tensor
    weights: torch.Tensor | None


@torch.no_grad()
def beam_search(step, state, bos_id, eos_id, beam_size, max_len, length_penalty=1.0):
    """Find the best hypothesis of every sentence by beam search; a `beam_size` of 1 is greedy decoding.

    `step(tokens, state)` continues hypotheses: tokens (batch, beam) are the last ids and `state` is a
    `DecodingState`. It returns log-probabilities (batch, beam, vocab) of the next token, the new state, and
    attention weights (batch, beam, src_len) or None. The search starts with one hypothesis per sentence,
    `bos_id`, so `state` has a beam of 1.

    At each step, all hypotheses of a sentence are extended by all tokens, and the candidates with the
    largest sums of log-probabilities fill the beam. A candidate that ends in `eos_id` is finished: it keeps
    its place in the beam and isn't extended. The search stops once every place is finished, or after
    `max_len` tokens, the end token included. The score of a hypothesis is its sum of log-probabilities
    divided by length ** `length_penalty`, so 0 compares sums and 1 compares means; the length includes the
    end token. The best finished hypothesis is returned, or the best unfinished one if none has finished.

    Returns `Translations`. Raises `ValueError` if `beam_size` or `max_len` is below 1, or if probabilities
    are NaN. Finished hypotheses leave the beam as in Sutskever et al. 2014, section 3.2; the penalty is the
    simpler one of Wu et al. 2016, section 7 (equation 14 is the other).
    """
    if beam_size < 1 or max_len < 1:
        raise ValueError(f"beam_size and max_len must be at least 1, got {beam_size} and {max_len}")
    batch, device = len(state.hypotheses[0]), state.hypotheses[0].device
    rows = torch.arange(batch, device=device)  # the sentences that are still searched
    tokens = torch.full((batch, 1), bos_id, device=device)
    sums = torch.zeros(batch, 1, device=device)
    places = torch.full((batch, 1), beam_size, device=device)  # not yet taken by finished hypotheses
    order = torch.arange(beam_size, device=device)
    best, trace = _Best(batch, device), []
    for length in range(1, max_len + 1):
        log_probs, state, weights = step(tokens, state)
        vocab = log_probs.shape[-1]
        candidates = (sums.unsqueeze(-1) + log_probs).flatten(1)  # (rows, beam * vocab)
        sums, chosen = candidates.topk(min(beam_size, candidates.shape[1]))
        if sums.isnan().any():
            raise ValueError(DIVERGED)
        parents = chosen // vocab  # (rows, beam)
        tokens = chosen - parents * vocab  # faster than %
        trace.append((rows, tokens, parents, weights))
        live = (order[: sums.shape[1]] < places) & (sums != -math.inf)
        ended = live & (tokens == eos_id)
        scores = sums / length**length_penalty
        if ended.any():
            best.update(rows, scores.masked_fill(~ended, -math.inf), length)
            places = places - ended.sum(1, keepdim=True)
            live = live & ~ended
        if length == max_len:
            best.update(rows, scores.masked_fill(~live | best.found(rows), -math.inf), length)
        sums = sums.masked_fill(~live, -math.inf)
        unfinished = live.any(1)
        remaining = int(unfinished.sum())
        if remaining == 0:
            break
        kept = None
        if 2 * remaining <= len(rows):  # drop finished sentences once they are half of all rows
            kept = unfinished.nonzero()[:, 0]
            rows, tokens, sums, places, parents = (x[kept] for x in (rows, tokens, sums, places, parents))
        if kept is not None or beam_size > 1:
            state = state.select(kept, parents)
    if not best.found(torch.arange(batch, device=device)).all():
        raise ValueError(DIVERGED)
    return _trace_back(trace, best, eos_id)


class _Best:
    """The best hypothesis of every sentence so far: its score, its length, and its place in the beam."""

    def __init__(self, batch, device):
        self.scores = torch.full((batch,), -math.inf, device=device)
        self.lengths, self.places = (torch.zeros(batch, dtype=torch.long, device=device) for _ in range(2))

    def found(self, rows):
        return (self.lengths[rows] > 0)[:, None]

    def update(self, rows, scores, length):
        """Take the best of scores (rows, beam) where it beats what was known."""
        scores, places = scores.max(1)
        self.scores = self.scores.to(scores.dtype)  # that of the model
        better = scores > self.scores[rows]
        rows = rows[better]
        self.scores[rows], self.places[rows], self.lengths[rows] = scores[better], places[better], length


def _trace_back(trace, best, eos_id):
    """Follow the parents of the best hypotheses back from their last tokens: `Translations`."""
    batch, steps = len(best.scores), int(best.lengths.max())
    ids = torch.full((batch, steps), eos_id, device=best.scores.device)
    first = trace[0][3]
    maps = None if first is None else first.new_zeros(batch, steps, first.shape[-1])
    places = best.places.clone()
    for position in reversed(range(steps)):
        rows, tokens, parents, weights = trace[position]
        at = (best.lengths[rows] > position).nonzero()[:, 0]
        rows = rows[at]
        place = places[rows]
        ids[rows, position] = tokens[at, place]
        places[rows] = parents[at, place]
        if maps is not None:
            maps[rows, position] = weights[at, places[rows]]
    return Translations(ids, best.scores, maps)


class Translator(nn.Module):
    """A model that can be searched. Subclasses define `config`, `start`, and `step`.

    `config` is a dict of the arguments that made the model.
    `start(src, src_lengths)` reads the source, ids (batch, src_len) and lengths (batch,), and returns a
    `DecodingState` with a beam of 1. `step(tokens, state)` takes tokens (batch, beam) and returns logits
    (batch, beam, vocab), the new state, and weights (batch, beam, src_len) or None.
    """

    @torch.no_grad()
    def search(self, src, src_lengths, max_len, beam_size=1, length_penalty=1.0):
        """Translate by `beam_search`: `Translations`. Padding and begin tokens are never produced."""

        def step(tokens, state):
            logits, state, weights = self.step(tokens, state)
            logits[..., PAD_ID] = logits[..., BOS_ID] = -math.inf
            return logits.log_softmax(-1), state, weights

        state = self.start(src, src_lengths)
        return beam_search(step, state, BOS_ID, EOS_ID, beam_size, max_len, length_penalty)

    def greedy(self, src, src_lengths, max_len):
        """Translate by the likeliest token at each step.

        Returns ids (batch, steps) and weights (batch, steps, src_len) or None, as in `Translations`.
        """
        found = self.search(src, src_lengths, max_len)
        return found.ids, found.weights
