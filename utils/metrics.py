"""Translation quality (BLEU, by length, with intervals) and alignment quality (error rate)."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

# The 0.975 quantile of Student's t, for 1 to 9 degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Score:
    """A BLEU score out of 100, the 95% interval of its bootstrap, and sacrebleu's signature."""

    score: float
    low: float
    high: float
    sentences: int
    signature: str

    def __str__(self):
        return f"BLEU {self.score:.1f} [{self.low:.1f}, {self.high:.1f}] on {self.sentences:,} sentences"


def bleu(hypotheses, references, tokenize="none", n_bootstrap=300):
    """Corpus BLEU of sentences against one reference each (Papineni et al. 2002; Post 2018).

    `tokenize` is sacrebleu's: "none" for text whose tokens are parted by spaces, "13a" for ordinary
    text. The interval is the 95% range over `n_bootstrap` resamplings of sentences (Koehn 2004); with
    `n_bootstrap` 0 it is not computed, and `low` and `high` are NaN. One resampling, which has no range, and
    a negative number are a ValueError.
    """
    from sacrebleu.metrics import BLEU  # slow to import, and only BLEU needs it

    hypotheses, references = list(hypotheses), list(references)
    if len(hypotheses) != len(references) or not references:
        raise ValueError(
            f"BLEU compares sentences one to one: {len(hypotheses)} hypotheses, {len(references)} references"
        )
    if n_bootstrap < 0 or n_bootstrap == 1:
        raise ValueError(f"n_bootstrap is 2 or more, or 0 for no interval, not {n_bootstrap}")
    metric = BLEU(tokenize=tokenize, force=True)
    result = metric.corpus_score(hypotheses, [references], n_bootstrap=n_bootstrap or 1)
    low = high = float("nan")
    if n_bootstrap:
        low, high = result._mean - result._ci, result._mean + result._ci
    return Score(result.score, low, high, len(references), str(metric.get_signature()))


def bleu_by_length(lengths, hypotheses, references, edges, tokenize="none", n_bootstrap=300):
    """BLEU of the sentences whose length lies in each half-open bin [edges[i], edges[i + 1]).

    `lengths` is one number a sentence (words, or clauses). Returns a list of ((first, last), Score),
    without the empty bins.
    """
    lengths = np.asarray(lengths)
    rows = []
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        chosen = np.flatnonzero((first <= lengths) & (lengths < end))
        if len(chosen):
            score = bleu(
                [hypotheses[i] for i in chosen], [references[i] for i in chosen], tokenize, n_bootstrap
            )
            rows.append(((first, end - 1), score))
    return rows


def ngram_recall(hypotheses, wanted):
    """Share of the wanted n-grams that the hypotheses have, between 0 and 1.

    `hypotheses` are sentences whose tokens are parted by spaces. `wanted` has for each of them a list of
    n-grams, tuples of tokens, such as those of its reference that a question is about; one that is wanted
    twice must be there twice (the clipped counts of Papineni et al. 2002, section 2.1, over what is wanted
    in place of what is written). Lists of different lengths, or nothing wanted, are a ValueError.
    """
    if len(hypotheses) != len(wanted) or not any(wanted):
        raise ValueError(
            f"recall needs something wanted, one list a sentence: {len(hypotheses)} sentences, "
            f"{len(wanted)} lists, {sum(map(len, wanted))} n-grams"
        )
    found = total = 0
    for text, ngrams in zip(hypotheses, wanted, strict=True):
        tokens, counts = text.split(), Counter(ngrams)
        for n in {len(ngram) for ngram in counts}:
            written = Counter(zip(*(tokens[i:] for i in range(n)), strict=False))
            found += sum(min(count, written[ngram]) for ngram, count in counts.items() if len(ngram) == n)
        total += len(ngrams)
    return found / total


