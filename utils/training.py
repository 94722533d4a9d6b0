"""Train a translator: configuration, loss, update, trainer, callbacks, checkpoints, several runs at once."""

import copy
import ctypes
import json
import math
import os
import random
import signal
import sys
import threading
import time
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from utils.data.download import replacing
from utils.models import evaluating
from utils.text import PAD_ID, Batch

SCHEDULES = ("one_cycle", "inverse_sqrt")
# What trainings had before these settings existed.
UNNAMED = {"schedule": "one_cycle", "warm_up": 1_000, "average": 1, "tied": False}
WARM_UP = 0.2  # share of the updates in which the learning rate of "one_cycle" rises


def seed_everything(seed):
    """Seed Python, NumPy, and torch, so that a run can be repeated."""
    seed %= 2**32  # NumPy accepts no larger seed
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def sequence_loss(logits, targets, pad_id=PAD_ID, label_smoothing=0.0):
    """Return the mean cross-entropy over the real tokens, in nats.

    logits (batch, tgt_len, vocab), targets (batch, tgt_len). `label_smoothing` is the probability mass that
    is spread uniformly over the vocabulary (Szegedy et al. 2016, section 7).
    """
    return F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=pad_id, label_smoothing=label_smoothing
    )


def validation_loss(model, encoded, split="valid"):
    """Return the mean cross-entropy of a split in nats per token."""
    device = next(model.parameters()).device
    total, tokens = 0.0, 0
    with evaluating(model):
        for batch in encoded.batches(split):
            real = batch.target_tokens
            batch = batch.to(device)
            logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
            total += sequence_loss(logits, batch.tgt_out).item() * real
            tokens += real
    return total / tokens


def settings_of_result(config):
    """Return those settings of a `TrainConfig` or a `RunConfig` that change the result, as a dict.

    `validate_every` is one of them if weights are averaged, because these are the weights at validations.
    """
    free = ("patience",) if config.average > 1 else ("patience", "validate_every")
    return {name: value for name, value in asdict(config).items() if name not in free}


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training.

    Adam (Kingma and Ba 2015) follows a `schedule`. With "one_cycle" (Smith and Topin 2019), the learning rate
    rises to `learning_rate` in the first fifth of the `updates`, then falls. With "inverse_sqrt" (Vaswani et
    al. 2017, equation 3) it rises for `warm_up` updates, then falls with the square root of the update, and
    Adam averages gradients over a shorter time, as in that paper. `batch_tokens` limits the padded target
    tokens of a batch. For the first `curriculum` share of the updates, batches have short sentences only: see
    `Batches`. Gradients are clipped to a norm of `max_norm`. `autocast` names a type to compute in where that
    is safe, such as "bfloat16". `seed` draws batches and dropout.

    The model is validated every `validate_every` updates (default: five times). With `average`, what is
    validated and kept is the mean of the weights at the last `average` validations (Vaswani et al. 2017,
    section 6.1). With `patience`, training stops after that many validations without a better one. `patience`
    may change between a stop and a resume, and so may `validate_every` without `average`. A change of any
    other setting raises `ValueError`, because it would change the result.
    """

    updates: int
    batch_tokens: int = 1_500
    learning_rate: float = 1e-2
    max_norm: float = 1.0
    curriculum: float = 0.0
    seed: int = 0
    label_smoothing: float = 0.0
    schedule: str = "one_cycle"
    warm_up: int = 1_000
    average: int = 1
    autocast: str | None = None
    validate_every: int | None = None
    patience: int | None = None

    def __post_init__(self):
        free = {"seed", "curriculum", "label_smoothing", "schedule", "autocast"}  # not numbers above 0
        for name, value in vars(self).items():
            if name not in free and value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value!r}")
        for name in ("curriculum", "label_smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)!r}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}")
        if self.autocast and not isinstance(getattr(torch, self.autocast, None), torch.dtype):
            raise ValueError(f"autocast must be a type of torch, such as 'bfloat16', got {self.autocast!r}")

    @property
    def identity(self):
        """The settings that change the result, as a dict."""
        return settings_of_result(self)

    @property
    def validation_interval(self):
        """The number of updates between two validations."""
        return self.validate_every or -(-self.updates // 5)


@dataclass
class History:
    """The results of all validations: one dict of numbers each."""

    rows: list[dict] = field(default_factory=list)

    def column(self, name):
        """Return all values of one column, in the order of training."""
        return [row[name] for row in self.rows]

    def write(self, path):
        """Write the rows as JSON lines. If writing fails, an older file stays as it was."""
        with replacing(path) as partial:
            partial.write_text("".join(f"{json.dumps(row)}\n" for row in self.rows), "utf-8")

    @classmethod
    def read(cls, path):
        """Read a history from a file made by `write`."""
        return cls([json.loads(line) for line in Path(path).read_text("utf-8").splitlines()])


def save_checkpoint(path, state):
    """Write a checkpoint. If writing is interrupted, an older file stays as it was."""
    with replacing(path) as partial, open(partial, "wb") as file:  # given a file, a full disk raises OSError
        torch.save(state, file)


def load_checkpoint(path):
    """Read a checkpoint onto the CPU without executing anything in it.

    Raises `ValueError` for a file that isn't a checkpoint, and `OSError` or `MemoryError` for one that can't
    be read.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if "allocate memory" in str(error):  # torch raises RuntimeError when it runs out of memory
            raise
        raise ValueError(f"{path} is not a readable checkpoint: delete it and train again") from error


