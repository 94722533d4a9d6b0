"""Exercise 02: mistakes in the score functions, the softmax and attend."""

import math

import torch
from torch.nn import functional as F

from grading.exercises.common import MASK_INVERTED, WEIGHTS, broadcast, divided, filled, full, softmax_over
from grading.judge.registry import mistake
from utils import attention

# The scores: right answers, whose source the patches change


def dot_score(query, keys):
    scores = query @ keys.transpose(1, 2)
    return scores


def scaled_dot_score(query, keys):
    scores = query @ keys.transpose(1, 2) / math.sqrt(query.shape[-1])
    return scores


class MultiplicativeScore(attention.MultiplicativeScore):
    def forward(self, query, keys):
        keys = self.key_proj(keys)
        scores = query @ keys.transpose(1, 2)
        return scores


class AdditiveScore(attention.AdditiveScore):
    def forward(self, query, keys):
        query = self.query_proj(query).unsqueeze(2)
        keys = self.key_proj(keys).unsqueeze(1)
        scores = self.v(torch.tanh(query + keys)).squeeze(-1)
        return scores


PRODUCTS = dot_score, scaled_dot_score, MultiplicativeScore
PRODUCT, ROOT = "query @ keys.transpose(1, 2)", "math.sqrt(query.shape[-1])"


@mistake(*PRODUCTS, AdditiveScore, {"return scores": "return scores.transpose(1, 2)"})
def transposed_scores():
    """The scores have shape (batch, src_len, tgt_len). Put queries in rows and keys in columns."""


@mistake(*PRODUCTS, AdditiveScore, {"return scores": "return scores.softmax(-1)"})
def softmax_included():
    """These are weights. Return plain scores: the softmax comes later, where the mask is known."""


@mistake(*PRODUCTS, {PRODUCT: "query @ keys"})
def missing_transpose():
    """`query @ keys` sums over the wrong axis. Transpose the last two axes of the keys first."""


@mistake(*PRODUCTS, {PRODUCT: "query @ keys.reshape(keys.shape[0], keys.shape[2], keys.shape[1])"})
def reshape_for_transpose():
    """reshape and view don't transpose: they mix up the keys' numbers. Use transpose to swap two axes."""


@mistake(*PRODUCTS, {PRODUCT: "(query.unsqueeze(2) * keys.unsqueeze(1)).sum(2)"})
def summed_over_keys():
    """The products are summed over the keys. Each key has its own score, so sum over the last axis."""


@mistake(*PRODUCTS, {PRODUCT: "query.unsqueeze(2) * keys.unsqueeze(1)"})
def not_summed():
    """The products aren't summed. A score is one number for each query and key: sum over the last axis."""


@mistake(*PRODUCTS, {PRODUCT: "(query * keys).sum(-1)"})
def one_step_only():
    """Query i meets only key i. Every query must meet every key: return (batch, tgt_len, src_len), even if
    tgt_len is 1."""


@mistake(*PRODUCTS, {PRODUCT: "query @ keys[0].T"})
def first_sentence_for_all():
    """All queries meet the keys of the first sentence. Use each sentence's own keys."""


@mistake(dot_score, {PRODUCT: f"{PRODUCT} / {ROOT}"})
def scaled_already():
    """This is the scaled score. Don't divide the plain dot product by anything."""


@mistake(scaled_dot_score, {ROOT: "query.shape[-1]"})
def divided_by_hidden():
    """The scores are divided by hidden, or by its square root twice. Divide by the square root once."""


@mistake(scaled_dot_score, {f" / {ROOT}": ""})
def not_scaled():
    """The scores aren't scaled. Divide them by the square root of hidden."""


@mistake(scaled_dot_score, {"/ math": "* math"})
def multiplied_by_root():
    """The scores are multiplied by the square root of hidden. Divide by it, so that long vectors don't get
    larger scores."""


@mistake(scaled_dot_score, {"query.shape[-1]": "keys.shape[1]"})
def root_of_src_len():
    """The scores are divided by the square root of src_len. Divide by the root of hidden, the vector size."""


@mistake(scaled_dot_score, {"query.shape[-1]": "query.shape[1]"})
def root_of_tgt_len():
    """The scores are divided by the square root of tgt_len. Divide by the root of hidden, the vector size."""