def overlap_f1(found, wanted):
    """Mean over texts of the F1 between the items that were found and those that were wanted, from 0 to 1.

    Two lists with a list of items for each text; an item that is wanted twice must be found twice. F1 is
    2 x shared / (found + wanted), and 1 where a text wants nothing and nothing was found. With words as items
    this is the F-measure of ROUGE-1 (Lin 2004). No texts, or lists of different lengths, are a ValueError.
    """
    if len(found) != len(wanted) or not wanted:
        raise ValueError(f"F1 compares texts one to one: {len(found)} found, {len(wanted)} wanted")
    total = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        shared = (Counter(ours) & Counter(theirs)).total()
        total += 2 * shared / (len(ours) + len(theirs)) if ours or theirs else 1.0
    return total / len(wanted)


def mean_interval(values):
    """Mean of 2 to 10 independent runs, and the low and high end of its 95% interval.

    Student's interval, mean plus and minus t times the standard error, which holds for few runs whose
    scores are about normal (Student 1908). It speaks of the runs that were drawn, such as seeds, and of
    nothing that they share, such as the test sentences. More or fewer values are a ValueError.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not 2 <= len(values) <= len(STUDENT) + 1:
        raise ValueError(f"an interval needs a list of 2 to {len(STUDENT) + 1} values, not {values.shape}")
    mean = values.mean()
    reach = STUDENT[len(values) - 2] * values.std(ddof=1) / len(values) ** 0.5
    return float(mean), float(mean - reach), float(mean + reach)


def resampled_interval(groups, draws=1_000, seed=0):
    """Mean of all values, and the low and high end of its 95% interval when whole groups are drawn anew.

    `groups` are those in which the values come, such as the numbers of the words of each sentence, or one
    number each. Groups are drawn with replacement, `draws` times (the bootstrap, Efron 1979), so values of
    one group need not be independent. Groups without a value do not count; with none left it is a ValueError.
    """
    groups = [group for group in map(np.atleast_1d, groups) if len(group)]
    if not groups:
        raise ValueError("an interval needs a group with a value in it")
    sums, counts = np.array([(group.sum(), len(group)) for group in groups], dtype=float).T
    drawn = np.random.default_rng(seed).integers(len(groups), size=(draws, len(groups)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return float(sums.sum() / counts.sum()), float(low), float(high)


def hard_alignment(weights, shift=0):
    """Link every target position to the source position with the largest weight: a set of (src, tgt).

    `weights` is (tgt_len, src_len); of equal weights the first counts. `shift` moves each link along the
    source, and links that leave the sentence are dropped: 0 is the honest reading, -1 and +1 show
    whether the map is off by one.
    """
    src_len = weights.shape[1]
    best = enumerate(weights.argmax(-1).tolist()) if src_len else ()
    return {(src + shift, tgt) for tgt, src in best if 0 <= src + shift < src_len}


def diagonal_links(src_len, tgt_len):
    """Link as if both languages had one word order: the baseline that any alignment should beat."""
    return {
        (min(src_len - 1, round(tgt * (src_len - 1) / max(1, tgt_len - 1))), tgt) for tgt in range(tgt_len)
    }


def link_map(links, tgt_len, src_len):
    """Give links as weights (tgt_len, src_len), 1 at each link and 0 elsewhere, to be read like any map."""
    weights = torch.zeros(tgt_len, src_len)
    for src, tgt in links:
        weights[tgt, src] = 1.0
    return weights


def alignment_errors(maps, gold, shifts=(-1, 0, 1)):
    """Alignment error rate of the largest weights for each shift along the source: a dict of shift and rate.

    `maps` are weights (tgt_len, src_len) and `gold` a set of (src, tgt) each. Shift 0 is the honest reading;
    see `hard_alignment`.
    """
    return {
        shift: alignment_error_rate([hard_alignment(weights, shift) for weights in maps], gold)
        for shift in shifts
    }


def _agreement(predicted, sure, possible):
    """Count for each sentence which links agree, |A and S| + |A and P|, and which there are, |A| + |S|."""
    possible = sure if possible is None else [s | p for s, p in zip(sure, possible, strict=True)]
    pairs = [
        (len(a & s) + len(a & p), len(a) + len(s)) for a, s, p in zip(predicted, sure, possible, strict=True)
    ]
    if not any(total for _, total in pairs):
        raise ValueError("there is no link at all, neither predicted nor gold: an error rate needs some")
    return pairs


def alignment_error_rate(predicted, sure, possible=None):
    """Alignment error rate over a corpus: 0 is perfect, 1 is wholly wrong (Och and Ney 2003).

    1 - (|A and S| + |A and P|) / (|A| + |S|), where A are predicted, S sure and P possible links:
    each a list with one set of (src, tgt) a sentence. Without `possible`, the sure links are it.
    """
    hits, total = map(sum, zip(*_agreement(predicted, sure, possible), strict=True))
    return 1 - hits / total


def alignment_error_interval(predicted, sure, possible=None):
    """`alignment_error_rate`, and the low and high end of its 95% interval when sentences are drawn anew."""
    pairs = _agreement(predicted, sure, possible)
    return resampled_interval([np.repeat([0.0, 1.0], [hits, total - hits]) for hits, total in pairs])


def translation_scores(translations, maps, gold):
    """BLEU of translations, and the alignment error of the maps of those that are right word for word.

    `translations` are texts and `maps` their weights, (tgt_len + 1, src_len + 1) with the end tokens' row
    and column, which are left out; `gold` is the `Split` with references and links. Only a translation that
    equals its reference has gold links. The error is NaN where none does, or where `maps` is empty or has
    None (a model without attention).
    """
    score = bleu(translations, gold.tgt, n_bootstrap=0).score
    right = [row for row, pair in enumerate(zip(translations, gold.tgt, strict=True)) if pair[0] == pair[1]]
    if not right or not maps or any(weights is None for weights in maps):
        return score, float("nan")
    found = [hard_alignment(maps[row][:-1, :-1]) for row in right]
    return score, alignment_error_rate(found, [gold.links[row] for row in right])


def attention_entropy(weights, mask=None):
    """Entropy of every row of weights, in nats: 0 for one sharp look, ln(n) for an even look at n tokens.

    weights (batch, tgt_len, src_len) and mask bool (batch, src_len), True = a real token, or None where
    every token is real, give (batch, tgt_len). Padding is left out of the sum, 0 log 0 counts as 0, and
    a row with nothing to attend to has entropy 0. Shannon 1948; of attention, Ghader and Monz 2017.
    """
    return torch.special.entr(_without_padding(weights, mask)).sum(-1)  # (batch, tgt_len)


def coverage(weights, mask=None):
    """Add up the weight that every source token receives from all target rows together.

    weights (batch, tgt_len, src_len) and mask as in `attention_entropy` give (batch, src_len), 0 at
    padding. A row for a padded target token counts like any other: leave such rows out, or make them
    zero. Tu et al. 2016.
    """
    return _without_padding(weights, mask).sum(1)  # (batch, src_len)


def _without_padding(weights, mask):
    return weights if mask is None else weights.masked_fill(~mask.unsqueeze(1), 0.0)


def compare_systems(references, system_a, system_b, tokenize="none", n_samples=1000):
    """Say by how much system B beats system A on the same sentences, and whether that may be luck.

    Three lists of sentences in one order, one reference each; `tokenize` as in `bleu`. The numbers are
    those of sacrebleu's `PairedTest`, test type "bs", over `n_samples` resamplings of the sentences
    (Koehn 2004). A dict of

    - "bleu_a", "bleu_b": corpus BLEU out of 100, and "difference": B minus A;
    - "interval_a", "interval_b": (low, high), the mean of the resampled scores minus and plus the half
      width of their middle 95%, which sacrebleu calls mean and ci;
    - "p_value": how often resampling alone makes so large a difference;
    - "within_noise": True where the p-value is not below 0.05, and where the difference is exactly 0,
      for to two equal systems the test gives a tiny p-value that says nothing.

    Lists of different lengths, or empty ones, are a ValueError.
    """
    from sacrebleu.metrics import BLEU
    from sacrebleu.significance import PairedTest

    if not len(references) == len(system_a) == len(system_b) or not references:
        raise ValueError(
            f"systems are compared on the same sentences: {len(references)} references, "
            f"{len(system_a)} sentences of A and {len(system_b)} of B"
        )
    test = PairedTest(
        [("A", system_a), ("B", system_b)],
        {"BLEU": BLEU(tokenize=tokenize, force=True)},
        [references],
        test_type="bs",
        n_samples=n_samples,
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
