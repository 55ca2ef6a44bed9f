"""python -m tests.fuzz; the work stands in a module of a name, for the processes that it starts."""

import sys

from tests.fuzz.job import main

if __name__ == "__main__":
    sys.exit(main())
