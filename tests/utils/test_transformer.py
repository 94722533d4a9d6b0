"""The Transformer's parts against torch's own, and what must hold of them whatever their numbers."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.attention import attend, scaled_dot_score
from utils.models import forced_weights, translate
from utils.text import BOS_ID, EOS_ID, PAD_ID, EncodedCorpus
from utils.training import train
from utils.transformer import (
    DecoderBlock,
    MultiHeadAttention,
    Transformer,
    TransformerBlock,
    causal_mask,
    positional_encoding,
    self_attention,
)

BATCH, TGT, SRC, HEADS, HEAD_DIM, FF = 2, 3, 5, 7, 11, 13
HIDDEN = HEADS * HEAD_DIM
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def make(module):
    """The module in float64 with random numbers, the norms' too, ready to be used."""
    for seed, parameter in enumerate(module.parameters(), start=10):
        parameter.data = draw(*parameter.shape, seed=seed) / math.sqrt(parameter.shape[-1])
    return module.eval()


def mask_of(axes, tgt_len=TGT):
    """True = may look: every query has a key, and sentences and queries differ."""
    if axes is None:
        return None
    mask = torch.arange(SRC) < torch.tensor([[4], [2]])
    return mask if axes == 2 else mask[:, None] & causal_mask(SRC)[:tgt_len]


MASKS = pytest.mark.parametrize("axes", [None, 2, 3])


def as_torch_wants(mask):
    """A mask for `scaled_dot_product_attention` with heads: (batch, 1, tgt_len or 1, src_len)."""
    return None if mask is None else (mask[:, None, None] if mask.dim() == 2 else mask[:, None])


@MASKS
def test_self_attention_is_torchs_scaled_dot_product(axes):
    x, mask = draw(BATCH, SRC, 7), mask_of(axes, SRC)
    w_query, w_key, w_value = draw(7, 3, seed=1), draw(7, 3, seed=2), draw(7, 2, seed=3)
    context, weights = self_attention(x, w_query, w_key, w_value, mask)
    whole = mask if mask is None or mask.dim() == 3 else mask[:, None]
    wanted = F.scaled_dot_product_attention(x @ w_query, x @ w_key, x @ w_value, whole)
    torch.testing.assert_close(context, wanted, **EXACT)
    assert weights.shape == (BATCH, SRC, SRC)
    torch.testing.assert_close(weights @ (x @ w_value), context, **EXACT)


@MASKS
def test_many_heads_are_torchs_multihead_attention(axes):
    ours, mask = make(MultiHeadAttention(HIDDEN, HEADS)), mask_of(axes)
    query, keys, values = draw(BATCH, TGT, HIDDEN), draw(BATCH, SRC, HIDDEN, seed=1), draw(BATCH, SRC, HIDDEN)
    theirs = nn.MultiheadAttention(HIDDEN, HEADS, bias=False, batch_first=True, dtype=torch.float64)
    projections = [ours.query_proj.weight, ours.key_proj.weight, ours.value_proj.weight]
    theirs.load_state_dict(
        {"in_proj_weight": torch.cat(projections), "out_proj.weight": ours.out_proj.weight.detach()}
    )
    masks = {None: {}, 2: {"key_padding_mask": mask}, 3: {"attn_mask": mask}}[axes]
    masks = {name: ~may_look for name, may_look in masks.items()}  # torch's True = may not look
    if axes == 3:
        masks["attn_mask"] = masks["attn_mask"].repeat_interleave(HEADS, dim=0)
    wanted = theirs(query, keys, values, **masks, average_attn_weights=False)
    for found, right in zip(ours(query, keys, values, mask), wanted, strict=True):
        torch.testing.assert_close(found, right, **EXACT)


@MASKS
def test_many_heads_are_torchs_scaled_dot_product_on_their_parts(axes):
    ours, mask = make(MultiHeadAttention(HIDDEN, HEADS)), mask_of(axes)
    query, keys = draw(BATCH, TGT, HIDDEN), draw(BATCH, SRC, HIDDEN, seed=1)

    def parts(x):
        return torch.stack(x.split(HEAD_DIM, dim=-1), dim=1)

    heads = F.scaled_dot_product_attention(
        parts(ours.query_proj(query)),
        parts(ours.key_proj(keys)),
        parts(ours.value_proj(keys)),
        as_torch_wants(mask),
    )
    wanted = ours.out_proj(torch.cat(heads.unbind(1), dim=-1))
    torch.testing.assert_close(ours(query, keys, keys, mask)[0], wanted, **EXACT)


