"""Exercise 05."""
