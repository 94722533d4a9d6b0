"""The measurements run from end to end, here at toy sizes."""

import json
import re
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError
from textwrap import indent

import nbformat
import pytest

from benchmarks import corpora, demo_01, demo_03, demo_04, demo_06, demos, lessons, multi30k, teacher_forcing
from utils.data import Corpus, load_reviews

ROOT = Path(__file__).resolve().parents[1]


def test_the_readme_shows_what_was_measured():
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in ("scores.txt", "corpora.txt", "grading.txt", "teacher_forcing.txt", "demos.txt"):
        recorded = (ROOT / "benchmarks" / "results" / name).read_text("utf-8")
        assert indent(recorded, "    ") in readme
    recorded = json.loads((ROOT / "benchmarks" / "results" / "multi30k.json").read_text("utf-8"))
    assert multi30k.table(recorded["rows"]).strip() in readme and recorded["machine"] in readme
    outputs = [
        output.get("text", "")
        for cell in nbformat.read(ROOT / "demo" / "01_bottleneck.ipynb", 4).cells
        for output in cell.get("outputs", [])
    ]
    (five,) = re.findall(r"^ +5 +201((?: +\d+\.\d){4})$", "".join(outputs), re.M)
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
