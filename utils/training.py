"""Train a translator: seeds, a loop with a progress bar, early stop, checkpoints, several runs at once."""

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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from tqdm.auto import tqdm

from utils.data.download import replacing
from utils.text import PAD_ID, Batch


def seed_everything(seed):
    """Seed Python, NumPy and torch, so that the same run gives the same numbers again."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def sequence_loss(logits, targets, pad_id=PAD_ID, label_smoothing=0.0):
    """Mean cross-entropy over the real tokens, in nats.

    logits (batch, tgt_len, vocab), targets (batch, tgt_len). With `label_smoothing`, that share of what is
    wanted of each token is spread evenly over the whole vocabulary (Szegedy et al. 2016, section 7).
    """
    return F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=pad_id, label_smoothing=label_smoothing
    )


class _Losses(torch.autograd.Function):
    """`sequence_loss` with label smoothing and without, of one softmax, whose gradient takes its place.

    A vocabulary of thousands makes the logits by far the largest tensor of a step: what is not allocated anew
    need not be cleared by the system. Only the first loss has a gradient, which can be asked for once.
    """

    @staticmethod
    def forward(ctx, logits, targets, pad_id, label_smoothing):
        targets = targets.flatten()
        log_probs = logits.flatten(0, 1).log_softmax(-1, dtype=torch.float32)  # (tokens, vocab)
        real = (targets != pad_id) / (targets != pad_id).sum()  # what each token counts
        loss = -(log_probs.gather(1, targets[:, None])[:, 0] * real).sum()
        objective = loss.clone()
        if label_smoothing:
            objective.lerp_(-(log_probs.mean(1) * real).sum(), label_smoothing)
        ctx.log_probs, ctx.label_smoothing = log_probs, label_smoothing
        ctx.shape, ctx.dtype = logits.shape, logits.dtype
        ctx.save_for_backward(targets, real)
        ctx.mark_non_differentiable(loss)
        return objective, loss

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient, _):
        targets, real = ctx.saved_tensors
        wrong = ctx.log_probs.exp_().sub_(ctx.label_smoothing / ctx.log_probs.shape[1])
        right = wrong.new_full((len(targets), 1), ctx.label_smoothing - 1)
        wrong.scatter_add_(1, targets[:, None], right).mul_((gradient * real)[:, None])
        return wrong.view(ctx.shape).to(ctx.dtype), None, None, None


@dataclass
class History:
    """What happened in training: one dict of numbers every time the model was validated."""

    rows: list[dict] = field(default_factory=list)

    def column(self, name):
        """All values of one column, in the order of training."""
        return [row[name] for row in self.rows]

    def write(self, path):
        """Write the rows as JSON lines, one object a line, the whole file or nothing."""
        with replacing(path) as partial:
            partial.write_text("".join(f"{json.dumps(row)}\n" for row in self.rows), "utf-8")

    @classmethod
    def read(cls, path):
        """Read a history that `write` wrote."""
        return cls([json.loads(line) for line in Path(path).read_text("utf-8").splitlines()])


@torch.no_grad()
def validation_loss(model, encoded, split="valid"):
    """Mean cross-entropy in nats a token on a split."""
    model.eval()
    device = next(model.parameters()).device
    total, tokens = 0.0, 0
    for batch in encoded.batches(split):
        batch = batch.to(device)
        logits, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
        real = int((batch.tgt_out != PAD_ID).sum())
        total += sequence_loss(logits, batch.tgt_out).item() * real
        tokens += real
    model.train()
    return total / tokens


def save_checkpoint(path, state):
    """Write a checkpoint whole or not at all: an interrupted write leaves the older one as it was."""
    # With a file and not its name, a full disk is an OSError.
    with replacing(path) as partial, open(partial, "wb") as file:
        torch.save(state, file)


def load_checkpoint(path):
    """Read a checkpoint written by `save_checkpoint`, onto the CPU; nothing in it is executed.

    A file that is read and is no checkpoint is a ValueError; one that cannot be read stays what it is, for
    nothing says that it is broken.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if "allocate memory" in str(error):  # torch's own MemoryError is a RuntimeError
            raise
        raise ValueError(f"{path} is not a readable checkpoint: delete it and train again") from error


