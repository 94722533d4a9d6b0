"""A class is graded: every submission has one verdict, whatever happens to the run."""

import csv
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI

from examples.make_class import ANSWERS, NAME, make_class, notebook
from grading.cli import main
from grading.pipeline import feedback, result
from grading.pipeline.assignments import ROOT, NotGradable, assignments
from grading.pipeline.export import scores_of
from grading.pipeline.gradebook import Book
from grading.pipeline.run import Run, RunError, as_text
from tests.grading.points import MOST, POINTS, WRITTEN, without

pytestmark = pytest.mark.usefixtures("bubblewrap")
HALF = without("AdditiveScore", "masked_softmax", "attend")
SCORES = {
    "ana": MOST,
    "ben": MOST,
    "chloe": HALF,
    "deniz": without("dot_score", "scaled_dot_score"),
    "emre": without("masked_softmax", "attend"),
    "farah": without("AdditiveScore", "masked_softmax"),
    "goran": None,
    "hana": MOST - 0.75 - 0.5,  # three parts of masked_softmax and one of attend are wrong
    "ivan": without("masked_softmax"),
    "jule": 0,
    "kofi": HALF,
}


def command(course, *options):
    """The command line that grades a course, with the fewest workers unless options say another number."""
    workers = [] if {"--workers", "--scheduler"} & {*options} else ["--workers", "1"]
    command = [sys.executable, "-m", "grading", "grade", NAME, "--course", course, *workers, *options]
    return [str(part) for part in command]


def grade(course, *options):
    return subprocess.run(command(course, *options), cwd=ROOT, capture_output=True, text=True)


def book(course):
    return Gradebook(f"sqlite:///{course}/gradebook.db", "attention")


