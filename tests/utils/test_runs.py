"""Trainings that are stopped in every way and go on, alone and together; kept small, on the reviews."""

import errno
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import filelock
import numpy as np
import pytest
import torch

from utils import cli_train, training
from utils import runs as command
from utils.data import Corpus, Split, load_reviews
from utils.data.download import DataError
from utils.runs import MODELS, RunConfig, encode_corpus, evaluate, find_run, make_model, train_run
from utils.text import EncodedCorpus
from utils.training import History, load_checkpoint, train, validation_loss

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
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The checkpoint of a run that nothing has stopped, by settings."""
    done = {}

    def checkpoint(settings):
        if settings not in done:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ATTENTION_DATA", str(tmp_path_factory.mktemp("undisturbed")))
                assert train_run(settings, progress=False).finished
                done[settings] = load_checkpoint(settings.folder / "checkpoint.pt")
        return done[settings]

    return checkpoint


def check_same(found, expected):
    """The same run to the last bit: weights, what the optimiser remembers, random numbers, history."""
    for name in ("model", "best"):
        weights = [
            (saved[name] or {}) if name == "model" else saved[name]["model"] for saved in (found, expected)
        ]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    moments = [saved["optimizer"]["state"] for saved in (found, expected)]
    assert all(torch.equal(moments[0][i]["exp_avg"], moments[1][i]["exp_avg"]) for i in moments[1])
    assert torch.equal(found["random"][0]["cpu"], expected["random"][0]["cpu"])
    clocks = {"seconds": 0, "cpu_seconds": 0}
    rows = [[row | clocks for row in saved["history"]] for saved in (found, expected)]
    assert rows[0] == rows[1] and found["update"] == expected["update"]


def finish(settings, undisturbed):
    """Go on with a run to its end, and compare it with one that was not stopped."""
    run = train_run(settings, progress=False)
    assert run.finished and run.history.rows == History.read(settings.folder / "log.jsonl").rows
    check_same(load_checkpoint(settings.folder / "checkpoint.pt"), undisturbed(settings))
    assert not list(settings.folder.glob("*.partial"))


def fill_the_disk(monkeypatch, name):
    """Let only half of a text be written to a file that has `name` in its name."""
    write = Path.write_text

    def half(path, text, *args):
        if name not in path.name:
            return write(path, text, *args)
        write(path, text[: len(text) // 2], *args)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)


def arguments(settings):
    """The command line that says these settings."""
    given = {name: value for name, value in asdict(settings).items() if value is not None}
    return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]


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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_command_goes_on_to_the_same_result(number, undisturbed):
    settings = replace(SMALL, updates=300, validate_every=100, learning_rate=0.02)
    log = settings.folder / "log.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "utils.cli_train", *arguments(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while process.poll() is None and not (log.exists() and log.stat().st_size):
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == -number, said.decode()
    step = load_checkpoint(settings.folder / "checkpoint.pt")["update"]
    assert 100 <= step < 300 and (number == signal.SIGKILL or step % 100)
    finish(settings, undisturbed)


DIES_WRITING = """
    import os, signal, sys
    sys.path.insert(0, os.getcwd())
    import torch
    from utils.cli_train import main

    save, count = torch.save, 0

    def save_half(state, file):
        global count
        save(state, file)
        count += 1
        if count == 2:
            file.truncate(file.tell() // 2)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = save_half
    main()
"""


def test_a_kill_in_the_middle_of_a_write_loses_nothing(undisturbed):
    script = textwrap.dedent(DIES_WRITING)
    killed = subprocess.run([sys.executable, "-c", script, *arguments(SMALL)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(SMALL.folder.glob("checkpoint.pt.*.partial"))) == 1
    assert find_run(SMALL).update == 10
    finish(SMALL, undisturbed)


def test_ctrl_c_stops_after_the_update_that_is_under_way(undisturbed, monkeypatch):
    step = training.update

    def interrupted(*args, **kwargs):
        interrupted.count += 1
        if interrupted.count == 14:
            signal.raise_signal(signal.SIGINT)
        return step(*args, **kwargs)

    interrupted.count = 0
    monkeypatch.setattr(training, "update", interrupted)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        train_run(SMALL, progress=False)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert find_run(SMALL).update == 14
    finish(SMALL, undisturbed)


def test_two_processes_train_the_model_of_one(undisturbed):
    settings = replace(SMALL, dropout=0.0, label_smoothing=0.1, updates=20)
    counts = [len(chunk) for chunk in encode_corpus(settings).chunks("train", settings.batch_tokens, 0)]
    assert 1 in counts and any(count % 2 for count in counts if count > 1)  # nothing for the second; unequal
    train_run(settings, limit=7, progress=False)  # the first part by one, the rest by two
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    together = subprocess.run(
        [*torchrun, "-m", "utils.cli_train", *arguments(settings), "--beam-size", "1"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    )
    assert together.returncode == 0, together.stderr
    assert together.stdout.count("20 of 20 updates") == 1  # one process writes
    found, alone = load_checkpoint(settings.folder / "checkpoint.pt"), undisturbed(settings)
    assert len(found["random"]) == 2
    for name in ("update", "target_tokens"):
        assert [row[name] for row in found["history"]] == [row[name] for row in alone["history"]]
    for name in ("train_loss", "valid_loss"):
        expected = pytest.approx([row[name] for row in alone["history"]], rel=1e-4)
        assert [row[name] for row in found["history"]] == expected
    for name, weights in alone["model"].items():
        assert torch.allclose(found["model"][name], weights, atol=1e-3), name


@pytest.mark.parametrize(("patience", "validations"), [(2, 4), (None, 5)])
def test_bleu_stops_training_and_chooses_the_weights(copy_corpus, patience, validations):
    encoded, seen = EncodedCorpus(copy_corpus), []
    model = make_model(SMALL, encoded)

    def score(model):
        assert not model.training
        seen.append({name: weights.clone() for name, weights in model.state_dict().items()})
        return {"valid_bleu": [1.0, 3.0, 2.0, 3.0, 2.0][len(seen) - 1]}

    settings = dict(batch_tokens=80, validate_every=10, patience=patience)
    history = train(model, encoded, 50, **settings, evaluate=score, progress=False)
    assert history.column("valid_bleu") == [1.0, 3.0, 2.0, 3.0, 2.0][:validations]
    assert all(torch.equal(weights, seen[1][name]) for name, weights in model.state_dict().items())


def test_a_run_is_its_best_model(monkeypatch, undisturbed):
    """The validation with the highest BLEU is kept, also where later ones are worse."""
    scores = iter([1.0, 3.0, 2.0])
    monkeypatch.setattr(command, "validation_bleu", lambda model, encoded: next(scores))
    run = train_run(SMALL, progress=False)
    assert run.best["update"] == 20 and run.best["valid_bleu"] == 3.0 and run.update == 30
    saved = load_checkpoint(SMALL.folder / "checkpoint.pt")
    weights = run.model.state_dict()
    assert all(torch.equal(weights[name], best) for name, best in saved["best"]["model"].items())
    assert any(not torch.equal(weights[name], last) for name, last in saved["model"].items())
    assert validation_loss(run.model, run.encoded) == pytest.approx(run.best["valid_loss"])


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_of_model_trains_and_translates(kind):
    settings = replace(SMALL, model=kind, pairs=60, layers=1, heads=2, ff_dim=8, subwords=60)
    run = train_run(settings, limit=1, progress=False)
    assert run.update == 1 and not run.model.training
    small = replace(
        run.encoded.corpus, splits={"train": Split(["a"], ["a"]), "few": run.encoded.corpus["valid"][:3]}
    )
    run.encoded.corpus = small
    try:
        result = evaluate(run.model, run.encoded, "few", beam_size=2)
    finally:
        command._encode.cache_clear()
    assert len(result.translations) == result.bleu.sentences == 3


def test_the_seed_and_every_other_setting_have_a_run_of_their_own():
    others = {
        replace(SMALL, **change).folder
        for change in (
            {"seed": 1},
            {"dropout": 0.1},
            {"model": "additive"},
            {"subwords": 80},
            {"updates": 31},
        )
    }
    assert len(others | {SMALL.folder}) == 6
    assert replace(SMALL, patience=3, validate_every=5).folder == SMALL.folder
    counted = replace(SMALL, updates=np.int64(30), max_norm=np.float32(1), seed=np.uint8(0))
    assert counted == SMALL and counted.folder == SMALL.folder and type(counted.updates) is int
    assert replace(SMALL, max_norm=1) == SMALL and replace(SMALL, max_norm=1).folder == SMALL.folder
    first, again, other = (make_model(replace(SMALL, seed=s), encode_corpus(SMALL)) for s in (0, 0, 1))
    weights = [model.encoder.embedding.weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_another_vocabulary_is_noticed_and_nothing_is_lost():
    train_run(SMALL, limit=7, progress=False)
    checkpoint = SMALL.folder / "checkpoint.pt"
    before = checkpoint.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "load_reviews", lambda train: load_reviews(train, seed=1))
        command._encode.cache_clear()
        with pytest.raises(ValueError, match=r"other settings \(vocabulary: saved"):
            train_run(SMALL, progress=False)
        with pytest.raises(ValueError, match="the corpus has changed"):
            find_run(SMALL)
    command._encode.cache_clear()
    settings = SMALL.folder / "config.json"
    settings.write_text(settings.read_text().replace('"dropout": 0.3', '"dropout": 0.4'))
    for call in (train_run, find_run):
        with pytest.raises(ValueError, match=r"other settings \(dropout\): rename the folder"):
            call(SMALL)
    assert checkpoint.read_bytes() == before


def test_settings_are_written_once_and_are_not_needed_to_go_on(undisturbed):
    train_run(SMALL, limit=7, progress=False)
    settings = SMALL.folder / "config.json"
    text, written = settings.read_text(), settings.stat()
    train_run(SMALL, limit=1, progress=False)
    assert (settings.stat().st_ino, settings.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    for damaged in ("", "{", "[1]"):
        settings.write_text(damaged)
        assert find_run(SMALL).update == 8
    finish(SMALL, undisturbed)
    assert settings.read_text() == text


def test_a_failed_write_leaves_the_settings_that_were_there(monkeypatch):
    train_run(SMALL, limit=7, progress=False)
    settings = SMALL.folder / "config.json"
    before = settings.read_text()
    fill_the_disk(monkeypatch, "config")
    with pytest.raises(DataError, match="no room left"):
        train_run(replace(SMALL, patience=3), progress=False)
    assert settings.read_text() == before


def test_a_run_that_may_not_be_read_is_told_and_stays(monkeypatch):
    train_run(SMALL, limit=7, progress=False)
    before = (SMALL.folder / "checkpoint.pt").read_bytes()

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(torch, "load", refuse)
    for call in (train_run, find_run):
        with pytest.raises(
            DataError, match=r"the run could not be read .*\(Permission denied\): set"
        ):
            call(SMALL)
    assert (SMALL.folder / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("limit", [0, 2.5, "7"])
def test_a_limit_is_a_number_of_updates(limit, folder):
    with pytest.raises(ValueError, match=f"limit: expected a number of updates of at least 1, got {limit!r}"):
        train_run(SMALL, limit=limit)
    assert not folder.exists()


def test_the_greatest_seed_trains():
    assert train_run(replace(SMALL, seed=2**32 - 1), limit=1, progress=False).update == 1


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
    monkeypatch.setattr("sys.argv", ["train", *arguments(SMALL), *options])
    with pytest.raises(SystemExit) as stop:
        cli_train.main()
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not list(folder.glob("*/checkpoint.pt"))  # told before anything is computed


def test_a_folder_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="set ATTENTION_DATA to a folder that you may write to"):
        train_run(SMALL, progress=False)


def test_a_full_disk_is_told_and_what_is_there_stays(undisturbed):
    train_run(SMALL, limit=7, progress=False)

    def full(state, file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(DataError, match="no room left in .*: free"):
            train_run(SMALL, progress=False)
    assert find_run(SMALL).update == 7
    finish(SMALL, undisturbed)


def test_the_command_trains_translates_and_tells(monkeypatch, capsys):
    monkeypatch.setattr(training, "tqdm", partial(training.tqdm, mininterval=0))  # draw every step of the bar
    monkeypatch.setattr(
        "sys.argv", ["train", *arguments(replace(SMALL, updates=6, validate_every=6)), "--limit", "4"]
    )
    cli_train.main()
    told = capsys.readouterr()
    assert "4 of 6 updates\nnot finished: run the same command to resume" in told.out
    assert re.search(r"4/6 \[.*<00:\d\d, .*update.*tokens/s=\d+", told.err)  # with the time left
    monkeypatch.setattr("sys.argv", sys.argv[:-2] + ["--split", "test", "--beam-size", "1"])
    monkeypatch.setattr(command, "load_reviews", None)  # it is in memory
    cli_train.main()
    told = capsys.readouterr().out
    assert "6 of 6 updates, best BLEU" in told and "tok:13a" in told and "tok:none" in told
    run = find_run(replace(SMALL, updates=6))
    text = (run.config.folder / "test.beam-1.txt").read_text("utf-8").splitlines()
    assert len(text) == len(run.encoded.corpus["test"])


def test_translations_are_written_whole_or_not_at_all(monkeypatch, capsys):
    settings = replace(SMALL, updates=6, validate_every=6)
    train_run(settings, progress=False)
    path = settings.folder / "valid.beam-1.txt"
    path.write_text("older\n")
    fill_the_disk(monkeypatch, "beam")
    monkeypatch.setattr("sys.argv", ["train", *arguments(settings), "--beam-size", "1"])
    with pytest.raises(SystemExit) as stop:
        cli_train.main()
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "valid.beam-1.txt could not be stored because there is no room" in said
    assert path.read_text() == "older\n" and not list(settings.folder.glob("*.partial"))


@pytest.mark.parametrize(
    ("settings", "asked"),
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
def test_every_corpus_is_loaded_as_asked(settings, asked, monkeypatch):
    calls, split = [], Split(["Ein Hund."] * 20, ["A dog."] * 20)

    def loader(name):
        def load(src, tgt, **options):
            calls.append((name, src, tgt, options))
            return Corpus(name, src, tgt, {"train": split, "valid": split[:2]}, "moses", "", "")

        return load

    for name in ("load_multi30k", "load_wmt14", "load_opensubtitles"):
        monkeypatch.setattr(command, name, loader(name))
    encoded = encode_corpus(RunConfig(**settings))
    assert calls == [asked]
    assert len(encoded.train_rows) == (9 if settings["corpus"] == "multi30k" else 20)
