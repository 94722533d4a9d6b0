"""Every exercise and every mistake leads to a section of a lesson. `test_site` looks for each on the site."""

from docutils.nodes import make_id

from grading.judge.registry import all_checks, mistakes_of
from grading.pipeline.assignments import assignments
from grading.pipeline.lessons import MISTAKES, SECTIONS, section


def test_every_exercise_has_a_section_and_addresses_are_made_as_sphinx_makes_them():
    names = {name for exercise in assignments().values() for name, _ in exercise.tests} | {*all_checks()}
    assert names <= SECTIONS.keys()
    for name in names:
        found = section(name)
        assert section(name, site="https://a.example/x/").url == f"https://a.example/x/{found.page}"
        assert found.url == "" and found.page == f"lessons/{found.lesson}.html#{make_id(found.heading)}"


def test_a_mistake_can_have_another_section_than_its_exercise():
    for pattern, names, place in MISTAKES:
        assert set(names.split()) <= SECTIONS.keys()
        found = [section(name, known.name) for name in names.split() for known in mistakes_of(name)]
        assert place in [(one.lesson, one.heading) for one in found], pattern
    assert section("nothing") is None
