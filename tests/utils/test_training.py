import copy
import itertools
import math
import os
import random
import signal
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from utils import training
from utils.models import Seq2Seq
from utils.training import (
    Batches,
    Callback,
    Checkpoint,
    History,
    TrainConfig,
    Trainer,
    in_parallel,
    load_checkpoint,
    save_checkpoint,
    seed_everything,
    sequence_loss,
    train,
    train_step,
    validation_loss,
)
from utils.transformer import Transformer

SHORT = TrainConfig(updates=20, batch_tokens=80, validate_every=5)


def make(encoded, context="dot", dropout=0.2, heads=2):
    seed_everything(0)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    if context == "transformer":
        return Transformer(*sizes, 16, heads, 16, layers=1, dropout=dropout)
    return Seq2Seq(*sizes, context, 8, 16, dropout)


def make_trainer(encoded, *callbacks, **options):
    """Return a short training whose second validation has the best BLEU."""
    scores = [1.0, 3.0, 3.0, 2.0]
    trainer = Trainer(make(encoded), encoded, SHORT, callbacks=callbacks, **options)
    trainer.evaluate = lambda model: {"valid_bleu": scores[len(trainer.history.rows)]}
    return trainer


def parameters(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# Loss and update


def test_loss_is_the_mean_over_real_tokens():
    logits = torch.zeros(2, 3, 5)
    logits[0, 0, 2] = 100.0
    targets = torch.tensor([[2, 3, 0], [4, 0, 0]])
    assert sequence_loss(logits, targets).item() == pytest.approx(2 * math.log(5) / 3)


def test_label_smoothing_by_hand():
    logits = torch.tensor([[[1.0, 2.0, 0.5], [3.0, 0.0, 1.0]]])
    log_probs = logits[0, 0].log_softmax(-1)
    smooth = sequence_loss(logits, torch.tensor([[1, 0]]), label_smoothing=0.3)
    assert smooth.item() == pytest.approx(-(0.7 * log_probs[1] + 0.3 * log_probs.mean()).item())


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_losses_can_be_differentiated_twice(smoothing):
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets, gradients = torch.tensor([[2, 3, 0], [4, 0, 0]]), []
    plain, smooth = training._losses(logits, targets, 0, smoothing)
    assert torch.equal(plain, sequence_loss(logits, targets))
    for loss in (smooth, sequence_loss(logits, targets, label_smoothing=smoothing)):
        gradients += [torch.autograd.grad(loss, logits, retain_graph=True)[0] for _ in range(2)]
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[2], gradients[3])
    torch.testing.assert_close(gradients[0], gradients[2])


def peaked(batch, weights):
    """An attention loss that is small if weights are on the first source token."""
    return -weights[..., 0].clamp_min(1e-6).log().mean()


@pytest.mark.parametrize("option", [{"label_smoothing": 0.3}, {"attention_loss": peaked}, {"pad_id": 1}])
def test_options_change_the_update_but_not_the_returned_loss(encoded, option):
    """Another padding id changes neither."""
    batch, found = encoded.batch("train", [0, 1, 2]), []
    other = replace(batch, tgt_out=batch.tgt_out.masked_fill(batch.tgt_out == 0, option.get("pad_id", 0)))
    for data, settings in ((batch, {}), (other, option)):
        model = make(encoded, dropout=0.0)
        loss = train_step(model, data, torch.optim.SGD(model.parameters(), lr=0.5), **settings)
        found.append((loss, parameters(model)))
    assert found[0][0] == found[1][0]
    assert torch.allclose(found[0][1], found[1][1]) == ("pad_id" in option)


