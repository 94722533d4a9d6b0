"""Benchmarks run at toy sizes, records say where they come from, and the texts quote the records."""

import gc
import json
import math
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import harness, profiling, summary
from benchmarks.quality import alignment, lessons, parliament, pretrained, similarity, translation
from benchmarks.speed import (
    attention,
    data,
    decoding,
    demos,
    grading,
    race,
    startup,
    streaming,
    teacher_forcing,
)
from tests.utils.test_transformer import torchs_layer
from utils import pretrained as checkpoints
from utils import runs
from utils.data import Corpus, Split, load_reviews, load_wmt14
from utils.data.download import DataError
from utils.metrics import alignment_error_rate, diagonal_links, hard_alignment
from utils.models import Seq2Seq, forced_weights, translate
from utils.runs import RunConfig, encode_corpus, find_run, make_model
from utils.subwords import map_on_words
from utils.text import UNK_ID, EncodedCorpus

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "benchmarks").glob("*/[!_]*.py"))
COMMANDS = [f"benchmarks.{file.parent.name}.{file.stem}" for file in FILES]
RECORDS = sorted(file.stem for file in harness.RESULTS.glob("*.json"))
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")


def few_reviews(train=300):
    return load_reviews(train, 20, 60, 5)


@pytest.fixture(scope="module")
def encoded():
    return EncodedCorpus(few_reviews())


def one_by_one(function, jobs, workers=None):
    return [function(**job) for job in jobs]


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Records and progress files go to a temporary folder, and everything runs in this process."""
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(harness, "PROGRESS", tmp_path / "progress")
    monkeypatch.setattr(harness, "in_parallel", one_by_one)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    gc.freeze()  # measurements of memory collect garbage, and the modules of the tests need not be searched
    yield tmp_path
    gc.unfreeze()


@pytest.fixture
def recorded(places, monkeypatch, capsys):
    """Run a benchmark's command line with --record: its record and its table."""

    def run(module, arguments="", name=None):
        monkeypatch.setattr("sys.argv", ["x", "--record", *arguments.split()])
        module.main()
        name = name or module.__name__.rpartition(".")[2]
        record, text = harness.read(name), (harness.RESULTS / f"{name}.txt").read_text("utf-8")
        assert record["command"] == f"python -m {module.__name__} {arguments}".rstrip()
        table = module.table(record)
        assert text == f"{harness.head(record)}\n\n{table}\n" and table in capsys.readouterr().out
        return record, table

    return run


# The harness


def counting(asked, kind, seed=0):
    asked.append((kind, seed))
    return {"sum": f"{kind}{seed}"}


@pytest.fixture
def toy(places, monkeypatch):
    """Run a toy benchmark with a command line: the jobs it measured and its record."""

    def run(arguments, kinds="ab", seeds=2, **facts):
        monkeypatch.setattr("sys.argv", ["x", *arguments.split()])
        asked, parser = [], harness.parser("benchmarks.speed.demos", "About.\n\nMore.", seeds)
        args = parser.parse_args()
        jobs = [{"kind": kind, "seed": seed} for seed in range(args.seeds or 1) for kind in kinds]
        table = lambda record: " ".join(run["sum"] for run in record["runs"])  # noqa: E731
        return asked, harness.run(args, partial(counting, asked), jobs, table, **facts)

    return run


def test_a_run_prints_its_table_and_writes_only_with_record(toy, capsys):
    toy("--seeds 1")
    assert capsys.readouterr().out.endswith("\n\na0 b0\n")
    assert not harness.RESULTS.exists()
    _, record = toy("--seeds 1 --record", pairs=7)
    assert harness.read("demos") == record
    assert record["command"] == "python -m benchmarks.speed.demos --seeds 1"
    assert record["pairs"] == 7
    assert (harness.RESULTS / "demos.txt").read_text("utf-8") == f"{harness.head(record)}\n\na0 b0\n"
    assert record["versions"]["torch"] == torch.__version__
    assert "benchmarks/speed/demos.py" in record["sources"]


def test_a_benchmark_with_seeds_resumes_where_it_stopped(toy):
    assert toy("--seeds 1")[0] == [("a", 0), ("b", 0)]
    asked, record = toy("--seeds 2")
    assert asked == [("a", 1), ("b", 1)], "jobs that are done are not measured again"
    assert [run["sum"] for run in record["runs"]] == ["a0", "b0", "a1", "b1"]
    assert toy("--seeds 1")[0] == []
    assert len(toy("--seeds 1", settings={"size": 3})[0]) == 2, "other settings start over"
    lines = [json.loads(line) for line in (harness.PROGRESS / "demos.jsonl").read_text("utf-8").splitlines()]
    for line in lines:
        line["key"][0] = "other code"
    (harness.PROGRESS / "demos.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", "utf-8")
    assert len(toy("--seeds 1")[0]) == 2, "other code starts over"


