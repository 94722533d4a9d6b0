"""Grade many submissions at once, on this machine or on many: dask.distributed is the engine.

A task is one submission. The notebook's bytes travel to a worker and the verdict travels back, so that
workers need the course, but no shared disk and no gradebook. Each worker process keeps one warm sandbox.
"""

import asyncio
import atexit
import contextlib
import itertools
import logging
import os
import sys
import tempfile
import uuid
from functools import lru_cache
from multiprocessing import forkserver

import psutil

from grading.pipeline import result
from grading.pipeline.assignments import NotGradable, assignments
from grading.pipeline.result import FAILED, NOT_GRADABLE, Result

MEMORY = 2 * 2**30  # bytes that one worker is likely to need
RETRIES = 2
FIND_SECONDS = 30  # to reach a scheduler
FORKS = sys.platform == "linux"  # a fork of a process that has loaded much is not safe everywhere


class ClusterError(Exception):
    """The workers cannot grade at all; the text says why and what to do."""


# In the worker


@lru_cache
def warm_sandbox(require, reviews, shared, full):
    """This process's sandbox: made for its first submission, and closed with the process."""
    import torch

    from grading.sandbox.client import Sandbox, SandboxError

    if full:
        keep_to_a_core()
    torch.set_num_threads(1)  # there is a worker for every core
    try:
        sandbox = Sandbox(require, reviews, shared)
    except SandboxError as error:
        raise ClusterError(str(error)) from None
    sandbox.__enter__()
    atexit.register(sandbox.__exit__)
    return sandbox


def keep_to_a_core():
    """Stay on one core, and the sandbox with it: they take turns, and waking another core takes longer."""
    from distributed import get_worker

    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[get_worker().name % len(cores)]})


def grade_here(name, path, data, version, seed=None, require=False, shared=None, full=False):
    """Grade a submission's bytes in this process, and return its `Result`."""
    from grading.pipeline.grade import grade

    assignment, here = _known(name)
    if here != version:
        raise ClusterError(
            f"the worker on {os.uname().nodename} has another version of the course than the one that called "
            f"it: bring both to the same version, start the worker anew, and run the command again"
        )
    try:
        sandbox = warm_sandbox(require, assignment.reviews, shared, full)
        return grade(path, sandbox, assignment, seed, data)
    except NotGradable as problem:
        return Result(NOT_GRADABLE, reason=str(problem))


@lru_cache
def _known(name):
    """An assignment and the version that this process has loaded, also if the files change later."""
    assignment = assignments()[name]
    return assignment, result.version(assignment)


# In the command


def prepare():
    """Start loading what workers on this machine need, in a process of which they will be forks."""
    if FORKS:
        forkserver.set_forkserver_preload(["grading.pipeline.warm"])
        forkserver.ensure_running()


@contextlib.contextmanager
def connect(workers=None, scheduler=None):
    """A dask client: of a cluster of processes on this machine, or of a scheduler that runs somewhere."""
    import dask
    from distributed import Client, LocalCluster

    for logger in ("distributed", "distributed.client"):  # what goes wrong is told by the course
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            dask.config.set(
                {
                    "temporary-directory": folder,
                    "distributed.scheduler.allowed-failures": 1,  # then it is graded alone: see grade_all
                    # what watches dask's own work would take part of what it watches
                    "distributed.worker.profile.enabled": False,
                    "distributed.admin.tick.interval": "1s",
                    "distributed.admin.low-level-log-length": 100,
                    "distributed.admin.system-monitor.interval": "10s",
                }
            )
            if FORKS:
                prepare()
                dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
            scheduler = stack.enter_context(
                LocalCluster(
                    n_workers=workers or default_workers(),
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    memory_limit=0,  # what a submission may use is limited by its sandbox
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            client = stack.enter_context(Client(scheduler, timeout=FIND_SECONDS, set_as_default=False))
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(
                f"no dask scheduler answers at {scheduler} ({error}): start one with `dask scheduler`, and "
                f"give its address as tcp://HOST:8786"
            ) from None
        yield client


def default_workers():
    """One for each core, as far as the memory reaches."""
    return max(1, min(os.cpu_count() or 1, psutil.virtual_memory().available // MEMORY))


def grade_all(client, name, submissions, version, seed=None, require=False, shared=None):
    """Yield (submission, result) as they are done. Submissions have a `path` and their `data`.

    `shared` is the socket of a sandbox that workers on this machine share, see `grading.sandbox`.

    Few are under way at a time, so that memory stays flat. A worker that dies has its submission graded by
    another. One that was there when several workers died is graded again at the end, with no other beside
    it, and is given up only if it ends a worker there too.
    """
    full = shared is not None and sum(client.nthreads().values()) >= len(os.sched_getaffinity(0))
    suspects = []
    for alone in (False, True):
        queue = iter(suspects) if alone else iter(submissions)
        suspects = []
        how = version, seed, require, shared, full
        for submission, verdict in _in_parallel(client, name, queue, how, alone):
            if verdict is None and not alone:
                suspects.append(submission)
            else:
                yield submission, verdict or _failed("it ended every process that graded it")


def _in_parallel(client, name, queue, how, alone):
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    running, done = {}, as_completed(loop=client.loop)
    while True:
        with _scheduler_needed():
            most = 1 if alone else max(2, 2 * sum(client.nthreads().values()))
        for submission in itertools.islice(queue, max(0, most - len(running))):
            arguments = name, submission.path, submission.data, *how
            with _scheduler_needed():
                key = f"grade-{uuid.uuid4().hex}"
                future = client.submit(grade_here, *arguments, key=key, retries=RETRIES)
            running[future.key] = submission
            done.add(future)
        if not running:
            return
        with _scheduler_needed():
            future = next(done)
            if future.status == "cancelled":
                raise OSError
        if future.status == "lost":  # the worker that had the verdict is gone: dask has it made again
            done.add(future)
            continue
        submission = running.pop(future.key)
        try:
            verdict = future.result()
        except KilledWorker:
            verdict = None
        except ClusterError:
            raise
        except Exception as error:
            verdict = _failed(f"the grader itself failed on it: {type(error).__name__}: {error}")
        future.release()
        yield submission, verdict


@contextlib.contextmanager
def _scheduler_needed():
    """Say so where the scheduler is gone. dask tells it in several ways."""
    try:
        yield
    except (OSError, RuntimeError, asyncio.CancelledError) as error:
        raise ClusterError(
            "the dask scheduler was lost: what was graded is kept, so start it and run the command again"
        ) from error


def _failed(reason):
    return Result(FAILED, reason=reason)
