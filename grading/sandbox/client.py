"""Start workers in a sandbox, and talk to them: the outside of `grading.sandbox.server`.

bubblewrap gives the fork server a system of which it can read only Python, the course's `utils` and the
worker itself, and no network; every submission is then parted from all others. Where bubblewrap is
missing, the same worker runs with what limits the system has, and says that it is not sandboxed.
"""

import base64
import contextlib
import glob
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from functools import lru_cache
from pathlib import Path

import psutil

from grading import CourseError
from grading.pipeline.assignments import readable
from grading.sandbox.limits import MEMORY, PICTURE, PICTURES, TEXT, USERS
from grading.sandbox.namespaces import BEFORE
from grading.sandbox.protocol import LARGEST, WireError, decode, frame
from grading.sandbox.seccomp import ARCHITECTURES

ROOT = Path(__file__).resolve().parents[2]
INSIDE = ("calls", "cases", "limits", "linux", "namespaces", "protocol", "seccomp", "server", "__init__")
PROGRAMS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")  # often links into /usr
SHOWN = ("/usr", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", sys.base_prefix, sys.prefix)
SNAPSHOTS = 24  # as many checks as one notebook may have
START_SECONDS = 120
ALL_TEXT, ALL_PICTURES = 10 * TEXT, 5 * PICTURES  # kept of a notebook's output, as of a cell's


class Lost(Exception):
    """The worker ended, hung or spoke nonsense; the text says which, in words for the student."""


class TooSlow(Lost):
    """The worker did not answer in time."""


class SandboxError(CourseError):
    """The sandbox cannot be had; the text says why."""


def bubblewrap():
    """The command that starts a sandbox, or None where this system has none that works."""
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    if not program or platform.machine() not in ARCHITECTURES:
        return None
    trial = [program, *_view(), "--", sys.executable, "-I", "-S", "-c", "pass"]
    for wait in (0, 0.5, 2):  # the system may be short of processes for a moment
        time.sleep(wait)
        with contextlib.suppress(OSError):
            if subprocess.run(trial, capture_output=True, timeout=60, env=_environment()).returncode == 0:
                return program
    return None


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
        "ATTENTION_GRADING": "1",
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
    options += [part for folder in PROGRAMS for part in _system(folder)]
    shown = [*SHOWN, str(ROOT / "utils"), str(ROOT / "grading" / "__init__.py")]
    shown += [str(ROOT / "grading" / "sandbox" / f"{name}.py") for name in INSIDE]
    shown += map(str, ROOT.glob("grading/exercises/*/harness.py"))
    parents = dict.fromkeys(str(parent) for path in shown for parent in reversed(Path(path).parents))
    for parent in parents:
        if parent != "/" and not any(Path(parent).is_relative_to(path) for path in shown):
            options += ["--perms", "0755", "--dir", parent]
    own = [path for path in shown if Path(path).is_relative_to(ROOT)]
    options += [part for path in shown if path not in own for part in ("--ro-bind-try", path, path)]
    hidden = []  # what lies in a folder that is shown, and is nobody's to read
    cloned = (ROOT / "pyproject.toml").exists()  # else this is a folder of packages, installed from a wheel
    rooms = [ROOT] if cloned else [ROOT / name for name in ("grading", "exercises", "lessons")]
    for path in (*map(str, rooms), "/usr/local/share/nbgrader", "/usr/local/share/jupyter/nbgrader"):
        if os.path.isdir(path) and any(Path(path).is_relative_to(other) for other in shown):
            hidden += [path]
            options += ["--tmpfs", path]
    options += [part for path in own for part in ("--ro-bind-try", path, path)]
    options += ["--dir", BEFORE]
    for path in (*hidden, "/dev", "/"):
        options += ["--remount-ro", path]
    return [*options, "--chdir", "/tmp"]


def visible_inside(folder):
    """Return the folder of the system that shows this one to submissions, or None."""
    if folder.is_relative_to(ROOT) and not folder.is_relative_to(sys.prefix):
        return None  # of the course itself, submissions see `utils` only
    return next((place for place in (*PROGRAMS, *SHOWN) if folder.is_relative_to(place)), None)


def _claim_users():
    """Claim USERS ids of this machine, as long as the socket that is returned is open.

    Limits on processes count by user, and processes of one user can harm each other.
    """
    for first in range(20_000, 60_000, USERS):
        claim = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            claim.bind(f"\0attention-grading-{first}")
            return claim, first
        claim.close()
    raise SandboxError("too many sandboxes run on this machine: wait until others have ended")


def _system(folder):
    """Return the options that show a folder of the system, which may be a link or missing."""
    if os.path.islink(folder):
        return ["--symlink", os.readlink(folder), folder]
    return ["--ro-bind", folder, folder] if os.path.isdir(folder) else []


class Sandbox:
    """A fork server that is ready for one submission after the other. Use it in a `with` statement.

    `sandboxed` says if bubblewrap holds it; with `require`, a system without it is a SandboxError. Without
    `reviews` it starts sooner, and loads the embedded sentences only when a notebook asks for them. Without
    `many` it also leaves out what only saves time for many submissions. Where `shared` names the socket at
    which another process shares its fork server, this one is a fork of that. It starts without waiting; the
    first submission waits until it is ready.
    """

    def __init__(self, require=False, reviews=True, shared=None, many=True):
        if sys.platform == "win32":
            raise SandboxError("grading needs Linux or macOS: on Windows, run this command in WSL")
        self.program = bubblewrap()
        if require and not self.program:
            raise SandboxError(
                "bubblewrap is needed to grade safely, and this system has none that works: install it "
                "(Debian and Ubuntu: apt install bubblewrap) on a machine whose processor is one of "
                f"{', '.join(ARCHITECTURES)}, or grade without --require-sandbox"
            )
        packages = Path(psutil.__file__).parents[1]
        if self.program and not visible_inside(packages):
            raise SandboxError(
                f"packages lie in {packages}, which the sandbox does not show: install the course and its "
                "packages together in a new environment (python3 -m venv)"
            )
        self.sandboxed, self.shared = bool(self.program), shared
        self.options = ["--reviews"] * reviews + ["--many"] * many
        self.user = self.claim = None
        self.server = self.control = self.errors = self.loaded = None

    def __enter__(self):
        if not (self.shared and self._join()):
            self._launch()
        return self

    def __exit__(self, *error):
        self._stop()
        if self.claim:
            self.claim.close()
        self.user = self.claim = None

    @contextlib.contextmanager
    def sharing(self, path):
        """Start without waiting, and share the fork server at a socket with this user's processes."""
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(path)
            door.listen()
            self._launch()
            threading.Thread(target=self._share_with_all, args=[door], daemon=True).start()
            try:
                yield
            finally:
                self._stop()

    def _share_with_all(self, door):
        with door, contextlib.suppress(OSError, SandboxError, AttributeError):
            self._wait_until_ready()
            while True:
                guest, _ = door.accept()
                with guest:
                    socket.send_fds(self.control, [b"s"], [guest.fileno()])

    def _start(self):
        if self.shared and self._join():
            return
        self._launch()
        self._wait_until_ready()

    def _join(self):
        """Become a fork of the shared fork server. Is there one?"""
        self.control = socket.socket(socket.AF_UNIX)
        try:
            self.control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self.control.settimeout(START_SECONDS)
            self.control.connect(self.shared)
            ready, said, *_ = self.control.recvmsg(1, socket.CMSG_SPACE(struct.calcsize("3i")))
            self.server = psutil.Process(struct.unpack("3i", said[0][2])[0])
            os.sched_setaffinity(self.server.pid, os.sched_getaffinity(0))
        except (OSError, IndexError, psutil.Error):
            self._stop()
            return False
        self.loaded = 0
        return ready == b"r"

    def _launch(self):
        self.loaded = None  # until it is ready
        self.control, theirs = socket.socketpair()
        worker = [sys.executable, "-P", "-m", "grading.sandbox.server", str(theirs.fileno())]
        worker += self.options
        environment = _environment()
        if self.program:
            if self.user is None:
                self.claim, self.user = _claim_users()
            options = ["--isolate", "--user", str(self.user)]
            command = [self.program, *_view(), "--setenv", "PYTHONPATH", str(ROOT), "--", *worker, *options]
        else:
            names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MPLBACKEND", "ATTENTION_GRADING")
            environment = {**os.environ, **{name: environment[name] for name in names}}
            command, environment = worker, {**environment, "PYTHONPATH": str(ROOT)}
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (it is closed with the server)
        self.server = psutil.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            env=environment,
            start_new_session=True,
        )
        theirs.close()

    def _wait_until_ready(self):
        self.control.settimeout(START_SECONDS)
        try:
            ready = self.control.recv(1) == b"r"
        except OSError:
            ready = False
        if not ready:
            said = self._said()
            self._stop()
            raise SandboxError(f"the sandbox did not start: {said}")
        self.loaded = sum(map(_share, _descendants(self.server.pid)))

    def _said(self):
        """What the server had to complain of. Students' code cannot write there."""
        if self.errors is None:
            return "it was ended"
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()[-2000:] or "it said nothing"

    def _stop(self):
        for file in (self.control, self.errors):
            if file:
                file.close()
        if self.server:
            for process in (self.server, *_descendants(self.server.pid)):
                with contextlib.suppress(psutil.Error):
                    process.kill()
            if isinstance(self.server, psutil.Popen):
                self.server.wait()
        self.server = self.control = self.errors = None

    @contextlib.contextmanager
    def submission(self, memory=MEMORY):
        """A fresh `Submission`; when the `with` statement ends, nothing of it is left running.

        Raise SandboxError where none can be had: that is never the student's fault.
        """
        try:
            lines = self._fork(memory)
        except (OSError, Lost):  # the server was killed, or is broken: a new one, once
            self._stop()
            self._start()
            try:
                lines = self._fork(memory)
            except (OSError, Lost) as error:
                raise SandboxError(f"no sandbox could be made ({error}): {self._said()}") from None
        try:
            yield Submission(lines[0], lines[1:])
        finally:
            self._end(lines)

    def _fork(self, memory):
        """The lines to a new submission: to its cells, and to each snapshot to come."""
        if self.server is None:
            self._start()
        elif self.loaded is None:
            self._wait_until_ready()
        ours, theirs = zip(*(socket.socketpair() for _ in range(2 + SNAPSHOTS)), strict=True)
        watch = Watch(self.server.pid, self.loaded, memory, ours[0])
        lines = [Line(sock, watch) for sock in ours[1:]]
        try:
            try:
                socket.send_fds(self.control, [b"n"], [sock.fileno() for sock in theirs])
            finally:
                for sock in theirs:
                    sock.close()
            lines[0].reply(START_SECONDS)  # it greets before any code of the student runs
        except (OSError, Lost):
            self._end(lines)
            raise
        return lines

    def _end(self, lines):
        watch = lines[0].watch
        watch.stop()
        strays = [] if self.sandboxed else _descendants(self.server.pid)
        for sock in (watch.lifeline, *(line.sock for line in lines)):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for process in strays:
            with contextlib.suppress(psutil.Error):
                process.kill()
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


