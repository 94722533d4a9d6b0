"""Grading beyond one process: workers come, go and die, and every submission is graded once."""

import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from examples.make_class import notebook
from grading.pipeline import executor
from grading.pipeline.assignments import ROOT
from grading.pipeline.result import FAILED, GRADED, CheckResult, Result
from grading.sandbox.client import SandboxError
from tests.grading.pipeline.test_run import SLOW, agrees, command, grade, hand_in, verdicts
from tests.grading.points import MOST

STUDENTS = ("ana", "bo", "cy", "di", "eli", "fay")


def submission(path):
    return SimpleNamespace(path=path, data=b"")


def pretend(name, path, data, *how):
    """Stands in the place of grading: what a submission is called says what it does to its process."""
    if path == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "greedy":
        try:
            return Result(GRADED, checks=(CheckResult(str(len(bytearray(2**40))), 1, 1),))
        except MemoryError:
            return Result(GRADED, reason="a limit")
    if path == "endless":
        signal.pause()
    if path == "broken":
        raise KeyError("a mistake in the grader")
    if path == "unprotected":
        raise SandboxError("bubblewrap is needed")
    return Result(GRADED, checks=(CheckResult("length", len(path), 9),), reason=str(how[1]))


@pytest.fixture(scope="module")
def workers():
    with executor.connect(workers=2) as workers:
        yield workers


def grade_each(workers, *paths, **settings):
    queue = map(submission, paths)
    return {s.path: found for s, found in executor.grade_all(workers, "name", queue, "version", **settings)}


def test_what_ends_or_breaks_its_process_is_failed_and_costs_no_other(workers, monkeypatch):
    monkeypatch.setattr(executor, "grade_here", pretend)
    found = grade_each(workers, "one", "deadly", "three", "broken", "unprotected", "greedy", "fifth")
    assert [found[path].score for path in ("one", "three", "fifth")] == [3, 5, 5]
    assert found["deadly"] == Result(FAILED, reason="it ended every process that graded it")
    assert found["broken"].status == FAILED and "a mistake in the grader" in found["broken"].reason
    assert found["unprotected"].status == FAILED and "bubblewrap is needed" in found["unprotected"].reason
    assert found["greedy"].reason == "a limit"


def test_what_takes_too_long_is_ended_while_others_are_graded(workers, monkeypatch):
    monkeypatch.setattr(executor, "grade_here", pretend)
    monkeypatch.setattr(executor, "SECONDS", 15)
    found = grade_each(workers, "endless", "two", "three")
    assert sorted(found) == ["endless", "three", "two"] and [*found][-1] == "endless"
    assert found["endless"] == Result(FAILED, reason="grading it took more than 0.25 minutes")


def test_a_run_draws_few_sets_of_inputs_no_other_run_the_same_and_a_seed_gives_all_one(workers, monkeypatch):
    monkeypatch.setattr(executor, "grade_here", pretend)
    names = [str(number) for number in range(30)]
    first, second = ({found.reason for found in grade_each(workers, *names).values()} for _ in range(2))
    assert 1 < len(first) <= executor.DRAWS and not first & second
    assert {found.reason for found in grade_each(workers, "one", "two", seed=3).values()} == {"3"}


def test_submissions_are_read_when_there_is_a_worker_for_them(workers, monkeypatch):
    monkeypatch.setattr(executor, "grade_here", pretend)
    read = []

    def queue():
        for number in range(40):
            read.append(number)
            yield submission(str(number))

    ahead = [
        len(read) - done for done, _ in enumerate(executor.grade_all(workers, "name", queue(), "version"), 1)
    ]
    assert len(ahead) == 40 and max(ahead) <= 4


def test_another_version_of_the_course_is_refused(workers):
    with pytest.raises(executor.ClusterError, match="another version of the course"):
        list(executor.grade_all(workers, "02_attention", [submission("a")], "0" * 64))


# A scheduler and workers of their own


