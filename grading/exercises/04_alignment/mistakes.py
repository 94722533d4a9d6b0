"""Exercise 04: mistakes in the heat map, the links, their error, the entropy and the coverage."""

import math  # noqa: F401 (for patches)

import matplotlib.pyplot as plt
import torch

from grading.judge.registry import mistake

from .checks import plot_attention

# The heat map

NEW, IMAGE, NAMES = (
    "ax or plt.subplots()[1]",
    "ax.imshow(weights, vmin=0, vmax=1)",
    'xlabel="source", ylabel="target"',
)
X, Y = (
    "ax.set_xticks(range(len(src_tokens)), src_tokens)",
    "ax.set_yticks(range(len(tgt_tokens)), tgt_tokens)",
)


@mistake(plot_attention)
def transposed(weights, src_tokens, tgt_tokens, ax=None):
    """The map is transposed. Target tokens are the rows, and source tokens the columns."""
    ax = plot_attention(weights.T, tgt_tokens, src_tokens, ax)
    ax.set(xlabel="target", ylabel="source")
    return ax


@mistake(plot_attention, {"imshow(weights": "imshow(weights.T"})
def numbers_transposed():
    """The numbers are transposed but the labels aren't, so each weight is next to the wrong words. Draw the
    weights as they are: they have a row for each target token."""


@mistake(plot_attention, {X: Y.replace("set_y", "set_x"), Y: X.replace("set_x", "set_y")})
def labels_swapped():
    """The labels are swapped. The columns are source tokens, so src_tokens belongs on the x axis."""


@mistake(plot_attention, {Y: Y.replace(", tgt_tokens", ", tgt_tokens[::-1]")})
def row_labels_upside_down():
    """The target tokens are in reverse order. Label the rows from the first token to the last."""


@mistake(plot_attention, {X: X.replace(", src_tokens", ", src_tokens[::-1]")})
def column_labels_reversed():
    """The source tokens are in reverse order. Label the columns from the first token to the last."""


@mistake(plot_attention, {"vmax=1": 'vmax=1, origin="lower"'})
def first_token_at_the_bottom():
    """The first target token is at the bottom. A translation is read from the top, so invert the y axis
    (imshow does this itself, pcolormesh needs ax.invert_yaxis())."""


@mistake(plot_attention, {"imshow(weights": "imshow(weights.flip(0)"})
def only_the_rows_flipped():
    """The rows of weights are flipped but the labels aren't. Draw the weights as they are."""


@mistake(plot_attention, {", vmin=0, vmax=1": ""}, {", vmax=1": ""}, {"vmin=0, ": ""})
def colour_scale_per_map():
    """Each map has its own color scale, so a pale 0.3 may look as bright as a sure 0.9. Fix the scale with
    vmin=0 and vmax=1."""


@mistake(plot_attention, {NEW: "plt.subplots()[1]"})
def always_a_new_figure():
    """The map is on a new figure although an Axes was passed. Make a figure only if ax is None."""


@mistake(plot_attention, {NEW: "[plt.figure().add_subplot(), ax][1] if ax else plt.subplots()[1]"})
def an_empty_figure_besides():
    """A new figure is opened although an Axes was passed, and stays empty. Make a figure only if ax is
    None."""


@mistake(plot_attention, {NEW: "plt.gca()"})
def on_the_current_axes():
    """The map is drawn on the current Axes. Draw on ax, or on a new figure if there is no ax."""


@mistake(plot_attention, {NEW: "ax or plt.gca()"})
def old_axes_without_ax():
    """Without ax, the map lands in a figure that existed before: plt.gca() returns the current Axes. Use
    plt.subplots() to make a new one."""


@mistake(plot_attention, {"ax.imshow": "plt.imshow"})
@mistake(
    plot_attention, {"ax.imshow": "given, ax = ax, plt.gca()\n    ax.imshow", "return ax": "return given"}
)
def drawn_with_pyplot():
    """The map is drawn with plt, so on the current Axes, which may not be ax. Use ax.imshow."""


@mistake(plot_attention, {"ax.set_xticks": "plt.xticks", "ax.set_yticks": "plt.yticks"})
def ticks_on_the_current_axes():
    """The labels are set with plt, on the current Axes. Use ax.set_xticks and ax.set_yticks."""


