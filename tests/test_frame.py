"""The frame: what is installed, `make`, and how pytest runs here."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from grading.cli import parser

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = {
    name: [Requirement(line) for line in lines]
    for name, lines in {"students": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items()
}
LOCKS = {  # and the groups that each one holds
    "requirements.txt": ["students"],
    "requirements-instructors.txt": ["students", "instructors"],
    "requirements-tests.txt": [*GROUPS],
}
TOOLS = {"furo", "myst-nb", "psycopg", "pytest-timeout", "pytest-xdist", "ruff", "uv"}


def locked(lock):
    """Return the requirements of a lock by name."""
    lines = (ROOT / lock).read_text().splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def declared(*groups):
    return {canonicalize_name(requirement.name) for group in groups for requirement in GROUPS[group]}


def imported(*rooms):
    """Return what the code of some rooms imports, apart from Python's own modules and the course's."""
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - {*sys.stdlib_module_names, *ROOMS, "make_notebooks"}


ROOMS = ["utils", "lessons", "grading", "benchmarks", "examples", "web", "tests"]


# Versions


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_version_and_names_no_server(lock):
    assert not re.search(r"://|--|index|find-links", (ROOT / lock).read_text())
    for requirement in locked(lock).values():
        (pin,) = requirement.specifier
        assert pin.operator == "==" and "*" not in pin.version and "+" not in pin.version, requirement
        assert not requirement.url and not requirement.extras


@pytest.mark.parametrize(("lock", "groups"), LOCKS.items())
def test_a_lock_holds_what_its_groups_ask_for(lock, groups):
    found = locked(lock)
    for requirement in (requirement for group in groups for requirement in GROUPS[group]):
        pinned = found[canonicalize_name(requirement.name)]
        (pin,) = pinned.specifier
        assert requirement.specifier.contains(pin.version)
        assert pinned.marker is None  # wanted on every machine


def test_a_larger_lock_holds_the_smaller_ones():
    students, instructors, tests = (
        {(name, str(pinned.specifier)) for name, pinned in locked(lock).items()} for lock in LOCKS
    )
    assert students < instructors < tests


def test_students_do_not_install_what_only_others_need():
    others = {"dask", "distributed", "playwright", "psycopg", "pyarrow", "ruff", "sphinx"}
    assert others <= locked("requirements-tests.txt").keys()
    assert not others & locked("requirements.txt").keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_torch_is_one_release_and_the_machine_chooses_its_build(lock):
    assert str(locked(lock)["torch"]) == "torch==2.13.0"
    assert not [name for name in locked(lock) if re.match("nvidia|cuda|triton", name)]


def test_conda_installs_the_lock_and_the_course():
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python, _, pip = wanted
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    assert pip["pip"] == ["-r requirements.txt", "-e ."]


def test_every_import_is_declared_and_every_declaration_is_used():
    homes = packages_distributions()

    def undeclared(modules, names):
        return {m for m in modules if not names & {canonicalize_name(name) for name in homes.get(m, [])}}

    everything = imported(*ROOMS) | {"jupytext", "nbclient"}  # make_notebooks.py imports these two
    everything -= {"eflomal", "joeynmt"}  # a benchmark uses each of them if it is installed
    used = {canonicalize_name(name) for module in everything for name in homes[module]}
    assert undeclared(everything, declared(*GROUPS)) == set()
    assert declared(*GROUPS) - used == TOOLS
    assert undeclared(imported("utils", "lessons"), declared("students", "wmt14")) == set()


# make


def make(folder, *arguments):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    env["PYTHONPATH"] = str(folder)
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, env=env)


def test_make_keeps_the_environment_ready(tmp_path):
    """With a Python that makes environments without pip, and a pip that only says what it was asked for."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pip.py").write_text("import sys\nprint('pip', *sys.argv[1:])")
    quick = tmp_path / "quick-python"
    quick.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" $([ "$2" = venv ] && echo --without-pip)\n')
    quick.chmod(0o755)
    locks = [tmp_path / lock for lock in LOCKS]
    for lock in locks:
        lock.write_text("")
    (tmp_path / "pyproject.toml").write_text("")
    python, kept = (tmp_path / ".venv" / name for name in ("bin/python", "kept"))
    students, instructors, tests = ((tmp_path / ".venv" / lock).with_suffix(".ok") for lock in LOCKS)

    def installs(stamp):
        run = make(tmp_path, stamp.relative_to(tmp_path), f"PYTHON={quick}", "FIRST=sys")
        assert run.returncode == 0, run.stderr
        assert stamp.read_text() == f"{tmp_path}\n"
        subprocess.run([python, "-c", ""], check=True)
        asked = re.findall(r"^pip install .*(--requirement|--editable) (.+)$", run.stdout, re.M)
        assert asked in ([], [("--requirement", f"{stamp.stem}.txt"), ("--editable", ".")])
        return bool(asked)

    assert installs(students) and not tests.exists()
    kept.touch()
    assert not installs(students)
    assert installs(tests) and kept.exists()  # the larger lock, into the same environment
    assert not installs(instructors) and not installs(students)

    os.utime(locks[0], (time.time() + 1, time.time() + 1))  # a new lock
    assert installs(students) and kept.exists() and not tests.exists()
    os.utime(locks[0], (0, 0))

    students.write_text("/elsewhere\n")  # the folder was moved
    make(tmp_path, "--dry-run", students)
    assert not students.exists()

    students.write_text(f"{tmp_path}\n")
    python.unlink()
    python.symlink_to("/nowhere/python")  # the Python under it was removed
    make(tmp_path, "--dry-run", students)
    assert not students.exists()

    assert installs(students) and not kept.exists()  # as after an interrupted installation


