"""Exercise 09: beam search and the comparison of two systems.

The search runs on machines of tables, see `harness.decode`. Where a case is to
show something, it is drawn until it does. Visible cases are the same at every draw, so that a mistake is
caught and named alike whenever the cell is run; together they tell all known mistakes apart.
"""

from functools import cache, partial

import numpy as np

from grading.judge.compare import close
from grading.judge.registry import Fault, checks, fault, mistakes_of
from grading.sandbox.calls import alive
from grading.sandbox.cases import ORDINARY, Case
from utils.metrics import compare_systems

from .harness import compare, decode
from .mistakes import beam_search

TRAINS = True
TRIES = 1000
VISIBLE = 19  # the seed of the visible cases


def _drawn(make, shows):
    """The first of many draws that shows what it is drawn for."""
    for _ in range(TRIES):
        if shows(made := make()):
            return made
    raise RuntimeError(f"none of {TRIES} draws shows what the case is for")


# Beam search

PENALTY, PLACES, LIMIT = "length penalty", "a beam wider than the candidates", "nothing finished at max_len"
ENDS = "hypotheses that end early"


def _machine(rng, width, vocab, max_len, end=0.0, dtype="float64"):
    """Tables and ids. Every step leads to new nodes, `width` of them: no two ways through can tie.

    (In a machine with a way back, the same moves in another order have the same sum.) `end` makes the
    end token likelier; begin is next to impossible.
    """
    bos_id, eos_id = (int(token) for token in rng.choice(vocab, 2, replace=False))
    layers = max(1, max_len - 1)  # after the first node
    nodes = 1 + width * layers
    logits = 1.5 * rng.standard_normal((nodes, vocab))
    logits[:, eos_id] += end
    logits[:, bos_id] = -60
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    layer = (np.arange(nodes) + width - 1) // width
    next_layer = 1 + width * np.minimum(layer, layers - 1)  # its first node
    goes_to = next_layer[:, None] + rng.integers(width, size=(nodes, vocab))
    goes_to[0, bos_id] = 0  # where the first step arrives
    return {"log_probs": log_probs.astype(dtype), "goes_to": goes_to, "bos_id": bos_id, "eos_id": eos_id}


def _found(inputs, **other):
    return decode(beam_search, *alive(inputs | other).values())


def _score_of(inputs, ids, finished):
    """What these ids score, token by token."""
    node, total = inputs["goes_to"][0, inputs["bos_id"]], 0.0
    tokens = [*ids, inputs["eos_id"]] if finished else list(ids)
    for token in tokens:
        total += inputs["log_probs"][node, token]
        node = inputs["goes_to"][node, token]
    return total / max(1, len(tokens)) ** inputs["length_penalty"]


def _plain_ids(case, outputs):
    """The ids as int, or None where they are none of the vocabulary."""
    ids, vocab = outputs["ids"], case.inputs["log_probs"].shape[1]
    ids = [i.item() if isinstance(i, np.ndarray) and i.size == 1 else i for i in ids]
    good = all(isinstance(i, int | float) and i == int(i) and 0 <= i < vocab for i in ids)
    return [int(i) for i in ids] if good else None


def words_only(case, outputs):
    """The ids are words, at most max_len of them."""
    ids = _plain_ids(case, outputs)
    if ids is None:
        return "ids should be token ids, whole numbers below the size of the vocabulary."
    for token, name in ((case.inputs["bos_id"], "begin"), (case.inputs["eos_id"], "end")):
        if token in ids:
            return f"ids still holds the {name} token: only the words between begin and end are returned."
    if len(ids) > case.inputs["max_len"]:
        return Fault(
            f"{len(ids)} ids are returned, more than max_len.", "More than max_len ids are returned."
        )
    return None


