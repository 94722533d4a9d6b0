import errno
import os
from pathlib import Path

import pytest
import torch

from utils import subwords
from utils.data import Corpus, Split, load_reviews
from utils.data.download import DataError
from utils.models import Seq2Seq, forced_weights, translate
from utils.subwords import MARK, learn_subwords, map_on_words, merge_pieces, word_of_each
from utils.text import UNK_ID, EncodedCorpus
from utils.training import train

TRAIN = ["der hund läuft", "der hundekuchen", "die hunde laufen", "der kuchen", "l'eau : 1 234 !"]
UNSEEN = ["kuchenhund", "日本", f"a{MARK}b", "der"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    return tmp_path / "subwords"


@pytest.fixture
def encoded():
    return EncodedCorpus(load_reviews(300, 10, 10, 0), subwords=90)


def make(encoded, attention):
    torch.manual_seed(0)
    return Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, 8, 16).eval()


def test_pieces_put_together_are_the_words(folder):
    cutter = learn_subwords([line.split() for line in TRAIN], 40)
    for words in ([], ["der"], UNSEEN, *(line.split() for line in TRAIN)):
        pieces = cutter.cut(words)
        assert merge_pieces(pieces) == [word.replace(MARK, "_") for word in words]
        assert sorted(set(word_of_each(pieces))) == list(range(len(words)))
    assert len(cutter.cut(["kuchenhund"])) < len("kuchenhund")  # cut, but not into letters
    assert merge_pieces(["ter", f"{MARK}ab", "c"]) == ["ter", "abc"]  # a model may begin without the mark


def test_pieces_are_learned_once_for_each_text_and_size(folder):
    lines = [line.split() for line in TRAIN]
    learn_subwords(lines, 40)
    (model,) = folder.iterdir()
    model.write_bytes(model.read_bytes())  # a new time stamp, should it be written again
    before = model.stat().st_mtime_ns
    learn_subwords(lines, 40)
    assert [path.stat().st_mtime_ns for path in folder.iterdir()] == [before]
    learn_subwords(lines, 41)
    learn_subwords(lines[:-1], 40)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2]])
def test_a_damaged_model_is_learned_again(folder, damage):
    lines = [line.split() for line in TRAIN]
    learn_subwords(lines, 40)
    (model,) = folder.iterdir()
    whole = model.read_bytes()
    model.write_bytes(damage(whole))
    subwords._load.cache_clear()
    assert merge_pieces(learn_subwords(lines, 40).cut(UNSEEN[:2])) == UNSEEN[:2]
    assert model.read_bytes() == whole


def test_a_model_that_may_not_be_read_is_told(monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    for name in ("exists", "read_bytes"):
        monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(DataError, match=r"could not be read because .*\(Permission denied\): set ATT"):
        learn_subwords([line.split() for line in TRAIN], 40)


def test_errors_say_what_to_do(monkeypatch, tmp_path):
    lines = [line.split() for line in TRAIN]
    with pytest.raises(ValueError, match="from 1"):
        learn_subwords(lines, 0)
    with pytest.raises(ValueError, match="to 2147483644, not 2147483645"):
        learn_subwords(lines, 2**31 - 3)
    with pytest.raises(ValueError, match="more pieces than the text has different letters"):
        learn_subwords(lines, 3)
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "file" / "folder"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="set ATTENTION_DATA"):
        learn_subwords(lines, 40)
    assert os.listdir(tmp_path) == ["file"]


def test_a_corpus_in_pieces(encoded):
    corpus, whole = encoded.corpus, EncodedCorpus(encoded.corpus)
    for split in ("train", "valid"):
        for side in ("src", "tgt"):
            cut = encoded.tokens(split, side)
            assert [encoded.words(tokens) for tokens in cut] == whole.tokens(split, side)
            assert [encoded.detokenize(tokens, side) for tokens in cut] == getattr(corpus[split], side)
    assert len(encoded.src_vocab) <= 94 < len(whole.src_vocab)
    new = "the waterway was restful"
    assert not {"waterway", "restful"} & set(whole.src_vocab.tokens)
    assert UNK_ID not in encoded.src_vocab.encode(encoded.tokenize(new))
    assert encoded.detokenize(encoded.tokenize(new), "src") == new


