"""Real text with long sentences: are the attention's alignments right, and what does length cost?

    python -m benchmarks.quality.parliament [--text FOLDER] [--gold FOLDER] [--updates 4000] [--seeds 2]

Trains translators, German to English, on debates of the European Parliament and on news: two with attention
(additive after the cell, Luong; before it, Bahdanau) and one without. There are two questions and two tables.

Alignment: the models write the references of hand-aligned sentences (forced decoding), and the largest weight
of each word is compared with the gold links, sure and possible (Och and Ney 2003). The baselines are the
diagonal and IBM model 1, trained on the same text and those sentences, in one direction and as the
intersection of both. Recurrent attention may point to a word one step before or after writing it, so the map
is also read one row early and one row late.

Length: the share of correct next pieces of words in newstest2014 (the reference, given its previous pieces;
the end token counts too), by the number of source words; once with the right source and once, as a control,
with the source of its neighbor in length. BLEU would say little: a model of so few pairs cannot translate
news.

FOLDER of --text has europarl-v7, news-2009-2012, newstest2013 and newstest2014, each as .de and .en, line by
line parallel. With --hub PAIRS, that many pairs of the real WMT14 are read instead. FOLDER of --gold has
europarl150.de, .en and .de-en.align (i-j sure, i?j possible, German first, from 0).
"""

import hashlib
import json
import os
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean

import torch

from benchmarks import harness
from benchmarks.harness import ROOT
from benchmarks.profiling import multiplies_bf16
from benchmarks.speed.streaming import sentences
from utils.data.download import cache_folder
from utils.data.store import cached_pairs, clean_pairs
from utils.data.wmt14 import LANGUAGES, TRAIN
from utils.ibm_model1 import IBMModel1
from utils.metrics import alignment_error_interval, diagonal_links, hard_alignment
from utils.models import Translation
from utils.plotting import NAMES
from utils.runs import RunConfig, encode_corpus, train_run
from utils.text import BOS_ID, EOS_ID, PAD_ID, SIDES, UNK_ID

SHARED = ROOT.parent / "shared" / "data"
MODELS = ("additive", "bahdanau", "initial")
WITHOUT_MAPS = ("initial", "fixed")
SETTINGS = RunConfig(
    corpus="wmt14", subwords=4_000, max_tokens=60, embed_dim=256, hidden_dim=256, dropout=0.2,
    label_smoothing=0.1, batch_tokens=800, validate_every=1_000, patience=0,
)  # fmt: skip
SHIFTS = (-1, 0, 1)
EDGES = (1, 10, 20, 30, 40, 60, 200)


def store(text):
    """Store the text of a folder where `load_wmt14` finds it, and return the number of training pairs.

    The text has its own cache folder, so it is never mistaken for WMT14 or for another text.
    """
    names = {"train": ("europarl*", "news-*"), "valid": ("newstest2013",), "test": ("newstest2014",)}
    parts = {split: [pair for name in of for pair in sentences(text, name)] for split, of in names.items()}
    if missing := [split for split, pairs in parts.items() if not pairs]:
        raise SystemExit(f"expected text for {', '.join(missing)} in {text}, found none: set --text")
    checksum = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
    os.environ["ATTENTION_DATA"] = str(cache_folder() / f"parliament-{checksum}")
    for split, pairs in parts.items():
        kept = [*clean_pairs((tuple(side.encode() for side in pair) for pair in pairs), Counter(), text)]
        if split == "train":
            count = len(kept)
            split = TRAIN.format(pairs=count, seed=0)
        cached_pairs(f"wmt14/{split}", LANGUAGES, lambda _, kept=kept: kept, progress=False)
    return count


def read_gold(folder):
    """Return source words, target words, sure links and possible links of every hand-aligned sentence."""
    if not (folder / "europarl150.de-en.align").exists():
        raise SystemExit(f"expected europarl150.de-en.align in {folder}, found none: set --gold")
    gold = []
    lines = [
        (folder / f"europarl150.{name}").read_text("utf-8").splitlines()
        for name in ("de", "en", "de-en.align")
    ]
    for src, tgt, links in zip(*lines, strict=True):
        sure, possible = (
            {tuple(map(int, link.split(mark))) for link in links.split() if mark in link} for mark in "-?"
        )
        gold.append((src.lower().split(), tgt.lower().split(), sure, possible))
    return gold


