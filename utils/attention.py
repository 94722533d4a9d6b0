"""Attention in four steps: score every key, softmax over the keys, weigh the values, add them up.

Shapes everywhere: query (batch, tgt_len, query_dim), keys (batch, src_len, key_dim), values
(batch, src_len, value_dim), scores and weights (batch, tgt_len, src_len), context
(batch, tgt_len, value_dim). One decoding step is tgt_len 1. A mask is bool, True = a real token.
A ValueError says which axis of which tensor does not fit.
"""

import math

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

AT_ONCE = 2**25  # numbers that additive attention holds at once: 128 MB as float32
PART = 2**23  # numbers of each part beyond that
CACHED = 2**18  # and of each part where no gradient is wanted: 1 MB, which a core's own cache holds


def dot_score(query, keys):
    """Score every key by its dot product with the query.

    query (batch, tgt_len, hidden) and keys (batch, src_len, hidden) give scores
    (batch, tgt_len, src_len). Luong et al. 2015, equation 8, "dot".
    """
    _check_query(query)
    _check("keys", keys, batch=query.shape[0], src_len=None, key_dim=query.shape[2])
    return query @ keys.transpose(1, 2)  # (batch, tgt_len, src_len)


def scaled_dot_score(query, keys):
    """Score every key by its dot product with the query, divided by the square root of their length.

    Shapes as in `dot_score`. Vaswani et al. 2017, equation 1.
    """
    return dot_score(query, keys) / math.sqrt(query.shape[-1])


class MultiplicativeScore(nn.Module):
    """Score every key by q . (W k), with W learned.

    query (batch, tgt_len, query_dim) and keys (batch, src_len, key_dim) give scores
    (batch, tgt_len, src_len). Luong et al. 2015, equation 8, "general".
    """

    def __init__(self, query_dim, key_dim):
        super().__init__()
        self.key_proj = nn.Linear(key_dim, query_dim, bias=False)

    def forward(self, query, keys):
        _check_query(query, self.key_proj.out_features)
        return self.from_projected(query, self.project_keys(keys))

    def project_keys(self, keys):
        """Give W k, (batch, src_len, query_dim): the part of the score that no query changes."""
        _check("keys", keys, batch=None, src_len=None, key_dim=self.key_proj.in_features)
        return self.key_proj(keys)  # (batch, src_len, query_dim)

    def from_projected(self, query, projected):
        """Score keys that `project_keys` has projected already; a step-by-step decoder does so once."""
        return dot_score(query, projected)


