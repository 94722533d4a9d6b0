"""Due dates, extensions and what lateness costs: all in one file of the course's folder, deadlines.toml."""

import math
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from nbgrader.plugins import LateSubmissionPlugin

from grading import CourseError

FILE = "deadlines.toml"
TABLES = {"due", "extensions", "handed_in", "penalty", "timezone"}
PENALTY = {"percent_per_day", "most_percent", "grace_minutes"}


@dataclass(frozen=True)
class Deadlines:
    """Times in UTC: `due` by assignment, `extensions` and `handed_in` by assignment and student.

    An extension is a timedelta. `handed_in` holds times that a person has looked up. `zone` is the time zone
    of times that name none.
    """

    due: dict = field(default_factory=dict)
    extensions: dict = field(default_factory=dict)
    handed_in: dict = field(default_factory=dict)
    penalty: dict = field(default_factory=dict)
    zone: ZoneInfo | None = field(default=None, compare=False)  # alone it says nothing of lateness


def read(course):
    """Return the `Deadlines` of a course's folder, which are empty if it has no such file."""
    path = Path(course) / FILE
    try:
        plain = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Deadlines()
    except (OSError, ValueError) as error:
        raise CourseError(f"{path} cannot be read: {error}") from None
    try:
        return _deadlines(plain)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise CourseError(f"{path}: {error}") from None


def _deadlines(plain):
    penalty = plain.get("penalty", {})
    for found, known in ((plain, TABLES), (penalty, PENALTY)):
        if unknown := sorted(found.keys() - known):
            raise ValueError(f"there is no setting {', '.join(unknown)}: use {', '.join(sorted(known))}")
    for name, number in penalty.items():
        if not isinstance(number, int | float) or number < 0:
            raise ValueError(f"{name} must be a number that is not negative, found {number!r}")
    zone = ZoneInfo(plain["timezone"]) if "timezone" in plain else None
    due = {name: _time(value, name, zone) for name, value in plain.get("due", {}).items()}
    extensions, handed_in = {}, {}
    for name, students in plain.get("extensions", {}).items():
        if name not in due:
            raise ValueError(f"{name} has extensions and is not in [due]")
        extensions[name] = {who: _extension(value, due[name], who, zone) for who, value in students.items()}
    for name, students in plain.get("handed_in", {}).items():
        handed_in[name] = {who: _time(value, who, zone) for who, value in students.items()}
    return Deadlines(due, extensions, handed_in, penalty, zone)


def _extension(value, due, who, zone):
    return timedelta(days=value) if isinstance(value, int | float) else _time(value, who, zone) - due


def _time(value, what, zone):
    if not isinstance(value, datetime):
        raise ValueError(f"{what} must be a time such as 2026-11-20T23:59:00, found {value!r}")
    if value.tzinfo is None and zone is None:
        raise ValueError('name the time zone, such as timezone = "Europe/Berlin"')
    return in_utc(value, zone)


def in_utc(time, zone):
    """Return a time in UTC. If it names no zone, it is of this one (None: this machine's)."""
    return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)


class DeadlinesPlugin(LateSubmissionPlugin):
    """nbgrader's plugin for late submissions, with the penalty of the file. Without one, it is nbgrader's."""

    @cached_property
    def penalty(self):
        """What the file says of the penalty, read once for all notebooks."""
        return read(self.config.CourseDirectory.root).penalty

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        penalty = self.penalty
        if not penalty:
            return super().late_submission_penalty(student_id, score, total_seconds_late)
        if total_seconds_late <= 60 * penalty.get("grace_minutes", 0):
            return None
        percent = math.ceil(total_seconds_late / 86_400) * penalty.get("percent_per_day", 0)
        return score * min(percent, penalty.get("most_percent", 100)) / 100