def score_is_of_the_ids(case, outputs):
    """The score is the one that these very ids have."""
    ids, score = _plain_ids(case, outputs), outputs["score"]
    finished, cut_off = (float(_score_of(case.inputs, ids, finished=end)) for end in (True, False))
    full = len(ids) == case.inputs["max_len"]
    if close(cut_off if full else finished, score):
        return None
    if not full and ids and close(cut_off, score):
        return (
            "The score is that of these ids without their end token: a hypothesis that has not finished goes "
            "on to max_len tokens, and one that has counts its end token too."
        )
    return (
        "The score is not the one that these ids have: the sum of their log-probabilities, the end token's "
        "too, divided by length ** length_penalty. (It also happens where words, sum and state are not those "
        "of the same hypothesis.)"
    )


def _case(rng, title, sizes, beam_size, max_len, penalty, end=0.0, shows=None, dtype="float64", **more):
    """A case of beam search: a machine of so many nodes a step and so many tokens, that `shows` something."""

    def make():
        settings = {"beam_size": beam_size, "max_len": max_len, "length_penalty": penalty}
        return _machine(rng, *sizes, max_len, end, dtype) | settings

    more.setdefault("part", PENALTY if penalty else ORDINARY)
    inputs = _drawn(make, lambda inputs: shows is None or shows(inputs, *_found(inputs)))
    return Case(title, inputs, harness="09_real_translation.decode", **more)


# What a case shows: (inputs, ids, score) of the right search to a bool.


def not_greedy(inputs, ids, score):
    return ids != _found(inputs, beam_size=1)[0]


def by_length(inputs, ids, score):
    return ids != _found(inputs, length_penalty=0.0)[0]


def unfinished(inputs, ids, score):
    return len(ids) == inputs["max_len"]


def early_end(inputs, ids, score):
    """It has ended although words without end score higher."""
    endless = inputs["log_probs"].copy()
    endless[:, inputs["eos_id"]] = -60
    on_and_on = _found(inputs, log_probs=endless, beam_size=1)[1]
    return len(ids) < inputs["max_len"] and on_and_on > score


def nothing(inputs, ids, score):
    return not ids


def tells_apart(*names):
    """These known mistakes lead to other words than the right search, and than each other."""
    wrong = [known for known in mistakes_of("beam_search") if known.name in names]

    def shows(inputs, ids, score):
        who = {tuple(ids): "right"}
        for known in wrong:
            found = tuple(decode(known.answer, *alive(inputs).values())[0])
            if who.setdefault(found, known.name) != known.name:
                return False
        return True

    return shows


def misleads(*names):
    """Each of these known mistakes leads to other words than the right search."""
    wrong = [tells_apart(name) for name in names]
    return lambda *found: all(shows(*found) for shows in wrong)


@cache
def _visible_searches():
    case = partial(_case, np.random.default_rng(VISIBLE), visible=True)
    not_reordered = "state_of_the_first", "states_not_reordered"
    followed = tells_apart(*not_reordered, "parents_taken_twice")
    again = tells_apart("places_filled_again", "stops_at_first_end")
    pushed = tells_apart("finished_pushed_out", "unfinished_compete")
    leads = tells_apart("stops_when_one_leads", "chosen_by_the_sum")
    mixed = tells_apart("last_token_only", "each_for_itself", "nothing_added_up")
    return (
        case("a beam of two, where greedy goes wrong", (2, 4), 2, 2, 0.0, shows=not_greedy),
        case("states that must follow their parents", (2, 4), 2, 3, 0.0, shows=misleads(*not_reordered)),
        case("more places than candidates", (3, 4), 7, 4, 0.5, shows=not_greedy, part=PLACES),
        case("longer sentences", (3, 5), 2, 5, 0.0, shows=not_greedy),
        case("nothing finished at max_len", (5, 5), 2, 3, 0.7, -20, unfinished, part=LIMIT),
        case("a penalty that decides", (5, 5), 3, 7, 1.0, shows=by_length),
        case("a beam of one", (5, 7), 1, 11, 0.6),
        case("states of a wider beam", (5, 5), 3, 5, 1.0, -1.0, followed),
        case("places of the finished that stay theirs", (5, 5), 3, 7, 1.0, 0.0, again, part=ENDS),
        case("a finished hypothesis that others overtake", (5, 5), 3, 7, 0.5, -1.0, pushed, part=ENDS),
        case("one that leads and is overtaken", (5, 5), 3, 7, 1.0, 0.0, leads, part=ENDS),
        case("an early end, and better ones unfinished", (5, 5), 3, 5, 1.0, -1.0, early_end, part=ENDS),
        case("many beginnings", (5, 7), 5, 5, 0.7, -1.0, mixed),
    )