@mistake(plot_attention, {"return ax": "return None"})
def returns_nothing():
    """Nothing is returned. Return ax, so that the caller can draw on it."""


@mistake(plot_attention, {"return ax": "return ax.figure"})
def returns_the_figure():
    """A figure is returned, which may have many maps. Return the Axes of this map."""


@mistake(plot_attention, {"return ax": "return ax.images[-1]"})
def returns_the_image():
    """The image is returned, as from imshow. Return the Axes that it is drawn on."""


@mistake(plot_attention, {"return ax": "return ax.figure, ax"})
def returns_both():
    """Both the figure and the Axes are returned, as from plt.subplots. Return only the Axes."""


@mistake(plot_attention, {"imshow(weights": "imshow(weights / weights.sum(-1, keepdim=True)"})
def normalised_again():
    """Each row is divided by its sum. A row that sums to less than one gave weight elsewhere, for example to
    the end token: draw the numbers as they are."""


@mistake(plot_attention, {"imshow(weights": "imshow(weights / weights.max()"})
def stretched_to_one():
    """The weights are divided by their maximum, so a pale map looks sure. Draw the numbers as they are."""


@mistake(plot_attention, {"imshow(weights": "imshow(weights.softmax(-1)"})
def softmax_again():
    """A softmax is applied to the weights. They come from a softmax, and a second one flattens them."""


@mistake(
    plot_attention, {"imshow(weights": "imshow((weights == weights.max(-1, keepdim=True).values).to(weights)"}
)
def largest_only():
    """Only the largest weight of each row is drawn. A map shows all weights: the hard choice comes later."""


@mistake(plot_attention, {X: "", Y: ""})
def no_tokens():
    """The map has no tokens beside it, only numbers. Set ticks with the tokens as labels."""


@mistake(plot_attention)
def labels_without_ticks(weights, src_tokens, tgt_tokens, ax=None):
    """Labels are set without ticks, so the tokens end up wherever matplotlib put a tick. Pass the positions
    too: ax.set_xticks(range(len(src_tokens)), src_tokens)."""
    ax = ax or plt.subplots()[1]
    ax.imshow(weights, vmin=0, vmax=1)
    for axis, tokens in ((ax.xaxis, src_tokens), (ax.yaxis, tgt_tokens)):
        ticks = len(axis.get_ticklocs())
        axis.set_ticklabels(tokens[:ticks] + [""] * (ticks - len(tokens)))
    ax.set(xlabel="source", ylabel="target")
    return ax


@mistake(plot_attention, {IMAGE: "ax.pcolormesh(weights, vmin=0, vmax=1)\n    ax.invert_yaxis()"})
def labels_at_the_edges():
    """The labels are at the edges of the cells. Cell i of a mesh is centered at i + 0.5: label it there."""


MESH = 'ax.pcolormesh(src_tokens, tgt_tokens, weights, vmin=0, vmax=1, shading="nearest")'


@mistake(plot_attention, {IMAGE: f"{MESH}\n    ax.invert_yaxis()", X: "", Y: ""})
def words_as_coordinates():
    """The tokens are coordinates, so a word that occurs twice has only one row or column. Use numbers as
    coordinates and the tokens as labels."""


@mistake(plot_attention, {NAMES: ""})
def axes_without_names():
    """The axes have no names. Set a label with "source" on the x axis, and with "target" on the y axis."""


@mistake(plot_attention, {NAMES: 'xlabel="target", ylabel="source"'})
def axis_names_swapped():
    """The axis names are swapped. The x axis has the source tokens, and the y axis the target tokens."""


# Links


def hard_alignment(weights):
    best = weights.argmax(-1)
    return {(s, t) for t, s in enumerate(best.tolist())}


BEST, PAIR, ROWS = "weights.argmax(-1)", "(s, t) for", "enumerate(best.tolist())"
LINKS = "return {(s, t) for t, s in enumerate(best.tolist())}"


@mistake(hard_alignment, {PAIR: "(t, s) for"})
def target_first():
    """The links are (target, source). A link is (src, tgt), as in the gold alignments."""


@mistake(hard_alignment, {BEST: "weights.argmax(0)", PAIR: "(t, s) for"})
def best_row_of_each_column():
    """The largest weight of each column is linked, one for every source token. Every target token has a row:
    search along the last axis."""