class AdditiveScore(nn.Module):
    """Score every key by v . tanh(W q + U k), with W, U and v learned.

    query (batch, tgt_len, query_dim) and keys (batch, src_len, key_dim) give scores
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
        """Give U k, (batch, src_len, attn_dim): the part of the score that no query changes."""
        _check("keys", keys, batch=None, src_len=None, key_dim=self.key_proj.in_features)
        return self.key_proj(keys)  # (batch, src_len, attn_dim)

    def from_projected(self, query, projected):
        """Score keys that `project_keys` has projected already; a step-by-step decoder does so once.

        Where (batch, tgt_len, src_len, attn_dim) would be more than `AT_ONCE` numbers, they are made for some
        target words after the other, and made again on the way back (Chen et al. 2016, "Training Deep Nets
        with Sublinear Memory Cost"): less memory, and there less time too. Where no gradient is wanted, they
        are made for some sentences after the other: three times as fast out of a core's own cache.
        """
        _check_query(query, self.query_proj.in_features)
        _check("projected", projected, batch=query.shape[0], src_len=None, attn_dim=self.v.in_features)
        batch, tgt_len, _ = query.shape
        numbers = batch * tgt_len * projected.shape[1] * projected.shape[2]
        if not torch.is_grad_enabled() and query.device.type == "cpu" and batch > 1 and numbers > CACHED:
            sentences = max(1, CACHED * batch // numbers)
            parts = zip(query.split(sentences), projected.split(sentences), strict=True)
            return torch.cat([self.from_projected(*part) for part in parts])
        if numbers <= AT_ONCE:
            return self.all_at_once(query, projected)
        words = max(1, PART * tgt_len // numbers)
        parts = [
            checkpoint(self.all_at_once, part, projected, use_reentrant=False, preserve_rng_state=False)
            for part in query.split(words, dim=1)
        ]
        return torch.cat(parts, dim=1)  # (batch, tgt_len, src_len)

    def all_at_once(self, query, projected):
        """Score as `from_projected` does, holding (batch, tgt_len, src_len, attn_dim) whatever its size."""
        query = self.query_proj(query)  # (batch, tgt_len, attn_dim)
        hidden = query.unsqueeze(2) + projected.unsqueeze(1)  # (batch, tgt_len, src_len, attn_dim)
        return self.v(hidden.tanh_()).squeeze(-1)  # (batch, tgt_len, src_len)


def make_score(name, query_dim, key_dim, attn_dim=None):
    """Make the score function called `name`: "dot", "scaled", "multiplicative" or "additive".

    The result is called as score(query, keys). The two dot products learn nothing and need
    query_dim == key_dim; only "additive" has an attn_dim, the width of its hidden layer.
    """
    if name in ("dot", "scaled"):
        if query_dim != key_dim:
            raise ValueError(
                f"the {name!r} score needs query_dim == key_dim, but they are {query_dim} and {key_dim}: "
                f"choose 'multiplicative' or 'additive', or make the two sizes equal"
            )
        return dot_score if name == "dot" else scaled_dot_score
    if name == "multiplicative":
        return MultiplicativeScore(query_dim, key_dim)
    if name == "additive":
        if attn_dim is None:
            raise ValueError("the 'additive' score needs attn_dim, a number: the width of its hidden layer")
        return AdditiveScore(query_dim, key_dim, attn_dim)
    raise ValueError(f"no score is called {name!r}: choose 'dot', 'scaled', 'multiplicative' or 'additive'")


def masked_softmax(scores, mask):
    """Turn scores into weights: softmax over the keys that are real tokens, exactly 0 for the others.

    scores (batch, tgt_len, src_len); mask bool, (batch, src_len) or (batch, tgt_len, src_len), or None
    where every key is real. Each row of the weights sums to 1; a row with nothing to attend to is all
    zeros and its gradient is zero. Bahdanau et al. 2015, equation 6, with padding left out of the sum.
    """
    _check("scores", scores, batch=None, tgt_len=None, src_len=None)
    if mask is None:
        return torch.softmax(scores, dim=-1)
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool, True = a real token, but is {mask.dtype}: use mask.bool()")
    batch, tgt_len, src_len = scores.shape
    if mask.dim() == 2:
        _check("mask", mask, batch=batch, src_len=src_len)
        mask = mask.unsqueeze(1)  # (batch, 1, src_len)
    else:
        _check("mask", mask, batch=batch, tgt_len=tgt_len, src_len=src_len)
    empty = ~mask.any(-1, keepdim=True)  # softmax of -inf alone is NaN: such a row gets 0 for a while
    weights = torch.softmax(scores.masked_fill(~mask, -math.inf).masked_fill(empty, 0.0), dim=-1)
    return weights.masked_fill(~mask, 0.0)


def attend(query, keys, values, mask, score):
    """Look up the values by how well their keys fit the query; give (context, weights).

    `score` is any function of (query, keys) that gives (batch, tgt_len, src_len). A decoder that goes
    step by step with an `AdditiveScore` projects its keys once: it passes score.project_keys(keys) as
    keys and score.from_projected as score. Masks as in `masked_softmax`. Bahdanau et al. 2015,
    equations 5 and 6.
    """
    _check_query(query)
    _check("keys", keys, batch=query.shape[0], src_len=None, key_dim=None)
    _check("values", values, batch=query.shape[0], src_len=keys.shape[1], value_dim=None)
    weights = masked_softmax(score(query, keys), mask)
    return weights @ values, weights  # context (batch, tgt_len, value_dim)


def attend_shared(look, query, owner, owners):
    """Let several rows of queries look at the keys and values of one sentence, which are not copied for them.

    query (batch, 1, query_dim); owner (batch,), ascending: which of the `owners` sentences a row looks at, or
    None where each row has its own. `look` is an attention with everything but its query given. It is called
    with queries (owners, tgt_len, query_dim), where the rows of a sentence stand as its target words, and
    gives context and weights (owners, ..., tgt_len, src_len). Returns those of the rows, in their order.
    """
    if owner is None:
        return look(query)
    if owners == 1:  # no table is needed: all rows in their order
        context, weights = look(query.transpose(0, 1))
        return context.transpose(0, 1), weights[0].movedim(-2, 0).unsqueeze(-2)
    place = torch.arange(len(owner), device=owner.device) - torch.searchsorted(owner, owner)
    table = query.new_zeros(owners, int(place.max()) + 1, query.shape[2])
    table[owner, place] = query[:, 0]
    context, weights = look(table)
    weights = weights.movedim(-2, 1)[owner, place].unsqueeze(-2)  # (batch, ..., 1, src_len)
    return context[owner, place].unsqueeze(1), weights  # context (batch, 1, value_dim)


def _check_query(query, query_dim=None):
    _check("query", query, batch=None, tgt_len=None, query_dim=query_dim)


def _check(name, tensor, **axes):
    """Raise ValueError unless the tensor has these axes; a size of None stands for any."""
    wanted = f"({', '.join(axes)})"
    if tensor.dim() != len(axes):
        raise ValueError(f"{name} must be {wanted}, but has {tensor.dim()} axes: {tuple(tensor.shape)}")
    for (axis, size), found in zip(axes.items(), tensor.shape, strict=True):
        if size is not None and found != size:
            raise ValueError(f"{name} must be {wanted} with {axis} {size}, but its {axis} is {found}")
