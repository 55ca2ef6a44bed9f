"""A private file for what an endpoint sends: no path leads to it, and it is gone with the process that holds it."""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from auditor.errors import AuditorError
from auditor.text import printable

MODE = 0o600
RESERVE = 64 << 20
"""Bytes of the file system that are left to others."""
STEP = 16 << 20
"""Bytes written between two looks at the free space."""
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}


class NoRoom(AuditorError):
    """The file system is full, or would be. Names the folder."""


class Spool:
    """Grows by write(); `size` is what it holds. `keep` later gives it a name in the folder of its target.

    work_dir: its folder, the system's for temporary files where empty. Raises NoRoom and AuditorError.
    """

    def __init__(self, work_dir: str, keep: Path | None = None) -> None:
        self.folder = keep.parent if keep is not None else Path(work_dir or tempfile.gettempdir())
        self.size = 0
        self._target = keep
        self._partial: Path | None = None
        self._looked = 0
        try:
            self._fd = self._create()
        except OSError as error:
            raise AuditorError(f"no private file can be made in {self._where}: {error.strerror}") from None

    @property
    def _where(self) -> str:
        return printable(os.fsencode(self.folder))

    def expect(self, size: int) -> None:
        """Raises NoRoom where so many bytes would not fit."""
        told = os.fstatvfs(self._fd)
        free = max(told.f_bavail * told.f_frsize - RESERVE, 0)
        if size > free:
            raise NoRoom(
                f"{self._where} has room for {free:,} bytes (and {RESERVE:,} for others), and {size:,} are to come: "
                "choose another folder with --work-dir"
            )

    def write(self, data: bytes) -> None:
        if not self.size or self.size - self._looked >= STEP:
            self.expect(max(len(data), STEP))
            self._looked = self.size
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise NoRoom(
                f"{self._where}: {error.strerror} after {self.size:,} bytes: choose another folder with --work-dir"
            ) from None
        self.size += len(data)

    def clear(self) -> None:
        """Begin again, empty."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.size = self._looked = 0

    def keep(self, *, force: bool) -> None:
        """Give the file the name that it was made for; another file there is replaced only with `force`."""
        if self._target is None:
            return
        shown = printable(os.fsencode(self._target))
        try:
            os.fsync(self._fd)
            named = self._partial or self._named()
            if force:
                named.replace(self._target)
            else:
                os.link(named, self._target)
                named.unlink()
            self._partial = None
        except FileExistsError:
            raise AuditorError(f"{shown} exists: choose another file, or overwrite it with --force") from None
        except OSError as error:
            raise AuditorError(f"{shown} cannot be kept: {error.strerror}") from None

    def release(self) -> int:
        """The open file, whose closing is the caller's from now on."""
        descriptor, self._fd = self._fd, -1
        return descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        if self._partial is not None:
            with suppress(OSError):
                self._partial.unlink()

    def _create(self) -> int:
        if hasattr(os, "O_TMPFILE"):
            try:
                return os.open(self.folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, MODE)
            except OSError as error:
                if error.errno not in _UNSUPPORTED or not self.folder.is_dir():
                    raise
        descriptor, name = tempfile.mkstemp(prefix=".etcd-auditor-", suffix=".partial", dir=self.folder)
        if self._target is None:
            Path(name).unlink()
        else:
            self._partial = Path(name)  # a file system that cannot name a nameless file later
        return descriptor

    def _named(self) -> Path:
        assert self._target is not None  # noqa: S101 - keep() looked
        self._partial = self._target.with_name(f".{self._target.name}.{os.getpid()}.partial")
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            # only with a folder's descriptor does Python ask for linkat(2), which follows /proc's link
            os.link(f"/proc/self/fd/{self._fd}", self._partial, src_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)
        return self._partial