@mistake(hard_alignment, {BEST: "weights.argmax(0)"})
def transposed():
    """The largest weight of each column is linked, and its row is used as the source token. Row t is a target
    token: search along the last axis, dim=-1."""


@mistake(hard_alignment, {ROWS: "(weights > 0.5).nonzero().tolist()"})
def threshold_of_a_half():
    """Only weights above one half become links, so some rows have none. Each row has exactly one link, at its
    largest weight."""


@mistake(hard_alignment, {ROWS: "(weights > 1 / weights.shape[1]).nonzero().tolist()"})
def threshold_of_an_even_share():
    """Every weight above 1 / src_len becomes a link, so some rows have several. Use only the largest."""


@mistake(hard_alignment, {"best.tolist())": "best.tolist()) if weights[t, s] >= 0.5"})
def weak_rows_dropped():
    """Rows whose largest weight is below one half have no link. Each row has exactly one, however weak."""


@mistake(hard_alignment)
def one_link_for_the_map(weights):
    """argmax without an axis finds the largest weight of the map. Pass the axis of the source tokens."""
    row, column = divmod(int(weights.argmax()), weights.shape[1])
    return {(column, row)}


@mistake(hard_alignment, {"best.tolist())": "best.tolist()) if weights[:, s].argmax() == t"})
def mutual_links_only():
    """A link is kept only if it is the largest of its row and of its column. Each row has exactly one."""


@mistake(hard_alignment, {"argmax": "argmin"})
def smallest_weight():
    """The links go to the smallest weights. Use argmax, not argmin."""


@mistake(hard_alignment, {BEST: "weights[:, : max(1, weights.shape[1] - 1)].argmax(-1)"})
def last_column_left_out():
    """The last source token is never linked, as if it ended the sentence. These maps have no end token."""


@mistake(hard_alignment, {BEST: "weights[:-1].argmax(-1)"})
def last_row_left_out():
    """The last target token has no link, as if it were an end token. Link every row."""


@mistake(hard_alignment, {PAIR: "(s + 1, t + 1) for"})
def counted_from_one():
    """Positions count from 1. The first token is number 0."""


@mistake(hard_alignment, {PAIR: "(s + 1, t) for"})
def off_by_one():
    """The source positions are all one too large. The first token is number 0."""


@mistake(hard_alignment, {BEST: "weights.shape[1] - 1 - weights.flip(1).argmax(-1)"})
def last_of_equal_weights():
    """Of equal weights the last one is linked. Use the first."""


@mistake(hard_alignment, {ROWS: "(weights == weights.amax(-1, keepdim=True)).nonzero().tolist()"})
def all_of_equal_weights():
    """A row whose largest weight occurs twice has two links. Use only the first."""


@mistake(hard_alignment, {LINKS: "return best.tolist()"})
def positions_only():
    """This is a list of source positions. Return a set of pairs (src, tgt)."""


@mistake(hard_alignment, {LINKS: "return [(s, t) for t, s in enumerate(best.tolist())]"})
def list_of_links():
    """The links are a list. Return a set, so that they can be compared with the gold links by & and |."""


# Their error


def alignment_error_rate(predicted, sure, possible):
    sentences = [*zip(predicted, sure, possible, strict=True)]
    a, s, p, a_s, a_p = (
        sum(map(len, column))
        for column in zip(*((a, s, p | s, a & s, a & (p | s)) for a, s, p in sentences), strict=True)
    )
    if not a and not s:
        raise ValueError("no link")
    rate = 1 - (a_s + a_p) / (a + s)
    return rate


SENTENCES, RIGHT = "[*zip(predicted, sure, possible, strict=True)]", "(a_s + a_p) / (a + s)"


def over(hits, total):
    return hits / total if total else 0.0


@mistake(alignment_error_rate, {"1 - ": ""})
def not_taken_from_one():
    """This is how much is right. The error is 1 minus it."""


@mistake(alignment_error_rate, {RIGHT: "over(a_p, a)"})
def precision():
    """This is 1 minus the precision |A and P| / |A|, so missing links cost nothing. The equation has two
    terms in the numerator and two in the denominator."""


