"""Put submissions that were downloaded from Canvas, Moodle or Gradescope into submitted/.

The part of a name that the platform writes, and the roster, say whose a notebook is. Its graded cells say
which exercise it is. Students choose the names of their files, so these decide nothing.
"""

import contextlib
import csv
import hashlib
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import yaml
from dateutil import parser as dates

from grading import CourseError
from grading.pipeline.assignments import LARGEST, NotGradable, assignments, grade_ids, readable, recognize
from grading.pipeline.deadlines import in_utc
from grading.pipeline.result import write_text

# NAME_LATE_ID_ATTACHMENT_file, or LATE_anon_ID_ATTACHMENT_file. An attachment with a larger number is newer.
CANVAS = re.compile(
    r"(?P<prefix>(?:(?P<name>\w*?)_)??(?P<late>LATE_)?"
    r"(?P<id>\d+|anon_(?!\d+_)[^\W_]{5})_(?P<order>\d+))_.+",
    re.DOTALL,
)
# NAME_ID_assignsubmission_file_/file, and without the last _ or / in older versions and in a flat list.
# Moodle takes _ out of names.
MOODLE = re.compile(r"(?P<prefix>[^_]*_(?P<id>\d+)_assignsubmission_(?:file|onlinetext))(?:_.*)?", re.DOTALL)
CLAIM = re.compile(r"(?=(?:^|[_/])(?:LATE_)?(\d+)_(?:\d+|assignsubmission_[a-z]+)_)")  # either, anywhere
METADATA = "submission_metadata.yml"  # Gradescope's
IDS = ("identifier", "id", "sid", "student id", "student_id", "student", "username")  # columns of a roster
MOST_FILES, MOST_BYTES = 50_000, 4 * 2**30  # of an archive
SECONDS = 2  # a zip notes times no better
KINDS = ("late", "double", "skipped", "refused", "absent")


class CollectError(CourseError):
    """Nothing can be collected; the text says why and what to do."""


@dataclass(frozen=True)
class Student:
    """A row of the roster. `time` is when Moodle's worksheet says that a submission was changed last."""

    id: str
    name: str = ""
    email: str = ""
    time: datetime | None = None

    def __str__(self):
        return f"{self.id} ({self.name})" if self.name else self.id


@dataclass(frozen=True)
class File:
    """A file of the source, at a path of `parts`. `problem` says why it must not be read."""

    parts: tuple
    time: float
    read: Callable
    problem: str = ""

    def __str__(self):
        return readable("/".join(self.parts), 200).replace("\n", " ")


@dataclass(frozen=True)
class Found:
    """A notebook of a student. Of several, the one with the largest `order` is the newest."""

    file: File
    student: Student
    order: float
    margin: float = 0  # a smaller difference of orders says nothing
    late: bool = False
    time: datetime | None = None
    digest: str = ""
    rank: int = 0


# The roster


