"""Word alignment without a neural network: IBM model 1, learned from sentence pairs alone."""

import numpy as np
import torch


class IBMModel1:
    """Learn which source word stands behind which target word (Brown et al. 1993, section 4.1).

    `src` and `tgt` are lists of tokenised sentences, line by line parallel. Every target word is taken to
    come from one source word of its sentence, or from an empty one, NULL, without regard to places. From
    even probabilities t(target | source), each round of expectation maximisation shares every target word
    out over the words it may come from, in proportion to t, and makes t anew from these shares. The memory
    needed grows with the product of both lengths, summed over the sentence pairs: some 75 bytes each.
    """

    def __init__(self, src, tgt, rounds=10):
        if len(src) != len(tgt) or not any(map(len, tgt)):
            raise ValueError(
                f"pairs of sentences are needed, with some target word: {len(src)} and {len(tgt)} given"
            )
        self.src_ids = {word: i for i, word in enumerate(dict.fromkeys(w for row in src for w in row), 1)}
        self.tgt_ids = {word: i for i, word in enumerate(dict.fromkeys(w for row in tgt for w in row))}
        pairs, owners, words = [], [], 0
        for src_words, tgt_words in zip(src, tgt, strict=True):
            sources = [0, *(self.src_ids[word] for word in src_words)]  # 0 is NULL
            targets = [self.tgt_ids[word] for word in tgt_words]
            pairs.append(np.add.outer(targets, np.multiply(sources, len(self.tgt_ids))).ravel())
            owners.append(np.repeat(np.arange(words, words + len(targets)), len(sources)))
            words += len(targets)
        owners = np.concatenate(owners)  # which target word of the corpus each possible link belongs to
        self.pairs, where = np.unique(np.concatenate(pairs), return_inverse=True)
        givers = self.pairs // len(self.tgt_ids)
        self.t = np.full(len(self.pairs), 1 / len(self.tgt_ids))
        for _ in range(rounds):
            shares = self.t[where]
            shares /= np.bincount(owners, shares)[owners]
            counts = np.bincount(where, shares)
            self.t = counts / np.bincount(givers, counts)[givers]

    def probability(self, src_word, tgt_word):
        """t(target | source), with None as the source for NULL; 0 for words that never met in a pair."""
        source = 0 if src_word is None else self.src_ids.get(src_word)
        target = self.tgt_ids.get(tgt_word)
        if source is None or target is None:
            return 0.0
        pair = source * len(self.tgt_ids) + target
        place = min(np.searchsorted(self.pairs, pair), len(self.pairs) - 1)
        return float(self.t[place]) if self.pairs[place] == pair else 0.0

    def weights(self, src_words, tgt_words):
        """Share each target word out over the source words: (tgt_len, src_len), read like attention weights.

        What goes to NULL is left out, so a row may sum to less than one; a row of unknown words is zero.
        """
        table = [[self.probability(src, tgt) for src in (None, *src_words)] for tgt in tgt_words]
        table = torch.tensor(table).reshape(len(tgt_words), 1 + len(src_words))
        return (table / table.sum(1, keepdim=True).clamp(min=1e-30))[:, 1:]  # (tgt_len, src_len)
