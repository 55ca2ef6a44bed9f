"""Protobuf's wire format by position: where the content of a field lies, which no library tells.

Source: protobuf.dev, Encoding. Groups are refused: none of etcd's messages has one.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """These bytes are no message."""


def fields(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, kind, and of varints the value and 0, of others start and end of the content. Raises WireError."""
    while at < end:
        tag = raw[at]
        if tag < 0x80:
            at += 1
        else:
            tag, at = varint(raw, at, end)
        kind = tag & 7
        if kind == BYTES:
            size, at = varint(raw, at, end)
            if at + size > end:
                raise WireError
            yield tag >> 3, kind, at, at + size
            at += size
        elif kind == VARINT:
            value, at = varint(raw, at, end)
            yield tag >> 3, kind, value, 0
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            if at + size > end:
                raise WireError
            yield tag >> 3, kind, at, at + size
            at += size
        else:
            raise WireError


def varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and the position behind it. Raises WireError."""
    value = shift = 0
    while at < end and shift < 70:
        octet = raw[at]
        at += 1
        if octet < 0x80:
            return value | octet << shift, at
        value |= (octet & 0x7F) << shift
        shift += 7
    raise WireError
