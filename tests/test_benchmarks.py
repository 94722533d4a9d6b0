"""The measurements run from end to end, here at toy sizes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from textwrap import indent

import nbformat
import pytest

from benchmarks import corpora, demo_03, demo_06, multi30k, teacher_forcing
from utils.data import Corpus, load_reviews

ROOT = Path(__file__).resolve().parents[1]


def test_the_readme_shows_what_was_measured():
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in ("scores.txt", "corpora.txt", "grading.txt", "teacher_forcing.txt"):
        recorded = (ROOT / "benchmarks" / "results" / name).read_text("utf-8")
        assert indent(recorded, "    ") in readme
    recorded = json.loads((ROOT / "benchmarks" / "results" / "multi30k.json").read_text("utf-8"))
    assert multi30k.table(recorded["rows"]).strip() in readme and recorded["machine"] in readme
    outputs = [
        output.get("text", "")
        for cell in nbformat.read(ROOT / "demo" / "01_bottleneck.ipynb", 4).cells
        for output in cell.get("outputs", [])
    ]
    (five,) = re.findall(r"^ +5 +201((?: +\d+\.\d){6})$", "".join(outputs), re.M)
    assert all(score in readme for score in five.split())


def test_teacher_forcing_prints_speed_work_and_ratio(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(teacher_forcing, "RESULTS", tmp_path / "results" / "table.txt")
    monkeypatch.setattr(teacher_forcing, "load_reviews", lambda: load_reviews(2_000, 5, 5, 5))
    monkeypatch.setattr("sys.argv", ["x", "--hidden", "96", "--embed", "8", "--steps", "2"])
    teacher_forcing.main()
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:16].strip(): line[16:].split() for line in lines if re.search(r"\d\.\d", line[16:])}
    assert rows["tutorial"][1] == rows["step by step"][2] == "1.0"
    assert float(rows["additive"][3]) > float(rows["dot"][3]) > float(rows["none"][3]) > 0
    assert all(0 < float(rows[name][4]) < 1 for name in ("additive", "dot", "none", "bahdanau"))


def test_demo_03_runs_the_lessons_own_functions_for_every_kind_and_seed(monkeypatch, tmp_path):
    small, real = demo_03.encoded_reviews().corpus, demo_03.taught
    splits = {name: split[: 3_000 if name == "train" else 40] for name, split in small.splits.items()}
    encoded = teacher_forcing.EncodedCorpus(replace(small, splits=splits))

    def taught(stem):
        names = real(stem)  # the globals of its functions
        names["BUDGET"]["updates"] = 2
        names["encoded_reviews"] = lambda: encoded
        return names

    monkeypatch.setattr(demo_03, "taught", taught)
    monkeypatch.setattr(demo_03, "in_parallel", lambda function, jobs, workers: [function(**j) for j in jobs])
    monkeypatch.setattr(demo_03, "RESULTS", tmp_path / "results" / "demo_03.json")
    monkeypatch.setattr("sys.argv", ["x", "--seeds", "1"])
    demo_03.main()
    record = json.loads(demo_03.RESULTS.read_text())
    kinds = ["none", "dot", "scaled", "multiplicative", "additive"]
    assert [(run["attention"], run["seed"]) for run in record["runs"]] == [(kind, 0) for kind in kinds]
    assert record["command"] == "python -m benchmarks.demo_03 --seeds 1"
    assert record["settings"]["updates"] == 2
    assert all(run["parameters"] > 100_000 and 0 <= run["rare"][3] <= 1 for run in record["runs"])


def test_demo_06_runs_the_lessons_own_functions_for_every_model_and_seed(monkeypatch, tmp_path):
    small, real = teacher_forcing.EncodedCorpus(load_reviews(2_000, 20, 40, 40)), demo_06.lessons.taught

    def lesson(path):
        taught = real(path)  # the globals of its functions
        learn = taught["learn"]
        taught["learn"] = lambda seed, **changes: learn(seed, updates=2, **changes)
        taught["BUDGET"]["updates"] = 2
        taught["encoded_reviews"] = lambda: small
        return taught

    monkeypatch.setattr(demo_06.lessons, "taught", lesson)
    monkeypatch.setattr(demo_06, "encoded_reviews", lambda: small)
    monkeypatch.setattr(demo_06, "in_parallel", lambda function, jobs, workers: [function(**j) for j in jobs])
    monkeypatch.setattr(demo_06, "RESULTS", tmp_path / "results" / "demo_06.json")
    monkeypatch.setattr("sys.argv", ["x", "--seeds", "1"])
    demo_06.main()
    record = json.loads(demo_06.RESULTS.read_text())
    assert record["command"] == "python -m benchmarks.demo_06 --seeds 1"
    runs = {run["name"]: run for run in record["runs"]}
    assert [*runs] == [*lesson(demo_06.LESSON)["KINDS"], "bahdanau", "Transformer"]
    assert len(runs["two looks, four heads"]["silenced"]) == 8 and len(runs["one look"]["silenced"]) == 1
    for look in [look for sentence in runs["two looks"]["pair"] for look in sentence]:
        assert sum(look) == pytest.approx(1, abs=0.001) and len(look) == 11
    assert [*runs["Transformer"]["bleu"]] == [*"123456"]


def test_counted_work_equals_the_arithmetic_of_a_plain_model():
    """Linear layers and GRUs by hand: two operations a weight and position, three times for training."""
    encoded = teacher_forcing.EncodedCorpus(load_reviews(50, 5, 5, 5))
    model = teacher_forcing.Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "none", 6, 10)
    batch = encoded.batch("train", range(7))
    src_positions, tgt_positions = int(batch.src_lengths.sum()), batch.tgt_in.numel()
    encoder = 2 * (6 + 5) * 3 * 5 * src_positions
    decoder = (6 + 10) * 3 * 10 * tgt_positions + 10 * len(encoded.tgt_vocab) * tgt_positions
    assert teacher_forcing.flops_of_products(model, batch) == 3 * 2 * (encoder + decoder + 10 * 10 * 7)


@pytest.fixture
def small_multi30k(monkeypatch, tmp_path):
    """Reviews in the shape of Multi30K, small models, and folders of the test's own."""

    def load(src, tgt, splits):
        reviews = load_reviews(400, 20, 60, 5)
        parts = dict(zip(splits, (reviews[name] for name in ("train", "valid", "test")), strict=True))
        return Corpus("small", src, tgt, parts, "moses", "none", "none")

    monkeypatch.setattr(multi30k, "load_multi30k", load)
    monkeypatch.setattr(multi30k, "SIZES", {"embed_dim": 8, "hidden_dim": 16, "dropout": 0.1})
    monkeypatch.setattr(multi30k, "RESULTS", tmp_path / "results" / "multi30k.json")
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "cache"))
    return tmp_path


def test_multi30k_trains_scores_records_and_goes_on(small_multi30k, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["x", "--epochs", "2"])
    multi30k.main()
    first = json.loads(multi30k.RESULTS.read_text())
    printed = capsys.readouterr().out
    assert [row["attention"] for row in first["rows"]] == ["none", "additive"]
    assert "nrefs:1|" in printed and "| none |" in printed and "| additive |" in printed
    assert sum(cell["sentences"] for cell in first["rows"][0]["by_length"]) == 60
    assert f"{first['rows'][1]['bleu']['score']:.1f} [" in printed
    multi30k.main()  # finished checkpoints are there: the same numbers, without training again
    again = json.loads(multi30k.RESULTS.read_text())
    assert again["rows"] == first["rows"]


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
