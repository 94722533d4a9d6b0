"""Exercise 07: self-attention, the causal mask, many heads, positions and the Transformer block.

Sizes are distinct primes in another order each time, but for hidden_dim, which is heads times a prime (or
even, where positions need that). Dropout is 1 throughout, so that nothing is left to chance: what is
dropped is gone in training, and whole in use.
"""

import math
from functools import wraps

import numpy as np

from grading.exercises.common import (
    EMPTY,
    MASKS,
    PRIMES,
    draw_parameters,
    no_weight_on_padding,
    nothing_to_attend_to,
    padded_at_the_end,
    rows_sum_to_one,
    some_real,
)
from grading.judge.registry import Fault, checks
from grading.sandbox.cases import ORDINARY, TORCH, Case
from utils import transformer

TRAINS = True
DROPOUT = "dropout in training"
OF_WEIGHTS = (nothing_to_attend_to, no_weight_on_padding, rows_sum_to_one)
LAST_PADDED = np.array([[True, True, False]])
ONE_EMPTY = LAST_PADDED & [[False], [True]]


def _causal(batch, length):
    return np.broadcast_to(np.tri(length, dtype=bool), (batch, length, length)).copy()


def _without(mask, *index):
    """The mask with nothing to attend to in one place."""
    mask = mask.copy()
    mask[index] = False
    return mask


def _moderate(parameters):
    """Matrices that keep numbers as large as they are, so that no softmax picks one key alone."""
    return {
        name: value / np.sqrt(value.shape[-1], dtype=value.dtype) if value.ndim == 2 else value
        for name, value in parameters.items()
    }


def _in_every_head(broken, outputs_too=True):
    """A property of weights (batch, tgt_len, src_len) for those that have an axis of heads."""

    @wraps(broken)
    def of_heads(case, outputs):
        for head, weights in enumerate(outputs["weights"].swapaxes(0, 1)):
            of_head = {**outputs, "weights": weights} if outputs_too else {"weights": weights}
            if fault := broken(case, of_head):
                fault = fault if isinstance(fault, Fault) else Fault(fault)
                return Fault(f"In head {head}: {fault.text}", fault.hidden or fault.text)
        return None

    return of_heads


@checks(
    "self_attention",
    transformer.self_attention,
    {"context": "batch length value_dim", "weights": "batch length length"},
    OF_WEIGHTS,
)
def _(rng):
    def case(title, shape, mask, fill=rng.standard_normal, dtype="float64", visible=False, part=ORDINARY):
        batch, length, hidden, key_dim, value_dim = (int(size) for size in shape)
        matrices = {
            name: (rng.standard_normal((hidden, dim)) / math.sqrt(hidden)).astype(dtype)
            for name, dim in (("w_query", key_dim), ("w_key", key_dim), ("w_value", value_dim))
        }
        x = fill((batch, length, hidden)).astype(dtype)
        return Case(title, {"x": x, **matrices, "mask": mask}, visible=visible, part=part)

    b, n, h, k, v = (int(size) for size in rng.permutation(PRIMES[:5]))
    primes = (b, n, h, k, v)
    ends, scattered, causal = padded_at_the_end(rng, b, n), some_real(rng, b, n, n), _causal(b, n)
    twos = (2, 2, 2, 2, 2)
    yield case("one sentence of three words, the last padded", (1, 3, 2, 2, 2), LAST_PADDED, visible=True)
    yield case("three words, a causal mask", (1, 3, 2, 2, 2), _causal(1, 3), visible=True, part=MASKS)
    yield case("sizes that all differ", primes, ends, visible=True)
    yield case("no mask", primes, None, visible=True, part=MASKS)
    yield case("a causal mask", primes, causal, part=MASKS)
    yield case("a causal mask that hides padding too", primes, causal & ends[:, None], part=MASKS)
    yield case("a mask for each word", primes, scattered, part=MASKS)
    yield case("numbers in float32", primes, ends, dtype="float32", part=TORCH)
    yield case("sizes that are all two", twos, padded_at_the_end(rng, 2, 2))
    yield case("as many sentences as words", (3, 3, *primes[2:]), padded_at_the_end(rng, 3, 3), visible=True)
    yield case("one word", (b, 1, h, k, v), np.ones((b, 1), dtype=bool))
    yield case("length one throughout", (1, 1, 1, 1, 1), None)
    yield case("all words but one padded", primes, np.arange(n) == rng.integers(0, n, (b, 1)))
    yield case("zeros", primes, ends, fill=np.zeros, visible=True)
    yield case("a sentence with nothing to attend to", primes, _without(ends, 0), part=EMPTY)
    yield case("a word with nothing to attend to", primes, _without(scattered, -1, 0), part=EMPTY)
    yield case("two sentences, one of them empty", (2, 3, 2, 2, 2), ONE_EMPTY, visible=True, part=EMPTY)


@checks("causal_mask", transformer.causal_mask, {"mask": "length length"}, gradients=False, device=False)
def _(rng):
    for length in (3, 1, 5):
        yield Case(f"{length} word{'s' * (length > 1)}", {"length": length}, visible=True)
    for length in (2, 7, 11, int(rng.integers(12, 40))):
        yield Case(f"{length} words", {"length": length})


