"""Grade many submissions at once: in processes on this machine, or on many machines with dask.distributed.

Each submission is graded in a process apart, in which the judge has limits on time and memory: whatever an
answer does to it, no other submission waits or is lost. The notebook's bytes travel there and the verdict
travels back, so that workers need the course, but no shared disk and no gradebook. Each process keeps one
warm sandbox.
"""

import asyncio
import atexit
import contextlib
import itertools
import logging
import multiprocessing
import os
import secrets
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import forkserver

import psutil

from grading.pipeline import result
from grading.pipeline.assignments import NotGradable, assignments
from grading.pipeline.result import FAILED, NOT_GRADABLE, Result
from grading.sandbox.limits import resource

MEMORY = 2 * 2**30  # bytes that one process is likely to need
JUDGE = 2 * 2**30  # bytes that a judge may take beyond what it has loaded
SECONDS = 900  # for a submission in all: its cells, its answers and the judge
TRIES = 2
DRAWS = 4  # sets of inputs per run: the judge computes what is right once for each
FIND_SECONDS = 30  # to reach a scheduler
FORKS = sys.platform == "linux"  # a fork of a process that has loaded much is not safe everywhere


class ClusterError(Exception):
    """The workers cannot grade at all; the text says why and what to do."""


# In the process that grades


@lru_cache
def warm_sandbox(require, reviews, shared):
    """This process's sandbox: made for its first submission, and closed with the process."""
    from grading.sandbox.client import Sandbox

    sandbox = Sandbox(require, reviews, shared)
    sandbox.__enter__()
    atexit.register(sandbox.__exit__)
    return sandbox


def grade_here(name, path, data, version, seed=None, require=False, shared=None):
    """Grade a submission's bytes in this process, and return its `Result`."""
    from grading.pipeline.grade import grade

    assignment, here = _known(name)
    if here != version:
        raise ClusterError(
            f"the worker on {os.uname().nodename} has another version of the course than the one that called "
            f"it: bring both to the same version, restart the worker, and run the command again"
        )
    try:
        return grade(path, warm_sandbox(require, assignment.reviews, shared), assignment, seed, data)
    except NotGradable as problem:
        return Result(NOT_GRADABLE, reason=str(problem))


@lru_cache
def _known(name):
    """An assignment and the version that this process has loaded, also if the files change later."""
    assignment = assignments()[name]
    return assignment, result.version(assignment)


def _serve(connection, core):
    """Do what is asked for until nobody asks any more. Send (True, what it gave) or (False, the error)."""
    import torch

    torch.set_num_threads(1)
    if core is not None:  # the sandbox stays on it, too: they take turns, and waking another takes longer
        os.sched_setaffinity(0, {core})
    if resource:
        most = psutil.Process().memory_info().vms + JUDGE
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            function, arguments = connection.recv()
            try:
                answer = True, function(*arguments)
            except Exception as error:
                answer = False, error
            connection.send(answer)


class Ended(Exception):
    """The process that graded is gone."""


class TooLong(Exception):
    """The process that graded gave no answer in time."""


class Grader:
    """A process that grades one submission after the other, and is replaced if that goes wrong."""

    def __init__(self, core=None):
        self.core, self.process, self.stopped = core, None, False

    def run(self, function, *arguments):
        """Call the function there. Return a `Result` with the status FAILED if it fails again and again."""
        for _ in range(TRIES):
            try:
                return self._ask(function, arguments)
            except ClusterError:
                raise
            except TooLong:
                reason = f"grading it took more than {SECONDS / 60:g} minutes"
                break
            except Ended:
                reason = "it ended every process that graded it"
            except Exception as error:
                reason = f"the grader itself failed on it: {type(error).__name__}: {error}"
                self.end()
        return Result(FAILED, reason=reason)

    def _ask(self, function, arguments):
        if not self.process:
            self._start()
        try:
            self.connection.send((function, arguments))
            if not self.connection.poll(SECONDS):
                raise TooLong
            good, answer = self.connection.recv()
        except (OSError, EOFError, TooLong) as error:
            self.end()
            raise error if isinstance(error, TooLong) else Ended from None
        if not good:
            raise answer
        return answer

    def _start(self):
        if self.stopped:
            raise ClusterError("the run was stopped")
        multiprocessing.current_process()._config["daemon"] = False  # as a worker of dask, it may start none
        context = multiprocessing.get_context("forkserver" if FORKS else "spawn")
        self.connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.core), daemon=True)
        process.start()
        self.process = process  # only now, because `stop` may kill it
        theirs.close()

    def end(self):
        """End the process, and its sandbox with it."""
        if self.process:
            self.process.kill()
            self.process.join()
            self.connection.close()
        self.process = None

    def stop(self):
        """End the process from another thread, and start no other."""
        self.stopped = True
        if process := self.process:
            process.kill()


