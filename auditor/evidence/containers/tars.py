"""Tar archives, read once from front to back."""

import io
import re
import tarfile
from collections.abc import Iterator
from typing import IO, Any, Self

from auditor.evidence.containers import member_names
from auditor.evidence.containers.decompress import PIECE, STEP, Damaged, Stream
from auditor.evidence.containers.limits import Budget, Refused
from auditor.text import shown

LONGEST = 1 << 20
"""Bytes of an extended header: tarfile holds one in memory whole."""
_RECORD = re.compile(rb"([1-9]\d{0,6}) [^=\0]+=")
"""How a record of pax begins: its length, its name."""
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class _Info(tarfile.TarInfo):
    """A header; tarfile takes a broken one for the end of the archive, so that the true end is noted here.

    Each archive is read with a subclass of its own.
    """

    ended = False

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        cls.ended = len(buf) == tarfile.BLOCKSIZE and not any(buf)
        made = super().frombuf(buf, encoding, errors)
        if made.type in _EXTENDED and made.size > LONGEST:
            raise _TooLong
        return made

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:  # tarfile's own way in for subclasses
        """An extended header goes on only where it is read to its end: tarfile drops what it does not understand."""
        if self.type in _EXTENDED:
            stream: Any = archive.fileobj
            content = stream.read(self._block(self.size))  # type: ignore[attr-defined]
            if not _is_read(self.type, content, self.size):
                raise tarfile.HeaderError("bytes in an extended header that are no header")
            stream.buf, stream.pos = content + stream.buf, stream.pos - len(content)
        made: tarfile.TarInfo | None = super()._proc_member(archive)  # type: ignore[misc]
        return made


def _is_read(kind: bytes, content: bytes, size: int) -> bool:
    """Whether an extended header is a name, or records of pax, and nothing else."""
    if kind in {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}:
        return b"\0" not in content[:size].rstrip(b"\0")
    at = 0
    while at < size and (found := _RECORD.match(content, at)):
        at += int(found[1])
        if content[at - 1 : at] != b"\n":
            return False
    return at == size


class _Readable(io.RawIOBase):
    """A stream as tarfile wants it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def read(self, size: int = STEP) -> bytes:
        return self._stream.read(size)


class _TooLong(Exception):
    """A header that asks for more memory than a header needs; no error of tarfile's, which would end the archive."""


def members(stream: Stream, name: str, budget: Budget) -> Iterator[tuple[str, int, Stream | str]]:
    """(name, size, content) of every regular file, or why there is none; it must be read before the next is asked for.

    Raises Refused for what leads out of the archive, and for devices; Damaged where it ends early.
    """
    kind: type[_Info] = type("_Info", (_Info,), {})
    why = f"{name}: the tar ends early or does not hold together: not all of it was read"
    try:
        with tarfile.open(
            fileobj=_Readable(stream),
            mode="r|",
            bufsize=PIECE,
            tarinfo=kind,
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive:
            # tarfile skips block by block, and goes on behind the end: a size of 2^80 would keep it for ever
            while archive.offset <= budget.most and (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined] # it would keep them all
                budget.member()
                inner = member_names.checked(name, member.name)
                if member.islnk() or member.issym():
                    member_names.link(name, inner, member.linkname, symbolic=member.issym())
                elif member.isreg():
                    yield inner, member.size, _content(archive, member, f"{name}!{shown(inner)}")
                elif not member.isdir():
                    what = f"{shown(member.name)}, a device or pipe"
                    raise Refused(f"{name} holds {what}: nothing in it was read")
            behind = _behind(archive) if kind.ended else 0
    except _TooLong:
        raise Refused(f"{name} has a header of more than {LONGEST:,} bytes, as no tar made in good faith has") from None
    except (tarfile.TarError, EOFError, ValueError, OSError, IndexError):
        raise Damaged(why) from None
    if not kind.ended:
        raise Damaged(why)
    stream.drain()
    if behind:
        raise Damaged(f"{name}: {behind:,} bytes behind the tar's end, perhaps of another one: not read")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Stream | str:
    """What a member holds, or why it is not read: of a sparse one the list of its parts may not name all of it."""
    parts: Any = member.sparse
    known = sum(size for _, size in parts) if parts is not None else member.size
    if archive.offset - member.offset_data - known >= tarfile.BLOCKSIZE:
        return f"{name}: it is sparse, and the list of its parts names {known:,} bytes of what is stored: not read"
    content = archive.extractfile(member)
    return Stream(_blocks(content, name)) if content is not None else f"{name}: it has no content: not read"


def _behind(archive: tarfile.TarFile) -> int:
    """Bytes behind the blocks that end an archive, but zeros."""
    count = 0
    while block := archive.fileobj.read(STEP):  # what it has read ahead, and the rest
        count += len(block.strip(b"\0"))
    return count


def _blocks(content: IO[bytes], name: str) -> Iterator[bytes]:
    while True:
        try:
            block = content.read(PIECE)
        except (tarfile.TarError, OSError):
            raise Damaged(f"{name}: its archive ends early") from None
        if not block:
            return
        yield block