def read_roster(path, zone=None):
    """Return the students of a CSV file by id: of Canvas, Moodle or Gradescope, or with a column id.

    Moodle's times name no zone: they are of `zone` (default: this machine's).
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), {(name or "").strip().lower(): name for name in reader.fieldnames or []}
    key = next((columns[name] for name in IDS if name in columns), None)
    if key is None:
        raise CollectError(f"{path} has no column with ids: name one of its columns id")
    modified = next(
        (name for name in reader.fieldnames if name.lower().startswith("last modified (sub")), None
    )
    roster = {}
    for row in rows:
        said = {name: (row[column] or "").strip() for name, column in columns.items()}
        number = re.sub(r"^Participant\s+", "", (row[key] or "").strip())
        if not number:
            continue  # Canvas has rows that are no students
        if not re.fullmatch(r"\w[\w.@+-]{0,99}", number, re.ASCII):
            raise CollectError(
                f"{path}: {readable(number, 80)!r} cannot be an id: use letters, digits and .@+-_"
            )
        name = said.get("student") or said.get("full name") or said.get("name")
        name = name or " ".join(filter(None, (said.get("first name"), said.get("last name"))))
        email = said.get("email") or said.get("email address") or ""
        time = _time(row.get(modified), zone)
        roster[number] = Student(number, name if name != number else "", email, time)
    return roster


def _time(text, zone=None):
    """Return the time that a text means, by the clock of `zone` or this machine if it names none, or None."""
    with contextlib.suppress(ValueError, OverflowError, TypeError):
        return in_utc(dates.parse(text), zone)
    return None


# The source


def files_in(source):
    """Return the files of a folder or a zip file, without what systems add on their own."""
    source = Path(source)
    if source.is_dir():
        found = [
            _on_disk(source, path)
            for path in sorted(source.rglob("*"))
            if not path.is_dir() or path.is_symlink()
        ]
    elif zipfile.is_zipfile(source):
        found = _in_zip(zipfile.ZipFile(source))
    else:
        why = "is neither a folder nor a zip file: download the submissions again"
        raise CollectError(f"{source} {why}" if source.exists() else f"there is no {source}: check its path")
    return [
        f for f in found if not any(part.startswith((".", "__MACOSX")) and part != ".." for part in f.parts)
    ]


def _on_disk(folder, path):
    found, parts = path.lstat(), path.relative_to(folder).parts
    problem = "" if stat.S_ISREG(found.st_mode) else "it is a link or no file"
    problem = problem or _too_large(found.st_size)
    return File(parts, found.st_mtime, path.read_bytes, problem)


def _in_zip(archive):
    members = [info for info in archive.infolist() if not info.is_dir()]
    size = sum(info.file_size for info in members if info.filename.lower().endswith(".ipynb"))
    if len(members) > MOST_FILES or size > MOST_BYTES:
        raise CollectError(
            f"{archive.filename} unpacks to {len(members):,} files, {size:,} bytes: it is not safe"
        )
    found = []
    for info in members:
        name = info.filename
        if not info.flag_bits & 0x800:  # not said to be UTF-8: Canvas writes it nevertheless
            with contextlib.suppress(UnicodeError):
                name = name.encode("cp437").decode("utf-8")
        parts = PurePosixPath(name.replace("\\", "/")).parts or ("",)
        problem = _too_large(info.file_size)
        if parts[0] == "/" or ".." in parts or re.match("[A-Za-z]:", name):
            problem = "its path leads out of the folder"
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "it is a link"
        time = datetime(*info.date_time).timestamp() if info.date_time[0] > 1980 else 0.0
        found.append(File(parts, time, lambda info=info: archive.read(info), problem))
    return found


def _too_large(size):
    return f"it has {size:,} bytes, more than {LARGEST:,}" if size > LARGEST else ""


# Who handed in what


def platform_of(files):
    """Return the name of the platform from which files come, and the function that tells whose they are."""
    root = {file.parts[0] for file in files}
    top = 1 if len(root) == 1 and not MOODLE.fullmatch(*root) else 0  # the length of the path to all files
    metadata = next((file for file in files if file.parts[top:] == (METADATA,)), None)
    if metadata:
        return "Gradescope", _gradescope(metadata)
    notebooks = [file for file in files if is_notebook(file)]
    for name, whose in (("Moodle", _moodle), ("Canvas", _canvas)):
        if 2 * sum(whose(file) is not None for file in notebooks) > len(notebooks):
            return name, whose
    top = top if all(len(file.parts) > top + 1 for file in notebooks) else 0
    return "folders", lambda file: {"id": file.parts[top]} if len(file.parts) > top + 1 else None


def is_notebook(file):
    return file.parts[-1].lower().endswith(".ipynb")


def _canvas(file):
    found = CANVAS.fullmatch(file.parts[-1])
    if not found:
        return None
    return {**found.groupdict(), "late": bool(found["late"]), "order": int(found["order"])}


def _moodle(file):
    found = next(filter(None, map(MOODLE.fullmatch, file.parts)), None)
    return found and {"id": found["id"]}


def _gradescope(metadata):
    """Return the function for an export whose submission_metadata.yml says who handed in each folder."""
    try:
        known = yaml.safe_load(metadata.read())
        known = {folder: (about[":submitters"], about.get(":created_at")) for folder, about in known.items()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CollectError(f"{metadata} is not what Gradescope writes: {type(error).__name__}") from None
    depth = len(metadata.parts) - 1

    def whose(file):
        people, time = known.get(file.parts[depth], ((), None)) if len(file.parts) > depth else ((), None)
        people = [{"id": str(one.get(":sid") or ""), "email": one.get(":email")} for one in people]
        time = _time(str(time))
        return {"people": people, "time": time, "order": time and time.timestamp()} if people else None

    return whose


def attribute(file, said, roster):
    """Return the students to whom a file belongs, as `Found`. Raise CollectError if that isn't certain."""
    if said is None:
        raise CollectError("its name does not say whose it is, in the way the platform names files")
    by_email = {student.email.lower(): student for student in roster.values() if student.email}
    order, time, late = (said.get(key) for key in ("order", "time", "late"))
    placed = (file.time, SECONDS) if order is None else (order, 0)
    found = []
    for person in said.get("people") or [said]:
        number, name = person["id"], person.get("name")
        student = roster.get(number) or by_email.get((person.get("email") or "").lower())
        if student is None and number.startswith("anon_"):
            student = Student(number)
        if student is None:
            raise CollectError(f"nobody in the roster has the id {readable(number, 80)}")
        others = {*CLAIM.findall("/".join(file.parts))} & {*roster} - {student.id}
        if others or (name and student.name and _letters(name) != _letters(student.name)):
            other = ", ".join(sorted(others)) or readable(name, 80)
            raise CollectError(f"its name claims to be of {other}, and the platform says {student}")
        found.append(Found(file, student, *placed, bool(late), time or student.time))
    return found


