"""Submissions come out of what platforms hand out, each with the student that the platform names."""

import json
import stat
import zipfile
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from grading.cli import main
from grading.pipeline import collect as module
from grading.pipeline.assignments import LARGEST
from grading.pipeline.collect import CollectError, Student, collect, read_roster

NAME = "02_attention"
ROSTER = {
    s.id: s for s in (Student("10412", "Doe, Jane"), Student("10413", "Smith, John"), Student("666", "M"))
}
BOTH = {s.id: s for s in (Student("4711", "Ada Lovelace"), Student("4712", "Alan Turing"))}
UNSAFE = "its path leads out of the folder"


def notebook(text="", name="masked_softmax"):
    """A notebook with one graded cell, of exercise 02 unless another is named."""
    mark = {"nbgrader": {"grade_id": f"test_{name}"}} if name else {}
    return json.dumps({"cells": [{"cell_type": "code", "source": text, "metadata": mark}]})


def write_zip(path, members):
    """Write a zip file of (name, text, seconds after noon) or name: text."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            text, seconds = text if isinstance(text, tuple) else (text, 0)
            file.writestr(zipfile.ZipInfo(name, (2026, 11, 20, 12, 0, seconds)), text)
    return path


@pytest.fixture
def collected(tmp_path):
    """Collect a zip file with these members, and give what was found as {student: text} and the notes."""

    def place(student, name):
        return tmp_path / "submitted" / student / name

    def run(members, roster=ROSTER, name=None):
        archive = write_zip(tmp_path / "all.zip", members) if isinstance(members, dict) else members
        _, platform, count, notes = collect(archive, roster, place, name)
        texts = {}
        for path in sorted(tmp_path.glob(f"submitted/*/{NAME}/{NAME}.ipynb")):
            text = path.read_text()
            texts[path.parts[-3]] = json.loads(text)["cells"][0]["source"] if text[1:] else text
        return platform, texts, {kind: lines for kind, lines in notes.items() if lines}

    return run


def test_canvas_names_its_students_and_the_contents_name_the_exercise(collected, tmp_path):
    platform, texts, notes = collected(
        {
            "doejane_LATE_10412_99871_Attention FINAL-Copy1 (1).IPYNB": notebook("jane"),
            "smithjohn_10413_99873_02_attention-1.ipynb": notebook("new"),
            "smithjohn_10413_99872_02_attention.ipynb": notebook("old"),
            "smithjohn_10413_99874_01_bottleneck.ipynb": notebook("", "sequence_loss"),
            "smithjohn_10413_99875_report.pdf": "pdf",
            "__MACOSX/._smithjohn_10413_99872_02_attention.ipynb": "system",
        }
    )
    assert (platform, texts) == ("Canvas", {"10412": "jane", "10413": "new"})
    assert notes == {
        "late": ["10412 (Doe, Jane)"],
        "double": ["10413 (Smith, John): took smithjohn_10413_99873_02_attention-1.ipynb, the newest of 2"],
        "skipped": [
            "smithjohn_10413_99875_report.pdf: it is not a notebook",
            f"smithjohn_10413_99874_01_bottleneck.ipynb: it is 01_bottleneck, not {NAME}",
        ],
        "absent": ["666 (M)"],
    }
    assert json.loads((tmp_path / "submitted" / "10412" / NAME / "collected.json").read_text())["late"]
    _, texts, notes = collected({"smithjohn_10413_99870_older.ipynb": notebook("older")})
    assert texts["10413"] == "new" and "has a newer notebook in submitted/" in notes["skipped"][0]


@pytest.mark.parametrize(
    "name",
    [
        "m_666_99_4242_7_02_attention.ipynb",
        "m_666_99_x_10412_assignsubmission_file_02_attention.ipynb",
        "m_666_99_10412_99_02_attention.ipynb",
        "x_10412_666_99_02_attention.ipynb",
        "x_10412_99_02_attention.ipynb",
        "nobody_555_99_02_attention.ipynb",
        "02_attention.ipynb",
    ],
)
def test_no_name_chooses_a_student(name, collected):
    """4242 is nobody's id, so that name is an ordinary one."""
    _, texts, notes = collected(
        {name: notebook("m"), "doejane_10412_1_a.ipynb": notebook("jane")}
        | {"smithjohn_10413_2_a.ipynb": notebook("john")}
    )
    honest = {"10412": "jane", "10413": "john"}
    if "4242" in name:
        assert texts == honest | {"666": "m"}
    else:
        assert texts == honest and notes["refused"][0].startswith(f"{name}: ")


def test_anonymous_submissions_of_canvas_keep_their_ids(collected):
    members = {
        "LATE_anon_3aBcD_99_02_attention.ipynb": notebook("one"),
        "anon_XyZ12_98_a.ipynb": notebook("two"),
    }
    _, texts, notes = collected(members)
    assert texts == {"anon_3aBcD": "one", "anon_XyZ12": "two"}
    assert notes == {
        "late": ["anon_3aBcD"],
        "absent": ["nobody can tell, because the submissions are anonymous"],
    }


