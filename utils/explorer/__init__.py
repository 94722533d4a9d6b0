"""The attention explorer: step through what translators wrote, and see where each word looked.

`explore` gives an object that shows itself in a notebook, in an HTML export and on a web page as one custom
element (explorer.js, explorer.css), which carries all that it needs and asks no network for anything. Where
scripts are not allowed, a picture and a table of the largest weights stand in its place.
"""

import hashlib
import html
import json
from base64 import b64encode
from dataclasses import dataclass
from importlib import resources

import numpy as np
import torch

from utils.metrics import attention_entropy
from utils.models import Translation, translate
from utils.plotting import Figure, plot_maps, to_numpy
from utils.subwords import MARK, merge_pieces
from utils.text import detokenize

END = "(end)"
MOST_PANELS, MOST_TOKENS = 3, 200
SCRIPT, STYLE = (
    resources.files(__name__).joinpath(f"explorer.{kind}").read_text("utf-8") for kind in ("js", "css")
)
# Two versions of the element may meet in one notebook: each has a name of its own.
TAG = f"attention-explorer-{hashlib.sha256((SCRIPT + STYLE).encode()).hexdigest()[:8]}"


def explore(panels, links=(), epochs="epoch", alt=None):
    """Show attention weights step by step: an `Explorer`, to be the last line of a cell.

    `panels` names up to three things to see side by side, such as models or heads: a dict of name and
    `Translation`, or (weights, src_tokens, tgt_tokens) as in `plotting.plot_attention`; a single one needs no
    dict. All are of one source sentence. In place of one map, a list of them, or a dict of label and map, is
    the same sentence at several moments of training, and a slider chooses; `epochs` says what the labels
    count. A `Translation` without weights is shown as its words.

    weights are (tgt_len, src_len), 0 or more, and no row sums to more than 1. One row or one column more than
    there are tokens is an end token's. `links`, a set of gold (src, tgt), are framed; where the panels'
    target tokens differ, a dict of name and set. `alt` says in words what the fallback picture shows.

    The weights travel as 32-bit floats, so that all digits shown are those of the arrays. Entropy is that of
    `metrics.attention_entropy`, in nats, with the logarithm of the number of columns as the most; what has
    been looked at so far is `metrics.coverage` of the rows up to the step. At a temperature T a row becomes
    w^(1/T), scaled to the sum it had: for a whole row, the softmax of its scores divided by T. What does not
    fit is a ValueError that says what to do.
    """
    if not isinstance(panels, dict):
        panels = {"": panels}
    if not 1 <= len(panels) <= MOST_PANELS:
        raise ValueError(f"one to {MOST_PANELS} panels fit side by side, not {len(panels)}: choose some")
    shown = [_panel(name, maps) for name, maps in panels.items()]
    first = shown[0]
    for panel in shown:
        if panel.sentence != first.sentence:
            raise ValueError(
                f"{panel.title} and {first.title} read different sentences: explore one sentence at a time"
            )
    moments = {tuple(panel.moments) for panel in shown if len(panel.moments) > 1}
    if len(moments) > 1:
        raise ValueError(f"the panels were looked at at different moments: give each the same {epochs}s")
    _add_links([panel for panel in shown if panel.maps], links)
    return Explorer(shown, next(iter(moments), [""]), epochs, alt)


@dataclass
class _Panel:
    """One column of the explorer: `maps` has a (tgt_len, src_len) array for each of `moments`, or none."""

    name: str
    sentence: list
    src: list
    tgt: list
    moments: list
    maps: list
    links: list = ()

    @property
    def title(self):
        return repr(self.name) if self.name else "the panel"


def _add_links(panels, links):
    """Give the panels with a map their gold links, a set for all or a dict of name and set."""
    if not isinstance(links, dict):
        if links and any(panel.tgt != panels[0].tgt for panel in panels):
            raise ValueError(
                "the panels have different target tokens, so gold links do not fit all: "
                "give them by name, as in links={name: {(src, tgt), ...}}"
            )
        links = {panel.name: links for panel in panels}
    if unknown := set(links) - {panel.name for panel in panels}:
        raise ValueError(f"there are links for {', '.join(map(repr, unknown))}, but no such panel with a map")
    for panel in panels:
        panel.links = sorted((int(src), int(tgt)) for src, tgt in links.get(panel.name, ()))
        for src, tgt in panel.links:
            if not (0 <= src < len(panel.src) and 0 <= tgt < len(panel.tgt)):
                raise ValueError(
                    f"link ({src}, {tgt}) leaves the sentence of {panel.title}, {len(panel.src)} source and "
                    f"{len(panel.tgt)} target tokens: links are (src, tgt), counted from 0"
                )


