"""What holds for every translator, recurrent or not."""

import math
from functools import partial

import pytest
import torch

from utils.data import load_questions
from utils.models import (
    CONTEXTS,
    EMBEDDING_STD,
    RECURRENT,
    Encoder,
    Seq2Seq,
    TiedEmbedding,
    forced_weights,
    translate,
)
from utils.text import BOS_ID, EOS_ID, PAD_ID, EncodedCorpus
from utils.training import sequence_loss, validation_loss
from utils.transformer import Transformer

KINDS = pytest.mark.parametrize("kind", [*RECURRENT, "transformer"])


def make(encoded, kind, seed=0, dropout=0.0):
    torch.manual_seed(seed)
    vocab_sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    if kind == "transformer":
        return Transformer(*vocab_sizes, 14, heads=7, ff_dim=11, dropout=dropout).eval()
    return Seq2Seq(*vocab_sizes, kind, embed_dim=7, hidden_dim=10, dropout=dropout).eval()


def output_layer(model):
    return model.out if isinstance(model, Transformer) else model.decoder.out


@pytest.fixture(scope="module")
def batch(encoded):
    """Five pairs of different lengths."""
    src = encoded.tokens("train", "src")
    rows = sorted(range(20), key=lambda row: len(src[row]))[::4]
    assert len({len(src[row]) for row in rows}) > 1
    return encoded.batch("train", rows)


@KINDS
def test_weights_are_distributions_over_the_real_source_tokens(encoded, batch, kind):
    logits, weights = make(encoded, kind)(batch.src, batch.src_lengths, batch.tgt_in)
    assert logits.shape == (*batch.tgt_in.shape, len(encoded.tgt_vocab))
    if kind in ("initial", "fixed"):
        assert weights is None
    else:
        assert weights.shape == (*batch.tgt_in.shape, batch.src.shape[1])
        torch.testing.assert_close(weights.sum(-1), torch.ones(batch.tgt_in.shape))
        assert (weights[(batch.src == PAD_ID)[:, None].expand_as(weights)] == 0).all()


@KINDS
def test_padding_changes_nothing(encoded, batch, kind):
    """A sentence has the same logits alone and padded in a batch."""
    model, i = make(encoded, kind), int(batch.src_lengths.argmin())
    one, length = slice(i, i + 1), int(batch.src_lengths[i])
    together, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    alone, _ = model(batch.src[one, :length], batch.src_lengths[one], batch.tgt_in[one])
    torch.testing.assert_close(together[one], alone, rtol=0, atol=1e-5)


@KINDS
def test_no_step_sees_a_later_target_token(encoded, batch, kind):
    model, changed = make(encoded, kind), batch.tgt_in.clone()
    changed[:, 2:] = 4
    before, after = (model(batch.src, batch.src_lengths, ids)[0] for ids in (batch.tgt_in, changed))
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert not torch.isclose(before[:, 2:], after[:, 2:]).all()


@KINDS
def test_steps_of_a_search_equal_teacher_forcing(encoded, batch, kind):
    """Two hypotheses per sentence, which change places, and two sentences that leave."""
    model, kept = make(encoded, kind), torch.tensor([0, 2, 4])
    tgt_in = torch.randint(4, len(encoded.tgt_vocab), (5, 2, 6), generator=torch.Generator().manual_seed(0))
    rows = batch.src.repeat_interleave(2, 0), batch.src_lengths.repeat_interleave(2), tgt_in.flatten(0, 1)
    expected = [part if part is None else part.unflatten(0, (5, 2)) for part in model(*rows)]
    state = model.start(batch.src, batch.src_lengths).select(None, torch.zeros(5, 2, dtype=torch.long))
    for i in range(6):
        logits, state, weights = model.step(tgt_in[:, :, i], state)
        for found, whole in zip((logits, weights), expected, strict=True):
            assert found is whole is None or torch.allclose(found, whole[:, :, i], atol=1e-5)
        if i == 2:
            state = state.select(kept, torch.tensor([[1, 0]] * 3))
            tgt_in, *expected = (x if x is None else x[kept].flip(1) for x in (tgt_in, *expected))


