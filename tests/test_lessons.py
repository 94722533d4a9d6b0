"""Every demo runs from top to bottom without a network, and its outputs hold what its text says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_demo_01 import the_bottleneck_shows

ROOT = Path(__file__).resolve().parents[1]
DEMOS = sorted((ROOT / "lessons" / "demo").glob("*.py"))

pytestmark = pytest.mark.timeout(1200)


def run_offline(lesson, tmp_path):
    """Run a demo's text as plain Python, cut off from every network where the system can do that."""
    command = [sys.executable, str(lesson)]
    if (
        shutil.which("unshare")
        and subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0
    ):
        command = ["unshare", "-rn", *command]
    env = os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT), "ATTENTION_DATA": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("lesson", DEMOS, ids=lambda lesson: lesson.stem)
def test_demo_runs_offline_as_plain_python(lesson, tmp_path):
    text = run_offline(lesson, tmp_path)
    if lesson.stem == "01_bottleneck":
        # Training differs a little from machine to machine, so a fresh run gets some slack.
        the_bottleneck_shows(text, at_least=75)
