"""Right answers of exercise 07, written in other ways."""

import math
from importlib import import_module

import numpy as np
import torch
from torch.nn import functional as F

from grading.exercises.common import full
from grading.judge.registry import with_forward
from utils.attention import attend, scaled_dot_score
from utils.transformer import MultiHeadAttention, TransformerBlock

_of_attention = import_module("tests.grading.exercises.right.02_attention")


def _all_projected(self, query, keys, values):
    return self.query_proj(query), self.key_proj(keys), self.value_proj(values)


def _self_by_loops(x, w_query, w_key, w_value, mask=None):
    weights = x.new_zeros(*x.shape[:2], x.shape[1])
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            keys = x[b] @ w_key  # (length, key_dim)
            scores = keys @ (w_query.T @ x[b, t]) / keys.shape[1] ** 0.5
            real = full(mask, weights)[b, t]
            weights[b, t, real] = torch.softmax(scores[real], dim=0)
    return weights @ (x @ w_value), weights


def _self_in_one_product(x, w_query, w_key, w_value, mask=None):
    sizes = [w.shape[1] for w in (w_query, w_key, w_value)]
    query, keys, values = (x @ torch.cat([w_query, w_key, w_value], dim=1)).split(sizes, dim=-1)
    scores = torch.einsum("btk,bsk->bst", query, keys * sizes[0] ** -0.5).mT  # not contiguous
    weights = _of_attention._softmax_with_bias(scores, mask)
    return [torch.einsum("bts,bsv->btv", weights, values), weights]


def _self_values_last(x, w_query, w_key, w_value, mask=None):
    """The words are blended first and projected afterwards, which is the same."""
    scores = (x @ (w_query @ w_key.T)) @ x.mT / w_key.shape[1] ** 0.5
    weights = _of_attention._softmax_of_the_lowest(scores, mask)
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
    real = full(mask, scores)
    weights = scores.masked_fill(~real, -1e9).softmax(dim=-1) * real
    output = torch.einsum("bhts,bshd->bthd", weights, values).flatten(2)
    return [F.linear(output, self.out_proj.weight), weights]


def _heads_by_parts_of_out_proj(self, query, keys, values, mask=None):
    """What each head gives goes through its own columns of out_proj, and the results are added up."""
    query, keys, values = (
        y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in _all_projected(self, query, keys, values)
    )
    scores = query @ keys.mT / keys.shape[-1] ** 0.5
    weights = torch.stack([_of_attention._softmax_by_rows(head, mask) for head in scores.unbind(1)], dim=1)
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
    found, weights = self.attention(*[self.attention_norm(x)] * 3, mask)
    words = []
    for word in (x + self.dropout(found)).unbind(1):
        inner = self.ff_in(self.ff_norm(word)).relu()
        words.append(word + self.dropout(self.ff_out(inner)))
    return torch.stack(words, dim=1), weights


def _block_with_more_dropout(self, x, mask=None):
    """Dropout inside the feed-forward, too, is a matter of taste."""
    found, weights = self.attention(*[self.attention_norm(x)] * 3, mask)
    x = self.dropout(found).add(x)
    inner = self.dropout(F.relu(self.ff_in(self.ff_norm(x))))
    return self.dropout(self.ff_out(inner)).add(x), weights


RIGHT = {
    "self_attention": (_self_by_loops, _self_in_one_product, _self_values_last),
    "causal_mask": (
        _causal_by_loops,
        _causal_by_indices,
        lambda length: torch.ones(length, length, dtype=torch.bool).triu().T,
        lambda length: torch.from_numpy(np.tri(length, dtype=bool)),
    ),
    "MultiHeadAttention": (
        with_forward(MultiHeadAttention, _heads_as_batch),
        with_forward(MultiHeadAttention, _heads_by_einsum),
        with_forward(MultiHeadAttention, _heads_by_parts_of_out_proj),
    ),
    "positional_encoding": (_positions_by_loops, _positions_by_exp, _positions_by_numpy),
    "TransformerBlock": (
        with_forward(TransformerBlock, _block_by_functions),
        with_forward(TransformerBlock, _block_word_by_word),
        with_forward(TransformerBlock, _block_with_more_dropout),
    ),
}
