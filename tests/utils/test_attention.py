"""The reference against loops that read like the equations, on sizes that are distinct primes."""

import math

import pytest
import torch
from torch.nn import functional as F

from utils import attention
from utils.attention import (
    AdditiveScore,
    MultiplicativeScore,
    attend,
    dot_score,
    make_score,
    masked_softmax,
    scaled_dot_score,
)

BATCH, TGT, SRC, QUERY, KEY, VALUE, ATTN = 2, 3, 5, 7, 11, 13, 17
NAMES = ("dot", "scaled", "multiplicative", "additive")
DTYPES = (torch.float32, torch.float64)


def draw(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def make(name, dtype=torch.float64):
    """A score function with random weights, a query and keys that fit it."""
    key_dim = QUERY if name in ("dot", "scaled") else KEY
    score = make_score(name, QUERY, key_dim, ATTN)
    if isinstance(score, torch.nn.Module):
        score.to(dtype)
        for seed, parameter in enumerate(score.parameters(), start=7):
            parameter.data = draw(*parameter.shape, dtype=dtype, seed=seed)
    return score, draw(BATCH, TGT, QUERY, dtype=dtype), draw(BATCH, SRC, key_dim, dtype=dtype, seed=1)


def score_by_hand(name, score, q, k):
    """One query against one key: lists of numbers in, one number out."""
    if name in ("dot", "scaled"):
        total = sum(a * b for a, b in zip(q, k, strict=True))
        return total / math.sqrt(QUERY) if name == "scaled" else total

    def times(linear, x):
        return [sum(w * a for w, a in zip(row, x, strict=True)) for row in linear.weight.tolist()]

    if name == "multiplicative":
        return sum(a * b for a, b in zip(q, times(score.key_proj, k), strict=True))
    both = zip(times(score.query_proj, q), times(score.key_proj, k), strict=True)
    return times(score.v, [math.tanh(a + b) for a, b in both])[0]


def softmax_by_hand(scores, real):
    total = sum(math.exp(s) for s, r in zip(scores, real, strict=True) if r)
    return [math.exp(s) / total if r else 0.0 for s, r in zip(scores, real, strict=True)]


def some_mask(axes):
    """True = a real token: every row keeps a key, and the rows differ."""
    mask = torch.arange(SRC) < torch.tensor([[4], [2]])
    if axes == 3:
        mask = mask[:, None] & ~torch.eye(TGT, SRC, dtype=torch.bool)
    return mask


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_every_score_is_its_equation(name, dtype):
    score, query, keys = make(name, dtype)
    scores = score(query, keys)
    assert scores.shape == (BATCH, TGT, SRC) and scores.dtype == dtype
    by_hand = [
        [[score_by_hand(name, score, q.tolist(), k.tolist()) for k in keys[b]] for q in query[b]]
        for b in range(BATCH)
    ]
    torch.testing.assert_close(scores, torch.tensor(by_hand, dtype=dtype), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", [None, 2, 3])
def test_masked_softmax_is_the_softmax_of_the_real_keys(axes, dtype):
    scores = draw(BATCH, TGT, SRC, dtype=dtype)
    mask = some_mask(axes) if axes else None
    every = torch.ones(BATCH, TGT, SRC, dtype=torch.bool)
    real = every if mask is None else every & (mask[:, None] if axes == 2 else mask)
    rows = [list(zip(s, r, strict=True)) for s, r in zip(scores.tolist(), real.tolist(), strict=True)]
    by_hand = [[softmax_by_hand(s, r) for s, r in sentence] for sentence in rows]
    weights = masked_softmax(scores, mask)
    torch.testing.assert_close(weights, torch.tensor(by_hand, dtype=dtype))
    assert (weights[~real] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, TGT, dtype=dtype))


@pytest.mark.parametrize("name", NAMES)
def test_context_is_the_weighted_sum_of_the_values(name):
    score, query, keys = make(name)
    values, mask = draw(BATCH, SRC, VALUE, seed=2), some_mask(2)
    context, weights = attend(query, keys, values, mask, score)
    torch.testing.assert_close(weights, masked_softmax(score(query, keys), mask))
    by_hand = [
        [
            [sum((weights[b, t, s] * values[b, s, v]).item() for s in range(SRC)) for v in range(VALUE)]
            for t in range(TGT)
        ]
        for b in range(BATCH)
    ]
    torch.testing.assert_close(context, torch.tensor(by_hand, dtype=torch.float64))


@pytest.mark.parametrize("axes", [None, 2, 3])
def test_scaled_attention_equals_torchs_own(axes):
    query, keys = draw(BATCH, TGT, QUERY), draw(BATCH, SRC, QUERY, seed=1)
    values, mask = draw(BATCH, SRC, VALUE, seed=2), some_mask(axes) if axes else None
    theirs = F.scaled_dot_product_attention(
        query, keys, values, attn_mask=mask[:, None] if axes == 2 else mask
    )
    torch.testing.assert_close(attend(query, keys, values, mask, scaled_dot_score)[0], theirs)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_with_nothing_to_attend_to_is_zeros_with_zero_gradients(name):
    score, query, keys = make(name)
    values, mask = draw(BATCH, SRC, VALUE, seed=2), torch.tensor([[False] * SRC, [True] * SRC])
    inputs = [x.requires_grad_() for x in (query, keys, values)]
    context, weights = attend(*inputs, mask, score)
    assert (context[0] == 0).all() and (weights[0] == 0).all()
    torch.testing.assert_close(weights[1].sum(-1), torch.ones(TGT, dtype=torch.float64))
    (context.sum() + weights.square().sum()).backward()
    for x in inputs:
        assert (x.grad[0] == 0).all() and x.grad.isfinite().all()
    assert (values.grad[1] != 0).all()


def test_a_row_with_nothing_to_attend_to_forgives_scores_that_are_not_finite():
    scores = torch.full((1, 1, 3), math.inf, requires_grad=True)
    weights = masked_softmax(scores, torch.zeros(1, 3, dtype=torch.bool))
    weights.sum().backward()
    assert (weights == 0).all() and (scores.grad == 0).all()


@pytest.mark.parametrize("shift", [-1000.0, 1000.0])
def test_large_scores_overflow_nothing(shift):
    scores, mask = draw(BATCH, TGT, SRC), some_mask(2)
    torch.testing.assert_close(masked_softmax(scores + shift, mask), masked_softmax(scores, mask))


def test_no_keys_at_all_give_a_context_of_zeros():
    context, weights = attend(
        draw(BATCH, TGT, QUERY), draw(BATCH, 0, QUERY), draw(BATCH, 0, VALUE), None, dot_score
    )
    assert weights.shape == (BATCH, TGT, 0) and context.shape == (BATCH, TGT, VALUE) and (context == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name):
    score, query, keys = make(name)
    values, mask = draw(BATCH, SRC, VALUE, seed=2), some_mask(3)
    mask[0, 0] = False
    inputs = [x.requires_grad_() for x in (query, keys, values)]
    assert torch.autograd.gradcheck(lambda q, k, v: attend(q, k, v, mask, score), inputs, fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_no_input_is_changed(name):
    score, query, keys = make(name)
    inputs = (query, keys, draw(BATCH, SRC, VALUE, seed=2), some_mask(2))
    copies = [x.clone() for x in inputs]
    attend(*inputs, score)
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, copies, strict=True))


