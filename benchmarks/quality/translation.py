"""How well each model of the course translates Multi30K, and what it costs.

    python -m benchmarks.quality.translation [--quick] [--only budget long presets] [--directions en-de]

"budget": five recurrent models and a small Transformer, German to English, trained on the same batches, with
three seeds. "long": one long run each of the best attention and of no attention, German to English, English
to German and English to French. "presets": the Transformer and the attention RNN of `utils.runs.PRESETS`,
each trained until validation BLEU stops rising, in the same directions, English to German with three seeds;
with `--only presets`, they have their own record. Every run is a training of `utils.cli_train`; an
interrupted training resumes in the middle. Models train side by side, each on one thread, in bfloat16 if the
processor multiplies such matrices (AMX); with a GPU, one after the other on it. With --quick, ten minutes:
one seed of smaller models.
"""

from contextlib import suppress
from dataclasses import replace
from statistics import mean

import torch

from benchmarks import harness
from benchmarks.profiling import multiplies_bf16
from benchmarks.quality.pretrained import minutes_to
from utils.data import load_multi30k
from utils.data.download import DataError
from utils.metrics import bleu_by_length, mean_interval
from utils.plotting import NAMES
from utils.runs import PRESETS, RunConfig, evaluate, train_run

TEST = "test_2016_flickr"
EDGES = (1, 10, 15, 20, 100)
BEAM = 5
GOAL = 28.3  # BLEU on tokens of a well-known notebook with additive attention (Trevett's third, 2024)
SEEDS = 3
BASELINE = "initial"  # the model without attention
MODELS = (BASELINE, "dot", "scaled", "multiplicative", "additive", "transformer")
BUDGET = RunConfig(updates=1_200, dropout=0.3, validate_every=300, patience=0)
LONG = RunConfig(label_smoothing=0.1)
TRANSFORMER = {"hidden_dim": 256, "learning_rate": 1e-3}
DIRECTIONS = (("de", "en"), ("en", "de"), ("en", "fr"))
SEEDED = ("en", "de")  # the direction of "presets" that is trained with all seeds
OTHER_TESTS = ("test_2017_flickr", "test_2017_mscoco", "test_2018_flickr")
SHOWN = ("embed_dim", "hidden_dim", "dropout", "label_smoothing", "subwords", "updates", "batch_tokens")
QUICK = {"embed_dim": 64, "hidden_dim": 128, "updates": 800, "validate_every": 200}


def plan(seeds=SEEDS, quick=False, directions=DIRECTIONS, names=PRESETS):
    """Return the settings of all runs by table, in the order to train them. "budget" has one direction.

    `names` are those of the presets to train.
    """
    budget = [
        replace(BUDGET, model=model, seed=seed, **(TRANSFORMER if model == "transformer" else {}))
        for seed in range(seeds)
        for model in MODELS
    ]
    if quick:
        return {"quick": [replace(settings, **QUICK) for settings in budget if settings.seed == 0]}
    long = [
        replace(LONG, src=src, tgt=tgt, model=model)
        for src, tgt in directions
        for model in ("additive", BASELINE)
    ]
    presets = [
        RunConfig(**settings, src=src, tgt=tgt, seed=seed)
        for seed in range(seeds)
        for src, tgt in directions
        if seed == 0 or (src, tgt) == SEEDED
        for settings in map(PRESETS.get, names)
    ]
    return {"budget": budget, "long": long, "presets": presets}


def measure(table, settings):
    """Train with these settings, a dict, or resume the training; return costs and scores of the test set."""
    run = train_run(RunConfig(**settings), progress=False, bf16=multiplies_bf16() or None)
    lengths = [len(run.encoded.words(sentence)) for sentence in run.encoded.tokens(TEST, "src")]
    last, scores = run.history.rows[-1], {}
    for name, beam_size in (("greedy", 1), ("beam", BEAM)):
        found = evaluate(run.model, run.encoded, TEST, beam_size)
        parts = bleu_by_length(lengths, found.translations, found.references, EDGES, tokenize="13a")
        scores[name] = {
            "text": vars(found.bleu),
            "tokens": vars(found.tokenized_bleu),
            "by_length": [{"first": first, "last": last, **vars(score)} for (first, last), score in parts],
        }
    return {
        "precision": "bfloat16" if multiplies_bf16() else "float32",
        "parameters": sum(weights.numel() for weights in run.model.parameters()),
        "updates": run.update,
        "best_update": run.best["update"],
        **{key: last[key] for key in ("seconds", "cpu_seconds", "target_tokens")},
        "curve": [[row["update"], row["cpu_seconds"], row["valid_bleu"]] for row in run.history.rows],
        "scores": scores,
        "other_tests": _other_tests(run) if table == "presets" and run.config.corpus == "multi30k" else {},
    }


def _other_tests(run):
    """Return the BLEU of the text, with a beam, of the other test sets that can be loaded."""
    found = {}
    for split in OTHER_TESTS:
        with suppress(DataError):
            corpus = load_multi30k(run.config.src, run.config.tgt, (split,), progress=False)
            run.encoded.corpus.splits[split] = corpus[split]
            found[split] = evaluate(run.model, run.encoded, split, BEAM).bleu.score
    return found


