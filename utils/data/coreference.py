"""Generated English sentences in which "it" refers to one of two nouns, with the right one known.

There are two kinds of sentences. They differ in the clue:

- "sense": an animal and a place, "the animal didn't cross the street because it was too tired". Animals can
  be tired and streets can be wide. The order of the nouns is no clue, because both come first equally often:
  "the street didn't attract the animal because it was too tired".
- "role": two animals, "the dog didn't catch the cat because it was too slow". Both can be slow. "it" is the
  animal that tried to catch the other, and with "fast" it is the other one. The order is the only clue.

Each noun may have an adjective that is no clue, and the sentence may start with a time, so words have no
fixed positions.
"""

import random
from dataclasses import dataclass
from itertools import combinations, product

ANIMALS = ["animal", "dog", "cat", "horse", "bird", "cow", "fox", "goat", "bear", "wolf"]
PLACES = ["street", "road", "bridge", "path", "tunnel", "yard", "square", "track"]
OPENINGS = ("", "", "yesterday", "today", "that night")
MODIFIERS = ("", "", "", "old", "other", "famous", "strange")

CROSS = ["cross", "enter", "leave", "use"]  # animal, then place
ATTRACT = ["attract", "interest", "suit"]  # place, then animal
OF_ANIMALS = ["tired", "hungry", "young", "ill", "lazy", "thirsty"]
OF_PLACES = ["wide", "dark", "icy", "muddy", "narrow", "steep"]
# verb: the properties of its subject, and of its object, that explain why it failed
ROLES = {
    "catch": (["slow", "clumsy"], ["fast", "clever"]),
    "hear": (["sleepy", "deaf"], ["quiet", "distant"]),
    "fear": (["brave", "bold"], ["small", "gentle"]),
}
HELD_OUT = frozenset(("animal", "street"))  # the nouns of the textbook sentence, only in the test set


@dataclass(frozen=True)
class PronounSentence:
    """A sentence with "it".

    `it`, `antecedent` (the noun that "it" refers to) and `other` (the other noun) are positions in `tokens`,
    counted from 0. `kind` is "sense" or "role".
    """

    tokens: tuple[str, ...]
    it: int
    antecedent: int
    other: int
    kind: str

    def __str__(self):
        return " ".join(self.tokens)


def make_sentence(first, verb, second, adjective, opening="", modifiers=("", "")):
    """Build "OPENING the FIRST didn't VERB the SECOND because it was too ADJECTIVE" as a `PronounSentence`.

    `modifiers` are the adjectives before the two nouns. Raises ValueError if the grammar has no rule for
    these words together.
    """
    words = [*opening.split(), "the", *modifiers[0].split(), first, "didn't", verb, "the"]
    words += [*modifiers[1].split(), second, "because", "it", "was", "too", adjective]
    nouns = words.index("didn't") - 1, words.index("because") - 1
    antecedent, other = nouns if _first_is_antecedent(first, verb, second, adjective) else nouns[::-1]
    kind = "role" if verb in ROLES else "sense"
    return PronounSentence(tuple(words), words.index("it"), antecedent, other, kind)


def _first_is_antecedent(first, verb, second, adjective):
    if verb in ROLES and {first, second} <= set(ANIMALS):
        of_subject, of_object = ROLES[verb]
        if adjective in of_subject or adjective in of_object:
            return adjective in of_subject
    fits = verb in CROSS and first in ANIMALS and second in PLACES
    fits |= verb in ATTRACT and first in PLACES and second in ANIMALS
    if fits and adjective in OF_ANIMALS:
        return first in ANIMALS
    if fits and adjective in OF_PLACES:
        return first in PLACES
    raise ValueError(
        f"expected a sentence of the grammar, got {first!r}, {verb!r}, {second!r} and {adjective!r}: choose "
        f"words that go together in utils/data/coreference.py"
    )


def load_coreference(train=6_000, valid=500, test=1_000, seed=0):
    """Generate training, validation and test sentences: three lists of `PronounSentence`.

    The lists share no pair of nouns, in either order, but they share nouns: 10% of all pairs are for
    validation and 20% for testing. Half of each list is "sense", half "role", and the antecedent comes first
    about as often as second. No sentence occurs twice. Equal sizes and seeds give equal lists on every
    machine.
    """
    rng = random.Random(seed)
    pairs = {
        "sense": [frozenset(pair) for pair in product(ANIMALS, PLACES) if frozenset(pair) != HELD_OUT],
        "role": [frozenset(pair) for pair in combinations(ANIMALS, 2)],
    }
    train_pairs, valid_pairs, test_pairs = {}, {}, {}
    for kind, shuffled in pairs.items():
        rng.shuffle(shuffled)
        end_valid, end_test = len(shuffled) // 10, len(shuffled) // 10 + len(shuffled) // 5
        valid_pairs[kind], test_pairs[kind] = shuffled[:end_valid], shuffled[end_valid:end_test]
        train_pairs[kind] = shuffled[end_test:]
    test_pairs["sense"].append(HELD_OUT)
    lists, seen = [], set()
    for size, allowed in (train, train_pairs), (valid, valid_pairs), (test, test_pairs):
        sentences = []
        while len(sentences) < size:
            sentence = _draw(rng, "sense" if len(sentences) % 2 == 0 else "role", allowed)
            if sentence.tokens not in seen:
                seen.add(sentence.tokens)
                sentences.append(sentence)
        lists.append(sentences)
    return lists


def _draw(rng, kind, allowed):
    first, second = rng.sample(sorted(rng.choice(allowed[kind])), 2)
    if kind == "role":
        verb = rng.choice(list(ROLES))
        adjective = rng.choice(rng.choice(ROLES[verb]))
    else:
        verb = rng.choice(CROSS if first in ANIMALS else ATTRACT)
        adjective = rng.choice(rng.choice((OF_ANIMALS, OF_PLACES)))
    modifiers = rng.choice(MODIFIERS), rng.choice(MODIFIERS)
    return make_sentence(first, verb, second, adjective, rng.choice(OPENINGS), modifiers)
