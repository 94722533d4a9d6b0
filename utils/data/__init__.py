"""Parallel corpora, all of one shape: the embedded reviews and downloaded real text."""

from utils.data.corpus import Corpus, Split
from utils.data.multi30k import load_multi30k
from utils.data.opensubtitles import load_opensubtitles
from utils.data.reviews import load_reviews, new_reviews
from utils.data.store import Lines
from utils.data.tasks import load_questions, load_summaries
from utils.data.wmt14 import load_wmt14

__all__ = [
    "Corpus",
    "Lines",
    "Split",
    "load_multi30k",
    "load_opensubtitles",
    "load_questions",
    "load_reviews",
    "load_summaries",
    "load_wmt14",
    "new_reviews",
]
