"""What students get to read: their points and mistakes, and notebooks without hidden tests."""

import contextlib
import json
import math
import re
import signal
import threading
from functools import lru_cache
from html import escape
from pathlib import Path

import nh3
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert.filters import strip_ansi
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbgrader.preprocessors import NbGraderPreprocessor
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from grading.judge.message import HOLDS, NOT_WRITTEN
from grading.pipeline.assignments import ELSEWHERE, EMPTY, starter_sources
from grading.pipeline.lessons import section
from grading.pipeline.missing import ITS_CELL, MISNAMED, MISSING
from grading.pipeline.result import CUT, FAILED, GRADED, Standing, mark

LONG_CODE, LONG_TEXT, LONG_FORMULA = 10_000, 20_000, 500  # letters of a cell, an answer and a formula
PAGE_SECONDS = 60
RIGHT, PARTLY, WRONG, UNWRITTEN, LOST = "right", "partly right", "wrong", "not written yet", "missing"
COUNTED = ("nothing", "one thing", "two things", "three things", "four things", "five things", "six things")
NOTE = "# (tests that you cannot see)"
TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "a", "img", "div", "span", "pre", "code", "kbd"),
    *("ul", "ol", "li", "table", "caption", "thead", "tbody", "tr", "th", "td", "blockquote", "details"),
    *("summary", "em", "strong", "b", "i", "u", "s", "del", "sub", "sup", "small", "mark", "abbr"),
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "msub", "msup", "msubsup", "munder", "mover"),
    *("munderover", "mfrac", "msqrt", "mroot", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom"),
}
ATTRIBUTES = {
    "*": {"alt", "title", "align", "colspan", "rowspan", "start"},
    "a": {"href"},
    "img": {"src"},
    "math": {"display"},
    "mo": {"stretchy"},
    **{tag: {"class"} for tag in ("div", "span", "pre", "code")},
}
SCHEMES = {"http", "https", "mailto"}
PICTURES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/gif;base64,")
OTHER_TAG = re.compile(rf"<(?!!--|/?(?:{'|'.join(TAGS)})\b)", re.IGNORECASE)


class Renderer(IPythonRenderer):
    """Renders formulas as MathML, which browsers show without a script."""

    def inline_math(self, body, display="inline"):
        try:
            if len(body) <= LONG_FORMULA:
                return convert(body, display=display)
        except Exception:  # anything can have been typed: leave it as it is
            pass
        return f"<code>{escape(body)}</code>"

    def block_math(self, body):
        return f"<p>{self.inline_math(body, 'block')}</p>"

    def latex_environment(self, name, body):
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")


@lru_cache(1000)  # most cells of a class are the same
def markdown(source):
    """Convert Markdown to HTML that runs no script and loads nothing from elsewhere.

    Text, tables, links and embedded pictures stay. Tags outside TAGS, such as <script> or a student's <pad>,
    are shown as text.
    """
    renderer = Renderer(escape=False, exclude_anchor_links=True)
    html = OTHER_TAG.sub("&lt;", MarkdownWithMath(renderer=renderer).render(source))
    html = nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_safe,
        url_schemes={*SCHEMES, "data"},
        link_rel=None,
    )
    return re.sub(r"<img(?![^>]* alt=)", '<img alt="picture"', html)


def _safe(tag, attribute, value):
    """Keep `value` if it is no URL, an embedded picture of an image, or a link by one of SCHEMES."""
    if attribute == "src":
        return value if value.startswith(PICTURES) else None
    if attribute == "href":
        scheme, colon, _ = value.partition(":")
        return value if not colon or scheme.strip().lower() in SCHEMES else None
    return value


class LeaveOutHiddenTests(NbGraderPreprocessor):
    """Take hidden tests out of a graded notebook, and out of the tracebacks and warnings that quote them.

    What the tests say stays: an assertion's message is written for the student. It protects against
    what nbgrader and Python print by themselves, not against code that prints the tests on purpose.
    """

    def preprocess(self, nb, resources):
        parts = [split_region(cell.source, "HIDDEN TESTS") for cell in nb.cells]
        shown = {line.strip() for visible, _ in parts for line in visible}
        secret = {line.strip() for _, hidden in parts for line in hidden} - shown
        for cell, (visible, hidden) in zip(nb.cells, parts, strict=True):
            if hidden:
                cell.source = "\n".join([*visible, NOTE])
            for output in cell.get("outputs", []):
                if "text" in output:
                    output.text = leave_out(output.text, secret)
                if "traceback" in output:
                    output.traceback = [leave_out(part, secret) for part in output.traceback]
        return nb, resources


def split_region(source, region):
    """A cell's lines outside and inside of its regions of one kind, BEGIN and END among those inside."""
    outside, within, inside = [], [], False
    for line in source.split("\n"):
        inside = inside or f"BEGIN {region}" in line
        (within if inside else outside).append(line)
        inside = inside and f"END {region}" not in line
    return outside, within


def leave_out(text, secret):
    """Drop the lines that quote a secret line, alone or behind a traceback's line number."""
    quoted = (re.sub(r"^(-+> *)?\d+ ", "", strip_ansi(line).strip()).strip() for line in text.split("\n"))
    return "\n".join(line for line, code in zip(text.split("\n"), quoted, strict=True) if code not in secret)


# The page


@lru_cache
def templates():
    """The templates of pages. They escape whatever is put into them."""
    loader = FileSystemLoader(Path(__file__).parent)
    found = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters |= {"points": lambda points: f"{round(points, 2):g}", "shade": shade}
    found.filters |= {"ticks": ticks, "product": math.prod, "mark": mark}
    return found


