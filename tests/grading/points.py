"""What exercise 02 is worth: tests ask its starter, so an instructor may change its points."""

from examples.make_class import NAME
from grading.pipeline.assignments import assignments

ASSIGNMENT = assignments()[NAME]
POINTS = dict(ASSIGNMENT.tests)
MOST = sum(POINTS.values())
WRITTEN = dict(ASSIGNMENT.written)["why_attention"]
ALL = MOST + sum(points for _, points in ASSIGNMENT.written)


def without(*wrong):
    """The points of all answers but these."""
    return MOST - sum(POINTS[name] for name in wrong)
