"""Exercise 03."""

MISCONCEPTIONS = {}
RIGHT = {}
