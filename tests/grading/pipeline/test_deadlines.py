"""A deadline is one line in one file, and counts wherever points are shown."""

import contextlib
import csv
import json
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from nbgrader.utils import notebook_hash

from examples.make_class import NAME, notebook
from grading import CourseError
from grading.cli import main
from grading.pipeline import executor, proof
from grading.pipeline.deadlines import DeadlinesPlugin, read
from grading.pipeline.result import NOT_GRADABLE, Result
from grading.pipeline.run import Run, as_text
from tests.grading.pipeline.test_gradebook import WRITTEN, give, record
from tests.grading.pipeline.test_run import hand_in, page_of, rows_of
from tests.grading.points import ALL, ASSIGNMENT, MOST

FILE = f"""timezone = "Europe/Berlin"
[due]
{NAME} = 2026-11-20T23:59:00
[penalty]
percent_per_day = 10
most_percent = 50
grace_minutes = 15
[extensions.{NAME}]
"12" = 3
"13" = 2026-11-22T11:00:00
"""
DUE = datetime(2026, 11, 20, 22, 59, tzinfo=UTC)
SHEET = "Identifier,Grade\n" + "".join(f"Participant {number},\n" for number in range(11, 17))


def test_times_are_of_the_zone_and_extensions_are_days_or_times(tmp_path):
    (tmp_path / "deadlines.toml").write_text(FILE)
    found = read(tmp_path)
    assert found.due == {NAME: DUE}
    assert found.extensions == {NAME: {"12": timedelta(days=3), "13": timedelta(days=1, hours=11, minutes=1)}}
    assert read(tmp_path / "without").due == {}
    (tmp_path / "deadlines.toml").write_text(FILE.splitlines()[0])
    assert read(tmp_path) == read(tmp_path / "without"), "a time zone alone says nothing of lateness"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("due = [", "cannot be read"),
        ("[due]\na = 2026-11-20T23:59:00", "name the time zone"),
        ('timezone = "Nowhere/At_All"', "Nowhere/At_All"),
        ("[due]\na = 2026-11-20", "a must be a time such as"),
        ("[dues]\na = 1", "there is no setting dues: use due, extensions"),
        ("[penalty]\nper_day = 1", "there is no setting per_day: use grace_minutes"),
        ("[penalty]\npercent_per_day = -1", "percent_per_day must be a number that is not negative"),
        ("[extensions.a]\n1 = 2026-11-20T23:59:00Z", "a has extensions and is not in"),
        ("due = 3", "deadlines.toml"),
    ],
)
def test_a_file_that_makes_no_sense_stops_the_run_and_says_where(text, said, tmp_path):
    (tmp_path / "deadlines.toml").write_text(text)
    with pytest.raises(CourseError, match=said):
        read(tmp_path)
    with pytest.raises(CourseError, match=said):
        Run(NAME, tmp_path)


