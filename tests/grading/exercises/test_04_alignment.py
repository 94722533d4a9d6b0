"""Exercise 04: a picture is read wherever it is drawn, and unknown mistakes are told by what they break."""

import re

import matplotlib.pyplot as plt
import pytest

from grading.checks import check
from grading.judge.judge import examine
from grading.judge.registry import find_check, mistakes_of
from utils import metrics

right = find_check("plot_attention").reference
pytestmark = pytest.mark.usefixtures("once", "singly")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def changed(change):
    """The right answer, with something done to its Axes afterwards."""

    def answer(*args, **kwargs):
        ax = right(*args, **kwargs)
        change(ax)
        return ax

    return answer


def shouting(weights, src_tokens, tgt_tokens, ax=None):
    return right(weights, [token.upper() for token in src_tokens], tgt_tokens, ax)


UNKNOWN = [
    (lambda *args, **kwargs: plt.subplots()[1], "no map is drawn: use imshow, pcolormesh or"),
    (lambda *args, **kwargs: changed(lambda ax: None)(*args, **kwargs).xaxis, "Return the Axes .* got XAxis"),
    (changed(lambda ax: ax.figure.axes[-1].set_title("mine")), "besides the map's own Axes"),
    (changed(lambda ax: ax.set_ylim(0.5, -0.5)), r"map has shape \(1, 3\), expected .* = \(2, 3\)"),
    (
        changed(lambda ax: ax.images[0].set_clim(0, 2)),
        "The colors do not run from 0 to 1: they run from 0 to 2",
    ),
    (changed(lambda ax: ax.set_xlabel("from source to target")), "the x axis should have a label"),
    (changed(lambda ax: ax.images[0].set_data(0.5 * ax.images[0].get_array())), "not the right numbers"),
    (shouting, "a column does not have its token beside it: column 0 has '[A-Z]+', not '[a-z]+'"),
]


@pytest.mark.parametrize(("answer", "message"), UNKNOWN)
def test_an_unknown_picture_is_told_by_what_is_wrong_with_it(answer, message):
    verdict = examine("plot_attention", answer, cases="visible")
    assert verdict.mistake not in {known.name for known in mistakes_of("plot_attention")}
    assert re.search(message, str(verdict), re.IGNORECASE) and "_given" not in str(verdict), verdict


def test_what_matplotlib_adds_to_a_right_map_costs_nothing():
    for extra in (
        lambda ax: ax.figure.colorbar(ax.images[0], ax=ax),
        lambda ax: ax.set_title("a map"),
        lambda ax: ax.tick_params(top=True, labeltop=True),
        lambda ax: ax.text(0, 0, "0.5"),
        lambda ax: plt.show(),
    ):
        check("plot_attention", changed(extra), seed=1)


def test_the_figures_of_the_notebook_stay_as_they_are():
    mine, current = plt.subplots()[1], plt.subplots()[1]
    for answer in (changed(str), lambda *args, **kwargs: plt.gca(), lambda *args, **kwargs: 1 / 0):
        examine("plot_attention", answer)
    assert plt.get_fignums() == [mine.figure.number, current.figure.number]
    assert plt.gcf() is current.figure and not mine.has_data() and not current.has_data()


def test_a_map_drawn_elsewhere_is_told_from_a_wrong_return():
    def on_the_last(weights, src_tokens, tgt_tokens, ax=None):
        if ax is None:
            return right(weights, src_tokens, tgt_tokens)
        right(0.9 * weights, src_tokens, tgt_tokens, ax.figure.axes[-1])
        return ax

    verdict = examine("plot_attention", on_the_last, cases="visible")
    assert verdict.mistake is None
    assert "but the map is not on it. Use ax.imshow, not plt.imshow: it is on" in verdict.sentence, verdict


def rate_of_nothing(predicted, sure, possible):
    nothing = not any(predicted) and not any(sure)
    return 0.25 if nothing else metrics.alignment_error_rate(predicted, sure, possible)


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("alignment_error_rate", rate_of_nothing, "it gives a rate where there is no link at all."),
        (
            "alignment_error_rate",
            lambda a, s, p: 2 + metrics.alignment_error_rate(a, s, p),
            "lies between 0 and 1: this one is [23]",
        ),
        ("hard_alignment", lambda w: {1, 2}, r"every link should be a pair \(src, tgt\)"),
        ("hard_alignment", lambda w: {(0, 0)}, "every target row should have exactly one link"),
        ("attention_entropy", lambda w, m: 3 + w.sum(-1), "larger than any look at so few real tokens"),
        ("attention_entropy", lambda w, m: -1 - w.sum(-1), "an entropy is negative"),
        ("coverage", lambda w, m: 0 * w.sum(1) + 1, "padding is covered"),
        ("coverage", lambda w, m: 0.5 * metrics.coverage(w, m), "weight is lost or made"),
        (
            "alignment_error_rate",
            lambda a, s, p: 1 - sum(map(len, a)) / sum(map(len, a + s)),
            "error has the right type, but not the expected value",
        ),
    ],
)
def test_an_unknown_mistake_is_told_by_what_it_breaks(name, answer, message):
    verdict = examine(name, answer)
    assert verdict.mistake not in {known.name for known in mistakes_of(name)}
    assert re.search(message, str(verdict), re.IGNORECASE), verdict
