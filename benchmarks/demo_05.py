"""The comparison of demo 05 with several seeds: questions and summaries, with and without attention.

    python -m benchmarks.demo_05 [--seeds 3] [--workers 2]

Runs the lesson's own functions. A seed draws a model's first weights and its batches; both models of a seed
see the same batches. Writes benchmarks/results/demo_05.json, from which the lesson makes its tables.
"""

import time
from pathlib import Path

from benchmarks.lessons import record_seeds, taught

LESSON = "05_beyond_translation"
RESULTS = Path(__file__).parent / "results" / "demo_05.json"
TASKS = ("questions", "summaries")


def measure(task, attention, seed):
    """Train one model on a task and judge it on the test split."""
    names, started = taught(LESSON), time.process_time()
    model = names["pupil" if task == "questions" else "journalist"](attention, seed)
    run = {"cpu_seconds": round(time.process_time() - started, 1)}
    if task == "questions":
        run["right"] = names["right_by_clauses"](model)
    else:
        texts = [" ".join(done.tokens) for done in names["write"](model)]
        run["overall"] = names["score"](texts)
        run["by_sentences"] = [names["score"](texts, n)[0] for n in range(1, 6)]
    if attention != "none" and task == "questions":
        run["pointing"], run["table"] = names["pointing"](model)
        run["covered"] = names["covered"](model)
    elif attention != "none":
        run["fed"] = names["feeding"](model)
    return run


def main():
    names = taught(LESSON)
    settings = {name.lower(): names[name] for name in ("SIZES", "QUESTIONS", "SUMMARIES")}
    kinds = [{"task": task, "attention": kind} for task in TASKS for kind in names["ATTENTIONS"]]
    record_seeds(__doc__, RESULTS, settings, kinds, measure, seeds=3)


if __name__ == "__main__":
    main()
