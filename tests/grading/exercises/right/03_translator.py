"""Right answers of exercise 03, written in other ways."""

from importlib import import_module

import torch
from torch import nn
from torch.nn import functional as F

from grading.judge.registry import with_forward
from utils.attention import attend, masked_softmax
from utils.models import BahdanauDecoder, Decoder
from utils.text import BOS_ID, EOS_ID

_in_one_batch = import_module("grading.exercises.03_translator.mistakes")._in_one_batch


def _luong_by_steps(self, tgt_in, state, encoder_states, src_mask):
    """A word at a time, as in decoding."""
    logits, weights = [], []
    for t in range(tgt_in.shape[1]):
        query, last = self.rnn(self.embedding(tgt_in[:, t : t + 1]), state.unsqueeze(0))
        state = last.squeeze(0)
        context, row = attend(query, encoder_states, encoder_states, src_mask, self.score)
        logits.append(self.out(self.combine(torch.cat((context, query), 2)).tanh()))
        weights.append(row)
    return torch.cat(logits, dim=1), state, torch.cat(weights, dim=1)


def _luong_in_one_piece(self, tgt_in, decoder_state, encoder_states, src_mask):
    """With its own attention, and combine taken apart; the results in a list."""
    query, last = self.rnn(self.embedding(tgt_in), decoder_state.unsqueeze(0))
    scores = torch.einsum("bth,bsh->bts", query, self.score.key_proj(encoder_states))
    weights = masked_softmax(scores, src_mask)
    of_context, of_query = self.combine.weight.chunk(2, dim=1)
    combined = torch.bmm(weights, encoder_states) @ of_context.T + query @ of_query.T
    return [F.linear(combined.tanh(), self.out.weight, self.out.bias), last.squeeze(0), weights]


def _luong_time_first(self, tgt_in, decoder_state, encoder_states, src_mask):
    """Logits and weights that are not contiguous, and the last state taken from all of them."""
    states, _ = self.rnn(self.embedding(tgt_in), decoder_state[None].contiguous())
    mask = src_mask.unsqueeze(1).expand(-1, tgt_in.shape[1], -1)
    context, weights = attend(states, encoder_states, encoder_states, mask, self.score)
    logits = self.out(torch.tanh(self.combine(torch.cat([context, states], -1)))).transpose(0, 1).contiguous()
    return logits.transpose(0, 1), states[:, -1], weights.mT.contiguous().mT


def _bahdanau_by_index(self, tgt_in, decoder_state, encoder_states, src_mask):
    """Into tensors made beforehand, with the additive score written out."""
    (batch, tgt_len), src_len = tgt_in.shape, encoder_states.shape[1]
    words, keys = self.embedding(tgt_in), self.score.key_proj(encoder_states)
    logits = encoder_states.new_zeros(batch, tgt_len, self.out.out_features)
    weights = encoder_states.new_zeros(batch, tgt_len, src_len)
    for t in range(tgt_len):
        asked = self.score.query_proj(decoder_state).unsqueeze(1)
        scores = self.score.v(torch.tanh(asked + keys)).transpose(1, 2)
        row = masked_softmax(scores, src_mask)
        context = torch.einsum("bs,bsh->bh", row[:, 0], encoder_states)
        decoder_state = self.cell(torch.cat([words[:, t], context], 1), decoder_state)
        combined = self.combine(torch.cat([words[:, t], decoder_state, context], 1))
        logits[:, t], weights[:, t] = self.out(torch.tanh(combined)), row[:, 0]
    return logits, decoder_state, weights


def _bahdanau_with_keys_projected_once(self, tgt_in, state, encoder_states, src_mask):
    keys, logits, weights = self.score.project_keys(encoder_states), [], []
    for word in self.embedding(tgt_in).unbind(1):
        context, row = attend(state[:, None], keys, encoder_states, src_mask, self.score.from_projected)
        state = self.cell(torch.cat([word, context[:, 0]], -1), state)
        logits.append(self.out(torch.tanh(self.combine(torch.cat([word, state, context[:, 0]], -1)))))
        weights.append(row)
    return torch.stack(logits, 1), state, torch.cat(weights, 1)


