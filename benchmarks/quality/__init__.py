"""How well models do: each module is a command."""
