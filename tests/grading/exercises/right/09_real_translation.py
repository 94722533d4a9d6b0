"""Right answers of exercise 09, written in other ways."""

from importlib import import_module

import numpy as np
import torch
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest, estimate_ci

from grading.judge.registry import patched
from utils import decoding
from utils.metrics import bleu

_beam_search = import_module("grading.exercises.09_real_translation.mistakes").beam_search


# Probabilities are multiplied, and the logarithm is taken at the end.
_with_products = patched(
    _beam_search,
    {
        "torch.zeros(1)": "torch.ones(1, dtype=torch.float64)",
        "sums[:, None] + log_probs": "sums[:, None] * log_probs.double().exp()",
        "total / len(ids)": "math.log(total) / len(ids)",
    },
)


def _of_the_library(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Search one sentence with the library's search, which takes a batch of them."""

    def step_of_batch(tokens, state):
        log_probs, parts = step(tokens[0], tuple(part[0] for part in state.hypotheses))
        return log_probs[None], decoding.DecodingState(tuple(part[None] for part in parts)), None

    start = decoding.DecodingState(tuple(part[None] for part in state))
    found = decoding.beam_search(step_of_batch, start, bos_id, eos_id, beam_size, max_len, length_penalty)
    ids = found.ids[0].tolist()
    return ids[: ids.index(eos_id)] if eos_id in ids else ids, found.scores.item()


def _one_by_one(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Every hypothesis is continued alone, and all of them are sorted."""
    beam, finished = [([bos_id], 0.0, state)], []
    for _ in range(max_len):
        candidates = []
        for ids, total, at in beam:
            log_probs, new = step(torch.tensor(ids[-1:]), at)
            candidates += [
                ([*ids, token], total + log_prob, new) for token, log_prob in enumerate(log_probs[0].tolist())
            ]
        candidates.sort(key=lambda candidate: -candidate[1])
        beam = []
        for candidate in candidates[: beam_size - len(finished)]:
            (finished if candidate[0][-1] == eos_id else beam).append(candidate)
        if not beam:
            break
    ids, total, _ = max(finished or beam, key=lambda c: c[1] / (len(c[0]) - 1) ** length_penalty)
    score = total / (len(ids) - 1) ** length_penalty
    return [i for i in ids if i not in (bos_id, eos_id)], score


def _in_tensors(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Words and scores stay in tensors, which are returned as they are."""
    words, sums = torch.tensor([[bos_id]]), torch.zeros(1, 1, dtype=torch.float64)
    best, ended = (None, -torch.inf), 0
    while len(words) and words.shape[1] <= max_len:
        log_probs, state = step(words[:, -1], state)
        order = (sums + log_probs).flatten().sort(descending=True)
        parents, tokens = np.divmod(order.indices[: beam_size - ended].numpy(), log_probs.shape[1])
        words = torch.cat([words[parents], torch.as_tensor(tokens)[:, None]], dim=1)
        sums = order.values[: beam_size - ended, None]
        scores = sums[:, 0] / (words.shape[1] - 1) ** length_penalty
        end = words[:, -1] == eos_id
        if end.any() and scores[end].max() > best[1]:
            best = words[end][scores[end].argmax(), 1:-1], scores[end].max()
        ended += int(end.sum())
        words, sums, scores, parents = words[~end], sums[~end], scores[~end], parents[~end.numpy()]
        state = tuple(part[parents] for part in state)
    if best[0] is None:
        best = words[scores.argmax(), 1:], scores.max()
    return best


def _tested(references, a, b, tokenize, n_samples):
    """What sacrebleu's paired test says of A and of B."""
    metrics = {"BLEU": BLEU(tokenize=tokenize, force=True)}
    test = PairedTest([("A", a), ("B", b)], metrics, [references], test_type="bs", n_samples=n_samples)
    return test()[1]["BLEU"]


def _entries(bleu_a, bleu_b, interval_a, interval_b, p_value):
    return {
        "p_value": p_value,
        "within_noise": bool(np.isclose(bleu_a, bleu_b)) or not p_value < 0.05,
        "interval_a": interval_a,
        "interval_b": interval_b,
        "bleu_a": bleu_a,
        "bleu_b": bleu_b,
        "difference": bleu_b - bleu_a,
    }


def _b_first(references, system_a, system_b, tokenize="none", n_samples=1000):
    """B as the baseline, and the pairs as lists."""
    b, a = _tested(references, system_b, system_a, tokenize, n_samples)
    interval_a, interval_b = ([x.mean - x.ci, x.mean + x.ci] for x in (a, b))
    return _entries(a.score, b.score, interval_a, interval_b, a.p_value)


def _by_hand(references, system_a, system_b, tokenize="none", n_samples=1000):
    """The resampling written out, with sacrebleu's seed."""
    metric, chosen = BLEU(tokenize=tokenize, force=True), np.random.default_rng(12345)
    chosen = chosen.choice(len(references), size=(n_samples, len(references)), replace=True)
    whole, resampled = [], []
    for system in (system_a, system_b):
        counts = np.array(metric._extract_corpus_statistics(system, [references]), dtype="float32")
        whole.append(metric.corpus_score(system, [references]).score)
        resampled.append(np.array([metric._compute_score_from_stats(counts[c].sum(0)).score for c in chosen]))
    intervals = [(mean - ci, mean + ci) for mean, ci in map(estimate_ci, resampled)]
    differences = np.abs(resampled[1] - resampled[0])
    larger = np.sum(differences - differences.mean() > abs(whole[1] - whole[0]))
    return _entries(*whole, *intervals, (larger + 1) / (n_samples + 1))


def _with_bleu(references, system_a, system_b, tokenize="none", n_samples=1000):
    """Scores and intervals from the course's own `bleu`."""
    a, b = (bleu(system, references, tokenize, n_samples) for system in (system_a, system_b))
    p_value = _tested(references, system_a, system_b, tokenize, n_samples)[1].p_value
    intervals = torch.tensor([a.low, a.high]).double(), torch.tensor([b.low, b.high]).double()
    return _entries(a.score, b.score, *intervals, p_value)


RIGHT = {
    "beam_search": (_one_by_one, _in_tensors, _of_the_library, _with_products),
    "compare_systems": (_b_first, _by_hand, _with_bleu),
}
