"""Pictures that every lesson shares: attention maps, curves and points. All functions return Axes."""

import html
from base64 import b64encode
from io import BytesIO

import numpy as np
from PIL import Image

from utils.metrics import mean_interval

NAMES = {
    "none": "no attention",
    "dot": "dot",
    "scaled": "scaled dot",
    "multiplicative": "multiplicative (Luong)",
    "additive": "additive",
    "bahdanau": "additive, feeding the cell (Bahdanau)",
    "Transformer": "Transformer",
}
# seaborn's colours for the colour-blind (after Wong 2011, Nature Methods 8, 441), without loading it.
PALETTE = [
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc",
    "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9",
]  # fmt: skip
COLOURS = dict(zip(NAMES, [*PALETTE[:6], (0.25, 0.25, 0.25)], strict=True))
SHAPES = "os^DvPX"
MARKERS = dict(zip(NAMES, SHAPES, strict=True))


def _look(name, place):
    """A model has its own colour and marker in all lessons; anything else has those of its place.

    A variant, named as the model, a comma and what is different, has the model's colour and hollow markers.
    """
    look = {
        "color": COLOURS.get(name, PALETTE[place % len(PALETTE)]),
        "marker": MARKERS.get(name, SHAPES[place % len(SHAPES)]),
        "label": NAMES.get(name, name),
    }
    for model, label in NAMES.items():
        if str(name).startswith(f"{label}, ") and name not in NAMES.values():
            look |= {"color": COLOURS[model], "markerfacecolor": "white"}
    return look


def _subplots(width, height, rows=1, columns=1):
    """Open a figure of this size in inches: its Axes (rows, columns)."""
    import matplotlib.pyplot as plt  # slow to import, and only pictures need it

    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)[1]


