"""Exercise 01: mistakes and right variants of mask, loss, encoder, decoder, greedy decoding and BLEU."""

import math

import sacrebleu
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from grading.exercises.known import Misconception, with_forward
from utils.metrics import bleu
from utils.models import Encoder
from utils.text import lengths_to_mask
from utils.training import sequence_loss

from .checks import Decoder

# The mask


def _places(lengths, max_len):
    return torch.arange(max_len, device=lengths.device)


_NOT_BOOL = "the mask holds numbers: make it bool, so that ~mask and masked_fill do what they should."

_LENGTHS_TO_MASK = (
    Misconception(
        "one_too_many",
        "each row has one True too many: places are counted from 0, so a sentence of n words has the places "
        "0 to n - 1, which are those *below* n.",
        lambda lengths, max_len: _places(lengths, max_len) <= lengths[:, None],
    ),
    Misconception(
        "one_too_few",
        "each row has one True too few: places are counted from 0, not from 1, so the last word of n stands "
        "at place n - 1.",
        lambda lengths, max_len: _places(lengths, max_len) + 1 < lengths[:, None],
    ),
    Misconception(
        "inverted",
        "the mask is turned round: True should mark the real tokens, and False the padding.",
        lambda lengths, max_len: _places(lengths, max_len) >= lengths[:, None],
    ),
    Misconception(
        "not_bool", _NOT_BOOL, lambda lengths, max_len: lengths_to_mask(lengths, max_len).to(lengths.dtype)
    ),
    Misconception("not_bool", _NOT_BOOL, lambda lengths, max_len: lengths_to_mask(lengths, max_len).float()),
    Misconception(
        "transposed",
        "the mask comes out as (max_len, batch): each sentence has a row, so the batch is the first axis.",
        lambda lengths, max_len: lengths_to_mask(lengths, max_len).T,
    ),
    Misconception(
        "max_len_ignored",
        "the mask is as wide as the longest sentence: it should have max_len columns, even where no "
        "sentence is that long.",
        lambda lengths, max_len: lengths_to_mask(lengths, int(lengths.max())),
    ),
    Misconception(
        "padded_in_front",
        "the real tokens are marked at the end of each row: our sentences begin at place 0, and their "
        "padding stands behind them.",
        lambda lengths, max_len: _places(lengths, max_len) >= max_len - lengths[:, None],
    ),
    Misconception(
        "no_axis_for_the_batch",
        "place i is compared with the length of sentence i: give the lengths an axis of their own, as in "
        "lengths[:, None], so that every place meets every length.",
        lambda lengths, max_len: _places(lengths, max_len) < lengths,
    ),
    Misconception(
        "one_length_for_all",
        "all rows are alike: each sentence has a length of its own.",
        lambda lengths, max_len: lengths_to_mask(lengths[:1], max_len).expand(len(lengths), -1),
    ),
    Misconception(
        "last_word_only",
        "only one place of each row is marked: every place *below* the length is real, not just the last.",
        lambda lengths, max_len: _places(lengths, max_len) == lengths[:, None] - 1,
    ),
)


def _mask_by_rows(lengths, max_len):
    mask = torch.zeros(len(lengths), max_len, dtype=torch.bool, device=lengths.device)
    for row, length in enumerate(lengths.tolist()):
        mask[row, :length] = True
    return mask


# The loss


def _token_losses(logits, targets):
    """Minus the log probability of each target: (batch, tgt_len)."""
    return -logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def _of_log_probs(log_probs, targets, pad_id):
    """The mean over real tokens, with whatever stands for log probabilities."""
    return F.nll_loss(log_probs.flatten(0, 1), targets.flatten(), ignore_index=pad_id)


def _weighed(weigh):
    """Losses of all tokens, the real ones, to one number."""
    return lambda logits, targets, pad_id: weigh(_token_losses(logits, targets), targets != pad_id)


_NO_LOG = (
    "the logs of the probabilities are missing: nll_loss only picks a number and turns its sign, so it "
    "wants log_softmax of the logits (cross_entropy does both)."
)
_VOCABULARY_LAST = (
    "cross_entropy wants the vocabulary on axis 1, right behind the batch, and finds the steps there, so it "
    "raises an error or means another thing: use transpose(1, 2), or flatten batch and steps into one axis."
)
_NOT_AVERAGED = "this is one number a token, or one a sentence: the loss is a single number, their mean."

