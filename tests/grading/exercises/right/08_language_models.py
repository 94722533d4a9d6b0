"""Right answers of exercise 08, written in other ways. Each of them draws in its own way."""

import torch

from utils.language_models import sample


def _allowed(logits, top_k):
    """Return logits with -inf for all but the top k."""
    if top_k is None or top_k >= logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)


def _next_by_where(tokens, pad_id):
    following = tokens.narrow(1, 1, tokens.shape[1] - 1)
    return tokens.narrow(1, 0, tokens.shape[1] - 1), torch.where(following == pad_id, -100, following)


def _next_by_clone(tokens, pad_id):
    targets = tokens[:, 1:].clone()
    targets[targets == pad_id] = -100
    return [tokens[:, :-1].contiguous(), targets]


def _next_by_loops(tokens, pad_id):
    pairs = [[(row[t], row[t + 1]) for t in range(len(row) - 1)] for row in tokens.tolist()]
    inputs = torch.tensor([[now for now, _ in row] for row in pairs], device=tokens.device)
    targets = [[-100 if then == pad_id else then for _, then in row] for row in pairs]
    return inputs, torch.tensor(targets, device=tokens.device)


def _probabilities(logits, temperature, top_k):
    return (_allowed(logits, top_k) / temperature).softmax(-1)


def _sample_by_mask(logits, temperature, top_k, generator):
    if temperature == 0:
        return logits.max(-1).indices
    return torch.multinomial(_probabilities(logits, temperature, top_k), 1, True, generator=generator)[:, 0]


def _sample_by_gumbel(logits, temperature, top_k, generator):
    """The largest of logits plus Gumbel noise is distributed like their softmax."""
    noise = -torch.empty_like(logits).exponential_(generator=generator).log()
    return (_allowed(logits, top_k) + temperature * noise).argmax(-1)


def _sample_by_sums(logits, temperature, top_k, generator):
    if temperature == 0:
        return logits.argmax(-1)
    sums = _probabilities(logits.double(), temperature, top_k).cumsum(-1)
    drawn = torch.rand(len(logits), 1, generator=generator, dtype=torch.double) * sums[:, -1:]
    return (sums <= drawn).sum(-1)


def _sample_by_rank(logits, temperature, top_k, generator):
    """Draw the place of a token in the order of their logits."""
    if temperature == 0:
        return logits.argmax(-1)
    order = logits.argsort(descending=True)[:, :top_k]
    weights = ((logits.gather(1, order) - logits.amax(1, True)) / temperature).exp()
    return order.gather(1, weights.multinomial(1, generator=generator))[:, 0]


def _generate_and_go_on(step, prompt, eos_id, max_len, temperature, top_k, generator):
    """Rows that have ended go on; nobody reads what they write."""
    ids, ended = prompt.clone(), set()
    while ids.shape[1] < prompt.shape[1] + max_len and len(ended) < len(prompt):
        token = sample(step(ids), temperature, top_k, generator)
        ended |= {row for row, id_ in enumerate(token.tolist()) if id_ == eos_id}
        ids = torch.hstack([ids, token.unsqueeze(1)])
    return ids


def _generate_into_room(step, prompt, eos_id, max_len, temperature, top_k, generator):
    batch, length = prompt.shape
    ids = torch.cat([prompt, torch.full((batch, max_len), eos_id)], dim=1)
    for end in range(length, length + max_len):
        ids[:, end] = sample(step(ids[:, :end]), temperature, top_k, generator)
        if (ids[:, length : end + 1] == eos_id).any(1).all():
            return ids[:, : end + 1]
    return ids


def _generate_by_calling_itself(step, prompt, eos_id, max_len, temperature, top_k, generator, going=True):
    if max_len == 0 or not torch.as_tensor(going).any():
        return prompt
    token = sample(step(prompt), temperature, top_k, generator)
    rest = step, torch.cat([prompt, token[:, None]], 1), eos_id, max_len - 1, temperature, top_k, generator
    return _generate_by_calling_itself(*rest, torch.as_tensor(going) & (token != eos_id))


def _hide_by_bernoulli(tokens, mask_id, special_ids, share, generator):
    special = torch.isin(tokens, torch.tensor(special_ids))
    hidden = torch.bernoulli(torch.where(special, 0.0, share), generator=generator).bool()
    return torch.where(hidden, mask_id, tokens), torch.where(hidden, tokens, -100)


def _hide_by_loops(tokens, mask_id, special_ids, share, generator):
    inputs, targets = tokens.tolist(), torch.full_like(tokens, -100).tolist()
    for b, draws in enumerate(torch.rand(tokens.shape, generator=generator).tolist()):
        for t, (token, drawn) in enumerate(zip(tuple(inputs[b]), draws, strict=True)):
            if token not in special_ids and drawn < share:
                inputs[b][t], targets[b][t] = mask_id, token
    return torch.tensor(inputs), torch.tensor(targets)


def _hide_by_the_top(tokens, mask_id, special_ids, share, generator):
    """Hide where a number from 0 to 1 is among the largest; draw for ordinary tokens only."""
    hidden = torch.zeros_like(tokens, dtype=torch.bool)
    ordinary = ~torch.isin(tokens, torch.tensor(special_ids))
    hidden[ordinary] = 1 - torch.rand(int(ordinary.sum()), generator=generator) <= share
    if share == 0:
        hidden[:] = False
    return [tokens.masked_fill(hidden, mask_id), tokens.masked_fill(~hidden, -100)]


RIGHT = {
    "next_word_batch": (_next_by_where, _next_by_clone, _next_by_loops),
    "sample": (_sample_by_mask, _sample_by_gumbel, _sample_by_sums, _sample_by_rank),
    "generate": (_generate_and_go_on, _generate_into_room, _generate_by_calling_itself),
    "mask_tokens": (_hide_by_bernoulli, _hide_by_loops, _hide_by_the_top),
}
