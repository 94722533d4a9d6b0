import contextlib
from functools import cache

import pytest
import torch

from grading.cli import main
from grading.sandbox.calls import call

CALL = cache(call)


@pytest.fixture
def once(monkeypatch):
    """Call an answer on the same case only once."""
    monkeypatch.setattr("grading.sandbox.calls.call", CALL)
    return CALL


@pytest.fixture
def course(sandbox, monkeypatch, capsys, tmp_path):
    """The command line in an empty folder, with the sandbox of this process: (status, output, errors)."""
    same = contextlib.nullcontext(sandbox)
    monkeypatch.setattr("grading.sandbox.client.Sandbox", lambda *args, **settings: same)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The matrices of the checks are small: on one thread they are faster, and their numbers the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