def test_keys_projected_once_give_the_same_step_by_step():
    score, query, keys = make("additive")
    values, mask = draw(BATCH, SRC, VALUE, seed=2), some_mask(2)
    projected = score.project_keys(keys)
    steps = [attend(query[:, t : t + 1], projected, values, mask, score.from_projected) for t in range(TGT)]
    at_once = attend(query, keys, values, mask, score)
    for parts, whole in zip(zip(*steps, strict=True), at_once, strict=True):
        torch.testing.assert_close(torch.cat(parts, 1), whole)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: dot_score(draw(2, 7), draw(2, 5, 7)), r"expected query of shape .*, got \(2, 7\)"),
        (lambda: dot_score(draw(2, 3, 7), draw(2, 5, 11)), "keys of shape .* key_dim 7, got key_dim 11"),
        (lambda: dot_score(draw(2, 3, 7), draw(1, 5, 7)), "keys of shape .* batch 2, got batch 1"),
        (lambda: scaled_dot_score(draw(2, 3, 7), draw(2, 5, 11)), "keys of shape .* key_dim 7"),
        (
            lambda: MultiplicativeScore(7, 11)(draw(2, 3, 5), draw(2, 5, 11)),
            "query of shape .* query_dim 7, got query_dim 5",
        ),
        (lambda: MultiplicativeScore(7, 11)(draw(2, 3, 7), draw(2, 5, 7)), "keys of shape .* key_dim 11"),
        (
            lambda: AdditiveScore(7, 11, 17).double()(draw(2, 3, 5), draw(2, 5, 11)),
            "query of shape .* query_dim 7, got query_dim 5",
        ),
        (lambda: AdditiveScore(7, 11, 17)(draw(2, 3, 7), draw(2, 5, 7)), "keys of shape .* key_dim 11"),
        (
            lambda: AdditiveScore(7, 11, 17).from_projected(draw(2, 3, 7), draw(2, 5, 11)),
            "projected_keys of shape .* attn_dim 17",
        ),
        (lambda: masked_softmax(draw(2, 5), None), "expected scores of shape"),
        (lambda: masked_softmax(draw(2, 3, 5), torch.ones(2, 5)), r"expected a bool mask.*use mask.bool\(\)"),
        (
            lambda: masked_softmax(draw(2, 3, 5), torch.ones(2, 3, dtype=torch.bool)),
            "mask of shape .* src_len 5, got src_len 3",
        ),
        (
            lambda: masked_softmax(draw(2, 3, 5), torch.ones(2, 1, 5, dtype=torch.bool)),
            "mask of shape .* tgt_len 3, got tgt_len 1",
        ),
        (
            lambda: attend(draw(2, 3, 7), draw(2, 5, 7), draw(2, 3, 13), None, dot_score),
            "values of shape .* src_len 5, got src_len 3",
        ),
        (lambda: make_score("dot", 7, 11), "'dot' score needs query_dim == key_dim, got 7 and 11"),
        (lambda: make_score("additive", 7, 11), "needs attn_dim"),
        (lambda: make_score("cosine", 7, 7), "expected 'dot', .* got 'cosine'"),
    ],
)
def test_wrong_shapes_and_names_raise(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_each_name_makes_its_score():
    assert make_score("dot", 7, 7) is dot_score
    assert make_score("scaled", 7, 7) is scaled_dot_score
    assert isinstance(make_score("multiplicative", 7, 11), MultiplicativeScore)
    additive = make_score("additive", 7, 11, 17)
    assert isinstance(additive, AdditiveScore)
    assert {name: tuple(p.shape) for name, p in additive.named_parameters()} == {
        "query_proj.weight": (17, 7),
        "key_proj.weight": (17, 11),
        "v.weight": (1, 17),
    }


@pytest.mark.parametrize("sentences", [1, 2, 3])
def test_chunks_of_sentences_score_like_the_whole(sentences, monkeypatch):
    score, query, keys = make("additive")
    expected = score(query, keys)
    monkeypatch.setattr(attention, "CACHE_CHUNK", sentences * TGT * SRC * ATTN)
    with torch.no_grad():
        torch.testing.assert_close(score(query, keys), expected)


def test_chunks_of_target_words_score_like_the_whole(monkeypatch):
    """Values and gradients, with chunks of one word, and of two and a remainder."""
    score, query, keys = make("additive")
    inputs = [tensor.requires_grad_() for tensor in (query, keys, *score.parameters())]

    def results():
        scores = score(query, keys)
        weights = draw(*scores.shape, seed=3)
        return [scores.detach(), *torch.autograd.grad((scores * weights).sum(), inputs)]

    expected, seen = results(), []
    monkeypatch.setattr(attention, "MAX_HIDDEN", 1)
    sum_of_tanh = AdditiveScore.sum_of_tanh
    monkeypatch.setattr(
        AdditiveScore,
        "sum_of_tanh",
        lambda self, query, keys: seen.append(query.shape[1]) or sum_of_tanh(self, query, keys),
    )
    for words, chunks in ((1, [1, 1, 1]), (2, [2, 1])):
        seen.clear()
        monkeypatch.setattr(attention, "CHUNK", words * BATCH * SRC * ATTN)
        for found, wanted in zip(results(), expected, strict=True):
            torch.testing.assert_close(found, wanted)
        assert seen[: len(chunks)] == chunks
        assert sorted(seen) == sorted(2 * chunks), "the backward pass computes each chunk again"
