"""The student's side of the grader: it runs cells as a notebook would, and answers calls.

`python -m grading.worker FD` is a fork server: everything a notebook imports is loaded once, and each
submission gets a fork of its own, in namespaces of its own where `--isolate` says so. Student code never
runs in the server itself. `python -m grading.worker` serves one submission over its standard streams,
for systems without fork. What is said here is believed by nobody: the judge looks at arrays only.
"""

import argparse
import base64
import ctypes
import errno
import io
import os
import signal
import socket
import struct
import sys
import tempfile
import traceback
import types
from dataclasses import dataclass

try:
    import resource
except ImportError:  # Windows
    resource = None

from grading import loading
from grading.wire import LARGEST, WireError, decode, frame

MEMORY = 4 * 2**30  # bytes of address space a process
PROCESSES, FILES, FILE_SIZE, SCRATCH = 64, 256, 64 * 2**20, 256 * 2**20
TEXT, PICTURES = 20_000, 8  # what is kept of a cell's output: letters, and pictures
PICTURE = 400_000  # bytes


class Channel:
    """Messages over a socket or a pair of pipes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    def of_socket(cls, sock):
        channel = cls(sock.makefile("rb"), sock.makefile("wb"))
        sock.close()  # it is open as long as one of the two is
        return channel

    def send(self, value):
        self.writer.write(frame(value))
        self.writer.flush()

    def receive(self):
        """The next message; EOFError where there is none any more."""
        (length,) = struct.unpack("<Q", self._exactly(8))
        if length > LARGEST:
            raise WireError(f"a message of {length:,} bytes")
        return decode(self._exactly(length))

    def _exactly(self, count):
        data = self.reader.read(count)
        if len(data) < count:
            raise EOFError
        return data


class Bounded(io.TextIOBase):
    """Keeps the first letters that are written to it, and drops the rest."""

    encoding = "utf-8"

    def __init__(self, add):
        self.add, self.left = add, TEXT

    def writable(self):
        return True

    def write(self, text):
        if self.left > 0:
            self.add(str(text[: self.left]))
            self.left -= len(text)
            if self.left <= 0:
                self.add("\n... (the rest of the output was dropped)\n")
        return len(text)


class Notebook:
    """An IPython shell without a terminal and without a kernel."""

    def __init__(self):
        from IPython.core.displayhook import CapturingDisplayHook
        from IPython.core.displaypub import CapturingDisplayPublisher
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "NoColor"
        config.InteractiveShell.xmode = "Plain"

        class Shell(InteractiveShell):
            def enable_gui(self, gui=None):
                """There is no window."""

        class Hook(CapturingDisplayHook):
            is_active = False

        self.shell = Shell.instance(config=config)
        self.shell.display_pub = CapturingDisplayPublisher(shell=self.shell)
        self.shell.enable_matplotlib("inline")
        self.hook = Hook(shell=self.shell, outputs=[])
        self.outputs = []

    def run(self, source):
        """Run a cell: a list of outputs, text or pictures, and the error's name or None."""
        self.outputs, shown = [], []
        streams = sys.stdout, sys.stderr
        self.shell.display_pub.outputs = shown
        sys.stdout = sys.stderr = Bounded(self._text)
        self.hook.outputs = shown
        self.shell.displayhook = self.shell.display_trap.hook = self.hook
        try:
            result = self.shell.run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except SystemExit as left:
            error = left
        finally:
            sys.stdout, sys.stderr = streams
        for item in shown:
            self._shown(item.get("data", {}))
        return self.outputs, type(error).__name__ if error else None

    def _text(self, text):
        if self.outputs and "text" in self.outputs[-1]:
            self.outputs[-1]["text"] += text
        else:
            self.outputs.append({"text": text})

    def _shown(self, data):
        picture = data.get("image/png")
        if isinstance(picture, bytes):
            picture = base64.b64encode(picture).decode()
        if isinstance(picture, str) and len(picture) <= PICTURE:
            if sum("png" in output for output in self.outputs) < PICTURES:
                self.outputs.append({"png": picture})
        elif "text/plain" in data:
            self._text(str(data["text/plain"])[:TEXT] + "\n")

    def namespace(self):
        return self.shell.user_ns


