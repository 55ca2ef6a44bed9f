"""Bytes of a container that are no member's: names, comments, fields for extensions, frames to be skipped.

What stands there is read by nobody. A container that hides a stored value there is not read whole.
"""

import re
import struct

_VALUE = re.compile(rb'k8s\0\n|k8s:enc:|\xd9\xd9\xf7|"kind"\s{0,16}:\s{0,16}"Secret"')
"""The beginnings of what Kubernetes stores: kubernetes/signatures.py has them all, for the sweep."""
_GZIP_HEADER = 10
_EXTRA, _NAME, _COMMENT = 4, 8, 16
"""Flags of a gzip header (RFC 1952)."""
_SEEK_TABLE = b"\xb1\xea\x92\x8f"
"""The end of a seek table (zstd contrib/seekable_format)."""
_SEEK_FOOTER = struct.Struct("<IB4s")
SMALL = 16
"""Bytes of a skippable frame in which no object fits: pzstd writes the length of the next frame."""


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