@pytest.mark.parametrize(
    ("hours", "penalty"), [(0.25, None), (0.3, 1), (24, 1), (24.1, 2), (96, 4), (97, 5), (1_000, 5)]
)
def test_each_day_that_has_begun_costs_its_share(hours, penalty, tmp_path):
    (tmp_path / "deadlines.toml").write_text(FILE)
    plugin = DeadlinesPlugin()
    plugin.config.CourseDirectory.root = str(tmp_path)
    assert plugin.late_submission_penalty("11", 10, 3_600 * hours) == penalty


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course in which 10 is on time, 11 late, 12 and 13 late with extensions, 15 late at a time that
    nobody knows, and the notebook of 16 is broken. All tests of the others pass.
    """

    def grade_all(client, name, queue, *how):
        for submission in queue:
            student = submission.about["student"]
            broken = Result(NOT_GRADABLE, reason="it is no notebook")
            yield submission, broken if student == "16" else record(run, "")

    run = Run(NAME, tmp_path)
    monkeypatch.setattr(executor, "connect", lambda *args: contextlib.nullcontext())
    monkeypatch.setattr(executor, "grade_all", grade_all)
    monkeypatch.setattr(proof, "problem", lambda *args: None)
    monkeypatch.setattr(proof, "PROVEN", tmp_path / "proven")
    for student, late in {"10": -1, "11": 30, "12": 30, "13": 30 + 12, "15": None, "16": 30}.items():
        folder = hand_in(tmp_path, student, notebook()).parent
        if late is not None:
            time = DUE + timedelta(hours=late)
            (folder / "timestamp.txt").write_text(time.strftime("%Y-%m-%d %H:%M:%S.%f UTC"))
    (folder.parents[1] / "15" / NAME / "collected.json").write_text(
        json.dumps({"late": True, "from": "x" * 300})
    )
    (tmp_path / "deadlines.toml").write_text(FILE)
    (tmp_path / "sheet.csv").write_text(SHEET)
    return tmp_path


def only(course, *students):
    """Remove the submissions of all others: the page of each takes time."""
    for folder in (course / "submitted").iterdir():
        if folder.name not in students:
            shutil.rmtree(folder)


def grade(course):
    return {row.student: row for row in Run(NAME, course).grade(1)}


def nbgrader(course, *command):
    """Run a command of nbgrader in a course that may have no settings."""
    command = [sys.executable, "-m", "nbgrader", *command, f"--CourseDirectory.root={course}"]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def export(course, *place):
    options = [f"{course}/sheet.csv", "--out", f"{course}/out.csv", "--course", str(course)]
    assert main(["export", NAME, *options, *place]) == 0


def test_a_penalty_is_the_same_in_gradebook_report_feedback_and_exports(course, capsys):
    rows = grade(course)
    note = "the platform says it is late, not when it came: note it in deadlines.toml"
    assert {student for student, row in rows.items() if note in row.notes} == {"15"}
    for student in ("10", "11", "12", "13", "15"):
        assert rows[student].standing.total is None
        give(Run(NAME, course), student, WRITTEN, 1)
    (course / "deadlines.toml").write_text(f'{FILE}[handed_in.{NAME}]\n"15" = 2026-11-21T01:00:00\n')
    rows = grade(course)
    points = MOST + 1
    tenth = points / 10  # a day costs so much
    penalties = {"10": 0, "11": 2 * tenth, "12": 0, "13": tenth, "15": tenth, "16": 0}
    assert {student: row.standing.penalty for student, row in rows.items()} == penalties
    assert [row.notes for row in rows.values()] == [()] * 6

    totals = {student: "" if student == "16" else f"{points - lost:g}" for student, lost in penalties.items()}
    table = rows_of(course / "graded" / f"{NAME}.csv")
    assert {student: row["total"] for student, row in table.items()} == totals
    lost, kept = f"{2 * tenth:g}", f"{points - 2 * tenth:g}"
    assert (table["11"]["late"], table["11"]["penalty"], table["12"]["late"]) == ("1.2 days", lost, "")
    assert f"1.2 days late: penalty {lost}" in as_text(list(rows.values()), ASSIGNMENT)
    report = " ".join((course / "graded" / f"{NAME}.html").read_text("utf-8").split())
    cells = " ".join(f'<td class="number">{text}</td>' for text in (lost, kept))
    assert f">1.2 days</td> {cells}" in report and "4 late" in report
    late, in_time = page_of(course, "11"), page_of(course, "12")
    assert f"{points:g} of {ALL:g} points</p>" in late and f"{points:g} of {ALL:g} points</p>" in in_time
    assert f"1.2 days late, which costs {lost} points: <strong>{kept} points in all" in " ".join(late.split())
    assert "costs" not in in_time

    export(course)
    said = capsys.readouterr().out
    assert "the submission could not be graded: 16\n" in said and "not in the sheet: 10\n" in said
    rows = [line.split(",") for line in (course / "out.csv").read_text().splitlines()[1:]]
    exported = {number.removeprefix("Participant "): grade for number, grade in rows}
    on_the_sheet = {student: total for student, total in totals.items() if student != "10"}
    assert exported == on_the_sheet | {"14": ""}

    nbgrader(course, "export", "--to=all.csv")
    with open(course / "all.csv", newline="") as file:
        theirs = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert {student: f"{score:g}" for student, score in theirs.items()} == totals | {"16": "0"}


def test_a_hand_grade_changes_the_penalty_in_an_export_at_once(course, capsys):
    only(course, "11", "12", "13")
    grade(course)
    give(Run(NAME, course), "11", WRITTEN, 1)
    export(course)
    assert f"Participant 11,{(MOST + 1) * 0.8:g}\n" in (course / "out.csv").read_text()
    assert re.search(r"before a person has graded all answers \(.*\): 12, 13\n", capsys.readouterr().out)


def test_an_export_without_the_file_keeps_the_penalties_in_the_gradebook(course, tmp_path_factory):
    only(course, "11")
    grade(course)
    give(Run(NAME, course), "11", WRITTEN, 1)
    grade(course)
    elsewhere = str(tmp_path_factory.mktemp("elsewhere"))
    export(course, "--course", elsewhere, "--db", f"sqlite:///{course}/gradebook.db")
    assert f"Participant 11,{(MOST + 1) * 0.8:g}\n" in (course / "out.csv").read_text()


def test_pages_go_back_under_the_names_by_which_the_platform_knows_them(course, capsys):
    grade(course)
    names = {
        "10": "Canvas:doejane_10_99871_02_attention (1).ipynb",
        "11": "Canvas:doe_x_LATE_11_99872_a_1.ipynb",
        "12": "Moodle:all/Ada Lovelace_12_assignsubmission_file_/deep/x_1_2_a.ipynb",
        "13": "Moodle:Participant_13_assignsubmission_file_a_b.ipynb",
    }
    for student, name in names.items():
        give(Run(NAME, course), student, WRITTEN, 1)
        noted = dict(zip(("platform", "from"), name.split(":"), strict=True))
        (course / "submitted" / student / NAME / "collected.json").write_text(json.dumps(noted))
    assert main(["return", NAME, "--out", f"{course}/back.zip", "--course", str(course)]) == 0
    said = capsys.readouterr().out
    assert "5 feedback pages" in said and "there is no final grade yet: 15\n" in said
    with zipfile.ZipFile(course / "back.zip") as file:
        assert sorted(file.namelist()) == [
            f"16/{NAME}.html",
            f"Ada Lovelace_12_assignsubmission_file_{NAME}.html",
            f"Participant_13_assignsubmission_file_{NAME}.html",
            f"doe_x_LATE_11_99872_{NAME}.html",
            f"doejane_10_99871_{NAME}.html",
        ]
        page = file.read(f"doejane_10_99871_{NAME}.html").decode()
    assert f"{MOST + 1:g} of {ALL:g} points</p>" in page  # with the points that a person gave after the run


def test_pages_of_other_platforms_do_not_stop_the_release_through_the_exchange(course, tmp_path_factory):
    only(course, "10", "15")
    grade(course)
    exchange = tmp_path_factory.mktemp("exchange")
    (course / "submitted" / "10" / NAME / "submission_secret.txt").write_text("s3")
    grade(course)
    beside = course / "feedback" / "15" / NAME / "submission_secret.txt"
    kept = beside.read_text()
    nbgrader(course, "release_feedback", NAME, f"--Exchange.root={exchange}", "--course=attention")
    released = exchange / "attention" / "feedback" / f"{notebook_hash(secret='s3', notebook_id=NAME)}.html"
    assert released.read_text() == page_of(course, "10")
    grade(course)
    assert beside.read_text() == kept and len({*course.glob("feedback/*/*/submission_secret.txt")}) == 2
    (course / "submitted" / "10" / NAME / "submission_secret.txt").unlink()
    grade(course)
    assert not (course / "autograded" / "10" / NAME / "submission_secret.txt").exists()


def test_a_resubmission_without_a_time_loses_the_old_one(course):
    only(course, "11")
    assert grade(course)["11"].standing.late == "1.2 days"
    (course / "submitted" / "11" / NAME / "timestamp.txt").unlink()
    assert grade(course)["11"].standing.late == ""
