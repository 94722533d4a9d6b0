"""Trained models of the review world, which come with the course.

Every model has several seeds, and one of them has snapshots of its training. `benchmarks.quality.pretrained`
has trained and measured them, with the same budget each. Weights are stored in 8 bits, so that the
playground computes with exactly these numbers.
"""

import json
from pathlib import Path

import numpy as np
import torch

from utils.data.download import replacing
from utils.models import RECURRENT, Seq2Seq
from utils.transformer import Transformer

FOLDER = Path(__file__).parent / "checkpoints"
MODELS = (*RECURRENT, "transformer")


def load(context, seed=0, update=None, folder=FOLDER):
    """Load a trained model of the reviews, in evaluation mode.

    `context` is one of `MODELS`. With `update`, load the snapshot after that many updates instead of the
    finished model; `snapshots` lists them. Vocabularies are those of `utils.text.encoded_reviews()`. Raises
    `ValueError` if there is no such model, and says which there are.
    """
    path = Path(folder) / _name(context, seed, update)
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in Path(folder).glob("*.npz")))
        raise ValueError(f"there is no pretrained model {path.stem}: choose one of {known or 'none'}")
    with np.load(path, allow_pickle=False) as stored:
        config = json.loads(str(stored["config"]))
        weights = {name: _restore(name, stored) for name in stored["names"].tolist()}
    model = Transformer(**config) if context == "transformer" else Seq2Seq(**config)
    model.load_state_dict(weights)
    return model.eval()


def snapshots(context, seed=0, folder=FOLDER):
    """Return the updates, in order, at which a training has snapshots; none for most models."""
    stem = _name(context, seed, None).removesuffix(".npz")
    return sorted(int(file.stem.rpartition("-")[2]) for file in Path(folder).glob(f"{stem}-update-*.npz"))


def save(model, context, seed, update=None, folder=FOLDER):
    """Store a model for `load`.

    A matrix is stored as 8-bit integers with one scale per row, which is the largest absolute value of the
    row divided by 127. Vectors are stored as 16-bit floats.
    """
    state = model.state_dict()
    arrays = {"config": np.array(json.dumps(model.config)), "names": np.array(list(state))}
    for name, weights in state.items():
        weights = weights.detach().cpu().numpy()
        if weights.ndim == 1:
            arrays[name] = weights.astype(np.float16)
        else:
            scale = np.maximum(np.abs(weights).max(1), 1e-12).astype(np.float32) / 127
            arrays[name] = np.rint(weights / scale[:, None]).astype(np.int8)
            arrays[f"{name}.scale"] = scale
    with replacing(Path(folder) / _name(context, seed, update)) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)


def _name(context, seed, update):
    return f"{context}-seed-{seed}" + ("" if update is None else f"-update-{update}") + ".npz"


def _restore(name, stored):
    weights = stored[name].astype(np.float32)
    if f"{name}.scale" in stored:
        weights *= stored[f"{name}.scale"][:, None]
    return torch.from_numpy(weights)
