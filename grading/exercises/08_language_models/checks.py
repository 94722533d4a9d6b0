"""Exercise 08: next words, drawing, writing, and hiding words.

Three of the four functions draw at random, and every right way of drawing must pass. So a harness draws DRAWS
times, the judge counts, and a share may differ from the reference's by TOLERANCE. By Hoeffding's inequality,
a right answer differs by more in one number with a probability below 2 exp(-DRAWS TOLERANCE²) < 1e-14. With
fewer than 1,000 numbers per check, a right answer fails in less than one of 1e11 checks. (Neighboring copies
of a text overlap in pairs, so `hiding` makes more of them.) Logits are chosen so that wrong shares lie much
further away.
"""

import numpy as np

from grading.exercises.common import OTHER_PAD, PRIMES, padded_at_the_end
from grading.judge.registry import checks
from grading.sandbox.cases import ORDINARY, Case
from utils import language_models

from .harness import FEW

TRAINS = True
DRAWS, COPIES, TOLERANCE = 3_000, 5_000, 0.105

# The next word


@checks(
    "next_word_batch",
    language_models.next_word_batch,
    {"inputs": "batch length-1", "targets": "batch length-1"},
    gradients=False,
)
def _(rng):
    def case(title, real, width, pad_id=0, visible=False, part=ORDINARY):
        """`real` is the number of tokens of each sentence; what follows them is padding."""
        tokens = rng.integers(1, 90, (len(real), width))
        tokens[tokens == pad_id] = 91
        tokens[np.arange(width) >= np.array(real)[:, None]] = pad_id
        return Case(title, {"tokens": tokens, "pad_id": pad_id}, visible=visible, part=part)

    batch, width = (int(n) for n in rng.choice(PRIMES[2:], 2, replace=False))
    lengths = padded_at_the_end(rng, batch, width).sum(1)
    yield case("one sentence of four tokens", [4], 4, visible=True)
    yield case("two sentences, of five tokens and of three", [5, 3], 5, visible=True)
    yield case("another id for padding", [2, 4], 5, pad_id=7, visible=True, part=OTHER_PAD)
    yield case("sizes that all differ", lengths, width)
    yield case("as many sentences as tokens", rng.permutation([1, 2, 3]), 3)
    yield case("a batch wider than its sentences", [3, 2], 7, pad_id=int(rng.integers(1, 90)), part=OTHER_PAD)
    yield case("nothing padded", [width] * batch, width)
    yield case("a sentence of one token", [1, 4], 4)
    yield case("sentences of two tokens", [2] * batch, 2)


def _ids(name, found, shape):
    """Return ids that are an array of whole numbers of this shape. Raise TypeError for anything else."""
    if not isinstance(found, np.ndarray) or found.dtype != np.int64 or found.shape != shape:
        what = type(found).__name__
        if isinstance(found, np.ndarray):
            what = f"torch.{found.dtype} {found.shape}"
        raise TypeError(f"expected {name} as ids, torch.int64 {shape}, got {what}")
    return found


def _shares(ids, vocab):
    """How often each id below `vocab` stands in each place, over the first axis."""
    return (ids[..., None] == np.arange(vocab)).mean(0)


# Drawing a token

TOP_K, COLD, BEYOND = "top_k", "temperature 0", "a top_k beyond the vocabulary"


def _drawn(case, returned):
    """The share of each token, whether a second call repeats the first, and reproducibility."""
    once, twice, same_seed, many = returned
    (batch, vocab), draws = case.inputs["logits"].shape, case.inputs["draws"]
    _ids("the result", once, (batch,))
    for ids in (*twice, *same_seed):
        _ids("the result", ids, (FEW * batch,))
    ids = _ids("the result", many, (draws * batch,)).reshape(draws, batch).clip(0, vocab - 1)
    return _shares(ids, vocab), int(np.array_equal(*twice)), int(np.array_equal(*same_seed))


def repeats_with_the_seed(case, outputs):
    """Two generators with the same seed draw the same."""
    if not outputs["reproducible"]:
        return (
            "Two generators with the same seed give different results: take all randomness from `generator`."
        )
    return None