class Batches:
    """The training batch of every update, drawn from a seed: the same update always gets the same batch.

    In the first `curriculum` share of all updates, batches come from the shorter sentences only, more
    and more of them (Platanios et al. 2019, with sentence length as difficulty and a linear
    pace). After that each epoch has every batch once, in an order of its own.
    """

    def __init__(self, encoded, updates, batch_tokens, seed, curriculum):
        self.encoded, self.batch_tokens, self.seed = encoded, batch_tokens, seed
        self.ramp = round(curriculum * updates)
        self.in_epoch = len(encoded.chunks("train", batch_tokens, seed))
        self.epoch = None

    def __getitem__(self, update):
        if update < self.ramp:
            self._draw(-1)
            share = 0.15 + 0.85 * update / self.ramp
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + update)
            index = torch.randint(max(1, int(share * len(self.chunks))), (), generator=generator)
            return self.encoded.batch("train", self.chunks[index])
        epoch, index = divmod(update - self.ramp, self.in_epoch)
        self._draw(epoch)
        return self.encoded.batch("train", self.chunks[self.order[index]])

    def _draw(self, epoch):
        if epoch != self.epoch:
            seed = self.seed * 10_007 + epoch + 1
            self.epoch, self.chunks = epoch, self.encoded.chunks("train", self.batch_tokens, seed)
            generator = torch.Generator().manual_seed(seed)
            self.order = torch.randperm(len(self.chunks), generator=generator).tolist()


def train_step(
    model, batch, optimizer, pad_id=PAD_ID, max_norm=1.0, guide=None, label_smoothing=0.0, autocast=None
):
    """Update the model once with teacher forcing, and give the batch's loss before the update, a float.

    `batch` is a `Batch` on the model's device; its targets' `pad_id` counts for nothing. Gradients that
    are there already are dropped, the new ones are clipped to a norm of at most `max_norm` in all.
    `guide(batch, weights)`, if given, is added to the loss for the update and left out of what is given;
    so is what `label_smoothing` changes, as in `sequence_loss`. `autocast` is a type of numbers, such as
    torch.bfloat16, that the model then computes in where this is safe.
    Teacher forcing: Williams and Zipser 1989; clipping: Pascanu et al. 2013, algorithm 1.

    Where several processes train one model (`torch.distributed`), each is given the whole batch, learns
    from its share of the rows, and gives the loss of the whole. A share counts by its part of the batch's
    tokens, so that the gradients are those of one process, to rounding.
    """
    share, part = _share(batch, pad_id)
    with torch.autocast(batch.src.device.type, autocast) if autocast else nullcontext():
        logits, weights = model(share.src, share.src_lengths, share.tgt_in)
    objective, loss = _Losses.apply(logits, share.tgt_out, pad_id, label_smoothing)
    del logits  # their gradient takes their place
    if guide is not None:
        objective = objective + guide(share, weights)
    optimizer.zero_grad(set_to_none=True)
    (objective * (part * _processes())).backward()  # the mean over the processes is then the sum
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return _sum_over_processes(loss * part)


def _processes():
    """How many processes train this model together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def _rank():
    """The number of this process among those that train together; the first, 0, writes files and bars."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def _share(batch, pad_id):
    """This process's rows of a batch, and which part of the batch's target tokens they have.

    A process for which there is no row gets the first one, as a part of 0: it must take part in the step.
    """
    if _processes() == 1:
        return batch, 1.0
    own = list(range(_rank(), len(batch.rows), _processes()))
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


def _sum_over_processes(value):
    """Add up one number, a tensor, over all processes: a float."""
    if _processes() > 1:
        distributed.all_reduce(value)
    return value.item()


def _from_first(make):
    """Give every process what `make()` gives in the first one."""
    if _processes() == 1:
        return make()
    made = [make() if _rank() == 0 else None]
    distributed.broadcast_object_list(made)
    return made[0]


def _random_states(device):
    """The states of the random generators that dropout draws from: a dict for each process."""
    own = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(device)
    states = [own] * _processes()
    if _processes() > 1:
        distributed.all_gather_object(states, own)
    return states


@contextmanager
def _stop_requests():
    """Give a list that Ctrl-C and SIGTERM are put into instead of stopping the program at once.

    A second Ctrl-C does stop it, but under torchrun, which passes the first one on twice. Only the main
    thread hears of signals: in another one the list stays empty.
    """
    asked = []

    def ask(number, _):
        if asked and number == signal.SIGINT and _processes() == 1:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def tune_process():
    """Set this process up for training: what costs time and gives nothing for it is left out.

    Numbers too small to be held in full (denormal, below about 1e-38), as gradients of a look that is still
    even may be, count as zero: a processor takes many times as long for them. And the C library of Linux
    keeps memory that was freed: unless told, it gives large blocks back, and the system clears every page of
    them before they come again.
    """
    torch.set_flush_denormal(True)  # False where the processor cannot
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):  # glibc has it
        trim_threshold, mmap_threshold = -1, -3
        library.mallopt(trim_threshold, 2**30)
        library.mallopt(mmap_threshold, 2**30)