class Batches:
    """The training batch of every update: the same seed and update always give the same batch.

    In the first `curriculum` share of all updates, batches are drawn from the shortest sentences, and their
    share of the training split grows linearly from 15% to 100% (Platanios et al. 2019, with sentence length
    as the difficulty). After that, each epoch has every batch once, in random order.
    """

    def __init__(self, encoded, updates, batch_tokens, seed, curriculum):
        self.encoded, self.batch_tokens, self.seed = encoded, batch_tokens, seed
        self.curriculum_updates = round(curriculum * updates)
        self.in_epoch = len(encoded.chunks("train", batch_tokens, seed))
        self.epoch = None

    def __getitem__(self, update):
        if update < self.curriculum_updates:
            self._draw(-1)
            share = 0.15 + 0.85 * update / self.curriculum_updates
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + update)
            index = torch.randint(max(1, int(share * len(self.chunks))), (), generator=generator)
            return self.encoded.batch("train", self.chunks[index])
        epoch, index = divmod(update - self.curriculum_updates, self.in_epoch)
        self._draw(epoch)
        return self.encoded.batch("train", self.chunks[self.order[index]])

    def _draw(self, epoch):
        if epoch != self.epoch:
            seed = self.seed * 10_007 + epoch + 1
            self.epoch, self.chunks = epoch, self.encoded.chunks("train", self.batch_tokens, seed)
            generator = torch.Generator().manual_seed(seed)
            self.order = torch.randperm(len(self.chunks), generator=generator).tolist()


# One update, by one process or by several


def train_step(
    model,
    batch,
    optimizer,
    pad_id=PAD_ID,
    max_norm=1.0,
    attention_loss=None,
    label_smoothing=0.0,
    autocast=None,
):
    """Update the model once with teacher forcing and return the batch's loss before the update, a float.

    `batch` is a `Batch` on the model's device; targets equal to `pad_id` don't count. Old gradients are
    dropped and new ones are clipped to a norm of at most `max_norm`. `attention_loss(batch, weights)` is
    added to the loss for the update; like the effect of `label_smoothing`, it isn't part of the returned
    loss. `autocast` names a type, such as "bfloat16", that the model computes in where that is safe.
    Teacher forcing: Williams and Zipser 1989; clipping: Pascanu et al. 2013, algorithm 1.

    With `torch.distributed`, each process gets the whole batch, learns from its share of the rows, and
    returns the loss of the whole batch. A share counts by its part of the batch's tokens, so gradients equal
    those of one process, up to rounding.
    """
    settings = pad_id, max_norm, attention_loss, label_smoothing, autocast
    return update(model, batch, optimizer, *settings).item()


def update(model, batch, optimizer, pad_id, max_norm, attention_loss, label_smoothing, autocast):
    """Do what `train_step` does, but return the loss as a tensor, without waiting for the device."""
    share, part = _share(batch, pad_id)
    dtype = getattr(torch, autocast) if autocast else None
    with torch.autocast(batch.src.device.type, dtype) if autocast else nullcontext():
        logits, weights = model(share.src, share.src_lengths, share.tgt_in)
    logits = logits.float() if autocast else logits
    loss, objective = _losses(logits, share.tgt_out, pad_id, label_smoothing)
    if attention_loss is not None:
        objective = objective + attention_loss(share, weights)
    optimizer.zero_grad(set_to_none=True)
    (objective * (part * _world_size())).backward()  # the mean over the processes is then the sum
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    loss = loss.detach() * part
    if _world_size() > 1:
        distributed.all_reduce(loss)
    return loss


