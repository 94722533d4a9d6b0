"""Exercise 04: the heat map, hard alignment, its error rate, entropy and coverage."""

import math

import matplotlib.pyplot as plt
import numpy as np

from grading.exercises.common import EMPTY, PRIMES, SINGLE, padded_at_the_end
from grading.judge.compare import ATOL
from grading.judge.registry import Fault, checks, fault
from grading.sandbox.cases import ORDINARY, TORCH, Case, Unknown
from utils import metrics

TRAINS = True
WORDS = ["the", "we", "not", "was", "soup", "room", "it", "too", "but", "so", "very", "old", "did", "new"]


def _rows(rng, *shape, dtype="float64"):
    """Rows of weights that each sum to one."""
    return rng.dirichlet(np.full(shape[-1], 0.7), shape[:-1]).astype(dtype)


# The picture

GIVEN_AXES, AXIS_LABELS, COLORS = "an Axes that is given", "axis labels", "color scale"


def plot_attention(weights, src_tokens, tgt_tokens, ax=None):
    """Draw a map as the exercise asks for it, which is faster than the library's own."""
    ax = ax or plt.subplots()[1]
    ax.imshow(weights, vmin=0, vmax=1)
    ax.set_xticks(range(len(src_tokens)), src_tokens)
    ax.set_yticks(range(len(tgt_tokens)), tgt_tokens)
    ax.set(xlabel="source", ylabel="target")
    return ax


GIVEN, NEW = "the Axes that was given", "a new figure"
CURRENT, BEFORE = "the current Axes, which is another one", "the current figure, which was there before"


def _read(case, returned):
    """Read the picture in a description of figures, as it is seen on the screen.

    Return what was returned (the kind), where the map is, how many other Axes were drawn into, how many
    figures were opened for nothing, the numbers from the top left to the bottom right, the label beside each
    row and each column, what the axis labels name, and the color limits.
    """
    returned, given, axes, figures = returned
    order = sorted(range(len(axes)), key=lambda i: (i != returned, i != given))
    at = next((i for i in order if axes[i]["maps"]), None)
    if at is None:
        raise LookupError("no map is drawn: use imshow, pcolormesh or seaborn's heatmap")
    found, drawn = axes[at], axes[at]["maps"][-1]
    x, y = (np.array(drawn[edges], dtype=float) for edges in ("columns", "rows"))
    numbers = np.array(drawn["numbers"], dtype=float).reshape(len(y) - 1, len(x) - 1)
    columns, rows = _in_view(x, found["x"]["limits"]), _in_view(y, found["y"]["limits"])[::-1]
    kind = returned
    if isinstance(returned, int):
        kind = "Axes" if returned == at else "another Axes"
    place = GIVEN if at == given else NEW
    if place == NEW and at in figures[0]:
        place = CURRENT if case.inputs["_given"] else BEFORE
    elsewhere = {i for i in range(len(axes)) if i not in (at, drawn["bar"]) and _touched(axes[i])}
    needless = [one for one in figures[1:] if at not in one and not {*one} & elsewhere]
    return (
        *(kind, place, len(elsewhere), len(needless), numbers[np.ix_(rows, columns)]),
        *(_labels(found["y"]["ticks"], y, rows), _labels(found["x"]["ticks"], x, columns)),
        *(_named(found["x"]["label"]), _named(found["y"]["label"]), drawn["limits"]),
    )


def _in_view(edges, limits):
    """The cells whose middle is within the limits of the axis, in its order from the first to the last."""
    middles = (edges[:-1] + edges[1:]) / 2
    order = np.argsort(middles if limits[0] < limits[1] else -middles)
    return [i for i in order if min(limits) - 1e-6 <= middles[i] <= max(limits) + 1e-6]


def _labels(ticks, edges, cells):
    """What the tick labels in the middle of each cell say."""
    beside = []
    for i in cells:
        middle, width = (edges[i] + edges[i + 1]) / 2, abs(edges[i + 1] - edges[i])
        texts = [text for at, text in ticks if abs(at - middle) < 0.3 * width]
        beside.append(" ".join(dict.fromkeys(filter(None, texts))))
    return beside


