"""Exercise 03: one update, a translation of sentences, and a trained translator as plain data."""

import torch

from utils.data import Corpus, Split
from utils.models import Seq2Seq
from utils.text import Batch, EncodedCorpus

WIDEST = 768
TOO_WIDE = f"embed_dim and hidden_dim of translator may be {WIDEST} at most"


def update(answer, src, src_lengths, tgt_in, tgt_out, pad_id, max_norm, updates, leftover, model):
    """Update a model on one batch some times, and return the losses and all parameters.

    The optimizer is plain gradient descent, which does not hide how large a gradient is. A `leftover` is in
    every gradient before the first call.
    """
    batch = Batch(src, src_lengths, tgt_in, tgt_out, list(range(len(src))))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    model.train()
    for parameter in model.parameters() if leftover else ():
        parameter.grad = torch.full_like(parameter, leftover)
    losses = [answer(model, batch, optimizer, pad_id, max_norm) for _ in range(updates)]
    return losses, torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def sentences(answer, src_words, tgt_words, sentences, max_len, model):
    """Translate with a model of these words, which is in training mode."""
    text = Split([" ".join(src_words)], [" ".join(tgt_words)])
    encoded = EncodedCorpus(Corpus("words", "en", "fr", {"train": text}, "words", "none", "none"))
    return answer(model.train(), encoded, sentences, max_len)


def parameters(answer):
    """Return the sizes of a translator and its parameters by name. The judge translates with them."""
    if not isinstance(answer, Seq2Seq):
        kind = answer.__name__ if isinstance(answer, type) else type(answer).__name__
        raise TypeError(f"translator should be a trained Seq2Seq, a model, but it is {kind}")
    if max(answer.config["embed_dim"], answer.config["hidden_dim"]) > WIDEST:
        raise ValueError(TOO_WIDE)
    return answer.config, {name: value.detach().float() for name, value in answer.named_parameters()}
