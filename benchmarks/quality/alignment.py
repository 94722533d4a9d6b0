"""Attention maps of real text against a statistical aligner, and attention that has learned from it.

    python -m benchmarks.quality.alignment [--text FOLDER] [--gold FOLDER] [--updates 4000] [--seeds 3]

Text, models and gold links are those of `benchmarks.quality.parliament`. The table has the alignment error of

- the diagonal and IBM model 1, as there, and eflomal (Östling and Tiedemann 2016): its links from German to
  English, from English to German, and both joined by grow-diag-final-and (Koehn et al. 2003). eflomal isn't
  among the course's packages, because it needs a C compiler: `pip install eflomal`. Without it, its rows and
  guided attention are left out;
- additive attention as it is; read one row early and one row late, where the word is the decoder's *input*
  (in a decoder of one layer this is the map of Shift-AET: Chen et al. 2020); the mean with the map of a
  translator of the other direction; and instead of a map, saliency (Ding et al. 2019);
- attention guided by eflomal's joined links, which are an additional loss in training (Chen et al. 2016, Garg
  et al. 2019), at the row that writes a word, and at the row where the word is the input.
"""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import torch

from benchmarks import harness
from benchmarks.profiling import multiplies_bf16
from benchmarks.quality.parliament import (
    SETTINGS,
    aligned_text,
    baselines,
    error_of,
    forced_inputs,
    forced_maps,
    parser,
    read_gold,
    store,
)
from utils.metrics import hard_alignment
from utils.models import Translation
from utils.runs import encode_corpus, fit, make_model, train_run, validation_bleu
from utils.subwords import word_of_each

READINGS = {
    "early": "additive, one row early",
    "own": "additive",
    "late": "additive, one row late (the word is the input)",
    "both": "additive, mean of both directions",
    "saliency": "additive, saliency",
    "guided": "additive, guided by eflomal",
    "guided_late": "additive, guided where the word is the input",
}
NEIGHBORS = [step for step in product((-1, 0, 1), repeat=2) if step != (0, 0)]
SAMPLES, NOISE = 10, 0.15  # of saliency: noisy copies, and their deviation as a share of the range


def eflomal_links(src, tgt):
    """Return the links of eflomal in both directions, one set of (src, tgt) per sentence each, or None.

    `src` and `tgt` are parallel lists of sentences, each a list of words. None means that eflomal isn't
    installed.
    """
    try:
        import eflomal
    except ImportError:
        return None
    lines = [
        [" ".join("".join(word.split()) or "_" for word in words) for words in side] for side in (src, tgt)
    ]
    with TemporaryDirectory() as folder:
        files = [str(Path(folder) / direction) for direction in ("forward", "backward")]
        eflomal.Aligner().align(*lines, links_filename_fwd=files[0], links_filename_rev=files[1])
        read = [Path(file).read_text("utf-8").splitlines() for file in files]
    return [[{tuple(map(int, link.split("-"))) for link in line.split()} for line in side] for side in read]


def grow_diag_final_and(forward, backward):
    """Join the links of two directions, sets of (src, tgt): Koehn et al. 2003, section 3.

    Begins with what both have, adds neighbors that either has and that link a word without a link, then links
    between two words that have none.
    """
    links, either = forward & backward, forward | backward
    linked = [{link[side] for link in links} for side in (0, 1)]

    def add(link):
        links.add(link)
        for side in (0, 1):
            linked[side].add(link[side])

    grows = True
    while grows:
        grows = False
        for src, tgt in sorted(links):
            for new in sorted((src + i, tgt + j) for i, j in NEIGHBORS):
                free = new[0] not in linked[0] or new[1] not in linked[1]
                if new in either - links and free:
                    add(new)
                    grows = True
    for direction in (forward, backward):
        for new in sorted(direction - links):
            if new[0] not in linked[0] and new[1] not in linked[1]:
                add(new)
    return links


class GuidedAttention:
    """The cross-entropy of attention weights and given links: a loss to be added in training.

    `links` has one set of (src, tgt) of word positions for each of the training rows of `encoded`. A piece of
    a linked word should look evenly at the pieces of the words that it is linked to; other pieces don't
    count. With a `shift` of 1, the row after the one that writes a piece is guided, where the piece is the
    decoder's input (compare Chen et al. 2020). Chen et al. 2016, equation 6, and Garg et al. 2019, section 3.
    """

    def __init__(self, encoded, links, shift=0):
        self.wanted = {}
        src, tgt = encoded.tokens("train", "src"), encoded.tokens("train", "tgt")
        for row, of_row in zip(encoded.train_rows, links, strict=True):
            words = word_of_each(src[row])
            cells = [
                (shift + place, column, 1.0)
                for place, word in enumerate(word_of_each(tgt[row]))
                for column, source in enumerate(words)
                if (source, word) in of_row
            ]
            count = Counter(place for place, *_ in cells)
            self.wanted[row] = [(place, column, 1 / count[place]) for place, column, _ in cells]

    def __call__(self, batch, weights):
        """Return the mean loss of all guided rows: a tensor without axes."""
        cells = [(i, *cell) for i, row in enumerate(batch.rows) for cell in self.wanted[row]]
        if not cells:
            return weights.sum() * 0
        sentence, place, column, share = map(torch.tensor, zip(*cells, strict=True))
        found = weights.float()[sentence, place, column].clamp_min(1e-9).log()
        return -(share.to(found) * found).sum() / share.sum()


