"""Real text with long sentences: is the attention's alignment right, and what does length cost?

    python -m benchmarks.parliament [--text FOLDER] [--gold FOLDER] [--updates 4000] [--seeds 2]

Trains translators, German to English, on debates of the European Parliament and news: two with attention
(additive after the cell, Luong; before it, Bahdanau) and one without. Two questions, in two tables.

Alignment: the models write the references of hand-aligned sentences (forced decoding), and the largest
weight of each word is compared with the gold links, sure and possible (Och and Ney 2003). Beside them the
diagonal and IBM model 1, learned on the same text and those sentences, in one direction and as the
intersection of both. As recurrent attention may look at a word one step before or after it is written, the
map is also read one row early and one row late.

Length: the share of right next pieces of words in newstest2014 (of the reference, given those before, the end
token too), by the number of source words; once with the right source and once, as a control, with that of
its neighbour in length. A model of so few pairs cannot translate news, so BLEU would say little.

FOLDER of --text has europarl-v7, news-2009-2012, newstest2013 and newstest2014, each as .de and .en, line by
line parallel; they are served to `load_wmt14` by a stand-in for the Hugging Face hub on this machine. With
--hub PAIRS, so many pairs of the real one are read. FOLDER of --gold has europarl150.de, .en and .de-en.align
(i-j sure, i?j possible, German first, from 0). Results are in benchmarks/results/parliament.json and .txt;
trainings that were stopped go on.
"""

import argparse
import hashlib
import json
import os
import tempfile
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch

from benchmarks.corpora import ROOT, on_hub, sentences, write
from benchmarks.machine import describe, multiplies_bf16
from tests.utils.loopback import Hub, serve
from utils.ibm_model1 import IBMModel1
from utils.data.download import cache_folder
from utils.data.store import usable
from utils.metrics import alignment_error_interval, diagonal_links, hard_alignment
from utils.models import Translation
from utils.plotting import NAMES
from utils.text import BOS_ID, EOS_ID, PAD_ID, UNK_ID, pad
from utils.runs import Settings, encode_corpus, find_run, train_run
from utils.training import in_parallel

RESULTS = Path(__file__).parent / "results" / "parliament.json"
SHARED = ROOT.parent / "shared" / "data"
MODELS = ("additive", "bahdanau", "none")
SETTINGS = Settings(
    corpus="wmt14", subwords=4_000, max_tokens=60, embed_dim=256, hidden_dim=256, dropout=0.2,
    label_smoothing=0.1, batch_tokens=800, validate_every=1_000, patience=0,
)  # fmt: skip
SHIFTS = (-1, 0, 1)
EDGES = (1, 10, 20, 30, 40, 60, 200)


def serve_text(text, folder, server):
    """Serve the text of a folder as WMT14: how many pairs there are to train on, and a checksum of it."""
    names = {"train": ("europarl*", "news-*"), "validation": ("newstest2013",), "test": ("newstest2014",)}
    parts = {split: [pair for name in of for pair in sentences(text, name)] for split, of in names.items()}
    if missing := [split for split, pairs in parts.items() if not pairs]:
        raise SystemExit(f"{text} has no text for {', '.join(missing)}: name a folder that has, with --text")
    server.files = on_hub(
        {
            f"{split}-00000-of-00001": write(folder / f"{split}.parquet", pairs, len(pairs))
            for split, pairs in parts.items()
        }
    )
    raw = (tuple(side.encode() for side in pair) for pair in parts["train"])
    kept = sum(1 for _ in usable(raw, Counter(), text))  # as the loader takes them
    return kept, hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def read_gold(folder):
    """The hand-aligned sentences: for each, source words, target words, sure links and possible links."""
    if not (folder / "europarl150.de-en.align").exists():
        raise SystemExit(f"{folder} has no europarl150.de-en.align: name the folder that has, with --gold")
    gold = []
    lines = [
        (folder / f"europarl150.{name}").read_text("utf-8").splitlines()
        for name in ("de", "en", "de-en.align")
    ]
    for src, tgt, links in zip(*lines, strict=True):
        sure = {tuple(map(int, link.split("-"))) for link in links.split() if "-" in link}
        possible = {tuple(map(int, link.split("?"))) for link in links.split() if "?" in link}
        gold.append((src.lower().split(), tgt.lower().split(), sure, possible))
    return gold


