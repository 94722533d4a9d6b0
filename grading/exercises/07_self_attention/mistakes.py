"""Exercise 07: mistakes in self-attention, the causal mask, the heads, the positions and the block."""

import math

import torch
from torch.nn import functional as F

from grading.exercises.common import MASK_INVERTED, WEIGHTS, broadcast, filled, full, softmax_over
from grading.judge.registry import mistake
from utils import transformer
from utils.attention import masked_softmax

# Self-attention and many heads, which share the scores and the softmax


def self_attention(x, w_query, w_key, w_value, mask=None):
    query, keys, values = x @ w_query, x @ w_key, x @ w_value
    scores = query @ keys.transpose(1, 2) / math.sqrt(keys.shape[-1])
    real = full(mask, scores)
    hidden = scores.masked_fill(~real, -math.inf).masked_fill(~real.any(-1, keepdim=True), 0.0)
    weights = hidden.softmax(-1).masked_fill(~real, 0.0)
    context = weights @ values
    return context, weights


class MultiHeadAttention(transformer.MultiHeadAttention):
    def forward(self, query, keys, values, mask=None):
        query, keys, values = self.query_proj(query), self.key_proj(keys), self.value_proj(values)
        query, keys, values = (
            y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in (query, keys, values)
        )
        scores = query @ keys.transpose(2, 3) / math.sqrt(keys.shape[-1])
        real = full(mask, scores)
        hidden = scores.masked_fill(~real, -math.inf).masked_fill(~real.any(-1, keepdim=True), 0.0)
        weights = hidden.softmax(-1).masked_fill(~real, 0.0)
        context = weights @ values
        output = self.out_proj(context.transpose(1, 2).flatten(2))
        return output, weights


BOTH = self_attention, MultiHeadAttention
REAL, ROOT = "full(mask, scores)", "math.sqrt(keys.shape[-1])"
NAN_WHERE_EMPTY = {WEIGHTS: "scores.masked_fill(~real, -math.inf).softmax(-1)"}
EVEN_WHERE_EMPTY = {WEIGHTS: "scores.masked_fill(~real, -1e9).softmax(-1)"}


def with_any_softmax(patch):
    """The patch alone, and with the other ways to treat a query that has nothing to attend to."""
    return patch, patch | NAN_WHERE_EMPTY, patch | EVEN_WHERE_EMPTY


def rows(mask, scores):
    """A mask of two axes, as if it belonged to the words that look."""
    if mask is not None and mask.dim() == 2:
        mask = torch.broadcast_to(mask.unsqueeze(2), (len(scores), *scores.shape[-2:]))
    return full(mask, scores)


@mistake(self_attention, {"x @ w_value": "x"})
def values_not_projected():
    """The values are x itself. Project them with their own matrix, x @ w_value."""


@mistake(self_attention, {"x @ w_query, x @ w_key, x @ w_value": "x, x, x"})
def nothing_projected():
    """Query, keys and values are all x itself. Multiply x with a separate matrix for each, or every word
    mostly looks at itself."""


@mistake(self_attention, {"x @ w_query, x @ w_key": "x, x"})
def only_values_projected():
    """x is compared with x, so a word only finds words like itself. The query is x @ w_query, and the keys
    are x @ w_key."""


@mistake(self_attention, {"x @ w_value": "x @ w_key"})
def keys_as_values():
    """The context is made of the keys. Keys only tell where to look: average the values, x @ w_value."""


@mistake(self_attention, {"x @ w_query": "x @ w_key"})
def keys_as_query():
    """The query uses w_key. What a word asks for and what it offers differ: the query is x @ w_query."""


@mistake(self_attention, {"x @ w_key": "x @ w_query"})
def query_as_keys():
    """The keys use w_query. What a word asks for and what it offers differ: the keys are x @ w_key."""


@mistake(self_attention, {"x @ w_query, x @ w_key": "x @ w_key, x @ w_query"})
def query_and_keys_swapped():
    """Query and keys are swapped. The rows of the weights belong to the words that look, x @ w_query, and the
    columns to those they look at, x @ w_key."""


@mistake(self_attention, {f"x @ w_{name}": f"F.linear(x, w_{name})" for name in ("query", "key", "value")})
def matrices_transposed():
    """The matrices are transposed. They are (hidden, dim), so write x @ w_query: only nn.Linear stores its
    weight the other way."""


