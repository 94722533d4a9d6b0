"""Start workers in a sandbox, and talk to them: the outside of `grading.worker`.

bubblewrap gives the fork server a system of which it can read only Python, the course's `utils` and the
worker itself, and no network; every submission is then parted from all others. Where bubblewrap is
missing, the same worker runs with what limits the system has, and says that it is not sandboxed.
"""

import contextlib
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from grading.wire import WireError
from grading.worker import MEMORY, Channel

ROOT = Path(__file__).resolve().parents[1]
FOR_THE_WORKER = ("__init__.py", "calls.py", "wire.py", "worker.py", "drives")
SNAPSHOTS = 24  # as many checks as one notebook may have
START_SECONDS = 120


class Lost(Exception):
    """The worker ended, hung or spoke nonsense; the text says which, in words for the student."""


class SandboxError(Exception):
    """The sandbox cannot be had; the text says why."""


def bubblewrap():
    """The command that starts a sandbox, or None where this system has none that works."""
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    if not program:
        return None
    trial = [program, *_view(), "--", sys.executable, "-c", "pass"]
    works = subprocess.run(trial, capture_output=True, timeout=60, env=_environment()).returncode == 0
    return program if works else None


def _environment():
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "HOME": "/tmp",
        "USER": "student",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp/.matplotlib",
        "IPYTHONDIR": "/tmp/.ipython",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "random",
        "ATTENTION_DATA": "/tmp/data",
    }


