"""Right answers of exercise 04, written in other ways."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from utils import plotting
from utils.metrics import alignment_error_rate


def _plot(
    draw=lambda ax, weights: ax.imshow(weights, vmin=0, vmax=1),
    x=lambda src, tgt: src,
    y=lambda src, tgt: tgt,
    label=lambda ax, x, y: (ax.set_xticks(range(len(x)), x), ax.set_yticks(range(len(y)), y)),
    weights_of=lambda weights: weights,
    names=("source", "target"),
    on=lambda ax: ax or plt.subplots()[1],
    give=lambda ax: ax,
):
    """A map with one step in another way: where it is drawn, how, and what stands beside it."""

    def answer(weights, src_tokens, tgt_tokens, ax=None):
        ax = on(ax)
        draw(ax, weights_of(weights))
        label(ax, x(src_tokens, tgt_tokens), y(src_tokens, tgt_tokens))
        ax.set(**dict(zip(("xlabel", "ylabel"), names, strict=False)))
        return give(ax)

    return answer


def _mesh(ax, weights):
    return ax.pcolormesh(weights, vmin=0, vmax=1)


def _inverted_mesh(ax, weights):
    _mesh(ax, weights)
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


_RIGHT_PLOT = (
    _plot(),
    plotting.plot_attention,
    _by_seaborn,
    _with_a_colour_bar,
    _plot(draw=_inverted_mesh, label=_mid_cell),
    _plot(draw=lambda ax, weights: ax.matshow(weights.numpy(), vmin=0, vmax=1)),
    _plot(
        draw=lambda ax, weights: ax.imshow(weights.flip(0), vmin=0, vmax=1, origin="lower"),
        label=lambda ax, x, y: (ax.set_xticks(range(len(x)), x), ax.set_yticks(range(len(y)), y[::-1])),
    ),
    _plot(
        draw=lambda ax, weights: ax.pcolor(weights.flip(0), vmin=0, vmax=1),
        label=lambda ax, x, y: _mid_cell(ax, x, y[::-1]),
    ),
    _plot(
        draw=lambda ax, weights: ax.imshow(
            weights, vmin=0, vmax=1, extent=(0, weights.shape[1], weights.shape[0], 0)
        ),
        label=_mid_cell,
    ),
)


def _best(weights, dim=-1):
    return weights.argmax(dim).tolist()


_RIGHT_HARD = (
    lambda weights: {(s, t) for t, s in enumerate(weights.numpy().argmax(1))},
    lambda weights: set(zip(_best(weights), range(len(weights)), strict=True)),
    lambda weights: {(int(row.argmax()), t) for t, row in enumerate(weights)},
    lambda weights: frozenset((row.index(max(row)), t) for t, row in enumerate(weights.tolist())),
    lambda weights: {(int(s), t) for t, s in enumerate(torch.max(weights, dim=1).indices)},
    lambda weights: {
        (max(range(len(row)), key=row.__getitem__), t) for t, row in enumerate(weights.tolist())
    },
)


def _counts(predicted, sure, possible):
    """|A|, |S|, |P|, |A and S| and |A and P| over the corpus."""
    rows = [(a, s, p | s) for a, s, p in zip(predicted, sure, possible, strict=True)]
    if not any(predicted) and not any(sure):
        raise ValueError("no link")
    return [
        sum(map(len, column)) for column in zip(*((a, s, p, a & s, a & p) for a, s, p in rows), strict=True)
    ]


def _of_counts(formula):
    """An error made of |A|, |S|, |P|, |A and S| and |A and P|, where nothing is divided by zero."""
    return lambda predicted, sure, possible: formula(*_counts(predicted, sure, possible))


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


_RIGHT_ERROR = (
    _error_by_loops,
    _error_by_tagged_links,
    _of_counts(lambda a, s, p, a_s, a_p: (a + s - a_s - a_p) / (a + s)),
    _of_counts(lambda a, s, p, a_s, a_p: np.float64(1) - np.divide(a_s + a_p, a + s)),
    lambda *links: float(alignment_error_rate(*links)),
)


def _silenced(weights, mask):
    return weights if mask is None else torch.where(mask[:, None], weights, 0.0)


def _nats(weights):
    return torch.where(weights > 0, -weights * weights.clamp(min=1e-30).log(), 0.0)


def _of_nats(formula):
    """Entropy made of the weights without padding, the mask, and what each token adds."""

    def answer(weights, mask):
        weights = _silenced(weights, mask)
        return formula(weights, mask, _nats(weights))

    return answer


def _entropy_by_loops(weights, mask):
    result = weights.new_zeros(weights.shape[:2])
    for b, t, s in np.ndindex(*weights.shape):
        if weights[b, t, s] > 0 and (mask is None or mask[b, s]):
            result[b, t] -= weights[b, t, s] * weights[b, t, s].log()
    return result


def _entropy_of_repaired_zeros(weights, mask):
    terms = torch.nan_to_num(weights * torch.log(weights))
    return -(terms if mask is None else terms * mask.unsqueeze(1)).sum(dim=2)


_RIGHT_ENTROPY = (
    _entropy_by_loops,
    _entropy_of_repaired_zeros,
    _of_nats(lambda weights, mask, nats: nats.sum(-1)),
    lambda weights, mask: -torch.xlogy(_silenced(weights, mask), _silenced(weights, mask)).sum(2),
    lambda weights, mask: -(lambda w: w * (w + 1e-9).log())(_silenced(weights, mask)).sum(-1),
    lambda weights, mask: (
        -torch.einsum("bts,bts->bt", *(lambda w: (w, w.clamp(min=1e-12).log()))(_silenced(weights, mask)))
    ),
)


def _of_real(formula):
    return lambda weights, mask: formula(_silenced(weights, mask))


def _coverage_by_loops(weights, mask):
    result = weights.new_zeros(weights.shape[0], weights.shape[2])
    for b, t, s in np.ndindex(*weights.shape):
        if mask is None or mask[b, s]:
            result[b, s] += weights[b, t, s]
    return result


_RIGHT_COVERAGE = (
    _coverage_by_loops,
    _of_real(lambda weights: weights.sum(dim=1)),
    _of_real(lambda weights: weights.cumsum(1)[:, -1]),
    _of_real(lambda weights: torch.einsum("bts->sb", weights).T),
    lambda weights, mask: weights.sum(1) * (torch.ones_like(weights[:, 0]) if mask is None else mask),
)


RIGHT = {
    "plot_attention": _RIGHT_PLOT,
    "hard_alignment": _RIGHT_HARD,
    "alignment_error_rate": _RIGHT_ERROR,
    "attention_entropy": _RIGHT_ENTROPY,
    "coverage": _RIGHT_COVERAGE,
}
