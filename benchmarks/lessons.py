"""What a lesson defines, for the measurements and tests that rest on the lesson's own functions."""

import ast
from pathlib import Path

DEMOS = Path(__file__).resolve().parents[1] / "lessons" / "demo"


def taught(stem):
    """The imports, functions, classes and constants (names in capitals) of a demo, without its other code."""
    path = DEMOS / f"{stem}.py"
    tree = ast.parse(path.read_text("utf-8"))
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Assign) and all(name.isupper() for name in map(ast.unparse, node.targets)))
    ]
    names = {}
    exec(compile(tree, str(path), "exec"), names)
    return names