def _losses(logits, targets, pad_id, label_smoothing):
    """Return `sequence_loss` without and with label smoothing, from one softmax."""
    if not label_smoothing:
        loss = sequence_loss(logits, targets, pad_id)
        return loss, loss
    targets = targets.flatten()
    log_probs = logits.flatten(0, 1).log_softmax(-1)  # (tokens, vocab)
    loss = F.nll_loss(log_probs, targets, ignore_index=pad_id)
    real = targets != pad_id
    uniform = -(log_probs.mean(1) * real).sum() / real.sum()
    return loss, torch.lerp(loss, uniform, label_smoothing)


def _world_size():
    """The number of processes that train this model together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def _rank():
    """The number of this process among those that train together. Rank 0 writes files and progress bars."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def _share(batch, pad_id):
    """Return this process's rows of a batch, and their part of the batch's target tokens.

    A process without any row gets the first one with a part of 0, because it must take part in the step.
    """
    if _world_size() == 1:
        return batch, 1.0
    own = list(range(_rank(), len(batch.rows), _world_size()))
    rows, real = own or [0], batch.tgt_out != pad_id
    part = int(real[own].sum()) / int(real.sum())
    src_len, tgt_len = int(batch.src_lengths[rows].max()), int((batch.tgt_in[rows] != pad_id).sum(1).max())
    return Batch(
        src=batch.src[rows, :src_len],
        src_lengths=batch.src_lengths[rows],
        tgt_in=batch.tgt_in[rows, :tgt_len],
        tgt_out=batch.tgt_out[rows, :tgt_len],
        rows=[batch.rows[row] for row in rows],
    ), part


def _from_rank_0(function):
    """Call a function in the process of rank 0 and return its result in all processes."""
    if _world_size() == 1:
        return function()
    result = [function() if _rank() == 0 else None]
    distributed.broadcast_object_list(result)
    return result[0]


def _random_states(device):
    """Return the random states that dropout draws from: a dict for each process."""
    own = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(device)
    states = [own] * _world_size()
    if _world_size() > 1:
        distributed.all_gather_object(states, own)
    return states


def _set_random_state(states, device):
    """Restore this process's random state, unless another number of processes has saved them."""
    if len(states) == _world_size():
        torch.set_rng_state(states[_rank()]["cpu"])
        if device.type == "cuda" and "cuda" in states[_rank()]:
            torch.cuda.set_rng_state(states[_rank()]["cuda"], device)


# The trainer


class Callback:
    """Something that happens during training. All methods do nothing unless a subclass defines them."""

    def on_start(self, trainer):
        """Called before the first update of a call of `Trainer.fit`."""

    def on_update(self, trainer):
        """Called after every update."""

    def on_validation(self, trainer):
        """Called after every validation, whose results are `trainer.history.rows[-1]`."""

    def on_save(self, trainer):
        """Called when progress should be saved: after validations and before a stop."""

    def on_end(self, trainer):
        """Called when `Trainer.fit` ends, even by an exception."""


