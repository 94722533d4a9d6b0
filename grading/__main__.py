"""The command `course`, also python -m grading: see `grading.cli`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main():
    """Run the command line. Modules beside submissions are not the course's, here and in child processes."""
    if Path.cwd() != ROOT:
        sys.path[:] = [path for path in sys.path if os.path.realpath(path) != os.getcwd()]
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    from grading import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
