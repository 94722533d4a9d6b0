"""The glossary is in order, and each of its terms is in the lesson that it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = re.findall(
    r"^\| (.+?) \| (.+) \| (demo|exercise) (\d\d) \|$", (ROOT / "web/glossary.md").read_text("utf-8"), re.M
)


def test_it_is_in_order_and_has_a_meaning_for_each():
    terms = [term.lower() for term, *_ in ROWS]
    assert len(terms) > 40 and terms == sorted(set(terms))
    assert all(len(meaning.split()) > 5 for _, meaning, *_ in ROWS)


@pytest.mark.parametrize("term, meaning, kind, number", ROWS, ids=[term for term, *_ in ROWS])
def test_a_term_is_in_the_lesson_that_it_names(term, meaning, kind, number):
    (lesson,) = (ROOT / "lessons" / f"{kind}s".replace("demos", "demo")).glob(f"{number}_*.py")
    text = re.sub(r"[\s_-]+", " ", lesson.read_text("utf-8")).lower()
    for word in term.lower().split(", "):
        assert re.search(rf"\b{word.replace('-', ' ').removesuffix(' score')}", text), (
            f"{lesson.name} has no {word!r}"
        )
