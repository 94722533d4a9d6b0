"""What demo 03 says in words is held to what its committed outputs and the recorded benchmark show."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from benchmarks import harness
from utils.data import load_reviews
from utils.metrics import mean_interval
from utils.plotting import NAMES

ROOT = Path(__file__).resolve().parents[1]
LESSON = "03_translator"
ATTENTIONS = ("none", "dot", "scaled", "multiplicative", "additive")
WITH = ATTENTIONS[1:]


def of_seeds(record, attention, *path):
    """What was recorded for each seed of one kind, in the order of the seeds."""
    return harness.of_kind(record, *path, attention=attention)


def below(text, heading, attention):
    """The numbers of one kind's line in the first table below a heading."""
    (line,) = re.findall(rf"^{re.escape(NAMES[attention])} {{2}}.*", text[text.index(heading) :], re.M)[:1]
    return [float(number) for number in re.findall(r"-?[\d.,]*\d", line[len(NAMES[attention]) :])]


def test_pairs_that_change_places_are_told_from_those_that_do_not(names):
    src = ["the", "cold", "soup", "was", "not", "hot"]
    tgt = ["la", "soupe", "froide", "n'", "était", "pas", "chaude"]
    links = {(0, 0), (2, 1), (1, 2), (3, 4), (4, 3), (4, 5), (5, 6)}
    kept, swapped = names["neighbours"](src, tgt, links)
    assert swapped == [("soupe", "froide")]
    assert kept == [("la", "soupe")]  # what stands beside n' or pas is in neither


def test_right_translations_are_judged_perfect_and_the_source_is_not(names):
    test = load_reviews()["test"]
    right = names["judge"](test.tgt)
    assert right == {"bleu": {n: 100.0 for n in "12345"}, "rare": [1.0] * 4, "order": [1.0, 1.0]}
    wrong = names["judge"](test.src)
    assert max(wrong["bleu"].values()) < 1 and wrong["order"][1] == 0


def test_the_record_is_a_fair_experiment(record, names):
    assert record["settings"] == {**names["SIZES"], **names["BUDGET"]}
    assert names["ATTENTIONS"] == ATTENTIONS
    seeds = int(record["command"].split("--seeds ")[1])
    assert seeds >= 3 and len(record["runs"]) == seeds * len(ATTENTIONS)
    assert {(run["attention"], run["seed"]) for run in record["runs"]} == {
        (attention, seed) for attention in ATTENTIONS for seed in range(seeds)
    }


def test_tables_show_the_record(shown, record):
    text, _ = shown
    assert record["command"] in text and record["machine"] in text
    for attention in ATTENTIONS:
        by_clauses = [mean_interval(of_seeds(record, attention, "bleu", n)) for n in "12345"]
        wanted = [number for mean, _, high in by_clauses for number in (mean, high - mean)]
        assert below(text, "BLEU at this many", attention) == pytest.approx(wanted, abs=0.051)
        rare = map(mean_interval, zip(*of_seeds(record, attention, "rare"), strict=True))
        assert below(text, "share recalled", attention)[::2] == pytest.approx(
            [100 * mean for mean, *_ in rare], abs=0.51
        )
        order = map(mean_interval, zip(*of_seeds(record, attention, "order"), strict=True))
        assert below(text, "share of pairs", attention)[:4:2] == pytest.approx(
            [100 * mean for mean, *_ in order], abs=0.051
        )
    assert harness.read("scores")["command"] in text


def test_every_verdict_is_that_of_its_interval(shown, record):
    text, _ = shown
    for first, second in combinations(ATTENTIONS, 2):
        (line,) = re.findall(rf"^{re.escape(f'{NAMES[first]} - {NAMES[second]}')}  .*", text, re.M)
        verdicts = re.findall(r"\] (\w+)", line)
        for n, verdict in zip("15", verdicts, strict=True):
            differences = [
                a - b
                for a, b in zip(
                    of_seeds(record, first, "bleu", n), of_seeds(record, second, "bleu", n), strict=True
                )
            ]
            _, low, high = mean_interval(differences)
            assert (verdict == "noise") == (low <= 0 <= high)


def test_live_models_belong_to_the_record(shown, record):
    """Seed 0 is trained again in the notebook: on one machine to the same score, elsewhere nearly."""
    text, _ = shown
    for attention in ("none", "dot", "additive"):
        one, _, _, five, *_ = below(text, "live, seed 0", attention)
        first = of_seeds(record, attention, "bleu")[0]
        assert one == pytest.approx(first["1"], abs=5) and five == pytest.approx(first["5"], abs=10)


