"""Beam search on small machines, where trying all hypotheses finds the best one."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
import torch
from torch.nn import functional as F

from utils.decoding import DecodingState, beam_search
from utils.models import Seq2Seq, translate

BOS, EOS, VOCAB, NODES = 0, 1, 4, 5
STARTS = torch.tensor([0, 3, 1, 4, 0, 2])  # sentences that start at different nodes end at different times
SEEDS = pytest.mark.parametrize("seed", range(10))


def machine(seed):
    """Random tables: log-probabilities of the next token at each node, and the node that it leads to."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(NODES, VOCAB, generator=generator, dtype=torch.float64) * 1.5
    logits[:, BOS] = -60
    return logits.log_softmax(-1), torch.randint(NODES, (NODES, VOCAB), generator=generator)


def search(seed, beam_size, max_len, penalty, starts=STARTS):
    """Search the machine from each start. Weights show the node that a hypothesis has come to."""
    log_probs, leads_to = machine(seed)

    def step(tokens, state):
        node, start = state.hypotheses
        assert torch.equal(start, state.source[0][:, None].expand_as(start)), "rows of different sentences"
        node = leads_to[node, tokens]
        return log_probs[node], DecodingState((node, start), state.source), F.one_hot(node, NODES).double()

    state = DecodingState((starts[:, None], starts[:, None]), (starts, None))
    found = beam_search(step, state, BOS, EOS, beam_size, max_len, penalty)
    assert found.ids.shape == found.weights.shape[:2] and found.ids.shape[1] <= max_len
    return [
        (ids[: (ids + [EOS]).index(EOS) + 1], score, weights)
        for ids, score, weights in zip(found.ids.tolist(), found.scores.tolist(), found.weights, strict=True)
    ]


def walk(seed, start, ids, penalty):
    """Score a hypothesis token by token: its score and the nodes that it comes to."""
    log_probs, leads_to = machine(seed)
    node, total, nodes = start, 0.0, []
    for last, token in zip([BOS, *ids], ids, strict=False):
        node = leads_to[node, last].item()
        nodes.append(node)
        total += log_probs[node, token].item()
    return total / len(ids) ** penalty, nodes


def best_of_all(seed, start, max_len, penalty):
    """Try all finished hypotheses of up to `max_len` tokens."""
    every = ([*ids, EOS] for length in range(max_len) for ids in product((2, 3), repeat=length))
    return max(every, key=lambda ids: walk(seed, start, ids, penalty)[0])


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@SEEDS
def test_a_beam_that_holds_all_hypotheses_finds_the_best_one(seed, penalty):
    for start, (ids, _, _) in zip(STARTS.tolist(), search(seed, VOCAB**4, 4, penalty), strict=True):
        assert ids == best_of_all(seed, start, 4, penalty)


@SEEDS
def test_a_beam_of_one_is_greedy(seed):
    log_probs, leads_to = machine(seed)
    for start, (found, _, _) in zip(STARTS.tolist(), search(seed, 1, 12, 0.7), strict=True):
        node, ids = leads_to[start, BOS], []
        while EOS not in ids and len(ids) < 12:
            ids.append(log_probs[node].argmax().item())
            node = leads_to[node, ids[-1]]
        assert found == ids


@pytest.mark.parametrize(("beam_size", "max_len"), [(1, 9), (2, 1), (2, 5), (3, 9), (5, 4), (70, 3)])
@SEEDS
def test_each_sentence_has_the_scores_and_weights_of_its_own_path(seed, beam_size, max_len):
    together = search(seed, beam_size, max_len, 1.0)
    for start, (ids, score, weights) in zip(STARTS.tolist(), together, strict=True):
        expected, nodes = walk(seed, start, ids, 1.0)
        assert score == pytest.approx(expected, abs=1e-6)
        assert weights[: len(ids)].argmax(-1).tolist() == nodes and (weights[len(ids) :] == 0).all()
        ((alone, *_),) = search(seed, beam_size, max_len, 1.0, torch.tensor([start]))
        assert ids == alone
        if max_len == 5 and ids[-1] == EOS:
            assert score <= walk(seed, start, best_of_all(seed, start, 5, 1.0), 1.0)[0] + 1e-6