class Trainer:
    """Train a model on an `EncodedCorpus` with the settings of a `TrainConfig`.

    `attention_loss(batch, weights)` is added to the loss (see `train_step`). `evaluate(model)` returns a dict
    that is added to each row of the history. If it has "valid_bleu", the best model is the one with the
    highest BLEU, otherwise the one with the lowest validation loss. After training, the model has the best
    weights if `patience` or `average` is set or "valid_bleu" is there, otherwise the last ones. Each
    `Callback` is called, in the order given.

    With `torch.distributed`, all processes make the same trainer and train one model together; only rank 0
    validates and writes files.
    """

    def __init__(self, model, encoded, config, *, attention_loss=None, evaluate=None, callbacks=()):
        self.model, self.encoded, self.config = model, encoded, config
        self.attention_loss, self.evaluate, self.callbacks = attention_loss, evaluate, tuple(callbacks)
        self.device = next(model.parameters()).device
        self.optimizer, self.schedule = _optimizer(model, config)
        self.history, self.best, self.stale = History(), None, 0
        self.recent = []  # the weights at the last validations, if they are averaged
        self.update = 0  # updates done so far
        self.seconds = self.cpu_seconds = 0.0  # spent in updates
        self.losses, self.tokens = [], 0  # of the updates since the last validation
        self.stop_signal = None  # the number of the signal that asks for a stop

    @property
    def finished(self):
        """Whether all updates are done or patience has run out."""
        patience = self.config.patience
        return self.update >= self.config.updates or bool(patience and self.stale >= patience)

    @property
    def target_tokens(self):
        """The number of real target tokens of all updates so far."""
        return self.tokens + (self.history.rows[-1]["target_tokens"] if self.history.rows else 0)

    def fit(self, limit=None):
        """Train to the end, or for at most `limit` more updates, and return the `History`.

        Raises `ValueError` once the loss is no longer a finite number.
        """
        config = self.config
        batches = Batches(self.encoded, config.updates, config.batch_tokens, config.seed, config.curriculum)
        model = nn.parallel.DistributedDataParallel(self.model) if _world_size() > 1 else self.model
        if self.update == 0:
            seed_everything(self.config.seed + 1_000_003 * _rank())  # each process has its own dropout
        self.model.train()
        try:
            self._call("on_start")
            end = self.config.updates if limit is None else min(self.config.updates, self.update + limit)
            self._start_clock()
            while self.update < end and not self.finished and self.stop_signal is None:
                self._update(model, batches[self.update])
                self._after_update(end)
        finally:
            self._call("on_end")
        if self.finished and "model" in (self.best or {}):
            self.model.load_state_dict(self.best["model"])
        self.model.eval()
        if self.stop_signal is not None:  # everything is saved, so do what the signal asks for
            signal.raise_signal(self.stop_signal)
            raise KeyboardInterrupt
        return self.history

    def _update(self, model, batch):
        self.tokens += batch.target_tokens
        config = self.config
        settings = PAD_ID, config.max_norm, self.attention_loss, config.label_smoothing, config.autocast
        self.losses.append(update(model, batch.to(self.device), self.optimizer, *settings))
        self.schedule.step()
        self.update += 1

    def _after_update(self, end):
        self._call("on_update")
        interval = self.config.validation_interval
        validate = self.update % interval == 0 or self.update == self.config.updates
        if not (validate or self.stop_signal or self.update == end):
            return
        self._stop_clock()
        if validate:
            self._validate()
        elif self.losses:
            self._check_loss(float(self.losses[-1]))
        self._call("on_save")
        self._start_clock()

    def _validate(self):
        with self._averaged():
            self._validate_model()
        self._call("on_validation")

    @contextmanager
    def _averaged(self):
        """Give the model the mean of its weights at the last validations, and then its own weights again."""
        if self.config.average == 1:
            yield
            return
        own = copy.deepcopy(self.model.state_dict())
        self.recent = [*self.recent, own][-self.config.average :]
        self.model.load_state_dict({n: torch.stack([w[n] for w in self.recent]).mean(0) for n in own})
        yield
        self.model.load_state_dict(own)

    def _validate_model(self):
        row = {
            "update": self.update,
            "train_loss": float(torch.stack(self.losses).mean()),
            "valid_loss": _from_rank_0(lambda: validation_loss(self.model, self.encoded)),
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "target_tokens": self.target_tokens,
        }
        self._check_loss(row["valid_loss"])
        if self.evaluate:
            with evaluating(self.model):
                row |= _from_rank_0(lambda: self.evaluate(self.model))
        self.history.rows.append(row)
        self.losses, self.tokens = [], 0
        self.stale += 1
        if self.best is None or _quality(row) > _quality(self.best):
            self.stale, self.best = 0, dict(row)
            if self.config.patience or self.config.average > 1 or "valid_bleu" in row:
                self.best["model"] = copy.deepcopy(self.model.state_dict())

    def _check_loss(self, loss):
        if not math.isfinite(loss):
            raise ValueError(
                f"training has diverged: after {self.update:,} updates the loss is {loss}. Train again with "
                f"a learning rate below {self.config.learning_rate:g}, or look for a mistake in the model, "
                "such as a softmax over scores that are all masked"
            )

    def _call(self, event):
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def _start_clock(self):
        self.clock = time.perf_counter(), time.process_time()

    def _stop_clock(self):
        self.seconds += time.perf_counter() - self.clock[0]
        self.cpu_seconds += time.process_time() - self.clock[1]

    def _identity(self):
        """All that a resumed training must have in common with the one that was saved."""
        loss = self.attention_loss
        return self.config.identity | {
            "vocabulary": self.encoded.fingerprint,
            "model": {"class": type(self.model).__name__, **self.model.config},
            "attention_loss": loss and getattr(loss, "__qualname__", type(loss).__qualname__),
        }

    def state_dict(self):
        """Return everything that a resumed training needs. All processes must call this together.

        It shares tensors with the training, as in torch: to keep it while training continues, copy it with
        `copy.deepcopy`.
        """
        names = ("best", "recent", "stale", "update", "seconds", "cpu_seconds", "tokens")
        return {
            "identity": self._identity(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": self.history.rows,
            "losses": [float(loss) for loss in self.losses],
            "random": _random_states(self.device),
            **{name: getattr(self, name) for name in names},
        }

    def load_state_dict(self, state):
        """Continue from a state that `state_dict` has returned.

        Raises `ValueError` if the state belongs to other settings, another vocabulary, or another model.
        """
        if "identity" not in state:
            raise ValueError("the saved training has another format")
        saved, own = (
            UNNAMED | part | part["model"] | {"model": part["model"]["class"]}
            for part in (state["identity"], self._identity())
        )
        differences = ", ".join(
            f"{name}: saved {saved.get(name)!r}, now {own.get(name)!r}"
            for name in saved | own
            if saved.get(name) != own.get(name)
        )
        if differences:
            raise ValueError(f"the saved training has other settings ({differences})")
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise ValueError("the saved training belongs to another model") from error
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))  # else it shares the tensors
        self.schedule.load_state_dict(state["schedule"])
        self.history = History(list(state["history"]))
        self.losses = [torch.tensor(loss, device=self.device) for loss in state["losses"]]
        self.recent = state.get("recent", [])
        for name in ("best", "stale", "update", "seconds", "cpu_seconds", "tokens"):
            setattr(self, name, state[name])
        _set_random_state(state["random"], self.device)