@torch.no_grad()
def forced_links(model, encoded, gold):
    """Links by the largest weight of each word while references are written: shift to a set a sentence.

    The row of each piece is moved first, by as many steps as the shift says, and then pieces become words:
    with 1 a piece is linked by the row after the one that wrote it. The first piece has none before it.
    """
    found = {shift: [] for shift in SHIFTS}
    for src, tgt, *_ in gold:
        src, tgt = encoded.cut(src, "src"), encoded.cut(tgt, "tgt")
        ids = torch.tensor([[*encoded.src_vocab.encode(src), EOS_ID]])
        tgt_in = torch.tensor([[BOS_ID, *encoded.tgt_vocab.encode(tgt)]])
        _, weights = model(ids, torch.tensor([ids.shape[1]]), tgt_in)
        for shift, links in found.items():
            rows = (torch.arange(len(tgt) + 1) + shift).clamp(0, len(tgt))
            on_words = encoded.on_words(Translation(src, tgt, weights[0, rows])).weights
            links.append(hard_alignment(on_words[:-1, :-1]))  # without the end tokens
    return found


def alignments(models, gold, text):
    """Alignment error rates of the diagonal, of IBM model 1, and of each model's maps at each shift.

    Each is a list: the rate and the ends of its 95% interval over sentences. `models` maps a name to
    (model, encoded); `text` has the source and the target words that IBM model 1 learns from, beside the gold
    sentences.
    """
    sure, possible = ([links[kind] for links in gold] for kind in (2, 3))

    def error(predicted):
        return [*alignment_error_interval(predicted, sure, possible)]

    src, tgt = [[*side, *(pair[i] for pair in gold)] for i, side in enumerate(text)]
    there, back = IBMModel1(src, tgt), IBMModel1(tgt, src)
    forward = [hard_alignment(there.weights(src, tgt)) for src, tgt, *_ in gold]
    turned = [hard_alignment(back.weights(tgt, src)) for src, tgt, *_ in gold]
    backward = [{(src, tgt) for tgt, src in links} for links in turned]
    both = [one & other for one, other in zip(forward, backward, strict=True)]
    found = {
        "diagonal": error([diagonal_links(len(src), len(tgt)) for src, tgt, *_ in gold]),
        "IBM model 1": error(forward),
        "IBM model 1, intersection": error(both),
    }
    for name, (model, encoded) in models.items():
        found[name] = {shift: error(links) for shift, links in forced_links(model, encoded, gold).items()}
    return found


@torch.no_grad()
def right_by_length(model, encoded, split, wrong_source=False):
    """Right next tokens of a split's references, by source words: a list of [first, last, share, sentences].

    Tokens are pieces of words; the end token is one of them. With `wrong_source` each sentence is given the
    source of its neighbour in length.
    """
    src, tgt = encoded.tokens(split, "src"), encoded.tokens(split, "tgt")
    words = [len(encoded.words(sentence)) for sentence in src]
    order = sorted(range(len(src)), key=lambda row: (len(src[row]), row))
    source = dict(zip(order, [*order[1:], order[0]] if wrong_source else order, strict=True))
    counts = {edge: [0, 0, 0] for edge in EDGES[:-1]}  # right tokens, tokens, sentences
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        ids = [[*encoded.src_vocab.encode(src[source[row]]), EOS_ID] for row in rows]
        wanted = pad([[*encoded.tgt_vocab.encode(tgt[row]), EOS_ID] for row in rows])
        tgt_in = pad([[BOS_ID, *encoded.tgt_vocab.encode(tgt[row])] for row in rows])
        logits, _ = model(pad(ids), torch.tensor([len(i) for i in ids]), tgt_in)
        counted = (wanted != PAD_ID) & (wanted != UNK_ID)
        right = (logits.argmax(-1) == wanted) & counted
        for row, hits, total in zip(rows, right.sum(1).tolist(), counted.sum(1).tolist(), strict=True):
            edge = max(edge for edge in EDGES[:-1] if edge <= max(1, words[row]))
            counts[edge] = [a + b for a, b in zip(counts[edge], (hits, total, 1), strict=True)]
    ends = [edge - 1 for edge in EDGES[1:]]
    return [
        [first, last, hits / total, sentences]
        for (first, (hits, total, sentences)), last in zip(counts.items(), ends, strict=True)
        if total
    ]


def train_one(settings):
    """Train one model in a process of its own; the run stays in the cache folder."""
    train_run(settings, progress=False, bf16=multiplies_bf16() or None)


