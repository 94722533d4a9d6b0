"""The generated reviews. The checksum pins every sentence and link; the other tests say how they are made."""

import hashlib
import re
from collections import Counter

import pytest

from utils.data import reviews
from utils.data.reviews import load_reviews, new_reviews

# Sentences of the corpus: each English word with its French positions.
BY_HAND = """
the:0 soup:1 was:3 not:2,4 excellent:5 because:6,7 it:8 was:9 really:10 bland:11
= la soupe n' était pas excellente parce qu' elle était vraiment fade
we:0 did:2 not:1,3 love:4 the:5 chocolate:7,8 cake:6
= nous n' avons pas adoré le gâteau au chocolat
the:0 bar:1 was:2 disappointing:3 because:4,5 it:6 was:7 really:8 dirty:9
= le bar était décevant parce qu' il était vraiment sale
there:0,1 was:2 a:3 small:4 chair:5 near:6,7 the:8 window:9
= il y avait une petite chaise près de la fenêtre
the:0 cheese:1 was:3 not:2,4 too:5 expensive:6 but:7 we:8 did:10 not:9,11 love:12 the:13 cold:18 onion:15,16,17 soup:14 ,:19 so:20 my:21 wife:22 never:23,25 returned:24,26
= le fromage n' était pas trop cher mais nous n' avons pas adoré la soupe à l' oignon froide , donc ma femme n' est jamais revenue
there:0,2 was:3 no:1,4,5 lemon:7,8 tart:6 on:9 monday:9
= il n' y avait pas de tarte au citron lundi
the:0 waiters:1 broke:2,3 the:4 glass:5 ,:6 so:7 i:8 spoke:9,10 to:11 the:11 new:12 waiter:13
= les serveurs ont cassé le verre , donc j' ai parlé au nouveau serveur
the:0 beer:1 was:3 never:2,4 really:5 excellent:6 and:7 besides:8,9 we:10 never:11,13 liked:12,14 the:15 potatoes:16,17,18 because:19,20 they:21 were:23 not:22,24 very:25 crispy:26
= la bière n' était jamais vraiment excellente et de plus nous n' avons jamais aimé les pommes de terre parce qu' elles n' étaient pas très croustillantes
i:0 drank:1,2 the:3 red:5 wine:4 and:6 then:7 i:8 waited:9,10
= j' ai bu le vin rouge et puis j' ai attendu
the:0 taste:1 of:2 the:2 vegetables:3 was:4 bad:5
= le goût des légumes était mauvais
the:0 ice:1 cream:1 was:2 sweet:3 in:5 the:4 evening:5
= la glace était sucrée le soir
we:0 waited:1,2 and:3 besides:4,5 there:6,8 was:9 no:7,10,11 pizza:12
= nous avons attendu et de plus il n' y avait pas de pizza
it:0 was:1 amazing:2 ,:3 yet:4 the:5 beer:6 was:7 bad:8
= c' était incroyable , pourtant la bière était mauvaise
"""  # noqa: E501


@pytest.fixture(scope="module")
def corpus():
    return load_reviews()


def rows(corpus):
    """Yield every sentence pair of a corpus: English tokens, French tokens and links."""
    for split in corpus.splits.values():
        for src, tgt, links in zip(split.src, split.tgt, split.links, strict=True):
            yield src.split(" "), tgt.split(" "), links


def checksum(corpus):
    digest = hashlib.sha256()
    for name, split in corpus.splits.items():
        for row in zip(split.src, split.tgt, split.links, split.clauses, strict=True):
            src, tgt, links, clauses = row
            digest.update(f"{name}\t{src}\t{tgt}\t{sorted(links)}\t{clauses}\n".encode())
    return digest.hexdigest()


def test_corpus_is_the_same_on_every_machine(corpus):
    assert checksum(corpus) == "a1c5badd6bcffc345fa8fe40d94dc8d8386c2fdfd8b8a334ce13cb5d73bb7c58"


def test_corpus_depends_on_the_seed():
    first, same, other = (checksum(load_reviews(50, 20, 20, 20, seed)) for seed in (1, 1, 2))
    assert first == same != other


def test_size_of_train_changes_no_other_split(corpus):
    small = load_reviews(train=10)
    assert small["train"] == corpus["train"][:10]
    assert all(small[name] == corpus[name] for name in ("valid", "test", "long"))


def test_splits_have_the_requested_sizes():
    sizes = {"train": 3, "valid": 0, "test": 2, "long": 1}
    corpus = load_reviews(**sizes)
    assert {name: len(split) for name, split in corpus.splits.items()} == sizes


def test_sizes_must_not_be_negative():
    with pytest.raises(ValueError, match="0 or more sentence pairs per split, got {'train': -1"):
        load_reviews(train=-1)