@mistake(alignment_error_rate, {RIGHT: "over(a_s, a)"})
def precision_of_sure():
    """This is 1 minus |A and S| / |A|, so missing links cost nothing and possible links count as wrong. Use
    all terms of the equation."""


@mistake(alignment_error_rate, {RIGHT: "over(a_s, s)"})
def recall():
    """This is 1 minus the recall |A and S| / |S|, so extra links cost nothing. Use the whole equation."""


@mistake(alignment_error_rate, {RIGHT: "2 * a_s / (a + s)"})
def f1_of_sure_links():
    """This is 1 minus the F1 of the sure links, so possible links count as wrong. One of the two terms in the
    numerator is |A and P|."""


@mistake(alignment_error_rate, {RIGHT: "2 * a_p / (a + s)"})
def possible_links_twice():
    """|A and P| counts twice. The first term in the numerator is |A and S|."""


@mistake(alignment_error_rate, {RIGHT: "(a_s + a_p) / (a + p)"})
def possible_below():
    """The denominator is |A| + |P|, but nobody needs to find all possible links. Use |A| + |S|."""


@mistake(alignment_error_rate, {RIGHT: "over(a_s + a_p, s + p)"})
def sure_and_possible_below():
    """The denominator is |S| + |P|. Use |A|, the predicted links, and |S|."""


@mistake(alignment_error_rate, {RIGHT: "(over(a_s, s) + over(a_p, a)) / 2"})
def mean_of_two_fractions():
    """Each term has its own denominator. Add up the numerator and the denominator first, then divide once."""


@mistake(alignment_error_rate, {RIGHT: "(over(a_s, a) + over(a_p, s)) / 2"})
def denominators_swapped():
    """Each term has its own denominator, and the wrong one. Add up the numerator and the denominator first,
    then divide once."""


@mistake(alignment_error_rate, {RIGHT: "over(2 * over(a_p, a) * over(a_s, s), over(a_p, a) + over(a_s, s))"})
def f1_of_precision_and_recall():
    """This is 1 minus the harmonic mean of precision |A and P| / |A| and recall |A and S| / |S|. It is
    related to the error rate, but not the same: use the equation."""


def mean_of_rates(sentences, sure_only_if_possible=True):
    rows = [
        (len(a) + len(s), len(a & s) + len(a & (p | s if sure_only_if_possible else p)))
        for a, s, p in sentences
    ]
    rates = [1 - right / total for total, right in rows if total]
    return sum(rates) / len(rates)


@mistake(alignment_error_rate, {f"1 - {RIGHT}": "mean_of_rates(sentences)"})
def mean_of_sentences():
    """This is the mean of the sentences' rates. Count the links of all sentences first and divide once, so
    that a long sentence counts more than a short one."""


@mistake(alignment_error_rate, {f"1 - {RIGHT}": "mean_of_rates(sentences, False)"})
def mean_of_sentences_and_sure_not_possible():
    """There are two mistakes: this is the mean of the sentences' rates, so count all links first and divide
    once. And a sure link counts as impossible if possible does not repeat it."""


@mistake(alignment_error_rate, {SENTENCES: "[[set().union(*side) for side in (predicted, sure, possible)]]"})
def one_bag_of_links():
    """The links of all sentences are in one set, so (0, 0) of one sentence matches (0, 0) of another. Compare
    sentence by sentence, and add up the counts."""


@mistake(alignment_error_rate, {SENTENCES: f"{SENTENCES}[:1]"})
def first_sentence_only():
    """Only the first sentence is rated. Add up the counts of all sentences."""


@mistake(alignment_error_rate, {"a & (p | s)": "a & p"})
def sure_not_possible():
    """A sure link counts as impossible if possible does not repeat it. Sure links are also possible: compare
    with both together."""


@mistake(alignment_error_rate, {SENTENCES: f"[row for row in {SENTENCES} if row[0]] or {SENTENCES}"})
def empty_predictions_skipped():
    """Sentences without a predicted link are skipped. Their sure links are missing, which must cost."""


@mistake(alignment_error_rate, *({'raise ValueError("no link")': f"return {rate}"} for rate in (0.0, 1.0)))
def a_rate_of_nothing():
    """A corpus without any predicted or sure link gets a rate, which looks measured. Raise ValueError."""


