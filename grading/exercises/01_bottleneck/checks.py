"""Exercise 01: mask, loss, encoder, decoder, greedy decoding, and BLEU by length.

Sizes differ within a case wherever they can, and every run draws new ones. Corner cases come last.
"""

import numpy as np
import torch

from grading.exercises.common import OTHER_PAD, PRIMES, ROOM, SINGLE, draw_parameters
from grading.judge.compare import ATOL
from grading.judge.registry import Fault, checks, fault
from grading.sandbox.calls import alive, module
from grading.sandbox.cases import ORDINARY, TORCH, Case
from utils import models, text, training

from .harness import two_parts
from .mistakes import Decoder, bleu_by_length, greedy_decode

TRAINS = True

# The mask


def as_many_as_the_length(case, outputs):
    """Each row has as many True as its length says."""
    lengths, found = case.inputs["lengths"], outputs["mask"].sum(-1)
    wrong = np.flatnonzero(lengths != found)
    if len(wrong):
        row = int(wrong[0])
        shown = f"row {row} has {int(found[row])}, and its length is {int(lengths[row])}"
        return fault("A row should have as many True as its length says", shown)
    return None


@checks(
    "lengths_to_mask",
    text.lengths_to_mask,
    {"mask": "batch max_len"},
    (as_many_as_the_length,),
    gradients=False,
)
def _(rng):
    def case(title, lengths, max_len, visible=False, dtype="int64", part=ORDINARY):
        inputs = {"lengths": np.array(lengths, dtype=dtype), "max_len": int(max_len)}
        return Case(title, inputs, visible=visible, part=part)

    batch, longest = (int(n) for n in rng.choice(PRIMES[2:], 2, replace=False))
    lengths = rng.permutation(np.linspace(1, longest, batch).round())
    yield case("two sentences, of one and of three words", rng.permutation([1, 3]), 3, True)
    yield case("room beyond the longest sentence", rng.permutation([1, 2, 4]), 5, True, part=ROOM)
    yield case("sizes that all differ", lengths, longest, True)
    yield case("much room beyond the longest sentence", lengths, longest + 3, part=ROOM)
    yield case("as many sentences as words", rng.permutation([1, 2, 3]), 3)
    yield case("one sentence", [longest - 1], longest, part=ROOM)
    yield case("sentences of one word", [1] * batch, 1)
    yield case("a sentence without words", rng.permutation([0, 2, 5]), 5, True)
    yield case("nothing padded", [longest] * batch, longest)
    yield case("lengths in int32", lengths, longest, dtype="int32", part=TORCH)


# The loss


@checks("sequence_loss", training.sequence_loss, {"loss": ""})
def _(rng):
    def case(title, shape, real, pad_id=0, scale=1.0, dtype="float64", visible=False, part=ORDINARY):
        """`real` is the number of tokens of each sentence; what follows them is padding."""
        batch, tgt_len, vocab = (int(n) for n in shape)
        words = [token for token in range(vocab) if token != pad_id]
        targets = rng.choice(words, (batch, tgt_len))
        targets[np.arange(tgt_len) >= np.array(real)[:, None]] = pad_id
        logits = (scale * rng.standard_normal((batch, tgt_len, vocab))).astype(dtype)
        inputs = {"logits": logits, "targets": targets, "pad_id": pad_id}
        return Case(title, inputs, visible=visible, part=part)

    batch, tgt_len, vocab = sizes = rng.permutation(PRIMES[1:4])
    real = rng.permutation(np.linspace(1, tgt_len, batch).round())
    yield case("one sentence, its last token padding", (1, 3, 2), [2], visible=True)
    yield case("as many steps as words to choose from", (2, 3, 3), rng.permutation([1, 3]), visible=True)
    yield case("two sentences, of one token and of three", (2, 3, 5), rng.permutation([1, 3]), visible=True)
    yield case("sizes that all differ", sizes, real, visible=True)
    yield case("numbers in float32", sizes, real, dtype="float32", part=TORCH)
    yield case("another id for padding", sizes, real, pad_id=int(vocab - 1), visible=True, part=OTHER_PAD)
    yield case("nothing padded", sizes, [tgt_len] * batch, pad_id=1)
    yield case("sizes that are all two", (2, 2, 2), rng.permutation([1, 2]))
    yield case("a batch of one", (1, *sizes[1:]), [tgt_len - 1])
    yield case("sentences of one token", (batch, 1, vocab), [1] * batch)
    yield case("all tokens but one padded", sizes, [1] + [0] * (batch - 1))
    yield case("logits of zero", sizes, real, scale=0.0)
    yield case("logits hundreds apart", (2, 3, 5), [3, 1], 0, 300.0, "float32", True, part="large logits")


