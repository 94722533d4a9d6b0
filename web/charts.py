"""Charts of the records in benchmarks/results, for the page of measurements.

`CHARTS` maps the name of a record to a function that draws it and returns Axes. Its docstring is the
alternative text of the chart.
"""

from statistics import mean, median

import numpy as np

from benchmarks.harness import of_kind
from utils.plotting import NAMES, PALETTE, plot_curves


def bars(rows, xlabel, limit=None, log=False):
    """Draw a horizontal bar for each row and series of {row: {series: number}}, with a line at `limit`."""
    import matplotlib.pyplot as plt  # slow to import

    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    height = 0.8 / len(series)
    size = 7.2, 0.9 + len(rows) * (0.14 + 0.2 * len(series))  # inches
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    for place, name in enumerate(series):
        y = np.arange(len(rows)) + height * (place - (len(series) - 1) / 2)
        numbers = [row.get(name, np.nan) for row in rows.values()]
        drawn = ax.barh(y, numbers, height, color=PALETTE[place], label=name)
        texts = ["" if np.isnan(number) else f"{number:,.3g}" for number in numbers]
        ax.bar_label(drawn, texts, padding=3, size=8)
    ax.set_yticks(range(len(rows)), rows)
    ax.invert_yaxis()
    ax.set(xlabel=xlabel, xscale="log" if log else "linear")
    ax.margins(x=0.1)
    ax.spines[["top", "right"]].set_visible(False)
    if limit is not None:
        ax.axvline(limit, color="gray", linestyle=":")
    if len(series) > 1:
        figure.legend(frameon=False, ncols=len(series), loc="outside upper center")
    return ax


def curves(lines, x, xlabel, ylabel, log=False):
    """Draw a curve for each of {name: numbers} over the same `x`."""
    import matplotlib.pyplot as plt  # slow to import

    figure, ax = plt.subplots(figsize=(7.2, 4), layout="constrained")
    plot_curves(lines, x, xlabel, ylabel, ax, legend=None)
    figure.legend(frameon=False, ncols=3, loc="outside upper center")
    if log:
        ax.set(xscale="log", yscale="log")
    return ax


def groups(record, key):
    """Return the runs of a record by the value of a key."""
    return {value: of_kind(record, **{key: value}) for value in dict.fromkeys(r[key] for r in record["runs"])}


def pretrained(record):
    """BLEU by clauses, means of the seeds. A dotted line marks the longest reviews of the training."""
    lines = {}
    for context, runs in groups(record, "context").items():
        scores = [run["bleu"] | run["long"] for run in runs]
        lines[NAMES[context]] = [mean(of[clauses] for of in scores) for clauses in scores[0]]
    ax = curves(lines, list(map(int, scores[0])), "clauses per review", "BLEU")
    ax.axvline(5, color="gray", linestyle=":")
    return ax


def translation(record):
    """BLEU by the length of the source, for the models that had the same budget."""
    lines = {}
    for run in of_kind(record, table="budget"):
        parts = run["scores"]["beam"]["by_length"]
        lines.setdefault(run["settings"]["model"], []).append([part["score"] for part in parts])
    x = [f"{part['first']}–{part['last']}" for part in parts[:-1]] + [f"{parts[-1]['first']} and more"]
    lines = {NAMES[model]: np.mean(seeds, 0) for model, seeds in lines.items()}
    return curves(lines, x, "words of the source", "BLEU with a beam of 5")


def parliament(record):
    """Share of correct next pieces by the length of the source, with the right source and a wrong one."""
    lines = {}
    for run in record["runs"]:
        name = NAMES.get(run["model"], run["model"])
        lines[name] = [100 * share for _, _, share, _ in run["right"]]
        lines[f"{name}, wrong source"] = [100 * share for _, _, share, _ in run["control"]]
    x = [f"{first}–{last}" for first, last, *_ in record["runs"][0]["right"]]
    return curves(lines, x, "words of the source", "correct next pieces, %")


def exercise_03(record):
    """BLEU of each attention. A dotted line marks what the exercise requires."""
    rows = {}
    for name, runs in groups(record, "name").items():
        scores = [run["bleu"] for run in runs]
        rows[NAMES.get(name, name)] = {"mean of the seeds": mean(scores), "lowest seed": min(scores)}
    return bars(rows, "BLEU (dotted: what the exercise requires)", limit=50)


def teacher_forcing(record):
    """Speed of each model in training, with the largest sizes."""
    run = record["runs"][-1]
    rows = {NAMES.get(name, name): {"tokens": of["tokens_per_second"]} for name, of in run["models"].items()}
    sizes = f"hidden size {run['hidden']}, {run['batch_tokens']:,} tokens per batch"
    return bars(rows, f"target tokens per second, {sizes}")


def attention(record):
    """Time of each kind of attention by the length of the sentence."""
    x = list(dict.fromkeys(run["length"] for run in record["runs"]))
    lines = {
        kind: [np.nan if run["ms"] is None else run["ms"] for run in runs]
        for kind, runs in groups(record, "kind").items()
    }
    return curves(lines, x, "words of the sentence", "milliseconds", log=True)


def decoding(record):
    """Sentences per second of each model, one by one and in batches."""
    rows = {NAMES.get(run["model"], run["model"]): run["speed"]["greedy"] for run in record["runs"]}
    rows = {name: {"one by one": of["one"], "in batches": of["batch"]} for name, of in rows.items()}
    return bars(rows, "sentences per second, greedy", log=True)


def streaming(record):
    """Memory by the size of the corpus."""
    rows = {
        f"{run['loaded']:,} pairs": {"at the start": run["MB"][0], "at the peak": run["MB"][-1]}
        for run in record["runs"]
    }
    return bars(rows, "MB of memory")


def startup(record):
    """How long a reader waits in each lesson."""
    rows = {run["what"]: run["waits"] for run in record["runs"] if "waits" in run}
    return bars(rows, "seconds from opening the lesson")


def playground(record):
    """Time of a step and of a moved weight for each model. A dotted line marks the aim."""
    rows = {}
    for run in record["runs"]:
        found = {"step": run["step"], "moved weight": run["drag"]}
        rows[NAMES[run["context"]]] = {name: median(times) for name, times in found.items() if times}
    return bars(rows, "milliseconds on a slow processor, median (dotted: the aim)", limit=50)


def demos(record):
    """Run time of each demo."""
    rows = {
        run["demo"]: {"on the clock": run["seconds"], "on both cores": run["cpu_seconds"]}
        for run in record["runs"]
    }
    return bars(rows, "seconds")


def grading(record):
    """Students graded per minute, by class and command."""
    rows = {
        f"{how}, {run['students']:,} students": {"speed": 60 * run["students"] / seconds}
        for run in record["runs"]
        for how, (seconds, _) in run["took"].items()
    }
    return bars(rows, "students per minute")


CHARTS = {
    draw.__name__: draw
    for draw in (pretrained, translation, parliament, exercise_03, teacher_forcing, attention, decoding)
    + (streaming, startup, playground, demos, grading)
}
