import pytest
import torch

from utils.data import Corpus, Split
from utils.text import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    SIDES,
    UNK_ID,
    EncodedCorpus,
    Vocabulary,
    detokenize,
    encoded_questions,
    encoded_reviews,
    encoded_summaries,
    lengths_to_mask,
    tokenize,
)


def make_corpus(lengths):
    """Build a corpus of sentences of distinct words, so every row can be identified."""
    src = [" ".join(f"s{row}_{i}" for i in range(length)) for row, length in enumerate(lengths)]
    tgt = [" ".join(f"t{row}_{i}" for i in range(length + 1)) for row, length in enumerate(lengths)]
    split = Split(src, tgt)
    return Corpus("toy", "en", "fr", {"train": split, "valid": split}, "words", "none", "none")


@pytest.mark.parametrize(
    ("language", "sentence", "tokens"),
    [
        ("fr", "l'été, deux chiens n'aboient pas !", "l' été , deux chiens n' aboient pas !"),
        ("en", "the dog isn't here.", "the dog isn 't here ."),
    ],
)
def test_moses_tokens_can_be_joined_again(language, sentence, tokens):
    assert tokenize(sentence, "moses", language) == tokens.split()
    assert tokenize(sentence.upper(), "moses", language) == tokens.split()
    assert detokenize(tokens.split(), "moses", language) == sentence


@pytest.mark.parametrize("tokenization", ["words", "moses"])
def test_equal_tokens_share_memory(tokenization):
    first, second = tokenize("the restaurant", tokenization), tokenize("restaurant was", tokenization)
    assert first[1] is second[0]


def test_tokenize_rejects_an_unknown_tokenization():
    with pytest.raises(ValueError, match='expected tokenization "words" or "moses", got \'letters\''):
        tokenize("a", "letters")


def test_vocabulary_encodes_and_decodes():
    vocab = Vocabulary.from_sentences([["b", "a", "b"], ["c", "a", "b"]], min_count=2)
    assert vocab.tokens[4:] == ["b", "a"], "by frequency; c is too rare"
    assert vocab.encode(["a", "c", "b"]) == [5, UNK_ID, 4]
    assert vocab.decode([BOS_ID, 5, 4, EOS_ID, 4, PAD_ID]) == ["a", "b"]
    assert "c" not in vocab
    assert len(vocab) == 6


def test_vocabulary_rejects_repeated_tokens():
    with pytest.raises(ValueError, match=r"got \['a'\] more than once"):
        Vocabulary(["a", "b", "a"])


def test_lengths_to_mask_marks_real_tokens():
    mask = lengths_to_mask(torch.tensor([3, 0, 2]), 3)
    assert mask.tolist() == [[True, True, True], [False, False, False], [True, True, False]]


@pytest.mark.parametrize("batch_tokens", [1, 20, 10_000])
def test_batches_cover_every_pair_once(batch_tokens):
    lengths = [2, 11, 5, 3, 7, 2, 13, 5, 5, 3, 1]
    encoded = EncodedCorpus(make_corpus(lengths))
    seen = []
    for batch in encoded.batches("train", batch_tokens):
        assert batch.tgt_in.numel() <= batch_tokens or len(batch.rows) == 1
        for i, row in enumerate(batch.rows):
            seen.append(row)
            src, tgt = encoded.tokens("train", "src")[row], encoded.tokens("train", "tgt")[row]
            assert batch.src_lengths[i] == lengths[row] + 1
            assert batch.src[i, lengths[row]] == EOS_ID
            assert (batch.src[i, lengths[row] + 1 :] == PAD_ID).all()
            assert encoded.src_vocab.decode(batch.src[i].tolist()) == src
            assert batch.tgt_in[i, 0] == BOS_ID
            assert encoded.tgt_vocab.decode(batch.tgt_in[i].tolist()) == tgt
            assert encoded.tgt_vocab.decode(batch.tgt_out[i].tolist()) == tgt
            assert (batch.tgt_in[i, 1 : len(tgt) + 1] == batch.tgt_out[i, : len(tgt)]).all()
    assert sorted(seen) == list(range(len(lengths)))