def only_allowed(case, outputs):
    """No token outside the top k is drawn."""
    top_k, shares = case.inputs["top_k"], outputs["shares"]
    if top_k and (shares > 0).sum(-1).max() > top_k:
        return "More different tokens are drawn from a row than top_k allows."
    return None


def draws_again(case, outputs):
    """A second call draws again."""
    if outputs["repeats"] and outputs["shares"].max(-1).min() < 0.9:
        return "A second call with the same generator repeats the first: don't seed it inside."
    return None


def _spread(rng, batch, vocab):
    """Logits whose probabilities are well apart, the largest anywhere in a row."""
    steps = np.linspace(-2.4, 0, vocab) - 0.05 * rng.random((batch, vocab))
    return rng.permuted(steps, axis=-1).astype("float32")


def _levels(rng, batch, vocab):
    """Spread logits, each row a hundred above the one before."""
    return _spread(rng, batch, vocab) + 100 * np.arange(batch, dtype="float32")[:, None]


@checks(
    "sample",
    language_models.sample,
    {"shares": "batch vocab", "repeats": int, "reproducible": int},
    (only_allowed, repeats_with_the_seed, draws_again),
    atol=TOLERANCE,
    read=_drawn,
)
def _(rng):
    def case(title, batch, vocab, temperature=1.0, top_k=None, visible=False, fill=_spread, part=ORDINARY):
        own = np.random.default_rng(8) if visible else rng  # visible cases are the same at every draw
        inputs = {"logits": fill(own, batch, vocab), "temperature": temperature, "top_k": top_k}
        return Case(
            title,
            inputs | {"draws": DRAWS, "seed": int(own.integers(1, 2**31))},
            harness="08_language_models.drawing",
            visible=visible,
            part=part,
        )

    yield case("two rows, temperature 1", 2, 4, visible=True)
    yield case("a low temperature", 2, 4, 0.4, visible=True)
    yield case("a high temperature", 2, 4, 3.0, visible=True)
    yield case("the two likeliest of four", 2, 4, 1.5, 2, visible=True, part=TOP_K)
    yield case("temperature 0", 2, 4, 0, visible=True, part=COLD)
    yield case("temperature 0 and top_k", 2, 4, 0, 3, part=COLD)
    yield case("temperature 0, logits close together", 2, 4, 0, fill=lambda *a: _spread(*a) / 50, part=COLD)
    yield case("a top_k beyond the vocabulary", 1, 3, 1.0, 9, visible=True, part=BEYOND)
    yield case("top_k 1", 3, 5, 2.0, 1, part=TOP_K)
    yield case("top_k and a low temperature", 3, 5, 0.5, 3, part=TOP_K)
    yield case("top_k and a high temperature", 2, 7, 2.5, 4, part=TOP_K)
    yield case("top_k, one row far above the other", 2, 5, 1.0, 2, fill=_levels, part=TOP_K)
    yield case("as many rows as tokens", 3, 3, 0.7)
    yield case("all equally likely", 1, 5, fill=lambda rng, *shape: np.zeros(shape, "float32"))
    yield case("logits hundreds apart", 2, 3, 1.0, fill=lambda rng, *s: (_spread(rng, *s) * 300).astype("f"))


# Writing

SETTINGS, IN_PROMPT = "temperature and top_k", "an end token in the prompt"


def _written(case, returned):
    """The likeliest ids, with -1 behind an end token, the share of each token at each new place (the last
    column: the row has ended), and reproducibility.
    """
    likeliest, drawn, same_seed = returned
    prompt, eos_id, max_len = (case.inputs[name] for name in ("prompt", "eos_id", "max_len"))
    (rows, length), vocab = prompt.shape, case.inputs["table"].shape[1]

    def ended(ids, rows):
        if not isinstance(ids, np.ndarray) or ids.ndim != 2 or len(ids) != rows:
            _ids("the result", ids, (rows, length + max_len))
        ids = _ids("the result", ids, ids.shape).copy()
        end = ids[:, length:] == eos_id
        ids[:, length:][end.cumsum(1) > end] = -1
        return ids

    likeliest, drawn = ended(likeliest, rows), ended(drawn, case.inputs["copies"])[:, length:]
    drawn = np.pad(drawn, ((0, 0), (0, max(0, max_len - drawn.shape[1]))), constant_values=-1)[:, :max_len]
    reproducible = np.array_equal(*(ended(ids, FEW) for ids in same_seed))
    return likeliest, _shares(np.where(drawn < 0, vocab, drawn), vocab + 1), int(reproducible)


