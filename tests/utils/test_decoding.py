from itertools import product

import pytest
import torch

from utils.decoding import Shared, beam_search, beam_search_batch, greedy_search
from utils.models import Seq2Seq, translate
from utils.text import BOS_ID, EOS_ID, encoded_reviews, pad
from utils.transformer import Transformer

BOS, EOS = 0, 1


def machine(seed, vocab=4, nodes=5):
    """A step that walks from node to node by tokens, and its tables. Begin tokens are next to impossible."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(nodes, vocab, generator=generator, dtype=torch.float64) * 1.5
    logits[:, BOS] = -60
    log_probs = logits.log_softmax(-1)
    goes_to = torch.randint(nodes, (nodes, vocab), generator=generator)

    def step(tokens, state):
        (node,) = state
        assert tokens.shape == node.shape
        node = goes_to[node, tokens]
        return log_probs[node], (node,)

    return step, log_probs, goes_to


def search(seed, beam_size, max_len, penalty):
    return beam_search(machine(seed)[0], (torch.tensor([0]),), BOS, EOS, beam_size, max_len, penalty)


def score_of(ids, seed, penalty):
    """The score of a finished hypothesis, token by token."""
    _, log_probs, goes_to = machine(seed)
    node, total = goes_to[0, BOS], 0.0
    for token in [*ids, EOS]:
        total += log_probs[node, token].item()
        node = goes_to[node, token]
    return total / (len(ids) + 1) ** penalty


def best_of_all(seed, max_len, penalty):
    """The best of all finished hypotheses that max_len allows, by trying each."""
    every = (list(ids) for length in range(max_len) for ids in product((2, 3), repeat=length))
    return max(every, key=lambda ids: score_of(ids, seed, penalty))


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(10))
def test_a_beam_that_holds_everything_finds_the_best_of_all(seed, penalty):
    ids, score = search(seed, beam_size=4**4, max_len=4, penalty=penalty)
    assert ids == best_of_all(seed, 4, penalty)
    assert score == pytest.approx(score_of(ids, seed, penalty), abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_of_one_is_greedy(seed):
    _, log_probs, goes_to = machine(seed)
    node, ids = goes_to[0, BOS], []
    while len(ids) < 12:
        ids.append(log_probs[node].argmax().item())
        if ids[-1] == EOS:
            break
        node = goes_to[node, ids[-1]]
    assert search(seed, 1, 12, 0.7)[0] == [i for i in ids if i != EOS]


@pytest.mark.parametrize("seed", range(20))
def test_no_beam_is_better_than_the_best_of_all_and_every_score_is_its_hypothesis_own(seed):
    best = score_of(best_of_all(seed, 5, 1.0), seed, 1.0)
    for beam_size in (2, 3, 5, 8):
        ids, score = search(seed, beam_size, 5, 1.0)
        if len(ids) < 5:  # it has finished
            assert score <= best + 1e-6
            assert score == pytest.approx(score_of(ids, seed, 1.0), abs=1e-6)


def tree(*, first, after):
    """A step whose first token is drawn from `first` and every later one from `after` of the token before."""

    def step(tokens, state):
        rows = [first if token == BOS else after[token] for token in tokens.tolist()]
        return torch.tensor(rows, dtype=torch.float64).log(), state

    return step, (torch.zeros(1, 1),)


def test_greedy_misses_what_two_places_find():
    step, state = tree(first=[0, 0.1, 0.5, 0.4], after={2: [0, 0.4, 0.3, 0.3], 3: [0, 0.9, 0.05, 0.05]})
    ids, score = beam_search(step, state, BOS, EOS, 1, 5, 0.0)
    assert ids == [2] and score == pytest.approx(torch.tensor(0.5 * 0.4).log().item())
    ids, score = beam_search(step, state, BOS, EOS, 2, 5, 0.0)
    assert ids == [3] and score == pytest.approx(torch.tensor(0.4 * 0.9).log().item())


def test_the_penalty_decides_between_short_and_long():
    step, state = tree(first=[0, 0.4, 0.6, 0], after={2: [0, 0, 0, 1], 3: [0, 0.5, 0.5, 0]})
    assert beam_search(step, state, BOS, EOS, 2, 9, 0.0)[0] == []  # 0.4 against 0.6 * 0.5
    ids, score = beam_search(step, state, BOS, EOS, 2, 9, 1.0)
    assert ids == [2, 3] and score == pytest.approx(torch.tensor(0.3).log().item() / 3)


def test_unfinished_hypotheses_count_only_where_none_has_finished():
    step, state = tree(first=[0, 0.1, 0.9, 0], after={2: [0, 0.01, 0.99, 0]})
    assert beam_search(step, state, BOS, EOS, 2, 3, 0.0)[0] == []  # 0.1, though the other has 0.88
    ids, score = beam_search(step, state, BOS, EOS, 1, 3, 1.0)
    assert ids == [2, 2, 2]
    assert score == pytest.approx(torch.tensor(0.9 * 0.99**2).log().item() / 3)


def test_a_finished_hypothesis_keeps_its_place():
    calls = []
    step, state = tree(first=[0, 0.6, 0.3, 0.1], after={2: [0, 0.2, 0.4, 0.4], 3: [0, 0.5, 0.25, 0.25]})

    def counting(tokens, state):
        calls.append(tokens.tolist())
        return step(tokens, state)

    beam_search(counting, state, BOS, EOS, 3, 3, 0.0)
    assert calls[:2] == [[BOS], [2, 3]]  # three places, of which one is finished
    assert all(len(tokens) <= 2 for tokens in calls[1:])


def test_sizes_that_make_no_sense_are_refused():
    step, state = tree(first=[0, 1, 0, 0], after={})
    for beam_size, max_len in ((0, 5), (2, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            beam_search(step, state, BOS, EOS, beam_size, max_len, 0.0)


@pytest.mark.parametrize("search", [beam_search, beam_search_batch])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_probabilities_that_are_not_numbers_are_told(search, beam_size):
    calm, tables, _ = machine(0)

    def step(tokens, state):
        log_probs, (node, steps) = calm(tokens, state[:1])[0], (state[0], state[1] + 1)
        return log_probs.masked_fill(steps.unsqueeze(1) > 2, torch.nan), (node, steps)

    state = torch.tensor([0]), torch.tensor([0])
    with pytest.raises(ValueError, match="the model's probabilities are not numbers"):
        search(step, state, BOS, tables.shape[1], beam_size, 5, 1.0)  # it cannot end


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize(("beam_size", "max_len"), [(1, 9), (2, 1), (3, 9), (5, 4), (70, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_many_sentences_at_once_are_each_searched_as_one(seed, beam_size, max_len, penalty):
    """Sentences begin at different nodes, so that they end at different times."""
    step, nodes = machine(seed)[0], torch.tensor([0, 3, 1, 4, 0, 2])
    together = beam_search_batch(step, (nodes,), BOS, EOS, beam_size, max_len, penalty)
    assert together[0] == together[4]
    for node, (ids, score) in zip(nodes, together, strict=True):
        alone = beam_search(step, (node[None],), BOS, EOS, beam_size, max_len, penalty)
        assert ids == alone[0] and score == pytest.approx(alone[1], abs=1e-5)
    with pytest.raises(ValueError, match="at least 1"):
        beam_search_batch(step, (nodes,), BOS, EOS, 0, max_len, penalty)


def showing_its_node(seed):
    """The machine's step, which shows the node that each hypothesis has come to."""
    step = machine(seed)[0]

    def showing(tokens, state):
        log_probs, state = step(tokens, state)
        return log_probs, state, state[0]

    return showing


