"""English sentences in which "it" stands for one of two nouns, from a small grammar that knows which.

Two kinds of sentence, and what settles who "it" is:

- "sense": an animal and a place, "the animal didn't cross the street because it was too tired". Animals are
  tired and streets are wide; which noun comes first says nothing, for the place is the subject as often:
  "the street didn't attract the animal because it was too tired".
- "role": two animals, "the dog didn't catch the cat because it was too slow". Either may be slow; the one
  that should have caught the other is meant. With "fast" it is the other one. Only the order tells which.

Each noun may have an adjective before it that says nothing about "it", and the sentence may open with a time,
so that no word has a fixed place.
"""

import random
from dataclasses import dataclass
from itertools import combinations, product

ANIMALS = ["animal", "dog", "cat", "horse", "bird", "cow", "fox", "goat", "bear", "wolf"]
PLACES = ["street", "road", "bridge", "path", "tunnel", "yard", "square", "track"]
OPENINGS = ("", "", "yesterday", "today", "that night")
MANNERS = ("", "", "", "old", "other", "famous", "strange")

CROSS = ["cross", "enter", "leave", "use"]  # animal, then place
ATTRACT = ["attract", "interest", "suit"]  # place, then animal
OF_ANIMALS = ["tired", "hungry", "young", "ill", "lazy", "thirsty"]
OF_PLACES = ["wide", "dark", "icy", "muddy", "narrow", "steep"]
# verb: what its subject is when it fails, what its object is
ROLES = {
    "catch": (["slow", "clumsy"], ["fast", "clever"]),
    "hear": (["sleepy", "deaf"], ["quiet", "distant"]),
    "fear": (["brave", "bold"], ["small", "gentle"]),
}
HELD_OUT = frozenset(("animal", "street"))  # the pair of the textbook sentence is kept for the test


@dataclass(frozen=True)
class Reference:
    """A sentence with "it", as tokens.

    `it`, `meant` and `other` are places in `tokens`, counted from 0: of "it", of the noun that it stands
    for, and of the other noun. `kind` is "sense" or "role".
    """

    tokens: tuple[str, ...]
    it: int
    meant: int
    other: int
    kind: str

    def __str__(self):
        return " ".join(self.tokens)


def make_reference(first, verb, second, adjective, opening="", manners=("", "")):
    """Write "the FIRST didn't VERB the SECOND because it was too ADJECTIVE", with what "it" means.

    `opening` stands before it and `manners`, a pair, before the nouns. Raises ValueError for a verb or an
    adjective that the grammar does not know for these nouns.
    """
    manner_of_first, manner_of_second = manners
    words = [*opening.split(), "the", *manner_of_first.split(), first, "didn't", verb, "the"]
    words += [*manner_of_second.split(), second, "because", "it", "was", "too", adjective]
    first_is_meant = _first_is_meant(first, verb, second, adjective)
    at = words.index("didn't") - 1, words.index("because") - 1
    meant, other = at if first_is_meant else at[::-1]
    kind = "role" if verb in ROLES else "sense"
    return Reference(tuple(words), words.index("it"), meant, other, kind)


def _first_is_meant(first, verb, second, adjective):
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
    raise ValueError(f"the grammar has no rule for {first}, {verb}, {second} and {adjective} together")


def load_references(train=6_000, valid=500, test=1_000, seed=0):
    """Write sentences with "it" for training, validation and testing: three lists of `Reference`.

    A tenth of all pairs of nouns is kept for validation and a fifth for testing: no two lists share a pair of
    nouns, in either order, though a noun of one may stand with another noun in the next. Half of each list is
    of the kind "sense", half "role"; in each kind the meant noun comes first about as often as second. No
    sentence occurs twice. The same sizes and seed give the same lists on every machine.
    """
    rng = random.Random(seed)
    pairs = {
        "sense": [frozenset(pair) for pair in product(ANIMALS, PLACES) if frozenset(pair) != HELD_OUT],
        "role": [frozenset(pair) for pair in combinations(ANIMALS, 2)],
    }
    allowed = [{}, {}, {}]
    for kind, some in pairs.items():
        rng.shuffle(some)
        tenth, fifth = len(some) // 10, len(some) // 5
        parts = some[tenth + fifth :], some[:tenth], some[tenth : tenth + fifth]
        for of_list, part in zip(allowed, parts, strict=True):
            of_list[kind] = part
    allowed[2]["sense"].append(HELD_OUT)
    lists, seen = ([], [], []), set()
    for done, size, of_list in zip(lists, (train, valid, test), allowed, strict=True):
        while len(done) < size:
            reference = _draw(rng, "sense" if len(done) % 2 == 0 else "role", of_list)
            if reference.tokens not in seen:
                seen.add(reference.tokens)
                done.append(reference)
    return lists


def _draw(rng, kind, allowed):
    first, second = rng.sample(sorted(rng.choice(allowed[kind])), 2)
    if kind == "role":
        verb = rng.choice(list(ROLES))
        adjective = rng.choice(rng.choice(ROLES[verb]))
    else:
        verb = rng.choice(CROSS if first in ANIMALS else ATTRACT)
        adjective = rng.choice(rng.choice((OF_ANIMALS, OF_PLACES)))
    manners = rng.choice(MANNERS), rng.choice(MANNERS)
    return make_reference(first, verb, second, adjective, rng.choice(OPENINGS), manners)
