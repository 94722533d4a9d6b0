"""Exercise 02: score functions, masked softmax and attend.

Sizes are distinct primes in another order each time, then the odd ones out.
"""

import numpy as np

from grading.exercises.common import (
    EMPTY,
    MASKS,
    PRIMES,
    SINGLE,
    draw_parameters,
    no_weight_on_padding,
    nothing_to_attend_to,
    padded_at_the_end,
    rows_sum_to_one,
    some_real,
)
from grading.judge.registry import checks
from grading.sandbox.cases import ORDINARY, TORCH, Case
from utils import attention

TRAINS = False
SCORES = {"scores": "batch tgt_len src_len"}
WEIGHTS = {"weights": "batch tgt_len src_len"}
EXTREME = "scores of any size"
CONTEXT = {"context": "batch tgt_len value_dim"}


def _pairs(rng, dims, module=None):
    """Cases of query and keys. `dims` are the names of the sizes from query_dim on."""

    def case(title, shape, fill=rng.standard_normal, dtype="float64", **more):
        batch, tgt_len, src_len, *widths = (int(size) for size in shape)
        sizes = dict(zip(dims, widths, strict=True))
        query_dim, key_dim = widths[0], sizes.get("key_dim", widths[0])
        return Case(
            title,
            inputs={
                "query": fill((batch, tgt_len, query_dim)).astype(dtype),
                "keys": fill((batch, src_len, key_dim)).astype(dtype),
            },
            sizes=sizes if module else {},
            parameters=draw_parameters(rng, module, sizes, dtype) if module else {},
            **more,
        )

    primes, n = rng.permutation(PRIMES[: 3 + len(dims)]), len(dims)
    b, t, s = primes[:3]
    yield case("one query and three keys", (1, 1, 3, *[2] * n), visible=True, part=SINGLE)
    yield case("sizes that all differ", primes, visible=True)
    yield case("numbers in float32", primes, dtype="float32", part=TORCH)
    yield case("sizes that are all two", (2, 2, 2, *[2] * n))
    yield case("one decoding step", (b, 1, s, *primes[3:]), visible=True, part=SINGLE)
    yield case("a batch of one", (1, t, s, *primes[3:]), part=SINGLE)
    yield case("one key", (b, t, 1, *primes[3:]), part=SINGLE)
    yield case("length one throughout", (1, 1, 1, *PRIMES[-n:]), part=SINGLE)
    yield case("zeros", primes, fill=np.zeros, visible=True)


@checks("scaled_dot_score", attention.scaled_dot_score, SCORES)
@checks("dot_score", attention.dot_score, SCORES)
def _(rng):
    return _pairs(rng, ["hidden"])


@checks("MultiplicativeScore", attention.MultiplicativeScore, SCORES)
def _(rng):
    return _pairs(rng, ["query_dim", "key_dim"], attention.MultiplicativeScore)


@checks("AdditiveScore", attention.AdditiveScore, SCORES)
def _(rng):
    return _pairs(rng, ["query_dim", "key_dim", "attn_dim"], attention.AdditiveScore)