def test_add_keeps_the_runs_of_the_record_with_their_origin(toy):
    _, first = toy("--seeds 1 --add --record")
    (harness.PROGRESS / "demos.jsonl").unlink()
    asked, record = toy("--seeds 2 --add --record", kinds="b")
    assert asked == [("b", 1)]
    assert [run["sum"] for run in record["runs"]] == ["a0", "b0", "b1"]
    origin = harness.head(first)
    assert [run.get("origin") for run in record["runs"]] == [origin.splitlines()] * 2 + [None]
    text = (harness.RESULTS / "demos.txt").read_text("utf-8")
    command = "python -m benchmarks.speed.demos --seeds"
    assert origin.startswith(f"{command} 1\n") and text.startswith(f"{origin}\n{command} 2\n")
    _, last = toy("--seeds 1 --add", kinds="c")
    assert [run.get("origin", [""])[0][-1:] for run in last["runs"]] == ["1", "1", "2", ""]


def commit(folder):
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for command in ("init", "-q"), ("add", "."), (*author, "commit", "-qm", "x"):
        subprocess.run(["git", *command], cwd=folder, check=True)


@pytest.fixture
def project(monkeypatch, tmp_path):
    """A small project under git, in place of this one."""
    for name, text in {
        "main.py": "import torch\nfrom pack import near\nimport alone",
        "pack/__init__.py": "from pack.shallow import near",
        "pack/shallow.py": "def near():\n    from pack import deep",
        "pack/deep.py": "",
        "alone.py": "",
        "unused.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    commit(tmp_path)
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["x"])
    return tmp_path


def test_sources_are_what_a_file_imports_within_the_project(project):
    found = ["alone.py", "main.py", "pack/__init__.py", "pack/deep.py", "pack/shallow.py"]
    assert harness.source_files(project / "main.py") == found


def test_records_are_out_of_date_when_their_code_has_changed(project):
    record = harness.provenance(harness.parser("main", "About.").parse_args([]))
    assert "+changes" not in record["commit"]
    harness.write("some", record | {"runs": []}, "table")
    (project / "unused.py").write_text("changed")
    assert list(harness.stale()) == []
    (project / "pack" / "deep.py").write_text("changed = 1")
    (line,) = harness.stale()
    assert line == f"some: recorded at {record['commit']}, since then changed: pack/deep.py"
    dirty = harness.provenance(harness.parser("main", "About.").parse_args([]))
    assert dirty["commit"] == f"{record['commit']}+changes"
    assert dirty["code"] != record["code"]
    harness.write("some", dirty | {"runs": []}, "table")
    assert list(harness.stale()) == [], "measured with this change"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_options(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["x", "--help"])
    with pytest.raises(SystemExit) as ended:
        import_module(name).main()
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"python -m {name}" in printed
    assert "--record" in printed
    file = f"{name.replace('.', '/')}.py"
    assert file in harness.source_files(harness.ROOT / file)


def test_a_demo_that_does_not_exist_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["x", "03_none"])
    with pytest.raises(SystemExit):
        demos.main()
    assert "no demo is called 03_none: choose from 00_welcome" in capsys.readouterr().err


def test_copies_are_listed_and_twins_are_not(recorded):
    record, text = recorded(similarity, "--seeds 2 --students 20 --exercise 02_attention")
    run, held_out = record["runs"]
    both, results = run["code and results"], run["results alone"]
    assert both["verbatim listed"] >= 1 and both["false"] <= 1 < results["false"]
    assert results["verbatim listed"] == both["verbatim"] and both["pairs"] == 2 * (25 * 24 // 2 - 5)
    rows = [line.split()[:4] for line in text.splitlines() if line.startswith("all")]
    assert rows[0] == ["all", "2", str(both["pairs"]), str(both["false"])] and len(rows) == 6
    assert rows[3][3] == str(held_out["code and results"]["false"]) and held_out != run


def test_held_out_classes_have_no_answer_with_which_the_limits_were_chosen():
    for exercise in similarity.EXERCISES:
        name = similarity.named(exercise).tests[0][0]
        pools = [{one[2] for pool in similarity.answers(name, held)[1:] for one in pool} for held in (0, 1)]
        assert bool(pools[0] & pools[1]) == (exercise not in similarity.TUNED) and pools[1]


@pytest.mark.parametrize("kind", similarity.COPIES)
def test_a_disguised_copy_does_the_same(kind):
    source = "def f(x):\n    a = x + 1\n    b = x * 2  # twice\n    c = a - b\n    return c"
    found, names = similarity.disguised(source, kind, random.Random(0)), {}
    exec(found, names)
    assert names["f"](5) == -4
    assert (found == source) == (kind in ("verbatim", "half"))


# Records, and the texts that quote them


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_where_it_comes_from(name):
    record = harness.read(name)
    assert record["command"].startswith("python -m benchmarks")
    assert record["sources"]
    assert re.fullmatch(r"[0-9a-f]{7,}(\+changes)?", record["commit"])
    text = harness.RESULTS / f"{name}.txt"
    if text.exists():
        assert text.read_text("utf-8").startswith(harness.head(record) + "\n\n")


def test_the_readme_quotes_the_records():
    part = (ROOT / "README.md").read_text("utf-8").split("## Measured")[1].split("\n## ")[0]
    rows = re.findall(r"^\| .* \| (.*) \| `benchmarks\.\w+\.(\w+)([^`]*)` \|$", part, re.M)
    assert len(rows) > 6
    for measured, name, arguments in rows:
        record = f"demo_{arguments.strip()[:2]}" if name == "lessons" else name
        record = "presets" if "presets" in arguments else record
        text = (harness.RESULTS / f"{record}.txt").read_text("utf-8")
        numbers = map(float, re.findall(r"\d+(?:\.\d+)?", text))
        known = {f"{number:.{digits}f}" for number in numbers for digits in range(3)}
        assert set(re.findall(r"\d+(?:\.\d+)?", measured)) <= known, f"README differs from {record}.txt"


def test_the_page_of_measurements_shows_every_record_and_names_every_command():
    """Except those of the lessons, which show them themselves."""
    page = (ROOT / "web" / "measured.md").read_text("utf-8")
    included = re.findall(r"^```\{literalinclude\} results/(\S+)$", page, re.M)
    tables = {file.name for file in harness.RESULTS.glob("*.txt") if "demo_" not in file.name}
    assert sorted(included) == sorted(tables)
    assert set(COMMANDS) <= {*re.findall(r"`python -m (benchmarks\.\w+\.\w+)", page)}


# Speed


def test_counted_work_equals_the_arithmetic_of_a_plain_model():
    """Linear layers and GRUs by hand: two operations per weight and position, three times for training."""
    encoded = EncodedCorpus(load_reviews(50, 5, 5, 5))
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "initial", 6, 10)
    batch = encoded.batch("train", range(7))
    src_positions, tgt_positions = int(batch.src_lengths.sum()), batch.tgt_in.numel()
    encoder = 2 * (6 + 5) * 3 * 5 * src_positions
    decoder = (6 + 10) * 3 * 10 * tgt_positions
    others = (10 * len(encoded.tgt_vocab) + 20 * 10) * tgt_positions + 10 * 10 * 7
    assert teacher_forcing.flops_of_products(model, batch) == (6 * (encoder + decoder), 6 * others)


