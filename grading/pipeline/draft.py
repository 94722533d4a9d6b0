"""Turn a student's wrong answer into a draft mistake for the bank."""

import ast
import shlex

from grading import CourseError
from grading.judge.message import NOT_WRITTEN
from grading.judge.registry import find_check
from grading.pipeline import result

HEAD = """\
# A draft for grading/exercises/{exercise}/mistakes.py. Rename it, say what is wrong and what to do, shorten
# the code, and run the tests of the bank: it must fail the check, and no other mistake may do the same.
"""


def draft(course, assignment, name, student):
    """Return the source of a mistake that does what a student's answer called `name` does."""
    try:
        find_check(name)
    except KeyError as error:
        raise CourseError(error.args[0]) from None
    path = course / "graded" / assignment / f"{student}.json"
    found = result.read(path)
    if not found:
        raise CourseError(f"there is no record {path}: grade the class first, and name a student of it")
    sentence = next((check.message.split("\n")[0] for check in found.checks if check.name == name), None)
    if sentence in ("", NOT_WRITTEN):
        state = "not written yet" if sentence else "right"
        raise CourseError(f"{name} of {student} is {state}: choose a student whose answer is wrong")
    defined, helpers = _definition(found.cells, name)
    if defined is None:
        raise CourseError(f"{student} has no cell that defines {name}: choose another student of the group")
    defined.name = "describe_the_mistake"
    defined.decorator_list = [ast.parse(f"mistake({name})", mode="eval").body]
    written = defined.body[1:] if ast.get_docstring(defined) is not None else defined.body
    defined.body = [ast.Expr(ast.Constant(sentence or "Say what is wrong and what to do.")), *written]
    parts = [ast.unparse(ast.fix_missing_locations(node)) for node in (*helpers, defined)]
    return HEAD.format(exercise=assignment) + "\n\n".join(parts)


def _definition(cells, name):
    """Return the function called `name`, or the forward of a class, and its cell's other definitions."""
    for cell in reversed(cells):
        try:
            nodes = ast.parse(cell["source"]).body if cell["kind"] == "code" else []
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in nodes:
            if isinstance(node, ast.ClassDef) and node.name == name:
                node = next((part for part in node.body if getattr(part, "name", "") == "forward"), node)
            elif not isinstance(node, ast.FunctionDef) or node.name != name:
                continue
            if isinstance(node, ast.FunctionDef):
                others = [other for other in nodes if getattr(other, "name", name) != name]
                return node, others
    return None, []


def command(assignment, name, student):
    """Return the command line that prints a draft."""
    return shlex.join(["course", "draft", assignment, name, student])