def serve(channel, notebook, snapshots=()):
    """Run cells and take snapshots, until the judge hangs up.

    Each socket of `snapshots` is for one fork of this process: it answers calls with the state that the
    notebook has at that moment, and nothing that it is told comes back into the cells that follow.
    """
    snapshots = list(snapshots)
    channel.send({"ready": True})
    while True:
        try:
            order = channel.receive()
        except EOFError:
            return
        if "run" in order:
            outputs, error = notebook.run(order["run"])
            channel.send({"outputs": outputs, "error": error})
        elif "snapshot" in order:
            sock = snapshots[order["snapshot"]]
            try:
                pid = os.fork()
            except OSError:  # its cells have left no process, or no memory
                pid = None
            if pid == 0:
                for other in {*snapshots} - {sock}:
                    other.close()
                channel.reader.close()
                channel.writer.close()
                answer(Channel.of_socket(sock), notebook.namespace(), order["seconds"])
                os._exit(0)
            sock.close()
            channel.send({"done": pid is not None})
        else:
            for reply in replies(order, notebook.namespace()):
                channel.send(reply)


def answer(channel, namespace, seconds):
    """Answer calls until the judge hangs up, or `seconds` of computing are over."""
    used = sum(os.times()[:2])
    limit = int(used + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        while True:
            try:
                order = channel.receive()
            except EOFError:
                return
            for reply in replies(order, namespace):
                channel.send(reply)


def replies(order, namespace):
    """An outcome for each case, or None alone where there is no such answer."""
    from grading.calls import call

    if order["call"] not in namespace:
        yield None
        return
    for case in order["cases"]:
        yield call(namespace[order["call"]], case)


WARMING = """
def _():
    import matplotlib.pyplot as plt
    import torch
    from utils.plotting import plot_attention

    x = torch.ones(2, 2, requires_grad=True)
    torch.autograd.grad((x @ x).softmax(-1).sum(), x)
    plot_attention(torch.full((2, 2), 0.5).numpy(), ["a", "b"], ["c", "d"])
    plt.show()

_()
del _
"""


def preload(reviews):
    """Load what notebooks import, with `reviews` also the embedded sentences, and make a shell.

    Whatever is done here for the first time takes no submission's time: so a picture is drawn, too.
    """
    import matplotlib

    matplotlib.use("Agg")
    import importlib
    import pkgutil

    import torch

    from utils import text

    torch.set_num_threads(1)
    for package in ("utils", "grading.drives"):
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(found.name)
    late = ("matplotlib.pyplot", "seaborn", "pandas", "requests", "sacrebleu.significance", "tqdm.auto")
    for name in (*late, "grading.calls"):
        importlib.import_module(name)
    if reviews:
        text.encoded_reviews()
    stand_in = types.ModuleType("grading.checks")  # tests that a student copied into another cell do nothing
    stand_in.check = lambda *args, **kwargs: None
    sys.modules["grading.checks"] = sys.modules["grading"].checks = stand_in
    notebook = Notebook()
    notebook.run(WARMING)
    return notebook


# The fork server


def fork_server(control, isolate, user, notebook):
    """Fork a process for every submission. An order comes with its sockets: lifeline, cells, snapshots.

    Or it asks for another fork server, which takes its orders from the socket that comes with it.
    """
    _prctl(_SET_DUMPABLE, 0)  # no submission may look into this process
    _prctl(_SET_CHILD_SUBREAPER, 1)  # what a submission leaves behind is still found below this process
    control.sendall(b"r")
    running, servers = {}, 0
    control.setblocking(True)
    while True:
        data, descriptors, *_ = socket.recv_fds(control, 1, 64)
        if not data:
            os._exit(0)
        if data == b"n":
            running[_fork_submission(control, descriptors, isolate, user, notebook)] = True
        elif data == b"s":
            servers += 1
            if os.fork() == 0:
                control.close()
                fork_server(socket.socket(fileno=descriptors[0]), isolate, user + servers, notebook)
            os.close(descriptors[0])
        elif data == b"w":  # the judge has hung up on the last one: say so when nothing of it is left
            while running:
                pid, _ = os.wait()
                running.pop(pid, None)
            reap()
            control.sendall(b"e")


def _fork_submission(control, descriptors, isolate, user, notebook):
    """Fork a process for a submission and return its id."""
    pid = os.fork()
    if pid == 0:
        control.close()
        try:
            submission(notebook, [socket.socket(fileno=fd) for fd in descriptors], isolate, user)
        except BaseException:  # the judge notices a missing greeting, and reads why
            traceback.print_exc()
        finally:
            os._exit(0)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def submission(notebook, sockets, isolate, user):
    """One submission. The process that runs its cells has an init of its own, which ends all with itself."""
    lifeline = sockets[0]
    if isolate:
        enter_namespaces()
        init = os.fork()
        if init:
            for sock in sockets:
                sock.close()
            os.waitpid(init, 0)
            return
        hide_and_drop(user)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what process 1 does not handle, it cannot be sent
    else:
        os.setsid()
    if os.fork() == 0:
        lifeline.close()
        _run_cells(notebook, sockets[1:], isolate)
    for sock in sockets[1:]:
        sock.close()
    lifeline.settimeout(0.5)
    while True:
        try:
            if not lifeline.recv(1):
                break
        except TimeoutError:
            pass
        reap()
    if not isolate:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGKILL)


