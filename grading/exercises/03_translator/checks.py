"""Exercise 03: two decoders with attention, one update, greedy translation, and a trained translator.

Sizes are distinct primes in another order each time, then the odd ones out. The trained translator has
no reference: the judge loads its parameters into the library's model, and looks at what that makes of
reviews that are written for the occasion.
"""

from dataclasses import replace
from functools import wraps

import numpy as np
import torch

from grading.exercises.common import (
    EMPTY,
    OTHER_PAD,
    PRIMES,
    SINGLE,
    draw_parameters,
    no_weight_on_padding,
    nothing_to_attend_to,
    padded_at_the_end,
    rows_sum_to_one,
)
from grading.judge.compare import ATOL, RTOL
from grading.judge.registry import Fault, checks, fault
from grading.sandbox.calls import alive, call
from grading.sandbox.cases import TORCH, Case
from utils import models, training
from utils.data import Split, new_reviews
from utils.metrics import translation_scores
from utils.text import BOS_ID, EOS_ID, PAD_ID, SPECIALS, encoded_reviews

from .harness import TOO_WIDE, WIDEST

TRAINS = True
SPREAD = 0.4  # of parameters: wide enough to see each, and narrow enough for a tanh
NEVER = -99.0  # the bias of a token that is never the likeliest


def _parameters(rng, module, sizes, dtype="float64"):
    drawn = draw_parameters(rng, module, sizes, dtype)
    return {name: (SPREAD * value).astype(dtype) for name, value in drawn.items()}


# The decoders


def _of_weights(holds):
    """A property of weights under a mask, asked of a decoder's weights."""

    @wraps(holds)
    def asked(case, outputs):
        seen = replace(case, inputs={"mask": case.inputs["src_mask"]})
        return holds(seen, {"weights": outputs["weights"]})

    return asked


DECODED = {
    "logits": "batch tgt_len vocab",
    "decoder_state": "batch hidden",
    "weights": "batch tgt_len src_len",
}
WEIGHTS = tuple(map(_of_weights, (nothing_to_attend_to, no_weight_on_padding, rows_sum_to_one)))


def _words(rng, vocab_size, pad_id, shape):
    """Ids of any token but padding."""
    return (pad_id + rng.integers(1, vocab_size, shape)) % vocab_size


def _decoding(rng, module):
    """Cases of a decoder's forward. Sizes: batch, tgt_len, src_len, embed_dim, hidden_dim, vocab_size."""

    def case(title, shape, mask=None, dtype="float64", states=rng.standard_normal, **more):
        batch, tgt_len, src_len, embed_dim, hidden_dim, vocab_size = (int(size) for size in shape)
        pad_id = int(rng.integers(vocab_size))
        sizes = dict(vocab_size=vocab_size, embed_dim=embed_dim, hidden_dim=hidden_dim, pad_id=pad_id)
        written = padded_at_the_end(rng, batch, tgt_len) if batch > 1 else np.ones((1, tgt_len), dtype=bool)
        return Case(
            title,
            inputs={
                "tgt_in": np.where(written, _words(rng, vocab_size, pad_id, (batch, tgt_len)), pad_id),
                "decoder_state": states((batch, hidden_dim)).astype(dtype),
                "encoder_states": states((batch, src_len, hidden_dim)).astype(dtype),
                "src_mask": np.ones((batch, src_len), dtype=bool) if mask is None else mask,
            },
            sizes=sizes,
            parameters=_parameters(rng, module, sizes, dtype),
            **more,
        )

    b, t, s, e, h = (int(size) for size in rng.permutation(PRIMES[:5]))
    if t == 2:  # a single place of padding can't tell a frozen state from one that is returned too early
        b, t = t, b
    sizes, last = (b, t, s, e, h, 17), np.array([[True, True, False]])
    ends = padded_at_the_end(rng, b, s)
    nowhere = ends.copy()
    nowhere[0] = False
    yield case(
        "one word, three words to look at, the last padded",
        (1, 1, 3, 2, 2, 3),
        last,
        visible=True,
        part=SINGLE,
    )
    yield case("two words to write", (1, 2, 3, 2, 2, 3), last, visible=True, part=SINGLE)
    yield case("sizes that all differ", sizes, ends, visible=True)
    yield case("one decoding step", (b, 1, s, e, h, 17), ends, visible=True, part=SINGLE)
    yield case("numbers in float32", sizes, ends, dtype="float32", part=TORCH)
    yield case("no padding in the source", sizes)
    yield case("a batch of one", (1, t, s, e, h, 17), part=SINGLE)
    yield case("sizes that are all two", (2,) * 6, padded_at_the_end(rng, 2, 2))
    yield case("a source of one word", (b, t, 1, e, h, 17), part=SINGLE)
    yield case("all source words but one padded", sizes, np.arange(s) == rng.integers(0, s, (b, 1)))
    yield case("states of zero", sizes, ends, states=np.zeros)
    yield case("a sentence with nothing to attend to", sizes, nowhere, part=EMPTY)


