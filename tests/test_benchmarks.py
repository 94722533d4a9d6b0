"""The measurements run from end to end, here at toy sizes."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from subprocess import CalledProcessError
from types import SimpleNamespace

import nbformat
import pytest
import torch

from benchmarks import (
    attention,
    choices,
    corpora,
    data,
    decoding,
    demo_01,
    demo_03,
    demo_04,
    demo_06,
    demos,
    lessons,
    machine,
    minutes,
    parliament,
    start,
    summary,
    teacher_forcing,
    translation,
)
from utils import runs
from utils.data import Corpus, Split, load_reviews
from utils.data.download import DataError
from utils.metrics import alignment_error_rate, hard_alignment
from utils.models import forced_weights
from utils.subwords import map_on_words
from utils.text import UNK_ID, EncodedCorpus
from utils.runs import Settings, encode_corpus, find_run, make_model

ROOT = Path(__file__).resolve().parents[1]


def figures_of_the_readme():
    """What README says was measured: a dict of command to numbers, as text, from what is recorded."""

    def text(name):
        return (ROOT / "benchmarks" / "results" / name).read_text("utf-8")

    def numbers(name, *patterns):
        return [number for pattern in patterns for number in re.search(pattern, text(name), re.M).groups()]

    outputs = [
        output.get("text", "")
        for cell in nbformat.read(ROOT / "demo" / "01_bottleneck.ipynb", 4).cells
        for output in cell.get("outputs", [])
    ]
    (five,) = re.findall(r"^ +5 +201((?: +\d+\.\d){4})$", "".join(outputs), re.M)
    plan, rows = translation.plan(), translation.recorded(translation.RESULTS)
    bleu = {name: [rows[s.name]["scores"]["beam"]["text"]["score"] for s in plan[name]] for name in plan}
    without, with_ = bleu["long"][1::2], bleu["long"][::2]
    budget = [mean(bleu["budget"][i :: len(translation.MODELS)]) for i in range(len(translation.MODELS))]
    scores, debates = json.loads(text("scores.json")), json.loads(text("parliament.json"))
    additive = [run["error"]["0"] for run in scores["runs"] if run["attention"] == "additive"]
    baselines = debates["baselines"]
    attended = [run["error"]["0"][0] for run in debates["runs"] if run["error"]]
    aer = [baselines["diagonal"][0], baselines["IBM model 1"][0], *attended]
    speed = r"^hidden 512, {} target(?:.|\n)*?^additive +\S+ +(\S+) +(\S+)"
    ratios = r"^additive +(?:\S+ +){2}(\S+) +(?:\S+ +){2}(\S+) +\d+% \d+%$"
    return {
        "make notebooks ARGS=01_bottleneck": five.split(),
        "benchmarks.translation": [
            f"{score:.1f}" for pair in zip(without, with_, strict=True) for score in pair
        ]
        + [f"{score:.1f}" for score in sorted(budget)],
        "benchmarks.scores": [f"{error:.2f}" for error in (scores["diagonal"]["0"], mean(additive))],
        "benchmarks.parliament --seeds 1": [f"{error:.2f}" for error in aer],
        "benchmarks.teacher_forcing --corpus multi30k --steps 8": numbers(
            "teacher_forcing.txt", speed.format("900"), speed.format("1,800")
        ),
        "benchmarks.decoding": numbers("decoding.txt", ratios),
        "benchmarks.demos": numbers("demos.txt", r"^all +(\d+)"),
        "benchmarks.start --clone": numbers("start.txt", r"install (\d+) s, run (\d+) s"),
        "benchmarks.grading": numbers(
            "grading.txt", *(rf"run, workers {n} +24 .* (\d+\.\d)$" for n in (1, 2))
        ),
        "benchmarks.corpora": numbers("corpora.txt", r"^ +10,000 .* (\d+) +\S+ +\S+$")
        + numbers("corpora.txt", r"^ +4,500,000 .* (\d+) +\S+ +\S+$"),
    }


def test_the_readme_shows_what_was_measured():
    part = (ROOT / "README.md").read_text("utf-8").split("## Measured")[1].split("\n## ")[0]
    shown = {}
    for row in re.findall(r"^\| (?!what|---)(.*) \|$", part, re.M):
        _, cell, command = row.split(" | ")
        numbers = re.findall(r"\d+(?:\.\d+)?", re.sub(r"`[^`]*`", "", cell))
        shown.setdefault(command.strip("`"), []).extend(numbers)
    assert shown == figures_of_the_readme()


def test_the_page_of_measurements_shows_every_record_and_says_which_command_wrote_it():
    page = (ROOT / "web" / "measured.md").read_text("utf-8")
    included = re.findall(r"^```\{(?:literal)?include\} results/(\S+)$", page, re.M)
    recorded = (ROOT / "benchmarks" / "results").glob("*.[tm][xd]*")
    assert sorted(included) == sorted(file.name for file in recorded if not file.stem.endswith("_quick"))
    named = re.findall(r"`(?:python -m benchmarks\.|benchmarks\.)?(\w+)[^`\n]*`", page)
    commands = {
        file.stem
        for file in (ROOT / "benchmarks").glob("*.py")
        if f"python -m benchmarks.{file.stem}" in file.read_text("utf-8")
    }
    assert len(commands) > 15 and commands <= {*named}
    assert all(score in page for score in figures_of_the_readme()["make notebooks ARGS=01_bottleneck"])
    for name in included:
        text = (ROOT / "benchmarks" / "results" / name).read_text("utf-8")
        assert re.match(r"20\d\d-\d\d-\d\d, .*, \d threads of \d cores, Python 3.*, torch 2", text), name
        assert re.search(r"^`?python -m benchmarks", text, re.M), name


def test_teacher_forcing_prints_speed_work_and_ratio(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(teacher_forcing, "RESULTS", tmp_path / "results" / "table.txt")
    monkeypatch.setattr(teacher_forcing, "load_reviews", lambda: load_reviews(2_000, 5, 5, 5))
    command = "--corpus reviews --hidden 96 --embed 8 --batch-tokens 900 --steps 2"
    monkeypatch.setattr("sys.argv", ["x", *command.split()])
    teacher_forcing.main()
    found = capsys.readouterr().out
    assert teacher_forcing.RESULTS.read_text() == found
    assert found.splitlines()[1] == f"python -m benchmarks.teacher_forcing {command}"
    part = found.split("hidden 96, 900 target tokens a batch\n")[1]
    rows = {line[:20].strip(): line[20:].split() for line in part.splitlines()[3:11]}
    assert rows["tutorial"][1] == rows["step by step"][2] == "1.0"
    assert float(rows["additive"][3]) > float(rows["dot"][3]) > float(rows["none"][3]) > 0
    for name in teacher_forcing.MODELS:
        assert 0 < float(rows[name][4]) < float(rows[name][5]), "a GRU alone is slower than a product"
    shares = dict(re.findall(r"(\w[a-zA-Z ]+) (\d+)%", part.split("additive: ")[1]))
    assert {"matrix products", "else"} < shares.keys() < {*machine.PARTS, "else"}
    assert int(shares["matrix products"]) > int(shares.get("dropout", 0)) and int(shares["else"]) < 40
    assert "choosing words" not in shares
    assert 95 <= sum(map(int, shares.values())) <= 105


def one_by_one(function, jobs, workers):
    return [function(**job) for job in jobs]


@pytest.fixture
def of_one_seed(monkeypatch, tmp_path):
    """Run a benchmark of a demo with one seed; `change` makes its lesson short. Gives its record."""

    def run(module, change):
        real = module.taught

        def taught(stem):
            names = real(stem)  # the globals of its functions
            change(names)
            return names

        monkeypatch.setattr(module, "taught", taught)
        monkeypatch.setattr(lessons, "in_parallel", one_by_one)
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results" / module.RESULTS.name)
        monkeypatch.setattr("sys.argv", ["x", "--seeds", "1"])
        module.main()
        record = json.loads(module.RESULTS.read_text())
        assert record["command"] == f"python -m {module.__name__} --seeds 1"
        assert all(run["seed"] == 0 for run in record["runs"])
        return record

    return run


def short(names, encoded=None):
    """Let a lesson's trainings end after two updates."""
    names["BUDGET"] |= {"updates": 2}
    names["encoded_reviews"] = (lambda: encoded) if encoded else names["encoded_reviews"]


