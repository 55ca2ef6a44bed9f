"""Room for what is decoded from evidence: in memory, or in an unlinked file that no other process can open."""

import mmap

from auditor.evidence.private import PrivateFile

IN_MEMORY = 1 << 26
"""Bytes kept in memory; more go to a file."""


def private(size: int, what: str, work_dir: str) -> bytearray | mmap.mmap:
    """`size` zero bytes. Raises NoRoom where there is no room for them, UsageError where no file can be made."""
    if size <= IN_MEMORY:
        return bytearray(size)
    with PrivateFile(work_dir, what) as file:
        return file.mapped(size)