@checks("LuongDecoder", models.Decoder, DECODED, WEIGHTS)
def _(rng):
    return _decoding(rng, models.Decoder)


@checks("BahdanauDecoder", models.BahdanauDecoder, DECODED, WEIGHTS)
def _(rng):
    return _decoding(rng, models.BahdanauDecoder)


# One update

CLIPPING, LEFT, TRAINING = "clipping", "leftover gradients", "training mode"


def _losses_are_numbers(case, outputs):
    """The loss is a number."""
    for loss in outputs["losses"]:
        if not isinstance(loss, int | float) and not (isinstance(loss, np.ndarray) and loss.size == 1):
            return "train_step should return the loss of the batch, a number."
    return None


def _all_parameters_moved(case, outputs):
    """The parameters after the step are the right ones."""
    before = np.concatenate([value.ravel() for value in case.parameters.values()])
    wanted, found = case.kept["parameters"], outputs["parameters"]
    if found.shape != wanted.shape or np.allclose(found, wanted, RTOL, ATOL):
        return None
    ends = np.cumsum([value.size for value in case.parameters.values()])
    at = int(np.nan_to_num(np.abs(found - wanted), nan=np.inf).argmax())
    name = list(case.parameters)[int(np.searchsorted(ends, at, side="right"))]
    moves = f"should have moved by {wanted[at] - before[at]:.4f}, and moved by {found[at] - before[at]:.4f}"
    shown = f"the furthest off is a number of {name}. It {moves}"
    return fault("The parameters after the step are not the right ones", shown)


def _update_of_the_library(model, batch, optimizer, pad_id, max_norm):
    return training.train_step(model, batch, optimizer, pad_id, max_norm)