@checks(
    "generate",
    language_models.generate,
    {"ids": "batch length", "shares": "new_tokens vocab+1", "reproducible": int},
    (repeats_with_the_seed,),
    atol=TOLERANCE,
    read=_written,
)
def _(rng):
    eos_id = 1

    def case(
        title, batch, length, max_len, temperature=1.0, top_k=None, ends=None, visible=False, part=ORDINARY
    ):
        """A model of tables. `ends` says after how many new tokens each row ends at temperature 0."""
        own = np.random.default_rng(8) if visible else rng
        while True:
            vocab, nodes = 5, 37
            table = _spread(own, nodes, vocab)
            prompt = own.integers(0, vocab, (batch, length))
            if "end token" not in title:
                prompt[prompt == eos_id] = 3
            else:
                prompt[:, own.integers(0, length)] = eos_id
            if ends is None or _ends(table, prompt, max_len, eos_id) == ends:
                break
        inputs = {"table": table, "prompt": prompt, "eos_id": eos_id, "max_len": max_len}
        inputs |= {"temperature": temperature, "top_k": top_k}
        return Case(
            title,
            inputs | {"copies": DRAWS, "seed": int(own.integers(1, 2**31))},
            harness="08_language_models.writing",
            visible=visible,
            part=part,
        )

    yield case("one prompt that ends after three tokens", 1, 2, 5, ends=[3], visible=True)
    yield case("two prompts, the second ends sooner", 2, 3, 5, ends=[4, 2], visible=True)
    yield case("a prompt that never ends", 1, 2, 3, 0.6, ends=[None], visible=True, part=SETTINGS)
    yield case("an end token in the prompt", 2, 3, 4, ends=[3, 2], visible=True, part=IN_PROMPT)
    yield case("top_k and a temperature", 2, 2, 3, 1.8, 2, ends=[2, None], visible=True, part=SETTINGS)
    yield case("one new token", 3, 2, 1, 1.5, ends=[1, None, None])
    yield case("all end at once", 2, 3, 6, 0.8, ends=[1, 1])
    yield case("three prompts", 3, 5, 6, 0.7, 3, ends=[2, 6, 4], part=SETTINGS)
    yield case("a prompt of one token", 2, 1, 4, 2.0, ends=[4, 3], part=SETTINGS)
    yield case("an end token in a longer prompt", 1, 7, 5, 1.0, 4, ends=[4], part=IN_PROMPT)


def _ends(table, prompt, max_len, eos_id):
    """After how many new tokens the likeliest continuation of each prompt ends, None if it does not."""
    found = []
    for start in prompt.tolist():
        row = start
        for _ in range(max_len):
            places = range(1, len(row) + 1)
            node = sum((token + 1) * (p * p + p) for p, token in zip(places, row, strict=True)) % len(table)
            row = [*row, int(table[node].argmax())]
            if row[-1] == eos_id:
                break
        found.append(len(row) - len(start) if row[-1] == eos_id else None)
    return found


# Hiding words