@mistake(self_attention, {ROOT: "math.sqrt(x.shape[-1])"})
def root_of_hidden():
    """The scores are divided by the root of hidden, the size of x. Use that of key_dim, the size of a key."""


@mistake(self_attention, {ROOT: "math.sqrt(values.shape[-1])"})
def root_of_value_dim():
    """The scores are divided by the root of value_dim. Use the root of key_dim, the size of a key."""


@mistake(self_attention, {ROOT: "math.sqrt(x.shape[1])"})
def root_of_length():
    """The scores are divided by the root of the number of words. Use that of key_dim, the size of a key."""


@mistake(self_attention, {ROOT: "keys.shape[-1]"})
def divided_by_key_dim():
    """The scores are divided by key_dim itself. Divide by its square root."""


@mistake(*BOTH, {f" / {ROOT}": ""})
def not_scaled():
    """The scores aren't scaled. Divide them by the square root of the size of a key."""


@mistake(self_attention, {WEIGHTS: "scores.softmax(-1) if mask is None else broadcast(scores, mask)"})
def mask_without_its_axis():
    """A (batch, length) mask needs an axis for the words that look: use mask.unsqueeze(1). Without it, torch
    pairs sentences with words, or raises an error."""


@mistake(self_attention, {REAL: f"{REAL}.tril()"})
def always_causal():
    """Words never look ahead here. Only the mask may forbid a look, and without one every word sees all."""


@mistake(self_attention, {REAL: f"{REAL} & ~torch.eye(x.shape[1], dtype=torch.bool)"})
def not_at_itself():
    """No word looks at itself here. Only the mask may forbid that, so keep the diagonal."""


# MultiHeadAttention's own mistakes with the heads come before those with the weights

SPLIT, MERGE = "y.unflatten(2, (self.heads, -1)).transpose(1, 2)", "context.transpose(1, 2).flatten(2)"
SPLIT_BY_RESHAPE = {SPLIT: "y.reshape(y.shape[0], self.heads, y.shape[1], -1)"}
MERGED_BY_RESHAPE = {MERGE: "context.reshape(context.shape[0], context.shape[2], -1)"}
SPLIT_IN_TURN = {SPLIT: "y.unflatten(2, (-1, self.heads)).permute(0, 3, 1, 2)"}
MERGED_IN_TURN = {MERGE: "context.permute(0, 2, 3, 1).flatten(2)"}
WHOLE = {SPLIT: "y.unsqueeze(1).expand(-1, self.heads, -1, -1)", MERGE: "context.mean(1)"}


@mistake(
    MultiHeadAttention,
    *with_any_softmax(SPLIT_BY_RESHAPE),
    *with_any_softmax(SPLIT_BY_RESHAPE | MERGED_BY_RESHAPE),
)
def split_without_transpose():
    """The vectors are reshaped directly to (batch, heads, length, head_dim), which gives words to heads.
    Split only the last axis, (batch, length, heads, head_dim), then swap two axes with transpose(1, 2)."""


@mistake(MultiHeadAttention, *with_any_softmax(MERGED_BY_RESHAPE))
def merged_without_transpose():
    """The heads are merged by a direct reshape, which mixes up words. Swap back with transpose(1, 2) first,
    then flatten the last two axes."""


@mistake(
    MultiHeadAttention, *with_any_softmax(SPLIT_IN_TURN), *with_any_softmax(SPLIT_IN_TURN | MERGED_IN_TURN)
)
def dealt_out_in_turn():
    """The numbers are dealt to the heads in turn, like cards. Head 0 gets the first hidden / heads numbers,
    head 1 the next: split the last axis as (heads, head_dim)."""


@mistake(MultiHeadAttention, MERGED_IN_TURN)
def merged_in_turn():
    """The heads' numbers alternate in the merged vector. out_proj expects head 0 first, then head 1."""


@mistake(MultiHeadAttention, {SPLIT: "y.unflatten(2, (-1, self.heads)).transpose(1, 2)"})
def heads_and_head_dim_swapped():
    """heads and head_dim are swapped in the split. Split the last axis as (heads, head_dim)."""


