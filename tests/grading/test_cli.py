"""The command `course check`: what it takes, and what it tells a student first."""

import contextlib
import os
import pty
import subprocess
import sys

import nbformat
import pytest

from examples.make_class import NAME, NEARLY, notebook
from grading.cli import parser
from grading.pipeline.assignments import ROOT
from tests.grading.points import MOST

pytestmark = pytest.mark.usefixtures("bubblewrap")
BROKEN = {
    "scaled_dot_score": "x = 1\nundefined\n",
    "MultiplicativeScore": """
class MultiplicativeScore(nn.Module):
    def __init__(self, query_dim, key_dim):
        super().__init__()
        self.key_proj = nn.Linear(key_dim, query_dim, bias=False)

    def foward(self, query, keys):
        return query @ self.key_proj(keys).mT
""",
    "masked_softmax": "def masked_softmax(scores, mask):\n    return torch.softmax(scores, dim=-1\n",
    "attend": "def atend(query, keys, values, mask, score):\n    return 1\n",
}


@pytest.fixture
def mine(tmp_path):
    """Write a notebook of exercise 02 into my/exercises, where `course start` puts it."""

    def write(answers=(), name=NAME):
        path = tmp_path / "my" / "exercises" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook(answers), path)
        return path

    return write


def test_failed_cells_come_first_with_their_line_and_explain_missing_answers(course, mine):
    mine(BROKEN)
    status, shown, _ = course("check", "02")
    lines = shown.splitlines()
    assert status == 0 and lines[0] == f"{NAME}: 4 of {MOST:g} points that tests can give"
    assert lines[1].startswith("! cell ") and "(scaled_dot_score) fails in line 2: NameError" in lines[1]
    assert "(masked_softmax) fails in line 2: SyntaxError" in shown
    assert "There is no scaled_dot_score in the notebook: its cell fails in line 2: NameError" in shown
    assert "There is no masked_softmax in the notebook: its cell fails in line 2: SyntaxError" in shown
    assert "There is no attend in the notebook: you wrote atend where attend is expected" in shown
    assert "you wrote foward where forward is expected" in shown and "not written yet" not in shown
    assert "\x1b" not in shown


def test_a_folder_gives_a_table_and_fail_under_an_exit_status(course, mine, tmp_path):
    mine(), mine({"masked_softmax": NEARLY, "attend": BROKEN["attend"]}, "02_second")
    (tmp_path / "my" / "exercises" / "other.ipynb").write_text("{}")
    status, shown, _ = course("check", "my", "--fail-under", 50)
    lines = shown.splitlines()
    assert status == 0 and lines[0].startswith(f"✓ {NAME}")
    assert lines[1].endswith(" masked_softmax (2.25 of 3), attend")
    assert lines[2].startswith(f"{2 * MOST - 3.75:g} of {2 * MOST:g} points")
    assert "not graded: " in lines[3] and "other.ipynb" in lines[3]
    assert course("check", "my", "--fail-under", 90)[0] == 1


def test_a_misspelled_name_gets_a_suggestion(course, mine, tmp_path):
    right = mine()
    assert course("check", "02_atention")[2] == f"no exercise is called 02_atention: did you mean {NAME}?\n"
    assert f"did you mean {right}?" in course("check", right.with_name("02_atention.ipynb"))[2]
    status, shown, said = course("check", "04")
    assert (status, shown) == (2, "") and "there is no my/exercises/04_alignment.ipynb" in said
    (tmp_path / "empty").mkdir()
    assert "there is no notebook in empty" in course("check", "empty")[2]
    with pytest.raises(SystemExit):
        course("check", right, "--colour")


@pytest.mark.parametrize("workers", ["0", "x", "1.5"])
def test_a_number_of_workers_that_is_none_is_explained(workers, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["grade", NAME, "--workers", workers])
    assert f"expected a whole number of at least 1, got '{workers}'" in capsys.readouterr().err


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_shows_color_and_progress_unless_it_asks_for_none(mine, no_color):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "grading", "check", str(mine())]
    environment = os.environ | {"NO_COLOR": no_color, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    text = b""
    with contextlib.suppress(OSError):  # what reading a closed terminal raises
        while part := os.read(ours, 1 << 16):
            text += part
    os.close(ours)
    assert process.wait() == 0
    assert (b"\x1b[32m\xe2\x9c\x93" in text) == (not no_color)
    assert b"running cell" in text and b"checking the answers" in text


def test_a_reader_that_has_seen_enough_gets_no_complaint(tmp_path):
    command = [sys.executable, "-P", "-m", "grading", "start", "--into", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


AS_ON_WINDOWS = """
import filelock, psutil, sacrebleu, sys, torch  # these know Windows
sys.modules |= dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios"))  # so that importing one fails
import grading.sandbox.client
from grading.checks import check
from grading.cli import main
from utils.attention import dot_score
check("dot_score", dot_score, cases="visible")
sys.platform = "win32"
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("words", "says"), [("check {}", "on Windows, run this command in WSL"), ("start", "16 notebooks copied")]
)
def test_windows_runs_the_visible_tests_and_says_what_needs_linux(mine, words, says, tmp_path):
    command = [sys.executable, "-P", "-c", AS_ON_WINDOWS, *words.format(mine()).split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert says in done.stdout + done.stderr and "Traceback" not in done.stderr