def test_teacher_forcing_prints_speed_work_and_ratios(recorded, monkeypatch, encoded):
    monkeypatch.setattr(teacher_forcing, "encoded_reviews", lambda: encoded)
    for name in ("matrix_product_flops", "gru_flops"):
        monkeypatch.setattr(teacher_forcing, name, partial(flops, 1e12 if name[0] == "m" else 1e11))
    record, text = recorded(teacher_forcing, "--hidden 128 --embed 8 --batch-tokens 300 --steps 2")
    rows = {line[:20].strip(): line[20:].split() for line in text.splitlines()[4:]}
    assert rows["tutorial"][1] == rows["step by step"][2] == "1.0"
    (run,) = record["runs"]
    for name in teacher_forcing.MODELS:
        of = run["models"][name]
        assert 0 < of["share_of_peak"] < of["share_of_limit"], "a GRU alone is slower than a product"
        assert of["times_loop"] == pytest.approx(
            of["tokens_per_second"] / run["models"]["step by step"]["tokens_per_second"]
        )
    work = [run["models"][name]["flops_per_token"] for name in ("additive", "dot")]
    assert work[0] > work[1] > 0
    assert {*run["parts"]} == {*profiling.PARTS, "else"}
    assert sum(run["parts"].values()) == pytest.approx(1)
    assert run["parts"]["matrix products"] > 0
    assert run["parts"]["else"] < 0.75
    spent = {part for part, share in run["parts"].items() if share > 0}
    assert {*profiling.PARTS, "else"} - spent == {"choosing words"}
    assert "choosing words" not in text
    monkeypatch.setattr(teacher_forcing, "measure", lambda *_, steps: run)
    found = teacher_forcing.figures(batch_tokens=(300,))
    ratio = found["multiplicative, tokens_per_second, 300"] / found["additive, tokens_per_second, 300"]
    assert found["additive for multiplicative"] == pytest.approx(ratio)


def flops(speed, *_):
    return speed


def test_a_race_has_a_line_for_each_model(recorded, monkeypatch, encoded):
    monkeypatch.setattr(race, "EMBED", 8)
    monkeypatch.setattr(race, "HIDDEN", 16)
    monkeypatch.setattr(race, "load_multi30k", few_reviews)
    names = ("torch.nn.Transformer", "Transformer")
    found = dict(zip(names, rivals(encoded), strict=True)), encoded
    monkeypatch.setitem(race.RACES, "Transformer", lambda: found)
    record, text = recorded(race, "--rounds 1")
    recurrent, _ = record["runs"]
    assert {"tutorial", "multiplicative", "additive"} <= recurrent["speed"].keys()
    of = {name: found["tokens_per_second"] for name, found in recurrent["speed"].items()}
    (times,) = re.findall(r"^additive +[\d,]+ +([\d.]+)", text, re.M)
    assert float(times) == pytest.approx(of["additive"] / of["tutorial"], abs=0.01)


def rivals(encoded):
    """Return a small `torch.nn.Transformer` and a small Transformer of the course, with the same weights."""
    sizes = {"hidden_dim": 16, "heads": 2, "ff_dim": 32, "layers": 2, "dropout": 0.0}
    words = {"src_vocab_size": len(encoded.src_vocab), "tgt_vocab_size": len(encoded.tgt_vocab)}
    return race.PyTorchTransformer(**words, **sizes), race.Transformer(**words, **sizes)


