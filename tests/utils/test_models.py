import pytest
import torch

from utils.data import load_questions
from utils.models import ATTENTIONS, Encoder, Seq2Seq, forced_weights, translate
from utils.text import BOS_ID, EOS_ID, EncodedCorpus
from utils.training import sequence_loss

ATTENDING = [name for name in ATTENTIONS if name != "none"]


@pytest.fixture(scope="module")
def encoded(copy_corpus):
    return EncodedCorpus(copy_corpus)


def make(encoded, attention, **sizes):
    torch.manual_seed(0)
    sizes = {"embed_dim": 7, "hidden_dim": 10, **sizes}
    return Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, **sizes).eval()


def some_batch(encoded):
    """Five pairs of different lengths."""
    src = encoded.tokens("train", "src")
    rows = sorted(range(20), key=lambda row: len(src[row]))[::4]
    assert len({len(src[row]) for row in rows}) > 1
    return encoded.batch("train", rows)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_shapes_and_weights(encoded, attention):
    model, batch = make(encoded, attention), some_batch(encoded)
    logits, weights = model(batch.src, batch.src_lengths, batch.tgt_in)
    assert logits.shape == (*batch.tgt_in.shape, len(encoded.tgt_vocab))
    if attention == "none":
        assert weights is None
    else:
        assert weights.shape == (*batch.tgt_in.shape, batch.src.shape[1])
        assert torch.allclose(weights.sum(-1), torch.ones(batch.tgt_in.shape), atol=1e-6)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_padding_changes_nothing(encoded, attention):
    """A sentence gives the same logits alone and padded in a batch."""
    model, batch = make(encoded, attention), some_batch(encoded)
    i = int(batch.src_lengths.argmin())
    length = int(batch.src_lengths[i])
    together, weights = model(batch.src, batch.src_lengths, batch.tgt_in)
    alone, _ = model(batch.src[i : i + 1, :length], batch.src_lengths[i : i + 1], batch.tgt_in[i : i + 1])
    assert torch.allclose(together[i], alone[0], atol=1e-5)
    if weights is not None:
        assert (weights[i, :, length:] == 0).all()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_steps_one_by_one_equal_the_whole(encoded, attention):
    """Running the decoder a token at a time gives what the call over all steps gives."""
    model, batch = make(encoded, attention), some_batch(encoded)
    whole, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    encoder_states, decoder_state, src_mask = model.encode(batch.src, batch.src_lengths)
    steps = []
    for token in batch.tgt_in.split(1, dim=1):
        logits, decoder_state, _ = model.decode(token, decoder_state, encoder_states, src_mask)
        steps.append(logits)
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-5)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_no_step_sees_a_later_target_token(encoded, attention):
    model, batch = make(encoded, attention), some_batch(encoded)
    before, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    changed = batch.tgt_in.clone()
    changed[:, 2:] = 4
    after, _ = model(batch.src, batch.src_lengths, changed)
    assert torch.equal(before[:, :2], after[:, :2]) and not torch.allclose(before[:, 2:], after[:, 2:])


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_parameter_learns(encoded, attention):
    model, batch = make(encoded, attention), some_batch(encoded)
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    sequence_loss(logits, batch.tgt_out).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_only_attention_sees_single_words(encoded):
    """Encoder states beyond the final one reach the logits with attention, and not without."""
    batch = some_batch(encoded)
    for attention in ATTENTIONS:
        model = make(encoded, attention)
        encoder_states, decoder_state, src_mask = model.encode(batch.src, batch.src_lengths)
        args = batch.tgt_in, decoder_state
        before = model.decode(*args, encoder_states, src_mask)[0]
        after = model.decode(*args, encoder_states.roll(1, 1) + 1, src_mask)[0]
        assert torch.equal(before, after) == (attention == "none")


@pytest.mark.parametrize("attention", ["none", "multiplicative", "bahdanau"])
def test_greedy_takes_the_likeliest_token_and_stops(encoded, attention):
    model, batch = make(encoded, attention), some_batch(encoded)
    ids, weights = model.greedy(batch.src, batch.src_lengths, max_len=6)
    assert ids.shape[1] <= 6
    tgt_in = torch.cat([torch.full((len(ids), 1), 1), ids[:, :-1]], 1)
    logits, forced = model(batch.src, batch.src_lengths, tgt_in)
    assert torch.equal(logits.argmax(-1), ids)
    assert weights is None or torch.allclose(weights, forced, atol=1e-6)
    with torch.no_grad():
        model.decoder.out.bias[EOS_ID] = 1e4
    assert model.greedy(batch.src, batch.src_lengths, max_len=6)[0].tolist() == [[EOS_ID]] * len(ids)


