"""Every graded answer has its checks and mistakes, loaded one exercise at a time."""

from types import SimpleNamespace

import pytest

from grading import shelves
from grading.assignments import assignments
from grading.checks import CHECKS


def test_every_test_of_the_starters_has_a_check_in_its_own_exercise():
    graded = {
        name: assignment.name[3:] for assignment in assignments().values() for name, _ in assignment.tests
    }
    assert graded == shelves.EXERCISE == {name: shelves.EXERCISE[name] for name in CHECKS}


def test_only_the_module_of_the_exercise_is_imported(monkeypatch):
    imported = []

    def fake_import(name):
        imported.append(name)
        return SimpleNamespace(FOUND={"attend": "what it holds"})

    monkeypatch.setattr(shelves, "import_module", fake_import)
    shelf = shelves.Shelf("some.package", lambda module: module.FOUND)
    assert len(shelf) == len(CHECKS) and imported == []
    assert shelf["attend"] == "what it holds" and imported == ["some.package.attention"]
    assert "cosine" not in shelf and shelf.get("cosine", ()) == () and len(imported) == 1
    with pytest.raises(KeyError, match="cosine"):
        shelf["cosine"]
