"""The judge: draw cases, compare outcomes, recognize a known mistake, word the message."""