def rows_of(sheet):
    """The rows of the table that a run has written, by student."""
    with open(sheet, encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def verdicts(course):
    """All results, without what the students' own cells printed."""
    files = (course / "graded" / NAME).glob("*.json")
    return {path.stem: json.loads(path.read_text("utf-8")) | {"cells": None} for path in files}


def held(course, url=None):
    """By student: what the gradebook holds of the test cells, and whether a person is to look."""
    with Gradebook(url, "attention") if url else book(course) as gradebook:
        return {
            submission.student.id: (
                {g.name.removeprefix("test_"): g.auto_score for g in submission.notebooks[0].grades},
                submission.score,
                submission.needs_manual_grade,
            )
            for submission in gradebook.assignment_submissions(NAME)
        }


def agrees(course, url=None):
    """Does the gradebook say of everybody what the results say?"""
    found = held(course, url)
    expected = verdicts(course)
    assert found.keys() == expected.keys()
    for student, record in expected.items():
        points = {check["name"]: check["points"] for check in record.get("checks", [])}
        if record["status"] == result.GRADED:
            assert found[student][1] == record["score"]
            assert {name: found[student][0][name] for name in points} == points
        else:
            assert found[student][1] == 0 and not any(found[student][0].values())
    return True


def hand_in(course, student, found, name=f"{NAME}.ipynb"):
    place = course / "submitted" / student / NAME
    place.mkdir(parents=True, exist_ok=True)
    nbformat.write(found, place / name)
    return place / name


# The example class, from end to end


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    course = tmp_path_factory.mktemp("class")
    *students, endless = make_class(course)
    shutil.rmtree(course / "submitted" / endless)  # it would take the whole minute that a check may take
    run = grade(course, "--workers", "2", "--require-sandbox")
    return SimpleNamespace(course=course, students=students, run=run)


def test_everybody_has_the_score_that_is_earned(example):
    assert example.run.returncode == 0, example.run.stderr
    assert list(SCORES) == example.students and len(SCORES) == 11
    found = verdicts(example.course)
    assert {student: record.get("score") for student, record in found.items()} == SCORES
    for student, score in SCORES.items():
        shown = rf"^{student} +{'-' if score is None else f'{score:g}'}( |$)"
        assert re.search(shown, example.run.stdout, re.M), example.run.stdout
        wanted = "could not be graded" if score is None else f">{score:g} of .* points"
        assert re.search(wanted, page_of(example.course, student))
    assert agrees(example.course)


def test_what_needs_a_person_is_said(example):
    said = example.run.stdout[example.run.stdout.index("of 11 graded") :]
    assert re.findall(r"^(\w+) needs a person: ", said, re.M) == ["goran", "hana", "kofi"]
    assert "goran needs a person: submitted/goran/02_attention/02_attention.ipynb is not a notebook" in said
    found = verdicts(example.course)
    assert found["goran"]["status"] == result.NOT_GRADABLE
    assert found["hana"]["notes"] == [f"it was handed in as Attention final (2).ipynb, not as {NAME}.ipynb"]
    assert found["kofi"]["notes"] == ["cell 4 was left out: it ended the process that ran it"]
    needed = {student for student, (_, _, person) in held(example.course).items() if person}
    assert needed == set(SCORES) - {"chloe"}  # who left the written answer as it was
    with book(example.course) as gradebook:
        assert gradebook.find_grade("why_attention", NAME, NAME, "chloe").auto_score == 0
        assert gradebook.find_grade("why_attention", NAME, NAME, "ana").auto_score is None


def test_the_graded_notebook_has_the_courses_cells_and_the_students_work(example):
    def graded(student):
        return nbformat.read(example.course / "autograded" / student / NAME / f"{NAME}.ipynb", 4)

    starter = nbformat.read(ROOT / "exercises" / "starter" / NAME / f"{NAME}.ipynb", 4)
    marked = {cell.id: cell for cell in starter.cells if cell.metadata}
    for student in example.students:
        found = {c.metadata.nbgrader.grade_id: c for c in graded(student).cells if "nbgrader" in c.metadata}
        graded_cells = {name for name, c in marked.items() if c.metadata.nbgrader.grade}
        assert graded_cells <= found.keys() <= marked.keys()
        for name, cell in found.items():
            assert cell.metadata == marked[name].metadata  # also of jule, who wrote 100 points into it
            if name.startswith("test_"):
                assert cell.source == marked[name].source
    emre = {cell.id: cell for cell in graded("emre").cells}
    assert "return torch.softmax" in emre["masked_softmax"].source
    lost = f"✗ 0 of {POINTS['masked_softmax']:g} points\nThe mask isn't used"
    assert emre["test_masked_softmax"].outputs[0].text.startswith(lost)
    assert emre["test_dot_score"].outputs[0].text.startswith(f"✓ {POINTS['dot_score']:g} of")
    kinds = Counter(output.output_type for cell in emre.values() for output in cell.get("outputs", []))
    assert kinds.keys() == {"stream", "display_data"}


def test_feedback_tells_the_mistake_and_nothing_hidden(example):
    solution = nbformat.read(ROOT / "exercises" / "solution" / NAME / f"{NAME}.ipynb", 4)
    starter = nbformat.read(ROOT / "exercises" / "starter" / NAME / f"{NAME}.ipynb", 4)
    shown = "\n".join(cell.source for cell in starter.cells)
    secret = {
        line.strip()
        for cell in solution.cells
        if cell.id.startswith("test_")
        for line in cell.source.split("\n")
        if len(line.strip()) > 8 and line.strip() not in shown
    }
    assert len(secret) > 3
    for student in example.students:
        page = (example.course / "feedback" / student / NAME / f"{NAME}.html").read_text("utf-8")
        text = html.unescape(re.sub("<[^>]+>", "", page[page.index("<body>") :]))
        assert [line for line in secret if line in text] == []
        for check in verdicts(example.course)[student].get("checks", []):
            assert check["message"].split("\n")[0].replace("`", "") in text
    assert "This notebook could not be graded." in page_of(example.course, "goran")


def page_of(course, student):
    return (course / "feedback" / student / NAME / f"{NAME}.html").read_text("utf-8")


def test_nothing_that_a_student_wrote_runs_in_a_page(example):
    page = page_of(example.course, "farah")
    body = page[page.index("<body>") :]
    assert "A weight of 0.8" in body and "document.title" in body
    assert "<script" not in body and "onerror" not in body


def test_the_table_is_a_spreadsheet(example):
    rows = rows_of(example.course / "graded" / f"{NAME}.csv")
    assert {student: row["score"] for student, row in rows.items()} == {
        student: "" if score is None else f"{score:g}" for student, score in SCORES.items()
    }
    assert rows["deniz"]["mistakes"] == "dot_score:missing_transpose scaled_dot_score:not_scaled"
    assert (rows["deniz"]["dot_score"], rows["deniz"]["sandboxed"]) == ("0", "yes")
    assert rows["deniz"]["attend"] == f"{POINTS['attend']:g}"
    assert rows["goran"]["status"] == "not gradable" and "not a notebook" in rows["goran"]["reason"]


def test_the_report_ranks_mistakes_and_needs_no_network(example):
    page = (example.course / "graded" / f"{NAME}.html").read_text("utf-8")
    assert not re.search(r'(\ssrc=|href="(?!\.\./feedback/)|@import|url\()', page)
    for link in re.findall('href="(.*?)"', page):
        assert (example.course / "graded" / link).is_file()
    text = html.unescape(re.sub("<[^>]+>", "", page))
    assert text.index("mask_ignored") < text.index("no_tanh")  # two made the one, one the other
    assert "padding receives weight" in text and "emre, farah" in text
    assert "prefers-color-scheme: dark" in page and '<html lang="en">' in page
    person = text[text.index("What needs a person") : text.index("Since the last run")]
    assert "goran" in person and "it ended the process that ran it" in person


def test_gradebook_table_pages_report_and_export_agree_on_everybody(example, tmp_path):
    course = shutil.copytree(example.course, tmp_path / "class")
    with book(course) as gradebook:
        for number, student in enumerate(example.students):
            written = gradebook.find_grade("why_attention", NAME, NAME, student)
            if student != "goran" and written.needs_manual_grade:
                written.manual_score, written.needs_manual_grade = number % WRITTEN + 0.5, False
        gradebook.db.commit()
    Run(NAME, course).grade(1)
    expected = {
        student: None if waits or student == "goran" else score
        for student, (_, score, waits) in held(course).items()
    }
    assert len({*expected.values()} - {None}) > 5 and expected["goran"] is None

    rows = rows_of(course / "graded" / f"{NAME}.csv")
    table = {student: float(row["total"]) if row["total"] else None for student, row in rows.items()}
    pages = {
        student: re.search(r">([\d.]+) of [\d.]+ points\s*<", page_of(course, student))
        for student in expected
    }
    report = (course / "graded" / f"{NAME}.html").read_text("utf-8")
    report = report[report.index("<h2>Students") : report.index("<h2>Scores")]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in report.split("<tr>")[2:]]
    totals = {re.sub("<.*?>", "", row[0]): float(row[2]) if row[2] else None for row in rows}
    assert table == expected
    assert {student: float(found[1]) if found else None for student, found in pages.items()} == expected
    assert totals == expected
    run = Run(NAME, course)
    assert scores_of(run) == expected
    formgrader = NbGraderAPI(run.coursedir, config=run.config)
    shown = {student: formgrader.get_submission(NAME, student) for student in expected}
    assert {s: None if row["needs_manual_grade"] else row["score"] for s, row in shown.items()} == expected


