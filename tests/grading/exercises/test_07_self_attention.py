"""Exercise 07: what its checks say of mistakes that the bank does not know."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grading.judge.judge import draw, examine
from grading.judge.registry import all_checks, mistakes_of, with_forward
from utils import transformer

pytestmark = pytest.mark.usefixtures("singly")
CHECKS = all_checks()


def of_heads(forward):
    return with_forward(transformer.MultiHeadAttention, forward)


def of_block(forward):
    return with_forward(transformer.TransformerBlock, forward)


def post_norm_as_published(self, x, mask=None):
    attended = self.attention(x, x, x, mask)
    x = F.layer_norm(x + attended[0], x.shape[-1:], self.attention_norm.weight, self.attention_norm.bias)
    return self.ff_norm(self.ff_out(self.ff_in(x).relu()) + x), attended[1]


def test_norms_after_the_sums_are_named_although_dropout_is_missing_too():
    assert examine("TransformerBlock", of_block(post_norm_as_published), seed=5).mistake == "norm_after"


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
