"""Train any translator of this course on any of its corpora; what was stopped goes on.

    python -m utils.cli_train --corpus multi30k --src de --tgt en --model additive
    python -m utils.cli_train --help

Every choice of settings has a folder of its own in the cache folder, runs/NAME, with a checkpoint, a log
(`History.read`) and translations. The same command again goes on where the last one was stopped, by Ctrl-C,
a kill or `--limit`, to the same result. Several processes, on one machine or many, train one model under
torchrun, to the same result as one but for rounding and dropout:

    torchrun --nproc-per-node 2 -m utils.cli_train --corpus multi30k

In a notebook:

    settings = Settings(corpus="multi30k", model="additive")
    run = train_run(settings, limit=100)  # about a minute; call it again to go on
    run = find_run(settings)              # what there is, or None
    translate(run.model, run.encoded, [run.encoded.tokenize("ein hund läuft .")])
"""

import argparse
import hashlib
import json
import math
import os
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from numbers import Integral, Real
from typing import get_args, get_type_hints

import filelock
import torch
from torch import distributed, nn

from utils.data import load_multi30k, load_opensubtitles, load_reviews, load_wmt14
from utils.data.download import DataError, cache_folder, on_disk, replacing
from utils.metrics import Score, bleu
from utils.models import ATTENTIONS, Seq2Seq, translate
from utils.text import EncodedCorpus
from utils.training import History, load_checkpoint, seed_everything, train
from utils.transformer import Transformer

MODELS = (*ATTENTIONS, "transformer")
CORPORA = {
    "reviews": ("en", "fr"),
    "multi30k": ("de", "en"),
    "wmt14": ("de", "en"),
    "opensubtitles": ("de", "en"),
}
CHECKPOINT, LOG, SETTINGS = "checkpoint.pt", "log.jsonl", "settings.json"


def _setting(default, help_, least=None, above=None, below=None):
    return field(default=default, metadata={"help": help_, "least": least, "above": above, "below": below})