_mine = threading.local()


def apart(function, *arguments):
    """Call a function in the process that belongs to this thread."""
    if not hasattr(_mine, "grader"):
        _mine.grader = Grader()
    return _mine.grader.run(function, *arguments)


# In the command


def prepare():
    """Start loading what workers on this machine need, in a process of which they will be forks."""
    if FORKS:
        forkserver.set_forkserver_preload(["grading.pipeline.warm"])
        forkserver.ensure_running()


@dataclass(frozen=True)
class Workers:
    """`submit` returns a future of concurrent.futures, and `most` says how many may be under way."""

    submit: object
    most: object


@contextlib.contextmanager
def connect(workers=None, scheduler=None):
    """Yield `Workers`: processes on this machine, or those of a dask scheduler that runs somewhere."""
    if scheduler is None:
        with _local(workers or default_workers()) as found:
            yield found
        return
    from distributed import Client

    for logger in ("distributed", "distributed.client"):  # what goes wrong is told by the course
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        try:
            client = stack.enter_context(Client(scheduler, timeout=FIND_SECONDS, set_as_default=False))
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(
                f"no dask scheduler answers at {scheduler} ({error}): start one with `dask scheduler`, and "
                f"give its address as tcp://HOST:8786"
            ) from None
        pool = client.get_executor(pure=False)
        yield Workers(pool.submit, lambda: max(2, 2 * sum(client.nthreads().values())))


@contextlib.contextmanager
def _local(workers):
    """Threads that each have a process. If they are as many as the cores, each process stays on one."""
    prepare()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    graders = [Grader(cores[i % len(cores)] if 0 < len(cores) <= workers else None) for i in range(workers)]
    free = iter(graders)
    threads = ThreadPoolExecutor(workers, initializer=lambda: setattr(_mine, "grader", next(free)))
    try:
        yield Workers(threads.submit, lambda: workers + 1)  # one waits, so that no process does
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for grader in graders:
            grader.stop()


def default_workers():
    """One for each core, as far as the memory reaches."""
    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().available // MEMORY))


def grade_all(workers, name, submissions, version, seed=None, require=False, shared=None):
    """Yield (submission, result) as they are done. Submissions have a `path` and their `data`.

    `shared` is the socket of a sandbox that processes on this machine share, see `grading.sandbox`. Few
    submissions are under way at a time, so that memory stays flat. One that is graded again, because its
    process ended, is asked the same.
    """
    queue, running = iter(submissions), {}
    seeds = [seed] if seed is not None else [secrets.randbits(32) for _ in range(DRAWS)]
    while True:
        with _scheduler_needed():
            most = max(0, workers.most() - len(running))
        for submission in itertools.islice(queue, most):
            drawn = secrets.choice(seeds)
            arguments = name, submission.path, submission.data, version, drawn, require, shared
            with _scheduler_needed():
                running[workers.submit(apart, grade_here, *arguments)] = submission
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            with _scheduler_needed():
                error = future.exception()
            if isinstance(error, ClusterError):
                raise error
            failed = error and Result(FAILED, reason=f"its worker was lost: {type(error).__name__}: {error}")
            yield running.pop(future), failed or future.result()


@contextlib.contextmanager
def _scheduler_needed():
    """Say so where the scheduler is gone. dask tells it in several ways."""
    try:
        yield
    except (OSError, RuntimeError, asyncio.CancelledError, CancelledError) as error:
        raise ClusterError(
            "the dask scheduler was lost: what was graded is kept, so start it and run the command again"
        ) from error
