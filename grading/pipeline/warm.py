"""What processes that grade need, loaded: on one machine they are forks of one that has imported this."""

from grading import loading

with loading():
    import grading.pipeline.grade  # noqa: F401