def test_one_head_is_attend_between_its_projections():
    ours, x = make(MultiHeadAttention(7, heads=1)), draw(BATCH, SRC, 7)
    context, weights = attend(
        ours.query_proj(x), ours.key_proj(x), ours.value_proj(x), None, scaled_dot_score
    )
    output, heads = ours(x, x, x)
    torch.testing.assert_close(output, ours.out_proj(context), **EXACT)
    torch.testing.assert_close(heads, weights[:, None], **EXACT)


@MASKS
def test_the_block_is_torchs_encoder_layer_with_the_norm_first(axes):
    ours, x = make(TransformerBlock(HIDDEN, HEADS, FF, dropout=0.1)), draw(BATCH, SRC, HIDDEN)
    theirs = nn.TransformerEncoderLayer(
        HIDDEN, HEADS, FF, dropout=0.1, batch_first=True, norm_first=True, dtype=torch.float64
    ).eval()
    attention = ours.attention
    projections = [attention.query_proj.weight, attention.key_proj.weight, attention.value_proj.weight]
    state = {
        "self_attn.in_proj_weight": torch.cat(projections),
        "self_attn.in_proj_bias": torch.zeros(3 * HIDDEN, dtype=torch.float64),
        "self_attn.out_proj.weight": attention.out_proj.weight,
        "self_attn.out_proj.bias": torch.zeros(HIDDEN, dtype=torch.float64),
    }
    names = {
        "norm1": ours.attention_norm,
        "linear1": ours.ff_in,
        "linear2": ours.ff_out,
        "norm2": ours.ff_norm,
    }
    for name, part in names.items():
        state |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    theirs.load_state_dict(state)
    padding = torch.arange(SRC) < torch.tensor([[4], [2]])
    mask = {None: None, 2: padding, 3: causal_mask(SRC).expand(BATCH, -1, -1)}[axes]
    masks = {None: {}, 2: {"src_key_padding_mask": ~padding}, 3: {"src_mask": ~causal_mask(SRC)}}[axes]
    torch.testing.assert_close(ours(x, mask)[0], theirs(x, **masks), **EXACT)


def attending_to_oneself():
    """Each kind of attention as a function of (x, mask) alone."""
    matrices = [draw(HIDDEN, 3, seed=seed) / 8 for seed in (1, 2, 3)]
    heads, block = make(MultiHeadAttention(HIDDEN, HEADS)), make(TransformerBlock(HIDDEN, HEADS, FF, 0.1))
    return {
        "self_attention": lambda x, mask=None: self_attention(x, *matrices, mask),
        "MultiHeadAttention": lambda x, mask=None: heads(x, x, x, mask),
        "TransformerBlock": block,
    }


KINDS = pytest.mark.parametrize("kind", attending_to_oneself())


@KINDS
def test_under_a_causal_mask_a_later_word_changes_nothing_earlier(kind):
    attention, x = attending_to_oneself()[kind], draw(BATCH, SRC, HIDDEN)
    mask = causal_mask(SRC).expand(BATCH, -1, -1)
    before, _ = attention(x, mask)
    for changed in range(SRC):
        other = x.clone()
        other[:, changed] = draw(BATCH, HIDDEN, seed=9)
        after, weights = attention(other, mask)
        torch.testing.assert_close(after[:, :changed], before[:, :changed], **EXACT)
        assert not torch.isclose(after[:, changed:], before[:, changed:]).all(-1).any()
        assert (weights.triu(1) == 0).all()


@KINDS
def test_without_positions_a_shuffled_sentence_gives_the_same_words_shuffled(kind):
    attention, x = attending_to_oneself()[kind], draw(BATCH, SRC, HIDDEN)
    order = torch.tensor([3, 0, 4, 1, 2])
    before, weights = attention(x)
    after, shuffled = attention(x[:, order])
    torch.testing.assert_close(after, before[:, order], **EXACT)
    torch.testing.assert_close(shuffled, weights[..., order, :][..., order], **EXACT)
    placed = positional_encoding(SRC, HIDDEN + 1)[:, :HIDDEN]
    assert not torch.isclose(attention(x[:, order] + placed)[0], attention(x + placed)[0][:, order]).all()


