"""Exercise 07: mistakes and right variants of the parts of a Transformer."""

import math
from importlib import import_module

import numpy as np
import torch
from torch.nn import functional as F

from grading.exercises.known import Misconception, with_forward
from utils.attention import attend, dot_score, masked_softmax, scaled_dot_score
from utils.transformer import MultiHeadAttention, TransformerBlock, causal_mask, self_attention

_OF_ATTENTION = import_module("grading.exercises.02_attention.mistakes")
_SHARED = "_INVERTED _OVER_BATCH _OVER_QUERIES _UNIFORM _broadcast _filled _full _over_axis _softmax_by_rows"
_INVERTED, _OVER_BATCH, _OVER_QUERIES, _UNIFORM, _broadcast, _filled, _full, _over_axis, _softmax_by_rows = (
    getattr(_OF_ATTENTION, name) for name in _SHARED.split()
)
_softmax_of_the_lowest = _OF_ATTENTION._softmax_of_the_lowest
_softmax_with_bias = _OF_ATTENTION._softmax_with_bias

_ROWS = (
    "the mask hides the words that look (axis 1, the rows) instead of those that are looked at: its last "
    "axis belongs to the keys, which are the columns."
)
_THREE_SOFTMAXES = (  # zeros, NaN, or even weights where nothing can be attended to
    masked_softmax,
    lambda scores, mask: _filled(scores, mask).softmax(-1),
    lambda scores, mask: _filled(scores, mask, -1e9).softmax(-1),
)


def _of_rows(weigh):
    """A softmax that is given a mask of two axes as if it belonged to the words that look."""

    def of_rows(scores, mask):
        rows = mask is not None and mask.dim() == 2
        return weigh(scores, torch.broadcast_to(mask.unsqueeze(2), scores.shape) if rows else mask)

    return of_rows


def _of_the_weights(wrap):
    """Mistakes between the scores and the weights. `wrap` makes an answer of a function of both."""
    return (
        Misconception(
            "mask_ignored",
            "the mask is not used: what a word may not look at must get no weight.",
            wrap(lambda scores, mask: scores.softmax(-1)),
        ),
        Misconception(
            "mask_inverted",
            _INVERTED,
            wrap(lambda scores, mask: masked_softmax(scores, mask if mask is None else ~mask)),
        ),
        Misconception(
            "mask_inverted",
            _INVERTED,
            wrap(lambda scores, mask: (scores if mask is None else _filled(scores, ~mask)).softmax(-1)),
        ),
        Misconception(
            "masked_after",
            "the mask is applied after the softmax, so the weights that are left no longer sum to one: mask "
            "the scores before the softmax.",
            wrap(lambda scores, mask: scores.softmax(-1) * _full(mask, scores)),
        ),
        Misconception(
            "hidden_scored_zero",
            "what is hidden gets a score of 0 (scores times mask, or tril of the scores), and the softmax of "
            "0 is not 0: e to the 0 is 1. Its score must be -inf.",
            wrap(lambda scores, mask: (scores * _full(mask, scores)).softmax(-1)),
        ),
        Misconception(
            "mask_from_the_scores",
            "which keys are hidden is read off the scores, as those that are 0: a real key may score 0 too. "
            "Ask the mask, which knows.",
            wrap(lambda scores, mask: _filled(scores, (scores * _full(mask, scores)) != 0).softmax(-1)),
        ),
        Misconception(
            "mask_on_the_rows",
            _ROWS,
            wrap(
                lambda scores, mask: masked_softmax(
                    scores, mask if mask is None else _full(mask, scores.mT).transpose(1, 2)
                )
            ),
        ),
        *(Misconception("mask_on_the_rows", _ROWS, wrap(_of_rows(weigh))) for weigh in _THREE_SOFTMAXES),
        *(Misconception("softmax_over_queries", _OVER_QUERIES, wrap(answer)) for answer in _over_axis(1)),
        *(Misconception("softmax_over_batch", _OVER_BATCH, wrap(answer)) for answer in _over_axis(0)),
        Misconception(
            "nan_where_empty",
            "a word with nothing to attend to comes out as NaN, because the softmax of -inf alone is 0 / 0: "
            "such a row must be zeros.",
            wrap(lambda scores, mask: _filled(scores, mask).softmax(-1)),
        ),
        Misconception(
            "even_where_empty", _UNIFORM, wrap(lambda scores, mask: _filled(scores, mask, -1e9).softmax(-1))
        ),
    )


def _root(size):
    return math.sqrt(size)


# Self-attention


def _projected(x, w_query, w_key, w_value):
    return x @ w_query, x @ w_key, x @ w_value


def _self(
    weigh=masked_softmax,
    project=_projected,
    divisor=lambda x, keys, values: _root(keys.shape[-1]),
    answer=lambda weights, values: (weights @ values, weights),
):
    """A self-attention with one of its steps done in another way."""

    def attention(x, w_query, w_key, w_value, mask=None):
        query, keys, values = project(x, w_query, w_key, w_value)
        return answer(weigh(dot_score(query, keys) / divisor(x, keys, values), mask), values)

    return attention


def _also_hiding(hidden):
    """The right softmax of words that may, besides, not look where `hidden` is True."""

    def weigh(scores, mask):
        return masked_softmax(scores, _full(mask, scores) & ~hidden(scores.shape[-1]))

    return weigh


_NOT_SCALED = "the scores are not scaled: divide them by the square root of the length of a key."