def test_points_of_parts_are_the_same_wherever_they_are_shown(example):
    course, parts = example.course, (("masked_softmax", "2.25"), ("attend", "2.5"))
    row = rows_of(course / "graded" / f"{NAME}.csv")["hana"]
    graded = nbformat.read(course / "autograded" / "hana" / NAME / f"{NAME}.ipynb", 4)
    outputs = {cell.id: cell.outputs[0].text for cell in graded.cells if cell.id.startswith("test_")}
    report = (course / "graded" / f"{NAME}.html").read_text("utf-8")
    for name, points in parts:
        assert row[name] == points and held(course)["hana"][0][name] == float(points)
        assert outputs[f"test_{name}"].startswith(f"~ {points} of {POINTS[name]:g} points\n")
        assert f"~ {points} of {POINTS[name]:g} points" in page_of(course, "hana")
        assert f">~ {points}<" in report
    assert 'wrong in: gradient, dtype and device">~ 2.5<' in report


def test_the_report_is_read_on_a_telephone(example, page):
    """The page stays as wide as the screen; a table that is wider moves in its own box."""
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto((example.course / "graded" / f"{NAME}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    points = page.get_by_role("region", name="Students")
    assert points.evaluate("box => box.scrollWidth > box.clientWidth")
    points.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("box => box.scrollLeft > 0", arg=points.element_handle())


def test_what_may_be_misplaced_is_told_to_a_person_and_has_no_zero(course, here):
    below, stripped = notebook(written=None), notebook()
    at = next(i for i, cell in enumerate(below.cells) if cell.id == "why_attention")
    below.cells.insert(at + 1, nbformat.v4.new_code_cell("Because every word gets its own context."))
    for cell in stripped.cells:
        cell.metadata.pop("nbgrader", None)
    hand_in(course, "bea", below)
    hand_in(course, "sam", stripped)
    first = assignments()["01_bottleneck"].notebook
    hand_in(course, "una", nbformat.read(first, 4))
    with here():
        said = as_text(Run(NAME, course).grade(), assignments()[NAME])
    assert "bea needs a person: why_attention: the written answer may stand in another cell" in said
    assert "sam needs a person: it has none of the graded cells of 02_attention" in said
    assert re.search("una needs a person: .*02_attention.ipynb is 01_bottleneck, not", said)
    page = (course / "graded" / f"{NAME}.html").read_text("utf-8")
    assert page.count("may stand in another cell") == 2 and "is 01_bottleneck, not" in page
    assert [held(course)[who][1:] for who in ("bea", "sam", "una")] == [(MOST, True), (MOST, True), (0, True)]
    for student in ("bea", "sam"):
        with book(course) as gradebook:
            assert gradebook.find_grade("why_attention", NAME, NAME, student).auto_score is None


def test_run_again_grades_nobody_twice(example):
    files = [path for path in example.course.rglob("*.*") if path.suffix in (".json", ".ipynb")]
    made = {path: path.stat().st_mtime_ns for path in files}
    pages = {student: page_of(example.course, student) for student in example.students}
    before = held(example.course)
    again = grade(example.course)
    assert (again.returncode, again.stdout) == (0, example.run.stdout)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert held(example.course) == before
    assert {student: page_of(example.course, student) for student in example.students} == pages


# What a person gave, and what is no longer true


@pytest.fixture
def graded(example, tmp_path):
    """A copy of the example class, with its verdicts."""
    shutil.copytree(example.course, tmp_path / "class")
    return tmp_path / "class"


def by_hand(course, student, cell, points=None):
    with book(course) as gradebook:
        found = gradebook.find_grade(cell, NAME, NAME, student)
        if points is not None:
            found.manual_score, found.needs_manual_grade = points, False
            gradebook.db.commit()
        return found.manual_score, found.needs_manual_grade


def test_a_regrade_that_fails_leaves_no_old_score(graded):
    path = graded / "submitted" / "ana" / NAME / f"{NAME}.ipynb"
    path.unlink()
    path.symlink_to(ROOT / "exercises" / "solution" / NAME / f"{NAME}.ipynb")
    assert held(graded)["ana"][1] == MOST
    by_hand(graded, "ana", "why_attention", 2)
    rows = Run(NAME, graded).grade(1, students=["ana"])
    assert "not a link" in as_text(rows, assignments()[NAME])
    assert held(graded)["ana"][1:] == (0, True) and by_hand(graded, "ana", "why_attention") == (None, True)
    assert "could not be graded" in page_of(graded, "ana") and "def attend" not in page_of(graded, "ana")
    assert held(graded)["ben"][1] == MOST


def test_points_and_comments_of_a_person_reach_the_student(graded):
    by_hand(graded, "ana", "why_attention", 2)
    with book(graded) as gradebook:
        gradebook.find_comment("why_attention", NAME, NAME, "ana").manual_comment = "Well said."
        gradebook.db.commit()
    assert "Well said." not in page_of(graded, "ana")
    Run(NAME, graded).grade(1, students=["ana"])
    assert "Well said." in page_of(graded, "ana")

    with book(graded) as gradebook:
        gradebook.find_submission_notebook(NAME, NAME, "ana").late_submission_penalty = 7
        gradebook.db.commit()
    before = page_of(graded, "ana")
    Run(NAME, graded).grade(1, students=["ana"])
    assert page_of(graded, "ana") != before


def test_text_that_no_database_takes_is_made_harmless(graded):
    run = Run(NAME, graded)
    found = result.read(run._file("ana"))
    first, *others = found.checks
    odd = replace(first, message="it raised ValueError: \x00\x1b[31m \ud800 <script>", points=0)
    with Book(run.coursedir, run.config, run.assignment) as run.book:
        run._finish(replace(found, checks=(odd, *others)))
    with Gradebook(run.coursedir.db_url) as gradebook:
        comment = gradebook.find_comment("dot_score", NAME, NAME, "ana").comment
    assert comment.startswith("it raised ValueError: ") and not re.search("[\x00\x1b\ud800]", comment)
    assert "\\<script\\>" in comment


def test_a_page_that_cannot_be_made_costs_nobody_else_theirs(graded, monkeypatch):
    make = feedback.page

    def fails_for_ana(found, *rest):
        if found.student == "ana":
            raise TimeoutError("it took more than 60 seconds")
        return make(found, *rest)

    monkeypatch.setattr(feedback, "page", fails_for_ana)
    (graded / "feedback" / "ben" / NAME / f"{NAME}.html").unlink()
    rows = {row.student: row for row in Run(NAME, graded).grade(1)}
    assert rows["ana"].score == MOST and "it took more than 60 seconds" in rows["ana"].notes[0]
    assert not (graded / "feedback" / "ana" / NAME / f"{NAME}.html").exists()
    assert f"{MOST:g} of {MOST:g} points so far" in page_of(graded, "ben") and rows["ben"].notes == ()


# What can be handed in


@pytest.fixture
def course(tmp_path):
    (tmp_path / "submitted").mkdir()
    return tmp_path


def reason(course, student):
    with pytest.raises(NotGradable) as problem:
        Run(NAME, course).read(student)
    return str(problem.value)


def test_only_what_lies_below_the_students_folder_is_read(course):
    place = course / "submitted" / "eve" / NAME
    place.mkdir(parents=True)
    assert "there is no submitted/eve" in reason(course, "eve")
    (place / f"{NAME}.ipynb").symlink_to("/etc/passwd")
    assert "submitted/eve/02_attention/02_attention.ipynb cannot be read" in reason(course, "eve")
    (place / f"{NAME}.ipynb").unlink()
    for name in ("one.ipynb", "two.ipynb"):
        hand_in(course, "eve", notebook(), name)
    assert "holds 2 notebooks" in reason(course, "eve")
    (course / "submitted" / "mallory").symlink_to(course / "submitted" / "eve")
    assert "is a link" in reason(course, "mallory")
    (course / "submitted" / "oscar").mkdir()
    (course / "submitted" / "oscar" / NAME).symlink_to(place)
    assert "is a link" in reason(course, "oscar")
    assert Run(NAME, course).everybody() == ["eve", "mallory", "oscar"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"students": ["../ana"]}, "'../ana' has not handed in 02_attention"),
        ({"students": ["ana", "anna"]}, "'anna' has not handed in .*: there is no .*submitted/anna"),
        ({"db": "postgresql+psycopg://me:secret@127.0.0.1:9/none"}, "cannot be used"),
        ({"scheduler": "tcp://127.0.0.1:9"}, "no dask scheduler answers"),
    ],
)
def test_a_run_that_cannot_happen_says_why(course, options, sentence, monkeypatch):
    monkeypatch.setattr("grading.pipeline.executor.FIND_SECONDS", 1)
    hand_in(course, "ana", notebook())
    with pytest.raises(RunError, match=sentence) as problem:
        Run(NAME, course, options.get("db")).grade(1, options.get("scheduler"), options.get("students", ()))
    assert "\n" not in str(problem.value) and "secret" not in str(problem.value)


