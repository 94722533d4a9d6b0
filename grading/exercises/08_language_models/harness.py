"""Exercise 08: call functions that draw at random so often that what they draw can be compared.

One call says little about chance. So each harness repeats its inputs many times and returns shares: how often
each outcome was drawn. Shares do not depend on the way of drawing.
"""

import torch


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def _expect(name, tensor, shape):
    """Raise a readable error unless this is a tensor of whole numbers with this shape."""
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.int64 or tensor.shape != shape:
        found = (
            f"{tensor.dtype} {tuple(tensor.shape)}"
            if isinstance(tensor, torch.Tensor)
            else type(tensor).__name__
        )
        raise TypeError(f"expected {name} as ids, torch.int64 {tuple(shape)}, got {found}")
    return tensor


def _reproducible(draw, seed):
    """Return 1 if two runs with generators of the same seed agree, else 0."""
    return int(torch.equal(*(draw(_generator(seed)) for _ in range(2))))


def drawing(answer, logits, temperature, top_k, draws, seed):
    """Return the share of each token, whether a second call repeats the first, and reproducibility."""
    vocab = logits.shape[1]

    def call(copies, generator):
        ids = answer(logits.repeat(copies, 1), temperature, top_k, generator)
        return _expect("the result", ids, (copies * len(logits),))

    generator = _generator(seed)
    call(1, _generator(seed))  # a small call first: its errors show small shapes
    repeats = torch.equal(call(64, generator), call(64, generator))
    ids = call(draws, generator).view(draws, -1).clamp(0, vocab - 1)
    shares = torch.nn.functional.one_hot(ids, vocab).double().mean(0)
    return shares, int(repeats), _reproducible(lambda generator: call(64, generator), seed)


def writing(answer, table, prompt, eos_id, max_len, temperature, top_k, copies, seed):
    """Continue prompts with the likeliest tokens, then many times at random.

    The model is a table: which of its rows (nodes, vocab) holds the logits depends on all ids and their
    places. Returns ids, with -1 behind an end token that was written, the share of each token at each new
    place (the last column: the row has ended), and reproducibility.
    """
    length = prompt.shape[1]

    def run(prompt, temperature, top_k, generator):
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

        ids = answer(step, prompt, eos_id, max_len, temperature, top_k, generator)
        if (
            not isinstance(ids, torch.Tensor)
            or ids.dtype != torch.int64
            or ids.dim() != 2
            or len(ids) != len(prompt)
        ):
            _expect("the result", ids, (len(prompt), length + max_len))
        ids = ids.clone()
        ended = (ids[:, length:] == eos_id).int()
        ids[:, length:].masked_fill_(ended.cumsum(1) > ended, -1)
        return ids

    vocab = table.shape[1]
    ids = run(prompt, 0, None, _generator(seed))
    drawn = run(prompt[:1].expand(copies, -1).clone(), temperature, top_k, _generator(seed))[:, length:]
    drawn = torch.nn.functional.pad(drawn, (0, max(0, max_len - drawn.shape[1])), value=-1)[:, :max_len]
    shares = torch.nn.functional.one_hot(torch.where(drawn < 0, vocab, drawn), vocab + 1).double().mean(0)
    many = prompt[:1].expand(64, -1).clone()
    return ids, shares, _reproducible(lambda generator: run(many, temperature, top_k, generator), seed)


def hiding(answer, tokens, mask_id, special_ids, share, copies, seed):
    """Hide all that may be hidden, then a share of many copies.

    Returns inputs and targets where everything is hidden, and a dict of shares: how often each token is
    hidden, is a target, is hidden together with each other token of its row, with the same token of the next
    copy, and of a second call; how often inputs and targets agree on what is hidden; reproducibility.
    """
    batch, length = tokens.shape

    def call(tokens, share, generator):
        returned = answer(tokens, mask_id, special_ids, share, generator)
        if not isinstance(returned, tuple | list) or len(returned) != 2:
            raise TypeError("expected two results, inputs and targets")
        return [_expect(n, t, tokens.shape) for n, t in zip(("inputs", "targets"), returned, strict=True)]

    everything = call(tokens, 1.0, _generator(seed))
    rows, generator = tokens.repeat(copies, 1), _generator(seed)
    first, second = (call(rows.clone(), share, generator) for _ in range(2))
    hidden, again = (
        ((inputs == mask_id) & (rows != mask_id)).view(copies, batch, length) for inputs, _ in (first, second)
    )
    targets = first[1].view(copies, batch, length)
    as_number = hidden.double()
    shares = {
        "hidden": as_number.mean(0),
        "targets": (targets == tokens).double().mean(0),
        "together": torch.einsum("cbi,cbj->bij", as_number, as_number) / copies,
        "next copy": (hidden[1:] & hidden[:-1]).double().mean(0),
        "second call": (hidden & again).double().mean(0),
        "inputs and targets agree": (hidden == (targets != -100)).double().mean(),
        "same seed, same result": _reproducible(
            lambda generator: call(tokens.repeat(64, 1), share, generator)[0], seed
        ),
    }
    return *everything, shares