_SEQUENCE_LOSS = (
    Misconception(
        "padding_counted",
        "padding is counted as if it were a word to predict: leave out every place where the target is "
        "pad_id.",
        lambda logits, targets, pad_id: F.cross_entropy(logits.flatten(0, 1), targets.flatten()),
    ),
    Misconception(
        "divided_by_all",
        "the losses of padding are set to 0 but still counted: divide by the number of real tokens, not by "
        "batch times tgt_len.",
        _weighed(lambda losses, real: (losses * real).mean()),
    ),
    Misconception(
        "padded_logits_zeroed",
        "the logits of padding are set to zero, which is no way to leave them out: equal logits are a guess, "
        "and it costs the log of the vocabulary's size.",
        lambda logits, targets, pad_id: F.cross_entropy(
            (logits * (targets != pad_id).unsqueeze(-1)).flatten(0, 1), targets.flatten()
        ),
    ),
    Misconception(
        "summed",
        "the losses are added up: a mean is meant, so that the loss does not grow with the batch.",
        _weighed(lambda losses, real: (losses * real).sum()),
    ),
    Misconception(
        "divided_by_sentences",
        "the sum is divided by the number of sentences: divide by the number of real tokens.",
        _weighed(lambda losses, real: (losses * real).sum() / len(real)),
    ),
    Misconception(
        "mean_of_sentence_means",
        "each sentence is averaged first, then the sentences: so a token of a short sentence weighs more. "
        "Every real token should weigh the same.",
        _weighed(lambda losses, real: ((losses * real).sum(1) / real.sum(1).clamp(min=1)).mean()),
    ),
    Misconception("not_averaged", _NOT_AVERAGED, _weighed(lambda losses, real: losses * real)),
    Misconception(
        "not_averaged", _NOT_AVERAGED, _weighed(lambda losses, real: (losses * real).sum(1) / real.sum(1))
    ),
    Misconception(
        "softmax_twice",
        "a softmax is taken before the cross-entropy, which takes one itself: give it plain logits.",
        lambda logits, targets, pad_id: sequence_loss(logits.softmax(-1), targets, pad_id),
    ),
    Misconception(
        "no_log",
        _NO_LOG,
        lambda logits, targets, pad_id: _of_log_probs(logits, targets, pad_id),
    ),
    Misconception(
        "no_log",
        _NO_LOG,
        lambda logits, targets, pad_id: _of_log_probs(logits.softmax(-1), targets, pad_id),
    ),
    Misconception(
        "softmax_over_steps",
        "the softmax runs over the steps of a sentence (axis 1): at each step the words of the vocabulary "
        "compete, which are the last axis.",
        lambda logits, targets, pad_id: _of_log_probs(logits.log_softmax(1), targets, pad_id),
    ),
    Misconception(
        "softmax_over_batch",
        "the softmax runs over the batch (axis 0): at each step the words of the vocabulary compete, which "
        "are the last axis.",
        lambda logits, targets, pad_id: _of_log_probs(logits.log_softmax(0), targets, pad_id),
    ),
    *(
        Misconception("vocabulary_not_on_axis_1", _VOCABULARY_LAST, answer)
        for answer in (
            lambda logits, targets, pad_id: F.cross_entropy(logits, targets, ignore_index=pad_id),
            lambda logits, targets, pad_id: F.cross_entropy(logits, targets),
        )
    ),
    Misconception(
        "reshape_for_transpose",
        "cross_entropy wants the vocabulary on axis 1, but reshape and view only deal the numbers out anew "
        "and mix up the steps: use transpose(1, 2), or flatten batch and steps into one axis.",
        lambda logits, targets, pad_id: F.cross_entropy(
            logits.reshape(logits.shape[0], logits.shape[2], logits.shape[1]), targets, ignore_index=pad_id
        ),
    ),
    Misconception(
        "pad_id_fixed",
        "padding is taken to be id 0 whatever pad_id says: use the argument.",
        lambda logits, targets, pad_id: sequence_loss(logits, targets, 0),
    ),
    Misconception(
        "wrong_sign",
        "the sign is turned round: probabilities below 1 have negative logs, and the loss is *minus* their "
        "mean.",
        lambda logits, targets, pad_id: -sequence_loss(logits, targets, pad_id),
    ),
    Misconception(
        "base_two",
        "the logs are to base 2: the loss is meant in nats, with the natural log.",
        lambda logits, targets, pad_id: sequence_loss(logits, targets, pad_id) / math.log(2),
    ),
    Misconception(
        "log_of_softmax",
        "the log of a softmax is infinite where a probability is so small that it rounds to 0: log_softmax "
        "and cross_entropy never compute that probability.",
        lambda logits, targets, pad_id: _of_log_probs(logits.softmax(-1).log(), targets, pad_id),
    ),
)


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


# The encoder


def _encoder(forward):
    return with_forward(Encoder, forward)