def _named(label):
    return " ".join(word for word in ("source", "target") if word in label.lower())


def _touched(ax):
    """Was anything drawn on this Axes, or any of its labels or ticks set?"""
    axes = ax["x"], ax["y"]
    return ax["has_data"] or ax["title"] or any(axis["set"] or axis["label"] for axis in axes)


def _is_in_its_place(case, outputs):
    """The map is where it should be."""
    place = outputs["drawn on"]
    if case.inputs["_given"] and place != GIVEN:
        text = "An Axes was passed, but the map is not on it. Use ax.imshow, not plt.imshow"
        return fault(text, f"it is on {place}")
    if not case.inputs["_given"] and place != NEW:
        return fault("Without an Axes it should make a new figure", f"the map is on {place}")
    return None


def _says_what_it_returns(case, outputs):
    """The Axes of the map is returned."""
    if outputs["returned"] != "Axes":
        return fault("Return the Axes of the map", f"got {outputs['returned']}")
    return None


def _leaves_others_alone(case, outputs):
    """Nothing else is drawn."""
    if outputs["other Axes touched"]:
        return "Something is drawn or labelled besides the map's own Axes: draw on that one only."
    if outputs["empty figures opened"]:
        return "A figure is opened that stays empty: make one only where ax is None, and draw on it."
    return None


def _labels_are_beside(case, outputs):
    """Each row and column has its token beside it."""
    for side, tokens in (("row", "tgt_tokens"), ("column", "src_tokens")):
        for i, (label, token) in enumerate(zip(outputs[f"{side}_labels"], case.inputs[tokens], strict=True)):
            if label != token:
                shown = f"{side} {i} has {label!r}, not {token!r}"
                return fault(f"A {side} does not have its token beside it", shown)
    return None


def _axes_are_named(case, outputs):
    for axis, word in (("x", "source"), ("y", "target")):
        if outputs[f"{axis}_label"] != word:
            text = f"The {axis} axis should have a label with the word {word!r}, and not with the other one."
            return Fault(text, part=AXIS_LABELS)
    return None


def _colours_are_comparable(case, outputs):
    low, high = outputs["colour_limits"]
    if (low, high) != (0, 1):
        shown = f"they run from {low:.3g} to {high:.3g}"
        return fault("The colors do not run from 0 to 1", shown, part=COLORS)
    return None


@checks(
    "plot_attention",
    plot_attention,
    {
        "returned": str,
        "drawn on": str,
        "other Axes touched": int,
        "empty figures opened": int,
        "map": "rows columns",
        "row_labels": list,
        "column_labels": list,
        "x_label": str,
        "y_label": str,
        "colour_limits": tuple,
    },
    (
        _is_in_its_place,
        _says_what_it_returns,
        _leaves_others_alone,
        _labels_are_beside,
        _axes_are_named,
        _colours_are_comparable,
    ),
    read=_read,
    part_of={"x_label": AXIS_LABELS, "y_label": AXIS_LABELS, "colour_limits": COLORS},
)
def _(rng):
    def case(title, weights, given=False, words=WORDS, **more):
        rows, columns = weights.shape
        return Case(
            title,
            inputs={
                "weights": weights,
                "src_tokens": [str(word) for word in rng.choice(words, columns)],
                "tgt_tokens": [str(word) for word in rng.choice(words, rows)],
                "_given": given,
            },
            harness="04_alignment.plot_attention",
            **more,
        )

    s, t = (int(size) for size in rng.permutation(PRIMES[1:4])[:2])
    yield case("two target tokens and three source tokens", 0.9 * _rows(rng, 2, 3), visible=True)
    yield case("an Axes that is given", 0.9 * _rows(rng, 3, 2), given=True, visible=True, part=GIVEN_AXES)
    yield case("tokens that come more than once", 0.7 * _rows(rng, 4, 3), words=WORDS[:2], visible=True)
    yield case("one target token", 0.9 * _rows(rng, 1, s))
    yield case("one source token", 0.5 * _rows(rng, t, 1))
    long = 0.8 * _rows(rng, 7, 11, dtype="float32")  # the rest is on the end token, whose column is cut off
    long[rng.integers(7)] = 0
    yield case("a long sentence on a given Axes, with a row of zeros", long, given=True, part=GIVEN_AXES)


