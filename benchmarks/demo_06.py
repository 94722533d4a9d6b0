"""The models of demo 06 with several seeds: four kinds of reader, and two translators.

    python -m benchmarks.demo_06 [--seeds 5] [--workers 2]

Runs the lesson's own functions. A seed draws a model's first weights and its batches; the two translators of
a seed see the same batches. Readers answer the lesson's test sentences, translators its reviews. Writes
benchmarks/results/demo_06.json, from which the lesson makes its tables.
"""

import json
import time
from pathlib import Path

from benchmarks.lessons import record_seeds, taught
from utils.metrics import bleu_by_length
from utils.text import encoded_reviews

LESSON = "06_transformer"
RESULTS = Path(__file__).parent / "results" / "demo_06.json"


def measure(name, seed):
    """Train one reader or translator and test it."""
    names = taught(LESSON)
    encoded_reviews()
    started = time.process_time()
    model, test = (
        (names["learn"](seed, **names["KINDS"][name]), of_reader)
        if name in names["KINDS"]
        else (names["translator"](name, seed)[0], of_translator)
    )
    seconds = time.process_time() - started
    run = {"cpu_seconds": seconds, **test(names, model)}
    return json.loads(json.dumps(run), parse_float=lambda number: round(float(number), 4))


def of_reader(names, reader):
    """Right answers by kind: whole, with a word hidden, with a head silenced. And where "it" looks."""
    heads = reader.blocks[0].attention.heads
    return {
        **names["by_kind"](names["right"](reader)),
        "hidden": {
            word: names["by_kind"](names["right"](reader, names["hiding"](place)))
            for word, place in names["HIDEABLE"].items()
        },
        "silenced": [
            names["without_head"](reader, look, head)
            for look in range(len(reader.blocks))
            for head in range(heads)
        ],
        "looks": names["shares"](reader).mean(1).tolist(),
        "pair": names["looks_of_it"](reader).tolist(),
    }


def of_translator(names, model):
    """BLEU by number of clauses."""
    reviews = names["reviews"]()
    translations = names["written"](model, reviews)
    rows = bleu_by_length(reviews.clauses, translations, reviews.tgt, range(1, 8), n_bootstrap=0)
    parameters = sum(p.numel() for p in model.parameters())
    return {"parameters": parameters, "bleu": {str(n): score.score for (n, _), score in rows}}


def main():
    names = taught(LESSON)
    settings = {key: names[key] for key in ("READER", "RATES", "BUDGET", "SIZES")}
    kinds = [{"name": name} for name in (*names["KINDS"], *names["RATES"])]
    record_seeds(__doc__, RESULTS, settings, kinds, measure, seeds=5)


if __name__ == "__main__":
    main()