@pytest.mark.parametrize("context", ["fixed", "additive", "bahdanau", "transformer"])
def test_bfloat16_is_close_to_float32(encoded, context):
    """It has 8 bits of precision: weights stay float32, and the loss is close but not the same."""
    batch, losses = encoded.batch("train", [0, 1, 2]), []
    for autocast in (None, "bfloat16"):
        model = make(encoded, context, dropout=0.0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        losses += [train_step(model, batch, optimizer, autocast=autocast) for _ in range(3)]
        assert parameters(model).dtype == torch.float32 and parameters(model).isfinite().all()
    assert losses[3:] == pytest.approx(losses[:3], rel=1e-2) and losses[3:] != losses[:3]
    assert losses[5] < losses[3]


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("max_norm", [0.25, 1e6])
def test_an_update_follows_the_clipped_gradient(encoded, max_norm, smoothing):
    model, twin = make(encoded, dropout=0.0), make(encoded, dropout=0.0)
    batch = encoded.batch("train", [0, 1, 2])
    assert (batch.tgt_out == 0).any()
    logits, _ = twin(batch.src, batch.src_lengths, batch.tgt_in)
    expected = sequence_loss(logits, batch.tgt_out)
    sequence_loss(logits, batch.tgt_out, label_smoothing=smoothing).backward()
    gradient = torch.cat([p.grad.flatten() for p in twin.parameters()])
    assert 0.25 < gradient.norm() < 1e6
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)  # an old gradient, which must not count
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loss = train_step(model, batch, optimizer, max_norm=max_norm, label_smoothing=smoothing)
    assert type(loss) is float and loss == pytest.approx(expected.item())
    moved = parameters(twin) - parameters(model)
    assert torch.allclose(moved, 0.5 * gradient * min(1.0, max_norm / gradient.norm()), atol=1e-6)


