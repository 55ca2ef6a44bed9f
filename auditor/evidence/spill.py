"""Room for what is decoded from evidence: in memory, or in an unlinked file that no other process can open."""

import mmap
import os
import tempfile

from auditor.errors import UnreadableEvidence

IN_MEMORY = 1 << 26
"""Bytes kept in memory; more go to a file."""


def private(size: int, what: str) -> bytearray | mmap.mmap:
    """`size` zero bytes. Raises UnreadableEvidence where there is no room for them."""
    if size <= IN_MEMORY:
        return bytearray(size)
    with tempfile.TemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise UnreadableEvidence(
                f"{size:,} bytes of {what} need as much room in {tempfile.gettempdir()}: {error.strerror}; "
                "name another folder with TMPDIR"
            ) from None
        return mmap.mmap(file.fileno(), size)
