"""The right answers of an exercise: the functions and classes in its lesson's solution regions."""

import ast
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

LESSONS = Path(__file__).parents[2] / "lessons" / "exercises"
TEST = re.compile(r"^# %% test=.*?(?=^# %%|\Z)", re.MULTILINE | re.DOTALL)
KEPT = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef


@cache
def solution(module):
    """Return the solution of an exercise as a module: call `solution(__name__)` in its checks and mistakes.

    It holds the lesson's imports, functions, classes and constants in capitals. Nothing else of the lesson is
    run, and no test. If this copy of the course has no such lesson, each of its names is an empty class,
    which is `absent`.
    """
    exercise = module.split(".")[2]
    path, made = LESSONS / f"{exercise}.py", ModuleType(f"grading.exercises.{exercise}.solution")
    if not path.is_file():
        made.__getattr__ = _absent
        return made
    blank = TEST.sub(lambda cell: "\n" * cell[0].count("\n"), path.read_text("utf-8"))  # lines keep numbers
    tree = ast.parse(blank)
    tree.body = [node for node in tree.body if isinstance(node, KEPT) or _is_constant(node)]
    made.__file__ = str(path)
    sys.modules[made.__name__] = made  # so that `inspect` finds the source
    exec(compile(tree, path, "exec"), vars(made))
    return made


def _is_constant(node):
    targets = node.targets if isinstance(node, ast.Assign) else [None]
    return all(isinstance(target, ast.Name) and target.id.isupper() for target in targets)


def _absent(name):
    return type(name, (), {"absent": True})
