"""The class report counts what the verdicts say."""

from dataclasses import replace
from statistics import correlation

import pytest

from examples.make_class import NAME
from grading.judge.message import NOT_WRITTEN
from grading.pipeline.missing import MISNAMED, MISSING
from grading.pipeline.report import changes, distribution, item, mistakes, spread, unnamed, why_a_person
from grading.pipeline.report import page as make_page
from grading.pipeline.result import GRADED, NOT_GRADABLE, NOT_YET, CheckResult, Result, Standing
from grading.pipeline.run import table
from tests.grading.points import ASSIGNMENT, MOST, POINTS


def check(name, points, mistake=None, message=""):
    return CheckResult(name, points, 2, message, mistake)


def row(student, *checks, **more):
    return Result(GRADED, student=student, checks=checks, **{"sandboxed": True} | more)


UNREADABLE = Result(NOT_GRADABLE, student="gil", reason="gil.ipynb is not a notebook")


@pytest.mark.parametrize(
    ("scores", "most", "lines"),
    [
        ([0, 2, 2, 1.5], 2, [("0", 1), ("1", 1), ("2", 2)]),
        ([], 1, [("0", 0), ("1", 0)]),
        ([0, 2, 3, 21, 20.5], 21, [("0 to 2", 2), ("3 to 5", 1), ("18 to 20", 1), ("21 to 23", 1)]),
    ],
)
def test_every_score_is_counted_in_one_line(scores, most, lines):
    found = distribution(scores, most)
    assert [line for line in found if line[1] or most < 3] == lines
    assert sum(count for _, count in found) == len(scores)


def test_the_most_common_mistake_comes_first_with_its_sentence():
    rows = [
        row("ana", check("double", 0, "halved", "it is halved.\n  seen with 3")),
        row("bo", check("double", 0, "squared", "it is squared."), check("root", 0, "squared", "no root.")),
        row("cy", check("double", 0, "squared", "it is squared."), check("root", 0, None, "wrong.")),
    ]
    assert mistakes(rows) == [
        {"exercise": "double", "name": "squared", "sentence": "it is squared.", "students": ["bo", "cy"]},
        {"exercise": "double", "name": "halved", "sentence": "it is halved.", "students": ["ana"]},
        {"exercise": "root", "name": "squared", "sentence": "no root.", "students": ["bo"]},
    ]


def test_a_person_is_needed_for_failures_and_notes():
    assert why_a_person(row("ana")) == []
    assert why_a_person(row("ana", notes=["cell 4 was left out"])) == ["cell 4 was left out"]
    assert why_a_person(Result(NOT_YET, student="ana", reason="this run was for others")) == []
    assert why_a_person(replace(UNREADABLE, notes=("a note",))) == ["gil.ipynb is not a notebook", "a note"]


def test_wrong_answers_without_a_name_are_grouped_by_what_they_do():
    def wrong(student, behavior, mistake=None):
        return row(student, CheckResult("double", 0, 2, "Wrong.", mistake, (), behavior))

    unwritten = row("eve", check("double", 0, None, NOT_WRITTEN))
    lost = row("fay", check("double", 0, None, MISSING.format("double")), check("root", 0, None, MISNAMED))
    rows = [
        wrong("ana", ("a", "b")),
        wrong("bo", ("c", "d")),
        wrong("cy", ("a", "b")),
        wrong("di", ("a",), "named"),
    ]
    found = unnamed([*rows, unwritten, lost, wrong("gus", ()), wrong("hal", ())])
    assert [group["students"] for group in found] == [["ana", "cy"], ["bo"], ["gus"], ["hal"]]


def test_an_exercise_counts_unwritten_and_missing_apart_and_says_how_well_it_tells_students_apart():
    points = [(2, 2), (2, 2), (0, 0), (0, 1)]
    rows = [
        row(str(i), check("double", a, None, "Wrong."), check("root", b)) for i, (a, b) in enumerate(points)
    ]
    rows.append(row("eve", check("double", 0, None, NOT_WRITTEN), check("root", 0)))
    rows.append(row("fay", check("double", 1, None, "Half."), check("root", 2)))
    found = item(rows, "double", 2)
    assert list(found["counts"].values()) == [2, 1, 2, 1, 0] and found["share"] == 5 / 12
    assert found["discrimination"] == pytest.approx(correlation([2, 2, 0, 0, 0, 1], [2, 2, 0, 1, 0, 2]))
    assert item(rows[:3], "double", 2)["discrimination"] is None
    assert item([row(str(i), check("double", 2)) for i in range(9)], "double", 2)["discrimination"] is None


def test_quartiles():
    assert spread([]) is None
    assert list(spread([3]).values()) == [3] * 6
    assert list(spread([0, 1, 2, 3, 4]).values()) == [0, 1, 2, 3, 4, 2]


def test_what_changed_since_the_last_run_is_read_from_its_table():
    old = [
        replace(row("=ana", check("double", 0)), standing=Standing(0, 0, None)),
        row("bo", check("double", 2)),
    ]
    new = [replace(row("=ana", check("double", 0)), standing=Standing(0, 0, 3)), old[1], row("cy")]
    before = table(old, ASSIGNMENT)
    assert changes("", new) is None and changes(before, old) == []
    found = [("=ana", "0 points", "0 points, 3 in all"), ("cy", "new", "0 points")]
    assert changes(before, new) == found


def class_of_four():
    def one(student, *wrong, **more):
        checks = {name: CheckResult(name, most, most) for name, most in POINTS.items()}
        if wrong:
            checks["attend"] = CheckResult("attend", 0, POINTS["attend"], *wrong)
        return row(student, *checks.values(), **more)

    return [
        one("ana", standing=Standing(0, 0, MOST + 1)),
        one("<b>bo</b>", "<script>no</script>", "keys_as_values", sandboxed=False),
        one("cy", "Wrong `x`.", None, (), ("a",), standing=Standing(86_400, 1, None)),
        UNREADABLE,
    ]


def test_the_page_has_averages_of_the_graded_and_escapes_everything():
    about = {"absent": ["<i>zoe</i>"], "seed": 7, "answer": lambda *_: "x = '<script>no</script>'"}
    text = " ".join(make_page(NAME, class_of_four(), ASSIGNMENT, **about).split())
    average = (3 * MOST - 2 * POINTS["attend"]) / 3
    assert f"4 submissions, 3 graded, on average {round(average, 2):g} of {MOST:g} points" in text
    assert "1 of them were graded without a sandbox" in text and "seed 7" in text and "1 late" in text
    assert "&lt;b&gt;bo&lt;/b&gt;" in text and "<b>bo" not in text and "<script>no" not in text
    assert "Absent: &lt;i&gt;zoe&lt;/i&gt;" in text and "gil.ipynb is not a notebook" in text
    assert f'href="../feedback/ana/{NAME}/{NAME}.html"' in text
    assert f"course draft {NAME} attend cy" in text and "Four steps by hand (demo/02_attention.ipynb)" in text
    assert "0 graded" in make_page(NAME, [UNREADABLE], ASSIGNMENT)


def test_the_report_is_read_on_every_screen_and_sorted_by_a_click(show):
    page = show(make_page(NAME, class_of_four(), ASSIGNMENT))
    students = page.get_by_role("region", name="Students")
    button = students.get_by_role("button", name="late")
    button.click(), button.click()
    assert students.locator("tbody th").all_inner_texts()[0] == "cy"