def _run_cells(notebook, sockets, isolate):
    """Serve the cells of a submission, without ever returning."""
    with open(os.devnull, "r+") as nowhere:  # the server's own streams are files that outlive this submission
        for stream in range(3):
            os.dup2(nowhere.fileno(), stream)
    limit_resources(isolate)
    os.chdir(tempfile.mkdtemp())
    serve(Channel.of_socket(sockets[0]), notebook, sockets[1:])
    while True:  # snapshots may still be at work: the lifeline ends them
        signal.pause()


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def limit_resources(isolate):
    limits = [
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ]
    if isolate:  # elsewhere all processes of the same user count
        limits.append((resource.RLIMIT_NPROC, PROCESSES))
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # macOS knows some of them by name only
            continue


# Namespaces (Linux). bubblewrap made the view of the files; here each submission is parted from the others.

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    *(0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000),
)
_REMOUNT, _BIND, _REC, _PRIVATE = 0x20, 0x1000, 0x4000, 1 << 18
_RDONLY, _NOSUID, _NODEV, _DETACH = 1, 2, 4, 2
BEFORE = "/.before"  # an empty folder in the sandbox
_ANY_NEW = 0x7E020080
_SET_DUMPABLE, _SET_SECCOMP, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 4, 22, 36, 38


@dataclass(frozen=True)
class System:
    """The numbers of the system calls that are named here, on one architecture."""

    architecture: int
    capset: int
    clone: int
    refused: tuple


# io_uring_setup to io_uring_register, open_tree to fspick, pidfd_getfd, mount_setattr, memfd_secret
_REFUSED_EVERYWHERE = (*range(425, 434), 438, 442, 447)
SYSTEMS = {
    "x86_64": System(
        architecture=0xC000003E,
        capset=126,
        clone=56,
        refused=(
            *(272, 308, 165, 166, 155, 161),  # unshare, setns, mount, umount2, pivot_root, chroot
            *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
            *(319, 29, 68, 64, 240),  # memfd_create, shmget, msgget, semget, mq_open
            *(248, 249, 250),  # add_key, request_key, keyctl
            *(321, 298, 323, 303, 304),  # bpf, perf_event_open, userfaultfd, name_to_ and open_by_handle_at
            *_REFUSED_EVERYWHERE,
        ),
    ),
    "aarch64": System(
        architecture=0xC00000B7,
        capset=91,
        clone=220,
        refused=(
            *(97, 268, 40, 39, 41, 51),
            *(117, 270, 271, 272),
            *(279, 194, 186, 190, 180),
            *(217, 218, 219),
            *(280, 241, 282, 264, 265),
            *_REFUSED_EVERYWHERE,
        ),
    ),
}


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option, value):
    if sys.platform == "linux":
        _libc().prctl(option, value, 0, 0, 0)


