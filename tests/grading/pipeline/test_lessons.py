"""Every exercise and every mistake leads to a section of a lesson that exists."""

import nbformat
import pytest
from docutils.nodes import make_id

from grading.judge.registry import all_checks, mistakes_of
from grading.pipeline.assignments import ROOT, assignments
from grading.pipeline.lessons import MISTAKES, SECTIONS, section


def headings(lesson):
    cells = nbformat.read(ROOT / "demo" / f"{lesson}.ipynb", 4).cells
    lines = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.split("\n")]
    return [line.lstrip("# ") for line in lines if line.startswith("#")]


@pytest.mark.parametrize("target", sorted({*SECTIONS.values(), *(place for _, _, place in MISTAKES)}))
def test_the_section_exists_under_this_heading_and_address(target):
    lesson, heading = target
    assert headings(lesson).count(heading) == 1
    (name,) = [name for name in SECTIONS if SECTIONS[name] == target][:1] or ["masked_softmax"]
    assert section(name, site="https://a.example/x/").url.startswith("https://a.example/x/lessons/")


def test_every_exercise_has_a_section_and_addresses_are_made_as_sphinx_makes_them():
    names = {name for exercise in assignments().values() for name, _ in exercise.tests} | {*all_checks()}
    assert names <= SECTIONS.keys()
    for name in names:
        found = section(name)
        assert found.url == "" and found.page == f"lessons/{found.lesson}.html#{make_id(found.heading)}"


def test_a_mistake_can_have_another_section_than_its_exercise():
    for pattern, names, place in MISTAKES:
        assert set(names.split()) <= SECTIONS.keys()
        found = [section(name, known.name) for name in names.split() for known in mistakes_of(name)]
        assert place in [(one.lesson, one.heading) for one in found], pattern
    assert section("nothing") is None