def _bahdanau_all_logits_at_once(self, tgt_in, decoder_state, encoder_states, src_mask):
    """The keys are projected again at every step, which costs time and changes nothing."""
    words, seen, weights = self.embedding(tgt_in), [], []
    for t in range(words.size(1)):
        word = words[:, t]
        context, row = attend(
            decoder_state.unsqueeze(1), encoder_states, encoder_states, src_mask, self.score
        )
        context = context.squeeze(1)
        decoder_state = self.cell(torch.cat((word, context), -1), decoder_state)
        seen.append(torch.cat((word, decoder_state, context), -1))
        weights += [row.squeeze(1)]
    logits = self.out(self.combine(torch.stack(seen, dim=1)).tanh())
    return [logits, decoder_state, torch.stack(weights, dim=1)]


def _cleared_first(model, batch, optimizer, pad_id, max_norm):
    model.train()
    optimizer.zero_grad()
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    loss = F.cross_entropy(logits.transpose(1, 2), batch.tgt_out, ignore_index=pad_id)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(model.parameters()), max_norm)
    optimizer.step()
    return float(loss)


def _clipped_by_hand(model, batch, optimizer, pad_id, max_norm):
    for parameter in model.parameters():
        parameter.grad = None
    logits = model(batch.src, batch.src_lengths, batch.tgt_in)[0]
    real = batch.tgt_out != pad_id
    chosen = logits.log_softmax(-1).gather(2, batch.tgt_out.unsqueeze(2)).squeeze(2)
    loss = -chosen[real].mean()
    loss.backward()
    given = [p.grad for p in model.parameters() if p.grad is not None]
    norm = sum((g**2).sum() for g in given).sqrt()
    if norm > max_norm:
        for gradient in given:
            gradient.mul_(max_norm / norm)
    optimizer.step()
    return loss.detach()


def _with_a_graph_of_its_own(model, batch, optimizer, pad_id, max_norm):
    optimizer.zero_grad(set_to_none=False)
    logits, weights = model.forward(batch.src, batch.src_lengths, batch.tgt_in)
    real = (batch.tgt_out != pad_id).to(logits.dtype)
    each = F.cross_entropy(logits.flatten(0, 1), batch.tgt_out.flatten(), reduction="none")
    loss = (each * real.flatten()).sum() / real.sum()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=max_norm)
    optimizer.step()
    return loss.detach().numpy().item()


def _all_at_once(model, encoded, sentences, max_len):
    found = _in_one_batch(model, encoded, sentences, max_len)
    return [(words, weights[:, :length]) for words, weights, length in found]


def _all_at_once_by_length(model, encoded, sentences, max_len):
    order = sorted(range(len(sentences)), key=lambda row: len(sentences[row]))
    found = _all_at_once(model, encoded, [sentences[row] for row in order], max_len)
    return [found[order.index(row)] for row in range(len(found))]


def _with_gradients(model, encoded, sentences, max_len):
    """Without no_grad, decodes step by step itself, and returns pairs as lists."""
    model.eval()
    results = []
    for sentence in sentences:
        ids = encoded.src_vocab.encode(sentence) + [EOS_ID]
        encoder_states, state, src_mask = model.encode(torch.tensor(ids)[None], torch.tensor([len(ids)]))
        last, words, rows = BOS_ID, [], []
        for _ in range(max_len):
            logits, state, weights = model.decode(torch.tensor([[last]]), state, encoder_states, src_mask)
            last = int(logits[0, -1].argmax())
            rows.append(weights.squeeze(0).squeeze(0))
            if last == EOS_ID:
                break
            words.append(encoded.tgt_vocab.tokens[last])
        results.append([words, torch.stack(rows)])
    return results


RIGHT = {
    "LuongDecoder": (
        with_forward(Decoder, _luong_by_steps),
        with_forward(Decoder, _luong_in_one_piece),
        with_forward(Decoder, _luong_time_first),
    ),
    "BahdanauDecoder": (
        with_forward(BahdanauDecoder, _bahdanau_by_index),
        with_forward(BahdanauDecoder, _bahdanau_all_logits_at_once),
        with_forward(BahdanauDecoder, _bahdanau_with_keys_projected_once),
    ),
    "train_step": (_cleared_first, _clipped_by_hand, _with_a_graph_of_its_own),
    "translate": (_with_gradients, _all_at_once, _all_at_once_by_length),
}
