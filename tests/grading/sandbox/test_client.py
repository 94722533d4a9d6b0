"""Without bubblewrap: it is said, it is refused where a sandbox is required, and it still grades."""

import contextlib
import json
import os
import sys
import time
from types import SimpleNamespace

import nbformat
import numpy as np
import psutil
import pytest

from grading.cli import main
from grading.pipeline.assignments import ROOT, assignments
from grading.pipeline.grade import grade
from grading.sandbox import client as module
from grading.sandbox.cases import Case
from grading.sandbox.client import Sandbox, SandboxError, bubblewrap, shared_sandbox

SOLUTION = ROOT / "exercises" / "solution" / "02_attention" / "02_attention.ipynb"


@pytest.fixture(scope="module")
def unprotected():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "bubblewrap", lambda: None)
        sandbox = Sandbox(reviews=False, many=False)
    with sandbox:
        yield sandbox


def test_without_bubblewrap_it_is_said_and_graded(unprotected, monkeypatch, capsys):
    same = contextlib.nullcontext(unprotected)
    monkeypatch.setattr(module, "Sandbox", lambda *args, **settings: same)
    assert main(["check", str(SOLUTION), "--json"]) == 0
    shown, said = capsys.readouterr()
    assert said.startswith("NOT SANDBOXED: ") and "Check only notebooks that you trust" in said
    report = json.loads(shown)
    assert report["sandboxed"] is False and report["score"] == report["max_score"] == 14
    assert report["notes"] == []


def test_a_sandbox_that_is_required_is_not_replaced(monkeypatch, capsys):
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    assert bubblewrap() is None
    assert main(["check", str(SOLUTION), "--require-sandbox"]) == 2
    shown, said = capsys.readouterr()
    assert shown == "" and said.startswith("bubblewrap is needed") and "apt install bubblewrap" in said


def test_an_installed_course_hides_all_that_has_right_answers(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "SHOWN", (*module.SHOWN, str(tmp_path)))
    rooms = {str(tmp_path / room) for room in ("grading", "exercises", "lessons")}
    for room in rooms:
        os.mkdir(room)
    options = module._view()
    assert rooms <= {options[place + 1] for place, option in enumerate(options) if option == "--tmpfs"}


def test_packages_that_the_sandbox_does_not_show_are_told(monkeypatch, tmp_path, capsys):
    """As after `pip install --user`."""
    monkeypatch.setattr(module, "bubblewrap", lambda: "/usr/bin/bwrap")
    monkeypatch.setattr(psutil, "__file__", str(tmp_path / "site-packages" / "psutil" / "__init__.py"))
    assert main(["check", str(SOLUTION)]) == 2
    said = capsys.readouterr().err
    assert f"packages lie in {tmp_path / 'site-packages'}, " in said and "python3 -m venv" in said


def test_a_run_that_began_with_a_sandbox_never_goes_on_without(monkeypatch):
    """However often bubblewrap fails later. The command decides once, and all workers are told."""
    asked = []
    monkeypatch.setattr("grading.pipeline.run.Run.grade", lambda self, *settings: asked.append(settings[3]))
    monkeypatch.setattr("grading.pipeline.run.as_text", lambda rows, assignment: "")
    monkeypatch.setattr("grading.pipeline.executor.prepare", lambda: None)
    for found, expected in ((lambda: "/usr/bin/bwrap", True), (lambda: None, False)):
        monkeypatch.setattr(module, "bubblewrap", found)
        monkeypatch.setattr(Sandbox, "sharing", lambda self, path: contextlib.nullcontext())
        assert main(["grade", "02_attention"]) == 0 and asked.pop() is expected
    assert main(["grade", "02_attention", "--scheduler", "tcp://head:1"]) == 0 and asked.pop() is True
    with pytest.raises(SandboxError, match="bubblewrap is needed to grade safely"):
        Sandbox(require=True)


