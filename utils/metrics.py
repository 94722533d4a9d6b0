"""Metrics of translations (BLEU, recall, F1) and of attention maps (alignment error, entropy, coverage)."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

# The 0.975 quantile of Student's t distribution for 1 to 9 degrees of freedom.
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Score:
    """A BLEU score from 0 to 100, its 95% bootstrap interval, and sacrebleu's signature."""

    score: float
    low: float
    high: float
    sentences: int
    signature: str

    def __str__(self):
        return f"BLEU {self.score:.1f} [{self.low:.1f}, {self.high:.1f}] on {self.sentences:,} sentences"


def bleu(hypotheses, references, tokenize="none", n_bootstrap=300):
    """Compute corpus BLEU of sentences with one reference each, and return a `Score`.

    `tokenize` is sacrebleu's tokenizer: "none" for tokens separated by spaces, "13a" for raw text. The 95%
    interval comes from `n_bootstrap` resamplings of the sentences. With 0, its ends are NaN.

    Raises ValueError if the lists are empty or have different lengths, or if `n_bootstrap` is 1 or negative.
    Papineni et al. 2002, as computed by sacrebleu (Post 2018); interval by Koehn 2004.
    """
    from sacrebleu.metrics import BLEU  # slow to import

    hypotheses, references = list(hypotheses), list(references)
    if len(hypotheses) != len(references) or not references:
        raise ValueError(
            f"expected one reference per hypothesis, got {len(hypotheses)} hypotheses and {len(references)} "
            f"references: pass two lists of the same length"
        )
    if n_bootstrap < 0 or n_bootstrap == 1:
        raise ValueError(f"expected n_bootstrap of 2 or more, or 0 for no interval, got {n_bootstrap}")
    metric = BLEU(tokenize=tokenize, force=True)
    result = metric.corpus_score(hypotheses, [references], n_bootstrap=n_bootstrap or 1)
    low = high = float("nan")
    if n_bootstrap:
        low, high = result._mean - result._ci, result._mean + result._ci
    return Score(result.score, low, high, len(references), str(metric.get_signature()))


def bleu_by_length(lengths, hypotheses, references, edges, tokenize="none", n_bootstrap=300):
    """Compute BLEU of the sentences in each half-open bin of lengths [edges[i], edges[i + 1]).

    `lengths` is one number per sentence, such as its words or clauses. `tokenize` and `n_bootstrap` are as in
    `bleu`. Returns a list of ((first, last), Score), without empty bins.
    """
    lengths = np.asarray(lengths)
    rows = []
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        inside = np.flatnonzero((first <= lengths) & (lengths < end))
        if len(inside):
            pairs = [hypotheses[i] for i in inside], [references[i] for i in inside]
            rows.append(((first, end - 1), bleu(*pairs, tokenize, n_bootstrap)))
    return rows


def ngram_recall(hypotheses, wanted):
    """Compute the share of expected n-grams that occur in the hypotheses, from 0 to 1.

    `hypotheses` are sentences with tokens separated by spaces. `wanted` has one list of n-grams (tuples of
    tokens) per sentence, such as the names in its reference. An n-gram expected twice must occur twice.

    Raises ValueError if the lists have different lengths or no n-gram is expected. Clipped counts as in
    Papineni et al. 2002, section 2.1, but divided by the expected n-grams: recall instead of precision.
    """
    if len(hypotheses) != len(wanted) or not any(wanted):
        raise ValueError(
            f"expected one list of n-grams per sentence and at least one n-gram, got {len(hypotheses)} "
            f"sentences, {len(wanted)} lists and {sum(map(len, wanted))} n-grams"
        )
    found = 0
    for text, ngrams in zip(hypotheses, wanted, strict=True):
        tokens = text.split()
        sizes = {len(ngram) for ngram in ngrams}
        written = Counter(tuple(tokens[i : i + n]) for n in sizes for i in range(len(tokens) - n + 1))
        found += (written & Counter(ngrams)).total()
    return found / sum(map(len, wanted))


def overlap_f1(found, wanted):
    """Compute the mean over texts of the F1 between found and expected items, from 0 to 1.

    `found` and `wanted` have one list of items per text. An item expected twice must be found twice. A text
    with no items on either side has an F1 of 1. With words as items, this is the F-measure of ROUGE-1
    (Lin 2004). Raises ValueError if the lists are empty or have different lengths.
    """
    if len(found) != len(wanted) or not wanted:
        raise ValueError(
            f"expected one list of found items per list of expected items, got {len(found)} and {len(wanted)}"
        )
    total = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        shared = (Counter(ours) & Counter(theirs)).total()
        total += 2 * shared / (len(ours) + len(theirs)) if ours or theirs else 1.0
    return total / len(wanted)


