"""An evidence file: opened for reading, mapped, hashed beside the scan, and compared with itself at the end.

Nothing in this module writes, locks, or touches the file's folder. Hash and scan read the same open file.
"""

import mmap
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from auditor import platform
from auditor.errors import UnreadableEvidence
from auditor.evidence.hashing import FileHash, NoHash, let_go
from auditor.text import printable

LARGE = 1 << 28
"""Bytes from which on a file is unmapped in a thread of its own."""


class EvidenceFile:
    """A regular file under a read-only mapping; open() and adopt() are its constructors.

    name: the file's name in reports. size: its bytes. map: the mapping. hashing: its hashes, computed in a thread.
    before: the file system's metadata as the file was opened.
    """

    def __init__(
        self, descriptor: int, name: str, shown: str, *, hashed: bool, hashing: FileHash | None, device: bool = False
    ) -> None:
        self.name = name
        self.stored: str | None = None
        """When the store that it was received from last wrote it, ISO 8601; empty where it does not say."""
        self._fd = descriptor
        self.at_close: list[Callable[[], None]] = []
        try:
            self.before = os.fstat(self._fd)
            if not stat.S_ISREG(self.before.st_mode) and not (device and stat.S_ISBLK(self.before.st_mode)):
                raise UnreadableEvidence(f"{shown} is not a regular file; give a snapshot file")
            # a block device has no size of its own: it ends where a seek to its end leads
            self.size = os.lseek(self._fd, 0, os.SEEK_END)
            if not self.size:
                raise UnreadableEvidence(f"{shown} is empty: 0 bytes, an etcd snapshot has at least two pages")
            self.map = mmap.mmap(self._fd, self.size, access=mmap.ACCESS_READ)
            self.hashing = hashing or (FileHash(self._fd, self.size) if hashed else NoHash())
        except (OSError, ValueError) as error:
            os.close(self._fd)
            raise UnreadableEvidence(f"{shown} cannot be mapped: {type(error).__name__}") from None
        except UnreadableEvidence:
            os.close(self._fd)
            raise

    @classmethod
    def open(cls, path: Path, *, hashed: bool, name: str = "", device: bool = False) -> Self:
        """The file at a path.

        Args:
            path: Where it lies.
            hashed: Whether it is hashed, from now on.
            name: Its name in reports; the path's last part where empty.
            device: Whether it may be a block device.

        Raises UnreadableEvidence where the path is no readable regular file, or is empty.
        """
        shown = printable(os.fsencode(path))
        try:
            # without O_NONBLOCK a named pipe would wait for a writer before fstat can refuse it
            descriptor = os.open(path, os.O_RDONLY | platform.NONBLOCK | platform.BINARY)
        except OSError as error:
            raise UnreadableEvidence(f"{shown} cannot be opened: {error.strerror}") from None
        name = name or printable(os.fsencode(path.name))
        return cls(descriptor, name, shown, hashed=hashed, hashing=None, device=device)

    @classmethod
    def adopt(cls, descriptor: int, name: str, *, hashed: bool = False, hashing: FileHash | None = None) -> Self:
        """An open file without a path: a private copy of unpacked or streamed bytes.

        Args:
            descriptor: The open file, which close() closes.
            name: Its name in reports.
            hashed: Whether it is hashed, from now on.
            hashing: Its hashes, where they began while the file was written.

        Raises UnreadableEvidence where the file is empty.
        """
        return cls(descriptor, name, name, hashed=hashed, hashing=hashing)

    def duplicate(self) -> int:
        """A descriptor of the same open file, whose closing is the caller's."""
        return os.dup(self._fd)

    def now(self) -> os.stat_result:
        """The file system's metadata of the file now."""
        return os.fstat(self._fd)

    def changed(self) -> str:
        """The metadata that differ between `before` and now, in words; empty where none do."""
        now = self.now()
        differing = [
            f"{name} {getattr(self.before, attribute)} -> {getattr(now, attribute)}"
            for name, attribute in (("size", "st_size"), ("mtime", "st_mtime_ns"), ("ctime", "st_ctime_ns"))
            if getattr(self.before, attribute) != getattr(now, attribute)
        ]
        return ", ".join(differing)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop hashing, and whatever else reads the mapping, and close the file; idempotent."""
        self.hashing.stop()
        while self.at_close:
            self.at_close.pop()()
        if self._fd >= 0:
            let_go(self._fd)  # the mapping lives as long as the columns that point into it
            self._fd = -1
            if self.size >= LARGE:
                threading.Thread(target=_release_pages, args=(self.map,), name="unmapping", daemon=True).start()


def _release_pages(mapping: mmap.mmap) -> None:
    """Release a mapping's pages; an access reads them again.

    Unmapping gigabytes takes a tenth of the time of a scan, and Python holds its lock meanwhile; madvise() does not.
    """
    import numpy as np  # knows the address of bytes that may not be written to

    octets = np.frombuffer(mapping, np.uint8)
    platform.drop_pages(octets.ctypes.data, octets.size)
