"""Two tasks that are not translation, on the reviews of the grammar: questions with answers, and summaries.

Both are corpora like any other, from English to English, so that the same models, training and maps serve.
Each word of a target that is copied from the review has its gold link, to the place it is copied from.
"""

from typing import NamedTuple

from utils.data.corpus import Corpus, Split
from utils.data.reviews import CLAUSES, LEXICON, WORDS, Reviewer, nouns

PEOPLE = {noun.en for noun in nouns("guest")}
WHO = PEOPLE | {noun.en for noun in nouns("staff")}
QUALITIES = {adjective.en for adjective in LEXICON}
ARTICLES = {"the", "our", "my"}
NAMELESS = {"i", "we", "it", "he", "she", "they", "there"}
VERDICTS = {"like", "liked", "love", "loved", "hate", "hated"}
SAME_SENTENCE = {"", "because", "so", ", so", "and then"}  # what goes on with the sentence before it


class Said(NamedTuple):
    """What a clause says of something: its words' places in the review, from 0, and whether it is praise.

    "the young waiter was very kind" is about "waiter", and `words` are "very kind". "we loved the cold onion
    soup" is about "onion soup", and `words` is the verb.
    """

    about: range
    words: range
    mood: int


def said(written):
    """Find what is said of things in a review: a list of `Said`, in order.

    `written` is what `Reviewer.clauses` gives. A clause says something of its subject if it has "was" or
    "were", or of its object if a guest liked, loved or hated it. "there was" and pronouns name nothing.
    """
    found, start = [], 0
    for joined_by, clause in written:
        start += len(joined_by.split())
        words = clause.phrases[0].en
        places = range(start, start + len(words))
        for i, word in enumerate(words):
            if word in VERDICTS:
                about, judged = places[i + 2 :], places[i : i + 1]
            elif word in ("was", "were") and words[0] not in NAMELESS:
                about, judged = places[1:i], places[i + 1 :]
            else:
                continue
            epithet = words[about[0] - start] in QUALITIES
            found.append(Said(about[epithet:], judged, clause.mood))
        start += sum(len(phrase.en) for phrase in clause.phrases)
    return found


def load_questions(train=10_000, valid=500, test=1_000, seed=0):
    """Write reviews with a question each whose answer is a word or some words of the review.

    `src` is a review of 1 to 5 clauses, and `tgt` a question and its answer: "how was the service ? very
    slow", or the other way round, "what was very slow ? service" ("who was ..." for people). What is asked
    for is said once in the review. `links` has one link for each word of the answer, to its place in the
    review. No review occurs twice in the whole corpus. The same sizes and seed give the same corpus on every
    machine. Raises ValueError for a negative size.
    """

    def pair(reviewer):
        while True:
            written = reviewer.clauses(reviewer.pick(CLAUSES), WORDS)
            review = _words(written)
            askable = [
                one
                for one in said(written)
                if review[one.about[0] - 1] in ARTICLES
                and review[one.words[-1]] in QUALITIES
                and review.count(review[one.words[-1]]) == 1
            ]
            if askable:
                break
        about, words, _ = reviewer.pick(askable)
        if reviewer.chance(0.5):
            subject = review[about[0] - 1 : about[-1] + 1]
            question, answer = ["how", review[words[0] - 1], *subject, "?"], words
        else:
            person = review[about[-1]] in WHO
            question, answer = ["who" if person else "what", "was", *_take(review, words), "?"], about
        links = frozenset((place, len(question) + i) for i, place in enumerate(answer))
        return review, question + _take(review, answer), links, len(written)

    return _corpus("questions", pair, {"valid": valid, "test": test, "train": train}, seed)


def load_summaries(train=10_000, valid=500, test=1_000, seed=0):
    """Write reviews of several sentences with a summary each: "pros : view , soup ; cons : service".

    `src` is a review of 1 to 5 clauses, whose sentences end in "."; a clause that begins with because, so or
    and then stays in the sentence before it. `tgt` names what was praised, in the order of the review, and
    then what was complained of; a side with nothing to name is left out. A thing is named if the review says
    that it was so or so, or that a guest liked, loved or hated it; the guests themselves are not named.
    Reviews with nothing to name, or with a name such as "taste of the wine", are not written. `links` has one
    link for each word that is copied. No review occurs twice in the whole corpus. The same sizes and seed
    give the same corpus on every machine. Raises ValueError for a negative size.
    """

    def pair(reviewer):
        while True:
            written = reviewer.clauses(reviewer.pick(CLAUSES), WORDS)
            written = [(joined if joined in SAME_SENTENCE else ".", clause) for joined, clause in written]
            review = [*_words(written), "."]
            named = [one for one in said(written) if one.mood and review[one.about[-1]] not in PEOPLE]
            if named and not any("of" in _take(review, one.about) for one in named):
                break
        summary, links = [], []
        for title, mood in ("pros", 1), ("cons", -1):
            for before, one in enumerate(one for one in named if one.mood == mood):
                summary += [","] if before else [";", title, ":"] if summary else [title, ":"]
                links += [(place, len(summary) + i) for i, place in enumerate(one.about)]
                summary += _take(review, one.about)
        return review, summary, frozenset(links), len(written)

    return _corpus("summaries", pair, {"valid": valid, "test": test, "train": train}, seed)


def _take(review, places):
    return [review[place] for place in places]


def _words(written):
    words = []
    for joined_by, clause in written:
        words += joined_by.split()
        for phrase in clause.phrases:
            words += phrase.en
    return words


def _corpus(name, pair, sizes, seed):
    """A corpus of pairs, which `pair(reviewer)` writes: source, target, links and number of clauses."""
    if min(sizes.values()) < 0:
        raise ValueError(f"a split has 0 pairs or more, but the sizes asked for are {sizes}")
    reviewer, seen, splits = Reviewer(seed), set(), {}
    for split_name, size in sizes.items():
        split = splits[split_name] = Split([], [], [], [])
        while len(split) < size:
            src, tgt, links, clauses = pair(reviewer)
            src = " ".join(src)
            if src not in seen:
                seen.add(src)
                split.src.append(src)
                split.tgt.append(" ".join(tgt))
                split.links.append(links)
                split.clauses.append(clauses)
    return Corpus(
        name=name,
        src_lang="en",
        tgt_lang="en",
        splits={name: splits[name] for name in ("train", "valid", "test")},
        tokenization="words",
        licence="CC BY 4.0, like the text of this course",
        citation="written by the grammar of this course, utils/data/tasks.py",
    )
