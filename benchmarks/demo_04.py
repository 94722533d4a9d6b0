"""What demo 04 finds for one or two seeds, for several: the lesson's translator and the biased one.

    python -m benchmarks.demo_04 [--seeds 4] [--workers 2]

Runs the lesson's own functions. A seed draws a model's first weights and its batches; all are read on the
same test reviews. Writes benchmarks/results/demo_04.json, from which the lesson makes its last table.
"""

from pathlib import Path

import torch

from benchmarks.lessons import record_seeds, taught

LESSON = "04_alignment"
RESULTS = Path(__file__).parent / "results" / "demo_04.json"


def measure(seed, biased):
    """Train one translator, and read it as the lesson does."""
    names = taught(LESSON)  # the globals of its functions: the corpus and the model are set below
    reviews, clauses = names["encoded_reviews"], names["CLAUSES"]
    encoded, corpus = reviews(clauses), names["mostly_masculine"] if biased else reviews
    test = encoded.corpus["test"]
    english, french = encoded.tokens("test", "src"), encoded.tokens("test", "tgt")
    names.update(encoded=encoded, test=test, english=english, french=french)
    model, _ = names["learn"](seed, corpus=corpus)
    names["model"] = model

    def write(model):
        done = names["translate"](model, corpus(clauses), english)
        return done, names["bleu"]([" ".join(found.tokens) for found in done], test.tgt, n_bootstrap=0).score

    done, score = write(model)
    maps = names["forced_weights"](model, corpus(clauses), "test")
    run = {"bleu": score}
    run["error"] = names["alignment_errors"](maps, test.links)[0]
    if biased:
        run["feminine"] = names["agreement"](done, names["FEMININE"])[0]
        run["masculine"] = names["agreement"](done, names["MASCULINE"])[0]
    else:
        away = [names["distance"](*row) for row in zip(maps, french, test.links, strict=True)]
        run["article_behind"] = names["by_class"]([[d == 1 for d in row] for row in away])["article"]
        rows = [row for row, found in enumerate(done) if found.tokens == french[row]][:100]
        same = [
            maps[row].argmax(-1) == names["effects"](english[row], french[row]).argmax(-1) for row in rows
        ]
        run["largest_effect"] = torch.cat(same).float().mean().item() if same else None
        torch.manual_seed(seed)
        run["even"], run["shuffled"] = (
            write(names["tampered"](names[change]))[1] for change in ("Even", "Shuffled")
        )
    return run


def main():
    names = taught(LESSON)
    settings = {**names["SIZES"], **names["BUDGET"], "clauses": names["CLAUSES"]}
    kinds = [{"biased": False}, {"biased": True}]
    record_seeds(__doc__, RESULTS, settings, kinds, measure, seeds=4)


if __name__ == "__main__":
    main()
