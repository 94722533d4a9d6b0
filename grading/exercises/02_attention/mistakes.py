"""Exercise 02: mistakes and right variants of the score functions, the softmax and attend."""

import math

import torch
from torch.nn import functional as F

from grading.exercises.known import Misconception, with_forward
from utils.attention import AdditiveScore, MultiplicativeScore, dot_score, masked_softmax, scaled_dot_score


def _multiplicative(forward):
    return with_forward(MultiplicativeScore, forward)


def _additive(forward):
    return with_forward(AdditiveScore, forward)


def _of_any_score(score, wrap=lambda answer: answer):
    """Mistakes that every score function invites. `wrap` makes an answer of a function of its arguments."""
    return (
        Misconception(
            "transposed_scores",
            "the scores come out as (batch, src_len, tgt_len): put the queries in the rows and the keys in "
            "the columns, so that each query has its row of scores.",
            wrap(lambda *args: score(*args).transpose(1, 2)),
        ),
        Misconception(
            "softmax_included",
            "these are weights already: a score function returns plain scores, and the softmax comes later, "
            "in the function that knows the mask.",
            wrap(lambda *args: score(*args).softmax(-1)),
        ),
    )


def _of_any_product(divisor=lambda q: 1.0, keys_of=lambda k: k, wrap=lambda answer: answer):
    """Ways to get a product of query and keys wrong, be it divided or the keys projected."""

    def answer(wrong):
        return wrap(lambda *args: wrong(args[-2], keys_of(*args[:-2], args[-1])) / divisor(args[-2]))

    return (
        Misconception(
            "missing_transpose",
            "query @ keys adds up over the wrong axis: transpose the last two axes of the keys first, so "
            "that the numbers of a query meet the numbers of a key.",
            answer(lambda q, k: q @ k),
        ),
        Misconception(
            "reshape_for_transpose",
            "reshape and view do not transpose: they deal the same numbers out in the same order, and so mix "
            "up the keys. Swap two axes with transpose.",
            answer(lambda q, k: q @ k.reshape(k.shape[0], k.shape[2], k.shape[1])),
        ),
        Misconception(
            "summed_over_keys",
            "the products are added up over the keys. A score belongs to one key: add up over the numbers "
            "of the vectors, which is the last axis.",
            answer(lambda q, k: (q.unsqueeze(2) * k.unsqueeze(1)).sum(2)),
        ),
        Misconception(
            "not_summed",
            "the numbers of query and key are multiplied but never added up: a score is one number for each "
            "query and key, so add up over the last axis.",
            answer(lambda q, k: q.unsqueeze(2) * k.unsqueeze(1)),
        ),
        Misconception(
            "one_step_only",
            "this pairs query i with key i, or serves a single query: every query must meet every key, and "
            "the scores have three axes (batch, tgt_len, src_len), also where tgt_len is 1.",
            answer(lambda q, k: (q * k).sum(-1)),
        ),
        Misconception(
            "first_sentence_for_all",
            "all queries meet the keys of the first sentence: each sentence of the batch has its own keys.",
            answer(lambda q, k: q @ k[0].T),
        ),
    )


def _sqrt_of(tensor, axis):
    return math.sqrt(tensor.shape[axis])


_COSINE = "the lengths of the vectors are divided out, which makes this a cosine: a dot product keeps them."


def _cosine(q, k):
    return F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(1, 2)


_DOT = (
    *_of_any_score(dot_score),
    *_of_any_product(),
    Misconception(
        "scaled_already",
        "this is the scaled score: the plain dot product is not divided by anything.",
        scaled_dot_score,
    ),
    Misconception("cosine", _COSINE, _cosine),
)