def test_windows_is_sent_to_linux(monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        assert main(["check", str(SOLUTION)]) == 2
    assert "on Windows, run this command in WSL" in capsys.readouterr().err


@pytest.mark.usefixtures("bubblewrap")
def test_a_bubblewrap_that_fails_once_is_asked_again(monkeypatch):
    failures, run = [OSError(11, "try again"), SimpleNamespace(returncode=1)], module.subprocess.run

    def sometimes(*command, **settings):
        failure = failures.pop() if failures else run(*command, **settings)
        if isinstance(failure, OSError):
            raise failure
        return failure

    monkeypatch.setattr(module.subprocess, "run", sometimes)
    assert bubblewrap() and not failures


def with_a_cell(tmp_path, source):
    notebook = nbformat.read(SOLUTION, 4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(source))
    path = tmp_path / SOLUTION.name
    nbformat.write(notebook, path)
    return path


def has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_without_a_sandbox_nothing_is_left_running_either(unprotected, tmp_path):
    source = """
import os, subprocess
subprocess.Popen(["sleep", "3600"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execlp("sleep", "sleep", "3600")
    os._exit(0)
os.wait()
"""
    before = psutil.Process().children(recursive=True)
    with unprotected.submission() as submission:
        assert submission.run(source, 60)[1] is None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            started = [p for p in psutil.Process().children(recursive=True) if p.name() == "sleep"]
            if len(started) == 2:
                break
            time.sleep(0.05)
    assert len(started) == 2
    left = [None]
    deadline = time.monotonic() + 30  # what is killed takes a moment to end, and the server reaps it later
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        running = [p for p in psutil.Process().children(recursive=True) if p not in before]
        left = [p for p in running if not has_ended(p)]
    assert left == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_without_a_sandbox_a_cell_that_ends_the_process_is_left_out(unprotected, tmp_path):
    report = grade(
        with_a_cell(tmp_path, "import os; os._exit(0)"), unprotected, assignments()["02_attention"]
    )
    assert report.score == report.max_score
    assert report.notes == ("cell 1 was left out: it ended the process that ran it",)


@pytest.mark.usefixtures("bubblewrap")
def test_a_call_imports_nothing(sandbox):
    """Every call runs in a new fork, which would import again what the server has not."""
    cases = [Case("", {"x": np.ones(2)}, pulls=1), Case("", {"x": np.ones(2)}, elsewhere=True)]
    with sandbox.submission() as submission:
        submission.run("import sys\ndef double(x):\n    return 2 * x\nknown = {*sys.modules}", 60)
        assert not any(outcome.error for outcome in submission.cells.ask_all("double", cases, 60))
        assert submission.run("{*sys.modules} - known", 60) == ([{"text": "set()\n"}], None)


@pytest.mark.usefixtures("bubblewrap")
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root")
def test_a_sandbox_that_cannot_be_made_is_not_the_students_fault():
    sandbox = Sandbox(require=True, reviews=False, many=False)
    sandbox.user = 2**40  # no user can have this number
    with sandbox, pytest.raises(SandboxError, match="(?s)no sandbox could be made .*OverflowError"):
        grade(SOLUTION, sandbox)


@pytest.mark.usefixtures("bubblewrap")
def test_workers_share_a_server_and_nothing_else():
    with (
        shared_sandbox(require=True, reviews=False) as (shared, _),
        Sandbox(True, False, shared) as one,
        Sandbox(True, False, shared) as two,
    ):
        servers = [one.server, two.server]
        assert servers[0].pid != servers[1].pid and servers[0].parent() == servers[1].parent()
        with one.submission() as first, two.submission() as second:
            assert first.run("import os; left = 'mine'; open('/tmp/mine', 'w').close()", 60)[1] is None
            outputs, error = second.run("print(os.path.exists('/tmp/mine'))", 60)
            assert error == "NameError"  # not even the import
            assert second.run("import os", 60)[1] is None
            outputs, _ = second.run("print(os.path.exists('/tmp/mine'), 'left' in dir())", 60)
            assert outputs == [{"text": "False False\n"}]
    assert not psutil.wait_procs(servers, timeout=30)[1]


LOOK = """
import errno, ctypes, fcntl, os, struct
libc = ctypes.CDLL(None, use_errno=True)
file = open(os.__file__)
fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
asked = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
others = [fcntl.fcntl(file, command, asked) == asked for command in (fcntl.F_GETLK, 36)]
before = os.sched_getaffinity(0)
os.sched_setaffinity(0, {max(before)})
print(others, libc.inotify_init(), errno.errorcode[ctypes.get_errno()], os.sched_getaffinity(0) == before)
"""


@pytest.mark.usefixtures("bubblewrap")
def test_neighbors_see_nothing_of_each_others_locks_and_have_users_of_their_own():
    with Sandbox(True, False, many=False) as one, Sandbox(True, False, many=False) as two:
        assert abs(one.user - two.user) >= 256
        with one.submission() as first, two.submission() as second:
            seen = [neighbor.run(LOOK, 60)[0] for neighbor in (first, second)]
    assert seen[0] == seen[1] == [{"text": "[True, True] -1 EPERM True\n"}]


@pytest.mark.usefixtures("bubblewrap")
def test_a_server_that_is_gone_is_started_again_and_costs_nobody_a_point():
    with shared_sandbox(True, reviews=False) as (shared, _), Sandbox(True, False, shared) as sandbox:
        for process in (sandbox.server.parent(), sandbox.server):
            process.kill()
        report = grade(SOLUTION, sandbox)
        assert (report.score, report.notes) == (14, ())
        assert isinstance(sandbox.server, psutil.Popen)  # its own, not a fork of the shared one
        for process in psutil.Process(sandbox.server.pid).children(recursive=True):
            process.kill()
        report = grade(SOLUTION, sandbox)
        assert (report.score, report.notes) == (14, ())
