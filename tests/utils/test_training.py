import math
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch

from utils.models import Seq2Seq
from utils.text import EncodedCorpus
from utils.training import (
    Batches,
    History,
    in_parallel,
    load_checkpoint,
    save_checkpoint,
    seed_everything,
    sequence_loss,
    train,
    train_step,
    validation_loss,
)


@pytest.fixture(scope="module")
def encoded(copy_corpus):
    return EncodedCorpus(copy_corpus)


def make(encoded, attention="dot", dropout=0.2):
    seed_everything(0)
    return Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, 8, 16, dropout)


def parameters(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


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


def test_smoothing_changes_the_update_and_not_the_loss_that_is_given(encoded):
    batch, found = encoded.batch("train", [0, 1, 2]), []
    for smoothing in (0.0, 0.3):
        model = make(encoded, dropout=0.0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        found.append((train_step(model, batch, optimizer, label_smoothing=smoothing), parameters(model)))
    assert found[0][0] == found[1][0] and not torch.allclose(found[0][1], found[1][1])


@pytest.mark.parametrize("attention", ["none", "additive", "bahdanau"])
def test_half_the_digits_are_enough_for_a_step(encoded, attention):
    """bfloat16 has 8 bits of precision: weights stay float32, and the loss is close but not the same."""
    batch, losses = encoded.batch("train", [0, 1, 2]), []
    for autocast in (None, torch.bfloat16):
        model = make(encoded, attention, dropout=0.0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        losses += [train_step(model, batch, optimizer, autocast=autocast) for _ in range(3)]
        assert parameters(model).dtype == torch.float32 and parameters(model).isfinite().all()
    assert losses[3:] == pytest.approx(losses[:3], rel=1e-2) and losses[3:] != losses[:3]
    assert losses[5] < losses[3]


def test_a_history_is_read_as_it_was_written(tmp_path):
    history = History([{"update": 3, "valid_loss": 1 / 3}, {"update": 6, "valid_loss": 0.1}])
    history.write(tmp_path / "log.jsonl")
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    assert History.read(tmp_path / "log.jsonl") == history


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("max_norm", [0.25, 1e6])
def test_a_step_follows_the_gradient_no_further_than_max_norm(encoded, max_norm, smoothing):
    model, twin = make(encoded, dropout=0.0), make(encoded, dropout=0.0)
    batch = encoded.batch("train", [0, 1, 2])
    assert (batch.tgt_out == 0).any()
    logits, _ = twin(batch.src, batch.src_lengths, batch.tgt_in)
    expected = sequence_loss(logits, batch.tgt_out)
    sequence_loss(logits, batch.tgt_out, label_smoothing=smoothing).backward()
    gradient = torch.cat([p.grad.flatten() for p in twin.parameters()])
    assert 0.25 < gradient.norm() < 1e6
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)  # left by somebody else
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loss = train_step(model, batch, optimizer, max_norm=max_norm, label_smoothing=smoothing)
    assert type(loss) is float and loss == pytest.approx(expected.item())
    moved = parameters(twin) - parameters(model)
    assert torch.allclose(moved, 0.5 * gradient * min(1.0, max_norm / gradient.norm()), atol=1e-6)


def test_another_padding_and_a_guide(encoded):
    """The guide moves the parameters, and is left out of the loss that is given."""
    batch = encoded.batch("train", [0, 1, 2])
    other = replace(batch, tgt_out=batch.tgt_out.masked_fill(batch.tgt_out == 0, 1))
    found = []
    for given, pad_id, guide in (
        (batch, 0, None),
        (other, 1, None),
        (batch, 0, lambda batch, weights: 9 * weights.square().mean()),
    ):
        model = make(encoded, dropout=0.0)
        step = train_step(model, given, torch.optim.SGD(model.parameters(), lr=0.5), pad_id, guide=guide)
        found.append((step, parameters(model)))
    assert found[0][0] == found[1][0] == found[2][0]
    assert torch.equal(found[0][1], found[1][1]) and not torch.allclose(found[0][1], found[2][1])


def test_training_is_a_loop_of_such_steps(encoded):
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
def test_a_handful_of_updates_is_a_training_too(encoded, updates):
    history = train(make(encoded), encoded, updates, validate_every=updates, progress=False)
    assert history.column("update") == [updates]


def test_training_lowers_the_loss_and_the_same_seed_repeats_it(encoded):
    first, second, other = make(encoded), make(encoded), make(encoded)
    before = validation_loss(first, encoded)
    history = train(first, encoded, updates=60, batch_tokens=80, learning_rate=0.01, progress=False)
    assert history.rows[-1]["valid_loss"] < 0.8 * before
    assert history.column("update") == [12, 24, 36, 48, 60]
    train(second, encoded, updates=60, batch_tokens=80, learning_rate=0.01, progress=False)
    assert torch.equal(parameters(first), parameters(second))
    train(other, encoded, updates=60, batch_tokens=80, learning_rate=0.01, seed=1, progress=False)
    assert not torch.equal(parameters(first), parameters(other))


def test_the_curriculum_lets_longer_sentences_in_step_by_step(encoded):
    batches = Batches(encoded, updates=200, batch_tokens=40, seed=3, curriculum=0.5)
    longest = [int(batches[update].src_lengths.max()) for update in range(200)]
    assert max(longest[:10]) < max(longest[40:60]) < max(longest[100:]) == 8
    assert batches[17].rows == Batches(encoded, 200, 40, 3, 0.5)[17].rows
    assert batches[17].rows != Batches(encoded, 200, 40, 4, 0.5)[17].rows


def test_without_a_curriculum_every_epoch_has_every_pair_once(encoded):
    batches = Batches(encoded, updates=99, batch_tokens=40, seed=3, curriculum=0.0)
    epochs = [[batches[e * batches.in_epoch + i].rows for i in range(batches.in_epoch)] for e in range(2)]
    for epoch in epochs:
        assert sorted(row for rows in epoch for row in rows) == list(range(160))
    assert epochs[0] != epochs[1]


def test_patience_stops_and_puts_the_best_weights_back(encoded):
    model = make(encoded)
    history = train(model, encoded, 400, 80, learning_rate=0.5, validate_every=5, patience=2, progress=False)
    losses = history.column("valid_loss")
    assert len(losses) < 80 and min(losses) not in losses[-2:]
    assert validation_loss(model, encoded) == pytest.approx(min(losses), rel=1e-4)


KILLED = """
    import os, signal, sys
    sys.path[:0] = {path!r}
    import utils.training as training
    from conftest import make_copy_corpus
    from utils.models import Seq2Seq
    from utils.text import EncodedCorpus

    encoded = EncodedCorpus(make_copy_corpus())
    training.seed_everything(0)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), "dot", 8, 16, 0.2)
    save = training.save_checkpoint

    def save_then_die(path, state):
        save(path, state)
        if state["step"] == 24:
            os.kill(os.getpid(), signal.SIGKILL)

    training.save_checkpoint = save_then_die
    training.train(model, encoded, 60, 80, 2e-3, checkpoint=sys.argv[1], progress=False)
"""


def test_a_killed_run_goes_on_to_the_same_weights(encoded, tmp_path):
    path = [os.getcwd(), os.path.dirname(__file__)]
    script = textwrap.dedent(KILLED.format(path=path))
    checkpoint = tmp_path / "deep" / "run.pt"
    killed = subprocess.run([sys.executable, "-c", script, str(checkpoint)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert load_checkpoint(checkpoint)["step"] == 24

    whole, resumed = make(encoded), make(encoded)
    undisturbed = train(whole, encoded, 60, 80, 2e-3, progress=False)
    history = train(resumed, encoded, 60, 80, 2e-3, checkpoint=checkpoint, progress=False)
    assert torch.allclose(parameters(whole), parameters(resumed), atol=1e-6)
    assert history.column("update") == undisturbed.column("update")
    assert history.column("target_tokens") == undisturbed.column("target_tokens")
    assert history.column("train_loss") == pytest.approx(undisturbed.column("train_loss"))


def test_a_checkpoint_of_other_settings_is_refused(encoded, tmp_path):
    checkpoint = tmp_path / "run.pt"
    train(make(encoded), encoded, 6, 80, checkpoint=checkpoint, progress=False)
    with pytest.raises(ValueError, match=r"other settings \(updates 6 there, 7 here\)"):
        train(make(encoded), encoded, 7, 80, checkpoint=checkpoint, progress=False)
    with pytest.raises(ValueError, match="belongs to another model"):
        train(make(encoded, "additive"), encoded, 6, 80, checkpoint=checkpoint, progress=False)
    with pytest.raises(ValueError, match="name a checkpoint"):
        train(make(encoded), encoded, 6, 80, limit=3, progress=False)


@pytest.mark.parametrize("limit", [None, 15])
def test_training_that_diverges_stops_and_keeps_the_last_good_checkpoint(encoded, tmp_path, limit):
    calls = []

    def guide(batch, weights):
        calls.append(batch)
        return weights.sum() * (torch.nan if len(calls) > 12 else 0.0)

    arguments = dict(validate_every=10, guide=guide, checkpoint=tmp_path / "run.pt", progress=False)
    with pytest.raises(ValueError, match="loss is no longer a number .*with a learning rate lower than 0.01"):
        train(make(encoded), encoded, 40, 80, limit=limit, **arguments)
    assert len(calls) == (limit or 20)
    saved = load_checkpoint(tmp_path / "run.pt")
    assert saved["step"] == 10 and all(weights.isfinite().all() for weights in saved["model"].values())


def test_a_failed_write_leaves_the_older_checkpoint(tmp_path):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"step": 1})
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(path, {"step": lambda: 2})
    assert load_checkpoint(path) == {"step": 1} and os.listdir(tmp_path) == ["run.pt"]
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="delete it"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "error", [PermissionError(), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_checkpoint_that_cannot_be_read_is_not_called_broken(tmp_path, monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error

    save_checkpoint(tmp_path / "run.pt", {"step": 1})
    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(type(error)) as found:
        load_checkpoint(tmp_path / "run.pt")
    assert found.value is error


def test_guidance_is_added_to_the_loss(encoded):
    def look_at_the_first_word(batch, weights):
        return -weights[..., 0].clamp_min(1e-6).log().mean()

    guided, free = make(encoded), make(encoded)
    train(guided, encoded, 40, 80, learning_rate=0.01, guide=look_at_the_first_word, progress=False)
    train(free, encoded, 40, 80, learning_rate=0.01, progress=False)
    batch = next(iter(encoded.batches("valid")))
    share = [m(batch.src, batch.src_lengths, batch.tgt_in)[1][..., 0].mean() for m in (guided, free)]
    assert share[0] > 2 * share[1]


def test_jobs_run_in_processes_of_one_thread_and_come_back_in_order():
    results = in_parallel(_job, [{"number": n} for n in (3, 1, 2)], workers=2)
    assert [number for number, _, _ in results] == [3, 1, 2]
    assert all(threads == 1 for _, threads, _ in results)
    assert os.getpid() not in {pid for _, _, pid in results}


def _job(number):
    return number, torch.get_num_threads(), os.getpid()


def test_a_watcher_sees_the_model_at_every_validation_and_changes_nothing(encoded):
    watched, free, modes = make(encoded), make(encoded), []

    def watch(model):
        modes.append(model.training)
        return {"norm": parameters(model).norm().item()}

    kept = train(watched, encoded, 6, 80, validate_every=3, watch=watch, progress=False)
    plain = train(free, encoded, 6, 80, validate_every=3, progress=False)
    assert modes == [False, False] and kept.column("valid_loss") == plain.column("valid_loss")
    first, last = kept.column("norm")
    assert first != last == parameters(watched).norm().item()
    assert torch.equal(parameters(watched), parameters(free))