_SCALED = (
    *_of_any_score(scaled_dot_score),
    *_of_any_product(divisor=lambda q: _sqrt_of(q, -1)),
    Misconception(
        "divided_by_hidden",
        "the scores are divided by hidden itself (or by its root twice, once in the query and once in the "
        "keys): divide once, by its square root.",
        lambda q, k: dot_score(q, k) / q.shape[-1],
    ),
    Misconception(
        "not_scaled", "the scores are not scaled: divide them by the square root of hidden.", dot_score
    ),
    Misconception(
        "multiplied_by_root",
        "the scores are multiplied by the square root of hidden, where they should be divided by it: long "
        "vectors should not give larger scores.",
        lambda q, k: dot_score(q, k) * _sqrt_of(q, -1),
    ),
    Misconception(
        "root_of_src_len",
        "the scores are divided by the root of src_len, the number of keys: what makes a dot product grow is "
        "hidden, the length of each vector.",
        lambda q, k: dot_score(q, k) / _sqrt_of(k, 1),
    ),
    Misconception(
        "root_of_tgt_len",
        "the scores are divided by the root of tgt_len, the number of queries: what makes a dot product grow "
        "is hidden, the length of each vector.",
        lambda q, k: dot_score(q, k) / _sqrt_of(q, 1),
    ),
    Misconception(
        "root_of_batch",
        "the scores are divided by the root of the batch size: shape[0] counts sentences, and hidden is "
        "shape[-1].",
        lambda q, k: dot_score(q, k) / _sqrt_of(q, 0),
    ),
    Misconception("cosine", _COSINE, _cosine),
)

_MULTIPLICATIVE = (
    *_of_any_score(MultiplicativeScore.forward, _multiplicative),
    *_of_any_product(keys_of=lambda self, k: self.key_proj(k), wrap=_multiplicative),
    Misconception(
        "no_matrix",
        "key_proj is never used: project the keys first, then take the dot product with the query.",
        _multiplicative(lambda self, q, k: q @ k.transpose(1, 2)),
    ),
    Misconception(
        "matrix_on_the_query",
        "the matrix is on the wrong side: key_proj belongs to the keys (key_dim numbers in, query_dim out), "
        "and here it meets the query.",
        _multiplicative(lambda self, q, k: self.key_proj(q) @ k.transpose(1, 2)),
    ),
    Misconception(
        "both_projected",
        "query and keys are both projected: the equation has one matrix, and it belongs to the keys.",
        _multiplicative(lambda self, q, k: self.key_proj(q) @ self.key_proj(k).transpose(1, 2)),
    ),
    Misconception(
        "scaled",
        "the scores are divided by a square root, which belongs to the scaled dot product: here W is learned "
        "and finds its own scale.",
        _multiplicative(lambda self, q, k: MultiplicativeScore.forward(self, q, k) / _sqrt_of(q, -1)),
    ),
    Misconception(
        "tanh_added",
        "there is no tanh in this score: it is q . (W k) and nothing more. The tanh belongs to the additive "
        "score.",
        _multiplicative(lambda self, q, k: q @ torch.tanh(self.key_proj(k)).transpose(1, 2)),
    ),
)


def _pre(self, q, k, for_query="query_proj", for_keys="key_proj"):
    """What goes into the tanh of an additive score: (batch, tgt_len, src_len, attn_dim)."""
    return getattr(self, for_query)(q).unsqueeze(2) + getattr(self, for_keys)(k).unsqueeze(1)


def _projected(for_query, for_keys):
    """Additive attention that sends query and keys through these of its layers."""
    return _additive(lambda self, q, k: self.v(torch.tanh(_pre(self, q, k, for_query, for_keys))).squeeze(-1))


def _additive_by(activation):
    return _additive(lambda self, q, k: self.v(activation(_pre(self, q, k))).squeeze(-1))


_OTHER_ACTIVATION = "the activation is not tanh: the equation is v . tanh(W q + U k)."
_NO_V = "v is never used: the tanh gives attn_dim numbers, and v turns them into one score."
_ONE_PROJECTION = (
    "query and keys go through the same projection: query_proj is for the query, key_proj for the keys."
)