def test_a_student_who_has_handed_in_nothing_is_created_nowhere(course):
    hand_in(course, "ana", notebook())
    with pytest.raises(RunError, match="'anna' has not handed in"):
        Run(NAME, course).grade(1, students=["anna"])
    assert sorted(path.name for path in course.iterdir()) == ["submitted"]


ODD = ["ada", "ada\n", "ada ", "\x1b[2Jada", "\u202eada", os.fsdecode(b"ad\xffa"), os.fsdecode(b"ad\xfea")]
ODD += ["x" * 240, "x" * 241, "=HYPERLINK(1)", "@SUM(1)", "ada~0123456789abcdef"]


def test_every_folder_has_one_verdict_whatever_its_name_is(course):
    """And no name steers a terminal, a page or a spreadsheet."""
    for student in ODD:
        (course / "submitted" / student / NAME).mkdir(parents=True)
    (course / "submitted" / "ada" / NAME / "odd\x1b[2J.ipynb").write_text("no notebook")
    rows = Run(NAME, course).grade(1)
    assert len(rows) == len({row.student for row in rows}) == len(ODD)
    assert {row.status for row in rows} == {result.NOT_GRADABLE}
    assert verdicts(course).keys() == held(course).keys() == {row.student for row in rows}
    assert all((course / "feedback" / row.student / NAME / f"{NAME}.html").is_file() for row in rows)
    sheet = (course / "graded" / f"{NAME}.csv").read_text("utf-8")
    page = (course / "graded" / f"{NAME}.html").read_text("utf-8")
    for text in (as_text(rows, assignments()[NAME]), sheet, page):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not re.search(r"^[=+@-]", sheet, re.MULTILINE) and "'=HYPERLINK(1)" in sheet
    assert "ada" in verdicts(course) and "x" * 240 not in verdicts(course)


