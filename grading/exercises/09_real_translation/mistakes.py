"""Exercise 09: mistakes and right variants of beam search and of the comparison of two systems."""

import heapq
import math
import operator
from functools import partial

import numpy as np
import torch
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest, estimate_ci

from grading.exercises.known import Misconception
from utils.metrics import bleu, compare_systems

from .reference import beam_search

# Beam search: one search whose parts can be done in another way.


def _flat(sums, log_probs, places):
    candidates = (sums[:, None] + log_probs).flatten()
    return candidates.topk(min(places, len(candidates)))


def _across(sums, log_probs, places, length):
    """The best candidates of all hypotheses: their sums, parents and tokens."""
    sums, chosen = _flat(sums, log_probs, places)
    return sums, chosen // log_probs.shape[1], chosen % log_probs.shape[1]


def _best(pairs):
    return max(pairs, key=lambda pair: pair[1])


def _beam(
    add=lambda log_probs: log_probs,
    places=lambda beam_size, finished: beam_size - finished,
    pick=_across,
    follow=lambda old, new, parents, going_on: new[parents[going_on]],
    write=lambda ids, parents, tokens: [[*ids[p], t] for p, t in zip(parents, tokens, strict=True)],
    after=lambda sums, length, penalty: sums,
    ended_sum=lambda total, last: total,
    ends=lambda tokens, eos_id: tokens == eos_id,
    stop=lambda finished, sums, beam_size, length, penalty: False,
    steps=lambda max_len: max_len,
    score=lambda total, length, penalty: total / length**penalty,
    choose=lambda finished, unfinished: _best(finished or unfinished),
    give=lambda ids, total, bos_id: (ids, total),
):
    """A beam search with some of its parts done in another way; hypotheses hold their end token."""

    def answer(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
        tokens, sums, ids, finished = torch.tensor([bos_id]), torch.zeros(1), [[]], []
        for length in range(1, steps(max_len) + 1):
            log_probs, new = step(tokens, state)
            log_probs = add(log_probs)
            sums, parents, tokens = pick(sums, log_probs, places(beam_size, len(finished)), length)
            ids = write(ids, parents.tolist(), tokens.tolist())
            sums = after(sums, length, length_penalty)
            ended = ends(tokens, eos_id)
            for i in ended.nonzero().flatten().tolist():
                last = log_probs[parents[i], tokens[i]].item()
                finished.append((ids[i], ended_sum(sums[i].item(), last)))
            state = tuple(follow(o, n, parents, ~ended) for o, n in zip(state, new, strict=True))
            ids = [ids[i] for i in (~ended).nonzero().flatten().tolist()]
            tokens, sums = tokens[~ended], sums[~ended]
            if not ids or stop(finished, sums, beam_size, length, length_penalty):
                break

        def scored(pairs):
            return [(i, score(total, len(i), length_penalty)) for i, total in pairs]

        best, total = choose(scored(finished), scored(zip(ids, sums.tolist(), strict=True)))
        if eos_id in best and give is not _with_end:
            best = best[: best.index(eos_id)]
        return give(best, total, bos_id)

    return answer


def _with_end(ids, total, bos_id):
    return ids, total


def _chosen_by(raw, returned):
    """Choose by one score, return another."""

    def answer(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
        chosen = _beam(score=raw, give=_with_end)
        ids, total = chosen(step, state, bos_id, eos_id, beam_size, max_len, length_penalty)
        length = len(ids)
        return [i for i in ids if i != eos_id], returned(total, length, length_penalty)

    return answer


def _own_best_only(sums, log_probs, places, length):
    """After the first token, every hypothesis goes on with its own likeliest."""
    if length == 1:
        return _across(sums, log_probs, places, length)
    best, tokens = log_probs.max(-1)
    return sums + best, torch.arange(len(tokens)), tokens


def _likeliest_last_tokens(sums, log_probs, places, length):
    _, parents, tokens = _across(torch.zeros_like(sums), log_probs, places, length)
    return sums[parents] + log_probs[parents, tokens], parents, tokens


def _by_hypotheses(sums, log_probs, places, length):
    sums, chosen = _flat(sums, log_probs, places)
    return sums, chosen % len(log_probs), chosen // len(log_probs)


def _swapped_over(sums, log_probs, places, length):
    """Parent and token change places, and soon there is no such parent."""
    sums, chosen = _flat(sums, log_probs, places)
    return sums, chosen % log_probs.shape[1], chosen // log_probs.shape[1]


def _swapped_over_in_tensors(sums, log_probs, places, length):
    found = _swapped_over(sums, log_probs, places, length)
    log_probs[found[1]]  # as a state is indexed
    return found


def _all_the_places(sums, log_probs, places, length):
    sums, chosen = (sums[:, None] + log_probs).flatten().topk(places)
    return sums, chosen // log_probs.shape[1], chosen % log_probs.shape[1]


def _not_added_up(sums, log_probs, places, length):
    return _across(torch.zeros_like(sums), log_probs, places, length)


def _in_turn(rows, count):
    """So many rows, in the order in which they lie, as often as needed."""
    return rows[torch.arange(count) % len(rows)]


def _repeated_once(rows, count):
    """The one row of the start so often; later the rows that there are, which may be too few."""
    return rows[:count] if len(rows) > 1 else _in_turn(rows, count)


def _sum_leads(finished, sums, *rest):
    return bool(finished) and max(total for _, total in finished) >= sums.max()


def _score_leads(finished, sums, beam_size, length, penalty):
    return _score_leads_sums(finished, sums / length**penalty, beam_size, length, penalty)


def _score_leads_sums(finished, sums, beam_size, length, penalty):
    return bool(finished) and max(total / len(ids) ** penalty for ids, total in finished) >= sums.max()


def _finished_compete(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Finished hypotheses stay among the candidates, as they are, and may be pushed out."""
    beam = [(0.0, [], bos_id, state)]
    for _ in range(max_len):
        candidates = []
        for total, ids, last, at in beam:
            if last == eos_id:
                candidates.append((total, ids, last, at))
                continue
            log_probs, new = step(torch.tensor([last]), at)
            candidates += [
                (total + p, [*ids, token], token, new) for token, p in enumerate(log_probs[0].tolist())
            ]
        beam = heapq.nlargest(beam_size, candidates, key=lambda candidate: candidate[0])
    ended = [candidate for candidate in beam if candidate[2] == eos_id]
    scored = [(ids, total / len(ids) ** length_penalty) for total, ids, *_ in ended or beam]
    ids, score = _best(scored)
    return [i for i in ids if i != eos_id], score


def _swapped(*args):
    ids, score = beam_search(*args)
    return score, ids


_REFILLED = (
    "the place of a finished hypothesis is filled again: it keeps its place, so that after n have finished "
    "only beam_size - n candidates go on, and the search ends by itself."
)
_LENGTH = (
    "the length in the penalty is not the number of log-probabilities that were added up: count the end "
    "token where there is one, and never the begin token."
)
_NOT_REORDERED = (
    "the states do not follow their hypotheses: after the choice, row i of every part of the state must be "
    "the row of the parent of hypothesis i, part[parents]."
)
_TAKEN_APART = (
    "the index of a candidate is taken apart in the wrong way: in a flattened (hypotheses, vocab) the parent "
    "is index // vocab and the token index % vocab."
)
_LED = (
    "the search stops when the best finished hypothesis is ahead of the unfinished ones: with a penalty they "
    "may still overtake it, so it goes on until every place is finished."
)

_BEAM_SEARCH = (
    Misconception(
        "greedy_in_disguise",
        "this is greedy search, whatever beam_size is: several hypotheses must stay alive side by side. (It "
        "also happens where the search begins with beam_size copies of the begin token: all copies choose "
        "the same.)",
        lambda step, state, bos_id, eos_id, beam_size, *rest: beam_search(
            step, state, bos_id, eos_id, 1, *rest
        ),
    ),
    Misconception(
        "goes_on_after_the_end",
        "hypotheses go on after their end token, and what they write there is added to their score: a "
        "hypothesis that ends in eos_id is finished and is not continued.",
        _beam(ends=lambda tokens, eos_id: torch.zeros_like(tokens, dtype=torch.bool)),
    ),
    Misconception(
        "finished_pushed_out",
        "finished hypotheses compete with unfinished ones for a place, by sums of different length, and can "
        "be pushed out of the beam: put one aside when it ends, where nothing can happen to it.",
        _finished_compete,
    ),
    Misconception(
        "places_filled_again",
        _REFILLED,
        _beam(
            places=lambda beam_size, finished: beam_size,
            stop=lambda finished, sums, beam_size, *rest: len(finished) >= beam_size,
        ),
    ),
    Misconception("places_filled_again", _REFILLED, _beam(places=lambda beam_size, finished: beam_size)),
    Misconception(
        "stops_at_first_end",
        "the first hypothesis that finishes is returned, as where the search stops with it: it is often "
        "the shortest, and not the best.",
        _beam(stop=lambda finished, *rest: bool(finished)),
    ),
    Misconception("stops_when_one_leads", _LED, _beam(stop=_sum_leads)),
    Misconception("stops_when_one_leads", _LED, _beam(stop=_score_leads)),
    Misconception("stops_when_one_leads", _LED, _beam(stop=_score_leads_sums)),
    Misconception(
        "penalty_ignored",
        "the score is the plain sum: divide it by length ** length_penalty, or short hypotheses win.",
        _beam(score=lambda total, length, penalty: total),
    ),
    Misconception(
        "chosen_by_the_sum",
        "the best hypothesis is chosen by its plain sum, and only its score is divided: the score that is "
        "divided must decide.",
        _chosen_by(
            lambda total, length, penalty: total, lambda total, length, penalty: total / length**penalty
        ),
    ),
    Misconception(
        "sum_returned",
        "the right hypothesis, but the score that is returned is the plain sum: return what decided, the sum "
        "divided by length ** length_penalty.",
        _chosen_by(
            lambda total, length, penalty: total / length**penalty,
            lambda total, length, penalty: total * length**penalty,
        ),
    ),
    Misconception(
        "penalty_multiplied",
        "the sum is multiplied by length ** length_penalty: log-probabilities are negative, so this punishes "
        "long hypotheses still more. Divide.",
        _beam(score=lambda total, length, penalty: total * length**penalty),
    ),
    Misconception(
        "penalty_twice",
        "the sum is divided by length ** length_penalty twice: once, when hypotheses of different length are "
        "compared, is enough.",
        _beam(score=lambda total, length, penalty: total / length ** (2 * penalty)),
    ),
    Misconception(
        "penalty_at_every_step",
        "the sum is divided at every step, and the next log-probability is added to what is left: keep the "
        "plain sum while you search, and divide when a hypothesis is scored.",
        _beam(
            after=lambda sums, length, penalty: sums / length**penalty,
            score=lambda total, length, penalty: total,
        ),
    ),
    Misconception(
        "other_penalty",
        "this is the penalty of equation 14, ((5 + length) / 6) ** length_penalty: here the sum is divided "
        "by length ** length_penalty.",
        _beam(score=lambda total, length, penalty: total / ((5 + length) / 6) ** penalty),
    ),
    Misconception(
        "length_miscounted",
        _LENGTH,
        _beam(score=lambda total, length, penalty: total / (length + 1) ** penalty),
    ),
    Misconception(
        "length_miscounted",
        _LENGTH,
        _beam(
            choose=lambda finished, unfinished: _best(
                [(ids, total / max(1, len(ids) - 1)) for ids, total in finished]
                or [(ids, total / len(ids)) for ids, total in unfinished]
            ),
            score=lambda total, length, penalty: total,
        ),
    ),
    Misconception(
        "end_not_counted",
        "the log-probability of the end token is left out of the sum: to stop here is a choice of the model "
        "too, and a bad place to stop must cost something.",
        _beam(ended_sum=lambda total, last: total - last),
    ),
    *(
        Misconception("states_not_reordered", _NOT_REORDERED, _beam(follow=follow))
        for follow in (
            lambda old, new, parents, going_on: _in_turn(new, len(parents))[going_on],
            lambda old, new, parents, going_on: _in_turn(new, int(going_on.sum())),
            lambda old, new, parents, going_on: _repeated_once(new, len(parents))[going_on],
            lambda old, new, parents, going_on: _repeated_once(new, int(going_on.sum())),
        )
    ),
    Misconception(
        "state_of_the_first",
        "every hypothesis goes on with the state of the first one: each needs the row of its own parent, "
        "part[parents].",
        _beam(follow=lambda old, new, parents, going_on: new[:1].expand_as(new[parents[going_on]])),
    ),
    Misconception(
        "parents_taken_twice",
        "the state is indexed by the parents twice: part[parents] has one row for each chosen candidate, in "
        "their order, and then only those that go on are kept, by part[going_on].",
        _beam(follow=lambda old, new, parents, going_on: new[parents][parents[going_on]]),
    ),
    Misconception(
        "states_never_move",
        "the new state that step returns is not used: hypotheses must go on from it, and not from the state "
        "before.",
        _beam(follow=lambda old, new, parents, going_on: old[parents[going_on]]),
    ),
    Misconception(
        "words_not_reordered",
        "a chosen token is appended to whatever stands in that place of the beam: append it to the words of "
        "its parent.",
        _beam(
            write=lambda ids, parents, tokens: [[*ids[i % len(ids)], t] for i, t in enumerate(tokens)],
        ),
    ),
    Misconception(
        "parent_and_token_swapped",
        _TAKEN_APART,
        _beam(pick=_by_hypotheses),
    ),
    Misconception("parent_and_token_swapped", _TAKEN_APART, _beam(pick=_swapped_over)),
    Misconception("parent_and_token_swapped", _TAKEN_APART, _beam(pick=_swapped_over_in_tensors)),
    Misconception(
        "probabilities_added",
        "probabilities are added up: the probability of a sequence is a product, so add their logarithms.",
        _beam(add=torch.exp),
    ),
    Misconception(
        "each_for_itself",
        "every hypothesis is continued by its own best token only, as in several greedy searches: all "
        "continuations of all hypotheses compete for the places.",
        _beam(pick=_own_best_only),
    ),
    Misconception(
        "last_token_only",
        "candidates are ranked by their last token alone: what counts is the sum, that of the hypothesis so "
        "far and the new log-probability.",
        _beam(pick=_likeliest_last_tokens),
    ),
    Misconception(
        "nothing_added_up",
        "only the last log-probability counts: it must be added to the sum of its parent, for choosing and "
        "for the score.",
        _beam(pick=_not_added_up),
    ),
    Misconception(
        "more_places_than_candidates",
        "topk is asked for more candidates than there are: where they are fewer than the free places, take "
        "them all, min(places, len(candidates)).",
        _beam(pick=_all_the_places),
    ),
    Misconception(
        "worst_returned",
        "the worst hypothesis is returned: log-probabilities are negative, and the best score is the "
        "largest, the one nearest to zero.",
        _beam(choose=lambda finished, unfinished: min(finished or unfinished, key=lambda pair: pair[1])),
    ),
    Misconception(
        "sign_turned",
        "the score comes with its sign turned: a score is negative, and larger is better.",
        _beam(give=lambda ids, total, bos_id: (ids, -total)),
    ),
    Misconception(
        "begin_included",
        "the ids begin with bos_id: return the words alone.",
        _beam(give=lambda ids, total, bos_id: ([bos_id, *ids], total)),
    ),
    Misconception(
        "end_included",
        "the ids end with eos_id: return the words alone.",
        _beam(give=_with_end),
    ),
    Misconception(
        "finished_forgotten",
        "when max_len is reached, an unfinished hypothesis is returned although others have finished: the "
        "best finished one comes first.",
        _beam(choose=lambda finished, unfinished: _best(unfinished or finished)),
    ),
    Misconception(
        "unfinished_compete",
        "unfinished hypotheses compete with finished ones: a sentence cut off at max_len counts only where "
        "none has finished.",
        _beam(choose=lambda finished, unfinished: _best(finished + unfinished)),
    ),
    Misconception(
        "nothing_where_none_finished",
        "nothing is returned where no hypothesis has finished: give the best of the unfinished ones.",
        _beam(choose=lambda finished, unfinished: _best(finished) if finished else ([], -math.inf)),
    ),
    Misconception(
        "one_token_too_many",
        "max_len is one token too long: the end token counts, and the begin token does not.",
        _beam(steps=lambda max_len: max_len + 1),
    ),
    Misconception(
        "one_token_too_few",
        "the search stops one token before max_len: max_len tokens are written, and the begin token is none "
        "of them.",
        _beam(steps=lambda max_len: max_len - 1),
    ),
    Misconception("other_order", "the two results are in the other order: ids, score.", _swapped),
)


# Comparing two systems


def _tested(references, a, b, tokenize="none", n_samples=1000, test_type="bs", whole=False):
    """What sacrebleu's paired test says of A and of B. With `whole`, references are all sets of them."""
    test = PairedTest(
        [("A", a), ("B", b)],
        {"BLEU": BLEU(tokenize=tokenize, force=True)},
        references if whole else [references],
        test_type=test_type,
        n_samples=n_samples,
        n_ar_confidence=n_samples,
    )
    return test()[1]["BLEU"]


def _changed(change):
    """The right comparison with some entries replaced. `change` gets it and the arguments."""

    def answer(references, system_a, system_b, tokenize="none", n_samples=1000):
        args = references, system_a, system_b, tokenize, n_samples
        found = compare_systems(*args)
        return found | change(found, *args)

    return answer


def _mean_of_sentences(found, references, a, b, tokenize, n_samples):
    metric = BLEU(tokenize=tokenize, effective_order=True, force=True)
    means = [
        sum(metric.sentence_score(s, [r]).score for s, r in zip(system, references, strict=True)) / len(a)
        for system in (a, b)
    ]
    return {"bleu_a": means[0], "bleu_b": means[1], "difference": means[1] - means[0]}


def _around_the_score(found, *args):
    halves = [(found[f"interval_{x}"][1] - found[f"interval_{x}"][0]) / 2 for x in "ab"]
    scores = found["bleu_a"], found["bleu_b"]
    return {f"interval_{x}": (s - h, s + h) for x, s, h in zip("ab", scores, halves, strict=True)}


def _mean_and_ci(found, *args):
    return {
        key: ((found[key][0] + found[key][1]) / 2, (found[key][1] - found[key][0]) / 2)
        for key in ("interval_a", "interval_b")
    }


def _half_widths(found, *args):
    return {key: (found[key][1] - found[key][0]) / 2 for key in ("interval_a", "interval_b")}


def _reversed(found, *args):
    return {key: found[key][::-1] for key in ("interval_a", "interval_b")}


def _entries_of(a, b):
    """What is made of the two results, by who does not look at what is in them."""
    return {
        "bleu_a": a.score,
        "bleu_b": b.score,
        "interval_a": (a.mean - a.ci, a.mean + a.ci),
        "interval_b": (b.mean - b.ci, b.mean + b.ci),
        "difference": b.score - a.score,
        "p_value": b.p_value,
        "within_noise": b.p_value >= 0.05 or b.score == a.score,
    }


def _other_test(references, a, b, tokenize="none", n_samples=1000):
    systems, metrics = [("A", a), ("B", b)], {"BLEU": BLEU(tokenize=tokenize, force=True)}
    return _entries_of(*PairedTest(systems, metrics, [references], n_samples=n_samples)()[1]["BLEU"])


def _none_compared(how, *args):
    return {"within_noise": how(None, 0.05)}


def _overlap(found, *args):
    (low_a, high_a), (low_b, high_b) = found["interval_a"], found["interval_b"]
    return {"within_noise": low_a <= high_b and low_b <= high_a}


def _inside_the_other(found, *args):
    low, high = found["interval_a"]
    return {"within_noise": low <= found["bleu_b"] <= high}


def _randomised(found, references, a, b, tokenize, n_samples):
    p_value = _tested(references, a, b, tokenize, n_samples, test_type="ar")[1].p_value
    return {"p_value": p_value, "within_noise": p_value >= 0.05 or found["difference"] == 0}


def _shares(found, *args):
    scaled = {key: found[key] / 100 for key in ("bleu_a", "bleu_b", "difference")}
    return scaled | {key: tuple(bound / 100 for bound in found[key]) for key in ("interval_a", "interval_b")}


_BY_INTERVALS = (
    "whether it may be luck is read off the two intervals: they treat the systems as if each had been tested "
    "on sentences of its own. The paired test knows that the sentences are the same: use its p-value."
)

_BASELINE = (
    "the p-value is taken from the baseline, where it is None: it stands with the second of the systems that "
    "were given to PairedTest."
)
_TOKENIZE = (
    "the argument tokenize is not used: give it to BLEU(tokenize=...). sacrebleu's own choice, 13a, takes "
    'tokens apart that stand apart already, and "none" leaves raw text together.'
)

_COMPARE = (
    Misconception(
        "verdict_turned_round",
        "the verdict is turned round: a p-value below 0.05 says that luck alone hardly does this, so the "
        "difference is not within noise.",
        _changed(lambda found, *args: {"within_noise": found["p_value"] < 0.05}),
    ),
    Misconception("decided_by_intervals", _BY_INTERVALS, _changed(_overlap)),
    Misconception("decided_by_intervals", _BY_INTERVALS, _changed(_inside_the_other)),
    Misconception(
        "decided_by_points",
        "whether it may be luck is decided by the size of the difference: how many points chance can make "
        "depends on the test set, and the p-value knows that.",
        _changed(lambda found, *args: {"within_noise": abs(found["difference"]) < 1}),
    ),
    Misconception(
        "equal_systems_differ",
        "two systems that score exactly the same are called different: to them the test gives a tiny p-value "
        "that says nothing, so look at the difference too.",
        _changed(lambda found, *args: {"within_noise": found["p_value"] >= 0.05}),
    ),
    Misconception(
        "mean_of_sentences",
        "the BLEU is a mean over sentences: corpus BLEU counts the matches of all sentences first and then "
        "divides once.",
        _changed(_mean_of_sentences),
    ),
    Misconception(
        "a_minus_b",
        "the difference is A minus B: it should say by how much B is better, so B minus A.",
        _changed(lambda found, *args: {"difference": -found["difference"]}),
    ),
    Misconception(
        "difference_without_sign",
        "the difference has lost its sign: where B is worse it is negative.",
        _changed(lambda found, *args: {"difference": abs(found["difference"])}),
    ),
    Misconception(
        "systems_swapped",
        "the systems are swapped: what is said of A belongs to B, and the other way round.",
        lambda references, a, b, *settings: compare_systems(references, b, a, *settings),
    ),
    Misconception(
        "references_as_system",
        "references and translations are swapped: BLEU punishes translations that are too short, so it is "
        "not the same from the other side.",
        lambda references, a, b, *settings: (
            compare_systems(references, a, b, *settings)
            | {
                f"bleu_{x}": bleu(references, s, *settings[:1], n_bootstrap=0).score
                for x, s in zip("ab", (a, b), strict=True)
            }
        ),
    ),
    Misconception(
        "tokenize_ignored",
        _TOKENIZE,
        lambda references, a, b, tokenize="none", *rest: compare_systems(references, a, b, "13a", *rest),
    ),
    Misconception(
        "tokenize_ignored",
        _TOKENIZE,
        lambda references, a, b, tokenize="none", *rest: compare_systems(references, a, b, "none", *rest),
    ),
    Misconception(
        "samples_ignored",
        "the argument n_samples is not used.",
        lambda references, a, b, tokenize="none", n_samples=1000: compare_systems(references, a, b, tokenize),
    ),
    Misconception(
        "interval_around_the_score",
        "the interval lies around the score of the whole test set: sacrebleu's lies around the mean of the "
        "resampled scores.",
        _changed(_around_the_score),
    ),
    Misconception(
        "mean_and_ci_returned",
        "the interval is given as mean and half width: give its two ends, mean - ci and mean + ci.",
        _changed(_mean_and_ci),
    ),
    Misconception(
        "half_width_returned",
        "the interval is given as its half width alone, ci: give its two ends, mean - ci and mean + ci.",
        _changed(_half_widths),
    ),
    Misconception(
        "interval_reversed",
        "the ends of the interval are in the other order: low, high, that is mean - ci, mean + ci.",
        _changed(_reversed),
    ),
    Misconception("p_value_of_the_baseline", _BASELINE, _changed(lambda found, *args: {"p_value": None})),
    *(
        Misconception("p_value_of_the_baseline", _BASELINE, partial(_none_compared, how))
        for how in (operator.ge, operator.gt, operator.lt, operator.le)
    ),
    Misconception(
        "test_type_forgotten",
        'PairedTest is not told which test to make: without test_type="bs" it makes the other one, '
        "approximate randomisation, where mean and ci are None.",
        _other_test,
    ),
    Misconception(
        "references_not_in_a_list",
        "the references are given as they are, so that each sentence is taken for a set of references, and "
        "each letter for a sentence: PairedTest wants a list of reference sets, [references].",
        lambda *args: _entries_of(*_tested(*args, whole=True)),
    ),
    Misconception(
        "one_list_a_sentence",
        "each sentence has its own list of references: PairedTest wants one list for each reference set, as "
        "long as the test set. Here there is one set, [references].",
        lambda references, *rest: _entries_of(*_tested([[r] for r in references], *rest, whole=True)),
    ),
    Misconception(
        "one_interval_for_both",
        "both intervals are the same one: each system has its own.",
        _changed(lambda found, *args: {"interval_b": found["interval_a"]}),
    ),
    Misconception(
        "approximate_randomisation",
        'the p-value is that of the other test, approximate randomisation: say test_type="bs".',
        _changed(_randomised),
    ),
    Misconception(
        "out_of_one",
        "the scores are out of 1: give them out of 100, as sacrebleu does.",
        _changed(_shares),
    ),
)

MISCONCEPTIONS = {"beam_search": _BEAM_SEARCH, "compare_systems": _COMPARE}


# Right answers, written in other ways.


def _one_by_one(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Every hypothesis is continued alone, and all of them are sorted."""
    beam, finished = [([bos_id], 0.0, state)], []
    for _ in range(max_len):
        candidates = []
        for ids, total, at in beam:
            log_probs, new = step(torch.tensor(ids[-1:]), at)
            candidates += [
                ([*ids, token], total + log_prob, new) for token, log_prob in enumerate(log_probs[0].tolist())
            ]
        candidates.sort(key=lambda candidate: -candidate[1])
        beam = []
        for candidate in candidates[: beam_size - len(finished)]:
            (finished if candidate[0][-1] == eos_id else beam).append(candidate)
        if not beam:
            break
    ids, total, _ = max(finished or beam, key=lambda c: c[1] / (len(c[0]) - 1) ** length_penalty)
    score = total / (len(ids) - 1) ** length_penalty
    return [i for i in ids if i not in (bos_id, eos_id)], score


def _in_tensors(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Words and scores stay in tensors, which are returned as they are."""
    words, sums = torch.tensor([[bos_id]]), torch.zeros(1, 1, dtype=torch.float64)
    best, ended = (None, -torch.inf), 0
    while len(words) and words.shape[1] <= max_len:
        log_probs, state = step(words[:, -1], state)
        order = (sums + log_probs).flatten().sort(descending=True)
        parents, tokens = np.divmod(order.indices[: beam_size - ended].numpy(), log_probs.shape[1])
        words = torch.cat([words[parents], torch.as_tensor(tokens)[:, None]], dim=1)
        sums = order.values[: beam_size - ended, None]
        scores = sums[:, 0] / (words.shape[1] - 1) ** length_penalty
        end = words[:, -1] == eos_id
        if end.any() and scores[end].max() > best[1]:
            best = words[end][scores[end].argmax(), 1:-1], scores[end].max()
        ended += int(end.sum())
        words, sums, scores, parents = words[~end], sums[~end], scores[~end], parents[~end.numpy()]
        state = tuple(part[parents] for part in state)
    if best[0] is None:
        best = words[scores.argmax(), 1:], scores.max()
    return best


def _heaps(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """The likeliest by a heap, states as lists of rows."""
    live, finished = [(0.0, (), tuple(part[0] for part in state))], []
    for _ in range(max_len):
        last = torch.tensor([ids[-1] if ids else bos_id for _, ids, _ in live])
        rows = tuple(torch.stack(parts) for parts in zip(*(row for *_, row in live), strict=True))
        log_probs, new = step(last, rows)
        candidates = [
            (live[h][0] + float(p), (*live[h][1], v), h)
            for h, row in enumerate(log_probs.unbind())
            for v, p in enumerate(row)
        ]
        chosen = heapq.nlargest(beam_size - len(finished), candidates)
        finished += [(total, ids) for total, ids, _ in chosen if ids[-1] == eos_id]
        live = [(t, ids, tuple(part[h] for part in new)) for t, ids, h in chosen if ids[-1] != eos_id]
        if len(finished) == beam_size or not live:
            break
    scored = [(t / len(ids) ** length_penalty, ids) for t, ids, *_ in (finished or live)]
    score, ids = max(scored)
    return (list(ids[:-1] if ids[-1] == eos_id else ids), score)


def _sums_kept_as_products(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Probabilities are multiplied, and the logarithm is taken at the end."""
    search = _beam(
        add=lambda log_probs: log_probs.double().exp(),
        pick=lambda products, probs, places, length: _products(products, probs, places, length),
        score=lambda product, length, penalty: math.log(product) / length**penalty,
    )
    return search(step, state, bos_id, eos_id, beam_size, max_len, length_penalty)


def _products(products, probs, places, length):
    if length == 1:
        products = torch.ones(1, dtype=torch.float64)
    candidates = (products[:, None] * probs).flatten()
    products, chosen = candidates.topk(min(places, len(candidates)))
    return products, chosen // probs.shape[1], chosen % probs.shape[1]


def _entries(bleu_a, bleu_b, interval_a, interval_b, p_value):
    return {
        "p_value": p_value,
        "within_noise": bool(np.isclose(bleu_a, bleu_b)) or not p_value < 0.05,
        "interval_a": interval_a,
        "interval_b": interval_b,
        "bleu_a": bleu_a,
        "bleu_b": bleu_b,
        "difference": bleu_b - bleu_a,
    }


def _b_first(references, system_a, system_b, tokenize="none", n_samples=1000):
    """B as the baseline, and the pairs as lists."""
    b, a = _tested(references, system_b, system_a, tokenize, n_samples)
    interval_a, interval_b = ([x.mean - x.ci, x.mean + x.ci] for x in (a, b))
    return _entries(a.score, b.score, interval_a, interval_b, a.p_value)


def _scores_by_themselves(references, system_a, system_b, tokenize="none", n_samples=1000):
    """Scores and intervals from the metric, and only the p-value from the test."""
    scores = []
    for system in (system_a, system_b):
        metric = BLEU(tokenize=tokenize, force=True)
        result = metric.corpus_score(list(system), [references], n_bootstrap=n_samples)
        scores.append((result.score, (result._mean - result._ci, result._mean + result._ci)))
    (bleu_a, interval_a), (bleu_b, interval_b) = scores
    p_value = _tested(references, system_a, system_b, tokenize, n_samples)[1].p_value
    return _entries(bleu_a, bleu_b, interval_a, interval_b, p_value)


def _by_hand(references, system_a, system_b, tokenize="none", n_samples=1000):
    """The resampling written out, with sacrebleu's seed."""
    metric, chosen = BLEU(tokenize=tokenize, force=True), np.random.default_rng(12345)
    chosen = chosen.choice(len(references), size=(n_samples, len(references)), replace=True)
    whole, resampled = [], []
    for system in (system_a, system_b):
        counts = np.array(metric._extract_corpus_statistics(system, [references]), dtype="float32")
        whole.append(metric.corpus_score(system, [references]).score)
        resampled.append(np.array([metric._compute_score_from_stats(counts[c].sum(0)).score for c in chosen]))
    intervals = [(mean - ci, mean + ci) for mean, ci in map(estimate_ci, resampled)]
    differences = np.abs(resampled[1] - resampled[0])
    larger = np.sum(differences - differences.mean() > abs(whole[1] - whole[0]))
    return _entries(*whole, *intervals, (larger + 1) / (n_samples + 1))


def _with_bleu(references, system_a, system_b, tokenize="none", n_samples=1000):
    """Scores and intervals from the course's own `bleu`."""
    a, b = (bleu(system, references, tokenize, n_samples) for system in (system_a, system_b))
    p_value = _tested(references, system_a, system_b, tokenize, n_samples)[1].p_value
    intervals = torch.tensor([a.low, a.high]).double(), torch.tensor([b.low, b.high]).double()
    return _entries(a.score, b.score, *intervals, p_value)


RIGHT = {
    "beam_search": (
        _one_by_one,
        _in_tensors,
        _heaps,
        _sums_kept_as_products,
        _beam(),
        torch.no_grad()(_beam(follow=lambda old, new, parents, going_on: new[parents].clone()[going_on])),
    ),
    "compare_systems": (_b_first, _scores_by_themselves, _by_hand, _with_bleu),
}