@KINDS
def test_padding_changes_nothing(kind):
    attention, x = attending_to_oneself()[kind], draw(BATCH, SRC, HIDDEN)
    padded = torch.cat([x, draw(BATCH, 2, HIDDEN, seed=9)], dim=1)
    found, weights = attention(padded, (torch.arange(SRC + 2) < SRC).expand(BATCH, -1))
    torch.testing.assert_close(found[:, :SRC], attention(x)[0], **EXACT)
    assert (weights[..., SRC:] == 0).all()


@KINDS
def test_a_word_with_nothing_to_attend_to_gets_zeros_and_never_nan(kind):
    attention, x = attending_to_oneself()[kind], draw(BATCH, SRC, HIDDEN).requires_grad_()
    mask = causal_mask(SRC).tril(-1).expand(BATCH, -1, -1)  # the first word may look at nothing
    found, weights = attention(x, mask)
    assert (weights[..., 0, :] == 0).all() and found.isfinite().all()
    if kind != "TransformerBlock":  # a block adds to x what it found
        assert (found[:, 0] == 0).all()
    found.square().sum().backward()
    assert x.grad.isfinite().all()


def test_the_causal_mask_lets_each_word_look_back_and_at_itself():
    assert causal_mask(1).tolist() == [[True]]
    mask = causal_mask(SRC)
    assert mask.dtype == torch.bool and mask.shape == (SRC, SRC)
    assert all(bool(mask[t, s]) == (s <= t) for t in range(SRC) for s in range(SRC))


@pytest.mark.parametrize(("length", "hidden_dim"), [(1, 2), (5, 2), (53, 34)])
def test_positions_are_their_equation(length, hidden_dim):
    by_hand = [
        [
            (math.cos if column % 2 else math.sin)(p / 10_000 ** ((column - column % 2) / hidden_dim))
            for column in range(hidden_dim)
        ]
        for p in range(length)
    ]
    found = positional_encoding(length, hidden_dim)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(by_hand))


def test_how_alike_two_positions_are_depends_on_their_distance_alone():
    positions = positional_encoding(41, 26).double()
    alike = positions @ positions.T
    for distance in (0, 1, 7):
        diagonal = alike.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-5)


def test_dropout_acts_on_both_parts_in_training_and_on_none_afterwards():
    block, x = make(TransformerBlock(HIDDEN, HEADS, FF, dropout=1.0)), draw(BATCH, SRC, HIDDEN)
    found, weights = block.train()(x)
    torch.testing.assert_close(found, x, **EXACT)  # all that is found is dropped: what is left is x
    never = make(TransformerBlock(HIDDEN, HEADS, FF, dropout=0.0))
    for after, right in zip(block.eval()(x), never(x), strict=True):
        assert torch.equal(after, right)
    assert torch.equal(weights, block(x)[1])


