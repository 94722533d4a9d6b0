"""How fast things run: each module is a command."""
