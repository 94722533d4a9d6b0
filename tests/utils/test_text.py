import pytest
import torch

from utils.data import Corpus, Split
from utils.text import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
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
    """Sentences of distinct words, so that every row can be told from every other."""
    src = [" ".join(f"s{row}_{i}" for i in range(length)) for row, length in enumerate(lengths)]
    tgt = [" ".join(f"t{row}_{i}" for i in range(length + 1)) for row, length in enumerate(lengths)]
    split = Split(src, tgt)
    return Corpus("toy", "en", "fr", {"train": split, "valid": split}, "words", "none", "none")


def test_moses_tokens_come_back_as_the_sentence():
    sentence = "l'été, deux chiens n'aboient pas : voilà !"
    tokens = tokenize(sentence, "moses", "fr")
    assert tokens[:4] == ["l'", "été", ",", "deux"] and "n'" in tokens
    assert detokenize(tokens, "moses", "fr") == sentence
    assert tokenize("A DOG.", "moses", "en") == ["a", "dog", "."]
    assert detokenize(tokenize("the dog isn't here.", "moses", "en"), "moses", "en") == "the dog isn't here."


@pytest.mark.parametrize("tokenization", ["words", "moses"])
def test_a_word_is_in_memory_once(tokenization):
    (_, first), (second, _) = (
        tokenize("the restaurant", tokenization),
        tokenize("restaurant was", tokenization),
    )
    assert first is second


def test_unknown_tokenization_is_named():
    with pytest.raises(ValueError, match="letters"):
        tokenize("a", "letters")


def test_vocabulary_encodes_and_decodes():
    vocab = Vocabulary.from_sentences([["b", "a", "b"], ["c", "a", "b"]], min_count=2)
    assert vocab.tokens[4:] == ["b", "a"]  # by frequency; c is too rare
    assert vocab.encode(["a", "c", "b"]) == [5, UNK_ID, 4]
    assert vocab.decode([BOS_ID, 5, 4, EOS_ID, 4, PAD_ID]) == ["a", "b"]
    assert "c" not in vocab and len(vocab) == 6


def test_vocabulary_refuses_a_token_twice():
    with pytest.raises(ValueError, match="once"):
        Vocabulary(["a", "a"])


def test_mask_marks_the_real_tokens():
    mask = lengths_to_mask(torch.tensor([3, 0, 2]), 3)
    assert mask.tolist() == [[True, True, True], [False, False, False], [True, True, False]]


@pytest.mark.parametrize("batch_tokens", [1, 20, 10_000])
def test_batches_hold_every_pair_once_and_unpadded_again(batch_tokens):
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


def test_buckets_leave_little_padding_and_seeds_change_who_shares_a_batch():
    lengths = [1 + (7 * i) % 40 for i in range(400)]
    encoded = EncodedCorpus(make_corpus(lengths))
    batches = list(encoded.batches("train", 400))
    cells = sum(batch.src.numel() for batch in batches)
    real = sum(int(batch.src_lengths.sum()) for batch in batches)
    assert 1 - real / cells < 0.08
    first, again, other = (encoded.chunks("train", 400, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert [len(chunk) for chunk in first] == [len(chunk) for chunk in other]


def test_long_training_pairs_are_left_out_and_other_splits_stay_whole():
    encoded = EncodedCorpus(make_corpus([2, 9, 3]), max_tokens=5)
    assert sorted(row for b in encoded.batches("train", 20) for row in b.rows) == [0, 2]
    assert sorted(row for b in encoded.batches("valid", 20) for row in b.rows) == [0, 1, 2]
    assert "s1_0" not in encoded.src_vocab
    with pytest.raises(ValueError, match="raise max_tokens"):
        EncodedCorpus(make_corpus([2, 9, 3]), max_tokens=1)


def test_an_empty_training_split_is_told():
    for options in ({}, {"max_tokens": 5}, {"subwords": 9}):
        with pytest.raises(ValueError, match="the training split is empty"):
            EncodedCorpus(make_corpus([]), **options)


def test_splits_must_be_parallel():
    with pytest.raises(ValueError, match="src has 2 and tgt has 1"):
        Split(["a", "b"], ["c"])


def test_the_reviews_are_made_ready_once():
    encoded = encoded_reviews()
    assert encoded is encoded_reviews()
    assert "restaurant" in encoded.src_vocab and "serveur" in encoded.tgt_vocab
    assert all(set(tokens) <= set(encoded.src_vocab.tokens) for tokens in encoded.tokens("test", "src"))


def test_short_reviews_are_those_of_the_corpus_with_few_clauses():
    whole, short = encoded_reviews().corpus, encoded_reviews(2)
    assert short is encoded_reviews(2)
    for name in ("train", "valid", "test"):
        split = whole[name]
        rows = [row for row, count in enumerate(split.clauses) if count <= 2]
        assert 0 < len(rows) < len(split) and short.corpus[name] == split[rows]
    assert len(short.corpus["long"]) == 0


def test_a_prompt_is_given_and_not_predicted():
    split = Split(["a b", "c"], ["how was b ? b", "what ? a c"])
    corpus = Corpus("toy", "en", "en", {"train": split}, "words", "none", "none")
    plain, prompted = (EncodedCorpus(corpus, prompt_end=end).batch("train", [0, 1]) for end in (None, "?"))
    assert torch.equal(prompted.tgt_in, plain.tgt_in) and torch.equal(prompted.src, plain.src)
    graded = prompted.tgt_out != PAD_ID
    assert graded.tolist() == [[False] * 4 + [True] * 2, [False] * 2 + [True] * 3 + [False]]
    assert torch.equal(prompted.tgt_out[graded], plain.tgt_out[graded])


def test_questions_and_summaries_are_made_ready_once():
    questions, summaries = encoded_questions(), encoded_summaries()
    assert questions is encoded_questions() and summaries is encoded_summaries()
    for encoded in questions, summaries:
        for side, vocab in ("src", encoded.src_vocab), ("tgt", encoded.tgt_vocab):
            assert all(set(tokens) <= set(vocab.tokens) for tokens in encoded.tokens("test", side))
    batch = next(questions.batches("test"))
    answers = [questions.tgt_vocab.decode(row[row != PAD_ID].tolist()) for row in batch.tgt_out]
    wanted = [questions.tokens("test", "tgt")[row] for row in batch.rows]
    assert answers == [tokens[tokens.index("?") + 1 :] for tokens in wanted]