@mistake(scaled_dot_score, {"query.shape[-1]": "query.shape[0]"})
def root_of_batch():
    """The scores are divided by the root of the batch size. Divide by the root of hidden, shape[-1]."""


@mistake(scaled_dot_score, {ROOT: "query.norm(dim=-1, keepdim=True)"})
def divided_by_the_norm():
    """The scores are divided by the query's norm. Divide by the square root of hidden, a fixed number."""


@mistake(dot_score, scaled_dot_score)
def cosine(query, keys):
    """This is a cosine, because the vectors' lengths are divided out. A dot product keeps them."""
    return F.normalize(query, dim=-1) @ F.normalize(keys, dim=-1).transpose(1, 2)


@mistake(MultiplicativeScore, {"self.key_proj(keys)": "keys"})
def no_matrix():
    """key_proj is never used. Project the keys first, then take the dot product with the query."""


@mistake(MultiplicativeScore, {"keys = self.key_proj(keys)": "query = self.key_proj(query)"})
def matrix_on_the_query():
    """The matrix is on the wrong side. Apply key_proj to the keys, not to the query."""


@mistake(MultiplicativeScore, {"keys = ": "query, keys = self.key_proj(query), "})
def both_projected():
    """Query and keys are both projected. The equation has one matrix: apply it to the keys only."""


@mistake(MultiplicativeScore, {PRODUCT: f"{PRODUCT} / {ROOT}"})
def scaled():
    """The scores are divided by a square root. W is learned and finds its own scale, so don't divide."""


@mistake(MultiplicativeScore, {"self.key_proj(keys)": "torch.tanh(self.key_proj(keys))"})
def tanh_added():
    """This score has no tanh, it is just q . (W k). The tanh belongs to the additive score."""


@mistake(AdditiveScore, {"torch.tanh(query + keys)": "query + keys"})
def no_tanh():
    """The tanh is missing. Without it, every query prefers the same keys."""


@mistake(AdditiveScore, {"torch.tanh": "torch.relu"}, {"torch.tanh": "torch.sigmoid"})
def other_activation():
    """The activation isn't tanh. The equation is v . tanh(W q + U k)."""


@mistake(AdditiveScore, {"torch.tanh(query + keys)": "torch.tanh(query) + torch.tanh(keys)"})
def tanh_too_early():
    """Each projection goes through its own tanh. Add the two projections first, then take one tanh."""


@mistake(AdditiveScore, {"torch.tanh(query + keys)": "torch.tanh(query) + keys"})
@mistake(AdditiveScore, {"torch.tanh(query + keys)": "query + torch.tanh(keys)"})
def one_projection_in_the_tanh():
    """Only one of the two projections is inside the tanh. Take the tanh of their sum."""


@mistake(AdditiveScore, {"self.v(torch.tanh(query + keys))": "torch.tanh(self.v(query + keys))"})
def tanh_too_late():
    """The tanh is applied to the finished score. Apply it before v."""


@mistake(AdditiveScore, *({"self.v(": "(", ".squeeze(-1)": f".{how}(-1)"} for how in ("sum", "mean")))
def v_forgotten():
    """v is never used. The tanh gives attn_dim numbers, and v turns them into one score."""


@mistake(AdditiveScore, {"query + keys": "query * keys"})
def product_for_sum():
    """The two projections are multiplied. This score is called additive because it adds them."""


@mistake(AdditiveScore, {"query + keys": "query - keys"})
def difference_for_sum():
    """One projection is subtracted from the other. The equation adds them."""


@mistake(
    AdditiveScore,
    {"self.query_proj(query)": "self.key_proj(query)", "self.key_proj(keys)": "self.query_proj(keys)"},
)
def projections_swapped():
    """The projections are swapped. Apply query_proj to the query and key_proj to the keys."""


@mistake(AdditiveScore, {"self.query_proj": "self.key_proj"}, {"self.key_proj": "self.query_proj"})
def one_projection_for_both():
    """Query and keys share one projection. Apply query_proj to the query and key_proj to the keys."""


@mistake(AdditiveScore, {".squeeze(-1)": ""})
def not_squeezed():
    """The scores have one axis too many. v leaves an axis of length 1: drop it with squeeze(-1)."""


@mistake(AdditiveScore, {"squeeze(-1)": "squeeze()"})
def squeezed_everywhere():
    """squeeze() drops every axis of length 1, including a batch or a step of one. Write squeeze(-1)."""


