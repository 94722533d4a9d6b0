"""Exercise 03: mistakes and right variants of the two decoders, the update and the translation."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

from grading.exercises.known import Misconception, with_forward
from utils.attention import attend, masked_softmax
from utils.models import BahdanauDecoder, Decoder, translate
from utils.text import BOS_ID, EOS_ID, PAD_ID, pad
from utils.training import sequence_loss, train_step

# The decoders


def _combined(self, seen, join):
    return torch.tanh(self.combine(join(seen)))


def _not_squashed(self, seen, join):
    return self.combine(join(seen))


def _luong(
    read=lambda self, embedded, first: self.rnn(embedded, first[None]),
    ask=lambda seen: seen.states,
    look=lambda score, query, seen: attend(query, seen.keys, seen.keys, seen.mask, score),
    join=lambda seen: torch.cat([seen.context, seen.states], dim=-1),
    combine=_combined,
    write=lambda self, combined: self.out(combined),
    answer=lambda logits, last, weights, seen: (logits, last[0], weights),
):
    """A Luong decoder with one of its steps done in another way. `seen` holds what there is to work with."""

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        seen = SimpleNamespace(first=decoder_state, keys=encoder_states, mask=src_mask)
        seen.real = (tgt_in != self.embedding.padding_idx).sum(1)
        seen.embedded = self.embedding(tgt_in)
        seen.states, last = read(self, seen.embedded, decoder_state)
        seen.context, weights = look(self.score, ask(seen), seen)
        seen.combined = combine(self, seen, join)
        return answer(write(self, seen.combined), last, weights, seen)

    return with_forward(Decoder, forward)


def _bahdanau(
    ask=lambda seen: seen.old,
    look=lambda score, query, seen: attend(query[:, None], seen.keys, seen.keys, seen.mask, score),
    feed=lambda seen: torch.cat([seen.word, seen.context], dim=-1),
    go_on=lambda seen: seen.old,
    join=lambda seen: torch.cat([seen.word, seen.new, seen.context], dim=-1),
    combine=_combined,
    write=lambda self, combined: self.out(combined),
    carry=lambda seen: seen.new,
    answer=lambda logits, last, weights, seen: (torch.stack(logits, 1), last, torch.cat(weights, 1)),
    after=False,
):
    """A Bahdanau decoder with one of its steps done in another way, or that attends `after` its cell."""

    def forward(self, tgt_in, decoder_state, encoder_states, src_mask):
        seen = SimpleNamespace(first=decoder_state, keys=encoder_states, mask=src_mask, old=decoder_state)
        seen.context = torch.zeros_like(decoder_state)
        seen.real = (tgt_in != self.embedding.padding_idx).sum(1)
        seen.words = self.embedding(tgt_in)
        seen.states, logits, weights = [], [], []

        def spot():
            seen.before = seen.context
            context, step_weights = look(self.score, ask(seen), seen)
            seen.context = context[:, 0]
            weights.append(step_weights)

        for word in seen.words.unbind(1):
            seen.word = word
            if not after:
                spot()
            seen.new = self.cell(feed(seen), go_on(seen))
            if after:
                seen.old = seen.new
                spot()
            seen.combined = combine(self, seen, join)
            logits.append(write(self, seen.combined))
            seen.states.append(seen.new)
            seen.old = carry(seen)
        return answer(logits, seen.new, weights, seen)

    return with_forward(BahdanauDecoder, forward)


def _other_weights(change, of_logits=torch.Tensor.clone):
    """Decoders that give their weights, or logits, in another form."""
    return (
        _luong(answer=lambda logits, last, weights, seen: (of_logits(logits), last[0], change(weights))),
        _bahdanau(
            answer=lambda logits, last, weights, seen: (
                of_logits(torch.stack(logits, 1)),
                last,
                change(torch.cat(weights, 1)),
            )
        ),
    )


_MASK_IGNORED = (
    "src_mask is not used, so padding receives weight and is mixed into the context: hand it to attend."
)
_MASK_INVERTED = "the mask is turned round: True is a real token, and attend wants it in just this form."
_FIRST_STATE_RETURNED = (
    "the state that came in goes out again: return the state after the last word. Decoding goes word by "
    "word, and with this one the decoder would forget what it has written."
)
_FIRST_STATE_IGNORED = (
    "the decoder starts from zeros: decoder_state, the encoder's summary of the sentence, is never used."
)
_NO_TANH = "the tanh around combine is missing: without it this is one more linear layer before out."
_TANH_ON_LOGITS = "the tanh comes too late: it belongs around combine, and out stays a plain linear layer."
_PROBABILITIES = (
    "these are probabilities, or their logarithms: a decoder returns plain logits, for the loss takes the "
    "softmax itself."
)
_COMBINED_AS_STATE = (
    "what comes out of combine is taken for the state: it is for the logits alone, and the state is what the "
    "GRU gives."
)
_STATE_BEFORE_PADDING = (
    "the state of the last real token is returned: decoder_state is the one after the last position, padding "
    "or not."
)
_TRANSPOSED = "the weights come out as (batch, src_len, tgt_len): each word that is written has its row."
_LAST_WEIGHTS = "only the last word's weights are returned: there is a row for each word that is written."
_FIRST_WEIGHTS = "only the first word's weights are returned: there is a row for each word that is written."
_ORDER = "the three results are in another order: return logits, decoder_state, weights."
_NO_CONTEXT = (
    "the context never reaches the output, so the decoder looks at the source and does not use what it saw: "
    "join it with the state, and send both through combine."
)


def _of_any_decoder(which):
    """Mistakes that both decoders invite; `which` is 0 for Luong's and 1 for Bahdanau's."""
    make = (_luong, _bahdanau)[which]
    shaped = (lambda query: query, lambda query: query[:, None])[which]
    probabilities = [lambda x, f=f: f(x, dim=-1) for f in (torch.softmax, torch.log_softmax)]
    return (
        Misconception(
            "mask_ignored",
            _MASK_IGNORED,
            make(look=lambda score, query, seen: attend(shaped(query), seen.keys, seen.keys, None, score)),
        ),
        Misconception(
            "mask_inverted",
            _MASK_INVERTED,
            make(
                look=lambda score, query, seen: attend(shaped(query), seen.keys, seen.keys, ~seen.mask, score)
            ),
        ),
        Misconception("no_tanh", _NO_TANH, make(combine=_not_squashed)),
        Misconception(
            "tanh_on_logits",
            _TANH_ON_LOGITS,
            make(combine=_not_squashed, write=lambda self, combined: torch.tanh(self.out(combined))),
        ),
        *(
            Misconception("probabilities", _PROBABILITIES, _other_weights(torch.clone, f)[which])
            for f in probabilities
        ),
        Misconception("weights_transposed", _TRANSPOSED, _other_weights(lambda weights: weights.mT)[which]),
        *(
            Misconception("last_weights_only", _LAST_WEIGHTS, _other_weights(cut)[which])
            for cut in (lambda weights: weights[:, -1:], lambda weights: weights[:, -1])
        ),
        *(
            Misconception("first_weights_only", _FIRST_WEIGHTS, _other_weights(cut)[which])
            for cut in (lambda weights: weights[:, :1], lambda weights: weights[:, 0])
        ),
    )


def _shifted(seen):
    """The states before each word: the first one, then all but the last."""
    return torch.cat([seen.first[:, None], seen.states[:, :-1]], dim=1)


def _at_the_last_real(states, seen):
    """The state (batch, hidden) at the last token that is not padding."""
    return states[torch.arange(len(states)), seen.real - 1]


def _combined_carried_on(self, tgt_in, state, encoder_states, src_mask):
    """A Luong decoder, word by word, that goes on from what combine gave."""
    logits, weights = [], []
    for word in self.embedding(tgt_in).split(1, dim=1):
        query, _ = self.rnn(word, state[None].contiguous())
        context, row = attend(query, encoder_states, encoder_states, src_mask, self.score)
        combined = torch.tanh(self.combine(torch.cat([context, query], -1)))
        state = combined[:, 0]
        logits.append(self.out(combined))
        weights.append(row)
    return torch.cat(logits, 1), state, torch.cat(weights, 1)


_LUONG = (
    *_of_any_decoder(0),
    Misconception(
        "combined_as_state",
        _COMBINED_AS_STATE,
        _luong(answer=lambda logits, last, weights, seen: (logits, seen.combined[:, -1], weights)),
    ),
    Misconception("combined_as_state", _COMBINED_AS_STATE, with_forward(Decoder, _combined_carried_on)),
    Misconception(
        "state_before_padding",
        _STATE_BEFORE_PADDING,
        _luong(
            answer=lambda logits, last, weights, seen: (logits, _at_the_last_real(seen.states, seen), weights)
        ),
    ),
    Misconception(
        "layer_axis_kept",
        "the state has an axis too many: nn.GRU gives (1, batch, hidden), one state a layer, so take the "
        "first of them off again with [0].",
        _luong(answer=lambda logits, last, weights, seen: (logits, last, weights)),
    ),
    Misconception(
        "all_states_returned",
        "the states of all words are returned: the second result is the one after the last word, "
        "(batch, hidden).",
        _luong(answer=lambda logits, last, weights, seen: (logits, seen.states, weights)),
    ),
    Misconception(
        "first_state_returned",
        _FIRST_STATE_RETURNED,
        _luong(answer=lambda logits, last, weights, seen: (logits, seen.first, weights)),
    ),
    Misconception(
        "first_state_ignored", _FIRST_STATE_IGNORED, _luong(read=lambda self, e, first: self.rnn(e))
    ),
    Misconception(
        "other_order",
        _ORDER,
        _luong(answer=lambda logits, last, weights, seen: (logits, weights, last[0])),
    ),
    Misconception(
        "query_before_the_cell",
        "the query is the state before each word: that is the other decoder. Here the cell goes first, and "
        "its new state asks.",
        _luong(ask=_shifted),
    ),
    Misconception(
        "one_query_for_all",
        "one state asks for all words, so every row of weights is the same: each word has its own state, "
        "and with it its own query.",
        _luong(ask=lambda seen: seen.states[:, -1:].expand_as(seen.states)),
    ),
    Misconception(
        "one_query_for_all",
        "one state asks for all words, so every row of weights is the same: each word has its own state, "
        "and with it its own query.",
        _luong(ask=lambda seen: seen.first[:, None].expand_as(seen.states)),
    ),
    Misconception(
        "word_as_query",
        "the embedded word asks: it knows nothing of the sentence so far. The query is the cell's state.",
        _luong(ask=lambda seen: seen.embedded),
    ),
    Misconception(
        "own_states_as_keys",
        "the decoder looks at its own states: keys and values are the encoder's.",
        _luong(look=lambda score, query, seen: attend(query, query, query, None, score)),
    ),
    Misconception(
        "joined_the_other_way",
        "state and context are joined in the other order: combine expects [context, state], as in the "
        "equation.",
        _luong(join=lambda seen: torch.cat([seen.states, seen.context], dim=-1)),
    ),
    *(
        Misconception("no_context", _NO_CONTEXT, _luong(combine=combine))
        for combine in (
            lambda self, seen, join: seen.states,
            lambda self, seen, join: torch.tanh(seen.states),
        )
    ),
    Misconception(
        "context_alone",
        "the output is written from the context alone: the state, which knows what has been written so far, "
        "must go in too.",
        _luong(combine=lambda self, seen, join: seen.context),
    ),
    Misconception(
        "context_added",
        "state and context are added up, and combine is never used: join them side by side with torch.cat "
        "and send them through combine.",
        _luong(combine=lambda self, seen, join: torch.tanh(seen.context + seen.states)),
    ),
    Misconception(
        "context_of_the_word_before",
        "each word is written with the context of the word before: state and context of the same step "
        "belong together.",
        _luong(join=lambda seen: torch.cat([F.pad(seen.context, (0, 0, 1, 0))[:, :-1], seen.states], dim=-1)),
    ),
)

_BAHDANAU = (
    *_of_any_decoder(1),
    Misconception(
        "combined_as_state",
        _COMBINED_AS_STATE,
        _bahdanau(
            answer=lambda logits, last, w, seen: (torch.stack(logits, 1), seen.combined, torch.cat(w, 1))
        ),
    ),
    *(
        Misconception(
            "combined_as_state",
            _COMBINED_AS_STATE,
            _bahdanau(carry=lambda seen: seen.combined, answer=answer),
        )
        for answer in (
            lambda logits, last, w, seen: (torch.stack(logits, 1), seen.combined, torch.cat(w, 1)),
            lambda logits, last, w, seen: (torch.stack(logits, 1), last, torch.cat(w, 1)),
        )
    ),
    Misconception(
        "state_before_padding",
        _STATE_BEFORE_PADDING,
        _bahdanau(
            answer=lambda logits, last, w, seen: (
                torch.stack(logits, 1),
                _at_the_last_real(torch.stack(seen.states, 1), seen),
                torch.cat(w, 1),
            )
        ),
    ),
    Misconception(
        "cell_without_its_state",
        "the cell gets no state and starts from zeros at every word: its second argument is the state of the "
        "step before, self.cell(inputs, state).",
        _bahdanau(go_on=lambda seen: torch.zeros_like(seen.old)),
    ),
    Misconception(
        "first_state_returned",
        _FIRST_STATE_RETURNED,
        _bahdanau(answer=lambda logits, last, w, seen: (torch.stack(logits, 1), seen.first, torch.cat(w, 1))),
    ),
    Misconception(
        "first_state_ignored",
        _FIRST_STATE_IGNORED,
        with_forward(
            BahdanauDecoder,
            lambda self, tgt_in, state, *source: BahdanauDecoder.forward(
                self, tgt_in, torch.zeros_like(state), *source
            ),
        ),
    ),
    Misconception(
        "other_order",
        _ORDER,
        _bahdanau(answer=lambda logits, last, w, seen: (torch.stack(logits, 1), torch.cat(w, 1), last)),
    ),
    Misconception(
        "attends_after_the_cell",
        "the cell goes first, with the context of the word before, and its new state asks: that is Luong's "
        "order. Here the old state asks, and the context it finds goes into the cell.",
        _bahdanau(after=True),
    ),
    Misconception(
        "state_never_updated",
        "every word starts from the first state again: the new state of one step is the old state of the "
        "next.",
        _bahdanau(ask=lambda seen: seen.first, go_on=lambda seen: seen.first),
    ),
    Misconception(
        "one_query_for_all",
        "the first state asks at every word, so every row of weights is the same: ask with the newest state.",
        _bahdanau(ask=lambda seen: seen.first),
    ),
    Misconception(
        "cell_starts_over",
        "the cell goes on from the first state at every word: hand it the state of the step before.",
        _bahdanau(go_on=lambda seen: seen.first),
    ),
    Misconception(
        "word_as_query",
        "the embedded word asks: it knows nothing of the sentence so far. The query is the decoder's state.",
        _bahdanau(ask=lambda seen: seen.word),
    ),
    Misconception(
        "state_for_context",
        "the cell gets the word and the state, but not the context: its input is [word, context], and the "
        "state is its second argument.",
        _bahdanau(feed=lambda seen: torch.cat([seen.word, seen.old], dim=-1)),
    ),
    Misconception(
        "context_of_the_word_before",
        "the cell gets the context of the word before: attend first, then step.",
        _bahdanau(feed=lambda seen: torch.cat([seen.word, seen.before], dim=-1)),
    ),
    Misconception(
        "fed_the_other_way",
        "the cell's input is joined in the other order: it expects [word, context], as in the equation.",
        _bahdanau(feed=lambda seen: torch.cat([seen.context, seen.word], dim=-1)),
    ),
    Misconception(
        "old_state_in_the_output",
        "the output is written from the old state: the cell has made a new one, which knows the word that "
        "was just read.",
        _bahdanau(join=lambda seen: torch.cat([seen.word, seen.old, seen.context], dim=-1)),
    ),
    *(
        Misconception(
            "joined_the_other_way",
            "what goes into combine is joined in another order: it expects [word, state, context], as in the "
            "equation.",
            _bahdanau(join=join),
        )
        for join in (
            lambda seen: torch.cat([seen.word, seen.context, seen.new], dim=-1),
            lambda seen: torch.cat([seen.new, seen.context, seen.word], dim=-1),
            lambda seen: torch.cat([seen.context, seen.new, seen.word], dim=-1),
            lambda seen: torch.cat([seen.new, seen.word, seen.context], dim=-1),
            lambda seen: torch.cat([seen.context, seen.word, seen.new], dim=-1),
        )
    ),
    *(
        Misconception("no_context", _NO_CONTEXT, _bahdanau(combine=combine))
        for combine in (lambda self, seen, join: seen.new, lambda self, seen, join: torch.tanh(seen.new))
    ),
    Misconception(
        "projected_twice",
        "the keys are projected twice: once by project_keys, and then by the score again. Projected keys "
        "belong to score.from_projected.",
        _bahdanau(
            look=lambda score, query, seen: attend(
                query[:, None], score.project_keys(seen.keys), seen.keys, seen.mask, score
            )
        ),
    ),
    Misconception(
        "projected_keys_as_values",
        "the context is made of the projected keys: they are for scoring, and the values are the encoder's "
        "states.",
        _bahdanau(
            look=lambda score, query, seen: attend(
                query[:, None],
                score.project_keys(seen.keys),
                score.project_keys(seen.keys),
                seen.mask,
                score.from_projected,
            )
        ),
    ),
    Misconception(
        "last_logits_only",
        "only the last word's logits are returned: collect those of every step, (batch, tgt_len, vocab).",
        _bahdanau(answer=lambda logits, last, w, seen: (logits[-1], last, torch.cat(w, 1))),
    ),
    Misconception(
        "last_logits_only",
        "only the last word's logits are returned: collect those of every step, (batch, tgt_len, vocab).",
        _bahdanau(answer=lambda logits, last, w, seen: (logits[-1][:, None], last, torch.cat(w, 1))),
    ),
    Misconception(
        "steps_on_the_batch_axis",
        "the steps are stacked on axis 0, which is the batch: torch.stack(logits, 1) puts them where tgt_len "
        "belongs.",
        _bahdanau(answer=lambda logits, last, w, seen: (torch.stack(logits), last, torch.cat(w, 1))),
    ),
    Misconception(
        "weights_stacked",
        "the weights have an axis too many: each step's are (batch, 1, src_len) already, so join them along "
        "axis 1 with torch.cat, not with torch.stack.",
        _bahdanau(answer=lambda logits, last, w, seen: (torch.stack(logits, 1), last, torch.stack(w, 1))),
    ),
)


# One update


def _update(
    tgt_in=lambda batch: batch.tgt_in,
    tgt_out=lambda batch: batch.tgt_out,
    loss=sequence_loss,
    zero=True,
    backward=True,
    mode=lambda model: None,
    clip=lambda model, max_norm: nn.utils.clip_grad_norm_(model.parameters(), max_norm),
    step=lambda optimizer: optimizer.step(),
    result=lambda loss, again: loss.item(),
):
    """A train_step with one of its parts done in another way."""

    def answer(model, batch, optimizer, pad_id, max_norm):
        def forward():
            mode(model)
            logits, _ = model(batch.src, batch.src_lengths, tgt_in(batch))
            return loss(logits, tgt_out(batch), pad_id)

        found = forward()
        if zero:
            optimizer.zero_grad()
        if backward:
            found.backward()
        clip(model, max_norm)
        step(optimizer)
        return result(found, forward)

    return answer


def _clip_each(model, max_norm):
    for parameter in model.parameters():
        nn.utils.clip_grad_norm_(parameter, max_norm)


def _always_to_max_norm(model, max_norm):
    total = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad *= max_norm / total


def _sum_of_tokens(logits, targets, pad_id):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=pad_id, reduction="sum")


def _mean_of_means(logits, targets, pad_id):
    rows = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=pad_id, reduction="none")
    return (rows.sum(1) / (targets != pad_id).sum(1)).mean()


def _zero_too_late(optimizer):
    optimizer.zero_grad()
    optimizer.step()


def _step_then_zero(optimizer):
    optimizer.step()
    optimizer.zero_grad()


def _zeroed_at_the_end(model, batch, optimizer, pad_id, max_norm):
    model.train()
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    loss = F.cross_entropy(logits.transpose(1, 2), batch.tgt_out, ignore_index=pad_id)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(model.parameters()), max_norm)
    optimizer.step()
    optimizer.zero_grad()
    return float(loss)


_NO_UPDATE = (
    "the parameters stay as they were: after zero_grad() comes backward(), then the clipping, then "
    "optimizer.step(), and nothing may set the gradients back to zero before the step."
)

_TRAIN_STEP = (
    Misconception(
        "zero_grad_forgotten",
        "the gradients of earlier updates are still there, and the new ones are added to them: call "
        "optimizer.zero_grad() once in every update.",
        _update(zero=False),
    ),
    *(
        Misconception(
            "zero_grad_at_the_end_only",
            "gradients that are there before the first call are added to the new ones: clear them before "
            "backward(), not only after the step.",
            answer,
        )
        for answer in (_zeroed_at_the_end, _update(zero=False, step=_step_then_zero))
    ),
    Misconception(
        "in_evaluation_mode",
        "the model learns in evaluation mode, where dropout is off: it comes in the mode that it should be "
        "in, so leave model.eval() to the translation.",
        _update(mode=lambda model: model.eval()),
    ),
    Misconception("nothing_learned", _NO_UPDATE, _update(step=lambda optimizer: None)),
    Misconception("nothing_learned", _NO_UPDATE, _update(step=_zero_too_late)),
    Misconception(
        "not_clipped",
        "the step is taken with gradients that are not clipped: clip_grad_norm_ belongs after backward(), "
        "which makes the gradients, and before step(), which uses them.",
        _update(clip=lambda model, max_norm: None),
    ),
    Misconception(
        "clipped_one_by_one",
        "each parameter is clipped by itself: hand model.parameters() to clip_grad_norm_, so that the norm "
        "of all gradients together is bounded and their direction stays.",
        _update(clip=_clip_each),
    ),
    Misconception(
        "clipped_by_value",
        "each number of the gradient is clipped: it is the norm that max_norm bounds, which keeps the "
        "direction.",
        _update(clip=lambda model, max_norm: nn.utils.clip_grad_value_(model.parameters(), max_norm)),
    ),
    Misconception(
        "max_norm_ignored",
        "the gradients are clipped to 1, whatever max_norm is: hand it on.",
        _update(clip=lambda model, max_norm: nn.utils.clip_grad_norm_(model.parameters(), 1.0)),
    ),
    Misconception(
        "stretched_to_max_norm",
        "small gradients are made larger: clipping shortens what is longer than max_norm, and leaves the "
        "rest alone.",
        _update(clip=_always_to_max_norm),
    ),
    Misconception(
        "gold_leaks",
        "the model reads the very words that it should predict: teacher forcing gives it tgt_in, which is "
        "one step behind tgt_out.",
        _update(tgt_in=lambda batch: batch.tgt_out),
    ),
    Misconception(
        "copies_its_input",
        "the targets are tgt_in, the words that the model has just read: it should predict tgt_out, the "
        "next ones.",
        _update(tgt_out=lambda batch: batch.tgt_in),
    ),
    Misconception(
        "padding_counted",
        "padding counts in the loss: hand pad_id to sequence_loss, so that only real words do.",
        _update(loss=lambda logits, targets, pad_id: sequence_loss(logits, targets, -100)),
    ),
    Misconception(
        "pad_id_ignored",
        "padding is taken to have id 0, whatever pad_id is: hand it to sequence_loss.",
        _update(loss=lambda logits, targets, pad_id: sequence_loss(logits, targets, PAD_ID)),
    ),
    Misconception(
        "summed",
        "the loss is the sum over the words: take their mean, or long batches weigh more.",
        _update(loss=_sum_of_tokens),
    ),
    Misconception(
        "mean_of_sentences",
        "the loss is a mean over sentences, so words of short sentences count more: take the mean over all "
        "real words of the batch.",
        _update(loss=_mean_of_means),
    ),
    Misconception(
        "softmax_twice",
        "the logits go through a softmax first: the cross-entropy takes it itself, and after two of them "
        "hardly anything is learned.",
        _update(loss=lambda logits, targets, pad_id: sequence_loss(logits.softmax(-1), targets, pad_id)),
    ),
    Misconception(
        "graph_returned",
        "the loss comes back as a tensor that still holds the graph of the whole model: whoever collects "
        "such losses fills the memory. Return loss.item(), a plain number.",
        _update(result=lambda loss, again: loss),
    ),
    Misconception(
        "loss_after_the_step",
        "the loss is computed again after the step: return the one that the gradients were made of.",
        _update(result=lambda loss, again: again().item()),
    ),
    Misconception(
        "uphill",
        "the parameters go up the gradient: the loss should fall, so its gradient must not change its sign.",
        _update(
            loss=lambda logits, targets, pad_id: -sequence_loss(logits, targets, pad_id),
            result=lambda loss, again: -loss.item(),
        ),
    ),
)


# Greedy translation


def _translate(
    mode=lambda model: model.eval(),
    source=lambda encoded, words: [*encoded.src_vocab.encode(words), EOS_ID],
    length=lambda src: src.shape[1],
    start=BOS_ID,
    steps=lambda max_len: max_len,
    feed=lambda step: step.token,
    go_on=lambda step: step.new,
    ended=lambda step: step.token.item() == EOS_ID,
    words=lambda encoded, ids: encoded.tgt_vocab.decode(ids),
    weights=lambda rows: torch.cat(rows, 1)[0],
    pairs=lambda done, sentences: done,
):
    """A translation, a sentence at a time, with one of its steps done in another way."""

    @torch.no_grad()
    def answer(model, encoded, sentences, max_len):
        mode(model)
        done = []
        for sentence in sentences:
            src = torch.tensor([source(encoded, sentence)])
            step = SimpleNamespace(src=src, token=torch.tensor([[start]]), ids=[], rows=[], sentence=sentence)
            states, step.first, mask = model.encode(src, torch.tensor([length(src)]))
            step.state = step.first
            while len(step.ids) < steps(max_len):
                logits, step.new, row = model.decode(feed(step), step.state, states, mask)
                step.state = go_on(step)
                step.token = logits.argmax(-1)
                step.ids.append(step.token.item())
                step.rows.append(row)
                if ended(step):
                    break
            done.append((words(encoded, step.ids), weights(step.rows)))
        return pairs(done, sentences)

    return answer


def _in_one_batch(mask=True, cut=True, back=True, as_sorted=False):
    """A translation of all sentences at once, with or without each of its cares."""

    @torch.no_grad()
    def answer(model, encoded, sentences, max_len):
        model.eval()
        order = sorted(range(len(sentences)), key=lambda row: len(sentences[row])) if as_sorted else None
        given = [sentences[row] for row in order] if as_sorted else sentences
        ids = [[*encoded.src_vocab.encode(words), EOS_ID] for words in given]
        src, lengths = pad(ids), torch.tensor([len(row) for row in ids])
        states, state, src_mask = model.encode(
            src, lengths if mask else torch.full_like(lengths, src.shape[1])
        )
        token = torch.full((len(src), 1), BOS_ID)
        written, rows = [], []
        for _ in range(max_len):
            logits, state, weights = model.decode(token, state, states, src_mask)
            token = logits.argmax(-1)
            written.append(token)
            rows.append(weights)
        written, rows = torch.cat(written, 1), torch.cat(rows, 1)
        done = []
        for row, length in enumerate(lengths):
            words = encoded.tgt_vocab.decode(written[row].tolist())
            width = length if cut else src.shape[1]
            done.append((words, rows[row, : len(words) + 1, :width]))
        if as_sorted and back:
            done = [done[order.index(row)] for row in range(len(done))]
        return done

    return answer


def _every_word(encoded, ids):
    return [encoded.tgt_vocab.tokens[id_] for id_ in ids]


_IN_TRAINING_MODE = (
    "the model translates in training mode: there its dropout is on, and every translation is a matter of "
    "luck. Call model.eval() first."
)
_WITHOUT_THE_END_ROW = (
    "the row of the end token is missing: append each row before you look whether the token was the end."
)


@torch.no_grad()
def _stopped_before_its_row(model, encoded, sentences, max_len):
    model.eval()
    done = []
    for sentence in sentences:
        src = torch.tensor([[*encoded.src_vocab.encode(sentence), EOS_ID]])
        states, state, mask = model.encode(src, torch.tensor([src.shape[1]]))
        token, ids, rows = torch.tensor([[BOS_ID]]), [], []
        for _ in range(max_len):
            logits, state, row = model.decode(token, state, states, mask)
            token = logits.argmax(-1)
            if token.item() == EOS_ID:
                break
            ids.append(token.item())
            rows.append(row[0, 0])
        done.append((encoded.tgt_vocab.decode(ids), torch.stack(rows)))
    return done


_BOS_ONLY = (
    "the decoder is fed the begin token at every step: feed it the word that it wrote last, so that it knows "
    "where it is."
)

_TRANSLATE = (
    Misconception(
        "state_never_updated",
        "the decoder's state is never updated, so it starts the sentence anew with every word: take the "
        "state that decode returns into the next step.",
        _translate(go_on=lambda step: step.first),
    ),
    Misconception(
        "begin_at_every_step",
        _BOS_ONLY,
        _translate(feed=lambda step: torch.tensor([[BOS_ID]])),
    ),
    Misconception(
        "begins_with_the_end",
        "the first token that is fed is the end token: a translation begins with BOS_ID.",
        _translate(start=EOS_ID),
    ),
    Misconception(
        "begins_with_padding",
        "the first token that is fed is padding: a translation begins with BOS_ID.",
        _translate(start=PAD_ID),
    ),
    Misconception(
        "source_without_its_end",
        "the source lacks its end token: the model was trained with EOS_ID behind each source sentence.",
        _translate(source=lambda encoded, words: encoded.src_vocab.encode(words)),
    ),
    Misconception(
        "length_without_the_end",
        "the end token is in src, but not counted in src_lengths, so the encoder does not read it and the "
        "mask hides it: count it.",
        _translate(length=lambda src: src.shape[1] - 1),
    ),
    Misconception(
        "one_step_too_few",
        "writing stops one token before max_len: at most max_len tokens are written, so there may be max_len "
        "steps.",
        _translate(steps=lambda max_len: max_len - 1),
    ),
    Misconception(
        "source_with_a_begin",
        "the source has a begin token in front: the model was trained with an end token behind, and nothing "
        "before.",
        _translate(source=lambda encoded, words: [BOS_ID, *encoded.src_vocab.encode(words), EOS_ID]),
    ),
    Misconception(
        "target_vocabulary_for_the_source",
        "the source is encoded with the target's vocabulary: its words are all unknown there.",
        _translate(source=lambda encoded, words: [*encoded.tgt_vocab.encode(words), EOS_ID]),
    ),
    Misconception(
        "source_vocabulary_for_the_target",
        "the ids are turned into words of the source's vocabulary: the decoder writes in the target's.",
        _translate(words=lambda encoded, ids: encoded.src_vocab.decode(ids)),
    ),
    Misconception(
        "source_words_leak",
        "the decoder is fed the words of the source, one after the other: feed it the word that it wrote "
        "last.",
        _translate(
            feed=lambda step: (
                step.token if not step.ids else step.src[:, [min(len(step.ids), step.src.shape[1]) - 1]]
            )
        ),
    ),
    Misconception(
        "end_kept",
        "the end token is among the words: it ends the translation, and is not a part of it.",
        _translate(words=_every_word),
    ),
    Misconception(
        "never_ends",
        "the translation goes on after its end token: stop there.",
        _translate(ended=lambda step: False),
    ),
    Misconception(
        "never_ends",
        "the translation goes on after its end token: stop there.",
        _translate(
            ended=lambda step: False,
            words=lambda encoded, ids: [encoded.tgt_vocab.tokens[i] for i in ids if i != EOS_ID],
        ),
    ),
    Misconception(
        "as_long_as_the_source",
        "the translation stops after as many words as the source has: it should stop at its end token, or at "
        "max_len.",
        _translate(ended=lambda step: step.token.item() == EOS_ID or len(step.ids) >= len(step.sentence)),
    ),
    Misconception("in_training_mode", _IN_TRAINING_MODE, _translate(mode=lambda model: None)),
    Misconception(
        "ids_for_words",
        "the translations are ids: turn them into words with encoded.tgt_vocab.decode.",
        _translate(words=lambda encoded, ids: [i for i in ids if i != EOS_ID]),
    ),
    Misconception(
        "joined_to_a_text",
        "a translation is one text: leave it as a list of words, so that each has its row of the map.",
        _translate(words=lambda encoded, ids: " ".join(encoded.tgt_vocab.decode(ids))),
    ),
    Misconception(
        "map_transposed",
        "the maps are transposed: a row for each word that is written, a column for each word of the source.",
        _translate(weights=lambda rows: torch.cat(rows, 1)[0].T),
    ),
    Misconception(
        "batch_axis_kept",
        "the maps have an axis for the batch: each belongs to one sentence, so it is (tgt_len, src_len).",
        _translate(weights=lambda rows: torch.cat(rows, 1)),
    ),
    Misconception(
        "batch_axis_kept",
        "the maps have an axis for the batch: each belongs to one sentence, so it is (tgt_len, src_len).",
        _translate(weights=lambda rows: torch.stack([row[0] for row in rows])),
    ),
    Misconception(
        "without_the_end_row",
        _WITHOUT_THE_END_ROW,
        _translate(pairs=lambda done, sentences: [(words, weights[: len(words)]) for words, weights in done]),
    ),
    Misconception("without_the_end_row", _WITHOUT_THE_END_ROW, _stopped_before_its_row),
    Misconception(
        "without_the_end_column",
        "the column of the source's end token is missing, so the rows no longer sum to one.",
        _translate(weights=lambda rows: torch.cat(rows, 1)[0, :, :-1]),
    ),
    Misconception(
        "without_the_ends",
        "the row and the column of the end tokens are missing: what the attention spends on the source's end "
        "is a part of it, and belongs on the map.",
        _translate(
            pairs=lambda done, sentences: [(words, weights[: len(words), :-1]) for words, weights in done]
        ),
    ),
    Misconception(
        "last_row_only",
        "a map holds the weights of the last step alone: collect those of each step, and join them.",
        _translate(weights=lambda rows: rows[-1][0]),
    ),
    Misconception(
        "last_row_only",
        "a map holds the weights of the last step alone: collect those of each step, and join them.",
        _translate(weights=lambda rows: rows[-1][0].expand(len(rows), -1)),
    ),
    Misconception(
        "padding_columns",
        "the maps have columns for padding: cut each to the length of its own sentence, its end token "
        "included.",
        _in_one_batch(cut=False),
    ),
    Misconception(
        "padding_read_as_words",
        "padding is read as if it were words: hand encode the length of each sentence, not of the longest.",
        _in_one_batch(mask=False),
    ),
    Misconception(
        "sorted",
        "the translations come in the order of length: put them back into the order of the sentences.",
        _in_one_batch(as_sorted=True, back=False),
    ),
    Misconception(
        "maps_alone",
        "only the maps come back: give a pair, (words, weights), for each sentence.",
        _translate(pairs=lambda done, sentences: [(weights, words) for words, weights in done]),
    ),
)


MISCONCEPTIONS = {
    "LuongDecoder": _LUONG,
    "BahdanauDecoder": _BAHDANAU,
    "train_step": _TRAIN_STEP,
    "translate": _TRANSLATE,
}


# Right answers, written in other ways.


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


def _bahdanau_all_logits_at_once(self, tgt_in, decoder_state, encoder_states, src_mask):
    """The keys projected anew at every step, which costs time and changes nothing."""
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


def _translations(model, encoded, sentences, max_len):
    return [(one.tokens, one.weights) for one in translate(model, encoded, sentences, max_len)]


def _with_gradients(model, encoded, sentences, max_len):
    """Without no_grad, with steps of its own, and pairs as lists."""
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
        _luong(),
    ),
    "BahdanauDecoder": (
        with_forward(BahdanauDecoder, _bahdanau_by_index),
        with_forward(BahdanauDecoder, _bahdanau_all_logits_at_once),
        _bahdanau(),
        _bahdanau(
            look=lambda score, query, seen: attend(
                query[:, None], score.project_keys(seen.keys), seen.keys, seen.mask, score.from_projected
            )
        ),
    ),
    "train_step": (
        train_step,
        _cleared_first,
        _clipped_by_hand,
        _with_a_graph_of_its_own,
        _update(),
    ),
    "translate": (
        _translations,
        _with_gradients,
        _translate(),
        _in_one_batch(),
        _in_one_batch(as_sorted=True),
    ),
}
