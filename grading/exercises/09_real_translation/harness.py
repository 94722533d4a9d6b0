"""Exercise 09: a model made of tables for beam search to run on."""

import os
from unittest import mock

import torch

SEED = {"SACREBLEU_SEED": "12345"}  # sacrebleu's own, whatever the machine's settings are


def decode(answer, log_probs, goes_to, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Search through a machine of tables; give what the answer gives, ids as a list.

    The machine is at a node. A token takes it to the node goes_to[node, token], whose row of `log_probs`
    (nodes, vocab) says what comes next. The node is one part of the state; the other, like the encoder
    states of a translator, is the table: the same for every hypothesis, once for each.
    """
    calls = 0

    def step(tokens, state):
        nonlocal calls
        calls += 1
        if calls > 2 * beam_size * (max_len + 2):
            raise RuntimeError(f"step was called {calls} times for {max_len} tokens: does the search stop?")
        if not isinstance(tokens, torch.Tensor) or tokens.dim() != 1:
            raise ValueError("step wants tokens as a tensor of one axis, (hypotheses,)")
        node, table = state
        if not len(tokens) == len(node) == len(table):
            raise ValueError(
                f"step got {len(tokens)} tokens, but a state of {len(node)} and {len(table)} rows: "
                "each part of the state needs one row for each hypothesis"
            )
        node = goes_to[node, tokens]
        return table[torch.arange(len(node)), node], (node, table)

    start = (torch.zeros(1, dtype=torch.long), log_probs[None].clone())
    returned = answer(step, start, bos_id, eos_id, beam_size, max_len, length_penalty)
    several = tuple | list | torch.Tensor
    if not isinstance(returned, tuple | list) or not any(isinstance(part, several) for part in returned):
        return (returned,)  # one thing: ids alone are not taken for ids and a score
    return [part.tolist() if isinstance(part, torch.Tensor) and part.dim() else part for part in returned]


def compare(answer, *inputs):
    """Call with sacrebleu's own seed."""
    with mock.patch.dict(os.environ, SEED):
        return answer(*inputs)
