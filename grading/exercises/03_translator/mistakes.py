"""Exercise 03: mistakes in the two decoders, the update and the translation."""

import torch
from torch import nn
from torch.nn import functional as F

from grading.judge.registry import mistake
from utils import models
from utils.attention import attend
from utils.text import BOS_ID, EOS_ID, PAD_ID, pad  # noqa: F401 (patches use PAD_ID)
from utils.training import sequence_loss

# The decoders


class LuongDecoder(models.Decoder):
    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        words, keys = self.embedding(tgt_in), encoder_states
        states, last = self.rnn(words, decoder_state[None])
        state = last[0]
        context, weights = attend(states, keys, keys, src_mask, self.score)
        combined = torch.tanh(self.combine(torch.cat([context, states], -1)))
        logits = self.out(combined)
        return logits, state, weights


class BahdanauDecoder(models.BahdanauDecoder):
    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        words, keys = self.embedding(tgt_in), encoder_states
        state, context = decoder_state, torch.zeros_like(decoder_state)
        states, logits, weights = [], [], []
        for word in words.unbind(1):
            context, row = attend(state[:, None], keys, keys, src_mask, self.score)
            context = context[:, 0]
            state = self.cell(torch.cat([word, context], -1), state)
            combined = torch.tanh(self.combine(torch.cat([word, state, context], -1)))
            states.append(state)
            logits.append(self.out(combined))
            weights.append(row)
        logits, weights = torch.stack(logits, 1), torch.cat(weights, 1)
        return logits, state, weights


def last_real(self, tgt_in, states):
    """The state at the last token that isn't padding, (batch, hidden)."""
    return states[torch.arange(len(states)), (tgt_in != self.embedding.padding_idx).sum(1) - 1]


BOTH = LuongDecoder, BahdanauDecoder
RESULTS, LOOKS, TANH = (
    "return logits, state, weights",
    "keys, keys, src_mask, self.score",
    "torch.tanh(self.combine(",
)
COMBINED = "torch.tanh(self.combine(torch.cat([context, states], -1)))"
COMBINED_WITH_WORD = "torch.tanh(self.combine(torch.cat([word, state, context], -1)))"


@mistake(*BOTH, {LOOKS: "keys, keys, None, self.score"})
def mask_ignored():
    """src_mask isn't used, so padding receives weight and ends up in the context. Pass the mask to attend."""


@mistake(*BOTH, {LOOKS: "keys, keys, ~src_mask, self.score"})
def mask_inverted():
    """The mask is inverted. True marks a real token, which is what attend expects."""


@mistake(*BOTH, {TANH: "(self.combine("})
def no_tanh():
    """The tanh around combine is missing. Without it, combine is just another linear layer before out."""


@mistake(*BOTH, {TANH: "(self.combine(", "self.out(combined)": "torch.tanh(self.out(combined))"})
def tanh_on_logits():
    """The tanh comes too late. Apply it to the output of combine, and leave out as a plain linear layer."""


@mistake(*BOTH, *({"return logits": f"return logits.{f}(-1)"} for f in ("softmax", "log_softmax")))
def probabilities():
    """These are probabilities or their logarithms. Return plain logits: the loss applies the softmax."""


@mistake(*BOTH, {"state, weights\n": "state, weights.mT\n"})
def weights_transposed():
    """The weights have shape (batch, src_len, tgt_len). Each word that is written has its own row."""


@mistake(*BOTH, *({"state, weights\n": f"state, weights[:, {part}]\n"} for part in ("-1:", "-1")))
def last_weights_only():
    """Only the last word's weights are returned. Return a row for each word that is written."""


@mistake(*BOTH, *({"state, weights\n": f"state, weights[:, {part}]\n"} for part in (":1", "0")))
def first_weights_only():
    """Only the first word's weights are returned. Return a row for each word that is written."""


