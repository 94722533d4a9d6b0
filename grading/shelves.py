"""What there is for each function that is checked, by its name. It lies in one module an exercise.

A module is loaded when something of it is asked for: most who ask need one exercise, and some load much.
"""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

SOURCES = sorted((Path(__file__).parent / "checks").glob("*.py"))
EXERCISE = {  # of each function
    name: path.stem
    for path in SOURCES
    for name in re.findall(r'@checks\(\s*"(\w+)"', path.read_text("utf-8"))
}


class Shelf(Mapping):
    """From a function's name to what `found` has for it in its exercise's module of a package."""

    def __init__(self, package, found):
        self.package, self.found = package, found

    def __getitem__(self, name):
        return self.found(import_module(f"{self.package}.{EXERCISE[name]}"))[name]

    def __iter__(self):
        return iter(EXERCISE)

    def __len__(self):
        return len(EXERCISE)
