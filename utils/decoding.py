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


@torch.no_grad()
def beam_search_batch(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Decode many sentences by beam search at once: what `beam_search` gives for each, in a list.

    All is as in `beam_search`, but that the state has one row a sentence at the start. Each call of `step`
    continues the hypotheses of all sentences that are still searched for. A token must have a probability
    above 0; which of two equal candidates gets the last place is left open, as it is there.
    """
    if beam_size < 1 or max_len < 1:
        raise ValueError(f"beam_size and max_len are at least 1, not {beam_size} and {max_len}")
    sentences, device = len(state[0]), state[0].device
    finished, unfinished = [[] for _ in range(sentences)], [[] for _ in range(sentences)]
    # Each hypothesis has an owner, its sentence, whose hypotheses stand together, and a place among them.
    owner = torch.arange(sentences, device=device)
    place = torch.zeros_like(owner)
    free = torch.full_like(owner, beam_size)  # places of a sentence that no finished hypothesis has
    written = owner.new_empty(sentences, 0)  # (hypotheses, length)
    tokens, sums = torch.full_like(owner, bos_id), torch.zeros(sentences, device=device)
    for length in range(1, max_len + 1):
        log_probs, state = step(tokens, state)
        # No more than the best few of one hypothesis can be among the best few of its sentence.
        best, token = log_probs.topk(min(beam_size, log_probs.shape[1]))  # (hypotheses, best)
        best = best + sums.unsqueeze(1)
        table = best.new_full((sentences, beam_size, best.shape[1]), -torch.inf)
        row = owner.new_zeros(sentences, beam_size)
        table[owner, place] = best
        row[owner, place] = torch.arange(len(owner), device=device)
        sums, chosen = table.flatten(1).topk(beam_size)  # (sentences, beam_size)
        chosen_rows = row.gather(1, chosen // best.shape[1])
        chosen_tokens = token[chosen_rows, chosen % best.shape[1]]
        taken = (torch.arange(beam_size, device=device) < free.unsqueeze(1)) & sums.isfinite()
        owner, place = taken.nonzero(as_tuple=True)
        parents, tokens, sums = chosen_rows[taken], chosen_tokens[taken], sums[taken]
        written = torch.cat([written[parents], tokens.unsqueeze(1)], dim=1)

        ends = tokens == eos_id
        scores = sums / length**length_penalty
        for i in (ends | (length == max_len)).nonzero()[:, 0].tolist():
            kind = finished if ends[i] else unfinished
            kind[owner[i]].append((written[i].tolist()[: length - int(ends[i])], scores[i].item()))
        free = free - torch.bincount(owner[ends], minlength=sentences)
        owner, tokens, sums, written = (part[~ends] for part in (owner, tokens, sums, written))
        if not len(owner):
            break
        # Of each sentence, the hypotheses that go on take the first places.
        place = torch.arange(len(owner), device=device) - torch.searchsorted(owner, owner)
        state = tuple(part[parents[~ends]] for part in state)
    return [
        max(done or other, key=lambda pair: pair[1]) for done, other in zip(finished, unfinished, strict=True)
    ]
