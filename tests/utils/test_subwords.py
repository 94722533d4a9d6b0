import errno
import os
from pathlib import Path

import pytest
import torch

from utils import subwords
from utils.data import Corpus, Split, load_reviews
from utils.data.download import DataError
from utils.models import Seq2Seq, Translation, forced_weights, translate
from utils.subwords import MARK, MAX_SIZE, learn_subwords, map_on_words, merge_pieces, word_of_each
from utils.text import UNK_ID, EncodedCorpus
from utils.training import train

TRAIN = [line.split() for line in ("der hund läuft", "der hundekuchen", "die hunde laufen", "l'eau : 1 !")]
UNSEEN = ["kuchenhund", "日本", f"a{MARK}b", "der"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path))
    return tmp_path / "subwords"


@pytest.fixture(scope="module")
def corpus():
    return load_reviews(300, 10, 10, 0)


@pytest.fixture(scope="module")
def encoded(corpus, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTENTION_DATA", str(tmp_path_factory.mktemp("data")))
        return EncodedCorpus(corpus, subwords=90)


@pytest.fixture(scope="module")
def encoded_words(corpus):
    return EncodedCorpus(corpus)


def make(encoded, attention):
    torch.manual_seed(0)
    return Seq2Seq(len(encoded.src_vocab), len(encoded.tgt_vocab), attention, 8, 16).eval()


def test_merged_pieces_are_the_words():
    cutter = learn_subwords(TRAIN, 40)
    for words in ([], ["der"], UNSEEN, *TRAIN):
        pieces = cutter.cut(words)
        assert merge_pieces(pieces) == [word.replace(MARK, "_") for word in words]
        assert sorted(set(word_of_each(pieces))) == list(range(len(words)))
    assert len(cutter.cut(["kuchenhund"])) < len("kuchenhund"), "pieces are longer than letters"
    assert merge_pieces(["ter", f"{MARK}ab", "c"]) == ["ter", "abc"], "a model may start without the mark"


def test_models_are_cached_by_text_and_size(folder):
    learn_subwords(TRAIN, 40)
    (model,) = folder.iterdir()
    os.utime(model, ns=(0, 0))
    learn_subwords(TRAIN, 40)
    assert [path.stat().st_mtime_ns for path in folder.iterdir()] == [0]
    learn_subwords(TRAIN, 41)
    learn_subwords(TRAIN[:-1], 40)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("share", [0, 0.5])
def test_damaged_model_is_learned_again(folder, share):
    learn_subwords(TRAIN, 40)
    (model,) = folder.iterdir()
    whole = model.read_bytes()
    model.write_bytes(whole[: int(share * len(whole))])
    subwords._load.cache_clear()
    assert merge_pieces(learn_subwords(TRAIN, 40).cut(UNSEEN[:2])) == UNSEEN[:2]
    assert model.read_bytes() == whole


def test_unreadable_model_raises_data_error(monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    subwords._load.cache_clear()
    with pytest.raises(DataError, match=r"could not be read because .*\(Permission denied\): set ATT"):
        learn_subwords(TRAIN, 40)


def test_unusable_cache_folder_raises_data_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATTENTION_DATA", str(tmp_path / "file" / "folder"))
    with pytest.raises(DataError, match="set ATTENTION_DATA"):
        learn_subwords(TRAIN, 40)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, f"expected 1 to {MAX_SIZE} subwords, got 0: 8000 is a good start"),
        (MAX_SIZE + 1, "got 2147483645"),
        (3, r"could not learn 3 subwords from 4 sentences .*: choose more subwords than"),
    ],
)
def test_size_must_fit_the_text(size, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        learn_subwords(TRAIN, size)
    assert list(tmp_path.iterdir()) == []


def test_corpus_can_use_subwords(encoded, encoded_words):
    for split in ("train", "valid"):
        for side in ("src", "tgt"):
            pieces, sentences = encoded.tokens(split, side), getattr(encoded.corpus[split], side)
            assert [encoded.words(tokens) for tokens in pieces] == encoded_words.tokens(split, side)
            assert [encoded.detokenize(tokens, side) for tokens in pieces] == sentences
    assert len(encoded.src_vocab) <= 94 < len(encoded_words.src_vocab)
    unseen = "the waterway was restful"
    assert not {"waterway", "restful"} & set(encoded_words.src_vocab.tokens)
    assert UNK_ID not in encoded.src_vocab.encode(encoded.tokenize(unseen))
    assert encoded.detokenize(encoded.tokenize(unseen), "src") == unseen


def test_subwords_come_from_the_training_split_alone():
    train, valid = Split(["abc abc"], ["abc"]), Split(["xyz"], ["xyz"])
    corpus = Corpus("toy", "en", "fr", {"train": train, "valid": valid}, "words", "", "")
    encoded = EncodedCorpus(corpus, subwords=6)
    assert encoded.src_vocab.encode(encoded.tokens("valid", "src")[0])[-1] == UNK_ID
    assert not set("xyz") & set("".join(encoded.src_vocab.tokens[4:]))


def test_min_count_keeps_every_piece(encoded):
    rare = EncodedCorpus(encoded.corpus, min_count=50, subwords=90)
    assert rare.src_vocab.tokens == encoded.src_vocab.tokens


def test_fingerprint_identifies_vocabulary_and_training_pairs(encoded, encoded_words):
    same, other = (EncodedCorpus(encoded.corpus, subwords=size) for size in (90, 91))
    fewer = EncodedCorpus(encoded.corpus, max_tokens=50, subwords=90)
    assert encoded.fingerprint == same.fingerprint
    assert len({each.fingerprint for each in (encoded, other, fewer, encoded_words)}) == 4


def test_models_train_and_translate_with_subwords(encoded):
    model = make(encoded, "dot")
    train(model, encoded, 3, batch_tokens=300, progress=False)
    for translation in translate(model, encoded, encoded.tokens("valid", "src"), max_len=20):
        shown = encoded.on_words(translation)
        assert shown.src_tokens == encoded.words(translation.src_tokens)
        assert " ".join(shown.tokens) == encoded.detokenize(translation.tokens)
        ends = len(translation.weights) - len(translation.tokens)  # 0 if max_len came before the end token
        assert shown.weights.shape == (len(shown.tokens) + ends, len(shown.src_tokens) + 1)
        torch.testing.assert_close(shown.weights.sum(1), torch.ones(len(shown.weights)))
    pairs = encoded.tokens("valid", "src"), encoded.tokens("valid", "tgt")
    for weights, src, tgt in zip(forced_weights(model, encoded, "valid"), *pairs, strict=True):
        shown, src_words, tgt_words = map_on_words(weights, src, tgt)
        assert shown.shape == (len(tgt_words), len(src_words))


def test_on_words_keeps_missing_weights_and_whole_words(encoded, encoded_words):
    src, tgt = ["the", "soup"], ["la", "soupe"]
    translation = Translation(encoded.cut(src), encoded.cut(tgt, "tgt"), weights=None)
    assert encoded.on_words(translation) == Translation(src, tgt, weights=None)
    assert encoded_words.on_words(translation) is translation
    assert encoded_words.words(["▁a", "b"]) == ["▁a", "b"]


WEIGHTS = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.1, 0.3], [0.0, 0.0, 0.5, 0.5]])
SRC, TGT = ["▁ab", "c", "▁d"], ["▁x", "y"]


def test_map_on_words_by_hand():
    weights, src, tgt = map_on_words(WEIGHTS, SRC, TGT)  # with a row and a column for the end tokens
    assert (src, tgt) == (["abc", "d"], ["xy"])
    torch.testing.assert_close(weights, torch.tensor([[0.45, 0.2, 0.35], [0.0, 0.5, 0.5]]))
    assert torch.equal(map_on_words(WEIGHTS[:2, :3], SRC, TGT)[0], weights[:1, :2])
    assert map_on_words(WEIGHTS[:0, :0], [], [])[0].shape == (0, 0)


def test_map_on_words_rejects_other_sizes():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) for 2 target and 4 source pieces"):
        map_on_words(WEIGHTS[:2, :3], ["▁a", "b", "c", "d"], TGT)
