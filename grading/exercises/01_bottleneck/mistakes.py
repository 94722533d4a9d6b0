"""Exercise 01: mistakes in the mask, the loss, encoder and decoder, greedy decoding and BLEU by length."""

import math  # noqa: F401 (for patches)

import sacrebleu
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from grading.judge.registry import mistake
from utils import models

# The mask


def lengths_to_mask(lengths, max_len):
    places = torch.arange(max_len, device=lengths.device)
    mask = places < lengths[:, None]
    return mask


@mistake(lengths_to_mask, {"<": "<="})
def one_too_many():
    """Each row has one True too many. Places count from 0, so n words fill the places *below* n: use <."""


@mistake(lengths_to_mask, {"places <": "places + 1 <"})
def one_too_few():
    """Each row has one True too few. Places count from 0, so the last of n words is at place n - 1."""


@mistake(lengths_to_mask, {"<": ">="})
def inverted():
    """The mask is inverted. True should mark real tokens, and False padding."""


@mistake(
    lengths_to_mask, {"return mask": "return mask.to(lengths.dtype)"}, {"return mask": "return mask.float()"}
)
def not_bool():
    """The mask contains numbers. Make it bool, so that ~mask and masked_fill work as expected."""


@mistake(lengths_to_mask, {"return mask": "return mask.T"})
def transposed():
    """The mask has shape (max_len, batch). Each sentence has a row, so the batch is the first axis."""


@mistake(lengths_to_mask, {"arange(max_len": "arange(int(lengths.max())"})
def max_len_ignored():
    """The mask is only as wide as the longest sentence. It should always have max_len columns."""


@mistake(lengths_to_mask, {"< lengths[:, None]": ">= max_len - lengths[:, None]"})
def padded_in_front():
    """The real tokens are marked at the end of each row. Sentences start at place 0, and padding follows."""


@mistake(lengths_to_mask, {"lengths[:, None]": "lengths"})
def no_axis_for_the_batch():
    """Place i is compared only with the length of sentence i. Give the lengths an axis, as in lengths[:,
    None], so that every place is compared with every length."""


@mistake(lengths_to_mask, {"< lengths[:, None]": "< lengths[:1].expand(len(lengths), 1)"})
def one_length_for_all():
    """All rows are the same. Each sentence has its own length."""


@mistake(lengths_to_mask, {"< lengths[:, None]": "== lengths[:, None] - 1"})
def last_word_only():
    """Only one place per row is marked. Every place *below* the length is real, not just the last one."""


# The loss


def sequence_loss(logits, targets, pad_id):
    log_probs = logits.log_softmax(-1)
    losses = F.nll_loss(log_probs.transpose(1, 2), targets, reduction="none")
    real = targets != pad_id
    return (losses * real).sum() / real.sum()


MEAN, LOG_PROBS = "(losses * real).sum() / real.sum()", "logits.log_softmax(-1)"


@mistake(sequence_loss, {MEAN: "losses.mean()"})
def padding_counted():
    """Padding counts as if it were a word to predict. Leave out every place where the target is pad_id."""


@mistake(sequence_loss, {MEAN: "(losses * real).mean()"})
def divided_by_all():
    """The losses of padding are 0 but still counted. Divide by the number of real tokens."""


@mistake(sequence_loss)
def padded_logits_zeroed(logits, targets, pad_id):
    """The logits of padding are set to zero. Equal logits are a guess that costs log(vocab), so leave these
    places out of the mean instead."""
    return F.cross_entropy((logits * (targets != pad_id).unsqueeze(-1)).flatten(0, 1), targets.flatten())


@mistake(sequence_loss, {MEAN: "(losses * real).sum()"})
def summed():
    """The losses are summed. Take the mean, so that the loss doesn't grow with the batch."""


@mistake(sequence_loss, {MEAN: "(losses * real).sum() / len(real)"})
def divided_by_sentences():
    """The sum is divided by the number of sentences. Divide by the number of real tokens."""


@mistake(sequence_loss, {MEAN: "((losses * real).sum(1) / real.sum(1).clamp(min=1)).mean()"})
def mean_of_sentence_means():
    """Each sentence is averaged first, so a token of a short sentence counts more. Give every real token the
    same weight."""


@mistake(sequence_loss, {MEAN: "losses * real"}, {MEAN: "(losses * real).sum(1) / real.sum(1)"})
def not_averaged():
    """This is one number per token or per sentence. The loss is a single number, their mean."""


