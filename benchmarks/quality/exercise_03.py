"""The translator of exercise 03: BLEU, alignment error and training loss for each attention.

    python -m benchmarks.quality.exercise_03 [--seeds 10] [--others 0]

Runs the exercise's own training cell with other seeds; with `--others`, also with that many seeds for each
attention that the solution did not choose, and for a quarter of the updates. Judges the models as the check
of `translator` does.
"""

import re
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from statistics import mean

import jupytext

from benchmarks import harness
from benchmarks.harness import ROOT
from benchmarks.profiling import with_cpu_seconds
from utils.data import new_reviews
from utils.metrics import translation_scores
from utils.text import encoded_reviews

checks, judged = (import_module(f"grading.exercises.03_translator.{name}") for name in ("checks", "harness"))
BLEU, ERROR, SIZE = checks.BLEU, checks.ERROR, checks.SIZE
LESSON = ROOT / "lessons" / "exercises" / "03_translator.py"
EXERCISE = ROOT / "grading" / "exercises" / "03_translator"
ATTENTIONS = ("initial", "dot", "scaled", "multiplicative", "additive", "bahdanau")
CHOSEN, UPDATES = "dot", 400  # by the solution
FEW = 100  # updates that show soon whether something is wrong


def trained(seed=0, attention=CHOSEN, updates=UPDATES):
    """Run the exercise's training cell; return its translator and what it prints."""
    cells = [cell for cell in jupytext.read(LESSON).cells if cell.cell_type == "code"]
    imports = next(cell.source for cell in cells if cell.source.startswith("import torch"))
    training = next(cell.source for cell in cells if cell.metadata.get("answer") == "translator")
    for given, wanted in (
        (f"SEED, UPDATES = 0, {UPDATES}", f"SEED, UPDATES = {seed}, {updates}"),
        (f'"{CHOSEN}"', f'"{attention}"'),
    ):
        if (count := training.count(given)) != 1:
            raise ValueError(
                f"expected {given!r} once in the training cell of {LESSON.name}, found it {count} times"
            )
        training = training.replace(given, wanted)
    names, printed = {}, StringIO()
    with redirect_stdout(printed):
        exec(imports + "\n" + training, names)
    return names["translator"], printed.getvalue()


def measure(attention, seed, updates):
    """Train one model, and judge it on new reviews."""
    encoded_reviews()
    (model, printed), seconds = with_cpu_seconds(trained, seed, attention, updates)
    written = new_reviews(SIZE, 1_000 + seed)
    texts, maps = checks.translations(written.src, *judged.parameters(model))
    score, error = translation_scores(texts, maps, written)
    return {
        "name": attention if updates == UPDATES else f"{attention}, {updates} updates",
        "seconds": seconds,
        "bleu": score,
        "exact": mean(text == right for text, right in zip(texts, written.tgt, strict=True)),
        "error": error,
        "losses": {int(at): float(loss) for at, loss in re.findall(r"update +(\d+): loss ([\d.]+)", printed)},
    }


def table(record):
    """Return two tables of text: scores with the worst of the seeds and the mean, and losses."""
    lines = [
        f"required: BLEU of {BLEU} and alignment error of {ERROR}, on {SIZE} reviews of two to five clauses",
        "",
        f"{'':<20}{'BLEU':^16}{'word for word':>15}{'alignment error':^28}{'CPU':>5}",
        f"{'':<20}{'least':>8}{'mean':>8}{'mean':>15}{'least':>10}{'mean':>8}{'most':>10}  seconds  passed",
    ]
    losses = ["", f"{'loss of a batch':<20}least to greatest at this update"]
    for name in dict.fromkeys(run["name"] for run in record["runs"]):
        runs = harness.of_kind(record, name=name)
        bleu, exact, error, seconds = (
            [run[key] for run in runs] for key in ("bleu", "exact", "error", "seconds")
        )
        passed = sum(b >= BLEU and e <= ERROR for b, e in zip(bleu, error, strict=True))
        lines.append(
            f"{name:<20}{min(bleu):>8.1f}{mean(bleu):>8.1f}{mean(exact):>15.0%}"
            f"{min(error):>10.3f}{mean(error):>8.3f}{max(error):>10.3f}"
            f"{mean(seconds):>9.0f}  {passed} of {len(runs)}"
        )
        of_seeds = {at: [run["losses"][at] for run in runs] for at in runs[0]["losses"]}
        spans = [f"{at}: {min(loss):.2f}-{max(loss):.2f}" for at, loss in of_seeds.items()]
        losses.append(f"{name:<20}{'  '.join(spans)}")
    return "\n".join([*lines, *losses])


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__, seeds=10)
    parser.add_argument("--others", type=int, default=0, help="random seeds of each other attention")
    args = parser.parse_args()
    jobs = [{"attention": CHOSEN, "seed": seed, "updates": UPDATES} for seed in range(args.seeds)]
    others = [(name, UPDATES) for name in ATTENTIONS if name != CHOSEN] + [(CHOSEN, FEW)]
    jobs += [{"attention": a, "seed": s, "updates": u} for a, u in others for s in range(args.others)]
    harness.run(args, measure, jobs, table, sources=[LESSON, *EXERCISE.glob("*.py")])


if __name__ == "__main__":
    main()