@dataclass(frozen=True)
class Settings:
    """All that decides the result of a training; what each is, `python -m utils.cli_train --help` says.

    The defaults are for Multi30K and half an hour of one core. A setting that makes no sense is a ValueError.
    """

    corpus: str = _setting("multi30k", f"one of {', '.join(CORPORA)}")
    src: str | None = _setting(None, "language to translate from (reviews: en, others: de)")
    tgt: str | None = _setting(None, "language to translate into (reviews: fr, others: en)")
    pairs: int | None = _setting(None, "training pairs (the corpus's own number unless given)", 1)
    subwords: int | None = _setting(None, "cut words into at most this many pieces a language", 1)
    min_count: int = _setting(2, "a word that training has less often is unknown; subwords are all known", 1)
    max_tokens: int | None = _setting(None, "leave out training pairs with a longer side", 1)
    model: str = _setting(
        "additive", f"one of {', '.join(MODELS)}: which attention, or none, or no recurrence"
    )
    embed_dim: int = _setting(256, "numbers that stand for a word in the recurrent models", 1)
    hidden_dim: int = _setting(512, "numbers in a state; in the Transformer, for a word too", 1)
    layers: int = _setting(3, "blocks of the Transformer's encoder, and of its decoder", 1)
    heads: int = _setting(8, "heads of the Transformer", 1)
    ff_dim: int = _setting(1024, "width of the Transformer's feed-forward layers", 1)
    dropout: float = _setting(0.4, "share of the numbers that training leaves out", 0, below=1)
    label_smoothing: float = _setting(0.0, "share of what is wanted that all words are given", 0, below=1)
    updates: int = _setting(
        5000, "updates of the weights in all; the learning rate rises and falls over them", 1
    )
    batch_tokens: int = _setting(900, "target tokens, padding included, that an update learns from", 1)
    learning_rate: float = _setting(2e-3, "the highest, reached after a fifth of the updates", above=0)
    max_norm: float = _setting(1.0, "gradients that are longer are cut to this length", above=0)
    validate_every: int = _setting(500, "updates between two validations (may change when going on)", 1)
    patience: int = _setting(5, "validations without a better BLEU to stop after, 0: never (may change)", 0)
    seed: int = _setting(0, "of weights, batches and dropout", 0, below=2**32)  # NumPy takes no more

    def __post_init__(self):
        for name, choices in (("corpus", tuple(CORPORA)), ("model", MODELS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is one of {', '.join(choices)}, not {getattr(self, name)!r}")
        for name, language in zip(("src", "tgt"), CORPORA[self.corpus], strict=True):
            value = language if getattr(self, name) is None else getattr(self, name)
            if not isinstance(value, str):
                raise ValueError(f"{name} is a language, such as {language!r}, not {value!r}")
            object.__setattr__(self, name, value)
        if self.corpus == "reviews" and (self.src, self.tgt) != CORPORA["reviews"]:
            raise ValueError(f"the reviews are from en into fr, not from {self.src} into {self.tgt}")
        if self.src == self.tgt:
            raise ValueError(f"src and tgt are both {self.src!r}: choose two different languages")
        for field_, kind in _kinds().items():
            value = getattr(self, field_.name)
            if kind is not str and not (value is None and field_.default is None):
                _check_number(field_, kind, value)
                object.__setattr__(self, field_.name, kind(value))  # 0 and 0.0 are one setting
        if self.hidden_dim % 2:
            raise ValueError(f"hidden_dim is made of two halves: make it even, not {self.hidden_dim}")
        if self.model == "transformer" and self.hidden_dim % self.heads:
            raise ValueError(
                f"hidden_dim is shared out among the heads: make {self.hidden_dim} a multiple of {self.heads}"
            )

    @property
    def identity(self):
        """The settings that decide what is learned, as a dict: those that may not change on the way."""
        return {
            name: value for name, value in asdict(self).items() if name not in ("validate_every", "patience")
        }

    @property
    def name(self):
        """A name for the run of these settings: what it is about, and a checksum of what is not default."""
        default = {f.name: f.default for f in fields(self)}
        given = {name: value for name, value in self.identity.items() if value != default[name]}
        digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.corpus}-{self.src}-{self.tgt}-{self.model}-seed-{self.seed}-{digest}"

    @property
    def folder(self):
        """The folder of this run in the cache folder, whether it is there or not."""
        return cache_folder() / "runs" / self.name


def _kinds():
    """The type of each setting, without its None."""
    hints = get_type_hints(Settings)
    return {f: (get_args(hints[f.name]) or (hints[f.name],))[0] for f in fields(Settings)}


def _check_number(field_, kind, value):
    """Raise a ValueError unless the value is a number of this kind within the bounds of the setting."""
    least, above, below = (field_.metadata[bound] for bound in ("least", "above", "below"))
    if isinstance(value, bool) or not isinstance(value, Real if kind is float else Integral):
        raise ValueError(f"{field_.name} is a {'whole ' if kind is int else ''}number, not {value!r}")
    bounds = [f"{least} or more"] if least is not None else [f"above {above}"]
    bounds += [f"below {below}"] if below is not None else []
    fits = value >= least if least is not None else value > above
    if not fits or not math.isfinite(value) or (below is not None and value >= below):
        raise ValueError(f"{field_.name} is {' and '.join(bounds)}, not {value}")


def encode_corpus(settings):
    """Load the corpus of these settings, downloading it if need be, and make it an `EncodedCorpus`.

    It is kept in memory for the next call. Data that cannot be had is a DataError.
    """
    names = ("corpus", "src", "tgt", "pairs", "subwords", "min_count", "max_tokens")
    return _encode(str(cache_folder()), *(getattr(settings, name) for name in names))


@lru_cache(maxsize=2)
def _encode(_, name, src, tgt, pairs, subwords, min_count, max_tokens):
    chosen = {} if pairs is None else {"pairs": pairs}
    if name == "reviews":
        corpus = load_reviews() if pairs is None else load_reviews(train=pairs)
    elif name == "multi30k":
        corpus = load_multi30k(src, tgt)
        corpus = replace(corpus, splits=corpus.splits | {"train": corpus["train"][:pairs]})
    elif name == "wmt14":
        corpus = load_wmt14(src, tgt, **chosen)
    else:
        corpus = load_opensubtitles(src, tgt, **chosen)
    return EncodedCorpus(corpus, min_count, max_tokens, subwords=subwords)


def make_model(settings, encoded):
    """Make the model of these settings, untrained; its weights follow from the seed."""
    seed_everything(settings.seed)
    sizes = len(encoded.src_vocab), len(encoded.tgt_vocab)
    if settings.model == "transformer":
        shape = settings.hidden_dim, settings.heads, settings.ff_dim, settings.layers
        return Transformer(*sizes, *shape, settings.dropout)
    return Seq2Seq(*sizes, settings.model, settings.embed_dim, settings.hidden_dim, settings.dropout)


def validation_bleu(model, encoded, split="valid"):
    """BLEU of greedy translations of a split on words, lower-cased where the corpus's words are: a float."""
    tokens = [translation.tokens for translation in translate(model, encoded, encoded.tokens(split, "src"))]
    return _on_words(encoded, split, tokens, n_bootstrap=0).score


def _on_words(encoded, split, tokens, n_bootstrap):
    written, wanted = (
        [" ".join(encoded.words(sentence)) for sentence in side]
        for side in (tokens, encoded.tokens(split, "tgt"))
    )
    return bleu(written, wanted, n_bootstrap=n_bootstrap)


@dataclass
class Evaluation:
    """Translations of a split and its references, as text, and two BLEU scores of them with intervals.

    `bleu` is of the text, cut by sacrebleu's own tokenizer; `tokenised_bleu` of the words that the corpus is
    cut into, which published notebooks report. References are lower-cased where the corpus's words are.
    """

    translations: list[str]
    references: list[str]
    bleu: Score
    tokenised_bleu: Score


def evaluate(model, encoded, split, beam_size=1, length_penalty=1.0, n_bootstrap=300):
    """Translate a split and score it: an `Evaluation`. For search and penalty see `translate`."""
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
        _on_words(encoded, split, tokens, n_bootstrap),
    )