def label(settings):
    """Return the direction and the model of a run's settings, a dict, in words."""
    return f"{settings['src']}→{settings['tgt']} {NAMES.get(settings['model'], settings['model'])}"


def figures():
    """Return the short form, the recorded CPU minutes to `GOAL` of the first long run; raise `ValueError`
    without.
    """
    long = [run for run in harness.read("translation")["runs"] if run["table"] == "long"]
    minutes = minutes_to(long[0]["curve"], GOAL) if long else None
    if minutes is None:
        raise ValueError(f"no run to BLEU {GOAL} recorded: python -m benchmarks.quality.translation --record")
    return {"minutes": minutes}


def _interval(values):
    """Return the mean of several seeds with half of its 95% interval, or the one value alone."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    middle, low, _ = mean_interval(values)
    return f"{middle:.1f} ± {middle - low:.1f}"


def _line(name, runs):
    """Return a line of a table for the runs of one model, which differ only in their seed."""
    greedy, beam = ([run["scores"][search] for run in runs] for search in ("greedy", "beam"))
    scores = [_interval([of["text"]["score"] for of in search]) for search in (greedy, beam)]
    scores.append(_interval([of["tokens"]["score"] for of in beam]))
    others = [run["other_tests"] for run in runs if run.get("other_tests")]
    more = "".join(f"  {split}: {_interval([of[split] for of in others])}" for split in (others or [()])[0])
    lengths = "".join(
        f"{mean(of['by_length'][i]['score'] for of in beam):7.1f}" for i in range(len(beam[0]["by_length"]))
    )
    reached = [minutes_to(run["curve"], GOAL) for run in runs]
    speed = sum(run["target_tokens"] for run in runs) / sum(run["cpu_seconds"] for run in runs)
    cost = f"{mean(run['parameters'] for run in runs) / 1e6:6.1f} M{speed:7,.0f}"
    cost += f"{mean(run['cpu_seconds'] for run in runs) / 60:6.1f}"
    until = "–" if None in reached else f"{mean(reached):.1f}"
    return (
        f"{name:<38}{len(runs)}{''.join(f'{score:>12}' for score in scores)}{lengths}{cost}{until:>6}{more}"
    )


def _section(name, runs):
    """Return the lines of one table: its settings, its head and a line per model."""
    parts = runs[0]["scores"]["beam"]["by_length"]
    spans = [*(f"{part['first']}-{part['last']}" for part in parts[:-1]), f"{parts[-1]['first']}-"]
    groups = {}
    for run in runs:
        groups.setdefault(label(run["settings"]), []).append(run)
    shared = {key: {run["settings"][key] for run in runs} for key in SHOWN}
    settings = ", ".join(f"{key} {value}" for key, (value, *others) in shared.items() if not others)
    head = f"{'':<36}seeds{'text':>10}{f'beam {BEAM}':>12}{'tokens':>12}" + "".join(f"{s:>7}" for s in spans)
    head += f"{'size':>8}{'tok/s':>7}{'min':>6}{f'to {GOAL}':>8}"
    return [f"{name}: {settings}", head, *(_line(group, of) for group, of in groups.items()), ""]


def table(record):
    """Return a table of text per table of the plan, then what the columns mean."""
    groups = {}
    for run in record["runs"]:
        groups.setdefault(run["table"], []).append(run)
    lines = [line for name, runs in groups.items() for line in _section(name, runs)]
    score = record["runs"][0]["scores"]["beam"]
    return "\n".join(
        [
            *lines,
            f"text: {score['text']['signature']}, lower-cased, greedy, then with a beam of {BEAM}",
            f"tokens: {score['tokens']['signature']}, Moses tokens, lower-cased, beam of {BEAM}",
            f"by words of the source: text, beam of {BEAM}",
            "size: parameters; tok/s: target tokens per second of one core in training; min: CPU minutes",
            f"to {GOAL}: CPU minutes of training to this BLEU of validation tokens",
        ]
    )


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__, seeds=SEEDS)
    parser.add_argument("--quick", action="store_true", help="ten minutes: small models, one seed")
    parser.add_argument("--only", nargs="+", choices=("budget", "long", "presets"), help="only these tables")
    pairs = {"-".join(direction): direction for direction in DIRECTIONS}
    parser.add_argument("--directions", nargs="+", choices=pairs, default=[*pairs], help="not in the budget")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=[*PRESETS], help="only these")
    args = parser.parse_args()
    directions = [pairs[direction] for direction in args.directions]
    record = "presets" if args.only == ["presets"] else "translation" + "_quick" * args.quick
    jobs = [
        {
            "table": name,
            "settings": settings.identity
            | {"validate_every": settings.validate_every, "patience": settings.patience},
        }
        for name, runs in plan(args.seeds, args.quick, directions, args.presets).items()
        if args.only is None or name in args.only
        for settings in runs
    ]
    args.workers = 1 if torch.cuda.is_available() else args.workers
    harness.run(args, measure, jobs, table, name=record)


if __name__ == "__main__":
    main()