_SELF = (
    Misconception(
        "values_not_projected",
        "the values are x itself: what is handed over goes through a matrix of its own, x @ w_value.",
        _self(project=lambda x, w_query, w_key, w_value: (x @ w_query, x @ w_key, x)),
    ),
    Misconception(
        "nothing_projected",
        "query, keys and values are all x itself: each is x times a matrix of its own. Without them every "
        "word would look mostly at itself.",
        _self(project=lambda x, w_query, w_key, w_value: (x, x, x)),
    ),
    Misconception(
        "only_values_projected",
        "x is compared with x: the query is x @ w_query and the keys are x @ w_key, or a word could only "
        "look for words like itself.",
        _self(project=lambda x, w_query, w_key, w_value: (x, x, x @ w_value)),
    ),
    Misconception(
        "keys_as_values",
        "the context is made of the keys: keys only say where to look, and what is found there are the "
        "values, x @ w_value.",
        _self(project=lambda x, w_query, w_key, w_value: (x @ w_query, x @ w_key, x @ w_key)),
    ),
    Misconception(
        "keys_as_query",
        "the query is made with w_key: what a word asks for and what it offers are two things, and the query "
        "is x @ w_query.",
        _self(project=lambda x, w_query, w_key, w_value: (x @ w_key, x @ w_key, x @ w_value)),
    ),
    Misconception(
        "query_as_keys",
        "the keys are made with w_query: what a word asks for and what it offers are two things, and the "
        "keys are x @ w_key.",
        _self(project=lambda x, w_query, w_key, w_value: (x @ w_query, x @ w_query, x @ w_value)),
    ),
    Misconception(
        "query_and_keys_swapped",
        "query and keys have changed places: the rows of the weights belong to the words that ask, x @ "
        "w_query, the columns to those that are asked, x @ w_key.",
        _self(project=lambda x, w_query, w_key, w_value: (x @ w_key, x @ w_query, x @ w_value)),
    ),
    Misconception(
        "matrices_transposed",
        "the matrices are turned round: they are (hidden, dim) and stand on the right, x @ w_query. Only the "
        "weight of an nn.Linear is kept the other way.",
        _self(
            project=lambda x, w_query, w_key, w_value: (
                F.linear(x, w_query),
                F.linear(x, w_key),
                F.linear(x, w_value),
            )
        ),
    ),
    Misconception(
        "root_of_hidden",
        "the scores are divided by the root of hidden, the length of x: what is multiplied are query and "
        "key, so take the root of their length, key_dim.",
        _self(divisor=lambda x, keys, values: _root(x.shape[-1])),
    ),
    Misconception(
        "root_of_value_dim",
        "the scores are divided by the root of value_dim: what is multiplied are query and key, so take the "
        "root of their length, key_dim.",
        _self(divisor=lambda x, keys, values: _root(values.shape[-1])),
    ),
    Misconception(
        "root_of_length",
        "the scores are divided by the root of the number of words: what makes a dot product grow is the "
        "length of each vector, key_dim.",
        _self(divisor=lambda x, keys, values: _root(x.shape[1])),
    ),
    Misconception(
        "divided_by_key_dim",
        "the scores are divided by key_dim itself: divide by its square root.",
        _self(divisor=lambda x, keys, values: keys.shape[-1]),
    ),
    Misconception("not_scaled", _NOT_SCALED, _self(divisor=lambda x, keys, values: 1)),
    Misconception(
        "mask_without_its_axis",
        "a mask of two axes is (batch, length) and needs an axis for the words that look, "
        "mask.unsqueeze(1): without it torch lines up sentences with words, or refuses.",
        _self(lambda scores, mask: scores.softmax(-1) if mask is None else _broadcast(scores, mask)),
    ),
    Misconception(
        "always_causal",
        "words may never look ahead here: only the mask says who may look at whom, and without one every "
        "word looks at all.",
        _self(_also_hiding(lambda length: ~causal_mask(length))),
    ),
    Misconception(
        "not_at_itself",
        "no word may look at itself here: nothing forbids it, only the mask does. The diagonal stays in.",
        _self(_also_hiding(lambda length: torch.eye(length, dtype=torch.bool))),
    ),
    *_of_the_weights(_self),
    Misconception(
        "summed_over_queries",
        "the values are added up over the words that look: each word needs its own sum over those it looks "
        "at, so multiply weights @ values without a transpose.",
        _self(answer=lambda weights, values: (weights.transpose(1, 2) @ values, weights)),
    ),
    Misconception(
        "returned_in_the_other_order",
        "the two results are in the other order: return context, weights.",
        _self(answer=lambda weights, values: (weights, weights @ values)),
    ),
    Misconception(
        "context_only",
        "only the context is returned: return context, weights, for we want to look at the weights too.",
        _self(answer=lambda weights, values: weights @ values),
    ),
    Misconception(
        "one_vector_for_the_sentence",
        "the contexts are averaged over the words: every word gets a new vector of its own.",
        _self(answer=lambda weights, values: ((weights @ values).mean(1), weights)),
    ),
    Misconception(
        "x_added",
        "x is added to the context: that comes later, in the block. Here the context stands alone.",
        lambda x, *rest: _plus(x, *self_attention(x, *rest)),
    ),
)


def _plus(x, found, weights):
    return x + found, weights


# The causal mask


def _ones(length):
    return torch.ones(length, length, dtype=torch.bool)


_NOT_BOOL = (
    "the ones and zeros are right, but they are numbers: a mask is of type bool, and ~mask and "
    "masked_fill need that."
)