# Encoder and decoder


def _ids(rng, lengths, width, vocab, pad_id):
    """Random tokens, padded at the end."""
    words = [token for token in range(vocab) if token != pad_id]
    return np.where(np.arange(width) < lengths[:, None], rng.choice(words, (len(lengths), width)), pad_id)


def _calm_parameters(rng, module, sizes, dtype):
    """Smaller than those of other checks: over many steps, large ones make a GRU swing at a rounding."""
    drawn = draw_parameters(rng, module, sizes, dtype)
    return {name: value / 2 for name, value in drawn.items()}


def _sizes(vocab, embed, hidden, pad_id):
    named = {"vocab_size": vocab, "embed_dim": embed, "hidden_dim": hidden, "pad_id": pad_id}
    return {name: int(size) for name, size in named.items()}


def zero_at_padding(case, outputs):
    """The encoder states at padding are zero."""
    padding = np.arange(case.inputs["src"].shape[1]) >= case.inputs["src_lengths"][:, None]
    if (np.abs(outputs["encoder_states"][padding]) > ATOL).any():
        return (
            "An encoder state at a padded place is not zero: pad_packed_sequence fills up with zeros by "
            "itself, if the GRU got packed sentences."
        )
    return None


@checks(
    "Encoder",
    models.Encoder,
    {"encoder_states": "batch src_len hidden", "decoder_state": "batch hidden"},
    (zero_at_padding,),
)
def _(rng):
    def case(title, lengths, width, vocab, embed, hidden, pad_id=0, dtype="float64", **more):
        lengths = np.array(lengths, dtype="int64")
        sizes = _sizes(vocab, embed, hidden, pad_id)
        return Case(
            title,
            inputs={"src": _ids(rng, lengths, int(width), int(vocab), pad_id), "src_lengths": lengths},
            sizes=sizes,
            parameters=_calm_parameters(rng, models.Encoder, sizes, dtype),
            **more,
        )

    batch, src_len, vocab, embed, half = rng.permutation(PRIMES[1:])
    of_each, hidden = (vocab, embed, 2 * half), 2 * half
    lengths = rng.permutation(np.linspace(1, src_len, batch).round())
    short_first = np.sort(lengths)
    yield case("one sentence of three words", [3], 3, 5, 2, 2, visible=True)
    yield case("two sentences, the first one shorter", [1, 3], 3, 5, 2, 4, visible=True)
    yield case("sizes that all differ", short_first, src_len, *of_each, visible=True)
    yield case("sentences in another order", lengths, src_len, *of_each)
    yield case("numbers in float32", lengths, src_len, *of_each, dtype="float32", part=TORCH)
    yield case("more padding than the longest needs", lengths, src_len + 2, *of_each, visible=True, part=ROOM)
    yield case("another id for padding", short_first, src_len, *of_each, pad_id=int(vocab - 1))
    yield case("nothing padded", [src_len] * batch, src_len, *of_each)
    yield case("a batch of one, all words but one padded", [1], src_len, *of_each, part=ROOM)
    yield case("sentences of one word", [1] * batch, 1, *of_each)
    yield case("sizes that are all two", rng.permutation([1, 2]), 2, 2, 2, 2)
    zeros = case("parameters of zero", lengths, src_len, vocab, embed, hidden)
    zeros.parameters.update({name: np.zeros_like(value) for name, value in zeros.parameters.items()})
    yield zeros