def test_a_record_of_seeds_goes_on_where_it_stopped(monkeypatch, tmp_path):
    asked, path = [], tmp_path / "results" / "some.json"

    def at_once(function, jobs, workers):
        asked.append([(job["kind"], job["seed"]) for job in jobs])
        return [function(**job) for job in jobs]

    def record(seeds, settings):
        monkeypatch.setattr("sys.argv", ["x", "--seeds", str(seeds)])
        kinds = [{"kind": "a"}, {"kind": "b"}]
        lessons.record_seeds("About.", path, settings, kinds, lambda kind, seed: {"sum": kind + str(seed)}, 1)
        return json.loads(path.read_text())

    monkeypatch.setattr(lessons, "in_parallel", at_once)
    record(1, {"size": (1, 2)})
    record(2, {"size": (1, 2)})
    written = record(2, {"size": (1, 2)})
    assert asked == [[("a", 0), ("b", 0)], [("a", 1), ("b", 1)]], "what is there is not measured again"
    assert [run["sum"] for run in written["runs"]] == ["a0", "b0", "a1", "b1"]
    assert written["command"] == "python -m benchmarks.some --seeds 2"
    assert len(record(1, {"size": 3})["runs"]) == 2, "other settings make another record"


def test_demo_01_measures_every_width_and_way(of_one_seed, monkeypatch):
    encoded = teacher_forcing.EncodedCorpus(load_reviews(2_000, 20, 40, 40))
    monkeypatch.setattr(demo_01, "encoded_reviews", lambda: encoded)
    record = of_one_seed(demo_01, lambda names: short(names, encoded))
    kinds = zip(demo_01.KINDS, record["runs"], strict=True)
    assert all(kind.items() <= run.items() for kind, run in kinds)
    assert record["settings"]["updates"] == 2
    assert all(run["parameters"] > 40_000 and [*run["bleu"]] == [*"12345"] for run in record["runs"])