_CAUSAL = (
    Misconception(
        "looks_ahead",
        "this is the other triangle: each word looks at itself and at those that come after it. It may look "
        "back, at columns that are not larger than its row.",
        lambda length: _ones(length).triu(),
    ),
    Misconception(
        "excludes_itself",
        "the diagonal is missing: a word may look at itself, or the first one would have nothing to look at.",
        lambda length: _ones(length).tril(-1),
    ),
    Misconception(
        "true_is_hidden",
        "True and False are exchanged: here, True means may look. (Some of torch's own functions have it the "
        "other way.)",
        lambda length: _ones(length).triu(1),
    ),
    Misconception(
        "one_too_many",
        "each word also sees the next one, which is the very word to be predicted: the triangle begins one "
        "diagonal too high.",
        lambda length: _ones(length).tril(1),
    ),
    Misconception("not_bool", _NOT_BOOL, lambda length: torch.ones(length, length).tril()),
    Misconception("not_bool", _NOT_BOOL, lambda length: _ones(length).tril().long()),
    Misconception(
        "added_to_the_scores",
        "this is a mask to be added to scores, of 0 and -inf: here a mask is of type bool, True = may look.",
        lambda length: torch.full((length, length), -math.inf).triu(1),
    ),
    Misconception(
        "everything_seen",
        "nothing is hidden: the words to come must be, or the model copies what it should predict.",
        _ones,
    ),
    Misconception(
        "itself_only",
        "each word sees itself alone: it may look at all that come before it as well.",
        lambda length: torch.eye(length, dtype=torch.bool),
    ),
    Misconception(
        "one_before",
        "each word sees itself and the one before it: it may look at all that come before, however far.",
        lambda length: _ones(length).tril() & _ones(length).triu(-1),
    ),
    Misconception(
        "one_row",
        "this is one row for all words: each word may look at a different number of words, so the mask needs "
        "a row for each, (length, length).",
        lambda length: torch.ones(length, dtype=torch.bool),
    ),
    Misconception(
        "extra_axis",
        "there is an axis too many: the mask is (length, length), and who needs one for the batch adds it.",
        lambda length: _ones(length).tril()[None],
    ),
)


# Many heads


def _all_projected(self, query, keys, values):
    return self.query_proj(query), self.key_proj(keys), self.value_proj(values)


def _split(self, y):
    """(batch, length, hidden) to (batch, heads, length, head_dim)."""
    return y.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _split_by_reshape(self, y):
    return y.reshape(y.shape[0], self.heads, y.shape[1], -1)


def _split_in_turn(self, y):
    return y.unflatten(2, (-1, self.heads)).permute(0, 3, 1, 2)


def _every_head(self, y):
    return y.unsqueeze(1).expand(-1, self.heads, -1, -1)


def _merged(context):
    return context.transpose(1, 2).flatten(2)


def _merged_by_reshape(context):
    return context.reshape(context.shape[0], context.shape[2], -1)


def _merged_in_turn(context):
    return context.permute(0, 2, 3, 1).flatten(2)


def _in_each_head(weigh):
    """A softmax of scores with three axes, done for each head alone."""
    return lambda scores, mask: torch.stack([weigh(head, mask) for head in scores.unbind(1)], dim=1)


_SOFTMAX = _in_each_head(masked_softmax)


def _by_head(weigh, **steps):
    return _heads(_in_each_head(weigh), **steps)


def _heads(
    weigh=_SOFTMAX,
    project=_all_projected,
    split=_split,
    divisor=lambda self, keys: _root(keys.shape[-1]),
    merge=_merged,
    answer=lambda self, context, weights: (self.out_proj(context), weights),
):
    """Multi-head attention with one of its steps done in another way. `weigh` sees all heads at once."""

    def forward(self, query, keys, values, mask=None):
        query, keys, values = (split(self, y) for y in project(self, query, keys, values))
        weights = weigh(query @ keys.transpose(2, 3) / divisor(self, keys), mask)
        return answer(self, merge(weights @ values), weights)

    return with_forward(MultiHeadAttention, forward)


def _for_heads(mask, scores):
    """The mask of the scores' shape, (batch, heads, tgt_len, src_len)."""
    if mask is None:
        return torch.ones_like(scores, dtype=torch.bool)
    return (mask[:, None, None] if mask.dim() == 2 else mask[:, None]).expand_as(scores)


def _mask_tiled(scores, mask):
    """Heads folded into the batch, and the mask repeated as if the batch came inside the heads."""
    heads = scores.shape[1]
    tiled = mask if mask is None else mask.repeat(heads, *[1] * (mask.dim() - 1))
    return masked_softmax(scores.flatten(0, 1), tiled).unflatten(0, (-1, heads))


def _with_any_softmax(name, sentence, **steps):
    """A mistake with the heads, together with each way to treat a query that has nothing to attend to."""
    return (Misconception(name, sentence, _by_head(weigh, **steps)) for weigh in _THREE_SOFTMAXES)


_OVER_HEADS = (
    "the softmax runs over the heads (axis 1), so heads compete with each other: each head shares its own "
    "attention out over the keys, which are the last axis."
)
_NO_TRANSPOSE = (
    "the vectors are split by a reshape straight to (batch, heads, length, head_dim), which deals words out "
    "to heads: split the last axis only, (batch, length, heads, head_dim), then swap two axes with "
    "transpose(1, 2)."
)
_IN_TURN = (
    "the numbers are dealt out to the heads in turn, as cards are: head 0 has the first hidden / heads "
    "numbers, head 1 the next, so split the last axis as (heads, head_dim)."
)
_AVERAGED = (
    "the heads are averaged: put them side by side (concatenate), so that out_proj can tell what each of "
    "them found."
)
_WHOLE_VECTOR = (
    "every head sees the whole vectors, so all heads do the same: each has its own part, hidden / heads "
    "numbers of each projected vector."
)