@checks(
    "train_step",
    _update_of_the_library,
    {"losses": list, "parameters": "numbers"},
    (_losses_are_numbers, _all_parameters_moved),
)
def _(rng):
    def case(
        title,
        shape,
        max_norm,
        pad_id=PAD_ID,
        updates=1,
        context="dot",
        full=False,
        leftover=0,
        dropout=0,
        **more,
    ):
        batch, tgt_len, src_len, embed_dim, half = shape
        sizes = {"src_vocab_size": 13, "tgt_vocab_size": 11, "context": context}
        sizes |= {"embed_dim": embed_dim, "hidden_dim": 2 * half, "dropout": dropout}
        real = padded_at_the_end(rng, batch, tgt_len) if batch > 1 else np.ones((1, tgt_len), dtype=bool)
        parameters = _parameters(rng, models.Seq2Seq, sizes)
        parameters["decoder.out.weight"] *= 8  # so that gradients are longer than any max_norm
        words = rng.integers(len(SPECIALS), 11, (batch, tgt_len))
        first = np.full((batch, 1), BOS_ID if pad_id != BOS_ID else EOS_ID)
        real = real | full
        ends = padded_at_the_end(rng, batch, src_len) if batch > 1 else np.ones((1, src_len), dtype=bool)
        drawn = Case(
            title,
            inputs={
                "src": np.where(ends, rng.integers(len(SPECIALS), 13, (batch, src_len)), pad_id),
                "src_lengths": ends.sum(1),
                "tgt_in": np.where(real, np.concatenate([first, words[:, :-1]], axis=1), pad_id),
                "tgt_out": np.where(real, words, pad_id),
                "pad_id": pad_id,
                "max_norm": max_norm,
                "updates": updates,
                "leftover": leftover,
            },
            library={"model": "models.Seq2Seq"},
            sizes=sizes,
            parameters=parameters,
            harness="03_translator.update",
            **more,
        )
        _, after = call(_update_of_the_library, drawn).outputs[0]
        return replace(drawn, kept={"parameters": after})

    b, t, s, e, h = (int(size) for size in rng.permutation(PRIMES[:5]))
    t, b = max(t, 3), max(b, 3)
    yield case("one pair, nothing to clip", (1, 3, 2, 2, 1), 100.0, visible=True)
    yield case("two pairs, one padded, nothing to clip", (2, 3, 2, 2, 1), 100.0, visible=True)
    yield case("gradients to clip", (b, t, s, e, h), 0.25, visible=True, part=CLIPPING)
    yield case("padding with id 1", (b, t, s, e, h), 100.0, pad_id=BOS_ID, visible=True, part=OTHER_PAD)
    yield case("gradients of before", (b, t, s, e, h), 100.0, leftover=0.5, visible=True, part=LEFT)
    yield case("two updates", (b, t, s, e, h), 0.5, updates=2, visible=True, part=CLIPPING)
    yield case("a dropout of 1", (b, t, s, e, h), 100.0, dropout=1.0, visible=True, part=TRAINING)
    yield case("three updates, nothing to clip", (b, t, s, e, h), 100.0, updates=3)
    yield case("padding with another id", (b, t, s, e, h), 100.0, pad_id=EOS_ID, part=OTHER_PAD)
    yield case("no padding in the target", (b, t, s, e, h), 0.125, full=True, part=CLIPPING)
    yield case("a Bahdanau decoder", (b, t, s, e, h), 100.0, context="bahdanau", updates=2)
    yield case("a model without attention", (b, t, s, e, h), 100.0, context="initial", updates=2)
    yield case("one word to write", (b, 1, s, e, h), 100.0)


# Greedy translation

LIMIT, USE, NO_WORD = "stopping at max_len", "evaluation mode", "sentences without words"


def _words_and_weights(case, pairs):
    """Read what `translate` returned: words, and weights."""
    if not isinstance(pairs, list | tuple) or not all(_is_pair(pair) for pair in pairs):
        raise TypeError("translate should give a list with one pair, (words, weights), for each sentence")
    return [words for words, _ in pairs], [weights for _, weights in pairs]


def _is_pair(value):
    return isinstance(value, list | tuple) and len(value) == 2


def _one_pair_each(case, outputs):
    """There is one pair for each sentence."""
    found, wanted = len(outputs["words"]), len(case.inputs["sentences"])
    if found != wanted:
        return fault("Return one pair for each sentence", f"got {found} for {wanted}")
    return None


def _words_alone(case, outputs):
    """A translation has words alone."""
    for words in outputs["words"]:
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
            return "The words of a translation should be a list of text: encoded.tgt_vocab.decode(ids)."
        if {"<pad>", "<bos>", "<eos>"} & set(words):
            return "Begin, end and padding are no words: leave them out of the translation."
    return None


def _map_for_map(case, outputs):
    """Each map has a row for each token, and each row sums to one."""
    max_len = case.inputs["max_len"]
    for sentence, words, weights in zip(
        case.inputs["sentences"], outputs["words"], outputs["weights"], strict=True
    ):
        shape = (min(len(words) + 1, max_len), len(sentence) + 1)
        if not isinstance(weights, np.ndarray):
            return "The weights of a translation should be one tensor."
        if len(words) > max_len:
            text = "A translation has more than max_len tokens: count the steps once more"
            return Fault(f"{text}. max_len is {max_len}, and you wrote {len(words)}.", f"{text}.")
        if weights.shape != shape:
            text = (
                "A map needs one row for each token that was written, and one column for each token of the "
                "source, end tokens included"
            )
            sizes = f"{len(words)} words of {len(sentence)} source words need {shape}, got {weights.shape}"
            return fault(text, sizes)
        if (np.abs(weights.sum(-1) - 1) > 1e-3).any():
            return "The rows of a map do not sum to one: something of the attention was cut off."
    return None