@pytest.mark.parametrize("python", ["no-such-python", "./old-python"])
def test_make_asks_for_a_python_that_is_new_enough(tmp_path, python):
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    script = f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 10)\nexec(sys.argv[2])\n"
    (tmp_path / "old-python").write_text(script)
    (tmp_path / "old-python").chmod(0o755)
    run = make(tmp_path, "test", f"PYTHON={python}")
    assert run.returncode != 0
    assert f"needs Python 3.11 or newer, and '{python}' is not" in run.stderr
    assert "make test PYTHON=python3.12" in run.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_wheel_brings_a_course_that_checks_an_exercise_anywhere_and_holds_no_solution(tmp_path):
    source, place = tmp_path / "source", tmp_path / "dossier d'élève"
    ignored = shutil.ignore_patterns("__pycache__", "solution")
    for room in ("utils", "grading", "demo", "exercises", "benchmarks/results"):
        shutil.copytree(ROOT / room, source / room, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "nbgrader_config.py"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip"]
    wheel = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", tmp_path, source]
    subprocess.run(wheel, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    install = [*pip, "--python", place / "venv", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    (packages,) = (place / "venv").glob("lib/python*/site-packages")
    assert list(packages.glob("exercises/starter/*/*.ipynb")) and not list(packages.glob("**/solution"))
    assert (packages / "benchmarks" / "results" / "demo_01.json").exists()  # which the lesson reads
    assert all((packages / "utils" / "explorer" / f"explorer.{kind}").exists() for kind in ("js", "css"))
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # as if they had been downloaded

    def course(*words):
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": ""}
        command = [place / "venv" / "bin" / "course", *words]
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "notebooks copied" in course("start")
    assert course("check", "02").startswith("02_attention: 0 of ")


def test_containers_name_files_targets_and_commands_that_exist():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    docker = (ROOT / "Dockerfile").read_text()
    (image,) = re.findall("^FROM (.+)$", docker, re.M)
    assert image == container["image"]
    for commands in (docker.split("FROM")[1], container["postCreateCommand"]):
        (target,) = re.findall(r"make (\S+)", commands)
        assert "bubblewrap" in commands and make(ROOT, "--dry-run", target).returncode == 0
    (words,) = re.findall("^CMD (.+)$", docker, re.M)
    assert parser().parse_args(json.loads(words)).assignment == "02_attention"
    students = re.search("# submissions.*\n((?:.+\n)+)", (ROOT / ".gitignore").read_text())[1].split()
    left_out = {f"**/{name.rstrip('/')}" for name in students}
    assert len(left_out) > 5
    assert {".git", "**/.venv"} | left_out <= {*(ROOT / ".dockerignore").read_text().split()}


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


OPTIONS = """import pytest
import signal
import subprocess
import sys

@pytest.mark.slow
def test_slow():
    pass

def test_ctrl_c():
    program = "import signal; signal.raise_signal(signal.SIGINT)"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert "KeyboardInterrupt" in subprocess.run([sys.executable, "-c", program], stderr=-1, text=True).stderr
"""


@pytest.mark.parametrize(("options", "summary"), [(["--slow"], "2 passed"), ([], "= 1 passed")])
def test_slow_tests_only_run_with_the_option_and_ctrl_c_works_in_a_background_job(tmp_path, options, summary):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_options.py").write_text(OPTIONS)
    command = [sys.executable, "-m", "pytest", "--strict-markers", "-n", "1", *options]
    env = os.environ | {"CI": "true"}  # where a skip for a missing need would fail
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert summary in run.stdout.splitlines()[-1], run.stdout
