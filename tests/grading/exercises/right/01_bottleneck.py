"""Right answers of exercise 01, written in other ways."""

from importlib import import_module

import sacrebleu
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from grading.judge.registry import with_forward
from utils.metrics import bleu
from utils.models import Encoder
from utils.text import lengths_to_mask

Decoder = import_module("grading.exercises.01_bottleneck.mistakes").Decoder


def _mask_by_rows(lengths, max_len):
    mask = torch.zeros(len(lengths), max_len, dtype=torch.bool, device=lengths.device)
    for row, length in enumerate(lengths.tolist()):
        mask[row, :length] = True
    return mask


def _loss_by_loops(logits, targets, pad_id):
    total, count = logits.new_zeros(()), 0
    for b in range(targets.shape[0]):
        for t in range(targets.shape[1]):
            if targets[b, t] != pad_id:
                total = total - torch.log_softmax(logits[b, t], dim=0)[targets[b, t]]
                count += 1
    return total / count


def _loss_with_weights(logits, targets, pad_id):
    weight = logits.new_ones(logits.shape[-1])
    weight[pad_id] = 0
    return F.cross_entropy(logits.transpose(1, 2), targets, weight=weight)


def _loss_by_one_hot(logits, targets, pad_id):
    picked = (F.one_hot(targets, logits.shape[-1]) * logits).sum(-1)
    real = targets.ne(pad_id)
    return (logits.logsumexp(-1) - picked)[real].mean()


def _gru_step(rnn, x, h, end=""):
    """One step of a GRU, written out; `end` is "_reverse" for the backward direction."""
    of_x = F.linear(x, getattr(rnn, f"weight_ih_l0{end}"), getattr(rnn, f"bias_ih_l0{end}")).chunk(3, -1)
    of_h = F.linear(h, getattr(rnn, f"weight_hh_l0{end}"), getattr(rnn, f"bias_hh_l0{end}")).chunk(3, -1)
    r, z = torch.sigmoid(of_x[0] + of_h[0]), torch.sigmoid(of_x[1] + of_h[1])
    return (1 - z) * torch.tanh(of_x[2] + r * of_h[2]) + z * h


def _encoder_by_steps(self, src, src_lengths):
    """The state stands still at padding; so a mask does what packing does."""
    x, real = self.embedding(src), lengths_to_mask(src_lengths, src.shape[1]).unsqueeze(-1)
    ends, states = [], []
    for end, places in (("", range(src.shape[1])), ("_reverse", reversed(range(src.shape[1])))):
        h, of_places = x.new_zeros(len(src), self.rnn.hidden_size), {}
        for s in places:
            h = torch.where(real[:, s], _gru_step(self.rnn, x[:, s], h, end), h)
            of_places[s] = h * real[:, s]
        ends.append(h)
        states.append(torch.stack([of_places[s] for s in range(src.shape[1])], dim=1))
    return torch.cat(states, -1), torch.tanh(self.to_decoder(torch.cat(ends, -1)))


def _encoder_by_sentences(self, src, src_lengths):
    states, firsts = [], []
    for ids, length in zip(src, src_lengths.tolist(), strict=True):
        own, last = self.rnn(self.embedding(ids[None, :length]))
        states.append(F.pad(own, (0, 0, 0, len(ids) - length)))
        firsts.append(torch.tanh(self.to_decoder(last.flatten()[None])))
    return [torch.cat(states), torch.cat(firsts)]


def _encoder_sorted(self, src, src_lengths):
    order = src_lengths.argsort(descending=True)
    packed = pack_padded_sequence(self.embedding(src[order]), src_lengths[order].tolist(), batch_first=True)
    states, last = self.rnn(packed)
    states, _ = pad_packed_sequence(states, batch_first=True, total_length=src.size(1))
    back = order.argsort()
    return states[back], self.to_decoder(torch.hstack([*last])).tanh()[back]


def _decoder_by_steps(self, tgt_in, state):
    logits = []
    for token in tgt_in.unbind(1):
        states, last = self.rnn(self.embedding(token).unsqueeze(1), state.unsqueeze(0))
        state = last.squeeze(0)
        logits.append(self.out(states.squeeze(1)))
    return torch.stack(logits, dim=1), state


def _decoder_by_hand(self, tgt_in, state):
    states = []
    for token in tgt_in.T:
        state = _gru_step(self.rnn, self.embedding(token), state)
        states.append(state)
    states = torch.stack(states)
    return (states @ self.out.weight.T + self.out.bias).transpose(0, 1), state


def _decoder_flat(self, tgt_in, state):
    states, _ = self.rnn(self.embedding(tgt_in), torch.stack([state]))
    logits = self.out(states.reshape(-1, states.shape[-1]))
    return [logits.view(*tgt_in.shape, -1), states[:, -1]]