def _read(self, src, src_lengths):
    """The states, and the last state of both directions, (2, batch, hidden / 2)."""
    packed = pack_padded_sequence(
        self.embedding(src), src_lengths.cpu(), batch_first=True, enforce_sorted=False
    )
    states, last = self.rnn(packed)
    return pad_packed_sequence(states, batch_first=True, total_length=src.shape[1])[0], last


def _bridge(self, both_ends):
    return torch.tanh(self.to_decoder(both_ends))


def _joined(last):
    return torch.cat([last[0], last[1]], dim=-1)


def _summed_up_by(summary):
    """An encoder that reads well and makes its decoder state in another way."""

    def forward(self, src, src_lengths):
        states, last = _read(self, src, src_lengths)
        return states, summary(self, states, last, src_lengths)

    return _encoder(forward)


def _reads_padding(self, src, src_lengths):
    states, last = self.rnn(self.embedding(src))
    return states, _bridge(self, _joined(last))


def _reads_padding_and_hides_it(self, src, src_lengths):
    states, decoder_state = _reads_padding(self, src, src_lengths)
    return states * lengths_to_mask(src_lengths, src.shape[1]).unsqueeze(-1), decoder_state


def _reads_padding_but_picks_the_end(self, src, src_lengths):
    states, _ = _reads_padding_and_hides_it(self, src, src_lengths)
    return states, _bridge(self, _both_ends(states, src_lengths))


def _both_ends(states, src_lengths):
    """The forward half of the last real word's state, and the backward half of the first word's."""
    rows, half = torch.arange(len(states)), states.shape[2] // 2
    return torch.cat([states[rows, src_lengths - 1, :half], states[:, 0, half:]], dim=-1)


def _left_in_order_of_length(self, src, src_lengths):
    src_lengths, order = src_lengths.sort(descending=True)
    states, last = _read(self, src[order], src_lengths)
    return states, _bridge(self, _joined(last))


def _cut_to_the_longest(self, src, src_lengths):
    states, decoder_state = Encoder.forward(self, src, src_lengths)
    return states[:, : int(src_lengths.max())], decoder_state


def _steps_first(forward):
    def turned(self, src, src_lengths):
        states, decoder_state = forward(self, src, src_lengths)
        return states.transpose(0, 1), decoder_state

    return turned


_PADDING_READ = (
    "the GRU reads the padding too: on its way back it comes through the padding before it meets the "
    "sentence, so the states of short sentences depend on it. Pack the sentences with their lengths."
)
_LINEAR_UNUSED = (
    "to_decoder is never used: the joined ends of both directions go through it, and then through tanh."
)
_OTHER_ACTIVATION = "the activation of the decoder's first state is not tanh."
_ONE_DIRECTION = (
    "one direction is used twice: last[0] is the forward one, last[1] the backward one, and the decoder "
    "needs both."
)
_MEAN = (
    "the decoder's first state is made of the mean of all states: the last state of each direction is meant."
)
_STEPS_FIRST = (
    "the encoder's states come out as (src_len, batch, hidden): say batch_first=True to pad_packed_sequence "
    "too."
)
_LAST_STATE = (
    "the state at the last place is taken for the summary: there the forward direction has read the whole "
    "sentence (or padding), but the backward one has only just begun. Use the GRU's second result, the last "
    "state of each direction."
)

