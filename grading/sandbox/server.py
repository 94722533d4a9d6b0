"""The student's side of the grader: it runs cells as a notebook would, and answers calls.

`python -m grading.sandbox.server FD` is a fork server: everything a notebook imports is loaded once, and each
submission gets its own fork, with `--isolate` in its own namespaces. Student code never runs in the server
itself. The judge trusts nothing that comes from here: it looks at arrays only.
"""

import argparse
import base64
import io
import os
import signal
import socket
import sys
import tempfile
import traceback
import types
from pathlib import Path

from grading import loading
from grading.sandbox.cases import Case
from grading.sandbox.limits import PICTURE, PICTURES, TEXT, USERS, limit_resources, resource
from grading.sandbox.linux import SET_CHILD_SUBREAPER, SET_DUMPABLE, prctl, use_large_pages
from grading.sandbox.namespaces import enter_namespaces, hide_and_drop
from grading.sandbox.protocol import Channel


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
                answer(Channel(sock), notebook.namespace(), order["seconds"])
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
    from grading.sandbox.calls import call

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

    plot_attention(torch.full((2, 2), 0.5).numpy(), ["a", "b"], ["c", "d"])
    plt.show()

_()
del _
"""


def preload(reviews, many):
    """Load what notebooks import, with `reviews` also the embedded sentences, and make a shell.

    Whatever is done here for the first time takes no submission's time: for `many` a picture is drawn, too.
    """
    import matplotlib

    matplotlib.use("Agg")
    import importlib
    import pkgutil

    import numpy as np
    import torch

    import utils
    from grading.sandbox.calls import call
    from utils import text

    torch.set_num_threads(1)
    for found in pkgutil.walk_packages(utils.__path__, "utils."):
        importlib.import_module(found.name)
    for harness in Path(__file__).parents[1].glob("exercises/*/harness.py"):
        importlib.import_module(f"grading.exercises.{harness.parent.name}.harness")
    for name in ("matplotlib.pyplot", "sacrebleu.significance", "tqdm.auto"):
        importlib.import_module(name)
    if reviews:
        text.encoded_reviews()
    stand_in = types.ModuleType("grading.checks")  # tests that a student copied into another cell do nothing
    stand_in.check = lambda *args, **kwargs: None
    sys.modules["grading.checks"] = sys.modules["grading"].checks = stand_in
    notebook = Notebook()
    for elsewhere in (False, True):
        call(lambda x: (x @ x).softmax(-1), Case("", {"x": np.ones((2, 2))}, pulls=1, elsewhere=elsewhere))
    if many:
        notebook.run(WARMING)
    sys.modules["matplotlib.pyplot"].uninstall_repl_displayhook()  # it draws each figure once too often
    return notebook


# The fork server


def fork_server(control, isolate, user, notebook):
    """Fork a process for every submission. An order comes with its sockets: lifeline, cells, snapshots.

    Or it asks for another fork server, which takes its orders from the socket that comes with it.
    """
    prctl(SET_DUMPABLE, 0)  # no submission may look into this process
    prctl(SET_CHILD_SUBREAPER, 1)  # what a submission leaves behind is still found below this process
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
                fork_server(socket.socket(fileno=descriptors[0]), isolate, user + servers % USERS, notebook)
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
    serve(Channel(sockets[0]), notebook, sockets[1:])
    while True:  # snapshots may still be at work: the lifeline ends them
        signal.pause()


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("control", type=int)
    parser.add_argument("--isolate", action="store_true")
    parser.add_argument("--user", type=int, default=65534)
    parser.add_argument("--reviews", action="store_true")
    parser.add_argument("--many", action="store_true")
    arguments = parser.parse_args()
    with loading():
        notebook = preload(arguments.reviews, arguments.many)
    if arguments.many:
        use_large_pages()
    fork_server(socket.socket(fileno=arguments.control), arguments.isolate, arguments.user, notebook)


if __name__ == "__main__":
    main()
