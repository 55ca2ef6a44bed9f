"""Tar archives, read once from front to back."""

import io
import re
import tarfile
from collections.abc import Iterator
from typing import IO, Any, Self

from auditor.evidence.containers import archive_paths
from auditor.evidence.containers.decompress import OUTPUT, STEP, Damaged, Stream
from auditor.evidence.containers.limits import Budget, Refused
from auditor.evidence.containers.residue import OwnBytes
from auditor.text import shown

LONGEST = 1 << 20
"""Bytes of an extended header, at most: tarfile reads it into memory."""
LONGEST_LIST = 16 << 20
"""Bytes of the list of a folder's files that GNU tar --listed-incremental writes, at most: it is kept in memory."""
_LABEL, _DUMPDIR, _CONTINUED = b"V", b"D", b"M"
"""Types of GNU tar (tar.h): a volume's label, a folder with the list of its files, the rest of an earlier volume's."""
_LIST = re.compile(rb"(?:[YNDRTX][^\0-\x1f\x7f]{0,4096}\0)*\0?")
"""Such a list (GNU tar, Dumpdir): a letter for each file, and its name."""
_PAX_RECORD = re.compile(rb"([1-9]\d{0,6}) [^=\0]+=")
"""The beginning of a record of pax: its length, its name."""
_EXTENDED_TYPES = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class _Header(tarfile.TarInfo):
    """A header that records the archive's true end: tarfile takes a broken header for the end.

    Every archive has a subclass of its own.
    """

    ended = False
    """Whether the last header was the block of zeros at the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        cls.ended = len(buf) == tarfile.BLOCKSIZE and not any(buf)
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENDED_TYPES and header.size > LONGEST:
            raise _LongHeader
        return header

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:  # tarfile's own way in for subclasses
        """The member behind an extended header that is valid to its end: tarfile drops what it does not understand."""
        if self.type in _EXTENDED_TYPES:
            stream: Any = archive.fileobj
            content = stream.read(self._block(self.size))  # type: ignore[attr-defined]
            if not _is_extended_header(self.type, content, self.size):
                raise tarfile.HeaderError("bytes in an extended header that are no header")
            stream.buf, stream.pos = content + stream.buf, stream.pos - len(content)
        member: tarfile.TarInfo | None = super()._proc_member(archive)  # type: ignore[misc]
        return member


def _is_extended_header(kind: bytes, content: bytes, size: int) -> bool:
    """Whether the content of an extended header is a name, or records of pax, and nothing else."""
    if kind in {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}:
        return b"\0" not in content[:size].rstrip(b"\0")
    at = 0
    while at < size and (record := _PAX_RECORD.match(content, at)):
        at += int(record[1])
        if content[at - 1 : at] != b"\n":
            return False
    return at == size


class _Readable(io.RawIOBase):
    """A stream with tarfile's interface, which keeps what was read and is no member's content."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._blocks: list[tuple[int, bytes]] = []
        self.content = range(0)
        """Where the content of the last member lies."""
        self.position = 0

    def read(self, size: int = STEP) -> bytes:
        block = self._stream.read(size)
        begin, self.position = self.position, self.position + len(block)
        if begin not in self.content or self.position > self.content.stop:
            self._blocks.append((begin, block))
        return block

    def own(self, start: int, end: int) -> bytes:
        """The bytes from start to end, which are no longer kept, nor are those before."""
        parts = [block[max(start - at, 0) : max(end - at, 0)] for at, block in self._blocks]
        self._blocks = [(at, block) for at, block in self._blocks if at + len(block) > end]
        return b"".join(parts)


class _LongHeader(Exception):
    """A header longer than LONGEST. No subclass of tarfile's errors, which end the archive."""