def test_the_rival_transformer_computes_the_same(encoded):
    theirs, ours = rivals(encoded)
    theirs.load_state_dict(ours.state_dict(), strict=False)  # embeddings and output layer
    for side in ("encoder", "decoder"):
        stack = getattr(theirs.blocks, side)
        stack.norm.load_state_dict(getattr(ours, f"{side}_norm").state_dict())
        for layer, block in zip(stack.layers, getattr(ours, side), strict=True):
            torchs_layer(layer, block)
    batch = encoded.batch("train", range(5))
    logits = [model(batch.src, batch.src_lengths, batch.tgt_in)[0] for model in (theirs, ours)]
    torch.testing.assert_close(*logits)


@linux
def test_attention_prints_time_and_memory_and_all_kinds_agree(recorded):
    _, text = recorded(attention, "--longest 256 --seconds 0 --most 30")
    longest = text.splitlines()[-1].split()
    assert [longest[0], *longest[5:7]] == ["256", "–", "–"], "a call that needs too much is left out"
    assert float(longest[8]) > 20 * float(longest[4]), "additive scores hold hidden times as much"
    tensors = [torch.randn(1, 5, 8) for _ in range(3)]
    results = {kind: attention.attention(kind, 8)(*tensors).flatten() for kind in attention.KINDS}
    torch.testing.assert_close(results["scaled dot"], results["PyTorch"])
    torch.testing.assert_close(results["additive, whole"], results["additive"])
    assert not torch.allclose(results["additive"], results["PyTorch"])


def test_decoding_compares_batches_with_one_by_one(recorded, monkeypatch, encoded):
    monkeypatch.setattr(decoding, "encoded_reviews", lambda: encoded)
    monkeypatch.setattr(decoding, "MODELS", ("tiny-transformer", "additive"))
    monkeypatch.setattr(decoding, "MAX_LEN", 12)
    record, text = recorded(decoding, "--sentences 6 --hidden 16 --updates 3")
    _, additive = record["runs"]
    assert additive["same"] == {"greedy": 1, "beam": 1}
    assert "100% 100%" in text
    assert all(parts["choosing words"] > 0 for parts in additive["parts"].values())
    one, batch, ratio = map(float, text.splitlines()[2].split()[-8:-5])
    assert ratio == pytest.approx(batch / one, rel=0.05, abs=0.06)
    assert {*decoding.figures(sentences=4, hidden=16, updates=2)} == {"greedy", "beam"}


def test_padding_is_the_share_of_cells_without_a_token():
    """Two lengths, 2 and 8 words per side: with the end token 3 and 9 cells, and four rows fit into 36."""
    sentences = [" ".join("abcdefgh"[:length]) for length in (2, 8) * 4]
    corpus = Corpus("toy", "en", "fr", {"train": Split(sentences, sentences)}, "words", "none", "none")
    found = data.padding(EncodedCorpus(corpus), batch_tokens=36)
    assert found["buckets"] == (0, 0)
    src, tgt = found["random"]
    assert src == tgt > 0
    empty = {6 * short / (9 * 4) for short in range(4)}  # of four rows, those that are filled up
    assert any(src == pytest.approx((one + other) / 2) for one in empty for other in empty)


@linux
def test_data_measures_speed_padding_and_memory(recorded, monkeypatch):
    def nothing():
        raise DataError("the file could not be downloaded")

    few = {"reviews": (lambda: load_reviews(400, 5, 5, 5), 1), "Multi30K": (nothing, 2)}
    monkeypatch.setattr(data, "CORPORA", few)
    record, text = recorded(data, "--pairs 3000")
    reviews, _, memory = record["runs"]
    assert "Multi30K    not measured: the file could not be downloaded" in text
    *each, together = reviews["speed"].values()
    assert 0 < together < min(each), "all stages together take longer than each"
    assert max(reviews["padding"]["buckets"]) < min(reviews["padding"]["random"]) < 1
    assert 200 < memory["ready"] < 5_000
    assert memory["text"] > 0


def test_demos_run_one_by_one_and_a_failure_is_not_recorded(recorded, monkeypatch, tmp_path):
    for name, text in ("01_a", "print(1)"), ("02_b", "import time; time.sleep(0.6)"):
        (tmp_path / f"{name}.py").write_text(text)
    for module in (demos, harness):
        monkeypatch.setattr(module, "DEMOS", tmp_path)
    monkeypatch.setattr(harness, "source_files", lambda *_: [])
    record, _ = recorded(demos)
    one, other = (run["seconds"] for run in record["runs"])
    assert one > 0
    assert other > 0.6  # it sleeps that long
    assert demos.figures() == {"minutes": (one + other) / 60}
    (tmp_path / "03_c.py").write_text("1 / 0")
    with pytest.raises(ValueError, match="03_c not recorded"):
        demos.figures()
    with pytest.raises(subprocess.CalledProcessError):
        recorded(demos)
    assert harness.read("demos") == record


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


