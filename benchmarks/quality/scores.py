"""Score functions compared on the reviews: BLEU by clauses, alignment error, minutes to a BLEU.

    python -m benchmarks.quality.scores [--seeds 3] [--updates 600]

All models have the same sizes and see the same batches; a seed draws the initial weights and the batches. The
first table has the BLEU of the test reviews by their number of clauses, and the error of the alignment which
links each target word to the source word with the largest weight, against the gold links, also shifted by one
word. The second has the CPU minutes of training until the validation reviews reach BLEU 80, per seed, or in
parentheses the best BLEU of a model that does not reach it.
"""

from itertools import product
from statistics import mean

from benchmarks import harness
from utils.metrics import alignment_errors, bleu, bleu_by_length, diagonal_links, link_map
from utils.models import RECURRENT as MODELS
from utils.models import Seq2Seq, forced_weights, translate
from utils.plotting import NAMES
from utils.text import encoded_reviews
from utils.training import seed_everything, train

WITHOUT_MAPS = ("initial", "fixed")
ATTENTIONS = tuple(name for name in MODELS if name not in WITHOUT_MAPS)
GOAL = 80.0
SIZES = {"embed_dim": 64, "hidden_dim": 96}
TRAINING = {"batch_tokens": 1_500, "learning_rate": 1e-2, "curriculum": 0.6, "validate_every": 50}


def measure(attention, seed, updates):
    """Train one model; return its curve and what its translations and maps of the test reviews are worth."""
    encoded = encoded_reviews()
    test, valid = encoded.corpus["test"], encoded.corpus["valid"]

    def write(model, split):
        return [" ".join(found.tokens) for found in translate(model, encoded, encoded.tokens(split, "src"))]

    seed_everything(seed)
    model = Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, **SIZES)
    history = train(
        model,
        encoded,
        updates,
        seed=seed,
        evaluate=lambda model: {"bleu": bleu(write(model, "valid"), valid.tgt, n_bootstrap=0).score},
        progress=False,
        **TRAINING,
    )
    by_clauses = bleu_by_length(test.clauses, write(model, "test"), test.tgt, range(1, 7), n_bootstrap=0)
    error = None
    if attention in ATTENTIONS:
        error = alignment_errors(forced_weights(model, encoded, "test"), test.links)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds": round(history.rows[-1]["cpu_seconds"], 1),
        "bleu": {first: round(score.score, 2) for (first, _), score in by_clauses},
        "error": error,
        "curve": [[row["update"], row["cpu_seconds"], row["bleu"]] for row in history.rows],
    }


def minutes_to(curve, goal):
    """Return the CPU minutes of training until the first validation with this BLEU, or None."""
    return next((seconds / 60 for _, seconds, score in curve if score >= goal), None)


def _quality(runs):
    """Return the line of one model in the first table."""
    bleu_scores = "".join(f"{mean(run['bleu'][n] for run in runs):6.1f}" for n in "12345")
    seconds, error, each = mean(run["cpu_seconds"] for run in runs), f"{'–':>5}" * 3, ""
    if runs[0]["error"]:
        error = "".join(f"{mean(run['error'][shift] for run in runs):5.2f}" for shift in ("-1", "0", "1"))
        each = " ".join(f"{run['error']['0']:.2f}" for run in runs)
    return f"{NAMES[runs[0]['attention']]:<38}{bleu_scores}  {error}{seconds:9.0f}  {each}".rstrip()


def _minutes(runs):
    """Return the line of one model in the second table."""
    cells = []
    for run in runs:
        found, best = minutes_to(run["curve"], GOAL), max(score for *_, score in run["curve"])
        cells.append(f"({best:.1f})" if found is None else f"{found:.2f}")
    return f"{NAMES[runs[0]['attention']]:<38}{'  '.join(cells)}"


def table(record):
    """Return both tables as text: means over seeds, and one number per seed at the end of a line."""
    models = dict.fromkeys(run["attention"] for run in record["runs"])
    groups = [harness.of_kind(record, attention=attention) for attention in models]
    lines = [
        f"means of {len(groups[0])} seeds, {record['test_sentences']:,} test reviews",
        "",
        f"{'':<38}{'BLEU at this many clauses':>30}{'error at shift':>17}{'CPU':>5}",
        f"{'':<38}     1     2     3     4     5     -1   +0   +1  seconds  error of each seed",
        *map(_quality, groups),
        f"{'the diagonal':<38}{'':30}  " + "".join(f"{error:5.2f}" for error in record["diagonal"].values()),
    ]
    if all("curve" in run for run in record["runs"]):
        reached = (
            f"CPU minutes to BLEU {GOAL:g}, each seed; in parentheses the best BLEU if it is not reached"
        )
        lines += ["", reached, *map(_minutes, groups)]
    return "\n".join(lines)


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__, seeds=3)
    parser.add_argument("--updates", type=int, default=600, help="updates to train each model for")
    args = parser.parse_args()
    jobs = [
        {"attention": attention, "seed": seed, "updates": args.updates}
        for attention, seed in product(MODELS, range(args.seeds))
    ]
    test = encoded_reviews().corpus["test"]
    lengths = [(len(src.split()), len(tgt.split())) for src, tgt in zip(test.src, test.tgt, strict=True)]
    diagonal = [link_map(diagonal_links(src, tgt), tgt, src) for src, tgt in lengths]
    errors = alignment_errors(diagonal, test.links)
    harness.run(args, measure, jobs, table, test_sentences=len(test), diagonal=errors)


if __name__ == "__main__":
    main()