@pytest.mark.parametrize("rows", [[0, 1, 2], [3]])
def test_shares_of_two_processes_add_up_to_the_loss(encoded, rows, monkeypatch):
    """By their parts of the target tokens, also if the second process has no row."""
    model, batch, losses = make(encoded, dropout=0.0), encoded.batch("train", rows), []
    monkeypatch.setattr(training, "_world_size", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(training, "_rank", lambda rank=rank: rank)
        share, part = training._share(batch, 0)
        logits, _ = model(share.src, share.src_lengths, share.tgt_in)
        losses.append(part * sequence_loss(logits, share.tgt_out).item())
    logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    assert sum(losses) == pytest.approx(sequence_loss(logits, batch.tgt_out).item())


# Settings and batches


@pytest.mark.parametrize(
    "name", ["updates", "batch_tokens", "learning_rate", "max_norm", "validate_every", "patience"]
)
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_sizes_must_be_above_zero(name, value):
    with pytest.raises(ValueError, match=f"{name} must be above 0, got {value}"):
        replace(SHORT, **{name: value})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"curriculum": -0.1}, "curriculum must be from 0 to 1, got -0.1"),
        ({"label_smoothing": 1.5}, "label_smoothing must be from 0 to 1, got 1.5"),
        ({"autocast": "bfloat"}, "autocast must be a type of torch, such as 'bfloat16', got 'bfloat'"),
        ({"autocast": "nn"}, "autocast must be a type of torch, such as 'bfloat16', got 'nn'"),
    ],
)
def test_shares_and_types_must_exist(setting, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(updates=20, **setting)


def test_seeds_beyond_32_bits_work():
    """As with the greatest seed in the second of two processes."""
    draws = []
    for seed in (2**32 - 1 + 1_000_003, 1_000_002):
        seed_everything(seed)
        draws.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert draws[0] == draws[1]


def test_a_curriculum_adds_longer_sentences_step_by_step(encoded):
    batches = Batches(encoded, updates=200, batch_tokens=40, seed=3, curriculum=0.5)
    longest = [int(batches[update].src_lengths.max()) for update in range(200)]
    assert max(longest[:10]) < max(longest[40:60]) < max(longest[100:]) == 8
    assert batches[17].rows == Batches(encoded, 200, 40, 3, 0.5)[17].rows
    assert batches[17].rows != Batches(encoded, 200, 40, 4, 0.5)[17].rows


def test_an_epoch_has_every_pair_once(encoded):
    batches = Batches(encoded, updates=99, batch_tokens=40, seed=2**32 - 1, curriculum=0.0)
    epochs = [[batches[e * batches.in_epoch + i].rows for i in range(batches.in_epoch)] for e in range(2)]
    for epoch in epochs:
        assert sorted(row for rows in epoch for row in rows) == list(range(160))
    assert epochs[0] != epochs[1]


# The trainer


def test_training_is_a_loop_of_updates(encoded):
    whole, by_hand = make(encoded), make(encoded)
    history = train(whole, encoded, updates=20, batch_tokens=80, validate_every=20, progress=False)
    optimizer = torch.optim.Adam(by_hand.parameters(), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, 20, pct_start=0.2)
    seed_everything(0)
    batches, losses = Batches(encoded, 20, 80, seed=0, curriculum=0.0), []
    for update in range(20):
        losses.append(train_step(by_hand, batches[update], optimizer))
        schedule.step()
    assert history.column("train_loss") == pytest.approx([sum(losses) / 20])
    assert torch.equal(parameters(whole), parameters(by_hand))


@pytest.mark.parametrize("updates", range(1, 7))
def test_a_few_updates_are_enough(encoded, updates):
    history = train(make(encoded), encoded, updates, validate_every=updates, progress=False)
    assert history.column("update") == [updates]


@pytest.mark.parametrize("context", ["dot", "transformer"])
def test_training_lowers_the_loss_and_depends_on_the_seed_only(encoded, context):
    before, found = validation_loss(make(encoded, context), encoded), []
    for seed in (0, 0, 1):
        model = make(encoded, context)
        history = train(model, encoded, 60, batch_tokens=80, seed=seed, progress=False)
        found.append(parameters(model))
        assert history.column("update") == [12, 24, 36, 48, 60] and not model.training
        assert history.rows[-1]["valid_loss"] < 0.8 * before
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_patience_stops_training_and_restores_the_best_weights(encoded):
    model = make(encoded)
    history = train(model, encoded, 400, batch_tokens=80, learning_rate=0.5, validate_every=5, patience=2)
    losses = history.column("valid_loss")
    assert len(losses) < 80 and min(losses) not in losses[-2:]
    assert validation_loss(model, encoded) == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.parametrize(("patience", "validations"), [(1, 3), (None, 4)])
def test_bleu_stops_training_and_chooses_the_weights(encoded, patience, validations):
    trainer, twin = make_trainer(encoded), make_trainer(encoded)
    trainer.config = replace(SHORT, patience=patience)
    assert trainer.fit().column("valid_bleu") == [1.0, 3.0, 3.0, 2.0][:validations]
    assert trainer.best["update"] == 10
    twin.fit(limit=10)
    assert torch.equal(parameters(trainer.model), parameters(twin.model))


def test_an_attention_loss_moves_the_weights(encoded):
    batch, shares = next(iter(encoded.batches("valid"))), []
    for loss in (peaked, None):
        model = make(encoded)
        train(model, encoded, 40, batch_tokens=80, attention_loss=loss, progress=False)
        shares.append(model(batch.src, batch.src_lengths, batch.tgt_in)[1][..., 0].mean())
    assert shares[0] > 2 * shares[1]


def test_evaluate_sees_the_model_at_every_validation_and_changes_nothing(encoded):
    watched, free, modes = make(encoded), make(encoded), []

    def evaluate(model):
        modes.append(model.training)
        return {"norm": parameters(model).norm().item()}

    kept = train(watched, encoded, 6, validate_every=3, evaluate=evaluate, progress=False)
    plain = train(free, encoded, 6, validate_every=3, progress=False)
    assert modes == [False, False] and kept.column("valid_loss") == plain.column("valid_loss")
    first, last = kept.column("norm")
    assert first != last == parameters(watched).norm().item()
    assert torch.equal(parameters(watched), parameters(free))


def recorder(events, name, **methods):
    """Return a callback that records its calls."""
    names = [name for name in vars(Callback) if name.startswith("on_")]
    calls = {e: lambda trainer, e=e: events.append((name, e, trainer.update)) for e in names}
    return SimpleNamespace(**(calls | methods))


def test_callbacks_are_called_in_order(encoded):
    events = []
    trainer = make_trainer(encoded, recorder(events, "a"), recorder(events, "b"))
    trainer.fit(limit=6)
    expected = [("on_start", 0), *(("on_update", update) for update in range(1, 6)), ("on_validation", 5)]
    expected += [("on_save", 5), ("on_update", 6), ("on_save", 6), ("on_end", 6)]
    assert events == [(name, *event) for event in expected for name in "ab"]
    events.clear()
    trainer.callbacks = [recorder(events, "c", on_update=lambda trainer: 1 / 0)]
    with pytest.raises(ZeroDivisionError):
        trainer.fit()
    assert events == [("c", "on_start", 6), ("c", "on_end", 7)]


def test_a_history_is_read_as_it_was_written(tmp_path):
    history = History([{"update": 3, "valid_loss": 1 / 3}, {"update": 6, "valid_loss": 0.1}])
    history.write(tmp_path / "log.jsonl")
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    assert History.read(tmp_path / "log.jsonl") == history


# Stop and resume


def check_same(found, expected):
    """Check that two states are the same to the last bit, except for times."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in found.keys() - {"seconds", "cpu_seconds"}:
            check_same(found[name], expected[name])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            check_same(*pair)
    else:
        assert torch.equal(found, expected) if torch.is_tensor(expected) else found == expected


def test_a_state_resumes_to_the_last_bit(encoded):
    """In another trainer or in the same one. Both end with the weights of the best validation."""
    kind = type("Peaked", (), {"__call__": staticmethod(peaked)})  # each object has its own repr
    whole, first, second = (make_trainer(encoded, attention_loss=kind()) for _ in range(3))
    whole.fit()
    first.fit(limit=12)
    state = copy.deepcopy(first.state_dict())
    for trainer in (second, first):
        trainer.load_state_dict(state)  # and restore the random numbers
        trainer.fit()
        check_same(trainer.state_dict(), whole.state_dict())
        check_same(trainer.model.state_dict(), whole.best["model"])
        assert trainer.best["update"] == 10 and len(state["history"]) == 2


def test_inverse_square_root_schedule_by_hand(encoded):
    config = TrainConfig(updates=100, learning_rate=0.1, schedule="inverse_sqrt", warm_up=4)
    trainer = Trainer(make(encoded), encoded, config)
    rates = []
    for _ in range(16):
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        trainer.optimizer.step()
        trainer.schedule.step()
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[15] == pytest.approx(0.05), "half the peak after four times the warm-up"


def test_averaged_weights_are_validated_and_kept(encoded):
    """And the training itself goes on with its own weights, as without averaging."""
    plain, averaged = (Trainer(make(encoded), encoded, replace(SHORT, average=n)) for n in (1, 2))
    own = Keep()
    for trainer in (plain, averaged):
        trainer.callbacks = (own,) if trainer is plain else ()
        trainer.fit()
    means = [own.weights[0], *((a + b) / 2 for a, b in itertools.pairwise(own.weights))]
    best = averaged.best["update"] // SHORT.validate_every - 1
    torch.testing.assert_close(parameters(averaged.model), means[best])
    assert averaged.best["valid_loss"] == pytest.approx(validation_loss(averaged.model, encoded))
    assert averaged.history.column("train_loss") == plain.history.column("train_loss")


class Keep(Callback):
    """Keep the weights at every validation."""

    def __init__(self):
        self.weights = []

    def on_validation(self, trainer):
        self.weights.append(parameters(trainer.model).clone())


OTHER_RUNS = {
    "updates: saved 20, now 21": {"updates": 21},
    "seed: saved 0, now 1": {"seed": 1},
    "learning_rate: saved 0.01, now 0.02": {"learning_rate": 0.02},
    r"attention_loss: saved None, now 'peaked'": {"attention_loss": peaked},
    "dropout: saved 0.2, now 0.1": {"dropout": 0.1},
    "average: saved 1, now 2": {"average": 2},
    "context: saved 'dot', now 'scaled'": {"context": "scaled"},
    "class: saved 'Seq2Seq', now 'Transformer'": {"context": "transformer"},
    "heads: saved 2, now 4": {"context": "transformer", "heads": 4},
}


@pytest.mark.parametrize("message", OTHER_RUNS)
def test_a_checkpoint_of_another_training_raises(encoded, tmp_path, message):
    change, path = OTHER_RUNS[message], tmp_path / "run.pt"
    saved = make(encoded, "transformer" if "heads" in change else "dot")
    Trainer(saved, encoded, SHORT, callbacks=[Checkpoint(path)]).fit(limit=1)
    before = path.read_bytes()
    sizes = {name: change[name] for name in ("context", "dropout", "heads") if name in change}
    settings = {"updates": 20, "batch_tokens": 80, **{k: v for k, v in change.items() if k not in sizes}}
    with pytest.raises(ValueError, match=rf"{path}: .*other settings \(.*{message}.*\)\. Delete the file"):
        train(make(encoded, **sizes), encoded, checkpoint=path, **settings)
    assert path.read_bytes() == before


def test_a_checkpoint_of_before_a_setting_resumes(encoded):
    trainer, other = make_trainer(encoded), make_trainer(encoded)
    trainer.fit(limit=6)
    state, whole = (copy.deepcopy(trainer.state_dict()) for _ in range(2))
    del state["recent"]
    for name in ("schedule", "warm_up", "average"):
        del state["identity"][name]
    del state["identity"]["model"]["tied"]
    trainer.load_state_dict(whole)
    expected = trainer.fit().column("train_loss")
    other.load_state_dict(state)
    assert other.fit().column("train_loss") == expected


def test_a_limit_needs_a_checkpoint(encoded):
    with pytest.raises(ValueError, match="name a checkpoint"):
        train(make(encoded), encoded, 6, limit=3)


@pytest.fixture
def on_signal():
    """Set the handler of a signal, as a background job ignores Ctrl-C, and restore it after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield signal.signal
    for number, handler in before.items():
        signal.signal(number, handler)


class Interrupt(Callback):
    """Send signals to this process during the seventh update."""

    def __init__(self, *signals):
        self.signals = signals

    def on_update(self, trainer):
        for number in self.signals if trainer.update == 7 else ():
            signal.raise_signal(number)


@pytest.mark.parametrize(
    ("signals", "saved"), [(["SIGINT"], 7), (["SIGINT"] * 2, 5), (["SIGTERM"], 7), (["SIGTERM"] * 2, 7)]
)
def test_a_signal_stops_after_the_update_and_training_resumes(encoded, tmp_path, on_signal, signals, saved):
    """A second Ctrl-C stops at once, without saving."""
    signals, checkpoint = [getattr(signal, name) for name in signals], Checkpoint(tmp_path / "run.pt")
    on_signal(signals[0], signal.default_int_handler)  # raises KeyboardInterrupt
    whole, resumed = make_trainer(encoded), make_trainer(encoded, checkpoint)
    stopped = make_trainer(encoded, Interrupt(*signals), checkpoint)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit()
    assert signal.getsignal(signals[0]) is signal.default_int_handler
    assert load_checkpoint(checkpoint.path)["update"] == saved
    whole.fit()
    assert resumed.fit().column("update") == [5, 10, 15, 20]
    check_same(resumed.state_dict(), whole.state_dict())


def test_a_process_that_ignores_ctrl_c_trains_to_the_end(encoded, tmp_path, on_signal):
    on_signal(signal.SIGINT, signal.SIG_IGN)
    trainer = make_trainer(encoded, Interrupt(signal.SIGINT), Checkpoint(tmp_path / "run.pt"))
    assert trainer.fit().column("update") == [5, 10, 15, 20]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_thread_can_train_with_a_checkpoint(encoded, tmp_path):
    settings = {"checkpoint": tmp_path / "run.pt", "batch_tokens": 80, "progress": False}
    thread = threading.Thread(target=train, args=(make(encoded), encoded, 3), kwargs=settings)
    thread.start()
    thread.join()
    assert load_checkpoint(tmp_path / "run.pt")["update"] == 3


@pytest.mark.parametrize("limit", [None, 15])
def test_a_diverged_training_raises_and_keeps_the_last_good_checkpoint(encoded, tmp_path, limit):
    calls = []

    def explode(batch, weights):
        calls.append(batch)
        return weights.sum() * (torch.nan if len(calls) > 12 else 0.0)

    settings = {"validate_every": 10, "attention_loss": explode, "checkpoint": tmp_path / "run.pt"}
    with pytest.raises(ValueError, match=r"diverged: after .* the loss is nan.* a learning rate below 0\.01"):
        train(make(encoded), encoded, 40, batch_tokens=80, limit=limit, **settings)
    assert len(calls) == (limit or 20)
    saved = load_checkpoint(tmp_path / "run.pt")
    assert saved["update"] == 10 and all(weights.isfinite().all() for weights in saved["model"].values())


def test_a_failed_write_keeps_the_older_checkpoint(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"update": 1})
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(path, {"update": lambda: 2})
    assert load_checkpoint(path) == {"update": 1} and os.listdir(tmp_path) == ["run.pt"]
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="delete it"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "error", [PermissionError(), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_errors_of_the_machine_are_not_blamed_on_the_checkpoint(tmp_path, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    save_checkpoint(tmp_path / "run.pt", {"update": 1})
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(type(error)) as found:
        load_checkpoint(tmp_path / "run.pt")
    assert found.value is error


# Several processes


def describe(number):
    return number, torch.get_num_threads(), os.getpid()


def test_jobs_run_in_processes_with_one_thread_and_return_in_order():
    results = in_parallel(describe, [{"number": n} for n in (3, 1, 2)], workers=2)
    assert [number for number, _, _ in results] == [3, 1, 2]
    assert all(threads == 1 for _, threads, _ in results)
    assert os.getpid() not in {pid for _, _, pid in results}
