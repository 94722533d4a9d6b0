"""Minutes of computing until a translator has a stated BLEU, on the reviews and on Multi30K.

    python -m benchmarks.minutes [--seeds 3]

On the reviews every model has the sizes and the training of `benchmarks.scores`, and is validated on the way;
the first validation whose greedy translations reach BLEU 80 counts. Time is that of one core, of training
alone. A model that does not get there shows the best that it had. Multi30K is read from what
`benchmarks.translation` has recorded: CPU minutes to BLEU 28.3 of the validation words. Writes
benchmarks/results/minutes.json, and a table of it, minutes.txt. Seeds that are recorded are kept.
"""

import json
from pathlib import Path

from benchmarks import translation
from benchmarks.lessons import of_seeds, record_seeds
from benchmarks.scores import SIZES, TRAINING
from utils.metrics import bleu
from utils.models import ATTENTIONS, Seq2Seq, translate
from utils.plotting import NAMES
from utils.text import encoded_reviews
from utils.training import seed_everything, train

RESULTS = Path(__file__).parent / "results" / "minutes.json"
GOAL = 80.0
SETTINGS = SIZES | TRAINING | dict(updates=600, validate_every=50, goal=GOAL)


def measure(attention, seed):
    """Train one model and give its curve: updates, seconds of one core, BLEU of validation reviews."""
    encoded = encoded_reviews()
    src, tgt = encoded.tokens("valid", "src"), encoded.corpus["valid"].tgt

    def watch(model):
        written = [" ".join(done.tokens) for done in translate(model, encoded, src)]
        return {"bleu": bleu(written, tgt).score}

    seed_everything(seed)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, **SIZES)
    budget = dict(updates=SETTINGS["updates"], validate_every=SETTINGS["validate_every"])
    history = train(model, encoded, seed=seed, watch=watch, progress=False, **TRAINING, **budget)
    return {"curve": [[row["update"], row["cpu_seconds"], row["bleu"]] for row in history.rows]}


def _reached(run, goal, digits):
    """Minutes of a run to a BLEU, or in brackets the best that it had."""
    minutes = translation.minutes_to(run, goal)
    return f"({max(score for *_, score in run['curve']):.1f})" if minutes is None else f"{minutes:.{digits}f}"


def table(record, rows):
    """Minutes to the goal on the reviews, and on Multi30K by the rows of its record."""
    brackets = "in brackets the best BLEU where it is not reached"
    lines = [record["machine"], record["command"], ""]
    lines.append(f"reviews: minutes to BLEU {GOAL:g}, each seed; {brackets}")
    for attention in ATTENTIONS:
        cells = [_reached(run, GOAL, 2) for run in of_seeds(record, attention=attention)]
        lines.append(f"{NAMES[attention]:<40}{'  '.join(cells)}")
    goal = translation.GOAL
    lines += ["", f"Multi30K, from its record: minutes to BLEU {goal}; {brackets}"]
    for settings in translation.plan()["long"]:
        if row := rows.get(settings.name):
            lines.append(f"{translation.label(settings.identity):<40}{_reached(row, goal, 1)}")
    return "\n".join(lines)


def main():
    kinds = [{"attention": attention} for attention in ATTENTIONS]
    record_seeds(__doc__, RESULTS, SETTINGS, kinds, measure, seeds=3)
    text = table(json.loads(RESULTS.read_text("utf-8")), translation.recorded(translation.RESULTS))
    RESULTS.with_suffix(".txt").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