def test_demo_03_runs_the_lessons_own_functions_for_every_kind(of_one_seed):
    small = demo_03.encoded_reviews().corpus
    splits = {name: split[: 3_000 if name == "train" else 40] for name, split in small.splits.items()}
    encoded = teacher_forcing.EncodedCorpus(replace(small, splits=splits))
    record = of_one_seed(demo_03, lambda names: short(names, encoded))
    kinds = ["none", "dot", "scaled", "multiplicative", "additive"]
    assert [run["attention"] for run in record["runs"]] == kinds
    assert record["settings"]["updates"] == 2
    assert all(run["parameters"] > 100_000 and 0 <= run["rare"][3] <= 1 for run in record["runs"])


def test_demo_04_reads_sound_and_biased_models(of_one_seed):
    record = of_one_seed(demo_04, short)
    assert [run["biased"] for run in record["runs"]] == [False, True]
    assert record["settings"]["updates"] == 2 and record["settings"]["clauses"] == 3
    sound, biased = record["runs"]
    assert 0 < sound["error"] <= 1 and 0 <= sound["article_behind"] <= 1 and sound["largest_effect"] is None
    assert 0 <= biased["feminine"] <= 1 and 0 <= biased["masculine"] <= 1


def test_demo_06_runs_the_lessons_own_functions_for_every_model(of_one_seed, monkeypatch):
    small = teacher_forcing.EncodedCorpus(load_reviews(2_000, 20, 40, 40))

    def shorten(names):
        learn = names["learn"]
        names["learn"] = lambda seed, **changes: learn(seed, updates=2, **changes)
        short(names, small)

    monkeypatch.setattr(demo_06, "encoded_reviews", lambda: small)
    kinds = demo_06.taught(demo_06.LESSON)["KINDS"]
    runs = {run["name"]: run for run in of_one_seed(demo_06, shorten)["runs"]}
    assert [*runs] == [*kinds, "bahdanau", "Transformer"]
    assert len(runs["two looks, four heads"]["silenced"]) == 8 and len(runs["one look"]["silenced"]) == 1
    for look in [look for sentence in runs["two looks"]["pair"] for look in sentence]:
        assert sum(look) == pytest.approx(1, abs=0.001) and len(look) == 11
    assert [*runs["Transformer"]["bleu"]] == [*"123456"]


def test_demos_are_timed_one_by_one(monkeypatch, capsys, tmp_path):
    for name, text in ("01_a", "print(1)"), ("02_b", "import time; time.sleep(1.2)"):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(demos, "DEMOS", tmp_path)
    monkeypatch.setattr(demos, "RESULTS", tmp_path / "results" / "demos.txt")
    monkeypatch.setattr("sys.argv", ["x"])
    demos.main()
    text = capsys.readouterr().out
    assert demos.RESULTS.read_text() == text and "python -m benchmarks.demos" in text
    rows = {line.split()[0]: [int(n) for n in line.split()[1:]] for line in text.splitlines()[-3:]}
    assert [*rows] == ["01_a", "02_b", "all"] and 1 <= rows["02_b"][0] <= rows["all"][0]
    monkeypatch.setattr("sys.argv", ["x", "01_a"])
    monkeypatch.setattr(demos, "seconds", lambda lesson: (700.0, 900.0))
    demos.main()
    assert re.search(r"^01_a +700 +900\n02_b +[1-9]", demos.RESULTS.read_text(), re.M), "the other row stays"


def test_a_demo_that_fails_is_not_timed(monkeypatch, tmp_path):
    (tmp_path / "01_a.py").write_text("1 / 0")
    monkeypatch.setattr(demos, "DEMOS", tmp_path)
    monkeypatch.setattr(demos, "RESULTS", tmp_path / "results" / "demos.txt")
    monkeypatch.setattr("sys.argv", ["x"])
    with pytest.raises(CalledProcessError):
        demos.main()
    assert not demos.RESULTS.exists()