@mistake(LuongDecoder, {RESULTS: "return logits, combined[:, -1], weights"})
@mistake(BahdanauDecoder, {RESULTS: "return logits, combined, weights"})
@mistake(BahdanauDecoder, {"weights.append(row)": "weights.append(row)\n            state = combined"})
@mistake(
    BahdanauDecoder,
    {
        "weights.append(row)": "weights.append(row)\n            new, state = state, combined",
        RESULTS: "return logits, new, weights",
    },
)
def combined_as_state():
    """The output of combine is used as the state. It is for the logits: the GRU returns the state."""


@mistake(LuongDecoder)
def combined_as_state(self, tgt_in, state, keys, src_mask):
    """The output of combine is used as the state. It is for the logits: the GRU returns the state."""
    logits, weights = [], []
    for word in self.embedding(tgt_in).split(1, dim=1):
        query, _ = self.rnn(word, state[None].contiguous())
        context, row = attend(query, keys, keys, src_mask, self.score)
        combined = torch.tanh(self.combine(torch.cat([context, query], -1)))
        state = combined[:, 0]
        logits.append(self.out(combined))
        weights.append(row)
    return torch.cat(logits, 1), state, torch.cat(weights, 1)


@mistake(LuongDecoder, {"state = last[0]": "state = last_real(self, tgt_in, states)"})
@mistake(
    BahdanauDecoder, {RESULTS: "return logits, last_real(self, tgt_in, torch.stack(states, 1)), weights"}
)
def state_before_padding():
    """The state of the last real token is returned. decoder_state is the state after the last position,
    padding or not."""


@mistake(*BOTH)
def state_frozen_at_padding(self, tgt_in, decoder_state, encoder_states, src_mask):
    """The state isn't updated at padding. Return the state after the last position, padding or not."""
    steps, forward = [], type(self).__mro__[1].forward
    for token in tgt_in.split(1, dim=1):
        logits, new, weights = forward(self, token, decoder_state, encoder_states, src_mask)
        decoder_state = torch.where(token != self.embedding.padding_idx, new, decoder_state)
        steps.append((logits, weights))
    logits, weights = zip(*steps, strict=True)
    return torch.cat(logits, 1), decoder_state, torch.cat(weights, 1)


@mistake(LuongDecoder)
def restarted_at_each_word(self, tgt_in, decoder_state, encoder_states, src_mask):
    """The GRU starts again from decoder_state at every word. Pass the new state on from word to word, or read
    all words in one call."""
    steps = [
        LuongDecoder.forward(self, t, decoder_state, encoder_states, src_mask) for t in tgt_in.split(1, 1)
    ]
    logits, states, weights = zip(*steps, strict=True)
    return torch.cat(logits, 1), states[-1], torch.cat(weights, 1)


@mistake(BahdanauDecoder)
def own_words_fed(self, tgt_in, decoder_state, encoder_states, src_mask):
    """The decoder feeds itself its own words. Here tgt_in has the words: only translate feeds back."""
    token, logits, weights = tgt_in[:, :1], [], []
    for _ in range(tgt_in.shape[1]):
        step, decoder_state, row = BahdanauDecoder.forward(
            self, token, decoder_state, encoder_states, src_mask
        )
        token = step.argmax(-1)
        logits.append(step)
        weights.append(row)
    return torch.cat(logits, 1), decoder_state, torch.cat(weights, 1)


@mistake(LuongDecoder, {"last[0]": "last"})
def layer_axis_kept():
    """The state has one axis too many. nn.GRU returns (1, batch, hidden), a state per layer: take [0]."""


@mistake(LuongDecoder, {"state = last[0]": "state = states"})
def all_states_returned():
    """The states of all words are returned. The second result is the last one, (batch, hidden)."""


@mistake(*BOTH, {RESULTS: "return logits, decoder_state, weights"})
def first_state_returned():
    """The state that was passed in is returned. Return the state after the last word: decoding goes word by
    word, and the decoder would forget what it has written."""