@checks(
    "masked_softmax",
    attention.masked_softmax,
    WEIGHTS,
    (nothing_to_attend_to, no_weight_on_padding, rows_sum_to_one),
)
def _(rng):
    b, t, s = (int(size) for size in rng.permutation(PRIMES[1:4]))

    def case(title, scores, mask, visible=False, part=ORDINARY):
        return Case(title, {"scores": scores, "mask": mask}, visible=visible, part=part)

    scores, normal = rng.standard_normal((b, t, s)), rng.standard_normal
    ends, scattered = padded_at_the_end(rng, b, s), some_real(rng, b, t, s)
    last = np.array([[True, True, False]])
    empty_sentence, empty_row = ends.copy(), scattered.copy()
    empty_sentence[0], empty_row[-1, 0] = False, False
    yield case("one row, its last key padded", normal((1, 1, 3)), last, True)
    yield case("scores near 1000", normal((1, 1, 3)) + 1000, last, part=EXTREME)
    yield case("scores near -1000", normal((1, 1, 3)) - 1000, last, part=EXTREME)
    yield case("two rows, one of them empty", normal((2, 1, 3)), last & [[False], [True]], True, part=EMPTY)
    yield case("sentences padded at the end", scores, ends, True)
    yield case("numbers in float32", scores.astype("float32"), ends, part=TORCH)
    yield case("no mask", scores, None, True, part=MASKS)
    yield case("a mask with nothing padded", scores, np.ones((b, s), dtype=bool))
    yield case("a mask for each query", scores, scattered, True, part=MASKS)
    yield case("sizes that are all two", normal((2, 2, 2)), padded_at_the_end(rng, 2, 2))
    yield case("a mask for each query, all sizes two", normal((2, 2, 2)), some_real(rng, 2, 2, 2), part=MASKS)
    yield case("one query", scores[:, :1], ends)
    yield case("one key", scores[..., :1], np.ones((b, 1), dtype=bool))
    yield case("all keys but one padded", scores, np.arange(s) == rng.integers(0, s, (b, 1)))
    yield case("scores of zero", np.zeros((b, t, s)), ends)
    yield case("padding scored far above all else", scores + 1000.0 * ~ends[:, None], ends, part=EXTREME)
    yield case("a sentence with nothing to attend to", scores, empty_sentence, part=EMPTY)
    yield case("a query with nothing to attend to", scores, empty_row, part=EMPTY)


@checks(
    "attend",
    attention.attend,
    CONTEXT | WEIGHTS,
    (nothing_to_attend_to, no_weight_on_padding, rows_sum_to_one),
)
def _(rng):
    def case(title, shape, mask, score="dot_score", dtype="float64", fill=rng.standard_normal, **more):
        batch, tgt_len, src_len, query_dim, value_dim, *key_dim = (int(size) for size in shape)
        key_dim = key_dim[0] if key_dim else query_dim
        sizes, parameters = {}, {}
        if score == "AdditiveScore":
            sizes = {"query_dim": query_dim, "key_dim": key_dim, "attn_dim": 4}
            parameters = draw_parameters(rng, attention.AdditiveScore, sizes, dtype)
        return Case(
            title,
            inputs={
                "query": fill((batch, tgt_len, query_dim)).astype(dtype),
                "keys": fill((batch, src_len, key_dim)).astype(dtype),
                "values": fill((batch, src_len, value_dim)).astype(dtype),
                "mask": mask,
            },
            library={"score": f"attention.{score}"},
            sizes=sizes,
            parameters=parameters,
            **more,
        )

    b, t, s, q, v, k = rng.permutation(PRIMES)
    ends, scattered = padded_at_the_end(rng, b, s), some_real(rng, b, t, s)
    last = np.array([[True, True, False]])
    empty_sentence = ends.copy()
    empty_sentence[0] = False
    empty = last & [[False], [True]]
    yield case("one query, three keys, the last padded", (1, 1, 3, 2, 2), last, visible=True)
    yield case("sizes that all differ", (b, t, s, q, v), ends, visible=True)
    yield case("numbers in float32", (b, t, s, q, v), ends, dtype="float32", part=TORCH)
    yield case("the scaled score", (b, t, s, q, v), ends, "scaled_dot_score", visible=True)
    yield case("the additive score", (b, t, s, q, v, k), ends, "AdditiveScore")
    yield case("no mask", (b, t, s, q, v), None, visible=True, part=MASKS)
    yield case("a mask for each query", (b, t, s, q, v), scattered, "scaled_dot_score", part=MASKS)
    yield case("sizes that are all two", (2, 2, 2, 2, 2), padded_at_the_end(rng, 2, 2))
    yield case("one decoding step", (b, 1, s, q, v), ends, visible=True)
    yield case("a batch of one, all keys but one padded", (1, t, s, q, v), np.arange(s)[None] == s // 2)
    yield case("one key", (b, t, 1, q, v), np.ones((b, 1), dtype=bool))
    yield case("zeros", (b, t, s, q, v), ends, fill=np.zeros)
    yield case("two sentences, one of them empty", (2, 1, 3, 2, 2), empty, visible=True, part=EMPTY)
    yield case("a sentence with nothing to attend to", (b, t, s, q, v), empty_sentence, part=EMPTY)