def measure(runs, gold):
    """All measurements of finished runs, a list with one for each seed and model: what the record has."""
    encoded = runs[0].encoded
    train = [
        [encoded.words(encoded.tokens("train", side)[row]) for row in encoded.train_rows]
        for side in ("src", "tgt")
    ]
    named = {
        (run.settings.model, run.settings.seed): (run.model, run.encoded)
        for run in runs
        if run.settings.model != "none"
    }
    found = alignments(named, gold, train)
    baselines = {name: error for name, error in found.items() if isinstance(name, str)}
    return {
        "pairs": len(encoded.train_rows),
        "gold_sentences": len(gold),
        "baselines": baselines,
        "runs": [
            {
                "model": run.settings.model,
                "seed": run.settings.seed,
                "updates": run.update,
                "valid_bleu": run.best["valid_bleu"],
                "cpu_seconds": run.history.rows[-1]["cpu_seconds"],
                "error": found.get((run.settings.model, run.settings.seed)),
                "right": right_by_length(run.model, run.encoded, "test"),
                "control": right_by_length(run.model, run.encoded, "test", wrong_source=True),
            }
            for run in runs
        ],
    }


def table(record):
    """Both tables as text; of several seeds the mean, and the alignment error of each."""
    lines = [record["machine"], record["command"], ""]
    lines += [
        f"{record['pairs']:,} training pairs; alignment error rate on {record['gold_sentences']} sentences",
        "",
    ]
    lines.append(f"{'':<38}{'early':>7}{'0':>7}{'late':>7}  [95%, sentences] of each seed")
    for name, (error, low, high) in record["baselines"].items():
        lines.append(f"{name:<38}{'':>7}{error:7.2f}{'':>7}  [{low:.2f}, {high:.2f}]")
    groups = {}
    for run in record["runs"]:
        groups.setdefault(run["model"], []).append(run)
    for model, runs in groups.items():
        if runs[0]["error"]:
            means = "".join(f"{mean(run['error'][str(shift)][0] for run in runs):7.2f}" for shift in SHIFTS)
            each = " ".join("[{1:.2f}, {2:.2f}]".format(*run["error"]["0"]) for run in runs)
            lines.append(f"{NAMES[model]:<38}{means}  {each}")
    spans = [f"{first}-{last}" for first, last, *_ in record["runs"][0]["right"]]
    lines += ["", "right next pieces of words in newstest2014, in %, by words of the source"]
    lines.append(f"{'':<38}" + "".join(f"{span:>8}" for span in spans))
    for model, runs in groups.items():
        for kind, name in (("right", NAMES[model]), ("control", "  with another sentence's source")):
            shares = [mean(run[kind][i][2] for run in runs) for i in range(len(spans))]
            lines.append(f"{name:<38}" + "".join(f"{share:8.1%}" for share in shares))
    counts = "".join(f"{count:8,}" for *_, count in record["runs"][0]["right"])
    return "\n".join([*lines, f"{'sentences':<38}{counts}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", type=Path, default=SHARED / "wmt14")
    parser.add_argument("--gold", type=Path, default=SHARED / "gold")
    parser.add_argument("--hub", type=int, metavar="PAIRS", help="read so many pairs of the real hub")
    parser.add_argument("--updates", type=int, default=4_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    if min(args.seeds, args.workers) < 1:
        parser.error("--seeds and --workers are 1 or more")
    gold, pairs = read_gold(args.gold), args.hub
    with tempfile.TemporaryDirectory() as folder, nullcontext() if args.hub else serve({}, Hub) as server:
        if not args.hub:  # what is not WMT14, or other text, must not be taken for it later
            pairs, checksum = serve_text(args.text, Path(folder), server)
            os.environ["ATTENTION_DATA"] = str(cache_folder() / f"parliament-{checksum}")
            os.environ |= {"HF_ENDPOINT": server.url, "NO_PROXY": "*", "HF_HOME": f"{folder}/home"}
        base = replace(SETTINGS, pairs=pairs, updates=args.updates)
        encode_corpus(base)
    chosen = [replace(base, model=model, seed=seed) for seed in range(args.seeds) for model in MODELS]
    in_parallel(train_one, [dict(settings=settings) for settings in chosen], workers=args.workers)
    runs = [find_run(settings, "cpu") for settings in chosen]
    command = f"python -m benchmarks.parliament --updates {args.updates} --seeds {args.seeds}"
    command += f" --hub {args.hub}" if args.hub else ""
    record = {"command": command, "machine": f"{describe()}; one thread a model"}
    record |= {"settings": base.identity} | measure(runs, gold)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    text = table(json.loads(RESULTS.read_text("utf-8")))
    RESULTS.with_suffix(".txt").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
