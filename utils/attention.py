"""Attention in four steps: score every key, softmax over the keys, weigh the values, add them up.

Shapes in this module: query (batch, tgt_len, query_dim), keys (batch, src_len, key_dim), values
(batch, src_len, value_dim), scores and weights (batch, tgt_len, src_len), context
(batch, tgt_len, value_dim). A single decoding step has a tgt_len of 1. Masks are bool, True = a real token.
Functions raise `ValueError` if shapes don't fit, and name the tensor and the axis.
"""

import math

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

# Sizes in numbers (elements) for `AdditiveScore`, whose hidden layer is a tensor of four axes.
MAX_HIDDEN = 2**25  # compute the hidden layer at once up to this size: 128 MB in float32
CHUNK = 2**23  # beyond it, compute chunks of this size
CACHE_CHUNK = 2**18  # chunk size without gradients: 1 MB, which fits into the cache of one core


def dot_score(query, keys):
    """Score every key by its dot product with the query.

    query (batch, tgt_len, hidden) and keys (batch, src_len, hidden). Returns scores
    (batch, tgt_len, src_len). Luong et al. 2015, section 3.1, "dot".
    """
    _check_query(query)
    _check("keys", keys, batch=query.shape[0], src_len=None, key_dim=query.shape[2])
    return query @ keys.transpose(1, 2)  # (batch, tgt_len, src_len)


def scaled_dot_score(query, keys):
    """Score every key by its dot product with the query, divided by the square root of the vector size.

    Shapes as in `dot_score`. Vaswani et al. 2017, equation 1.
    """
    return dot_score(query, keys) / math.sqrt(query.shape[-1])


class MultiplicativeScore(nn.Module):
    """Score every key by q · (W k) with a learned matrix W.

    query (batch, tgt_len, query_dim) and keys (batch, src_len, key_dim). Returns scores
    (batch, tgt_len, src_len). Luong et al. 2015, section 3.1, "general".
    """

    def __init__(self, query_dim, key_dim):
        super().__init__()
        self.key_proj = nn.Linear(key_dim, query_dim, bias=False)

    def forward(self, query, keys):
        _check_query(query, self.key_proj.out_features)
        return self.from_projected(query, self.project_keys(keys))

    def project_keys(self, keys):
        """Return W k, (batch, src_len, query_dim), which is the same for every query."""
        _check("keys", keys, batch=None, src_len=None, key_dim=self.key_proj.in_features)
        return self.key_proj(keys)  # (batch, src_len, query_dim)

    def from_projected(self, query, projected_keys):
        """Score keys that `project_keys` has already projected, as a step-by-step decoder does."""
        return dot_score(query, projected_keys)


class AdditiveScore(nn.Module):
    """Score every key by v · tanh(W q + U k) with learned W, U, and v.

    query (batch, tgt_len, query_dim) and keys (batch, src_len, key_dim). Returns scores
    (batch, tgt_len, src_len). Bahdanau et al. 2015, appendix A.1.2.
    """

    def __init__(self, query_dim, key_dim, attn_dim):
        super().__init__()
        self.query_proj = nn.Linear(query_dim, attn_dim, bias=False)
        self.key_proj = nn.Linear(key_dim, attn_dim, bias=False)
        self.v = nn.Linear(attn_dim, 1, bias=False)

    def forward(self, query, keys):
        return self.from_projected(query, self.project_keys(keys))

    def project_keys(self, keys):
        """Return U k, (batch, src_len, attn_dim), which is the same for every query."""
        _check("keys", keys, batch=None, src_len=None, key_dim=self.key_proj.in_features)
        return self.key_proj(keys)  # (batch, src_len, attn_dim)

    def from_projected(self, query, projected_keys):
        """Score keys that `project_keys` has already projected, as a step-by-step decoder does."""
        _check_query(query, self.query_proj.in_features)
        _check("projected_keys", projected_keys, batch=len(query), src_len=None, attn_dim=self.v.in_features)
        return _in_chunks(self.sum_of_tanh, self.query_proj(query), projected_keys)

    def sum_of_tanh(self, projected_query, projected_keys):
        """Return the scores of projected queries (batch, tgt_len, attn_dim) and projected keys."""
        # (batch, tgt_len, src_len, attn_dim)
        hidden = projected_query.unsqueeze(2) + projected_keys.unsqueeze(1)
        return self.v(hidden.tanh_()).squeeze(-1)  # (batch, tgt_len, src_len)