def _panel(name, maps):
    """Check what stands under one name, and bring it into one form."""
    name = str(name)
    title = repr(name) if name else "the panel"
    if isinstance(maps, list):
        maps = dict(enumerate(maps, 1))
    elif not isinstance(maps, dict):
        maps = {"": maps}
    if not maps:
        raise ValueError(f"{title} is empty: give it at least one map")
    parts = [_map(f"{title}, {label!r}" if label != "" else title, one) for label, one in maps.items()]
    weights, sentence, src, tgt = parts[0]
    for (_, *tokens), label in zip(parts, maps, strict=True):
        if tokens != [sentence, src, tgt]:
            raise ValueError(
                f"{title} has other tokens at {label!r}: maps of one training are compared over the same "
                "tokens, such as the right translation (utils.models.forced_weights)"
            )
    found = [part[0] for part in parts if part[0] is not None]
    if found and len(found) < len(parts):
        raise ValueError(f"{title} has weights at some moments only: leave the others out")
    return _Panel(name, sentence, src, tgt, [str(label) for label in maps], found)


def _map(title, item):
    """Give weights, an array or None, the source sentence, and the tokens of columns and rows."""
    if isinstance(item, Translation):
        weights, src, tgt = item.weights, item.src_tokens, item.tokens
    elif isinstance(item, tuple) and len(item) == 3:
        weights, src, tgt = item
    else:
        raise ValueError(
            f"{title} is {type(item).__name__}: give a Translation, or (weights, src_tokens, tgt_tokens)"
        )
    src, tgt = list(map(str, src)), list(map(str, tgt))
    if not src or not tgt and weights is None:
        raise ValueError(f"{title} has no tokens: explore a sentence of one token or more")
    if max(len(src), len(tgt)) > MOST_TOKENS:
        raise ValueError(
            f"{title} has {len(src)} source and {len(tgt)} target tokens, and no more than {MOST_TOKENS} can "
            "be read: explore a shorter sentence"
        )
    if weights is None:
        return None, src, src, tgt
    weights = to_numpy(weights).astype("<f4")
    rows, columns = len(tgt), len(src)
    if weights.ndim != 2 or weights.shape[0] - rows not in (0, 1) or weights.shape[1] - columns not in (0, 1):
        raise ValueError(
            f"{title} has weights of shape {weights.shape}, but {rows} target tokens (rows) and {columns} "
            f"source tokens (columns) need ({rows}, {columns}), or one more of each for the end token"
        )
    if not weights.size:
        raise ValueError(f"{title} has no rows: explore a translation of one token or more")
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.sum(1).max() <= 1 + 1e-3):
        raise ValueError(
            f"{title} has rows that are not attention weights, which are 0 or more and sum to at most 1: "
            "scores need a softmax over the source tokens first"
        )
    return weights, src, src + [END] * (weights.shape[1] - columns), tgt + [END] * (weights.shape[0] - rows)