_MULTI_HEAD = (
    *_with_any_softmax("split_without_transpose", _NO_TRANSPOSE, split=_split_by_reshape),
    *_with_any_softmax(
        "split_without_transpose", _NO_TRANSPOSE, split=_split_by_reshape, merge=_merged_by_reshape
    ),
    *_with_any_softmax(
        "merged_without_transpose",
        "the heads are put together by a reshape straight from (batch, heads, tgt_len, head_dim), which "
        "mixes up words: swap back with transpose(1, 2) first, then flatten the last two axes.",
        merge=_merged_by_reshape,
    ),
    *_with_any_softmax("dealt_out_in_turn", _IN_TURN, split=_split_in_turn),
    *_with_any_softmax("dealt_out_in_turn", _IN_TURN, split=_split_in_turn, merge=_merged_in_turn),
    Misconception(
        "merged_in_turn",
        "the heads' numbers come out in turn, one of each head and then the next: out_proj expects all of "
        "head 0, then all of head 1.",
        _heads(merge=_merged_in_turn),
    ),
    Misconception(
        "heads_and_head_dim_swapped",
        "heads and head_dim are exchanged in the split, so there are head_dim heads of heads numbers: split "
        "the last axis as (heads, head_dim).",
        _heads(split=lambda self, y: y.unflatten(2, (-1, self.heads)).transpose(1, 2)),
    ),
    Misconception(
        "whole_vector_in_every_head",
        _WHOLE_VECTOR,
        _heads(split=_every_head, merge=lambda context: context.mean(1)),
    ),
    Misconception(
        "whole_vector_in_every_head",
        _WHOLE_VECTOR,
        _heads(
            split=_every_head,
            divisor=lambda self, keys: _root(keys.shape[-1] / self.heads),
            merge=lambda context: context.mean(1),
        ),
    ),
    Misconception(
        "heads_averaged",
        _AVERAGED,
        _heads(merge=lambda context: context.mean(1).repeat(1, 1, context.shape[1])),
    ),
    Misconception(
        "heads_averaged",
        _AVERAGED,
        _heads(
            merge=lambda context: context.mean(1), answer=lambda self, context, weights: (context, weights)
        ),
    ),
    Misconception(
        "first_head_only",
        "all but the first head are forgotten when they are put together: concatenate all of them.",
        _heads(merge=lambda context: context[:, 0].repeat(1, 1, context.shape[1])),
    ),
    Misconception(
        "out_proj_forgotten",
        "out_proj is never used: it mixes what the heads found into one vector, and comes last.",
        _heads(answer=lambda self, context, weights: (context, weights)),
    ),
    Misconception(
        "root_of_hidden",
        "the scores are divided by the root of hidden_dim: a head multiplies vectors of hidden_dim / heads "
        "numbers, so take the root of that.",
        _heads(divisor=lambda self, keys: _root(self.key_proj.in_features)),
    ),
    Misconception(
        "root_of_heads",
        "the scores are divided by the root of the number of heads: what makes a dot product grow is the "
        "length of the vectors in a head, hidden_dim / heads.",
        _heads(divisor=lambda self, keys: _root(self.heads)),
    ),
    Misconception(
        "divided_by_head_dim",
        "the scores are divided by hidden_dim / heads itself: divide by its square root.",
        _heads(divisor=lambda self, keys: keys.shape[-1]),
    ),
    Misconception("not_scaled", _NOT_SCALED, _heads(divisor=lambda self, keys: 1)),
    Misconception(
        "not_projected",
        "query, keys and values are split as they came: project them first, each with its own layer.",
        _heads(project=lambda self, query, keys, values: (query, keys, values)),
    ),
    Misconception(
        "values_not_projected",
        "the values are split as they came: they go through value_proj first.",
        _heads(
            project=lambda self, query, keys, values: (self.query_proj(query), self.key_proj(keys), values)
        ),
    ),
    Misconception(
        "one_projection_for_all",
        "query, keys and values go through the same layer: each has one of its own.",
        _heads(project=lambda self, *inputs: (self.query_proj(y) for y in inputs)),
    ),
    Misconception(
        "projections_swapped",
        "the projections are swapped: query_proj is for the query, key_proj for the keys.",
        _heads(
            project=lambda self, query, keys, values: (
                self.key_proj(query),
                self.query_proj(keys),
                self.value_proj(values),
            )
        ),
    ),
    Misconception(
        "values_from_keys",
        "the values are made of the keys: project the values that were passed in.",
        _heads(
            project=lambda self, query, keys, values: (
                self.query_proj(query),
                self.key_proj(keys),
                self.value_proj(keys),
            )
        ),
    ),
    Misconception(
        "values_by_key_proj",
        "the values go through key_proj: they have a layer of their own, value_proj.",
        _heads(
            project=lambda self, query, keys, values: (
                self.query_proj(query),
                self.key_proj(keys),
                self.key_proj(values),
            )
        ),
    ),
    Misconception(
        "keys_and_values_ignored",
        "keys and values are made of the query: use what is passed in, which may be another sentence.",
        _heads(project=lambda self, query, keys, values: _all_projected(self, query, query, query)),
    ),
    Misconception(
        "softmax_over_heads",
        _OVER_HEADS,
        _heads(lambda scores, mask: scores.softmax(1) * _for_heads(mask, scores)),
    ),
    Misconception(
        "softmax_over_heads",
        _OVER_HEADS,
        _heads(lambda scores, mask: scores.masked_fill(~_for_heads(mask, scores), -math.inf).softmax(1)),
    ),
    Misconception(
        "mask_without_head_axis",
        "the mask lacks an axis for the heads, so torch lines up sentences with heads, or refuses: "
        "mask.unsqueeze(1) makes one that is stretched over all heads.",
        _heads(
            lambda scores, mask: (
                scores.softmax(-1)
                if mask is None
                else _broadcast(scores, mask[:, None] if mask.dim() == 2 else mask)
            )
        ),
    ),
    Misconception(
        "mask_tiled",
        "the heads of a sentence lie beside each other in the batch, but repeat() lays out the masks of all "
        "sentences again and again, so sentences get each other's masks: use mask.repeat_interleave(heads, "
        "dim=0).",
        _heads(_mask_tiled),
    ),
    *_of_the_weights(_by_head),
    Misconception(
        "weights_averaged",
        "the weights are averaged over the heads: return those of each head, (batch, heads, tgt_len, "
        "src_len).",
        _heads(answer=lambda self, context, weights: (self.out_proj(context), weights.mean(1))),
    ),
    Misconception(
        "returned_in_the_other_order",
        "the two results are in the other order: return output, weights.",
        _heads(answer=lambda self, context, weights: (weights, self.out_proj(context))),
    ),
    Misconception(
        "output_only",
        "only the output is returned: return output, weights, for we want to look at the weights too.",
        _heads(answer=lambda self, context, weights: self.out_proj(context)),
    ),
)


# Positions


def _woven(angle, even=torch.sin, odd=torch.cos):
    """One function of the angles in the even columns, one in the odd."""
    return torch.stack([even(angle), odd(angle)], dim=-1).flatten(1).float()