@mistake(AdditiveScore, {".unsqueeze(2)": "", ".unsqueeze(1)": ""})
def one_step_only():
    """Query i is added to key i only. Every query must meet every key: give the query an axis for the keys,
    and the keys an axis for the queries, before you add."""


# The softmax, and attend, which has it too


def masked_softmax(scores, mask):
    real = full(mask, scores)
    hidden = scores.masked_fill(~real, -math.inf).masked_fill(~real.any(-1, keepdim=True), 0.0)
    weights = hidden.softmax(-1).masked_fill(~real, 0.0)
    return weights


def attend(query, keys, values, mask, score):
    scores = score(query, keys)
    real = full(mask, scores)
    hidden = scores.masked_fill(~real, -math.inf).masked_fill(~real.any(-1, keepdim=True), 0.0)
    weights = hidden.softmax(-1).masked_fill(~real, 0.0)
    context = weights @ values
    return context, weights


@mistake(masked_softmax, attend, *softmax_over(1))
def softmax_over_queries():
    """The softmax runs over the queries (axis 1). Each query shares its attention among the keys, so it must
    run over the last axis."""


@mistake(masked_softmax, *softmax_over(0))
def softmax_over_batch():
    """The softmax runs over the batch (axis 0), so sentences compete with each other. Run it over the keys,
    the last axis."""


@mistake(masked_softmax, attend, {WEIGHTS: "scores.softmax(-1)"})
def mask_ignored():
    """The mask isn't used, so padding receives weight. Set padding's scores to -inf before the softmax."""


@mistake(masked_softmax, attend, *MASK_INVERTED)
def mask_inverted():
    """The mask is inverted. True marks a real token, so hide the keys whose mask is False."""


@mistake(masked_softmax, attend, {WEIGHTS: "scores.softmax(-1) * real"})
def masked_after():
    """The mask is applied after the softmax, so what remains doesn't sum to one. Mask the scores first."""


@mistake(masked_softmax, {WEIGHTS: "(scores * real).softmax(-1)"})
def padding_scored_zero():
    """Padding gets a score of 0, and e^0 is 1, so it still gets weight. Set its score to -inf."""


@mistake(masked_softmax, {WEIGHTS: "(scores + real).softmax(-1)"})
def mask_added():
    """The mask is added to the scores as ones and zeros, which only favors real tokens a little. Set the
    score of padding to -inf."""


@mistake(masked_softmax, attend, {WEIGHTS: "filled(scores, mask, -1e9).softmax(-1)"})
def even_where_empty():
    """A row with nothing to attend to gets even weights, because all its scores are the same large negative
    number. Return zeros for such a row."""


@mistake(masked_softmax, {WEIGHTS: "filled(scores, mask, -100.0).softmax(-1)"})
@mistake(masked_softmax, {WEIGHTS: "filled(scores, mask, -100.0).softmax(-1) * real"})
def fill_too_small():
    """The score of padding isn't low enough: real scores may be lower. Use -inf."""


@mistake(masked_softmax, attend, {WEIGHTS: "filled(scores, mask).softmax(-1)"})
def nan_where_empty():
    """A row with nothing to attend to gives NaN, because the softmax of only -inf is 0 / 0. Return zeros for
    such a row."""


@mistake(masked_softmax)
def nan_painted_over(scores, mask):
    """The NaN of an empty row is replaced after the softmax, but its gradient still spoils the model. Keep
    such a row finite before the softmax, or set scores to -inf with masked_fill, which stops the gradient."""
    return (scores + filled(torch.zeros_like(scores), mask)).softmax(-1).nan_to_num(0.0)


@mistake(masked_softmax, {WEIGHTS: "divided(scores.exp() * real)"})
def overflow():
    """exp of a large score is infinite, and exp of a very negative score is 0. Use torch.softmax, or subtract
    the row's largest score first."""


@mistake(masked_softmax, {WEIGHTS: "scores * real / (scores * real).sum(-1, keepdim=True)"})
def no_exp():
    """The scores are divided by their sum without exp, so weights can be negative. A softmax divides
    exp(score) by the sum of exp(scores)."""


@mistake(masked_softmax, {WEIGHTS: "scores.softmax(-1) if mask is None else broadcast(scores, mask)"})
def mask_without_its_axis():
    """A (batch, src_len) mask needs an axis for the queries: use mask.unsqueeze(1). Without it, torch pairs
    sentences with queries, or raises an error."""


