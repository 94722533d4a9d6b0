"""Runs that are stopped in every way and resumed, alone and together; small, on the reviews."""

import errno
import itertools
import multiprocessing
import os
import re
import signal
import socket
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import filelock
import numpy as np
import pytest
import torch

from tests.utils.test_training import check_same
from utils import cli_train, runs, training
from utils.data import Corpus, Split, load_reviews
from utils.data.download import DataError
from utils.models import TiedEmbedding, translate
from utils.runs import MODELS, PRESETS, RunConfig, encode_corpus, evaluate, find_run, train_run
from utils.training import History, load_checkpoint, validation_loss

SMALL = RunConfig(
    corpus="reviews",
    pairs=300,
    embed_dim=8,
    hidden_dim=16,
    model="dot",
    dropout=0.3,
    updates=30,
    batch_tokens=60,  # some batches have one pair
    learning_rate=0.01,
    validate_every=10,
    patience=0,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Store runs in a new folder. Train on one thread, on reviews with small validation and test splits.

    Translations end after ten words, which models of a few updates would not do on their own.
    """
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    monkeypatch.setattr(runs, "translate", partial(translate, max_len=10))
    monkeypatch.setattr(runs, "load_reviews", partial(load_reviews, valid=12, test=8, long=0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # OpenMP's threads aren't forked, and their number changes the last bits
    yield tmp_path / "runs"
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the checkpoint of a run that is never stopped, by configuration."""
    done = {}

    def checkpoint(config):
        if config not in done:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ATTENTION_DATA", str(tmp_path_factory.mktemp("undisturbed")))
                assert train_run(config, progress=False).finished
                done[config] = load_checkpoint(config.folder / "checkpoint.pt")
        return done[config]

    return checkpoint


@pytest.fixture
def started(folder):
    """Train for seven updates and return the folder of the run."""
    assert train_run(SMALL, limit=7, progress=False).update == 7
    return SMALL.folder


def finish(config, undisturbed):
    """Resume a run, and compare it with one that was never stopped."""
    run = train_run(config, progress=False)
    assert run.finished and run.history.rows == History.read(config.folder / "log.jsonl").rows
    check_same(load_checkpoint(config.folder / "checkpoint.pt"), undisturbed(config))
    assert not list(config.folder.glob("*.partial"))


def arguments(config):
    """Return the options of the command line for a configuration."""
    given = {name.replace("_", "-"): value for name, value in asdict(config).items() if value is not None}
    switches = {True: "--{}", False: "--no-{}"}
    return [
        part
        for name, value in given.items()
        for part in ([switches[value].format(name)] if isinstance(value, bool) else [f"--{name}", str(value)])
    ]


def call_main(monkeypatch, *options, **changes):
    monkeypatch.setattr("sys.argv", ["cli_train", *arguments(replace(SMALL, **changes)), *options])
    cli_train.main()


def fill_disk(monkeypatch, name):
    """Make it fail to replace a file that has `name` in its name."""
    move = os.replace

    def fail(partial, path):
        if name in Path(path).name:
            raise OSError(errno.ENOSPC, "No space left on device")
        move(partial, path)

    monkeypatch.setattr(os, "replace", fail)


def in_child(function, *args):
    """Start a function in a fork of this process, which shares all modules and patches of the test."""
    process = multiprocessing.get_context("fork").Process(target=function, args=args)
    process.start()
    return process


def test_calls_with_a_limit_end_where_one_call_ends(undisturbed):
    assert find_run(SMALL) is None
    first = train_run(SMALL, limit=7, progress=False)
    assert (first.update, first.best, first.history.rows, first.finished) == (7, None, [], False)
    second = train_run(SMALL, limit=4, progress=False)
    assert second.update == 11 and second.best["update"] == 10
    finish(SMALL, undisturbed)
    seconds = find_run(SMALL).history.column("seconds")
    train_run(SMALL, progress=False)  # nothing is left to do
    assert find_run(SMALL).history.column("seconds") == seconds


@pytest.mark.parametrize(
    ("number", "function", "calls", "saved"),
    [(signal.SIGTERM, (training, "update"), 14, 14), (signal.SIGKILL, (torch, "save"), 2, 10)],
)
def test_a_killed_run_resumes_to_the_same_result(number, function, calls, saved, undisturbed, monkeypatch):
    """By a request to stop during an update, or at once while it writes its second checkpoint."""
    original, count = getattr(*function), itertools.count(1)

    def kill(*args):
        result = original(*args)
        if next(count) == calls:
            os.kill(os.getpid(), number)
        return result

    def train():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        monkeypatch.setattr(*function, kill)
        train_run(SMALL, progress=False)

    killed = in_child(train)
    killed.join()
    assert killed.exitcode == -number
    assert len(list(SMALL.folder.glob("checkpoint.pt.*.partial"))) == (number == signal.SIGKILL)
    assert find_run(SMALL).update == saved
    finish(SMALL, undisturbed)


def test_two_processes_train_the_model_of_one(undisturbed, monkeypatch, capfd):
    """With the variables that torchrun sets. The first updates are done by one process."""
    config = replace(SMALL, dropout=0.0, label_smoothing=0.1, updates=20)
    counts = [len(chunk) for chunk in encode_corpus(config).chunks("train", config.batch_tokens, 0)]
    assert 1 in counts and any(count % 2 for count in counts if count > 1)  # unequal shares, or none
    alone = undisturbed(config)
    train_run(config, limit=7, progress=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    variables |= {"TORCHELASTIC_RUN_ID": "test", "GLOO_SOCKET_IFNAME": "lo"}

    def train(rank):
        os.environ.update(variables, RANK=str(rank), LOCAL_RANK=str(rank))
        call_main(monkeypatch, "--beam-size", "1", **asdict(config))

    processes = [in_child(train, rank) for rank in range(2)]
    for process in processes:
        process.join(120)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0], capfd.readouterr().err
    assert capfd.readouterr().out.count("20 of 20 updates") == 1  # one process writes
    found = load_checkpoint(config.folder / "checkpoint.pt")
    assert len(found["random"]) == 2
    for row, expected in zip(found["history"], alone["history"], strict=True):
        assert (row["update"], row["target_tokens"]) == (expected["update"], expected["target_tokens"])
        for name in ("train_loss", "valid_loss"):
            assert row[name] == pytest.approx(expected[name], rel=1e-4)
    for name, weights in alone["model"].items():
        assert torch.allclose(found["model"][name], weights, atol=1e-3), name


def test_a_run_has_the_weights_of_its_best_validation(monkeypatch):
    scores = iter([1.0, 3.0, 2.0])
    monkeypatch.setattr(runs, "validation_bleu", lambda model, encoded: next(scores))
    run = train_run(SMALL, progress=False)
    assert run.best["update"] == 20 and run.best["valid_bleu"] == 3.0 and run.update == 30
    saved = load_checkpoint(SMALL.folder / "checkpoint.pt")
    check_same(dict(run.model.state_dict()), dict(saved["best"]["model"]))
    assert any(not torch.equal(last, saved["best"]["model"][name]) for name, last in saved["model"].items())
    assert validation_loss(run.model, run.encoded) == pytest.approx(run.best["valid_loss"])


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_translates(model):
    config = replace(SMALL, model=model, pairs=60, layers=1, heads=2, ff_dim=8, subwords=60)
    run = train_run(config, limit=1, progress=False)
    assert run.update == 1 and not run.model.training
    result = evaluate(run.model, run.encoded, "valid", beam_size=2, n_bootstrap=2)
    assert len(result.translations) == result.bleu.sentences == result.tokenized_bleu.sentences == 12


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_trains_and_resumes_smaller(preset, undisturbed):
    """Tied embeddings, its schedule and averaged weights, with the sizes of a test."""
    small = {"embed_dim": 16, "hidden_dim": 16, "ff_dim": 8, "layers": 1, "subwords": 60, "pairs": 60}
    few = {"updates": 12, "batch_tokens": 80, "validate_every": 3, "average": 3}
    config = RunConfig(**PRESETS[preset] | small | few | {"corpus": "reviews"})
    run = train_run(config, limit=7, progress=False)
    embedding = next(part for part in run.model.modules() if isinstance(part, TiedEmbedding))
    assert sum(embedding.weight is weights for weights in run.model.parameters()) == 1
    assert run.encoded.src_vocab.tokens == run.encoded.tgt_vocab.tokens
    assert len(load_checkpoint(config.folder / "checkpoint.pt")["recent"]) == 2
    finish(config, undisturbed)


def test_the_command_refuses_what_contradicts_a_preset(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cli_train", "--preset", "tiny-transformer", "--layers", "6"])
    with pytest.raises(SystemExit) as stop:
        cli_train.main()
    assert stop.value.code == 2
    assert "--layers 6 contradicts --preset tiny-transformer, which sets 4: leave" in capsys.readouterr().err


def test_every_setting_that_changes_the_result_has_its_own_folder():
    changes = ({"seed": 1}, {"dropout": 0.1}, {"model": "additive"}, {"subwords": 80}, {"updates": 31})
    assert len({SMALL.folder} | {replace(SMALL, **change).folder for change in changes}) == 6
    assert replace(SMALL, patience=3, validate_every=5).folder == SMALL.folder
    counted = replace(SMALL, updates=np.int64(30), max_norm=np.float32(1), seed=np.uint8(0))
    assert counted == SMALL and counted.folder == SMALL.folder and type(counted.updates) is int
    assert replace(SMALL, max_norm=1) == SMALL and replace(SMALL, max_norm=1).folder == SMALL.folder


def test_the_greatest_seed_trains():
    assert train_run(replace(SMALL, seed=2**32 - 1), limit=1, progress=False).update == 1


def test_another_vocabulary_raises_and_nothing_is_lost(started, monkeypatch):
    before = (started / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(runs, "load_reviews", partial(load_reviews, seed=1, valid=12, test=8, long=0))
    runs._encode.cache_clear()
    with pytest.raises(ValueError, match=r"other settings \(vocabulary: saved"):
        train_run(SMALL, progress=False)
    with pytest.raises(ValueError, match="another vocabulary"):
        find_run(SMALL)
    runs._encode.cache_clear()
    assert (started / "checkpoint.pt").read_bytes() == before


def test_a_full_disk_keeps_the_older_files(started, undisturbed, monkeypatch):
    files = [started / name for name in ("checkpoint.pt", "log.jsonl")]
    before = [file.read_bytes() for file in files]
    with monkeypatch.context() as patch:
        fill_disk(patch, "checkpoint")
        with pytest.raises(DataError, match="no room left in .*: free"):
            train_run(SMALL, progress=False)
    assert [file.read_bytes() for file in files] == before and not list(started.glob("*.partial"))
    finish(SMALL, undisturbed)


def test_unreadable_and_unwritable_folders_are_explained(started, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", refuse)
        for call in (train_run, find_run):
            with pytest.raises(DataError, match=r"the run could not be read .*\(Permission denied\): set"):
                call(SMALL)
    assert find_run(SMALL).update == 7
    monkeypatch.setenv("ATTENTION_DATA", str(started / "log.jsonl"))
    with pytest.raises(DataError, match="set ATTENTION_DATA to a folder that you may write to"):
        train_run(SMALL, progress=False)


OLDER = [(train_run, "another format"), (find_run, "the course has changed")]


@pytest.mark.parametrize(("call", "message"), OLDER)
def test_a_checkpoint_of_an_older_version_raises(started, call, message):
    torch.save({"step": 7}, started / "checkpoint.pt")
    with pytest.raises(ValueError, match=f"checkpoint.pt.*{message}"):
        call(SMALL)


@pytest.mark.parametrize("limit", [0, 2.5, "7"])
def test_a_limit_is_a_number_of_updates(limit, folder):
    with pytest.raises(ValueError, match=f"limit: expected a number of updates of at least 1, got {limit!r}"):
        train_run(SMALL, limit=limit)
    assert not folder.exists()


def test_two_programs_do_not_train_one_run():
    SMALL.folder.mkdir(parents=True)
    with filelock.FileLock(SMALL.folder / "lock"), pytest.raises(ValueError, match="another program trains"):
        train_run(SMALL, progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corpus": "books"}, "corpus: expected one of reviews, multi30k, wmt14, opensubtitles, got 'books'"),
        ({"model": "magic"}, "model: expected one of initial, fixed, dot, .*, transformer, got 'magic'"),
        ({"src": "de"}, "the reviews are from en to fr, got de to fr"),
        ({"corpus": "multi30k", "src": "fr"}, "choose two different languages"),
        ({"updates": 0}, "updates: expected an integer of at least 1, got 0"),
        ({"updates": 1.5}, "updates: expected an integer of at least 1, got 1.5"),
        ({"updates": None}, "updates: expected an integer of at least 1, got None"),
        ({"dropout": 1.0}, "dropout: expected a number of at least 0 and below 1, got 1.0"),
        ({"learning_rate": 0.0}, "learning_rate: expected a number above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0, got nan"),
        ({"max_norm": float("inf")}, "max_norm: expected a number above 0, got inf"),
        ({"hidden_dim": 17}, "hidden_dim: expected an even number, got 17"),
        ({"model": "transformer", "heads": 3}, "expected a multiple of 3 heads, got 16"),
        ({"seed": 2**32}, "seed: expected an integer of at least 0 and below 4294967296, got 4294967296"),
        ({"seed": np.bool_(True)}, "seed: expected an integer .* got"),
        ({"corpus": ["reviews"]}, r"corpus: expected one of .*, got \['reviews'\]"),
        ({"schedule": "flat"}, "schedule: expected one of one_cycle, inverse_sqrt, got 'flat'"),
        ({"shared": 1}, "shared: expected True or False, got 1"),
        ({"shared": True, "embed_dim": 8}, "embed_dim: with shared it must equal hidden_dim, 16, got 8"),
        ({"src": 5}, "src: expected a language code such as 'en', got 5"),
        ({"tgt": 0}, "tgt: expected a language code such as 'fr', got 0"),
    ],
)
def test_invalid_settings_raise(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "magic"], "model: expected one of initial, fixed"),
        (["--dropout", "much"], "argument --dropout: invalid float value: 'much'"),
        (["--limit", "0"], "limit: expected a number of updates of at least 1, got 0"),
        (["--beam-size", "5", "0"], "beam-size: expected a number of at least 1, got 0"),
        (["--length-penalty", "nan"], "to 10, got nan"),
        (["--length-penalty", "inf"], "to 10, got inf"),
        (["--length-penalty", "-1"], "to 10, got -1.0"),
        (["--seed", str(2**32)], "seed: expected an integer of at least 0 and below 4294967296"),
        (["--subwords", str(2**31)], "expected 1 to "),
        (["--split", "valid", "nest"], "no split 'nest': choose from train, valid, test, long"),
        (["--max-tokens", "1"], "raise max_tokens"),
    ],
)
def test_invalid_options_are_explained(options, message, monkeypatch, capsys, folder):
    with pytest.raises(SystemExit) as stop:
        call_main(monkeypatch, *options)
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not list(folder.glob("*/checkpoint.pt"))  # raised before the training


