"""The student's side: it runs cells as a notebook would, answers calls, and keeps what it says short."""

import socket
import struct

import numpy as np
import pytest

from grading.sandbox.cases import Case
from grading.sandbox.protocol import LARGEST, WireError
from grading.sandbox.server import PICTURES, TEXT, Bounded, Channel, serve

pytestmark = pytest.mark.usefixtures("bubblewrap")


@pytest.fixture
def ends():
    """Two ends of a socket: a channel, and what may say anything."""
    ours, theirs = socket.socketpair()
    with theirs:
        yield Channel(ours), theirs


def test_messages_arrive_whole_and_in_order(ends):
    channel, other = ends
    theirs = Channel(other.dup())
    theirs.send({"x": np.arange(3)})
    theirs.send("second")
    assert channel.receive()["x"].tolist() == [0, 1, 2]
    assert channel.receive() == "second"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", EOFError),
        (b"\x01\x00", EOFError),
        (struct.pack("<Q", 100) + b"too little", EOFError),
        (struct.pack("<Q", LARGEST + 1), WireError),
        (struct.pack("<Q", 4) + b"text", WireError),
    ],
)
def test_a_message_that_is_cut_or_none_is_refused(ends, sent, error):
    channel, other = ends
    other.sendall(sent)
    other.shutdown(socket.SHUT_WR)
    with pytest.raises(error):
        channel.receive()


def test_output_beyond_the_limit_is_dropped_and_said_once():
    kept = []
    stream = Bounded(kept.append)
    assert stream.write("x" * (TEXT - 1)) == TEXT - 1
    assert stream.write("yz") == 2 and stream.write("more") == 4
    text = "".join(kept)
    assert text.startswith("x" * (TEXT - 1) + "y\n... (the rest") and text.count("dropped") == 1
    assert "z" not in text and "more" not in text


def test_an_order_that_is_no_message_ends_the_worker(ends):
    """It never runs what it did not understand."""
    channel, other = ends
    other.sendall(b"\x05" + bytes(7) + b"wrong")
    with pytest.raises(WireError):
        serve(channel, None)


# A worker in the sandbox


@pytest.fixture(scope="module")
def worker(sandbox):
    with sandbox.submission() as submission:

        def ask(order, replies=1):
            first, line = submission.cells.ask(order, 60), submission.cells
            return [first, *(line.reply(60) for _ in range(1, replies))] if replies > 1 else first

        yield ask


def text_of(reply):
    return "".join(output.get("text", "") for output in reply["outputs"])


def test_a_cell_prints_shows_and_fails_as_in_a_notebook(worker):
    assert worker({"run": "print('a'); import sys; print('b', file=sys.stderr); 1 + 1"}) == {
        "outputs": [{"text": "a\nb\n2\n"}],
        "error": None,
    }
    failed = worker({"run": "print('before'); 1 / 0"})
    assert failed["error"] == "ZeroDivisionError" and text_of(failed).startswith("before\n")
    assert "division by zero" in text_of(failed) and "\x1b" not in text_of(failed)
    assert worker({"run": "x = ["})["error"] == "SyntaxError"
    assert worker({"run": "raise SystemExit"})["error"] == "SystemExit"
    assert text_of(worker({"run": "%time x = 3"})) and text_of(worker({"run": "x"})) == "3\n"


def test_pictures_are_kept_up_to_a_number(worker):
    worker({"run": "import matplotlib.pyplot as plt"})
    cell = "for _ in range(12):\n    plt.figure(figsize=(1, 1)).subplots()\n    plt.show()"
    pictures = [output for output in worker({"run": cell})["outputs"] if "png" in output]
    assert len(pictures) == PICTURES and pictures[0]["png"].startswith("iVBOR")


def test_answers_are_called_by_their_name_one_reply_for_each_case(worker):
    worker({"run": "def twice(x):\n    print('noise')\n    return 2 * x"})
    cases = [Case("a", {"x": np.ones(n)}, kept={"secret": 1}) for n in (1, 2)]
    one, two = worker({"call": "twice", "cases": cases}, replies=2)
    assert one.outputs[0].tolist() == [2] and two.outputs[0].tolist() == [2, 2]
    assert worker({"call": "thrice", "cases": cases}) is None


def test_copied_tests_do_nothing_and_the_judge_cannot_be_imported(worker):
    cell = "from grading.checks import check\nprint(check('twice', None))\nimport grading.checks, sys\n"
    cell += "print(hasattr(grading.checks, 'CHECKS'), 'grading.judge' in sys.modules)"
    assert text_of(worker({"run": cell})) == "None\nFalse False\n"
