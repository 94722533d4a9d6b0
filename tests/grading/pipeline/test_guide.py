"""An instructor's term: the commands of the guide, in their order, with a class of 60 on three platforms."""

import csv
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from examples.make_class import NAME, make_class, notebook
from grading.pipeline.assignments import ROOT
from grading.pipeline.run import Run
from grading.pipeline.written import Answers
from tests.grading.pipeline.test_run import book
from tests.grading.points import ALL, MOST, WRITTEN

pytestmark = pytest.mark.slow
CLASS = 60
GUIDE = (ROOT / "web" / "instructors.md").read_text("utf-8")
QUESTION = "why_attention"
DEADLINES = f"""timezone = "Europe/Berlin"
[due]
{NAME} = 2026-11-20T23:59:00
[penalty]
percent_per_day = 10
[handed_in.{NAME}]
"""


def commands():
    """The guide's commands in their order, without their remarks. Those of another machine come last."""
    blocks = re.findall(r"^    (?!c[ .])(.+)$", GUIDE, re.MULTILINE)
    found = [part for line in blocks for part in line.split("  #")[0].split("&&")]
    return [command.strip() for command in found if "--scheduler" not in command]


class Term:
    """A place for everything, and a shell in which the guide's names stand for it."""

    def __init__(self, folder):
        self.folder, self.place, self.left = folder, folder, commands()
        settings = re.search(r"^    c = get_config\(\)\n(?:    .*\n)+", GUIDE, re.MULTILINE)[0]
        (folder / "etc").mkdir()
        (folder / "exchange").mkdir(mode=0o777)
        (folder / "exchange").chmod(0o777)
        settings = settings.replace("/srv/exchange", str(folder / "exchange")).replace("\n    ", "\n")
        (folder / "etc" / "nbgrader_config.py").write_text(settings.strip() + "\n", "utf-8")
        self.real = {
            "https://…": str(folder / "public"),
            "git@…:you/attention-private.git": str(folder / "private.git"),
        }

    def run(self, command, place=None):
        words = [self.real.get(word, word) for word in shlex.split(command)]
        if words[0] == "cd":
            self.place = self.place / words[1]
            return ""
        module = {"python": [], "nbgrader": ["-m", "nbgrader"], "course": ["-P", "-m", "grading"]}
        if words[0] in module:
            words[:1] = [sys.executable, *module[words[0]]]
        if words[:2] == ["git", "clone"] and len(words) == 3:
            words.append("attention-private")
        where = {"HOME": str(self.folder), "JUPYTER_CONFIG_DIR": str(self.folder / "etc")}
        where |= {"PYTHONPATH": str(self.place), "JUPYTER_DATA_DIR": str(self.folder / "data")}
        done = subprocess.run(
            words, cwd=place or self.place, env=os.environ | where, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def next(self, start, **real):
        """Run the guide's next command, which begins like this."""
        command = self.left.pop(0)
        assert command.startswith(start), f"the guide says {command!r}, and the test expects {start!r}"
        return self.run(" ".join(real.get(Path(word).stem, word) for word in command.split(" ")))


def make_public(folder):
    """Make a repository of the files here, as somebody would publish it."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs a git repository")
    for name in filter(None, done.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "The course"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", folder.parent / "private.git"], check=True)


def hand_in(folder):
    """Write the zip files and sheets of Canvas and Moodle. Return each student's submitted notebook by id."""
    *kinds, endless = make_class(folder / "kinds")  # an endless answer takes a minute
    texts = [next((folder / "kinds" / "submitted" / kind).glob("*/*.ipynb")).read_bytes() for kind in kinds]
    students = {str(number): texts[number % len(texts)] for number in range(110, 110 + CLASS - 1)}
    canvas = [student for student in students if int(student) % 2]
    moodle = [student for student in students if student not in canvas]
    with zipfile.ZipFile(folder / "canvas.zip", "w") as file:
        for student in canvas:
            late = "LATE_" * (student == canvas[0])
            file.writestr(
                f"s{student}_{late}{student}_9{student}_My work ({student}).IPYNB", students[student]
            )
        file.writestr(f"s{canvas[1]}_{canvas[1]}_1_older.ipynb", nbformat.writes(notebook(right=())))
    with zipfile.ZipFile(folder / "moodle.zip", "w") as file:
        for student in moodle:
            file.writestr(f"S {student}_{student}_assignsubmission_file_/{NAME}.ipynb", students[student])
    rows = [f'"s{student}",{student},' for student in [*canvas, "999"]]
    (folder / "canvas.csv").write_text("\n".join(["Student,ID,Exercise 2 (1234)", *rows, ""]))
    rows = [f"Participant {student},S {student}," for student in moodle]
    (folder / "moodle.csv").write_text("\n".join(["Identifier,Full name,Grade", *rows, ""]))
    return canvas, moodle


def grade_by_hand(term, end=""):
    """Grade the answers that wait, with points and a comment, in turn as the page and Formgrader do it.

    Return (points, comment) by student. Nobody has the same comment as somebody else.
    """
    answers, given = Answers(Run(NAME, term.place)), {}
    waiting = [row for row in answers.book.written(QUESTION) if row["needs"]]
    for number, row in enumerate(waiting):
        points = number % (2 * WRITTEN + 1) / 2
        comment = f"Number {number} says <b>*so*</b>{end}"
        given[row["student"]] = points, comment
        if number % 2:
            assert answers.book.give(row["student"], QUESTION, points, comment, row["version"]) is None
            continue
        with book(term.place) as gradebook:
            grade = gradebook.find_grade(QUESTION, NAME, NAME, row["student"])
            grade.manual_score, grade.needs_manual_grade = points, False
            gradebook.find_comment(QUESTION, NAME, NAME, row["student"]).manual_comment = comment
            gradebook.db.commit()
    answers.book.gradebook.close()
    return given


def totals(term, given):
    """Return each student's total: what the tests and a person gave. None if it could not be graded."""
    found = {}
    for path in sorted((term.place / "graded" / NAME).glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        graded = record["status"] == "graded"
        found[path.stem] = record["score"] + given.get(path.stem, (0, ""))[0] if graded else None
    return found


def column(path, key, name):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return {re.sub(r"^Participant ", "", row[key]): row[name] for row in csv.DictReader(file)}


def check_what_comes_back(term, given, late, students):
    """Run the guide's commands that return and export. All that a person gave must be on pages and sheets."""
    expected = totals(term, given)
    assert len(expected) == CLASS
    expected[late] *= 0.8
    assert f"{CLASS} feedback pages" in term.next("course return")
    with zipfile.ZipFile(term.place / "feedback.zip") as file:
        pages = {name: html.unescape(file.read(name).decode()) for name in file.namelist()}
    for student, total in expected.items():
        (page,) = (text for name, text in pages.items() if re.search(rf"(^|_){student}[_/]", name))
        if total is None:
            assert "could not be graded" in page
            continue
        assert f"{total:g} of {ALL:g} points</p>" in page or f"{round(total, 2):g} points in all" in page
        points, comment = given.get(student, (0, "There is no answer in this cell."))
        assert f"{points:g} of {WRITTEN:g} points" in page.split("Say it in words")[-1] and comment in page

    sheets = {"canvas": ("ID", "Exercise 2 (1234)"), "moodle": ("Identifier", "Grade")}
    text = {student: "" if total is None else f"{total:g}" for student, total in expected.items()}
    for platform, columns in sheets.items():
        shutil.copy(term.folder / f"{platform}.csv", term.place)
        term.next(f"course export {NAME} {platform}.csv")
        exported = column(term.place / "import.csv", *columns)
        assert {s: exported[s] for s in students[platform]} == {s: text[s] for s in students[platform]}
    assert term.left == []
    return pages, text


def test_what_a_person_gave_reaches_every_student_and_every_export(bubblewrap, tmp_path):
    make_public(tmp_path / "public")
    canvas, moodle = hand_in(tmp_path)
    term = Term(tmp_path)
    for start in ("git clone", "git -C", "rm", "git clone", "cd", "git remote"):
        term.next(start)
    assert term.place == tmp_path / "attention-private" and (term.place / "web" / "instructors.md").is_file()

    mine = tmp_path / "student"
    mine.mkdir()
    for inline in ("python make_notebooks.py --register", f"nbgrader release_assignment {NAME}"):
        assert f"`{inline}`" in GUIDE
        term.run(inline)
    term.run(f"nbgrader fetch_assignment {NAME}", mine)
    nbformat.write(notebook(), mine / NAME / f"{NAME}.ipynb")
    term.run(f"nbgrader submit {NAME}", mine)
    assert f"`nbgrader collect --update {NAME}`" in GUIDE
    term.run(f"nbgrader collect --update {NAME}")
    (me,) = (path.name for path in (term.place / "submitted").iterdir())

    collect = term.left[0]
    for platform, students in (("canvas", canvas), ("moodle", moodle)):
        term.left.insert(0, collect)
        files = {"submissions": f"{tmp_path}/{platform}.zip", "students": f"{tmp_path}/{platform}.csv"}
        said = term.next("course collect", **files)
        assert f"{NAME} ({platform.capitalize()}): {len(students)} collected" in said
        if platform == "canvas":
            assert f"late: {canvas[0]} (s{canvas[0]})" in said and "absent: 999 (s999)" in said
            assert f"double: {canvas[1]} (s{canvas[1]}): took" in said
    term.left.remove(collect)

    late = f'{DEADLINES}"{me}" = 2026-11-20T12:00:00Z\n"{canvas[0]}" = 2026-11-22T12:00:00Z\n'
    (term.place / "deadlines.toml").write_text(late)
    said = term.next(f"course grade {NAME}")
    assert f"of {CLASS} graded" in said and "needs a person" in said
    given = grade_by_hand(term)
    assert len(given) > CLASS / 2 and me in given and canvas[0] in given
    term.next(f"course grade {NAME}")
    term.next(f"nbgrader release_feedback {NAME}")
    term.run(f"nbgrader fetch_feedback {NAME}", mine)
    (page,) = mine.glob(f"{NAME}/feedback/**/*.html")
    assert given[me][1] in html.unescape(page.read_text("utf-8"))

    students = {"canvas": canvas, "moodle": moodle}
    pages, text = check_what_comes_back(term, given, canvas[0], students)
    assert text[me] == f"{MOST + given[me][0]:g}"
    assert column(term.place / "graded" / f"{NAME}.csv", "student", "total") == text
    known = json.loads((term.place / "submitted" / canvas[1] / NAME / "collected.json").read_text())
    assert f"{known['from'].split('_My')[0]}_{NAME}.html" in pages

    asking = next(student for student in canvas[2:] if student in given)
    (term.place / "asked.csv").write_text(f"student,answer,reason\n{asking},{QUESTION},Read it again\n")
    assert f"`course grade {NAME} --requests asked.csv`" in GUIDE
    term.run(f"course grade {NAME} --requests asked.csv")
    again = grade_by_hand(term, end=", and again")
    assert [*again] == [asking]
    term.left = [command for command in commands() if command.startswith(("course return", "course export"))]
    check_what_comes_back(term, given | again, canvas[0], students)
    assert "Read it again" in (term.place / "graded" / f"{NAME}.changes.html").read_text("utf-8")
