"""How well each model of the course translates Multi30K, and what it costs.

    python -m benchmarks.translation [--quick] [--only budget|long|none] [--workers 2]

Two tables. Under one budget, the same batches for all, five recurrent models and a small Transformer, German
to English, with three seeds. Then one long run each of the best attention and of no attention, German to
English, English to German and English to French. Every run is a training of `utils.cli_train`, and is recorded
in benchmarks/results/translation.jsonl as it ends: the same command goes on where it was stopped, in the
middle of a training too. translation.md has the tables, those of what is recorded so far with --only none.
With --quick there are ten minutes of it, one seed of smaller models with a smaller budget, in
translation_quick.jsonl and .md.

Runs with other settings than those below stay in the record and out of the tables; delete the record to
measure anew. Models train side by side, each on a thread of its own, in bfloat16 where the processor
multiplies matrices of it (AMX); where there is a GPU, one after the other on it.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import mean

import filelock
import torch

from benchmarks.machine import describe, multiplies_bf16
from utils.metrics import bleu_by_length, mean_interval
from utils.plotting import NAMES
from utils.runs import Settings, evaluate, train_run
from utils.training import History, in_parallel

RESULTS = Path(__file__).parent / "results" / "translation.jsonl"
TEST = "test_2016_flickr"
EDGES = (1, 10, 15, 20, 100)
BEAM = 5
GOAL = 28.3  # BLEU on words of the additive attention that most notebooks start from (Trevett 2018)
SEEDS = range(3)
MODELS = ("none", "dot", "scaled", "multiplicative", "additive", "transformer")
BUDGET = Settings(updates=1_200, dropout=0.3, validate_every=300, patience=0)
LONG = Settings(label_smoothing=0.1)
TRANSFORMER = dict(hidden_dim=256, learning_rate=1e-3)
DIRECTIONS = (("de", "en"), ("en", "de"), ("en", "fr"))
TOLD = ("embed_dim", "hidden_dim", "dropout", "label_smoothing", "subwords", "updates", "batch_tokens")
QUICK = dict(embed_dim=64, hidden_dim=128, updates=800, validate_every=200)


def plan(quick=False):
    """The settings of all runs, in the order in which they are wanted: a dict of table to settings."""
    budget = [
        replace(BUDGET, model=model, seed=seed, **(TRANSFORMER if model == "transformer" else {}))
        for seed in SEEDS
        for model in MODELS
    ]
    if quick:
        return {"budget": [replace(settings, **QUICK) for settings in budget if settings.seed == SEEDS[0]]}
    long = [
        replace(LONG, src=src, tgt=tgt, model=model)
        for src, tgt in DIRECTIONS
        for model in ("additive", "none")
    ]
    return {"budget": budget, "long": long}


def measure(settings):
    """Train with these settings, or go on with it, translate the test set, and give the row of the record."""
    run = train_run(settings, progress=False, bf16=multiplies_bf16() or None)
    lengths = [len(run.encoded.words(sentence)) for sentence in run.encoded.tokens(TEST, "src")]
    last, scores = run.history.rows[-1], {}
    for name, beam_size in (("greedy", 1), ("beam", BEAM)):
        found = evaluate(run.model, run.encoded, TEST, beam_size)
        parts = bleu_by_length(lengths, found.translations, found.references, EDGES, tokenize="13a")
        scores[name] = {
            "text": vars(found.bleu),
            "tokens": vars(found.tokenised_bleu),
            "by_length": [{"first": first, "last": last, **vars(score)} for (first, last), score in parts],
        }
    return {
        "machine": describe(),
        "precision": "bfloat16" if multiplies_bf16() else "float32",
        "settings": settings.identity,
        "parameters": sum(weights.numel() for weights in run.model.parameters()),
        "updates": run.update,
        "best_update": run.best["update"],
        "seconds": last["seconds"],
        "cpu_seconds": last["cpu_seconds"],
        "target_tokens": last["target_tokens"],
        "curve": [[row["update"], row["cpu_seconds"], row["valid_bleu"]] for row in run.history.rows],
        "scores": scores,
    }


def record(settings, results):
    """Measure one run and add it to the record at once."""
    row = measure(settings)
    with filelock.FileLock(results.with_suffix(".lock")):
        rows = recorded(results) | {settings.name: row}
        History(list(rows.values())).write(results)
    score, minutes = row["scores"]["beam"]["text"]["score"], row["cpu_seconds"] / 60
    print(f"{settings.name}: BLEU {score:.1f} after {minutes:.1f} CPU minutes", flush=True)


def recorded(results):
    """The rows of the record by the name of their run."""
    rows = History.read(results).rows if results.exists() else []
    return {Settings(**row["settings"]).name: row for row in rows}


def minutes_to(row, goal=GOAL):
    """CPU minutes of training until the first validation with this BLEU, or None."""
    return next((seconds / 60 for _, seconds, bleu in row["curve"] if bleu >= goal), None)


def label(settings, direction=True):
    """The model that a run's settings, a dict, make, in words; with what it translates, unless told."""
    name = NAMES.get(settings["model"], settings["model"].capitalize())
    return f"{settings['src']}→{settings['tgt']} {name}" if direction else name