class Place:
    """Where a process runs: in a network namespace of its own, or just on this machine."""

    def __init__(self, name=None):
        self.prefix = ["ip", "netns", "exec", name] if name else []

    def start(self, *command):
        return subprocess.Popen(
            [*self.prefix, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=ROOT,
        )


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def places():
    """Three places, and the address at which each reaches the first: [(place, address), ...]."""
    head, *others = names = [f"attention{os.getpid()}{letter}" for letter in "abc"]
    found = [(Place(head), "127.0.0.1")]
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "dev", "lo", "up")
        for number, name in enumerate(others, 1):
            ip("-n", head, "link", "add", f"to{number}", "type", "veth", "peer", "name", "out", "netns", name)
            for where, link, host in ((head, f"to{number}", 1), (name, "out", 2)):
                ip("-n", where, "address", "add", f"10.77.{number}.{host}/30", "dev", link)
                ip("-n", where, "link", "set", "dev", link, "up")
            found.append((Place(name), f"10.77.{number}.1"))
    except (OSError, subprocess.CalledProcessError):  # not on Linux, not as root, or not in this container
        found = [(Place(), "127.0.0.1")] * 3
    yield found
    for name in names if found[0][0].prefix else []:
        ip("netns", "delete", name)


@pytest.fixture
def deployed(places, tmp_path):
    """A scheduler, two workers and the command in processes of their own, on a class of six."""
    for student in STUDENTS:
        hand_in(tmp_path, student, notebook(before=[SLOW]))
    started = []

    def start(place, *command):
        started.append(place.start(*command))
        return started[-1]

    (head, _), *others = places
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = 8786 if head.prefix else server.getsockname()[1]
    dask = [sys.executable, "-m"]
    scheduler = start(head, *dask, "distributed.cli.dask_scheduler", "--port", port, "--no-dashboard")
    workers = [
        start(
            place,
            *(*dask, "distributed.cli.dask_worker", f"tcp://{address}:{port}"),
            *("--nthreads", 1, "--no-nanny", "--no-dashboard", "--memory-limit", 0),
            *("--local-directory", tmp_path / f"scratch{number}"),
        )
        for number, (place, address) in enumerate(others)
    ]
    arguments = command(tmp_path, "--seed", "3", "--scheduler", f"tcp://127.0.0.1:{port}")

    def run():
        running = start(head, *arguments)
        while not verdicts(tmp_path) and running.poll() is None:
            time.sleep(0.05)
        return running

    yield SimpleNamespace(course=tmp_path, scheduler=scheduler, workers=workers, run=run)
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.usefixtures("bubblewrap")
def test_a_worker_elsewhere_dies_and_nothing_is_lost(deployed):
    run = deployed.run()
    done = len(verdicts(deployed.course))
    deployed.workers[0].kill()
    output, _ = run.communicate(timeout=240)
    assert run.returncode == 0, output
    assert 1 <= done < len(STUDENTS)
    found = verdicts(deployed.course)
    assert {student: found[student]["score"] for student in found} == dict.fromkeys(STUDENTS, MOST)
    assert agrees(deployed.course)


@pytest.mark.slow
@pytest.mark.usefixtures("bubblewrap")
def test_the_scheduler_dies_and_the_next_run_does_the_rest(deployed):
    run = deployed.run()
    deployed.scheduler.kill()
    output, _ = run.communicate(timeout=240)
    assert run.returncode == 2 and "scheduler was lost" in output, output
    kept = verdicts(deployed.course)
    assert 1 <= len(kept) < len(STUDENTS)
    again = grade(deployed.course, "--seed", "3", "--workers", "2")
    assert again.returncode == 0, again.stderr
    found = verdicts(deployed.course)
    assert {student: found[student]["score"] for student in found} == dict.fromkeys(STUDENTS, MOST)
    assert {student: found[student] for student in kept} == kept
    assert agrees(deployed.course)