def test_translations_come_in_the_order_given_with_their_own_weights(encoded):
    model = make(encoded, "dot")
    sentences = [["a", "b", "c", "d", "e"], ["b"], ["c", "unheard-of", "a"]]
    together = translate(model, encoded, sentences, max_len=8, batch_size=2)
    for sentence, got in zip(sentences, together, strict=True):
        alone = translate(model, encoded, [sentence], max_len=8)[0]
        assert got.src_tokens == sentence and got.tokens == alone.tokens
        steps = min(len(got.tokens) + 1, 8)
        assert got.weights.shape == (steps, len(sentence) + 1)
        assert torch.allclose(got.weights, alone.weights, atol=1e-6)


@pytest.mark.parametrize("attention", ["scaled", "bahdanau"])
def test_forced_weights_have_a_row_for_each_reference_token(encoded, attention):
    model = make(encoded, attention)
    weights = forced_weights(model, encoded, "valid")
    for w, src, tgt in zip(
        weights, encoded.tokens("valid", "src"), encoded.tokens("valid", "tgt"), strict=True
    ):
        assert w.shape == (len(tgt), len(src)) and (w.sum(-1) <= 1 + 1e-6).all()
    with pytest.raises(ValueError, match="no attention"):
        forced_weights(make(encoded, "none"), encoded, "valid")


def test_forced_weights_have_a_row_for_each_word_of_a_prompt():
    corpus = load_questions(train=20, valid=5, test=0)
    plain, prompted = EncodedCorpus(corpus), EncodedCorpus(corpus, prompt_end="?")
    model = make(plain, "dot")
    pairs = zip(*(forced_weights(model, encoded, "valid") for encoded in (plain, prompted)), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_errors_say_what_to_do(encoded):
    with pytest.raises(ValueError, match="one of none, dot"):
        make(encoded, "magic")
    with pytest.raises(ValueError, match="make it even, not 9"):
        Encoder(10, 4, 9, 0)
    model = make(encoded, "dot")
    for text in ("a b", ["a b"], [["a"], "b"]):
        with pytest.raises(ValueError, match=r"encoded.tokenize\(sentence\)"):
            translate(model, encoded, text)
    for sizes in ({"max_len": 0}, {"max_len": -1}, {"batch_size": 0}, {"batch_size": -2}):
        with pytest.raises(ValueError, match="at least 1"):
            translate(model, encoded, [["a"]], **sizes)
    assert translate(model, encoded, []) == []


@pytest.mark.parametrize("what", ["decoder", "decode"])
def test_a_decoder_in_the_place_of_another_need_not_know_of_shared_sources(encoded, what):
    """It is called with ids, state, encoder states and mask, a row for each hypothesis."""
    sentences = encoded.tokens("valid", "src")[:6]
    model = make(encoded, "additive")
    expected = translate(model, encoded, sentences, beam_size=3)
    own, calls = getattr(model, what), []

    def forward(tgt_in, decoder_state, encoder_states, src_mask):
        calls.append(len(tgt_in))
        assert len(tgt_in) == len(decoder_state) == len(encoder_states) == len(src_mask)
        return own(tgt_in, decoder_state, encoder_states, src_mask)

    if what == "decoder":
        model.decoder = torch.nn.Module()
        model.decoder.forward = forward
    else:
        model.decode = forward
    found = translate(model, encoded, sentences, beam_size=3)
    assert max(calls) > len(sentences)
    assert [done.tokens for done in found] == [done.tokens for done in expected]
    pairs = zip(found, expected, strict=True)
    assert all(torch.allclose(one.weights, other.weights, atol=1e-6) for one, other in pairs)


@pytest.mark.parametrize("attention", ["multiplicative", "additive", "bahdanau"])
def test_greedy_search_projects_the_keys_once_and_leaves_no_trace(attention, monkeypatch):
    torch.manual_seed(0)
    model = Seq2Seq(11, 13, attention, embed_dim=4, hidden_dim=6).eval()
    model.decoder.out.bias.data[EOS_ID] = -99.0  # it never ends
    kind, calls = type(model.decoder.score), []
    project = kind.project_keys
    monkeypatch.setattr(kind, "project_keys", lambda self, keys: calls.append(keys) or project(self, keys))
    src, src_lengths = torch.tensor([[5, 6, 7], [8, 4, 0]]), torch.tensor([3, 2])
    ids, weights = model.greedy(src, src_lengths, 5)
    assert len(calls) == 1 and ids.shape[1] == 5
    again, _ = model.greedy(src.flip(1), torch.tensor([3, 3]), 5)
    assert len(calls) == 2, "other keys are projected anew"
    tgt_in = torch.cat([torch.full((2, 1), BOS_ID), ids[:, :-1]], 1)
    logits, forced = model(src, src_lengths, tgt_in)
    assert torch.equal(logits.argmax(-1), ids)
    torch.testing.assert_close(forced, weights)