def _optimizer(model, config):
    """Return Adam and its schedule of learning rates."""
    if config.schedule == "one_cycle":
        optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
        warm_up = WARM_UP if config.updates != 5 else 0.21  # torch divides by WARM_UP * updates - 1
        rates = torch.optim.lr_scheduler.OneCycleLR
        return optimizer, rates(optimizer, config.learning_rate, config.updates, pct_start=warm_up)
    optimizer = torch.optim.Adam(model.parameters(), config.learning_rate, (0.9, 0.98), 1e-9, fused=True)

    def share_of_peak(update):
        return min((update + 1) / config.warm_up, (config.warm_up / (update + 1)) ** 0.5)

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share_of_peak)


def _quality(row):
    """What the best row has most of: BLEU if it is known, otherwise minus the validation loss."""
    return row.get("valid_bleu", -row["valid_loss"])


class ProgressBar(Callback):
    """Show the number of updates, the speed, and the last validation."""

    bar = None

    def on_start(self, trainer):
        total, done = trainer.config.updates, trainer.update
        self.bar = tqdm(total=total, initial=done, unit="update", disable=_rank() > 0, leave=False)
        self.start, self.shown = (trainer.target_tokens, time.perf_counter()), {}

    def on_update(self, trainer):
        tokens, started = self.start
        speed = (trainer.target_tokens - tokens) / (time.perf_counter() - started)
        self.bar.set_postfix(self.shown | {"tokens/s": f"{speed:,.0f}"}, refresh=False)
        self.bar.update()

    def on_validation(self, trainer):
        names = {"train_loss": "train", "valid_loss": "valid", "valid_bleu": "bleu"}
        row = trainer.history.rows[-1]
        self.shown = {shown: f"{row[name]:.3f}" for name, shown in names.items() if name in row}

    def on_end(self, trainer):
        if self.bar is not None:  # None if another callback has failed before
            self.bar.close()


class LogFile(Callback):
    """Write the history to a file whenever progress is saved; `History.read` reads it."""

    def __init__(self, path):
        self.path = path

    def on_start(self, trainer):
        if _rank() == 0:
            trainer.history.write(self.path)  # the last stop may have come between checkpoint and log

    def on_save(self, trainer):
        self.on_start(trainer)