def page(found, assignment, grades=None, standing=None, site=""):
    """Return a student's page as HTML, which loads nothing from elsewhere.

    `grades` are those of `gradebook.Book.grades`: what a person gave counts more than the `Result`. Without
    them the points are the result's. `site` is the address of the web edition, to which links lead.
    """
    grades, standing = grades or {"points": {}, "comments": {}}, standing or Standing()
    with _at_most(PAGE_SECONDS):
        entries = [
            _entry(found, assignment, name, most, title, grades, site)
            for title, name, most in titles(assignment.notebook)
        ]
    waiting = [entry for entry in entries if entry["points"] is None]
    done = [entry for entry in entries if entry["points"] is not None]
    count = sum(entry["to_fix"] for entry in entries)
    template = templates().get_template("feedback.html.j2")
    return template.render(
        name=assignment.name,
        title=title_of(assignment.notebook),
        found=found,
        graded=found.status == GRADED,
        failed=found.status == FAILED,
        entries=entries,
        earned=sum(entry["points"] for entry in done),
        possible=sum(entry["most"] for entry in done),
        waiting=sum(entry["most"] for entry in waiting),
        to_fix=COUNTED[count] if count < len(COUNTED) else f"{count} things",
        standing=standing,
        version=(found.key or {}).get("version", "")[:12],
    )


def _entry(found, assignment, name, most, title, grades, site):
    """What the page says of one exercise."""
    checks = {check.name: check for check in found.checks}
    written = {answer["name"]: answer["where"] for answer in found.written}
    check, tested = checks.get(name), name in dict(assignment.tests)
    cell = next((cell for cell in found.cells if cell["name"] == name), None)
    points = check.points if check else 0 if written.get(name) == EMPTY else None
    points = grades["points"].get(f"test_{name}" if tested else name, points)
    if found.status != GRADED and points == 0:
        points = None
    source = cell["source"] if cell else ""
    entry = {
        "title": title,
        "name": name,
        "points": points,
        "most": most,
        "comment": grades["comments"].get(name),
        "note": "",
        "parts": (),
        "sentence": "",
        "seen": [],
        "grids": check.grids if check else (),
        "section": section(name, check and check.mistake, site),
        "code": code(source) if tested else "",
        "text": "" if tested or written.get(name) == EMPTY else markdown(shortened(source, LONG_TEXT)),
        "outputs": [],
    }
    entry["to_fix"] = check is not None and points is not None and points < most
    if check and points == check.points and state(check) == PARTLY:
        entry["parts"] = check.parts
    if check and check.message:
        entry["sentence"], *seen = check.message.split("\n")
        shown = (HOLDS, *(("  expected ", "  got  ") if entry["grids"] else ()))
        entry["seen"] = [line.strip() for line in seen if not line.startswith(shown)]
    if not tested and written.get(name) == EMPTY:
        entry["note"] = "There is no answer in this cell."
    elif not tested and written.get(name) == ELSEWHERE:
        entry["note"] = "Your answer may stand in another cell than its own: a person will look for it."
    if tested and cell and cell.get("error"):
        entry["outputs"] = [shortened(strip_ansi(o["text"]), 2_000) for o in cell["outputs"] if "text" in o]
    if tested and source.strip() == starter_sources(assignment.notebook).get(name):
        entry["code"] = ""
    return entry


def state(check):
    """Say in a word what a `CheckResult` is."""
    if check.points >= check.max_points:
        return RIGHT
    if check.message.startswith(NOT_WRITTEN):
        return UNWRITTEN
    if check.message.startswith((MISNAMED, ITS_CELL, MISSING.format(check.name))):
        return LOST
    return PARTLY if check.points else WRONG


@lru_cache
def titles(notebook):
    """Return (title, name, points) of each graded cell of a starter: the title is the heading above it."""
    found, title = [], ""
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        mark, source = cell["metadata"].get("nbgrader", {}), "".join(cell["source"])
        if cell["cell_type"] == "markdown" and source.startswith("#"):
            title = source.split("\n")[0].lstrip("# ")
        if mark.get("grade"):
            name = mark["grade_id"].removeprefix("test_") if not mark["solution"] else mark["grade_id"]
            found.append((title or name, name, mark["points"]))
    return found


@lru_cache
def title_of(notebook):
    """Return the title of a starter, its first line."""
    (first, *_) = json.loads(notebook.read_text("utf-8"))["cells"]
    return "".join(first["source"]).split("\n")[0].lstrip("# ")


def shortened(text, most):
    """Return the text, or its beginning if it is longer than `most` letters."""
    return text if len(text) <= most else text[:most] + CUT


@lru_cache(1000)
def code(source):
    """Return Python source as HTML with classes for keywords, strings and comments."""
    if not source.strip():
        return ""
    shown = highlight(source[:LONG_CODE], PythonLexer(), HtmlFormatter(nowrap=True))
    return shown + escape(CUT) * (len(source) > LONG_CODE)


def ticks(text):
    """Return text as HTML, in which what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))


def shade(text, grid):
    """Return a class for the color of a cell: p or n for its sign, and 0 to 4 for its size in a grid."""
    cells = [cell for side in ("expected", "got") for row in grid[side]["cells"] for cell in row]
    number, sizes = _number(text), [abs(_number(cell)) for cell in cells]
    most = max((size for size in sizes if size < math.inf), default=1)
    if not abs(number) < math.inf:
        return "odd"
    return f"{'n' if number < 0 else 'p'}{round(4 * abs(number) / (most or 1))}"


def _number(text):
    try:
        return float({"True": "1", "False": "0"}.get(text, text))
    except ValueError:
        return math.nan


@contextlib.contextmanager
def _at_most(seconds):
    """Raise TimeoutError in what takes longer, on systems that have alarms."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(*_):
        raise TimeoutError(f"it took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, over)
    running = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *running)
        signal.signal(signal.SIGALRM, before)
