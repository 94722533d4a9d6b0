"""Two tasks other than translation on generated reviews: question answering and summarization.

Both are corpora from English to English, so models, training and maps are the same. Each target word that is
copied from the review has a gold link to its position in the review.
"""

from typing import NamedTuple

from utils.data.reviews import CLAUSES, LEXICON, WORDS, generate_corpus, nouns

PEOPLE = {noun.en for noun in nouns("guest")}
WHO = PEOPLE | {noun.en for noun in nouns("staff")}
ADJECTIVES = {adjective.en for adjective in LEXICON}
ARTICLES = {"the", "our", "my"}
PRONOUNS = {"i", "we", "it", "he", "she", "they", "there"}
VERDICTS = {"like", "liked", "love", "loved", "hate", "hated"}
SAME_SENTENCE = {"", "because", "so", ", so", "and then"}  # connectives that do not start a new sentence


class Opinion(NamedTuple):
    """What a clause says about something, as ranges of positions in the review, and its sentiment.

    "the young waiter was very kind" is about "waiter", and `words` are "very kind". "we loved the cold onion
    soup" is about "onion soup", and `words` is the verb. `sentiment` is 1 for praise, -1 for a complaint, 0
    for neither.
    """

    about: range
    words: range
    sentiment: int


def opinions(clauses):
    """Return the opinions in `Reviewer.clauses`, a list of `Opinion` in their order.

    A clause has an opinion about its subject if it has "was" or "were" and the subject is a noun, and about
    its object if a guest liked, loved or hated it.
    """
    found, start = [], 0
    for connective, clause in clauses:
        start += len(connective.split())
        words = clause.phrases[0].en
        positions = range(start, start + len(words))
        for i, word in enumerate(words):
            if word in VERDICTS:
                about, judgment = positions[i + 2 :], positions[i : i + 1]
            elif word in ("was", "were") and words[0] not in PRONOUNS:
                about, judgment = positions[1:i], positions[i + 1 :]
            else:
                continue
            has_adjective = words[about[0] - start] in ADJECTIVES
            found.append(Opinion(about[has_adjective:], judgment, clause.sentiment))
        start += sum(len(phrase.en) for phrase in clause.phrases)
    return found


def load_questions(train=10_000, valid=500, test=1_000, seed=0):
    """Generate reviews, each with a question whose answer is copied from the review, as a `Corpus`.

    `src` is a review of 1 to 5 clauses. `tgt` is a question and its answer: "how was the service ? very
    slow" or, the other way around, "what was very slow ? service" ("who was ..." for people). The review
    says this once, and `links` has one link for each word of the answer.

    `train`, `valid` and `test` are numbers of pairs. No review occurs twice in the corpus. Equal sizes and
    seeds give equal corpora on every machine. Raises ValueError for a negative size.
    """

    def write_pair(reviewer, split):
        candidates = []
        while not candidates:
            clauses = reviewer.clauses(reviewer.pick(CLAUSES), WORDS)
            review = _words(clauses)
            candidates = [
                opinion
                for opinion in opinions(clauses)
                if review[opinion.about[0] - 1] in ARTICLES
                and review[opinion.words[-1]] in ADJECTIVES
                and review.count(review[opinion.words[-1]]) == 1
            ]
        about, words, _ = reviewer.pick(candidates)
        if reviewer.chance(0.5):
            subject = review[about[0] - 1 : about[-1] + 1]
            question, answer = ["how", review[words[0] - 1], *subject, "?"], words
        else:
            person = review[about[-1]] in WHO
            question, answer = ["who" if person else "what", "was", *_take(review, words), "?"], about
        links = frozenset((position, len(question) + i) for i, position in enumerate(answer))
        target = question + _take(review, answer)
        return " ".join(review), " ".join(target), links, len(clauses)

    sizes = {"train": train, "valid": valid, "test": test}
    return generate_corpus("questions", "en", sizes, seed, write_pair)


def load_summaries(train=10_000, valid=500, test=1_000, seed=0):
    """Generate reviews, each with a summary such as "pros : view , soup ; cons : service", as a `Corpus`.

    `src` is a review of 1 to 5 clauses in sentences that end with ".". A clause that starts with because, so
    or and then continues its sentence. `tgt` lists what was praised, then what was criticized, each in the
    order of the review. A side without items is left out. Guests are never listed. Reviews without opinions,
    or with one about something like the "taste of the wine", are not generated. `links` has one link for each
    copied word. Sizes, seeds and errors are as in `load_questions`.
    """

    def write_pair(reviewer, split):
        while True:
            clauses = reviewer.clauses(reviewer.pick(CLAUSES), WORDS)
            clauses = [(word if word in SAME_SENTENCE else ".", clause) for word, clause in clauses]
            review = [*_words(clauses), "."]
            listed = [opinion for opinion in opinions(clauses) if opinion.sentiment]
            listed = [opinion for opinion in listed if review[opinion.about[-1]] not in PEOPLE]
            if listed and not any("of" in _take(review, opinion.about) for opinion in listed):
                break
        summary, links = [], []
        for title, sentiment in ("pros", 1), ("cons", -1):
            items = [opinion.about for opinion in listed if opinion.sentiment == sentiment]
            for i, item in enumerate(items):
                summary += [","] if i else [";", title, ":"] if summary else [title, ":"]
                links += [(position, len(summary) + k) for k, position in enumerate(item)]
                summary += _take(review, item)
        return " ".join(review), " ".join(summary), frozenset(links), len(clauses)

    sizes = {"train": train, "valid": valid, "test": test}
    return generate_corpus("summaries", "en", sizes, seed, write_pair)


def _take(review, positions):
    return [review[position] for position in positions]


def _words(clauses):
    words = []
    for connective, clause in clauses:
        words += connective.split()
        for phrase in clause.phrases:
            words += phrase.en
    return words
