import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

from utils.metrics import bleu_by_length, mean_interval, resampled_interval  # noqa: E402
from utils.plotting import (  # noqa: E402
    COLOURS,
    NAMES,
    Figure,
    plot_attention,
    plot_by_length,
    plot_curves,
    plot_intervals,
    plot_maps,
)

WEIGHTS = np.array([[0.1, 0.7, 0.2], [0.55, 0.05, 0.4]])
SRC, TGT = ["she", "loves", "cats"], ["elle", "aime"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_map_shows_every_weight_where_its_tokens_say():
    ax = plot_attention(WEIGHTS, SRC, TGT)
    assert [t.get_text() for t in ax.get_xticklabels()] == SRC
    assert [t.get_text() for t in ax.get_yticklabels()] == TGT
    mesh = ax.collections[0]
    assert np.allclose(mesh.get_array().reshape(2, 3), WEIGHTS)
    assert mesh.get_clim() == (0, 1)
    written = {
        (round(t.get_position()[1] - 0.5), round(t.get_position()[0] - 0.5)): t.get_text() for t in ax.texts
    }
    assert written == {(r, c): f"{WEIGHTS[r, c]:.2f}" for r in range(2) for c in range(3)}
    top, bottom = ax.get_ylim()[1], ax.get_ylim()[0]
    assert top < bottom  # the first target token is the top row


def test_gold_links_are_framed_at_their_cells():
    ax = plot_attention(WEIGHTS, SRC, TGT, links={(2, 1)})
    boxes = [patch.get_bbox() for patch in ax.patches]
    assert boxes and all((int(b.x0), int(b.y0)) == (2, 1) and b.x1 < 3 and b.y1 < 2 for b in boxes)


def test_swapped_axes_are_refused():
    with pytest.raises(ValueError, match=r"need \(2, 3\)"):
        plot_attention(WEIGHTS.T, SRC, TGT)


def test_maps_stand_in_their_places_with_their_titles():
    other = WEIGHTS[:, ::-1]
    panels = {
        "first": (WEIGHTS, SRC, TGT),
        "second": (other, SRC, TGT, {(2, 1)}),
        "third": (other, SRC, ["il", "a"]),
    }
    figure = plot_maps(panels, columns=2, xlabel="asked").figure
    *axes, bar = figure.axes
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("asked", "target token (query)")
    assert (bar.get_ylabel(), bar.get_ylim()) == ("weight", (0, 1))
    assert [ax.get_title() for ax in axes] == list(panels)
    for ax, (weights, *_) in zip(axes, panels.values(), strict=True):
        assert np.allclose(ax.collections[0].get_array().reshape(2, 3), weights)
        assert ax.collections[0].get_clim() == (0, 1)
    assert [bool(ax.patches) for ax in axes] == [False, True, False]
    rows = [[label.get_text() for label in ax.get_yticklabels()] for ax in axes]
    assert rows[0] == TGT and not any(rows[1]) and rows[2] == ["il", "a"]


def test_curves_show_means_spread_and_counts():
    references = ["a b c d e", "a b c d f", "a b c d e g h i"]
    seeds = [bleu_by_length([5, 5, 8], hyps, references, [1, 6, 10], n_bootstrap=0)
             for hyps in (references, ["a b c d e", "a b c d x", "x y z"])]  # fmt: skip
    ax = plot_by_length({"none": seeds, "dot": [seeds[0]]}, trained_up_to=5)
    line = ax.lines[0]
    means = [np.mean([seed[i][1].score for seed in seeds]) for i in range(2)]
    assert np.allclose(line.get_ydata(), means) and means[0] > means[1]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1–5\nn=2", "6–9\nn=1"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["no attention", "dot"]
    low = ax.collections[0].get_paths()[0].vertices[:, 1].min()
    assert low == pytest.approx(min(seed[1][1].score for seed in seeds))


def test_a_model_has_its_colour_everywhere_and_its_variants_too():
    names = ["Transformer", "no attention, untrained", "none", "bahdanau", NAMES["bahdanau"] + ", untrained"]
    ax = plot_curves({name: [1, 2] for name in names}, [1, 2], "x", "y")
    lines = dict(zip(names, ax.lines, strict=True))
    assert len({line.get_color() for line in lines.values()}) == 3
    for variant, model in ((names[1], "none"), (names[4], "bahdanau")):
        assert lines[variant].get_color() == lines[model].get_color() == COLOURS[model]
        assert lines[variant].get_markerfacecolor() == "white" != lines[model].get_markerfacecolor()
    groups = {name: [[1.0], [2.0], [4.0]] for name in names}
    drawn = [line for line in plot_intervals(groups, ["a"], "y").lines if len(line.get_xdata()) == 1]
    assert [line.get_color() for line in drawn if line.get_marker() == "X"] == [COLOURS["Transformer"]]


def test_bands_are_intervals_of_the_mean_where_asked_for():
    references = ["a b c d e", "a b c d f"]
    hypotheses = references, ["a b c d e", "a b c d x"], ["a b c y e", "a b c d x"]
    seeds = [bleu_by_length([5, 5], hyps, references, [1, 6], n_bootstrap=0) for hyps in hypotheses]
    ax = plot_by_length({"dot": seeds}, band="mean")
    ends = ax.collections[0].get_paths()[0].vertices[:, 1]
    _, low, high = mean_interval([seed[0][1].score for seed in seeds])
    assert (ends.min(), ends.max()) == pytest.approx((low, high))


def test_a_legend_stands_where_it_is_wanted_and_never_for_a_single_curve():
    two, x = {"none": [1, 2], "dot": [2, 1]}, [1, 2]
    assert plot_curves({"dot": [1, 2]}, x, "x", "y").get_legend() is None
    assert plot_curves(two, x, "x", "y", legend=None).get_legend() is None
    ax = plot_curves(two | {"a": [1, 1], "b": [2, 2]}, x, "x", "y", legend="above")
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().y0 >= ax.bbox.y1
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["no attention", "dot", "a", "b"]
    inside = plot_curves(two, x, "x", "y")
    inside.figure.canvas.draw()
    assert inside.get_legend().get_window_extent().y1 <= inside.bbox.y1


def test_long_curves_have_at_most_thirty_marks_and_short_ones_all():
    for length, step in (30, 1), (31, 2), (60, 2), (61, 3):
        (line,) = plot_curves({"dot": range(length)}, range(length), "x", "y").lines
        assert line.get_markevery() == step and len(line.get_xdata()) == length


def test_points_may_have_another_interval():
    reviews = {"dot": [[[1.0, 2.0], [5.0]], [[], [7.0]], [[6.0], []]]}
    ax = plot_intervals(reviews, ["noun", "verb"], "entropy", interval=resampled_interval)
    points, _, (bars,) = ax.containers[0]
    assert points.get_ydata() == pytest.approx([3, 6]) and ax.get_legend() is None
    assert bars.get_segments()[1][:, 1] == pytest.approx(resampled_interval([5.0, 7.0])[1:])


def test_points_stand_at_their_means_with_their_intervals():
    groups = {"none": [[0.1, 0.5], [0.2, 0.5], [0.6, 0.5]], "dot": [[0.9, 0.7], [0.7, 0.6]]}
    ax = plot_intervals(groups, ["rare", "frequent"], "recall")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["rare", "frequent"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["no attention", "dot"]
    for container, seeds in zip(ax.containers, groups.values(), strict=True):
        points, _, (bars,) = container
        for label, (x, y) in enumerate(points.get_xydata()):
            mean, low, high = mean_interval([seed[label] for seed in seeds])
            assert round(x) == label and y == pytest.approx(mean)
            assert bars.get_segments()[label][:, 1] == pytest.approx([low, high])
    first, second = (container[0].get_xdata()[0] for container in ax.containers)
    assert first < second


def test_seeds_stand_as_dots_beside_their_mean_in_place_of_the_interval():
    groups = {"none": [[0.1, 0.5], [0.2, 0.5], [0.6, 0.5]], "dot": [[0.9, 0.7], [0.7, 0.6]]}
    ax = plot_intervals(groups, ["rare", "frequent"], "recall", dots=True)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["no attention", "dot"]
    marks = iter(ax.lines)
    for container, seeds in zip(ax.containers, groups.values(), strict=True):
        points, _, bars = container
        assert not bars and points is next(marks)
        assert points.get_ydata() == pytest.approx(np.mean(seeds, axis=0))
        for seed in seeds:
            dots = next(marks)
            assert list(dots.get_ydata()) == seed and (dots.get_xdata() > points.get_xdata()).all()
            assert dots.get_xdata().round().tolist() == [0, 1] and dots.get_color() == points.get_color()
    assert next(marks, None) is None


def test_figure_carries_its_alternative_text():
    figure = Figure(plot_attention(WEIGHTS, SRC, TGT), 'a map: "aime" looks at <she>')
    page = figure._repr_html_()
    assert 'alt="a map: &quot;aime&quot; looks at &lt;she&gt;"' in page and "data:image/png;base64," in page
    assert figure.png.startswith(b"\x89PNG")
