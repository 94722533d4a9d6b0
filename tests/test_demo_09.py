"""Demo 09 on the real captions: it shows none of them, and its training stops and resumes."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.utils.loopback import serve

ROOT = Path(__file__).resolve().parents[1]
LESSON = "09_real_text"
SOURCE = ROOT / "lessons" / "demo" / f"{LESSON}.py"


def captions(shared):
    """Return Multi30K's files by name."""
    return {path.name: path.read_bytes() for path in (shared / "data" / "multi30k").glob("*.gz")}


def test_no_caption_is_in_the_lesson(shared):
    known = {
        " ".join(re.findall(r"\w+", sentence.lower()))
        for data in captions(shared).values()
        for sentence in gzip.decompress(data).decode("utf-8").splitlines()
        if len(sentence.split()) > 4
    }
    shown = json.loads((ROOT / "demo" / f"{LESSON}.ipynb").read_text("utf-8"))
    texts = [SOURCE.read_text("utf-8")]
    texts += [str(output.get("text", "")) for cell in shown["cells"] for output in cell.get("outputs", [])]
    words = re.findall(r"\w+", " ".join(texts).lower())
    runs = {" ".join(words[i : i + n]) for n in range(5, 25) for i in range(len(words) - n + 1)}
    assert len(known) > 90_000 and not known & runs


@pytest.mark.slow
def test_with_captions_it_trains_stops_and_resumes(shared, tmp_path):
    """The whole lesson without its claims, for 8 updates: half of them, then the others."""
    code = re.sub(r"# %% claim\n.*?(?=# %%)", "", SOURCE.read_text("utf-8"), flags=re.DOTALL)
    short = code.replace('"updates": 500', '"updates": 8').replace("LIVE = 500", "LIVE = 4")
    assert short.count('"updates": 8') == short.count("LIVE = 4") == 1
    (tmp_path / "lesson.py").write_text(short, "utf-8")
    with serve(captions(shared)) as server:
        env = os.environ | {
            "MPLBACKEND": "agg",
            "PYTHONPATH": str(ROOT),
            "ATTENTION_DATA": str(tmp_path / "data"),
            "ATTENTION_MULTI30K_URL": server.url,
            "NO_PROXY": "*",
        }
        for updates in (4, 8):
            done = subprocess.run(
                [sys.executable, "lesson.py"], capture_output=True, text=True, env=env, cwd=tmp_path
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.count(f" {updates} of 8 updates") == 2
        assert len(server.asked) == len(set(server.asked)) == 8, "each file once"


def test_long_sentences_are_in_parliament_and_news(shared):
    """What the lesson says of corpora that it does not fetch, from samples of them."""

    def long(name):
        sentences = (shared / "data" / name).read_text("utf-8").splitlines()
        return sum(len(sentence.split()) >= 30 for sentence in sentences) / len(sentences)

    assert long("wmt14/europarl-v7.de") == pytest.approx(1 / 4, abs=0.03)
    assert long("wmt14/newstest2014.de") == pytest.approx(1 / 8, abs=0.01)
    assert long("opensubtitles/de-en.de") < 0.01
