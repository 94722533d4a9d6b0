"""python -m grading: see `grading.cli`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if Path.cwd() != ROOT:  # modules beside submissions are not the course's
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != os.getcwd()]
os.environ["PYTHONSAFEPATH"] = "1"  # for processes that are started
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

from grading.cli import main  # noqa: E402

sys.exit(main())