@pytest.mark.parametrize("kind", RECURRENT)
def test_decoding_token_by_token_equals_one_call(encoded, batch, kind):
    model = make(encoded, kind)
    whole, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    encoder_states, state, mask = model.encode(batch.src, batch.src_lengths)
    for i, token in enumerate(batch.tgt_in.split(1, dim=1)):
        logits, state, _ = model.decode(token, state, encoder_states, mask)
        torch.testing.assert_close(logits, whole[:, i : i + 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_context_sees_its_part_of_the_source(encoded, batch, kind):
    """Nothing, the last state of each direction, or all states of real tokens."""
    model, half, rows = make(encoded, kind), 5, torch.arange(5)
    encoder_states, state, mask = model.encode(batch.src, batch.src_lengths)
    encoder_states, state = encoder_states.detach().requires_grad_(), state.detach().requires_grad_()
    model.decode(batch.tgt_in, state, encoder_states, mask)[0].square().sum().backward()
    expected = torch.zeros_like(encoder_states, dtype=torch.bool)
    if kind == "fixed":
        expected[rows, batch.src_lengths - 1, :half] = expected[:, 0, half:] = True
    elif kind != "initial":
        expected[mask] = True
    seen = expected & False if encoder_states.grad is None else encoder_states.grad != 0
    assert torch.equal(seen, expected) and (state.grad != 0).all()
    assert (model.decoder.combine.weight.grad[:, :10] == 0).all() == (kind == "initial")


def test_contexts_differ_only_in_the_parameters_of_their_score(encoded):
    score = {"multiplicative": 10 * 10, "additive": 2 * 10 * 10 + 10}
    counts = [
        sum(p.numel() for p in make(encoded, context).parameters()) - score.get(context, 0)
        for context in CONTEXTS
    ]
    assert len(set(counts)) == 1


@pytest.mark.parametrize("kind", ["additive", "bahdanau", "transformer"])
def test_tied_embeddings_are_one_matrix(encoded, batch, kind):
    """The tokens of this corpus have no common vocabulary, so its ids stand for those of one."""
    size = max(len(encoded.src_vocab), len(encoded.tgt_vocab))
    recurrent = partial(Seq2Seq, context=kind, embed_dim=8)
    make = partial(Transformer, heads=2) if kind == "transformer" else recurrent
    tied, free = (make(size, size, hidden_dim=8, tied=tied) for tied in (True, False))
    saved = sum(p.numel() for p in free.parameters()) - sum(p.numel() for p in tied.parameters())
    assert saved == 2 * size * 8
    embedding = next(part for part in tied.modules() if isinstance(part, TiedEmbedding))
    assert output_layer(tied).weight is embedding.weight
    ids = torch.tensor([[5, PAD_ID]])
    assert torch.equal(embedding(ids), embedding.weight[ids] * 8**0.5)
    logits, _ = tied(batch.src, batch.src_lengths, batch.tgt_in)
    assert 0.1 < logits.std() < 3, "neither blind nor sure before training"
    with pytest.raises(ValueError, match="encode the corpus with shared=True"):
        make(size, size + 1, hidden_dim=8, tied=True)


def test_a_tied_recurrent_model_has_one_size():
    with pytest.raises(ValueError, match="embed_dim 4 must equal hidden_dim 8"):
        Seq2Seq(9, 9, "dot", embed_dim=4, hidden_dim=8, tied=True)


@KINDS
def test_every_parameter_learns(encoded, batch, kind):
    model = make(encoded, kind)
    sequence_loss(model(batch.src, batch.src_lengths, batch.tgt_in)[0], batch.tgt_out).backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unused == []


@KINDS
def test_initial_parameters(encoded, kind):
    model, again, other = (make(encoded, kind, seed) for seed in (0, 0, 1))
    for (name, p), twin, stranger in zip(
        model.named_parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(p, twin) and (p.dim() == 1 or not torch.equal(p, stranger))
        if p.dim() == 1:
            assert (p == (1 if "norm.weight" in name else 0)).all(), name
        elif "embedding" in name:
            assert (p[PAD_ID] == 0).all() and p[1:].std().item() == pytest.approx(EMBEDDING_STD, rel=0.3)
        for gate in p.chunk(3 if "_ih" in name or "_hh" in name else 1):
            if "weight_hh" in name:
                torch.testing.assert_close(gate @ gate.T, torch.eye(len(gate)), rtol=0, atol=1e-5)
            elif p.dim() > 1 and "embedding" not in name:
                assert 0.5 < gate.abs().max() / math.sqrt(6 / sum(gate.shape)) <= 1, name


@pytest.mark.parametrize("beam_size", [1, 3])
@KINDS
def test_a_search_never_writes_padding_or_a_begin_token(encoded, batch, kind, beam_size):
    model = make(encoded, kind)
    output_layer(model).bias.data[[PAD_ID, BOS_ID]] = 99.0
    output_layer(model).bias.data[EOS_ID] = -99.0
    found = model.search(batch.src, batch.src_lengths, 6, beam_size)
    assert found.ids.shape == (5, 6) and not ((found.ids == PAD_ID) | (found.ids == BOS_ID)).any()
    tgt_in = torch.cat([torch.full((5, 1), BOS_ID), found.ids[:, :-1]], dim=1)
    logits, forced = model(batch.src, batch.src_lengths, tgt_in)
    assert found.weights is forced is None or torch.allclose(found.weights, forced, atol=1e-6)
    if beam_size == 1:
        logits[..., [PAD_ID, BOS_ID]] = -math.inf
        assert torch.equal(logits.argmax(-1), found.ids)
    output_layer(model).bias.data[EOS_ID] = 1e4
    assert model.greedy(batch.src, batch.src_lengths, max_len=6)[0].tolist() == [[EOS_ID]] * 5


@pytest.mark.parametrize("beam_size", [1, 3])
@KINDS
def test_translations_do_not_depend_on_their_batch(encoded, kind, beam_size):
    """The order is that of the sentences. Maps have a row per token and one for the end token, unless cut."""
    model = make(encoded, kind, seed=1)
    for parameter in (*model.parameters(), output_layer(model).weight):
        parameter.data *= 3  # translations then depend more on the sentence
    output_layer(model).bias.data[EOS_ID] = 1.0
    sentences = [["a", "b", "c", "d", "e"], ["b"], ["c", "unheard-of", "a"], *encoded.tokens("valid", "src")]
    together = translate(model, encoded, sentences, max_len=8, batch_size=20, beam_size=beam_size)
    for sentence, found in zip(sentences, together, strict=True):
        (alone,) = translate(model, encoded, [sentence], max_len=8, beam_size=beam_size)
        assert found.src_tokens == sentence and found.tokens == alone.tokens
        if found.weights is None:
            assert alone.weights is None and kind in ("initial", "fixed")
        else:
            torch.testing.assert_close(found.weights, alone.weights, rtol=0, atol=1e-5)
            assert found.weights.shape == (min(len(found.tokens) + 1, 8), len(sentence) + 1)
            torch.testing.assert_close(found.weights.sum(-1), torch.ones(len(found.weights)))
    lengths = {len(found.tokens) for found in together}
    assert 8 in lengths and len(lengths) > 1


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("kind", ["initial", "additive", "bahdanau"])
def test_a_decoder_only_needs_forward(encoded, kind, beam_size):
    """A module in the place of a decoder is called with a row per hypothesis."""
    model, sentences = make(encoded, kind), encoded.tokens("valid", "src")[:6]
    output_layer(model).weight.data *= 8
    expected = translate(model, encoded, sentences, max_len=9, beam_size=beam_size)
    own, model.decoder = model.decoder, torch.nn.Module()
    model.decoder.forward = own.forward
    found = translate(model, encoded, sentences, max_len=9, beam_size=beam_size)
    for one, other in zip(found, expected, strict=True):
        assert one.tokens == other.tokens
        assert one.weights is other.weights is None or torch.allclose(one.weights, other.weights, atol=1e-6)
    encode = model.encode
    model.encode = lambda *args: (*encode(*args)[:2], None)  # no padding, so no mask
    (same,) = translate(model, encoded, sentences[:1], max_len=9, beam_size=beam_size)
    assert same.tokens == found[0].tokens


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("kind", ["multiplicative", "additive", "bahdanau"])
def test_a_search_projects_the_keys_once(encoded, batch, kind, beam_size, monkeypatch):
    model, calls = make(encoded, kind), []
    score = type(model.decoder.score)
    project = score.project_keys
    monkeypatch.setattr(score, "project_keys", lambda self, keys: calls.append(keys) or project(self, keys))
    model.search(batch.src, batch.src_lengths, 5, beam_size)
    assert len(calls) == 1


@pytest.mark.parametrize("kind", ["scaled", "bahdanau", "transformer"])
def test_forced_weights_have_a_row_per_reference_token(encoded, kind):
    weights = forced_weights(make(encoded, kind), encoded, "valid")
    sides = (encoded.tokens("valid", side) for side in ("tgt", "src"))
    for found, *tokens in zip(weights, *sides, strict=True):
        assert found.shape == tuple(map(len, tokens)) and (found.sum(-1) <= 1 + 1e-6).all()


def test_forced_weights_include_the_prompt():
    corpus = load_questions(train=20, valid=5, test=0)
    plain, prompted = EncodedCorpus(corpus), EncodedCorpus(corpus, prompt_end="?")
    model = make(plain, "dot")
    pairs = zip(*(forced_weights(model, encoded, "valid") for encoded in (plain, prompted)), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_restores_the_mode_of_the_model(encoded, training):
    """Also after an exception. Dropout is off in between."""
    model, modes = make(encoded, "dot", dropout=0.5).train(training), []
    calls = (
        lambda: translate(model, encoded, [["a", "b"]], max_len=5)[0].weights.tolist(),
        lambda: forced_weights(model, encoded, "valid")[0].tolist(),
        lambda: validation_loss(model, encoded),
    )
    for call in calls:
        assert call() == call() and model.training == training

    def fail(*_):
        modes.append((model.training, torch.is_grad_enabled()))
        raise RuntimeError("failed")

    model.encode = fail
    for call in calls:
        with pytest.raises(RuntimeError, match="failed"):
            call()
        assert model.training == training and torch.is_grad_enabled()
    assert modes == [(False, False)] * 3


@pytest.mark.parametrize("text", ["a b", ["a b"], [["a"], "b"]])
def test_text_in_place_of_tokens_raises(encoded, text):
    with pytest.raises(ValueError, match=r"encoded.tokenize\(sentence\)"):
        translate(make(encoded, "dot"), encoded, text)


@pytest.mark.parametrize("sizes", [{"max_len": 0}, {"max_len": -1}, {"batch_size": 0}, {"beam_size": -2}])
def test_sizes_below_one_raise(encoded, sizes):
    with pytest.raises(ValueError, match="must be at least 1"):
        translate(make(encoded, "dot"), encoded, [["a"]], **sizes)


def test_errors_say_what_was_expected(encoded):
    with pytest.raises(ValueError, match="expected a context out of initial, fixed, dot"):
        make(encoded, "magic")
    with pytest.raises(ValueError, match="expected an even number, for two directions, got 9"):
        Encoder(10, 4, 9, 0)
    with pytest.raises(ValueError, match="has no attention"):
        forced_weights(make(encoded, "fixed"), encoded, "valid")


def test_no_sentences_have_no_translations(encoded):
    assert translate(make(encoded, "dot"), encoded, []) == []