def _view():
    """What bubblewrap shows: Python, the system's libraries, `utils`, and the worker's side of `grading`."""
    options = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.getuid() == 0:
        options += ["--cap-drop", "ALL"]
        for capability in ("SYS_ADMIN", "SETUID", "SETGID", "SETPCAP"):
            options += ["--cap-add", f"CAP_{capability}"]
    else:
        options += ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    options += ["--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for folder in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(folder):
            options += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            options += ["--ro-bind", folder, folder]
    shown = ["/usr", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"]
    shown += [sys.base_prefix, sys.prefix]
    shown += [str(ROOT / "utils"), *(str(ROOT / "grading" / name) for name in FOR_THE_WORKER)]
    parents = dict.fromkeys(str(parent) for path in shown for parent in reversed(Path(path).parents))
    for parent in parents:
        if parent != "/" and not any(Path(parent).is_relative_to(path) for path in shown):
            options += ["--perms", "0755", "--dir", parent]
    for path in shown:
        options += ["--ro-bind-try", path, path]
    return [*options, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]


class Sandbox:
    """A fork server that is ready for one submission after the other. Use it in a `with` statement.

    `sandboxed` says if bubblewrap holds it; with `require`, a system without it is a SandboxError.
    """

    def __init__(self, require=False):
        self.program = bubblewrap()
        if require and not self.program:
            raise SandboxError(
                "bubblewrap is needed to grade safely, and this system has none that works: install it "
                "(Debian and Ubuntu: apt install bubblewrap), or grade without --require-sandbox"
            )
        self.sandboxed = bool(self.program)
        self.server = self.control = None

    def __enter__(self):
        self._start()
        return self

    def __exit__(self, *error):
        self._stop()

    def _start(self):
        self.control, theirs = socket.socketpair()
        worker = [sys.executable, "-m", "grading.worker", str(theirs.fileno())]
        environment = _environment()
        if self.program:
            user = 20_000 + os.getpid() % 40_000  # limits on processes count by user: one for each sandbox
            options = ["--isolate", "--user", str(user)]
            command = [self.program, *_view(), "--setenv", "PYTHONPATH", str(ROOT), "--", *worker, *options]
        else:
            environment = {**os.environ, **{k: v for k, v in environment.items() if k.endswith("THREADS")}}
            command, environment = worker, {**environment, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
        with tempfile.TemporaryFile() as errors:
            self.server = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
            theirs.close()
            self.control.settimeout(START_SECONDS)
            try:
                ready = self.control.recv(1) == b"r"
            except TimeoutError:
                ready = False
            if not ready:
                self._stop()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()[-2000:]
                raise SandboxError(f"the sandbox did not start: {said or 'it said nothing'}")

    def _stop(self):
        if self.control:
            self.control.close()
        if self.server:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.server.pid, 9)
            self.server.kill()
            self.server.wait()
        self.server = self.control = None

    @contextlib.contextmanager
    def submission(self, memory=MEMORY):
        """A fresh `Submission`; when the `with` statement ends, nothing of it is left running."""
        if self.server is None or self.server.poll() is not None:
            self._stop()
            self._start()
        ours, theirs = zip(*(socket.socketpair() for _ in range(2 + SNAPSHOTS)), strict=True)
        try:
            socket.send_fds(self.control, [b"n"], [sock.fileno() for sock in theirs])
        finally:
            for sock in theirs:
                sock.close()
        watch = Watch(self.server.pid, memory, lambda: ours[0].shutdown(socket.SHUT_RDWR))
        lines = [Line(sock, watch) for sock in ours[1:]]
        try:
            yield Submission(lines[0], lines[1:])
        finally:
            watch.stop()
            for sock in ours:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
            self._wait_for_the_end()

    def _wait_for_the_end(self):
        try:
            self.control.settimeout(10)
            self.control.sendall(b"w")
            ended = self.control.recv(1) == b"e"
        except OSError:
            ended = False
        if not ended:  # something would not die with its namespace: end the whole server, a new one is made
            self._stop()


class Watch:
    """Calls `end` when the processes below a server hold too much memory together."""

    def __init__(self, server, memory, end, every=0.5):
        self.server, self.memory, self.end, self.every = psutil.Process(server), memory, end, every
        self.base = max(self._held())  # a fork shares what the server has loaded
        self.broken, self.done = None, threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        self.done.set()

    def _held(self):
        """The memory of every process in bytes."""
        held = []
        for process in (self.server, *self.server.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                held.append(process.memory_info().rss)
        return held

    def _run(self):
        with contextlib.suppress(psutil.Error):
            while not self.done.wait(self.every):
                if sum(max(0, held - self.base) for held in self._held()) > self.memory:
                    self.broken = f"it used more than {self.memory / 2**30:.0f} GiB of memory in all"
                    return self.end()


class Line:
    """A socket to the worker, read with a time limit."""

    def __init__(self, sock, watch):
        self.sock, self.watch = sock, watch
        self.channel = Channel.of_socket(sock)
        self.replies = queue.SimpleQueue()
        self.reader = None

    def ask(self, order, seconds):
        """Send an order and give the reply. Raise Lost if none comes in time, or nonsense does."""
        if self.reader is None:
            self.reader = threading.Thread(target=self._read, daemon=True)
            self.reader.start()
        started = time.monotonic()
        try:
            self.channel.send(order)
            reply = self.replies.get(timeout=seconds)
        except queue.Empty:
            raise Lost(f"it did not finish within {seconds:.0f} seconds") from None
        except OSError:
            reply = EOFError()
        if isinstance(reply, EOFError | OSError):
            raise Lost(self.watch.broken or "it ended the process that ran it")
        if isinstance(reply, Exception):
            raise Lost("it sent what is no reply")
        self.seconds = time.monotonic() - started
        return reply

    def _read(self):
        try:
            while True:
                self.replies.put(self.channel.receive())
        except (EOFError, OSError, WireError, ValueError, MemoryError) as error:
            self.replies.put(error)


class Submission:
    """The processes of one submission: cells run in one, and each snapshot of it answers calls."""

    def __init__(self, cells, snapshots):
        self.cells, self.snapshots, self.taken = cells, snapshots, 0

    def run(self, source, seconds):
        """Run a cell: its outputs and the name of its error, or None."""
        reply = self.cells.ask({"run": source}, seconds)
        if not isinstance(reply, dict):
            raise Lost("it sent what is no reply")
        outputs, error = reply.get("outputs"), reply.get("error")
        outputs = [o for o in outputs if isinstance(o, dict)] if isinstance(outputs, list) else []
        return outputs, error if isinstance(error, str) or error is None else "Exception"

    def snapshot(self, seconds):
        """Keep the state of the cells as it is now, to call it later: the line to it."""
        line = self.snapshots[self.taken]
        self.cells.ask({"snapshot": self.taken, "seconds": seconds}, 10)
        self.taken += 1
        return line