def test_batches_have_little_padding_and_depend_on_the_seed():
    encoded = EncodedCorpus(make_corpus([1 + (7 * i) % 40 for i in range(400)]))
    batches = list(encoded.batches("train", 400))
    positions = sum(batch.src.numel() for batch in batches)
    tokens = sum(int(batch.src_lengths.sum()) for batch in batches)
    assert 1 - tokens / positions < 0.08
    first, again, other = (encoded.chunks("train", 400, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert [len(rows) for rows in first] == [len(rows) for rows in other]


def test_max_tokens_drops_long_pairs_from_training_only():
    encoded = EncodedCorpus(make_corpus([2, 9, 3]), max_tokens=5)
    assert sorted(row for batch in encoded.batches("train", 20) for row in batch.rows) == [0, 2]
    assert sorted(row for batch in encoded.batches("valid", 20) for row in batch.rows) == [0, 1, 2]
    assert "s1_0" not in encoded.src_vocab


def test_max_tokens_must_leave_a_training_pair():
    with pytest.raises(ValueError, match="at most 1 tokens, but the shortest has 3: raise max_tokens"):
        EncodedCorpus(make_corpus([2, 9, 3]), max_tokens=1)


@pytest.mark.parametrize("options", [{}, {"max_tokens": 5}, {"subwords": 9}])
def test_training_split_must_not_be_empty(options):
    with pytest.raises(ValueError, match="got an empty training split"):
        EncodedCorpus(make_corpus([]), **options)


@pytest.mark.parametrize("options", [{}, {"subwords": 30}])
def test_both_languages_can_share_one_vocabulary(options):
    encoded = EncodedCorpus(make_corpus([2, 9, 3]), shared=True, **options)
    assert encoded.src_vocab.tokens == encoded.tgt_vocab.tokens
    for side in SIDES:
        for tokens in encoded.tokens("train", side):
            assert UNK_ID not in encoded.src_vocab.encode(tokens)


def test_encoded_reviews_are_cached():
    encoded = encoded_reviews()
    assert encoded is encoded_reviews()
    assert "restaurant" in encoded.src_vocab
    assert "serveur" in encoded.tgt_vocab


def test_prompt_is_an_input_and_not_predicted():
    split = Split(["a b", "c"], ["how was b ? b", "what ? a c"])
    corpus = Corpus("toy", "en", "en", {"train": split}, "words", "none", "none")
    plain, prompted = (EncodedCorpus(corpus, prompt_end=end).batch("train", [0, 1]) for end in (None, "?"))
    assert torch.equal(prompted.tgt_in, plain.tgt_in)
    assert torch.equal(prompted.src, plain.src)
    predicted = prompted.tgt_out != PAD_ID
    assert predicted.tolist() == [[False] * 4 + [True] * 2, [False] * 2 + [True] * 3 + [False]]
    assert torch.equal(prompted.tgt_out[predicted], plain.tgt_out[predicted])


@pytest.mark.parametrize("load", [encoded_reviews, encoded_questions, encoded_summaries])
def test_vocabularies_of_generated_corpora_cover_the_test_split(load):
    encoded = load()
    for side, vocab in ("src", encoded.src_vocab), ("tgt", encoded.tgt_vocab):
        assert all(set(tokens) <= set(vocab.tokens) for tokens in encoded.tokens("test", side))


def test_answers_are_predicted_and_questions_are_not():
    questions = encoded_questions()
    assert questions is encoded_questions(), "cached"
    batch = next(questions.batches("test"))
    predicted = [questions.tgt_vocab.decode(row[row != PAD_ID].tolist()) for row in batch.tgt_out]
    targets = [questions.tokens("test", "tgt")[row] for row in batch.rows]
    assert predicted == [tokens[tokens.index("?") + 1 :] for tokens in targets]