_ADDITIVE = (
    *_of_any_score(AdditiveScore.forward, _additive),
    Misconception(
        "no_tanh",
        "the tanh is missing: without it query and keys are only added up, and every query then prefers the "
        "same keys.",
        _additive_by(lambda x: x),
    ),
    Misconception("other_activation", _OTHER_ACTIVATION, _additive_by(torch.relu)),
    Misconception("other_activation", _OTHER_ACTIVATION, _additive_by(torch.sigmoid)),
    Misconception(
        "tanh_too_early",
        "each projection goes through its own tanh: add the two projections first, then take the tanh of "
        "the sum.",
        _additive(
            lambda self, q, k: self.v(
                torch.tanh(self.query_proj(q)).unsqueeze(2) + torch.tanh(self.key_proj(k)).unsqueeze(1)
            ).squeeze(-1)
        ),
    ),
    Misconception(
        "tanh_too_late",
        "the tanh stands outside: take it before v, not of the finished score.",
        _additive(lambda self, q, k: torch.tanh(self.v(_pre(self, q, k))).squeeze(-1)),
    ),
    Misconception(
        "v_forgotten",
        _NO_V,
        _additive(lambda self, q, k: torch.tanh(_pre(self, q, k)).sum(-1)),
    ),
    Misconception(
        "v_forgotten",
        _NO_V,
        _additive(lambda self, q, k: torch.tanh(_pre(self, q, k)).mean(-1)),
    ),
    Misconception(
        "product_for_sum",
        "the two projections are multiplied: this score is called additive because it adds them.",
        _additive(
            lambda self, q, k: self.v(
                torch.tanh(self.query_proj(q).unsqueeze(2) * self.key_proj(k).unsqueeze(1))
            ).squeeze(-1)
        ),
    ),
    Misconception(
        "difference_for_sum",
        "one projection is taken from the other: the equation adds them.",
        _additive(
            lambda self, q, k: self.v(
                torch.tanh(self.query_proj(q).unsqueeze(2) - self.key_proj(k).unsqueeze(1))
            ).squeeze(-1)
        ),
    ),
    Misconception(
        "projections_swapped",
        "the projections are swapped: query_proj is for the query, key_proj for the keys.",
        _projected("key_proj", "query_proj"),
    ),
    Misconception(
        "one_projection_for_both",
        _ONE_PROJECTION,
        _projected("key_proj", "key_proj"),
    ),
    Misconception(
        "one_projection_for_both",
        _ONE_PROJECTION,
        _projected("query_proj", "query_proj"),
    ),
    Misconception(
        "not_squeezed",
        "the scores have one axis too many: v leaves an axis of length 1 at the end; drop it with "
        "squeeze(-1).",
        _additive(lambda self, q, k: self.v(torch.tanh(_pre(self, q, k)))),
    ),
    Misconception(
        "squeezed_everywhere",
        "squeeze() without an axis drops every axis of length 1, also a batch, a step or a key of one: "
        "write squeeze(-1).",
        _additive(lambda self, q, k: self.v(torch.tanh(_pre(self, q, k))).squeeze()),
    ),
    Misconception(
        "one_step_only",
        "query i is added to key i: every query must meet every key. Give the query an axis for the keys "
        "and the keys an axis for the queries before you add.",
        _additive(lambda self, q, k: self.v(torch.tanh(self.query_proj(q) + self.key_proj(k))).squeeze(-1)),
    ),
)


def _full(mask, scores):
    """The mask of the scores' shape."""
    if mask is None:
        return torch.ones_like(scores, dtype=torch.bool)
    return (mask.unsqueeze(1) if mask.dim() == 2 else mask).expand_as(scores)


def _filled(scores, mask, value=-math.inf):
    return scores.masked_fill(~_full(mask, scores), value)


def _broadcast(scores, mask):
    """The right softmax under a mask that is left as it is."""
    filled = scores.masked_fill(~mask, -math.inf).masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return filled.softmax(-1).masked_fill(~mask, 0.0)


def _over_axis(axis):
    """The softmax over a wrong axis, masked with care and without."""

    def careful(scores, mask):
        return masked_softmax(scores.transpose(axis, 2), _full(mask, scores).transpose(axis, 2)).transpose(
            axis, 2
        )

    return careful, lambda scores, mask: _filled(scores, mask).softmax(axis)


def _divided(numbers):
    return numbers / numbers.sum(-1, keepdim=True).clamp(min=1e-9)


_OVER_QUERIES = (
    "the softmax runs over the queries (axis 1): each query shares its attention out over the keys, so it "
    "must run over the last axis."
)
_OVER_BATCH = (
    "the softmax runs over the batch (axis 0), so sentences compete with each other: it must run over the "
    "keys, which are the last axis."
)
_INVERTED = (
    "the mask is turned round: True is a real token, so the weights to silence are those where it is False."
)
_UNIFORM = (
    "a row with nothing to attend to comes out as even weights, because all its scores got the same large "
    "negative number: such a row must be zeros."
)
_FILL_TOO_SMALL = (
    "the number put in the place of padding is not small enough: real scores may be smaller still. Use "
    "-inf, which no score can be below."
)

