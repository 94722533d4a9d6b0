"""The experiments of a demo with several seeds, run by the demo's own functions.

    python -m benchmarks.quality.lessons 01_bottleneck [--seeds 3]

Demo 09 downloads its corpora and keeps its trainings in the cache folder, so the hour that they take can be
interrupted. A seed draws a model's initial weights and batches; all models of one seed see the same batches.
The demo makes its tables from the record, benchmarks/results/demo_NN.json.
"""

import ast
import json
from dataclasses import replace
from functools import partial
from itertools import product
from statistics import mean

from benchmarks import harness
from benchmarks.harness import DEMOS
from benchmarks.profiling import multiplies_bf16, with_cpu_seconds
from utils.metrics import bleu_by_length
from utils.runs import evaluate, train_run
from utils.text import EncodedCorpus, encoded_reviews


def taught(stem):
    """Return the imports, functions, classes and constants (names in capitals) of a demo, by name."""
    path = DEMOS / f"{stem}.py"
    tree = ast.parse(path.read_text("utf-8"))
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Assign) and all(name.isupper() for name in map(ast.unparse, node.targets)))
    ]
    names = {}
    exec(compile(tree, str(path), "exec"), names)
    return names


def bottleneck(names, seed, **kind):
    """Train one model of demo 01; return BLEU of the test reviews by their number of clauses."""
    test = encoded_reviews().corpus["test"]
    model, written = names["run"](seed=seed, **kind)
    rows = bleu_by_length(test.clauses, written[: len(test)], test.tgt, range(1, 7), n_bootstrap=0)
    bleu = {str(clauses): score.score for (clauses, _), score in rows}
    return {"parameters": sum(p.numel() for p in model.parameters()), "bleu": bleu}


def beyond_translation(names, seed, task, attention):
    """Train one model of demo 06 on a task, and judge it on the test split."""
    encoded_reviews()  # encoding takes no part of the time
    model, seconds = with_cpu_seconds(names["learn"], task, attention, seed)
    run = {"cpu_seconds": round(seconds, 1)}
    if task == "questions":
        return run | {"right": names["right_by_clauses"](model)}
    texts = [" ".join(done.tokens) for done in names["write"](model)]
    run["by_sentences"] = [names["score"](texts, n)[0] for n in range(1, 6)]
    return run | ({"fed": names["feeding"](model)} if attention != "initial" else {})


def real_text(names, seed, kind):
    """Train one translator of demo 09, or resume it; describe its corpus, and what it writes."""
    config = replace(names["CONFIGS"][kind], seed=seed)
    run = train_run(config, progress=False, bf16=multiplies_bf16() or None)
    corpus = run.encoded.corpus
    words = EncodedCorpus(corpus, config.min_count)
    test = next(name for name in corpus.splits if "test" in name)
    found = {
        "updates": run.update,
        "pairs": len(run.encoded.train_rows),
        "cpu_seconds": run.history.rows[-1]["cpu_seconds"],
        "bleu": evaluate(run.model, run.encoded, test).bleu.score,
        "own": names["translations"](run),
        "portraits": {side: names["portrait"](words, test, side) for side in ("src", "tgt")},
    }
    if kind == "with attention":
        found["pieces"] = EncodedCorpus(corpus, subwords=4_000).tokenize(names["STRANGE"])
        found["seen"] = sum(names["RARE"] in caption for caption in words.tokens("train", "src"))
    return found


EXPERIMENTS = {  # what measures one model, and the demo's constants that decide the result
    "01_bottleneck": (bottleneck, ["BUDGET"]),
    "06_beyond_translation": (beyond_translation, ["SIZES", "BUDGETS"]),
    "09_real_text": (real_text, ["LONG", "FILM", "SMALL"]),
}


def kinds(lesson, names):
    """Return the arguments that make each model of a demo, a list of dicts. `names` are those of the demo."""
    if lesson == "01_bottleneck":
        sizes = [("fixed", 24), ("fixed", 48), ("fixed", 96), ("additive", 48)]
        return [{"context": context, "hidden_dim": width} for context, width in sizes]
    if lesson == "06_beyond_translation":
        tasks = product(names["CORPORA"], names["ATTENTIONS"])
        return [{"task": task, "attention": kind} for task, kind in tasks]
    return [{"kind": kind} for kind in names["CONFIGS"]]


def measure(lesson, seed, **kind):
    """Train and test one model of a demo."""
    function, _ = EXPERIMENTS[lesson]
    return function(taught(lesson), seed, **kind)


def _mean(values):
    """Return the mean of numbers, and of all numbers inside dicts and lists of the same shape."""
    if isinstance(values[0], dict):
        return {key: _mean([value[key] for value in values]) for key in values[0]}
    if isinstance(values[0], list):
        return [_mean(column) for column in zip(*values, strict=True)]
    return round(mean(values), 3) if all(isinstance(value, float) for value in values) else values[0]


def table(record):
    """Return a line of JSON per kind of model: the means over its seeds."""
    groups = {}
    for run in record["runs"]:
        fixed = {key: value for key, value in run.items() if isinstance(value, str | int) and key != "seed"}
        groups.setdefault(json.dumps(fixed), []).append(run)
    return "\n".join(json.dumps(_mean(runs) | {"seed": f"mean of {len(runs)}"}) for runs in groups.values())


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__, seeds=3)
    parser.add_argument("lesson", choices=EXPERIMENTS, help="the demo")
    args = parser.parse_args()
    names, (_, constants) = taught(args.lesson), EXPERIMENTS[args.lesson]
    jobs = [{"seed": seed, **kind} for seed in range(args.seeds) for kind in kinds(args.lesson, names)]
    settings = {name.lower(): names[name] for name in constants}
    name = f"demo_{args.lesson[:2]}"
    one = partial(measure, args.lesson)
    harness.run(args, one, jobs, table, sources=[DEMOS / f"{args.lesson}.py"], name=name, settings=settings)


if __name__ == "__main__":
    main()