@mistake(sequence_loss, {LOG_PROBS: "logits.softmax(-1).log_softmax(-1)"})
def softmax_twice():
    """A softmax comes before the cross-entropy, which contains one itself. Pass plain logits."""


@mistake(sequence_loss, {LOG_PROBS: "logits"}, {LOG_PROBS: "logits.softmax(-1)"})
def no_log():
    """The logarithm is missing: nll_loss only picks a number and changes its sign. Pass log_softmax of the
    logits, or use cross_entropy, which does both."""


@mistake(sequence_loss, {LOG_PROBS: "logits.log_softmax(1)"})
def softmax_over_steps():
    """The softmax runs over the steps (axis 1). The words of the vocabulary compete, the last axis."""


@mistake(sequence_loss, {LOG_PROBS: "logits.log_softmax(0)"})
def softmax_over_batch():
    """The softmax runs over the batch (axis 0). The words of the vocabulary compete, the last axis."""


@mistake(sequence_loss, {MEAN: "F.cross_entropy(logits, targets, ignore_index=pad_id)"})
@mistake(sequence_loss, {MEAN: "F.cross_entropy(logits, targets)"})
def vocabulary_not_on_axis_1():
    """cross_entropy expects the vocabulary on axis 1 and finds the steps there. Use transpose(1, 2), or
    flatten batch and steps into one axis."""


@mistake(sequence_loss)
def reshape_for_transpose(logits, targets, pad_id):
    """cross_entropy expects the vocabulary on axis 1, but reshape and view mix up the steps. Use transpose(1,
    2), or flatten batch and steps into one axis."""
    batch, tgt_len, vocab = logits.shape
    return F.cross_entropy(logits.reshape(batch, vocab, tgt_len), targets, ignore_index=pad_id)


@mistake(sequence_loss, {"!= pad_id": "!= 0"})
def pad_id_fixed():
    """Padding is assumed to have id 0. Use the argument pad_id."""


@mistake(sequence_loss, {MEAN: f"-{MEAN}"})
def wrong_sign():
    """The sign is wrong. The logarithm of a probability is negative, and the loss is *minus* the mean."""


@mistake(sequence_loss, {MEAN: f"{MEAN} / math.log(2)"})
def base_two():
    """The logarithms have base 2. Use the natural logarithm."""


@mistake(
    sequence_loss,
    {LOG_PROBS: "logits.softmax(-1).log()"},
    {LOG_PROBS: "(logits.exp() / logits.exp().sum(-1, keepdim=True)).log()"},
)
def log_of_softmax():
    """The log of a softmax is infinite when a probability rounds to 0. Use log_softmax or cross_entropy,
    which never compute that probability."""


# The encoder


def real(src, src_lengths):
    """1 at each real token and 0 at padding, (batch, src_len, 1)."""
    return lengths_to_mask(src_lengths, src.shape[1]).unsqueeze(-1)


def both_ends(states, src_lengths):
    """The forward half of the last real word's state, and the backward half of the first word's."""
    rows, half = torch.arange(len(states)), states.shape[2] // 2
    return torch.cat([states[rows, src_lengths - 1, :half], states[:, 0, half:]], dim=-1)


