"""What demo 05 says in words is held to what its committed outputs show."""

import ast
import html
import re
from pathlib import Path

import pytest
import torch

from utils.data import load_questions, load_summaries
from utils.plotting import NAMES

LESSON = Path(__file__).resolve().parents[1] / "lessons" / "demo" / "05_beyond_translation.py"
KINDS = ("additive", "none")


@pytest.fixture(scope="module")
def taught():
    """The functions and constants of the lesson, without running its cells."""
    tree = ast.parse(LESSON.read_text("utf-8"))
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)
        or (isinstance(node, ast.Assign) and all(name.isupper() for name in map(ast.unparse, node.targets)))
    ]
    names = {}
    exec(compile(tree, str(LESSON), "exec"), names)
    return names


def line(text, start):
    """The numbers of the one line that begins so."""
    (found,) = re.findall(rf"^{re.escape(start)}(.*)$", text, re.M)
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", found)]


def table(text, heading):
    """The means and half intervals, in per cent, of both kinds in the table below a heading."""
    _, _, below = text.partition(heading)
    rows = below.split("\n")[1:3]
    assert [row[:26].strip() for row in rows] == [NAMES[kind] for kind in KINDS]
    cells = [re.findall(r"(-?\d+)% ± (\d+\.\d)%", row) for row in rows]
    return [[(float(mean), float(half)) for mean, half in row] for row in cells]
