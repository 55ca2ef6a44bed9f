"""Protobuf's wire format by position, without a schema: no library gives the position of a field's content.

Source: protobuf.dev, Encoding. Groups are refused: none of etcd's messages, and none of Kubernetes', has one.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""
LONGEST = 10
"""Bytes of a varint."""


class WireError(ValueError):
    """These bytes are no message."""


def varint_at(raw: bytes, at: int, end: int) -> tuple[int, int] | None:
    """The varint at `at` and the position behind it; None where it does not end before `end`, or is too long.

    Args:
        raw: The bytes.
        at: Where the varint begins.
        end: Where the bytes end.
    """
    value = shift = 0
    for octet_at in range(at, min(at + LONGEST, end)):
        octet = raw[octet_at]
        if octet < 0x80:
            return value | octet << shift, octet_at + 1
        value |= (octet & 0x7F) << shift
        shift += 7
    return None


def varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """The varint at `at` and the position behind it. Raises WireError.

    Args:
        raw: The bytes.
        at: Where the varint begins.
        end: Where the bytes end.
    """
    decoded = varint_at(raw, at, end)
    if decoded is None:
        raise WireError
    return decoded


def encoded_varint(number: int) -> bytes:
    """A number as a varint."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def fields(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message in their order. Raises WireError.

    Field number, wire type, and of a varint its value and 0, of any other field the start and end of its content.

    Args:
        raw: The bytes.
        at: Where the message begins.
        end: Where it ends.
    """
    while at < end:
        tag = raw[at]
        if tag < 0x80:
            at += 1
        else:
            tag, at = varint(raw, at, end)
        wire_type = tag & 7
        if wire_type == BYTES:
            size, at = varint(raw, at, end)
            if at + size > end:
                raise WireError
            yield tag >> 3, wire_type, at, at + size
            at += size
        elif wire_type == VARINT:
            value, at = varint(raw, at, end)
            yield tag >> 3, wire_type, value, 0
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
            if at + size > end:
                raise WireError
            yield tag >> 3, wire_type, at, at + size
            at += size
        else:
            raise WireError


def leading_fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the length-delimited fields at a message's beginning; the last may be cut."""
    at = 0
    while at < len(raw) and raw[at] & 7 == BYTES:
        decoded = varint_at(raw, at + 1, len(raw))
        if decoded is None:
            return
        size, after = decoded
        yield raw[at] >> 3, raw[after : after + size]
        at = after + size


def numbers(raw: bytes) -> dict[int, int] | None:
    """The varints of a message by field number; None where it does not decode."""
    try:
        return {number: value for number, wire_type, value, _ in fields(raw, 0, len(raw)) if wire_type == VARINT}
    except WireError:
        return None