def figures():
    """The short form is what was recorded: minutes of one core to `GOAL` in the first long run."""
    name = plan()["long"][0].name
    rows = recorded(RESULTS)
    if name not in rows or (minutes := minutes_to(rows[name])) is None:
        raise ValueError(f"no run to BLEU {GOAL} is recorded: python -m benchmarks.translation --only long")
    return {"minutes": minutes}


def _interval(values):
    """Several seeds as "mean ± half of the 95% interval", one as it is."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    middle, low, _ = mean_interval(values)
    return f"{middle:.1f} ± {middle - low:.1f}"


def _line(first, rows):
    """One line of a table: the mean over the rows, which differ in their seed only."""
    score = [[row["scores"][search] for row in rows] for search in ("greedy", "beam")]
    reached = [minutes_to(row) for row in rows]
    cells = [first, str(len(rows))]
    cells += [_interval([of["text"]["score"] for of in search]) for search in score]
    cells += [_interval([of["tokens"]["score"] for of in search]) for search in score]
    cells += [f"{mean(of['by_length'][i]['score'] for of in score[1]):.1f}" for i in range(len(EDGES) - 1)]
    cells.append(f"{mean(row['parameters'] for row in rows) / 1e6:.1f} M")
    cells.append(f"{sum(r['target_tokens'] for r in rows) / sum(r['cpu_seconds'] for r in rows):,.0f}")
    cells.append(f"{mean(row['cpu_seconds'] for row in rows) / 60:.1f}")
    cells.append("–" if None in reached else f"{mean(reached):.1f}")
    return cells


def table(rows, plan):
    """Lay the recorded rows of a plan out as Markdown tables, with what the columns mean."""
    parts = []
    for name, wanted in plan.items():
        found = [rows[settings.name] for settings in wanted if settings.name in rows]
        if not found:
            continue
        lengths = found[0]["scores"]["greedy"]["by_length"]
        spans = [f"{part['first']}–{part['last']}" for part in lengths[:-1]] + [f"{lengths[-1]['first']}+"]
        head = ["model", "seeds", "text", f"text, beam {BEAM}", "tokens", f"tokens, beam {BEAM}"]
        head += [f"{span} words" for span in spans]
        head += ["parameters", "tokens/s", "CPU minutes", f"to {GOAL}"]
        groups = {}
        for row in found:
            groups.setdefault(label(row["settings"], direction=name != "budget"), []).append(row)
        lines = [head, ["---"] * len(head), *(_line(first, of) for first, of in groups.items())]
        settings = found[0]["settings"]
        parts.append(f"{name}: {', '.join(f'{key} {settings[key]}' for key in TOLD)}")
        parts.append("\n".join("| " + " | ".join(cells) + " |" for cells in lines))
    score = next(iter(rows.values()))["scores"]["beam"]
    counts = {
        row["settings"]["src"]: ", ".join(
            str(part["sentences"]) for part in row["scores"]["beam"]["by_length"]
        )
        for row in rows.values()
    }
    sizes = "; ".join(f"{of} sentences from {src}" for src, of in counts.items())
    parts.append(
        f"text: {score['text']['signature']} (lower-cased)\n"
        f"tokens: {score['tokens']['signature']} (Moses tokens, lower-cased)\n"
        f"by words of the source: text, beam {BEAM}; {sizes}\n"
        f"tokens/s: target tokens a second of one core in training\n"
        f"to {GOAL}: CPU minutes of training to this BLEU of validation tokens"
    )
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="ten minutes: small models, one seed")
    parser.add_argument("--only", choices=("budget", "long", "none"), help="train for one table, or for none")
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    results = RESULTS.with_stem(f"{RESULTS.stem}_quick") if args.quick else RESULTS
    results.parent.mkdir(exist_ok=True)
    wanted = plan(args.quick)
    done = recorded(results)
    left = [
        dict(settings=settings, results=results)
        for name, runs in wanted.items()
        if args.only in (None, name)
        for settings in runs
        if settings.name not in done
    ]
    print(f"{len(left)} runs to go, recorded in {results}", flush=True)
    if left:
        in_parallel(record, left, workers=1 if torch.cuda.is_available() else args.workers)
    rows = recorded(results)
    if not rows:
        raise SystemExit(f"nothing is recorded in {results} yet: run this without --only none")
    machines = sorted({f"{row['machine']}, {row['precision']}" for row in rows.values()})
    command = f"python -m benchmarks.translation{' --quick' if args.quick else ''}"
    text = "\n\n".join(["  \n".join([*machines, f"`{command}`"]), table(rows, wanted)]) + "\n"
    results.with_suffix(".md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
