"""What demo 03 says in words is held to what its committed outputs and the recorded benchmark show."""

import html
import json
import re
from itertools import combinations

import pytest

from benchmarks import demo_03, scores
from utils.data import load_reviews
from utils.metrics import mean_interval
from utils.plotting import NAMES

LESSON = demo_03.LESSON
ATTENTIONS = ("none", "dot", "scaled", "multiplicative", "additive")
WITH = ATTENTIONS[1:]


@pytest.fixture(scope="module")
def record():
    return json.loads(demo_03.RESULTS.read_text())


def of_seeds(record, attention, *path):
    """What was recorded for each seed of one kind, in the order of the seeds."""
    found = sorted(
        (run for run in record["runs"] if run["attention"] == attention), key=lambda run: run["seed"]
    )
    for key in path:
        found = [run[key] for run in found]
    return found


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
    assert json.loads(scores.RESULTS.read_text())["command"] in text


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


def test_attention_wins_at_every_length_and_with_every_seed(record):
    for n in "12345":
        without = of_seeds(record, "none", "bleu", n)
        assert max(without) < min(min(of_seeds(record, kind, "bleu", n)) for kind in WITH)
    assert max(of_seeds(record, "none", "bleu", "1")) < 40, "poor even for one clause"
    assert max(of_seeds(record, "none", "bleu", "5")) < 15
    short, long = ([mean_interval(of_seeds(record, kind, "bleu", n))[0] for kind in WITH] for n in "15")
    assert max(short) - min(short) < max(long) - min(long), "they fan out"
    assert all(five < one - 5 for one, five in zip(short, long, strict=True)), "none of the four is flat"
    assert WITH[long.index(min(long))] == "multiplicative"


def test_differences_to_none_are_real_and_some_others_are_noise(shown):
    text, _ = shown
    of_none, among = text.split("and among those with attention:")
    count = [re.findall(r"\] (real|noise)", part) for part in (of_none, among)]
    assert len(count[0]) == 8 and set(count[0]) == {"real"}
    assert len(count[1]) == 12 and "noise" in count[1][::2] and "noise" in count[1][1::2]
    several_points_apart = re.findall(r"(-?[\d.]+) \[[^\]]+\] noise", among)
    assert max(abs(float(points)) for points in several_points_apart) > 3


def test_a_larger_budget_helps_all_and_leaves_multiplicative_last(record):
    longer = json.loads(scores.RESULTS.read_text())["runs"]
    after = {}
    for kind in WITH:
        mean = mean_interval(of_seeds(record, kind, "bleu", "5"))[0]
        after[kind] = mean_interval([run["bleu"]["5"] for run in longer if run["attention"] == kind])
        assert after[kind][0] > mean, "all four gain"
    assert min(after, key=after.get) == "multiplicative"
    assert after["multiplicative"][2] > max(mean for mean, *_ in after.values()), "reaches up to the others"


def test_rare_words_need_the_source(record):
    without = [mean_interval(band)[0] for band in zip(*of_seeds(record, "none", "rare"), strict=True)]
    assert max(without[:2]) < 0.05 and 0.2 < without[-1] < 0.45
    for kind in WITH:
        means = [mean_interval(band)[0] for band in zip(*of_seeds(record, kind, "rare"), strict=True)]
        gaps = [a - b for a, b in zip(means, without, strict=True)]
        assert min(means) > 0.5 and min(gaps) == gaps[-1], "the gap is smallest for the most frequent"
        assert min(means) == means[0], "the rarest band is recalled least"


def test_pairs_that_change_places_are_a_little_behind(record):
    assert max(max(run) for run in of_seeds(record, "none", "order")) < 0.2, "fewer than one in five"
    for kind in WITH:
        kept, swapped = (
            mean_interval(column)[0] for column in zip(*of_seeds(record, kind, "order"), strict=True)
        )
        assert 0.5 < swapped < kept


def test_the_decoder_asks_anew(shown):
    text, _ = shown
    looks = re.findall(r"^ *\d+  (\S+) +looks at \S+ +\((\d+)\)", text, re.M)
    assert " ".join(word for word, _ in looks) == "le restaurant était incroyable mais le service était lent"
    first, second = (int(place) for word, place in looks if word == "était")
    assert first < second, "the two look at different places"
    anew, once = (
        float(re.search(rf"^dot, asks {how} +BLEU ([\d.]+)", text, re.M)[1]) for how in ("anew", "once")
    )
    assert anew > 90 and once < 30


def test_the_live_models_lose_the_adjective_that_should_go_last(shown):
    text, _ = shown
    written = re.findall(r"^(?:dot|additive) +(le service était lent .*)$", text, re.M)
    assert len(written) == 2 and all(line.endswith("soupe à l' oignon") for line in written)


def test_pictures_say_what_they_show(shown):
    _, pictures = shown
    alts = [html.unescape(re.search(r'alt="([^"]+)"', picture)[1]) for picture in pictures]
    assert len(alts) == 4 and all(len(alt) > 80 for alt in alts)