@mistake(LuongDecoder, {"self.rnn(words, decoder_state[None])": "self.rnn(words)"})
@mistake(
    BahdanauDecoder, {"state, context = decoder_state": "state, context = torch.zeros_like(decoder_state)"}
)
def first_state_ignored():
    """The decoder starts from zeros. Start from decoder_state, the encoder's summary of the sentence."""


@mistake(*BOTH, {RESULTS: "return logits, weights, state"})
def other_order():
    """The three results are in another order. Return logits, decoder_state, weights."""


@mistake(LuongDecoder, {"attend(states": "attend(torch.cat([decoder_state[:, None], states[:, :-1]], 1)"})
def query_before_the_cell():
    """The query is the state before each word, as in Bahdanau's decoder. In this one, the cell's new state is
    the query."""


@mistake(LuongDecoder, {"attend(states": "attend(states[:, -1:].expand_as(states)"})
@mistake(LuongDecoder, {"attend(states": "attend(decoder_state[:, None].expand_as(states)"})
@mistake(BahdanauDecoder, {"attend(state[:, None]": "attend(decoder_state[:, None]"})
def one_query_for_all():
    """One state is the query of all words, so every row of weights is the same. Each word has its own state
    as the query."""


@mistake(LuongDecoder, {"attend(states": "attend(words"})
@mistake(BahdanauDecoder, {"attend(state[:, None]": "attend(word[:, None]"})
def word_as_query():
    """The embedded word is the query, but it knows nothing of the sentence. Use the decoder's state."""


@mistake(LuongDecoder, {f"attend(states, {LOOKS}": "attend(states, states, states, None, self.score"})
def own_states_as_keys():
    """The decoder looks at its own states. Keys and values are the encoder's states."""


@mistake(LuongDecoder, {"[context, states]": "[states, context]"})
def joined_the_other_way():
    """State and context are joined in the other order. combine expects [context, state]."""


@mistake(LuongDecoder, {COMBINED: "states"}, {COMBINED: "torch.tanh(states)"})
@mistake(BahdanauDecoder, {COMBINED_WITH_WORD: "state"}, {COMBINED_WITH_WORD: "torch.tanh(state)"})
def no_context():
    """The context never reaches the output. Join it with the state, and pass both through combine."""


@mistake(LuongDecoder, {COMBINED: "context"})
def context_alone():
    """The output uses only the context. Use the state too: it knows what has been written so far."""


@mistake(LuongDecoder, {COMBINED: "torch.tanh(context + states)"})
def context_added():
    """State and context are added, and combine is never used. Join them, and pass them through combine."""


@mistake(LuongDecoder, {"[context, states]": "[F.pad(context, (0, 0, 1, 0))[:, :-1], states]"})
def context_of_the_word_before():
    """Each word is written with the context of the previous word. Use both of the same step."""


@mistake(BahdanauDecoder, {"-1), state)": "-1))"})
def cell_without_its_state():
    """The cell starts from zeros at every word. Pass the previous state: self.cell(inputs, state)."""


ATTEND = """context, row = attend(state[:, None], keys, keys, src_mask, self.score)
            context = context[:, 0]"""
CELL = "state = self.cell(torch.cat([word, context], -1), state)"


@mistake(BahdanauDecoder, {ATTEND: CELL, CELL: ATTEND})
def attends_after_the_cell():
    """The cell goes first, and its new state is the query, as in Luong's decoder. Here the old state is the
    query, and the context goes into the cell."""


@mistake(
    BahdanauDecoder,
    {"attend(state[:, None]": "attend(decoder_state[:, None]", "-1), state)": "-1), decoder_state)"},
)
def state_never_updated():
    """Every word starts from the first state. The new state of one step is the old state of the next."""


@mistake(BahdanauDecoder, {"-1), state)": "-1), decoder_state)"})
def cell_starts_over():
    """The cell starts from the first state at every word. Pass it the state of the previous step."""


