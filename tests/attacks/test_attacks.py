"""Every attack of the bank that runs goes through one sandbox, and honest classmates between them.

With --slow, a classmate follows each attack; without it, every third, and each that prepares something for
a classmate. Each attack also has honest answers, which must earn their points. It must harm nothing: see
`bank` for what is promised.
"""

import json
import os
import re
import socket
from dataclasses import replace

import psutil
import pytest
import torch
from nbformat.v4 import new_code_cell

from grading.cli import as_text
from grading.judge.judge import examine
from grading.pipeline.assignments import ROOT, NotGradable, assignments
from grading.pipeline.grade import grade
from grading.sandbox.client import Sandbox, Watch
from tests.attacks.bank import ATTACKS, MARK, MISTAKES, NAME, TESTS, submission

pytestmark = pytest.mark.usefixtures("bubblewrap")
SECRET = "canary-7c1f"
SEED = 5
ASKED = ("dot_score", "masked_softmax", "attend")  # of a classmate: enough to see what an attack has left


class Field:
    """A course with canaries in a folder, a sandbox, two honest classmates, and what must not change."""

    def __init__(self, folder, sandbox, port):
        self.folder, self.course, self.sandbox = folder, folder / "course", sandbox
        self.assignment = assignments()[NAME]
        self.short = replace(self.assignment, tests=tuple((name, TESTS[name]) for name in ASKED))
        self.places = {"COURSE": str(self.course), "ROOT": str(ROOT), "PORT": str(port)}
        self.mine = self.course / "submitted" / "mallory" / NAME
        self.mine.mkdir(parents=True)
        for name in ("gradebook.db", "solution.ipynb", f"submitted/other/{NAME}/{NAME}.ipynb", "../canary"):
            path = self.course / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SECRET)
        self.classmates = {}
        for name in ("right", "half"):
            self.classmates[name] = folder / f"{name}.ipynb"
            self.classmates[name].write_text(json.dumps(classmate(name)))
        self.reports = {name: self.honest(name) for name in self.classmates}

    def grade(self, path, limits):
        return grade(path, self.sandbox, self.assignment, SEED, limits=limits)

    def honest(self, name, extra=""):
        path = self.classmates[name]
        if extra:
            path = self.folder / "next.ipynb"
            notebook = classmate(name)
            notebook.cells.insert(0, new_code_cell(extra))
            path.write_text(json.dumps(notebook))
        report = grade(path, self.sandbox, self.short, SEED)
        return report.as_json(), [(cell["outputs"], cell["error"]) for cell in report.cells]

    def state(self):
        """All that a submission could change outside of itself, but for its own folder."""
        files = {}
        for place in (self.course, self.folder / "canary", ROOT / "exercises" / "solution" / NAME):
            for path in [place, *place.rglob("*")]:
                if path.is_file() and not path.is_relative_to(self.mine):
                    files[str(path)] = path.stat().st_mtime_ns, path.read_bytes()
        for place in ("/tmp", "/dev/shm", "/var/tmp", os.getcwd()):
            files |= {name: place for name in os.listdir(place) if name.startswith("attacked")}
        users = [p.info["uids"] for p in psutil.process_iter(["uids"])]
        left = [ids for ids in users if os.getuid() == 0 and ids and ids.real == self.sandbox.user]
        return files, left, len(psutil.Process().children(recursive=True))


def classmate(name):
    """A submission that is "right", or "half" of it."""
    notebook = submission({} if name == "right" else MISTAKES)
    left_out = {f"test_{test}" for test in TESTS if test not in ASKED}
    notebook.cells = [cell for cell in notebook.cells if cell.id not in left_out]
    return notebook


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADEBOOK_PASSWORD", SECRET)
        patch.setattr(Watch, "GRACE", 2)
        with Sandbox(require=True) as sandbox, server:
            field = Field(tmp_path_factory.mktemp("field"), sandbox, server.getsockname()[1])
            assert field.reports["right"][0]["score"] == sum(TESTS[name] for name in ASKED)
            assert field.reports["half"][0]["score"] == TESTS["dot_score"] + TESTS["attend"]
            yield field
            with pytest.raises(BlockingIOError):  # nobody has come
                server.accept()


@pytest.mark.usefixtures("singly")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.kind}: {attack.name}")
def test_an_attack_gains_nothing_and_harms_nobody(attack, field, record_property, pytestconfig):
    number = ATTACKS.index(attack)
    next_one = ("right", "half")[number % 2]
    expected = attack.expected()
    followed = attack.then or number % 3 == 0 or pytestconfig.getoption("slow")
    for path in field.mine.iterdir():
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    path = field.mine / f"{NAME}.ipynb"
    attack.hand_in(path, field.places)
    before = field.state()
    try:
        report = field.grade(path, attack.limits)
        earned = {check.name: check.points for check in report.checks}
        printed = text_of(cell["outputs"] for cell in report.cells)
        said = as_text(report)
    except NotGradable as problem:
        report, earned, printed, said = None, dict.fromkeys(TESTS, 0), "", str(problem)
    after = field.state()
    next_report = field.reports[next_one]
    if followed and not attack.refused:
        next_report = field.honest(next_one, attack.then)
    gained = sum(max(0, earned[name] - expected[name]) for name in TESTS)
    harmed = [what for what, a, b in zip(HARM, before, after, strict=True) if a != b]
    if attack.then:
        found = text_of([next_report[1].pop(0)[0]])
        assert re.search(attack.finds, found), found
    if next_report != field.reports[next_one]:
        harmed.append("the next one's report")
    record_property("attack", [attack.kind, gained, len(harmed)])

    assert (report is None) == attack.refused, said
    assert (gained, harmed) == (0, []), (earned, said)
    if report:
        assert earned == expected, said + printed
        assert all(check.message for check in report.checks if not check.points)
        assert all(letter.isprintable() or letter == "\n" for letter in said)
        json.dumps(report.as_json(), ensure_ascii=False).encode()
        assert sum(len(str(cell["outputs"])) for cell in report.cells) < 10_000_000
    assert re.search(attack.shows, printed), printed
    assert re.search(attack.says, said), said
    for hidden in (MARK, SECRET):
        assert hidden not in said + printed + json.dumps(report.as_json() if report else "")


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.earns], ids=lambda attack: attack.name)
def test_an_attack_that_keeps_parts_of_its_points_earns_less_than_its_code_does_without_it(attack):
    for name, points in attack.earns.items():
        honest = re.sub("\n    if .*", "", attack.answers[name])
        assert honest != attack.answers[name]
        scope = {"torch": torch}
        exec(honest, scope)
        assert examine(name, scope[name], seed=SEED).passed and points < TESTS[name]


def text_of(cells):
    """What cells have printed, on one line."""
    return " ".join("".join(o["text"] for outputs in cells for o in outputs if "text" in o).split())


HARM = ("files outside of its folder", "processes that were left", "processes below the grader")
