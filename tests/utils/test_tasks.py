"""Questions and summaries, against opinions found by hand and by regular expressions."""

import re
from collections import Counter

import pytest

from utils.data import load_questions, load_summaries
from utils.data.reviews import Clause, load_reviews, rule
from utils.data.tasks import Opinion, opinions

GUESTS = {"wife", "daughter", "friends"}
LOADERS = {"questions": load_questions, "summaries": load_summaries}
# Adjectives whose sentiment does not depend on their degree, written down independently of the grammar.
PRAISE = {"amazing", "perfect", "excellent", "delicious", "good", "pleasant", "friendly", "kind", "clean"}
COMPLAINTS = {
    "horrible", "bad", "disappointing", "ordinary", "rude", "strange", "bland", "burnt", "dirty", "slow",
}  # fmt: skip


@pytest.fixture(scope="module")
def corpora():
    return {name: load(train=1_500, valid=200, test=600) for name, load in LOADERS.items()}


def clause(english, sentiment):
    return Clause([rule(english, "x")], sentiment)


def test_opinions_are_found_by_hand():
    clauses = [
        ("", clause("the young waiter was very kind", 1)),
        (", yet", clause("we did not like the cold onion soup", -1)),
        ("because", clause("it was too salty", -1)),
        ("and", clause("there was a long wait", -1)),
        ("and besides", clause("the taste of the red wine was not strange", 1)),
        ("so", clause("we never returned", -1)),
    ]
    assert opinions(clauses) == [
        Opinion(range(2, 3), range(4, 6), 1),
        Opinion(range(14, 16), range(11, 12), -1),
        Opinion(range(30, 35), range(36, 38), 1),
    ]


@pytest.mark.parametrize("name", LOADERS)
def test_links_join_equal_words(corpora, name):
    for split in corpora[name].splits.values():
        for src, tgt, links in zip(split.src, split.tgt, split.links, strict=True):
            src, tgt = src.split(), tgt.split()
            assert all(src[i] == tgt[j] for i, j in links)
            assert len({i for i, _ in links}) == len({j for _, j in links}) == len(links)


def test_reviews_say_the_answer_once_where_it_is_linked(corpora):
    kinds = Counter()
    for split in corpora["questions"].splits.values():
        for src, tgt, links in zip(split.src, split.tgt, split.links, strict=True):
            question, answer = tgt.split(" ? ")
            kind, verb, rest = question.split(maxsplit=2)
            kinds[kind] += 1
            statement = f"{rest} {verb} {answer}" if kind == "how" else rf"{answer} (?:was|were) {rest}"
            (found,) = re.finditer(rf"\b{statement}\b", src)
            first = len(src[: found.start()].split())
            first += len(rest.split()) + 1 if kind == "how" else 0
            after = len(question.split()) + 1
            assert links == {(first + i, after + i) for i in range(len(answer.split()))}
    assert set(kinds) == {"how", "what", "who"}
    assert 0.4 < kinds["how"] / kinds.total() < 0.6


def test_who_is_for_people_and_what_for_things(corpora):
    answers = {"who": set(), "what": set()}
    for tgt in corpora["questions"]["train"].tgt:
        question, answer = tgt.split(" ? ")
        if not question.startswith("how"):
            answers[question.split()[0]].add(answer)
    assert {"waiter", "chef", "daughter", "friends"} <= answers["who"]
    assert {"service", "soup", "taste of the wine"} <= answers["what"]
    assert not answers["who"] & answers["what"]


def items(summary):
    """Return the praised and the criticized items of a summary."""
    sides = dict(side.split(" : ") for side in summary.split(" ; "))
    assert list(sides) in (["pros"], ["cons"], ["pros", "cons"])
    return [sides[side].split(" , ") if side in sides else [] for side in ("pros", "cons")]


def test_summaries_separate_praise_from_complaints(corpora):
    known, checked = PRAISE | COMPLAINTS, Counter()
    of_subject = re.compile(r"^(?:the|our) ([a-z ]+?) (?:was|were) (not )?(?:really )?([a-z]+)$")
    of_object = re.compile(r"^(?:i|we|my \w+|our friends) (loved|hated) (?:the|our) ([a-z]+)$")
    for split in corpora["summaries"].splits.values():
        for src, tgt in zip(split.src, split.tgt, strict=True):
            pros, cons = items(tgt)
            for sentence in src.removesuffix(" .").split(" . "):
                if found := of_object.match(sentence):
                    verb, thing = found.groups()
                    assert thing in (pros if verb == "loved" else cons)
                    checked[verb] += 1
                found = of_subject.match(sentence)
                if found and found[3] in known and not set(found[1].split()) & {"was", "were", "friends"}:
                    thing = re.sub(r"^(new|old|young|beautiful) ", "", found[1])
                    assert thing in (pros if (found[3] in PRAISE) != bool(found[2]) else cons)
                    checked[f"{found[2]}{found[3] in PRAISE}"] += 1
    assert len(checked) == 6
    assert min(checked.values()) > 20


def test_summaries_keep_the_order_of_the_review(corpora):
    for split in corpora["summaries"].splits.values():
        for src, tgt, links in zip(split.src, split.tgt, split.links, strict=True):
            positions = [position for position, _ in sorted(links, key=lambda link: link[1])]
            pros, cons = ([word for item in side for word in item.split()] for side in items(tgt))
            assert len(positions) == len(pros + cons) > 0
            assert positions == sorted(positions[: len(pros)]) + sorted(positions[len(pros) :])
            assert not {"of", "i", "we", "it", *GUESTS} & {*pros, *cons}
            assert src.endswith(" .")
            assert " and " not in src.replace(" and then ", " ")


@pytest.mark.parametrize("name", LOADERS)
def test_splits_are_disjoint_and_depend_on_the_seed(corpora, name):
    corpus = corpora[name]
    texts = [text for split in corpus.splits.values() for text in split.src]
    assert len(set(texts)) == len(texts) == 2_300
    same, other = (LOADERS[name](train=10, valid=200, test=600, seed=seed) for seed in (0, 1))
    assert same["train"] == corpus["train"][:10]
    assert same["test"] == corpus["test"], "the size of train changes no other split"
    assert other["test"] != corpus["test"]


@pytest.mark.parametrize(
    ("name", "extra"),
    [("questions", {"?", "how", "what", "who"}), ("summaries", {".", ":", ";", "pros", "cons"})],
)
def test_words_are_those_of_the_reviews(corpora, name, extra):
    known = {word for text in load_reviews(1_000, 0, 0, 0)["train"].src for word in text.split()}
    split = corpora[name]["train"]
    assert {word for text in split.src + split.tgt for word in text.split()} <= known | extra
