"""Train a translator: seeds, a loop with a progress bar, early stop, checkpoints, several runs at once."""

import copy
import os
import random
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from utils.text import PAD_ID


def seed_everything(seed):
    """Seed Python, NumPy and torch, so that the same run gives the same numbers again."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def sequence_loss(logits, targets, pad_id=PAD_ID):
    """Mean cross-entropy over the real tokens, in nats.

    logits (batch, tgt_len, vocab), targets (batch, tgt_len).
    """
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=pad_id)


@dataclass
class History:
    """What happened in training: one dict of numbers every time the model was validated."""

    rows: list[dict] = field(default_factory=list)

    def column(self, name):
        """All values of one column, in the order of training."""
        return [row[name] for row in self.rows]


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
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        torch.save(state, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path):
    """Read a checkpoint written by `save_checkpoint`, onto the CPU; nothing in it is executed."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:
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


def train_step(model, batch, optimizer, pad_id=PAD_ID, max_norm=1.0, guide=None):
    """Update the model once with teacher forcing, and give the batch's loss before the update, a float.

    `batch` is a `Batch` on the model's device; its targets' `pad_id` counts for nothing. Gradients that
    are there already are dropped, the new ones are clipped to a norm of at most `max_norm` in all.
    `guide(batch, weights)`, if given, is added to the loss for the update and left out of what is given.
    Teacher forcing: Williams and Zipser 1989; clipping: Pascanu et al. 2013, algorithm 1.
    """
    logits, weights = model(batch.src, batch.src_lengths, batch.tgt_in)
    loss = sequence_loss(logits, batch.tgt_out, pad_id)
    objective = loss if guide is None else loss + guide(batch, weights)
    optimizer.zero_grad(set_to_none=True)
    objective.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


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
):
    """Train with teacher forcing for a number of updates and return the `History`.

    Adam (Kingma and Ba 2015) with a one-cycle learning rate that peaks at `learning_rate` (Smith and
    Topin 2019), gradients clipped to `max_norm`. `batch_tokens`, `curriculum` and `seed` choose the
    batches: see `EncodedCorpus.chunks` and `Batches`. The model is validated every `validate_every`
    updates (default: five times in all). With `patience`, training stops when the validation loss has
    not fallen for that many validations, and the best weights are put back. With `checkpoint`, a file
    written at each validation, the same call goes on where it was stopped, to the same result as if it
    had not been; `validate_every` and `patience` may then change, and any other change is a ValueError.
    `guide(batch, weights)`, if given, is a further loss on the attention weights. `watch(model)`, if given,
    returns a dict that joins each row of the history. `progress` shows a bar.
    """
    settings = dict(
        updates=updates,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        max_norm=max_norm,
        curriculum=curriculum,
        seed=seed,
    )
    validate_every = validate_every or max(1, -(-updates // 5))
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, updates, pct_start=0.2)
    history, best, stale, step, seconds = History(), None, 0, 0, 0.0
    seed_everything(seed)

    if checkpoint and Path(checkpoint).exists():
        saved = load_checkpoint(checkpoint)
        if saved["settings"] != settings:
            raise ValueError(
                f"{checkpoint} belongs to a run with other settings ({saved['settings']}): "
                "delete it, or name another checkpoint"
            )
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        history, best, stale = History(saved["history"]), saved["best"], saved["stale"]
        step, seconds = saved["step"], saved["seconds"]
        torch.set_rng_state(saved["rng"])

    batches = Batches(encoded, updates, batch_tokens, seed, curriculum)
    model.train()
    losses, tokens, started = [], 0, time.perf_counter()
    bar = tqdm(total=updates, initial=step, unit="update", disable=not progress, leave=False)
    while step < updates and not (patience and stale >= patience):
        batch = batches[step].to(device)
        losses.append(train_step(model, batch, optimizer, max_norm=max_norm, guide=guide))
        schedule.step()
        step += 1
        tokens += int((batch.tgt_out != PAD_ID).sum())
        bar.update()
        if step % validate_every and step != updates:
            continue

        seconds += time.perf_counter() - started
        row = {
            "update": step,
            "train_loss": sum(losses) / len(losses),
            "valid_loss": validation_loss(model, encoded),
            "seconds": seconds,
            "target_tokens": tokens + (history.rows[-1]["target_tokens"] if history.rows else 0),
        }
        if watch:
            model.eval()
            row |= watch(model)
            model.train()
        history.rows.append(row)
        bar.set_postfix(train=f"{row['train_loss']:.3f}", valid=f"{row['valid_loss']:.3f}")
        stale += 1
        if best is None or row["valid_loss"] < best["valid_loss"]:
            stale, best = 0, {"valid_loss": row["valid_loss"]}
            if patience:
                best["model"] = copy.deepcopy(model.state_dict())
        if checkpoint:
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
                "rng": torch.get_rng_state(),
            }
            save_checkpoint(checkpoint, state)
        losses, tokens, started = [], 0, time.perf_counter()
    bar.close()
    if patience and "model" in (best or {}):
        model.load_state_dict(best["model"])
    model.eval()
    return history


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