class Encoder(models.Encoder):
    def forward(self, src, src_lengths):
        embedded = self.embedding(src)
        packed = pack_padded_sequence(embedded, src_lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, last = self.rnn(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=src.shape[1])
        ends = torch.cat([last[0], last[1]], dim=-1)
        decoder_state = torch.tanh(self.to_decoder(ends))
        return states, decoder_state


ENDS = "torch.cat([last[0], last[1]], dim=-1)"
BRIDGE = "torch.tanh(self.to_decoder(ends))"
PADDING_READ = {
    "self.rnn(packed)": "self.rnn(embedded)",
    "states, _ = pad_packed_sequence(states, batch_first=True, total_length=src.shape[1])": "",
}
BOTH_ENDS = {ENDS: "both_ends(states * real(src, src_lengths), src_lengths)"}


@mistake(Encoder, PADDING_READ)
@mistake(Encoder, PADDING_READ | {"return states": "return states * real(src, src_lengths)"})
@mistake(Encoder, PADDING_READ | {"return states": "return states * real(src, src_lengths)"} | BOTH_ENDS)
def padding_read():
    """The GRU reads the padding too. Backward, it reads the padding before the sentence, so short sentences
    get wrong states: pack the sentences with their lengths."""


@mistake(Encoder, {BRIDGE: "self.to_decoder(ends)"})
def no_tanh():
    """The tanh is missing. A GRU's state lies between -1 and 1, and so should the decoder's first state."""


@mistake(Encoder, {"torch.tanh": "torch.relu"}, {"torch.tanh": "torch.sigmoid"})
def other_activation():
    """The activation of the decoder's first state isn't tanh."""


@mistake(Encoder, {BRIDGE: "ends"}, {BRIDGE: "torch.tanh(ends)"})
def linear_unused():
    """to_decoder is never used. Pass the joined ends of both directions through it, and then through tanh."""


@mistake(Encoder, {BRIDGE: "self.to_decoder(torch.tanh(ends))"})
def tanh_too_early():
    """The tanh comes before to_decoder. Apply it after, so that the state lies between -1 and 1."""


@mistake(Encoder, {ENDS: "torch.cat([last[1], last[0]], dim=-1)"})
def directions_swapped():
    """The directions are swapped. last[0] is forward and comes first, last[1] is backward."""


@mistake(
    Encoder, {ENDS: "torch.cat([last[1], last[1]], dim=-1)"}, {ENDS: "torch.cat([last[0], last[0]], dim=-1)"}
)
def one_direction_twice():
    """One direction is used twice. last[0] is forward and last[1] backward, and the decoder needs both."""


@mistake(Encoder, {ENDS: "last.reshape(last.shape[1], -1)"})
def reshape_for_concatenation():
    """reshape and view join the states of different sentences, because the first axis is the direction. Join
    last[0] and last[1] with torch.cat."""


@mistake(Encoder, {ENDS: "states[:, -1]"}, {ENDS: "states[range(len(states)), src_lengths - 1]"})
def last_place():
    """The state at the last place is used as the summary, but the backward direction only starts there. Use
    the GRU's second result, the last state of each direction."""


@mistake(Encoder, {ENDS: "torch.cat([states[:, -1].chunk(2, -1)[0], states[:, 0].chunk(2, -1)[1]], dim=-1)"})
def ends_at_the_last_place():
    """The forward half is read at the last place, which is padding in a short sentence. Use the GRU's second
    result, the last state of each direction."""


@mistake(Encoder, {ENDS: "states.sum(1) / src_lengths[:, None].to(states)"}, {ENDS: "states.mean(1)"})
def mean_of_states():
    """The decoder's first state is made of the mean of all states. Use the last state of each direction."""


@mistake(Encoder, {BRIDGE: "last"})
def directions_apart():
    """The decoder's state has shape (2, batch, hidden / 2). Join both and return (batch, hidden)."""


@mistake(Encoder, {BRIDGE: "torch.tanh(self.to_decoder(ends))[None]"})
def axis_of_layers_kept():
    """The decoder's state has one axis too many. It is (batch, hidden), without an axis for layers."""


@mistake(Encoder, {"return states": "return states.transpose(0, 1)"})
@mistake(Encoder, {", total_length=src.shape[1]": "", "return states": "return states.transpose(0, 1)"})
def not_batch_first():
    """The encoder's states have shape (src_len, batch, hidden). Pass batch_first=True to pad_packed_sequence
    too."""


@mistake(Encoder, {", total_length=src.shape[1]": ""})
def cut_to_the_longest():
    """The states end with the longest sentence, but src may be wider. Pass total_length=src.shape[1] to
    pad_packed_sequence."""


@mistake(Encoder)
def left_in_order_of_length(self, src, src_lengths):
    """The sentences come out sorted by length. Restore their order, or pass enforce_sorted=False."""
    src_lengths, order = src_lengths.sort(descending=True)
    return Encoder.forward(self, src[order], src_lengths)


@mistake(Encoder, {"return states, decoder_state": "return decoder_state, states"})
def results_swapped():
    """The two results are swapped. Return encoder_states, decoder_state."""


# The decoder


class Decoder(nn.Module):
    """Exercise 01: write a sentence with a GRU whose first state is all it knows of the source.

    forward(tgt_in, decoder_state): ids (batch, tgt_len), state (batch, hidden). Returns logits
    (batch, tgt_len, vocab) and the state after the last token, (batch, hidden). Sutskever et al. 2014.
    """

    def __init__(self, vocab_size, embed_dim, hidden_dim, pad_id):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_dim, batch_first=True)
        self.out = nn.Linear(hidden_dim, vocab_size)

    def forward(self, tgt_in, decoder_state):
        states, last = self.rnn(self.embedding(tgt_in), decoder_state[None])
        logits = self.out(states)
        return logits, last[0]


