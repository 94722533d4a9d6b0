"""The glossary is sorted, and every term occurs in the lesson that its row names."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = re.findall(
    r"^\| (.+?) \| (.+) \| (demo|exercise) (\d\d) \|$", (ROOT / "web/glossary.md").read_text("utf-8"), re.M
)


def test_terms_are_sorted_and_explained():
    terms = [term.lower() for term, *_ in ROWS]
    assert len(terms) > 40 and terms == sorted(set(terms))
    assert [term for term, meaning, *_ in ROWS if len(meaning.split()) < 6] == []


def test_every_term_is_in_the_lesson_that_its_row_names():
    missing = []
    for term, _, kind, number in ROWS:
        folder = {"demo": "demo", "exercise": "exercises"}[kind]
        (lesson,) = (ROOT / "lessons" / folder).glob(f"{number}_*.py")
        text = re.sub(r"[\s_-]+", " ", lesson.read_text("utf-8")).lower()
        words = [word.replace("-", " ").removesuffix(" score") for word in term.lower().split(", ")]
        missing += [(lesson.name, word) for word in words if not re.search(rf"\b{re.escape(word)}", text)]
    assert missing == []