_MASKED_SOFTMAX = (
    *(Misconception("softmax_over_queries", _OVER_QUERIES, answer) for answer in _over_axis(1)),
    *(Misconception("softmax_over_batch", _OVER_BATCH, answer) for answer in _over_axis(0)),
    Misconception(
        "mask_ignored",
        "the mask is not used, so padding receives weight: its scores must become -inf before the softmax.",
        lambda scores, mask: scores.softmax(-1),
    ),
    Misconception(
        "mask_inverted",
        _INVERTED,
        lambda scores, mask: masked_softmax(scores, mask if mask is None else ~mask),
    ),
    Misconception(
        "mask_inverted",
        _INVERTED,
        lambda scores, mask: (scores if mask is None else _filled(scores, ~mask)).softmax(-1),
    ),
    Misconception(
        "masked_after",
        "the mask is applied after the softmax, so the weights that are left no longer sum to one: mask the "
        "scores before the softmax.",
        lambda scores, mask: scores.softmax(-1) * _full(mask, scores),
    ),
    Misconception(
        "padding_scored_zero",
        "padding gets a score of 0, and the softmax of 0 is not 0: e to the 0 is 1. Its score must be -inf.",
        lambda scores, mask: (scores * _full(mask, scores)).softmax(-1),
    ),
    Misconception(
        "mask_added",
        "the mask is added to the scores as ones and zeros, which only favours real tokens a little: the "
        "score of padding must be -inf.",
        lambda scores, mask: (scores if mask is None else scores + _full(mask, scores)).softmax(-1),
    ),
    Misconception("even_where_empty", _UNIFORM, lambda scores, mask: _filled(scores, mask, -1e9).softmax(-1)),
    Misconception(
        "fill_too_small",
        _FILL_TOO_SMALL,
        lambda scores, mask: _filled(scores, mask, -100.0).softmax(-1),
    ),
    Misconception(
        "fill_too_small",
        _FILL_TOO_SMALL,
        lambda scores, mask: _filled(scores, mask, -100.0).softmax(-1) * _full(mask, scores),
    ),
    Misconception(
        "nan_where_empty",
        "a row with nothing to attend to comes out as NaN, because the softmax of -inf alone is 0 / 0: "
        "such a row must be zeros.",
        lambda scores, mask: _filled(scores, mask).softmax(-1),
    ),
    Misconception(
        "nan_painted_over",
        "the NaN of a row with nothing to attend to is replaced after the softmax. The weights look right, "
        "but the gradient goes back through that NaN and spoils the model: keep such a row finite before "
        "the softmax, or set scores to -inf with masked_fill, which lets no gradient back.",
        lambda scores, mask: (scores + _filled(torch.zeros_like(scores), mask)).softmax(-1).nan_to_num(0.0),
    ),
    Misconception(
        "overflow",
        "exp of a large score is infinite, and of a very negative one it is 0: use torch.softmax, or take "
        "the row's largest score from all its scores first.",
        lambda scores, mask: _divided(scores.exp() * _full(mask, scores)),
    ),
    Misconception(
        "no_exp",
        "the scores are divided by their sum, without exp: weights then can be negative, and a softmax is "
        "exp(score) divided by the sum of the exp(scores).",
        lambda scores, mask: (
            scores * _full(mask, scores) / (scores * _full(mask, scores)).sum(-1, keepdim=True)
        ),
    ),
    Misconception(
        "mask_without_its_axis",
        "a mask of (batch, src_len) needs an axis for the queries, mask.unsqueeze(1): without it torch lines "
        "up sentences with queries, or refuses.",
        lambda scores, mask: scores.softmax(-1) if mask is None else _broadcast(scores, mask),
    ),
    Misconception(
        "three_axes_forgotten",
        "a mask of three axes, one row for each query, already fits the scores: only a mask of two axes "
        "lacks one.",
        lambda scores, mask: scores.softmax(-1) if mask is None else _broadcast(scores, mask.unsqueeze(1)),
    ),
)