@mistake(BahdanauDecoder, {"[word, context]": "[word, state]"})
def state_for_context():
    """The cell gets the word and the state, but not the context. Its input is [word, context], and the state
    is its second argument."""


@mistake(
    BahdanauDecoder,
    {"unbind(1):": "unbind(1):\n            before = context", "[word, context]": "[word, before]"},
)
def context_of_the_word_before():
    """The cell gets the context of the previous word. Attend first, then run the cell."""


@mistake(BahdanauDecoder, {"[word, context]": "[context, word]"})
def fed_the_other_way():
    """The cell's input is joined in the other order. It expects [word, context], as in the equation."""


@mistake(
    BahdanauDecoder,
    {"state = self": "old, state = state, self", "[word, state, context]": "[word, old, context]"},
)
def old_state_in_the_output():
    """The output uses the old state. Use the cell's new state, which knows the word that was just read."""


@mistake(
    BahdanauDecoder,
    {"[word, state, context]": "[word, context, state]"},
    {"[word, state, context]": "[state, context, word]"},
    {"[word, state, context]": "[context, state, word]"},
    {"[word, state, context]": "[state, word, context]"},
    {"[word, state, context]": "[context, word, state]"},
)
def joined_the_other_way():
    """The input of combine is joined in another order. It expects [word, state, context]."""


@mistake(BahdanauDecoder, {"keys, keys, src_mask": "self.score.project_keys(keys), keys, src_mask"})
def projected_twice():
    """The keys are projected twice, by project_keys and again by the score. Use score.from_projected for
    projected keys."""


@mistake(
    BahdanauDecoder, {LOOKS: "*[self.score.project_keys(keys)] * 2, src_mask, self.score.from_projected"}
)
def projected_keys_as_values():
    """The context is made of projected keys, which are for scoring. The values are the encoder's states."""


@mistake(BahdanauDecoder, *({"return logits": f"return logits[:, {part}]"} for part in ("-1", "-1:")))
def last_logits_only():
    """Only the last word's logits are returned. Collect those of every step, (batch, tgt_len, vocab)."""


@mistake(BahdanauDecoder, {"torch.stack(logits, 1)": "torch.stack(logits)"})
def steps_on_the_batch_axis():
    """The steps are stacked on axis 0, which is the batch. Use torch.stack(logits, 1)."""


@mistake(BahdanauDecoder, {"torch.cat(weights, 1)": "torch.stack(weights, 1)"})
def weights_stacked():
    """The weights have one axis too many. Each step's are already (batch, 1, src_len): join them with
    torch.cat along axis 1."""


# One update


def train_step(model, batch, optimizer, pad_id, max_norm):
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    loss = sequence_loss(logits, batch.tgt_out, pad_id)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


ZERO, STEP = "optimizer.zero_grad()", "optimizer.step()"
LOSS, CLIP = (
    "sequence_loss(logits, batch.tgt_out, pad_id)",
    "nn.utils.clip_grad_norm_(model.parameters(), max_norm)",
)
FORWARD = "logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)"


def stretch(model, max_norm):
    given = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    total = torch.stack([gradient.norm() for gradient in given]).norm()
    for gradient in given:
        gradient *= max_norm / total


def mean_of_means(logits, targets, pad_id):
    rows = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=pad_id, reduction="none")
    return (rows.sum(1) / (targets != pad_id).sum(1)).mean()


@mistake(train_step, {ZERO: ""})
def zero_grad_forgotten():
    """The new gradients are added to those of earlier updates. Call optimizer.zero_grad() once per update."""


@mistake(train_step, {ZERO: "", STEP: f"{STEP}\n    {ZERO}"})
def zero_grad_at_the_end_only():
    """Gradients from before the first call are added to the new ones. Clear them before backward(), not only
    after the step."""


