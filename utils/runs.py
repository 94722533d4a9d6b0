"""Training runs that can be named, stopped, and resumed: any translator of the course on any of its corpora.

Every choice of settings has its own folder in the cache folder, runs/NAME, with a checkpoint, a log (see
`History.read`), and translations. `python -m utils.cli_train` is the command line. In a notebook:

    config = RunConfig(corpus="multi30k", model="additive")
    run = train_run(config, limit=100)  # about a minute; call it again to resume
    run = find_run(config)              # the run so far, or None
    translate(run.model, run.encoded, [run.encoded.tokenize("ein hund läuft .")])
"""

import hashlib
import json
import math
import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from numbers import Integral, Real
from typing import get_args, get_type_hints

import filelock
import torch
from torch import distributed, nn

from utils.data import load_multi30k, load_opensubtitles, load_reviews, load_wmt14
from utils.data.download import cache_folder, disk_errors
from utils.metrics import Score, bleu
from utils.models import RECURRENT, Seq2Seq, translate
from utils.text import EncodedCorpus
from utils.training import (
    SCHEDULES,
    History,
    TrainConfig,
    load_checkpoint,
    seed_everything,
    settings_of_result,
    train,
)
from utils.transformer import Transformer

MODELS = (*RECURRENT, "transformer")
CORPORA = {"reviews": ("en", "fr")} | dict.fromkeys(("multi30k", "wmt14", "opensubtitles"), ("de", "en"))
# Settings that translate well for their cost. The Transformer's are near those of Wu et al. 2021, table 1.
PRESETS = {
    "tiny-transformer": {
        "model": "transformer",
        "hidden_dim": 128,
        "ff_dim": 256,
        "layers": 4,
        "heads": 4,
        "dropout": 0.3,
        "label_smoothing": 0.1,
        "subwords": 8_000,
        "shared": True,
        "updates": 12_000,
        "batch_tokens": 2_000,
        "schedule": "inverse_sqrt",
        "learning_rate": 4e-3,
        "warm_up": 1_000,
        "validate_every": 250,
        "average": 10,
        "patience": 12,
    },
    "attention-rnn": {
        "model": "additive",
        "embed_dim": 384,
        "hidden_dim": 384,
        "dropout": 0.4,
        "label_smoothing": 0.1,
        "subwords": 8_000,
        "shared": True,
        "updates": 8_000,
        "batch_tokens": 1_200,
        "learning_rate": 2e-3,
        "validate_every": 400,
        "average": 5,
        "patience": 8,
    },
}
CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"


def _setting(default, help_, least=None, above=None, below=None):
    return field(default=default, metadata={"help": help_, "least": least, "above": above, "below": below})