def _attend(
    weigh=masked_softmax, score_of=lambda score, q, k, v: score(q, k), answer=lambda w, v: (w @ v, w)
):
    """An attend with one of its three steps done in another way."""
    return lambda q, k, v, mask, score: answer(weigh(score_of(score, q, k, v), mask), v)


_SCORE_IGNORED = (
    "the score that is passed in is not used: call score(query, keys), so that any score function can be "
    "plugged in."
)

_ATTEND = (
    Misconception(
        "keys_as_values",
        "the context is made of the keys: keys only say where to look, and what is found there are the "
        "values.",
        lambda q, k, v, mask, score: (
            masked_softmax(score(q, k), mask) @ k,
            masked_softmax(score(q, k), mask),
        ),
    ),
    Misconception(
        "values_as_keys",
        "the scores compare the query with the values: score(query, keys) says where to look, and the values "
        "come in only when the context is made.",
        _attend(score_of=lambda score, q, k, v: score(q, v)),
    ),
    Misconception(
        "query_and_keys_swapped",
        "the score is called as score(keys, query): the query comes first.",
        _attend(score_of=lambda score, q, k, v: score(k, q)),
    ),
    Misconception(
        "score_ignored",
        _SCORE_IGNORED,
        _attend(score_of=lambda score, q, k, v: dot_score(q, k)),
    ),
    Misconception(
        "score_ignored",
        _SCORE_IGNORED,
        _attend(score_of=lambda score, q, k, v: scaled_dot_score(q, k)),
    ),
    Misconception(
        "mask_ignored",
        "the mask is not used, so the context is mixed with padding: hand it to masked_softmax.",
        _attend(lambda scores, mask: scores.softmax(-1)),
    ),
    Misconception(
        "mask_inverted",
        _INVERTED,
        _attend(lambda s, mask: masked_softmax(s, mask if mask is None else ~mask)),
    ),
    Misconception(
        "masked_after",
        "padding is set to zero after the softmax, so the weights that are left no longer sum to one: mask "
        "the scores before the softmax.",
        _attend(lambda scores, mask: scores.softmax(-1) * _full(mask, scores)),
    ),
    Misconception("softmax_over_queries", _OVER_QUERIES, _attend(_over_axis(1)[0])),
    Misconception("softmax_over_queries", _OVER_QUERIES, _attend(_over_axis(1)[1])),
    Misconception(
        "nan_where_empty",
        "a sentence with nothing to attend to comes out as NaN, because the softmax of -inf alone is 0 / 0: "
        "such a row must be zeros, in the weights and in the context.",
        _attend(lambda scores, mask: _filled(scores, mask).softmax(-1)),
    ),
    Misconception(
        "even_where_empty", _UNIFORM, _attend(lambda scores, mask: _filled(scores, mask, -1e9).softmax(-1))
    ),
    Misconception(
        "returned_in_the_other_order",
        "the two results are in the other order: return context, weights.",
        _attend(answer=lambda w, v: (w, w @ v)),
    ),
    Misconception(
        "context_only",
        "only the context is returned: return context, weights, for we want to look at the weights too.",
        _attend(answer=lambda w, v: w @ v),
    ),
    Misconception(
        "scores_returned",
        "the second result are the scores: return the weights, which are what the softmax made of them.",
        lambda q, k, v, mask, score: (masked_softmax(score(q, k), mask) @ v, score(q, k)),
    ),
    Misconception(
        "scores_for_weights",
        "the values are weighed with the scores: use the weights, which are positive and sum to one.",
        lambda q, k, v, mask, score: (score(q, k) @ v, masked_softmax(score(q, k), mask)),
    ),
    Misconception(
        "weights_transposed",
        "the values are added up over the queries: each query needs its own sum over the keys, so multiply "
        "weights @ values without a transpose.",
        _attend(answer=lambda w, v: (w.transpose(1, 2) @ v, w)),
    ),
    Misconception(
        "summed_over_queries",
        "the weighted values are added up over the queries (axis 1): add up over the keys, so that each "
        "query has its own context.",
        _attend(answer=lambda w, v: ((w.unsqueeze(-1) * v.unsqueeze(1)).sum(1), w)),
    ),
    Misconception(
        "not_summed",
        "the values are weighed but not added up: the context is the sum over the keys.",
        _attend(answer=lambda w, v: (w.unsqueeze(-1) * v.unsqueeze(1), w)),
    ),
    Misconception(
        "mean_for_sum",
        "the weighted values are averaged: the weights sum to one already, so add up and divide by nothing.",
        _attend(answer=lambda w, v: ((w.unsqueeze(-1) * v.unsqueeze(1)).mean(2), w)),
    ),
    Misconception(
        "likeliest_only",
        "each query takes its best key alone: attention is soft, every key gives as much of its value as its "
        "weight says.",
        _attend(answer=lambda w, v: (F.one_hot(w.argmax(-1), w.shape[-1]).to(v) @ v, w)),
    ),
    Misconception(
        "query_appended",
        "the query is joined to the context: that comes later, in the decoder. Here it stands alone.",
        lambda q, k, v, mask, score: (
            torch.cat([masked_softmax(score(q, k), mask) @ v, q], dim=-1),
            masked_softmax(score(q, k), mask),
        ),
    ),
)


