"""Right answers of exercise 04, written in other ways."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from utils import plotting
from utils.metrics import alignment_error_rate


def _plot(draw, label):
    """A map with its cells or its labels drawn in another way."""

    def answer(weights, src_tokens, tgt_tokens, ax=None):
        ax = ax or plt.subplots()[1]
        draw(ax, weights)
        label(ax, src_tokens, tgt_tokens)
        ax.set(xlabel="source", ylabel="target")
        return ax

    return answer


def _inverted_mesh(ax, weights):
    ax.pcolormesh(weights, vmin=0, vmax=1)
    ax.invert_yaxis()


def _mid_cell(ax, x, y):
    """Label the cells of a mesh, whose middles lie at a half."""
    ax.set_xticks([i + 0.5 for i in range(len(x))], x)
    ax.set_yticks([i + 0.5 for i in range(len(y))], y)


def _by_seaborn(weights, src_tokens, tgt_tokens, ax=None):
    import seaborn as sns

    if ax is None:
        ax = plt.figure().add_subplot()
    sns.heatmap(weights, vmin=0, vmax=1, ax=ax, xticklabels=src_tokens, yticklabels=tgt_tokens, cbar=False)
    ax.set_xlabel("source words")
    ax.set_ylabel("target words")
    return ax


def _with_a_colour_bar(weights, src_tokens, tgt_tokens, ax=None):
    if ax is None:
        figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
    image = ax.imshow(weights.tolist(), cmap="Greys", norm=plt.Normalize(0, 1), aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="weight")
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(src_tokens)))
    ax.set_xticklabels(src_tokens, rotation=45)
    ax.set_yticks(np.arange(len(tgt_tokens)))
    ax.set_yticklabels(tgt_tokens)
    for (row, column), weight in np.ndenumerate(weights.numpy()):
        ax.text(column, row, f"{weight:.1f}", ha="center")
    ax.set_xlabel("Source")
    ax.set_ylabel("Target")
    plt.show()
    return ax


def _error_by_loops(predicted, sure, possible):
    above = below = 0
    for i, links in enumerate(predicted):
        for link in links:
            above += (link in sure[i]) + (link in sure[i] or link in possible[i])
            below += 1
        below += len(sure[i])
    if below == 0:
        raise ValueError("nothing to compare")
    return 1.0 - above / below


def _error_by_tagged_links(predicted, sure, possible):
    """One set each for the corpus, every link tagged with its sentence."""
    a, s, p = (
        {(i, *link) for i, links in enumerate(side) for link in links} for side in (predicted, sure, possible)
    )
    if not a and not s:
        raise ValueError("nothing to compare")
    return torch.tensor(1 - (len(a & s) + len(a & (p | s))) / (len(a) + len(s)))


def _silenced(weights, mask):
    return weights if mask is None else torch.where(mask[:, None], weights, 0.0)


def _entropy_by_loops(weights, mask):
    result = weights.new_zeros(weights.shape[:2])
    for b, t, s in np.ndindex(*weights.shape):
        if weights[b, t, s] > 0 and (mask is None or mask[b, s]):
            result[b, t] -= weights[b, t, s] * weights[b, t, s].log()
    return result


def _entropy_of_repaired_zeros(weights, mask):
    terms = torch.nan_to_num(weights * torch.log(weights))
    return -(terms if mask is None else terms * mask.unsqueeze(1)).sum(dim=2)


def _coverage_by_loops(weights, mask):
    result = weights.new_zeros(weights.shape[0], weights.shape[2])
    for b, t, s in np.ndindex(*weights.shape):
        if mask is None or mask[b, s]:
            result[b, s] += weights[b, t, s]
    return result


RIGHT = {
    "plot_attention": (
        plotting.plot_attention,
        _by_seaborn,
        _with_a_colour_bar,
        _plot(_inverted_mesh, _mid_cell),
        _plot(
            lambda ax, weights: ax.imshow(weights.flip(0), vmin=0, vmax=1, origin="lower"),
            lambda ax, x, y: (ax.set_xticks(range(len(x)), x), ax.set_yticks(range(len(y)), y[::-1])),
        ),
        _plot(
            lambda ax, weights: ax.pcolor(weights.flip(0), vmin=0, vmax=1),
            lambda ax, x, y: _mid_cell(ax, x, y[::-1]),
        ),
        _plot(
            lambda ax, weights: ax.imshow(weights, vmin=0, vmax=1, extent=(0, *weights.T.shape, 0)),
            _mid_cell,
        ),
    ),
    "hard_alignment": (
        lambda weights: {(s, t) for t, s in enumerate(weights.numpy().argmax(1))},
        lambda weights: {(int(row.argmax()), t) for t, row in enumerate(weights)},
        lambda weights: frozenset((row.index(max(row)), t) for t, row in enumerate(weights.tolist())),
    ),
    "alignment_error_rate": (
        _error_by_loops,
        _error_by_tagged_links,
        lambda *links: np.float64(alignment_error_rate(*links)),
    ),
    "attention_entropy": (
        _entropy_by_loops,
        _entropy_of_repaired_zeros,
        lambda weights, mask: -torch.xlogy(_silenced(weights, mask), _silenced(weights, mask)).sum(2),
        lambda weights, mask: -(lambda w: w * (w + 1e-9).log())(_silenced(weights, mask)).sum(-1),
    ),
    "coverage": (
        _coverage_by_loops,
        lambda weights, mask: torch.einsum("bts->sb", _silenced(weights, mask)).T,
        lambda weights, mask: weights.sum(1) * (torch.ones_like(weights[:, 0]) if mask is None else mask),
    ),
}