def test_startup_runs_a_demo_to_its_first_heat_map_and_no_further(recorded, monkeypatch, tmp_path):
    for name in (startup.FIRST, "02_plain"):
        text = LESSON.replace("plot_attention()", "print()") if name == "02_plain" else LESSON
        (tmp_path / f"{name}.py").write_text(text)
    for module in (startup, harness):
        monkeypatch.setattr(module, "DEMOS", tmp_path)
    monkeypatch.setattr(harness, "source_files", lambda *_: [])
    assert startup.lesson_imports() == "import math\nfrom collections import OrderedDict as Ordered"
    _, text = recorded(startup, f"{startup.FIRST} 02_plain --turns 1")
    first, plain = (line.split() for line in text.splitlines()[-2:])
    assert 0 < float(first[1]) <= float(first[2]) <= float(first[3])
    assert plain[3] == "–", "a demo without a heat map runs to its first picture"


def test_importing_what_lessons_import_loads_nothing_that_is_rarely_needed():
    """Modules that draw, download, score or split words into pieces load where they are used."""
    late = "matplotlib seaborn pandas requests sacrebleu datasets sklearn joblib IPython"
    program = f"{startup.lesson_imports()}\nimport sys\nprint(*(set(sys.modules) & set({late!r}.split())))"
    assert startup.python(program).split() == []


def test_a_fresh_clone_is_installed_and_opened(monkeypatch, tmp_path):
    (tmp_path / "benchmarks" / "speed").mkdir(parents=True)
    (tmp_path / "benchmarks" / "speed" / "startup.py").write_text(
        "def waits(name): return {'heat map': len(name)}"
    )
    install = f"mkdir -p .venv/bin && ln -s {sys.executable} .venv/bin/python"
    (tmp_path / "Makefile").write_text(f"start:\n\t{install}\n.venv/%:\n\ttouch $@\n")
    commit(tmp_path)
    monkeypatch.setattr(startup, "ROOT", tmp_path)
    took = startup.from_clone()
    assert [*took] == ["clone", "install", "run"]
    assert min(took.values()) > 0
    assert took["run"] == len("02_attention"), "what the clone prints, without the start of Python"


@linux
@pytest.mark.slow
def test_streaming_measures_each_size_in_a_new_process(recorded, tmp_path):
    for language in ("de", "en"):
        (tmp_path / f"x.{language}").write_text("".join(f"{language} {n}\n" for n in range(700)), "utf-8")
    record, _ = recorded(streaming, f"--pairs 30 900 --text {tmp_path}")
    assert [run["loaded"] for run in record["runs"]] == [30, 900]
    for run in record["runs"]:
        before, after, at_end, peak = run["MB"]
        assert 30 < before < after <= peak >= at_end


@pytest.mark.slow
def test_both_graders_grade_a_class(recorded):
    record, text = recorded(grading, "--students 2 --large")
    (run,) = record["runs"]
    assert len(run["took"]) == 5
    assert all(seconds > 0 for seconds, _ in run["took"].values())
    assert re.search(r"^nbgrader autograde +2 .* 1\.0$", text, re.M)


# Quality


@pytest.mark.slow
@pytest.mark.parametrize("name", lessons.EXPERIMENTS)
def test_every_experiment_of_the_lessons_runs(recorded, monkeypatch, encoded, name):
    taught = lessons.taught

    def short(stem):
        names = taught(stem)
        if "BUDGETS" in names:
            names["BUDGETS"] = {task: kind | {"updates": 2} for task, kind in names["BUDGETS"].items()}
        elif "BUDGET" in names:
            names["BUDGET"] = names["BUDGET"] | {"updates": 2}
        else:  # no captions and films without a network
            names["CONFIGS"] = dict.fromkeys(names["CONFIGS"], TINY)
            names["OWN"]["reviews"] = ["the soup was cold"]
        return names

    monkeypatch.setattr(lessons, "taught", short)
    record_name = f"demo_{name[:2]}"
    monkeypatch.setattr("sys.argv", ["x", "--record", "--seeds", "1", name])
    lessons.main()
    record = harness.read(record_name)
    kinds = lessons.kinds(name, taught(name))
    assert all(kind.items() <= run.items() for kind, run in zip(kinds, record["runs"], strict=True))
    earlier = json.loads((ROOT / "benchmarks" / "results" / f"{record_name}.json").read_text("utf-8"))
    for run, before in zip(record["runs"], earlier["runs"], strict=False):
        assert run.keys() <= before.keys(), "the record lacks what the lesson reads"


def test_minutes_are_those_until_the_first_validation_with_the_score():
    curve = [[10, 60.0, 20.0], [20, 120.0, 28.3], [30, 180.0, 25.0]]
    assert pretrained.minutes_to(curve, 28.3) == 2
    assert pretrained.minutes_to(curve, 30) is None