def _letters(name):
    """What Canvas keeps of a name, but for letters that not all systems write in the same way."""
    return re.sub("[^a-z0-9]", "", name.lower())


def collect(source, roster, place, name=None):
    """Put the notebooks of a source into the folders that `place(student, assignment)` names.

    `name` is the assignment (default: the one to which most notebooks belong). Return it, the platform, the
    number of students whose notebook is there, and by KINDS a line for each student or file to know of.
    """
    files, known = files_in(source), assignments()
    platform, whose = platform_of(files)
    notes, found = {kind: [] for kind in KINDS}, []
    for file in files:
        if file.parts[-1] == METADATA:
            continue
        try:
            if file.problem:
                raise CollectError(file.problem)
            owners = attribute(file, whose(file), roster) if is_notebook(file) else ()
            if not owners:
                notes["skipped"].append(f"{file}: it is not a notebook")
                continue
            data = file.read()
        except (CollectError, OSError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            notes["refused"].append(f"{file}: {readable(str(error), 200)}")
            continue
        digest, other = hashlib.sha256(data).hexdigest(), _recognized(data, file, known)
        found += [(replace(one, digest=digest), other) for one in owners]
    names = [other.name for _, other in found if other not in (None, NotGradable)]
    name = name or max(names, key=names.count, default=None)
    if name is None:
        raise CollectError(f"{source} holds no notebook of this course: is it the right download?")
    theirs = {}
    for one, other in found:
        if other not in (None, NotGradable) and other.name != name:
            notes["skipped"].append(f"{one.file}: it is {other.name}, not {name}")
        else:
            rank = 0 if other is NotGradable else 1 if other is None else 2
            theirs.setdefault(one.student, []).append(replace(one, rank=rank))
    collected = [s for s, those in theirs.items() if _keep(s, those, place(s.id, name), platform, notes)]
    there = {student for student in roster.values() if (place(student.id, name) / f"{name}.ipynb").is_file()}
    if any(student.id not in roster for student in theirs):
        notes["absent"].append("nobody can tell, because the submissions are anonymous")
    else:
        notes["absent"] += [str(student) for student in roster.values() if student not in there]
    return name, platform, len(collected), notes


def _recognized(data, file, known):
    """Return the assignment of a notebook, None if it has no graded cell, or NotGradable if it is broken."""
    try:
        return recognize(grade_ids(data, file), known)
    except NotGradable:
        return NotGradable


def _keep(student, those, folder, platform, notes):
    """Write the newest of a student's notebooks. Return whether there is one."""
    best = max(one.rank for one in those)
    those = sorted((one for one in those if one.rank == best), key=lambda one: one.order)
    newest = those[-1]
    close = [one for one in those if newest.order - one.order <= newest.margin]
    if len({one.digest for one in close}) > 1:
        those = ", ".join(str(one.file) for one in close)
        notes["refused"].append(f"{student}: which one is the newest of {those}? Keep one, and collect again")
        return False
    if folder.is_symlink() or folder.parent.is_symlink():
        notes["refused"].append(f"{student}: {folder} is a link")
        return False
    about = {"platform": platform, "from": "/".join(newest.file.parts)}
    about |= {"order": newest.order, "late": newest.late}
    path, noted = folder / f"{folder.name}.ipynb", folder / "collected.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads(noted.read_text("utf-8"))["order"] > newest.order:
            notes["skipped"].append(f"{newest.file}: {student} has a newer notebook in submitted/")
            return True
    if len({one.digest for one in those}) > 1:
        notes["double"].append(f"{student}: took {newest.file}, the newest of {len(those)}")
    if newest.late:
        notes["late"].append(str(student))
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / ".unfinished"
    unfinished.write_bytes(newest.file.read())
    os.replace(unfinished, path)
    for other in ("timestamp.txt", "submission_secret.txt"):  # of what was there before
        (folder / other).unlink(missing_ok=True)
    if newest.time:
        write_text(folder / "timestamp.txt", newest.time.strftime("%Y-%m-%d %H:%M:%S.%f UTC"))
    write_text(noted, json.dumps(about))
    return True


def all_absent(absent, report, name, place):
    """Return these lines with those of an earlier report, perhaps of another section, if still true."""
    text = report.read_text("utf-8") if report.is_file() else ""
    found = re.findall(r"^absent: ((\w[\w.@+-]*)(?: \(.*\))?)$", text, re.MULTILINE)
    earlier = {id: line for line, id in found if not (place(id, name) / f"{name}.ipynb").is_file()}
    return [*(earlier | {line.split(" (")[0]: line for line in absent}).values()]


def as_text(name, platform, collected, notes):
    """What was collected, for people: counts, then a line for each student or file to know of."""
    counts = ", ".join([f"{collected} collected", *(f"{len(notes[kind])} {kind}" for kind in KINDS)])
    lines = [f"{kind}: {line}" for kind in KINDS for line in notes[kind]]
    return "\n".join([f"{name} ({platform}): {counts}", *lines])
