"""Print the short table of all benchmarks, or the records that are out of date: see `benchmarks.summary`."""

import sys

from benchmarks.summary import main  # in a module, because the processes that measure import it

if __name__ == "__main__":
    sys.exit(main())