class Checkpoint(Callback):
    """Save the training to a file and resume from it.

    `on_start` resumes if the file exists, and raises `ValueError` if it belongs to another training. The file
    is written after every validation, after the last update, and when Ctrl-C or SIGTERM asks for a stop: the
    training stops after the current update, saves, and then raises the signal again. A second Ctrl-C stops at
    once. Signals that the process ignores, as a background job ignores Ctrl-C, stay ignored. Only the main
    thread can listen to signals.
    """

    def __init__(self, path):
        self.path, self.requests, self.handlers = Path(path), [], {}

    def on_start(self, trainer):
        state = _from_rank_0(lambda: load_checkpoint(self.path) if self.path.exists() else None)
        if state:
            try:
                trainer.load_state_dict(state)
            except ValueError as error:
                raise ValueError(f"{self.path}: {error}. Delete the file, or name another one") from error
        self.requests, trainer.stop_signal = [], None
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self.handlers[number] = signal.signal(number, self._request)

    def _request(self, number, _):
        if self.requests and number == signal.SIGINT and _world_size() == 1:
            raise KeyboardInterrupt
        self.requests.append(number)  # torchrun passes one Ctrl-C on twice, so only one process reacts above

    def on_update(self, trainer):
        asked = bool(self.requests)
        if _world_size() > 1:  # all processes must stop after the same update
            if trainer.update % 10:
                return
            total = torch.tensor(float(asked), device=trainer.device)
            distributed.all_reduce(total)
            asked = bool(total.item())
        if asked:
            trainer.stop_signal = self.requests[0] if self.requests else signal.SIGINT

    def on_save(self, trainer):
        state = trainer.state_dict()
        if _rank() == 0:
            save_checkpoint(self.path, state)

    def on_end(self, trainer):
        for number, handler in self.handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        self.handlers = {}
        if self.requests:
            trainer.stop_signal = self.requests[0]


def train(
    model,
    encoded,
    updates,
    *,
    attention_loss=None,
    evaluate=None,
    checkpoint=None,
    limit=None,
    log=None,
    progress=True,
    **settings,
):
    """Train a model and return the `History`: a short form of `Trainer` with the usual callbacks.

    `settings` are those of `TrainConfig`. `attention_loss` and `evaluate` are as in `Trainer`. With
    `checkpoint`, a file, training can be stopped and the same call resumes it, with the same result as if it
    had not stopped. `limit` stops after that many updates of this call and needs a checkpoint. `log` is a
    file for the history, and `progress` shows a progress bar.
    """
    if limit is not None and not checkpoint:
        raise ValueError("limit stops in the middle of a training: name a checkpoint to resume from")
    callbacks = [Checkpoint(checkpoint)] if checkpoint else []
    callbacks += [LogFile(log)] if log else []
    callbacks += [ProgressBar()] if progress else []
    config = TrainConfig(updates=updates, **settings)
    trainer = Trainer(
        model, encoded, config, attention_loss=attention_loss, evaluate=evaluate, callbacks=callbacks
    )
    return trainer.fit(limit)


# Processes


def tune_process():
    """Set up this process for fast training. Call it in processes of your own: it affects everything in them.

    Denormal numbers (below about 1e-38), as in the gradients of attention that is still uniform, count as
    zero, because a processor needs many times as long for them. On Linux, freed memory stays with the
    process: by default the C library returns large blocks, and the system clears them before it gives them
    out again.
    """
    torch.set_flush_denormal(True)  # does nothing if the processor can't
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):  # glibc has it
        trim_threshold, mmap_threshold = -1, -3
        library.mallopt(trim_threshold, 2**30)
        library.mallopt(mmap_threshold, 2**30)


def in_parallel(function, jobs, workers=None):
    """Call `function(**job)` for every job in worker processes and return the results in order.

    Each worker has one thread: a small model gains nothing from a second one, so two cores train two such
    models in the time of one. `function` must be importable, or defined in the running notebook.
    """
    from joblib import Parallel, delayed  # slow to import

    workers = min(workers or os.cpu_count() or 1, len(jobs))
    with warnings.catch_warnings(), Parallel(n_jobs=workers, return_as="generator") as pool:
        # joblib restarts a worker whose memory has grown and warns about it; nothing is lost
        warnings.filterwarnings("ignore", "A worker stopped while some jobs")
        results = pool(delayed(_on_one_thread)(function, job) for job in jobs)
        return list(tqdm(results, total=len(jobs), unit="model", leave=False))


def _on_one_thread(function, job):
    torch.set_num_threads(1)
    tune_process()
    return function(**job)