def _angle(length, hidden_dim, exponent=lambda i, d: 2 * i / d, base=10_000, start=0):
    """The angle of each position and pair of columns i, (length, hidden_dim / 2)."""
    position = torch.arange(start, start + length, dtype=torch.float64)[:, None]
    return position / base ** exponent(torch.arange(hidden_dim // 2, dtype=torch.float64), hidden_dim)


def _positions(**wrong):
    return lambda length, hidden_dim: _woven(_angle(length, hidden_dim, **wrong))


def _multiplied_in_float32():
    """Angles so large that every way to compute them in float32 gives other sines."""
    rates = (
        lambda column, d: 10_000 ** (column / d),
        lambda column, d: torch.exp(column * (math.log(10_000.0) / d)),
    )
    for rate in rates:
        yield lambda length, hidden_dim, rate=rate: _woven(
            torch.arange(length)[:, None] * rate(torch.arange(0, hidden_dim, 2), hidden_dim)
        )


def _of_each_column(length, hidden_dim, exponent):
    """Sines and cosines of angles that are worked out for every column."""
    column = torch.arange(hidden_dim, dtype=torch.float64)
    angle = torch.arange(length, dtype=torch.float64)[:, None] / 10_000 ** exponent(column, hidden_dim)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


_WRONG_BASE = "the base is not 10000: the slowest wave should be about that many times slower than the first."
_MULTIPLIED = (
    "the position is multiplied by 10000 to the 2i / hidden_dim: divide by it, so that later columns "
    "turn more slowly."
)
_ONE_FUNCTION = "all columns hold the same function: even columns hold sines, odd columns cosines."

_POSITIONAL = (
    Misconception(
        "halves_for_columns",
        "all sines come first and all cosines after them: they should take turns, sine in column 2i and the "
        "cosine of the same angle in column 2i + 1.",
        lambda length, hidden_dim: torch.cat(
            [_angle(length, hidden_dim).sin(), _angle(length, hidden_dim).cos()], dim=-1
        ).float(),
    ),
    Misconception(
        "exponent_i_over_d",
        "the exponent is i / hidden_dim, where i counts the pairs of columns: it is 2i / hidden_dim, which "
        "reaches almost 1.",
        _positions(exponent=lambda i, d: i / d),
    ),
    Misconception(
        "exponent_doubled",
        "the exponent is twice as large as it should be: 2i is the number of the even column itself, 0, 2, "
        "4, ..., so do not double it again.",
        _positions(exponent=lambda i, d: 4 * i / d),
    ),
    Misconception(
        "exponent_doubled",
        "the exponent is twice as large as it should be: 2i is the number of the even column itself, 0, 2, "
        "4, ..., so do not double it again.",
        lambda length, hidden_dim: _of_each_column(length, hidden_dim, lambda column, d: 2 * column / d),
    ),
    Misconception(
        "every_column_its_own_wave",
        "each cosine has another angle than the sine beside it: the columns 2i and 2i + 1 share one angle, "
        "with the exponent 2i / hidden_dim.",
        lambda length, hidden_dim: _of_each_column(length, hidden_dim, lambda column, d: column / d),
    ),
    *(
        Misconception("multiplied", _MULTIPLIED, answer)
        for answer in (_positions(exponent=lambda i, d: -2 * i / d), *_multiplied_in_float32())
    ),
    Misconception(
        "one_wave_only",
        "all columns turn at the same speed, as if the exponent were 0 (2 * i // hidden_dim is): divide with "
        "/, not with //.",
        _positions(exponent=lambda i, d: 0 * i),
    ),
    Misconception("wrong_base", _WRONG_BASE, _positions(base=1_000)),
    Misconception("wrong_base", _WRONG_BASE, _positions(base=math.e)),
    Misconception("wrong_base", _WRONG_BASE, _positions(base=100_000)),
    Misconception(
        "degrees",
        "the angles are taken for degrees: torch.sin wants radians, so use them as they are.",
        lambda length, hidden_dim: _woven(torch.deg2rad(_angle(length, hidden_dim))),
    ),
    Misconception(
        "whole_turns",
        "the angles are multiplied by 2 pi: the equation has no pi in it.",
        lambda length, hidden_dim: _woven(2 * math.pi * _angle(length, hidden_dim)),
    ),
    Misconception(
        "counted_from_one",
        "positions are counted from 1: the first word is at position 0, which has sines of 0 and cosines "
        "of 1.",
        _positions(start=1),
    ),
    Misconception(
        "transposed",
        "the result is (hidden_dim, length): a row belongs to a position.",
        lambda length, hidden_dim: _woven(_angle(length, hidden_dim)).T,
    ),
    Misconception(
        "cosine_first",
        "sine and cosine have changed places: even columns hold sines, odd columns cosines.",
        lambda length, hidden_dim: _woven(_angle(length, hidden_dim), torch.cos, torch.sin),
    ),
    Misconception(
        "one_function",
        _ONE_FUNCTION,
        lambda length, hidden_dim: _woven(_angle(length, hidden_dim), odd=torch.sin),
    ),
    Misconception(
        "one_function",
        _ONE_FUNCTION,
        lambda length, hidden_dim: _woven(_angle(length, hidden_dim), even=torch.cos),
    ),
    Misconception(
        "angles_only",
        "these are the angles: take their sine and their cosine.",
        lambda length, hidden_dim: _woven(_angle(length, hidden_dim), torch.clone, torch.clone),
    ),
    Misconception(
        "divided_by_length",
        "the positions are divided by the length, so the same place has another vector in a longer "
        "sentence: count 0, 1, 2, ... as they are.",
        lambda length, hidden_dim: _woven(_angle(length, hidden_dim) / length),
    ),
    Misconception(
        "in_double_precision",
        "the numbers are right but in float64, which added to embeddings would turn them all into float64: "
        "end with .float().",
        lambda length, hidden_dim: torch.stack(
            [_angle(length, hidden_dim).sin(), _angle(length, hidden_dim).cos()], dim=-1
        ).flatten(1),
    ),
    Misconception(
        "extra_axis",
        "there is an axis too many: the result is (length, hidden_dim), and torch stretches it over the "
        "batch by itself when it is added.",
        lambda length, hidden_dim: _woven(_angle(length, hidden_dim))[None],
    ),
)


# The block


def _of_attention(self, x, mask):
    return self.attention(x, x, x, mask)


def _of_ff(self, x):
    return self.ff_out(torch.relu(self.ff_in(x)))


def _block(forward):
    return with_forward(TransformerBlock, forward)


def _steps(
    asks=lambda self, x: self.attention_norm(x),
    attends=_of_attention,
    adds=lambda self, x, normed, found: x + self.dropout(found),
    asks_next=lambda self, x: self.ff_norm(x),
    thinks=_of_ff,
    adds_next=lambda self, x, normed, found: x + self.dropout(found),
    answer=lambda self, x, weights: (x, weights),
):
    """A block with one of its steps done in another way."""

    def forward(self, x, mask=None):
        normed = asks(self, x)
        found, weights = attends(self, normed, mask)
        x = adds(self, x, normed, found)
        normed = asks_next(self, x)
        x = adds_next(self, x, normed, thinks(self, normed))
        return answer(self, x, weights)

    return _block(forward)


def _post_norm(self, x, mask=None):
    found, weights = _of_attention(self, x, mask)
    x = self.attention_norm(x + self.dropout(found))
    return self.ff_norm(x + self.dropout(_of_ff(self, x))), weights


def _ff_first(self, x, mask=None):
    x = x + self.dropout(_of_ff(self, self.ff_norm(x)))
    found, weights = _of_attention(self, self.attention_norm(x), mask)
    return x + self.dropout(found), weights


def _side_by_side(self, x, mask=None):
    found, weights = _of_attention(self, self.attention_norm(x), mask)
    return x + self.dropout(found) + self.dropout(_of_ff(self, self.ff_norm(x))), weights


def _first_x_again(self, x, mask=None):
    found, weights = _of_attention(self, self.attention_norm(x), mask)
    return x + self.dropout(_of_ff(self, self.ff_norm(x + self.dropout(found)))), weights


def _query_alone_normed(self, x, mask=None):
    found, weights = self.attention(self.attention_norm(x), x, x, mask)
    x = x + self.dropout(found)
    return x + self.dropout(_of_ff(self, self.ff_norm(x))), weights


def _only(self, x, normed, found):
    return self.dropout(found)


def _from_the_norm(self, x, normed, found):
    return normed + self.dropout(found)


def _never_dropped(self, x, normed, found):
    return x + found


def _always_dropped(self, x, normed, found):
    return x + F.dropout(found, self.dropout.p)


def _sum_dropped(self, x, normed, found):
    return self.dropout(x + found)


_RESIDUAL = "a residual is missing: what a part gives is added to what went into it, x + part(norm(x))."
_FROM_NORM = (
    "the sum starts from the normed vectors: keep x and add to it, x + part(norm(x)), so that x itself "
    "travels through the block unchanged."
)
_NO_NORM = "a norm is missing: each part reads its input through a norm of its own."
_ONE_NORM = (
    "both parts share one norm: attention_norm stands before the attention, ff_norm before the feed-forward."
)
_DROPOUT = (
    "dropout does not act on both parts: in training, drop from what each part gives before it is added."
)

_BLOCK = (
    Misconception("residual_missing", _RESIDUAL, _steps(adds=_only, adds_next=_only)),
    Misconception("residual_missing", _RESIDUAL, _steps(adds=_only)),
    Misconception("residual_missing", _RESIDUAL, _steps(adds_next=_only)),
    Misconception(
        "residual_from_the_norm", _FROM_NORM, _steps(adds=_from_the_norm, adds_next=_from_the_norm)
    ),
    Misconception("residual_from_the_norm", _FROM_NORM, _steps(adds=_from_the_norm)),
    Misconception("residual_from_the_norm", _FROM_NORM, _steps(adds_next=_from_the_norm)),
    Misconception(
        "first_x_again",
        "the last sum starts from the block's input, so what the attention found is lost: add to the x that "
        "came out of the first sum.",
        _block(_first_x_again),
    ),
    Misconception(
        "norm_after",
        "the norms stand after the sums, as in the first Transformer: here each stands before its part, "
        "x + part(norm(x)).",
        _block(_post_norm),
    ),
    Misconception(
        "norm_missing",
        _NO_NORM,
        _steps(asks=lambda self, x: x, asks_next=lambda self, x: x),
    ),
    Misconception("norm_missing", _NO_NORM, _steps(asks=lambda self, x: x)),
    Misconception("norm_missing", _NO_NORM, _steps(asks_next=lambda self, x: x)),
    Misconception("norm_shared", _ONE_NORM, _steps(asks_next=lambda self, x: self.attention_norm(x))),
    Misconception("norm_shared", _ONE_NORM, _steps(asks=lambda self, x: self.ff_norm(x))),
    Misconception(
        "norms_swapped",
        "the norms are swapped: attention_norm stands before the attention, ff_norm before the feed-forward.",
        _steps(asks=lambda self, x: self.ff_norm(x), asks_next=lambda self, x: self.attention_norm(x)),
    ),
    Misconception(
        "query_alone_normed",
        "only the query is normed: query, keys and values of self-attention are all the normed x.",
        _block(_query_alone_normed),
    ),
    Misconception(
        "normed_at_the_end",
        "there is one norm too many, at the end: that one comes once, after the last of all blocks.",
        _steps(answer=lambda self, x, weights: (self.ff_norm(x), weights)),
    ),
    Misconception(
        "relu_missing",
        "the ReLU is missing between ff_in and ff_out: without it the two layers are no more than one.",
        _steps(thinks=lambda self, x: self.ff_out(self.ff_in(x))),
    ),
    Misconception(
        "other_activation",
        "the activation is not ReLU: the equation is ff_out(ReLU(ff_in(x))).",
        _steps(thinks=lambda self, x: self.ff_out(F.gelu(self.ff_in(x)))),
    ),
    Misconception(
        "relu_at_the_end",
        "there is a ReLU after ff_out, so the block could only ever add: the ReLU stands between the two "
        "layers and nowhere else.",
        _steps(thinks=lambda self, x: torch.relu(_of_ff(self, x))),
    ),
    Misconception(
        "attention_only",
        "the feed-forward is missing: after the attention, ff_in, ReLU and ff_out work on each word alone.",
        _steps(adds_next=lambda self, x, normed, found: x),
    ),
    Misconception(
        "feed_forward_only",
        "what the attention found is never added: without it no word learns anything of the others.",
        _steps(adds=lambda self, x, normed, found: x),
    ),
    Misconception(
        "feed_forward_first",
        "the feed-forward comes first: attend first, then let each word think about what it found.",
        _block(_ff_first),
    ),
    Misconception(
        "side_by_side",
        "attention and feed-forward both read the block's input: the feed-forward reads the sum that the "
        "attention has been added to.",
        _block(_side_by_side),
    ),
    Misconception(
        "dropout_always",
        "dropout acts in use too: F.dropout must be told when, training=self.training; self.dropout knows.",
        _steps(adds=_always_dropped, adds_next=_always_dropped),
    ),
    Misconception("dropout_missing", _DROPOUT, _steps(adds=_never_dropped, adds_next=_never_dropped)),
    Misconception("dropout_missing", _DROPOUT, _steps(adds=_never_dropped)),
    Misconception("dropout_missing", _DROPOUT, _steps(adds_next=_never_dropped)),
    Misconception(
        "sum_dropped",
        "dropout acts on the sum, so x itself gets holes: drop from what a part gives, then add it to x.",
        _steps(adds=_sum_dropped, adds_next=_sum_dropped),
    ),
    Misconception(
        "mask_ignored",
        "the mask is not passed on to the attention, so words look at padding, or ahead.",
        _steps(attends=lambda self, x, mask: _of_attention(self, x, None)),
    ),
    Misconception(
        "mask_inverted",
        _INVERTED,
        _steps(attends=lambda self, x, mask: _of_attention(self, x, mask if mask is None else ~mask)),
    ),
    Misconception(
        "output_only",
        "only the output is returned: return output, weights, for we want to look at the weights too.",
        _steps(answer=lambda self, x, weights: x),
    ),
    Misconception(
        "weights_averaged",
        "the weights are averaged over the heads: hand them on as the attention gives them.",
        _steps(answer=lambda self, x, weights: (x, weights.mean(1))),
    ),
)


MISCONCEPTIONS = {
    "self_attention": _SELF,
    "causal_mask": _CAUSAL,
    "MultiHeadAttention": _MULTI_HEAD,
    "positional_encoding": _POSITIONAL,
    "TransformerBlock": _BLOCK,
}


# Right answers, written in other ways.


def _self_by_loops(x, w_query, w_key, w_value, mask=None):
    weights = x.new_zeros(*x.shape[:2], x.shape[1])
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            keys = x[b] @ w_key  # (length, key_dim)
            scores = keys @ (w_query.T @ x[b, t]) / keys.shape[1] ** 0.5
            real = _full(mask, weights)[b, t]
            weights[b, t, real] = torch.softmax(scores[real], dim=0)
    return weights @ (x @ w_value), weights


def _self_in_one_product(x, w_query, w_key, w_value, mask=None):
    sizes = [w.shape[1] for w in (w_query, w_key, w_value)]
    query, keys, values = (x @ torch.cat([w_query, w_key, w_value], dim=1)).split(sizes, dim=-1)
    scores = torch.einsum("btk,bsk->bst", query, keys * sizes[0] ** -0.5).mT  # not contiguous
    weights = _softmax_with_bias(scores, mask)
    return [torch.einsum("bts,bsv->btv", weights, values), weights]


def _self_values_last(x, w_query, w_key, w_value, mask=None):
    """The words are blended first and projected afterwards, which is the same."""
    scores = (x @ (w_query @ w_key.T)) @ x.mT / _root(w_key.shape[1])
    weights = _softmax_of_the_lowest(scores, mask)
    return (weights @ x) @ w_value, weights


def _causal_by_loops(length):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for t in range(length):
        mask[t, : t + 1] = True
    return mask


def _causal_by_indices(length):
    mask = torch.zeros(length, length)
    mask[tuple(torch.tril_indices(length, length))] = 1
    return mask == 1


def _heads_by_attend(self, query, keys, values, mask=None):
    """One head after the other, each with its slice of the vectors."""
    size, projected = query.shape[2] // self.heads, _all_projected(self, query, keys, values)
    found = [
        attend(*(y[..., start : start + size] for y in projected), mask, scaled_dot_score)
        for start in range(0, query.shape[2], size)
    ]
    context, weights = zip(*found, strict=True)
    return self.out_proj(torch.cat(context, dim=-1)), torch.stack(weights, dim=1)


def _heads_as_batch(self, query, keys, values, mask=None):
    """Heads before sentences in one long batch: here a tiled mask is right."""
    batch = query.shape[0]
    folded = [torch.cat(y.chunk(self.heads, dim=-1)) for y in _all_projected(self, query, keys, values)]
    mask = mask if mask is None else torch.cat([mask] * self.heads)
    context, weights = attend(*folded, mask, scaled_dot_score)
    context = torch.cat(context.split(batch), dim=-1)
    return self.out_proj(context), torch.stack(weights.split(batch), dim=1)


def _heads_by_einsum(self, query, keys, values, mask=None):
    query, keys, values = (
        y.view(*y.shape[:2], self.heads, -1) for y in _all_projected(self, query, keys, values)
    )
    scores = torch.einsum("bthd,bshd->bhts", query, keys) / query.shape[-1] ** 0.5
    real = _for_heads(mask, scores)
    weights = scores.masked_fill(~real, -1e9).softmax(dim=-1) * real
    output = torch.einsum("bhts,bshd->bthd", weights, values).flatten(2)
    return [F.linear(output, self.out_proj.weight), weights]


def _heads_by_parts_of_out_proj(self, query, keys, values, mask=None):
    """What each head gives goes through its own columns of out_proj, and the results are added up."""
    query, keys, values = (_split(self, y) for y in _all_projected(self, query, keys, values))
    weights = _in_each_head(_softmax_by_rows)(query @ keys.mT / _root(keys.shape[-1]), mask)
    parts = self.out_proj.weight.split(keys.shape[-1], dim=1)
    found = (weights @ values).unbind(1)
    return sum(head @ part.T for head, part in zip(found, parts, strict=True)), weights


def _positions_by_loops(length, hidden_dim):
    positions = torch.zeros(length, hidden_dim)
    for p in range(length):
        for i in range(hidden_dim // 2):
            angle = p / 10_000 ** (2 * i / hidden_dim)
            positions[p, 2 * i], positions[p, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return positions


def _positions_by_exp(length, hidden_dim):
    positions = torch.zeros(length, hidden_dim)
    rates = torch.exp(torch.arange(0, hidden_dim, 2) * (-math.log(10_000.0) / hidden_dim))
    positions[:, 0::2] = torch.sin(torch.arange(length).unsqueeze(1) * rates)
    positions[:, 1::2] = torch.cos(torch.arange(length).unsqueeze(1) * rates)
    return positions


def _positions_by_shift(length, hidden_dim):
    """A cosine is a sine a quarter of a turn ahead; the result is not contiguous."""
    column = torch.arange(hidden_dim)[:, None]
    angle = torch.arange(length) / 10_000 ** (2 * torch.div(column, 2, rounding_mode="floor") / hidden_dim)
    return torch.sin(angle + column % 2 * math.pi / 2).T


def _positions_by_complex(length, hidden_dim):
    turning = torch.polar(torch.ones(length, hidden_dim // 2), _angle(length, hidden_dim).float())
    return torch.view_as_real(turning).flip(-1).reshape(length, hidden_dim)


def _positions_by_numpy(length, hidden_dim):
    angle = np.arange(length)[:, None] / np.power(10_000, 2 * (np.arange(hidden_dim) // 2) / hidden_dim)
    angle[:, 0::2], angle[:, 1::2] = np.sin(angle[:, 0::2]), np.cos(angle[:, 1::2])
    return torch.tensor(angle, dtype=torch.float32)


def _block_by_functions(self, x, mask=None):
    size = (x.shape[-1],)
    normed = F.layer_norm(x, size, self.attention_norm.weight, self.attention_norm.bias)
    found = self.attention(normed, normed, normed, mask=mask)
    x = x + F.dropout(found[0], self.dropout.p, self.training)
    thought = F.linear(F.layer_norm(x, size, self.ff_norm.weight, self.ff_norm.bias), self.ff_in.weight)
    thought = F.linear((thought + self.ff_in.bias).clamp(min=0), self.ff_out.weight, self.ff_out.bias)
    return [F.dropout(thought, self.dropout.p, self.training) + x, found[1]]


def _block_word_by_word(self, x, mask=None):
    found, weights = _of_attention(self, self.attention_norm(x), mask)
    words = (x + self.dropout(found)).unbind(1)
    return torch.stack([w + self.dropout(_of_ff(self, self.ff_norm(w))) for w in words], dim=1), weights


def _block_with_more_dropout(self, x, mask=None):
    """Dropout inside the feed-forward, too, is a matter of taste."""
    found, weights = _of_attention(self, self.attention_norm(x), mask)
    x = self.dropout(found).add(x)
    inner = self.dropout(F.relu(self.ff_in(self.ff_norm(x))))
    return self.dropout(self.ff_out(inner)).add(x), weights


def _block_by_sums(self, x, mask=None):
    total = x.clone()
    found, weights = _of_attention(self, self.attention_norm(total), mask)
    total = total + self.dropout(found)
    total = total + self.dropout(_of_ff(self, self.ff_norm(total)))
    return total.mT.contiguous().mT, weights


RIGHT = {
    "self_attention": (
        _self_by_loops,
        _self_in_one_product,
        _self_values_last,
        *(_self(weigh) for weigh in (_softmax_by_rows, _softmax_of_the_lowest, _softmax_with_bias)),
        lambda x, w_query, w_key, w_value, mask=None: attend(
            F.linear(x, w_query.T), F.linear(x, w_key.T), F.linear(x, w_value.T), mask, scaled_dot_score
        ),
    ),
    "causal_mask": (
        _causal_by_loops,
        _causal_by_indices,
        lambda length: torch.arange(length)[:, None] >= torch.arange(length),
        lambda length: ~torch.ones(length, length).triu(1).bool(),
        lambda length: _ones(length).triu().T,
        lambda length: torch.eye(length).cumsum(0).T.flip(0, 1) > 0,
        lambda length: torch.from_numpy(np.tri(length, dtype=bool)),
    ),
    "MultiHeadAttention": (
        *(
            with_forward(MultiHeadAttention, forward)
            for forward in (
                _heads_by_attend,
                _heads_as_batch,
                _heads_by_einsum,
                _heads_by_parts_of_out_proj,
            )
        ),
        _by_head(_softmax_with_bias),
        _by_head(_softmax_of_the_lowest, merge=lambda c: torch.cat(c.unbind(1), dim=-1)),
    ),
    "positional_encoding": (
        _positions_by_loops,
        _positions_by_exp,
        _positions_by_shift,
        _positions_by_complex,
        _positions_by_numpy,
        lambda length, hidden_dim: _of_each_column(length, hidden_dim, lambda c, d: (c - c % 2) / d),
    ),
    "TransformerBlock": tuple(
        _block(forward)
        for forward in (
            _block_by_functions,
            _block_word_by_word,
            _block_with_more_dropout,
            _block_by_sums,
        )
    ),
}