def search_tree(first, after, beam_size, max_len, penalty):
    """Search where probabilities depend on the last token only: the ids and the score's exponential."""

    def step(tokens, state):
        rows = [first if token == BOS else after.get(token, first) for token in tokens[0].tolist()]
        return torch.tensor([rows]).log(), state, None

    found = beam_search(step, DecodingState((torch.zeros(1, 1),)), BOS, EOS, beam_size, max_len, penalty)
    assert found.weights is None
    return found.ids[0].tolist(), found.scores.exp().item()


FORK = [0, 0.1, 0.5, 0.4], {2: [0, 0.4, 0.3, 0.3], 3: [0, 0.9, 0.05, 0.05]}
SHORT = [0, 0.4, 0.6, 0], {2: [0, 0, 0, 1], 3: [0, 0.5, 0.5, 0]}
LONG = [0, 0.1, 0.9, 0], {2: [0, 0.01, 0.99, 0]}
PLACE = [0, 0.31, 0.4, 0.29], {2: [0, 0.3, 0.36, 0.34], 3: [0, 1, 0, 0]}


@pytest.mark.parametrize(
    ("tree", "beam_size", "max_len", "penalty", "ids", "score"),
    [
        pytest.param(FORK, 1, 5, 0.0, [2, EOS], 0.5 * 0.4, id="greedy misses the better hypothesis"),
        pytest.param(FORK, 2, 5, 0.0, [3, EOS], 0.4 * 0.9, id="a beam of two finds it"),
        pytest.param(SHORT, 2, 9, 0.0, [EOS], 0.4, id="sums prefer the short one"),
        pytest.param(SHORT, 2, 9, 1.0, [2, 3, EOS], 0.3 ** (1 / 3), id="means prefer the long one"),
        pytest.param(LONG, 2, 3, 0.0, [EOS], 0.1, id="a finished one beats a likelier unfinished one"),
        pytest.param(LONG, 1, 3, 1.0, [2, 2, 2], (0.9 * 0.99**2) ** (1 / 3), id="none has finished"),
        pytest.param(PLACE, 2, 3, 1.0, [EOS], 0.31, id="a finished one keeps its place: no room for 2 3"),
    ],
)
def test_by_hand(tree, beam_size, max_len, penalty, ids, score):
    assert search_tree(*tree, beam_size, max_len, penalty) == (ids, pytest.approx(score))


def test_sentences_leave_once_they_are_finished_and_half_of_all_rows():
    lengths, rows = torch.tensor([1, 2, 3, 9, 1]), []

    def step(tokens, state):
        rows.append(len(tokens))
        left = state.hypotheses[0] - 1
        likelier_to_end = (left == 0).float()
        log_probs = torch.stack([left * 0.0 - 9, likelier_to_end, left * 0.0 + 0.5], dim=-1)
        return log_probs, DecodingState((left,)), None

    found = beam_search(step, DecodingState((lengths[:, None],)), BOS, EOS, 1, 9)
    assert rows == [5, 5, 2, 1, 1, 1, 1, 1, 1]
    assert [ids.index(EOS) + 1 for ids in found.ids.tolist()] == lengths.tolist()


@pytest.mark.parametrize(("beam_size", "max_len"), [(0, 5), (2, 0)])
def test_sizes_below_one_raise(beam_size, max_len):
    with pytest.raises(ValueError, match="must be at least 1"):
        search(0, beam_size, max_len, 1.0)


@pytest.mark.parametrize(("first", "later"), [([0, 0, 0.5, 0.5], 0.0), ([0, 0.2, 0.4, 0.4], math.nan)])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_diverged_model_raises(first, later, beam_size):
    """If all later probabilities are zero, or NaN even beside a finished hypothesis."""
    with pytest.raises(ValueError, match="NaN or all zero, so its training has diverged"):
        search_tree(first, {2: [later] * 4, 3: [later] * 4}, beam_size, 5, 1.0)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_threads_can_share_a_model(encoded, beam_size):
    torch.manual_seed(0)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "additive", 8, 8).eval()
    parts = [encoded.tokens("train", "src")[i : i + 50] for i in (0, 50, 100)]

    def run(sentences):
        found = translate(model, encoded, sentences, max_len=9, beam_size=beam_size)
        return [(done.tokens, done.weights.tolist()) for done in found]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, parts * 2)) == [run(part) for part in parts] * 2