def mean_interval(values):
    """Compute the mean of 2 to 10 independent runs with its 95% confidence interval: (mean, low, high).

    The interval is the mean plus and minus t times the standard error (Student 1908), for scores that are
    about normally distributed. It covers the variation between runs, such as seeds, but not the choice of
    what they share, such as test sentences. Raises ValueError for more or fewer values.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not 2 <= len(values) <= len(STUDENT_T) + 1:
        raise ValueError(f"expected a list of 2 to {len(STUDENT_T) + 1} values, got shape {values.shape}")
    mean = values.mean()
    margin = STUDENT_T[len(values) - 2] * values.std(ddof=1) / len(values) ** 0.5
    return float(mean), float(mean - margin), float(mean + margin)


def resampled_interval(groups, draws=1_000, seed=0):
    """Compute the mean of all values with its 95% bootstrap interval over groups: (mean, low, high).

    `groups` has one list of values per group, such as one number for each word of a sentence, or one number
    per group. Whole groups are drawn with replacement, `draws` times, so values within a group need not be
    independent. Empty groups are ignored. Raises ValueError if all are empty. Efron 1979.
    """
    groups = [group for group in map(np.atleast_1d, groups) if len(group)]
    if not groups:
        raise ValueError("expected at least one value, got only empty groups")
    sums, counts = np.array([(group.sum(), len(group)) for group in groups], dtype=float).T
    drawn = np.random.default_rng(seed).integers(len(groups), size=(draws, len(groups)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return float(sums.sum() / counts.sum()), float(low), float(high)


def hard_alignment(weights, shift=0):
    """Link every target position to the source position with the largest weight.

    `weights` is (tgt_len, src_len). Ties go to the first position. `shift` moves each link along the source
    and drops those that leave the sentence: -1 and +1 show whether a map is off by one. Returns a set of
    (src, tgt).
    """
    src_len = weights.shape[1]
    best = enumerate(weights.argmax(-1).tolist()) if src_len else ()
    return {(src + shift, tgt) for tgt, src in best if 0 <= src + shift < src_len}


def diagonal_links(src_len, tgt_len):
    """Link positions along the diagonal, as if both languages had the same word order: a baseline.

    Returns a set of (src, tgt) with one link per target position.
    """
    return {
        (min(src_len - 1, round(tgt * (src_len - 1) / max(1, tgt_len - 1))), tgt) for tgt in range(tgt_len)
    }


def link_map(links, tgt_len, src_len):
    """Convert links, a set of (src, tgt), to weights (tgt_len, src_len): 1 at each link and 0 elsewhere."""
    weights = torch.zeros(tgt_len, src_len)
    for src, tgt in links:
        weights[tgt, src] = 1.0
    return weights


def alignment_errors(maps, gold, shifts=(-1, 0, 1)):
    """Compute the alignment error rate of `hard_alignment` for each shift: a dict from shift to rate.

    `maps` has one array of weights (tgt_len, src_len) per sentence, and `gold` one set of (src, tgt).
    """
    return {
        shift: alignment_error_rate([hard_alignment(weights, shift) for weights in maps], gold)
        for shift in shifts
    }


def _agreement(predicted, sure, possible):
    """Count for each sentence the links that agree, |A and S| + |A and P|, and all links, |A| + |S|."""
    possible = sure if possible is None else [s | p for s, p in zip(sure, possible, strict=True)]
    pairs = [
        (len(a & s) + len(a & p), len(a) + len(s)) for a, s, p in zip(predicted, sure, possible, strict=True)
    ]
    if not any(total for _, total in pairs):
        raise ValueError("expected predicted or gold links, got none: the error rate is undefined")
    return pairs


def alignment_error_rate(predicted, sure, possible=None):
    """Compute the alignment error rate of a corpus: 0 is perfect, 1 is entirely wrong.

    `predicted` (A), `sure` (S) and `possible` (P, default: S) have one set of (src, tgt) per sentence. The
    rate is 1 - (|A and S| + |A and P|) / (|A| + |S|), with links pooled over all sentences. Raises ValueError
    if there are no links. Och and Ney 2003. Here, every sure link also counts as possible.
    """
    hits, total = map(sum, zip(*_agreement(predicted, sure, possible), strict=True))
    return 1 - hits / total


def alignment_error_interval(predicted, sure, possible=None):
    """Compute `alignment_error_rate` with its 95% bootstrap interval over sentences: (rate, low, high)."""
    pairs = _agreement(predicted, sure, possible)
    return resampled_interval([np.repeat([0.0, 1.0], [hits, total - hits]) for hits, total in pairs])


def translation_scores(translations, maps, gold):
    """Compute BLEU of translations and the alignment error of those that equal their reference.

    `translations` are texts and `maps` their weights (tgt_len + 1, src_len + 1); the row and the column of
    the end tokens are ignored. `gold` is the `Split` with references and links, which hold only for a
    translation that equals its reference. Returns (BLEU, error). The error is NaN if no translation does, or
    if the model has no attention: `maps` is empty or contains None.
    """
    score = bleu(translations, gold.tgt, n_bootstrap=0).score
    exact = [row for row, pair in enumerate(zip(translations, gold.tgt, strict=True)) if pair[0] == pair[1]]
    if not exact or not maps or any(weights is None for weights in maps):
        return score, float("nan")
    predicted = [hard_alignment(maps[row][:-1, :-1]) for row in exact]
    return score, alignment_error_rate(predicted, [gold.links[row] for row in exact])


def attention_entropy(weights, mask=None):
    """Compute the entropy of every row of weights, in nats.

    `weights` is (batch, tgt_len, src_len). `mask` is bool (batch, src_len), True = a real token, or None if
    all tokens are real. Returns (batch, tgt_len): 0 if all weight is on one token, ln(n) if it is uniform
    over n tokens. Padding is ignored, and a fully padded row has entropy 0.

    Shannon 1948, with 0 log 0 = 0; for attention, Ghader and Monz 2017.
    """
    return torch.special.entr(_without_padding(weights, mask)).sum(-1)  # (batch, tgt_len)


def coverage(weights, mask=None):
    """Sum the weight that every source token receives over all target rows.

    `weights` (batch, tgt_len, src_len) and `mask` are as in `attention_entropy`. Returns (batch, src_len),
    0 at padding. Rows of padded target tokens count, too: remove them first or set them to zero. Tu et al.
    2016.
    """
    return _without_padding(weights, mask).sum(1)  # (batch, src_len)


def _without_padding(weights, mask):
    return weights if mask is None else weights.masked_fill(~mask.unsqueeze(1), 0.0)


def compare_systems(references, system_a, system_b, tokenize="none", n_samples=1000):
    """Test whether system B is better than system A on the same sentences (paired bootstrap).

    `references`, `system_a` and `system_b` are lists of sentences in the same order; `tokenize` is as in
    `bleu`. Returns a dict with

    - "bleu_a", "bleu_b": corpus BLEU from 0 to 100, and "difference": B minus A;
    - "interval_a", "interval_b": (low, high), the 95% interval over resamplings of the sentences;
    - "p_value": the probability of a difference this large if both systems were equally good;
    - "within_noise": True if the p-value is 0.05 or more, or the difference is exactly 0.

    Raises ValueError if the lists are empty or have different lengths. Koehn 2004, as implemented by
    sacrebleu's `PairedTest` (type "bs") with `n_samples` resamplings. That test reports a tiny p-value for
    identical systems, so a difference of 0 counts as noise here.
    """
    from sacrebleu.metrics import BLEU
    from sacrebleu.significance import PairedTest

    if not len(references) == len(system_a) == len(system_b) or not references:
        raise ValueError(
            f"expected one sentence per reference from each system, got {len(references)} references, "
            f"{len(system_a)} sentences of A and {len(system_b)} of B"
        )
    metrics = {"BLEU": BLEU(tokenize=tokenize, force=True)}
    test = PairedTest(
        [("A", system_a), ("B", system_b)], metrics, [references], test_type="bs", n_samples=n_samples
    )
    a, b = test()[1]["BLEU"]
    difference = b.score - a.score
    return {
        "bleu_a": a.score,
        "bleu_b": b.score,
        "interval_a": (float(a.mean - a.ci), float(a.mean + a.ci)),
        "interval_b": (float(b.mean - b.ci), float(b.mean + b.ci)),
        "difference": difference,
        "p_value": b.p_value,
        "within_noise": b.p_value >= 0.05 or difference == 0,
    }
