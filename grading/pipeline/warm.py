"""What every worker needs, loaded. Workers on one machine are forks of a process that has imported this."""

from grading import loading

with loading():
    import distributed  # noqa: F401

    import grading.pipeline.grade  # noqa: F401