MISCONCEPTIONS = {
    "dot_score": _DOT,
    "scaled_dot_score": _SCALED,
    "MultiplicativeScore": _MULTIPLICATIVE,
    "AdditiveScore": _ADDITIVE,
    "masked_softmax": _MASKED_SOFTMAX,
    "attend": _ATTEND,
}


# Right answers, written in other ways.


def _dot_by_loops(q, k):
    scores = q.new_zeros(q.shape[0], q.shape[1], k.shape[1])
    for b in range(q.shape[0]):
        for t in range(q.shape[1]):
            for s in range(k.shape[1]):
                scores[b, t, s] = torch.dot(q[b, t], k[b, s])
    return scores


def _dot_by_steps(q, k):
    return torch.stack([(k * q[:, t : t + 1]).sum(-1) for t in range(q.shape[1])], dim=1)


def _not_contiguous(q, k):
    return (k @ q.mT).mT


def _warns(q, k):
    import warnings

    warnings.warn("a warning is no mistake", stacklevel=1)
    print("nor is a line printed on the way", q.shape)
    return torch.einsum("btd,bsd->bts", q, k)


_DOTS = (
    _dot_by_loops,
    _dot_by_steps,
    _not_contiguous,
    _warns,
    lambda q, k: torch.bmm(q, k.permute(0, 2, 1)),
    lambda q, k: (q[:, :, None] * k[:, None]).sum(dim=3),
    lambda q, k: torch.stack([a @ b.T for a, b in zip(q, k, strict=True)]),
)


def _additive_by_loops(self, q, k):
    rows = []
    for t in range(q.shape[1]):
        keys = [
            self.v(torch.tanh(self.query_proj(q[:, t]) + self.key_proj(k[:, s]))) for s in range(k.shape[1])
        ]
        rows.append(torch.cat(keys, dim=-1))
    return torch.stack(rows, dim=1)


def _pairs(q, k):
    """Every query beside every key, both (batch, tgt_len, src_len, their own size), not contiguous."""
    return q.unsqueeze(2).expand(-1, -1, k.shape[1], -1), k.unsqueeze(1).expand(-1, q.shape[1], -1, -1)


def _additive_of_pairs(self, q, k):
    """One matrix on query and key joined, as some texts write it."""
    pairs = torch.cat(_pairs(q, k), dim=-1)
    both = torch.cat([self.query_proj.weight, self.key_proj.weight], dim=1)
    return torch.tanh(pairs @ both.T) @ self.v.weight[0]


def _softmax_by_rows(scores, mask):
    weights = torch.zeros_like(scores)
    for b, t in torch.cartesian_prod(torch.arange(scores.shape[0]), torch.arange(scores.shape[1])):
        real = _full(mask, scores)[b, t]
        weights[b, t, real] = torch.softmax(scores[b, t, real], dim=0)
    return weights


def _softmax_renormalised(scores, mask):
    return _divided(torch.softmax(scores, dim=-1) * _full(mask, scores))


def _softmax_by_hand(scores, mask):
    raised = torch.exp(scores - scores.max(dim=-1, keepdim=True).values) * _full(mask, scores)
    return raised / (raised.sum(-1, keepdim=True) + 1e-9)


