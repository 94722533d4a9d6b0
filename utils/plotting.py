"""Plots that the lessons share: attention maps, curves and point estimates. All functions return Axes."""

import html
from base64 import b64encode
from io import BytesIO

import numpy as np
from PIL import Image

from utils.metrics import mean_interval

# The label of each model, by the name it is made with.
NAMES = {
    "initial": "initial state only",
    "fixed": "fixed context",
    "dot": "dot",
    "scaled": "scaled dot",
    "multiplicative": "multiplicative (Luong)",
    "additive": "additive",
    "bahdanau": "Bahdanau",
    "transformer": "Transformer",
}
# seaborn's "colorblind" palette (after Wong 2011, Nature Methods 8, 441), without importing seaborn.
PALETTE = [
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc",
    "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9",
]  # fmt: skip
COLORS = dict(zip(NAMES, [PALETTE[0], PALETTE[9], *PALETTE[1:6], "#404040"], strict=True))
MARKERS = "o*s^DvPX"
SHOWN = 80  # pixels per inch of a figure on the screen
STYLES = {
    label: {"color": COLORS[name], "marker": marker}
    for (name, label), marker in zip(NAMES.items(), MARKERS, strict=True)
}


def _style(name, position):
    """Return color, marker and label of a curve.

    A model, named by its key or its label in NAMES, looks the same in all lessons. A variant of it, named
    "label, what differs", has the model's color and hollow markers. Any other curve takes the style of its
    position in the plot.
    """
    label = str(NAMES.get(name, name))
    model, comma, _ = label.partition(", ")
    if model in STYLES:
        return STYLES[model] | {"label": label} | ({"markerfacecolor": "white"} if comma else {})
    color, marker = PALETTE[position % len(PALETTE)], MARKERS[position % len(MARKERS)]
    return {"color": color, "marker": marker, "label": label}


def to_numpy(weights):
    """Convert an array or a tensor of any device and dtype, with or without gradient, to a float array."""
    return np.asarray(weights.detach().cpu().double() if hasattr(weights, "detach") else weights, dtype=float)


def _subplots(width, height, rows=1, columns=1):
    """Open a figure of `width` by `height` inches and return its Axes, (rows, columns)."""
    import matplotlib.pyplot as plt  # slow to import

    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)[1]


