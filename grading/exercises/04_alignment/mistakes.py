"""Exercise 04: mistakes and right variants of the heat map, links, their error, entropy and coverage."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from grading.exercises.known import Misconception
from utils import plotting
from utils.metrics import alignment_error_rate, attention_entropy, coverage, hard_alignment

# The heat map


def _plot(
    draw=lambda ax, weights: ax.imshow(weights, vmin=0, vmax=1),
    x=lambda src, tgt: src,
    y=lambda src, tgt: tgt,
    label=lambda ax, x, y: (ax.set_xticks(range(len(x)), x), ax.set_yticks(range(len(y)), y)),
    weights_of=lambda weights: weights,
    names=("source", "target"),
    on=lambda ax: ax or plt.subplots()[1],
    give=lambda ax: ax,
):
    """A map with one step in another way: where it is drawn, how, and what stands beside it."""

    def answer(weights, src_tokens, tgt_tokens, ax=None):
        ax = on(ax)
        draw(ax, weights_of(weights))
        label(ax, x(src_tokens, tgt_tokens), y(src_tokens, tgt_tokens))
        ax.set(**dict(zip(("xlabel", "ylabel"), names, strict=False)))
        return give(ax)

    return answer


def _mesh(ax, weights):
    return ax.pcolormesh(weights, vmin=0, vmax=1)


def _inverted_mesh(ax, weights):
    _mesh(ax, weights)
    ax.invert_yaxis()


def _mid_cell(ax, x, y):
    """Label the cells of a mesh, whose middles lie at a half."""
    ax.set_xticks([i + 0.5 for i in range(len(x))], x)
    ax.set_yticks([i + 0.5 for i in range(len(y))], y)


def _only_labels(ax, x, y):
    ax.set_xticklabels(x[: len(ax.get_xticks())] + [""] * (len(ax.get_xticks()) - len(x)))
    ax.set_yticklabels(y[: len(ax.get_yticks())] + [""] * (len(ax.get_yticks()) - len(y)))


def _by_words(weights, src_tokens, tgt_tokens, ax=None):
    ax = ax or plt.subplots()[1]
    ax.pcolormesh(src_tokens, tgt_tokens, weights, vmin=0, vmax=1, shading="nearest")
    ax.invert_yaxis()
    ax.set(xlabel="source", ylabel="target")
    return ax


def _with_pyplot(weights, src_tokens, tgt_tokens, ax=None):
    plt.figure()
    plt.imshow(weights, vmin=0, vmax=1)
    plt.xticks(range(len(src_tokens)), src_tokens)
    plt.yticks(range(len(tgt_tokens)), tgt_tokens)
    plt.xlabel("source")
    plt.ylabel("target")
    return plt.gca()


def _ticks_with_pyplot(weights, src_tokens, tgt_tokens, ax=None):
    ax = ax or plt.subplots()[1]
    ax.imshow(weights, vmin=0, vmax=1)
    plt.xticks(range(len(src_tokens)), src_tokens)
    plt.yticks(range(len(tgt_tokens)), tgt_tokens)
    ax.set(xlabel="source", ylabel="target")
    return ax


def _drawn_with_pyplot(labelled):
    """An Axes is taken as it should be, and the map is drawn with plt; `labelled` sets the rest."""

    def answer(weights, src_tokens, tgt_tokens, ax=None):
        ax = ax or plt.subplots()[1]
        plt.imshow(weights, vmin=0, vmax=1)
        target = plt.gca() if labelled == "with plt" else ax
        target.set_xticks(range(len(src_tokens)), src_tokens)
        target.set_yticks(range(len(tgt_tokens)), tgt_tokens)
        target.set(xlabel="source", ylabel="target")
        return ax

    return answer


_PYPLOT = (
    "the map is drawn with plt, which means the current Axes, and that may be another one than ax: use "
    "ax.imshow."
)
_UPSIDE_DOWN = (
    "the first target token is at the bottom: a translation is read from the top, so turn the y axis round "
    "(imshow does so by itself, pcolormesh needs ax.invert_yaxis())."
)
_OWN_SCALE = (
    "each map has a colour scale of its own, so a pale 0.3 may look as bright as a sure 0.9: fix the scale "
    "with vmin=0 and vmax=1."
)
_RETURNED = "return the Axes, so that the caller can go on drawing on it: return ax."

_PLOT = (
    Misconception(
        "transposed",
        "the map is transposed: rows are the target tokens, columns the source tokens.",
        _plot(
            weights_of=lambda weights: weights.T,
            x=lambda src, tgt: tgt,
            y=lambda src, tgt: src,
            names=("target", "source"),
        ),
    ),
    Misconception(
        "numbers_transposed",
        "the numbers are transposed while the labels are not, so each weight stands beside the wrong words: "
        "weights has a row for each target token as it comes, do not turn it.",
        _plot(weights_of=lambda weights: weights.T),
    ),
    Misconception(
        "labels_swapped",
        "the labels are swapped: the columns are source tokens, so src_tokens belongs on the x axis.",
        _plot(x=lambda src, tgt: tgt, y=lambda src, tgt: src),
    ),
    Misconception(
        "row_labels_upside_down",
        "the target tokens stand beside the rows in reverse order, so every row but the middle one is read "
        "as that of another word.",
        _plot(y=lambda src, tgt: tgt[::-1]),
    ),
    Misconception(
        "column_labels_reversed",
        "the source tokens stand at the columns in reverse order.",
        _plot(x=lambda src, tgt: src[::-1]),
    ),
    Misconception("first_token_at_the_bottom", _UPSIDE_DOWN, _plot(draw=_mesh, label=_mid_cell)),
    Misconception(
        "first_token_at_the_bottom",
        _UPSIDE_DOWN,
        _plot(draw=lambda ax, weights: ax.imshow(weights, vmin=0, vmax=1, origin="lower")),
    ),
    Misconception(
        "only_the_rows_flipped",
        "the rows of weights are turned upside down, and the labels are not: draw weights as they come.",
        _plot(weights_of=lambda weights: weights.flip(0)),
    ),
    Misconception("colour_scale_per_map", _OWN_SCALE, _plot(draw=lambda ax, weights: ax.imshow(weights))),
    Misconception(
        "colour_scale_per_map", _OWN_SCALE, _plot(draw=lambda ax, weights: ax.imshow(weights, vmin=0))
    ),
    Misconception(
        "colour_scale_per_map", _OWN_SCALE, _plot(draw=lambda ax, weights: ax.imshow(weights, vmax=1))
    ),
    Misconception(
        "always_a_new_figure",
        "an Axes is given and the map is on a new one: use ax, and make a figure only where it is None.",
        _plot(on=lambda ax: plt.subplots()[1]),
    ),
    Misconception(
        "always_a_new_figure",
        "an Axes is given and the map is on a new one: use ax, and make a figure only where it is None.",
        _with_pyplot,
    ),
    Misconception(
        "an_empty_figure_besides",
        "a new figure is opened although an Axes is given, and stays empty: make one only where ax is None.",
        _plot(on=lambda ax: [plt.figure().add_subplot(), ax][1] if ax else plt.subplots()[1]),
    ),
    Misconception(
        "on_the_current_axes",
        "the map is drawn on whatever Axes is the current one: draw on ax, and without ax make a new figure.",
        _plot(on=lambda ax: plt.gca()),
    ),
    Misconception(
        "old_axes_without_ax",
        "without ax the map lands in a figure that was there before: plt.gca() gives the current Axes; "
        "plt.subplots() makes a new one.",
        _plot(on=lambda ax: ax or plt.gca()),
    ),
    Misconception("drawn_with_pyplot", _PYPLOT, _drawn_with_pyplot("with ax")),
    Misconception("drawn_with_pyplot", _PYPLOT, _drawn_with_pyplot("with plt")),
    Misconception(
        "ticks_on_the_current_axes",
        "the labels are set with plt, which means the current Axes, and that may be another one: use "
        "ax.set_xticks and ax.set_yticks.",
        _ticks_with_pyplot,
    ),
    Misconception("returns_nothing", _RETURNED, _plot(give=lambda ax: None)),
    Misconception(
        "returns_the_figure",
        "a figure comes back, which may hold many maps: return the Axes of this one.",
        _plot(give=lambda ax: ax.figure),
    ),
    Misconception(
        "returns_the_image",
        "the image comes back, as imshow returns it: return the Axes on which it is drawn.",
        _plot(give=lambda ax: ax.images[-1]),
    ),
    Misconception(
        "returns_both",
        "figure and Axes come back together, as plt.subplots returns them: return the Axes alone.",
        _plot(give=lambda ax: (ax.figure, ax)),
    ),
    Misconception(
        "normalised_again",
        "each row is divided by its sum: weights are weights already, and a row that sums to less than one "
        "says that some weight fell elsewhere, on the end token perhaps. Draw the numbers as they come.",
        _plot(weights_of=lambda weights: weights / weights.sum(-1, keepdim=True)),
    ),
    Misconception(
        "stretched_to_one",
        "the weights are divided by the largest of the map: then a pale map looks like a sure one. Draw the "
        "numbers as they come.",
        _plot(weights_of=lambda weights: weights / weights.max()),
    ),
    Misconception(
        "softmax_again",
        "a softmax is taken of the weights: they are its result already, and a second one flattens them.",
        _plot(weights_of=lambda weights: weights.softmax(-1)),
    ),
    Misconception(
        "largest_only",
        "only the largest weight of each row is drawn: a map shows all weights, and the hard choice comes "
        "afterwards.",
        _plot(weights_of=lambda weights: (weights == weights.max(-1, keepdim=True).values).to(weights)),
    ),
    Misconception(
        "no_tokens",
        "there are no tokens beside the map, only numbers: set ticks that have the tokens as labels.",
        _plot(label=lambda ax, x, y: None),
    ),
    Misconception(
        "labels_without_ticks",
        "labels are set and ticks are not, so the tokens stand wherever matplotlib happened to put a tick: "
        "give the positions too, ax.set_xticks(range(len(src_tokens)), src_tokens).",
        _plot(label=_only_labels),
    ),
    Misconception(
        "labels_at_the_edges",
        "the labels stand at the edges of the cells: a mesh has its cell i between i and i + 1, so its label "
        "belongs at i + 0.5.",
        _plot(draw=_inverted_mesh),
    ),
    Misconception(
        "words_as_coordinates",
        "the tokens are used as coordinates, so a word that comes twice has one row or column for both: use "
        "numbers as coordinates and the tokens as their labels.",
        _by_words,
    ),
    Misconception(
        "axes_without_names",
        'the axes have no names: set a label with "source" on the x axis, and with "target" on the y axis.',
        _plot(names=()),
    ),
    Misconception(
        "axis_names_swapped",
        "the names of the axes are swapped: source tokens run along x, target tokens down y.",
        _plot(names=("target", "source")),
    ),
)


def _by_seaborn(weights, src_tokens, tgt_tokens, ax=None):
    import seaborn as sns

    if ax is None:
        ax = plt.figure().add_subplot()
    sns.heatmap(weights, vmin=0, vmax=1, ax=ax, xticklabels=src_tokens, yticklabels=tgt_tokens, cbar=False)
    ax.set_xlabel("source words")
    ax.set_ylabel("target words")
    return ax


def _with_a_colour_bar(weights, src_tokens, tgt_tokens, ax=None):
    if ax is None:
        figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
    image = ax.imshow(weights.tolist(), cmap="Greys", norm=plt.Normalize(0, 1), aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="weight")
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(src_tokens)))
    ax.set_xticklabels(src_tokens, rotation=45)
    ax.set_yticks(np.arange(len(tgt_tokens)))
    ax.set_yticklabels(tgt_tokens)
    for (row, column), weight in np.ndenumerate(weights.numpy()):
        ax.text(column, row, f"{weight:.1f}", ha="center")
    ax.set_xlabel("Source")
    ax.set_ylabel("Target")
    plt.show()
    return ax


_RIGHT_PLOT = (
    _plot(),
    plotting.plot_attention,
    _by_seaborn,
    _with_a_colour_bar,
    _plot(draw=_inverted_mesh, label=_mid_cell),
    _plot(draw=lambda ax, weights: ax.matshow(weights.numpy(), vmin=0, vmax=1)),
    _plot(
        draw=lambda ax, weights: ax.imshow(weights.flip(0), vmin=0, vmax=1, origin="lower"),
        label=lambda ax, x, y: (ax.set_xticks(range(len(x)), x), ax.set_yticks(range(len(y)), y[::-1])),
    ),
    _plot(
        draw=lambda ax, weights: ax.pcolor(weights.flip(0), vmin=0, vmax=1),
        label=lambda ax, x, y: _mid_cell(ax, x, y[::-1]),
    ),
    _plot(
        draw=lambda ax, weights: ax.imshow(
            weights, vmin=0, vmax=1, extent=(0, weights.shape[1], weights.shape[0], 0)
        ),
        label=_mid_cell,
    ),
)

# Links


def _best(weights, dim=-1):
    return weights.argmax(dim).tolist()


def _last_of_the_largest(weights):
    return {(max(range(len(row)), key=lambda s: (row[s], s)), t) for t, row in enumerate(weights.tolist())}


def _above(threshold):
    return lambda weights: {(s, t) for t, s in (weights > threshold(weights)).nonzero().tolist()}


def _one_for_all(weights):
    at = int(weights.argmax())
    return {(at % weights.shape[1], at // weights.shape[1])}


_HARD = (
    Misconception(
        "target_first",
        "the links are (target, source): a link is (src, tgt), as in the gold alignments.",
        lambda weights: {(t, s) for t, s in enumerate(_best(weights))},
    ),
    Misconception(
        "best_row_of_each_column",
        "the largest weight is looked for in each column, one for every source token: every target token "
        "has a row, so look along the last axis.",
        lambda weights: set(enumerate(_best(weights, 0))),
    ),
    Misconception(
        "transposed",
        "the largest weight is looked for in each column, and its row is taken for the source token: row t "
        "is the target token, so look along the last axis, dim=-1.",
        lambda weights: {(t, s) for s, t in enumerate(_best(weights, 0))},
    ),
    Misconception(
        "threshold_of_a_half",
        "only weights above a half become links, so an undecided row has none: each row has exactly one, at "
        "its largest weight, however small.",
        _above(lambda weights: 0.5),
    ),
    Misconception(
        "threshold_of_an_even_share",
        "every weight above 1 / src_len becomes a link, so some rows have several: take the largest only.",
        _above(lambda weights: 1 / weights.shape[1]),
    ),
    Misconception(
        "weak_rows_dropped",
        "rows whose largest weight is below a half have no link: each row has exactly one, however weak.",
        lambda weights: {(s, t) for s, t in hard_alignment(weights) if weights[t, s] >= 0.5},
    ),
    Misconception(
        "one_link_for_the_map",
        "argmax without an axis finds the one largest weight of the whole map: give it the axis of the "
        "source tokens.",
        _one_for_all,
    ),
    Misconception(
        "smallest_weight",
        "the links go to the smallest weights: take argmax, not argmin.",
        lambda weights: {(s, t) for t, s in enumerate(_best(-weights))},
    ),
    Misconception(
        "last_column_left_out",
        "the last source token can never be linked: its column is left out, as if it were an end token. "
        "These maps have no column for one.",
        lambda weights: hard_alignment(weights[:, :-1] if weights.shape[1] > 1 else weights),
    ),
    Misconception(
        "last_row_left_out",
        "the last target token has no link: its row is left out, as if it were an end token.",
        lambda weights: hard_alignment(weights[:-1]),
    ),
    Misconception(
        "counted_from_one",
        "positions are counted from 1: the first token is number 0.",
        lambda weights: {(s + 1, t + 1) for s, t in hard_alignment(weights)},
    ),
    Misconception(
        "off_by_one",
        "the source positions are all one too large.",
        lambda weights: {(s + 1, t) for s, t in hard_alignment(weights)},
    ),
    Misconception(
        "last_of_equal_weights",
        "of equal weights the last one is taken, where the first one counts.",
        _last_of_the_largest,
    ),
    Misconception(
        "all_of_equal_weights",
        "a row whose largest weight comes twice has two links: take the first one only.",
        lambda weights: {
            (s, t) for t, s in (weights == weights.max(-1, keepdim=True).values).nonzero().tolist()
        },
    ),
    Misconception(
        "positions_only",
        "these are the source positions alone, a list: give a set of pairs (src, tgt).",
        _best,
    ),
    Misconception(
        "list_of_links",
        "the links come as a list: give a set, which can be compared with the gold links by & and |.",
        lambda weights: [(s, t) for t, s in enumerate(_best(weights))],
    ),
)

_RIGHT_HARD = (
    lambda weights: {(s, t) for t, s in enumerate(weights.numpy().argmax(1))},
    lambda weights: set(zip(_best(weights), range(len(weights)), strict=True)),
    lambda weights: {(int(row.argmax()), t) for t, row in enumerate(weights)},
    lambda weights: frozenset((row.index(max(row)), t) for t, row in enumerate(weights.tolist())),
    lambda weights: {(int(s), t) for t, s in enumerate(torch.max(weights, dim=1).indices)},
    lambda weights: {
        (max(range(len(row)), key=row.__getitem__), t) for t, row in enumerate(weights.tolist())
    },
)

# Their error


def _counts(predicted, sure, possible):
    """|A|, |S|, |P|, |A and S| and |A and P| over the corpus."""
    rows = [(a, s, p | s) for a, s, p in zip(predicted, sure, possible, strict=True)]
    if not any(predicted) and not any(sure):
        raise ValueError("no link")
    return [
        sum(map(len, column)) for column in zip(*((a, s, p, a & s, a & p) for a, s, p in rows), strict=True)
    ]


def _of_counts(formula):
    """An error made of |A|, |S|, |P|, |A and S| and |A and P|, where nothing is divided by zero."""
    return lambda predicted, sure, possible: formula(*_counts(predicted, sure, possible))


def _over(hits, total):
    return hits / total if total else 0.0


def _mean_of_sentences(predicted, sure, possible, rate=alignment_error_rate):
    _counts(predicted, sure, possible)
    rates = [rate([a], [s], [p]) for a, s, p in zip(predicted, sure, possible, strict=True) if a or s]
    return sum(rates) / len(rates)


def _one_bag(predicted, sure, possible):
    return alignment_error_rate(*([set().union(*links)] for links in (predicted, sure, possible)))


def _sure_not_possible(predicted, sure, possible):
    a, s, _, a_s, _ = _counts(predicted, sure, possible)
    a_p = sum(len(links & others) for links, others in zip(predicted, possible, strict=True))
    return 1 - (a_s + a_p) / (a + s)


def _where_predicted(predicted, sure, possible):
    rows = [row for row in zip(predicted, sure, possible, strict=True) if row[0]]
    if rows:
        return alignment_error_rate(*map(list, zip(*rows, strict=True)))
    return alignment_error_rate(predicted, sure, possible)


def _first_sentence(predicted, sure, possible):
    return alignment_error_rate(predicted[:1], sure[:1], possible[:1])


def _of_nothing(rate):
    def answer(predicted, sure, possible):
        if not any(predicted) and not any(sure):
            return rate
        return alignment_error_rate(predicted, sure, possible)

    return answer


def _divided_by_zero(predicted, sure, possible):
    if not any(predicted) and not any(sure):
        return 1 - 0 / 0
    return alignment_error_rate(predicted, sure, possible)


_NOTHING = (
    "a corpus without any link, predicted or sure, gets a rate: there is nothing to divide by, and a made-up "
    "number would look like a measured one. Raise ValueError."
)

_ERROR = (
    Misconception(
        "not_taken_from_one",
        "this is how much is right: the error is 1 minus it.",
        _of_counts(lambda a, s, p, a_s, a_p: (a_s + a_p) / (a + s)),
    ),
    Misconception(
        "precision",
        "this is 1 minus the precision, |A and P| / |A|: missing links cost nothing in it. The equation has "
        "two terms above the fraction and two below.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - _over(a_p, a)),
    ),
    Misconception(
        "precision_of_sure",
        "this is 1 minus |A and S| / |A|: missing links cost nothing in it, and merely possible ones are "
        "counted as wrong.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - _over(a_s, a)),
    ),
    Misconception(
        "recall",
        "this is 1 minus the recall, |A and S| / |S|: superfluous links cost nothing in it.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - _over(a_s, s)),
    ),
    Misconception(
        "f1_of_sure_links",
        "this is 1 minus the F1 of the sure links: a predicted link that is possible, though not sure, "
        "should not count as wrong. One of the two terms above the fraction is |A and P|.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - 2 * a_s / (a + s)),
    ),
    Misconception(
        "possible_links_twice",
        "|A and P| is counted twice: the first term above the fraction is |A and S|.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - 2 * a_p / (a + s)),
    ),
    Misconception(
        "possible_below",
        "it is divided by |A| + |P|: nobody needs to find all possible links. Below the fraction stand |A| "
        "and |S|.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - (a_s + a_p) / (a + p)),
    ),
    Misconception(
        "sure_and_possible_below",
        "it is divided by |S| + |P|: below the fraction stand |A|, what was predicted, and |S|.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - _over(a_s + a_p, s + p)),
    ),
    Misconception(
        "mean_of_two_fractions",
        "each term has its own denominator: add up above and below first, then divide once.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - (_over(a_s, s) + _over(a_p, a)) / 2),
    ),
    Misconception(
        "denominators_swapped",
        "each term has its own denominator, and the wrong one: add up above and below, then divide once.",
        _of_counts(lambda a, s, p, a_s, a_p: 1 - (_over(a_s, a) + _over(a_p, s)) / 2),
    ),
    Misconception(
        "f1_of_precision_and_recall",
        "this is 1 minus the harmonic mean of precision |A and P| / |A| and recall |A and S| / |S|: a "
        "related score, but not the error rate of the equation.",
        _of_counts(
            lambda a, s, p, a_s, a_p: (
                1 - _over(2 * _over(a_p, a) * _over(a_s, s), _over(a_p, a) + _over(a_s, s))
            )
        ),
    ),
    Misconception(
        "mean_of_sentences",
        "this is the mean of the sentences' rates: count the links of all sentences first and divide once, "
        "so that a long sentence weighs more than a short one.",
        _mean_of_sentences,
    ),
    Misconception(
        "mean_of_sentences_and_sure_not_possible",
        "two things at once: this is the mean of the sentences' rates, where the counts of all sentences "
        "should be divided once; and a sure link counts as impossible where possible does not repeat it.",
        lambda *links: _mean_of_sentences(*links, rate=_sure_not_possible),
    ),
    Misconception(
        "one_bag_of_links",
        "the links of all sentences are thrown into one set, where (0, 0) of one sentence is taken for (0, "
        "0) of another: compare sentence by sentence, and add up the counts.",
        _one_bag,
    ),
    Misconception(
        "first_sentence_only",
        "only the first sentence is rated: add up over all of them.",
        _first_sentence,
    ),
    Misconception(
        "sure_not_possible",
        "a sure link counts as impossible where possible does not repeat it: what is sure is possible too, "
        "so compare with both together.",
        _sure_not_possible,
    ),
    Misconception(
        "empty_predictions_skipped",
        "sentences without a predicted link are left out: their sure links are missed, and that costs.",
        _where_predicted,
    ),
    Misconception("a_rate_of_nothing", _NOTHING, _of_nothing(0.0)),
    Misconception("a_rate_of_nothing", _NOTHING, _of_nothing(1.0)),
    Misconception(
        "divided_by_zero",
        "a corpus without any link, predicted or sure, is divided by zero: ask for that before you divide, "
        "and raise ValueError, which says that nothing was compared.",
        _divided_by_zero,
    ),
    Misconception(
        "in_percent",
        "the rate comes in percent: give a number between 0 and 1.",
        _of_counts(lambda a, s, p, a_s, a_p: 100 * (1 - (a_s + a_p) / (a + s))),
    ),
)


def _error_by_loops(predicted, sure, possible):
    above = below = 0
    for i, links in enumerate(predicted):
        for link in links:
            above += (link in sure[i]) + (link in sure[i] or link in possible[i])
            below += 1
        below += len(sure[i])
    if below == 0:
        raise ValueError("nothing to compare")
    return 1.0 - above / below


def _error_by_tagged_links(predicted, sure, possible):
    """One set each for the corpus, every link tagged with its sentence."""
    a, s, p = (
        {(i, *link) for i, links in enumerate(side) for link in links} for side in (predicted, sure, possible)
    )
    if not a and not s:
        raise ValueError("nothing to compare")
    return torch.tensor(1 - (len(a & s) + len(a & (p | s))) / (len(a) + len(s)))


_RIGHT_ERROR = (
    _error_by_loops,
    _error_by_tagged_links,
    _of_counts(lambda a, s, p, a_s, a_p: (a + s - a_s - a_p) / (a + s)),
    _of_counts(lambda a, s, p, a_s, a_p: np.float64(1) - np.divide(a_s + a_p, a + s)),
    lambda *links: float(alignment_error_rate(*links)),
)

# Entropy


def _silenced(weights, mask):
    return weights if mask is None else torch.where(mask[:, None], weights, 0.0)


def _nats(weights):
    return torch.where(weights > 0, -weights * weights.clamp(min=1e-30).log(), 0.0)


def _of_nats(formula):
    """Entropy made of the weights without padding, the mask, and what each token adds."""

    def answer(weights, mask):
        weights = _silenced(weights, mask)
        return formula(weights, mask, _nats(weights))

    return answer


def _real(weights, mask):
    """How many tokens are real, for each row of each sentence."""
    count = weights.new_full(weights.shape[:1], weights.shape[2]) if mask is None else mask.sum(-1)
    return count[:, None].to(weights)


def _renormalised(weights, mask):
    weights = _silenced(weights, mask)
    return attention_entropy(weights / weights.sum(-1, keepdim=True).clamp(min=1e-30), mask)


def _turned_round(function):
    return lambda weights, mask: function(weights, None if mask is None else ~mask)


def _minus_infinity(weights, mask):
    return weights if mask is None else weights.masked_fill(~mask[:, None], -torch.inf)


_MINUS_INFINITY = (
    "padding is set to minus infinity, which is for scores, before a softmax: these are weights already, and "
    "padding is left out where it is set to 0."
)
_NAN = (
    "a weight of 0 gives NaN: 0 times minus infinity is no number for a computer, though 0 log 0 counts as 0."
    " Leave zeros out of the sum, or use a function that knows."
)

_ENTROPY = (
    Misconception(
        "in_bits",
        "the entropy is in bits: log2 was taken, and nats need the natural logarithm, torch.log.",
        lambda weights, mask: attention_entropy(weights, mask) / math.log(2),
    ),
    Misconception(
        "base_ten",
        "the logarithm has base 10: nats need the natural one, torch.log.",
        lambda weights, mask: attention_entropy(weights, mask) / math.log(10),
    ),
    Misconception(
        "no_minus",
        "the sign is missing: the logarithm of a weight is negative, so minus the sum is the entropy.",
        lambda weights, mask: -attention_entropy(weights, mask),
    ),
    Misconception(
        "nan_at_zero", _NAN, lambda weights, mask: -(lambda w: w * w.log())(_silenced(weights, mask)).sum(-1)
    ),
    Misconception(
        "padding_counted",
        "padding is counted: the mask is never used, and what a row gives to padding belongs to no word.",
        lambda weights, mask: attention_entropy(weights, None),
    ),
    Misconception(
        "mask_turned_round",
        "the mask is turned round: True is a real token, and those are the ones to count.",
        _turned_round(attention_entropy),
    ),
    Misconception(
        "padding_minus_infinity",
        _MINUS_INFINITY,
        lambda weights, mask: -(lambda w: torch.xlogy(w, w))(_minus_infinity(weights, mask)).sum(-1),
    ),
    Misconception(
        "padding_minus_infinity",
        _MINUS_INFINITY,
        lambda weights, mask: torch.special.entr(_minus_infinity(weights, mask)).sum(-1),
    ),
    Misconception(
        "padding_minus_infinity",
        _MINUS_INFINITY,
        lambda weights, mask: -torch.xlogy(_minus_infinity(weights, mask), weights).sum(-1),
    ),
    Misconception(
        "only_the_log",
        "only the logarithms are added up: each one is multiplied by its weight first.",
        _of_nats(
            lambda weights, mask, nats: torch.where(weights > 0, -weights.clamp(min=1e-30).log(), 0.0).sum(-1)
        ),
    ),
    Misconception(
        "not_summed",
        "there is a number for each source token: add up over them, which are the last axis.",
        _of_nats(lambda weights, mask, nats: nats),
    ),
    Misconception(
        "summed_over_targets",
        "it is added up over the target tokens: each target token has an entropy of its own, so add up over "
        "the last axis.",
        _of_nats(lambda weights, mask, nats: nats.sum(1)),
    ),
    Misconception(
        "mean_over_tokens",
        "the mean over the source tokens is taken: the entropy is their sum.",
        _of_nats(lambda weights, mask, nats: nats.mean(-1)),
    ),
    Misconception(
        "mean_over_rows",
        "there is one number for each sentence: give one for each row, the caller may take the mean.",
        _of_nats(lambda weights, mask, nats: nats.sum(-1).mean(-1)),
    ),
    Misconception(
        "one_number",
        "there is one number for the whole batch: give one for each row, (batch, tgt_len).",
        _of_nats(lambda weights, mask, nats: nats.sum()),
    ),
    Misconception(
        "summed_over_batch",
        "the sentences of the batch are added up: each one keeps its own rows.",
        _of_nats(lambda weights, mask, nats: nats.sum(-1).sum(0)),
    ),
    Misconception(
        "divided_by_the_largest",
        "the entropy is divided by ln of the number of tokens, so that it lies between 0 and 1: give it in "
        "nats, as it is.",
        _of_nats(lambda weights, mask, nats: nats.sum(-1) / _real(weights, mask).clamp(min=2).log()),
    ),
    Misconception(
        "divided_by_ln_of_src_len",
        "the entropy is divided by ln(src_len), padding included: give it in nats, as it is.",
        _of_nats(lambda weights, mask, nats: nats.sum(-1) / math.log(max(2, weights.shape[2]))),
    ),
    Misconception(
        "normalised_again",
        "each row is divided by its sum first: take the weights as they are, and leave out the padding.",
        _renormalised,
    ),
    Misconception(
        "perplexity",
        "this is the perplexity, exp of the entropy: how many tokens an even look would have. Give the "
        "entropy itself.",
        lambda weights, mask: attention_entropy(weights, mask).exp(),
    ),
    Misconception(
        "softmax_again",
        "a softmax is taken of the weights: they are its result already.",
        lambda weights, mask: attention_entropy(weights.softmax(-1), mask),
    ),
    Misconception(
        "axis_kept",
        "an axis of length 1 is left at the end: keepdim is not wanted here.",
        lambda weights, mask: attention_entropy(weights, mask)[..., None],
    ),
)


def _entropy_by_loops(weights, mask):
    result = weights.new_zeros(weights.shape[:2])
    for b, t, s in np.ndindex(*weights.shape):
        if weights[b, t, s] > 0 and (mask is None or mask[b, s]):
            result[b, t] -= weights[b, t, s] * weights[b, t, s].log()
    return result


def _entropy_of_repaired_zeros(weights, mask):
    terms = torch.nan_to_num(weights * torch.log(weights))
    return -(terms if mask is None else terms * mask.unsqueeze(1)).sum(dim=2)


_RIGHT_ENTROPY = (
    _entropy_by_loops,
    _entropy_of_repaired_zeros,
    _of_nats(lambda weights, mask, nats: nats.sum(-1)),
    lambda weights, mask: -torch.xlogy(_silenced(weights, mask), _silenced(weights, mask)).sum(2),
    lambda weights, mask: -(lambda w: w * (w + 1e-9).log())(_silenced(weights, mask)).sum(-1),
    lambda weights, mask: (
        -torch.einsum("bts,bts->bt", *(lambda w: (w, w.clamp(min=1e-12).log()))(_silenced(weights, mask)))
    ),
)

# Coverage


def _of_real(formula):
    return lambda weights, mask: formula(_silenced(weights, mask))


def _hard_coverage(weights, mask):
    chosen = torch.nn.functional.one_hot(_silenced(weights, mask).argmax(-1), weights.shape[-1])
    return _silenced(chosen.to(weights), mask).sum(1)


def _rows_added_up_then_masked(weights, mask):
    total = weights.sum(2)
    return total if mask is None else total.masked_fill(~mask, 0)


_ROWS = (
    "you added up each row, which gives 1 as a rule: add up over the target rows instead, axis 1, so that "
    "each source token has a number."
)

_COVERAGE = (
    Misconception("summed_over_the_source", _ROWS, _of_real(lambda weights: weights.sum(-1))),
    Misconception("summed_over_the_source", _ROWS, _rows_added_up_then_masked),
    Misconception(
        "mean_over_rows",
        "the mean over the target rows is taken: coverage is their sum.",
        _of_real(lambda weights: weights.mean(1)),
    ),
    Misconception(
        "padding_counted",
        "padding is covered: the mask is never used. Where it is False, the coverage is 0.",
        lambda weights, mask: weights.sum(1),
    ),
    Misconception(
        "mask_turned_round",
        "the mask is turned round: True is a real token, and padding is what gets 0.",
        _turned_round(coverage),
    ),
    Misconception(
        "mask_on_the_rows",
        "the mask silences target rows: it is the mask of the source, so it belongs to the last axis.",
        lambda weights, mask: (
            weights
            if mask is None
            else weights * torch.nn.functional.pad(mask, (0, weights.shape[1]))[:, : weights.shape[1], None]
        ).sum(1),
    ),
    Misconception(
        "cumulative",
        "this is the running total after each target row: give the total after the last one only.",
        _of_real(lambda weights: weights.cumsum(1)),
    ),
    Misconception(
        "without_the_last_row",
        "the last target row is missing: this is the coverage before the last word was written.",
        _of_real(lambda weights: weights[:, :-1].sum(1)),
    ),
    Misconception(
        "largest",
        "this is the largest weight that a token got in any row: add them up.",
        _of_real(lambda weights: weights.max(1).values),
    ),
    Misconception(
        "summed_over_the_batch",
        "the sentences of the batch are added up: each has its own source tokens.",
        _of_real(lambda weights: weights.sum(0)),
    ),
    Misconception(
        "one_number",
        "everything is added up: give one number for each source token, (batch, src_len).",
        _of_real(lambda weights: weights.sum()),
    ),
    Misconception(
        "normalised",
        "the coverage of a sentence is made to sum to 1: give the weight that was received, so that 2 means "
        "two target words' worth.",
        _of_real(lambda weights: (lambda c: c / c.sum(-1, keepdim=True).clamp(min=1e-30))(weights.sum(1))),
    ),
    Misconception(
        "cut_at_one",
        "the coverage is cut off at 1: a token that two target words look at has 2.",
        _of_real(lambda weights: weights.sum(1).clamp(max=1)),
    ),
    Misconception(
        "hard_links_counted",
        "links are counted, one for the largest weight of each row: add up the weights themselves.",
        _hard_coverage,
    ),
    Misconception(
        "axis_kept",
        "an axis of length 1 is left in the middle: keepdim is not wanted here.",
        _of_real(lambda weights: weights.sum(1, keepdim=True)),
    ),
    Misconception(
        "uncovered",
        "this is what is missing to 1: give the weight that was received.",
        lambda weights, mask: _silenced((1 - _silenced(weights, mask).sum(1))[:, None], mask)[:, 0],
    ),
)


def _coverage_by_loops(weights, mask):
    result = weights.new_zeros(weights.shape[0], weights.shape[2])
    for b, t, s in np.ndindex(*weights.shape):
        if mask is None or mask[b, s]:
            result[b, s] += weights[b, t, s]
    return result


_RIGHT_COVERAGE = (
    _coverage_by_loops,
    _of_real(lambda weights: weights.sum(dim=1)),
    _of_real(lambda weights: weights.cumsum(1)[:, -1]),
    _of_real(lambda weights: torch.einsum("bts->sb", weights).T),
    lambda weights, mask: weights.sum(1) * (torch.ones_like(weights[:, 0]) if mask is None else mask),
)

MISCONCEPTIONS = {
    "plot_attention": _PLOT,
    "hard_alignment": _HARD,
    "alignment_error_rate": _ERROR,
    "attention_entropy": _ENTROPY,
    "coverage": _COVERAGE,
}

RIGHT = {
    "plot_attention": _RIGHT_PLOT,
    "hard_alignment": _RIGHT_HARD,
    "alignment_error_rate": _RIGHT_ERROR,
    "attention_entropy": _RIGHT_ENTROPY,
    "coverage": _RIGHT_COVERAGE,
}
