"""Formgrader's button Autograde grades in the sandbox."""

import subprocess
from importlib import import_module
from types import SimpleNamespace

from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader

from examples.make_class import NAME
from grading.pipeline.assignments import ROOT
from grading.pipeline.formgrader import autograde


def test_the_button_calls_the_safe_run_and_shows_what_it_said(tmp_path, monkeypatch):
    asked = []

    def run(command, **options):
        asked.append(command[1:])
        return SimpleNamespace(returncode=len(asked) - 1, stdout="ana 14", stderr="no sandbox")

    import_module("nbgrader.server_extensions.formgrader.formgrader")
    monkeypatch.setattr(NbGraderAPI, "autograde", None)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    assert NbGraderAPI.autograde is autograde
    config.CourseDirectory.root = str(tmp_path)
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    monkeypatch.setattr(subprocess, "run", run)
    first, second = api.autograde(NAME, "ana"), api.autograde(NAME, "ana")
    assert first["success"] and "ana 14" in first["log"] and "error" not in first
    assert not second["success"] and second["error"] == "no sandbox"
    place = ["--course", str(tmp_path), "--db", f"sqlite:///{tmp_path}/gradebook.db"]
    assert asked[0] == [
        *("-P", "-m", "grading", "grade", NAME, "--student", "ana", *place, "--again", "--require-sandbox")
    ]