def test_pretrained_models_are_stored_and_measured(recorded, monkeypatch, tmp_path):
    encoded = EncodedCorpus(load_reviews(300, 10, 40, 40))
    monkeypatch.setattr(pretrained, "encoded_reviews", lambda: encoded)
    monkeypatch.setattr(pretrained, "BUILD", tmp_path / "build")
    monkeypatch.setattr(pretrained, "RECURRENT", {"embed_dim": 8, "hidden_dim": 16})
    monkeypatch.setattr(pretrained, "BUDGET", pretrained.BUDGET | {"updates": 4})
    monkeypatch.setattr(pretrained, "SNAPSHOTS", {"additive": (0, 2)})
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path / "checkpoints")
    monkeypatch.setattr(checkpoints, "MODELS", ("initial", "additive"))
    checkpoints.FOLDER.mkdir()
    record, text = recorded(pretrained, "--seeds 1")
    stored = {file.stem.partition("-")[2] for file in checkpoints.FOLDER.glob("additive*")}
    assert stored == {"seed-0", "seed-0-update-0", "seed-0-update-2"}
    initial, additive = record["runs"]
    assert initial["error"] is None
    assert [snapshot["update"] for snapshot in additive["snapshots"]] == [0, 2]
    assert 0 <= additive["changed"] <= 1
    assert text.splitlines()[-2].startswith("additive")


TINY = RunConfig(
    corpus="reviews",
    pairs=300,
    embed_dim=8,
    hidden_dim=16,
    updates=6,
    batch_tokens=300,
    validate_every=3,
    patience=0,
)


@pytest.fixture
def tiny_runs(monkeypatch, tmp_path):
    """Trainings of `utils.runs` on few reviews, in a cache folder of their own, with short translations."""
    monkeypatch.setattr(runs, "load_reviews", few_reviews)
    monkeypatch.setattr(runs, "translate", partial(translate, max_len=10))
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "cache"))


def test_translation_trains_each_run_once(recorded, tiny_runs, monkeypatch):
    sizes = {"embed_dim": 8, "hidden_dim": 16, "batch_tokens": 300, "validate_every": 1, "patience": 0}
    for name, value in {
        "TEST": "test",
        "EDGES": (1, 10, 20, 200),
        "BEAM": 2,
        "MODELS": ("initial", "dot"),
        "DIRECTIONS": (("en", "fr"),),
        "BUDGET": TINY,
        "LONG": replace(TINY, updates=4),
        "PRESETS": {"small": {"corpus": "reviews", "pairs": 300, **sizes, "updates": 3, "average": 2}},
    }.items():
        monkeypatch.setattr(translation, name, value)
    record, text = recorded(translation, "--only budget --seeds 2")
    found = [(run["settings"]["model"], run["settings"]["seed"]) for run in record["runs"]]
    assert found == [("initial", 0), ("dot", 0), ("initial", 1), ("dot", 1)]
    assert all(run["updates"] == 6 and len(run["curve"]) == 2 for run in record["runs"])
    parts = record["runs"][0]["scores"]["greedy"]["by_length"]
    assert sum(part["sentences"] for part in parts) == len(encode_corpus(TINY).corpus["test"])
    texts = [run["scores"]["greedy"]["text"]["score"] for run in record["runs"][::2]]
    middle, low, _ = translation.mean_interval(texts)
    line = next(line for line in text.splitlines() if line.startswith("en→fr"))
    assert f"{middle:.1f} ± {middle - low:.1f}" in line

    trained = replace(TINY, model="dot").folder / runs.CHECKPOINT
    before = trained.stat().st_mtime_ns
    record, _ = recorded(translation, "--seeds 1")
    assert [run["settings"]["updates"] for run in record["runs"]] == [6, 6, 4, 4, 3]
    assert record["runs"][-1]["other_tests"] == {}, "the reviews have no other"
    assert trained.stat().st_mtime_ns == before, "a finished training is not repeated"
    presets, _ = recorded(translation, "--only presets --directions en-fr --seeds 1", "presets")
    assert presets["runs"] == record["runs"][-1:]


def test_the_quick_translation_is_shorter_than_all_others():
    (quick,) = translation.plan(quick=True).values()
    assert [settings.model for settings in quick] == list(translation.MODELS)
    whole = translation.plan()
    assert not {s.name for s in quick} & {s.name for part in whole.values() for s in part}
    assert len(whole["budget"]) == 18
    assert len(whole["long"]) == 6
    presets = [(settings.src, settings.tgt, settings.seed) for settings in whole["presets"]]
    assert len(presets) == 2 * (3 + 2)
    assert presets.count(("en", "de", 2)) == 2


def test_gold_links_are_read_from_their_files(tmp_path):
    with pytest.raises(SystemExit, match="europarl150.de-en.align.* --gold"):
        parliament.read_gold(tmp_path)
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


def test_a_map_is_read_early_and_late_before_its_pieces_become_words():
    """Of "ab c", three pieces and the end token, with weights on "x y" and its end token."""
    rows = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1]])
    pieces = {"src": ["▁x", "▁y"], "tgt": ["▁a", "b", "▁c"]}
    vocab = SimpleNamespace(encode=lambda tokens: [0] * len(tokens))

    def on_words(done):
        return replace(done, weights=map_on_words(done.weights, done.src_tokens, done.tokens)[0])

    encoded = SimpleNamespace(
        cut=lambda words, side: pieces[side], src_vocab=vocab, tgt_vocab=vocab, on_words=on_words
    )
    maps = parliament.forced_maps(lambda *_: (None, rows[None]), encoded, [(["x", "y"], ["ab", "c"])])
    found = {shift: [*map(hard_alignment, of)] for shift, of in maps.items()}
    assert found == {0: [{(1, 0), (0, 1)}], 1: [{(1, 0), (1, 1)}], -1: [{(0, 0), (1, 1)}]}