@mistake(
    masked_softmax, {WEIGHTS: "scores.softmax(-1) if mask is None else broadcast(scores, mask.unsqueeze(1))"}
)
def three_axes_forgotten():
    """A mask with three axes already fits the scores. Only add an axis to a mask with two axes."""


@mistake(masked_softmax, {WEIGHTS: "divided(scores.softmax(-1) * real)"})
def renormalized():
    """The softmax runs over padding too, and the weights are divided by their sum afterwards. If padding has
    a far larger score, no weight is left for the real tokens. Mask the scores first."""


def over_queries(scores, mask):
    mask = mask.unsqueeze(-1) if mask.dim() == 2 else mask
    return scores.masked_fill(~mask, -1e9).softmax(-1).masked_fill(~mask, 0.0)


@mistake(
    masked_softmax,
    {WEIGHTS: "(scores if mask is None else over_queries(scores, mask))"},
    {WEIGHTS: "filled(scores, mask if mask is None else mask.unsqueeze(-1)).softmax(-1)"},
)
def mask_on_the_rows():
    """The mask's new axis is in the wrong place, so it hides queries. Use mask.unsqueeze(1): the last axis is
    for the keys."""


@mistake(attend, {"score(query, keys)": "score(query, keys).softmax(-1)"})
@mistake(attend, {"context = ": "weights = masked_softmax(weights, mask)\n    context = "})
@mistake(attend, {"context = ": "weights = weights.softmax(-1)\n    context = "})
def softmax_twice():
    """The weights pass through a second softmax, which flattens them. Apply the softmax once."""


@mistake(attend, {"weights @ values": "weights @ keys"})
def keys_as_values():
    """The context is made of the keys. Keys only tell where to look: average the values."""


@mistake(attend, {"score(query, keys)": "score(query, values)"})
def values_as_keys():
    """The scores compare the query with the values. Call score(query, keys): values are for the context."""


@mistake(attend, {"score(query, keys)": "score(keys, query)"})
def query_and_keys_swapped():
    """The score is called as score(keys, query). The query comes first."""


@mistake(attend, {"score(query, keys)": "dot_score(query, keys)"})
@mistake(attend, {"score(query, keys)": "scaled_dot_score(query, keys)"})
def score_ignored():
    """The score argument isn't used. Call score(query, keys), so that any score function works."""


@mistake(attend, {"return context, weights": "return weights, context"})
def returned_in_the_other_order():
    """The two results are swapped. Return context, weights."""


@mistake(attend, {"return context, weights": "return context"})
def context_only():
    """Only the context is returned. Return context, weights: we want to look at the weights too."""


@mistake(attend, {"return context, weights": "return context, scores"})
def scores_returned():
    """The second result is the scores. Return the weights, the output of the softmax."""


@mistake(attend, {"weights @ values": "scores @ values"})
def scores_for_weights():
    """The values are weighted with the scores. Use the weights, which are positive and sum to one."""


@mistake(attend, {"weights @ values": "weights.transpose(1, 2) @ values"})
def weights_transposed():
    """The values are summed over the queries. Each query needs its own sum over the keys: compute weights @
    values without a transpose."""


@mistake(attend, {"weights @ values": "(weights.unsqueeze(-1) * values.unsqueeze(1)).sum(1)"})
def summed_over_queries():
    """The weighted values are summed over the queries (axis 1). Sum over the keys, so that each query has its
    own context."""


@mistake(attend, {"weights @ values": "weights.unsqueeze(-1) * values.unsqueeze(1)"})
def not_summed():
    """The values are weighted but not summed. The context is their sum over the keys."""


@mistake(attend, {"weights @ values": "(weights.unsqueeze(-1) * values.unsqueeze(1)).mean(2)"})
def mean_for_sum():
    """The weighted values are averaged. The weights already sum to one, so just sum."""


@mistake(attend, {"weights @ values": "F.one_hot(weights.argmax(-1), weights.shape[-1]).to(values) @ values"})
def likeliest_only():
    """Each query takes only its best key. Attention is soft: every key adds its value by its weight."""


@mistake(attend, {"return context": "return torch.cat([context, query], dim=-1)"})
def query_appended():
    """The query is joined to the context. That happens later, in the decoder: return the context alone."""