@pytest.mark.parametrize(
    ("make_it", "message"),
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
def test_wrong_sizes_raise(make_it, message):
    with pytest.raises(ValueError, match=message):
        make_it()


@pytest.fixture(scope="module")
def encoded(copy_corpus):
    return EncodedCorpus(copy_corpus)


def make_translator(encoded, **sizes):
    torch.manual_seed(0)
    sizes = {"hidden_dim": 14, "heads": 7, "ff_dim": 11, **sizes}
    return Transformer(len(encoded.src_vocab), len(encoded.tgt_vocab), **sizes).eval()


def some_batch(encoded):
    """Five pairs of different lengths."""
    src = encoded.tokens("train", "src")
    return encoded.batch("train", sorted(range(20), key=lambda row: len(src[row]))[::4])


def test_the_decoders_block_is_torchs_decoder_layer_with_the_norm_first():
    ours = make(DecoderBlock(HIDDEN, HEADS, FF, dropout=0.1))
    x, states = draw(BATCH, TGT, HIDDEN), draw(BATCH, SRC, HIDDEN, seed=1)
    theirs = nn.TransformerDecoderLayer(
        HIDDEN, HEADS, FF, dropout=0.1, batch_first=True, norm_first=True, dtype=torch.float64
    ).eval()
    state = {}
    parts = {"self_attn": ours.self_attention, "multihead_attn": ours.cross_block.attention}
    for name, part in parts.items():
        projections = [part.query_proj.weight, part.key_proj.weight, part.value_proj.weight]
        state[f"{name}.in_proj_weight"] = torch.cat(projections)
        state[f"{name}.in_proj_bias"] = torch.zeros(3 * HIDDEN, dtype=torch.float64)
        state[f"{name}.out_proj.weight"] = part.out_proj.weight
        state[f"{name}.out_proj.bias"] = torch.zeros(HIDDEN, dtype=torch.float64)
    names = {
        "norm1": ours.self_norm,
        "norm2": ours.cross_block.attention_norm,
        "norm3": ours.cross_block.ff_norm,
        "linear1": ours.cross_block.ff_in,
        "linear2": ours.cross_block.ff_out,
    }
    for name, part in names.items():
        state |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    theirs.load_state_dict(state)
    mask = torch.arange(SRC) < torch.tensor([[4], [2]])
    wanted = theirs(x, states, tgt_mask=~causal_mask(TGT), memory_key_padding_mask=~mask)
    found, weights = ours(x, states, mask)
    torch.testing.assert_close(found, wanted, **EXACT)
    assert weights.shape == (BATCH, HEADS, TGT, SRC) and (weights[0, ..., 4:] == 0).all()


def test_a_translator_sees_neither_padding_nor_later_target_words(encoded):
    model, batch = make_translator(encoded), some_batch(encoded)
    logits, weights = model(batch.src, batch.src_lengths, batch.tgt_in)
    assert logits.shape == (*batch.tgt_in.shape, len(encoded.tgt_vocab))
    assert weights.shape == (*batch.tgt_in.shape, batch.src.shape[1])
    assert torch.allclose(weights.sum(-1), torch.ones(batch.tgt_in.shape), atol=1e-6)
    i = int(batch.src_lengths.argmin())
    length = int(batch.src_lengths[i])
    alone, _ = model(batch.src[i : i + 1, :length], batch.src_lengths[i : i + 1], batch.tgt_in[i : i + 1, :2])
    assert torch.allclose(logits[i, :2], alone[0], atol=1e-5)


def test_steps_one_by_one_equal_the_whole(encoded):
    """Also with two hypotheses per sentence that change places, and after sentences were dropped."""
    model, batch = make_translator(encoded), some_batch(encoded)
    kept = torch.tensor([0, 2, 4])
    tgt_in = torch.randint(4, len(encoded.tgt_vocab), (6, 6), generator=torch.Generator().manual_seed(0))
    rows = kept.repeat_interleave(2)
    whole, maps = model(batch.src[rows], batch.src_lengths[rows], tgt_in)
    state = model.start(batch.src, batch.src_lengths).select(kept, torch.zeros(3, 2, dtype=torch.long))
    order = torch.arange(6).view(3, 2)
    for i in range(tgt_in.shape[1]):
        logits, state, weights = model.step(tgt_in[order, i], state)
        torch.testing.assert_close(logits, whole[order, i], rtol=0, atol=1e-5)
        torch.testing.assert_close(weights, maps[order, i], rtol=0, atol=1e-6)
        order, state = order.flip(1), state.select(None, torch.tensor([[1, 0]] * 3))


def test_greedy_writes_what_is_likeliest_after_what_it_wrote(encoded):
    model, batch = make_translator(encoded), some_batch(encoded)
    ids, weights = model.greedy(batch.src, batch.src_lengths, max_len=6)
    assert ids.shape[1] <= 6 and weights.shape == (*ids.shape, batch.src.shape[1])
    begin = batch.tgt_in[:, :1]
    logits, again = model(batch.src, batch.src_lengths, torch.cat([begin, ids[:, :-1]], dim=1))
    logits[..., [PAD_ID, BOS_ID]] = -torch.inf
    written = (ids == EOS_ID).cumsum(1) - (ids == EOS_ID).int() == 0  # up to the end token
    assert torch.equal(logits.argmax(-1)[written], ids[written])
    assert torch.allclose(weights[written], again[written], atol=1e-6)
    model.out.bias.data[EOS_ID] = 1e6
    assert model.greedy(batch.src, batch.src_lengths, max_len=6)[0].tolist() == [[EOS_ID]] * 5


def test_a_translator_learns_with_the_tools_of_the_recurrent_ones(encoded):
    model = make_translator(encoded, hidden_dim=32, heads=2, ff_dim=32, layers=1)
    history = train(model, encoded, 120, batch_tokens=400, learning_rate=1e-2, progress=False)
    assert history.rows[-1]["valid_loss"] < 0.5 * history.rows[0]["valid_loss"]
    (done,) = translate(model, encoded, [["a", "b", "c"]])
    assert done.weights.shape == (len(done.tokens) + 1, 4)
    maps = forced_weights(model, encoded, "valid")
    tokens = [encoded.tokens("valid", side)[0] for side in ("tgt", "src")]
    assert maps[0].shape == tuple(map(len, tokens))
