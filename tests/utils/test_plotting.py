import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

from utils.metrics import Score, mean_interval  # noqa: E402
from utils.plotting import (  # noqa: E402
    COLORS,
    NAMES,
    Figure,
    plot_attention,
    plot_by_length,
    plot_curves,
    plot_intervals,
    plot_maps,
    plot_shaded,
)

WEIGHTS = np.array([[0.12, 0.7, 0.18], [0.55, 0.049, 0.401]])
SRC, TGT = ["she", "loves", "cats"], ["elle", "aime"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def texts(labels):
    return [label.get_text() for label in labels]


def drawn_weights(ax):
    return ax.collections[0].get_array().reshape(2, 3)


def written_weights(ax):
    """Map (row, column) to the number written into this cell."""
    places = [(text.get_position(), text.get_text()) for text in ax.texts]
    return {(round(y - 0.5), round(x - 0.5)): text for (x, y), text in places if text}


def by_length(bins, scores, sentences=2):
    """Build one seed's result of `bleu_by_length`."""
    return [
        (bounds, Score(score, score - 1, score + 2, sentences, ""))
        for bounds, score in zip(bins, scores, strict=True)
    ]


def band_edges(ax, curve=0):
    vertices = ax.collections[curve].get_paths()[0].vertices
    return vertices[:, 1].min(), vertices[:, 1].max()


def test_map_draws_every_weight_at_its_tokens():
    ax = plot_attention(WEIGHTS, SRC, TGT)
    assert texts(ax.get_xticklabels()) == SRC
    assert texts(ax.get_yticklabels()) == TGT
    np.testing.assert_allclose(drawn_weights(ax), WEIGHTS)
    assert ax.collections[0].get_clim() == (0, 1)
    bottom, top = ax.get_ylim()
    assert top < bottom, "the first target token is the top row"


def test_map_leaves_out_numbers_under_5_percent():
    numbers = {(0, 0): "0.12", (0, 1): "0.70", (0, 2): "0.18", (1, 0): "0.55", (1, 2): "0.40"}
    assert written_weights(plot_attention(WEIGHTS, SRC, TGT)) == numbers
    assert written_weights(plot_attention(WEIGHTS, SRC, TGT, annotate=False)) == {}
    assert written_weights(plot_attention(np.full((9, 9), 0.1), range(9), range(9))) == {}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_map_accepts_tensors_of_any_dtype_with_gradients(dtype):
    weights = torch.tensor(WEIGHTS, dtype=dtype, requires_grad=True)
    np.testing.assert_allclose(drawn_weights(plot_attention(weights, SRC, TGT)), WEIGHTS, atol=2e-3)


def test_gold_links_are_framed_at_their_cells():
    boxes = [patch.get_bbox() for patch in plot_attention(WEIGHTS, SRC, TGT, links={(2, 1)}).patches]
    assert boxes
    assert all(2 < box.x0 < box.x1 < 3 and 1 < box.y0 < box.y1 < 2 for box in boxes)


def test_map_rejects_swapped_axes():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) .* got \(3, 2\): transpose"):
        plot_attention(WEIGHTS.T, SRC, TGT)


def test_maps_share_one_scale_and_label_repeated_tokens_once():
    other = WEIGHTS[:, ::-1]
    panels = {
        "first": (WEIGHTS, SRC, TGT),
        "second": (other, SRC, TGT, {(2, 1)}),
        "third": (other, SRC, ["il", "a"]),
    }
    figure = plot_maps(panels, columns=2, xlabel="source").figure
    *axes, bar = figure.axes
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("source", "target token (query)")
    assert (bar.get_ylabel(), bar.get_ylim()) == ("weight", (0, 1))
    assert [ax.get_title() for ax in axes] == list(panels)
    for ax, (weights, *_) in zip(axes, panels.values(), strict=True):
        np.testing.assert_allclose(drawn_weights(ax), weights)
        assert ax.collections[0].get_clim() == (0, 1)
    assert [bool(ax.patches) for ax in axes] == [False, True, False]
    assert [texts(ax.get_yticklabels()) for ax in axes] == [TGT, ["", ""], ["il", "a"]]


def test_length_curves_show_means_ranges_and_counts():
    bins = [(1, 5), (6, 9)]
    seeds = [by_length(bins, [90, 80]), by_length(bins, [70, 20])]
    ax = plot_by_length({"initial": seeds, "dot": [seeds[0]]}, trained_up_to=5)
    assert ax.lines[0].get_ydata() == pytest.approx([80, 50])
    assert texts(ax.get_xticklabels()) == ["1–5\nn=2", "6–9\nn=2"]
    assert texts(ax.get_legend().get_texts()) == ["initial state only", "dot"]
    assert band_edges(ax) == (20, 90), "the range of both seeds"
    assert band_edges(ax, curve=1) == (79, 92), "the bootstrap interval of the only seed"
    assert ax.lines[2].get_xdata() == [0.5, 0.5], "trained up to the first bin"