READ = "self.rnn(self.embedding(tgt_in), decoder_state[None])"


@mistake(Decoder, {READ: "self.rnn(self.embedding(tgt_in))"})
@mistake(
    Decoder, {READ: "self.rnn(self.embedding(tgt_in))", "out(states)": "out(states + decoder_state[:, None])"}
)
def state_ignored():
    """The decoder starts from zeros, so it never learns what the encoder read. Pass decoder_state to the GRU
    as its first state."""


@mistake(Decoder, {"last[0]": "decoder_state.clone()"})
def state_not_updated():
    """The state comes back as it was passed in. Return the GRU's last state, for the next call."""


@mistake(Decoder)
def no_memory_between_steps(self, tgt_in, state):
    """Every step starts from the state that was passed in. Start each from the end of the previous one."""
    steps = [self.rnn(word, state[None]) for word in self.embedding(tgt_in).split(1, dim=1)]
    return self.out(torch.cat([states for states, _ in steps], 1)), steps[-1][1][0]


@mistake(Decoder)
def state_frozen_at_padding(self, tgt_in, state):
    """The state isn't updated at padding. Return the state after the last position, padding or not."""
    logits = []
    for token in tgt_in.split(1, dim=1):
        step, new = Decoder.forward(self, token, state)
        state = torch.where(token != self.embedding.padding_idx, new, state)
        logits.append(step)
    return torch.cat(logits, 1), state


@mistake(Decoder, {"out(states)": "out(torch.cat([decoder_state[:, None], states[:, :-1]], dim=1))"})
def one_step_late():
    """Each step's logits come from the state before its word was read. Let the GRU read the word first."""


@mistake(Decoder)
def own_words_fed(self, tgt_in, state):
    """The decoder feeds itself its own words. Here tgt_in has the words: greedy_decode feeds back."""
    token, logits = tgt_in[:, :1], []
    for _ in range(tgt_in.shape[1]):
        step, state = Decoder.forward(self, token, state)
        logits.append(step)
        token = step.argmax(-1)
    return torch.cat(logits, 1), state


@mistake(
    Decoder,
    {"return logits": "return logits.softmax(-1)"},
    {"return logits": "return logits.log_softmax(-1)"},
)
def softmax_included():
    """These are probabilities or their logarithms. Return plain logits: the softmax belongs to the loss."""


@mistake(Decoder, {"last[0]": "states"})
def all_states():
    """The states of all steps come back, (batch, tgt_len, hidden). Return the last one, (batch, hidden)."""


@mistake(Decoder, {"last[0]": "last"})
def axis_of_layers_kept():
    """The state has shape (1, batch, hidden), as the GRU returns it. Drop the axis of layers with last[0]."""


@mistake(Decoder, {"return logits": "return logits[:, -1:]"}, {"return logits": "return logits[:, -1]"})
def last_step_only():
    """Only the last step's logits are returned. Every step of tgt_in predicts a word: return all of them."""


@mistake(Decoder, {"return logits": "return logits[:, :-1]"})
def last_step_dropped():
    """The logits of the last step are missing. The caller has shifted tgt_in, so each word has an answer."""


@mistake(Decoder, {"return logits": "return logits.transpose(1, 2)"})
def transposed():
    """The logits have shape (batch, vocab, tgt_len). Put the vocabulary on the last axis."""


@mistake(Decoder, {"return logits": "return logits.transpose(0, 1)"})
def not_batch_first():
    """The logits have shape (tgt_len, batch, vocab). In this course the batch always comes first."""


@mistake(Decoder, {"return logits, last[0]": "return last[0], logits"})
def results_swapped():
    """The two results are swapped. Return logits, decoder_state."""


@mistake(Decoder, {"out(states)": "out(states.tanh())"})
def tanh_added():
    """The states go through an extra tanh before `out`. The GRU has squashed them: use them directly."""


# Greedy decoding