def _translations_of_the_library(model, encoded, sentences, max_len):
    return [(one.tokens, one.weights) for one in models.translate(model, encoded, sentences, max_len)]


@checks(
    "translate",
    _translations_of_the_library,
    {"words": list, "weights": list},
    (_one_pair_each, _words_alone, _map_for_map),
    read=_words_and_weights,
)
def _(rng):
    src_words, tgt_words = [f"en{i:02}" for i in range(13)], [f"fr{i:02}" for i in range(13)]

    def case(title, lengths, max_len, context="dot", bias=1.0, unknown=(), dropout=0.0, **more):
        words = len(SPECIALS) + len(src_words)
        sizes = {"src_vocab_size": words, "tgt_vocab_size": words, "context": context}
        sizes |= {"embed_dim": 5, "hidden_dim": 14, "dropout": dropout}
        # Wide parameters, so that a translation changes from word to word.
        parameters = {name: 2 * value for name, value in _parameters(rng, models.Seq2Seq, sizes).items()}
        parameters["decoder.out.bias"][[PAD_ID, BOS_ID]] = NEVER  # a trained model does not write these
        parameters["decoder.out.bias"][EOS_ID] += bias
        return Case(
            title,
            inputs={
                "_src_words": src_words,
                "_tgt_words": tgt_words,
                "sentences": [rng.choice([*src_words, *unknown], length).tolist() for length in lengths],
                "max_len": max_len,
            },
            library={"model": "models.Seq2Seq"},
            sizes=sizes,
            parameters=parameters,
            harness="03_translator.sentences",
            **more,
        )

    def ending(*args, **kwargs):
        """A case where some sentence ends after a word or more, and where not all do so at once."""
        for _ in range(100):
            drawn = case(*args, **kwargs)
            lengths = {len(words) for words, _ in call(_translations_of_the_library, drawn).outputs[0]}
            if len(lengths) > 1 and lengths - {0, drawn.inputs["max_len"]}:
                break
        return drawn

    yield ending("two sentences", [3, 2], 7, visible=True)
    yield ending("sentences of different lengths", [5, 2, 7, 3], 20, visible=True)
    yield case("longer sentences, cut at max_len", [7, 3, 11], 13, bias=NEVER, visible=True, part=LIMIT)
    yield ending("a model with a dropout of 1", [7, 3, 5], 13, dropout=1.0, visible=True, part=USE)
    yield ending("words it never saw", [5, 3], 11, unknown=["unheard-of", "unseen"])
    yield ending("a Bahdanau decoder", [2, 7, 5], 17, "bahdanau")
    yield ending("an additive score", [7, 2, 5], 17, "additive")
    yield case("one sentence", [5], 11)
    yield case("at most one word", [5, 3, 2], 1, part=LIMIT)
    yield case("sentences that end at once", [3, 5], 7, bias=-NEVER, part=NO_WORD)
    yield case("two sentences of one word", [1, 1], 7)
    yield case("a sentence without words", [3, 0], 7, part=NO_WORD)


# A trained translator

# Required of the translator: benchmarks/quality/exercise_03.py measures what it reaches. A model with a BLEU
# below LEARNED has hardly learned anything. The reviews that students may see are the same each time, so that
# a model that passes them once passes them again; on new ones a little less is asked, so that it passes there
# too.
BLEU, ERROR = 50, 0.35
ALLOWANCE = {"bleu": 5, "error": 0.03}
LEARNED = 30
SIZE, SEED = 300, 1

NO_ATTENTION = "it has no attention, so all that it knows of a review is one vector. Choose a score."
HARDLY_LEARNED = (
    "it has hardly learned. Was every batch given to train_step, is schedule.step() called once after each, "
    "and is total_steps the number of batches? With attention the loss usually ends below 0.35."
)
COULD_BE_BETTER = (
    "it has learned, and could translate better. Is something left of what the text advises, in the sizes, "
    "the learning rate, or the batches? If not, take a score that translates better: the table above the "
    "training cell has the BLEU of each."
)