# Links

TIES = "equal weights"


def _links_are_pairs(case, outputs):
    """There is one link, a pair of positions, for each target row."""
    tgt_len, src_len = case.inputs["weights"].shape
    for link in outputs["links"]:
        if not (isinstance(link, tuple) and len(link) == 2):
            return fault("Every link should be a pair (src, tgt)", f"one of them is {link!r}")
        if any(isinstance(position, Unknown) for position in link):
            return Fault(
                "The positions of a link should be int, not tensors: use .item() or .tolist().",
                name="tensors_in_links",
            )
        if not (link[0] in range(src_len) and link[1] in range(tgt_len)):
            text = "A link leaves the sentence. Is it (src, tgt), counted from 0?"
            return Fault(f"{text} It is {link!r}.", text)
    rows = sorted(tgt for _, tgt in outputs["links"])
    if rows != list(range(tgt_len)):
        return "Every target row should have exactly one link, and some have none or more than one."
    return None


@checks("hard_alignment", metrics.hard_alignment, {"links": set}, (_links_are_pairs,))
def _(rng):
    def case(title, weights, visible=False, part=ORDINARY):
        return Case(title, {"weights": weights}, visible=visible, part=part)

    s, t = (int(size) for size in rng.permutation(PRIMES[1:4])[:2])
    weights, ties = _rows(rng, t, s), np.array([[0.125, 0.375, 0.125, 0.375], [0.25] * 4, [0, 0, 0.5, 0.5]])
    yield case(
        "two target and three source tokens", rng.permutation([[0.15, 0.75, 0.1], [0.5, 0.3, 0.2]]), True
    )
    yield case("sizes that differ", weights, True)
    yield case("rows where no weight reaches a half", (_rows(rng, 7, 5) + 0.3) / 2.5, True)
    yield case("numbers in float32", weights.astype("float32"))
    yield case("as many target as source tokens", _rows(rng, 5, 5))
    yield case("two and two tokens", np.array([[0.2, 0.8], [0.4, 0.6]]))
    yield case("the last source token has most of the weight", np.array([[0.1, 0.2, 0.7]] * 2))
    yield case("equal weights", ties, True, part=TIES)
    yield case("one target token", _rows(rng, 1, s), part=SINGLE)
    yield case("one source token", np.full((t, 1), 0.4), part=SINGLE)
    yield case("a row of zeros", weights * (np.arange(t) != 1)[:, None], part=TIES)
    yield case("a single weight of one", np.ones((1, 1)), part=SINGLE)


# Their error

WITHOUT_SURE, NO_LINKS = "possible links without the sure ones", "sentences without links"


def _is_a_rate(case, outputs):
    """The rate lies between 0 and 1."""
    rate = float(np.asarray(outputs["error"]).reshape(()))
    nothing = not any(case.inputs["predicted"]) and not any(case.inputs["sure"])
    if math.isinf(rate):
        return "It divides by zero where there is no link at all: ask for that first, and raise ValueError."
    if nothing and not math.isnan(rate):
        return "It gives a rate where there is no link at all: raise ValueError, for nothing was compared."
    if not nothing and math.isnan(rate):
        return "It refuses, or gives NaN, where there are links: only a corpus without any has no rate."
    if not nothing and not -ATOL <= rate <= 1 + ATOL:
        return fault("An error rate lies between 0 and 1", f"this one is {rate:.4g}")
    return None


