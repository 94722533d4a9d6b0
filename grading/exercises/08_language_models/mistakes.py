"""Exercise 08: mistakes in next words, drawing, writing and hiding words."""

import torch

from grading.judge.registry import mistake
from utils.language_models import generate, mask_tokens, next_word_batch, sample

# The next word

TARGETS, PADDED = "tokens[:, :-1], tokens[:, 1:]", "targets == pad_id, IGNORED"


@mistake(next_word_batch, {TARGETS: "tokens, tokens"}, {TARGETS: "tokens[:, :-1], tokens[:, :-1]"})
def not_shifted():
    """Inputs and targets are the same tokens, so the model learns to copy. The target of each token is
    the one after it, tokens[:, 1:]."""


@mistake(next_word_batch, {TARGETS: "tokens[:, 1:], tokens[:, :-1]"})
def shifted_back():
    """The targets are the tokens before the inputs. A language model predicts the next token, so inputs
    leave out the last token and targets the first."""


@mistake(next_word_batch, {TARGETS: "tokens[:, :-2], tokens[:, 2:]"})
def shifted_by_two():
    """The target is two tokens ahead. It should be the very next one, tokens[:, 1:]."""


@mistake(next_word_batch, {TARGETS: "tokens, tokens.roll(-1, dims=1)"})
def last_target_is_the_first_token():
    """roll moves the first token to the end, where it becomes the target of the last one. Nothing follows
    the last token, so leave that position out."""


@mistake(next_word_batch, {TARGETS: "tokens, tokens[:, 1:]"})
def inputs_too_long():
    """The inputs still hold the last token, which has no target. Inputs and targets have length - 1 each."""


@mistake(next_word_batch, {f".masked_fill({PADDED})": ""})
def padding_predicted():
    """Padding is a target, so the model learns to predict it. Set targets that are pad_id to -100."""


@mistake(next_word_batch, {PADDED: "targets == pad_id, 0"})
def padding_is_zero():
    """Padded targets are 0, which is a token like any other. cross_entropy ignores -100."""


@mistake(next_word_batch, {PADDED: "targets == pad_id, -1"})
def padding_is_minus_one():
    """Padded targets are -1, and cross_entropy fails on it. It ignores -100."""


@mistake(next_word_batch, {PADDED: "inputs == pad_id, IGNORED"})
def judged_by_the_input():
    """A position is left out if its *input* is padding, so the last real token still has to predict
    padding. Look at the targets."""


@mistake(next_word_batch, {"return inputs,": "return inputs.masked_fill(inputs == pad_id, IGNORED),"})
def inputs_ignored_too():
    """The inputs hold -100 as well, and an embedding has no such row. Mark the targets only."""


@mistake(next_word_batch, {PADDED: "targets == targets.max(), IGNORED"})
def largest_ignored():
    """The largest id is left out instead of padding. Compare the targets with pad_id."""


@mistake(next_word_batch, {PADDED: "targets == 0, IGNORED"})
def zero_is_padding():
    """Padding is taken to be 0, whatever pad_id says. Compare the targets with pad_id."""


@mistake(next_word_batch, {f"masked_fill({PADDED}": f"masked_fill_({PADDED}"})
def changed_in_place():
    """tokens[:, 1:] is a view, so writing -100 into it changes `tokens` and the inputs. Use masked_fill,
    which makes a new tensor."""


@mistake(next_word_batch)
def other_order(tokens, pad_id):
    """The two results are in the other order. Return inputs, targets."""
    return next_word_batch(tokens, pad_id)[::-1]


# Drawing a token

LIKELIEST = "    if temperature == 0:\n        return logits.argmax(-1)\n"
TOP = "logits.topk(min(top_k or logits.shape[-1], logits.shape[-1]))"
SCALED, LOOKED_UP = "(logits / temperature).softmax(-1)", "candidates.gather(-1, drawn).squeeze(-1)"


def allowed(logits, top_k):
    """Return logits with -inf for all but the top k."""
    if top_k is None or top_k >= logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)


def draw(logits, generator):
    return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(-1)


@mistake(sample, {"if temperature == 0": "if True"})
def always_the_likeliest():
    """The likeliest token is always taken, which is temperature 0. Otherwise draw, with torch.multinomial."""


@mistake(sample, {SCALED: "logits.softmax(-1)"})
def temperature_ignored():
    """The temperature changes nothing. Divide the logits by it before the softmax: probabilities that are
    divided by a number are only normalized again."""