def finish(ax, legend=True):
    """Remove the top and right spines and draw the legend if there are two curves or more.

    Without `legend`, there is none. Returns the Axes.
    """
    if legend and len(ax.get_legend_handles_labels()[1]) > 1:
        ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_attention(weights, src_tokens, tgt_tokens, links=(), ax=None, annotate=None, colour_bar=True):
    """Draw attention weights as a heatmap: one row per target token, one column per source token.

    `weights` (tgt_len, src_len), from 0 to 1, is an array or a tensor of any device and dtype. Each gold
    alignment in `links`, a set of (src, tgt), gets a frame. `annotate` writes the weights of 0.05 or more
    into their cells (default: in maps of up to 64 cells). Returns the Axes.
    """
    from matplotlib.patches import Rectangle

    weights = to_numpy(weights)
    rows, columns = len(tgt_tokens), len(src_tokens)
    if weights.shape != (rows, columns):
        raise ValueError(
            f"expected weights of shape ({rows}, {columns}) for {rows} target tokens (rows) and {columns} "
            f"source tokens (columns), got {weights.shape}: transpose the weights or correct the tokens"
        )
    if ax is None:
        ax = _subplots(1.6 + 0.5 * columns, 1.2 + 0.36 * rows)[0, 0]
    if annotate is None:
        annotate = weights.size <= 64
    mesh = ax.pcolormesh(weights, vmin=0, vmax=1, cmap="viridis")
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(columns) + 0.5, src_tokens)
    ax.set_yticks(np.arange(rows) + 0.5, tgt_tokens)
    if colour_bar:
        ax.figure.colorbar(mesh, ax=ax, label="weight").outline.set_linewidth(0)
    for (row, column), w in np.ndenumerate(weights if annotate else ()):
        if w >= 0.05:
            style = {"size": 8, "ha": "center", "va": "center", "color": "0.15" if w > 0.71 else "white"}
            ax.text(column + 0.5, row + 0.5, f"{w:.2f}", **style)
    for src, tgt in sorted(links):
        for width, color in ((3.0, "black"), (1.4, "white")):
            box = Rectangle((src + 0.07, tgt + 0.07), 0.86, 0.86, fill=False, lw=width, ec=color)
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
    """Draw several attention maps side by side on one color scale, `columns` in a row.

    `panels` maps a title to the arguments of `plot_attention`: (weights, src_tokens, tgt_tokens) or, with
    gold links, (weights, src_tokens, tgt_tokens, links). `size` is the width and height of one map in
    inches. A map with the same target tokens as its left neighbor does not repeat them. Returns the first
    Axes.
    """
    rows = -(-len(panels) // columns)
    width, height = size
    axes = _subplots(width * columns, height * rows, rows, columns)
    previous = None
    for i, (ax, (title, panel)) in enumerate(zip(axes.flat, panels.items(), strict=False)):
        plot_attention(*panel, ax=ax, annotate=False, colour_bar=False).set_title(title, size=14)
        ax.set(xlabel="", ylabel="")
        ax.tick_params(labelsize=11)
        if i % columns and list(panel[2]) == previous:
            ax.set_yticklabels([])
        previous = list(panel[2])
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    drawn = list(axes.flat[: len(panels)])
    figure = drawn[0].figure
    figure.colorbar(drawn[0].collections[0], ax=drawn, label="weight", aspect=20 * rows, fraction=0.05)
    figure.supxlabel(xlabel, size=12)
    figure.supylabel(ylabel, size=12)
    return axes[0, 0]


def plot_by_length(curves, unit="source words", trained_up_to=None):
    """Draw BLEU against sentence length: one curve per model, with its uncertainty as a band.

    `curves` maps a model's name to its seeds: one result of `metrics.bleu_by_length` per seed. All seeds of
    a model have the same bins; models may have different ones. The line is the mean over seeds. The band
    goes from the lowest to the highest seed. With a single seed, it is the bootstrap interval of its score.

    `unit` names the lengths, and `trained_up_to` marks the greatest length seen in training. The number of
    sentences stands under each bin. Returns the Axes.
    """
    ax = _subplots(6.4, 3.8)[0, 0]
    sizes = {bounds: score.sentences for seeds in curves.values() for bounds, score in seeds[0]}
    bins = sorted(sizes)
    for i, (name, seeds) in enumerate(curves.items()):
        x = [bins.index(bounds) for bounds, _ in seeds[0]]
        scores = np.array([[score.score for _, score in seed] for seed in seeds])
        low, high = scores.min(0), scores.max(0)
        if len(seeds) == 1:
            low, high = np.array([[score.low, score.high] for _, score in seeds[0]]).T
        style = _style(name, i)
        ax.plot(x, scores.mean(0), **style)
        ax.fill_between(x, low, high, color=style["color"], alpha=0.2, lw=0)
    labels = [str(first) if first == last else f"{first}–{last}" for first, last in bins]
    labels = [f"{label}\nn={sizes[bounds]}" for label, bounds in zip(labels, bins, strict=True)]
    ax.set_xticks(range(len(bins)), labels)
    if trained_up_to is not None:
        edge = sum(last <= trained_up_to for _, last in bins) - 0.5
        ax.axvline(edge, color="0.4", ls=":", lw=1)
        ax.annotate("longer than trained →", (edge, 1.0), xycoords=("data", "axes fraction"),
                    xytext=(4, -4), textcoords="offset points", va="top", size=8, color="0.35")  # fmt: skip
    ax.set(xlabel=unit, ylabel="BLEU", ylim=(0, 102))
    return finish(ax)


def plot_intervals(groups, labels, ylabel, dots=False):
    """Draw the mean over seeds with its 95% interval: one point per model and label.

    `groups` maps a model's name to its seeds, a list of values in the order of `labels` per seed.
    With `dots`, each seed is a dot beside the mean, instead of the interval: use it for shares whose interval
    would leave 0 to 1. Returns the Axes.
    """
    ax = _subplots(6.4, 3.6)[0, 0]
    spacing = 0.28 if dots else 0.14
    positions = np.arange(len(labels))
    for i, (name, seeds) in enumerate(groups.items()):
        mean, low, high = np.array([mean_interval(column) for column in zip(*seeds, strict=True)]).T
        style, x = _style(name, i), positions + spacing * (i - (len(groups) - 1) / 2)
        bars = None if dots else [mean - low, high - mean]
        ax.errorbar(x, mean, yerr=bars, ls="", capsize=3, markersize=6 if dots else 5, **style)
        if dots:
            ax.plot(x + 0.11, np.array(seeds).T, ls="", marker="o", markersize=3, color=style["color"])
    ax.set_xticks(positions, labels)
    ax.set(ylabel=ylabel, xlim=(-0.5, len(labels) - 0.5))
    return finish(ax)


def plot_curves(curves, x, xlabel, ylabel, ax=None, legend=True):
    """Draw named curves over the same `x`, with at most 30 markers each.

    `curves` maps a name to its values. `legend` is as in `finish`. Returns the Axes.
    """
    if ax is None:
        ax = _subplots(6.4, 3.6)[0, 0]
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(x, values, markersize=4, markevery=-(-len(x) // 30), **_style(name, i))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return finish(ax, legend)


def plot_shaded(rows, width=78):
    """Draw texts whose words are shaded by their weight, one below the other.

    `rows` maps a title, such as the word that is written, to (weights, tokens): one weight from 0 to 1 per
    token. Lines break after about `width` characters. Returns the Axes.
    """
    lines = []  # of a title, or of (start, token, weight)
    for title, (weights, tokens) in rows.items():
        lines += [title, []]
        for token, weight in zip(tokens, to_numpy(weights), strict=True):
            start = lines[-1][-1][0] + len(lines[-1][-1][1]) + 1 if lines[-1] else 0
            if start + len(token) > width:
                lines.append([])
                start = 0
            lines[-1].append((start, token, weight))
    ax = _subplots(width * 0.105, len(lines) * 0.31)[0, 0]
    for y, line in enumerate(lines):
        if isinstance(line, str):
            ax.text(0, y, line, weight="bold", size=11, va="center", color="#07624f")
            continue
        for start, token, weight in line:
            shade = {"facecolor": (0.9, 0.54, 0.1, weight), "edgecolor": "none", "boxstyle": "round,pad=0.2"}
            ax.text(start, y, token, family="monospace", size=10, va="center", bbox=shade)
    ax.set(xlim=(-1, width + 1), ylim=(len(lines) - 0.4, -0.6))
    ax.axis("off")
    return ax


class Figure:
    """A PNG image of a figure with alternative text, for notebooks, HTML exports and web pages.

    `ax` is any Axes of the figure, which is closed. `alt` describes the picture in words. The image is shown
    with 80 pixels per inch and has `dpi`, by default twice as many, for sharp screens. A palette of `colors`,
    at most 256, shrinks the file to about a quarter.
    """

    def __init__(self, ax, alt, colors=256, dpi=2 * SHOWN):
        import matplotlib.pyplot as plt

        figure = ax.figure
        drawn, data = BytesIO(), BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi, facecolor="white")
        plt.close(figure)
        Image.open(drawn).convert("RGB").quantize(colors).save(data, format="png", optimize=True)
        self.png, self.alt, self.width = data.getvalue(), alt, round(figure.get_figwidth() * SHOWN)

    def _repr_html_(self):
        source = b64encode(self.png).decode()
        alt = html.escape(self.alt, quote=True)
        return f'<figure><img alt="{alt}" width="{self.width}" src="data:image/png;base64,{source}"></figure>'

    def __repr__(self):
        return f"picture: {self.alt}"