@mistake(MultiHeadAttention, WHOLE, WHOLE | {ROOT: "math.sqrt(keys.shape[-1] / self.heads)"})
def whole_vector_in_every_head():
    """Every head sees the whole vectors, so all heads do the same. Give each head its own hidden / heads
    numbers of each projected vector."""


@mistake(MultiHeadAttention, {MERGE: "context.mean(1).repeat(1, 1, self.heads)"})
@mistake(MultiHeadAttention, {f"self.out_proj({MERGE})": "context.mean(1)"})
def heads_averaged():
    """The heads are averaged. Concatenate them, so that out_proj can tell them apart."""


@mistake(MultiHeadAttention, {MERGE: "context[:, 0].repeat(1, 1, self.heads)"})
def first_head_only():
    """Only the first head is used. Concatenate all of them."""


@mistake(MultiHeadAttention, {f"self.out_proj({MERGE})": MERGE})
def out_proj_forgotten():
    """out_proj is never used. It comes last and mixes what the heads found."""


@mistake(MultiHeadAttention, {ROOT: "math.sqrt(self.key_proj.in_features)"})
def root_of_hidden():
    """The scores are divided by the root of hidden_dim. A head's vectors have hidden_dim / heads numbers: use
    the root of that."""


@mistake(MultiHeadAttention, {ROOT: "math.sqrt(self.heads)"})
def root_of_heads():
    """The scores are divided by the root of the number of heads. Use the root of hidden_dim / heads, the size
    of a head's vectors."""


@mistake(MultiHeadAttention, {ROOT: "keys.shape[-1]"})
def divided_by_head_dim():
    """The scores are divided by hidden_dim / heads itself. Divide by its square root."""


QUERY, KEYS, VALUES = "self.query_proj(query)", "self.key_proj(keys)", "self.value_proj(values)"


@mistake(MultiHeadAttention, {QUERY: "query", KEYS: "keys", VALUES: "values"})
def not_projected():
    """Query, keys and values are split without projection. Project each with its own layer first."""


@mistake(MultiHeadAttention, {VALUES: "values"})
def values_not_projected():
    """The values are split without projection. Pass them through value_proj first."""


@mistake(MultiHeadAttention, {KEYS: "self.query_proj(keys)", VALUES: "self.query_proj(values)"})
def one_projection_for_all():
    """Query, keys and values go through the same layer. Each has its own."""


@mistake(MultiHeadAttention, {QUERY: "self.key_proj(query)", KEYS: "self.query_proj(keys)"})
def projections_swapped():
    """The projections are swapped. Apply query_proj to the query and key_proj to the keys."""


@mistake(MultiHeadAttention, {VALUES: "self.value_proj(keys)"})
def values_from_keys():
    """The values are made of the keys. Project the values that were passed in."""


@mistake(MultiHeadAttention, {VALUES: "self.key_proj(values)"})
def values_by_key_proj():
    """The values go through key_proj. They have their own layer, value_proj."""


FROM_THE_QUERY = {KEYS: "self.key_proj(query)", VALUES: "self.value_proj(query)"}
LIBRARY_SOFTMAX = {WEIGHTS: "torch.stack([masked_softmax(head, mask) for head in scores.unbind(1)], 1)"}


@mistake(MultiHeadAttention, FROM_THE_QUERY, FROM_THE_QUERY | LIBRARY_SOFTMAX)
def keys_and_values_ignored():
    """Keys and values are made of the query. Use the arguments, which may be another sentence."""


@mistake(
    MultiHeadAttention, {WEIGHTS: "scores.softmax(1) * real"}, {WEIGHTS: "filled(scores, mask).softmax(1)"}
)
def softmax_over_heads():
    """The softmax runs over the heads (axis 1), so heads compete with each other. Each head shares its
    attention among the keys, the last axis."""


def mask_unstretched(scores, mask):
    if mask is None:
        return scores.softmax(-1)
    return broadcast(scores, mask[:, None] if mask.dim() == 2 else mask)


@mistake(MultiHeadAttention, {WEIGHTS: "mask_unstretched(scores, mask)"})
def mask_without_head_axis():
    """The mask has no axis for the heads, so torch pairs sentences with heads, or raises an error. Add one
    with mask.unsqueeze(1)."""