@mistake(sample, {SCALED: "(logits * temperature).softmax(-1)"})
def temperature_multiplied():
    """The logits are multiplied by the temperature, so a high one makes the draws timid. Divide by it."""


@mistake(sample, {LIKELIEST: ""})
def temperature_zero_divides():
    """A temperature of 0 is a division by zero. Take the likeliest token there."""


@mistake(sample, {LIKELIEST: "    temperature = temperature or 1.0\n"})
def temperature_zero_draws():
    """At temperature 0 the token is still drawn, as if it were 1. Take the likeliest one there."""


@mistake(sample, {TOP: "logits.topk(logits.shape[-1])"})
def top_k_ignored():
    """top_k is not used. Only the top_k likeliest tokens of each row may be drawn."""


@mistake(sample, {LOOKED_UP: "drawn.squeeze(-1)"})
def place_among_the_top():
    """The result is the place among the top k, not the token. Look up its id in the indices of topk."""


@mistake(sample, {SCALED: "torch.ones_like(logits)"})
def all_alike():
    """The allowed tokens are all equally likely. Their probabilities still come from the logits."""


@mistake(sample)
def others_scored_zero(logits, temperature, top_k, generator):
    """Tokens outside the top k get the logit 0, and e^0 is 1, so they can still be drawn. Use -inf."""
    if temperature == 0:
        return logits.argmax(-1)
    logits = allowed(logits, top_k)
    return draw(torch.where(logits.isinf(), 0.0, logits) / temperature, generator)


@mistake(sample, {TOP: f"{TOP[:-1]}, largest=False)"})
def least_likely():
    """The k *least* likely tokens are kept. topk finds the largest ones unless told otherwise."""


@mistake(sample, {TOP: "logits.topk(max(1, min(top_k or logits.shape[-1] + 1, logits.shape[-1] + 1) - 1))"})
def one_too_few():
    """One token too few is kept. The k-th likeliest is allowed too, so compare with < and not <=."""


@mistake(sample)
def top_k_of_the_first_row(logits, temperature, top_k, generator):
    """The top k of the first row are used for all rows. Each row has its own."""
    if temperature == 0 or top_k is None or top_k >= logits.shape[-1]:
        return sample(logits, temperature, top_k, generator)
    kept = torch.zeros_like(logits).index_fill(1, logits[0].topk(top_k).indices, 1.0).bool()
    return draw(logits.masked_fill(~kept, -torch.inf) / temperature, generator)


@mistake(sample, {TOP: "logits.topk(top_k or logits.shape[-1])"})
def top_k_beyond_the_vocabulary():
    """A top_k larger than the vocabulary fails in topk. Take the smaller one, so that all are allowed."""


@mistake(sample)
def softmax_over_the_batch(logits, temperature, top_k, generator):
    """The softmax runs over the rows, axis 0. Each row is a distribution over the last axis."""
    if temperature == 0:
        return logits.argmax(-1)
    shares = (allowed(logits, top_k) / temperature).softmax(0)
    return torch.multinomial(shares, 1, generator=generator).squeeze(-1)


@mistake(sample, {SCALED: "logits / temperature"}, {SCALED: "(logits / temperature).log_softmax(-1)"})
def no_softmax():
    """multinomial got logits, and it needs probabilities. Take the softmax first."""


@mistake(sample)
def one_draw_for_all_rows(logits, temperature, top_k, generator):
    """All rows share one random number, so equal rows get equal tokens. Draw for each row."""
    if temperature == 0:
        return logits.argmax(-1)
    sums = (allowed(logits, top_k) / temperature).softmax(-1).cumsum(-1)
    return (sums < torch.rand(1, generator=generator)).sum(-1).clamp(max=logits.shape[-1] - 1)


@mistake(sample)
def only_the_first_row(logits, temperature, top_k, generator):
    """Every row gets what was drawn for the first one. Each row has its own logits."""
    return sample(logits[:1], temperature, top_k, generator).expand(len(logits))


@mistake(
    sample, {".gather(-1, drawn).squeeze(-1)": ".gather(-1, drawn)", "argmax(-1)": "argmax(-1)[:, None]"}
)
def axis_too_many():
    """The result has the shape (batch, 1). Remove the last axis with squeeze(-1)."""


