"""A file that shrinks under its mapping, in a process that may lack what the tests themselves need."""

import faulthandler
import mmap
import os
from pathlib import Path


def shrinks(path: Path) -> int:
    """Map a file, cut it, and touch what is gone: the kernel answers with SIGBUS."""
    faulthandler.disable()  # pytest's would tell of what is meant to happen
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        os.truncate(path, 4096)
        return mapped[len(mapped) - 1]