@torch.no_grad()
def greedy_decode(encoder, decoder, src, src_lengths, bos_id, eos_id, max_len):
    """Do what `Seq2Seq.greedy` does, with two parts and for any begin and end token."""
    state = encoder(src, src_lengths)[1]
    ids = torch.full((len(src), 1), bos_id, device=src.device)
    for _ in range(max_len):
        logits, state = decoder(ids[:, -1:], state)
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
        if (ids == eos_id).any(1).all():
            break
    return ids[:, 1:]


ALL_ENDED = "(ids == eos_id).any(1).all()"


@mistake(greedy_decode, {"decoder(ids[:, -1:]": "decoder(ids[:, :1]"})
def begin_token_again():
    """Every step gets the begin token. After the first step, feed the token that was just written."""


@mistake(greedy_decode, {"logits, state =": "logits, _ ="})
def state_not_updated():
    """Every step starts from the encoder's state. Pass the decoder's new state to the next step."""


@mistake(greedy_decode, {"decoder(ids[:, -1:]": "decoder(ids"})
def all_read_again():
    """The decoder gets the whole text so far, with a state that has read it. Feed only the last token."""


@mistake(greedy_decode, {"argmax": "argmin"})
def least_likely():
    """The *smallest* logit is chosen. The most likely token has the largest one."""


@mistake(greedy_decode, {"return ids[:, 1:]": "return ids"})
def begin_token_returned():
    """The begin token is returned as if it had been written. Return only what the decoder wrote."""


@mistake(greedy_decode, {ALL_ENDED: "(ids == eos_id).any(1).any()"})
def stops_at_the_first_end():
    """Decoding stops as soon as one sentence has ended, which cuts off the others. Continue until all have
    ended."""


@mistake(greedy_decode, {ALL_ENDED: "(ids == eos_id).any(1)[0]"})
def watches_the_first_sentence():
    """Decoding stops when the first sentence of the batch has ended. Wait for all of them."""


@mistake(greedy_decode, {ALL_ENDED: "(ids[:, -1] == eos_id).all()"})
def ends_at_the_same_step():
    """Decoding stops only if all sentences write the end token at the same step. Remember which have ended:
    they may write anything afterwards."""


@mistake(greedy_decode, {ALL_ENDED: "False"})
def never_stops():
    """Decoding always takes max_len steps. Stop when every sentence has written its end token."""


@mistake(greedy_decode, {"range(max_len)": "range(max_len + 1)"})
def one_step_too_many():
    """A sentence that doesn't end gets max_len + 1 tokens. Write at most max_len."""


@mistake(greedy_decode, {"range(max_len)": "range(max(1, max_len - 1))"})
def begin_token_counted():
    """Decoding stops one step before max_len. The begin token isn't written, so it doesn't count."""


@mistake(
    greedy_decode,
    {
        "        ids = torch.cat": "        longer = torch.cat",
        ALL_ENDED: "(longer == eos_id).any(1).all()",
        "            break": "            break\n        ids = longer",
    },
)
@mistake(greedy_decode, {"ids[:, 1:]": "ids[:, 1:-1]"})
def end_token_cut_off():
    """The last column is cut off, and with it the end token of the longest sentence. Keep it in ids."""


@mistake(greedy_decode, {"return ids[:, 1:]": "return decoder(ids[:, :-1], encoder(src, src_lengths)[1])[0]"})
def logits_returned():
    """The logits are returned. Return the ids of the most likely words."""


@mistake(greedy_decode, {"return ids[:, 1:]": "return ids[:, 1:].T"})
def steps_first():
    """ids have shape (steps, batch). Each sentence has a row, so join the tokens along axis 1."""


@mistake(greedy_decode, {"encoder(src, src_lengths)[1]": "encoder(src, src_lengths)[0][:, -1].contiguous()"})
def last_encoder_state():
    """Decoding starts from the last of the encoder's states. Start from decoder_state, its second result."""


@mistake(greedy_decode, {"(src, src_lengths)": "(src, torch.full_like(src_lengths, src.shape[1]))"})
def full_lengths():
    """The encoder gets the width of src as every length, so it reads padding. Pass src_lengths."""


# BLEU by length


def corpus_bleu(hypotheses, references, tokenize="none"):
    return sacrebleu.corpus_bleu(hypotheses, [references], tokenize=tokenize, force=True).score