def _hidden(case, returned):
    """Inputs and targets where everything is hidden, and a dict of shares: how often each token is hidden, is
    a target, is hidden together with each other token of its row, with the same token of the next copy, and
    of a second call; how often inputs and targets agree on what is hidden; reproducibility.
    """
    everything, many, same_seed = returned
    tokens, mask_id, copies = (case.inputs[name] for name in ("tokens", "mask_id", "copies"))
    batch, length = tokens.shape

    def pair(found, copies):
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise TypeError("expected two results, inputs and targets")
        shape = copies * batch, length
        return [_ids(n, t, shape) for n, t in zip(("inputs", "targets"), found, strict=True)]

    everything = pair(everything, 1)
    (first, targets), (second, _) = (
        [ids.reshape(copies, batch, length) for ids in pair(found, copies)] for found in many
    )
    hidden, again = ((inputs == mask_id) & (tokens != mask_id) for inputs in (first, second))
    as_number = hidden.astype("float32")
    shares = {
        "hidden": hidden.mean(0),
        "targets": (targets == tokens).mean(0),
        "together": np.einsum("cbi,cbj->bij", as_number, as_number).astype(float) / copies,
        "next copy": (hidden[1:] & hidden[:-1]).mean(0),
        "second call": (hidden & again).mean(0),
        "inputs and targets agree": (hidden == (targets != -100)).mean(),
        "same seed, same result": int(np.array_equal(*(pair(found, FEW)[0] for found in same_seed))),
    }
    return *everything, shares


def hidden_words_are_targets(case, outputs):
    """A token is a target if and only if it is hidden."""
    if float(outputs["shares"]["inputs and targets agree"]) < 1:
        return "A token should be a target exactly where it is hidden, and -100 elsewhere."
    return None


def special_stays(case, outputs):
    """Special tokens are never hidden."""
    special = np.isin(case.inputs["tokens"], case.inputs["special_ids"])
    if outputs["shares"]["hidden"][special].any():
        return "A special token is hidden: those in special_ids stay as they are."
    return None


def the_same_with_the_seed(case, outputs):
    """Two generators with the same seed hide the same."""
    return repeats_with_the_seed(case, {"reproducible": outputs["shares"]["same seed, same result"]})


def independent(case, outputs):
    """Each token is hidden or not whatever happens to the others."""
    shares, share = outputs["shares"], case.inputs["share"]
    real = ~np.isin(case.inputs["tokens"], case.inputs["special_ids"])
    pairs = real[:, :, None] & real[:, None] & ~np.eye(real.shape[1], dtype=bool)
    both = {"together": pairs, "next copy": real, "second call": real}
    if np.abs(shares["hidden"][real] - share).max(initial=0) > TOLERANCE:
        return "A token is not hidden with the probability `share`."
    for name, where in both.items():
        if np.abs(shares[name][where] - share**2).max(initial=0) > TOLERANCE:
            return "Tokens are not hidden independently of each other: draw for each token of each row."
    return None


@checks(
    "mask_tokens",
    language_models.mask_tokens,
    {"inputs": "batch length", "targets": "batch length", "shares": dict},
    (special_stays, hidden_words_are_targets, independent, the_same_with_the_seed),
    atol=TOLERANCE,
    read=_hidden,
    unchanged=True,
)
def _(rng):
    def case(title, real, width, share, special=(0, 1, 2), mask_id=4, visible=False):
        """Sentences that begin with 1 and end with 2, padded with 0."""
        own = np.random.default_rng(8) if visible else rng
        tokens = own.integers(5, 90, (len(real), width))
        tokens[:, 0] = 1
        for row, words in enumerate(real):
            tokens[row, words + 1] = 2
            tokens[row, words + 2 :] = 0
        inputs = {"tokens": tokens, "mask_id": mask_id, "special_ids": list(special), "share": share}
        return Case(
            title,
            inputs | {"copies": COPIES, "seed": int(own.integers(1, 2**31))},
            harness="08_language_models.hiding",
            visible=visible,
        )

    yield case("one sentence of three words", [3], 5, 0.3, visible=True)
    yield case("two sentences, the second is padded", [4, 2], 6, 0.3, visible=True)
    yield case("most words hidden", [3, 2], 6, 0.8, visible=True)
    yield case("only the padding is special", [3, 1], 5, 0.4, special=(0,), visible=True)
    yield case("another id for the mask", [4, 1], 7, 0.5, mask_id=int(rng.integers(100, 200)))
    yield case("as many sentences as tokens", [1, 2, 1, 2], 4, 0.25)
    yield case("nothing hidden", [3, 1], 5, 0.0)
    yield case("everything hidden", [2], 5, 1.0)
