"""Exercise 04: read a picture as numbers and words, and an error rate that may be refused."""

from contextlib import contextmanager
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

GIVEN, NEW = "the Axes that was given", "a new figure"
CURRENT, BEFORE = "the current Axes, which is another one", "the current figure, which was there before"


def plot_attention(answer, weights, src_tokens, tgt_tokens, given):
    """Draw a map, on an Axes that is given or without one, and read it as it is seen on the screen.

    Another Axes is the current one, or an empty figure where none is given, and nothing should be drawn
    there. Gives what was returned (the kind), where the map is, how many other Axes were drawn into, how
    many figures were opened for nothing, the numbers from the top left to the bottom right, the label
    beside each row and each column, what the axis labels name, and the colour limits.
    """
    before = plt.get_fignums()
    with _nothing_on_screen():
        try:
            figure = plt.figure()
            ax = figure.subplots(1, 2)[0] if given else None  # the last one is current
            returned = answer(weights, src_tokens, tgt_tokens, **({"ax": ax} if given else {}))
            opened = [plt.figure(number) for number in plt.get_fignums() if number not in before]
            there = [other for one in opened for other in one.axes]
            there += [returned] if isinstance(returned, Axes) and returned not in there else []
            there.sort(key=lambda other: (other is not returned, other is not ax))
            found = next((other for other in there if _maps(other)), None)
            if found is None:
                raise LookupError("no map is drawn: use imshow, pcolormesh or seaborn's heatmap")
            return _read(found, returned, there, figure, opened, ax)
        finally:
            for number in set(plt.get_fignums()) - set(before):
                plt.close(number)
            if before:
                plt.figure(before[-1])


@contextmanager
def _nothing_on_screen():
    """Figures are made and neither shown nor painted: what is read of them are numbers, not pixels."""
    with (
        patch.object(plt, "show", lambda *args, **kwargs: None),
        patch.object(FigureCanvasAgg, "draw", lambda self: None),
        patch.object(Figure, "draw", lambda self, renderer: None),
        plt.ioff(),
    ):
        yield


def _read(found, returned, there, figure, opened, given):
    drawn, x, y = _maps(found)[-1]
    columns = _in_view(x, found.get_xlim(), found.transData.transform([(edge, y[0]) for edge in x])[:, 0])
    rows = _in_view(y, found.get_ylim(), -found.transData.transform([(x[0], edge) for edge in y])[:, 1])
    kind = type(returned).__name__
    if isinstance(returned, Axes):
        kind = "Axes" if returned is found else "another Axes"
    place = GIVEN if found is given else NEW
    if place == NEW and found.figure is figure:
        place = CURRENT if given else BEFORE
    bars = [drawn.colorbar.ax] if drawn.colorbar else []
    elsewhere = [other for other in there if other is not found and other not in bars and _touched(other)]
    needless = [
        one
        for one in opened
        if one is not figure and found not in one.axes and not set(one.axes) & set(elsewhere)
    ]
    return (
        kind,
        place,
        len(elsewhere),
        len(needless),
        torch.from_numpy(_numbers(drawn)[np.ix_(rows, columns)]),
        _labels(found.yaxis, 1, y, rows),
        _labels(found.xaxis, 0, x, columns),
        _named(found.get_xlabel()),
        _named(found.get_ylabel()),
        tuple(None if limit is None else float(limit) for limit in drawn.get_clim()),
    )


def _maps(ax):
    """The maps on an Axes, each with the edges of its columns and of its rows, in data coordinates."""
    maps = []
    for image in ax.images:
        if np.ndim(image.get_array()) == 2:
            rows, columns = image.get_array().shape
            left, right, bottom, top = image.get_extent()
            first, last = (top, bottom) if image.origin == "upper" else (bottom, top)
            maps.append((image, np.linspace(left, right, columns + 1), np.linspace(first, last, rows + 1)))
    for mesh in ax.collections:
        if hasattr(mesh, "get_coordinates"):
            corners = mesh.get_coordinates()
            if np.size(mesh.get_array()) == (corners.shape[0] - 1) * (corners.shape[1] - 1):
                maps.append((mesh, corners[0, :, 0], corners[:, 0, 1]))
    return maps


def _numbers(drawn):
    numbers = np.ma.filled(np.ma.asarray(drawn.get_array(), dtype=float), np.nan)
    if numbers.ndim == 2:
        return numbers
    rows, columns, _ = drawn.get_coordinates().shape
    return numbers.reshape(rows - 1, columns - 1)


def _in_view(edges, limits, on_screen):
    """The cells whose middle is within the limits of the axis, in the order of the screen."""
    middles = (edges[:-1] + edges[1:]) / 2
    order = np.argsort(on_screen[:-1] + on_screen[1:])
    return [i for i in order if min(limits) - 1e-6 <= middles[i] <= max(limits) + 1e-6]


def _labels(axis, coordinate, edges, cells):
    """What the tick labels in the middle of each cell say."""
    ticks = [(label.get_position()[coordinate], label.get_text()) for label in axis.get_ticklabels()]
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
    ticks = any(isinstance(axis.get_major_locator(), FixedLocator) for axis in (ax.xaxis, ax.yaxis))
    return bool(ticks or ax.has_data() or ax.get_title() or ax.get_xlabel() or ax.get_ylabel())


def alignment_error_rate(answer, predicted, sure, possible):
    """An error rate; NaN where the answer refuses with a ValueError, infinity where it divides by zero."""
    try:
        return answer(predicted, sure, possible)
    except ValueError:
        return float("nan")
    except ZeroDivisionError:
        return float("inf")