@mistake(alignment_error_rate, {"not a and not s": "False"})
def divided_by_zero():
    """A corpus without any predicted or sure link leads to a division by zero. Check for it first, and raise
    ValueError."""


@mistake(alignment_error_rate, {"return rate": "return 100 * rate"})
def in_percent():
    """The rate is in percent. Return a number between 0 and 1."""


# Entropy


def attention_entropy(weights, mask):
    weights = silenced(weights, mask)
    nats = torch.where(weights > 0, -weights * weights.clamp(min=1e-30).log(), 0.0)
    entropy = nats.sum(-1)
    return entropy


def silenced(weights, mask, value=0.0):
    return weights if mask is None else torch.where(mask[:, None], weights, value)


def inverted(mask):
    return None if mask is None else ~mask


def tokens(weights, mask):
    """How many tokens are real, for each row of each sentence."""
    count = weights.new_full(weights.shape[:1], weights.shape[2]) if mask is None else mask.sum(-1)
    return count[:, None].to(weights)


ENTROPY, SUM = "return entropy", "nats.sum(-1)"


@mistake(attention_entropy, {ENTROPY: "return entropy / math.log(2)"})
def in_bits():
    """The entropy is in bits, from log2. Use the natural logarithm, torch.log, for nats."""


@mistake(attention_entropy, {ENTROPY: "return entropy / math.log(10)"})
def base_ten():
    """The logarithm has base 10. Use the natural logarithm, torch.log, for nats."""


@mistake(attention_entropy, {ENTROPY: "return -entropy"})
def no_minus():
    """The minus sign is missing. The logarithm of a weight is negative, so the entropy is minus the sum."""


@mistake(attention_entropy, {ENTROPY: "return -(weights * weights.log()).sum(-1)"})
def nan_at_zero():
    """A weight of 0 gives NaN, because 0 times minus infinity is undefined. 0 log 0 counts as 0: leave zeros
    out of the sum, or use a function that handles them."""


@mistake(attention_entropy, {"silenced(weights, mask)": "weights"})
def padding_counted():
    """Padding counts, because the mask is never used. Leave out the weight that a row gives to padding."""


@mistake(attention_entropy, {"silenced(weights, mask)": "silenced(weights, inverted(mask))"})
def mask_turned_round():
    """The mask is inverted. True marks a real token, and those are the ones to count."""


@mistake(
    attention_entropy,
    {
        "silenced(weights, mask)": "silenced(weights, mask, -torch.inf)",
        ENTROPY: "return -torch.xlogy(weights, weights).sum(-1)",
    },
    {
        "silenced(weights, mask)": "silenced(weights, mask, -torch.inf)",
        ENTROPY: "return torch.special.entr(weights).sum(-1)",
    },
)
def padding_minus_infinity():
    """Padding is set to minus infinity, which is for scores. These are weights: set padding to 0."""


@mistake(attention_entropy, {"-weights * weights": "-weights"})
def only_the_log():
    """Only the logarithms are summed. Multiply each one by its weight first."""


@mistake(attention_entropy, {SUM: "nats"})
def not_summed():
    """There is a number for each source token. Sum over them, the last axis."""


@mistake(attention_entropy, {SUM: "nats.sum(1)"})
def summed_over_targets():
    """The sum runs over the target tokens. Each target token has its own entropy: sum over the last axis."""


@mistake(attention_entropy, {SUM: "nats.mean(-1)"})
def mean_over_tokens():
    """This is the mean over the source tokens. The entropy is their sum."""


@mistake(attention_entropy, {SUM: "nats.sum(-1).mean(-1)"})
def mean_over_rows():
    """There is one number per sentence. Return one per row: the caller may take the mean."""


@mistake(attention_entropy, {SUM: "nats.sum()"})
def one_number():
    """There is one number for the whole batch. Return one per row, (batch, tgt_len)."""


@mistake(attention_entropy, {SUM: "nats.sum(-1).sum(0)"})
def summed_over_batch():
    """The sentences of the batch are summed. Each keeps its own rows."""


@mistake(attention_entropy, {ENTROPY: "return entropy / tokens(weights, mask).clamp(min=2).log()"})
def divided_by_the_largest():
    """The entropy is divided by the log of the number of tokens. Return it in nats, without dividing."""