@mistake(sample, {", generator=generator": ""})
def generator_ignored():
    """The generator is not used, so nobody can repeat the draw. Pass generator=generator to multinomial."""


@mistake(sample, {"generator=generator)": "generator=generator.manual_seed(0))"})
def seeded_inside():
    """The generator is seeded inside, so every call draws the same. Leave its seed to the caller."""


# Writing

ASKED, STOP = "sample(step(ids)", "if ended.all():"
DRAWN = "sample(step(ids), temperature, top_k, generator).masked_fill(ended, eos_id)"


@mistake(generate, {ASKED: "sample(step(ids[:, -1:])"})
def sees_the_last_token_only():
    """step gets the last token alone, so the model forgets the text. Give it all ids so far."""


@mistake(generate, {ASKED: "sample(step(prompt)"})
def sees_the_prompt_only():
    """step gets the prompt again and again, without the new tokens. Give it all ids so far."""


@mistake(
    generate, {ASKED: "sample(step(ids[:, prompt.shape[1] :] if ids.shape[1] > prompt.shape[1] else ids)"}
)
def forgets_the_prompt():
    """After the first new token, step no longer sees the prompt. Give it all ids so far."""


@mistake(generate, {"return ids": "return ids[:, prompt.shape[1] :]"})
def prompt_not_returned():
    """Only the new tokens are returned. The prompt belongs to the result."""


@mistake(generate, {"range(max_len)": "range(max_len - prompt.shape[1])"})
def prompt_counted():
    """The prompt is counted against max_len. It limits the number of *new* tokens."""


@mistake(generate, {"range(max_len)": "range(max_len - 1)"})
def stops_too_early():
    """One new token too few is written. Up to max_len of them are allowed."""


@mistake(generate, {"range(max_len)": "range(max_len + 1)"})
def goes_on_too_long():
    """More than max_len new tokens are written. Stop after max_len of them."""


@mistake(generate, {STOP: "if False:"})
def never_stops():
    """Writing goes on to max_len although all rows have ended. Stop once every row has its end token."""


@mistake(generate, {STOP: "if ended.any():"})
def stops_with_the_first_row():
    """Writing stops when one row has ended, which cuts off the others. Wait for all of them, ended.all()."""


@mistake(generate, {STOP: "if (token == eos_id).all():", ".masked_fill(ended, eos_id)": ""})
def all_must_end_at_once():
    """Writing stops only if all rows write their end token at the same step. Remember which have ended."""


@mistake(
    generate,
    {"torch.zeros(len(prompt), dtype=torch.bool, device=prompt.device)": "(prompt == eos_id).any(1)"},
    {STOP: "if (ids == eos_id).any(1).all():"},
)
def end_in_the_prompt_counts():
    """An end token in the prompt ends the row before it begins. Only new tokens count."""


@mistake(generate)
def end_not_kept(step, prompt, eos_id, max_len, temperature, top_k, generator):
    """The last end token is not written. Append it like any other token, then stop."""
    ids = generate(step, prompt, eos_id, max_len, temperature, top_k, generator)
    new = ids[:, prompt.shape[1] :]
    return ids[:, :-1] if (new == eos_id).any(1).all() else ids


@mistake(generate, {"temperature, top_k, generator).masked": "0, top_k, generator).masked"})
def always_greedy():
    """The likeliest token is always taken. Draw it with `sample`."""


@mistake(generate, {"temperature, top_k, generator).masked": "temperature and 1.0, top_k, generator).masked"})
def temperature_not_passed():
    """Tokens are drawn at temperature 1, whatever the argument says. Pass the temperature on."""


@mistake(generate, {"top_k, generator).masked": "None, generator).masked"})
def top_k_not_passed():
    """All tokens may be drawn, whatever top_k says. Pass top_k on."""


@mistake(generate, {"generator).masked": "None).masked"})
def generator_not_passed():
    """The generator is not used, so nobody can repeat the text. Pass it on to `sample`."""


@mistake(generate, {"generator).masked": "generator.manual_seed(generator.initial_seed())).masked"})
def seeded_at_each_step():
    """Every step draws with the same random numbers. Use one generator throughout, and seed it only once."""


@mistake(
    generate,
    {DRAWN: DRAWN.replace("step(ids)", "step(ids)[:1]").replace(".masked", ".expand(len(ids)).masked")},
)
def one_token_for_all_rows():
    """All rows continue with the token of the first one. Each row has its own."""