def bleu_by_length(sources, hypotheses, references, edges):
    rows = []
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        lengths = [len(source.split()) for source in sources]
        chosen = [i for i, n in enumerate(lengths) if first <= n < end]
        found, wanted = [hypotheses[i] for i in chosen], [references[i] for i in chosen]
        if chosen:
            rows.append(((first, end - 1), corpus_bleu(found, wanted)))
    return rows


SCORE, IN_BIN = "corpus_bleu(found, wanted)", "first <= n < end"


def sentence_bleus(hypotheses, references):
    pairs = list(zip(hypotheses, references, strict=True))
    return sum(sacrebleu.sentence_bleu(h, [r], tokenize="none").score for h, r in pairs) / len(pairs)


@mistake(bleu_by_length, {SCORE: "sentence_bleus(found, wanted)"})
def mean_of_sentence_scores():
    """This is the mean of sentence scores. Corpus BLEU counts the matches of all sentences of a bin together,
    and then computes one score."""


@mistake(bleu_by_length, {"for source in sources": "for source in hypotheses"})
def length_of_hypothesis():
    """Sentences are binned by the length of their translation. Use the length of the *source*."""


@mistake(bleu_by_length, {"for source in sources": "for source in references"})
def length_of_reference():
    """Sentences are binned by the length of their reference. Use the length of the *source*."""


@mistake(bleu_by_length, {"source.split()": "source"})
def length_in_letters():
    """len(source) counts letters. Split the sentence first, then count its words."""


@mistake(bleu_by_length, {IN_BIN: "first <= n <= end"})
def upper_edge_included():
    """A sentence whose length is an upper edge counts in two bins. A bin ends *before* its upper edge."""


@mistake(bleu_by_length, {IN_BIN: "first < n <= end"})
def lower_edge_left_out():
    """The bins are open at the wrong end. Include the *lower* edge, and leave out the upper edge."""


@mistake(bleu_by_length, {IN_BIN: "first <= n < end or n == end == edges[-1]"})
def last_bin_closed():
    """The last bin includes its upper edge, as some histograms do. Here every bin ends before its upper
    edge."""


@mistake(bleu_by_length, {IN_BIN: "first <= n and (n < end or end == edges[-1])"})
def last_bin_without_end():
    """Sentences longer than all bins count in the last one. Leave them out."""


@mistake(bleu_by_length, {IN_BIN: "n < end"})
def cumulative():
    """Each bin also contains all shorter sentences. A sentence belongs to one bin."""


@mistake(bleu_by_length, {"if chosen": "if True"})
def empty_bins_scored():
    """BLEU fails where a bin has no sentences. Leave such a bin out before you compute a score."""


@mistake(
    bleu_by_length,
    {"if chosen:\n": "if not chosen:\n            rows.append(((first, end - 1), 0.0))\n        else:\n"},
)
def empty_bins_kept():
    """An empty bin has a row. It has no score, and 0 would look like a bad one: leave it out."""


@mistake(bleu_by_length, {"(first, end - 1)": "(first, end)"})
def edges_as_names():
    """A row has the edges of its bin as its name. Use its first and last length, and the last is the upper
    edge minus 1."""


@mistake(bleu_by_length, {SCORE: "corpus_bleu(wanted, found)"})
def swapped():
    """Hypotheses and references are swapped. sacrebleu expects the translations first."""


@mistake(bleu_by_length, {SCORE: "corpus_bleu(found, wanted) / 100"})
def share_for_percent():
    """The scores lie between 0 and 1. Keep sacrebleu's scale, which goes up to 100."""


@mistake(bleu_by_length, {SCORE: 'corpus_bleu(found, wanted, "13a")'})
def tokenised_again():
    """sacrebleu splits the words again, at punctuation. Our words are already split: pass tokenize="none"."""


@mistake(bleu_by_length, {SCORE: "corpus_bleu(hypotheses, references)"})
def one_score_for_all():
    """Every bin has the score of all sentences. Score only the sentences of the bin."""


LAYOUT = 'sacrebleu.corpus_bleu(found, {}, tokenize="none", force=True).score'


@mistake(
    bleu_by_length, {SCORE: LAYOUT.format("[[line] for line in wanted]")}, {SCORE: LAYOUT.format("wanted")}
)
def reference_layout():
    """sacrebleu expects one list *per set* of references, and we have one set. Pass [references]."""
