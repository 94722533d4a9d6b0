"""The reference of Exercise 09, which the library does not have in the form of the exercise."""

from utils import decoding


def beam_search(step, state, bos_id, eos_id, beam_size, max_len, length_penalty):
    """Exercise 09: search one sentence with the library's search, which takes a batch of them.

    `step(tokens, state)` takes the last ids (hypotheses,) and a tuple of tensors with one row per hypothesis,
    and returns log-probabilities (hypotheses, vocab) and the new state. Returns the ids of the best
    hypothesis, a list without begin and end token, and its score.
    """

    def step_of_batch(tokens, state):
        log_probs, parts = step(tokens[0], tuple(part[0] for part in state.hypotheses))
        return log_probs[None], decoding.DecodingState(tuple(part[None] for part in parts)), None

    start = decoding.DecodingState(tuple(part[None] for part in state))
    found = decoding.beam_search(step_of_batch, start, bos_id, eos_id, beam_size, max_len, length_penalty)
    ids = found.ids[0].tolist()
    return ids[: ids.index(eos_id)] if eos_id in ids else ids, found.scores.item()