def test_counted_work_equals_the_arithmetic_of_a_plain_model():
    """Linear layers and GRUs by hand: two operations a weight and position, three times for training."""
    encoded = teacher_forcing.EncodedCorpus(load_reviews(50, 5, 5, 5))
    model = teacher_forcing.Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "none", 6, 10)
    batch = encoded.batch("train", range(7))
    src_positions, tgt_positions = int(batch.src_lengths.sum()), batch.tgt_in.numel()
    encoder = 2 * (6 + 5) * 3 * 5 * src_positions
    decoder = (6 + 10) * 3 * 10 * tgt_positions
    others = 10 * len(encoded.tgt_vocab) * tgt_positions + 10 * 10 * 7
    assert teacher_forcing.flops_of_products(model, batch) == (6 * (encoder + decoder), 6 * others)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_corpora_streams_each_size_and_prints_memory(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(corpora, "RESULTS", tmp_path / "results" / "table.txt")
    for language in ("de", "en"):
        (tmp_path / f"x.{language}").write_text("".join(f"{language} {n}\n" for n in range(700)), "utf-8")
    monkeypatch.setattr("sys.argv", ["x", "--pairs", "30", "900", "--text", str(tmp_path)])
    corpora.main()
    printed = capsys.readouterr().out
    assert corpora.RESULTS.read_text("utf-8") in printed
    rows = [[float(cell.replace(",", "")) for cell in line.split()] for line in printed.splitlines()[-3:-1]]
    assert [row[0] for row in rows] == [30, 900]
    for _, _, before, after, at_end, peak, *_ in rows:
        assert 30 < before < after <= peak and at_end <= peak


TINY = Settings(
    corpus="reviews",
    pairs=300,
    embed_dim=8,
    hidden_dim=16,
    updates=20,
    batch_tokens=300,
    validate_every=10,
    patience=0,
)


def few_reviews(train):
    return load_reviews(train, 20, 60, 5)


@pytest.fixture
def small_translation(monkeypatch, tmp_path):
    """The benchmark on few reviews with tiny models: a call of it in this process, which gives its record."""
    monkeypatch.setattr(train, "load_reviews", few_reviews)
    results = tmp_path / "results" / "translation.jsonl"
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "cache"))
    for name, value in {
        "RESULTS": results,
        "TEST": "test",
        "EDGES": (1, 10, 20, 200),
        "SEEDS": range(2),
        "BEAM": 2,
        "MODELS": ("none", "dot"),
        "DIRECTIONS": (("en", "fr"),),
        "BUDGET": TINY,
        "LONG": replace(TINY, updates=30),
    }.items():
        monkeypatch.setattr(translation, name, value)

    def run(*options):
        monkeypatch.setattr("sys.argv", ["x", "--workers", "1", *options])
        translation.main()
        return results

    return run


def test_translation_records_each_run_and_goes_on(small_translation, capsys, monkeypatch):
    results = small_translation("--only", "budget")
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert [(row["settings"]["model"], row["settings"]["seed"]) for row in rows] == [
        (model, seed) for seed in range(2) for model in ("none", "dot")
    ]
    assert all(row["updates"] == 20 and len(row["curve"]) == 2 for row in rows)
    parts = rows[0]["scores"]["greedy"]["by_length"]
    assert sum(part["sentences"] for part in parts) == len(encode_corpus(TINY).corpus["test"])

    first, *_ = results.read_text("utf-8").splitlines(keepends=True)
    results.write_text(first, "utf-8")  # as a kill leaves it, when models were trained and not recorded
    small_translation()
    again = list(translation.recorded(results).values())
    assert results.read_text("utf-8").startswith(first)
    assert [row["settings"] for row in again[:4]] == [row["settings"] for row in rows]
    assert [row["scores"] for row in again[:4]] == [row["scores"] for row in rows], "found, not trained anew"
    assert [row["settings"]["model"] for row in again[4:]] == ["additive", "none"]

    printed = capsys.readouterr().out
    assert results.with_suffix(".md").read_text("utf-8") in printed
    lines = [line.split(" | ") for line in printed.splitlines() if line.startswith("| no attention")]
    texts = [row["scores"]["greedy"]["text"]["score"] for row in again[:4:2]]
    middle, low, _ = translation.mean_interval(texts)
    assert lines[-1][1:3] == ["2", f"{middle:.1f} ± {middle - low:.1f}"]
    monkeypatch.setattr(translation, "measure", None)  # nothing is left to do
    small_translation()


def test_a_table_of_nothing_says_what_to_run(small_translation):
    with pytest.raises(SystemExit, match="nothing is recorded in .*translation.jsonl yet"):
        small_translation("--only", "none")


def test_the_tables_are_those_of_the_record():
    rows = translation.recorded(translation.RESULTS)
    written = translation.RESULTS.with_suffix(".md").read_text("utf-8")
    assert written.endswith(f"\n\n{translation.table(rows, translation.plan())}\n")


def test_minutes_to_a_score_are_those_of_the_first_validation_that_has_it():
    row = {"curve": [[10, 60.0, 20.0], [20, 120.0, 28.3], [30, 180.0, 25.0]]}
    assert translation.minutes_to(row) == 2 and translation.minutes_to(row, 30) is None


def test_minutes_are_of_the_first_validation_at_the_goal_or_the_best_score_stands_there(
    monkeypatch, tmp_path, capsys
):
    encoded = EncodedCorpus(load_reviews(400, 8, 5, 5))
    monkeypatch.setattr(minutes, "encoded_reviews", lambda: encoded)
    monkeypatch.setattr(minutes, "RESULTS", tmp_path / "results" / "minutes.json")
    monkeypatch.setattr(minutes, "ATTENTIONS", ("none", "dot"))
    monkeypatch.setattr(minutes, "SETTINGS", minutes.SETTINGS | {"updates": 4, "validate_every": 2})
    monkeypatch.setattr(lessons, "in_parallel", one_by_one)
    monkeypatch.setattr("sys.argv", ["x", "--seeds", "1"])
    minutes.main()
    record = json.loads(minutes.RESULTS.read_text("utf-8"))
    for run, name in zip(record["runs"], ("none", "dot"), strict=True):
        assert run["attention"] == name and [update for update, *_ in run["curve"]] == [2, 4]
        (_, first, _), (_, second, _) = run["curve"]
        assert 0 < first < second, "seconds of training add up"
    record["runs"][1]["curve"] = [[2, 30.0, 79.9], [4, 90.0, 80.0], [6, 120.0, 90.0]]
    record["runs"][0]["curve"] = [[2, 30.0, 12.34], [4, 90.0, 7.0]]
    lines = minutes.table(record, translation.recorded(translation.RESULTS)).splitlines()
    found = {line[:40].rstrip(): line[40:] for line in lines if len(line) > 40}
    assert found["no attention"] == "(12.3)" and found["dot"] == "1.50"
    assert float(found["de→en additive"]) == pytest.approx(translation.figures()["minutes"], abs=0.05)
    assert found["de→en no attention"].startswith("(2"), "no attention never has 28.3"
    assert minutes.RESULTS.with_suffix(".txt").read_text("utf-8") in capsys.readouterr().out


