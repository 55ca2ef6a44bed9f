"""Members of a tar with their positions: where the content of each begins. No name of one is ever a path of ours.

POSIX pax (ustar, extended headers), GNU tar (long names). Go's archive/tar writes names of more than 100 bytes in two
fields of the header, or in an extended one.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from auditor.evidence.containers import magic
from auditor.evidence.file import EvidenceFile

BLOCK = magic.RECORD
LONGEST_NAME = 1 << 16
_REGULAR = {b"0", b"\0"}
_FOLDER = b"5"
_RECORDS = frozenset(b"path linkpath size mtime atime ctime uid gid uname gname".split())
"""Records of an extended header that say where and whose a member is; another one, such as a comment, holds text."""
_PAX, _GLOBAL, _LONG_NAME = b"x", b"g", b"L"
"""Flags of headers that say something of the next member, or of all."""
_RECORD = re.compile(rb"(\d{1,7}) ([^=]{1,256})=")


class Member(NamedTuple):
    """A member, its headers before it."""

    name: bytes
    header: int
    """Where its first header begins."""
    at: int
    """Where its content begins."""
    size: int
    regular: bool
    """Whether it has content; else a folder, a link or a device."""
    folder: bool
    plain: bool
    """Whether its headers say nothing but where and whose it is."""

    @property
    def end(self) -> int:
        return self.at + self.size

    @property
    def next(self) -> int:
        """Where the next header begins."""
        return self.at + (self.size + BLOCK - 1) // BLOCK * BLOCK


def members(file: EvidenceFile) -> Iterator[Member]:
    """The members, up to the first header that is none; where they end before the file's zeros do, it is damaged."""
    at = start = 0
    name, size, plain = b"", -1, True
    while at + BLOCK <= file.size:
        header = file.map[at : at + BLOCK]
        if not magic.is_tar_header(header):
            return
        own_size = _octal(header[124:136])
        kind = header[156:157]
        if own_size < 0 or at + BLOCK + own_size > file.size:
            return
        if kind in {_PAX, _GLOBAL, _LONG_NAME}:
            if own_size > LONGEST_NAME:
                return
            content = file.map[at + BLOCK : at + BLOCK + own_size]
            if kind == _LONG_NAME:
                name = content.rstrip(b"\0")
            else:
                records, end = _records(content)
                plain = plain and records.keys() <= _RECORDS and end == own_size
                if kind == _PAX:
                    name, size = records.get(b"path", name), _decimal(records.get(b"size", b""))
                else:  # a name and a size of every member are none of any
                    plain = plain and not records.keys() & {b"path", b"size"}
            at += BLOCK + (own_size + BLOCK - 1) // BLOCK * BLOCK
            continue
        own_size = size if size >= 0 else own_size
        if at + BLOCK + own_size > file.size:
            return
        member = Member(
            name=name or _name(header),
            header=start,
            at=at + BLOCK,
            size=own_size,
            regular=kind in _REGULAR,
            folder=kind == _FOLDER,
            plain=plain,
        )
        yield member
        at = start = member.next
        name, size, plain = b"", -1, True


def _name(header: bytes) -> bytes:
    """The name in a header's own fields."""
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _records(content: bytes) -> tuple[dict[bytes, bytes], int]:
    """The records of an extended header, and the position behind the last that is one."""
    records: dict[bytes, bytes] = {}
    at = 0
    while (match := _RECORD.match(content, at)) is not None:
        end = at + int(match[1])
        if end <= match.end() or content[end - 1 : end] != b"\n":
            break
        records[match[2]] = content[match.end() : end - 1]
        at = end
    return records, at


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]{1,12}", digits) else -1


def _decimal(digits: bytes) -> int:
    return int(digits) if re.fullmatch(rb"\d{1,18}", digits) else -1