def finish(ax, legend="inside"):
    """Draw the legend, which a single curve does not need, and take the upper and right line away.

    `legend` is "inside" the Axes, "above" it in two rows, or None. Returns the Axes.
    """
    names = ax.get_legend_handles_labels()[1]
    if legend and len(names) > 1:
        above = {"ncol": -(-len(names) // 2), "loc": "lower center", "bbox_to_anchor": (0.5, 1)}
        ax.legend(frameon=False, **(above if legend == "above" else {}))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_attention(weights, src_tokens, tgt_tokens, links=(), ax=None, annotate=None, colour_bar=True):
    """Draw attention weights as a map: a row for each target token, a column for each source token.

    `weights` is (tgt_len, src_len), between 0 and 1. `links`, a set of (src, tgt), are gold
    alignments: each is framed in white and black. `annotate` writes the numbers into the cells
    (default: in maps of at most 64 cells). Returns the Axes.
    """
    import seaborn as sns  # slow to import, and only maps need it
    from matplotlib.patches import Rectangle

    weights = np.asarray(weights, dtype=float)
    if weights.shape != (len(tgt_tokens), len(src_tokens)):
        raise ValueError(
            f"weights have shape {weights.shape}, but {len(tgt_tokens)} target tokens (rows) and "
            f"{len(src_tokens)} source tokens (columns) need ({len(tgt_tokens)}, {len(src_tokens)})"
        )
    rows, columns = weights.shape
    if ax is None:
        ax = _subplots(1.6 + 0.5 * columns, 1.2 + 0.36 * rows)[0, 0]
    sns.heatmap(
        weights,
        ax=ax,
        vmin=0,
        vmax=1,
        cmap="viridis",
        annot=weights.size <= 64 if annotate is None else annotate,
        fmt=".2f",
        annot_kws={"size": 8},
        xticklabels=list(src_tokens),
        yticklabels=list(tgt_tokens),
        cbar=colour_bar,
        cbar_kws={"label": "weight"},
    )
    for src, tgt in sorted(links):
        for width, colour in ((3.0, "black"), (1.4, "white")):
            box = Rectangle((src + 0.07, tgt + 0.07), 0.86, 0.86, fill=False, lw=width, ec=colour)
            ax.add_patch(box)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.tick_params(length=0)
    ax.tick_params(axis="x", rotation=50)
    for label in ax.get_xticklabels():
        label.set(ha="left", rotation_mode="anchor")
    ax.tick_params(axis="y", rotation=0)
    ax.set(xlabel="source token (key)", ylabel="target token (query)")
    return ax


def plot_maps(panels, columns=3, size=(4.0, 3.8), xlabel="source token (key)", ylabel="target token (query)"):
    """Draw several attention maps side by side on one colour scale, `columns` in a row.

    `panels` maps a title to the arguments of `plot_attention`: (weights, src_tokens, tgt_tokens) or, with
    gold links, (weights, src_tokens, tgt_tokens, links). `size` is that of one map in inches. Target tokens
    that are those of the map to the left are not written again; the axes are named once, and one bar says
    what the colours mean. Returns the first Axes.
    """
    rows = -(-len(panels) // columns)
    width, height = size
    axes = _subplots(width * columns, height * rows, rows, columns)
    before = None
    for i, (ax, (title, panel)) in enumerate(zip(axes.flat, panels.items(), strict=False)):
        plot_attention(*panel, ax=ax, annotate=False, colour_bar=False).set_title(title, size=14)
        ax.set(xlabel="", ylabel="")
        ax.tick_params(labelsize=11)
        if i % columns and list(panel[2]) == before:
            ax.set_yticklabels([])
        before = list(panel[2])
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    drawn = list(axes.flat[: len(panels)])
    figure = drawn[0].figure
    figure.colorbar(drawn[0].collections[0], ax=drawn, label="weight", aspect=20 * rows, fraction=0.05)
    figure.supxlabel(xlabel, size=12)
    figure.supylabel(ylabel, size=12)
    return axes[0, 0]


def plot_by_length(curves, ax=None, unit="source words", trained_up_to=None, counts=True, band="range"):
    """Draw BLEU against sentence length, one curve for each model, with what is uncertain as a band.

    `curves` maps a model's name to its seeds: a list with one result of `metrics.bleu_by_length`
    each. The line is the mean over seeds and the band goes from the least to the greatest, or with
    `band` "mean" is the 95% interval of the mean (`metrics.mean_interval`); with one seed the band is
    that score's own bootstrap interval. `trained_up_to` marks the longest length
    seen in training. Sentence counts stand under the axis. Returns the Axes.
    """
    if ax is None:
        ax = _subplots(6.4, 3.8)[0, 0]
    for i, (name, seeds) in enumerate(curves.items()):
        bins = [bounds for bounds, _ in seeds[0]]
        scores = np.array([[score.score for _, score in seed] for seed in seeds])
        low, high = scores.min(0), scores.max(0)
        if len(seeds) == 1:
            low, high = np.array([[score.low, score.high] for _, score in seeds[0]]).T
        elif band == "mean":
            low, high = np.array([mean_interval(column)[1:] for column in scores.T]).T
        x = np.arange(len(bins))
        ax.plot(x, scores.mean(0), **_look(name, i))
        ax.fill_between(x, low, high, color=_look(name, i)["color"], alpha=0.2, lw=0)
    labels = [str(first) if first == last else f"{first}–{last}" for first, last in bins]
    if counts:
        labels = [f"{text}\nn={score.sentences}" for text, (_, score) in zip(labels, seeds[0], strict=True)]
    ax.set_xticks(x, labels)
    if trained_up_to is not None:
        edge = sum(last <= trained_up_to for _, last in bins) - 0.5
        ax.axvline(edge, color="0.4", ls=":", lw=1)
        ax.annotate("longer than trained →", (edge, 1.0), xycoords=("data", "axes fraction"),
                    xytext=(4, -4), textcoords="offset points", va="top", size=8, color="0.35")  # fmt: skip
    ax.set(xlabel=unit, ylabel="BLEU", ylim=(0, 102))
    return finish(ax)


def plot_intervals(groups, labels, ylabel, ax=None, dots=False, interval=mean_interval, legend="inside"):
    """Draw the mean of several seeds with its 95% interval, a point for each model and label.

    `groups` maps a model's name to its seeds: for each seed a list with one value a label. The models of a
    label stand side by side, in the colours and markers of `plot_by_length`; `interval` makes mean, low
    and high of the values of one label. With `dots` the seeds themselves stand beside their mean in place of
    it, for few seeds of a share whose interval would leave 0 to 1. `legend` is that of `finish`. Returns the
    Axes.
    """
    if ax is None:
        ax = _subplots(6.4, 3.6)[0, 0]
    apart = 0.28 if dots else 0.14
    places = np.arange(len(labels))
    for i, (name, seeds) in enumerate(groups.items()):
        mean, low, high = np.array([interval(column) for column in zip(*seeds, strict=True)]).T
        look, x = _look(name, i), places + apart * (i - (len(groups) - 1) / 2)
        bars = None if dots else [mean - low, high - mean]
        ax.errorbar(x, mean, yerr=bars, ls="", capsize=3, markersize=6 if dots else 5, **look)
        if dots:
            ax.plot(x + 0.11, np.array(seeds).T, ls="", marker="o", markersize=3, color=look["color"])
    ax.set_xticks(places, labels)
    ax.set(ylabel=ylabel, xlim=(-0.5, len(labels) - 0.5))
    return finish(ax, legend)


def plot_curves(curves, x, xlabel, ylabel, ax=None, legend="inside"):
    """Draw named curves over the same x: a dict of name and values, with at most 30 markers each.

    `legend` is that of `finish`. Returns the Axes.
    """
    if ax is None:
        ax = _subplots(6.4, 3.6)[0, 0]
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(x, values, markersize=4, markevery=-(-len(x) // 30), **_look(name, i))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return finish(ax, legend)


class Figure:
    """A figure that shows itself in a notebook, an HTML export and a web page with its alternative text."""

    def __init__(self, ax, alt, dpi=80, colours=None):
        """`ax` is any Axes of the figure; `alt` says in words what the picture shows.

        With so many `colours`, at most 256, the picture takes about a quarter of the bytes.
        """
        import matplotlib.pyplot as plt

        figure = ax.figure
        data = BytesIO()
        figure.savefig(data, format="png", dpi=dpi, facecolor="white")
        plt.close(figure)
        if colours:
            picture = Image.open(data).convert("RGB").quantize(colours)
            data = BytesIO()
            picture.save(data, format="png", optimize=True)
        self.png, self.alt = data.getvalue(), alt

    def _repr_html_(self):
        source = b64encode(self.png).decode()
        alt = html.escape(self.alt, quote=True)
        return f'<figure><img alt="{alt}" src="data:image/png;base64,{source}"></figure>'

    def __repr__(self):
        return f"picture: {self.alt}"
