"""Evidence that comes through a pipe or by standard input: spooled into a private file without a name."""

import os
import select
import stat
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor import inputs, platform
from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.containers.limits import Refused
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.evidence.file import EvidenceFile

SPOOLED = "into a private file without a name"
"""How the note on such an origin ends."""
BLOCK = 1 << 20
"""Bytes of a read."""


def spool(path: str, options: Options) -> "tuple[EvidenceFile, list[str]]":
    """What comes through a pipe, as an opened file, and a note on its origin.

    Raises UnreadableEvidence where nothing comes, UsageError where there is no pipe to read.
    """
    from auditor.evidence.containers.decompress import Stream
    from auditor.evidence.containers.extracted import Extractor

    name = inputs.name(path)
    descriptor = _opened(path, name)
    try:
        stream = Stream(_blocks(descriptor, name, options.max_unpacked))
        extracted = Extractor(options.work_dir).fill(stream, name, hashed=not options.quick)
    finally:
        os.close(descriptor)
    if not extracted.size:
        extracted.close()
        raise UnreadableEvidence(f"{name} is empty: nothing came through it")
    note = f"read from {name}, {extracted.size:,} bytes, {SPOOLED}"
    return extracted.open(name.rpartition("/")[2]), [note]


def _opened(path: str, name: str) -> int:
    if path == inputs.STDIN and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("standard input is a terminal: name a file, or write the evidence into a pipe")
    try:
        # opening a pipe that nobody writes into would wait for ever
        descriptor = (
            os.dup(0) if path == inputs.STDIN else os.open(path, os.O_RDONLY | platform.NONBLOCK | platform.BINARY)
        )
    except OSError as error:
        raise UnreadableEvidence(f"{name} cannot be opened: {error.strerror}") from None
    if stat.S_ISCHR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableEvidence(f"{name} is a device: it has no end; give a snapshot file, or a pipe")
    if path != inputs.STDIN and not select.select([descriptor], [], [], inputs.PATIENCE)[0]:
        os.close(descriptor)
        raise UnreadableEvidence(f"{name} is a pipe, and nobody wrote into it within {inputs.PATIENCE:.0f} s")
    platform.set_blocking(descriptor, blocking=True)
    return descriptor


def _blocks(descriptor: int, name: str, most: int) -> Iterator[bytes]:
    """The bytes of a pipe in blocks. Raises Refused after `most` bytes."""
    count = 0
    while True:
        try:
            block = os.read(descriptor, BLOCK)
        except OSError as error:
            raise UnreadableEvidence(f"{name}: cut off after {count:,} bytes: {error.strerror}") from None
        if not block:
            return
        count += len(block)
        if count > most:
            raise Refused(f"{name}: more than {most:,} bytes came: raise --max-unpacked if that is right")
        yield block
