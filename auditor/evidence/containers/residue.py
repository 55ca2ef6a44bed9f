"""Bytes of a container that are no member's: names, comments, fields for extensions, frames to be skipped.

What stands there is read by nobody. A container that hides a stored value there is not read whole.
"""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.evidence import beginnings

MOST_KEPT = 64 << 20
"""Bytes of containers' own that are kept to be swept, at most."""
_GZIP_HEADER = 10
_EXTRA, _NAME, _COMMENT = 4, 8, 16
"""Flags of a gzip header (RFC 1952)."""
_SEEK_TABLE = b"\xb1\xea\x92\x8f"
"""The end of a seek table (zstd contrib/seekable_format)."""
_SEEK_FOOTER = struct.Struct("<IB4s")
LENGTHS = (4, 8)
"""Bytes of a skippable frame that states how long the next frame is: pzstd writes such frames (zstd contrib/pzstd)."""


class Residue(NamedTuple):
    """A stretch of a container that is no member's."""

    source: str
    """The container's name: where it is packed itself, positions are those of its unpacked bytes."""
    offset: int
    content: bytes


@dataclass(slots=True)
class OwnBytes:
    """The stretches of containers, beside their members, in which a value begins."""

    kept: list[Residue] = field(default_factory=list)
    size: int = 0
    """Bytes that are kept."""

    def look(self, source: str, offset: int, content: bytes) -> bool:
        """Whether a value begins in a stretch, which is kept then for the sweep.

        Args:
            source: The container's name.
            offset: Where in it the stretch begins.
            content: Its bytes.
        """
        if not holds_value(content):
            return False
        if self.size + len(content) <= MOST_KEPT:
            self.kept.append(Residue(source, offset, content))
            self.size += len(content)
        return True


def holds_value(raw: bytes) -> bool:
    """Whether a stored value begins in these bytes."""
    return beginnings.in_bytes(raw)


def is_explained(frame: bytes) -> bool:
    """Whether the content of a skippable frame is known: zeros, or a seek table."""
    if not frame.strip(b"\0"):
        return True
    if len(frame) < _SEEK_FOOTER.size or not frame.endswith(_SEEK_TABLE):
        return False
    count, flags, _ = _SEEK_FOOTER.unpack_from(frame, len(frame) - _SEEK_FOOTER.size)
    entry = 12 if flags & 0x80 else 8
    return bool(len(frame) == count * entry + _SEEK_FOOTER.size) and not holds_value(frame)


def gzip_fields(head: bytes) -> bytes:
    """The extra field, name and comment of a gzip header, as far as `head` goes; empty where it has none."""
    if len(head) < _GZIP_HEADER or head[:2] != b"\x1f\x8b":
        return b""
    flags, at = head[3], _GZIP_HEADER
    if flags & _EXTRA:
        at += 2 + int.from_bytes(head[at : at + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            end = head.find(b"\0", at)
            at = end + 1 if end >= 0 else len(head)
    return head[_GZIP_HEADER:at]