def test_a_course_folder_that_submissions_could_read_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("grading.sandbox.client.SHOWN", (str(tmp_path / "usr"),))
    with pytest.raises(RunError, match="submissions could read .*/usr/course, as it lies in .*/usr: move it"):
        Run(NAME, tmp_path / "usr" / "course")
    assert Run(NAME, tmp_path / "user").course == Run(NAME, tmp_path).course / "user"


def test_what_is_missing_is_said(tmp_path, capsys):
    with pytest.raises(RunError, match=f"there is no {tmp_path}/submitted: put what students handed in"):
        Run(NAME, tmp_path).grade(1)
    assert main(["grade", "09_unknown"]) == 2
    shown, said = capsys.readouterr()
    assert shown == "" and said.count("\n") == 1 and "no exercise is called 09_unknown: choose from" in said


def test_two_runs_at_a_time_are_refused(course):
    hand_in(course, "ana", notebook())
    run = Run(NAME, course)
    run.folder.mkdir(parents=True)
    with run._alone(), pytest.raises(RunError, match="another run is grading"):
        Run(NAME, course).grade(1)


# What happens to a run


SLOW = "import time\ntime.sleep(2)"
TWO = POINTS["dot_score"] + POINTS["attend"]
SLOW_SCORES = {"ana": MOST, "bo": without("dot_score"), "cy": TWO, "di": MOST, "eli": MOST}


