"""Search for a good translation: beam search over any model that predicts one token at a time."""

import torch


@torch.no_grad()
def beam_search(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Decode one sentence by beam search: the ids of the best hypothesis found, and its score.

    `step(tokens, state)` continues hypotheses: tokens (hypotheses,) are the last id of each, `state` is
    a tuple of tensors with one row a hypothesis on axis 0. It returns log-probabilities
    (hypotheses, vocab) of the next token and the new state, rows in the same order. The search begins
    with one hypothesis, `bos_id`, whose state of one row is the argument `state`.

    The beam has `beam_size` places. At each step all hypotheses in it are continued by all tokens, and
    the likeliest of these candidates, by their sum of log-probabilities, take the places; each goes on
    with the state of its parent. A candidate that ends in `eos_id` is finished: it keeps its place for
    good, so that there is one place less to fill, and it is not continued. The search stops when every
    place is finished, or after `max_len` tokens, the end token counted. Where there are fewer candidates
    than places, all of them are taken; one of probability 0 has the sum -inf and comes last.

    The score of a hypothesis is its sum of log-probabilities divided by length ** `length_penalty`: with
    0 the sum, with 1 the mean. The length counts the tokens of the sum: with the end token, without the
    begin token. The best finished hypothesis is returned; only where none has finished, the best of the
    unfinished ones. Its ids, a list of int, have no begin and no end token; the score is a float.
    A `beam_size` of 1 is greedy decoding. A `beam_size` or `max_len` below 1 is a ValueError.

    That finished hypotheses leave the beam is from Sutskever et al. 2014, section 3.2; the penalty is
    the simpler of the two in Wu et al. 2016, section 7 (equation 14 is the other).
    """
    if beam_size < 1 or max_len < 1:
        raise ValueError(f"beam_size and max_len are at least 1, not {beam_size} and {max_len}")
    written, finished = [[]], []
    tokens = torch.tensor([bos_id], device=state[0].device)
    sums = torch.zeros(1, device=state[0].device)
    for length in range(1, max_len + 1):
        log_probs, state = step(tokens, state)
        candidates = (sums.unsqueeze(1) + log_probs).flatten()  # (hypotheses * vocab,)
        places = min(beam_size - len(finished), len(candidates))
        sums, chosen = candidates.topk(places)
        parents, tokens = chosen // log_probs.shape[1], chosen % log_probs.shape[1]
        written = [[*written[p], token] for p, token in zip(parents.tolist(), tokens.tolist(), strict=True)]
        scored = list(zip(written, (sums / length**length_penalty).tolist(), strict=True))
        finished += [(ids[:-1], score) for ids, score in scored if ids[-1] == eos_id]

        going_on = tokens != eos_id
        written = [ids for ids in written if ids[-1] != eos_id]
        tokens, sums = tokens[going_on], sums[going_on]
        state = tuple(part[parents[going_on]] for part in state)
        if not written:
            break
    return max(finished or scored, key=lambda pair: pair[1])