def path(ids, node, seed):
    """The nodes that a sentence comes to, from the begin token on."""
    nodes, goes_to = [], machine(seed)[2]
    for token in [BOS, *ids]:
        node = goes_to[node, token].item()
        nodes.append(node)
    return nodes


@pytest.mark.parametrize("seed", range(10))
def test_a_greedy_search_of_many_sentences_is_that_of_each(seed):
    """Some end early, and leave when they are half of all: what is written and shown stays in its row."""
    nodes = torch.tensor([0, 3, 1, 4, 0, 2])
    ids, shown = greedy_search(showing_its_node(seed), (nodes,), BOS, EOS, 12)
    assert ids.shape == shown.shape and ids.shape[1] <= 12
    for node, row, seen in zip(nodes, ids.tolist(), shown.tolist(), strict=True):
        alone, _ = beam_search(machine(seed)[0], (node[None],), BOS, EOS, 1, 12, 0.0)
        length = min(len(alone) + 1, 12)
        assert row[:length] == [*alone, EOS][:length]
        assert seen[:length] == path(alone, node, seed)[:length]
    ids, shown = greedy_search(machine(seed)[0], (nodes,), BOS, EOS, 3)
    assert ids.shape[1] <= 3 and shown is None


def test_sentences_that_have_ended_leave_a_greedy_search():
    rows, lengths = [], torch.tensor([1, 2, 3, 9, 1])

    def step(tokens, state):
        rows.append(len(tokens))
        left = state[0] - 1
        return torch.stack([left * 0 - 1, 1 - left, left], dim=1), (
            left,
        )  # the end at 0, then something else

    ids, _ = greedy_search(step, (lengths,), BOS, EOS, 9)
    assert rows == [5, 5, 2, 1, 1, 1, 1, 1, 1]
    assert [row.index(EOS) + 1 for row in ids.tolist()] == lengths.tolist()


