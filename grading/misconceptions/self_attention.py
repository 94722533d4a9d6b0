"""Exercise 05."""

MISCONCEPTIONS = {}
RIGHT = {}