def test_attention_wins_at_every_length_and_with_every_seed(shown, record):
    text, _ = shown
    best, worst = [], []
    for n in "12345":
        best.append(max(of_seeds(record, "none", "bleu", n)))
        worst.append(min(min(of_seeds(record, kind, "bleu", n)) for kind in WITH))
    assert all(with_attention > without + 30 for without, with_attention in zip(best, worst, strict=True))
    for name, wanted in ("best seed without", best), ("worst seed with", worst):
        (line,) = re.findall(rf"^{name} +(.*)", text, re.M)
        assert [float(score) for score in line.split()] == pytest.approx(wanted, abs=0.051)
    short, long = ([mean_interval(of_seeds(record, kind, "bleu", n))[0] for kind in WITH] for n in "15")
    assert max(short) - min(short) < max(long) - min(long), "they drift apart"
    assert min(short) > 90 and all(five < one - 5 for one, five in zip(short, long, strict=True)), (
        "none is level"
    )
    assert WITH[long.index(min(long))] == "multiplicative"


def test_numbers_in_the_prose_are_those_of_the_tables(shown, record, prose):
    """Each sentence with a number is written anew from the record."""
    text, _ = shown
    half = {kind: mean_interval(of_seeds(record, kind, "bleu", "5")) for kind in ATTENTIONS}
    none = [mean_interval(of_seeds(record, "none", "bleu", n))[0] for n in "15"]
    assert f"Wider: ± {half['dot'][2] - half['dot'][0]:.1f}, and for the other two live kinds too." in prose
    assert f"the mean is {none[0]:.1f} for one clause and {none[1]:.1f} for five." in prose
    for kind in ("none", "dot", "additive"):
        low, high = below(text, "live, seed 0", kind)[4:]
        assert half[kind][2] - half[kind][1] > 1.5 * (high - low), "seeds move it more than sentences"
        assert kind != "dot" or (high - low) / 2 == pytest.approx(5, abs=0.5), (
            "about five points to each side"
        )
    dot, additive = (below(text, "live, seed 0", kind)[3:] for kind in ("dot", "additive"))
    assert dot[0] - additive[0] == pytest.approx(2, abs=0.5) and dot[1] < additive[2], "two points; overlap"
    differences = [
        a - b
        for a, b in zip(
            of_seeds(record, "dot", "bleu", "5"), of_seeds(record, "additive", "bleu", "5"), strict=True
        )
    ]
    assert f"seed by seed: {', '.join(f'{points:.1f}' for points in differences)}\n" in text
    assert f"from {min(differences):.0f} to {max(differences):.0f} points" in prose and min(differences) > 0
    (share,) = re.findall(r"mais +looks at but +\(5\) +\d+% +then \(end\) +\(10\) +(\d+)%", text)
    assert int(share) == pytest.approx(33, abs=3), "about a third from the end token"


def test_differences_to_none_are_real_and_some_others_are_noise(shown):
    text, _ = shown
    of_none, among = text.split("and among those with attention:")
    count = [re.findall(r"\] (real|noise)", part) for part in (of_none, among)]
    assert len(count[0]) == 8 and set(count[0]) == {"real"}
    assert len(count[1]) == 12 and "noise" in count[1][::2] and "noise" in count[1][1::2]
    assert count[1][::2].count("noise") == 5, "five of six at one clause"
    real = [line for line in among.splitlines() if re.search(r"\] real .*\[", line)]
    assert len(real) == 1 and re.match(r"dot - additive +-0\.9 ", real[0]), "the sixth is 0.9 points"
    for other in ("scaled", "multiplicative"):
        (line,) = re.findall(rf"^dot - {re.escape(NAMES[other])}  .*", among, re.M)
        assert re.findall(r"\] (\w+)", line)[1] == "real", "dot's lead at five clauses"


