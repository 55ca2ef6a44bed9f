"""Values without their record: what carving accepts where only a value's beginning, its signature, is left.

Formats: api/mvccpb/kv.proto, Kubernetes apimachinery pkg/runtime/generated.proto (Unknown).
"""

import re
from typing import NamedTuple

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import UNKNOWN
from auditor.evidence.protobuf_wire import LONGEST, varint_at
from auditor.model.vocabulary import State

CARVED = (b"k8s\0\n", b"k8s\0\r\n", b"k8s:enc:", b'{"kind":"')
"""How stored values begin: an envelope's type, also as a terminal changes its line feed, an encrypting prefix, JSON."""
_ANY_SIGNATURE = re.compile(b"|".join(map(re.escape, CARVED)))
_TYPED_JSON = re.compile(rb'\{"kind":"[A-Z][A-Za-z0-9]+"')
LONGEST_SIGNATURE = max(map(len, CARVED))
SMALLEST = 32
"""Bytes of a stored object, at least: an envelope's magic, type and metadata, or as much of JSON."""


class CarvedRecord(NamedTuple):
    """One stored value, or a fragment with key_at -1; the columns of a RecordBatch as numbers."""

    start: int
    """First byte of the record."""
    end: int
    """The position behind it."""
    key_at: int = UNKNOWN
    key_len: int = 0
    value_at: int = 0
    value_len: int = 0
    mod_revision: int = UNKNOWN
    sub_revision: int = UNKNOWN
    create_revision: int = UNKNOWN
    version: int = UNKNOWN
    state: int = 0


def without_record(buffer: Buffer, at: int, floor: int, end: int) -> CarvedRecord:
    """A value without its record, of the length in the field before it or in its envelope, else up to the end.

    It ends where the next one begins. Signatures that follow each other too closely are one fragment, which ends before
    the last of them, or the first one behind which a type stands: that one may begin an object.
    """
    length = _length_before(buffer, at, floor) or envelope_length(buffer.slice(at, 64))
    following = _next_signature(buffer, at, min(end, at + length) if length else end)
    if length and at + length <= end and following == UNKNOWN:
        return CarvedRecord(at, at + length, value_at=at, value_len=length, state=State.HEAD_LOST)
    stop = following
    close = UNKNOWN < stop < at + SMALLEST
    while close and not _names_type(buffer, stop):
        later = _next_signature(buffer, stop, end)
        close = UNKNOWN < later < stop + SMALLEST
        stop = later if close else stop
    stop = end if stop == UNKNOWN else stop
    length = len(buffer.slice(at, stop - at).rstrip(b"\0"))
    state = State.HEAD_LOST | State.TAIL_LOST
    return CarvedRecord(at, at + length, value_at=at, value_len=length, state=state)


def _names_type(buffer: Buffer, at: int) -> bool:
    """Whether the type of an object follows a signature."""
    return envelope_length(buffer.slice(at, 64)) > 0 or _TYPED_JSON.match(buffer.view(at, at + 64)) is not None


def _next_signature(buffer: Buffer, at: int, end: int) -> int:
    """Where the next signature begins, behind the one at `at` and before `end`; UNKNOWN where none does."""
    match = _ANY_SIGNATURE.search(buffer.view(at + 1, min(end + LONGEST_SIGNATURE - 1, buffer.size)))
    if match is None or at + 1 + match.start() >= end:
        return UNKNOWN
    return at + 1 + match.start()


def _length_before(buffer: Buffer, at: int, floor: int) -> int:
    """The length in the header of a protobuf field whose content begins at `at`; 0 where there is none."""
    for size in range(1, 5):
        if at - size - 1 >= floor and buffer.slice(at - size - 1, 1) in (b"\x2a", b"\x12"):
            length, after = number(buffer, at - size, at)
            if after == at and length > len(CARVED[0]):
                return length
    return 0


def envelope_length(head: bytes) -> int:
    """Length of a `k8s\\0` value by its first bytes: magic, type, raw object, two empty strings; 0 if unknown.

    Format: Kubernetes apimachinery pkg/runtime/generated.proto (Unknown).
    """
    if not head.startswith(b"k8s\0\n"):
        return 0
    buffer = Buffer(head)
    type_len, at = number(buffer, 5, len(head))
    at += type_len
    if type_len <= 0 or at >= len(head) or head[at] != 0x12:
        return 0
    raw_len, after = number(buffer, at + 1, len(head))
    return after + raw_len + 4 if raw_len > 0 else 0


def number(buffer: Buffer, at: int, end: int) -> tuple[int, int]:
    """The varint at `at` and the position behind it; -1 where it does not end before `end`.

    Args:
        buffer: The bytes.
        at: Where the varint begins.
        end: Where the bytes end.
    """
    raw = buffer.slice(at, min(LONGEST, end - at))
    decoded = varint_at(raw, 0, len(raw))
    if decoded is None:
        return UNKNOWN, at
    value, size = decoded
    return value if value < 1 << 63 else UNKNOWN, at + size