@mistake(train_step, {"logits, _": "model.eval()\n    logits, _"})
def in_evaluation_mode():
    """The model learns in evaluation mode, without dropout. It arrives in the right mode: leave model.eval()
    to the translation."""


@mistake(train_step, {STEP: ""})
def nothing_learned():
    """The parameters don't change. Call zero_grad(), backward(), clip, then optimizer.step(), and don't clear
    the gradients before the step."""


@mistake(train_step, {CLIP: ""})
def not_clipped():
    """The gradients aren't clipped. Call clip_grad_norm_ after backward() and before step()."""


@mistake(train_step, {CLIP: "[nn.utils.clip_grad_norm_(each, max_norm) for each in model.parameters()]"})
def clipped_one_by_one():
    """Each parameter is clipped separately. Pass model.parameters() to clip_grad_norm_, which limits the norm
    of all gradients together and keeps their direction."""


@mistake(train_step, {CLIP: "nn.utils.clip_grad_value_(model.parameters(), max_norm)"})
def clipped_by_value():
    """Each number of the gradient is clipped. Clip the norm instead, which keeps the direction."""


@mistake(train_step, {"max_norm)\n    opt": "1.0)\n    opt"})
def max_norm_ignored():
    """The gradients are clipped to 1. Use the argument max_norm."""


@mistake(train_step, {CLIP: "stretch(model, max_norm)"})
def stretched_to_max_norm():
    """Small gradients are made larger. Clipping only shortens gradients longer than max_norm."""


@mistake(train_step, {"batch.tgt_in": "batch.tgt_out"})
def gold_leaks():
    """The model reads the words that it should predict. Pass it tgt_in, which is one step behind tgt_out."""


@mistake(train_step, {"batch.tgt_out": "batch.tgt_in"})
def copies_its_input():
    """The targets are tgt_in, the words that the model has just read. Use tgt_out, the next words."""


@mistake(train_step, {"logits, batch.tgt_out, pad_id": "logits[:, :-1], batch.tgt_out[:, 1:], pad_id"})
@mistake(train_step, {"batch.tgt_in)": "batch.tgt_in[:, :-1])", "batch.tgt_out": "batch.tgt_out[:, 1:]"})
def shifted_twice():
    """The targets are shifted again, but tgt_out is already a step ahead of tgt_in. Use both as they are."""


@mistake(train_step, {ZERO: "optimizer = torch.optim.Adam(model.parameters())\n    optimizer.zero_grad()"})
def another_optimizer():
    """The step is taken by another optimizer than the one passed in. Use the argument optimizer."""


@mistake(train_step, {"pad_id)\n    opt": "-100)\n    opt"})
def padding_counted():
    """Padding counts in the loss. Pass pad_id to sequence_loss, so that only real words count."""


@mistake(train_step, {"pad_id)\n    opt": "PAD_ID)\n    opt"})
def pad_id_ignored():
    """Padding is assumed to have id 0. Pass the argument pad_id to sequence_loss."""


@mistake(train_step, {LOSS: f"{LOSS} * (batch.tgt_out != pad_id).sum()"})
def summed():
    """The loss is the sum over the words. Take the mean, or long batches count more."""


@mistake(train_step, {"sequence_loss": "mean_of_means"})
def mean_of_sentences():
    """The loss is a mean over sentences, so words of short sentences count more. Take the mean over all real
    words of the batch."""


@mistake(train_step, {"sequence_loss(logits": "sequence_loss(logits.softmax(-1)"})
def softmax_twice():
    """The logits pass through a softmax first. The cross-entropy applies one itself, and with two the model
    hardly learns."""


@mistake(train_step, {"return": f"{FORWARD}\n    loss = {LOSS}\n    return"})
def loss_after_the_step():
    """The loss is computed again after the step. Return the one that the gradients come from."""