@pytest.mark.parametrize(
    "names",
    [
        (
            "Ada Lovelace_4711_assignsubmission_file_/a (1).ipynb",
            "Alan Turing_4712_assignsubmission_file_/b/c.ipynb",
        ),
        ("Ada Lovelace_4711_assignsubmission_file/a.ipynb", "Alan Turing_4712_assignsubmission_file/c.ipynb"),
        ("Ada Lovelace_4711_assignsubmission_file_a.ipynb", "Alan Turing_4712_assignsubmission_file_c.ipynb"),
        (
            "Participant_4711_assignsubmission_file_/a.ipynb",
            "Participant_4712_assignsubmission_file_/c.ipynb",
        ),
    ],
)
def test_moodle_names_its_participants_in_folders_and_in_a_flat_list(names, collected):
    platform, texts, notes = collected(dict(zip(names, map(notebook, ("ada", "alan")), strict=True)), BOTH)
    assert (platform, texts, notes) == ("Moodle", {"4711": "ada", "4712": "alan"}, {})


def test_of_two_files_without_an_order_none_is_taken_and_the_rest_is(collected):
    ada, alan = "Ada Lovelace_4711_assignsubmission_file_/", "Alan Turing_4712_assignsubmission_file_/"
    same = {
        ada + "a.ipynb": (notebook("a"), 4),
        ada + "b.ipynb": (notebook("b"), 5),
        alan + "c.ipynb": notebook("c"),
    }
    _, texts, notes = collected(same, BOTH)
    assert texts == {"4712": "c"} and notes["absent"] == ["4711 (Ada Lovelace)"]
    assert "which one is the newest of" in notes["refused"][0]
    _, texts, notes = collected(same | {ada + "a.ipynb": (notebook("a"), 30)}, BOTH)
    assert texts == {"4711": "a", "4712": "c"} and len(notes["double"]) == 1
    twice = {
        ada + "a.ipynb": (notebook("same"), 40),
        ada + "b.ipynb": (notebook("same"), 40),
        ada + "c.ipynb": (notebook("", None), 40),
    }
    assert collected(twice, BOTH)[2] == {}


GRADESCOPE = """---
submission_11:
  :submitters:
  - :name: Jane Doe
    :sid: '10412'
    :email: jane@example.org
  :created_at: 2026-11-20 16:00:00.123456789 +01:00
submission_12:
  :submitters:
  - :name: John Smith
    :sid:
    :email: John@example.org
  - :name: M
    :sid: '666'
    :email: m@example.org
  :created_at: 2026-11-21 16:00:00.000000000 Z
"""


def test_gradescope_names_its_students_in_its_metadata(collected, tmp_path):
    roster = ROSTER | {"10413": Student("10413", "John Smith", "john@example.org")}
    platform, texts, notes = collected(
        {
            "assignment_9_export/submission_metadata.yml": GRADESCOPE,
            "assignment_9_export/submission_11/Untitled.ipynb": notebook("jane"),
            "assignment_9_export/submission_12/work/a.ipynb": notebook("both"),
            "assignment_9_export/submission_13/a.ipynb": notebook("nobody"),
        },
        roster,
    )
    assert (platform, texts) == ("Gradescope", {"10412": "jane", "10413": "both", "666": "both"})
    assert list(notes) == ["refused"] and "submission_13" in notes["refused"][0]
    time = (tmp_path / "submitted" / "10412" / NAME / "timestamp.txt").read_text()
    assert time == "2026-11-20 15:00:00.123456 UTC"


def test_a_student_of_moodle_cannot_bring_metadata_of_gradescope(collected):
    folder = "Ada Lovelace_4711_assignsubmission_file_/"
    forged = GRADESCOPE.replace("10412", "4712").replace("submission_11", folder.rstrip("/"))
    platform, texts, _ = collected(
        {f"{folder}submission_metadata.yml": forged, f"{folder}a.ipynb": notebook("ada")}, BOTH
    )
    assert (platform, texts) == ("Moodle", {"4711": "ada"})


def test_folders_are_named_by_students(collected, tmp_path):
    for folder, text in {"10412/deep/er": "jane", "10413": "john", "stranger": "no"}.items():
        place = tmp_path / "class" / folder
        place.mkdir(parents=True)
        (place / "a.ipynb").write_text(notebook(text))
    (tmp_path / "class" / "666").mkdir()
    (tmp_path / "class" / "666" / "a.ipynb").symlink_to(tmp_path / "class" / "10413" / "a.ipynb")
    platform, texts, notes = collected(tmp_path / "class")
    assert (platform, texts) == ("folders", {"10412": "jane", "10413": "john"})
    assert notes["refused"] == [
        "666/a.ipynb: it is a link or no file",
        "stranger/a.ipynb: nobody in the roster has the id stranger",
    ]