def mask_repeated(scores, mask):
    """Fold the heads into the batch, and repeat the mask as if the batch came inside the heads."""
    heads = scores.shape[1]
    mask = mask if mask is None else mask.repeat(heads, *[1] * (mask.dim() - 1))
    return masked_softmax(scores.flatten(0, 1), mask).unflatten(0, (-1, heads))


@mistake(MultiHeadAttention, {WEIGHTS: "mask_repeated(scores, mask)"})
def mask_tiled():
    """repeat() puts the masks of all sentences one after another, so sentences get each other's masks. Use
    mask.repeat_interleave(heads, dim=0), because a sentence's heads are next to each other."""


@mistake(*BOTH, {WEIGHTS: "scores.softmax(-1)"})
def mask_ignored():
    """The mask isn't used. Hidden words must get no weight."""


@mistake(*BOTH, *MASK_INVERTED)
def mask_inverted():
    """The mask is inverted. True marks a real token, so hide the keys whose mask is False."""


@mistake(*BOTH, {WEIGHTS: "scores.softmax(-1) * real"})
def masked_after():
    """The mask is applied after the softmax, so what remains doesn't sum to one. Mask the scores first."""


@mistake(*BOTH, {WEIGHTS: "(scores * real).softmax(-1)"})
def hidden_scored_zero():
    """Hidden keys get a score of 0 (scores times mask, or tril of the scores), and e^0 is 1, so they still
    get weight. Set their score to -inf."""


@mistake(*BOTH, {WEIGHTS: "scores.masked_fill(scores * real == 0, -math.inf).softmax(-1)"})
def mask_from_the_scores():
    """Every key with a score of 0 is hidden, but a real key may also score 0. Use the mask."""


@mistake(*BOTH, {REAL: "full(mask, scores.mT).mT"}, *with_any_softmax({REAL: "rows(mask, scores)"}))
def mask_on_the_rows():
    """The mask hides the words that look, the rows. Its last axis belongs to the keys, the columns."""


@mistake(*BOTH, *softmax_over(-2))
def softmax_over_queries():
    """The softmax runs over the queries (axis 1). Each query shares its attention among the keys, so it must
    run over the last axis."""


@mistake(*BOTH, *softmax_over(0))
def softmax_over_batch():
    """The softmax runs over the batch (axis 0), so sentences compete with each other. Run it over the keys,
    the last axis."""


@mistake(*BOTH, NAN_WHERE_EMPTY)
def nan_where_empty():
    """A word with nothing to attend to gives NaN, because the softmax of only -inf is 0 / 0. Return zeros for
    such a row."""


@mistake(*BOTH, EVEN_WHERE_EMPTY)
def even_where_empty():
    """A row with nothing to attend to gets even weights, because all its scores are the same large negative
    number. Return zeros for such a row."""


@mistake(self_attention, {"weights @ values": "weights.transpose(1, 2) @ values"})
def summed_over_queries():
    """The values are summed over the words that look. Each word needs its own sum: compute weights @ values
    without a transpose."""


@mistake(self_attention, {"return context, weights": "return weights, context"})
@mistake(MultiHeadAttention, {"return output, weights": "return weights, output"})
def returned_in_the_other_order():
    """The two results are swapped. Return the weights second."""


@mistake(self_attention, {"return context, weights": "return context"})
def context_only():
    """Only the context is returned. Return context, weights: we want to look at the weights too."""


@mistake(self_attention, {"return context": "return context.mean(1)"})
def one_vector_for_the_sentence():
    """The contexts are averaged over the words. Every word gets its own new vector."""


@mistake(self_attention, {"return context": "return x + context"})
def x_added():
    """x is added to the context. That happens later, in the block: return the context alone."""


@mistake(MultiHeadAttention, {"return output, weights": "return output, weights.mean(1)"})
def weights_averaged():
    """The weights are averaged over the heads. Return each head's, (batch, heads, tgt_len, src_len)."""


@mistake(MultiHeadAttention, {"return output, weights": "return output"})
def output_only():
    """Only the output is returned. Return output, weights: we want to look at the weights too."""


# The causal mask


def causal_mask(length):
    mask = torch.ones(length, length, dtype=torch.bool).tril()
    return mask


ALL = "torch.ones(length, length, dtype=torch.bool)"