@checks("beam_search", beam_search, {"ids": list, "score": float}, (words_only, score_is_of_the_ids))
def _(rng):
    yield from _visible_searches()
    case = partial(_case, rng)
    yield case("more nodes and more words", (11, 13), 5, 11, 0.0, shows=not_greedy)
    yield case("numbers in float32", (11, 13), 5, 11, 0.7, shows=not_greedy, dtype="float32")
    yield case("a beam of three and no penalty", (13, 7), 3, 11, 0.0, shows=not_greedy)
    yield case("a beam of five, and the mean", (7, 11), 5, 13, 1.0, shows=by_length)
    yield case("a strong penalty", (7, 5), 3, 11, 2.0, shows=by_length)
    finished, mixed = tells_apart("finished_pushed_out"), tells_apart("last_token_only", "each_for_itself")
    early = tells_apart("stops_at_first_end", "chosen_by_the_sum")
    yield case("a finished hypothesis that others overtake", (7, 5), 3, 7, 0.5, -1.0, finished, part=ENDS)
    yield case("a first end that is neither best nor likeliest", (7, 5), 5, 9, 1.0, -1.0, early, part=ENDS)
    yield case("many beginnings", (7, 11), 5, 7, 0.7, -1.0, mixed)
    yield case("a likely end", (7, 7), 3, 11, 0.6, 2.0, not_greedy)
    yield case("an early end, and better ones unfinished", (7, 5), 3, 5, 1.0, -1.0, early_end, part=ENDS)
    yield case("the same with a wider beam", (11, 5), 5, 7, 1.0, -2.0, early_end, part=ENDS)
    yield case("a rare end", (11, 7), 3, 7, 0.8, -20, unfinished, part=LIMIT)
    yield case("no word at all as the best", (5, 5), 2, 7, 0.0, 1.0, nothing)
    yield case("one token and no more", (5, 7), 3, 1, 1.0, 0.0, nothing)
    yield case("one token that is no end", (5, 7), 2, 1, 1.0, -20, unfinished, part=LIMIT)
    yield case("more places than words", (5, 4), 7, 5, 0.5, shows=not_greedy, part=PLACES)
    yield case("room for every hypothesis", (5, 4), 64, 4, 1.0, shows=not_greedy, part=PLACES)
    yield case("one word", (1, 3), 2, 5, 1.0)


# Comparing two systems

RAW, ITSELF, NOISE = "raw text", "a system and itself", "within noise or not"

TOKENS = (
    "the a soup tea bread plate waiter cook was is not n't it's , . but and because hot cold slow kind very "
    "well-made 1,000 12.50 10-day and/or a.m. 5%"
)


def _sentences(rng, count):
    return [" ".join(rng.choice(TOKENS.split(), rng.integers(5, 12))) for _ in range(count)]


def _spoilt(rng, sentences, share, dropped=0.0):
    """Sentences with this share of their words replaced by others, and a share dropped."""

    def spoil(word):
        return rng.choice(TOKENS.split()) if rng.random() < share else word

    return [
        " ".join(spoil(word) for word in sentence.split() if rng.random() >= dropped)
        for sentence in sentences
    ]


def _mended(rng, sentences, references, share):
    """The sentences, and in this share of places the reference instead."""
    return [r if rng.random() < share else s for s, r in zip(sentences, references, strict=True)]


KEYS = ("bleu_a", "bleu_b", "interval_a", "interval_b", "difference", "p_value", "within_noise")


def the_seven_keys(case, outputs):
    """The dict has the right keys."""
    found = outputs["comparison"]
    lacking = [key for key in KEYS if key not in found]
    if lacking:
        return Fault(f"The dict lacks {', '.join(lacking)}.", "The dict lacks a key.")
    if others := [str(key) for key in found if key not in KEYS]:
        return fault("The dict has other keys too", ", ".join(others))
    return None