def test_a_larger_budget_helps_all_and_brings_them_a_little_closer(shown, record, prose):
    text, _ = shown
    longer = harness.read("scores")["runs"]
    before, after = {}, {}
    for kind in WITH:
        before[kind] = mean_interval(of_seeds(record, kind, "bleu", "5"))
        after[kind] = mean_interval([run["bleu"]["5"] for run in longer if run["attention"] == kind])
        assert after[kind][0] > before[kind][0], "all four gain"
    apart = [max(some.values())[0] - min(some.values())[0] for some in (before, after)]
    (line,) = re.findall(r"^from first to last +(.*)", text, re.M)
    assert [float(points) for points in line.split()] == pytest.approx(apart, abs=0.051)
    assert f"from first to last it was {apart[0]:.1f} points and is {apart[1]:.1f}." in prose
    behind = [some["dot"][0] - some["scaled"][0] for some in (before, after)]
    assert f"Scaled dot is now {behind[1]:.1f} points behind dot instead of {behind[0]:.1f};" in prose
    mean, _, high = after["multiplicative"]
    assert f"with ± {high - mean:.1f} the mean of multiplicative" in prose


def test_rare_words_need_the_source(record, prose):
    without = [mean_interval(band)[0] for band in zip(*of_seeds(record, "none", "rare"), strict=True)]
    assert max(without[:2]) < 0.05 and 0.2 < without[-1] < 0.45
    for kind in WITH:
        means = [mean_interval(band)[0] for band in zip(*of_seeds(record, kind, "rare"), strict=True)]
        gaps = [a - b for a, b in zip(means, without, strict=True)]
        assert min(means) > 0.5 and max(gaps) == gaps[1], "the gap is not widest for the rarest"
        assert gaps[-1] < min(gaps[:3]) - 0.1, "and clearly narrowest for the most frequent"
        assert max(gaps[:3]) - min(gaps[:3]) < 0.1, "much the same in the first three bands"
        if kind == "dot":
            first, second, third, last = (f"{100 * gap:.0f}" for gap in gaps)
            assert f"(with dot {first}, {second} and {third} points, and then {last})" in prose
        assert min(means) == means[0], "the rarest band is recalled least"


def test_attention_gains_no_less_where_the_order_is_kept(record, prose):
    without = of_seeds(record, "none", "order")
    assert max(max(run) for run in without) < 0.2, "fewer than one in five"
    none = [mean_interval(column)[0] for column in zip(*without, strict=True)]
    leaves_0_out = []
    for kind in WITH:
        order = of_seeds(record, kind, "order")
        means = [mean_interval(column)[0] for column in zip(*order, strict=True)]
        kept, swapped = (with_it - without for with_it, without in zip(means, none, strict=True))
        assert 0.4 < swapped < kept, "attention helps with both"
        _, low, high = mean_interval([same - changed for same, changed in order])
        leaves_0_out += [] if low <= 0 <= high else [kind]
        if kind == "dot":
            assert f"(with dot {100 * kept:.0f} points against {100 * swapped:.0f})" in prose
    assert leaves_0_out == ["multiplicative"]


def test_the_decoder_asks_anew(shown):
    text, _ = shown
    looks = re.findall(r"^ *\d+  (\S+) +looks at \S+ +\((\d+)\)", text, re.M)
    assert " ".join(word for word, _ in looks) == "le restaurant était incroyable mais le service était lent"
    assert [int(place) for word, place in looks if word == "était"] == [3, 8], "each at its own was"
    anew, once = (
        float(re.search(rf"^dot, asks {how} +BLEU ([\d.]+)", text, re.M)[1]) for how in ("anew", "once")
    )
    assert anew > 90 and once < 30


def test_the_live_models_lose_the_adjective_that_should_go_last(shown):
    text, _ = shown
    written = re.findall(r"^(?:dot|additive) +(le service était lent .*)$", text, re.M)
    assert len(written) == 2 and all(line.endswith("soupe à l' oignon") for line in written)


def test_the_explorer_shows_what_is_told_of_it(explored):
    ((none, dot, additive),) = (data["panels"] for data in explored)
    assert " ".join(none["tgt"]) == "le restaurant était vraiment horrible" and not none["maps"]
    assert " ".join(additive["tgt"]) == "le restaurant était lent (end)"
    assert len(dot["tgt"]) == 10 and len(additive["tgt"]) == 5
    (weights,), columns = additive["maps"], len(additive["src"])
    of = {word: weights[place::columns] for place, word in enumerate(additive["src"])}
    assert (round(of["slow"][3], 2), round(of["amazing"][3], 2)) == (0.59, 0.40)
    assert round(sum(of["service"]), 2) == 0.18


def test_pictures_say_what_they_show(alts, record):
    assert len(alts) == 5 and all(len(alt) > 80 for alt in alts)
    one, five = (mean_interval(of_seeds(record, "none", "bleu", n))[0] for n in "15")
    assert f"at about {one:.0f} for one clause and sinks to about {five:.0f} for five" in alts[2]