def translations(sentences, config, parameters):
    """Translate with the library's model of these parameters: sentences, and maps if it has attention."""
    encoded = encoded_reviews()
    words = len(encoded.src_vocab), len(encoded.tgt_vocab)
    if (config["src_vocab_size"], config["tgt_vocab_size"]) != words:
        raise ValueError(
            "translator was made for other words: make it with len(encoded.src_vocab) and "
            "len(encoded.tgt_vocab), where encoded is encoded_reviews()"
        )
    if max(config["embed_dim"], config["hidden_dim"]) > WIDEST:
        raise ValueError(TOO_WIDE)
    with torch.random.fork_rng(devices=[]):
        model = models.Seq2Seq(**config)
    if {name: p.shape for name, p in model.named_parameters()} != {
        name: p.shape for name, p in parameters.items()
    }:
        raise ValueError("translator should be a Seq2Seq as the course makes it: put its decoder back")
    model.load_state_dict(alive(parameters))
    done = models.translate(model, encoded, [sentence.split() for sentence in sentences])
    maps = [one.weights.numpy() for one in done if one.weights is not None]
    return [" ".join(one.tokens) for one in done], maps


def _translates(case, outputs):
    gold, texts = case.kept["gold"], outputs["translations"]
    if len(texts) != len(gold) or not all(isinstance(text, str) for text in texts):
        return "Each review should have one translation, a text."
    found, asked = translation_scores(texts, [], _split(case))[0], case.kept["bleu"]
    if found >= asked:
        return None
    said = f"Its BLEU on {len(gold)} new reviews is {found:.1f}, where at least {asked} is asked for"
    too_low = f"Its BLEU on new reviews is below {asked}"
    learned = HARDLY_LEARNED if found < LEARNED else COULD_BE_BETTER
    why = learned if outputs["weights"] else NO_ATTENTION
    return Fault(f"{said}: {why}", f"{too_low}: {why}")


def _looks_where_it_should(case, outputs):
    gold, maps, asked = case.kept["gold"], outputs["weights"], case.kept["error"]
    pairs = zip(outputs["translations"], gold, strict=True)
    rows = [row for row, (found, wanted) in enumerate(pairs) if found == wanted]
    if not maps:
        return "It has no attention, so there are no weights to look at: choose another decoder."
    if len(maps) != len(gold) or not rows:
        return "No translation is right word for word, or some have no map of weights."
    for row, weights in enumerate(maps):
        texts = outputs["translations"][row], case.kept["sentences"][row]
        written, columns = (len(text.split()) for text in texts)
        shapes = [(written + 1, columns + 1)] + [(written, columns + 1)] * (row not in rows)  # unended
        fits = isinstance(weights, np.ndarray) and weights.shape in shapes
        if not fits or not (np.abs(weights.sum(-1) - 1) < 1e-3).all():
            return "A row of its weights does not sum to one over the words of the review: is the mask used?"
    error = translation_scores(outputs["translations"], maps, _split(case))[1]
    if error > asked:
        text = f"Its alignment error is above {asked}"
        why = "it translates well, but looks elsewhere. The table above the training cell has all errors."
        said = f"Its alignment error is {error:.4f}, where at most {asked} is asked for"
        return Fault(f"{said}: {why}", f"{text}: {why}")
    return None


def _split(case):
    return Split(case.kept["sentences"], case.kept["gold"], case.kept["links"])


@checks(
    "translator",
    None,
    {"translations": list, "weights": list},
    (_translates, _looks_where_it_should),
    read=lambda case, returned: translations(case.kept["sentences"], *returned),
)
def _(rng):
    def case(title, seed, bleu, error, visible):
        written = new_reviews(SIZE, seed)
        kept = {"sentences": written.src, "gold": written.tgt, "links": written.links}
        kept |= {"bleu": bleu, "error": error}
        return Case(title, {}, harness="03_translator.parameters", kept=kept, visible=visible)

    yield case("new reviews", SEED, BLEU, ERROR, visible=True)
    easier = BLEU - ALLOWANCE["bleu"], ERROR + ALLOWANCE["error"]
    yield case("more new reviews", int(rng.integers(SEED + 1, 2**31)), *easier, visible=False)