@pytest.fixture(scope="module")
def make_slow_class():
    """Five submissions, each of which takes two seconds at least."""

    def make(course):
        wrong = {"dot_score": "def dot_score(query, keys):\n    return query @ keys"}
        for student in SLOW_SCORES:
            answers = wrong if student == "bo" else {}
            right = ("dot_score", "attend") if student == "cy" else ANSWERS
            hand_in(course, student, notebook(answers, right, before=[SLOW]))
        return course

    return make


@pytest.fixture(scope="module")
def undisturbed(make_slow_class, tmp_path_factory):
    course = make_slow_class(tmp_path_factory.mktemp("undisturbed"))
    run = grade(course, "--seed", "3", "--workers", "2")
    assert run.returncode == 0, run.stderr
    assert agrees(course) and len(verdicts(course)) == 5
    return SimpleNamespace(course=course, verdicts=verdicts(course))


@pytest.fixture
def start(make_slow_class, tmp_path):
    """Start a run on the slow class, and wait until it has its first verdict."""
    started = []

    def start(*options, course=None):
        course = make_slow_class(course or tmp_path)
        arguments = command(course, "--seed", "3", *options)
        run = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(run)
        while not verdicts(course) and run.poll() is None:
            time.sleep(0.05)
        return course, run

    yield start
    for run in started:
        if run.poll() is None:
            run.kill()
        run.communicate()