@dataclass
class Run:
    """A training as far as it has come.

    `model` has the weights of the validation with the highest BLEU, `best` that row of the `history`; before
    the first validation they are the last weights and None. `update` counts the updates done, and `finished`
    says whether going on would change nothing.
    """

    settings: Settings
    encoded: EncodedCorpus
    model: nn.Module
    history: History
    best: dict | None
    update: int
    finished: bool


def find_run(settings, device=None):
    """Give the `Run` of these settings as it lies in the cache folder, or None where there is none.

    A run whose vocabulary or settings are others by now is a ValueError, and stays as it is; one that cannot
    be read is a DataError.
    """
    checkpoint = settings.folder / CHECKPOINT
    with on_disk("the run could not be read", settings.folder):
        if not checkpoint.exists():
            return None
        _check_same(settings)
        saved = load_checkpoint(checkpoint)
    encoded = encode_corpus(settings)
    if saved["settings"]["vocabulary"] != encoded.fingerprint:
        raise ValueError(
            f"{checkpoint} was trained with other vocabularies, so the corpus has changed: rename the folder "
            "and train again, or get the version of the corpus back"
        )
    best, model = saved["best"], make_model(settings, encoded)
    model.load_state_dict(saved["model"] if best is None else best.pop("model"))
    stopped = settings.patience and saved["stale"] >= settings.patience
    return Run(
        settings,
        encoded,
        model.to(device or _device()).eval(),
        History(saved["history"]),
        best,
        saved["step"],
        bool(saved["step"] == settings.updates or stopped),
    )


def train_run(settings, limit=None, progress=True, device=None, bf16=None):
    """Train with these settings, or go on with it, and give the `Run`.

    With `limit`, stop after that many updates of this call: the next call goes on, to the same result as if
    it had not stopped. Ctrl-C and SIGTERM do no harm either. Training ends after `settings.updates`, or when
    validation BLEU has not risen for `settings.patience` validations. `device` is where to compute, a GPU if
    there is one unless given; `bf16` says whether in bfloat16, which a GPU does unless told. Two programs
    that train one run at once, and a run whose settings or vocabulary have changed, are a ValueError; so is a
    loss that is no longer a number. A disk that is full is a DataError.

    Under torchrun each process calls this, and only the first gets the `Run`, the others None.
    """
    if limit is not None and not (isinstance(limit, Integral) and limit >= 1):
        raise ValueError(f"limit is the number of updates of this call, whole and 1 or more, not {limit!r}")
    first = not distributed.is_initialized() or distributed.get_rank() == 0
    device = torch.device(device or _device())
    encoded = encode_corpus(settings)
    model = make_model(settings, encoded).to(device)
    if bf16 is None:
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    stored = on_disk("the run could not be read or stored", settings.folder)
    with stored, _held(settings) if first else nullcontext():
        train(
            model,
            encoded,
            updates=settings.updates,
            batch_tokens=settings.batch_tokens,
            learning_rate=settings.learning_rate,
            max_norm=settings.max_norm,
            seed=settings.seed,
            validate_every=settings.validate_every,
            patience=settings.patience or None,
            checkpoint=settings.folder / CHECKPOINT,
            progress=progress,
            label_smoothing=settings.label_smoothing,
            watch=lambda model: {"valid_bleu": validation_bleu(model, encoded)},
            limit=limit,
            log=settings.folder / LOG,
            autocast=torch.bfloat16 if bf16 else None,
        )
    return find_run(settings, device) if first else None