def _greedy_into_a_table(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len):
    with torch.inference_mode():
        ids = src.new_full((len(src), max_len), eos_id)
        _, state = encoder(src, src_lengths)
        token, unfinished = src.new_full((len(src),), bos_id), src.new_ones(len(src), dtype=torch.bool)
        for step in range(max_len):
            logits, state = decoder(token.unsqueeze(1), state)
            token = torch.where(unfinished, logits.squeeze(1).log_softmax(-1).topk(1).indices[:, 0], eos_id)
            ids[:, step] = token
            unfinished = unfinished & (token != eos_id)
            if not unfinished.any():
                return ids[:, : step + 1].clone()
        return ids.clone()


def _greedy_by_sentences(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len):
    written = []
    for row in range(len(src)):
        _, state = encoder(src[row : row + 1], src_lengths[row : row + 1])
        tokens = [bos_id]
        while tokens[-1] != eos_id and len(tokens) <= max_len:
            logits, state = decoder(torch.tensor([tokens[-1:]], device=src.device), state)
            tokens.append(int(logits[0, 0].argmax()))
        written.append(tokens[1:])
    longest = max(map(len, written))
    return torch.tensor([row + [0] * (longest - len(row)) for row in written], device=src.device)


@torch.no_grad()
def _greedy_all_again(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len):
    """Read the whole text again at every step, from the first state; a softmax changes no order."""
    _, state = encoder(src, src_lengths)
    ids = torch.full((len(src), 1), bos_id, device=src.device)
    while ids.shape[1] <= max_len and not (ids == eos_id).any(1).all():
        logits, _ = decoder(ids, state)
        ids = torch.cat([ids, logits.softmax(-1).max(-1).indices[:, -1:]], dim=1)
    return ids[:, 1:]


def _corpus_bleu(hypotheses, references, tokenize="none"):
    return sacrebleu.corpus_bleu(hypotheses, [references], tokenize=tokenize, force=True).score


def _bleu_by_table(sources, hypotheses, references, edges):
    """Sentences dealt out to their bins first, the empty bins dropped last."""
    bins = {(first, edges[i + 1] - 1): ([], []) for i, first in enumerate(edges[:-1])}
    for source, hypothesis, reference in zip(sources, hypotheses, references, strict=True):
        for (first, last), (h, r) in bins.items():
            if first <= len(source.split()) <= last:
                h.append(hypothesis)
                r.append(reference)
    metric = sacrebleu.BLEU(tokenize="none")
    return [[list(key), metric.corpus_score(h, [r]).score] for key, (h, r) in bins.items() if h]


def _bleu_of_the_course(sources, hypotheses, references, edges):
    rows = []
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        chosen = [i for i, source in enumerate(sources) if len(source.split()) in range(first, end)]
        if chosen:
            texts = ([lines[i] for i in chosen] for lines in (hypotheses, references))
            rows.append(((first, end - 1), bleu(*texts, n_bootstrap=0).score))
    return rows


def _bleu_with_tensors(sources, hypotheses, references, edges):
    lengths = torch.tensor([source.count(" ") + 1 for source in sources])
    which = torch.bucketize(lengths, torch.tensor(edges), right=True) - 1
    rows = []
    for i in range(len(edges) - 1):
        kept = (which == i).nonzero().flatten()
        if len(kept):
            score = _corpus_bleu([hypotheses[k] for k in kept], [references[k] for k in kept])
            rows.append(((torch.tensor(edges[i]), torch.tensor(edges[i + 1] - 1)), torch.tensor(score)))
    return tuple(rows)


RIGHT = {
    "lengths_to_mask": (
        _mask_by_rows,
        lambda lengths, max_len: lengths.new_ones(len(lengths), max_len).cumsum(1) <= lengths[:, None],
        lambda lengths, max_len: torch.ones(max_len + 1, max_len).tril(-1).bool()[lengths.long()],
    ),
    "sequence_loss": (
        _loss_by_loops,
        _loss_with_weights,
        _loss_by_one_hot,
        lambda logits, targets, pad_id: F.cross_entropy(
            logits[targets != pad_id], targets[targets != pad_id]
        ),
    ),
    "Encoder": (
        with_forward(Encoder, _encoder_by_steps),
        with_forward(Encoder, _encoder_by_sentences),
        with_forward(Encoder, _encoder_sorted),
    ),
    "Decoder": (
        with_forward(Decoder, _decoder_by_steps),
        with_forward(Decoder, _decoder_by_hand),
        with_forward(Decoder, _decoder_flat),
    ),
    "greedy_decode": (_greedy_into_a_table, _greedy_by_sentences, _greedy_all_again),
    "bleu_by_length": (_bleu_by_table, _bleu_with_tensors, _bleu_of_the_course),
}