def test_the_command_trains_resumes_translates_and_prints_scores(monkeypatch, capsys):
    monkeypatch.setattr(training, "tqdm", partial(training.tqdm, mininterval=0))  # draw every step of the bar
    call_main(monkeypatch, "--limit", "4", updates=6, validate_every=3)
    printed = capsys.readouterr()
    assert "4 of 6 updates" in printed.out and "\nnot finished: run the same command to resume" in printed.out
    assert re.search(r"4/6 \[.*<00:\d\d, .*update.*tokens/s=\d+", printed.err)  # with the time left
    call_main(monkeypatch, "--split", "test", "--beam-size", "1", updates=6, validate_every=3)
    printed = capsys.readouterr().out
    assert "6 of 6 updates, best BLEU" in printed and "tok:13a" in printed and "tok:none" in printed
    translations = (replace(SMALL, updates=6).folder / "test.beam-1.txt").read_text("utf-8")
    assert translations.count("\n") == 8


def test_translations_are_written_completely_or_not_at_all(monkeypatch, capsys):
    config = replace(SMALL, updates=6, validate_every=6)
    train_run(config, progress=False)
    path = config.folder / "valid.beam-1.txt"
    path.write_text("older\n")
    fill_disk(monkeypatch, "beam")
    with pytest.raises(SystemExit) as stop:
        call_main(monkeypatch, "--beam-size", "1", updates=6, validate_every=6)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "valid.beam-1.txt could not be stored because there is no room" in error
    assert path.read_text() == "older\n" and not list(config.folder.glob("*.partial"))


