"""Scratch files for unpacked evidence and for answers of an endpoint: private to this process, and without a name.

No path leads to such a file, and it vanishes with its process, however that ends. On Windows its
name is seen meanwhile.
"""

import errno
import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from auditor import platform
from auditor.errors import UnreadableEvidence, UsageError
from auditor.text import shown

RESERVE = 64 << 20
"""Free bytes of the file system that are reserved for others."""
OFTEN = 16 << 20
"""Bytes written between two checks of the free space."""
WORK_DIR = "--work-dir"
IN_MEMORY = 1 << 26
"""Largest buffer in memory, in bytes; a larger one is a file."""


class NoRoom(UnreadableEvidence):
    """The file system is full, or would be. Names the folder, and the option that names another."""


class ScratchFile:
    """An unlinked file that grows by write().

    folder: the folder of its file system. size: its bytes so far. descriptor: the open file.
    """

    def __init__(self, folder: str, what: str, option: str = WORK_DIR) -> None:
        """Raises UsageError where no file can be made.

        Args:
            folder: Where its bytes go; the system's folder for temporary files where empty.
            what: Name of its content, in messages.
            option: The option that names another folder, in messages.
        """
        self.folder = Path(folder or tempfile.gettempdir())
        self.size = 0
        self._what = what
        self._way_out = f"name another folder with {option}"
        self._checked_at = 0
        try:
            if not self.folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, "no such folder")
            self.descriptor = self._create()
        except OSError as error:
            why = f"no private file can be made in {self.shown}: {error.strerror}"
            raise UsageError(f"{why}; {self._way_out}") from None

    @property
    def shown(self) -> str:
        """The folder's name."""
        return shown(self.folder)

    def expect(self, more: int) -> None:
        """Raises NoRoom where this many more bytes do not fit."""
        free = max(platform.free_space(self.descriptor, self.folder) - RESERVE, 0)
        if more > free:
            room = f"which has room for {free:,} bytes (and {RESERVE:,} for others)"
            raise NoRoom(f"{self._what} needs {more:,} bytes in {self.shown}, {room}: {self._way_out}")

    def write(self, data: bytes) -> None:
        """Append the bytes. Raises NoRoom."""
        if not self.size or self.size - self._checked_at >= OFTEN:
            self.expect(max(len(data), OFTEN))
            self._checked_at = self.size
        view = memoryview(data)
        try:
            while view:
                view = view[platform.write_at(self.descriptor, view, self.size + len(data) - len(view)) :]
        except OSError as error:
            raise self._full(error, self.size) from None
        self.size += len(data)

    def skip(self, count: int) -> None:
        """Append zeros, which take no room where the file system has holes. Raises NoRoom."""
        try:
            os.ftruncate(self.descriptor, self.size + count)
        except OSError as error:
            raise self._full(error, self.size) from None
        self.size += count

    def mapped(self, size: int) -> mmap.mmap:
        """A writable mapping of `size` zero bytes, which lives on without this object. Raises NoRoom."""
        self.expect(size)
        try:
            platform.allocate(self.descriptor, size)
            return mmap.mmap(self.descriptor, size)
        except OSError as error:
            raise self._full(error, 0) from None

    def clear(self) -> None:
        """Truncate the file to nothing."""
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        self.size = self._checked_at = 0

    def release(self) -> int:
        """The open file, which the caller closes from now on."""
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor

    def close(self) -> None:
        """Close the file; idempotent."""
        if self.descriptor >= 0:
            os.close(self.release())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _full(self, error: OSError, written: int) -> NoRoom:
        where = f"{self._what}: {error.strerror} in {self.shown} after {written:,} bytes"
        return NoRoom(f"{where}: {self._way_out}")

    def _create(self) -> int:
        for make in (platform.nameless_file, platform.vanishing_file):
            if (made := make(self.folder)) is not None:
                return made
        descriptor, path = tempfile.mkstemp(prefix=".etcd-auditor-", suffix=".partial", dir=self.folder)
        self._handle_path(Path(path))
        return descriptor

    def _handle_path(self, path: Path) -> None:
        """Unlink the new file at a path, on a file system without O_TMPFILE."""
        path.unlink()


def scratch_buffer(size: int, what: str, work_dir: str) -> bytearray | mmap.mmap:
    """`size` zero bytes, in a scratch file where they are many. Raises NoRoom, and UsageError as ScratchFile does.

    Args:
        size: Bytes.
        what: Name of their content, in messages.
        work_dir: The file's folder; the system's folder for temporary files where empty.
    """
    if size <= IN_MEMORY:
        return bytearray(size)
    with ScratchFile(work_dir, what) as file:
        return file.mapped(size)