_ENCODER = (
    Misconception("padding_read", _PADDING_READ, _encoder(_reads_padding)),
    Misconception("padding_read", _PADDING_READ, _encoder(_reads_padding_and_hides_it)),
    Misconception("padding_read", _PADDING_READ, _encoder(_reads_padding_but_picks_the_end)),
    Misconception(
        "no_tanh",
        "the tanh is missing: a GRU keeps its state between -1 and 1, and the decoder's first one should be "
        "there too.",
        _summed_up_by(lambda self, states, last, lengths: self.to_decoder(_joined(last))),
    ),
    Misconception(
        "other_activation",
        _OTHER_ACTIVATION,
        _summed_up_by(lambda self, states, last, lengths: self.to_decoder(_joined(last)).relu()),
    ),
    Misconception(
        "other_activation",
        _OTHER_ACTIVATION,
        _summed_up_by(lambda self, states, last, lengths: self.to_decoder(_joined(last)).sigmoid()),
    ),
    Misconception(
        "linear_unused",
        _LINEAR_UNUSED,
        _summed_up_by(lambda self, states, last, lengths: _joined(last)),
    ),
    Misconception(
        "linear_unused",
        _LINEAR_UNUSED,
        _summed_up_by(lambda self, states, last, lengths: _joined(last).tanh()),
    ),
    Misconception(
        "tanh_too_early",
        "the tanh comes before to_decoder: it should come after it, so that the decoder's first state lies "
        "between -1 and 1.",
        _summed_up_by(lambda self, states, last, lengths: self.to_decoder(_joined(last).tanh())),
    ),
    Misconception(
        "directions_swapped",
        "the directions are swapped: last[0] is the forward one and comes first, last[1] the backward one.",
        _summed_up_by(lambda self, states, last, lengths: _bridge(self, _joined(last.flip(0)))),
    ),
    Misconception(
        "one_direction_twice",
        _ONE_DIRECTION,
        _summed_up_by(lambda self, states, last, lengths: _bridge(self, torch.cat([last[-1]] * 2, -1))),
    ),
    Misconception(
        "one_direction_twice",
        _ONE_DIRECTION,
        _summed_up_by(lambda self, states, last, lengths: _bridge(self, torch.cat([last[0]] * 2, -1))),
    ),
    Misconception(
        "reshape_for_concatenation",
        "reshape and view join the states of different sentences, because the first axis of the GRU's "
        "last state is the direction, not the batch: join last[0] and last[1] with torch.cat.",
        _summed_up_by(lambda self, states, last, lengths: _bridge(self, last.reshape(last.shape[1], -1))),
    ),
    Misconception(
        "last_place",
        _LAST_STATE,
        _summed_up_by(lambda self, states, last, lengths: _bridge(self, states[:, -1])),
    ),
    Misconception(
        "last_place",
        _LAST_STATE,
        _summed_up_by(
            lambda self, states, last, lengths: _bridge(self, states[range(len(states)), lengths - 1])
        ),
    ),
    Misconception(
        "mean_of_states",
        _MEAN,
        _summed_up_by(
            lambda self, states, last, lengths: _bridge(self, states.sum(1) / lengths[:, None].to(states))
        ),
    ),
    Misconception(
        "mean_of_states",
        _MEAN,
        _summed_up_by(lambda self, states, last, lengths: _bridge(self, states.mean(1))),
    ),
    Misconception(
        "directions_apart",
        "the decoder's state comes out as one for each direction, (2, batch, hidden / 2): join the two, and "
        "give (batch, hidden).",
        _summed_up_by(lambda self, states, last, lengths: last),
    ),
    Misconception(
        "axis_of_layers_kept",
        "the decoder's state has one axis too many: it is (batch, hidden), without an axis for layers.",
        _summed_up_by(lambda self, states, last, lengths: _bridge(self, _joined(last))[None]),
    ),
    Misconception("not_batch_first", _STEPS_FIRST, _encoder(_steps_first(Encoder.forward))),
    Misconception("not_batch_first", _STEPS_FIRST, _encoder(_steps_first(_cut_to_the_longest))),
    Misconception(
        "cut_to_the_longest",
        "the states end with the longest sentence: the caller's src may be wider, so say "
        "total_length=src.shape[1] to pad_packed_sequence.",
        _encoder(_cut_to_the_longest),
    ),
    Misconception(
        "left_in_order_of_length",
        "the sentences come out sorted by their length: put them back into the order in which they came, or "
        "say enforce_sorted=False and let torch do it.",
        _encoder(_left_in_order_of_length),
    ),
    Misconception(
        "results_swapped",
        "the two results are swapped: encoder_states come first, then decoder_state.",
        _encoder(lambda self, *inputs: Encoder.forward(self, *inputs)[::-1]),
    ),
)


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


def _encoder_steps_first(self, src, src_lengths):
    """Packed with the steps first, which a GRU does not mind: results that are not contiguous."""
    packed = pack_padded_sequence(self.embedding(src.T), src_lengths.cpu(), enforce_sorted=False)
    states, last = self.rnn(packed)
    states, _ = pad_packed_sequence(states, total_length=src.shape[1])
    return states.transpose(0, 1), _bridge(self, last.transpose(0, 1).flatten(1))


# The decoder


def _decoder(forward):
    return with_forward(Decoder, forward)


def _written_by(write):
    """A decoder with other outputs; `write(self, embedded, decoder_state)` returns both."""
    return _decoder(lambda self, tgt_in, state: write(self, self.embedding(tgt_in), state))


def _changed(change):
    """A decoder whose right results are changed by `change(logits, new, old)`."""
    return _decoder(
        lambda self, tgt_in, state: change(*Decoder.forward(self, tgt_in, state), state),
    )


def _no_memory_between_steps(self, embedded, state):
    steps = [self.rnn(embedded[:, t : t + 1], state[None]) for t in range(embedded.shape[1])]
    return self.out(torch.cat([states for states, _ in steps], 1)), steps[-1][1][0]


def _starts_from_zeros(self, embedded, state):
    states, last = self.rnn(embedded)
    return self.out(states), last[0]