@pytest.mark.parametrize(
    ("settings", "call"),
    [
        ({"corpus": "multi30k", "src": "en", "tgt": "fr", "pairs": 9}, ("load_multi30k", "en", "fr", {})),
        ({"corpus": "wmt14"}, ("load_wmt14", "de", "en", {})),
        ({"corpus": "wmt14", "pairs": 50}, ("load_wmt14", "de", "en", {"pairs": 50})),
        (
            {"corpus": "opensubtitles", "tgt": "fr", "pairs": 7},
            ("load_opensubtitles", "de", "fr", {"pairs": 7}),
        ),
    ],
)
def test_a_corpus_is_loaded_with_its_settings(settings, call, monkeypatch):
    calls, split = [], Split(["Ein Hund."] * 20, ["A dog."] * 20)

    def loader(name):
        def load(src, tgt, **options):
            calls.append((name, src, tgt, options))
            return Corpus(name, src, tgt, {"train": split, "valid": split[:2]}, "moses", "", "")

        return load

    for name in ("load_multi30k", "load_wmt14", "load_opensubtitles"):
        monkeypatch.setattr(runs, name, loader(name))
    encoded = encode_corpus(RunConfig(**settings))
    assert calls == [call]
    assert len(encoded.train_rows) == (9 if settings["corpus"] == "multi30k" else 20)
