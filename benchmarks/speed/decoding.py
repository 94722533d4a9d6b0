"""Translation speed: batches against one sentence at a time, greedy and by beam search.

    python -m benchmarks.speed.decoding [--sentences 512] [--hidden 256] [--updates 150]

Each model trains briefly on the reviews, so that it ends its sentences. Then it translates the same test
reviews one by one and in batches of similar length, in turns within one run: trust the ratios. All models
have the same hidden size, only `tiny-transformer` has that of its preset. "same words" is the share of
sentences with the same words both ways, greedy and by beam. The last lines say where the time of the batches
of additive attention goes, according to PyTorch's profiler: batches save everything but arithmetic.
"""

import time
from functools import partial
from itertools import product

from benchmarks import harness
from benchmarks.profiling import shares_in_words, time_parts
from utils.models import translate
from utils.plotting import NAMES
from utils.runs import PRESETS, RunConfig, make_model
from utils.text import encoded_reviews
from utils.training import train, tune_process

MODELS = ("initial", "fixed", "multiplicative", "additive", "bahdanau", "transformer", "tiny-transformer")
SIZES = ("model", "hidden_dim", "ff_dim", "layers", "heads")  # what a preset says about a model's size
MAX_LEN = 60  # tokens of a translation
BEAM = 5
BEAMS = {"greedy": 1, "beam": BEAM}
BATCHES = {"one": 1, "batch": 256}


def measure(model, sentences=512, hidden=256, updates=150, turns=2):
    """Return sentences per second by search and batch size, the share of same words, and `time_parts`."""
    encoded = encoded_reviews()
    sizes = {"model": model, "embed_dim": 64, "hidden_dim": hidden, "layers": 2}
    if model in PRESETS:
        sizes = {name: PRESETS[model][name] for name in SIZES}
    config = RunConfig(corpus="reviews", dropout=0.0, **sizes)
    trained = make_model(config, encoded)
    train(trained, encoded, updates, learning_rate=5e-3, curriculum=0.6, progress=False)
    src = encoded.tokens("test", "src")[:sentences]
    speed, words = {search: dict.fromkeys(BATCHES, 0.0) for search in BEAMS}, {search: {} for search in BEAMS}
    for _, search, size in product(range(turns), BEAMS, BATCHES):
        started = time.perf_counter()
        found = translate(trained, encoded, src, MAX_LEN, BATCHES[size], BEAMS[search])
        speed[search][size] = max(speed[search][size], len(src) / (time.perf_counter() - started))
        words[search][size] = [translation.tokens for translation in found]
    parts = {
        search: time_parts(partial(translate, trained, encoded, src, MAX_LEN, BATCHES["batch"], beam_size))
        for search, beam_size in BEAMS.items()
        if model == "additive"
    }
    same = {search: sum(map(list.__eq__, *words[search].values())) / len(src) for search in BEAMS}
    return {"speed": speed, "same": same, "parts": parts}


def figures(**sizes):
    """Return the short form: the gain of batches with additive attention, greedy and by beam."""
    tune_process()
    speed = measure("additive", **{"sentences": 256, "turns": 1, **sizes})["speed"]
    return {search: speed[search]["batch"] / speed[search]["one"] for search in BEAMS}


def table(record):
    """Return a line of text per model, then where the time goes."""
    size = BATCHES["batch"]
    lines = [
        f"{'sentences per second':<38}{'greedy:':>9}{'one':>7}{size:>8}{'ratio':>7}"
        f"{f'beam of {BEAM}:':>13}{'one':>7}{size:>8}{'ratio':>7}  same words"
    ]
    for run in record["runs"]:
        cells = ""
        for search, width in (("greedy", 16), ("beam", 20)):
            one, batch = run["speed"][search].values()
            cells += f"{one:{width}.1f}{batch:8.1f}{batch / one:7.1f}"
        same = " ".join(f"{share:.0%}" for share in run["same"].values())
        lines.append(f"{NAMES.get(run['model'], run['model']):<38}{cells}  {same}")
    shares = [
        f"{run['model']}, {search}, in batches: {shares_in_words(parts)}"
        for run in record["runs"]
        for search, parts in run["parts"].items()
    ]
    return "\n".join([*lines, "", *shares])


def main():
    """Run the command line."""
    parser = harness.parser(__spec__.name, __doc__)
    parser.add_argument("--sentences", type=int, default=512, help="test reviews to translate")
    parser.add_argument("--hidden", type=int, default=256, help="hidden size")
    parser.add_argument("--updates", type=int, default=150, help="updates to train each model for")
    args = parser.parse_args()
    tune_process()
    fixed = {"sentences": args.sentences, "hidden": args.hidden, "updates": args.updates}
    harness.run(args, measure, [{"model": model, **fixed} for model in MODELS], table)


if __name__ == "__main__":
    main()
