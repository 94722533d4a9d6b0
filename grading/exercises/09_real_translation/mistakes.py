"""Exercise 09: mistakes in beam search and in the comparison of two systems."""

import heapq
import math

import torch
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from grading.judge.registry import mistake
from utils.metrics import bleu

# Beam search


def beam_search(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Search one sentence. A hypothesis keeps its end token until it is returned."""
    tokens, sums, written, finished = torch.tensor([bos_id]), torch.zeros(1), [[]], []
    for length in range(1, max_len + 1):  # noqa: B007 (patches use it)
        log_probs, new = step(tokens, state)
        vocab, candidates = log_probs.shape[1], (sums[:, None] + log_probs).flatten()
        sums, chosen = candidates.topk(min(beam_size - len(finished), len(candidates)))
        parents, tokens = chosen // vocab, chosen % vocab
        written = [[*written[p], token] for p, token in zip(parents.tolist(), tokens.tolist(), strict=True)]
        ended = tokens == eos_id
        finished += [(written[i], sums[i].item()) for i in ended.nonzero().flatten().tolist()]
        written = [written[i] for i in (~ended).nonzero().flatten().tolist()]
        state = tuple(part[parents[~ended]] for part in new)
        tokens, sums = tokens[~ended], sums[~ended]
        if not written:
            break
    unfinished = list(zip(written, sums.tolist(), strict=True))
    hypotheses = finished or unfinished
    scored = [(ids, total / len(ids) ** length_penalty) for ids, total in hypotheses]
    ids, score = max(scored, key=lambda pair: pair[1])
    words = ids[: ids.index(eos_id)] if eos_id in ids else ids
    return words, score


SCORE, ROW, STOP = "total / len(ids) ** length_penalty", "part[parents[~ended]]", "if not written:"
TOP, PLACES = "candidates.topk(", "min(beam_size - len(finished), len(candidates))"
SPLIT, HYPOTHESES = "chosen // vocab, chosen % vocab", "finished or unfinished"


@mistake(beam_search)
def greedy_in_disguise(step, state, bos_id, eos_id, beam_size, *settings):
    """This is greedy search, whatever beam_size is. Keep several hypotheses alive side by side. (It also
    happens if you start with beam_size copies of the begin token: all copies choose the same.)"""
    return beam_search(step, state, bos_id, eos_id, 1, *settings)


@mistake(beam_search, {"tokens == eos_id": "tokens != tokens"})
def goes_on_after_the_end():
    """Hypotheses continue after their end token, and their score counts what follows. A hypothesis that ends
    in eos_id is finished: don't continue it."""


@mistake(beam_search)
def finished_pushed_out(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Finished hypotheses compete with unfinished ones for a place and can be pushed out of the beam. Put a
    hypothesis aside when it ends."""
    beam = [(0.0, [], bos_id, state)]
    for _ in range(max_len):
        candidates = [candidate for candidate in beam if candidate[2] == eos_id]
        for total, ids, last, at in beam:
            if last != eos_id:
                log_probs, new = step(torch.tensor([last]), at)
                row = enumerate(log_probs[0].tolist())
                candidates += [(total + p, [*ids, token], token, new) for token, p in row]
        beam = heapq.nlargest(beam_size, candidates, key=lambda candidate: candidate[0])
    ended = [candidate for candidate in beam if candidate[2] == eos_id]
    scored = [(ids, total / len(ids) ** length_penalty) for total, ids, *_ in ended or beam]
    ids, score = max(scored, key=lambda pair: pair[1])
    return [i for i in ids if i != eos_id], score


@mistake(
    beam_search,
    {"beam_size - len(finished)": "beam_size", STOP: "if not written or len(finished) >= beam_size:"},
    {"beam_size - len(finished)": "beam_size"},
)
def places_filled_again():
    """The place of a finished hypothesis is filled again. It keeps its place: after n have finished, only
    beam_size - n candidates continue, and the search ends by itself."""


@mistake(beam_search, {STOP: "if not written or finished:"})
def stops_at_first_end():
    """The first finished hypothesis is returned. It is often the shortest and not the best: continue until
    every place is finished."""


def leads(finished, best, penalty=0.0):
    return bool(finished) and max(total / len(ids) ** penalty for ids, total in finished) >= best


@mistake(
    beam_search,
    {STOP: "if not written or leads(finished, sums.max()):"},
    {STOP: "if not written or leads(finished, (sums / length**length_penalty).max(), length_penalty):"},
    {STOP: "if not written or leads(finished, sums.max(), length_penalty):"},
)
def stops_when_one_leads():
    """The search stops when a finished hypothesis is better than the unfinished ones. With a penalty they may
    still overtake it, so continue until every place is finished."""


@mistake(beam_search, {SCORE: "total"})
def penalty_ignored():
    """The score is the plain sum. Divide it by length ** length_penalty, or short hypotheses win."""


@mistake(beam_search, {"pair: pair[1]": "pair: pair[1] * len(pair[0]) ** length_penalty"})
def chosen_by_the_sum():
    """The best hypothesis is chosen by its plain sum. Choose by the divided score."""


@mistake(beam_search, {"return words, score": "return words, score * len(ids) ** length_penalty"})
def sum_returned():
    """The hypothesis is right, but the returned score is the plain sum. Return the sum divided by length **
    length_penalty."""


@mistake(beam_search, {SCORE: "total * len(ids) ** length_penalty"})
def penalty_multiplied():
    """The sum is multiplied by length ** length_penalty. Log-probabilities are negative, so this punishes
    long hypotheses even more: divide."""


@mistake(beam_search, {SCORE: "total / len(ids) ** (2 * length_penalty)"})
def penalty_twice():
    """The sum is divided by length ** length_penalty twice. Divide once."""


@mistake(beam_search, {"ended =": "sums = sums / length**length_penalty\n        ended =", SCORE: "total"})
def penalty_at_every_step():
    """The sum is divided at every step. Keep the plain sum, and divide when you score a hypothesis."""


@mistake(beam_search, {SCORE: "total / ((5 + len(ids)) / 6) ** length_penalty"})
def other_penalty():
    """This is ((5 + length) / 6) ** length_penalty, of equation 14. Divide by length ** length_penalty."""


@mistake(
    beam_search,
    {SCORE: "total / (len(ids) + 1) ** length_penalty"},
    {SCORE: "total / max(1, len(ids) - (ids[-1] == eos_id))"},
    {SCORE: "total / max(1, len(ids) - (ids[-1] == eos_id)) ** length_penalty"},
)
def length_miscounted():
    """The length in the penalty isn't the number of summed log-probabilities. Count the end token if there is
    one, and never the begin token."""


@mistake(beam_search, {"sums[i].item())": "sums[i].item() - log_probs[parents[i], tokens[i]].item())"})
def end_not_counted():
    """The log-probability of the end token isn't in the sum. Stopping is also a choice of the model, so it
    must count."""


def in_turn(rows, count):
    """That many rows, in order, repeated as needed."""
    return rows[torch.arange(count) % len(rows)]


def repeated_once(rows, count):
    """Repeat the one row of the start; later, return the rows that there are, maybe too few."""
    return rows[:count] if len(rows) > 1 else in_turn(rows, count)


@mistake(
    beam_search,
    {ROW: "in_turn(part, len(parents))[~ended]"},
    {ROW: "in_turn(part, int((~ended).sum()))"},
    {ROW: "repeated_once(part, len(parents))[~ended]"},
    {ROW: "repeated_once(part, int((~ended).sum()))"},
)
def states_not_reordered():
    """The states don't follow their hypotheses. After the choice, row i of every part of the state must be
    the row of the parent of hypothesis i: part[parents]."""


@mistake(beam_search, {ROW: f"part[:1].expand_as({ROW})"})
def state_of_the_first():
    """Every hypothesis continues with the first one's state. Each needs its parent's row, part[parents]."""


@mistake(beam_search, {ROW: "part[parents][parents[~ended]]"})
def parents_taken_twice():
    """The state is indexed by the parents twice. part[parents] has one row per chosen candidate: then keep
    only those that continue, with part[going_on]."""


@mistake(beam_search, {"for part in new": "for part in state"})
def states_never_move():
    """The new state that step returns isn't used. Continue from it, not from the previous state."""


@mistake(beam_search, {"zip(parents.tolist()": "zip((i % len(written) for i in range(len(tokens)))"})
def words_not_reordered():
    """A chosen token is appended to whatever is in its place. Append it to the words of its parent."""


@mistake(
    beam_search,
    {SPLIT: "chosen % len(log_probs), chosen // len(log_probs)"},
    {SPLIT: "chosen % vocab, chosen // vocab"},
    {SPLIT: "chosen % vocab, chosen // vocab\n        log_probs[parents]"},
)
def parent_and_token_swapped():
    """A candidate's index is split incorrectly. In a flattened (hypotheses, vocab), the parent is index //
    vocab, and the token index % vocab."""


@mistake(beam_search, {"(sums[:, None] + log_probs)": "(log_probs := log_probs.exp()).add(sums[:, None])"})
def probabilities_added():
    """Probabilities are added. The probability of a sequence is a product: add their logarithms."""


def own_best(sums, log_probs):
    best, tokens = log_probs.max(-1)
    return sums + best, torch.arange(len(tokens)) * log_probs.shape[1] + tokens


def last_tokens(sums, log_probs, places):
    chosen = log_probs.flatten().topk(places).indices
    return (sums[:, None] + log_probs).flatten()[chosen], chosen


@mistake(beam_search, {TOP: f"own_best(sums, log_probs) if length > 1 else {TOP}"})
def each_for_itself():
    """Every hypothesis is continued only by its own best token, as in several greedy searches. Let all
    continuations of all hypotheses compete for the places."""


@mistake(beam_search, {f"{TOP}{PLACES})": f"last_tokens(sums, log_probs, {PLACES})"})
def last_token_only():
    """Candidates are ranked only by their last token. Rank them by the sum of the hypothesis so far and the
    new log-probability."""


@mistake(beam_search, {"sums[:, None] + log_probs": "log_probs"})
def nothing_added_up():
    """Only the last log-probability counts. Add it to its parent's sum, for choosing and for the score."""


@mistake(beam_search, {PLACES: "beam_size - len(finished)"})
def more_places_than_candidates():
    """topk gets more places than there are candidates. Use min(places, len(candidates))."""


@mistake(beam_search, {"max(scored": "min(scored"})
def worst_returned():
    """The worst hypothesis is returned. Log-probabilities are negative, and the best score is the largest
    one, closest to zero."""


@mistake(beam_search, {"return words, score": "return words, -score"})
def sign_turned():
    """The score has the wrong sign. A score is negative, and larger is better."""


@mistake(beam_search, {"return words": "return [bos_id, *words]"})
def begin_included():
    """The ids begin with bos_id. Return only the words."""


@mistake(beam_search, {"return words": "return ids"})
def end_included():
    """The ids end with eos_id. Return only the words."""


@mistake(beam_search, {HYPOTHESES: "unfinished or finished"})
def finished_forgotten():
    """At max_len, an unfinished hypothesis wins over finished ones. Return the best finished one."""


@mistake(beam_search, {HYPOTHESES: "finished + unfinished"})
def unfinished_compete():
    """Unfinished hypotheses compete with finished ones. They count only if none has finished."""


@mistake(beam_search, {HYPOTHESES: "finished", "key=lambda": "default=([], -math.inf), key=lambda"})
def nothing_where_none_finished():
    """Nothing is returned if no hypothesis has finished. Return the best of the unfinished ones."""


@mistake(beam_search, {"max_len + 1": "max_len + 2"})
def one_token_too_many():
    """There is one token more than max_len. The end token counts, and the begin token doesn't."""


@mistake(beam_search, {"max_len + 1": "max_len"})
def one_token_too_few():
    """The search stops one token before max_len. Write up to max_len, not counting the begin token."""


@mistake(beam_search, {"return words, score": "return score, words"})
def other_order():
    """The two results are swapped. Return ids, score."""


# Comparing two systems


def compare_systems(references, system_a, system_b, tokenize="none", n_samples=1000):
    systems, metrics = [("A", system_a), ("B", system_b)], {"BLEU": BLEU(tokenize=tokenize, force=True)}
    test = PairedTest(systems, metrics, [references], test_type="bs", n_samples=n_samples)
    a, b = test()[1]["BLEU"]
    difference, p_value = b.score - a.score, b.p_value
    return {
        "bleu_a": a.score,
        "bleu_b": b.score,
        "interval_a": (a.mean - a.ci, a.mean + a.ci),
        "interval_b": (b.mean - b.ci, b.mean + b.ci),
        "difference": difference,
        "p_value": p_value,
        "within_noise": p_value >= 0.05 or difference == 0,
    }


NOISE = "p_value >= 0.05 or difference == 0"
INTERVALS = "(a.mean - a.ci, a.mean + a.ci)", "(b.mean - b.ci, b.mean + b.ci)"


@mistake(compare_systems, {NOISE: "p_value > 0.05 or difference == 0"})
def noise_above_five_percent():
    """A p-value of exactly 0.05 counts as a finding. It must be below 0.05 for that."""


def intervals(*texts):
    """A patch of both intervals, made of a text for A and one for B."""
    return dict(zip(INTERVALS, texts, strict=True))


def mean_bleu(system, references, tokenize):
    metric = BLEU(tokenize=tokenize, effective_order=True, force=True)
    pairs = zip(system, references, strict=True)
    return sum(metric.sentence_score(line, [wanted]).score for line, wanted in pairs) / len(system)


@mistake(compare_systems, {NOISE: "p_value < 0.05"})
def verdict_turned_round():
    """The verdict is inverted. A p-value below 0.05 means that luck alone is unlikely, so the difference
    isn't within noise."""


@mistake(
    compare_systems,
    {NOISE: "a.mean - a.ci <= b.mean + b.ci and b.mean - b.ci <= a.mean + a.ci"},
    {NOISE: "a.mean - a.ci <= b.score <= a.mean + a.ci"},
)
def decided_by_intervals():
    """The two intervals decide whether it may be luck, as if each system had its own sentences. The paired
    test knows that the sentences are the same: use its p-value."""


@mistake(compare_systems, {NOISE: "abs(difference) < 1"})
def decided_by_points():
    """The size of the difference decides, but what it means depends on the test set. Use the p-value."""


@mistake(compare_systems, {NOISE: "p_value >= 0.05"})
def equal_systems_differ():
    """Two systems with the same score count as different. For them the test gives a tiny p-value that means
    nothing: check the difference too."""


@mistake(
    compare_systems,
    {
        "difference, p_value =": """a.score, b.score = (
        mean_bleu(system, references, tokenize) for system in (system_a, system_b)
    )
    difference, p_value ="""
    },
)
def mean_of_sentences():
    """The BLEU is a mean over sentences. Corpus BLEU counts all matches first and divides once."""


@mistake(compare_systems, {'"difference": difference': '"difference": -difference'})
def a_minus_b():
    """The difference is A minus B. Return B minus A, how much better B is."""


@mistake(compare_systems, {'"difference": difference': '"difference": abs(difference)'})
def difference_without_sign():
    """The difference has lost its sign. It is negative if B is worse."""


@mistake(compare_systems, {'"A", system_a': '"A", system_b', '"B", system_b': '"B", system_a'})
def systems_swapped():
    """The systems are swapped. The results of A belong to B, and vice versa."""


@mistake(
    compare_systems,
    {
        '"bleu_a": a.score': '"bleu_a": bleu(references, system_a, tokenize, n_bootstrap=0).score',
        '"bleu_b": b.score': '"bleu_b": bleu(references, system_b, tokenize, n_bootstrap=0).score',
    },
)
def references_as_system():
    """References and translations are swapped. BLEU penalizes short translations, so the order matters."""


@mistake(compare_systems, {"tokenize=tokenize": 'tokenize="13a"'}, {"tokenize=tokenize": 'tokenize="none"'})
def tokenize_ignored():
    """The argument tokenize isn't used. Pass it to BLEU(tokenize=...): sacrebleu's default, 13a, splits
    tokens again, and "none" doesn't split raw text."""


@mistake(compare_systems, {"n_samples=n_samples": "n_samples=1000"})
def samples_ignored():
    """The argument n_samples isn't used. Pass it to PairedTest."""


@mistake(compare_systems, intervals("(a.score - a.ci, a.score + a.ci)", "(b.score - b.ci, b.score + b.ci)"))
def interval_around_the_score():
    """The interval is centered on the score of the whole test set. Center it on the mean of the resampled
    scores, as sacrebleu does."""


@mistake(compare_systems, intervals("(a.mean, a.ci)", "(b.mean, b.ci)"))
def mean_and_ci_returned():
    """The interval is a mean and a half width. Return its two ends, mean - ci and mean + ci."""


@mistake(compare_systems, intervals("a.ci", "b.ci"))
def half_width_returned():
    """The interval is only its half width, ci. Return its two ends, mean - ci and mean + ci."""


@mistake(compare_systems, intervals(*(f"{interval}[::-1]" for interval in INTERVALS)))
def interval_reversed():
    """The ends of the interval are in the other order. Return low, high: mean - ci, mean + ci."""


@mistake(
    compare_systems,
    {'"p_value": p_value': '"p_value": None'},
    *({"b.p_value": "a.p_value", ">= 0.05": f"{compared} 0.05"} for compared in (">=", ">", "<", "<=")),
)
def p_value_of_the_baseline():
    """The p-value comes from the baseline, where it is None. It belongs to PairedTest's second system."""


@mistake(compare_systems, {', test_type="bs"': ""})
def test_type_forgotten():
    """PairedTest doesn't know which test to make. Without test_type="bs" it uses approximate randomization,
    where mean and ci are None."""


@mistake(compare_systems, {"[references]": "references"})
def references_not_in_a_list():
    """The references are passed directly, so each sentence counts as a set of references. PairedTest expects
    a list of reference sets: [references]."""


@mistake(compare_systems, {"[references]": "[[line] for line in references]"})
def one_list_a_sentence():
    """Each sentence has its own list of references. PairedTest expects one list per reference set, as long as
    the test set: [references]."""


@mistake(compare_systems, intervals(INTERVALS[0], INTERVALS[0]))
def one_interval_for_both():
    """Both intervals are the same. Each system has its own."""


def randomized(a, b, references, tokenize, n_samples):
    metrics, settings = {"BLEU": BLEU(tokenize=tokenize, force=True)}, {"n_ar_confidence": n_samples}
    test = PairedTest([("A", a), ("B", b)], metrics, [references], "ar", n_samples, **settings)
    return test()[1]["BLEU"][1].p_value


@mistake(compare_systems, {"b.p_value": "randomized(system_a, system_b, references, tokenize, n_samples)"})
def approximate_randomisation():
    """The p-value is that of approximate randomization. Pass test_type="bs"."""


@mistake(compare_systems)
def out_of_one(*arguments):
    """The scores are out of 1. Return them out of 100, as sacrebleu does."""
    found = compare_systems(*arguments)
    shares = {key: found[key] / 100 for key in ("bleu_a", "bleu_b", "difference")}
    return (
        found | shares | {key: tuple(end / 100 for end in found[key]) for key in ("interval_a", "interval_b")}
    )