def train(
    model,
    encoded,
    updates,
    batch_tokens=1_500,
    learning_rate=1e-2,
    max_norm=1.0,
    curriculum=0.0,
    seed=0,
    validate_every=None,
    patience=None,
    checkpoint=None,
    guide=None,
    watch=None,
    progress=True,
    label_smoothing=0.0,
    limit=None,
    log=None,
    autocast=None,
):
    """Train with teacher forcing for a number of updates and return the `History`.

    Adam (Kingma and Ba 2015) with a one-cycle learning rate that peaks at `learning_rate` (Smith and
    Topin 2019), gradients clipped to `max_norm`. `batch_tokens`, `curriculum` and `seed` choose the
    batches: see `EncodedCorpus.chunks` and `Batches`. The model is validated every `validate_every`
    updates (default: five times in all). `watch(model)`, if given, returns a dict that joins each row of the
    history. With `patience`, training stops when the validation loss has not fallen for that many
    validations, and the best weights are put back. Where `watch` gives "valid_bleu", that is to rise in
    place of the loss, and the best weights are put back without `patience` too. `guide(batch, weights)`, if
    given, is a further loss on the attention weights; `label_smoothing` and `autocast` are as in
    `train_step`. `progress` shows a bar, and `log` is a file for the history, which `History.read` reads.

    With `checkpoint`, a file written at each validation, the same call goes on where it was stopped, to
    the same result as if it had not been; `validate_every`, `patience` and what follows `guide` but
    `label_smoothing` may then change, and any other change is a ValueError. It is also written when Ctrl-C
    or SIGTERM stops training, after the update that is under way, and after `limit` updates of this call.
    Where the loss is no longer a number, training ends in a ValueError and the checkpoint stays as it was.

    Where `torch.distributed` is initialized, all its processes call this with the same arguments and models
    and train one model together, as in `train_step`. Only the first one reads and writes files.
    """
    if limit is not None and not checkpoint:
        raise ValueError("limit stops in the middle of training: name a checkpoint to go on from")
    settings = dict(
        updates=updates,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        max_norm=max_norm,
        curriculum=curriculum,
        seed=seed,
        label_smoothing=label_smoothing,
    )
    if checkpoint:
        settings["vocabulary"] = encoded.fingerprint
    tune_process()
    validate_every = validate_every or max(1, -(-updates // 5))
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    warm_up = 0.2 if updates != 5 else 0.21  # it divides by warm_up * updates - 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, updates, pct_start=warm_up)
    history, best, stale, step, seconds, cpu_seconds = History(), None, 0, 0, 0.0, 0.0
    losses, tokens = [], 0
    seed_everything(seed + 1_000_003 * _rank())  # processes have different rows, and different dropout

    saved = _from_first(lambda: checkpoint and Path(checkpoint).exists() and load_checkpoint(checkpoint))
    if saved:
        _check_settings(checkpoint, saved["settings"], settings)
        try:
            model.load_state_dict(saved["model"])
        except RuntimeError as error:
            raise ValueError(
                f"{checkpoint} belongs to another model: make the model that it was trained with, or name "
                "another checkpoint"
            ) from error
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        history, best, stale = History(saved["history"]), saved["best"], saved["stale"]
        step, losses, tokens = saved["step"], saved["losses"], saved["tokens"]
        seconds, cpu_seconds = saved["seconds"], saved.get("cpu_seconds", 0.0)
        if len(saved["random"]) == _processes():  # else other numbers of processes draw anew
            torch.set_rng_state(saved["random"][_rank()]["cpu"])
            if device.type == "cuda" and "cuda" in saved["random"][_rank()]:
                torch.cuda.set_rng_state(saved["random"][_rank()]["cuda"], device)

    def save():
        states = _random_states(device)
        if _rank() == 0:
            state = {
                "settings": settings,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "history": history.rows,
                "best": best,
                "stale": stale,
                "step": step,
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "losses": losses,
                "tokens": tokens,
                "random": states,
            }
            save_checkpoint(checkpoint, state)

    if log and _rank() == 0:
        history.write(log)  # a kill may have come between a checkpoint and its log
    batches = Batches(encoded, updates, batch_tokens, seed, curriculum)
    learner = nn.parallel.DistributedDataParallel(model) if _processes() > 1 else model
    model.train()
    end, stop = updates if limit is None else min(updates, step + limit), False
    bar = tqdm(total=updates, initial=step, unit="update", disable=not progress or _rank() > 0, leave=False)
    shown, seen, first = {}, 0, time.perf_counter()
    started, cpu_started = time.perf_counter(), time.process_time()
    with _stop_requests() if checkpoint else nullcontext([]) as asked, bar:
        while step < end and not (patience and stale >= patience) and not stop:
            batch = batches[step].to(device)
            losses.append(
                train_step(
                    learner,
                    batch,
                    optimizer,
                    max_norm=max_norm,
                    guide=guide,
                    label_smoothing=label_smoothing,
                    autocast=autocast,
                )
            )
            schedule.step()
            step += 1
            real = int((batch.tgt_out != PAD_ID).sum())
            tokens, seen = tokens + real, seen + real
            shown["tokens/s"] = f"{seen / (time.perf_counter() - first):,.0f}"
            bar.set_postfix(shown, refresh=False)
            bar.update()
            stop = _sum_over_processes(torch.tensor(float(bool(asked)), device=device)) > 0
            validate = step % validate_every == 0 or step == updates
            if validate or stop or step == end:
                seconds += time.perf_counter() - started
                cpu_seconds += time.process_time() - cpu_started
            if validate:
                row = {
                    "update": step,
                    "train_loss": sum(losses) / len(losses),
                    "valid_loss": _from_first(lambda: validation_loss(model, encoded)),
                    "seconds": seconds,
                    "cpu_seconds": cpu_seconds,
                    "target_tokens": tokens + (history.rows[-1]["target_tokens"] if history.rows else 0),
                }
                _check_loss(row["valid_loss"], step, learning_rate)
                if watch:
                    model.eval()
                    row |= _from_first(lambda: watch(model))
                    model.train()
                history.rows.append(row)
                shown |= {"train": f"{row['train_loss']:.3f}", "valid": f"{row['valid_loss']:.3f}"}
                shown |= {"bleu": f"{row['valid_bleu']:.1f}"} if "valid_bleu" in row else {}
                bar.set_postfix(shown)
                stale += 1
                if best is None or _goodness(row) > _goodness(best):
                    stale, best = 0, dict(row)
                    if patience or "valid_bleu" in row:
                        best["model"] = copy.deepcopy(model.state_dict())
                losses, tokens = [], 0
            if checkpoint and (validate or stop or step == end):
                if losses:
                    _check_loss(losses[-1], step, learning_rate)
                save()
            if log and validate and _rank() == 0:
                history.write(log)
            if validate:
                started, cpu_started = time.perf_counter(), time.process_time()
    if "model" in (best or {}):
        model.load_state_dict(best["model"])
    model.eval()
    if stop or asked:  # now that all is saved, what was asked for
        signal.raise_signal(asked[0] if asked else signal.SIGINT)
    return history


def _check_loss(loss, step, learning_rate):
    """Raise a ValueError unless the loss is a number."""
    if not math.isfinite(loss):
        raise ValueError(
            f"training has diverged: after {step:,} updates the loss is no longer a number ({loss}). Train "
            f"anew with a learning rate lower than {learning_rate:g}; or the model has a mistake, such as a "
            "softmax over scores that are all masked"
        )


def _goodness(row):
    """What the best row has most of: BLEU where it is known, else the less loss the better."""
    return row.get("valid_bleu", -row["valid_loss"])


def _check_settings(checkpoint, saved, settings):
    """Raise a ValueError that names what differs, unless the two are the same."""
    differ = [name for name in saved | settings if saved.get(name) != settings.get(name)]
    if differ:
        told = ", ".join(f"{name} {saved.get(name)} there, {settings.get(name)} here" for name in differ)
        raise ValueError(
            f"{checkpoint} belongs to a run with other settings ({told}): delete it, or name another "
            "checkpoint"
        )


def in_parallel(function, jobs, workers=None):
    """Call `function(**job)` for every job, each in a process of one thread, and return results in order.

    A small model gains nothing from a second thread, so two cores train two such models in the time
    of one. `function` must be importable: defined in a module or in the running notebook.
    """
    from joblib import Parallel, delayed  # slow to import

    workers = min(workers or os.cpu_count() or 1, len(jobs))
    with warnings.catch_warnings(), Parallel(n_jobs=workers, return_as="generator") as pool:
        # joblib renews a worker whose memory has grown, and says so: nothing is lost by it.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs")
        results = pool(delayed(_on_one_thread)(function, job) for job in jobs)
        return list(tqdm(results, total=len(jobs), unit="model", leave=False))


def _on_one_thread(function, job):
    torch.set_num_threads(1)
    return function(**job)
