"""IBM model 1: word alignment without a neural network, a baseline for attention maps."""

import numpy as np
import torch


class IBMModel1:
    """Learn translation probabilities t(target word | source word) from sentence pairs.

    `src` and `tgt` are parallel lists of tokenized sentences. The model assumes that every target word
    translates one source word of its sentence, or the empty word NULL, whatever their positions. It starts
    from uniform probabilities and runs `rounds` of expectation maximization. Memory grows with the product of
    both lengths, summed over all pairs: about 75 bytes each.

    Raises ValueError if `src` and `tgt` have different lengths or no target words. Brown et al. 1993,
    section 4.1.
    """

    def __init__(self, src, tgt, rounds=10):
        if len(src) != len(tgt) or not any(map(len, tgt)):
            raise ValueError(
                f"expected parallel sentences with at least one target word, got {len(src)} source and "
                f"{len(tgt)} target sentences with {sum(map(len, tgt))} target words"
            )
        self.src_ids = {word: i for i, word in enumerate(dict.fromkeys(w for row in src for w in row), 1)}
        self.tgt_ids = {word: i for i, word in enumerate(dict.fromkeys(w for row in tgt for w in row))}
        pairs, links, words = [], [], 0
        for src_words, tgt_words in zip(src, tgt, strict=True):
            sources = [0, *(self.src_ids[word] for word in src_words)]  # 0 is NULL
            targets = [self.tgt_ids[word] for word in tgt_words]
            pairs.append(np.add.outer(targets, np.multiply(sources, len(self.tgt_ids))).ravel())
            links.append(np.repeat(np.arange(words, words + len(targets)), len(sources)))
            words += len(targets)
        link_to_target = np.concatenate(links)  # the target word, counted over the corpus, of each link
        self.pairs, link_to_pair = np.unique(np.concatenate(pairs), return_inverse=True)
        pair_to_source = self.pairs // len(self.tgt_ids)
        self.t = np.full(len(self.pairs), 1 / len(self.tgt_ids))
        for _ in range(rounds):
            posteriors = self.t[link_to_pair]
            posteriors /= np.bincount(link_to_target, posteriors)[link_to_target]
            counts = np.bincount(link_to_pair, posteriors)
            self.t = counts / np.bincount(pair_to_source, counts)[pair_to_source]

    def probability(self, src_word, tgt_word):
        """Return t(tgt_word | src_word), where a `src_word` of None is NULL.

        The probability is 0 for words that never occur in the same pair.
        """
        source = 0 if src_word is None else self.src_ids.get(src_word)
        target = self.tgt_ids.get(tgt_word)
        if source is None or target is None:
            return 0.0
        pair = source * len(self.tgt_ids) + target
        i = min(np.searchsorted(self.pairs, pair), len(self.pairs) - 1)
        return float(self.t[i]) if self.pairs[i] == pair else 0.0

    def weights(self, src_words, tgt_words):
        """Return the probability of each link as a map (tgt_len, src_len), to be read like attention.

        The probability of NULL is left out, so a row can sum to less than one. Unknown words get zeros.
        """
        table = [[self.probability(src, tgt) for src in (None, *src_words)] for tgt in tgt_words]
        table = torch.tensor(table).reshape(len(tgt_words), 1 + len(src_words))
        return (table / table.sum(1, keepdim=True).clamp(min=1e-30))[:, 1:]  # (tgt_len, src_len)