def members(
    stream: Stream, name: str, budget: Budget, own: OwnBytes, layer: str
) -> Iterator[tuple[str, int, Stream | str]]:
    """(name, size, content) of every regular file, or the reason that there is no content.

    The content must be read before the next member. Raises Refused for names that lead out of the archive, and for
    devices; Damaged where it ends early.

    Args:
        stream: The archive.
        name: Its name in messages.
        budget: Its limits.
        own: What of it is no member's.
        layer: The name of that.
    """
    header_type: type[_Header] = type("_Header", (_Header,), {})
    readable = _Readable(stream)
    odd = hiding = done = 0
    why = f"{name}: the tar ends early or does not hold together: not all of it was read"
    try:
        with tarfile.open(
            fileobj=readable, mode="r|", bufsize=OUTPUT, tarinfo=header_type, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            # tarfile skips block by block, and goes on behind the end: a size of 2^80 would keep it for ever
            while archive.offset <= budget.most and (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined] # tarfile keeps all headers
                budget.member()
                hiding += own.look(layer, done, readable.own(done, member.offset_data))
                done = _content_end(member)
                readable.content = range(member.offset_data, done)
                if member.type == _LABEL and not member.size:
                    continue  # its name, which has been looked at with the header, is no path
                inner = archive_paths.normalize(name, member.name)
                if member.isreg():
                    yield inner, member.size, _content(archive, member, f"{name}!{shown(inner)}")
                    odd += _padding(archive, member, budget.most)
                elif member.type in tarfile.SUPPORTED_TYPES:
                    _check(name, inner, member)
                elif unread := _unread(archive, member):
                    yield inner, member.size, f"{name}!{shown(inner)}: {unread}: not read"
            surplus = _bytes_behind(archive) if header_type.ended else 0
            hiding += own.look(layer, done, readable.own(done, readable.position))
    except _LongHeader:
        raise Refused(f"{name} has a header of more than {LONGEST:,} bytes, as no tar made in good faith has") from None
    except (tarfile.TarError, EOFError, ValueError, OSError, IndexError):
        raise Damaged(why) from None
    if not header_type.ended:
        raise Damaged(why)
    stream.drain()
    _whole(name, surplus, odd, hiding)


def _whole(name: str, surplus: int, odd: int, hiding: int) -> None:
    """Refuse what no reader looks at. Raises Damaged.

    Args:
        name: The archive's name in messages.
        surplus: Number of bytes behind its end.
        odd: Number of bytes in paddings that are not zero.
        hiding: Number of stored values that begin in bytes of no member.
    """
    if surplus:
        raise Damaged(f"{name}: {surplus:,} bytes behind the tar's end, perhaps of another one: not read")
    if odd:
        raise Damaged(f"{name}: {odd:,} bytes that are not zero stand in the padding behind its members: not read")
    if hiding:
        raise Damaged(f"{name}: a stored value begins in its headers, or between its members, {hiding:,} times")


def _check(name: str, inner: str, member: tarfile.TarInfo) -> None:
    """Check a member without content: a link, which is never followed, or a folder. Raises Refused."""
    if member.islnk() or member.issym():
        archive_paths.check_link(name, inner, member.linkname, symbolic=member.issym())
    elif not member.isdir():
        raise Refused(f"{name} holds {shown(member.name)}, a device or pipe: nothing in it was read")


def _unread(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """Why a member of a type that is no file, folder, link or device is not read; empty for the list of a folder."""
    if _is_list(member):
        content = archive.extractfile(member)
        whole = content is not None and _LIST.fullmatch(content.read()) is not None
        return "" if whole else "it is no list of a folder's files"
    if member.type == _CONTINUED:
        return "it goes on from an earlier volume of the archive"
    return "it is of a type that no tar writes for files"


def _content_end(member: tarfile.TarInfo) -> int:
    """The position behind a member's content: of a sparse one, behind the parts that are stored."""
    parts: Any = member.sparse
    typed = member.isreg() or (member.type not in tarfile.SUPPORTED_TYPES and not _is_list(member))
    size = sum(size for _, size in parts) if parts is not None else member.size if typed else 0
    return member.offset_data + size


def _is_list(member: tarfile.TarInfo) -> bool:
    """Whether it is a list of a folder's files, which is looked at as headers are."""
    return member.type == _DUMPDIR and member.size <= LONGEST_LIST


def _padding(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> int:
    """Bytes that are not zero between the end of a member's content and the next header, where tars pad with zeros.

    most: Bytes that the archive has at most; a member that ends behind them is not looked for block by block.
    """
    end = _content_end(member)
    stream = archive.fileobj
    if archive.offset > most or not 0 < archive.offset - end < tarfile.BLOCKSIZE:
        return 0
    if stream.tell() < end:
        stream.seek(end)
    return len(stream.read(archive.offset - stream.tell()).strip(b"\0"))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Stream | str:
    """The content of a member, or the reason that it is not read: a sparse one's list of parts may be incomplete."""
    parts: Any = member.sparse
    total = sum(size for _, size in parts) if parts is not None else member.size
    if archive.offset - member.offset_data - total >= tarfile.BLOCKSIZE:
        return f"{name}: it is sparse, and the list of its parts names {total:,} bytes of what is stored: not read"
    end = 0
    for at, size in parts or ():
        if at < end or at + size > member.size:  # tarfile shows neither what overlaps nor what lies behind the end
            return f"{name}: it is sparse, and its parts overlap or lie behind its end: not read"
        end = at + size
    content = archive.extractfile(member)
    return Stream(_blocks(content, name)) if content is not None else f"{name}: it has no content: not read"


def _bytes_behind(archive: tarfile.TarFile) -> int:
    """Bytes that are not zero behind the blocks at an archive's end."""
    count = 0
    while block := archive.fileobj.read(STEP):  # tarfile's own buffer, then the rest
        count += len(block.strip(b"\0"))
    return count


def _blocks(content: IO[bytes], name: str) -> Iterator[bytes]:
    while True:
        try:
            block = content.read(OUTPUT)
        except (tarfile.TarError, OSError):
            raise Damaged(f"{name}: its archive ends early") from None
        if not block:
            return
        yield block