def test_the_quick_translation_is_a_part_of_the_whole():
    (quick,) = translation.plan(quick=True).values()
    assert [settings.model for settings in quick] == list(translation.MODELS)
    names = [settings.name for settings in quick]
    whole = translation.plan()
    assert not set(names) & {settings.name for part in whole.values() for settings in part}
    assert len(whole["budget"]) == 18 and len(whole["long"]) == 6


def test_gold_links_are_read_from_their_files(tmp_path):
    for name, text in {
        "de": "Das Haus\nja\n",
        "en": "the House\nyes\n",
        "de-en.align": "0-0 1?0 1-1\n\n",
    }.items():
        (tmp_path / f"europarl150.{name}").write_text(text, "utf-8")
    assert parliament.read_gold(tmp_path) == [
        (["das", "haus"], ["the", "house"], {(0, 0), (1, 1)}, {(1, 0)}),
        (["ja"], ["yes"], set(), set()),
    ]


def test_a_map_is_read_early_and_late_before_its_pieces_are_words():
    """Of "ab c", three pieces and the end token, looking at "x y" and its end token."""
    rows = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1]])
    pieces = {"src": ["▁x", "▁y"], "tgt": ["▁a", "b", "▁c"]}
    vocab = SimpleNamespace(encode=lambda tokens: [0] * len(tokens))

    def on_words(done):
        return replace(done, weights=map_on_words(done.weights, done.src_tokens, done.tokens)[0])

    encoded = SimpleNamespace(
        cut=lambda words, side: pieces[side], src_vocab=vocab, tgt_vocab=vocab, on_words=on_words
    )
    found = parliament.forced_links(lambda *_: (None, rows[None]), encoded, [(["x", "y"], ["ab", "c"])])
    assert found == {0: [{(1, 0), (0, 1)}], 1: [{(1, 0), (1, 1)}], -1: [{(0, 0), (1, 1)}]}


@pytest.fixture
def small_parliament(monkeypatch, tmp_path):
    """The measurements of real text, on reviews, whose links are known, with tiny models: the record."""
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(train, "load_reviews", few_reviews)
    test = few_reviews(300)["test"]
    gold = [
        (src.split(), tgt.split(), links, set())
        for src, tgt, links in zip(test.src, test.tgt, test.links, strict=True)
    ]
    monkeypatch.setattr(parliament, "SETTINGS", TINY)
    monkeypatch.setattr(parliament, "RESULTS", tmp_path / "results" / "parliament.json")
    monkeypatch.setattr(parliament, "serve_text", lambda *_: (300, "of_reviews"))
    monkeypatch.setattr(parliament, "read_gold", lambda _: gold)
    monkeypatch.setattr("sys.argv", ["x", "--updates", "20", "--seeds", "1", "--workers", "1"])
    parliament.main()
    return json.loads(parliament.RESULTS.read_text("utf-8"))


def test_parliament_serves_the_text_of_its_folder_under_a_name_of_its_own(tmp_path):
    server, names = SimpleNamespace(), ("europarl-v7", "news-2009", "newstest2013", "newstest2014")
    with pytest.raises(SystemExit, match="has no text for train, validation, test: .* --text"):
        parliament.serve_text(tmp_path, tmp_path, server)
    checksums = set()
    for word in ("Haus", "Baum", "Baum"):
        for name in names:
            (tmp_path / f"{name}.de").write_text(f"ein {word} in {name}\n\n", "utf-8")
            (tmp_path / f"{name}.en").write_text("a thing\nnone\n", "utf-8")
        pairs, checksum = parliament.serve_text(tmp_path, tmp_path, server)
        assert pairs == 2, "a pair with an empty side is not counted"
        checksums.add(checksum)
    assert len(checksums) == 2, "other text has another name, the same text the same"
    with pytest.raises(SystemExit, match="europarl150.de-en.align.* --gold"):
        parliament.read_gold(tmp_path)


def test_parliament_measures_alignment_and_length(small_parliament):
    record = small_parliament
    assert parliament.RESULTS.with_suffix(".txt").read_text("utf-8") == parliament.table(record) + "\n"
    assert 0 < record["baselines"]["IBM model 1, intersection"][0] < record["baselines"]["diagonal"][0] < 1
    settings = replace(TINY, model="additive")
    run = find_run(settings)
    (found,) = [run for run in record["runs"] if run["model"] == "additive"]
    gold = run.encoded.corpus["test"].links
    links = [hard_alignment(weights) for weights in forced_weights(run.model, run.encoded, "test")]
    error, low, high = found["error"]["0"]
    assert error == pytest.approx(alignment_error_rate(links, gold)) and low < error < high
    assert record["runs"][-1]["error"] is None, "without attention there is nothing to read"
    assert sum(sentences for *_, sentences in found["right"]) == len(gold)
    assert found["right"] != found["control"]


