"""The attention explorer: step through a translation, see where each word attends, and move the attention.

`explore` shows attention weights, and `playground` trained translators that run in the page. Both return an
object that notebooks, HTML exports and web pages show as a custom element. The element (engine.js,
explorer.js, explorer.css) is self-contained and needs no network. Where scripts are not allowed, it shows a
picture and a table of the largest weights.
"""

import hashlib
import html
import json
import re
from base64 import b64encode
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from utils import pretrained
from utils.explorer import export
from utils.metrics import attention_entropy
from utils.models import BahdanauDecoder, Decoder, Encoder, Seq2Seq, Translation, translate
from utils.plotting import NAMES, Figure, plot_maps, to_numpy
from utils.subwords import MARK, merge_pieces
from utils.text import detokenize, encoded_reviews
from utils.transformer import Transformer

END = "(end)"
MAX_PANELS, MAX_TOKENS = 3, 200
ENGINE, SCRIPT, STYLE = (
    resources.files(__name__).joinpath(name).read_text("utf-8")
    for name in ("engine.js", "explorer.js", "explorer.css")
)
SCRIPT, STYLE = (re.sub(r"\n *(//.*)?(?=\n)|\n +", "\n", text) for text in (ENGINE + SCRIPT, STYLE))
ABOUT = {
    "initial": "no context: the source is only in the first state of the decoder",
    "fixed": "the same summary of the source at every step",
    "dot": "attention, scored by a dot product",
    "scaled": "attention, scored by a dot product divided by √d",
    "multiplicative": "attention, scored by a product with a learned matrix (Luong)",
    "additive": "attention, scored by a small network",
    "bahdanau": "attention before the cell, which also reads the context",
    "transformer": "attention alone, with four heads and without recurrence",
}
# Two versions of the element may be in one notebook, so each version has its own name.
TAG = f"attention-explorer-{hashlib.sha256((SCRIPT + STYLE).encode()).hexdigest()[:8]}"


def explore(panels, links=(), epochs="epoch", alt=None):
    """Show attention weights step by step: return an `Explorer`, to be the last line of a cell.

    `panels` maps up to three names, such as models or heads, to maps of the same source sentence. A map is a
    `Translation`, or (weights, src_tokens, tgt_tokens) as in `plotting.plot_attention`. A single panel needs
    no dict. A list of maps, or a dict from labels to maps, shows one sentence at several points of training,
    and a slider selects one. `epochs` is the unit of its labels. A `Translation` without weights shows its
    words.

    Weights are (tgt_len, src_len), 0 or more, and rows sum to at most 1. One more row or column than there
    are tokens belongs to an end token. Gold `links`, a set of (src, tgt), get a frame; if the target tokens
    of the panels differ, pass a dict from name to set. `alt` describes the fallback picture in words.

    The explorer shows `metrics.attention_entropy` in nats, and `metrics.coverage` of the rows up to the
    current step. A temperature T turns a row w into w^(1/T), scaled to its previous sum. If that is 1, this
    is the softmax of the scores divided by T. Raises ValueError if tokens, weights or links do not fit.
    """
    if not isinstance(panels, dict):
        panels = {"": panels}
    if not 1 <= len(panels) <= MAX_PANELS:
        raise ValueError(f"expected 1 to {MAX_PANELS} panels, got {len(panels)}: choose some of them")
    shown = [_panel(name, maps) for name, maps in panels.items()]
    first = shown[0]
    for panel in shown:
        if panel.sentence != first.sentence:
            raise ValueError(
                f"expected one source sentence, but {first.title} and {panel.title} have different ones: "
                "explore one sentence at a time"
            )
    labels = {tuple(panel.labels) for panel in shown if len(panel.labels) > 1}
    if len(labels) > 1:
        raise ValueError(f"expected the same {epochs}s in all panels, got {sorted(labels)}: use one set")
    _add_links([panel for panel in shown if panel.maps], links)
    return Explorer(shown, next(iter(labels), [""]), epochs, alt)


