"""Exercise 01."""

MISCONCEPTIONS = {}
RIGHT = {}
