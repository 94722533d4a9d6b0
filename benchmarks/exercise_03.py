"""The translator of exercise 03: BLEU and alignment error for each attention, and the loss on the way.

    python -m benchmarks.exercise_03 [--seeds 10] [--others 0] [--workers 2]

Runs the lesson's own training cell with other seeds, and with `--others` of them for each attention that the
solution did not choose and for a quarter of the updates, and judges the models as the check of `translator`
does. Writes its tables to benchmarks/results/exercise_03.txt.
"""

import argparse
import re
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from statistics import mean

import jupytext

from benchmarks.machine import describe
from grading.checks.translator import BLEU, ERROR, SIZE
from grading.drives.translator import reviews
from utils.data import new_reviews
from utils.metrics import translation_scores
from utils.models import ATTENTIONS
from utils.text import encoded_reviews
from utils.training import in_parallel

ROOT = Path(__file__).resolve().parents[1]
LESSON = ROOT / "lessons" / "exercises" / "03_translator.py"
RESULTS = ROOT / "benchmarks" / "results" / "exercise_03.txt"
CHOSEN, UPDATES, FEW = "dot", 400, 100  # by the solution; FEW: a try that tells soon if something is wrong


def trained(seed=0, attention=CHOSEN, updates=UPDATES):
    """The translator that the lesson's training cell makes, and what the cell prints."""
    cells = [cell for cell in jupytext.read(LESSON).cells if cell.cell_type == "code"]
    imports = next(cell.source for cell in cells if cell.source.startswith("import torch"))
    training = next(cell.source for cell in cells if cell.metadata.get("answer") == "translator")
    for given, wanted in (
        (f"SEED, UPDATES = 0, {UPDATES}", f"SEED, UPDATES = {seed}, {updates}"),
        (f'"{CHOSEN}"', f'"{attention}"'),
    ):
        if training.count(given) != 1:
            raise ValueError(f"the training cell of {LESSON.name} should have {given} once")
        training = training.replace(given, wanted)
    names, printed = {}, StringIO()
    with redirect_stdout(printed):
        exec(imports + "\n" + training, names)
    return names["translator"], printed.getvalue()


def measure(attention, seed, updates):
    """Train one model and judge it on reviews of its own."""
    encoded_reviews()
    started = time.process_time()
    model, printed = trained(seed, attention, updates)
    seconds = time.process_time() - started
    written = new_reviews(SIZE, 1_000 + seed)
    texts, maps = reviews(model, written.src)
    score, error = translation_scores(texts, maps, written)
    run = {
        "name": attention if updates == UPDATES else f"{attention}, {updates} updates",
        "seconds": seconds,
        "bleu": score,
        "exact": mean(text == right for text, right in zip(texts, written.tgt, strict=True)),
        "error": error,
        "losses": {int(at): float(loss) for at, loss in re.findall(r"update +(\d+): loss ([\d.]+)", printed)},
    }
    print(seed, run, file=sys.stderr, flush=True)
    return run


def table(runs, head):
    """The results as text: a line for each attention, with the worst of its seeds and the mean."""
    lines = [*head, "", f"{'':<20}{'BLEU':^16}{'word for word':>15}{'alignment error':^28}{'CPU':>5}"]
    lines.append(
        f"{'':<20}{'least':>8}{'mean':>8}{'mean':>15}"
        f"{'least':>10}{'mean':>8}{'greatest':>10}  seconds  passed"
    )
    names = dict.fromkeys(run["name"] for run in runs)
    for name in names:
        of = {key: [r[key] for r in runs if r["name"] == name] for key in runs[0]}
        passed = sum(b >= BLEU and e <= ERROR for b, e in zip(of["bleu"], of["error"], strict=True))
        lines.append(
            f"{name:<20}{min(of['bleu']):>8.1f}{mean(of['bleu']):>8.1f}{mean(of['exact']):>15.0%}"
            f"{min(of['error']):>10.3f}{mean(of['error']):>8.3f}{max(of['error']):>10.3f}"
            f"{mean(of['seconds']):>9.0f}  {passed} of {len(of['bleu'])}"
        )
    lines += ["", f"{'loss of a batch':<20}least to greatest at this update"]
    for name in names:
        of = [run["losses"] for run in runs if run["name"] == name]
        spans = [f"{at}: {min(o[at] for o in of):.2f}-{max(o[at] for o in of):.2f}" for at in of[0]]
        lines.append(f"{name:<20}{'  '.join(spans)}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--others", type=int, default=0, help="seeds of each other attention")
    parser.add_argument("--workers", type=int, default=2, help="models that are trained at the same time")
    args = parser.parse_args()
    jobs = [dict(attention=CHOSEN, seed=seed, updates=UPDATES) for seed in range(args.seeds)]
    others = [(name, UPDATES) for name in ATTENTIONS if name != CHOSEN] + [(CHOSEN, FEW)]
    jobs += [dict(attention=a, seed=s, updates=u) for a, u in others for s in range(args.others)]
    runs = in_parallel(measure, jobs, workers=args.workers)
    head = [
        f"{describe()}; one thread a model",
        f"python -m benchmarks.exercise_03 --seeds {args.seeds} --others {args.others}",
        f"asked for: BLEU of {BLEU} and alignment error of {ERROR}, on {SIZE} reviews of two to five clauses",
    ]
    text = table(runs, head)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
