"""Private files for what evidence unpacks to or an endpoint sends: of this process alone, and without a name.

No path leads to such a file, and it is gone with the process that holds it, whatever ends that.
"""

import errno
import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from auditor.errors import UnreadableEvidence, UsageError
from auditor.text import shown

MODE = 0o600
RESERVE = 64 << 20
"""Bytes of the file system that are left to others."""
OFTEN = 16 << 20
"""Bytes written between two looks at the free space."""
WORK_DIR = "--work-dir"
IN_MEMORY = 1 << 26
"""Bytes kept in memory; more go to a file."""
_NOT_HERE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
"""What open(2) answers where the kernel or the file system knows no O_TMPFILE."""


class NoRoom(UnreadableEvidence):
    """The file system is full, or would be. Names the folder, and the option that names another."""


class ScratchFile:
    """Grows by write(); `size` is what it holds.

    folder: where its bytes go, the system's folder for temporary files where empty. what: for whom it is, as messages
    call it. option: what names another folder. Raises UsageError where no file can be made.
    """

    def __init__(self, folder: str, what: str, option: str = WORK_DIR) -> None:
        self.folder = Path(folder or tempfile.gettempdir())
        self.size = 0
        self._what = what
        self._way_out = f"name another folder with {option}"
        self._looked = 0
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
        """Raises NoRoom where so many bytes more would not fit."""
        told = os.statvfs(self.descriptor)
        free = max(told.f_bavail * told.f_frsize - RESERVE, 0)
        if more > free:
            room = f"which has room for {free:,} bytes (and {RESERVE:,} for others)"
            raise NoRoom(f"{self._what} needs {more:,} bytes in {self.shown}, {room}: {self._way_out}")

    def write(self, data: bytes) -> None:
        """Raises NoRoom."""
        if not self.size or self.size - self._looked >= OFTEN:
            self.expect(max(len(data), OFTEN))
            self._looked = self.size
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError as error:
            raise self._full(error, self.size) from None
        self.size += len(data)

    def mapped(self, size: int) -> mmap.mmap:
        """So many zero bytes, to be written to; they live as long as the mapping. Raises NoRoom."""
        self.expect(size)
        try:
            os.posix_fallocate(self.descriptor, 0, size)
            return mmap.mmap(self.descriptor, size)
        except OSError as error:
            raise self._full(error, 0) from None

    def clear(self) -> None:
        """Begin again, empty."""
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        self.size = self._looked = 0

    def release(self) -> int:
        """The open file, whose closing is the caller's from now on."""
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor

    def close(self) -> None:
        """Once is enough, and twice does no harm."""
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
        if flag := getattr(os, "O_TMPFILE", 0):
            try:
                return os.open(self.folder, flag | os.O_RDWR | os.O_CLOEXEC, MODE)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
        descriptor, path = tempfile.mkstemp(prefix=".etcd-auditor-", suffix=".partial", dir=self.folder)
        self._made(Path(path))
        return descriptor

    def _made(self, path: Path) -> None:
        """A file system that can only make files with a name has made this one."""
        path.unlink()


def scratch_buffer(size: int, what: str, work_dir: str) -> bytearray | mmap.mmap:
    """`size` zero bytes. Raises NoRoom where there is no room for them, UsageError where no file can be made."""
    if size <= IN_MEMORY:
        return bytearray(size)
    with ScratchFile(work_dir, what) as file:
        return file.mapped(size)
