"""Every demo runs from top to bottom without a network, its claims, and most of its training.

The build runs them in full, with their claims.
"""

import ctypes
import os
import pickle
import re
import runpy
import sys
import traceback
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from joblib.externals.loky.backend.reduction import dumps

from make_notebooks import plain_python
from utils import training
from utils.text import encoded_questions, encoded_reviews, encoded_summaries

ROOT = Path(__file__).resolve().parents[1]
DEMOS = sorted((ROOT / "lessons" / "demo").glob("*.py"))
# As in updates=1_200, {"updates": 500}, SEED, UPDATES = 0, 400 and train(model, encoded, 300).
UPDATES = re.compile(r'(\bupdates"?\s*(?:= 0,|[:=])\s*|\btrain\(\s*\w+, \w+, )([\d_]+)', re.IGNORECASE)


def fast(code, part=10):
    """Return code with a tenth of its training, or another part: every number of updates that it sets."""
    return UPDATES.sub(lambda match: f"{match[1]}{max(1, int(match[2]) // part)}", code)


def fastest(code):
    """Return code with a fortieth of its training, measured with a third or a tenth of the sentences."""
    code = re.sub(r"(range\(|\[:|reviews=)1[05]0\b", r"\g<1>40", fast(code, 40))
    return re.sub(r"(range\(|\[:)6_?000\b", r"\g<1>600", code)


NO_NETWORK = 0x10000000 | 0x40000000  # a new user and a new network, of Linux


def one_by_one(function, jobs, workers=None):
    """Run jobs here instead of in new processes, with what a new process would be sent."""
    return [pickle.loads(dumps(function))(**job) for job in jobs]


def shorten(text, *corpora):
    """Leave a tenth of the sentences to measure with, and those that a text names, but all of training."""
    for encoded in corpora:
        for name in encoded.corpus.splits.keys() - {"train"}:
            split = encoded.corpus[name]
            kept = [i for i, src in enumerate(split.src) if i < len(split) // 10 or f'"{src}"' in text]
            encoded.corpus.splits[name] = split[kept]


def run_script(script):
    """Run a script in its folder, offline if the system can. What it prints goes to a file beside it."""
    os.chdir(script.parent)
    os.environ |= {"MPLBACKEND": "agg", "ATTENTION_DATA": str(script.parent)}
    shorten(script.read_text("utf-8"), encoded_reviews(), encoded_questions(), encoded_summaries())
    getattr(ctypes.CDLL(None), "unshare", int)(NO_NETWORK)
    training.in_parallel = one_by_one
    with open("printed.txt", "w") as file, redirect_stdout(file):
        try:
            runpy.run_path(script.name, run_name="__main__")
        except BaseException:
            traceback.print_exc(file=file)
            file.flush()
            os._exit(1)


def test_a_tenth_of_the_training():
    code = 'A = {"updates": 500}\nUPDATES = 1_200\ntrain(updates=4, rate=3)\ntrain(\n    a, b, 300)'
    assert fast(code) == 'A = {"updates": 50}\nUPDATES = 120\ntrain(updates=1, rate=3)\ntrain(\n    a, b, 30)'


@pytest.fixture(scope="module")
def warm():
    """What all demos need, once: each runs in a fork of this process, which has the reviews and torch."""
    encoded_reviews(), encoded_questions(), encoded_summaries()
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # the first optimizer imports the compiler


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("lesson", DEMOS, ids=lambda lesson: lesson.stem)
def test_demo_runs_offline(lesson, tmp_path, warm):
    script = tmp_path / f"{lesson.stem}.py"
    script.write_text(fastest(plain_python(lesson)), "utf-8")
    process = get_context("fork").Process(target=run_script, args=[script], daemon=True)
    process.start()
    process.join()
    assert process.exitcode == 0, (tmp_path / "printed.txt").read_text()
