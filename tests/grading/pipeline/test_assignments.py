"""Assignments come from the starters. `tests.attacks` has submissions that are no notebooks."""

import json
from dataclasses import replace

import pytest

from grading.pipeline.assignments import (
    ANSWERED,
    ELSEWHERE,
    EMPTY,
    ROOT,
    Assignment,
    Cell,
    NotGradable,
    assignments,
    find_assignment,
    parse,
    read_assignment,
    read_submission,
    readable,
    where_written,
)

SMALL = Assignment("01_sums", (("double", 2), ("root", 1.5)), (("why", 3),), None, False)
STARTER = ROOT / "exercises" / "starter" / "02_attention" / "02_attention.ipynb"


def cell(source, kind="code", **mark):
    return {"cell_type": kind, "source": source, "metadata": {"nbgrader": mark} if mark else {}}


def notebook(*cells):
    return json.dumps({"cells": cells}).encode()


def test_an_assignment_has_the_graded_cells_of_its_starter_in_order(tmp_path):
    path = tmp_path / "01_sums.ipynb"
    cells = [
        cell("# Sums", "markdown"),
        cell("def root(x): ...", grade_id="root", grade=False, solution=True),
        cell("assert root(4)", grade_id="test_root", grade=True, solution=False, points=1.5),
        cell("assert double(4)", grade_id="test_double", grade=True, solution=False, points=2),
        cell("because", "markdown", grade_id="why", grade=True, solution=True, points=3),
    ]
    path.write_bytes(notebook(*cells))
    found = read_assignment(path)
    assert found == Assignment("01_sums", (("root", 1.5), ("double", 2)), (("why", 3),), path, False)
    path.write_bytes(notebook(*cells, cell("encoded_reviews()")))
    assert read_assignment(path).reviews


def test_parse_recognizes_tests_and_written_answers():
    found = parse(
        notebook(
            cell(["x = 1\n", "y = 2"]),
            cell("assert True", grade_id="test_double"),
            cell("assert 1", grade_id="test_double"),
            cell("because", "markdown", grade_id="why"),
            cell("assert 2", grade_id="test_of_another_exercise"),
        ),
        "a.ipynb",
        SMALL,
    )
    assert found == [
        Cell("code", "x = 1\ny = 2"),
        Cell("code", "assert True", "test_double", test="double"),
        Cell("code", "assert 1", "test_double", test=""),  # a second copy of a test is not run
        Cell("markdown", "because", "why", written="why"),
        Cell("code", "assert 2", "test_of_another_exercise"),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"cells": 3}', "is not a notebook"),
        (b"{}", "is not a notebook .KeyError."),
        (notebook(*[{}] * 2_001), "2,001 cells, more than 2,000"),
        (notebook(cell("#" * 2_000_001)), "2,000,001 letters, more than"),
        (notebook(cell("words", "markdown")), "neither code nor a cell of 01_sums"),
    ],
)
def test_what_is_no_notebook_is_not_gradable(data, reason):
    with pytest.raises(NotGradable, match=f"my.ipynb.*{reason}"):
        parse(data, "my.ipynb", SMALL)


def test_the_limits_of_a_notebook_are_inclusive():
    assert len(parse(notebook(*[cell("#" * 1_000)] * 2_000), "my.ipynb", SMALL)) == 2_000


def test_a_renamed_notebook_is_found_by_its_cells(tmp_path):
    copy = tmp_path / "my attention (final).ipynb"
    copy.write_bytes(STARTER.read_bytes())
    assert find_assignment(copy).name == "02_attention"
    copy.write_bytes(notebook(cell("1")))
    with pytest.raises(NotGradable, match="none of this course's exercises"):
        find_assignment(copy)


def test_a_notebook_is_what_its_cells_say_whatever_its_name(tmp_path):
    path = tmp_path / "01_bottleneck.ipynb"
    path.write_bytes(STARTER.read_bytes())
    assert find_assignment(path).name == "02_attention"
    for other in assignments().keys() - {"02_attention"}:
        with pytest.raises(NotGradable, match=f"01_bottleneck.ipynb is 02_attention, not {other}: hand in"):
            read_submission(path, assignments()[other])
    path.write_bytes(notebook(cell("without marks")))
    assert find_assignment(path).name == "01_bottleneck"


QUESTION, GIVEN, NEXT = cell("Why?", "markdown"), cell("*Write.*", "markdown", grade_id="why"), cell("next()")
NEW = cell("Because.", "markdown")


@pytest.mark.parametrize(
    ("cells", "where"),
    [
        ((QUESTION, GIVEN, NEXT), EMPTY),
        ((QUESTION, GIVEN | {"source": " \n"}, NEXT), EMPTY),
        ((QUESTION, GIVEN | {"source": "Because."}, NEXT), ANSWERED),
        ((QUESTION, GIVEN, GIVEN | {"source": "Because."}), ANSWERED),
        ((QUESTION, GIVEN, cell(""), NEW, NEXT), ELSEWHERE),
        ((QUESTION, NEW, GIVEN, NEXT), ELSEWHERE),
        ((QUESTION | {"source": "Why? Because."}, GIVEN, NEXT), ELSEWHERE),
        ((QUESTION, NEW, NEXT), ELSEWHERE),
        ((QUESTION, GIVEN, NEXT, NEW), EMPTY),
        ((QUESTION, GIVEN, cell("assert edited", grade_id="test_double")), EMPTY),
    ],
)
def test_an_answer_that_may_stand_elsewhere_is_told_from_an_empty_one(cells, where, tmp_path):
    path = tmp_path / "01_sums.ipynb"
    path.write_bytes(notebook(QUESTION, GIVEN, NEXT))
    found = where_written(parse(notebook(*cells), path, SMALL), replace(SMALL, notebook=path))
    assert found == {"why": where}


def test_text_of_students_is_shortened_and_cannot_steer_a_terminal():
    assert readable("a\nb\x1b[2J\u202e") == "a\nb\ufffd[2J\ufffd"
    assert readable("abcdef", 4) == "abcd..."
    assert str(NotGradable("a file\nnamed \x1b[31m")) == "a file named \ufffd[31m"