class Explorer:
    """What `explore` gives: it shows itself, and goes `live` on sentences that are typed."""

    def __init__(self, panels, moments, epochs, alt=None):
        self.panels, self.moments, self.epochs, self.alt = panels, moments, epochs, alt

    def _repr_html_(self):
        import matplotlib  # slow to import, and only what is shown needs it

        palette = (matplotlib.colormaps["viridis"](np.arange(256), bytes=True)[:, :3]).tobytes()
        data = {
            "epochs": self.moments,
            "unit": self.epochs,
            "palette": b64encode(palette).decode(),
            "panels": [
                {
                    "name": panel.name,
                    "src": panel.src,
                    "tgt": panel.tgt,
                    "maps": [b64encode(weights.tobytes()).decode() for weights in panel.maps],
                    "links": panel.links,
                }
                for panel in self.panels
            ],
        }
        text = html.escape(json.dumps(data, ensure_ascii=False, separators=(",", ":")), quote=False)
        return (
            f"<{TAG} data-lm-suppress-shortcuts=\"true\" data-explorer='{text.replace(chr(39), '&#39;')}'>"
            f"{self._fallback()}</{TAG}>"
            f"<script>{{\nconst STYLE = {json.dumps(STYLE)};\n{SCRIPT}"
            f'customElements.get("{TAG}") || customElements.define("{TAG}", AttentionExplorer);\n}}</script>'
        )

    def __repr__(self):
        names = ", ".join(panel.name or "attention" for panel in self.panels)
        return f"explorer of {names}: {' '.join(self.panels[0].sentence)}"

    def _fallback(self):
        """What is to be seen where no script may run: a picture, and each row's largest weights as text."""
        seen = [panel for panel in self.panels if panel.maps]
        parts = []
        if seen:
            longest = max(len(tokens) for panel in seen for tokens in (panel.src, panel.tgt))
            side = 1.6 + min(0.22 * longest, 7)  # inches
            every = -(-longest // 25)  # in long sentences, not each token has a label

            def labels(tokens):
                return [token[:16] if i % every == 0 else "" for i, token in enumerate(tokens)]

            maps = {p.name: (p.maps[-1], labels(p.src), labels(p.tgt), p.links) for p in seen}
            ax = plot_maps(maps, columns=len(maps), size=(side, side))
            alt = (
                self.alt
                or "; ".join(
                    f"{p.name or 'attention'}, a map of {len(p.tgt)} target by {len(p.src)} source tokens"
                    for p in seen
                )
                + ": the text below it names the largest weights of each row"
            )
            parts.append(Figure(ax, alt, dpi=64, colors=64)._repr_html_())
        for panel in self.panels:
            parts.append(f"<p><b>{html.escape(panel.name)}</b> {html.escape(' '.join(panel.tgt))}</p>")
            if not panel.maps:
                parts.append("<p>no attention: it has no weights to show</p>")
                continue
            rows = [
                f"<tr><th>{html.escape(token)}</th><td>{html.escape(_largest(row, panel.src))}</td></tr>"
                for token, row in zip(panel.tgt, panel.maps[-1], strict=True)
            ]
            parts.append(
                f"<details><summary>largest weights of each row</summary>"
                f"<table><tbody>{''.join(rows)}</tbody></table></details>"
            )
        return "".join(parts)

    def live(self, models, encoded):
        """Type a sentence in a running notebook, and see what models write for it and where they look.

        `models` is one model, or a dict of name and model for up to three panels; `encoded` is the
        `EncodedCorpus` they were trained with. Gives a widget: what is shown stays until another sentence has
        been translated, words the models do not know are named, and an error is told in words. Maps over
        pieces of words are shown on words.
        """
        import ipywidgets as widgets  # slow to import, and only a running notebook needs it

        models = models if isinstance(models, dict) else {"": models}
        words = self.panels[0].sentence
        if any(word.startswith(MARK) for word in words):
            words = merge_pieces(words)
        sentence = widgets.Text(
            value=detokenize(words, encoded.corpus.tokenization, encoded.corpus.src_lang),
            description="Sentence",
            placeholder="type a sentence and press Enter",
            continuous_update=False,
            layout=widgets.Layout(width="100%"),
        )
        message, shown = widgets.HTML(), widgets.Output()

        def show(explorer):
            data = {"text/html": explorer._repr_html_(), "text/plain": repr(explorer)}
            shown.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)

        def say(words):
            message.value = f'<span role="alert">{html.escape(words)}</span>'

        def answer(change):
            tokens = encoded.tokenize(change["new"], "src")
            if not tokens:
                return say("There is nothing to translate yet: type a sentence and press Enter.")
            unknown = dict.fromkeys(token for token in tokens if token not in encoded.src_vocab)
            try:
                found = {
                    name: encoded.on_words(translate(model, encoded, [tokens])[0])
                    for name, model in models.items()
                }
                show(explore(found))
            except Exception as error:  # whatever goes wrong is told, and the sentence stays
                return say(f"This sentence could not be translated: {error}")
            if unknown:
                return say(f"Not in the vocabulary, so read as unknown words: {', '.join(unknown)}")
            return say("")

        sentence.observe(answer, names="value")
        show(self)
        return widgets.VBox([sentence, message, shown])


def _largest(row, tokens, count=3):
    """The largest weights of a row in words, and its entropy."""
    best = [i for i in np.argsort(-row, kind="stable")[:count] if row[i] >= 0.005]
    spread = attention_entropy(torch.tensor(row, dtype=torch.float64)[None, None]).item()
    looks = ", ".join(f"{tokens[i]} {row[i]:.2f}" for i in best) or "nothing"
    return f"{looks}; entropy {spread:.2f} nats"