@mistake(train_step, {LOSS: f"-{LOSS}", "loss.item()": "-loss.item()"})
def uphill():
    """The parameters follow the gradient upward. The loss should decrease, so don't change its sign."""


# Greedy translation


@torch.no_grad()
def translate(model, encoded, sentences, max_len):
    model.eval()
    done = []
    for sentence in sentences:
        src = torch.tensor([[*encoded.src_vocab.encode(sentence), EOS_ID]])
        states, state, mask = model.encode(src, torch.tensor([src.shape[1]]))
        token, ids, rows = torch.tensor([[BOS_ID]]), [], []
        while len(ids) < max_len:
            logits, state, row = model.decode(token, state, states, mask)
            token = logits.argmax(-1)
            ids.append(token.item())
            rows.append(row)
            if ids[-1] == EOS_ID:
                break
        words, weights = encoded.tgt_vocab.decode(ids), torch.cat(rows, 1)[0]
        done.append((words, weights))
    return done


ENDED, WORDS, MAP, PAIR = (
    "ids[-1] == EOS_ID",
    "encoded.tgt_vocab.decode(ids)",
    "torch.cat(rows, 1)[0]",
    "(words, weights)",
)


@torch.no_grad()
def _in_one_batch(model, encoded, sentences, max_len, with_lengths=True):
    """Translate all sentences at once: words, a map with columns for padding, and the source length."""
    model.eval()
    ids = [[*encoded.src_vocab.encode(words), EOS_ID] for words in sentences]
    src, lengths = pad(ids), torch.tensor([len(row) for row in ids])
    read = lengths if with_lengths else torch.full_like(lengths, src.shape[1])
    states, state, mask = model.encode(src, read)
    token, written, rows = torch.full((len(src), 1), BOS_ID), [], []
    for _ in range(max_len):
        logits, state, weights = model.decode(token, state, states, mask)
        token = logits.argmax(-1)
        written.append(token)
        rows.append(weights)
    words = [encoded.tgt_vocab.decode(row) for row in torch.cat(written, 1).tolist()]
    maps = torch.cat(rows, 1)
    return [(words[i], maps[i, : len(words[i]) + 1], n) for i, n in enumerate(lengths.tolist())]


@mistake(translate, {"logits, state, row": "logits, _, row"})
def state_never_updated():
    """The decoder's state is never updated, so it restarts the sentence at every word. Pass the state that
    decode returns to the next step."""


@mistake(translate, {"decode(token": "decode(torch.tensor([[BOS_ID]])"})
def begin_at_every_step():
    """The decoder gets the begin token at every step. Feed it the last word it wrote."""


@mistake(translate, {"BOS_ID": "EOS_ID"})
def begins_with_the_end():
    """The first token is the end token. A translation begins with BOS_ID."""


@mistake(translate, {"BOS_ID": "PAD_ID"})
def begins_with_padding():
    """The first token is padding. A translation begins with BOS_ID."""


@mistake(translate, {", EOS_ID]])": "]])"})
def source_without_its_end():
    """The source has no end token. The model was trained with EOS_ID after each source sentence."""


@mistake(translate, {"[src.shape[1]]": "[src.shape[1] - 1]"})
def length_without_the_end():
    """The end token is in src but not counted in src_lengths, so the encoder doesn't read it. Count it."""


@mistake(translate, {"< max_len": "< max_len - 1"})
def one_step_too_few():
    """Writing stops one token before max_len. Up to max_len tokens are written, so allow max_len steps."""


@mistake(translate, {"[[*encoded": "[[BOS_ID, *encoded"})
def source_with_a_begin():
    """The source has a begin token in front. The model was trained with only an end token, at the end."""


@mistake(translate, {"src_vocab": "tgt_vocab"})
def target_vocabulary_for_the_source():
    """The source is encoded with the target's vocabulary, without its words. Use encoded.src_vocab."""