def test_a_run_that_is_killed_is_finished_by_the_next(start):
    course, run = start()
    below = psutil.Process(run.pid).children(recursive=True)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    kept = verdicts(course)
    assert 1 <= len(kept) < 5
    _, alive = psutil.wait_procs(below, timeout=60)
    assert alive == []
    again = grade(course, "--seed", "3", "--workers", "2")
    assert again.returncode == 0, again.stderr
    found = verdicts(course)
    assert {student: record["score"] for student, record in found.items()} == SLOW_SCORES
    assert {student: found[student] for student in kept} == kept
    assert agrees(course)


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(start, undisturbed):
    course, run = start("--workers", "2")
    (loaded,) = (p for p in psutil.Process(run.pid).children() if "forkserver" in " ".join(p.cmdline()))
    workers = loaded.children()
    assert len(workers) == 2
    workers[0].kill()
    output, errors = run.communicate(timeout=240)
    assert run.returncode == 0, errors
    assert verdicts(course) == undisturbed.verdicts
    assert agrees(course)


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_loses_nothing(undisturbed, tmp_path):
    if os.name != "posix" or os.getuid() != 0:
        pytest.skip("needs root")
    course = tmp_path / "small"
    course.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", course], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    try:
        shutil.copytree(undisturbed.course / "submitted", course / "submitted")
        kept = course / "graded" / NAME / "ana.json"
        kept.parent.mkdir(parents=True)
        shutil.copy(undisturbed.course / "graded" / NAME / "ana.json", kept)
        shutil.copy(undisturbed.course / "gradebook.db", course)
        filler = course / "filler"
        with open(filler, "wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        run = grade(course, "--seed", "3", "--workers", "2")
        assert run.returncode == 2 and run.stderr.count("\n") == 1, run.stderr
        assert "No space left" in run.stderr or "is full" in run.stderr
        assert [path.name for path in kept.parent.glob("*.json")] == ["ana.json"]
        filler.unlink()
        run = grade(course, "--seed", "3", "--workers", "2")
        assert run.returncode == 0, run.stderr
        assert verdicts(course) == undisturbed.verdicts
        assert agrees(course)
    finally:
        subprocess.run(["umount", "--lazy", course], check=True)


# PostgreSQL


class Postgres:
    """A server of one's own, that listens on a socket in a folder only."""

    def __init__(self, folder):
        self.folder, found = folder, sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            pytest.skip("needs PostgreSQL")
        self.bin = found[-1].parent
        self.user = "postgres" if os.getuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user)
        self("initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "course", "--no-sync")
        self.url = f"postgresql+psycopg://course@/postgres?host={folder}"
        self.start()

    def __call__(self, program, *arguments):
        command = [self.bin / program, *arguments]
        done = subprocess.run(command, user=self.user, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self):
        options = f"-k {self.folder} -c listen_addresses= -F"
        self("pg_ctl", "-D", f"{self.folder}/data", "-o", options, "-l", f"{self.folder}/log", "-w", "start")

    def stop(self):
        self("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")


@pytest.fixture
def postgres():
    folder = tempfile.mkdtemp(prefix="pg")
    server = None
    try:
        server = Postgres(folder)
        yield server
    finally:
        if server:
            subprocess.run(
                [server.bin / "pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop"],
                user=server.user,
                cwd="/",
                capture_output=True,
            )
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_a_database_that_dies_gets_everything_from_the_next_run(start, undisturbed, postgres):
    course, run = start("--workers", "2", "--db", postgres.url)
    postgres.stop()
    output, errors = run.communicate(timeout=240)
    assert run.returncode == 2 and errors.count("\n") == 1, errors
    assert "cannot be used" in errors and "run the command again" in errors
    assert verdicts(course) == undisturbed.verdicts  # all was graded, and is kept
    while_down = grade(course, "--seed", "3", "--db", postgres.url)
    assert while_down.returncode == 2 and "cannot be used" in while_down.stderr
    postgres.start()
    made = {path: path.stat().st_mtime_ns for path in (course / "graded" / NAME).glob("*.json")}
    again = grade(course, "--seed", "3", "--db", postgres.url)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in made} == made  # nobody was graded twice
    assert agrees(course, postgres.url)
    assert not (course / "gradebook.db").exists()
    assert f"{MOST:g} of {MOST:g} points so far" in page_of(course, "ana")


@pytest.mark.parametrize("options", [["-P"], []], ids=["safe path", "plain"])
def test_modules_in_the_folder_where_the_command_is_given_are_not_imported(course, options):
    """With -P not even a package that is called like the grader."""
    planted = "open('imported', 'w').close()"
    for name in ("psutil", "torch", "numpy", "argparse") if options else ("psutil", "torch"):
        (course / f"{name}.py").write_text(planted)
    if options:
        (course / "grading").mkdir()
        (course / "grading" / "__init__.py").write_text(planted)
    (course / "submitted" / "ana" / NAME).mkdir(parents=True)
    run = subprocess.run(
        [sys.executable, *options, *command(course)[1:]],
        cwd=course,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and "0 of 1 graded" in run.stdout, run.stderr
    assert not (course / "imported").exists()
