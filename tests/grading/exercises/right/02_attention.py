"""Right answers of exercise 02, written in other ways."""

import math

import torch
from torch.nn import functional as F

from grading.exercises.common import filled, full
from grading.judge.registry import with_forward
from utils.attention import AdditiveScore, MultiplicativeScore, masked_softmax


def _multiplicative(forward):
    return with_forward(MultiplicativeScore, forward)


def _additive(forward):
    return with_forward(AdditiveScore, forward)


def _sqrt_of(tensor, axis):
    return math.sqrt(tensor.shape[axis])


def _pre(self, q, k, for_query="query_proj", for_keys="key_proj"):
    """What goes into the tanh of an additive score: (batch, tgt_len, src_len, attn_dim)."""
    return getattr(self, for_query)(q).unsqueeze(2) + getattr(self, for_keys)(k).unsqueeze(1)


def _attend(
    weigh=masked_softmax, score_of=lambda score, q, k, v: score(q, k), answer=lambda w, v: (w @ v, w)
):
    """An attend with one of its three steps done in another way."""
    return lambda q, k, v, mask, score: answer(weigh(score_of(score, q, k, v), mask), v)


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


def _softmax_by_log(scores, mask):
    real = full(mask, scores)
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
        weights = _softmax_by_hand(score(q[:, t : t + 1], k), row)
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