@checks(
    "MultiHeadAttention",
    transformer.MultiHeadAttention,
    {"output": "batch tgt_len hidden", "weights": "batch heads tgt_len src_len"},
    tuple(map(_in_every_head, OF_WEIGHTS)),
)
def _(rng):
    def case(title, shape, mask, fill=rng.standard_normal, dtype="float64", itself=False, **more):
        batch, tgt_len, src_len, heads, head_dim = (int(size) for size in shape)
        sizes = {"hidden_dim": heads * head_dim, "heads": heads}
        query = fill((batch, tgt_len, heads * head_dim)).astype(dtype)
        drawn = [fill((batch, src_len, heads * head_dim)).astype(dtype) for _ in range(2)]
        keys, values = [query, query] if itself else drawn
        return Case(
            title,
            inputs={"query": query, "keys": keys, "values": values, "mask": mask},
            sizes=sizes,
            parameters=_moderate(draw_parameters(rng, transformer.MultiHeadAttention, sizes, dtype)),
            **more,
        )

    b, t, s, h, d = (int(size) for size in rng.permutation(PRIMES[:5]))
    primes = (b, t, s, h, d)
    ends, scattered = padded_at_the_end(rng, b, s), some_real(rng, b, t, s)
    three = "one query and three keys, the last padded"
    yield case(f"two heads, {three}", (1, 1, 3, 2, 2), LAST_PADDED, visible=True)
    yield case(f"one head, {three}", (1, 1, 3, 1, 2), LAST_PADDED)
    yield case(
        "three words that look back", (1, 3, 3, 2, 2), _causal(1, 3), itself=True, visible=True, part=MASKS
    )
    yield case("sizes that all differ", primes, ends, visible=True)
    yield case("no mask", primes, None, visible=True, part=MASKS)
    yield case("a mask for each query", primes, scattered, part=MASKS)
    yield case("a sentence that looks at itself", (b, s, s, h, d), ends, itself=True)
    yield case(
        "a sentence that looks back", (b, s, s, h, d), _causal(b, s) & ends[:, None], itself=True, part=MASKS
    )
    yield case("numbers in float32", primes, ends, dtype="float32", part=TORCH)
    yield case("sizes that are all two", (2, 2, 2, 2, 2), padded_at_the_end(rng, 2, 2), visible=True)
    yield case("a mask for each query, all sizes two", (2, 2, 2, 2, 2), some_real(rng, 2, 2, 2), part=MASKS)
    yield case("as many heads as sentences", (3, t, s, 3, d), padded_at_the_end(rng, 3, s))
    yield case("one head", (b, t, s, 1, d), ends)
    yield case("heads of one number", (b, t, s, h, 1), ends)
    yield case("one query", (b, 1, s, h, d), ends)
    yield case("one key", (b, t, 1, h, d), np.ones((b, 1), dtype=bool))
    yield case("all keys but one padded", primes, np.arange(s) == rng.integers(0, s, (b, 1)))
    yield case("zeros", primes, ends, fill=np.zeros, visible=True)
    yield case("two sentences, one of them empty", (2, 1, 3, 2, 2), ONE_EMPTY, visible=True, part=EMPTY)
    yield case("a sentence with nothing to attend to", primes, _without(ends, 0), part=EMPTY)
    yield case("a query with nothing to attend to", primes, _without(scattered, -1, 0), part=EMPTY)


@checks(
    "positional_encoding",
    transformer.positional_encoding,
    {"positions": "length hidden_dim"},
    gradients=False,
    device=False,
)
def _(rng):
    length, half = rng.permutation(PRIMES[2:])[:2]
    for words, hidden_dim in ((3, 4), (1, 2), (5, 6), (2, 10)):
        yield Case(
            f"{words} word{'s' * (words > 1)}", {"length": words, "hidden_dim": hidden_dim}, visible=True
        )
    for words, hidden_dim in ((2, 2), (4, 4), (1, 14), (int(length), 2 * int(half)), (43, 22)):
        yield Case(f"{words} word{'s' * (words > 1)}", {"length": words, "hidden_dim": hidden_dim})


@checks(
    "TransformerBlock",
    transformer.TransformerBlock,
    {"output": "batch length hidden", "weights": "batch heads length length"},
    tuple(_in_every_head(broken, outputs_too=False) for broken in OF_WEIGHTS),
)
def _(rng):
    def case(title, shape, mask, mode="in_use", fill=rng.standard_normal, dtype="float64", **more):
        batch, length, heads, head_dim, ff_dim = (int(size) for size in shape)
        sizes = {"hidden_dim": heads * head_dim, "heads": heads, "ff_dim": ff_dim, "dropout": 1.0}
        return Case(
            title,
            inputs={"x": fill((batch, length, heads * head_dim)).astype(dtype), "mask": mask},
            sizes=sizes,
            parameters=_moderate(draw_parameters(rng, transformer.TransformerBlock, sizes, dtype)),
            harness=f"07_self_attention.{mode}",
            **more,
        )

    b, n, h, d, f = (int(size) for size in rng.permutation(PRIMES[:5]))
    primes = (b, n, h, d, f)
    ends = padded_at_the_end(rng, b, n)
    small = (1, 3, 2, 2, 3)
    yield case("three words, the last padded", small, LAST_PADDED, visible=True)
    yield case("three words that look back", small, _causal(1, 3), visible=True)
    yield case("three words in training", small, LAST_PADDED, "learning", visible=True, part=DROPOUT)
    yield case("sizes that all differ", primes, ends, visible=True)
    yield case("no mask", primes, None, visible=True)
    yield case("sizes that all differ, in training", primes, ends, "learning", part=DROPOUT)
    yield case("a causal mask that hides padding too", primes, _causal(b, n) & ends[:, None])
    yield case("numbers in float32", primes, ends, dtype="float32", part=TORCH)
    yield case("sizes that are all two", (2, 2, 2, 2, 2), padded_at_the_end(rng, 2, 2))
    yield case("one word", (b, 1, h, d, f), None)
    yield case("zeros", primes, ends, fill=np.zeros)
    yield case("a sentence with nothing to attend to", primes, _without(ends, 0))