def _adds_the_state_later(self, embedded, state):
    states, last = self.rnn(embedded)
    return self.out(states + state[:, None]), last[0]


def _asks_before_it_reads(self, embedded, state):
    states, last = self.rnn(embedded, state[None])
    return self.out(torch.cat([state[:, None], states[:, :-1]], dim=1)), last[0]


def _follows_its_own_words(self, tgt_in, state):
    token, logits = tgt_in[:, :1], []
    for _ in range(tgt_in.shape[1]):
        step, state = Decoder.forward(self, token, state)
        logits.append(step)
        token = step.argmax(-1)
    return torch.cat(logits, 1), state


def _all_states(self, embedded, state):
    states, _ = self.rnn(embedded, state[None])
    return self.out(states), states


def _squashed(self, embedded, state):
    states, last = self.rnn(embedded, state[None])
    return self.out(states.tanh()), last[0]


_STATE_IGNORED = (
    "the decoder starts from zeros, so it never learns what the encoder has read: give decoder_state to the "
    "GRU as its first state."
)
_PROBABILITIES = (
    "these are probabilities or their logs: return plain logits, the softmax comes later, in the loss."
)
_LAST_STEP_ONLY = "only the last step's logits come out: every step of tgt_in writes a word."

_DECODER = (
    Misconception("state_ignored", _STATE_IGNORED, _written_by(_starts_from_zeros)),
    Misconception("state_ignored", _STATE_IGNORED, _written_by(_adds_the_state_later)),
    Misconception(
        "state_not_updated",
        "the state that comes back is the one that was given: return the GRU's last state, the next call "
        "goes on from there.",
        _changed(lambda logits, new, old: (logits, old.clone())),
    ),
    Misconception(
        "no_memory_between_steps",
        "every step starts from the state that was given: a step starts where the one before it ended.",
        _written_by(_no_memory_between_steps),
    ),
    Misconception(
        "one_step_late",
        "each step's logits are made of the state before its word was read, so they come one step too late: "
        "let the GRU read the word first.",
        _written_by(_asks_before_it_reads),
    ),
    Misconception(
        "own_words_fed",
        "the decoder feeds itself its own words: here the words of tgt_in are given, one for each step, and "
        "feeding back is the business of greedy_decode.",
        _decoder(_follows_its_own_words),
    ),
    Misconception(
        "softmax_included", _PROBABILITIES, _changed(lambda logits, new, old: (logits.softmax(-1), new))
    ),
    Misconception(
        "softmax_included", _PROBABILITIES, _changed(lambda logits, new, old: (logits.log_softmax(-1), new))
    ),
    Misconception(
        "all_states",
        "the states of all steps come back, (batch, tgt_len, hidden): only the last one is wanted, "
        "(batch, hidden).",
        _written_by(_all_states),
    ),
    Misconception(
        "axis_of_layers_kept",
        "the state comes back as (1, batch, hidden), as the GRU gives it: drop the axis of its layers, with "
        "last[0].",
        _changed(lambda logits, new, old: (logits, new[None])),
    ),
    Misconception(
        "last_step_only", _LAST_STEP_ONLY, _changed(lambda logits, new, old: (logits[:, -1:], new))
    ),
    Misconception("last_step_only", _LAST_STEP_ONLY, _changed(lambda logits, new, old: (logits[:, -1], new))),
    Misconception(
        "last_step_dropped",
        "the logits of the last step are missing: tgt_in is shifted by the caller already, so each of its "
        "words has an answer.",
        _changed(lambda logits, new, old: (logits[:, :-1], new)),
    ),
    Misconception(
        "transposed",
        "the logits come out as (batch, vocab, tgt_len): the vocabulary is the last axis.",
        _changed(lambda logits, new, old: (logits.transpose(1, 2), new)),
    ),
    Misconception(
        "not_batch_first",
        "the logits come out as (tgt_len, batch, vocab): everything in this course has the batch first.",
        _changed(lambda logits, new, old: (logits.transpose(0, 1), new)),
    ),
    Misconception(
        "results_swapped",
        "the two results are swapped: logits come first, then decoder_state.",
        _changed(lambda logits, new, old: (new, logits)),
    ),
    Misconception(
        "tanh_added",
        "the states go through a tanh on their way to the logits: the GRU has squashed them already, and "
        "`out` takes them as they are.",
        _written_by(_squashed),
    ),
)


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


def _decoder_split(self, tgt_in, state):
    """The first step, and the others after it."""
    first, state = Decoder.forward(self, tgt_in[:, :1], state)
    if tgt_in.shape[1] == 1:
        return first, state
    others, state = Decoder.forward(self, tgt_in[:, 1:], state)
    return torch.cat([first, others], dim=1), state


# Greedy decoding


