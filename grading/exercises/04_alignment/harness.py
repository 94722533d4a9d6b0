"""Exercise 04: describe figures as plain data, and an error rate that may be refused."""

from contextlib import contextmanager
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator


def plot_attention(answer, weights, src_tokens, tgt_tokens, given):
    """Draw a map, on an Axes that is given or without one, and describe all figures. The judge reads them.

    Another Axes is the current one, or an empty figure where none is given, and nothing should be drawn
    there. Return what was returned and which Axes was given, each as a number in the list of Axes, the Axes,
    and for each figure the numbers of its Axes. The first figure was there before.
    """
    before = plt.get_fignums()
    with _nothing_on_screen():
        try:
            figure = plt.figure()
            ax = figure.subplots(1, 2)[0] if given else None  # the last one is current
            returned = answer(weights, src_tokens, tgt_tokens, **({"ax": ax} if given else {}))
            figures = [plt.figure(number) for number in plt.get_fignums() if number not in before]
            there = [one for figure in figures for one in figure.axes]
            there += [returned] if isinstance(returned, Axes) and returned not in there else []
            return (
                there.index(returned) if isinstance(returned, Axes) else type(returned).__name__,
                there.index(ax) if given else None,
                [_described(one, there) for one in there],
                [[i for i, one in enumerate(there) if one.figure is figure] for figure in figures],
            )
        finally:
            for number in set(plt.get_fignums()) - set(before):
                plt.close(number)
            if before:
                plt.figure(before[-1])


@contextmanager
def _nothing_on_screen():
    """Figures are made and neither shown nor painted."""
    with (
        patch.object(plt, "show", lambda *args, **kwargs: None),
        patch.object(FigureCanvasAgg, "draw", lambda self: None),
        patch.object(Figure, "draw", lambda self, renderer: None),
        plt.ioff(),
    ):
        yield


def _described(ax, there):
    return {
        "maps": [
            {
                "numbers": np.ma.filled(np.ma.asarray(drawn.get_array(), dtype=float), np.nan).tolist(),
                "columns": list(map(float, columns)),
                "rows": list(map(float, rows)),
                "limits": tuple(None if limit is None else float(limit) for limit in drawn.get_clim()),
                "bar": there.index(drawn.colorbar.ax) if drawn.colorbar else None,
            }
            for drawn, columns, rows in _maps(ax)
        ],
        "has_data": ax.has_data(),
        "title": ax.get_title(),
        **{
            name: {
                "limits": tuple(map(float, axis.get_view_interval())),
                "set": isinstance(axis.get_major_locator(), FixedLocator),
                "ticks": [
                    (float(label.get_position()[i]), label.get_text()) for label in axis.get_ticklabels()
                ],
                "label": axis.get_label_text(),
            }
            for i, (name, axis) in enumerate({"x": ax.xaxis, "y": ax.yaxis}.items())
        },
    }


def _maps(ax):
    """The maps on an Axes, each with the edges of its columns and of its rows, in data coordinates."""
    for image in ax.images:
        if np.ndim(image.get_array()) == 2:
            rows, columns = image.get_array().shape
            left, right, bottom, top = image.get_extent()
            first, last = (top, bottom) if image.origin == "upper" else (bottom, top)
            yield image, np.linspace(left, right, columns + 1), np.linspace(first, last, rows + 1)
    for mesh in ax.collections:
        if hasattr(mesh, "get_coordinates"):
            corners = mesh.get_coordinates()
            if np.size(mesh.get_array()) == (corners.shape[0] - 1) * (corners.shape[1] - 1):
                yield mesh, corners[0, :, 0], corners[:, 0, 1]


def alignment_error_rate(answer, predicted, sure, possible):
    """An error rate; NaN where the answer refuses with a ValueError, infinity where it divides by zero."""
    try:
        return answer(predicted, sure, possible)
    except ValueError:
        return float("nan")
    except ZeroDivisionError:
        return float("inf")
