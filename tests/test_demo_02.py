"""What demo 02 says in words is held to what its committed outputs and the recorded benchmark show."""

import math
import re

import pytest
import torch

from benchmarks import harness
from utils import attention as library
from utils.plotting import NAMES

LESSON = "02_attention"
ATTENTIONS = ("dot", "scaled", "multiplicative", "additive", "bahdanau")
FREE = [NAMES[attention] for attention in ATTENTIONS]
MODELS = [*FREE, "guided multiplicative"]


def numbers(text, heading, name):
    """The numbers behind a name in the first line that begins with it below a heading."""
    (line,) = re.findall(rf"^{re.escape(name)} {{2}}.*", text[text.index(heading) :], re.M)[:1]
    return [float(number) for number in re.findall(r"-?[\d.]+", line[len(name) :])]


def test_guidance_is_least_for_the_gold_map(names):
    links = {7: {(0, 0), (2, 1), (1, 1)}, 9: {(1, 0)}}
    batch = type("Batch", (), {"rows": [7, 9]})
    even = torch.full((2, 3, 5), 0.2)
    assert names["link_loss"](links, batch, even).item() == pytest.approx(math.log(5))
    gold = torch.zeros(2, 3, 5)
    gold[0, 0, 0] = gold[1, 0, 1] = 1.0
    gold[0, 1, 1:3] = 0.5
    assert names["link_loss"](links, batch, gold).item() == pytest.approx(math.log(2) / 3)


def test_attention_of_the_lesson_is_that_of_the_library(names):
    query, keys = torch.randn(2, 3, 7), torch.randn(2, 5, 7)
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    for name in ("dot_score", "scaled_dot_score"):
        ours = names["attend"](query, keys, keys, mask, names[name])
        theirs = library.attend(query, keys, keys, mask, getattr(library, name))
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs, strict=True))


def test_every_score_is_measured_beside_the_diagonal(shown):
    text, _ = shown
    found = {name: numbers(text, "one seed,", name) for name in MODELS}
    diagonal = numbers(text, "one seed,", "the diagonal")
    assert len(diagonal) == 3
    for name, (bleu, low, high, before, error, after) in found.items():
        assert low <= bleu <= high and bleu > 85, "the translations are good"
        assert error < min(before, after), "all fit best unshifted"
        assert (error < 0.1) == (name not in FREE), "guidance apart, the maps are not"
    assert max(found[name][4] for name in FREE) > diagonal[1] - 0.05, "some hardly beat the diagonal"


def test_where_wrong_links_land(shown):
    text, _ = shown
    found = {name: numbers(text, "other words", name) for name in MODELS}
    for name in FREE:
        _, beside, far, *_ = found[name]
        assert beside > far, "most wrong links of other words land next door"
    articles = [found[name][3] for name in FREE]
    assert max(articles) > 85 and min(articles) < 15, "some almost always, some almost never"
    assert found["dot"][-1] > found["scaled dot"][-1], "the dot product's spotlight is the narrower one"


def test_the_additive_score_is_slowest(shown):
    text, _ = shown
    ratios = {
        name: float(re.search(rf"^{re.escape(name)} .* ([\d.]+) x", text, re.M)[1]) for name in FREE[:4]
    }
    assert max(ratios, key=ratios.get) == "additive"


def test_the_recorded_table_is_shown_as_it_was_measured(shown):
    text, _ = shown
    results = harness.read("scores")
    assert (harness.RESULTS / "scores.txt").read_text("utf-8") in text

    def means(attention):
        runs = [run for run in results["runs"] if run["attention"] == attention]
        assert len(runs) >= 3
        return [sum(run[kind][at] for run in runs) / len(runs)
                for kind, at in (("bleu", "1"), ("bleu", "5"), ("error", "0"))]  # fmt: skip

    short, long, error = zip(*map(means, ATTENTIONS), strict=True)
    assert max(short) - min(short) < 5 < 15 < max(long) - min(long), (
        "close on short reviews, not on five clauses"
    )
    assert long.index(max(long)) != error.index(min(error)), "the best translator has not the best map"


def test_pictures_say_what_they_show(alts):
    assert len(alts) == 6 and all(len(alt) > 80 for alt in alts)


def test_most_models_write_the_reordered_sentence_rightly(shown):
    text, _ = shown
    right = re.findall(r"^(.+?) +nous n' avons pas aimé la pizza froide$", text, re.M)
    assert set(right) <= set(MODELS) and len(right) > len(MODELS) / 2


def test_what_the_reflections_say_of_the_tables(shown):
    text, _ = shown
    weight = float(re.search(r"^suis +score 3 .* weight ([\d.]+)", text, re.M)[1])
    assert weight == pytest.approx(2 / 3, abs=0.01)
    gradient = [float(row.split()[5]) for row in re.findall(r"^(?:16|1024) .*", text, re.M)]
    assert gradient[1] / gradient[0] == pytest.approx(1 / 5, abs=0.02)
    assert re.search(r"^ +4 +0\.50 +0\.42 +0\.00$", text, re.M)
    quality = {name: numbers(text, "one seed,", name) for name in MODELS}
    score, error = ({name: row[i] for name, row in quality.items()} for i in (0, 4))
    assert max(score, key=score.get) == min(error, key=error.get) == "guided multiplicative"
    best = max(FREE, key=score.get)
    assert best == "additive" and sorted(error.values())[-2] == error[best]
    assert error[NAMES["bahdanau"]] > 0.95 * numbers(text, "one seed,", "the diagonal")[1]
    assert (score["guided multiplicative"], score[NAMES["multiplicative"]]) == (98.5, 92.8)
    assert re.search(rf"^{re.escape(NAMES['multiplicative'])} +nous n' avons pas aimé le poulet$", text, re.M)
    recorded = {name: numbers(text, "BLEU at this many", name) for name in FREE}
    five, wrong = ({name: row[i] for name, row in recorded.items()} for i in (4, 6))
    assert (min(wrong.values()), max(wrong.values())) == (0.14, 0.27)
    assert max(five, key=five.get) in sorted(wrong, key=wrong.get)[-2:]
    assert five["scaled dot"] < five["dot"] and wrong["scaled dot"] < wrong["dot"]
    assert min(five, key=five.get) == NAMES["multiplicative"]
