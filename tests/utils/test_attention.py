"""Attention against loops that read like its equations, on sizes that are distinct primes."""

import math

import pytest
import torch

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
    """Return a score function with random weights, a query, and keys that fit it."""
    key_dim = QUERY if name in ("dot", "scaled") else KEY
    score = make_score(name, QUERY, key_dim, ATTN)
    if isinstance(score, torch.nn.Module):
        score.to(dtype)
        for seed, parameter in enumerate(score.parameters(), start=7):
            parameter.data = draw(*parameter.shape, dtype=dtype, seed=seed)
    return score, draw(BATCH, TGT, QUERY, dtype=dtype), draw(BATCH, SRC, key_dim, dtype=dtype, seed=1)


def score_by_hand(name, score, q, k):
    """Return the score of one query and one key, lists of numbers."""
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


VALUES = draw(BATCH, SRC, VALUE, seed=2)
PADDING = torch.arange(SRC) < torch.tensor([[4], [2]])  # True = a real token
MASKS = {None: None, 2: PADDING, 3: PADDING[:, None] & ~torch.eye(TGT, SRC, dtype=torch.bool)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_scores_by_hand(name, dtype):
    score, query, keys = make(name, dtype)
    scores = score(query, keys)
    assert scores.shape == (BATCH, TGT, SRC) and scores.dtype == dtype
    by_hand = [
        [[score_by_hand(name, score, q.tolist(), k.tolist()) for k in keys[b]] for q in query[b]]
        for b in range(BATCH)
    ]
    torch.testing.assert_close(scores, torch.tensor(by_hand, dtype=dtype), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", MASKS)
def test_masked_softmax_by_hand(axes, dtype):
    scores, mask = draw(BATCH, TGT, SRC, dtype=dtype), MASKS[axes]
    real = torch.ones(BATCH, TGT, SRC, dtype=torch.bool)
    real &= True if mask is None else mask.view(BATCH, -1, SRC)
    rows = zip(scores.flatten(0, 1).tolist(), real.flatten(0, 1).tolist(), strict=True)
    weights = masked_softmax(scores, mask)
    by_hand = torch.tensor([softmax_by_hand(*row) for row in rows], dtype=dtype)
    torch.testing.assert_close(weights, by_hand.view(scores.shape))
    assert (weights[~real] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, TGT, dtype=dtype))


@pytest.mark.parametrize("name", NAMES)
def test_context_by_hand(name):
    score, query, keys = make(name)
    context, weights = attend(query, keys, VALUES, PADDING, score)
    torch.testing.assert_close(weights, masked_softmax(score(query, keys), PADDING))
    by_hand = [
        [
            [sum((weights[b, t, s] * VALUES[b, s, v]).item() for s in range(SRC)) for v in range(VALUE)]
            for t in range(TGT)
        ]
        for b in range(BATCH)
    ]
    torch.testing.assert_close(context, torch.tensor(by_hand, dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_with_nothing_to_attend_to_has_zeros_and_zero_gradients(name):
    score, *inputs = make(name)
    inputs = [x.requires_grad_() for x in (*inputs, VALUES.clone())]
    context, weights = attend(*inputs, torch.tensor([[False] * SRC, [True] * SRC]), score)
    assert (context[0] == 0).all() and (weights[0] == 0).all()
    torch.testing.assert_close(weights[1].sum(-1), torch.ones(TGT, dtype=torch.float64))
    (context.sum() + weights.square().sum()).backward()
    for x in inputs:
        assert (x.grad[0] == 0).all() and x.grad.isfinite().all()
    assert (inputs[2].grad[1] != 0).all()


def test_a_row_with_nothing_to_attend_to_may_have_infinite_scores():
    scores = torch.full((1, 1, 3), math.inf, requires_grad=True)
    weights = masked_softmax(scores, torch.zeros(1, 3, dtype=torch.bool))
    weights.sum().backward()
    assert (weights == 0).all() and (scores.grad == 0).all()


@pytest.mark.parametrize("shift", [-1000.0, 1000.0])
def test_large_scores_do_not_overflow(shift):
    scores = draw(BATCH, TGT, SRC)
    torch.testing.assert_close(masked_softmax(scores + shift, PADDING), masked_softmax(scores, PADDING))


def test_without_keys_the_context_is_zeros():
    inputs = draw(BATCH, TGT, QUERY), draw(BATCH, 0, QUERY), draw(BATCH, 0, VALUE)
    context, weights = attend(*inputs, None, dot_score)
    assert weights.shape == (BATCH, TGT, 0) and context.shape == (BATCH, TGT, VALUE) and (context == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences_and_inputs_stay_the_same(name):
    (score, *inputs), mask = make(name), MASKS[3].clone()
    mask[0, 0] = False
    inputs = [x.requires_grad_() for x in (*inputs, VALUES.clone())]
    copies = [x.clone() for x in (*inputs, mask)]
    assert torch.autograd.gradcheck(lambda *inputs: attend(*inputs, mask, score), inputs, fast_mode=True)
    assert all(map(torch.equal, (*inputs, mask), copies))


@pytest.mark.parametrize("name", ["multiplicative", "additive"])
def test_keys_can_be_projected_once_for_all_steps(name):
    score, query, keys = make(name)
    source = score.project_keys(keys), VALUES, PADDING, score.from_projected
    steps = zip(*(attend(token, *source) for token in query.split(1, dim=1)), strict=True)
    for parts, whole in zip(steps, attend(query, keys, VALUES, PADDING, score), strict=True):
        torch.testing.assert_close(torch.cat(parts, 1), whole)


MULTIPLICATIVE, ADDITIVE = MultiplicativeScore(7, 11), AdditiveScore(7, 11, 17).double()


def mask(*shape):
    return torch.ones(shape, dtype=torch.bool)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dot_score(draw(2, 7), draw(2, 5, 7)), r"expected query of shape .*, got \(2, 7\)"),
        (lambda: dot_score(draw(2, 3, 7), draw(2, 5, 11)), "keys of shape .* key_dim 7, got key_dim 11"),
        (lambda: dot_score(draw(2, 3, 7), draw(1, 5, 7)), "keys of shape .* batch 2, got batch 1"),
        (lambda: scaled_dot_score(draw(2, 3, 7), draw(2, 5, 11)), "keys of shape .* key_dim 7"),
        (lambda: MULTIPLICATIVE(draw(2, 3, 5), draw(2, 5, 11)), "query .* query_dim 7, got query_dim 5"),
        (lambda: MULTIPLICATIVE(draw(2, 3, 7), draw(2, 5, 7)), "keys of shape .* key_dim 11"),
        (lambda: ADDITIVE(draw(2, 3, 5), draw(2, 5, 11)), "query .* query_dim 7, got query_dim 5"),
        (lambda: ADDITIVE(draw(2, 3, 7), draw(2, 5, 7)), "keys of shape .* key_dim 11"),
        (lambda: ADDITIVE.from_projected(draw(2, 3, 7), draw(2, 5, 11)), "projected_keys .* attn_dim 17"),
        (lambda: masked_softmax(draw(2, 5), None), "expected scores of shape"),
        (lambda: masked_softmax(draw(2, 3, 5), draw(2, 5)), r"expected a bool mask.*use mask.bool\(\)"),
        (lambda: masked_softmax(draw(2, 3, 5), mask(2, 3)), "mask of shape .* src_len 5, got src_len 3"),
        (lambda: masked_softmax(draw(2, 3, 5), mask(2, 1, 5)), "mask of shape .* tgt_len 3, got tgt_len 1"),
        (
            lambda: attend(draw(2, 3, 7), draw(2, 5, 7), draw(2, 3, 13), None, dot_score),
            "values of shape .* src_len 5, got src_len 3",
        ),
        (lambda: make_score("dot", 7, 11), "'dot' score needs query_dim == key_dim, got 7 and 11"),
        (lambda: make_score("additive", 7, 11), "needs attn_dim"),
        (lambda: make_score("cosine", 7, 7), "expected 'dot', .* got 'cosine'"),
    ],
)
def test_wrong_shapes_and_names_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.fixture
def chunks(monkeypatch):
    """The target length and the number of sentences of every chunk of additive scores."""
    seen, sum_of_tanh = [], AdditiveScore.sum_of_tanh

    def spy(self, query, keys):
        seen.append((query.shape[1], len(query)))
        return sum_of_tanh(self, query, keys)

    monkeypatch.setattr(AdditiveScore, "sum_of_tanh", spy)
    return seen


@pytest.mark.parametrize(("sentences", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2])])
def test_chunks_of_sentences_score_like_the_whole(sentences, sizes, chunks, monkeypatch):
    score, query, keys = make("additive")[0], draw(5, TGT, QUERY), draw(5, SRC, KEY, seed=1)
    expected = score(query, keys)
    monkeypatch.setattr(attention, "CACHE_CHUNK", sentences * TGT * SRC * ATTN)
    with torch.no_grad():
        torch.testing.assert_close(score(query, keys), expected)
    assert chunks == [(TGT, 5), *((TGT, size) for size in sizes)]


@pytest.mark.parametrize(("words", "lengths"), [(1, [1, 1, 1]), (2, [2, 1])])
def test_chunks_of_target_words_score_like_the_whole(words, lengths, chunks, monkeypatch):
    """Values and gradients, which can be computed twice. Each time computes the chunks again."""
    score, query, keys = make("additive")
    inputs = [tensor.requires_grad_() for tensor in (query, keys, *score.parameters())]

    def results(times):
        scores = score(query, keys)
        loss = (scores * draw(*scores.shape, seed=3)).sum()
        gradients = [torch.autograd.grad(loss, inputs, retain_graph=True) for _ in range(times)]
        return [scores, *sum(gradients, ())]

    expected = results(1)
    chunks.clear()
    monkeypatch.setattr(attention, "MAX_HIDDEN", 1)
    monkeypatch.setattr(attention, "CHUNK", words * BATCH * SRC * ATTN)
    for found, wanted in zip(results(2), expected + expected[1:], strict=True):
        torch.testing.assert_close(found, wanted)
    assert sorted(length for length, _ in chunks) == sorted(3 * lengths)