def test_parliament_stores_the_text_of_its_folder_for_the_loader(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="expected text for train, valid, test in .* --text"):
        parliament.store(tmp_path)
    folders = set()
    for word in ("Haus", "Baum", "Baum"):
        monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "cache"))
        for name in ("europarl-v7", "news-2009", "newstest2013", "newstest2014"):
            (tmp_path / f"{name}.de").write_text(f"ein {word} in {name}\n\n", "utf-8")
            (tmp_path / f"{name}.en").write_text("a thing\nnone\n", "utf-8")
        pairs = parliament.store(tmp_path)
        assert pairs == 2, "a pair with an empty side is not counted"
        read = load_wmt14(pairs=pairs)
        assert [*read["train"].src] == [f"ein {word} in europarl-v7", f"ein {word} in news-2009"]
        assert read["test"].src == [f"ein {word} in newstest2014"] and read["test"].tgt == ["a thing"]
        folders.add(os.environ["ATTENTION_DATA"])
    assert len(folders) == 2, "each text has its own folder"


def gold_of(split):
    """Return the pairs of a split in the form of `parliament.read_gold`."""
    columns = zip(split.src, split.tgt, split.links, strict=True)
    return [(src.split(), tgt.split(), links, set()) for src, tgt, links in columns]


def test_parliament_measures_alignment_and_length(recorded, tiny_runs, monkeypatch):
    """On reviews, whose links are known."""
    test = few_reviews()["test"]
    gold = gold_of(test)
    monkeypatch.setattr(parliament, "SETTINGS", TINY)
    monkeypatch.setattr(parliament, "store", lambda _: 300)
    monkeypatch.setattr(parliament, "read_gold", lambda _: gold)
    monkeypatch.setattr(parliament, "MODELS", ("additive", "initial"))
    record, _ = recorded(parliament, "--updates 20 --seeds 1")
    assert 0 < record["baselines"]["IBM model 1, intersection"][0] < record["baselines"]["diagonal"][0] < 1
    run = find_run(replace(TINY, model="additive", updates=20))
    found, without = record["runs"]
    links = [hard_alignment(weights) for weights in forced_weights(run.model, run.encoded, "test")]
    error, low, high = found["error"]["0"]
    assert error == pytest.approx(alignment_error_rate(links, test.links))
    assert low < error < high
    assert without["error"] is None, "without attention there is no map"
    assert sum(sentences for *_, sentences in found["right"]) == len(gold)
    assert found["right"] != found["control"]


def test_links_of_two_directions_grow_together_by_hand():
    """Common: (0, 0). (1, 1) is its neighbor; (1, 2) then links a new word; (4, 4) stands alone."""
    forward, backward = {(0, 0), (1, 1), (4, 4)}, {(0, 0), (1, 2), (0, 4)}
    joined = {(0, 0), (1, 1), (1, 2), (4, 4)}
    assert alignment.grow_diag_final_and(forward, backward) == joined
    assert alignment.grow_diag_final_and(backward, forward) == joined
    assert alignment.grow_diag_final_and(set(), {(2, 1)}) == {(2, 1)}


def test_guided_attention_asks_for_the_pieces_of_linked_words():
    """Of "ab c", three pieces, and "x y": the word "ab" is linked to both, "c" to nothing."""
    pieces = {"src": [[], ["▁x", "▁y"]], "tgt": [[], ["▁a", "b", "▁c"]]}
    encoded = SimpleNamespace(train_rows=[1], tokens=lambda _, side: pieces[side])
    batch = SimpleNamespace(rows=[1])
    weights = torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]]])
    weights.requires_grad_()
    found = alignment.GuidedAttention(encoded, [{(0, 0), (1, 0)}])(batch, weights)
    assert found.item() == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)
    shifted = alignment.GuidedAttention(encoded, [{(0, 0), (1, 0)}], shift=1)(batch, weights)
    assert shifted.item() == pytest.approx(-(math.log(0.25) + math.log(0.5) + 2 * math.log(0.1)) / 4)
    none = alignment.GuidedAttention(encoded, [set()])(batch, weights)
    assert none.item() == 0 and not torch.autograd.grad(none, weights)[0].any()


