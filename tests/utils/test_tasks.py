"""Questions and summaries, against clauses judged by hand and against a second reading of the text."""

import re
from collections import Counter

import pytest

from utils.data import load_questions, load_summaries
from utils.data.reviews import Clause, load_reviews, rule
from utils.data.tasks import Said, said

LOADERS = {"questions": load_questions, "summaries": load_summaries}
# What is praise and what is not, written down a second time, without the words whose mood depends on degree.
PRAISED = {"amazing", "perfect", "excellent", "delicious", "good", "pleasant", "friendly", "kind", "clean"}
BLAMED = {
    "horrible",
    "bad",
    "disappointing",
    "ordinary",
    "rude",
    "strange",
    "bland",
    "burnt",
    "dirty",
    "slow",
}


@pytest.fixture(scope="module")
def made():
    return {name: load(train=1_500, valid=200, test=600) for name, load in LOADERS.items()}


def clause(english, mood):
    return Clause([rule(english, "x")], mood)


def test_what_is_said_is_found_with_its_places():
    written = [
        ("", clause("the young waiter was very kind", 1)),
        (", yet", clause("we did not like the cold onion soup", -1)),
        ("because", clause("it was too salty", -1)),
        ("and", clause("there was a long wait", -1)),
        ("and besides", clause("the taste of the red wine was not strange", 1)),
        ("so", clause("we never returned", -1)),
    ]
    found = said(written)
    assert found == [
        Said(range(2, 3), range(4, 6), 1),
        Said(range(14, 16), range(11, 12), -1),
        Said(range(30, 35), range(36, 38), 1),
    ]


@pytest.mark.parametrize("name", LOADERS)
def test_every_link_joins_a_word_to_its_copy(made, name):
    for split in made[name].splits.values():
        for src, tgt, links in zip(split.src, split.tgt, split.links, strict=True):
            src, tgt = src.split(), tgt.split()
            assert all(src[place] == tgt[word] for place, word in links)
            assert len({word for _, word in links}) == len(links) == len({place for place, _ in links})


def test_an_answer_stands_in_the_review_where_its_link_says(made):
    kinds = Counter()
    for split in made["questions"].splits.values():
        for src, tgt, links in zip(split.src, split.tgt, split.links, strict=True):
            question, answer = tgt.split(" ? ")
            kind, verb, rest = question.split(maxsplit=2)
            kinds[kind] += 1
            said = f"{rest} {verb} {answer}" if kind == "how" else rf"{answer} (?:was|were) {rest}"
            (found,) = re.finditer(rf"\b{said}\b", src)
            first = len(src[: found.start()].split())
            first += len(rest.split()) + 1 if kind == "how" else 0
            after = len(question.split()) + 1
            assert links == {(first + i, after + i) for i in range(len(answer.split()))}
    assert 0.4 < kinds["how"] / kinds.total() < 0.6 and set(kinds) == {"how", "what", "who"}


def test_who_asks_for_people_and_what_for_things(made):
    answers = {"who": set(), "what": set()}
    for tgt in made["questions"]["train"].tgt:
        question, answer = tgt.split(" ? ")
        if not question.startswith("how"):
            answers[question.split()[0]].add(answer)
    assert {"waiter", "chef", "daughter", "friends"} <= answers["who"]
    assert {"service", "soup", "taste of the wine"} <= answers["what"]
    assert not answers["who"] & answers["what"]


def points(summary):
    sides = dict(side.split(" : ") for side in summary.split(" ; "))
    assert list(sides) in (["pros"], ["cons"], ["pros", "cons"])
    return [sides[side].split(" , ") if side in sides else [] for side in ("pros", "cons")]


def test_a_summary_puts_praise_and_complaints_on_their_sides(made):
    checked = Counter()
    of_subject = re.compile(r"^(?:the|our) ([a-z ]+?) (?:was|were) (not )?(?:really )?([a-z]+)$")
    of_object = re.compile(r"^(?:i|we|my \w+|our friends) (loved|hated) (?:the|our) ([a-z]+)$")
    for split in made["summaries"].splits.values():
        for src, tgt in zip(split.src, split.tgt, strict=True):
            pros, cons = points(tgt)
            for sentence in src.removesuffix(" .").split(" . "):
                if found := of_object.match(sentence):
                    verb, thing = found.groups()
                    assert thing in (pros if verb == "loved" else cons)
                    checked[verb] += 1
                found = of_subject.match(sentence)
                if (
                    found
                    and found[3] in PRAISED | BLAMED
                    and not {"was", "were", "friends"} & set(found[1].split())
                ):
                    thing = re.sub(r"^(new|old|young|beautiful) ", "", found[1])
                    assert thing in (pros if (found[3] in PRAISED) != bool(found[2]) else cons)
                    checked[f"{found[2]}{found[3] in PRAISED}"] += 1
    assert len(checked) == 6 and min(checked.values()) > 20


def test_a_summary_keeps_the_order_of_the_review_and_leaves_out_the_rest(made):
    for split in made["summaries"].splits.values():
        for src, tgt, links in zip(split.src, split.tgt, split.links, strict=True):
            places = [place for place, word in sorted(links, key=lambda link: link[1])]
            named = [thing for side in points(tgt) for thing in side]
            assert len(places) == sum(len(thing.split()) for thing in named)
            assert named and not any(" of the " in thing for thing in named)
            before = sum(len(thing.split()) for thing in points(tgt)[0])
            assert places == sorted(places[:before]) + sorted(places[before:])
            assert not {"i", "we", "it", "wife", "daughter", "friends"} & {
                w for t in named for w in t.split()
            }
            assert src.endswith(" .") and " and " not in src.replace(" and then ", " ")


@pytest.mark.parametrize("name", LOADERS)
def test_splits_are_disjoint_and_made_by_seed(made, name):
    corpus = made[name]
    texts = [text for split in corpus.splits.values() for text in split.src]
    assert len(set(texts)) == len(texts) == 2_300
    again = LOADERS[name](train=1_500, valid=200, test=600)
    assert again.splits == corpus.splits
    assert LOADERS[name](train=10, valid=200, test=600)["test"] == corpus["test"], (
        "train changes no other split"
    )
    assert LOADERS[name](train=1_500, valid=200, test=600, seed=1).splits != corpus.splits
    with pytest.raises(ValueError, match="0 pairs or more"):
        LOADERS[name](train=-1)


def test_all_words_are_those_of_the_reviews(made):
    known = {
        word
        for split in load_reviews(3_000, 0, 0, 0).splits.values()
        for t in split.src
        for word in t.split()
    }
    for name, new in (
        ("questions", {"?", "how", "what", "who"}),
        ("summaries", {".", ":", ";", "pros", "cons"}),
    ):
        split = made[name]["train"]
        assert {word for text in split.src + split.tgt for word in text.split()} <= known | new
