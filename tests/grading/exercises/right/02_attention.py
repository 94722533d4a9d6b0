"""Right answers of exercise 02, written in other ways."""

import torch
from torch.nn import functional as F

from grading.exercises.common import filled, full
from grading.judge.registry import with_forward
from utils.attention import AdditiveScore, MultiplicativeScore, masked_softmax


def _dot_by_loops(q, k):
    scores = q.new_zeros(q.shape[0], q.shape[1], k.shape[1])
    for b in range(q.shape[0]):
        for t in range(q.shape[1]):
            for s in range(k.shape[1]):
                scores[b, t, s] = torch.dot(q[b, t], k[b, s])
    return scores


def _not_contiguous(q, k):
    return (k @ q.mT).mT


def _warns(q, k):
    import warnings

    warnings.warn("a warning is no mistake", stacklevel=1)
    print("nor is a line printed on the way", q.shape)
    return torch.einsum("btd,bsd->bts", q, k)


_DOTS = _dot_by_loops, _not_contiguous, _warns


def _additive_by_loops(self, q, k):
    rows = []
    for t in range(q.shape[1]):
        keys = [
            self.v(torch.tanh(self.query_proj(q[:, t]) + self.key_proj(k[:, s]))) for s in range(k.shape[1])
        ]
        rows.append(torch.cat(keys, dim=-1))
    return torch.stack(rows, dim=1)


def _additive_of_pairs(self, q, k):
    """One matrix on query and key joined, as some texts write it."""
    shape = -1, q.shape[1], k.shape[1], -1
    pairs = torch.cat([q.unsqueeze(2).expand(shape), k.unsqueeze(1).expand(shape)], dim=-1)
    both = torch.cat([self.query_proj.weight, self.key_proj.weight], dim=1)
    return torch.tanh(pairs @ both.T) @ self.v.weight[0]


def _additive_with_keys_first(self, q, k):
    """The scores are not contiguous."""
    pre = self.key_proj(k)[:, :, None] + self.query_proj(q)[:, None]
    return self.v(torch.tanh(pre)).squeeze(3).transpose(1, 2)


def _softmax_by_rows(scores, mask):
    weights = torch.zeros_like(scores)
    for b, t in torch.cartesian_prod(torch.arange(scores.shape[0]), torch.arange(scores.shape[1])):
        real = full(mask, scores)[b, t]
        weights[b, t, real] = torch.softmax(scores[b, t, real], dim=0)
    return weights


def _softmax_by_hand(scores, mask):
    real = full(mask, scores)
    largest = filled(scores, mask, -1e9).max(dim=-1, keepdim=True).values
    raised = torch.exp((scores - largest).masked_fill(~real, 0.0)) * real
    return raised / (raised.sum(-1, keepdim=True) + 1e-9)


def _softmax_of_the_lowest(scores, mask):
    real = full(mask, scores)
    lowest = torch.full_like(scores, torch.finfo(scores.dtype).min)
    return torch.where(real, torch.where(real, scores, lowest).softmax(-1), 0.0)


def _softmax_repaired(scores, mask):
    """The NaN of an empty row replaced: here masked_fill stops its gradient, so nothing is wrong with it."""
    return torch.nan_to_num(filled(scores, mask).softmax(-1), nan=0.0)


def _softmax_with_bias(scores, mask):
    real = full(mask, scores).to(scores.dtype)
    return F.softmax(scores + (1 - real) * -1e9, dim=-1) * real


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
        weights = _softmax_by_hand(score(q[:, t : t + 1], k), row)
        steps.append((torch.bmm(weights, v), weights))
    return torch.cat([c for c, _ in steps], dim=1), torch.cat([w for _, w in steps], dim=1)


def _attend_into_a_list(q, k, v, mask, score):
    """Both results are not contiguous."""
    weights = _softmax_with_bias(score(q, k), mask)
    return [(v.mT @ weights.mT).mT, weights.mT.contiguous().mT]


RIGHT = {
    "dot_score": _DOTS,
    "scaled_dot_score": (
        *(lambda q, k, dot=dot: dot(q, k) / q.size(-1) ** 0.5 for dot in _DOTS),
        lambda q, k: (q * q.shape[2] ** -0.25) @ (k * k.shape[2] ** -0.25).mT,
    ),
    "MultiplicativeScore": tuple(
        with_forward(MultiplicativeScore, lambda self, q, k, dot=dot: dot(q, self.key_proj(k)))
        for dot in _DOTS
    ),
    "AdditiveScore": (
        with_forward(AdditiveScore, _additive_by_loops),
        with_forward(AdditiveScore, _additive_of_pairs),
        with_forward(AdditiveScore, _additive_with_keys_first),
    ),
    "masked_softmax": (
        _softmax_by_rows,
        _softmax_by_hand,
        _softmax_of_the_lowest,
        _softmax_repaired,
        _softmax_with_bias,
    ),
    "attend": (_attend_by_loops, _attend_by_steps, _attend_into_a_list),
}