def _in_chunks(function, query, keys):
    """Call `function(query, keys)` on chunks if its (batch, tgt_len, src_len, attn_dim) tensor is large.

    With gradients, chunks of target positions are computed again in the backward pass, which bounds the
    memory (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"). Without gradients on a CPU,
    chunks of sentences fit into the cache, which is about three times as fast.
    """
    batch, tgt_len, attn_dim = query.shape
    size = batch * tgt_len * keys.shape[1] * attn_dim
    if not torch.is_grad_enabled() and query.device.type == "cpu" and batch > 1 and size > CACHE_CHUNK:
        sentences = max(1, CACHE_CHUNK * batch // size)
        chunks = zip(query.split(sentences), keys.split(sentences), strict=True)
        return torch.cat([_in_chunks(function, *chunk) for chunk in chunks])
    if size <= MAX_HIDDEN:
        return function(query, keys)
    chunks = query.split(max(1, CHUNK * tgt_len // size), dim=1)
    recompute = {"use_reentrant": False, "preserve_rng_state": False}
    return torch.cat([checkpoint(function, chunk, keys, **recompute) for chunk in chunks], dim=1)


def make_score(name, query_dim, key_dim, attn_dim=None):
    """Make the score function called `name`: "dot", "scaled", "multiplicative", or "additive".

    The result is called as score(query, keys). The two dot products have no parameters and need
    query_dim == key_dim. Only "additive" uses attn_dim, the size of its hidden layer. Raises `ValueError`
    for other names and for sizes that don't fit.
    """
    if name in ("dot", "scaled"):
        if query_dim != key_dim:
            raise ValueError(
                f"the {name!r} score needs query_dim == key_dim, got {query_dim} and {key_dim}: "
                "choose 'multiplicative' or 'additive', or make the two sizes equal"
            )
        return dot_score if name == "dot" else scaled_dot_score
    if name == "multiplicative":
        return MultiplicativeScore(query_dim, key_dim)
    if name == "additive":
        if attn_dim is None:
            raise ValueError("the 'additive' score needs attn_dim, the size of its hidden layer")
        return AdditiveScore(query_dim, key_dim, attn_dim)
    raise ValueError(f"expected 'dot', 'scaled', 'multiplicative', or 'additive', got {name!r}")


def masked_softmax(scores, mask):
    """Turn scores into weights: softmax over the real tokens, exactly 0 for padding.

    scores (batch, tgt_len, src_len); mask bool, (batch, src_len) or (batch, tgt_len, src_len), or None if
    every key is a real token. Returns weights of the shape of the scores. Each row sums to 1; a row with
    nothing to attend to is all zeros, and so is its gradient. Raises `ValueError` for a mask that isn't bool
    or doesn't fit. Bahdanau et al. 2015, equation 6, without padding in the sum.
    """
    _check("scores", scores, batch=None, tgt_len=None, src_len=None)
    if mask is None:
        return torch.softmax(scores, dim=-1)
    if mask.dtype != torch.bool:
        raise ValueError(f"expected a bool mask, True = a real token, got {mask.dtype}: use mask.bool()")
    batch, tgt_len, src_len = scores.shape
    if mask.dim() == 2:
        _check("mask", mask, batch=batch, src_len=src_len)
        mask = mask.unsqueeze(1)  # (batch, 1, src_len)
    else:
        _check("mask", mask, batch=batch, tgt_len=tgt_len, src_len=src_len)
    empty = ~mask.any(-1, keepdim=True)  # the softmax of a row of -inf is NaN, so give such rows zeros first
    weights = torch.softmax(scores.masked_fill(~mask, -math.inf).masked_fill(empty, 0.0), dim=-1)
    return weights.masked_fill(~mask, 0.0)


def attend(query, keys, values, mask, score):
    """Average the values, weighted by how well their keys match the query.

    `score` is a function of (query, keys) that returns scores (batch, tgt_len, src_len); mask as in
    `masked_softmax`. Returns context (batch, tgt_len, value_dim) and weights (batch, tgt_len, src_len).
    A step-by-step decoder projects its keys once: it passes `score.project_keys(keys)` as keys and
    `score.from_projected` as score. Bahdanau et al. 2015, equations 5 and 6.
    """
    _check_query(query)
    _check("keys", keys, batch=query.shape[0], src_len=None, key_dim=None)
    _check("values", values, batch=query.shape[0], src_len=keys.shape[1], value_dim=None)
    weights = masked_softmax(score(query, keys), mask)
    return weights @ values, weights  # context (batch, tgt_len, value_dim)


def _check_query(query, query_dim=None):
    _check("query", query, batch=None, tgt_len=None, query_dim=query_dim)


def _check(name, tensor, **axes):
    """Raise `ValueError` unless the tensor has these axes; a size of None matches any size."""
    expected = f"({', '.join(axes)})"
    if tensor.dim() != len(axes):
        raise ValueError(f"expected {name} of shape {expected}, got {tuple(tensor.shape)}")
    for (axis, size), found in zip(axes.items(), tensor.shape, strict=True):
        if size is not None and found != size:
            raise ValueError(f"expected {name} of shape {expected} with {axis} {size}, got {axis} {found}")
