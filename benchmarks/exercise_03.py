"""The translator of exercise 03: BLEU and alignment error that its solution reaches, over ten seeds.

    python -m benchmarks.exercise_03 [--seeds 10] [--others 0]

Runs the lesson's own training cell with other seeds, and with `--others` of them for each attention that the
solution did not choose, and judges the models as the check of `translator` does. Writes its table to
benchmarks/results/exercise_03.txt.
"""

import argparse
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from statistics import mean

import jupytext

from benchmarks.machine import describe
from grading.checks.translator import BLEU, ERROR, alignment_error_of, bleu_of, exact, new_reviews
from grading.drives.translator import reviews
from utils.models import ATTENTIONS
from utils.text import encoded_reviews
from utils.training import in_parallel

ROOT = Path(__file__).resolve().parents[1]
LESSON = ROOT / "lessons" / "exercises" / "03_translator.py"
RESULTS = ROOT / "benchmarks" / "results" / "exercise_03.txt"
CHOSEN = "dot"  # by the solution


def trained(seed=0, attention=CHOSEN):
    """The translator that the lesson's training cell makes with this seed and attention."""
    cells = [cell for cell in jupytext.read(LESSON).cells if cell.cell_type == "code"]
    imports = next(cell.source for cell in cells if cell.source.startswith("import torch"))
    training = next(cell.source for cell in cells if cell.metadata.get("answer") == "translator")
    for given, wanted in (
        ("SEED, UPDATES = 0,", f"SEED, UPDATES = {seed},"),
        (f'"{CHOSEN}"', f'"{attention}"'),
    ):
        if training.count(given) != 1:
            raise ValueError(f"the training cell of {LESSON.name} should have {given} once")
        training = training.replace(given, wanted)
    names = {}
    with redirect_stdout(StringIO()):
        exec(imports + "\n" + training, names)
    return names["translator"]


def measure(attention, seed):
    """Train one model and judge it on reviews of its own."""
    encoded_reviews()
    started = time.process_time()
    model = trained(seed, attention)
    seconds = time.process_time() - started
    written = new_reviews(1_000 + seed, 300)
    texts, maps = reviews(model, written.src)
    rows = exact(texts, written.tgt)
    return {
        "attention": attention,
        "seconds": seconds,
        "bleu": bleu_of(texts, written.tgt),
        "exact": len(rows) / len(texts),
        "error": alignment_error_of(rows, maps, written.links) if maps and rows else float("nan"),
    }


def table(runs, head):
    """The results as text: a line for each attention, with the worst of its seeds and the mean."""
    lines = [*head, "", f"{'':<16}{'BLEU':^16}{'word for word':>15}{'alignment error':^20}{'CPU':>5}"]
    lines.append(f"{'':<16}{'least':>8}{'mean':>8}{'mean':>15}{'greatest':>11}{'mean':>8}  seconds  passed")
    for attention in dict.fromkeys(run["attention"] for run in runs):
        of = {key: [r[key] for r in runs if r["attention"] == attention] for key in runs[0]}
        passed = sum(b >= BLEU and e <= ERROR for b, e in zip(of["bleu"], of["error"], strict=True))
        lines.append(
            f"{attention:<16}{min(of['bleu']):>8.1f}{mean(of['bleu']):>8.1f}{mean(of['exact']):>15.0%}"
            f"{max(of['error']):>11.3f}{mean(of['error']):>8.3f}{mean(of['seconds']):>9.0f}"
            f"  {passed} of {len(of['bleu'])}"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--others", type=int, default=0, help="seeds of each other attention")
    args = parser.parse_args()
    seeds = {attention: args.seeds if attention == CHOSEN else args.others for attention in ATTENTIONS}
    jobs = [dict(attention=a, seed=seed) for a in reversed(ATTENTIONS) for seed in range(seeds[a])]
    runs = in_parallel(measure, jobs, workers=2)
    head = [
        f"{describe()}; one thread a model",
        f"python -m benchmarks.exercise_03 --seeds {args.seeds} --others {args.others}",
        f"asked for: BLEU of {BLEU} and alignment error of {ERROR}, on new reviews of two to five clauses",
    ]
    text = table(runs, head)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
