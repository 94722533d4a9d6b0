"""Copies of the notebooks in the reader's folder follow the course, but never replace the reader's work."""

import errno
import json
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from grading.cli import main
from grading.pipeline.assignments import ROOT
from grading.start import copy_notebooks

DEMO, EXERCISE = "demo/01_a.ipynb", "exercises/starter/01_a/01_a.ipynb"


@pytest.fixture
def course(tmp_path):
    """A course of one demo and one exercise; `write` makes a newer version of the demo."""

    def write(text="first", outputs=()):
        link = new_markdown_cell("[Glossary](../web/glossary.md#a), [page](https://x.example/../a)")
        notebook = new_notebook(cells=[link, new_code_cell(text, outputs=list(outputs))])
        nbformat.write(notebook, tmp_path / DEMO)

    for path in (DEMO, EXERCISE):
        (tmp_path / path).parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_code_cell("exercise")]), tmp_path / EXERCISE)
    write()
    my = tmp_path / "my"
    return SimpleNamespace(
        write=write,
        start=lambda: copy_notebooks(my, tmp_path),
        my=my,
        demo=my / "demo" / "01_a.ipynb",
        exercise=my / "exercises" / "01_a.ipynb",
    )


def change(path, source=None):
    """Do what a reader does: run the last cell, and write into it if there is a `source`."""
    notebook = nbformat.read(path, 4)
    notebook.cells[-1].update(outputs=[new_output("stream", text="1")], execution_count=1)
    notebook.cells[-1].source = source or notebook.cells[-1].source
    nbformat.write(notebook, path)
    return path.read_bytes()


def test_notebooks_are_copied_once_with_links_that_work(course):
    assert course.start() == ([course.demo, course.exercise], [])
    assert "(../../web/glossary.md#a), [page](https://x.example/../a)" in course.demo.read_text()
    assert course.start() == ([], [])


@pytest.mark.parametrize("run", [False, True])
def test_a_newer_version_replaces_a_copy_that_was_at_most_run(course, run):
    course.start()
    if run:
        change(course.demo)
    course.write("second")
    assert course.start() == ([course.demo], [])
    assert nbformat.read(course.demo, 4).cells[-1].source == "second"
    assert course.start() == ([], [])


def test_a_reader_s_work_stays_and_a_newer_version_is_mentioned(course):
    course.start()
    mine = change(course.demo, "mine")
    assert course.start() == ([], [])
    course.write("second")
    assert course.start() == ([], [course.demo])
    assert course.demo.read_bytes() == mine
    course.demo.rename(course.my / "mine.ipynb")
    assert course.start() == ([course.demo], [])


def test_work_stays_when_nothing_is_known_about_it(course):
    course.start()
    course.exercise.write_text("broken")
    (course.my / ".copied.json").unlink()
    assert course.start()[1] == [course.exercise]
    assert course.exercise.read_text() == "broken"


def test_new_outputs_of_the_course_reach_a_copy(course):
    course.start()
    course.write(outputs=[new_output("stream", text="new")])
    assert course.start() == ([course.demo], [])


def test_the_command_copies_every_notebook_and_names_what_it_kept(tmp_path, capsys):
    assert main(["start", "--into", str(tmp_path)]) == 0
    demos, starters = list(ROOT.glob("demo/*.ipynb")), list(ROOT.glob("exercises/starter/*/*.ipynb"))
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {path.name for path in demos}
    assert {path.name for path in (tmp_path / "exercises").iterdir()} == {path.name for path in starters}
    assert f"{len(demos) + len(starters)} notebooks copied" in capsys.readouterr().out

    own = tmp_path / "exercises" / "02_attention.ipynb"
    mine = change(own, "mine")
    record = json.loads((tmp_path / ".copied.json").read_text())
    record["exercises/02_attention.ipynb"] = {"file": "older", "cells": "older"}
    (tmp_path / ".copied.json").write_text(json.dumps(record))
    assert main(["start", "--into", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{own} stays as you changed it. The course has a newer")
    assert own.read_bytes() == mine


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_read_only_folder_is_explained(number, monkeypatch, capsys):
    def refuse(into):
        raise OSError(number, "The system's words", "my/demo")

    monkeypatch.setattr("grading.start.copy_notebooks", refuse)
    assert main(["start"]) == 2
    assert "my/demo: permission denied. Run this command in your own folder" in capsys.readouterr().err