def test_pieces_are_learned_from_the_training_split_alone():
    train, other = Split(["abc abc"], ["abc"]), Split(["xyz"], ["xyz"])
    encoded = EncodedCorpus(
        Corpus("toy", "en", "fr", {"train": train, "valid": other}, "words", "", ""), subwords=6
    )
    assert encoded.src_vocab.encode(encoded.tokens("valid", "src")[0])[-1] == UNK_ID
    assert not set("xyz") & set("".join(encoded.src_vocab.tokens[4:]))


def test_min_count_leaves_every_piece():
    corpus = load_reviews(300, 10, 10, 0)
    tokens = EncodedCorpus(corpus, subwords=90).src_vocab.tokens
    assert tokens == EncodedCorpus(corpus, min_count=50, subwords=90).src_vocab.tokens


def test_the_fingerprint_knows_the_vocabulary_and_the_pairs(encoded):
    corpus = encoded.corpus
    same, other = EncodedCorpus(corpus, subwords=90), EncodedCorpus(corpus, subwords=91)
    fewer = EncodedCorpus(corpus, max_tokens=50, subwords=90)
    assert encoded.fingerprint == same.fingerprint
    assert len({e.fingerprint for e in (encoded, other, fewer, EncodedCorpus(corpus))}) == 4


def test_models_train_translate_and_are_read_in_pieces(encoded):
    model = make(encoded, "dot")
    train(model, encoded, 3, 300, progress=False)
    for translation in translate(model, encoded, encoded.tokens("valid", "src"), max_len=20):
        shown = encoded.on_words(translation)
        assert shown.src_tokens == encoded.words(translation.src_tokens)
        assert " ".join(shown.tokens) == encoded.detokenize(translation.tokens)
        ends = len(translation.weights) - len(translation.tokens)  # no end token where max_len came first
        assert shown.weights.shape == (len(shown.tokens) + ends, len(shown.src_tokens) + 1)
        assert torch.allclose(shown.weights.sum(1), torch.ones(len(shown.weights)), atol=1e-5)
    for weights, src, tgt in zip(
        forced_weights(model, encoded, "valid"),
        encoded.tokens("valid", "src"),
        encoded.tokens("valid", "tgt"),
        strict=True,
    ):
        shown, src_words, tgt_words = map_on_words(weights, src, tgt)
        assert shown.shape == (len(tgt_words), len(src_words))


def test_without_attention_or_pieces_there_is_less_to_show(encoded):
    (plain,) = translate(make(encoded, "none"), encoded, [encoded.tokenize("the soup was good")], max_len=5)
    assert encoded.on_words(plain).weights is None
    whole = EncodedCorpus(encoded.corpus)
    (words,) = translate(make(whole, "dot"), whole, [["the", "soup"]], max_len=5)
    assert whole.on_words(words) is words and whole.words(words.tokens) == words.tokens


def test_a_map_on_words_by_hand():
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.1, 0.3], [0.0, 0.0, 0.5, 0.5]])
    shown, src, tgt = map_on_words(weights, ["▁ab", "c", "▁d"], ["▁x", "y"])
    assert (src, tgt) == (["abc", "d"], ["xy"])
    assert torch.allclose(shown, torch.tensor([[0.45, 0.2, 0.35], [0.0, 0.5, 0.5]]))  # and the end tokens
    assert torch.equal(map_on_words(weights[:2, :3], ["▁ab", "c", "▁d"], ["▁x", "y"])[0], shown[:1, :2])
    assert map_on_words(weights[:0, :0], [], [])[0].shape == (0, 0)
    with pytest.raises(ValueError, match="2 target and 4 source pieces do not fit"):
        map_on_words(weights[:2, :3], ["▁a", "b", "c", "d"], ["▁x", "y"])
