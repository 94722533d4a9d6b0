"""The pipeline: from a submission to its result, the gradebook, the feedback and the report."""
