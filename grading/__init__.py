"""What instructors run: checks of answers, the mistakes they know by name, and what nbgrader needs."""