@mistake(attention_entropy, {ENTROPY: "return entropy / math.log(max(2, weights.shape[2]))"})
def divided_by_ln_of_src_len():
    """The entropy is divided by ln(src_len), including padding. Return it in nats, without dividing."""


@mistake(
    attention_entropy,
    {"nats = ": "weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-30)\n    nats = "},
)
def normalised_again():
    """Each row is divided by its sum first. Use the weights as they are, and leave out the padding."""


@mistake(attention_entropy, {ENTROPY: "return entropy.exp()"})
def perplexity():
    """This is the perplexity, exp of the entropy. Return the entropy itself."""


@mistake(attention_entropy, {"silenced(weights,": "silenced(weights.softmax(-1),"})
def softmax_again():
    """A softmax is applied to the weights. They already come from a softmax."""


@mistake(attention_entropy, {ENTROPY: "return entropy[..., None]"})
def axis_kept():
    """An axis of length 1 is left at the end. Don't use keepdim here."""


# Coverage


def coverage(weights, mask):
    weights = silenced(weights, mask)
    covered = weights.sum(1)
    return covered


COVERED = "weights.sum(1)"


@mistake(coverage, {"silenced(weights, mask)": "weights", COVERED: "weights.sum(-1)"})
@mistake(coverage, {COVERED: "weights.sum(-1)"})
@mistake(
    coverage, {"silenced(weights, mask)": "silenced(weights.sum(2)[:, None], mask)", COVERED: "weights[:, 0]"}
)
def summed_over_the_source():
    """This is the sum of each row, which is usually 1. Sum over the target rows, axis 1, so that each source
    token has a number."""


@mistake(coverage, {COVERED: "weights.mean(1)"})
def mean_over_rows():
    """This is the mean over the target rows. Coverage is their sum."""


@mistake(coverage, {"silenced(weights, mask)": "weights"})
def padding_counted():
    """Padding is covered, because the mask is never used. Where the mask is False, the coverage is 0."""


@mistake(coverage, {"silenced(weights, mask)": "silenced(weights, inverted(mask))"})
def mask_turned_round():
    """The mask is inverted. True marks a real token, and padding gets 0."""


@mistake(coverage)
def mask_on_the_rows(weights, mask):
    """The mask hides target rows. It is the mask of the source, so apply it to the last axis."""
    if mask is not None:
        weights = weights * torch.nn.functional.pad(mask, (0, weights.shape[1]))[:, : weights.shape[1], None]
    return weights.sum(1)


@mistake(coverage, {COVERED: "weights.cumsum(1)"})
def cumulative():
    """This is the running total after each target row. Return only the total after the last row."""


@mistake(coverage, {COVERED: "weights[:, :-1].sum(1)"})
def without_the_last_row():
    """The last target row is missing. Sum over all rows."""


@mistake(coverage, {COVERED: "weights.max(1).values"})
def largest():
    """This is the largest weight that a token got in any row. Sum the weights."""


@mistake(coverage, {COVERED: "weights.sum(0)"})
def summed_over_the_batch():
    """The sentences of the batch are summed. Each has its own source tokens."""


@mistake(coverage, {COVERED: "weights.sum()"})
def one_number():
    """Everything is summed. Return one number for each source token, (batch, src_len)."""


@mistake(coverage, {"return covered": "return covered / covered.sum(-1, keepdim=True).clamp(min=1e-30)"})
def normalised():
    """The coverage of a sentence sums to 1. Return the weight that each token received, so that 2 means two
    target words' worth."""


@mistake(coverage, {"return covered": "return covered.clamp(max=1)"})
def cut_at_one():
    """The coverage is cut off at 1. A token that two target words look at has 2."""


@mistake(coverage)
def hard_links_counted(weights, mask):
    """Only the largest weight of each row counts, as 1. Sum the weights themselves."""
    chosen = torch.nn.functional.one_hot(silenced(weights, mask).argmax(-1), weights.shape[-1])
    return silenced(chosen.to(weights), mask).sum(1)


@mistake(coverage, {COVERED: "weights.sum(1, keepdim=True)"})
def axis_kept():
    """An axis of length 1 is left in the middle. Don't use keepdim here."""


@mistake(coverage, {"return covered": "return silenced((1 - covered)[:, None], mask)[:, 0]"})
def uncovered():
    """This is what is missing to 1. Return the weight that each token received."""
