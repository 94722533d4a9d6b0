"""The frame: one set of versions in three files, and `make`."""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.txt").read_text()
LOCKED = {
    canonicalize_name(requirement.name): requirement
    for requirement in (Requirement(line) for line in LOCK.splitlines() if line and line.lstrip()[0] != "#")
}
DECLARED = [
    Requirement(line)
    for group in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for line in group
]


# Versions


def test_the_lock_pins_every_version():
    for requirement in LOCKED.values():
        (pin,) = requirement.specifier
        assert pin.operator == "==" and "*" not in pin.version and "+" not in pin.version, requirement
        assert not requirement.url and not requirement.extras


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_what_the_project_asks_for_is_in_the_lock(requirement):
    locked = LOCKED[canonicalize_name(requirement.name)]
    (pin,) = locked.specifier
    assert requirement.specifier.contains(pin.version)
    assert locked.marker is None  # wanted on every machine


def test_torch_is_one_release_and_the_machine_chooses_its_build():
    assert str(LOCKED["torch"]) == "torch==2.13.0"
    assert not [name for name in LOCKED if re.match("nvidia|cuda|triton", name)]


def test_the_lock_names_no_server():
    assert not re.search(r"://|--|index|find-links", LOCK)


def test_conda_installs_the_lock_and_the_course():
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python, _, pip = wanted
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    assert pip["pip"] == ["-r requirements.txt", "-e ."]


def test_what_the_code_imports_is_declared():
    rooms = ["utils", "grading", "benchmarks", "examples", "lessons", "web", "tests"]
    files = [ROOT / "make_notebooks.py", *(file for room in rooms for file in (ROOT / room).rglob("*.py"))]
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    imported -= {*sys.stdlib_module_names, *rooms, "make_notebooks"}
    declared = {canonicalize_name(requirement.name) for requirement in DECLARED}
    home = packages_distributions()
    homes = {module: {canonicalize_name(name) for name in home.get(module, [])} for module in imported}
    assert "torch" in imported
    assert {module for module in imported if not homes[module] & declared} == set()


# make


def make(folder, *arguments):
    env = os.environ | {"PYTHONPATH": str(Path(pytest.__file__).parents[1])}  # what builds an empty project
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, env=env)


def test_make_keeps_the_environment_ready(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "empty"\nversion = "1"\n')
    ready, python, kept = (tmp_path / ".venv" / name for name in (".ready", "bin/python", "kept"))

    def set_up():
        run = make(tmp_path, ".venv/.ready", f"PYTHON={sys.executable}")
        assert run.returncode == 0, run.stderr
        assert ready.read_text() == f"{tmp_path}\n"
        subprocess.run([python, "-c", ""], check=True)
        return "Installing" in run.stdout

    assert set_up()
    kept.touch()
    assert not set_up()

    os.utime(tmp_path / "requirements.txt", (time.time() + 1, time.time() + 1))  # a new lock
    assert set_up() and kept.exists()
    os.utime(tmp_path / "requirements.txt", (0, 0))

    ready.write_text("/elsewhere\n")  # the folder was moved
    make(tmp_path, "--dry-run", ".venv/.ready")
    assert not ready.exists()

    ready.write_text(f"{tmp_path}\n")
    python.unlink()
    python.symlink_to("/nowhere/python")  # the Python under it was removed
    make(tmp_path, "--dry-run", ".venv/.ready")
    assert not ready.exists()

    assert set_up() and not kept.exists()  # as after an installation that was cut off: all is made anew


@pytest.mark.parametrize("python", ["no-such-python", "./old-python"])
def test_make_asks_for_a_python_that_is_new_enough(tmp_path, python):
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    script = f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 10)\nexec(sys.argv[2])\n"
    (tmp_path / "old-python").write_text(script)
    (tmp_path / "old-python").chmod(0o755)
    run = make(tmp_path, "test", f"PYTHON={python}")
    assert run.returncode != 0
    assert f"needs Python 3.11 or newer, and '{python}' is not" in run.stderr
    assert "make test PYTHON=python3.12" in run.stderr
    assert not (tmp_path / ".venv").exists()


# On the test machine


SKIPS = """import pytest

def test_a():
    pytest.skip("needs a thing")

@pytest.mark.skipif(True, reason="needs another thing")
def test_b():
    pass

def test_c():
    pytest.skip("not on this system")
"""


@pytest.mark.parametrize(("ci", "summary"), [("true", "1 failed, 1 skipped, 2 errors"), ("", "4 skipped")])
def test_nothing_is_skipped_for_a_need_on_the_test_machine(tmp_path, ci, summary):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_skips.py").write_text(SKIPS)
    (tmp_path / "test_all.py").write_text("import pytest\npytest.skip('needs it', allow_module_level=True)")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --continue-on-collection-errors\n")
    command, env = [sys.executable, "-m", "pytest"], os.environ | {"CI": ci}
    run = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert summary in run.stdout.splitlines()[-1], run.stdout


SLOW = """import pytest

@pytest.mark.slow
def test_slow():
    pass

def test_quick():
    pass
"""


@pytest.mark.parametrize(("options", "summary"), [(["--slow"], "2 passed"), ([], "1 passed, 1 skipped")])
def test_slow_tests_only_run_with_the_option(tmp_path, options, summary):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "pytest", "--strict-markers", "-n", "1", *options]
    env = os.environ | {"CI": "true"}  # where a skip for a missing need would fail
    run = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert summary in run.stdout.splitlines()[-1], run.stdout