@dataclass(frozen=True)
class RunConfig:
    """All settings that decide the result of a run; `python -m utils.cli_train --help` explains each.

    The defaults are for Multi30K and half an hour on one core. Invalid values raise `ValueError`.
    """

    corpus: str = _setting("multi30k", f"one of {', '.join(CORPORA)}")
    src: str | None = _setting(None, "source language (default: en for the reviews, de for the others)")
    tgt: str | None = _setting(None, "target language (default: fr for the reviews, en for the others)")
    pairs: int | None = _setting(None, "number of training pairs (default: the corpus's own)", 1)
    subwords: int | None = _setting(None, "size of a subword vocabulary (default: words)", 1)
    shared: bool = _setting(False, "one vocabulary and one embedding for both languages, tied to the output")
    min_count: int = _setting(2, "words that occur less often in training become unknown", 1)
    max_tokens: int | None = _setting(None, "leave out training pairs with a longer side", 1)
    model: str = _setting("additive", f"one of {', '.join(MODELS)}")
    embed_dim: int = _setting(256, "embedding size of the recurrent models", 1)
    hidden_dim: int = _setting(512, "hidden size; in the Transformer, the embedding size too", 1)
    layers: int = _setting(3, "layers of the Transformer's encoder, and of its decoder", 1)
    heads: int = _setting(8, "attention heads of the Transformer", 1)
    ff_dim: int = _setting(1024, "feed-forward size of the Transformer", 1)
    dropout: float = _setting(0.4, "dropout probability", 0, below=1)
    label_smoothing: float = _setting(
        0.0, "label smoothing: probability mass spread uniformly over the vocabulary", 0, below=1
    )
    updates: int = _setting(5000, "number of updates; the learning-rate schedule spans all of them", 1)
    batch_tokens: int = _setting(900, "target tokens per batch, padding included", 1)
    learning_rate: float = _setting(2e-3, "peak learning rate", above=0)
    schedule: str = _setting("one_cycle", f"schedule of the learning rate, one of {', '.join(SCHEDULES)}")
    warm_up: int = _setting(1000, "updates until the peak learning rate of inverse_sqrt", 1)
    average: int = _setting(1, "average the weights of the last so many validations", 1)
    max_norm: float = _setting(1.0, "clip the gradient norm to this value", above=0)
    validate_every: int = _setting(
        500, "updates between two validations (may change when resuming, unless weights are averaged)", 1
    )
    patience: int = _setting(
        5, "stop after this many validations without a better BLEU; 0 never stops early (may change)", 0
    )
    seed: int = _setting(0, "random seed of weights, batches, and dropout", 0, below=2**32)

    def __post_init__(self):
        for name, choices in (("corpus", tuple(CORPORA)), ("model", MODELS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        self._complete_languages()
        for field_, kind in setting_types().items():
            value = getattr(self, field_.name)
            if kind is bool and not isinstance(value, bool):
                raise ValueError(f"{field_.name}: expected True or False, got {value!r}")
            if kind not in (str, bool) and not (value is None and field_.default is None):
                _check_number(field_, kind, value)
                object.__setattr__(self, field_.name, kind(value))  # 0 and 0.0 are the same setting
        if self.hidden_dim % 2:
            raise ValueError(f"hidden_dim: expected an even number, got {self.hidden_dim}")
        if self.model == "transformer" and self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim: expected a multiple of {self.heads} heads, got {self.hidden_dim}")
        if self.shared and self.model != "transformer" and self.embed_dim != self.hidden_dim:
            raise ValueError(
                f"embed_dim: with shared it must equal hidden_dim, {self.hidden_dim}, got {self.embed_dim}"
            )

    def _complete_languages(self):
        """Fill in the corpus's default languages and check them."""
        for name, default in zip(("src", "tgt"), CORPORA[self.corpus], strict=True):
            value = default if getattr(self, name) is None else getattr(self, name)
            if not isinstance(value, str):
                raise ValueError(f"{name}: expected a language code such as {default!r}, got {value!r}")
            object.__setattr__(self, name, value)
        if self.corpus == "reviews" and (self.src, self.tgt) != CORPORA["reviews"]:
            raise ValueError(f"the reviews are from en to fr, got {self.src} to {self.tgt}")
        if self.src == self.tgt:
            raise ValueError(f"src and tgt are both {self.src!r}: choose two different languages")

    @property
    def identity(self):
        """The settings that may not change when a run is resumed, as a dict."""
        return settings_of_result(self)

    @property
    def name(self):
        """The name of the run: its main settings and a checksum of the settings that aren't defaults."""
        default = {f.name: f.default for f in fields(self)}
        changed = {name: value for name, value in self.identity.items() if value != default[name]}
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.corpus}-{self.src}-{self.tgt}-{self.model}-seed-{self.seed}-{digest}"

    @property
    def folder(self):
        """The folder of the run in the cache folder, whether it exists or not."""
        return cache_folder() / "runs" / self.name


def setting_types():
    """Return the type of each field of `RunConfig`, without None."""
    hints = get_type_hints(RunConfig)
    return {f: (get_args(hints[f.name]) or (hints[f.name],))[0] for f in fields(RunConfig)}


def _check_number(field_, kind, value):
    """Raise `ValueError` unless the value is a number of this type within the bounds of its setting."""
    least, above, below = (field_.metadata[bound] for bound in ("least", "above", "below"))
    bounds = [f"of at least {least}"] if least is not None else [f"above {above}"]
    bounds += [f"below {below}"] if below is not None else []
    expected = f"{field_.name}: expected {'an integer' if kind is int else 'a number'} {' and '.join(bounds)}"
    valid = isinstance(value, Real if kind is float else Integral) and not isinstance(value, bool)
    if valid:
        valid = math.isfinite(value) and (value >= least if least is not None else value > above)
        valid = valid and (below is None or value < below)
    if not valid:
        raise ValueError(f"{expected}, got {value!r}")


def encode_corpus(config):
    """Load the corpus of a run, downloading it if necessary: an `EncodedCorpus`, cached in memory.

    Raises `DataError` if the data isn't available.
    """
    names = ("corpus", "src", "tgt", "pairs", "subwords", "shared", "min_count", "max_tokens")
    return _encode(str(cache_folder()), *(getattr(config, name) for name in names))


@lru_cache(maxsize=2)
def _encode(_, name, src, tgt, pairs, subwords, shared, min_count, max_tokens):
    pairs_or_default = {} if pairs is None else {"pairs": pairs}
    if name == "reviews":
        corpus = load_reviews() if pairs is None else load_reviews(train=pairs)
    elif name == "multi30k":
        corpus = load_multi30k(src, tgt)
        corpus = replace(corpus, splits=corpus.splits | {"train": corpus["train"][:pairs]})
    elif name == "wmt14":
        corpus = load_wmt14(src, tgt, **pairs_or_default)
    else:
        corpus = load_opensubtitles(src, tgt, **pairs_or_default)
    return EncodedCorpus(corpus, min_count, max_tokens, subwords=subwords, shared=shared)


def make_model(config, encoded):
    """Make the untrained model of a run; the seed determines its weights."""
    seed_everything(config.seed)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    if config.model == "transformer":
        shape = config.hidden_dim, config.heads, config.ff_dim, config.layers
        return Transformer(*sizes, *shape, config.dropout, config.shared)
    return Seq2Seq(
        *sizes, config.model, config.embed_dim, config.hidden_dim, config.dropout, tied=config.shared
    )


def validation_bleu(model, encoded, split="valid"):
    """Return the BLEU of greedy translations of a split, a float.

    It is computed on the corpus's own words, which are lower-cased for Moses tokenization.
    """
    tokens = [translation.tokens for translation in translate(model, encoded, encoded.tokens(split, "src"))]
    return _bleu_on_words(encoded, split, tokens, n_bootstrap=0).score


def _bleu_on_words(encoded, split, tokens, n_bootstrap):
    hypotheses, references = (
        [" ".join(encoded.words(sentence)) for sentence in side]
        for side in (tokens, encoded.tokens(split, "tgt"))
    )
    return bleu(hypotheses, references, n_bootstrap=n_bootstrap)


@dataclass
class Evaluation:
    """Translations and references of a split, as text, with two BLEU scores and their intervals.

    `bleu` is computed on the text with sacrebleu's own tokenizer, `tokenized_bleu` on the corpus's words, as
    many published notebooks do. References are lower-cased for Moses tokenization.
    """

    translations: list[str]
    references: list[str]
    bleu: Score
    tokenized_bleu: Score


def evaluate(model, encoded, split, beam_size=1, length_penalty=1.0, n_bootstrap=300):
    """Translate a split (see `translate`) and score it: an `Evaluation`."""
    src = encoded.tokens(split, "src")
    found = translate(model, encoded, src, beam_size=beam_size, length_penalty=length_penalty)
    tokens = [translation.tokens for translation in found]
    text = [encoded.detokenize(sentence) for sentence in tokens]
    lower = encoded.corpus.tokenization == "moses"
    references = [sentence.lower() if lower else sentence for sentence in encoded.corpus[split].tgt]
    return Evaluation(
        text,
        references,
        bleu(text, references, tokenize="13a", n_bootstrap=n_bootstrap),
        _bleu_on_words(encoded, split, tokens, n_bootstrap),
    )


@dataclass
class Run:
    """The state of a run.

    `model` has the weights of the validation with the highest BLEU, and `best` is its row of the `history`;
    before the first validation these are the last weights and None. `update` counts the updates done.
    """

    config: RunConfig
    encoded: EncodedCorpus
    model: nn.Module
    history: History
    best: dict | None
    update: int
    finished: bool


def find_run(config, device=None):
    """Return the `Run` with this configuration from the cache folder, or None if there is none.

    Raises `ValueError` if the vocabulary differs, and `DataError` if the files can't be read; neither changes
    the files.
    """
    checkpoint = config.folder / CHECKPOINT
    with disk_errors("the run could not be read", config.folder):
        if not checkpoint.exists():
            return None
        saved = load_checkpoint(checkpoint)
    encoded = encode_corpus(config)
    if saved.get("identity", {}).get("vocabulary") != encoded.fingerprint:
        raise ValueError(
            f"{checkpoint} was trained with another vocabulary, so the corpus or the course has changed: "
            "rename the folder and train again, or restore that version"
        )
    best, model = saved["best"], make_model(config, encoded)
    model.load_state_dict(saved["model"] if best is None else best.pop("model"))
    out_of_patience = bool(config.patience) and saved["stale"] >= config.patience
    return Run(
        config,
        encoded,
        model.to(device or default_device()).eval(),
        History(saved["history"]),
        best,
        saved["update"],
        saved["update"] == config.updates or out_of_patience,
    )


def train_run(config, limit=None, progress=True, device=None, bf16=None):
    """Train with this configuration, or resume its training, and return the `Run`.

    `limit` stops after that many updates of this call; the next call resumes, with the same result as if it
    had not stopped. Ctrl-C and SIGTERM are safe too. Training ends after `config.updates`, or once validation
    BLEU has not risen for `config.patience` validations. `device` defaults to a GPU if there is one, and
    `bf16` computes in bfloat16, by default on GPUs that support it.

    Raises `ValueError` if another program trains the same run, if its vocabulary has changed, and if training
    diverges; raises `DataError` if the disk is full. Under torchrun, every process calls this, and only rank
    0 gets the `Run`, the others None.
    """
    if limit is not None and not (isinstance(limit, Integral) and limit >= 1):
        raise ValueError(f"limit: expected a number of updates of at least 1, got {limit!r}")
    first = not distributed.is_initialized() or distributed.get_rank() == 0
    device = torch.device(device or default_device())
    encoded = encode_corpus(config)
    model = make_model(config, encoded).to(device)
    if bf16 is None:
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    stored = disk_errors("the run could not be read or stored", config.folder)
    with stored, _locked(config.folder) if first else nullcontext():
        fit(config, model, encoded, config.folder, bf16, limit=limit, progress=progress)
    return find_run(config, device) if first else None


def fit(config, model, encoded, folder, bf16=False, **options):
    """Train a model with the settings of a run, and keep its checkpoint and log in `folder`.

    `bf16` computes in bfloat16. `options` are those of `train`, for example an `attention_loss`.
    """
    settings = {f.name: getattr(config, f.name) for f in fields(TrainConfig) if hasattr(config, f.name)}
    train(
        model,
        encoded,
        **settings | {"patience": config.patience or None},
        autocast="bfloat16" if bf16 else None,
        evaluate=lambda model: {"valid_bleu": validation_bleu(model, encoded)},
        checkpoint=folder / CHECKPOINT,
        log=folder / LOG,
        **options,
    )


def default_device():
    """Return a GPU if there is one (under torchrun, this process's own), otherwise the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


@contextmanager
def _locked(folder):
    """Lock the folder of a run, and delete incomplete files that a killed process has left."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / "lock", blocking=False):
            for partial in folder.glob("*.partial"):
                partial.unlink()
            yield
    except filelock.Timeout as error:
        raise ValueError(f"another program trains {folder}: wait for it, or stop it") from error
