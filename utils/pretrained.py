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
    return restore(*read(context, seed, update, folder))


def restore(config, arrays):
    """Return the model with these arguments and the arrays of `quantize`, in evaluation mode."""
    model = Transformer(**config) if "heads" in config else Seq2Seq(**config)
    weights = {}
    for name in (name for name in arrays if not name.endswith(".scale")):
        weights[name] = torch.from_numpy(arrays[name].astype(np.float32))
        if f"{name}.scale" in arrays:
            weights[name] *= torch.from_numpy(arrays[f"{name}.scale"])[:, None]
    model.load_state_dict(weights)
    return model.eval()


def read(context, seed=0, update=None, folder=FOLDER):
    """Return the arguments of a stored model, and its arrays as `quantize` made them. See `load`."""
    path = Path(folder) / _name(context, seed, update)
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in Path(folder).glob("*.npz")))
        raise ValueError(f"there is no pretrained model {path.stem}: choose one of {known or 'none'}")
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files if name not in ("config", "names")}
        return json.loads(str(stored["config"])), arrays


def snapshots(context):
    """Return the updates, in order, at which the training with seed 0 has snapshots; none for most models."""
    return sorted(int(file.stem.rpartition("-")[2]) for file in FOLDER.glob(f"{context}-seed-0-update-*.npz"))


def save(model, context, seed, update=None, folder=FOLDER):
    """Store a model for `load`, with the arrays of `quantize`."""
    arrays = {"config": np.array(json.dumps(model.config)), "names": np.array(list(model.state_dict()))}
    arrays |= quantize(model)
    with replacing(Path(folder) / _name(context, seed, update)) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)


def quantize(model, largest=127):
    """Return the weights of a model as arrays by name.

    A matrix becomes 8-bit integers up to `largest`, and an array named `.scale` after it holds one scale per
    row: the largest absolute value of the row divided by `largest`. Vectors become 16-bit floats.
    """
    arrays = {}
    for name, weights in model.state_dict().items():
        weights = weights.detach().cpu().numpy()
        if weights.ndim == 1:
            arrays[name] = weights.astype(np.float16)
        else:
            scale = np.maximum(np.abs(weights).max(1), 1e-12).astype(np.float32) / largest
            arrays[name] = np.rint(weights / scale[:, None]).astype(np.int8)
            arrays[f"{name}.scale"] = scale
    return arrays


def _name(context, seed, update):
    return f"{context}-seed-{seed}" + ("" if update is None else f"-update-{update}") + ".npz"