@mistake(causal_mask, {"tril()": "triu()"})
def looks_ahead():
    """This is the other triangle, so each word looks ahead. It may look back, at columns up to its row."""


@mistake(causal_mask, {"tril()": "tril(-1)"})
def excludes_itself():
    """The diagonal is missing. A word may look at itself, or the first word has nothing to look at."""


@mistake(causal_mask, {"tril()": "triu(1)"})
def true_is_hidden():
    """True and False are swapped. Here True means "may look", unlike in some of torch's own functions."""


@mistake(causal_mask, {"tril()": "tril(1)"})
def one_too_many():
    """Each word also sees the next one, which it should predict. Start the triangle one diagonal lower."""


@mistake(causal_mask, {"return mask": "return mask.float()"}, {"return mask": "return mask.long()"})
def not_bool():
    """The mask contains numbers. Make it bool, because ~mask and masked_fill need that."""


@mistake(causal_mask, {ALL: "torch.full((length, length), -math.inf)", "tril()": "triu(1)"})
def added_to_the_scores():
    """This is a mask of 0 and -inf to be added to scores. Here a mask is bool, and True means "may look"."""


@mistake(causal_mask, {".tril()": ""})
def everything_seen():
    """Nothing is hidden. Hide later words, or the model copies what it should predict."""


@mistake(causal_mask, {"tril()": "tril().triu()"})
def itself_only():
    """Each word sees only itself. It may also look at all earlier words."""


@mistake(causal_mask, {"return mask": "return mask & mask.T.tril(1).T"})
def one_before():
    """Each word sees itself and the one before it. It may look at all earlier words, however far away."""


@mistake(causal_mask, {".tril()": "[-1]"})
def one_row():
    """This is one row for all words. Each word may look at other words, so return (length, length)."""


@mistake(causal_mask, {"return mask": "return mask[None]"})
def extra_axis():
    """There is one axis too many. The mask is (length, length), without an axis for the batch."""


# Positions


