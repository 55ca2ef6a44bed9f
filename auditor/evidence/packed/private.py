"""Files for what was unpacked: of this process alone, without a name, gone with it whatever ends it."""

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.file import EvidenceFile
from auditor.evidence.packed.following import Following
from auditor.evidence.packed.streams import Damaged, Stream
from auditor.text import printable

MODE = 0o600
OFTEN = 64 << 20
"""Bytes between two looks at the space that is left."""
RESERVE = 64 << 20
"""Bytes that stay free."""
_NOT_HERE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}


@dataclass
class Filled:
    """A private file. hashing: its hashes, being made. broken: why it is not whole; empty where it is."""

    descriptor: int
    hashing: Following | None
    size: int = 0
    broken: str = ""

    def close(self) -> None:
        if self.hashing is not None:
            self.hashing.stop()
        os.close(self.descriptor)

    def open(self, name: str) -> EvidenceFile:
        """As evidence, which takes the descriptor."""
        return EvidenceFile(Path(name), hashed=False, name=name, descriptor=self.descriptor, hashing=self.hashing)


class Store:
    """Private files in one folder, the system's own for temporary files where none is given."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder or tempfile.gettempdir())
        self._shown = printable(os.fsencode(self._folder))
        if not self._folder.is_dir():
            raise UsageError(f"--work-dir {self._shown}: no such folder")

    def fill(self, stream: Stream, name: str, expected: int = 0, *, hashed: bool = False) -> Filled:
        """A new file with all that the stream gives.

        expected: bytes, where they are known. Raises UnreadableEvidence where there is no room, and what the stream
        raises but Damaged.
        """
        self._room(name, expected)
        made = Filled(descriptor := self._create(), Following(descriptor) if hashed else None)
        try:
            made.broken = self._copy(stream, made, name)
            made.size = os.fstat(descriptor).st_size
        except BaseException:
            made.close()
            raise
        if made.hashing is not None:
            made.hashing.finish(made.size)
        return made

    def _copy(self, stream: Stream, made: Filled, name: str) -> str:
        written = looked = 0
        while True:
            try:
                block = stream.read()
            except Damaged as error:
                return str(error)
            if not block:
                return ""
            try:
                view = memoryview(block)
                while view:
                    view = view[os.write(made.descriptor, view) :]
            except OSError as error:
                raise UnreadableEvidence(
                    f"{name} cannot be unpacked into {self._shown}: {error.strerror} after {written:,} bytes; "
                    "name another folder with --work-dir"
                ) from None
            written += len(block)
            if made.hashing is not None:
                made.hashing.written(written)
            if written - looked >= OFTEN:
                looked = written
                self._room(name, OFTEN)

    def _room(self, name: str, needed: int) -> None:
        free = os.statvfs(self._folder)
        left = free.f_bavail * free.f_frsize - RESERVE
        if left < needed:
            raise UnreadableEvidence(
                f"{name} cannot be unpacked into {self._shown}: {max(left, 0):,} bytes may be used there, "
                f"{needed:,} more are needed; name another folder with --work-dir"
            )

    def _create(self) -> int:
        try:
            if flag := getattr(os, "O_TMPFILE", 0):
                try:
                    return os.open(self._folder, flag | os.O_RDWR | os.O_EXCL, MODE)
                except OSError as error:
                    if error.errno not in _NOT_HERE:
                        raise
            descriptor, path = tempfile.mkstemp(prefix=".etcd-auditor-", dir=self._folder)
            Path(path).unlink()
        except OSError as error:
            raise UsageError(f"--work-dir {self._shown}: nothing can be written there: {error.strerror}") from None
        return descriptor
