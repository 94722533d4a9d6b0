"""Exercise 03: one update, a translation of sentences, and what a trained translator writes."""

import torch

from utils.data import Corpus, Split
from utils.models import Seq2Seq
from utils.models import translate as library_translate
from utils.text import Batch, EncodedCorpus, encoded_reviews


def update(answer, src, src_lengths, tgt_in, tgt_out, pad_id, max_norm, updates, leftover, model):
    """Update a model on one batch some times.

    Gives the losses, all parameters, if a loss holds its graph, and if the model was in evaluation mode. The
    optimizer is plain gradient descent, which does not hide how large a gradient is. A `leftover` is in
    every gradient before the first call.
    """
    batch = Batch(src, src_lengths, tgt_in, tgt_out, list(range(len(src))))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    modes = []
    model.encoder.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    model.train()
    for parameter in model.parameters() if leftover else ():
        parameter.grad = torch.full_like(parameter, leftover)
    losses = [answer(model, batch, optimizer, pad_id, max_norm) for _ in range(updates)]
    parameters = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    held = any(isinstance(loss, torch.Tensor) and loss.requires_grad for loss in losses)
    return losses, parameters, held, not all(modes)


def sentences(answer, src_words, tgt_words, sentences, max_len, model):
    """Translate with a model of these words: words and weights by sentence, and if dropout was on."""
    text = Split([" ".join(src_words)], [" ".join(tgt_words)])
    encoded = EncodedCorpus(Corpus("words", "en", "fr", {"train": text}, "words", "none", "none"))
    modes = []
    model.encoder.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    model.train()
    pairs = answer(model, encoded, sentences, max_len)
    if not isinstance(pairs, list | tuple) or not all(_is_pair(pair) for pair in pairs):
        raise TypeError("translate should give a list with one pair, (words, weights), for each sentence")
    return [words for words, _ in pairs], [weights for _, weights in pairs], any(modes)


def _is_pair(value):
    return isinstance(value, list | tuple) and len(value) == 2


def reviews(answer, sentences):
    """Translate reviews with a trained model: sentences, and a map for each (none without attention)."""
    if not isinstance(answer, Seq2Seq):
        kind = answer.__name__ if isinstance(answer, type) else type(answer).__name__
        raise TypeError(f"translator should be a trained Seq2Seq, a model, but it is {kind}")
    encoded = encoded_reviews()
    if answer.encoder.embedding.num_embeddings != len(encoded.src_vocab):
        raise ValueError(
            "translator was made for other words: make it with len(encoded.src_vocab) and "
            "len(encoded.tgt_vocab), where encoded is encoded_reviews()"
        )
    with torch.no_grad():
        done = library_translate(answer, encoded, [sentence.split() for sentence in sentences])
    maps = [one.weights for one in done if one.weights is not None]
    return [" ".join(one.tokens) for one in done], maps