def test_splits_have_the_documented_lengths(corpus):
    for name, split in corpus.splits.items():
        words = [len(sentence.split()) for sentence in split.src]
        counts = Counter(split.clauses)
        shares = [counts[clauses] / len(split) for clauses in sorted(counts)]
        assert min(shares) > 0.1
        if name == "long":
            assert sorted(counts) == [6, 7, 8, 9, 10, 11, 12]
            assert (min(words), max(words)) == (39, 80)
        else:
            assert sorted(counts) == [1, 2, 3, 4, 5]
            assert min(words) == 3
            assert 35 < max(words) <= 38
            assert max(shares) < 1.5 * min(shares)
        for tgt, clauses in zip(split.tgt, split.clauses, strict=True):
            opened = re.findall(r"(?:, )?\b(?:et|mais|tandis|parce|donc)\b|,", tgt)
            assert clauses == 1 + len(opened)


def test_no_english_sentence_occurs_twice(corpus):
    sentences = [sentence for split in corpus.splits.values() for sentence in split.src]
    assert len(set(sentences)) == len(sentences)


def test_equal_sentences_have_equal_translations(corpus):
    french = {}
    repeated = 0
    for split in (*corpus.splits.values(), load_reviews(6_000, 0, 0, 0, seed=1)["train"]):
        for src, tgt in zip(split.src, split.tgt, strict=True):
            repeated += src in french
            assert french.setdefault(src, tgt) == tgt
    assert repeated > 200


def test_tokens_are_lowercase_words_and_commas(corpus):
    english, french = ({token for row in rows(corpus) for token in row[side]} for side in (0, 1))
    assert all(re.fullmatch(r"[a-z]+|,", token) for token in english)
    assert all(re.fullmatch(r"[a-zàâçéèêîôûù]+'?|,", token) for token in french)
    assert 150 < len(english) < 300
    assert 200 < len(french) < 300


def test_every_word_is_linked(corpus):
    for src, tgt, links in rows(corpus):
        assert ({i for i, _ in links}, {j for _, j in links}) == (set(range(len(src))), set(range(len(tgt))))


def test_elision_and_contraction(corpus):
    vowels = "aeiouyhàâéèêîôœ"  # every h here is silent: hier, horrible
    apostrophes = Counter()
    for _, tgt, _ in rows(corpus):
        for word, after in zip(tgt, [*tgt[1:], "."], strict=True):
            if word in ("le", "la", "de", "ne", "je", "que", "ce"):
                assert after[0] not in vowels, (word, after)
            if word.endswith("'"):
                assert after[0] in vowels
                assert word in ("l'", "d'", "n'", "j'", "qu'", "c'")
                apostrophes[word] += 1
            assert (word, after) not in {("de", "le"), ("de", "les"), ("à", "le"), ("à", "les")}
    assert len(apostrophes) == 6
    assert min(apostrophes.values()) > 50


def test_sentences_aligned_by_hand(corpus):
    known = {
        src: (tgt, links)
        for split in corpus.splits.values()
        for src, tgt, links in zip(split.src, split.tgt, split.links, strict=True)
    }
    sentences = re.findall(r"(.+)\n= (.+)\n", BY_HAND)
    assert len(sentences) == 13
    for english, french in sentences:
        words, positions = zip(*(item.split(":") for item in english.split()), strict=True)
        links = {(i, int(j)) for i, js in enumerate(positions) for j in js.split(",")}
        assert known[" ".join(words)] == (french, links)


def test_sentence_of_the_lessons_is_in_the_grammar():
    def state(noun, adjective):
        noun = reviews.NOUN[noun]
        (quality,) = [a for a in noun.adjectives if a.en == adjective]
        quality = reviews.rule(quality.en, quality.forms[noun.agreement])
        subject = reviews.noun_phrase(noun)
        return reviews.rule(
            *reviews.STATE[""], S=subject, BE=noun.be, WAS=reviews.WAS[noun.person], ADJ=quality
        )

    src, tgt, links = reviews.join(
        [state("restaurant", "amazing"), reviews.CONNECTIVE["but"], state("service", "slow")]
    )
    assert src == "the restaurant was amazing but the service was slow"
    assert tgt == "le restaurant était incroyable mais le service était lent"
    assert links == {(i, i) for i in range(9)}


def test_new_reviews_have_two_clauses_or_more():
    written = new_reviews(50, seed=1)
    assert len(written) == len(set(written.src)) == 50
    assert set(written.clauses) == {2, 3, 4, 5}
    assert written == new_reviews(50, seed=1)
    assert set(written.src).isdisjoint(new_reviews(50, seed=2).src)
    assert len(new_reviews(0, seed=1)) == 0