def _device():
    """A GPU if there is one: under torchrun, this process's own."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


@contextmanager
def _held(settings):
    """Keep the folder of a run for this process, and clear away what a killed one left half-written."""
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / "lock", blocking=False):
            for partial in folder.glob("*.partial"):
                partial.unlink()
            if (folder / CHECKPOINT).exists():
                _check_same(settings)
            if _stored(settings) != asdict(settings):
                with replacing(folder / SETTINGS) as partial:
                    partial.write_text(json.dumps(asdict(settings), indent=1) + "\n", "utf-8")
            yield
    except filelock.Timeout as error:
        raise ValueError(f"{folder} is being trained by another program: wait for it, or stop it") from error


def _stored(settings):
    """The settings that are written down in the folder of a run, a dict: empty if they cannot be read."""
    try:
        return dict(json.loads((settings.folder / SETTINGS).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _check_same(settings):
    """Raise a ValueError if the folder of a run tells of other settings.

    What it does not tell is no harm: its name is made of all of them, and its checkpoint has many.
    """
    stored = _stored(settings)
    differ = [name for name, value in settings.identity.items() if stored.get(name, value) != value]
    if differ:
        raise ValueError(
            f"{settings.folder / SETTINGS} tells of a run with other settings ({', '.join(differ)}): rename "
            "its folder to keep it, then run this again"
        )


def main():
    """Train from the command line; when that is finished, translate and print the scores."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.cli_train",
        description="Train a translator, or go on with the training of one, then translate with it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for field_, kind in _kinds().items():
        option = f"--{field_.name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=field_.default, help=field_.metadata["help"])
    parser.add_argument("--limit", type=int, help="stop after so many updates; the same command goes on")
    parser.add_argument(
        "--bf16",
        action=argparse.BooleanOptionalAction,
        help="compute in bfloat16; unless told, on a GPU that can",
    )
    parser.add_argument("--split", nargs="+", default=["valid"], help="splits to translate in the end")
    parser.add_argument(
        "--beam-size", nargs="+", type=int, default=[1, 5], help="places of the beam; 1: greedy"
    )
    parser.add_argument("--length-penalty", type=float, default=1.0, help="of the beam search")
    args = vars(parser.parse_args())
    chosen = {name: args.pop(name) for name in Settings.__dataclass_fields__}
    try:
        if min(args["beam_size"]) < 1:
            raise ValueError(f"beam-size is 1 or more, not {min(args['beam_size'])}")
        if not 0 <= args["length_penalty"] <= 10:
            raise ValueError(f"length-penalty is a number from 0 to 10, not {args['length_penalty']}")
        settings = Settings(**chosen)
        for split in args["split"]:
            _check_split(settings, split)
        run = _train_here(settings, args["limit"], args["bf16"])
        if run:
            _translate_and_tell(run, args)
    except (ValueError, DataError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "stopped: the same command goes on\n")


def _check_split(settings, split):
    """Raise a ValueError for a split that there is not, before the training and not after it."""
    try:
        encode_corpus(settings).corpus[split]
    except KeyError as error:
        raise ValueError(error.args[0]) from error


def _train_here(settings, limit, bf16):
    """Train in this process, together with others if torchrun has started it."""
    together = "TORCHELASTIC_RUN_ID" in os.environ
    if together:
        if torch.cuda.is_available():
            torch.cuda.set_device(_device())
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        return train_run(settings, limit, bf16=bf16)
    finally:
        if together:
            distributed.destroy_process_group()


def _translate_and_tell(run, args):
    """Print how far a run has come; if it is finished, translate, write the translations and print scores."""
    folder, updates = run.settings.folder, run.settings.updates
    print(f"{folder}\n{run.update:,} of {updates:,} updates", end="")
    print(f", best {run.best['valid_bleu']:.1f} BLEU after {run.best['update']:,}" if run.best else "")
    if not run.finished:
        print("not finished: the same command goes on")
        return
    for split in args["split"]:
        for beam_size in args["beam_size"]:
            result = evaluate(run.model, run.encoded, split, beam_size, args["length_penalty"])
            path = folder / f"{split}.beam-{beam_size}.txt"
            with on_disk(f"{path.name} could not be stored", folder), replacing(path) as partial:
                partial.write_text("".join(f"{sentence}\n" for sentence in result.translations), "utf-8")
            print(f"\n{split}, {'greedy' if beam_size == 1 else f'beam of {beam_size}'}, in {path.name}")
            print(f"  text:  {result.bleu}; {result.bleu.signature}")
            print(f"  words: {result.tokenised_bleu}; {result.tokenised_bleu.signature}")


if __name__ == "__main__":
    main()
