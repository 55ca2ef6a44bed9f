"""python -m tests.validation; the work stands in a module of a name."""

import sys

from tests.validation.job import main

if __name__ == "__main__":
    sys.exit(main())
