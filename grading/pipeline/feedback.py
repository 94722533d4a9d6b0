"""What students get to read of their graded notebooks."""

import re
from functools import lru_cache

import nh3
from nbconvert.filters import markdown2html_mistune, strip_ansi
from nbgrader.preprocessors import NbGraderPreprocessor

NOTE = "# (tests that you cannot see)"
TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "a", "img", "div", "span", "pre", "code", "kbd"),
    *("ul", "ol", "li", "table", "caption", "thead", "tbody", "tr", "th", "td", "blockquote", "details"),
    *("summary", "em", "strong", "b", "i", "u", "s", "del", "sub", "sup", "small", "mark", "abbr"),
}
ATTRIBUTES = {
    "*": {"alt", "title", "align", "colspan", "rowspan", "start"},
    "a": {"href"},
    "img": {"src"},
    **{tag: {"class"} for tag in ("div", "span", "pre", "code")},
}
SCHEMES = {"http", "https", "mailto"}
PICTURES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/gif;base64,")
OTHER_TAG = re.compile(rf"<(?!!--|/?(?:{'|'.join(TAGS)})\b)", re.IGNORECASE)


@lru_cache(1000)  # most cells of a class are the same
def markdown(source):
    """Convert Markdown to HTML that runs no script and loads nothing from elsewhere.

    Text, tables, links and embedded pictures stay. Tags outside TAGS, such as <script> or a student's <pad>,
    are shown as text.
    """
    html = OTHER_TAG.sub("&lt;", markdown2html_mistune(source))
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_safe,
        url_schemes={*SCHEMES, "data"},
        link_rel=None,
    )


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