def playground(contexts=("initial", "fixed", "additive"), shown=("additive",), **data):
    """Show trained translators of the reviews, which run in the page: return an `Explorer`.

    `contexts` are names of `utils.pretrained.MODELS`, whose weights are part of the output, about 200 kB each
    in a notebook. `shown` are those that it begins with. The reader types a review, steps through its
    translation, and moves the attention. More keywords go to the element; the web edition uses them.
    """
    encoded, reviews, parts = encoded_reviews(), export.reviews(20), export.clauses()
    words = " ".join(en for en, _, _ in parts[:2]).split()
    weights = {} if "files" in data else {context: export.pack(*export.read(context)) for context in contexts}
    panels = {NAMES[c]: translate(pretrained.load(c), encoded, [words])[0] for c in shown}
    found = explore(panels, alt=data.pop("alt", None))
    found.data = {"reviews": reviews, "clauses": parts, "play": True, "tour": True, **data}
    found.data["vocabularies"] = _vocabularies(encoded)
    found.models = {context: {"title": NAMES[context], "about": ABOUT[context]} for context in contexts}
    for context, packed in weights.items():
        found.models[context]["weights"] = b64encode(packed).decode()
    found.shown = list(shown)
    return found


def _vocabularies(encoded):
    return {"src": encoded.src_vocab.tokens, "tgt": encoded.tgt_vocab.tokens}


@dataclass
class _Panel:
    """One column of the explorer. `maps` has one (tgt_len, src_len) array per label, or is empty."""

    name: str
    title: str  # as errors call it
    sentence: list
    src: list
    tgt: list
    labels: list
    maps: list
    links: list = ()


def _add_links(panels, links):
    """Add gold links, a set for all panels or a dict from name to set, to the panels with maps."""
    if not isinstance(links, dict):
        if links and any(panel.tgt != panels[0].tgt for panel in panels):
            raise ValueError(
                "expected links by panel, because the panels have different target tokens: pass "
                "links={name: {(src, tgt), ...}}"
            )
        links = {panel.name: links for panel in panels}
    if unknown := set(links) - {panel.name for panel in panels}:
        raise ValueError(f"expected links for panels with a map, got {', '.join(map(repr, unknown))}")
    for panel in panels:
        panel.links = sorted((int(src), int(tgt)) for src, tgt in links.get(panel.name, ()))
        for src, tgt in panel.links:
            if not (0 <= src < len(panel.src) and 0 <= tgt < len(panel.tgt)):
                raise ValueError(
                    f"expected links (src, tgt) within {len(panel.src)} source and {len(panel.tgt)} target "
                    f"tokens of {panel.title}, got ({src}, {tgt}): count from 0"
                )


def _panel(name, maps):
    """Check the maps of one panel and return it."""
    name = str(name)
    title = repr(name) if name else "the panel"
    if isinstance(maps, list):
        maps = dict(enumerate(maps, 1))
    elif not isinstance(maps, dict):
        maps = {"": maps}
    if not maps:
        raise ValueError(f"expected at least one map in {title}, got none")
    parsed = [_map(f"{title}, {label!r}" if label != "" else title, item) for label, item in maps.items()]
    tokens = parsed[0][1:]
    for (_, *others), label in zip(parsed, maps, strict=True):
        if others != list(tokens):
            raise ValueError(
                f"expected the same tokens in all maps of {title}, got others at {label!r}: use those of one "
                "translation, such as the reference (utils.models.forced_weights)"
            )
    weights = [weights for weights, *_ in parsed if weights is not None]
    if weights and len(weights) < len(parsed):
        raise ValueError(f"expected weights in all maps of {title}, got some without: leave those out")
    return _Panel(name, title, *tokens, [str(label) for label in maps], weights)


def _map(title, item):
    """Return the weights (or None), the source sentence, and the tokens of the columns and the rows."""
    if isinstance(item, Translation):
        weights, src, tgt = item.weights, item.src_tokens, item.tokens
    elif isinstance(item, tuple) and len(item) == 3:
        weights, src, tgt = item
    else:
        raise ValueError(
            f"expected a Translation or (weights, src_tokens, tgt_tokens) for {title}, got "
            f"{type(item).__name__}"
        )
    src, tgt = list(map(str, src)), list(map(str, tgt))
    if not src or not tgt and weights is None:
        raise ValueError(f"expected one token or more for {title}, got none: explore another sentence")
    if max(len(src), len(tgt)) > MAX_TOKENS:
        raise ValueError(
            f"expected at most {MAX_TOKENS} tokens for {title}, got {len(src)} source and {len(tgt)} target "
            "tokens: explore a shorter sentence"
        )
    if weights is None:
        return None, src, src, tgt
    weights = to_numpy(weights).astype("<f4")
    rows, columns = len(tgt), len(src)
    if weights.ndim != 2 or weights.shape[0] - rows not in (0, 1) or weights.shape[1] - columns not in (0, 1):
        raise ValueError(
            f"expected weights of shape ({rows}, {columns}) for {rows} target tokens (rows) and {columns} "
            f"source tokens (columns) of {title}, or one more of each for end tokens, got {weights.shape}"
        )
    if not weights.size:
        raise ValueError(f"expected one row or more for {title}, got none: explore another translation")
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.sum(1).max() <= 1 + 1e-3):
        raise ValueError(
            f"expected weights of 0 or more in rows that sum to at most 1 for {title}, got other values: "
            "apply a softmax over the source tokens to scores"
        )
    return weights, src, src + [END] * (weights.shape[1] - columns), tgt + [END] * (weights.shape[0] - rows)


