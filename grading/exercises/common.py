"""What the checks of several exercises share: sizes, parameters, masks, and properties of weights."""

import numpy as np
import torch

from grading.judge.compare import ATOL

PRIMES = (2, 3, 5, 7, 11, 13)


def draw_parameters(rng, module, sizes, dtype="float64"):
    """Random numbers for every parameter; on the meta device the module itself draws none."""
    with torch.device("meta"):
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
    """Every output of a row without a real token is zero."""
    empty = ~_real(case, outputs["weights"]).any(-1)
    for name, output in outputs.items():
        row = output[empty]
        if np.isnan(row).any():
            return f"{name} is NaN where nothing can be attended to: such a row should be zeros."
        if (np.abs(row) > ATOL).any():
            return f"{name} is not zero where nothing can be attended to: such a row should be zeros."
    return None


def no_weight_on_padding(case, outputs):
    padding = ~_real(case, outputs["weights"])
    if (np.abs(outputs["weights"][padding]) > ATOL).any():
        return "padding receives weight: where the mask is False, the weight must be 0."
    return None


def rows_sum_to_one(case, outputs):
    some = _real(case, outputs["weights"]).any(-1)
    sums = outputs["weights"].sum(-1)
    wrong = some & np.isfinite(sums) & (np.abs(sums - 1) > 1e-3)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        return f"the weights of a row do not sum to one: those of row {list(at)} sum to {sums[at]:.4f}."
    return None