@mistake(translate, {"tgt_vocab": "src_vocab"})
def source_vocabulary_for_the_target():
    """The ids are turned into words of the source's vocabulary. The decoder writes in the target's: use
    encoded.tgt_vocab."""


@mistake(translate, {"decode(token": "decode(src[:, [min(len(ids), src.shape[1]) - 1]] if ids else token"})
def source_words_leak():
    """The decoder gets the words of the source, one after the other. Feed it the last word it wrote."""


@mistake(translate, {WORDS: "[encoded.tgt_vocab.tokens[i] for i in ids]"})
def end_kept():
    """The end token is among the words. It ends the translation and isn't part of it."""


@mistake(translate, {ENDED: "False"})
@mistake(translate, {ENDED: "False", WORDS: "[encoded.tgt_vocab.tokens[i] for i in ids if i != EOS_ID]"})
def never_ends():
    """The translation continues after its end token. Stop there."""


@mistake(translate, {ENDED: f"{ENDED} or len(ids) >= len(sentence)"})
def as_long_as_the_source():
    """The translation stops after as many words as the source has. Stop at the end token or at max_len."""


@mistake(translate, {"model.eval()": ""})
def in_training_mode():
    """The model translates in training mode, where dropout is random. Call model.eval() first."""


@mistake(translate, {WORDS: "[i for i in ids if i != EOS_ID]"})
def ids_for_words():
    """The translations are ids. Turn them into words with encoded.tgt_vocab.decode."""


@mistake(translate, {WORDS: f'" ".join({WORDS})'})
def joined_to_a_text():
    """A translation is one string. Return a list of words, so that each word has its row of the map."""


@mistake(translate, {MAP: f"{MAP}.T"})
def map_transposed():
    """The maps are transposed. Each written word has a row, and each source word a column."""


@mistake(translate, {MAP: "torch.cat(rows, 1)"}, {MAP: "torch.stack([row[0] for row in rows])"})
def batch_axis_kept():
    """The maps have an axis for the batch. Each belongs to one sentence, so return (tgt_len, src_len)."""


@mistake(translate, {PAIR: "(words, weights[: len(words)])"})
@mistake(
    translate,
    {
        "ids.append": "if token.item() == EOS_ID:\n                break\n            ids.append",
        MAP: "torch.stack([row[0, 0] for row in rows])",
    },
)
def without_the_end_row():
    """The row of the end token is missing. Append each row before you check for the end token."""


@mistake(translate, {MAP: f"{MAP}[:, :-1]"})
def without_the_end_column():
    """The column of the source's end token is missing, so the rows don't sum to one. Keep it."""


@mistake(translate, {PAIR: "(words, weights[: len(words), :-1])"})
def without_the_ends():
    """The row and the column of the end tokens are missing. The attention to the source's end token is part
    of the map: keep both."""


@mistake(translate, {MAP: "rows[-1][0]"}, {MAP: "rows[-1][0].expand(len(rows), -1)"})
def last_row_only():
    """A map has only the weights of the last step. Collect the weights of each step and join them."""


@mistake(translate)
def padding_columns(*inputs):
    """The maps have columns for padding. Cut each to the length of its sentence, including the end
    token."""
    return [(words, weights) for words, weights, _ in _in_one_batch(*inputs)]


@mistake(translate)
def padding_read_as_words(*inputs):
    """Padding is read as if it were words. Pass encode the length of each sentence, not of the longest."""
    return [(words, weights[:, :n]) for words, weights, n in _in_one_batch(*inputs, with_lengths=False)]


@mistake(translate)
def in_order_of_length(model, encoded, sentences, max_len):
    """The translations come sorted by length. Put them back into the order of the sentences."""
    found = _in_one_batch(model, encoded, sorted(sentences, key=len), max_len)
    return [(words, weights[:, :n]) for words, weights, n in found]


@mistake(translate, {PAIR: "(weights, words)"})
def maps_alone():
    """Each pair is in the other order. Return (words, weights) for each sentence."""
