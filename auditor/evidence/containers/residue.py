"""Bytes of a container that are no member's: names, comments, fields for extensions, frames to be skipped.

What stands there is read by nobody. A container that hides a stored value there is not read whole.
"""

import re
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

TEXTS = (
    rb"k8s:enc:|k8s\\{1,4}(?:u0000|x00|0)|k8s(?:%00|&#0)|"
    rb"\\{0,3}\"{1,2}kind\\{0,3}\"{1,2}\s{0,16}:\s{0,16}\\{0,3}\"{1,2}Secret\\{0,3}\"|"
    # hex: k8s, then \0\n or :enc:; "kind":"Secret"
    rb"(?i:6b3873(?:000a|3a656e633a)|226b696e64223a(?:20)?2253656372657422)|"
    # base64 of k8s\0\n and k8s:enc: at three alignments, of "kind":"Secret" likewise
    rb"azhzAA[o-r]|s4cwAK|rOHMAC|azhzOmVuYz|s4czplbmM6|rOHM6ZW5jO|"
    rb"ImtpbmQiOiJTZWNyZXQi|JraW5kIjoiU2VjcmV0I|ia2luZCI6IlNlY3JldC|"
    # of a v1 Secret's type, in an envelope whose first bytes are lost
    rb"(?i:0276311206536563726574)|AnYxEgZTZWNyZX|J2MRIGU2VjcmV0|CdjESBlNlY3Jld"
)
"""The beginnings of what Kubernetes stores, as they stand in a text: by themselves, escaped, in hex and in base64."""
_VALUE = re.compile(rb"k8s\0\n|\xd9\xd9\xf7|" + TEXTS)
"""The same in any bytes: kubernetes/signatures.py has them all, for the sweep."""
MOST_KEPT = 64 << 20
"""Bytes of containers' own that are kept to be swept, at most."""
_GZIP_HEADER = 10
_EXTRA, _NAME, _COMMENT = 4, 8, 16
"""Flags of a gzip header (RFC 1952)."""
_SEEK_TABLE = b"\xb1\xea\x92\x8f"
"""The end of a seek table (zstd contrib/seekable_format)."""
_SEEK_FOOTER = struct.Struct("<IB4s")
SMALL = 16
"""Bytes of a skippable frame in which no object fits: pzstd writes the length of the next frame."""


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
    return _VALUE.search(raw) is not None


def is_explained(frame: bytes) -> bool:
    """Whether the content of a skippable frame is known: a length, zeros, or a seek table."""
    if len(frame) <= SMALL or not frame.strip(b"\0"):
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