def test_unsafe_members_of_a_zip_are_refused_and_the_rest_is_collected(collected, tmp_path, monkeypatch):
    archive = tmp_path / "all.zip"
    link = zipfile.ZipInfo("doejane_10412_2_link.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("../doejane_10412_1_a.ipynb", "/doejane_10412_1_a.ipynb", "C:/doejane_10412_1_a.ipynb"):
            file.writestr(name, notebook("out"))
        file.writestr(link, "/etc/passwd")
        file.writestr("doejane_10412_3_bomb.ipynb", bytes(LARGEST + 1))
        file.writestr("doejane_10412_4_a\x1b[31m.ipynb", notebook("jane"))
        file.writestr("smithjohn_10413_5_torn.ipynb", "{")
    _, texts, notes = collected(archive)
    assert texts == {"10412": "jane", "10413": "{"}  # which a run will find not gradable
    reasons = [line.rsplit(": ", 1)[1] for line in notes["refused"]]
    assert reasons == [UNSAFE] * 3 + ["it is a link", f"it has {LARGEST + 1:,} bytes, more than {LARGEST:,}"]
    assert not list(tmp_path.parent.glob("*doejane*"))
    monkeypatch.setattr(module, "MOST_FILES", 5)
    with pytest.raises(CollectError, match="unpacks to 7 files.*it is not safe"):
        collected(archive)


CANVAS_ROSTER = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Exercise 2 (1234)
    Points Possible,,,,,17.00
"Doe, Jane",10412,,jane,A,
"""
MOODLE_ROSTER = """Identifier,"Full name","Email address",Status,Grade,"Last modified (submission)"
"Participant 4711","Ada Lovelace",ada@example.org,Submitted,,"Friday, 20 November 2026, 4:15 PM"
"Participant 4712","Alan Turing",,,,-
"""


def test_rosters_of_the_platforms_are_read(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text(CANVAS_ROSTER, "utf-8")
    assert read_roster(path) == {"10412": Student("10412", "Doe, Jane")}
    path.write_text(MOODLE_ROSTER, "utf-8")
    ada, alan = read_roster(path).values()
    assert (ada.id, ada.name, ada.email) == ("4711", "Ada Lovelace", "ada@example.org")
    assert ada.time == datetime(2026, 11, 20, 16, 15).astimezone() and alan.time is None
    ada, _ = read_roster(path, ZoneInfo("Asia/Tokyo")).values()
    assert ada.time == datetime(2026, 11, 20, 7, 15, tzinfo=UTC)
    path.write_text("First Name,Last Name,SID,Email\nJane,Doe,7,j@example.org\n", "utf-8")
    assert read_roster(path) == {"7": Student("7", "Jane Doe", "j@example.org")}
    for text, reason in (("a,b\n1,2\n", "no column with ids"), ("id\n../x\n", "cannot be an id")):
        path.write_text(text, "utf-8")
        with pytest.raises(CollectError, match=reason):
            read_roster(path)


def test_the_command_prints_and_keeps_what_a_person_should_know(tmp_path, capsys):
    (tmp_path / "roster.csv").write_text(CANVAS_ROSTER + '"Smith, John",10413,,john,A,\n', "utf-8")
    write_zip(tmp_path / "all.zip", {"doejane_LATE_10412_1_a.ipynb": notebook("jane")})
    options = ["--roster", str(tmp_path / "roster.csv"), "--course", str(tmp_path)]
    assert main(["collect", str(tmp_path / "all.zip"), *options]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        f"{NAME} (Canvas): 1 collected, 1 late, 0 double, 0 skipped, 0 refused, 1 absent\n"
    )
    assert "late: 10412 (Doe, Jane)\nabsent: 10413 (Smith, John)\n" in said
    assert (tmp_path / "graded" / f"{NAME}.collected.txt").read_text() in said
    assert (tmp_path / "submitted" / "10412" / NAME / f"{NAME}.ipynb").read_text() == notebook("jane")
    (tmp_path / "roster.csv").write_text(CANVAS_ROSTER, "utf-8")  # another section's, without John Smith
    assert main(["collect", str(tmp_path / "all.zip"), *options]) == 0
    assert ", 1 absent\nlate: 10412 (Doe, Jane)\nabsent: 10413 (Smith, John)\n" in capsys.readouterr().out
    write_zip(tmp_path / "john.zip", {"smithjohn_10413_2_a.ipynb": notebook("john")})
    (tmp_path / "roster.csv").write_text(CANVAS_ROSTER + '"Smith, John",10413,,john,A,\n', "utf-8")
    assert main(["collect", str(tmp_path / "john.zip"), *options]) == 0
    assert "0 absent" in capsys.readouterr().out
    for name, reason in (("roster.csv", "neither a folder nor a zip"), ("no", "/no: check its path")):
        assert main(["collect", str(tmp_path / name), *options]) == 2
        assert reason in capsys.readouterr().err
    assert main(["collect", str(tmp_path / "all.zip"), "--assignment", "09_x", *options]) == 2
    assert "no exercise is called 09_x" in capsys.readouterr().err
