"""Archives of pg_dump: the table of contents, which its three formats share, and the data blocks of the custom one.

PostgreSQL src/bin/pg_dump/pg_backup_archiver.c (ReadHead, ReadToc, ReadInt, ReadStr), pg_backup_custom.c
(_ReadExtraToc, _PrintTocData, _readBlockHeader), pg_backup_directory.c and pg_backup_tar.c (_ReadExtraToc). Versions
1.7 to 1.16 of the format: PostgreSQL 8.0 to 18.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.evidence.containers.decompress import Damaged, Stream, unpacked
from auditor.evidence.containers.limits import Budget
from auditor.evidence.containers.magic import CUSTOM, POSTGRES, Kind
from auditor.evidence.containers.residue import OwnBytes

LONGEST = 1 << 24
"""Bytes of a string, at most: a statement."""
LARGEST = 1 << 28
"""Bytes of a table of contents, at most."""
CHUNK = 1 << 20
_OLDEST, _NEWEST = (1, 7), (1, 16)
_METHODS = {1: Kind.GZIP, 2: Kind.LZ4, 3: Kind.ZSTD}
_DATA, _BLOBS = 1, 3
"""Types of blocks."""


class Entry(NamedTuple):
    """An entry of the table of contents."""

    number: int
    """Its dump id."""
    description: str
    """`TABLE DATA`, `TABLE`, ..."""
    namespace: str
    tag: str
    """A table's name."""
    copy: bytes
    """The statement COPY before its rows; empty of one that was dumped as INSERT."""
    file: str
    """The file with its data, in the formats that have one."""

    @property
    def is_kine(self) -> bool:
        return self.description == "TABLE DATA" and self.tag == "kine"


@dataclass(slots=True)
class Toc:
    """A table of contents."""

    custom: bool = False
    """Whether data blocks follow in the same file."""
    compression: Kind | None = None
    entries: dict[int, Entry] = field(default_factory=dict)

    def by_file(self) -> dict[str, Entry]:
        """The entries with a file of data."""
        return {entry.file: entry for entry in self.entries.values() if entry.file}


class _Reader:
    """Numbers and strings of a stream."""

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream, self._name = stream, name
        self.int_size = self.offset_size = 0
        self.kept = bytearray()

    def take(self, size: int) -> bytes:
        """Exactly so many bytes. Raises Damaged."""
        parts, left = [], size
        while left and (block := self._stream.read(left)):
            parts.append(block)
            left -= len(block)
        if left:
            raise Damaged(f"{self._name}: the archive of pg_dump ends early: cut")
        return b"".join(parts)

    def own(self, size: int) -> bytes:
        """take(), of bytes that are no data: they are kept."""
        raw = self.take(size)
        if len(self.kept) + size > LARGEST:
            raise Damaged(f"{self._name}: its table of contents has more than {LARGEST:,} bytes: not read")
        self.kept += raw
        return raw

    def number(self) -> int:
        raw = self.own(1 + self.int_size)
        return -int.from_bytes(raw[1:], "little") if raw[0] else int.from_bytes(raw[1:], "little")

    def text(self) -> bytes | None:
        size = self.number()
        if size > LONGEST:
            raise Damaged(f"{self._name}: a string of its table of contents has {size:,} bytes: damaged")
        return None if size < 0 else self.own(size)

    def word(self) -> str:
        return (self.text() or b"").decode("utf-8", "replace")

    def at_end(self) -> bool:
        return not self._stream.peek(1)


def toc(stream: Stream, name: str) -> tuple[Toc, bytes]:
    """The table of contents that a stream begins with, and its bytes. Raises Damaged.

    Args:
        stream: Read up to the end of the table.
        name: Of the file, in messages.
    """
    reader = _Reader(stream, name)
    return _toc(reader, name), bytes(reader.kept)


def _toc(reader: _Reader, name: str) -> Toc:
    head = reader.own(len(POSTGRES) + 6)
    version = (head[5], head[6])
    reader.int_size, reader.offset_size = head[8], head[9]
    fits = head.startswith(POSTGRES) and _OLDEST <= version <= _NEWEST
    if not fits or not 1 <= reader.int_size <= 32 or not 1 <= reader.offset_size <= 32:
        raise Damaged(f"{name}: an archive of pg_dump of a version that is not read: make a text of it with pg_restore")
    contents = Toc(custom=head[10] == CUSTOM)
    if version >= (1, 15):
        contents.compression = _METHODS.get(reader.own(1)[0])
    else:
        contents.compression = Kind.GZIP if reader.number() else None
    for _ in range(7):
        reader.number()
    reader.text()
    if version >= (1, 10):
        reader.text(), reader.text()
    for _ in range(reader.number()):
        entry = _entry(reader, version, custom=contents.custom)
        contents.entries[entry.number] = entry
    return contents


def _entry(reader: _Reader, version: tuple[int, int], *, custom: bool) -> Entry:
    number = reader.number()
    reader.number()
    if version >= (1, 8):
        reader.text()
    reader.text()
    tag, description = reader.word(), reader.word()
    if version >= (1, 11):
        reader.number()
    reader.text(), reader.text()
    copy = reader.text() or b""
    namespace = reader.word()
    if version >= (1, 10):
        reader.text()
    if version >= (1, 14):
        reader.text()
    if version >= (1, 16):
        reader.number()
    reader.text()
    if version >= (1, 9):
        reader.text()
    while reader.text() is not None:
        pass
    file = ""
    if custom:
        reader.own(1 + reader.offset_size)
    else:
        file = reader.word()
    return Entry(number, description, namespace, tag, copy, file)


def members(stream: Stream, name: str, budget: Budget, own: OwnBytes) -> Iterator[tuple[Entry, str, Stream | str]]:
    """Entry, name and content of every data block of a custom archive, or the reason that it is not read.

    The content must be read before the next block. Raises Damaged where the archive ends early or hides a value, and
    Refused where the budget is spent.

    Args:
        stream: The archive.
        name: Its name in messages.
        budget: Its limits.
        own: What of it is no member's.
    """
    reader = _Reader(stream, name)
    contents = _toc(reader, name)
    hiding = own.look(name, 0, bytes(reader.kept))
    while not reader.at_end():
        budget.member()
        kind = reader.take(1)[0]
        number = reader.number()
        entry = contents.entries.get(number)
        if kind not in {_DATA, _BLOBS} or entry is None:
            raise Damaged(f"{name}: no data block of pg_dump's at byte {stream.position:,}: damaged")
        member = f"{number}.dat"
        if kind == _BLOBS:
            while reader.number():
                for _ in _chunks(reader):
                    pass
            yield entry, member, f"{name}!{member} holds large objects: not read"
            continue
        chunks = _chunks(reader)
        data = Stream(chunks)
        if contents.compression is not None:
            # without a header of gzip's: a zlib stream
            method = Kind.ZLIB if contents.compression is Kind.GZIP else contents.compression
            data = unpacked(data, method, budget, f"{name}!{member}", own)
        yield entry, member, data
        for _ in chunks:
            pass
    if hiding:
        raise Damaged(f"{name}: a stored value begins in its table of contents")


def _chunks(reader: _Reader) -> Iterator[bytes]:
    while (size := reader.number()) > 0:
        while size:
            block = reader.take(min(size, CHUNK))
            size -= len(block)
            yield block