@checks("Decoder", Decoder, {"logits": "batch tgt_len vocab", "decoder_state": "batch hidden"})
def _(rng):
    def case(title, shape, pad_id=0, dtype="float64", fill=rng.standard_normal, **more):
        batch, tgt_len, vocab, embed, hidden = (int(n) for n in shape)
        lengths = rng.permutation(np.linspace(1, tgt_len, batch).round())
        sizes = _sizes(vocab, embed, hidden, pad_id)
        return Case(
            title,
            inputs={
                "tgt_in": _ids(rng, lengths, tgt_len, vocab, pad_id),
                "decoder_state": fill((batch, hidden)).astype(dtype),
            },
            sizes=sizes,
            parameters=_calm_parameters(rng, Decoder, sizes, dtype),
            **more,
        )

    batch, tgt_len, vocab, embed, hidden = primes = rng.permutation(PRIMES[1:])
    yield case("one sentence, two steps", (1, 2, 3, 2, 2), visible=True, part=SINGLE)
    yield case("sizes that all differ", primes, visible=True)
    yield case("numbers in float32", primes, dtype="float32", part=TORCH)
    yield case("one step", (batch, 1, *primes[2:]), visible=True, part=SINGLE)
    yield case("another id for padding", primes, pad_id=int(vocab - 1))
    yield case("a batch of one", (1, *primes[1:]), part=SINGLE)
    yield case("length one throughout", (1, 1, 2, 1, 1), part=SINGLE)
    yield case("sizes that are all two", (2, 2, 2, 2, 2))
    yield case("a state of zeros", primes, fill=np.zeros, visible=True)


# Greedy decoding

LIMIT = "stopping at max_len"


def right_until(case, outputs):
    """The tokens are right up to the end."""
    expected, ids = case.kept["ids"], outputs["ids"]
    wrong = np.argwhere(expected != ids)
    if not len(wrong):
        return None
    row, step = (int(n) for n in min(wrong, key=lambda at: at[1]))
    if step == 0:
        return (
            "The very first token is wrong: feed the begin token with the encoder's decoder_state, and "
            "take the token with the largest logit."
        )
    text = (
        "Tokens are right at first and then go wrong: feed the token just written, with the state that the "
        "decoder has just returned"
    )
    return Fault(f"{text} (sentence {row} is right for {step} tokens).", f"{text}.")


@checks("greedy_decode", greedy_decode, {"ids": "batch steps"}, (right_until,), gradients=False)
def _(rng):
    width, longest = 5, 6
    behind = "-1 marks what follows an end"

    def translator(dtype):
        src_vocab, tgt_vocab, embed, half = (int(n) for n in rng.permutation(PRIMES[2:]))
        sizes = {"src_vocab_size": src_vocab, "tgt_vocab_size": tgt_vocab, "context": "initial"}
        sizes |= {"embed_dim": embed, "hidden_dim": 2 * half}
        parameters = draw_parameters(rng, models.Seq2Seq, sizes, dtype)
        bos_id = int(rng.integers(1, tgt_vocab))
        parameters["decoder.out.bias"][bos_id] = -100  # so that no sentence writes it
        return sizes, parameters, bos_id

    def case(title, ends, max_len=longest, dtype="float64", **more):
        """Random translators and sentences, until some are translated that end at the steps `ends`.

        None ends at no step. A sentence that ends before the last one goes on with another token. Padding,
        begin and end have three ids, and no sentence writes the begin token.
        """
        while True:
            sizes, parameters, bos_id = translator(dtype)
            with torch.random.fork_rng(devices=[]):
                encoder, decoder = two_parts(module(models.Seq2Seq, sizes, parameters))
            lengths = rng.integers(1, width + 1, 60)
            src = _ids(rng, lengths, width, sizes["src_vocab_size"], 0)
            free = greedy_decode(encoder, decoder, alive(src), alive(lengths), bos_id, -1, longest)
            others = [token for token in range(1, sizes["tgt_vocab_size"]) if token != bos_id]
            found = [(token, _that_end(free.numpy(), token, ends, rng)) for token in rng.permutation(others)]
            found = [(int(token), rows) for token, rows in found if rows is not None]
            if found:
                eos_id, rows = found[0]
                break
        inputs = {"src": src[rows], "src_lengths": lengths[rows]}
        inputs |= {"bos_id": bos_id, "eos_id": eos_id, "max_len": max_len}
        steps = min(max_len, max(longest if end is None else end + 1 for end in ends))
        ids = free.numpy()[rows, :steps]
        ended = (ids == eos_id).astype(int)
        ids[ended.cumsum(1) > ended] = -1
        model = {"library": {"model": "models.Seq2Seq"}, "sizes": sizes, "parameters": parameters}
        return Case(title, inputs, harness="01_bottleneck.greedy", kept={"ids": ids}, **model, **more)

    yield case("one sentence of a few words", [3], visible=True)
    yield case(f"two sentences, the first one ends later ({behind})", [3, 1], visible=True)
    yield case(f"two sentences, the first one ends sooner ({behind})", [2, 4], visible=True)
    yield case("three sentences that end one after the other", [2, 4, 3])
    yield case("numbers in float32", [1, 3], dtype="float32", part=TORCH)
    yield case(f"a sentence that never ends ({behind})", [2, None], visible=True, part=LIMIT)
    yield case("an end token just beyond max_len", [1, 4], max_len=4, part=LIMIT)
    yield case("room for the longest and no more", [1, 3], max_len=4, part=LIMIT)
    yield case("room for one token", [2, None], max_len=1, part=LIMIT)
    yield case("an end token at once", [0])


