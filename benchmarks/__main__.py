"""The short form of all benchmarks: see `benchmarks.summary`."""

import sys

from benchmarks.summary import main  # a module of its own, which the processes that measure can import

if __name__ == "__main__":
    sys.exit(main())
