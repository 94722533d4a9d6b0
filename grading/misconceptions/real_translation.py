"""Exercise 06."""

MISCONCEPTIONS = {}
RIGHT = {}
