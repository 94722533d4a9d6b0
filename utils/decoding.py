"""Search for a good translation, greedily or by beam, with any model that predicts one token at a time."""

import torch

NOT_NUMBERS = (
    "the model's probabilities are not numbers: its training has diverged, so train it again with a lower "
    "learning rate"
)


class Shared:
    """Tensors with a row for each sentence, in a state with a row for each hypothesis, and no row copied.

    It is indexed like a tensor of the state. `owner` (hypotheses,), ascending, says which row of `tensors`
    each hypothesis has; None: each has its own, in order. Rows that nobody owns any more leave when they are
    half of all. Tensors other than the first may be None, as a mask is where nothing is hidden.
    """

    def __init__(self, *tensors, owner=None):
        self.tensors, self.owner = tensors, owner

    def __getitem__(self, rows):
        owner = rows if self.owner is None else self.owner[rows]
        left, place = owner.unique_consecutive(return_inverse=True)
        if 2 * len(left) > len(self.tensors[0]):
            return Shared(*self.tensors, owner=owner)
        tensors = (tensor if tensor is None else tensor[left] for tensor in self.tensors)
        return Shared(*tensors, owner=None if len(left) == len(owner) else place)

    def copied(self):
        """The same, with a row of its own for each hypothesis."""
        if self.owner is None:
            return self
        return Shared(*(tensor if tensor is None else tensor[self.owner] for tensor in self.tensors))


@torch.no_grad()
def greedy_search(step, state, bos_id, eos_id, max_len):
    """Decode many sentences at once by the likeliest token at each step.

    `step(tokens, state)` is as in `beam_search`, but that logits (sentences, vocab) will do, and that it may
    return a third tensor, what there is to show for this step: attention weights (sentences, src_len).

    Returns ids (sentences, steps), the end token included, and what was shown, (sentences, steps, ...) or
    None. Stops when every sentence has ended, or at `max_len`. A sentence that has ended is carried along
    until half of all have: then they leave, and have end tokens and zeros from there on.
    """
    sentences, device = len(state[0]), state[0].device
    row = torch.arange(sentences, device=device)
    tokens, ended = torch.full_like(row, bos_id), torch.zeros_like(row, dtype=torch.bool)
    count, counts = sentences, []
    rows, ids, shown = [], [], []
    while len(ids) < max_len and (going_on := ended.tolist().count(False)):
        if 2 * going_on <= count:
            left, count = (~ended).nonzero()[:, 0], going_on
            row, tokens, ended = row[left], tokens[left], ended[left]
            state = tuple(part[left] for part in state)
        logits, state, *show = step(tokens, state)
        tokens = logits.argmax(-1)
        ended |= tokens == eos_id
        counts.append(count)
        rows.append(row)
        ids.append(tokens)
        shown += show
    steps = torch.arange(len(ids)).repeat_interleave(torch.tensor(counts))
    place = torch.cat(rows), steps.to(device)

    def lay_out(parts, otherwise):
        whole = parts[0].new_full((sentences, len(ids), *parts[0].shape[1:]), otherwise)
        whole[place] = torch.cat(parts)
        return whole

    return lay_out(ids, eos_id), lay_out(shown, 0) if shown else None


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
    A `beam_size` of 1 is greedy decoding. A `beam_size` or `max_len` below 1 is a ValueError, and so are
    probabilities that are not numbers.

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
        if log_probs.isnan().any():
            raise ValueError(NOT_NUMBERS)
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
    continues the hypotheses of all sentences that are still searched for, those of a sentence one after the
    other. It may return a third tensor, (hypotheses, ...), what there is to show for this step: then each of
    the list has a third part too, (steps, ...), a row for each token of its sum. A token must have a
    probability above 0; which of two equal candidates gets the last place is left open, as it is there.
    """
    if beam_size < 1 or max_len < 1:
        raise ValueError(f"beam_size and max_len are at least 1, not {beam_size} and {max_len}")
    sentences, device = len(state[0]), state[0].device
    finished, unfinished = [[] for _ in range(sentences)], [[] for _ in range(sentences)]
    owner = torch.arange(sentences, device=device)  # the sentence of each hypothesis, in ascending order
    free = torch.full_like(owner, beam_size)  # places of a sentence that no finished hypothesis has
    written, shown = owner.new_empty(sentences, 0), []  # (hypotheses, length) each, and more axes
    tokens, sums = torch.full_like(owner, bos_id), torch.zeros(sentences, device=device)
    for length in range(1, max_len + 1):
        log_probs, state, *show = step(tokens, state)
        vocab = log_probs.shape[1]
        left, group, counts = owner.unique_consecutive(return_inverse=True, return_counts=True)
        first = counts.cumsum(0) - counts  # the row of the first hypothesis of each sentence
        place = torch.arange(len(owner), device=device) - first[group]
        candidates = log_probs.new_full((len(left), int(counts.max()), vocab), -torch.inf)
        candidates[group, place] = sums.unsqueeze(1) + log_probs
        candidates = candidates.flatten(1)
        sums, chosen = candidates.topk(min(beam_size, candidates.shape[1]))  # (sentences left, places)
        room = torch.arange(sums.shape[1], device=device) < free[left].unsqueeze(1)
        taken = group, _ = (room & sums.isfinite()).nonzero(as_tuple=True)
        owner, sums, chosen = left[group], sums[taken], chosen[taken]
        parents, tokens = first[group] + chosen // vocab, chosen % vocab
        written = torch.cat([written[parents], tokens.unsqueeze(1)], dim=1)
        show = [part.unsqueeze(1) for part in show]  # none or one, (hypotheses, 1, ...)
        shown = [torch.cat([*shown, *show], dim=1)[parents]] if show else []

        ends = tokens == eos_id
        over = (ends | (length == max_len)).nonzero()[:, 0]
        if len(over):
            columns = [part[over].tolist() for part in (owner, ends, written, sums / length**length_penalty)]
            for i, end, ids, score, *show in zip(*columns, *(part[over] for part in shown), strict=True):
                (finished if end else unfinished)[i].append((ids[:-1] if end else ids, score, *show))
            free = free - torch.bincount(owner[ends], minlength=sentences)
            left = (~ends).nonzero()[:, 0]
            hypotheses = owner, parents, tokens, sums, written, *shown
            owner, parents, tokens, sums, written, *shown = (part[left] for part in hypotheses)
        if not len(owner):
            break
        state = tuple(part[parents] for part in state)
    candidates = [done or other for done, other in zip(finished, unfinished, strict=True)]
    if not all(candidates):
        raise ValueError(NOT_NUMBERS)
    return [max(found, key=lambda one: one[1]) for found in candidates]
