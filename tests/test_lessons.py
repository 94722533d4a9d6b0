"""Every demo runs from top to bottom without a network, with a tenth of its training and without its claims.

The build runs them in full, with their claims.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from make_notebooks import plain_python

ROOT = Path(__file__).resolve().parents[1]
DEMOS = sorted((ROOT / "lessons" / "demo").glob("*.py"))
UPDATES = re.compile(r'(\bupdates"?\s*[:=]\s*)([\d_]+)', re.IGNORECASE)  # updates=1_200, {"updates": 500}


def fast(code):
    """Return code with a tenth of its training: every number of updates that it sets, divided by ten."""
    return UPDATES.sub(lambda match: f"{match[1]}{max(1, int(match[2]) // 10)}", code)


def run_demo_fast(lesson, folder):
    """Run a demo as plain Python in a folder, offline if the system can. Return what it printed."""
    script = folder / f"{lesson.stem}.py"
    script.write_text(fast(plain_python(lesson)), "utf-8")
    offline = ["unshare", "-rn"]
    if not shutil.which("unshare") or subprocess.run([*offline, "true"], capture_output=True).returncode:
        offline = []
    env = os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT), "ATTENTION_DATA": str(folder)}
    command = [*offline, sys.executable, script.name]
    run = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_tenth_of_the_training():
    code = 'A = {"updates": 500}\nUPDATES = 1_200\ntrain(updates=4, rate=3)\nprint(updates == 70)'
    assert fast(code) == 'A = {"updates": 50}\nUPDATES = 120\ntrain(updates=1, rate=3)\nprint(updates == 70)'


@pytest.mark.parametrize("lesson", DEMOS, ids=lambda lesson: lesson.stem)
def test_demo_runs_offline(lesson, tmp_path):
    run_demo_fast(lesson, tmp_path)
