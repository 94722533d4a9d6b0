"""Translation quality (BLEU, by length, with intervals) and alignment quality (error rate)."""

from dataclasses import dataclass

import numpy as np
from sacrebleu.metrics import BLEU


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
    `n_bootstrap` 0 it is not computed, and `low` and `high` are NaN.
    """
    hypotheses, references = list(hypotheses), list(references)
    if len(hypotheses) != len(references) or not references:
        raise ValueError(
            f"BLEU compares sentences one to one: {len(hypotheses)} hypotheses, {len(references)} references"
        )
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


def hard_links(weights, shift=0):
    """Link every target position to the source position with the largest weight: a set of (src, tgt).

    `weights` is (tgt_len, src_len). `shift` moves each link along the source, and links that leave
    the sentence are dropped: 0 is the honest reading, -1 and +1 show whether the map is off by one.
    """
    src_len = weights.shape[1]
    best = enumerate(weights.argmax(-1).tolist()) if src_len else ()
    return {(src + shift, tgt) for tgt, src in best if 0 <= src + shift < src_len}


def diagonal_links(src_len, tgt_len):
    """Link as if both languages had one word order: the baseline that any alignment should beat."""
    return {
        (min(src_len - 1, round(tgt * (src_len - 1) / max(1, tgt_len - 1))), tgt) for tgt in range(tgt_len)
    }


def alignment_error_rate(predicted, sure, possible=None):
    """Alignment error rate over a corpus: 0 is perfect, 1 is wholly wrong (Och and Ney 2003).

    1 - (|A and S| + |A and P|) / (|A| + |S|), where A are predicted, S sure and P possible links:
    each a list with one set of (src, tgt) a sentence. Without `possible`, the sure links are it.
    """
    possible = sure if possible is None else [s | p for s, p in zip(sure, possible, strict=True)]
    hits = total = 0
    for a, s, p in zip(predicted, sure, possible, strict=True):
        hits += len(a & s) + len(a & p)
        total += len(a) + len(s)
    if not total:
        raise ValueError("there is no link at all, neither predicted nor gold: an error rate needs some")
    return 1 - hits / total