def error_of(gold, predicted):
    """Return the alignment error rate of predicted links and the ends of its 95% interval."""
    sure, possible = ([links[kind] for links in gold] for kind in (2, 3))
    return [*alignment_error_interval([*predicted], sure, possible)]


def aligned_text(encoded, gold):
    """Return the words of all training sentences and of the gold sentences after them, one list per side."""
    return [
        [encoded.words(encoded.tokens("train", side)[row]) for row in encoded.train_rows]
        + [pair[i] for pair in gold]
        for i, side in enumerate(SIDES)
    ]


def baselines(encoded, gold):
    """Return the errors of the diagonal and of IBM model 1, trained on the corpus and the gold sentences."""
    src, tgt = aligned_text(encoded, gold)
    there, back = IBMModel1(src, tgt), IBMModel1(tgt, src)
    forward = [hard_alignment(there.weights(src, tgt)) for src, tgt, *_ in gold]
    turned = [hard_alignment(back.weights(tgt, src)) for src, tgt, *_ in gold]
    backward = [{(src, tgt) for tgt, src in links} for links in turned]
    return {
        "diagonal": error_of(gold, [diagonal_links(len(src), len(tgt)) for src, tgt, *_ in gold]),
        "IBM model 1": error_of(gold, forward),
        "IBM model 1, intersection": error_of(
            gold, [one & other for one, other in zip(forward, backward, strict=True)]
        ),
    }


def forced_inputs(encoded, src, tgt):
    """Return the ids of a source, its length, and the target that a decoder is fed, each a batch of one."""
    ids = torch.tensor([[*encoded.src_vocab.encode(src), EOS_ID]])
    return ids, torch.tensor([ids.shape[1]]), torch.tensor([[BOS_ID, *encoded.tgt_vocab.encode(tgt)]])


@torch.no_grad()
def forced_maps(model, encoded, gold):
    """Return by shift the map of every sentence on words, (tgt_len, src_len), while writing the reference.

    The shift moves the row of each piece before pieces become words: with 1, a piece gets the row after the
    one that wrote it, where it is the decoder's input. The first piece has none before it.
    """
    found = {shift: [] for shift in SHIFTS}
    for src, tgt, *_ in gold:
        src, tgt = encoded.cut(src, "src"), encoded.cut(tgt, "tgt")
        _, weights = model(*forced_inputs(encoded, src, tgt))
        for shift, maps in found.items():
            rows = (torch.arange(len(tgt) + 1) + shift).clamp(0, len(tgt))
            on_words = encoded.on_words(Translation(src, tgt, weights[0, rows])).weights
            maps.append(on_words[:-1, :-1])  # without the end tokens
    return found


@torch.no_grad()
def right_by_length(model, encoded, split, wrong_source=False):
    """Return the correct next tokens of a split's references, by source words: [first, last, share,
    sentences].

    Tokens are pieces of words and the end token. With `wrong_source`, each sentence gets the source of its
    neighbor in length.
    """
    src = encoded.tokens(split, "src")
    words = [len(encoded.words(sentence)) for sentence in src]
    order = sorted(range(len(src)), key=lambda row: (len(src[row]), row))
    sources = [*order[1:], order[0]] if wrong_source else order
    counts = {edge: [0, 0, 0] for edge in EDGES[:-1]}  # correct tokens, tokens, sentences
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        batch, source = encoded.batch(split, rows), encoded.batch(split, sources[start : start + 64])
        logits, _ = model(source.src, source.src_lengths, batch.tgt_in)
        counted = (batch.tgt_out != PAD_ID) & (batch.tgt_out != UNK_ID)
        right = (logits.argmax(-1) == batch.tgt_out) & counted
        for row, hits, total in zip(rows, right.sum(1).tolist(), counted.sum(1).tolist(), strict=True):
            edge = max(edge for edge in EDGES[:-1] if edge <= max(1, words[row]))
            counts[edge] = [a + b for a, b in zip(counts[edge], (hits, total, 1), strict=True)]
    ends = [edge - 1 for edge in EDGES[1:]]
    return [
        [first, last, hits / total, sentences]
        for (first, (hits, total, sentences)), last in zip(counts.items(), ends, strict=True)
        if total
    ]