def test_length_curves_with_different_bins_stand_at_their_own_positions():
    short = by_length([(1, 1), (2, 2)], [90, 80], sentences=5)
    long = by_length([(2, 2), (3, 3)], [60, 50], sentences=5)
    ax = plot_by_length({"dot": [long], "fixed": [short]})
    assert texts(ax.get_xticklabels()) == ["1\nn=5", "2\nn=5", "3\nn=5"]
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2], [0, 1]]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[60, 50], [90, 80]]


def test_models_keep_their_style_and_variants_are_hollow():
    curves = ["transformer", "initial state only, untrained", "initial", "Bahdanau", "other"]
    ax = plot_curves({name: [1, 2] for name in curves}, [1, 2], "x", "y")
    transformer, variant, initial, bahdanau, other = ax.lines
    assert len(set(COLORS.values())) == len(NAMES)
    assert variant.get_color() == initial.get_color() == COLORS["initial"]
    assert variant.get_markerfacecolor() == "white" != initial.get_markerfacecolor()
    assert variant.get_marker() == initial.get_marker() == "o"
    assert (transformer.get_color(), transformer.get_label()) == (COLORS["transformer"], "Transformer")
    assert bahdanau.get_color() == COLORS["bahdanau"], "a label names the model, too"
    assert other.get_label() == "other"


def test_a_legend_names_two_curves_or_more():
    two, x = {"initial": [1, 2], "dot": [2, 1]}, [1, 2]
    assert plot_curves({"dot": [1, 2]}, x, "x", "y").get_legend() is None
    assert plot_curves(two, x, "x", "y", legend=None).get_legend() is None
    assert texts(plot_curves(two, x, "x", "y").get_legend().get_texts()) == ["initial state only", "dot"]


@pytest.mark.parametrize(("length", "step"), [(30, 1), (31, 2), (60, 2), (61, 3)])
def test_curves_have_at_most_30_markers(length, step):
    (line,) = plot_curves({"dot": range(length)}, range(length), "x", "y").lines
    assert line.get_markevery() == step
    assert len(line.get_xdata()) == length


GROUPS = {"initial": [[0.1, 0.5], [0.2, 0.5], [0.6, 0.5]], "dot": [[0.9, 0.7], [0.7, 0.6]]}


def test_points_stand_at_their_means_with_intervals():
    ax = plot_intervals(GROUPS, ["rare", "frequent"], "recall")
    assert texts(ax.get_xticklabels()) == ["rare", "frequent"]
    assert texts(ax.get_legend().get_texts()) == ["initial state only", "dot"]
    for container, seeds in zip(ax.containers, GROUPS.values(), strict=True):
        points, _, (bars,) = container
        for label, (x, y) in enumerate(points.get_xydata()):
            mean, low, high = mean_interval([seed[label] for seed in seeds])
            assert (round(x), y) == (label, pytest.approx(mean))
            assert bars.get_segments()[label][:, 1] == pytest.approx([low, high])
    first, second = (container[0].get_xdata()[0] for container in ax.containers)
    assert first < second


def test_seeds_can_stand_as_dots_beside_their_mean():
    ax = plot_intervals(GROUPS, ["rare", "frequent"], "recall", dots=True)
    lines = iter(ax.lines)
    for container, seeds in zip(ax.containers, GROUPS.values(), strict=True):
        points, _, bars = container
        assert not bars
        assert points is next(lines)
        assert points.get_ydata() == pytest.approx(np.mean(seeds, axis=0))
        for seed in seeds:
            dots = next(lines)
            assert list(dots.get_ydata()) == seed
            assert (dots.get_xdata() > points.get_xdata()).all()
            assert dots.get_xdata().round().tolist() == [0, 1]
            assert dots.get_color() == points.get_color()
    assert next(lines, None) is None


def test_figure_carries_its_alternative_text():
    figure = Figure(plot_attention(WEIGHTS, SRC, TGT), 'a map: "aime" looks at <she>')
    page = figure._repr_html_()
    assert 'alt="a map: &quot;aime&quot; looks at &lt;she&gt;"' in page
    assert "data:image/png;base64," in page
    assert figure.png.startswith(b"\x89PNG")


def test_shaded_texts_have_each_word_with_its_weight_and_break_lines():
    weights, words = [0.1, 0.9, 0.25], ["the", "soup", "slowly"]
    ax = plot_shaded({"soupe": (torch.tensor(weights), words)}, width=10)
    title, *texts = ax.texts
    assert title.get_text() == "soupe" and [text.get_text() for text in texts] == words
    assert [text.get_bbox_patch().get_facecolor()[3] for text in texts] == pytest.approx(weights)
    heights = [text.get_position()[1] for text in texts]
    assert heights[0] == heights[1] < heights[2], "the third word doesn't fit"
