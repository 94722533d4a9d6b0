"""The Transformer's parts against torch's own. `test_models` tests the translator as a whole."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.transformer import (
    DecoderBlock,
    MultiHeadAttention,
    TransformerBlock,
    causal_mask,
    positional_encoding,
    self_attention,
)

BATCH, TGT, SRC, HEADS, HEAD_DIM, FF = 2, 3, 5, 7, 11, 13
HIDDEN = HEADS * HEAD_DIM
PADDING = torch.arange(SRC) < torch.tensor([[4], [2]])  # True = a real token
TORCHS = {"dropout": 0.1, "batch_first": True, "norm_first": True, "dtype": torch.float64}
MASKS = pytest.mark.parametrize("axes", [None, 2, 3])


def check_equal(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def make(module):
    """Return the module in float64 with random parameters, in evaluation mode."""
    for seed, parameter in enumerate(module.parameters(), start=10):
        parameter.data = draw(*parameter.shape, seed=seed) / math.sqrt(parameter.shape[-1])
    return module.eval()


def mask_of(axes, tgt_len=TGT):
    """Return a mask with something to attend to for every query. Sentences and queries differ."""
    return {None: None, 2: PADDING, 3: PADDING[:, None] & causal_mask(SRC)[:tgt_len]}[axes]


def torchs_attention(name, attention, bias=True):
    """Return the state of torch's `MultiheadAttention` with the weights of ours."""
    projections = [attention.query_proj.weight, attention.key_proj.weight, attention.value_proj.weight]
    state = {"in_proj_weight": torch.cat(projections), "out_proj.weight": attention.out_proj.weight}
    if bias:
        hidden = len(attention.out_proj.weight)
        state |= {"in_proj_bias": torch.zeros(3 * hidden), "out_proj.bias": torch.zeros(hidden)}
    return {name + key: value for key, value in state.items()}


def torchs_layer(layer, block):
    """Return torch's encoder or decoder layer after loading the weights of our block into it."""
    last = block.cross_block if isinstance(block, DecoderBlock) else block
    attentions, norms = {"self_attn": last.attention}, [last.attention_norm, last.ff_norm]
    if last is not block:
        attentions = {"self_attn": block.self_attention, "multihead_attn": last.attention}
        norms.insert(0, block.self_norm)
    parts = {"linear1": last.ff_in, "linear2": last.ff_out}
    parts |= {f"norm{number}": norm for number, norm in enumerate(norms, 1)}
    state = {f"{name}.{key}": value for name in parts for key, value in parts[name].state_dict().items()}
    for name, attention in attentions.items():
        state |= torchs_attention(f"{name}.", attention)
    layer.load_state_dict(state)
    return layer.eval()


@MASKS
def test_self_attention_equals_torchs(axes):
    x, mask = draw(BATCH, SRC, 7), mask_of(axes, SRC)
    w_query, w_key, w_value = draw(7, 3, seed=1), draw(7, 3, seed=2), draw(7, 2, seed=3)
    context, weights = self_attention(x, w_query, w_key, w_value, mask)
    whole = mask[:, None] if axes == 2 else mask
    check_equal(context, F.scaled_dot_product_attention(x @ w_query, x @ w_key, x @ w_value, whole))
    assert weights.shape == (BATCH, SRC, SRC)
    check_equal(weights @ (x @ w_value), context)


@MASKS
def test_multi_head_attention_equals_torchs(axes):
    ours, mask = make(MultiHeadAttention(HIDDEN, HEADS)), mask_of(axes)
    query = draw(BATCH, TGT, HIDDEN)
    keys, values = draw(BATCH, SRC, HIDDEN, seed=1), draw(BATCH, SRC, HIDDEN, seed=2)
    theirs = nn.MultiheadAttention(HIDDEN, HEADS, bias=False, batch_first=True, dtype=torch.float64)
    theirs.load_state_dict(torchs_attention("", ours, bias=False))
    masks = {}  # torch's True = may not be attended to
    if axes == 2:
        masks["key_padding_mask"] = ~mask
    elif axes == 3:
        masks["attn_mask"] = ~mask.repeat_interleave(HEADS, dim=0)
    expected = theirs(query, keys, values, **masks, average_attn_weights=False)
    for found, right in zip(ours(query, keys, values, mask), expected, strict=True):
        check_equal(found, right)


