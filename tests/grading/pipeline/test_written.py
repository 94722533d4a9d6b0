"""The page for written answers: what a person gives reaches students, and no answer does harm."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe

from examples.make_class import NAME, notebook
from grading.pipeline import written
from grading.pipeline.assignments import ROOT, assignments
from grading.pipeline.run import Run
from tests.grading.pipeline.test_run import book, hand_in, rows_of
from tests.grading.points import WRITTEN

QUESTION = "why_attention"
HOSTILE = """Weights.</div><script>document.title = "taken"</script>
<img src=x alt=x onerror="document.title='taken'">
<form action="https://example.org"><button>Save and go to the next</button></form>

**bold**"""
ASKED = written.models(assignments()[NAME])[QUESTION][0]
ANSWERS = {"ana": f"{ASKED}\n\nOne vector of *fixed size*.", "bo": HOSTILE, "cyd": ""}


@pytest.fixture(scope="module")
def graded(here, tmp_path_factory):
    """A small class whose tests are graded. One student wrote in a cell of their own."""
    course = tmp_path_factory.mktemp("class")
    for student, text in ANSWERS.items():
        submission = notebook(right=(), written=text)
        if not text:
            at = next(i for i, cell in enumerate(submission.cells) if cell.id == QUESTION)
            submission.cells.insert(at + 1, nbformat.v4.new_markdown_cell("My answer is <b>here</b>."))
        hand_in(course, student, submission)
    with here():
        Run(NAME, course).grade()
    return course


@pytest.fixture(scope="module")
def served(graded):
    """The page of the class: its address, with and without the token."""
    command = [sys.executable, "-m", "grading", "written", NAME, "--course", str(graded)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as p:
        try:
            line = p.stdout.readline()
            url = re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", line)[0]
            yield SimpleNamespace(url=url, bare=url.partition("?")[0], course=graded)
        finally:
            p.send_signal(signal.SIGINT)


def held(course, student):
    with book(course) as gradebook:
        grade = gradebook.find_grade(QUESTION, NAME, NAME, student)
        comment = gradebook.find_comment(QUESTION, NAME, NAME, student)
        return grade.manual_score, bool(grade.needs_manual_grade), comment.manual_comment


def open_answer(page, served, part):
    """Open the answer that contains this text."""
    page.goto(served.url)
    page.goto(f"{served.bare}grade/{QUESTION}/{next(iter(all_ids(served, part)))}")


def all_ids(served, part):
    answers = written.Answers(Run(NAME, served.course))
    with contextlib.closing(answers.book.gradebook):
        for key, row in answers.all(QUESTION).items():
            if part in answers.with_text(QUESTION, row)["html"]:
                yield key


def test_points_and_comments_from_the_page_reach_gradebook_page_and_table(served, page):
    page.goto(served.url)
    assert "0 of 3 graded" in page.locator("main").inner_text()
    open_answer(page, served, "fixed size")
    assert "ana" not in page.content() and "¶" not in page.content()
    answer = page.locator(".answer")
    assert answer.inner_text() == "One vector of fixed size."  # the question stands beside the model answer
    assert ASKED.splitlines()[-1].lstrip("3. ").split("*")[0] in page.locator("details").text_content()
    lines = page.locator(".line")
    page.keyboard.press("1")  # full marks for the first question
    page.keyboard.press("5")  # half for the second
    assert page.locator("input[name=points]").input_value() == f"{WRITTEN / 3 * 1.5:g}"
    page.keyboard.press("4")  # no, full: it replaces the half
    assert lines.nth(4).get_attribute("aria-pressed") == "false"
    assert page.locator("input[name=points]").input_value() == f"{WRITTEN / 3 * 2:g}"
    page.locator("textarea").press("Control+Enter")
    page.wait_for_url(lambda url: True)
    points, waits, comment = held(served.course, "ana")
    assert (points, waits) == (WRITTEN / 3 * 2, False)
    assert re.match(r"1\. Full: one vector of fixed size.*\n2\. Full: scores against", comment)

    Run(NAME, served.course).grade(1)
    rows = rows_of(served.course / "graded" / f"{NAME}.csv")
    assert [rows[student]["total"] for student in ANSWERS] == [f"{WRITTEN / 3 * 2:g}", "", ""]
    feedback = (served.course / "feedback" / "ana" / NAME / f"{NAME}.html").read_text("utf-8")
    assert "Full: one vector of fixed size" in feedback


def test_a_second_grader_sees_what_the_first_one_gave_before_it_is_replaced(served, browser):
    pages = [browser.new_context().new_page() for _ in range(2)]
    for page in pages:
        open_answer(page, served, "Weights")
        page.locator("input[name=points]").fill(str(1 + pages.index(page)))
        page.locator("textarea").fill(f"From {pages.index(page)}.")
    for page in pages:
        page.locator(".save").click()
    assert "1 points, From 0." in pages[1].locator("[role=alert]").inner_text()
    assert held(served.course, "bo") == (1, False, "From 0.")
    assert pages[1].locator("textarea").input_value() == "From 1."
    pages[1].locator(".save").click()
    pages[1].wait_for_load_state()
    assert held(served.course, "bo") == (2, False, "From 1.")
    (noted,) = (served.course / "graded" / NAME / ".changes.jsonl").read_text("utf-8").splitlines()
    assert json.loads(noted)["changes"] == [f"{QUESTION}: 1, now 2"]


def test_a_hostile_answer_does_nothing_and_a_lost_one_is_shown(served, page):
    open_answer(page, served, "Weights")
    assert "answer" in page.title() and page.locator("form").count() == 1
    assert page.locator(".answer strong").inner_text() == "bold"
    open_answer(page, served, "My answer is")
    assert "unchanged or missing" in page.locator(".notice").inner_text()
    assert "My answer is <b>here</b>." in page.locator(".answer").inner_text()
    page.goto(f"{served.bare}print/{QUESTION}")
    assert page.locator("section").count() == len(ANSWERS) and "taken" not in page.title()


def test_nobody_without_the_token_or_under_another_name_gets_in(served, page):
    asked = page.request
    assert asked.get(served.bare).status == 403
    assert asked.get(f"{served.bare}?token=wrong").status == 403
    assert asked.get(f"{served.bare}print/{QUESTION}").status == 403
    assert asked.get(served.url, headers={"Host": "example.org"}).status == 403
    found = asked.get(served.url)
    assert found.status == 200 and "script-src 'self'" in found.headers["content-security-policy"]
    key = next(all_ids(served, "fixed size"))
    sent = asked.post(f"{served.bare}grade/{QUESTION}/{key}", form={"points": "1", "comment": "", "seen": ""})
    assert sent.status == 403  # without the form's own token
    assert asked.get(f"{served.bare}static/written.py").status == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_and_a_phone_shows_all(served, browser, scheme):
    page = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme).new_page()
    open_answer(page, served, "fixed size")
    page.keyboard.press("1")
    for place in (None, "", f"print/{QUESTION}"):
        if place is not None:
            page.goto(served.bare + place)
        assert [one["id"] for one in Axe().run(page).response["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible() and page.locator(".answer").first.is_visible()
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("name", [one.name for one in assignments().values() if one.written])
def test_every_rubric_of_the_course_adds_up_to_the_points(name):
    assignment = assignments()[name]
    for question, (asked, model) in written.models(assignment).items():
        assert asked.startswith("### ") and "Rubric" not in asked
        most, best = dict(assignment.written)[question], {}
        for line in written.rubric(model, most):
            best[line["item"]] = max(best.get(line["item"], 0), line["points"])
        assert sum(best.values()) == pytest.approx(most) and len(best) >= 2
