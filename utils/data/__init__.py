"""Parallel corpora, all of one shape: the embedded reviews and downloaded real text."""

from utils.data.corpus import Corpus, Split
from utils.data.multi30k import load_multi30k
from utils.data.reviews import load_reviews, new_reviews

__all__ = ["Corpus", "Split", "load_multi30k", "load_reviews", "new_reviews"]