def test_alignment_reads_maps_and_guides_them(recorded, tiny_runs, monkeypatch):
    """On reviews, with an aligner that knows the links of training but links the test along the diagonal."""
    test, train = few_reviews()["test"][:12], few_reviews()["train"]
    gold = gold_of(test)

    class Aligner:
        def align(self, src, tgt, links_filename_fwd, links_filename_rev):
            pairs = zip(src[len(train) :], tgt[len(train) :], strict=True)
            links = [*train.links, *(diagonal_links(len(a.split()), len(b.split())) for a, b in pairs)]
            lines = [" ".join(f"{i}-{j}" for i, j in of) for of in links]
            for name in (links_filename_fwd, links_filename_rev):
                Path(name).write_text("\n".join(lines) + "\n", "utf-8")

    monkeypatch.setattr(alignment, "opposite", lambda settings: settings)  # reviews have one direction
    monkeypatch.setitem(sys.modules, "eflomal", SimpleNamespace(Aligner=Aligner))
    for name, value in {
        "SETTINGS": TINY,
        "store": lambda _: 300,
        "read_gold": lambda _: gold,
        "SAMPLES": 2,
    }.items():
        monkeypatch.setattr(alignment, name, value)
    record, text = recorded(alignment, "--updates 6 --seeds 1")
    plain = record["runs"][0]["errors"]
    assert plain.keys() == {"early", "own", "late", "both", "saliency"}
    assert all(low < error < high for error, low, high in plain.values())
    run = find_run(TINY)
    links = [hard_alignment(weights) for weights in forced_weights(run.model, run.encoded, "test")[:12]]
    assert plain["own"][0] == pytest.approx(alignment_error_rate(links, test.links))
    assert record["baselines"]["eflomal"] == record["baselines"]["diagonal"]
    guided = {name: error for run in record["runs"][1:] for name, error in run["errors"].items()}
    assert guided.keys() == {"guided", "guided_late"} and "pip install" not in text

    monkeypatch.setitem(sys.modules, "eflomal", None)
    record, text = recorded(alignment, "--updates 6 --seeds 1")  # resumes the models of before
    assert len(record["runs"]) == 1 and "pip install eflomal" in text


def test_correct_tokens_are_counted_by_the_length_of_their_source(tiny_runs):
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


# The short table


@pytest.fixture
def short_table(places, monkeypatch, capsys):
    """Run the short form of some benchmarks, functions by name: its exit status and its lines by label."""

    def run(benchmarks, rows, *arguments):
        monkeypatch.setattr(summary, "BENCHMARKS", benchmarks)
        monkeypatch.setattr(summary, "ROWS", rows)
        monkeypatch.setattr("sys.argv", ["x", *arguments])
        status, printed = summary.main(), capsys.readouterr().out
        return status, {line[:56].strip(): line[56:] for line in printed.splitlines()[3:]}

    return run


def test_the_short_table_says_which_aims_are_met(short_table):
    status, lines = short_table(
        {"padding": partial(dict, share=0.05, speed=19.9), "other": partial(dict, speed=20)},
        (
            summary.Row("padding", "share", "padding", "%", None, 0.05),
            summary.Row("padding", "share", "little padding", "%", None, 0.04),
            summary.Row("padding", "speed", "slow", "times", 20),
            summary.Row("other", "speed", "not named"),
        ),
        "padding",
        "--record",
    )
    assert status == 0, "a missed aim is no failure"
    assert lines["padding"].split() == ["5.0%", "at", "most", "5.0%", "yes"]
    assert lines["little padding"].split()[-1] == "no"
    assert "not named" not in lines
    assert lines["slow"].split() == ["19.9", "times", "at", "least", "20.0", "times", "no"]
    assert "little padding" in (harness.RESULTS / "bench.txt").read_text("utf-8")


def test_a_benchmark_that_fails_says_why_and_the_others_go_on(short_table):
    names = ("broken", "killed", "half", "whole")
    functions = (partial(int, "x"), partial(os._exit, 9), partial(dict, n=1), partial(dict, m=1))
    rows = tuple(summary.Row(name, "m", name, "", 1) for name in names)
    status, lines = short_table(dict(zip(names, functions, strict=True)), rows)
    assert status == 1
    assert lines["broken"].startswith("failed: ValueError: invalid literal")
    assert "yes" not in lines["broken"]
    assert lines["killed"].startswith("failed: BrokenProcessPool")
    assert lines["half"].startswith("failed: KeyError: 'm'")
    assert lines["whole"].split()[-1] == "yes"


def test_the_short_table_has_rows_for_every_benchmark(monkeypatch, encoded):
    figures = {}
    for row in summary.ROWS:
        figures.setdefault(row.benchmark, set()).add(row.figure)
    assert figures.keys() == summary.BENCHMARKS.keys()
    assert any("GPU" in row.label for row in summary.ROWS) == torch.cuda.is_available()
    assert {*translation.figures()} == figures["translation"]
    assert {*demos.figures()} == figures["demos"]
    monkeypatch.setattr(data, "CORPORA", {"reviews": (few_reviews, 1)})
    monkeypatch.setattr(data, "fresh_process", lambda *_: (2_500.0, 900.0))
    assert {*data.figures()} == figures["data"]
    monkeypatch.setattr("sys.argv", ["x", "nothing"])
    with pytest.raises(SystemExit):
        summary.main()


def test_the_stale_records_are_listed(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["x", "--stale"])
    monkeypatch.setattr(harness, "stale", lambda: ["some: recorded at abc"])
    assert summary.main() == 0
    assert capsys.readouterr().out == "some: recorded at abc\n"
