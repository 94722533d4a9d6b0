"""Exercise 07: mistakes the bank does not hold word for word, and what its checks say of unknown ones."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grading.judge.judge import draw, examine
from grading.judge.registry import all_checks, mistakes_of, with_forward
from utils import transformer
from utils.attention import attend, scaled_dot_score

CHECKS = all_checks()


def of_heads(forward):
    return with_forward(transformer.MultiHeadAttention, forward)


def of_block(forward):
    return with_forward(transformer.TransformerBlock, forward)


def scaled_by_all_numbers(self, query, keys, values, mask=None):
    found = [
        attend(q, k, v, mask, lambda q, k: q @ k.mT / query.shape[-1] ** 0.5)
        for q, k, v in zip(
            self.query_proj(query).chunk(self.heads, -1),
            self.key_proj(keys).chunk(self.heads, -1),
            self.value_proj(values).chunk(self.heads, -1),
            strict=True,
        )
    ]
    context, weights = zip(*found, strict=True)
    return self.out_proj(torch.cat(context, -1)), torch.stack(weights, 1)


def viewed_at_once(self, query, keys, values, mask=None):
    """Folded into the batch straight from (batch, length, hidden), and unfolded the same way."""
    batch, tgt_len, hidden = query.shape
    folded = [
        proj(y).reshape(batch * self.heads, y.shape[1], -1)
        for proj, y in ((self.query_proj, query), (self.key_proj, keys), (self.value_proj, values))
    ]
    mask = None if mask is None else mask.repeat_interleave(self.heads, 0)
    context, weights = attend(*folded, mask, scaled_dot_score)
    return self.out_proj(context.reshape(batch, tgt_len, hidden)), weights.reshape(
        batch, self.heads, tgt_len, -1
    )


def post_norm_with_dropout(self, x, mask=None):
    found, weights = self.attention(x, x, x, mask)
    x = self.attention_norm(x + self.dropout(found))
    return self.ff_norm(x + self.dropout(self.ff_out(self.ff_in(x).relu()))), weights


def waves_by_whole_division(length, hidden_dim):
    positions = torch.zeros(length, hidden_dim)
    for i in range(hidden_dim // 2):
        angle = torch.arange(length) / 10_000 ** (2 * i // hidden_dim)
        positions[:, 2 * i], positions[:, 2 * i + 1] = angle.sin(), angle.cos()
    return positions


def waves_that_grow_faster(length, hidden_dim):
    angle = torch.arange(length).unsqueeze(1) * 10_000 ** (torch.arange(0, hidden_dim, 2) / hidden_dim)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def heads_by(split, split_back):
    """Many heads with their numbers hidden by -1e9, which is wrong where nothing is left."""

    def forward(self, query, keys, values, mask=None):
        values = self.value_proj(values)
        query, keys, values = (
            split(y, self.heads) for y in (self.query_proj(query), self.key_proj(keys), values)
        )
        scores = query @ keys.mT / query.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~(mask if mask.dim() == 3 else mask[:, None])[:, None], -1e9)
        return self.out_proj(split_back(scores.softmax(-1) @ values)), scores.softmax(-1)

    return of_heads(forward)


def straight(y, heads):
    return y.reshape(y.shape[0], heads, y.shape[1], -1)


def interleaved(y, heads):
    return y.reshape(*y.shape[:2], -1, heads).permute(0, 3, 1, 2)


def side_by_side(y):
    return y.transpose(1, 2).flatten(2)


def mask_of_the_rows(x, w_query, w_key, w_value, mask=None):
    scores = (x @ w_query) @ (x @ w_key).mT / w_key.shape[1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~(mask if mask.dim() == 3 else mask.unsqueeze(-1)), -torch.inf)
    return scores.softmax(-1) @ (x @ w_value), scores.softmax(-1)


def masked_with_zero(x, w_query, w_key, w_value, mask=None):
    scores = (x @ w_query) @ (x @ w_key).mT / w_key.shape[1] ** 0.5
    if mask is not None:
        scores = scores.where(mask if mask.dim() == 3 else mask[:, None], 0)
    return scores.softmax(-1) @ (x @ w_value), scores.softmax(-1)


def post_norm_as_published(self, x, mask=None):
    attended = self.attention(x, x, x, mask)
    x = F.layer_norm(x + attended[0], x.shape[-1:], self.attention_norm.weight, self.attention_norm.bias)
    return self.ff_norm(self.ff_out(self.ff_in(x).relu()) + x), attended[1]


@pytest.mark.parametrize(
    ("name", "answer", "mistake"),
    [
        ("self_attention", masked_with_zero, "hidden_scored_zero"),
        ("self_attention", mask_of_the_rows, "mask_on_the_rows"),
        ("MultiHeadAttention", heads_by(straight, side_by_side), "split_without_transpose"),
        ("MultiHeadAttention", heads_by(interleaved, side_by_side), "dealt_out_in_turn"),
        ("positional_encoding", waves_that_grow_faster, "multiplied"),
        ("causal_mask", lambda n: torch.arange(n)[:, None] > torch.arange(n), "excludes_itself"),
        ("causal_mask", lambda n: nn.Transformer.generate_square_subsequent_mask(n), "added_to_the_scores"),
        ("MultiHeadAttention", of_heads(scaled_by_all_numbers), "root_of_hidden"),
        ("MultiHeadAttention", of_heads(viewed_at_once), "split_without_transpose"),
        ("positional_encoding", waves_by_whole_division, "one_wave_only"),
        ("TransformerBlock", of_block(post_norm_with_dropout), "norm_after"),
        ("TransformerBlock", of_block(post_norm_as_published), "norm_after"),
    ],
)
def test_a_known_mistake_is_named_however_it_is_written(name, answer, mistake):
    assert examine(name, answer, seed=5).mistake == mistake


def leaks_in_one_head(self, query, keys, values, mask=None):
    output, weights = transformer.MultiHeadAttention.forward(self, query, keys, values, mask)
    return output, torch.cat([weights[:, :-1], torch.full_like(weights[:, -1:], 1 / keys.shape[1])], 1)


def doubled_in_one_head(self, query, keys, values, mask=None):
    output, weights = transformer.MultiHeadAttention.forward(self, query, keys, values, mask)
    return output, torch.cat([2 * weights[:, :1], weights[:, 1:]], 1)


def biased(self, query, keys, values, mask=None):
    output, weights = transformer.MultiHeadAttention.forward(self, query, keys, values, mask)
    return output + 0.5, weights


def hidden_by_ones_on_the_cpu(self, query, keys, values, mask=None):
    output, weights = transformer.MultiHeadAttention.forward(self, query, keys, values, mask)
    return output, weights * torch.ones(weights.shape[-1], dtype=weights.dtype)


class WithBias(transformer.MultiHeadAttention):
    def __init__(self, hidden_dim, heads):
        super().__init__(hidden_dim, heads)
        self.out_proj = nn.Linear(hidden_dim, hidden_dim)


def weights_detached(self, x, mask=None):
    output, weights = transformer.TransformerBlock.forward(self, x, mask)
    return output, weights.detach()


def in_place(self, x, mask=None):
    output, weights = transformer.TransformerBlock.forward(self, x, mask)
    x += 1
    return output, weights


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("MultiHeadAttention", of_heads(leaks_in_one_head), "In head 1: Padding receives weight"),
        (
            "MultiHeadAttention",
            of_heads(doubled_in_one_head),
            "In head 0: The weights of a row do not sum to",
        ),
        ("MultiHeadAttention", of_heads(biased), "output has the right shape, but not the right numbers"),
        ("MultiHeadAttention", of_heads(hidden_by_ones_on_the_cpu), "would fail on a GPU"),
        ("MultiHeadAttention", WithBias, "leave __init__ as it was given"),
        ("TransformerBlock", of_block(weights_detached), "but the gradient of .* is not"),
        ("TransformerBlock", of_block(in_place), "x was changed in place"),
        (
            "causal_mask",
            lambda n: [[s <= t for s in range(n)] for t in range(n)],
            "should be a plain torch.Te",
        ),
        ("positional_encoding", transformer.causal_mask, "It raised TypeError"),
    ],
)
def test_an_unknown_mistake_is_told_by_the_property_it_breaks(name, answer, message):
    verdict = examine(name, answer)
    assert verdict.mistake not in {known.name for known in mistakes_of(name)}
    assert re.search(message, str(verdict), re.IGNORECASE), verdict


def test_dropout_is_judged_in_training_and_in_use_without_chance():
    cases = draw(CHECKS["TransformerBlock"], seed=0)
    assert {case.harness for case in cases} == {"07_self_attention.learning", "07_self_attention.in_use"}
    assert {case.sizes["dropout"] for case in cases} == {1.0}