def guided(settings, encoded, links, shift):
    """Train a model with guided attention, or resume its training; return it with its last weights."""
    model = make_model(settings, encoded)
    folder = settings.folder.with_name(f"{settings.folder.name}-guided-{shift}")
    loss = GuidedAttention(encoded, links, shift)
    fit(settings, model, encoded, folder, multiplies_bf16(), attention_loss=loss, progress=False)
    return model.eval()


def saliency_maps(model, encoded, gold):
    """Return how much each source word changes the log-probability of each target word, (tgt_len, src_len).

    The change is the product of the gradient with the embedding, summed over noisy copies of the embeddings
    and then over the pieces of a word (Ding et al. 2019, sections 3.2 and 3.3: SmoothGrad).
    """
    torch.manual_seed(0)
    kept, found = [], []

    def add_noise(_, __, embedded):
        span = embedded.max() - embedded.min()
        kept[:] = [(embedded + NOISE * span * torch.randn_like(embedded)).detach().requires_grad_()]
        return kept[0]

    hook = model.encoder.embedding.register_forward_hook(add_noise)
    for src, tgt, *_ in gold:
        src, tgt = encoded.cut(src, "src"), encoded.cut(tgt, "tgt")
        inputs = forced_inputs(encoded, src, tgt)
        written = torch.arange(len(tgt))  # copy i of the sentence shows what decides target piece i
        total = 0
        for _ in range(SAMPLES):
            logits, _ = model(*(part.expand(len(tgt), *part.shape[1:]) for part in inputs))
            chosen = logits.log_softmax(-1)[written, written, inputs[2][0, 1:]]
            (gradient,) = torch.autograd.grad(chosen.sum(), kept[0])
            total = total + (gradient * kept[0].detach()).sum(-1)  # (tgt_len, src_len)
        found.append(encoded.on_words(Translation(src, tgt, total)).weights[:, :-1])
    hook.remove()
    return found


def opposite(settings):
    """Return the settings of a translator of the other direction."""
    return replace(settings, src=settings.tgt, tgt=settings.src)


def measure(kind, seed, settings, gold, links):
    """Train the models of one kind and seed, or resume their training; return alignment errors by reading."""
    settings = replace(settings, seed=seed)
    encoded = encode_corpus(settings)
    errors = {}
    if kind == "plain":
        there, back = (
            train_run(one, progress=False, device="cpu", bf16=multiplies_bf16() or None)
            for one in (settings, opposite(settings))
        )
        maps = forced_maps(there.model, encoded, gold)
        turned = forced_maps(back.model, back.encoded, [(tgt, src) for src, tgt, *_ in gold])[0]
        maps["both"] = [one + other.T for one, other in zip(maps[0], turned, strict=True)]
        maps["saliency"] = saliency_maps(there.model, encoded, gold)
        names = {-1: "early", 0: "own", 1: "late"}
        errors = {names.get(key, key): error_of(gold, map(hard_alignment, of)) for key, of in maps.items()}
        bleu = there.best["valid_bleu"]
    else:
        shift = int(kind == "guided_late")
        model = guided(settings, encoded, links, shift)
        errors[kind] = error_of(gold, map(hard_alignment, forced_maps(model, encoded, gold)[shift]))
        bleu = validation_bleu(model, encoded)
    return {"errors": errors, "valid_bleu": bleu}


def table(record):
    """Return the alignment error of every reading as text: the mean, and the interval of each seed."""
    lines = [
        f"{record['pairs']:,} training pairs; alignment error rate on {record['gold_sentences']} sentences",
        "",
        f"{'':<50}{'mean':>6}  [95%, sentences] of each seed",
    ]
    rows = {name: [error] for name, error in record["baselines"].items()}
    for run in record["runs"]:
        for reading in READINGS.keys() & run["errors"]:
            rows.setdefault(READINGS[reading], []).append(run["errors"][reading])
    names = [*record["baselines"], *(name for name in READINGS.values() if name in rows)]
    for name in names:
        each = " ".join(f"[{low:.2f}, {high:.2f}]" for _, low, high in rows[name])
        lines.append(f"{name:<50}{mean(error for error, *_ in rows[name]):6.2f}  {each}")
    if "eflomal" not in record["baselines"]:
        lines.append("eflomal and guided attention: not measured (pip install eflomal, with a C compiler)")
    return "\n".join(lines)


def main():
    """Run the command line."""
    args = parser(__spec__.name, __doc__, seeds=3).parse_args()
    gold = read_gold(args.gold)
    settings = replace(SETTINGS, pairs=args.hub or store(args.text), updates=args.updates)
    encoded = encode_corpus(settings)
    found, links, kinds = baselines(encoded, gold), None, ["plain"]
    if directions := eflomal_links(*aligned_text(encoded, gold)):
        joined = [grow_diag_final_and(*both) for both in zip(*directions, strict=True)]
        kinds += ["guided", "guided_late"]
        links = joined[: -len(gold)]
        for name, of in zip(
            ("eflomal", "eflomal, backward", "eflomal, joined"), (*directions, joined), strict=True
        ):
            found[name] = error_of(gold, of[-len(gold) :])
    facts = {"pairs": len(encoded.train_rows), "gold_sentences": len(gold), "baselines": found}
    jobs = [{"kind": kind, "seed": seed} for seed, kind in product(range(args.seeds), kinds)]
    harness.run(args, partial(measure, settings=settings, gold=gold, links=links), jobs, table, **facts)


if __name__ == "__main__":
    main()