def _softmax_of_the_lowest(scores, mask):
    real = _full(mask, scores)
    lowest = torch.full_like(scores, torch.finfo(scores.dtype).min)
    return torch.where(real, torch.where(real, scores, lowest).softmax(-1), 0.0)


def _softmax_repaired(scores, mask):
    """The NaN of an empty row replaced: here masked_fill stops its gradient, so nothing is wrong with it."""
    return torch.nan_to_num(_filled(scores, mask).softmax(-1), nan=0.0)


def _softmax_with_bias(scores, mask):
    real = _full(mask, scores).to(scores.dtype)
    return F.softmax(scores + (1 - real) * -1e9, dim=-1) * real


def _softmax_by_log(scores, mask):
    real = _full(mask, scores)
    empty = ~real.any(-1, keepdim=True)
    kept = torch.where(real | empty, scores, -math.inf)
    return (kept - kept.logsumexp(-1, keepdim=True)).exp() * ~empty


def _attend_by_loops(q, k, v, mask, score):
    weights = masked_softmax(score(q, k), mask)
    context = v.new_zeros(*weights.shape[:2], v.shape[2])
    for s in range(v.shape[1]):
        context = context + weights[:, :, s, None] * v[:, s, None]
    return context, weights


def _attend_by_steps(q, k, v, mask, score):
    steps = []
    for t in range(q.shape[1]):
        row = mask if mask is None or mask.dim() == 2 else mask[:, t : t + 1]
        weights = _softmax_renormalised(score(q[:, t : t + 1], k), row)
        steps.append((torch.bmm(weights, v), weights))
    return torch.cat([c for c, _ in steps], dim=1), torch.cat([w for _, w in steps], dim=1)


RIGHT = {
    "dot_score": _DOTS,
    "scaled_dot_score": (
        *(lambda q, k, dot=dot: dot(q, k) / q.size(-1) ** 0.5 for dot in _DOTS),
        lambda q, k: (q / _sqrt_of(q, 2)) @ k.transpose(-2, -1),
        lambda q, k: (q * q.shape[2] ** -0.25) @ (k * k.shape[2] ** -0.25).mT,
        lambda q, k: torch.baddbmm(q.new_zeros(1), q, k.mT, alpha=k.shape[-1] ** -0.5),
    ),
    "MultiplicativeScore": (
        *(_multiplicative(lambda self, q, k, dot=dot: dot(q, self.key_proj(k))) for dot in _DOTS),
        _multiplicative(lambda self, q, k: q @ self.key_proj.weight @ k.mT),
        _multiplicative(lambda self, q, k: torch.einsum("btq,qk,bsk->bts", q, self.key_proj.weight, k)),
        _multiplicative(lambda self, q, k: F.bilinear(*_pairs(q, k), self.key_proj.weight[None]).squeeze(-1)),
    ),
    "AdditiveScore": (
        _additive(_additive_by_loops),
        _additive(_additive_of_pairs),
        _additive(lambda self, q, k: self.v(torch.tanh(_pre(self, q, k)))[..., 0]),
        _additive(lambda self, q, k: torch.einsum("btsa,a->bts", _pre(self, q, k).tanh(), self.v.weight[0])),
        _additive(lambda self, q, k: (torch.tanh(_pre(self, q, k)) * self.v.weight.view(-1)).sum(-1)),
        _additive(
            lambda self, q, k: (
                self.v(torch.tanh(self.key_proj(k)[:, :, None] + self.query_proj(q)[:, None]))
                .squeeze(3)
                .transpose(1, 2)
            )
        ),
    ),
    "masked_softmax": (
        _softmax_by_rows,
        _softmax_renormalised,
        _softmax_by_hand,
        _softmax_of_the_lowest,
        _softmax_repaired,
        _softmax_with_bias,
        _softmax_by_log,
    ),
    "attend": (
        _attend_by_loops,
        _attend_by_steps,
        _attend(answer=lambda w, v: (torch.einsum("bts,bsv->btv", w, v), w)),
        _attend(answer=lambda w, v: [(v.mT @ w.mT).mT, w.mT.contiguous().mT]),
        _attend(answer=lambda w, v: ((w[..., None] * v[:, None]).sum(-2), w)),
        *(_attend(weigh) for weigh in (_softmax_by_rows, _softmax_of_the_lowest, _softmax_with_bias)),
    ),
}