@mistake(generate, {"torch.cat([ids, token[:, None]]": "torch.cat([token[:, None], ids]"})
def written_in_front():
    """New tokens are put in front of the text. Append them, torch.cat([ids, token[:, None]], dim=1)."""


# Hiding words

CHOSEN, SHOWN = "torch.rand(tokens.shape, generator=generator)", "tokens.masked_fill(~hidden, IGNORED)"
INPUTS = "tokens.masked_fill(hidden, mask_id)"
DRAWN_BELOW, COUNT = f"{CHOSEN} < share", "(share * (~special).sum(1, keepdim=True)).round()"


@mistake(mask_tokens, {" & ~special": ""})
def special_hidden():
    """Special tokens are hidden too. Begin, end and padding are nothing to guess: leave them."""


@mistake(mask_tokens, {"list(special_ids)": "list(special_ids)[:1]"})
def only_the_first_special():
    """Only the first of special_ids is left alone. All of them are special."""


@mistake(mask_tokens, {" < share": " >= share"})
def share_is_kept():
    """The share says how many are *kept* here. Hide a token if the random number is below share."""


@mistake(mask_tokens, {SHOWN: "tokens"})
def everything_predicted():
    """Every token is a target, and most of them can be read off the inputs. Targets are -100 wherever
    nothing is hidden."""


@mistake(mask_tokens, {SHOWN: "tokens.masked_fill(hidden, IGNORED)"})
def shown_are_targets():
    """The targets are the tokens that are shown, and the hidden ones are -100. It is the other way around."""


@mistake(mask_tokens, {INPUTS: "tokens"})
def nothing_hidden():
    """The inputs still hold the hidden words, so there is nothing to guess. Put mask_id in their place."""


@mistake(mask_tokens, {SHOWN: f"{INPUTS}.masked_fill(~hidden, IGNORED)"})
def mask_is_the_target():
    """The target of a hidden word is mask_id. It should be the word itself: take the targets from the
    tokens before they are hidden."""


@mistake(mask_tokens, {SHOWN: "tokens.masked_fill(~hidden, 0)"})
def zero_where_shown():
    """Targets are 0 where nothing is predicted, a token like any other. cross_entropy ignores -100."""


@mistake(mask_tokens, {INPUTS: "tokens.masked_fill(hidden, IGNORED)"})
def inputs_are_ignored_marks():
    """-100 stands in the inputs. Hidden words become mask_id there, and -100 belongs to the targets."""


@mistake(mask_tokens, {CHOSEN: "torch.rand(1, tokens.shape[1], generator=generator)"})
def same_places_in_every_row():
    """The same places are hidden in every sentence. Draw a random number for each token of each row."""


@mistake(mask_tokens, {CHOSEN: "torch.rand(len(tokens), 1, generator=generator)"})
def whole_rows():
    """Whole sentences are hidden or shown. Draw a random number for each token, not for each row."""


@mistake(mask_tokens, {DRAWN_BELOW: f"(~special).cumsum(1) <= {COUNT}"})
def the_first_words():
    """The first words of each sentence are hidden, without any chance. Draw which ones."""


@mistake(mask_tokens, {DRAWN_BELOW: f"{CHOSEN}.masked_fill(special, 2).argsort(1).argsort(1) < {COUNT}"})
def a_fixed_number():
    """The same number of words is hidden in every sentence. Hide each word with probability share,
    whatever happens to the others."""


@mistake(mask_tokens, {INPUTS: "tokens.masked_fill_(hidden, mask_id)"})
def changed_in_place():
    """The tokens are changed in place, so the hidden words are lost for the targets and the caller. Use
    masked_fill, which makes a new tensor."""


@mistake(mask_tokens)
def other_order(tokens, mask_id, special_ids, share, generator):
    """The two results are in the other order. Return inputs, targets."""
    return mask_tokens(tokens, mask_id, special_ids, share, generator)[::-1]


@mistake(mask_tokens, {", generator=generator": ""})
def generator_ignored():
    """The generator is not used, so nobody can repeat the result. Pass generator=generator to torch.rand."""


@mistake(mask_tokens, {"generator=generator)": "generator=generator.manual_seed(0))"})
def seeded_inside():
    """The generator is seeded inside, so it hides the same words each time. Leave its seed to the caller."""
