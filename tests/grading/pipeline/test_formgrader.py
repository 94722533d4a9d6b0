"""Formgrader's buttons grade in the sandbox and make the course's own feedback pages."""

import subprocess
from importlib import import_module
from types import SimpleNamespace

from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader

from examples.make_class import NAME
from grading.pipeline.assignments import ROOT
from grading.pipeline.formgrader import autograde


def test_the_buttons_call_the_safe_run_and_shows_what_it_said(tmp_path, monkeypatch):
    asked = []

    def run(command, **options):
        asked.append(command[1:])
        return SimpleNamespace(returncode=len(asked) - 1, stdout="ana 14", stderr="no sandbox")

    import_module("nbgrader.server_extensions.formgrader.formgrader")
    monkeypatch.setattr(NbGraderAPI, "autograde", None)
    monkeypatch.setattr(NbGraderAPI, "generate_feedback", None)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    assert NbGraderAPI.autograde is autograde
    config.CourseDirectory.root = str(tmp_path)
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    monkeypatch.setattr(subprocess, "run", run)
    first, second = api.autograde(NAME, "ana"), api.autograde(NAME, "ana")
    assert first["success"] and "ana 14" in first["log"] and "error" not in first
    assert not second["success"] and second["error"] == "no sandbox"
    place = ["--course", str(tmp_path), "--db", f"sqlite:///{tmp_path}/gradebook.db"]
    grade = ["-P", "-m", "grading", "grade", NAME]
    assert asked[0] == [*grade, "--student", "ana", "--again", *place, "--require-sandbox"]
    api.generate_feedback(NAME, "ana"), api.generate_feedback(NAME)
    assert asked[2] == [*grade, "--student", "ana", *place, "--require-sandbox"]
    assert asked[3] == [*grade, *place, "--require-sandbox"]


def test_formgrader_shows_the_exercises_of_another_folder_s_class(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_CLASS", str(tmp_path))
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    assert NAME in api.get_source_assignments() and api.coursedir.root == str(tmp_path)
