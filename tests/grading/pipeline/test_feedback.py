"""Feedback tells a student what failed, and keeps hidden tests hidden."""

import html
import re
from dataclasses import replace

import nbformat
import pytest
from nbclient import NotebookClient

from examples.make_class import NAME
from grading.judge.judge import examine
from grading.pipeline.feedback import NOTE, LeaveOutHiddenTests, markdown
from grading.pipeline.feedback import page as make_page
from grading.pipeline.result import FAILED, GRADED, NOT_GRADABLE, CheckResult, Result, Standing
from tests.grading.points import ASSIGNMENT, MOST, POINTS, WRITTEN, without
from utils import attention

TEST = """import warnings
assert double(2) == 4, "2 becomes 4"
# BEGIN HIDDEN TESTS
def helper(x):
    warnings.warn("careful", stacklevel=2)
    return double(x)
assert helper(4.125) == 8.25, "larger numbers too"
# END HIDDEN TESTS"""


def feedback(answer):
    """The answer's and the test's cell after running both and leaving hidden tests out."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (answer, TEST)])
    NotebookClient(nb, kernel_name="python3", allow_errors=True).execute()
    return LeaveOutHiddenTests().preprocess(nb, {})[0].cells


def text_of(cell):
    return "\n".join(
        "\n".join(output.get("traceback", [])) + output.get("text", "") for output in cell.outputs
    )


def test_a_failed_hidden_test_shows_its_message_only():
    answer, test = feedback("def double(x):\n    return 4")
    assert test.source == f'import warnings\nassert double(2) == 4, "2 becomes 4"\n{NOTE}'
    shown = text_of(test)
    assert "larger numbers too" in shown and "careful" in shown
    assert "4.125" not in shown and "helper(" not in shown


def test_a_failed_visible_test_is_shown():
    answer, test = feedback("def double(x):\n    return {}[x]")
    shown = text_of(test)
    assert "2 becomes 4" in shown and "return" in shown and "KeyError" in shown
    assert "HIDDEN" not in shown and "helper" not in shown


def test_a_line_that_students_wrote_too_is_no_secret():
    answer, test = feedback(
        "def helper(x):\n    return double(x)\n\ndef double(x):\n    return helper(x + '')"
    )
    assert "return double(x)" in answer.source
    assert "helper(x + " in text_of(test)


def test_other_cells_stay_as_they_are():
    answer, _ = feedback("def double(x):\n    return x + x\nprint(double(3))")
    assert answer.source.startswith("def double") and answer.outputs[0].text == "6\n"


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("**a** <script>b()</script>", "<p><strong>a</strong> &lt;script&gt;b()&lt;/script&gt;</p>"),
        ("<SCRIPT>alert(1)</SCRIPT>", "&lt;SCRIPT&gt;alert(1)&lt;/SCRIPT&gt;"),
        ("the token <pad>, `<pad>`", "<p>the token &lt;pad&gt;, <code>&lt;pad&gt;</code></p>"),
        ("<b style='color: red' onclick='x()'>a</b>", "<p><b>a</b></p>"),
        ("<p title='<script>x</script>'>a</p>", '<p title="&lt;script&gt;x&lt;/script&gt;">a</p>'),
        ("<img src=x onerror=alert(1)>", '<img alt="picture">'),
        ("![a](https://server.example/a.png)", '<p><img alt="a"></p>'),
        ("![a](data:image/svg+xml;base64,AAAA)", '<p><img alt="a"></p>'),
        ("![a](data:image/png;base64,AAAA)", '<p><img src="data:image/png;base64,AAAA" alt="a"></p>'),
        ("[a](javascript:alert(1))", "<p><a>a</a></p>"),
        ("<a href=' Java\nScript:alert(1)'>a</a>", "<p><a>a</a></p>"),
        ("<a href='da\tta:text/html,a'>a</a>", "<p><a>a</a></p>"),
        ("[a](HTTPS://a.example) [b](#b)", '<p><a href="HTTPS://a.example">a</a> <a href="#b">b</a></p>'),
        ("a<!-- b -->", "<p>a</p>"),
    ],
)
def test_markdown_runs_nothing_loads_nothing_and_keeps_the_text(source, html):
    assert markdown(source).strip() == html


def test_markdown_keeps_tables_code_and_formulas():
    html = markdown("| a |\n| --- |\n| 1 |\n\n```python\nx<1\n```\n\n$x<1$")
    assert re.findall(r"<t[hd]>(.)", html) == ["a", "1"]
    assert '<span class="o">&lt;</span>' in html and "<mi>x</mi><mo>&lt;</mo><mn>1</mn>" in html


FORMULAS = [r"\text{<script>a</script>}", "x" * 600, r"\frac{", r"\href{javascript:a}{b}"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_any_formula_is_harmless(formula):
    html = markdown(f"before ${formula}$ after")
    assert "before" in html and "after" in html and not re.search("<script|href=", html)


# The page

EVIL = "</code></pre><script>alert(1)</script><img src=x onerror=alert(1)>"
WRITES = {"name": "why_attention", "max_points": WRITTEN, "where": "answered"}


def cell(name, source, kind="code", error=None, *outputs):
    return {"kind": kind, "name": name, "source": source, "error": error, "outputs": list(outputs)}


def graded(*wrong, **more):
    """The result of a notebook in which these checks failed."""
    checks = tuple(
        next((check for check in wrong if check.name == name), CheckResult(name, points, points))
        for name, points in POINTS.items()
    )
    answer = cell("why_attention", f"Because of $h_i$. {EVIL}", "markdown")
    about = {"assignment": NAME, "student": "ana", "checks": checks, "written": (WRITES,), "cells": (answer,)}
    return Result(GRADED, **about | more)


def not_scaled():
    verdict = examine("scaled_dot_score", attention.dot_score, seed=3)
    points = POINTS["scaled_dot_score"]
    return CheckResult("scaled_dot_score", 0, points, str(verdict), verdict.mistake, verdict.grids)


def text_on(page):
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page[page.index("<body>") :])).split())


def held(points, comments=None):
    return {"points": {"why_attention": points}, "comments": comments or {}}


def test_the_card_counts_points_those_to_come_and_things_to_fix():
    score = without("scaled_dot_score")
    text = text_on(make_page(graded(not_scaled()), ASSIGNMENT, held(None)))
    assert f"{score:g} of {MOST:g} points so far, {WRITTEN:g} to be read by a person One thing" in text
    assert "Exercise 2.2 · Scale the scores ✗ 0 of 2 points The scores aren't scaled." in text
    assert "Read again: “Appendix · What is √d for?” in demo/02_attention.ipynb" in text
    assert f"Say it in words {WRITTEN:g} points, to be read by a person" in text


def near_miss(points=1.5):
    worth = {"ordinary input": 1, "sizes of one": 0.5, "gradient, dtype and device": 0.5}
    parts = [{"name": name, "points": each, "right": name[0] != "g"} for name, each in worth.items()]
    message = "No gradient.\nRight: ordinary input (1). Not yet: the rest.\n  seen with 3"
    return CheckResult("dot_score", points, 2, message, parts=tuple(parts))


def test_a_near_miss_shows_the_points_of_its_parts_unless_a_person_has_changed_them():
    text = text_on(make_page(graded(near_miss()), ASSIGNMENT))
    assert "~ 1.5 of 2 points No gradient. ✓ ordinary input: 1 of 1 ✓ sizes of one: 0.5 of 0.5" in text
    assert "✗ gradient, dtype and device: 0 of 0.5 seen with 3" in text and "Not yet" not in text
    by_hand = {"points": {"test_dot_score": 1.75}, "comments": {}}
    assert "ordinary input:" not in text_on(make_page(graded(near_miss()), ASSIGNMENT, by_hand))


def test_points_comments_and_lateness_of_the_gradebook_are_shown():
    late = Standing(129_600, 1.5, MOST + 2 - 1.5)
    grades = held(2, {"why_attention": f"Well put. {EVIL}", "attend": "Nice."})
    text = text_on(make_page(graded(), ASSIGNMENT, grades, late))
    assert f"{MOST + 2:g} of {MOST + WRITTEN:g} points It came 1.5 days late, which costs 1.5 points" in text
    assert f"{MOST + 0.5:g} points in all" in text and "All tests passed" in text
    assert "Well put. </code>" in text and "What your grader says Nice." in text
    changed = make_page(graded(), ASSIGNMENT, held(3), late)
    assert changed != make_page(graded(), ASSIGNMENT, grades, late)
    by_hand = {"points": {"test_attend": 1.0, "why_attention": 0.0}, "comments": {}}
    assert "Attend ~ 1 of 3 points" in text_on(make_page(graded(), ASSIGNMENT, by_hand))


@pytest.mark.parametrize(("status", "text"), [(FAILED, "no grade yet"), (NOT_GRADABLE, "it is no notebook")])
def test_nobody_gets_a_zero_before_a_person_has_graded(status, text):
    found = Result(status, NAME, "ana", reason="it is no notebook with x = 4.125")
    points = {f"test_{name}": None for name in POINTS} | {"why_attention": None}
    shown = text_on(make_page(found, ASSIGNMENT, {"points": points, "comments": {}}))
    assert text in shown and not re.search(r"\b0 (of|points)", shown)
    assert ("4.125" in shown) == (status == NOT_GRADABLE)  # why the grader failed can name a hidden input


def test_a_page_marks_the_cells_that_differ_and_links_to_the_web_edition():
    page = make_page(graded(not_scaled()), ASSIGNMENT, site="https://a.example/course")
    assert page.count(' differs"') == 6 and "got scores, shape (1, 1, 3)" in page
    assert 'href="https://a.example/course/lessons/02_attention.html#appendix-what-is-d-for"' in page


def hostile():
    outputs = ({"text": f"{EVIL} boom"},)
    wrong = replace(not_scaled(), message=f"It raised ValueError: {EVIL}\n  seen with {EVIL}")
    cells = cell("scaled_dot_score", f"x = 1  # {EVIL}", "code", "ValueError", *outputs)
    found = graded(wrong, near_miss(), student=EVIL, notes=(EVIL,))
    return replace(found, cells=(*found.cells, cells))


def test_whatever_a_student_wrote_is_text():
    page = make_page(hostile(), ASSIGNMENT, held(1, {"why_attention": EVIL}))
    assert not re.search("<script|<img[^>]*(src|onerror)=", page)
    assert text_on(page).count("alert(1)") >= 7
    assert "default-src 'none'" in page and not re.search(r"<[^>]* src=|@import|url\(", page)


def test_a_page_stays_small_and_starter_code_is_left_out():
    long = [cell(name, "x = 1\n" * 30_000) for name in POINTS]
    answer = cell("why_attention", "word " * 40_000, "markdown")
    page = make_page(graded(cells=(*long, answer)), ASSIGNMENT)
    assert len(page) < 1_000_000 and page.count("the rest was left out") == len(POINTS) + 1
    starter = nbformat.read(ASSIGNMENT.notebook, 4)
    given = next(c.source for c in starter.cells if c.get("id") == "attend")
    assert "Your answer to attend" not in make_page(graded(cells=(cell("attend", given),)), ASSIGNMENT)


def test_the_page_is_read_on_every_screen(show):
    show(make_page(hostile(), ASSIGNMENT, held(None)))