def test_right_tokens_are_counted_by_the_length_of_their_source(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    encoded = encode_corpus(TINY)
    model = make_model(TINY, encoded).eval()
    hits = {}
    for batch in encoded.batches("test", 1):  # one sentence each
        logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
        first = max(edge for edge in parliament.EDGES if edge <= batch.src_lengths.item() - 1)
        known = batch.tgt_out != UNK_ID
        hits.setdefault(first, []).extend((logits.argmax(-1) == batch.tgt_out)[known].tolist())
    expected = [[first, sum(right) / len(right)] for first, right in sorted(hits.items())]
    found = parliament.right_by_length(model, encoded, "test")
    assert [first for first, *_ in found] == [first for first, _ in expected]
    assert [share for *_, share, _ in found] == pytest.approx([share for _, share in expected])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_attention_prints_time_and_memory_and_the_four_ways_agree(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(attention, "RESULTS", tmp_path / "results" / "attention.txt")
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr("sys.argv", ["x", "--longest", "512", "--seconds", "0", "--most", "100"])
    attention.main()
    printed = capsys.readouterr().out
    assert attention.RESULTS.read_text("utf-8") in printed
    *_, longest = (line.split() for line in printed.splitlines() if re.match(r" +\d+ ", line))
    assert longest[0] == "512" and longest[5:7] == ["–", "–"], "what needs too much is left out"
    assert float(longest[8]) > 20 * float(longest[4]), "additive holds hidden times as much"
    kinds = attention.ways(8)
    tensors = [torch.randn(1, 5, 8) for _ in range(3)]
    results = {name: way(*tensors).flatten() for name, way in kinds.items()}
    torch.testing.assert_close(results["scaled dot"], results["PyTorch"])
    torch.testing.assert_close(results["additive, whole"], results["additive"])
    assert not torch.allclose(results["additive"], results["PyTorch"])


def test_decoding_times_one_by_one_and_batches(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(decoding, "RESULTS", tmp_path / "results" / "decoding.txt")
    monkeypatch.setattr(decoding, "load_reviews", lambda: load_reviews(300, 20, 20, 5))
    monkeypatch.setattr(decoding, "MODELS", ("transformer", "additive"))
    monkeypatch.setattr("sys.argv", ["x", "--sentences", "12", "--hidden", "16", "--updates", "3"])
    decoding.main()
    printed = capsys.readouterr().out
    assert decoding.RESULTS.read_text("utf-8") in printed
    _, table, shares = decoding.RESULTS.read_text("utf-8").split("\n\n")
    assert [re.findall(r"choosing words \d+%", line) != [] for line in shares.splitlines()] == [True, True]
    rows = [line.split()[-8:] for line in table.splitlines()[1:]]
    assert len(rows) == 2
    for one, batch, ratio, *_, greedy, beam in rows:
        assert float(ratio) == pytest.approx(float(batch) / float(one), rel=0.05, abs=0.06)
        assert greedy == beam == "100%"


def test_choices_measures_speed_and_what_equal_seconds_teach(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(choices, "RESULTS", tmp_path / "results" / "choices.txt")
    monkeypatch.setattr(choices, "in_parallel", one_by_one)
    monkeypatch.setattr(choices, "encoded_reviews", lambda: EncodedCorpus(few_reviews(300)))
    monkeypatch.setattr(
        "sys.argv", ["x", "--hidden", "8", "--turns", "1", "--seconds", "0.1", "--seeds", "2"]
    )
    choices.main()
    printed = capsys.readouterr().out
    assert choices.RESULTS.read_text("utf-8") == printed
    rows = {line[:28].strip(): line[28:].split() for line in printed.splitlines()}
    for precision in ("float32", "bfloat16"):
        for kind in ("1 thread", "2 threads", "2 trainings"):
            assert all(float(cell.replace(",", "")) > 0 for cell in rows[f"{precision}, {kind}"])
    updates = [int(rows[f"{tokens:,} tokens a batch"][0].replace(",", "")) for tokens in (300, 900, 2_700)]
    assert updates[0] >= updates[2] >= 1
    assert all(
        0 < float(loss) < 10 for tokens in ("300", "2,700") for loss in rows[f"{tokens} tokens a batch"][2:]
    )


def test_padding_is_the_share_of_cells_without_a_token():
    """Two lengths, 2 and 8 words a side: with the end token 3 and 9 cells, and four rows that fit into 36."""
    sentences = [" ".join("abcdefgh"[:length]) for length in (2, 8) * 4]
    corpus = Corpus("toy", "en", "fr", {"train": Split(sentences, sentences)}, "words", "none", "none")
    found = data.padding(data.EncodedCorpus(corpus), batch_tokens=36)
    assert found["buckets"] == (0, 0)
    src, tgt = found["random"]
    assert src == tgt > 0
    empty = {6 * short / (9 * 4) for short in range(4)}  # of four rows, those that are filled up
    assert any(src == pytest.approx((one + other) / 2) for one in empty for other in empty)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
def test_data_prints_speed_padding_and_memory(monkeypatch, capsys, tmp_path):
    def nothing():
        raise DataError("the file could not be downloaded")

    few = {"reviews": (lambda: load_reviews(400, 5, 5, 5), 1), "Multi30K": (nothing, 2)}
    monkeypatch.setattr(data, "CORPORA", few)
    monkeypatch.setattr(data, "RESULTS", tmp_path / "results" / "data.txt")
    monkeypatch.setattr("sys.argv", ["x", "--pairs", "200", "3000"])
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    data.main()
    printed = capsys.readouterr().out
    assert data.RESULTS.read_text("utf-8") in printed
    assert "Multi30K    not measured: the file could not be downloaded" in printed
    lines = [line.split() for line in printed.split("bytes a pair")[0].split("sentences/s")[-1].splitlines()]
    numbers = [
        [float(cell.strip("%").replace(",", "")) for cell in line if cell[0].isdigit()] for line in lines
    ]
    speeds, buckets, random = (row for line, row in zip(lines, numbers, strict=True) if "reviews" in line)
    assert 0 < speeds[-1] < min(speeds[:-1]), "all stages in turn take longer than each"
    assert buckets[0] < random[0] and buckets[1] < random[1] < 100
    sizes = [[float(cell.replace(",", "")) for cell in line.split()] for line in printed.splitlines()[-3:-1]]
    assert [pairs for pairs, *_ in sizes] == [200, 3000]
    _, text, ready, whole = sizes[1]
    assert 200 < ready < 5_000 and text > 0
    assert whole == pytest.approx(3_000 * (text + ready) / 2**20, abs=0.1)


def test_a_failure_in_a_fresh_process_is_raised_here():
    assert machine.fresh_process(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        machine.fresh_process(int, "x")


@pytest.fixture
def of_summary(monkeypatch, capsys, tmp_path):
    """Run the short form of some benchmarks, functions by their name: its exit status and its lines."""

    def run(benchmarks, rows, *names):
        monkeypatch.setattr(summary, "RESULTS", tmp_path / "results" / "bench.txt")
        monkeypatch.setattr(summary, "BENCHMARKS", benchmarks)
        monkeypatch.setattr(summary, "ROWS", rows)
        monkeypatch.setattr("sys.argv", ["x", *names])
        status, printed = summary.main(), capsys.readouterr().out
        assert summary.RESULTS.read_text("utf-8") == printed
        return status, {line[:56].strip(): line[56:] for line in printed.splitlines()[3:]}

    return run


def test_the_summary_says_which_aims_are_met(of_summary):
    status, lines = of_summary(
        {"padding": partial(dict, share=0.05, speed=19.9), "other": partial(dict, speed=20)},
        (
            summary.Row("padding", "share", "padding", "%", None, 0.05),
            summary.Row("padding", "share", "little padding", "%", None, 0.04),
            summary.Row("padding", "speed", "slow", "times", 20),
            summary.Row("other", "speed", "quick", "times", 20),
            summary.Row("other", "speed", "no aim"),
        ),
    )
    assert status == 0, "an aim that is not met is no failure"
    assert lines["padding"].split() == ["5.0%", "at", "most", "5.0%", "yes"]
    assert lines["little padding"].split()[-1] == "no"
    assert lines["slow"].split() == ["19.9", "times", "at", "least", "20.0", "times", "no"]
    assert lines["quick"].split()[-1] == "yes" and lines["no aim"].split() == ["20.0"]


def test_a_benchmark_that_fails_says_why_and_the_others_go_on(of_summary):
    status, lines = of_summary(
        {
            "broken": partial(int, "x"),
            "killed": partial(os._exit, 9),
            "whole": partial(dict, n=1),
            "half": partial(dict, n=1),
        },
        (
            summary.Row("broken", "n", "breaks", "", 1),
            summary.Row("killed", "n", "dies"),
            summary.Row("half", "m", "lacks"),
            summary.Row("whole", "n", "works", "", 1),
        ),
    )
    assert status == 1
    assert lines["breaks"].startswith("failed: ValueError: invalid literal") and "yes" not in lines["breaks"]
    assert lines["dies"].startswith("failed: BrokenProcessPool")
    assert lines["lacks"].startswith("failed: KeyError: 'm'")
    assert lines["works"].split()[-1] == "yes"


def test_the_summary_has_rows_for_every_benchmark_and_measures_those_that_are_named(of_summary, capsys):
    assert {row.benchmark for row in summary.ROWS} == set(summary.BENCHMARKS)
    assert any("GPU" in row.measure for row in summary.ROWS) == torch.cuda.is_available()
    benchmarks = {"first": partial(dict, n=1), "second": partial(int, "x")}
    rows = tuple(summary.Row(name, "n", name) for name in benchmarks)
    status, lines = of_summary(benchmarks, rows, "first")
    assert status == 0 and "second" not in lines
    with pytest.raises(SystemExit):
        of_summary(benchmarks, rows, "nothing")
    assert "there is no nothing" in capsys.readouterr().err


def test_the_short_forms_give_what_their_rows_say(monkeypatch, tmp_path):
    """At toy sizes; that of `start` is tested with its lessons."""

    def wanted(benchmark):
        return {row.figure for row in summary.ROWS if row.benchmark == benchmark}

    def few():
        return load_reviews(300, 20, 20, 5)

    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    for module in (decoding, data, summary):
        monkeypatch.setattr(module, "load_reviews", few)
    monkeypatch.setattr(data, "fresh_process", lambda *_: (2_500.0, 900.0))
    monkeypatch.setattr(summary, "STEPS", 1)
    small = partial(teacher_forcing.measure, embed=4, batch_tokens=60)
    monkeypatch.setattr(
        teacher_forcing,
        "measure",
        lambda encoded, hidden, batch_tokens, steps: small(encoded, 8, steps=steps),
    )
    found = summary.training()
    assert wanted("training") <= {*found}
    ratio = found["multiplicative, tokens_per_second, 1800"] / found["additive, tokens_per_second, 1800"]
    assert found["additive for multiplicative"] == pytest.approx(ratio)
    assert {*demos.figures()} == wanted("demos") and {*translation.figures()} == wanted("translation")
    assert {*data.figures()} == wanted("data")
    assert {*decoding.figures(8, 16, 2)} == wanted("decoding")
    if Path("/proc/self/status").exists():
        assert {*attention.figures(32, 4, 0)} == wanted("attention")
    monkeypatch.setattr(demos, "RESULTS", tmp_path / "none.txt")
    with pytest.raises(ValueError, match="01_bottleneck.* is not recorded"):
        demos.figures()


LESSON = """# %% [markdown]
# Nothing yet.

# %%
import math
from collections import OrderedDict as Ordered

# %%
class Figure:
    def _repr_html_(self):
        return '<figure><img alt="" src=""></figure>'

def plot_attention():
    return Figure()

Figure()

# %%
plot_attention()

# %%
1 / 0
"""


def test_start_runs_a_lesson_to_its_first_heat_map_and_no_further(monkeypatch, capsys, tmp_path):
    for name in (start.FIRST, "02_plain"):
        text = LESSON.replace("plot_attention()", "print()") if name == "02_plain" else LESSON
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(start, "DEMOS", tmp_path)
    monkeypatch.setattr(start, "RESULTS", tmp_path / "results" / "start.txt")
    monkeypatch.setattr("sys.argv", ["x", start.FIRST, "02_plain", "--turns", "1"])
    assert start.lesson_imports() == "import math\nfrom collections import OrderedDict as Ordered"
    start.main()
    printed = capsys.readouterr().out
    assert start.RESULTS.read_text("utf-8") == printed
    first, plain = (line.split() for line in printed.splitlines()[-2:])
    assert 0 < float(first[1]) <= float(first[2]) <= float(first[3])
    assert plain[3] == "–", "a lesson without a heat map is run to its first picture"
    with pytest.raises(SystemExit):
        monkeypatch.setattr("sys.argv", ["x", "03_none"])
        start.main()


def test_what_is_slow_to_import_is_named_by_our_modules_and_by_their_libraries(monkeypatch):
    """As Python lists it: what is imported stands above what imports it, and further in."""
    said = """\
import time:        50 |       9000 | torch
-
import time:       100 |        100 |       theirs.part
import time:       400 |        500 |     theirs
import time:        30 |         30 |     theirs.other
import time:        70 |        600 |   mine.sub
import time:        20 |         20 |   single
import time:        10 |        630 | mine
import time:         5 |          5 | theirs.late
"""
    monkeypatch.setattr(start, "_python", lambda *_: SimpleNamespace(stderr=said))
    found = dict(start.slowest("import mine", ours="mine"))
    assert found == pytest.approx({"theirs": 0.535, "mine.sub": 0.07, "single": 0.02, "mine": 0.01})
    assert [*found] == ["theirs", "mine.sub", "single", "mine"]


def test_importing_what_lessons_import_loads_nothing_that_is_needed_only_sometimes():
    """What draws, downloads, scores and cuts subwords is loaded where it is used."""
    late = (
        "matplotlib",
        "seaborn",
        "pandas",
        "requests",
        "sacrebleu",
        "datasets",
        "sklearn",
        "joblib",
        "IPython",
    )
    program = f"{start.lesson_imports()}\nimport sys\nprint(*(set(sys.modules) & set({late!r})))"
    assert start._python("-c", program).stdout.split() == []


def test_a_fresh_clone_is_installed_and_opened(monkeypatch, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "start.py").write_text("def waits(name): return {'heat map': len(name)}")
    install = f"mkdir -p .venv/bin && ln -s {sys.executable} .venv/bin/python && touch $@"
    (tmp_path / "Makefile").write_text(f".venv/.ready:\n\t{install}\n")
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for command in ("init", "-q"), ("add", "."), (*author, "commit", "-qm", "x"):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(start, "ROOT", tmp_path)
    took = start.from_clone()
    assert [*took] == ["clone", "install", "run"] and min(took.values()) > 0
    assert took["run"] == len("02_attention"), "what the clone itself says, without the start of Python"
