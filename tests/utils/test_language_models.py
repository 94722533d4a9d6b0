"""Next words, drawing, writing, hiding words, training, and probing with few labels."""

import pytest
import torch
from torch import nn

from utils.language_models import fit, generate, mask_tokens, next_word_batch, probe, sample


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def shares(logits, temperature=1.0, top_k=None, draws=20_000):
    """Return how often each token is drawn."""
    ids = sample(torch.tensor(logits).expand(draws, -1), temperature, top_k, seeded())
    return torch.bincount(ids, minlength=len(logits)) / draws


def test_the_target_is_the_next_token_and_never_padding():
    tokens = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
    inputs, targets = next_word_batch(tokens, 0)
    assert inputs.tolist() == [[1, 5, 6], [1, 7, 2]]
    assert targets.tolist() == [[5, 6, 2], [7, 2, -100]]
    assert tokens.tolist() == [[1, 5, 6, 2], [1, 7, 2, 0]], "the tokens stay as they are"


@pytest.mark.parametrize(
    ("temperature", "top_k", "weights"),
    [
        (1.0, None, (1, 2, 4)),
        (0.5, None, (1, 4, 16)),
        (1.0, 2, (0, 1, 2)),
        (1.0, 9, (1, 2, 4)),
        (0, None, (0, 0, 1)),
    ],
)
def test_tokens_are_drawn_from_the_softmax(temperature, top_k, weights):
    logits = torch.tensor([1.0, 2.0, 4.0]).log().tolist()
    expected = torch.tensor(weights) / sum(weights)
    assert torch.allclose(shares(logits, temperature, top_k), expected, atol=0.03)


def test_the_same_seed_draws_the_same_and_a_second_call_something_else():
    logits, generator = torch.zeros(500, 7), seeded(1)
    first = sample(logits, generator=generator)
    assert torch.equal(first, sample(logits, generator=seeded(1)))
    assert not torch.equal(first, sample(logits, generator=generator))


def counting(ids):
    """A model that counts to 5, its end token."""
    return nn.functional.one_hot((ids[:, -1] + 1).clamp(max=5), 6) * 50.0


def test_writing_goes_on_until_every_row_has_ended():
    ids = generate(counting, torch.tensor([[5, 1], [0, 3]]), eos_id=5, max_len=10, temperature=0)
    assert ids.tolist() == [[5, 1, 2, 3, 4, 5], [0, 3, 4, 5, 5, 5]]


def test_max_len_counts_new_tokens():
    assert generate(counting, torch.tensor([[0, 1, 2]]), 5, max_len=1, temperature=0).tolist() == [
        [0, 1, 2, 3]
    ]


def test_words_are_hidden_one_by_one_and_special_tokens_never():
    tokens = torch.tensor([[1, 7, 8, 9, 2, 0]]).expand(20_000, 6)
    inputs, targets = mask_tokens(tokens, 4, (0, 1, 2), 0.3, seeded())
    hidden = inputs == 4
    assert torch.equal(hidden, targets != -100) and torch.equal(targets[hidden], tokens[hidden])
    assert torch.equal(inputs[~hidden], tokens[~hidden])
    rates = hidden.float().mean(0)
    assert not rates[[0, 4, 5]].any() and torch.allclose(rates[1:4], torch.tensor(0.3), atol=0.03)
    assert abs((hidden[:, 1] & hidden[:, 2]).float().mean() - 0.09) < 0.03, "independent of each other"


def test_training_learns_which_token_follows_which():
    torch.manual_seed(0)
    texts = [[1, 3, 4, 2], [1, 5, 6, 7, 2]] * 50
    model = nn.Sequential(nn.Embedding(8, 16), nn.Linear(16, 8))
    fit(model, texts, lambda ids: next_word_batch(ids, 0), updates=60, rate=0.05, batch_tokens=40)
    assert model(torch.tensor([3, 4, 5, 6, 7])).argmax(-1).tolist() == [4, 2, 6, 7, 2]
    assert not model.training


def test_the_probe_tests_groups_without_a_label():
    generator = seeded()
    labels = torch.tensor([1.0, -1.0]).repeat(100)
    groups = [row % 20 for row in range(200)]  # even groups have the label 1
    told = torch.stack([labels, torch.randn(200, generator=generator)], dim=1)
    by_name = torch.eye(20)[groups]  # says which group it is, and so nothing about other groups
    assert probe(told, labels, groups, count=6) > 0.95
    assert probe(by_name, labels, groups, count=6) < 0.7
