"""Exercise 08: call functions that draw at random so often that what they draw can be compared.

One call says little about chance. So each harness repeats its inputs many times and returns all results. The
judge counts how often each outcome was drawn: such shares do not depend on the way of drawing.
"""

import torch

FEW = 64  # copies, to compare one call with another


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def drawing(answer, logits, temperature, top_k, draws, seed):
    """Return one draw, two with the same generator, two with the same seed, and many."""

    def call(copies, generator):
        return answer(logits.repeat(copies, 1), temperature, top_k, generator)

    once, generator = call(1, _generator(seed)), _generator(seed)
    twice = [call(FEW, generator) for _ in range(2)]
    return once, twice, [call(FEW, _generator(seed)) for _ in range(2)], call(draws, generator)


def writing(answer, table, prompt, eos_id, max_len, temperature, top_k, copies, seed):
    """Continue prompts with the likeliest tokens, then many copies of the first at random, and FEW twice.

    The model is a table: which of its rows (nodes, vocab) holds the logits depends on all ids and their
    places.
    """

    def run(prompt, temperature, top_k):
        calls = 0

        def step(ids):
            nonlocal calls
            calls += 1
            if calls > max_len:
                raise RuntimeError(f"step was called {calls} times for at most {max_len} new tokens")
            if not isinstance(ids, torch.Tensor) or ids.dim() != 2 or len(ids) != len(prompt):
                raise ValueError(f"step wants ids of shape (batch, length), with {len(prompt)} rows")
            places = torch.arange(1, ids.shape[1] + 1)
            return table[((ids + 1) * (places**2 + places)).sum(1) % len(table)]  # (batch, vocab)

        return answer(step, prompt, eos_id, max_len, temperature, top_k, _generator(seed))

    def many(copies):
        return run(prompt[:1].expand(copies, -1).clone(), temperature, top_k)

    return run(prompt, 0, None), many(copies), [many(FEW) for _ in range(2)]


def hiding(answer, tokens, mask_id, special_ids, share, copies, seed):
    """Hide all that may be hidden, then a share of many copies, and of FEW with one seed."""

    def call(copies, generator):
        return answer(tokens.repeat(copies, 1), mask_id, special_ids, share, generator)

    generator = _generator(seed)
    many, few = [call(copies, generator) for _ in range(2)], [call(FEW, _generator(seed)) for _ in range(2)]
    everything = answer(tokens, mask_id, special_ids, 1.0, _generator(seed))  # last: it may change tokens
    return everything, many, few
