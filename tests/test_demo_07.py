"""What demo 07 says in words is held to what its committed outputs and the recorded benchmark show."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import mean

import pytest

from benchmarks import harness
from benchmarks.quality import translation
from tests.utils.loopback import serve
from utils.metrics import mean_interval
from utils.plotting import NAMES

ROOT = Path(__file__).resolve().parents[1]
LESSON = "07_real_text"
SOURCE = ROOT / "lessons" / "demo" / f"{LESSON}.py"
NONE, ADDITIVE = NAMES["none"], NAMES["additive"]


def captions(shared):
    """Multi30K's files by name."""
    return {path.name: path.read_bytes() for path in (shared / "data" / "multi30k").glob("*.gz")}


def line(text, heading, name):
    """The numbers of the first line that begins with a name, below a heading."""
    (found,) = re.findall(rf"^{re.escape(name)} {{2,}}(.*)", text[text.index(heading) :], re.M)[:1]
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\.?\d*", found)]


def test_no_caption_is_in_the_lesson(shared):
    known = {
        " ".join(re.findall(r"\w+", sentence.lower()))
        for data in captions(shared).values()
        for sentence in gzip.decompress(data).decode("utf-8").splitlines()
        if len(sentence.split()) > 4
    }
    shown = json.loads((ROOT / "demo" / f"{LESSON}.ipynb").read_text("utf-8"))
    texts = [SOURCE.read_text("utf-8")]
    texts += [str(output.get("text", "")) for cell in shown["cells"] for output in cell.get("outputs", [])]
    words = re.findall(r"\w+", " ".join(texts).lower())
    runs = {" ".join(words[i : i + n]) for n in range(5, 25) for i in range(len(words) - n + 1)}
    assert len(known) > 90_000 and not known & runs