def positional_encoding(length, hidden_dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    pair = torch.arange(hidden_dim // 2, dtype=torch.float64)
    angle = position / 10_000 ** (2 * pair / hidden_dim)
    columns = torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(1)
    return columns.float()


def of_each_column(length, hidden_dim, factor):
    """Sines and cosines of angles that are computed for every column."""
    column = torch.arange(hidden_dim, dtype=torch.float64)
    position = torch.arange(length, dtype=torch.float64)[:, None]
    angle = position / 10_000 ** (factor * column / hidden_dim)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())


EXPONENT, ANGLE = "2 * pair / hidden_dim", "position / 10_000 ** (2 * pair / hidden_dim)"
WHOLE_POSITION, EVEN = "torch.arange(length)[:, None]", "torch.arange(0, hidden_dim, 2)"
WAVES = "torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1).flatten(1)"


@mistake(positional_encoding, {WAVES: "torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)"})
def halves_for_columns():
    """All sines come first and all cosines after them. Alternate them: the sine in column 2j, and the cosine
    of the same angle in column 2j + 1."""


@mistake(positional_encoding, {EXPONENT: "pair / hidden_dim"})
def exponent_i_over_d():
    """The exponent is j / hidden_dim, where j counts pairs of columns. Use 2j / hidden_dim."""


@mistake(
    positional_encoding,
    {EXPONENT: "4 * pair / hidden_dim"},
    {WAVES: "of_each_column(length, hidden_dim, factor=2)"},
)
def exponent_doubled():
    """The exponent is twice too large. 2j already counts 0, 2, 4, ...: don't double it."""


@mistake(positional_encoding, {WAVES: "of_each_column(length, hidden_dim, factor=1)"})
def every_column_its_own_wave():
    """Each cosine has another angle than the sine beside it. Columns 2j and 2j + 1 share one angle, with the
    exponent 2j / hidden_dim."""


@mistake(
    positional_encoding,
    {ANGLE: "position * 10_000 ** (2 * pair / hidden_dim)"},
    # angles so large that each way to compute them in float32 gives other sines
    {ANGLE: f"{WHOLE_POSITION} * 10_000 ** ({EVEN} / hidden_dim)"},
    {ANGLE: f"{WHOLE_POSITION} * torch.exp({EVEN} * (math.log(10_000.0) / hidden_dim))"},
)
def multiplied():
    """The position is multiplied by 10000^(2j / hidden_dim). Divide by it: later columns turn more slowly."""


@mistake(positional_encoding, {EXPONENT: "0 * pair"})
def one_wave_only():
    """All columns turn at the same speed: the exponent is 0, as 2 * i // hidden_dim is. Divide with /."""


@mistake(positional_encoding, *({"10_000": base} for base in ("1_000", "math.e", "100_000")))
def wrong_base():
    """The base isn't 10000. Use 10000."""


@mistake(positional_encoding, {ANGLE: f"torch.deg2rad({ANGLE})"})
def degrees():
    """The angles are treated as degrees. torch.sin expects radians: use them directly."""


@mistake(positional_encoding, {ANGLE: f"2 * math.pi * {ANGLE}"})
def whole_turns():
    """The angles are multiplied by 2 pi. The equation has no pi."""


@mistake(positional_encoding, {"arange(length,": "arange(1, length + 1,"})
def counted_from_one():
    """Positions count from 1. The first word is at position 0, with sines of 0 and cosines of 1."""


@mistake(positional_encoding, {"columns.float()": "columns.float().T"})
def transposed():
    """The result has shape (hidden_dim, length). Each position has a row."""


@mistake(positional_encoding, {WAVES: WAVES.replace("sin", "x").replace("cos", "sin").replace("x", "cos")})
def cosine_first():
    """Sine and cosine are swapped. Even columns hold sines, and odd columns cosines."""


@mistake(positional_encoding, {"torch.cos": "torch.sin"}, {"torch.sin": "torch.cos"})
def one_function():
    """All columns hold the same function. Even columns hold sines, and odd columns cosines."""


@mistake(positional_encoding, {WAVES: "torch.stack([angle, angle], dim=-1).flatten(1)"})
def angles_only():
    """These are the angles. Take their sine and their cosine."""


@mistake(positional_encoding, {ANGLE: f"{ANGLE} / length"})
def divided_by_length():
    """The positions are divided by the length, so longer sentences have other vectors. Count 0, 1, 2, ..."""


@mistake(positional_encoding, {"columns.float()": "columns"})
def in_double_precision():
    """The numbers are right, but in float64, and the embeddings would become float64. End with .float()."""


@mistake(positional_encoding, {"columns.float()": "columns.float()[None]"})
def extra_axis():
    """There is one axis too many. Return (length, hidden_dim): torch expands it over the batch."""


# The block


class TransformerBlock(transformer.TransformerBlock):
    def forward(self, x, mask=None):
        asked = self.attention_norm(x)
        found, weights = self.attention(asked, asked, asked, mask)
        x = x + self.dropout(found)
        read = self.ff_norm(x)
        thought = self.ff_out(torch.relu(self.ff_in(read)))
        x = x + self.dropout(thought)
        return x, weights


NORM, FF_NORM = "self.attention_norm(x)", "self.ff_norm(x)"
FIRST, SECOND = "x + self.dropout(found)", "x + self.dropout(thought)"
THOUGHT = "self.ff_out(torch.relu(self.ff_in(read)))"


def in_both(first, second):
    """A mistake in both parts of the block, and in one of them."""
    return first | second, first, second


@mistake(TransformerBlock, *in_both({FIRST: "self.dropout(found)"}, {SECOND: "self.dropout(thought)"}))
def residual_missing():
    """A residual is missing. Add the output of a part to its input: x + part(norm(x))."""


@mistake(
    TransformerBlock,
    *in_both({FIRST: "asked + self.dropout(found)"}, {SECOND: "read + self.dropout(thought)"}),
)
def residual_from_the_norm():
    """The sum starts from the normalized vectors. Add to x itself: x + part(norm(x))."""


@mistake(TransformerBlock, {f"x = {FIRST}": "", FF_NORM: f"self.ff_norm({FIRST})"})
def first_x_again():
    """The last sum starts from the block's input, so the output of the attention is lost. Add to the x that
    came out of the first sum."""


@mistake(
    TransformerBlock,
    {NORM: "x", FF_NORM: "x", FIRST: f"self.attention_norm({FIRST})", SECOND: f"self.ff_norm({SECOND})"},
)
def norm_after():
    """The norms come after the sums, as in the original Transformer. Here each comes before its part: x +
    part(norm(x))."""


@mistake(TransformerBlock, *in_both({NORM: "x"}, {FF_NORM: "x"}))
def norm_missing():
    """A norm is missing. Each part reads its input through its own norm."""


@mistake(TransformerBlock, {FF_NORM: NORM}, {NORM: FF_NORM})
def norm_shared():
    """Both parts share one norm. attention_norm comes before the attention, ff_norm before ff_in."""


@mistake(TransformerBlock, {NORM: FF_NORM, FF_NORM: NORM})
def norms_swapped():
    """The norms are swapped. attention_norm comes before the attention, ff_norm before ff_in."""


@mistake(TransformerBlock, {"(asked, asked, asked,": "(asked, x, x,"})
def query_alone_normed():
    """Only the query is normalized. Query, keys and values are all the normalized x."""


@mistake(TransformerBlock, {"return x": "return self.ff_norm(x)"})
def normed_at_the_end():
    """There is one norm too many, at the end. That one comes once, after the last of all blocks."""


@mistake(TransformerBlock, {"torch.relu(self.ff_in(read))": "self.ff_in(read)"})
def relu_missing():
    """The ReLU between ff_in and ff_out is missing. Without it, the two layers are just one linear layer."""


@mistake(TransformerBlock, {"torch.relu": "F.gelu"})
def other_activation():
    """The activation isn't ReLU. The equation is ff_out(ReLU(ff_in(x)))."""


@mistake(TransformerBlock, {THOUGHT: f"torch.relu({THOUGHT})"})
def relu_at_the_end():
    """There is a ReLU after ff_out, so the block only adds positive numbers. It belongs after ff_in only."""


@mistake(TransformerBlock, {SECOND: "x"})
def attention_only():
    """The feed-forward part is missing. After the attention, apply ff_in, ReLU and ff_out to each word."""


@mistake(TransformerBlock, {FIRST: "x"})
def feed_forward_only():
    """The output of the attention is never added. Without it, no word learns anything about the others."""


@mistake(TransformerBlock)
def feed_forward_first(self, x, mask=None):
    """The feed-forward part comes first. Attend first, then apply it to each word."""
    x = x + self.dropout(self.ff_out(torch.relu(self.ff_in(self.ff_norm(x)))))
    asked = self.attention_norm(x)
    found, weights = self.attention(asked, asked, asked, mask)
    return x + self.dropout(found), weights


@mistake(TransformerBlock, {"asked =": "given = x\n        asked =", FF_NORM: "self.ff_norm(given)"})
def side_by_side():
    """Attention and feed-forward part both read the block's input. The feed-forward part reads the sum after
    the attention."""


@mistake(
    TransformerBlock,
    {FIRST: "x + F.dropout(found, self.dropout.p)", SECOND: "x + F.dropout(thought, self.dropout.p)"},
)
def dropout_always():
    """Dropout also acts in evaluation mode. Use self.dropout, or pass training=self.training to F.dropout."""


@mistake(TransformerBlock, *in_both({FIRST: "x + found"}, {SECOND: "x + thought"}))
def dropout_missing():
    """Dropout doesn't act on both parts. Apply it to the output of each part before you add it."""


@mistake(TransformerBlock, {FIRST: "self.dropout(x + found)", SECOND: "self.dropout(x + thought)"})
def sum_dropped():
    """Dropout acts on the sum, so it also removes parts of x. Apply it to a part's output, then add x."""


@mistake(TransformerBlock, {"asked, mask)": "asked, None)"})
def mask_ignored():
    """The mask isn't passed to the attention, so words look at padding, or ahead. Pass it."""


@mistake(TransformerBlock, {"asked, mask)": "asked, mask if mask is None else ~mask)"})
def mask_inverted():
    """The mask is inverted. True marks a real token: pass the mask to the attention unchanged."""


@mistake(TransformerBlock, {"return x, weights": "return x"})
def output_only():
    """Only the output is returned. Return output, weights: we want to look at the weights too."""


@mistake(TransformerBlock, {"return x, weights": "return x, weights.mean(1)"})
def weights_averaged():
    """The weights are averaged over the heads. Return them as the attention does."""