@contextlib.contextmanager
def shared_sandbox(require=False, reviews=True):
    """The path of a socket for `Sandbox(shared=...)` in other processes, or None, and if it is sandboxed."""
    with contextlib.ExitStack() as stack:
        path = None
        sandbox = Sandbox(require, reviews)
        if sys.platform == "linux":
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            with contextlib.suppress(OSError):  # the folder's name may be too long for a socket
                stack.enter_context(sandbox.sharing(f"{folder}/shared"))
                path = f"{folder}/shared"
        yield path, sandbox.sandboxed


class Watch:
    """Hangs up the lifeline of a submission whose processes together take too much, and notes why.

    That is memory, and processors: one submission may keep one busy, but not all, or those that are
    graded beside it would run out of time.
    """

    EVERY, GRACE, PROCESSORS = 0.25, 10, 1.5  # seconds, seconds of computing, and computing a second

    def __init__(self, server, loaded, memory, lifeline):
        self.server, self.loaded, self.memory, self.lifeline = server, loaded, memory, lifeline
        self.broken, self.done, self.started = None, threading.Event(), time.monotonic()
        self.before = {process.pid for process in _descendants(server)}  # the server's own work is no one's
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self):
        self.done.set()
        self.thread.join()

    def _run(self):
        computed = {}  # seconds by process: those that have ended count too
        while not self.done.wait(self.EVERY):
            processes, with_children = _descendants(self.server), 0
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    if process.pid not in self.before:
                        times = process.cpu_times()
                        computed[process.pid] = sum(times[:2])
                        with_children += sum(times[:4])  # also of those that came and went between two looks
            allowed = self.GRACE + self.PROCESSORS * (time.monotonic() - self.started)
            if max(with_children, sum(computed.values())) > allowed:
                self.broken = "it kept many processes busy at once"
            if self._held(processes) > self.memory:
                self.broken = f"it used more than {self.memory / 2**30:.1f} GiB of memory in all"
            if self.broken:
                with contextlib.suppress(OSError):
                    self.lifeline.shutdown(socket.SHUT_RDWR)
                return

    def _held(self, processes):
        """Bytes that came on top of what the server has loaded and all share."""
        most = sum(map(_resident, processes))
        return most if most <= self.memory else sum(map(_share, processes)) - self.loaded