def _largest(logits):
    return logits[:, -1:].argmax(-1)


def _any_ended(ids, eos_id):
    return (ids == eos_id).any(1)


def _greedy(
    choose=_largest,
    feed=lambda ids, bos: ids[:, -1:],
    keep=lambda new, old: new,
    read=lambda encoder, src, lengths: encoder(src, lengths)[1],
    done=lambda ids, eos_id: _any_ended(ids, eos_id).all(),
    room=lambda max_len: max_len,
    give=lambda ids, steps: ids[:, 1:],
):
    """Greedy decoding of which each part can be replaced; `ids` begins with the begin token."""

    @torch.no_grad()
    def decode(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len):
        state = read(encoder, src, src_lengths)
        bos = torch.full((len(src), 1), bos_id, device=src.device)
        ids, steps = bos, []
        for _ in range(room(max_len)):
            logits, new = decoder(feed(ids, bos), state)
            state = keep(new, state)
            steps.append(logits)
            ids = torch.cat([ids, choose(logits)], dim=1)
            if done(ids[:, 1:], eos_id):
                break
        return give(ids, steps)

    return decode


_FULL = torch.full_like

_GREEDY_DECODE = (
    Misconception(
        "begin_token_again",
        "every step is fed the begin token: after the first step, feed the token that was just written.",
        _greedy(feed=lambda ids, bos: bos),
    ),
    Misconception(
        "state_not_updated",
        "every step starts from the encoder's state: the decoder returns a new state each time, and the "
        "next step needs it.",
        _greedy(keep=lambda new, old: old),
    ),
    Misconception(
        "all_read_again",
        "the decoder is fed the whole text so far, with a state that has read it already: feed it the last "
        "token only.",
        _greedy(feed=lambda ids, bos: ids),
    ),
    Misconception(
        "least_likely",
        "the *smallest* logit is taken: the likeliest token has the largest one.",
        _greedy(choose=lambda logits: logits[:, -1:].argmin(-1)),
    ),
    Misconception(
        "begin_token_returned",
        "the begin token is returned as if it had been written: ids begin with the first token that the "
        "decoder writes.",
        _greedy(give=lambda ids, steps: ids),
    ),
    Misconception(
        "stops_at_the_first_end",
        "it stops as soon as one sentence has ended, and the others are cut off: go on until all have.",
        _greedy(done=lambda ids, eos_id: _any_ended(ids, eos_id).any()),
    ),
    Misconception(
        "watches_the_first_sentence",
        "it stops when the first sentence of the batch has ended: wait for all of them.",
        _greedy(done=lambda ids, eos_id: _any_ended(ids, eos_id)[0]),
    ),
    Misconception(
        "ends_at_the_same_step",
        "it stops only where all sentences write the end token at the same step: remember which have ended, "
        "they may write anything afterwards.",
        _greedy(done=lambda ids, eos_id: (ids[:, -1] == eos_id).all()),
    ),
    Misconception(
        "never_stops",
        "it always takes max_len steps: stop when every sentence has written its end token.",
        _greedy(done=lambda ids, eos_id: False),
    ),
    Misconception(
        "one_step_too_many",
        "it takes one step more than max_len where a sentence does not end: max_len bounds the tokens "
        "that are written.",
        _greedy(room=lambda max_len: max_len + 1),
    ),
    Misconception(
        "begin_token_counted",
        "it stops one step before max_len: the begin token is not written, so it does not count.",
        _greedy(
            room=lambda max_len: max(1, max_len - 1),
        ),
    ),
    Misconception(
        "end_token_cut_off",
        "the last column is cut off, and with it the end token of the longest sentence: it belongs to ids.",
        _greedy(give=lambda ids, steps: ids[:, 1:-1]),
    ),
    Misconception(
        "logits_returned",
        "logits are returned, one for each word of the vocabulary: return the ids of the likeliest words.",
        _greedy(give=lambda ids, steps: torch.cat(steps, dim=1)),
    ),
    Misconception(
        "steps_first",
        "ids come out as (steps, batch): each sentence should have a row, so put the tokens side by side, "
        "along axis 1.",
        _greedy(give=lambda ids, steps: ids[:, 1:].T),
    ),
    Misconception(
        "last_encoder_state",
        "decoding starts from the last of the encoder's states: it starts from decoder_state, the encoder's "
        "second result.",
        _greedy(read=lambda encoder, src, lengths: encoder(src, lengths)[0][:, -1].contiguous()),
    ),
    Misconception(
        "full_lengths",
        "the encoder is told that all sentences are as long as src is wide, so it reads their padding: pass "
        "src_lengths on.",
        _greedy(read=lambda encoder, src, lengths: encoder(src, _FULL(lengths, src.shape[1]))[1]),
    ),
)


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