@MASKS
def test_a_block_equals_torchs_encoder_layer(axes):
    ours, x = make(TransformerBlock(HIDDEN, HEADS, FF, dropout=0.1)), draw(BATCH, SRC, HIDDEN)
    theirs = torchs_layer(nn.TransformerEncoderLayer(HIDDEN, HEADS, FF, **TORCHS), ours)
    mask = {None: None, 2: PADDING, 3: causal_mask(SRC).expand(BATCH, -1, -1)}[axes]
    masks = {None: {}, 2: {"src_key_padding_mask": ~PADDING}, 3: {"src_mask": ~causal_mask(SRC)}}[axes]
    check_equal(ours(x, mask)[0], theirs(x, **masks))


def test_a_decoder_block_equals_torchs_decoder_layer():
    ours = make(DecoderBlock(HIDDEN, HEADS, FF, dropout=0.1))
    x, states = draw(BATCH, TGT, HIDDEN), draw(BATCH, SRC, HIDDEN, seed=1)
    theirs = torchs_layer(nn.TransformerDecoderLayer(HIDDEN, HEADS, FF, **TORCHS), ours)
    expected = theirs(x, states, tgt_mask=~causal_mask(TGT), memory_key_padding_mask=~PADDING)
    found, weights = ours(x, states, PADDING)
    check_equal(found, expected)
    assert weights.shape == (BATCH, HEADS, TGT, SRC) and (weights[0, ..., 4:] == 0).all()


def attention_of_each_kind():
    """Return each kind of self-attention as a function of x and a mask."""
    matrices = [draw(HIDDEN, 3, seed=seed) / 8 for seed in (1, 2, 3)]
    heads, block = make(MultiHeadAttention(HIDDEN, HEADS)), make(TransformerBlock(HIDDEN, HEADS, FF, 0.1))
    return {
        "self_attention": lambda x, mask=None: self_attention(x, *matrices, mask),
        "MultiHeadAttention": lambda x, mask=None: heads(x, x, x, mask),
        "TransformerBlock": block,
    }


KINDS = pytest.mark.parametrize("kind", attention_of_each_kind())


@KINDS
def test_a_word_with_nothing_to_attend_to_gets_zeros(kind):
    attention, x = attention_of_each_kind()[kind], draw(BATCH, SRC, HIDDEN).requires_grad_()
    mask = causal_mask(SRC).tril(-1).expand(BATCH, -1, -1)  # the first word may attend to nothing
    found, weights = attention(x, mask)
    assert (weights[..., 0, :] == 0).all() and found.isfinite().all()
    if kind != "TransformerBlock":  # a block adds x
        assert (found[:, 0] == 0).all()
    found.square().sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("length", [1, SRC])
def test_a_causal_mask_by_hand(length):
    mask = causal_mask(length)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[s <= t for s in range(length)] for t in range(length)]


@pytest.mark.parametrize(("length", "hidden_dim"), [(1, 2), (5, 2), (53, 34)])
def test_positions_by_hand(length, hidden_dim):
    waves = [(i - i % 2, math.cos if i % 2 else math.sin) for i in range(hidden_dim)]
    by_hand = [[wave(p / 10_000 ** (i / hidden_dim)) for i, wave in waves] for p in range(length)]
    torch.testing.assert_close(positional_encoding(length, hidden_dim), torch.tensor(by_hand))


def test_dropout_acts_on_both_parts_in_training_only():
    block, x = make(TransformerBlock(HIDDEN, HEADS, FF, dropout=1.0)), draw(BATCH, SRC, HIDDEN)
    check_equal(block.train()(x)[0], x)  # all but the residual connection is dropped
    without = make(TransformerBlock(HIDDEN, HEADS, FF, dropout=0.0))
    assert all(map(torch.equal, block.eval()(x), without(x)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MultiHeadAttention(10, 3), "expected a multiple of 3, got 10"),
        (lambda: TransformerBlock(10, 3, 4, 0.1), "expected a multiple of 3, got 10"),
        (lambda: positional_encoding(5, 7), "expected an even hidden_dim, got 7"),
        (
            lambda: MultiHeadAttention(4, 2)(*[torch.zeros(3, 5, 4)] * 3, causal_mask(5)),
            r"each of the 3 sentences, got \(5, 5\).*mask.expand",
        ),
        (lambda: self_attention(torch.zeros(3, 5, 4), *[torch.eye(4)] * 3, causal_mask(5)), "got batch 5"),
    ],
)
def test_wrong_sizes_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()