@checks("alignment_error_rate", metrics.alignment_error_rate, {"error": float}, (_is_a_rate,))
def _(rng):
    def links(count, src_len=6, tgt_len=5):
        cells = rng.permutation(src_len * tgt_len)[:count]
        return [(int(cell) % src_len, int(cell) // src_len) for cell in cells]

    def sentence(right, weak, wrong, missed, extra, repeat=True):
        """A's links by what they hit: sure, possible only, none; then sure and possible links A lacks."""
        drawn = links(right + weak + wrong + missed + extra)
        ends = np.cumsum([right, weak, wrong, missed])
        hit, hit_weakly, astray, lost, rest = (
            drawn[i:j] for i, j in zip([0, *ends], [*ends, None], strict=True)
        )
        sure, possible = {*hit, *lost}, {*hit_weakly, *rest}
        return {*hit, *hit_weakly, *astray}, sure, (sure | possible if repeat else possible)

    def case(title, *sentences, **more):
        columns = zip(*sentences, strict=True)
        inputs = dict(zip(("predicted", "sure", "possible"), map(list, columns), strict=True))
        return Case(title, inputs, harness="04_alignment.alignment_error_rate", **more)

    a, b, c = (int(number) for number in rng.integers(1, 4, 3))
    yield case("one sentence", sentence(1, 1, 0, 2, 1), visible=True)
    yield case(
        "two sentences, one of them longer", sentence(1, 0, 0, 0, 0), sentence(1, 1, 3, 2, 1), visible=True
    )
    yield case(
        "possible links without the sure ones",
        *(sentence(*counts, repeat=False) for counts in ((1, 1, 0, 1, 1), (2, 0, 1, 0, 0))),
        visible=True,
        part=WITHOUT_SURE,
    )
    yield case(
        "links that are right in another sentence only",
        ({(0, 0)}, {(1, 0)}, {(1, 0)}),
        ({(1, 0), (2, 1)}, {(0, 0), (2, 1)}, {(0, 0), (2, 1), (3, 2)}),
        visible=True,
    )
    yield case(
        "possible links without the sure ones, three sentences",
        *(sentence(2, 1, 1, count, 1, repeat=False) for count in (a, b, c)),
        part=WITHOUT_SURE,
    )
    yield case("only sure links", sentence(2, 0, 1, 3, 0), sentence(a, 0, b, 1, 0))
    yield case("three sentences", *(sentence(*rng.permutation([a, b, 1, c, 2])) for _ in range(3)))
    yield case("a perfect alignment", ({(0, 1), (1, 0)}, {(0, 1), (1, 0)}, {(0, 1), (1, 0), (2, 2)}))
    yield case("wholly wrong", ({(0, 1)}, {(1, 0)}, {(1, 0), (2, 2)}))
    yield case("only possible links are hit", ({(2, 2), (3, 3)}, {(1, 0)}, {(1, 0), (2, 2), (3, 3)}))
    yield case(
        "a sentence without a predicted link", sentence(0, 0, 0, 2, 1), sentence(2, 1, 1, 0, 0), part=NO_LINKS
    )
    yield case(
        "a sentence without a sure link",
        (set(links(2)), set(), set()),
        sentence(2, 1, 1, 1, 0),
        part=NO_LINKS,
    )
    yield case("a sentence without any link", (set(), set(), set()), sentence(2, 1, 1, 1, 0), part=NO_LINKS)
    yield case("nothing predicted", (set(), {(0, 0)}, {(0, 0)}), (set(), {(1, 1)}, {(1, 1)}), part=NO_LINKS)
    yield case("no link at all", (set(), set(), set()), visible=True, part="no link at all")


# Entropy and coverage

LEAKY = "weight on padding"


def _batches(rng):
    """Weights and masks: `leaky` ones have weight on padding, as from a model that forgot its mask."""

    def case(title, weights, mask, visible=False, part=ORDINARY):
        return Case(title, {"weights": weights, "mask": mask}, visible=visible, part=part)

    b, t, s = (int(size) for size in rng.permutation(PRIMES[1:4]))
    ends, leaky = padded_at_the_end(rng, b, s), _rows(rng, b, t, s)
    weights = leaky * ends[:, None]
    weights /= weights.sum(-1, keepdims=True)
    one_hot = np.eye(s)[rng.integers(0, s, (b, t))]
    last, empty = np.array([[True, True, False]]), ends.copy()
    empty[0] = False
    yield case(
        "two rows, the last token padded", np.array([[[0.25, 0.75, 0.0], [0.6, 0.4, 0.0]]]), last, True
    )
    yield case("two rows, with weight on padding", _rows(rng, 1, 2, 3), last, True, part=LEAKY)
    yield case("no mask", _rows(rng, b, t, s), None, True, part="no mask")
    yield case("sentences of different lengths", weights, ends, True)
    yield case("numbers in float32", weights.astype("float32"), ends, part=TORCH)
    yield case("sentences of different lengths, with weight on padding", leaky, ends, part=LEAKY)
    yield case("all sizes two", _rows(rng, 2, 2, 2), np.array([[True, False], [True, True]]), part=LEAKY)
    yield case("sizes that are all three", _rows(rng, 3, 3, 3), np.tri(3, dtype=bool), part=LEAKY)
    yield case("all weight on one token", one_hot, np.ones((b, s), dtype=bool), True)
    yield case("even weights", np.full((b, t, s), 1 / s), np.ones((b, s), dtype=bool))
    yield case("rows that do not sum to one", 0.6 * weights, ends, part=LEAKY)
    yield case("one target token", weights[:, :1], ends)
    yield case("one source token", np.ones((b, t, 1)), np.ones((b, 1), dtype=bool))
    yield case("padding before the tokens", leaky, ends[:, ::-1].copy(), part=LEAKY)
    yield case("all tokens but one padded", leaky, np.arange(s) == rng.integers(0, s, (b, 1)), part=LEAKY)
    yield case("a sentence with nothing to attend to", weights * empty[:, None], empty, part=EMPTY)


def _is_not_negative(case, outputs):
    """No entropy is negative."""
    entropy = outputs["entropy"]
    if (np.isfinite(entropy) & (entropy < -ATOL)).any():
        return "An entropy is negative: ln of a weight below 1 is negative, so the sum needs a minus sign."
    return None


def _is_at_most_even(case, outputs):
    """No entropy is larger than that of even weights."""
    mask, (batch, _, src_len) = case.inputs["mask"], case.inputs["weights"].shape
    real = np.full(batch, src_len) if mask is None else mask.sum(-1)
    if (outputs["entropy"] > np.log(np.maximum(real, 1))[:, None] + 1 / math.e + ATOL).any():
        return "An entropy is larger than any look at so few real tokens can be: ln(n) nats, with n of them."
    return None


@checks(
    "attention_entropy",
    metrics.attention_entropy,
    {"entropy": "batch tgt_len"},
    (_is_not_negative, _is_at_most_even),
    gradients=False,
)
def _(rng):
    return _batches(rng)


def _is_zero_at_padding(case, outputs):
    """The coverage of padding is 0."""
    mask = case.inputs["mask"]
    if mask is not None and (np.abs(outputs["coverage"][~mask]) > ATOL).any():
        return "Padding is covered: where the mask is False, the coverage should be 0."
    return None


def _keeps_the_total(case, outputs):
    """The coverage adds up to all weight."""
    weights, mask = case.inputs["weights"], case.inputs["mask"]
    real = weights if mask is None else weights * mask[:, None]
    if not np.allclose(outputs["coverage"].sum(-1), real.sum((1, 2)), rtol=1e-3):
        return "Weight is lost or made: a sentence's coverage should add up to all the weight of its rows."
    return None


@checks(
    "coverage",
    metrics.coverage,
    {"coverage": "batch src_len"},
    (_is_zero_at_padding, _keeps_the_total),
    gradients=False,
)
def _(rng):
    return _batches(rng)