def _that_end(ids, eos_id, ends, rng):
    """Rows that write their first end token at these steps, or None; a row that ends early goes on."""
    ended = ids == eos_id
    first = np.where(ended.any(1), ended.argmax(1), -1)
    last = max((end for end in ends if end is not None), default=0)
    rows = []
    for end in ends:
        fits = first == (-1 if end is None else end)
        if end is not None and end < last:
            fits &= ~ended[:, last]
        fits &= (ids[:, :2] != ids[:, 1:3]).any(1) | (end == 0)  # not the same token over and over
        if not fits.any():
            return None
        rows.append(int(rng.choice(np.flatnonzero(fits))))
    return rows


# BLEU by length

WORDS = ["le", "la", "un", "service", "soupe", "chef", "était", "lent", "bon", "très", "trop", "et", "pas"]
EDGES, NO_SENTENCE, PUNCTUATION = "sentences at the edges of bins", "empty bins", "punctuation"


def the_bins_that_have_sentences(case, outputs):
    """There is a row for each bin that has sentences, and for no other."""
    meant = case.kept["bins"]
    try:
        found = [tuple(lengths) for lengths, _ in outputs["rows"]]
    except (TypeError, ValueError):
        return "A row should be ((first, last), score): the two lengths of a bin and one number."
    if found != meant:
        text = (
            "The rows are not for the right lengths: return one row for each bin that has sentences, with "
            "its first and last length"
        )
        return Fault(f"{text}, here {meant}.", f"{text}.")
    return None


@checks("bleu_by_length", bleu_by_length, {"rows": list}, (the_bins_that_have_sentences,))
def _(rng):
    def sentence(length, end=""):
        return " ".join(rng.choice(WORDS, length)) + end

    def translated(reference):
        """A translation with some mistakes, that comes out shorter or longer."""
        words = [str(rng.choice(WORDS)) if rng.random() < 0.2 else word for word in reference.split()]
        if rng.random() < 0.6:
            del words[rng.integers(len(words))]
        return " ".join(words)

    def first_word_wrong(reference):
        return "avec " + reference.split(maxsplit=1)[1]

    def case(title, lengths, edges, visible=False, write=translated, end="", part=ORDINARY):
        sources = [sentence(length) for length in lengths]
        references = [sentence(length + rng.integers(2, 4), end) for length in lengths]
        bins = [
            (first, end - 1)
            for first, end in zip(edges[:-1], edges[1:], strict=True)
            if any(first <= length < end for length in lengths)
        ]
        inputs = {
            "sources": sources,
            "hypotheses": [write(reference) for reference in references],
            "references": references,
            "edges": edges,
        }
        return Case(title, inputs, visible=visible, kept={"bins": bins}, part=part)

    lengths, edges = rng.permutation([4, 5, 6, 7, 8, 9, 10, 11, 4, 6, 7, 9, 10, 8]).tolist(), [4, 7, 10, 12]
    yield case("one sentence of five words", [5], [3, 7], True)
    yield case("two sentences in one bin", rng.permutation([4, 6]).tolist(), [3, 8], True)
    yield case(
        "sentences as long as an edge", rng.permutation([4, 6, 9, 10]).tolist(), [3, 6, 9], True, part=EDGES
    )
    yield case("a full stop that sticks to its word", [5], [3, 7], True, first_word_wrong, ".", PUNCTUATION)
    yield case("many sentences", lengths, edges)
    yield case(
        "an empty bin", rng.permutation([3, 4, 4, 9, 11]).tolist(), [3, 5, 8, 12], True, part=NO_SENTENCE
    )
    yield case("sentences shorter or longer than all bins", [*lengths, 2, 3, 12, 15], edges, part=EDGES)
    yield case("bins of one length", lengths, list(range(4, 12)), part=EDGES)
    yield case("translations that are right", lengths, edges, write=str)
    yield case("translations without a word", [5, 8], edges, write=lambda reference: "", part=NO_SENTENCE)
    yield case("punctuation that sticks to its word", lengths, edges, end="!", part=PUNCTUATION)
