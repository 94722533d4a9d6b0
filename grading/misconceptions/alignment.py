"""Exercise 04."""

MISCONCEPTIONS = {}
RIGHT = {}
