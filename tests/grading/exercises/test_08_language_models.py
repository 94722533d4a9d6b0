"""Answers that draw at random are compared by what they draw, not by how."""

from importlib import import_module

import pytest
import torch

from grading.judge.judge import examine
from utils.language_models import mask_tokens, sample

gumbel = import_module("tests.grading.exercises.right.08_language_models")._sample_by_gumbel
WRONG = {
    "top_k_ignored": lambda logits, heat, top_k, generator: gumbel(logits, heat, None, generator),
    "temperature_multiplied": lambda logits, heat, *rest: gumbel(logits, 1 / heat if heat else 0, *rest),
    "temperature_ignored": lambda logits, heat, *rest: gumbel(logits, 1 if heat else 0, *rest),
    "always_the_likeliest": lambda logits, heat, *rest: gumbel(logits, 0, *rest),
    "generator_ignored": lambda logits, heat, top_k, generator: gumbel(logits, heat, top_k, None),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_whatever_the_way_of_drawing(name):
    for cases in "visible", "all":
        assert examine("sample", WRONG[name], cases, seed=3).mistake == name


def test_hiding_is_named_whatever_the_way_of_drawing():
    def special_too(tokens, mask_id, special_ids, share, generator):
        hidden = torch.bernoulli(torch.full(tokens.shape, share), generator=generator).bool()
        return tokens.masked_fill(hidden, mask_id), tokens.masked_fill(~hidden, -100)

    assert examine("mask_tokens", special_too).mistake == "special_hidden"


def test_right_answers_pass_with_every_seed():
    for seed in range(20):
        assert examine("sample", sample, seed=seed).passed
        assert examine("mask_tokens", mask_tokens, seed=seed).passed


def test_a_small_bias_in_the_draws_is_a_mistake_without_a_name():
    def hotter(logits, temperature, top_k, generator):
        return sample(logits, 3 * temperature, top_k, generator)

    verdict = examine("sample", hotter)
    assert not verdict.passed and verdict.mistake is None
    assert "shares" in str(verdict)


def test_a_loop_that_never_ends_is_stopped():
    def endless(step, prompt, eos_id, max_len, temperature, top_k, generator):
        while True:
            prompt = torch.cat([prompt, step(prompt).argmax(-1, keepdim=True)], 1)

    assert examine("generate", endless, "visible").mistake == "goes_on_too_long"


def test_a_result_of_another_shape_is_told_with_both_shapes():
    verdict = examine("sample", lambda logits, *rest: logits, "visible")
    assert "torch.int64 (2,), got torch.float32 (2, 4)" in str(verdict)
