"""Attacks on the grader: what a hostile submission of exercise 02 may look like.

Every attack is made of the same submission, of which it is known what it honestly earns (HONEST): three
answers are right, two wrong, one is not written. An attack must earn exactly that, less what it breaks of
itself. `shows` is what its own cells must have printed, so that an attack which fails by a slip of its
own does not pass for one that was repelled; `says` is what the report must say.

What is promised: points go to what the answers compute from fresh inputs, and a submission reads and
changes nothing outside of itself, whatever it does with the means of Linux as they are documented. What
is not promised: that the kernel has no holes (a sandbox is one process boundary, not a machine of its
own); that nothing can be told from how long the processor, which is shared, takes; that code was written
by the one who hands it in. And the process that holds the answers is the student's: whether an answer
changes its inputs in place, mixes devices, or calls `step` too often is reported by that process, so a
notebook that wraps its answers such that no such thing can be seen counts as one that does no such thing.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import nbformat
from nbformat.v4 import new_code_cell

from grading.pipeline.assignments import ROOT
from grading.pipeline.grade import Limits

NAME = "02_attention"
MARK = "770077"  # what attacks try to smuggle out
TESTS = {  # and what each is worth
    **{"dot_score": 2, "scaled_dot_score": 2, "MultiplicativeScore": 2},
    **{"AdditiveScore": 2, "masked_softmax": 3, "attend": 3},
}
HONEST = {"dot_score": 2, "MultiplicativeScore": 2, "attend": 3}
ALL = tuple(HONEST)
MISTAKES = {
    "scaled_dot_score": """def scaled_dot_score(query, keys):
    return query @ keys.transpose(1, 2)""",
    "masked_softmax": """def masked_softmax(scores, mask):
    return torch.softmax(scores, dim=-1)""",
}
SHORT = Limits(cell=30, cells=90, check=30, memory=2**30)
QUICK_CELLS, QUICK_CHECKS = replace(SHORT, cell=2), replace(SHORT, check=3)  # where one must be reached


@dataclass(frozen=True)
class Attack:
    """A submission of HONEST worth, with cells before and after its answers, answers in the place of some,
    and changes to the notebook or to its file. In sources COURSE is the folder of the canaries, ROOT that
    of the real course and PORT an open port of this machine.

    `costs` are the answers that it makes fail, and `earns` has the points of answers that are wrong in some
    parts, and right without the attack. `refused` says that it is no notebook. `then` is a cell of the
    student who comes next, which must print what `finds` matches.
    """

    name: str
    kind: str
    first: str = ""
    last: str = ""
    answers: dict = field(default_factory=dict)
    change: Callable | None = None
    limits: Limits = SHORT
    file: Callable | None = None
    costs: tuple = ()
    earns: dict = field(default_factory=dict)
    refused: bool = False
    shows: str = ""
    says: str = ""
    then: str = ""
    finds: str = ""

    def expected(self):
        """Points by test."""
        earned = HONEST | dict.fromkeys(self.costs, 0) | self.earns
        return {name: earned.get(name, 0) for name in TESTS}

    def hand_in(self, path, places):
        """Write the submission to a path."""
        notebook = submission(MISTAKES, {"AdditiveScore"})
        for name, source in self.answers.items():
            answer(notebook, name).source = "import os, time, torch\n" + source
        notebook.cells.insert(0, new_code_cell(self.first))
        notebook.cells.append(new_code_cell(self.last))
        for cell in notebook.cells:
            for word, place in places.items():
                cell.source = cell.source.replace(word, place)
        if self.change:
            self.change(notebook)
        path.write_text(json.dumps(notebook), "utf-8")
        if self.file:
            self.file(path)


def submission(mistakes=(), unwritten=()):
    """A solution's code cells that matter, with mistakes in some answers and others not written."""
    notebook = nbformat.read(ROOT / "exercises" / "solution" / NAME / f"{NAME}.ipynb", 4)
    starter = nbformat.read(ROOT / "exercises" / "starter" / NAME / f"{NAME}.ipynb", 4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [cell for cell in notebook.cells if cell is first or "nbgrader" in cell.metadata]
    for name in mistakes:
        answer(notebook, name).source = mistakes[name]
    for name in unwritten:
        answer(notebook, name).source = answer(starter, name).source
    return notebook


def answer(notebook, name):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


ATTACKS = []


def add(kind, name, first="", **parts):
    ATTACKS.append(Attack(name, kind, first, **parts))


def softmax(body):
    """An answer in the place of masked_softmax, wrong before and after."""
    return {"masked_softmax": f"def masked_softmax(scores, mask):\n    {body}\n"}


# fmt: off
# Each attack has a name and a first cell, or other parts of the notebook, and then what is expected of it.

# Talking to the judge in the worker's place

SOCKETS = """
import json, os, socket, stat, struct, threading
def frame(text, arrays=b""):
    data = struct.pack("<I", len(text)) + text + arrays
    return struct.pack("<Q", len(data)) + data
def lines():
    found = []
    for fd in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                found.append(fd)
        except OSError:
            pass
    return found
"""
RIGHT = '{"Outcome": {"outputs": {"tuple": []}, "inputs": {"dict": []}}}'
VERDICT = '{"dict": [["passed", true], ["score", 14], ["points", 14], ["verdict", "passed"]]}'

attack = partial(add, "forged results")
attack("the checks are replaced", """
import sys, grading.checks, grading.sandbox.calls
grading.checks.check = grading.checks.examine = lambda *a, **k: True
sys.modules['grading.judge'] = sys.modules['grading.judge.judge'] = grading.checks
print('replaced')""", shows="replaced")
attack("the worker's call reports that all is well", """
import grading.sandbox.calls as c
c.call = lambda answer, case: c.Outcome(outputs=tuple(case.inputs.values())[:1], inputs=case.inputs)
print('replaced')""", shows="replaced", costs=ALL, says="scores has|one thing|shape")
attack("the worker replies with a verdict", """
import gc, types
gc.unfreeze()
def replies(order, namespace): return [{"passed": True, "score": 14, "points": 14}] * len(order["cases"])
for thing in gc.get_objects():
    if isinstance(thing, types.FunctionType) and thing.__name__ == "replies":
        thing.__code__ = replies.__code__
        print("replaced")
""", shows="replaced", costs=ALL, says="it sent what is no answer")
attack("replies before they are asked", SOCKETS + f"""
many = frame({RIGHT!r}.encode()) * 30
print('sent', len([os.write(fd, many) for fd in lines()[1:]]))
""", shows="sent 2[0-9]", costs=ALL, says="one thing|0 things|expected")
attack("verdicts before they are asked", SOCKETS + f"""
many = frame({VERDICT!r}.encode()) * 30
print('sent', len([os.write(fd, many) for fd in lines()[1:]]))
""", shows="sent 2[0-9]", costs=ALL, says="it sent what is no answer")
attack("a cell says that it is done before it is", SOCKETS + """
text = b'{"dict": [["outputs", {"list": [{"dict": [["text", "early"]]}]}], ["error", null]]}'
os.write(lines()[0], frame(text) * 3)
print('late')""", shows="early")
attack("an error that only the judge may report", f"""import grading.sandbox.calls as c
c.call = lambda answer, case: c.Outcome(error=('', '{MARK} all tests passed'))""", costs=ALL,
    says="it sent what is no answer")
attack = partial(add, "no messages")
attack("a message of 2**62 bytes", SOCKETS + """
for fd in lines()[1:]: os.write(fd, struct.pack('<Q', 2**62))
print('sent')""", shows="sent", costs=ALL, says="it sent what is no reply")
attack("a message that never ends", f"SOCKETS = {SOCKETS!r}", limits=QUICK_CHECKS,
    answers=softmax("""exec(SOCKETS, globals())
    for fd in lines(): os.write(fd, struct.pack('<Q', 2**24) + b'x')
    while True:
        time.sleep(0.2)
        for fd in lines(): os.write(fd, b'x')"""), says="did not finish within")
attack("bytes that are no message", SOCKETS + """
for fd in lines()[1:]: os.write(fd, struct.pack('<Q', 100) + os.urandom(100))
print('sent')""", shows="sent", costs=ALL, says="it sent what is no reply")
attack("JSON of a million lists in lists", SOCKETS + """
for fd in lines()[1:]: os.write(fd, frame(b'{"list": [' * 5000 + b']}' * 5000))
print('sent')""", shows="sent", costs=ALL, says="it sent what is no reply")
attack("an array that is larger than its message", SOCKETS + """
text = b'{"Outcome": {"outputs": {"tuple": [{"array": ["<f8", [1000000, 1000000]]}]}, "error": null}}'
for fd in lines()[1:]: os.write(fd, frame(text))
print('sent')""", shows="sent", costs=ALL, says="it sent what is no reply")
attack("a flood of messages on every line", SOCKETS + f"""def flood(fd):
    try:
        while True: os.write(fd, frame({VERDICT!r}.encode()) * 1000)
    except OSError: pass
threads = [threading.Thread(target=flood, args=(fd,), daemon=True) for fd in lines()[1:]]
for thread in threads: thread.start()
print('started')""", shows="started", costs=ALL, says="it sent what is no (answer|reply)")
attack("a line that is not read", limits=QUICK_CHECKS, answers=softmax("""import signal
    while True: signal.pause()"""), says="did not finish within")

# Equality and patches

attack = partial(add, "equality and patches")
attack("torch.allclose says yes", """
import torch, numpy, math
for name in ('allclose', 'isclose', 'equal', 'array_equal'):
    setattr(torch, name, lambda *a, **k: True)
    setattr(numpy, name, lambda *a, **k: True)
torch.testing.assert_close = lambda *a, **k: None
math.isclose = lambda *a, **k: True
print('patched')""", shows="patched")
attack("torch.Tensor equals everything", """
import torch
torch.Tensor.__eq__ = lambda a, b: torch.ones((), dtype=torch.bool)
torch.Tensor.__ne__ = lambda a, b: torch.zeros((), dtype=torch.bool)
print('patched')""", shows="patched")
attack("an object that equals everything", answers={"masked_softmax": """class Yes:
    shape, dtype = (1, 1, 3), torch.float64
    __eq__ = __le__ = __ge__ = __bool__ = lambda *a: True
    __hash__ = lambda s: 1
    def __getattr__(s, name): return lambda *a, **k: s
def masked_softmax(scores, mask): return Yes()"""}, says="plain torch.Tensor")
attack("a tensor subclass that answers for itself", answers={"masked_softmax": r"""class Yes(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True if function.__name__ in ('allclose', 'eq', 'equal') else\
            super().__torch_function__(function, types, args, kwargs or {})
def masked_softmax(scores, mask): return torch.zeros_like(scores).as_subclass(Yes)"""},
    says="plain torch.Tensor")
attack("a list, a str and an int that equal everything", answers={"masked_softmax": """class Yes(list):
    __eq__ = lambda *a: True
    __hash__ = lambda s: 1
def masked_softmax(scores, mask): return Yes(scores.tolist())""",
    "scaled_dot_score": """class No(str):
    __eq__ = lambda *a: True
    __hash__ = lambda s: 1
def scaled_dot_score(query, keys): return No('right')"""}, says="plain torch.Tensor")
attack("an input transformer strips asserts", """
def strip(lines):
    return [line for line in lines if 'assert' not in line and 'check(' not in line]
get_ipython().input_transformers_cleanup.append(strip)
print('added')""", shows="added")
attack("an AST transformer makes every comparison true", """
import ast
class Yes(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
get_ipython().ast_transformers.append(Yes())
print('added')""", shows="added")
attack("an import hook serves another judge", """
import importlib.abc, importlib.machinery, sys, types
class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name.startswith('grading') else None
    def create_module(self, spec): return types.ModuleType(spec.name)
    def exec_module(self, module): module.check = module.examine = lambda *a, **k: True
sys.meta_path.insert(0, Hook())
import grading.judge
print(grading.judge.examine())""", shows="True")
attack("a torch.py beside the notebook", """
import os, sys, torch
print(os.listdir('.'), torch.__version__ != '9')""", shows=r"\[\] True",
    file=lambda path: (path.parent / "torch.py").write_text("allclose = 1\n__version__ = '9'\n"))
attack("a torch.py and a grading folder written by a cell", """
import os, sys
open('torch.py', 'w').write('allclose = lambda *a: True')
os.mkdir('grading')
open('grading/judge.py', 'w').write('examine = 1')
sys.path.insert(0, os.getcwd())
print('written')""", shows="written")
attack("the library's own softmax gives what the answer gives", """
import torch
from utils import attention
attention.masked_softmax = lambda scores, mask: torch.softmax(scores, -1)
attention.scaled_dot_score = attention.dot_score
print('patched')""", costs=("attend",),  # it calls the library
    shows="patched")
attack("builtins are replaced", """
import builtins
builtins.all = builtins.any = lambda *a: True
builtins.AssertionError = type('Quiet', (Exception,), {})
print('patched')""", shows="patched", costs=ALL)  # the notebook itself can no longer run

# Reading what is not theirs

LOOK = """
import os
found = []
for folder, within, names in os.walk(PLACE):
    within[:] = [name for name in within if name not in ('site-packages', 'share', 'bin')]
    found += [os.path.join(folder, name) for name in names if name.endswith(ENDS)]
print('found', found)
"""
attack = partial(add, "reading")
attack("solutions, tests and notebooks anywhere", "PLACE, ENDS = '/', '.ipynb'" + LOOK, shows=r"found \[\]")
attack("the course's folder and the checks", "PLACE, ENDS = 'ROOT/grading', ('.py', '.pyc')" + LOOK + """
found = [p.removeprefix('ROOT') for p in found]
print(sorted(os.listdir('ROOT')), [p for p in found if 'check' in p or 'judge' in p or 'misc' in p])""",
    shows=r"\[\'grading\', \'utils\'\] \[\]|\[\'\.venv\', \'grading\', \'utils\'\] \[\]")
attack("gradebook, solutions and other students by their paths", """
other = 'submitted/other/02_attention/02_attention.ipynb'
for name in ('gradebook.db', 'solution.ipynb', other, '../canary'):
    try: print(open('COURSE/' + name).read())
    except OSError as e: print(type(e).__name__)""", shows=r"(FileNotFoundError ?){4}")
attack("the judge's modules", """
import importlib, sys
names = ('judge', 'pipeline', 'cli', 'sandbox.client')
for name in (*names, 'exercises.01_bottleneck.checks', 'exercises.01_bottleneck.mistakes'):
    sys.modules.pop('grading.' + name, None)
    try: importlib.import_module('grading.' + name); print('read')
    except ImportError: print('none')""", shows=r"^(none ?){6}")
attack("objects of the process that outlived the fork", """
import gc
names = {str(type(o)) for o in gc.get_objects()}
functions = {str(o.__module__) for o in gc.get_objects() if type(o).__name__ == 'function'}
print([n for n in names | functions if 'judge' in n or 'mistakes' in n or '.checks' in n])""",
    shows=r"\[\'grading.sandbox.server\'\]|\[\]")
attack("processes and their environment", """
import os, glob
print(os.listdir('/proc'), 'GRADEBOOK_PASSWORD' in os.environ)""", shows=r"\[\] False")
attack("a way out through open files", """
import os, stat
out = []
for fd in range(256):
    try: mode = os.fstat(fd).st_mode
    except OSError: continue
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode): out.append(fd)
print('files', out)""", shows=r"files \[\]")

# Leaking hidden inputs

NEARLY = {"masked_softmax": 2.75}  # of an answer that is wrong only in the case of `leak`


def leak(action):
    """A right answer, apart from what it does in a case that nobody may see."""
    return softmax(f"""if scores.shape[1:] == (1, 3) and bool(scores.abs().max() > 500): {action}
    from utils import attention
    return attention.masked_softmax(scores, mask)""")


attack = partial(add, "leaking")
for name, action, says in [
    ("an error's message and type", f"raise type('E{MARK}', (Exception,), {{}})('{MARK} %s' % scores)",
     "It raised an error on an input that you cannot see"),
    ("the name of a type", f"return type('T{MARK}', (), {{}})()", "plain torch.Tensor on the CPU"),
    ("a shape", f"return torch.zeros({MARK}, 1, dtype=scores.dtype)", "an unexpected shape"),
]:
    attack(name, answers=leak(action), earns=NEARLY, says=says)
attack("a number of outputs", answers={"attend": f"""def attend(query, keys, values, mask, score):
    if query.dtype == torch.float32: return tuple(range({len(MARK)})) * 7
    from utils import attention
    return attention.attend(query, keys, values, mask, score)"""},
    earns={"attend": 2.5}, says="Expected context and weights")
attack("standard output, its file descriptor and the shell", answers=softmax(
    f"""print('{MARK}', scores); os.write(1, b'{MARK}'); os.write(2, b'{MARK}')
    import sys; sys.__stdout__.write('{MARK}'); os.system('echo {MARK}')
    return torch.softmax(scores, -1)"""))
attack("plots and displays", answers=softmax(f"""import matplotlib.pyplot as plt, IPython.display as d
    plt.plot(scores.flatten()); plt.title('{MARK}'); plt.show(); d.display('{MARK}')
    return torch.softmax(scores, -1)"""))
attack("a file that another answer reads out where it may be seen", answers={
    "dot_score": """def dot_score(query, keys):
    if query.dtype == torch.float32: open('/tmp/hidden', 'w').write('1')
    return query @ keys.transpose(1, 2)""",
    "masked_softmax": f"""def masked_softmax(scores, mask):
    return torch.full_like(scores, {MARK} if os.path.exists('/tmp/hidden') else 0.5)"""})
attack("outputs that are sent after the cells", f"SOCKETS = {SOCKETS!r}", answers=softmax(
    f"""exec(SOCKETS, globals())
    output = b'{{"dict": [["text", "{MARK}"]]}}'
    text = b'{{"dict": [["outputs", {{"list": [' + output + b']}}], ["error", null]]}}'
    for fd in lines(): os.write(fd, frame(text))
    return torch.softmax(scores, -1)"""), says="masked_softmax")
attack("the time of the feedback", answers=softmax("""time.sleep(0.05 * (scores.abs().max() > 500).item())
    return torch.softmax(scores, -1)"""))

# Leaving early

attack = partial(add, "leaving early")
for where, source in {
    "os._exit(0)": "import os; os._exit(0)",
    "a signal to itself": "import os; os.kill(os.getpid(), 9)",
    "a broken pointer": "import ctypes; ctypes.string_at(0)",
    "os.abort()": "import os; os.abort()",
}.items():
    attack(f"a cell: {where}", first=source, says="cell 1 was left out: it ended the process")
attack("a cell: sys.exit(0), quit() and SystemExit", """
import sys, atexit
atexit.register(lambda: None)
sys.exit(0)""", last="raise SystemExit(0)")
attack("an answer: os._exit(0)", answers=softmax("os._exit(0)"), says="it ended the process that ran it")
attack("an answer: SystemExit, KeyboardInterrupt and a broken pointer", answers={
    "masked_softmax": "def masked_softmax(scores, mask): raise SystemExit(0)",
    "scaled_dot_score": "def scaled_dot_score(query, keys): raise KeyboardInterrupt",
    "AdditiveScore": """import ctypes
class AdditiveScore:
    def __init__(self, *a, **k): ctypes.string_at(0)"""}, says="it ended the process that ran it")

# The notebook's cells


def marks(notebook):
    return [cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata]


def change_points(notebook):
    for mark in marks(notebook):
        mark.update(points=1000, score=1000, grade=True, locked=False, solution=True)
    notebook.metadata["nbgrader"] = {"score": 14}


def duplicate(notebook):
    tests = [cell for cell in notebook.cells if is_test(cell)]
    notebook.cells += [json.loads(json.dumps(cell)) for cell in tests * 3]


def is_test(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id", "").startswith("test_")


def delete(notebook):
    notebook.cells = [cell for cell in notebook.cells if not is_test(cell)]


def move(notebook):
    notebook.cells.sort(key=is_test, reverse=True)


def rename(notebook):
    new = {"scaled_dot_score": "dot_score", "masked_softmax": "attend", "AdditiveScore": "free_points"}
    for old, name in new.items():
        answer(notebook, f"test_{old}").metadata["nbgrader"]["grade_id"] = f"test_{name}"


def answers_as_tests(notebook):
    answer(notebook, "dot_score").metadata["nbgrader"]["grade_id"] = "test_scaled_dot_score"


def odd_metadata(notebook):
    notebook.metadata = [1, 2]
    odd = [None, [], "x", {"nbgrader": []}, {"nbgrader": {"grade_id": ["a"]}}] * 9
    for cell, metadata in zip(notebook.cells[1:], odd, strict=False):
        cell["metadata"] = metadata
    sources = [{"cell_type": "code", "source": odd} for odd in (7, [1])]
    notebook.cells += [{"cell_type": 3}, {}, *sources]


def passed_already(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            result = {"output_type": "execute_result", "data": {"text/plain": "3.0"}, "metadata": {}}
            cell["outputs"] = [result]


def passing_tests(notebook):
    for cell in notebook.cells:
        if is_test(cell):
            cell.source = f"print('{MARK}'); 3.0"


attack = partial(add, "cells and metadata")
for name, change in {
    "points and locks": change_points,
    "duplicated tests": duplicate,
    "deleted tests": delete,
    "tests moved to the front": move,
    "renamed tests": rename,
    "metadata of odd types": odd_metadata,
    "outputs of a run that never was": passed_already,
    "tests that always pass": passing_tests,
}.items():
    attack(name, change=change)
attack("an answer that says it is a test", change=answers_as_tests, costs=("dot_score",),
    says="There is no dot_score")

# Files that are no notebooks


def written(data):
    def write(path):
        path.write_bytes(data() if callable(data) else data)

    return write


def replaced(by):
    def replace(path):
        path.unlink()
        by(path)

    return replace


attack = partial(add, "no notebooks")
for name, data in {
    "nothing": b"",
    "half of a file": b'{"cells": [{"cell_type": "code", "sou',
    "no text": bytes(range(256)) * 10,
    "lists in lists": b"[" * 200_000,
    "cells in cells": b'{"cells": ' * 20_000 + b"}" * 20_000,
    "a list of numbers for cells": b'{"cells": [1, 2, 3]}',
    "a number of 100,000 digits": b'{"cells": [' + b"9" * 100_000 + b"]}",
    "a pickle": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
}.items():
    attack(name, file=written(data), refused=True, says="is not a notebook")
attack("21 MB",
    file=written(lambda: b'{"cells": [{"cell_type": "code", "source": "' + b"x" * 21 * 2**20 + b'"}]}'),
    refused=True, says="more than 20,971,520")
attack("a file of 8 TB with a hole in it", file=lambda path: os.truncate(path, 2**43), refused=True,
    says="8,796,093,022,208 bytes")
attack("a hundred thousand cells", file=written(lambda: b'{"cells": [' + b"{}," * 99_999 + b"{}]}"),
    refused=True, says="100,000 cells")
attack("three million letters of code",
    file=written(lambda: json.dumps({"cells": [{"cell_type": "code", "source": "#" * 3_000_000}]}).encode()),
    refused=True, says="letters, more than")
attack = partial(add, "paths and links")
attack("a link to the gradebook",
    file=replaced(lambda path: path.symlink_to(path.parents[3] / "gradebook.db")), refused=True,
    says="it must be a file, not a link")
attack("a link to a solution",
    file=replaced(lambda path: path.symlink_to(ROOT / "exercises" / "solution" / NAME / f"{NAME}.ipynb")),
    refused=True, says="it must be a file, not a link")
attack("a pipe that nobody writes to", file=replaced(os.mkfifo), refused=True, says="is not a file")
attack("a folder", file=replaced(os.mkdir), refused=True, says="is not a file|a directory")
attack("a link to a device without end", file=replaced(lambda path: path.symlink_to("/dev/zero")),
    refused=True, says="it must be a file, not a link")
attack("links to the course made by a cell", """
import os
for target in ('COURSE/gradebook.db', 'ROOT/exercises', '/proc/1/root'):
    link = '/tmp/' + str(len(target))
    os.symlink(target, link)
    print(os.path.exists(link))""", shows=r"(False ?){3}")

# Network

attack = partial(add, "network")
attack("this machine, the net and names", """
import socket
for host, port in (('127.0.0.1', PORT), ('10.0.0.1', 80), ('1.1.1.1', 53)):
    try: socket.create_connection((host, port), 2); print('connected')
    except OSError: print('refused')
try: socket.getaddrinfo('example.org', 80); print('connected')
except OSError: print('refused')""", shows=r"^(refused ?){4}")
attack("a raw socket and a new interface", """
import socket
for kind in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 0)):
    try: socket.socket(*kind); print('made')
    except OSError as e: print(type(e).__name__)""", shows=r"^(PermissionError ?){2}")

# Bombs

attack = partial(add, "bombs")
attack("forks of forks", """
import os
while True:
    try: os.fork()
    except OSError: pass""", limits=Limits(cell=4, memory=2**30), says="cell 1 was left out")
attack("a thousand threads", """
import threading, time
count = 0
try:
    for count in range(1000):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
except RuntimeError: print('after', count)""", says="it left no process for its tests|ended the process",
    costs=ALL)  # no process is left for the snapshots
attack("memory of one process", """
kept = []
try:
    while True: kept.append(bytearray(2**28))
except MemoryError: kept.clear(); print('none left')""", says="of memory in all|none left")
attack("memory of many processes", """
import os, time
for _ in range(20):
    if os.fork() == 0:
        kept = bytearray(b'x') * 300_000_000
        time.sleep(60)
time.sleep(60)""", says="more than 1.0 GiB of memory in all")
attack("memory of a process whose first thread has ended", """
import ctypes, os, threading, time
def hold():
    kept = bytearray(b'x') * 1_300_000_000
    time.sleep(60)
if os.fork() == 0:
    threading.Thread(target=hold).start()
    ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)
time.sleep(60)""", limits=Limits(cell=30, cells=60, memory=2**30), says="more than 1.0 GiB of memory in all")
attack("shared pages made their own by many processes", """
import gc, os, time, torch
library = [o for o in gc.get_objects()]
big = torch.zeros(15_000_000)
big += 1
for _ in range(40):
    if os.fork() == 0:
        big += 1
        time.sleep(60)
time.sleep(60)""", says="more than 1.0 GiB of memory in all")
FILL = """
import errno, os
def fill(folder):
    for n in range(1000):
        try:
            with open(f'{folder}/attacked{n}', 'wb') as file:
                file.write(bytes(2**25))
        except OSError as error:
            return errno.errorcode[error.errno], n
"""
attack("files in memory, and large ones", FILL + """
print(fill('/tmp'), fill('/dev/shm'), fill('.'))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try: os.truncate(os.open('/dev/shm/attacked0', os.O_RDWR), 2**40)
except OSError as error: print(errno.errorcode[error.errno])""",
    shows=r"\('ENOSPC', \d\) \('ENOSPC', \d\) \('ENOSPC', 0\) EFBIG")
attack("a million empty files", """
import errno
n = 0
try:
    while True:
        open(f'/tmp/attacked{n}', 'w').close(); n += 1
except OSError as error: print(errno.errorcode[error.errno], n < 20_001)""", shows="ENOSPC True")
attack("memory that belongs to no process", """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
for number in (libc.memfd_create(b'x', 0), libc.shmget(0, 2**30, 0o1600), libc.msgget(0, 0o1600)):
    print(number, errno.errorcode[ctypes.get_errno()])""", shows=r"(-1 EPERM ?){3}")
attack("every processor kept busy", """
import os
for _ in range(30):
    if os.fork() == 0:
        while True: pass
while True: pass""", limits=Limits(cell=6, memory=2**30),
    says="cell 1 was left out: it (kept many processes busy|did not finish)")

# Loops and floods

STUBBORN = """
import os, signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
"""
attack = partial(add, "loops")
attack("a cell that ignores signals", STUBBORN + """
while True:
    try:
        while True: pass
    except BaseException: pass""", limits=QUICK_CELLS,
    says="cell 1 was left out: it did not finish within 2 seconds")
attack("an answer that ignores signals", limits=QUICK_CHECKS, answers=softmax("""import signal
    for n in (2, 15, 24, 14): signal.signal(n, signal.SIG_IGN)
    while True:
        try:
            while True: pass
        except BaseException: pass"""), says="it did not finish within 3 seconds")
attack("an answer that sleeps a little each time", limits=QUICK_CHECKS, answers=softmax("""time.sleep(1)
    return torch.softmax(scores, -1)"""), says="Padding receives weight")
attack("many cells that each take long", limits=QUICK_CELLS,
    change=lambda notebook: notebook.cells.extend(new_code_cell("while True: pass") for _ in range(10)),
    says="was left out: it did not finish within")
attack("many cells that each take a little", limits=Limits(cell=5, cells=4, memory=2**30),
    change=lambda notebook: notebook.cells.extend(
        new_code_cell("import time; time.sleep(1)") for _ in range(30)
    ),
    says="cell [0-9]+ and others took all 4 seconds that the cells have: from cell [0-9]+ on, none was run")
attack = partial(add, "floods")
attack("a hundred megabytes printed", """
for _ in range(100): print('x' * 1_000_000)
import os
for _ in range(100): os.write(1, b'x' * 1_000_000)""",
    shows="the rest (of the output was dropped|was left out)")
attack("a thousand pictures", """
import matplotlib.pyplot as plt, io
from IPython.display import Image, display
buffer = io.BytesIO(); plt.figure(figsize=(1, 1)); plt.savefig(buffer); plt.close()
for _ in range(1000): display(Image(buffer.getvalue()))
print('shown')""", shows="shown")
attack("outputs that pass by the limits", SOCKETS + """
text = json.dumps({"dict": [["outputs", {"list": [{"dict": [["text", "x" * 1000]]}] * 3000 + [
    {"dict": [["png", "<script>alert(1)</script>"]]}, {"dict": [["html", "<b>"]]}, 3, None]}],
    ["error", "E" * 100_000]]})
os.write(lines()[0], frame(text.encode()))
""")

# What stays behind

attack = partial(add, "left-over processes")
attack("a daemon of a cell: setsid and a double fork", """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir('/')
        time.sleep(3600)
    os._exit(0)
os.wait(); print('parent done')""", shows="parent done")
attack("programs of a cell and of an answer", """
import subprocess
subprocess.Popen(['sleep', '3600'], start_new_session=True)
subprocess.Popen('nohup sleep 3600 & disown', shell=True)
print('started')""", answers=softmax("""import subprocess
    subprocess.Popen(['sleep', '3600'], start_new_session=True)
    return torch.softmax(scores, -1)"""), shows="started")
LEAVE = """
import os
left = []
for folder, within, _ in os.walk('/'):
    within[:] = [name for name in within if name not in ('site-packages', 'share', 'bin')]
    try:
        path = os.path.join(folder, 'attacked')
        open(path, 'w').write('from one to the next')
        left.append(path)
    except OSError: pass
print(sorted({path.split('/')[1] for path in left}))
"""
attack = partial(add, "poisoned workers")
attack("files wherever they can be written", LEAVE, shows=r"\['dev', 'tmp'\]", then="""
import os
print('found', [f for f, _, names in os.walk('/') if 'attacked' in names])""", finds=r"found \[\]")
attack("the library's code and the interpreter's", """
import torch, utils.attention, grading.sandbox.calls, sys, sysconfig
code = [module.__file__ for module in (torch, utils.attention, grading.sandbox.calls)]
for path in (*code, sys.executable, sysconfig.get_path('purelib') + '/attacked.pth'):
    try: open(path, 'a').write('x'); print('written')
    except OSError as e: print(e.errno)""", shows=r"^((30|13|26) ?){5}$")
attack("everything in the process is patched", """
import torch, builtins, grading.sandbox.calls, grading.sandbox.server, utils.attention as a, os
a.masked_softmax = a.dot_score = lambda *x: 1 / 0
builtins.attacked = True
os.environ['ATTACKED'] = '1'
get_ipython().user_ns_hidden['attacked'] = 1
torch.attacked = True
print('patched')""", costs=("attend",), shows="patched", then="""
import builtins, os, torch
print(hasattr(builtins, 'attacked'), 'ATTACKED' in os.environ, hasattr(torch, 'attacked'))""",
    finds="False False False")
attack("the fork server's memory", """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
for pid in (1, os.getppid()):
    print(libc.ptrace(16, pid, 0, 0), errno.errorcode[ctypes.get_errno()])
    try: open(f'/proc/{pid}/mem', 'r+b'); print('open')
    except OSError as e: print(e.errno)""", shows=r"(-1 EPERM 2 ?){2}")
KEYS = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
add, ask = {'x86_64': (248, 250), 'aarch64': (217, 219)}[os.uname().machine]
"""
attack("the kernel's keys", KEYS + """
result = libc.syscall(add, b'user', b'attacked', b'payload', 7, -4)
print(result, errno.errorcode[ctypes.get_errno()])
""", shows="-1 EPERM", then=KEYS + "print(libc.syscall(ask, 10, -4, b'user', b'attacked', 0))", finds="^-1")
attack("the server's open files", """
import os
for fd in range(256):
    try: os.write(fd, b'') and None; os.lseek(fd, 0, 0)
    except OSError: continue
os.write(2, b'from one to the next'); print('written')""", shows="written", then="""
import os
for fd in range(3):
    os.lseek(fd, 0, 0); print(os.read(fd, 99))""", finds=r"^(b'' ?){3}")
attack("sockets with a name, and shared memory with one", r"""
import socket
from multiprocessing import shared_memory
s = socket.socket(socket.AF_UNIX); s.bind('\0attacked'); s.listen()
m = shared_memory.SharedMemory('attacked', True, 99)
t = socket.create_server(('127.0.0.1', 5555)); print('listening')""",
    shows="listening|unreachable|cannot assign", then=r"""
import socket, os
s = socket.socket(socket.AF_UNIX)
try: s.connect('\0attacked'); print('connected')
except OSError as e: print(e.errno)
print(os.listdir('/dev/shm'))
print(socket.socket().connect_ex(('127.0.0.1', 5555)) != 0)""", finds=r"^111 \[\] True")

# Odd answers

attack = partial(add, "odd answers")
for name, body, says in [
    ("an object whose pickle runs code", """class P:
        def __reduce__(s): return (os.system, ('true',))
    return P()""", "plain torch.Tensor"),
    ("NaN", "return torch.full_like(scores, float('nan'))", "NaN|sum to one"),
    ("infinity", "return torch.full_like(scores, float('inf'))", "weights|infinity"),
    ("two gigabytes", "return torch.zeros(2**28)", "memory|no reply|ended|raised|shape"),
    ("complex, sparse and meta tensors", "return [torch.zeros(2) * 1j, torch.eye(3).to_sparse(),"
     " torch.zeros(3, device='meta')][scores.shape[-1] % 3]", "plain torch.Tensor"),
    ("lists in lists in lists", """x = []
    for _ in range(10_000): x = [x]
    return x""", "plain torch.Tensor"),
    ("a list that holds itself", """x = []; x.append(x)
    return x""", "plain torch.Tensor"),
    ("a number of 5,000 digits", "return 10**5000", "plain torch.Tensor|no reply|judged|ended"),
    ("a hundred megabytes of text", "return 'x' * 10**8", "plain torch.Tensor|no reply"),
    ("an empty tensor with ten million rows", "return torch.zeros(10_000_000, 0)", "no reply"),
    ("a dict of 60,000 tensors", "return {i: torch.zeros(()) for i in range(60_000)}", "no reply"),
    ("sets in sets", """s = frozenset()
    for _ in range(200_000): s = frozenset([s])
    return s""", "plain torch.Tensor|no reply|ended|raised"),
    ("a hundred thousand sets", "return [{i} for i in range(100_000)]", "no reply"),
    ("a generator without end", """import itertools
    return itertools.count()""", "plain torch.Tensor"),
    ("a tensor that lies about its size", """t = torch.zeros_like(scores)
    t.detach = lambda: type('L', (), {'numpy': lambda s: scores.numpy()})()
    return t""", "weights"),
    ("an error that fails when it is told", """class E(Exception):
        def __str__(self): raise self
    raise E""", "ended the process|raised"),
]:  # fmt: skip
    attack(name, answers=softmax(body), says=says)

# What people and pages read

attack = partial(add, "markup and terminals")
attack("script in an error's message",
    answers=softmax("raise ValueError('<script>alert(1)</script><img src=x onerror=alert(1)>')"),
    says="<script>alert")  # as text: whoever makes a page of it must escape it
attack("HTML and JavaScript as output", """
from IPython.display import HTML, Javascript, display
display(HTML('<script>alert(1)</script>'))
display(Javascript('alert(1)'))""", shows="IPython.core.display")
attack("letters that steer a terminal, and half letters", "print('\\ud800')", answers=softmax(
    "raise type('\\x1b[2J', (Exception,), {})('\\x1b[1A\\x1b]0;x\\x07\\u202e\\ud800\\r✓ 3\\x9b2J')"),
    says="raised")
attack("a message of many lines and megabytes",
    answers=softmax("raise ValueError('✓ masked_softmax: 3 of 3\\n' * 100_000)"), says=r"\.\.\.")

# Killing

attack = partial(add, "killing")
attack("everything that a cell can see", """
import os
try: os.kill(-1, 9)
finally: print('alive')""", shows="alive")
attack("snapshots that were taken before", last="""
import os
os.kill(-1, 9)
print('alive')""", shows="alive")
attack("the parent and process 1, with every signal", """
import os
for number in range(1, 65):
    for pid in (1, os.getppid()):
        try: os.kill(pid, number)
        except OSError: pass
print('alive')""", shows="alive")
attack("everything that an answer can see", answers=softmax("""os.kill(-1, 9)
    return torch.softmax(scores, -1)"""), says="it ended the processes of all other answers")

# System calls

SYSTEM = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(result): return 'done' if result >= 0 else errno.errorcode[ctypes.get_errno()]
"""
attack = partial(add, "system calls")
attack("new namespaces", SYSTEM + """
print([tried(libc.unshare(flag)) for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000)])
clone = {'x86_64': 56, 'aarch64': 220}[os.uname().machine]
print(tried(libc.syscall(clone, 0x10000000 | 17, 0, 0, 0, 0)), tried(libc.syscall(435, 0, 0)))""",
    shows=r"\['EPERM', 'EPERM', 'EPERM', 'EPERM'\] EPERM ENOSYS")
attack("mounts and other roots", SYSTEM + """
print(tried(libc.mount(b'x', b'/tmp', b'tmpfs', 0, b'size=99G')), tried(libc.umount2(b'/proc', 2)),
      tried(libc.umount2(b'/tmp', 2)), tried(libc.chroot(b'/tmp')), tried(libc.setns(0, 0)))""",
    shows="EPERM EPERM EPERM EPERM EPERM")
attack("another user, and more than its limits", SYSTEM + """
import resource
print(tried(libc.setuid(0)), tried(libc.setresuid(0, 0, 0)), tried(libc.setgroups(0, None)))
for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
    try: resource.setrlimit(kind, (2**40, 2**40)); print('done')
    except ValueError: print('no')""", shows=r"(EPERM|EINVAL) (EPERM|EINVAL) EPERM (no ?){4}")
attack("tracing and reading other processes", SYSTEM + """
print([tried(libc.ptrace(16, pid, 0, 0)) for pid in (1, 3)])
print(tried(libc.process_vm_readv(1, 0, 0, 0, 0, 0)))
""", shows=r"\['EPERM', 'EPERM'\] EPERM")
attack("the numbers of another architecture, and rare calls", SYSTEM + """
print([tried(libc.syscall(n, 0, 0, 0, 0, 0)) for n in (0x40000000 + 101, 425, 428, 430, 438, 442, 447)])
print(tried(libc.sethostname(b'x', 1)), tried(libc.swapoff(b'/x')))""",
    shows=r"\['(EPERM|ENOSYS)'(, 'EPERM'){6}\] EPERM EPERM")