@pytest.mark.parametrize("seed", range(10))
def test_a_beam_shows_what_the_steps_of_its_best_hypothesis_showed(seed):
    nodes = torch.tensor([0, 3, 1, 4, 0, 2])
    plain = beam_search_batch(machine(seed)[0], (nodes,), BOS, EOS, 3, 9, 1.0)
    found = beam_search_batch(showing_its_node(seed), (nodes,), BOS, EOS, 3, 9, 1.0)
    assert [(ids, score) for ids, score, _ in found] == plain
    for node, (ids, _, shown) in zip(nodes, found, strict=True):
        assert shown.tolist() == path(ids, node, seed)[:9]


def test_shared_rows_are_indexed_like_rows_and_copied_only_when_half_are_left():
    rows = torch.arange(12).view(6, 2)
    shared, copied = Shared(rows, -rows, None), rows
    for index in ([0, 0, 1, 3, 3, 4], [0, 1, 2, 5], [0, 0, 2, 2, 3], [2, 2, 3], [1, 2], [0, 0]):
        shared, copied = shared[torch.tensor(index)], copied[torch.tensor(index)]
        tensor, *_ = shared.tensors
        *own, nothing = shared.copied().tensors
        assert all(map(torch.equal, own, (copied, -copied))) and nothing is None
        assert tensor is rows or 2 * len(tensor) <= len(rows)
    assert len(tensor) == 1
    apart = Shared(rows)[torch.tensor([1, 4])]
    assert apart.owner is None and torch.equal(apart.tensors[0], rows[[1, 4]])


def untrained(encoded, model):
    torch.manual_seed(0)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    if model == "transformer":
        model = Transformer(*sizes, 8, 2, 16, 1)
        model.out.weight.data *= 5  # surer of itself, for other translations of other sentences
    else:
        model = Seq2Seq(*sizes, model, 8, 8)
        model.decoder.out.weight.data *= 5
    return model.eval()


@pytest.mark.parametrize("kind", ["none", "dot", "multiplicative", "bahdanau", "transformer"])
def test_translators_find_by_a_batched_beam_what_they_find_one_by_one(kind):
    encoded = encoded_reviews()
    model = untrained(encoded, kind)
    sentences = [*encoded.tokens("test", "src")[:6], ["good"]]
    together = translate(model, encoded, sentences, max_len=9, beam_size=3, length_penalty=0.7)
    differ = 0
    for sentence, found in zip(sentences, together, strict=True):
        src = pad([[*encoded.src_vocab.encode(sentence), EOS_ID]])
        with torch.no_grad():
            state = model.start(src, torch.tensor([src.shape[1]]))
        ids, _ = beam_search(model.step, state, BOS_ID, EOS_ID, 3, 9, 0.7)
        assert found.tokens == encoded.tgt_vocab.decode(ids)
        (alone,) = translate(model, encoded, [sentence], max_len=9, beam_size=3, length_penalty=0.7)
        if kind != "none":
            assert found.weights.shape == (min(len(ids) + 1, 9), len(sentence) + 1)
            assert torch.allclose(found.weights, alone.weights, atol=1e-5)
        differ += found.tokens != translate(model, encoded, [sentence], max_len=9)[0].tokens
    assert differ  # from what greedy decoding writes


@pytest.mark.parametrize("attention", ["none", "multiplicative", "bahdanau"])
def test_with_a_translator_a_beam_of_one_writes_what_greedy_writes(attention):
    encoded = encoded_reviews()
    torch.manual_seed(0)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, 8, 8).eval()
    for sentence in encoded.tokens("test", "src")[:3]:
        src = torch.tensor([[*encoded.src_vocab.encode(sentence), EOS_ID]])
        with torch.no_grad():
            state = model.start(src, torch.tensor([src.shape[1]]))
        ids, _ = beam_search(model.step, state, BOS_ID, EOS_ID, 1, 7, 0.0)
        assert encoded.tgt_vocab.decode(ids) == translate(model, encoded, [sentence], max_len=7)[0].tokens
        ids, _ = beam_search(model.step, state, BOS_ID, EOS_ID, 3, 7, 1.0)
        assert len(ids) <= 7


@pytest.mark.parametrize("kind", ["none", "multiplicative", "additive", "bahdanau", "transformer"])
def test_translators_write_in_a_batch_what_they_write_one_by_one(kind):
    """Greedily, with ends at different steps."""
    encoded = encoded_reviews()
    model = untrained(encoded, kind)
    for parameter in model.parameters():
        parameter.data *= 3  # what it writes depends more on what it read
    out = model.out if kind == "transformer" else model.decoder.out
    out.bias.data[EOS_ID] += 40 if kind == "transformer" else 10  # and some end
    sentences = [*encoded.tokens("test", "src")[:20], ["good"]]
    together = translate(model, encoded, sentences, max_len=12)
    lengths = set()
    for sentence, found in zip(sentences, together, strict=True):
        (alone,) = translate(model, encoded, [sentence], max_len=12)
        assert found.tokens == alone.tokens
        assert kind == "none" or torch.allclose(found.weights, alone.weights, atol=1e-5)
        lengths.add(len(found.tokens))
    assert len(lengths) > 2
