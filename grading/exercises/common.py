"""What the checks of several exercises share: sizes, parameters, masks, and properties of weights."""

import math

import numpy as np
import torch

from grading.judge.compare import ATOL
from grading.judge.registry import fault

PRIMES = (2, 3, 5, 7, 11, 13)

# Parts of points that several checks have
SINGLE = "sizes of one"
ROOM = "room beyond the longest sentence"
OTHER_PAD = "another id for padding"
MASKS = "every kind of mask"
EMPTY = "rows with nothing to attend to"


def draw_parameters(rng, module, sizes, dtype="float64"):
    """Random numbers for every parameter; what the module itself draws leaves torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        named = module(**sizes).named_parameters()
        return {name: rng.standard_normal(parameter.shape).astype(dtype) for name, parameter in named}


def some_real(rng, *shape):
    """A mask, True = a real token, where every row has at least one real token and one padded."""
    order = rng.permuted(np.broadcast_to(np.arange(shape[-1]), shape), axis=-1)
    return order < rng.integers(1, shape[-1], (*shape[:-1], 1))


def padded_at_the_end(rng, batch, src_len):
    """The mask of sentences of different lengths, the shortest of one token, the longest without padding."""
    lengths = rng.permutation(np.linspace(1, src_len, batch).round())
    return np.arange(src_len) < lengths[:, None]


# Properties of weights: what can be said of them without knowing the right numbers.


def _real(case, weights):
    """Which weights belong to a real token: the case's mask, of the weights' shape."""
    mask = case.inputs["mask"]
    if mask is None:
        return np.ones(weights.shape, dtype=bool)
    return np.broadcast_to(mask[:, None] if mask.ndim == 2 else mask, weights.shape)


def nothing_to_attend_to(case, outputs):
    """Where nothing can be attended to, there are zeros."""
    empty = ~_real(case, outputs["weights"]).any(-1)
    for name, output in outputs.items():
        row = output[empty]
        found = "NaN" if np.isnan(row).any() else "not zero" if (np.abs(row) > ATOL).any() else None
        if found:
            return f"{name} is {found} where nothing can be attended to: such a row should be zeros."
    return None


def no_weight_on_padding(case, outputs):
    """Padding gets no weight."""
    padding = ~_real(case, outputs["weights"])
    if (np.abs(outputs["weights"][padding]) > ATOL).any():
        return "Padding receives weight: where the mask is False, the weight must be 0."
    return None


def rows_sum_to_one(case, outputs):
    """The weights of each row sum to one."""
    some = _real(case, outputs["weights"]).any(-1)
    sums = outputs["weights"].sum(-1)
    wrong = some & np.isfinite(sums) & (np.abs(sums - 1) > 1e-3)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        shown = f"those of row {list(at)} sum to {sums[at]:.4f}"
        return fault("The weights of a row do not sum to one", shown)
    return None


# Pieces of masks and softmaxes, for the mistakes of several exercises. Their right answers mask like this:
#     real = full(mask, scores)
#     hidden = scores.masked_fill(~real, -math.inf).masked_fill(~real.any(-1, keepdim=True), 0.0)
#     weights = hidden.softmax(-1).masked_fill(~real, 0.0)

WEIGHTS = "hidden.softmax(-1).masked_fill(~real, 0.0)"
MASK_INVERTED = (
    {"full(mask, scores)": "full(mask if mask is None else ~mask, scores)"},
    {WEIGHTS: "(scores if mask is None else filled(scores, ~mask)).softmax(-1)"},
)


def softmax_over(axis):
    """Return patches for a softmax over the wrong axis: one that treats empty rows, and one that doesn't."""
    careful = {"any(-1,": f"any({axis},", "hidden.softmax(-1)": f"hidden.softmax({axis})"}
    return careful, {WEIGHTS: f"filled(scores, mask).softmax({axis})"}


def full(mask, scores):
    """The mask in the shape of the scores, which may have an axis of heads."""
    if mask is None:
        return torch.ones_like(scores, dtype=torch.bool)
    mask = mask.unsqueeze(1) if mask.dim() == 2 else mask
    return (mask.unsqueeze(1) if scores.dim() == 4 else mask).expand_as(scores)


def filled(scores, mask, value=-math.inf):
    """The scores with a value in the place of padding."""
    return scores.masked_fill(~full(mask, scores), value)


def broadcast(scores, mask):
    """The right softmax under a mask whose shape is left as it is."""
    hidden = scores.masked_fill(~mask, -math.inf).masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return hidden.softmax(-1).masked_fill(~mask, 0.0)


def divided(numbers):
    """Each row divided by its sum."""
    return numbers / numbers.sum(-1, keepdim=True).clamp(min=1e-9)