def scores_out_of_100(case, outputs):
    """The two scores are BLEU out of 100."""
    for key in ("bleu_a", "bleu_b"):
        if not close(case.kept[key], outputs["comparison"][key]):
            return f"{key} is not sacrebleu's corpus BLEU of that system, out of 100."
    return None


def two_bounds(case, outputs):
    """The intervals have two bounds."""
    for key in ("interval_a", "interval_b"):
        if np.shape(outputs["comparison"][key]) != (2,):
            return f"{key} should be two numbers, (low, high)."
    return None


def each_entry(case, outputs):
    for key in KEYS:
        if not close(case.kept[key], outputs["comparison"][key]):
            return f"The entry {key} of the dict is not what was expected."
    return None


def _comparison(rng, title, count, systems, *settings, shows=None, **more):
    """A case of so many sentences: `systems` makes both systems, and `shows` looks at what is found."""

    def make():
        references = _sentences(rng, count)
        a, b = systems(rng, references)
        inputs = {"references": references, "system_a": a, "system_b": b}
        inputs |= dict(zip(("tokenize", "n_samples"), settings, strict=False))
        return inputs, compare(compare_systems, *inputs.values())

    inputs, found = _drawn(make, lambda made: shows is None or shows(made[1]))
    return Case(title, inputs, harness="09_real_translation.compare", kept=found, **more)


def independent(share_a, share_b, dropped=0.0):
    return lambda rng, refs: tuple(_spoilt(rng, refs, share, dropped) for share in (share_a, share_b))


def repaired(rng, refs):
    a = _spoilt(rng, refs, 0.3)
    return a, _mended(rng, a, refs, 0.3)


def itself(rng, refs):
    a = _spoilt(rng, refs, 0.2)
    return a, list(a)


def p_is_five_percent(found):
    return found["p_value"] == 0.05


def clear(found):
    return not found["within_noise"]


def more_than_a_point_and_noise(found):
    return found["within_noise"] and abs(found["difference"]) > 1


def clear_though_they_overlap(found):
    return clear(found) and found["interval_a"][0] < found["bleu_b"] < found["interval_a"][1]


def worse(found):
    return clear(found) and found["difference"] < 0


@cache
def _visible_comparisons():
    case, alike = partial(_comparison, np.random.default_rng(VISIBLE), visible=True), independent(0.2, 0.2)
    return (
        case("a system that is clearly better", 7, independent(0.4, 0.05), "none", 100),
        case("two of a kind", 11, alike, "none", 100, shows=more_than_a_point_and_noise),
        case("a p-value of 0.05", 7, independent(0.4, 0.05), "none", 19, shows=p_is_five_percent, part=NOISE),
        case("a system and itself", 11, itself, "none", 100, part=ITSELF),
        case("a worse second system", 13, independent(0.1, 0.4), "none", 100, shows=worse),
        case("the three lists alone", 13, independent(0.3, 0.2)),
        case("raw text", 17, independent(0.2, 0.25), "13a", 100, part=RAW),
        case("a few repairs", 37, repaired, "none", 200, shows=clear_though_they_overlap, part=NOISE),
    )


@checks(
    "compare_systems",
    compare_systems,
    {"comparison": dict},
    (the_seven_keys, scores_out_of_100, two_bounds, each_entry),
)
def _(rng):
    yield from _visible_comparisons()
    case, alike = partial(_comparison, rng), independent(0.2, 0.2)
    yield case("a worse second system", 31, independent(0.1, 0.4), "none", 200, shows=worse)
    yield case("translations that are too short", 29, independent(0.1, 0.2, dropped=0.2), "none", 200)
    yield case("raw text", 31, independent(0.2, 0.25), "13a", 200, part=RAW)
    yield case("two of a kind, more sentences", 41, alike, "none", 300, shows=more_than_a_point_and_noise)
    yield case(
        "overlapping, and yet clear", 37, repaired, "none", 200, shows=clear_though_they_overlap, part=NOISE
    )
    yield case("one sentence", 1, independent(0.2, 0.4), "none", 100)