class Explorer:
    """The result of `explore` and `playground`, which notebooks display.

    `live` adds models that translate what the reader types, and `save` writes a page.
    """

    def __init__(self, panels, labels, epochs, alt=None):
        self.panels, self.labels, self.epochs, self.alt = panels, labels, epochs, alt
        self.models, self.shown, self.data = {}, [], {}

    def _repr_html_(self):
        import matplotlib  # slow to import

        palette = (matplotlib.colormaps["viridis"](np.arange(256), bytes=True)[:, :3]).tobytes()
        data = {
            "epochs": self.labels,
            "unit": self.epochs,
            "palette": b64encode(palette).decode(),
            "view": "lines" if self.models else "map",
            "panels": [
                {
                    "name": panel.name,
                    "src": panel.src,
                    "tgt": panel.tgt,
                    "maps": [b64encode(weights.tobytes()).decode() for weights in panel.maps],
                    "links": panel.links,
                }
                for panel in self.panels
                if not self.models
            ],
        }
        if self.models:
            data |= {"models": self.models, "shown": self.shown, "sentence": self._words()} | self.data
        text = html.escape(json.dumps(data, ensure_ascii=False, separators=(",", ":")), quote=False)
        return (
            f"<{TAG} data-lm-suppress-shortcuts=\"true\" data-explorer='{text.replace(chr(39), '&#39;')}'>"
            f"{self._fallback()}</{TAG}>"
            f"<script>{{\nconst STYLE = {json.dumps(STYLE)};\n{SCRIPT}"
            f'customElements.get("{TAG}") || customElements.define("{TAG}", AttentionExplorer);\n}}</script>'
        )

    def _words(self):
        words = self.panels[0].sentence
        return merge_pieces(words) if any(word.startswith(MARK) for word in words) else words

    def __repr__(self):
        names = ", ".join(panel.name or "attention" for panel in self.panels)
        return f"explorer of {names}: {' '.join(self.panels[0].sentence)}"

    def _fallback(self):
        """Return the HTML for pages without scripts: a picture, and the largest weights of each row."""
        parts = [self._picture()] if any(panel.maps for panel in self.panels) else []
        if self.models:
            parts.append("<p>Where scripts may run, you can type a sentence here and move the attention.</p>")
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

    def _picture(self):
        """Draw the last map of every panel, as HTML."""
        panels = [panel for panel in self.panels if panel.maps]
        longest = max(len(tokens) for panel in panels for tokens in (panel.src, panel.tgt))
        side = 1.6 + min(0.22 * longest, 7)  # inches
        step = -(-longest // 25)  # in long sentences, only every step-th token has a label

        def labels(tokens):
            return [token[:16] if i % step == 0 else "" for i, token in enumerate(tokens)]

        maps = {p.name: (p.maps[-1], labels(p.src), labels(p.tgt), p.links) for p in panels}
        ax = plot_maps(maps, columns=len(maps), size=(side, side))
        names = [
            f"{p.name or 'attention'}, a map of {len(p.tgt)} target by {len(p.src)} source tokens"
            for p in panels
        ]
        alt = self.alt or f"{'; '.join(names)}. The text below lists the largest weights of each row."
        return Figure(ax, alt, colors=64, dpi=112)._repr_html_()

    def save(self, path, model=None, encoded=None):
        """Write a page that needs no network and no server, and return its path.

        With `model`, one model or a dict of named ones, the page translates what the reader types, as `live`
        does. `encoded` is the `EncodedCorpus` they were trained with, by default the reviews. Raises
        `ValueError` for models that only Python can run.
        """
        shown = self
        if model is not None:
            shown = self._with(model, encoded or encoded_reviews())
            if shown is None:
                raise ValueError(
                    "expected a Seq2Seq or a Transformer of utils without tied embeddings, trained on words "
                    "that spaces separate, because the page has no Python: save without a model, or use live "
                    "in a notebook"
                )
        title = html.escape(" ".join(self._words()))
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
            '<meta name="viewport" content="width=device-width"><style>:root { color-scheme: light dark } '
            "body { max-width: 70rem; margin: 1rem auto; padding: 0 1rem; color: CanvasText; "
            "background: Canvas; font-family: system-ui } h1 { font-size: 1.3rem }</style>"
            f"<main><h1>{title}</h1>{shown._repr_html_()}</main></html>\n"
        )
        path = Path(path)
        path.write_text(page, "utf-8")
        return path

    def _with(self, models, encoded):
        """Return an explorer with these models in the page, or None if the page can't run them all."""
        models = models if isinstance(models, dict) else {"model": models}
        if encoded.corpus.tokenization != "words" or encoded.words("▁") != ["▁"]:
            return None
        if not 1 <= len(models) <= MAX_PANELS or not all(map(_runs_in_a_page, models.values())):
            return None
        sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
        for name, model in models.items():
            known = model.config["src_vocab_size"], model.config["tgt_vocab_size"]
            if known != sizes:
                raise ValueError(
                    f"expected vocabularies of {known} tokens for {name!r}, got {sizes}: pass the encoded "
                    "corpus that the model was trained with"
                )
        found = Explorer(self.panels, self.labels, self.epochs, self.alt)
        for name, model in models.items():
            packed = export.pack(model.config, pretrained.quantize(model))
            found.models[name] = {"title": name, "about": name, "weights": b64encode(packed).decode()}
        found.shown, found.data = list(models), {"vocabularies": _vocabularies(encoded)}
        return found

    def live(self, models, encoded):
        """Explore what the reader types: return an explorer with the models in it, or a widget.

        `models` is one model, or a dict of up to three named ones. `encoded` is the `EncodedCorpus` that they
        were trained with. A `Seq2Seq` or a `Transformer` over words runs in the page, with weights of 8 bits,
        and needs no kernel. For other models, the widget translates in Python. It shows maps over subwords on
        words. Unknown words and errors appear as a message, and the previous sentence stays until another one
        is translated.
        """
        if found := self._with(models, encoded):
            return found
        import ipywidgets as widgets  # slow to import

        models = models if isinstance(models, dict) else {"": models}
        sentence = widgets.Text(
            value=detokenize(self._words(), encoded.corpus.tokenization, encoded.corpus.src_lang),
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
                return say("Type a sentence to translate and press Enter.")
            unknown = dict.fromkeys(token for token in tokens if token not in encoded.src_vocab)
            try:
                translations = {
                    name: encoded.on_words(translate(model, encoded, [tokens])[0])
                    for name, model in models.items()
                }
                show(explore(translations))
            except Exception as error:  # any error is shown to the reader
                return say(f"This sentence could not be translated: {error}")
            return say(f"Not in the vocabulary: {', '.join(unknown)}." if unknown else "")

        sentence.observe(answer, names="value")
        show(self)
        return widgets.VBox([sentence, message, shown])


def _runs_in_a_page(model):
    """Return whether engine.js computes what this model does. It knows no tied embeddings."""
    parts = (type(getattr(model, "encoder", None)), type(getattr(model, "decoder", None)))
    recurrent = type(model) is Seq2Seq and parts in ((Encoder, Decoder), (Encoder, BahdanauDecoder))
    return (recurrent or type(model) is Transformer) and not model.config["tied"]


def _largest(row, tokens, count=3):
    """Return the tokens with the largest weights of a row, and its entropy, as text."""
    best = [i for i in np.argsort(-row, kind="stable")[:count] if row[i] >= 0.005]
    entropy = attention_entropy(torch.tensor(row, dtype=torch.float64)[None, None]).item()
    largest = ", ".join(f"{tokens[i]} {row[i]:.2f}" for i in best) or "nothing"
    return f"{largest}; entropy {entropy:.2f} nats"