def test_with_captions_it_trains_stops_and_goes_on(shared, tmp_path):
    """The whole lesson on the real captions, but for fewer updates: half of them, then the other half."""
    short = SOURCE.read_text("utf-8").replace("updates=500", "updates=8").replace("LIVE = 500", "LIVE = 4")
    short = short.replace("subwords=4_000", "subwords=300")
    assert short.count("=8") == short.count("LIVE = 4") == 1
    (tmp_path / "lesson.py").write_text(short, "utf-8")
    with serve(captions(shared)) as server:
        env = os.environ | {
            "MPLBACKEND": "agg",
            "PYTHONPATH": str(ROOT),
            "ATTENTION_DATA": str(tmp_path / "data"),
            "ATTENTION_MULTI30K_URL": server.url,
            "NO_PROXY": "*",
        }
        for updates in (4, 8):
            done = subprocess.run(
                [sys.executable, "lesson.py"], capture_output=True, text=True, env=env, cwd=tmp_path
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.count(f" {updates} of 8 updates") == 2
        assert len(server.asked) == len(set(server.asked)) == 8, "each file once"


def test_long_sentences_are_in_parliament_and_news(shared):
    """What the lesson says of corpora that it does not fetch, from samples of them."""

    def long(name):
        sentences = (shared / "data" / name).read_text("utf-8").splitlines()
        return sum(len(sentence.split()) >= 30 for sentence in sentences) / len(sentences)

    assert long("wmt14/europarl-v7.de") == pytest.approx(1 / 4, abs=0.03)
    assert long("wmt14/newstest2014.de") == pytest.approx(1 / 8, abs=0.01)
    assert long("opensubtitles/de-en.de") < 0.01


def test_real_text_has_a_long_tail(shown):
    text, _ = shown
    german, english, reviews = (
        line(text, "unknown 30 and more", name) for name in ("Multi30K, de", "Multi30K, en", "reviews, fr")
    )
    pairs, words, once, kept, unknown, long = german
    assert words == pytest.approx(19_000, rel=0.03) and once > 50
    assert english[1] == pytest.approx(words / 2, rel=0.15), "about half as many"
    assert kept == pytest.approx(words / 5, rel=0.1), "a fifth"
    assert round(unknown) == 6 and long == 0.3 and reviews[5] > 20
    assert line(text, "unknown 30 and more", "reviews, en")[1] == 201


def test_three_words_are_unknown_and_spelled_in_pieces(shown):
    text, _ = shown
    whole, pieces, together = (
        re.search(rf"^{name} +(.*)", text, re.M)[1] for name in ("words", "pieces", "together")
    )
    assert whole.count("<unknown>") == 3 and len(whole.split()) == 6 + 1  # and the full stop
    assert "▁feuerwehr hund" in pieces and "▁bew acht" in pieces and "z wer g" in pieces
    assert together == "der feuerwehrhund bewacht einen lila gartenzwerg ."


def test_attention_is_worth_seven_points_at_every_length(shown):
    text, _ = shown
    found = re.findall(rf"^(?:{NONE}|{ADDITIVE}) +BLEU ([\d.]+) .* lower-cased words ([\d.]+)", text, re.M)
    (none, none_words), (additive, words) = (map(float, pair) for pair in found)
    assert 6 < additive - none < 8 and 1.7 < additive / none < 2.1 and words - none_words > 9
    assert "not luck of these sentences" in text
    rows = [
        re.findall(r"(\d+)-(\d+): +([\d.]+)", found) for found in re.findall(r"^.*  1-9: +\d.*$", text, re.M)
    ][:2]
    assert [row[-1][:2] for row in rows] == [("20", "99")] * 2
    gaps = [float(b) - float(a) for (*_, a), (*_, b) in zip(*rows, strict=True)]
    assert min(gaps) > 4 and gaps[-1] < gaps[0] and gaps[2] < gaps[0] + 1, "everywhere, and it does not widen"
    for row in rows:
        *shorter, longest = (float(score) for *_, score in row)
        assert min(shorter) == shorter[0] and max(shorter) == shorter[1] and longest < shorter[0] - 1.5


def test_in_a_chain_only_attention_finds_more_than_a_guess(shown):
    text, _ = shown
    none, guess, additive, control = (
        line(text, "next words right", name)
        for name in (
            NONE,
            f"{NONE}, another source (control)",
            ADDITIVE,
            f"{ADDITIVE}, another source (control)",
        )
    )
    assert none[0] == pytest.approx(40, abs=2) and additive[0] == pytest.approx(50, abs=2)
    assert abs(none[1] - none[0]) <= 2, "the first goes as well as one alone"
    assert all(abs(a - b) <= 1 for a, b in zip(none[2:], guess[2:], strict=True)), "then it only guesses"
    assert all(a >= b + 4 for a, b in zip(additive[1:], control[1:], strict=True)), "above its control"
    assert max(additive[2:]) < additive[0] * 0.6, "far less than alone"


def recorded(updates, direction, model):
    """Mean BLEU of a kind of model over its seeds: of all captions, and of those of each length."""
    rows = [
        row["scores"]["beam"]
        for row in harness.read("translation")["runs"]
        if (of := row["settings"])["updates"] == updates
        and [of["src"], of["tgt"], of["model"]] == [*direction.split("→"), model]
    ]
    parts = [mean(row["by_length"][part]["score"] for row in rows) for part in range(4)]
    return len(rows), mean(row["text"]["score"] for row in rows), *parts


def test_the_record_is_shown_and_says_which_learn_fastest(shown):
    text, _ = shown
    found = {model: recorded(translation.BUDGET.updates, "de→en", model) for model in translation.MODELS}
    for model, (seeds, *scores) in found.items():
        name = f"1,200 updates  de→en  {NAMES.get(model, 'Transformer')}"
        assert line(text, "BLEU, by words", name) == [seeds, *(round(score, 1) for score in scores)]
    none, dot, scaled, multiplicative, additive, transformer = (
        found[model][1] for model in translation.MODELS
    )
    assert min(scaled, additive) > 1.9 * none and max(scaled, additive) < 2.1 * none
    assert min(scaled, additive) - 3 > max(dot, transformer) and min(dot, transformer) > multiplicative + 3
    assert multiplicative > none + 3
    seeds = {
        model: [
            row["scores"]["beam"]["text"]["score"]
            for row in harness.read("translation")["runs"]
            if (row["settings"]["updates"], row["settings"]["model"]) == (translation.BUDGET.updates, model)
        ]
        for model in ("dot", "transformer")
    }
    (_, least, _), (_, _, most) = map(mean_interval, seeds.values())
    assert least < most, "not to be told apart"
    assert found["none"][2:] == tuple(sorted(found["none"][2:], reverse=True)), "length shows already"
    assert max(found["additive"][2:5]) - min(found["additive"][2:5]) < 2
    minutes = [
        row["cpu_seconds"] / 60
        for row in harness.read("translation")["runs"]
        if row["settings"]["updates"] == translation.BUDGET.updates
    ]
    assert mean(minutes) == pytest.approx(5, abs=1)


def test_after_half_an_hour_length_shows(shown):
    text, _ = shown
    gains, gaps = {}, {}
    for direction in map("→".join, translation.DIRECTIONS):
        found = {}
        for model in ("none", "additive"):
            name = f"5,000 updates  {direction}  {NAMES[model]}"
            seeds, *scores = recorded(translation.LONG.updates, direction, model)
            assert line(text, "BLEU, by words", name) == [seeds, *(round(score, 1) for score in scores)]
            assert seeds == 1
            found[model] = scores
            assert scores[4] < min(scores[1:4]) - 5, "the longest are hard"
        all_, *parts = (a - b for a, b in zip(found["additive"], found["none"], strict=True))
        gains[direction], gaps[direction] = all_, parts
        assert found["none"][1:] == sorted(found["none"][1:], reverse=True), "each group is worse"
        assert parts[2] > parts[0] + 3, "the gap grows up to 19 words"
        if direction == "en→fr":
            assert parts == sorted(parts), "to the end"
        else:
            assert abs(parts[3] - parts[0]) < 2.5, "and is about as small as at first"
        spread = max(found["additive"][1:4]) - min(found["additive"][1:4])
        if direction == "en→fr":
            assert 5 < spread < found["none"][1] - found["none"][3], "longer ones lose too, but less"
        else:
            assert spread < 4, "alike up to 19 words"
    assert gains["de→en"] == pytest.approx(13, abs=1) and gains["en→de"] == pytest.approx(13, abs=1)
    assert gains["en→fr"] == pytest.approx(26, abs=1)
    captions = [
        part["sentences"]
        for part in harness.read("translation")["runs"][0]["scores"]["beam"][
            "by_length"
        ]
    ]
    assert captions[3] == 48 and sum(captions[:2]) / sum(captions) == pytest.approx(0.75, abs=0.03)


@pytest.fixture(scope="module")
def debates():
    return harness.read("parliament")


def test_what_the_source_adds_in_long_sentences(shown, prose, debates):
    text, _ = shown
    runs = {run["model"]: run for run in debates["runs"]}
    assert f"{debates['pairs']:,} pairs" in prose and max(run["valid_bleu"] for run in runs.values()) < 3
    minutes = [run["cpu_seconds"] / 60 for run in runs.values()]
    assert (round(min(minutes)), round(max(minutes))) == (9, 22)
    adds = {}
    for kind, name in (("none", NONE), ("additive", ADDITIVE)):
        right, control = (
            [100 * share for _, _, share, _ in runs[kind][part]] for part in ("right", "control")
        )
        found = line(text, "next pieces right", name)
        assert found == [round(share, 1) for share in right]
        found = line(text, "next pieces right", f"{name}, another source (control)")
        assert found == [round(share, 1) for share in control]
        assert right[0] > right[4] + 5 and control[0] > control[4] + 1, "all four fall"
        assert round(min(control)) == 17 and max(control) < 22
        adds[kind] = [a - b for a, b in zip(right, control, strict=True)]
    with_, without = adds["additive"], adds["none"]
    assert (round(with_[0]), round(with_[4])) == (12, 6) and round(without[0]) == 5
    assert all(1 <= gain < 2 for gain in without[3:]), "hardly more than one from 30 words on"
    assert with_[4] / with_[0] > without[4] / without[0], "keeps a larger part"
    apart = [runs["additive"]["right"][i][2] - runs["none"]["right"][i][2] for i in range(5)]
    assert (round(100 * apart[0]), round(100 * apart[4])) == (5, 3), "they draw together"
    assert runs["none"]["right"][-1][-1] == 9, "sentences in the last group"


def test_the_links_of_the_debates_and_their_shift(shown, prose, debates):
    text, _ = shown
    heading = "alignment error  "
    for name, found in debates["baselines"].items():
        assert line(text, heading, name) == [round(number, 2) for number in found]
    errors = {}
    for run in debates["runs"]:
        if run["error"]:
            early, own, late = (run["error"][shift] for shift in ("-1", "0", "1"))
            numbers = [early[0], own[0], late[0], *own[1:]]
            assert line(text, heading, NAMES[run["model"]]) == [round(number, 2) for number in numbers]
            errors[run["model"]] = early[0], own[0], late[0]
    written = [found[0] for found in debates["baselines"].values()]
    for error in [*written, *errors["additive"], *errors["bahdanau"]]:
        assert f"{error:.2f}" in prose
    assert debates["baselines"]["diagonal"][1] > errors["additive"][1] + 0.02, "outside the interval"
    assert min(errors["additive"][::2]) > errors["additive"][1] + 0.1, "at its best in its own row"
    assert max(errors["bahdanau"]) < errors["bahdanau"][1] + 0.05, "nearly equally wrong wherever"


def test_the_map_looks_right_and_the_word_is_wrong(shown):
    text, _ = shown
    maps = re.findall(r"^ +writes +(.*)\n +looks at (.*)$", text, re.M)
    first, second, third = (list(zip(*map(str.split, both), strict=True)) for both in maps)
    assert ("walking", "füttert") in first and ("street", "enten") in first and ("blue", "gelbe") in third
    assert ("men", "alte") in second and "old" not in [word for word, _ in second]


def test_pictures_say_what_they_show(alts):
    assert len(alts) == 3 and all(len(alt) > 80 for alt in alts)