def _greedy_and_padded(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len):
    """Padding, here 0, behind the end token."""
    ids = _greedy()(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len)
    ended = (ids == eos_id).int().cumsum(1) - (ids == eos_id).int()
    return ids.masked_fill(ended > 0, 0)


# BLEU by length


def _corpus_bleu(hypotheses, references, tokenize="none"):
    return sacrebleu.corpus_bleu(hypotheses, [references], tokenize=tokenize, force=True).score


def _sentence_bleus(hypotheses, references):
    scores = [
        sacrebleu.sentence_bleu(h, [r], tokenize="none").score
        for h, r in zip(hypotheses, references, strict=True)
    ]
    return sum(scores) / len(scores)


def _in_bin(first, end, last_end):
    return lambda length: first <= length < end


def _binned(
    score=_corpus_bleu,
    length=lambda source, hypothesis, reference: len(source.split()),
    chosen=_in_bin,
    name=lambda first, end: (first, end - 1),
    of_empty=None,
):
    """BLEU by length of which each part can be replaced."""

    def rows(sources, hypotheses, references, edges):
        lengths = [length(*row) for row in zip(sources, hypotheses, references, strict=True)]
        found = []
        for first, end in zip(edges[:-1], edges[1:], strict=True):
            fits = chosen(first, end, edges[-1])
            kept = [i for i, n in enumerate(lengths) if fits(n)]
            if kept:
                value = score([hypotheses[i] for i in kept], [references[i] for i in kept])
                found.append((name(first, end), value))
            elif of_empty is not None:
                found.append((name(first, end), of_empty))
        return found

    return rows


def _one_score_for_all(sources, hypotheses, references, edges):
    rows = _binned(lambda h, r: 0.0)(sources, hypotheses, references, edges)
    return [(lengths, _corpus_bleu(hypotheses, references)) for lengths, _ in rows]


_LAYOUT = (
    "sacrebleu reads the references in another layout: it wants one list *for each set* of references, and "
    "we have one set, so pass [references]."
)

_BLEU_BY_LENGTH = (
    Misconception(
        "mean_of_sentence_scores",
        "this is the mean of the scores of single sentences: corpus BLEU counts the matches of all "
        "sentences of a bin together, then makes one score of them.",
        _binned(_sentence_bleus),
    ),
    Misconception(
        "length_of_hypothesis",
        "sentences are sorted into bins by the length of their translation: the question is how BLEU depends "
        "on the *source*, so use its length.",
        _binned(length=lambda source, hypothesis, reference: len(hypothesis.split())),
    ),
    Misconception(
        "length_of_reference",
        "sentences are sorted into bins by the length of their reference: the question is how BLEU depends "
        "on the *source*, so use its length.",
        _binned(length=lambda source, hypothesis, reference: len(reference.split())),
    ),
    Misconception(
        "length_in_letters",
        "len(source) counts letters: split the sentence first, then count its words.",
        _binned(length=lambda source, hypothesis, reference: len(source)),
    ),
    Misconception(
        "upper_edge_included",
        "a sentence as long as the upper edge of a bin is counted in two bins: a bin ends *before* its upper "
        "edge.",
        _binned(chosen=lambda first, end, last_end: lambda n: first <= n <= end),
    ),
    Misconception(
        "lower_edge_left_out",
        "the bins are open at the wrong end: a sentence as long as the *lower* edge belongs to the bin, one "
        "as long as the upper edge does not.",
        _binned(chosen=lambda first, end, last_end: lambda n: first < n <= end),
    ),
    Misconception(
        "last_bin_closed",
        "the last bin takes in its upper edge, as some histograms do: here every bin ends before its upper "
        "edge.",
        _binned(
            chosen=lambda first, end, last_end: lambda n: first <= n < end or n == end == last_end,
        ),
    ),
    Misconception(
        "last_bin_without_end",
        "sentences longer than all bins are counted in the last one: leave them out.",
        _binned(
            chosen=lambda first, end, last_end: lambda n: first <= n and (n < end or end == last_end),
        ),
    ),
    Misconception(
        "cumulative",
        "each bin also has all sentences that are shorter: a sentence belongs to one bin.",
        _binned(chosen=lambda first, end, last_end: lambda n: n < end),
    ),
    Misconception(
        "empty_bins_kept",
        "a bin without sentences has a row: it has no score at all, and a 0 would look like a bad one.",
        _binned(of_empty=0.0),
    ),
    Misconception(
        "edges_as_names",
        "a row is named by the edges of its bin: name it by the first and the last length that belong to it, "
        "and the last one is the upper edge minus 1.",
        _binned(name=lambda first, end: (first, end)),
    ),
    Misconception(
        "swapped",
        "hypotheses and references are swapped: sacrebleu wants the translations first, and it does make a "
        "difference which of the two is too short.",
        _binned(lambda h, r: _corpus_bleu(r, h)),
    ),
    Misconception(
        "share_for_percent",
        "the scores lie between 0 and 1: sacrebleu's go up to 100, leave them so.",
        _binned(lambda h, r: _corpus_bleu(h, r) / 100),
    ),
    Misconception(
        "tokenised_again",
        "sacrebleu splits the words once more, at punctuation: our words are parted by spaces already, so "
        'say tokenize="none".',
        _binned(lambda h, r: _corpus_bleu(h, r, tokenize="13a")),
    ),
    Misconception("one_score_for_all", "every bin has the score of all sentences.", _one_score_for_all),
    Misconception(
        "reference_layout",
        _LAYOUT,
        _binned(
            lambda h, r: sacrebleu.corpus_bleu(h, [[line] for line in r], tokenize="none", force=True).score
        ),
    ),
    Misconception(
        "reference_layout",
        _LAYOUT,
        _binned(lambda h, r: sacrebleu.corpus_bleu(h, r, tokenize="none", force=True).score),
    ),
)


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