def _descendants(pid):
    """Return all processes below this one. If Linux lists its children, no other process is looked at."""
    found, lists = [], glob.glob(f"/proc/{pid}/task/*/children")
    if not lists:
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(pid).children(recursive=True)
    for children in lists:
        with contextlib.suppress(OSError):
            for child in map(int, Path(children).read_text().split()):
                with contextlib.suppress(psutil.Error):
                    found += [psutil.Process(child), *_descendants(child)]
    return found


def _resident(process):
    """A process's memory in bytes. If its first thread has ended, the system tells it for the others."""
    try:
        return process.memory_info().rss or max(
            (psutil.Process(thread.id).memory_info().rss for thread in process.threads()), default=0
        )
    except psutil.Error:
        return 0


def _share(process):
    """A process's memory in bytes, its part of what it shares with others."""
    for thread in Path(f"/proc/{process.pid}/task").glob("*/smaps_rollup"):
        with contextlib.suppress(OSError, StopIteration):
            lines = thread.read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return _resident(process)


@lru_cache(100)
def _order(name, cases):
    """Return the order to call an answer, as it is sent: many submissions get the same one."""
    return frame({"call": name, "cases": list(cases)})


class Line:
    """A socket to the worker. The worker may say anything at any time, or nothing: all waits have an end."""

    def __init__(self, sock, watch):
        self.sock, self.watch = sock, watch

    def ask(self, order, seconds):
        """Send an order and give the reply. Raise Lost if none comes in time, or nonsense does."""
        return self.reply(seconds, frame(order))

    def ask_all(self, name, cases, seconds):
        """Call an answer with these cases and yield the replies as they come, all within the seconds."""
        message, until = _order(name, tuple(cases)), time.monotonic() + seconds
        for _ in cases:
            yield self.reply(seconds, message, until)
            message = b""

    def reply(self, seconds, message=b"", until=None):
        until = until or time.monotonic() + seconds
        try:
            self.sock.settimeout(max(0.1, until - time.monotonic()))
            self.sock.sendall(message)
            (length,) = struct.unpack("<Q", self._exactly(8, until))
            if length > LARGEST:
                raise WireError(f"a message of {length:,} bytes")
            return decode(self._exactly(length, until))
        except TimeoutError:
            raise TooSlow(f"it did not finish within {seconds:g} seconds") from None
        except (EOFError, OSError):
            raise Lost(self.watch.broken or "it ended the process that ran it") from None
        except (WireError, MemoryError):
            raise Lost("it sent what is no reply") from None

    def _exactly(self, count, until):
        data = bytearray()
        while len(data) < count:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.sock.settimeout(left)
            part = self.sock.recv(min(count - len(data), 2**20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)


class Submission:
    """The processes of one submission: cells run in one, and each snapshot of it answers calls."""

    def __init__(self, cells, snapshots):
        self.cells, self.snapshots, self.taken = cells, snapshots, 0
        self.text, self.pictures = ALL_TEXT, ALL_PICTURES  # that may still come

    def run(self, source, seconds):
        """Run a cell: its outputs, {"text": ...} or {"png": base64}, and the name of its error, or None."""
        reply = self.cells.ask({"run": source}, seconds)
        if not isinstance(reply, dict):
            raise Lost("it sent what is no reply")
        outputs, error = reply.get("outputs"), reply.get("error")
        kept = [k for o in (outputs if isinstance(outputs, list) else []) if (k := self._kept(o))]
        if error is not None:
            error = readable(error, 80) if isinstance(error, str) else "Exception"
        return kept, error

    def _kept(self, output):
        """An output as it should be, as long as the notebook has not given more than enough; else None."""
        text, png = (output.get("text"), output.get("png")) if isinstance(output, dict) else (None, None)
        if isinstance(text, str) and self.text > 0:
            text = text[: min(self.text, 2 * TEXT)]
            self.text -= len(text)
            return {"text": text.encode(errors="replace").decode()}
        if isinstance(png, str) and self.pictures > 0 and _is_png(png):
            self.pictures -= 1
            return {"png": png}
        return None

    def snapshot(self, seconds):
        """Keep the state of the cells as it is now, to call it later: the line to it."""
        line = self.snapshots[self.taken]
        if self.cells.ask({"snapshot": self.taken, "seconds": seconds}, 10) == {"done": False}:
            raise Lost("it left no process for its tests")
        self.taken += 1
        return line

    def is_over(self):
        """Has everything ended, not only what was asked last?"""
        try:
            self.cells.ask({"call": ""}, 10)
        except Lost:
            return True
        return False


def _is_png(text):
    try:
        return len(text) <= PICTURE and base64.b64decode(text, validate=True).startswith(b"\x89PNG\r\n")
    except ValueError:
        return False