def measure(model, seed, settings, gold):
    """Train one model, or resume its training; return alignment errors by shift and correct tokens."""
    settings = replace(settings, model=model, seed=seed)
    run = train_run(settings, progress=False, device="cpu", bf16=multiplies_bf16() or None)
    error = None
    if model not in WITHOUT_MAPS:
        maps = forced_maps(run.model, run.encoded, gold)
        error = {shift: error_of(gold, map(hard_alignment, found)) for shift, found in maps.items()}
    return {
        "updates": run.update,
        "valid_bleu": run.best["valid_bleu"],
        "cpu_seconds": run.history.rows[-1]["cpu_seconds"],
        "error": error,
        "right": right_by_length(run.model, run.encoded, "test"),
        "control": right_by_length(run.model, run.encoded, "test", wrong_source=True),
    }


def table(record):
    """Return both tables as text: means over seeds, and the alignment error of each seed."""
    groups = [
        harness.of_kind(record, model=model)
        for model in dict.fromkeys(run["model"] for run in record["runs"])
    ]
    about = (
        f"{record['pairs']:,} training pairs; alignment error rate on {record['gold_sentences']} sentences"
    )
    lines = [about, "", f"{'':<38}{'early':>7}{'0':>7}{'late':>7}  [95%, sentences] of each seed"]
    for name, (error, low, high) in record["baselines"].items():
        lines.append(f"{name:<38}{'':>7}{error:7.2f}{'':>7}  [{low:.2f}, {high:.2f}]")
    for runs in groups:
        if runs[0]["error"]:
            means = "".join(f"{mean(run['error'][str(shift)][0] for run in runs):7.2f}" for shift in SHIFTS)
            each = " ".join("[{1:.2f}, {2:.2f}]".format(*run["error"]["0"]) for run in runs)
            lines.append(f"{NAMES[runs[0]['model']]:<38}{means}  {each}")
    spans = [f"{first}-{last}" for first, last, *_ in record["runs"][0]["right"]]
    lines += ["", "correct next pieces of words in newstest2014, by words of the source"]
    lines.append(f"{'':<38}" + "".join(f"{span:>8}" for span in spans))
    for runs, kind in product(groups, ("right", "control")):
        name = NAMES[runs[0]["model"]] if kind == "right" else "  with another sentence's source"
        shares = [mean(run[kind][i][2] for run in runs) for i in range(len(spans))]
        lines.append(f"{name:<38}" + "".join(f"{share:8.1%}" for share in shares))
    counts = "".join(f"{count:8,}" for *_, count in record["runs"][0]["right"])
    return "\n".join([*lines, f"{'sentences':<38}{counts}"])


def parser(benchmark, about, seeds):
    """Return the parser of a benchmark that trains on the text and measures with the gold links."""
    parser = harness.parser(benchmark, about, seeds)
    parser.add_argument("--text", type=Path, default=SHARED / "wmt14", help="folder of parallel text")
    parser.add_argument("--gold", type=Path, default=SHARED / "gold", help="folder of hand-aligned sentences")
    parser.add_argument("--hub", type=int, metavar="PAIRS", help="read this many pairs of the real hub")
    parser.add_argument("--updates", type=int, default=4_000, help="updates to train each model for")
    return parser


def main():
    """Run the command line."""
    args = parser(__spec__.name, __doc__, seeds=2).parse_args()
    gold = read_gold(args.gold)
    settings = replace(SETTINGS, pairs=args.hub or store(args.text), updates=args.updates)
    encoded = encode_corpus(settings)
    facts = {"pairs": len(encoded.train_rows), "gold_sentences": len(gold)}
    jobs = [{"model": model, "seed": seed} for seed, model in product(range(args.seeds), MODELS)]
    found = baselines(encoded, gold)
    harness.run(args, partial(measure, settings=settings, gold=gold), jobs, table, baselines=found, **facts)


if __name__ == "__main__":
    main()