MISCONCEPTIONS = {
    "lengths_to_mask": _LENGTHS_TO_MASK,
    "sequence_loss": _SEQUENCE_LOSS,
    "Encoder": _ENCODER,
    "Decoder": _DECODER,
    "greedy_decode": _GREEDY_DECODE,
    "bleu_by_length": _BLEU_BY_LENGTH,
}

RIGHT = {
    "lengths_to_mask": (
        _mask_by_rows,
        lambda lengths, max_len: _places(lengths, max_len).expand(len(lengths), -1) < lengths.unsqueeze(1),
        lambda lengths, max_len: (lengths.view(-1, 1) - 1).ge(_places(lengths, max_len).view(1, -1)),
        lambda lengths, max_len: ~(lengths[:, None] <= _places(lengths, max_len)[None]),
        lambda lengths, max_len: lengths.new_ones(len(lengths), max_len).cumsum(1) <= lengths[:, None],
        lambda lengths, max_len: torch.ones(max_len + 1, max_len).tril(-1).bool()[lengths.long()],
        lambda lengths, max_len: torch.tensor(
            [[place < length for place in range(max_len)] for length in lengths.tolist()],
            device=lengths.device,
        ),
        lambda lengths, max_len: (_places(lengths, max_len)[:, None] < lengths).T,
    ),
    "sequence_loss": (
        _loss_by_loops,
        _loss_with_weights,
        _loss_by_one_hot,
        lambda logits, targets, pad_id: F.cross_entropy(logits.mT, targets, ignore_index=pad_id),
        lambda logits, targets, pad_id: F.cross_entropy(
            logits[targets != pad_id], targets[targets != pad_id]
        ),
        _weighed(lambda losses, real: (losses * real).sum() / real.sum()),
        _weighed(lambda losses, real: losses[real].mean()),
        lambda logits, targets, pad_id: sequence_loss(logits.log_softmax(2), targets, pad_id),
        lambda logits, targets, pad_id: (
            F.cross_entropy(logits.mT, targets, ignore_index=pad_id, reduction="none").sum()
            / (targets != pad_id).sum()
        ),
    ),
    "Encoder": (
        _encoder(_encoder_by_steps),
        _encoder(_encoder_by_sentences),
        _encoder(_encoder_sorted),
        _encoder(_encoder_steps_first),
        _summed_up_by(
            lambda self, states, last, lengths: torch.tanh(self.to_decoder(_both_ends(states, lengths)))
        ),
        _encoder(
            lambda self, src, lengths: Encoder.forward(self, src, (src != self.embedding.padding_idx).sum(1))
        ),
    ),
    "Decoder": (
        _decoder(_decoder_by_steps),
        _decoder(_decoder_by_hand),
        _decoder(_decoder_flat),
        _decoder(_decoder_split),
    ),
    "greedy_decode": (
        _greedy(),
        _greedy_into_a_table,
        _greedy_by_sentences,
        _greedy_and_padded,
        _greedy(feed=lambda ids, bos: ids, keep=lambda new, old: old),
        _greedy(choose=lambda logits: logits.softmax(-1).max(-1).indices[:, -1:]),
    ),
    "bleu_by_length": (
        _binned(),
        _bleu_by_table,
        _bleu_with_tensors,
        _binned(lambda h, r: bleu(h, r, n_bootstrap=0).score),
        _binned(chosen=lambda first, end, last_end: range(first, end).__contains__),
    ),
}