def _must(result, what):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter_namespaces():
    """Leave the processes, network and mounts of the fork server behind. The next fork is process 1."""
    spaces = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET
    if os.getuid() == 0:
        _must(_libc().unshare(spaces), "unshare")
        return
    user, group = os.getuid(), os.getgid()
    _prctl(_SET_DUMPABLE, 1)  # or its own uid_map could not be written
    _must(_libc().unshare(spaces | _NEWUSER), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def hide_and_drop(user):
    """Give this submission empty folders of its own to write to, hide /proc, and give up every privilege."""
    libc = _libc()

    def bind(path, place):
        _must(libc.mount(path.encode(), place.encode(), None, _BIND | _REC, None), f"mount {place}")

    _must(libc.mount(None, b"/", None, _REC | _PRIVATE, None), "mount /")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    kept = [sys.base_prefix, sys.prefix, f"{root}/grading", f"{root}/utils"]
    kept = [path for path in kept if path.startswith("/tmp/")]  # the course, or its Python, may lie in /tmp
    if kept:
        bind("/tmp", BEFORE)
    options = f"size={SCRATCH},nr_inodes=20000,mode=1777".encode()
    for folder in (b"/tmp", b"/dev/shm"):
        _must(libc.mount(b"tmpfs", folder, b"tmpfs", _NOSUID | _NODEV, options), f"mount {folder}")
    for path in kept:
        os.makedirs(path, exist_ok=True)
        bind(BEFORE + path.removeprefix("/tmp"), path)
        flags = _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV
        _must(libc.mount(None, path.encode(), None, flags, None), f"mount {path}")
    if kept:
        _must(libc.umount2(BEFORE.encode(), _DETACH), f"umount {BEFORE}")
    _must(libc.mount(b"tmpfs", b"/proc", b"tmpfs", _RDONLY, b"size=4096,nr_inodes=2"), "mount /proc")
    os.environ["HOME"] = "/tmp/home"
    os.mkdir("/tmp/home")
    os.chmod("/tmp/home", 0o777)
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = struct.pack("=Ii", 0x20080522, 0)
    _must(libc.syscall(SYSTEMS[os.uname().machine].capset, header, struct.pack("=6I", *[0] * 6)), "capset")
    _prctl(_SET_DUMPABLE, 0)
    refuse_system_calls()


def refuse_system_calls():
    """Let the kernel refuse what no notebook needs, in this process and all that it starts.

    New namespaces, mounts, tracing, the kernel's keys (they outlive a process), memory that belongs to no
    process (and so to no limit), and interfaces that are seldom used and often broken.
    """
    system = SYSTEMS[os.uname().machine]
    load, equal, any_bit, greater, give = 0x20, 0x15, 0x45, 0x35, 0x06
    allow, refuse, unknown = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
    # Each row: code, lines to skip if it holds, lines to skip if not, and a number.
    program = [
        (load, 0, 0, 4),  # the architecture: another one numbers its calls otherwise
        (equal, 1, 0, system.architecture),
        (give, 0, 0, refuse),
        (load, 0, 0, 0),  # the number of the call
        (greater, 0, 1, 0x40000000),  # x32 has other numbers too
        (give, 0, 0, refuse),
        (equal, 0, 1, 435),  # clone3 hides its flags: the C library falls back on clone
        (give, 0, 0, unknown),
    ]
    for number in system.refused:
        program += [(equal, 0, 1, number), (give, 0, 0, refuse)]
    program += [
        (equal, 0, 3, system.clone),
        (load, 0, 0, 16),  # its flags
        (any_bit, 0, 1, _ANY_NEW),
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    ]
    code = b"".join(struct.pack("=HBBI", *row) for row in program)
    kept = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(kept))
    libc = _libc()
    _must(libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _must(libc.prctl(_SET_SECCOMP, 2, header, 0, 0), "seccomp")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("control", type=int, nargs="?")
    parser.add_argument("--isolate", action="store_true")
    parser.add_argument("--user", type=int, default=65534)
    parser.add_argument("--reviews", action="store_true")
    arguments = parser.parse_args()
    if arguments.control is None:
        reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        with open(os.devnull, "r+") as nowhere:
            os.dup2(nowhere.fileno(), 0)
            os.dup2(nowhere.fileno(), 1)
        channel = Channel(reader, writer)
        serve(channel, preload(arguments.reviews))
    else:
        with loading():
            notebook = preload(arguments.reviews)
        fork_server(socket.socket(fileno=arguments.control), arguments.isolate, arguments.user, notebook)


if __name__ == "__main__":
    main()
