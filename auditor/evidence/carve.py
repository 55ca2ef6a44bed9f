"""Carving: stored values out of bytes that no structure describes, by etcd's revision keys and values' signatures.

A record is accepted where its fields parse and agree with the revision before them. A value's signature leads back to
its record; without one the value is a fragment. Other bytes that are not zero are fragments too.
Formats: etcd server/storage/mvcc/revision.go, api/mvccpb/kv.proto, api/etcdserverpb/rpc.proto (PutRequest).
"""

import re
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import repeat
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.protobuf_wire import LONGEST, varint_at
from auditor.model.vocabulary import Place, State

SIGNATURES = (b"k8s\0\n", b"k8s:enc:", b'{"kind":"')
"""How stored values begin: an envelope's type, an encrypting prefix, JSON."""
_ANY_SIGNATURE = re.compile(b"|".join(map(re.escape, SIGNATURES)))
LONGEST_SIGNATURE = max(map(len, SIGNATURES))
SMALLEST = 32
"""Bytes of a stored object, at least: an envelope's magic, type and metadata, or as much of JSON."""
PORTION = 1 << 16
"""Rows of one list."""
SUBREVISION = b"_\0\0\0\0\0\0\0"
"""Inside a revision key, between its main and the last byte of its sub revision (mvcc/revision.go).

No transaction of Kubernetes writes 256 records.
"""
KEY_TAG = b"\n"
"""The tag of the key, the first field of a KeyValue and of a PutRequest."""
_LONGEST_KEY = 32768
_NEAR = 2048
"""Bytes before a value that are searched for its record: a key, and 40 bytes of fields."""


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


def search(buffer: Buffer, starts: Iterable[int], ends: Iterable[int], *, fragments: bool) -> list[CarvedRecord]:
    """Every value in these ranges of bytes, ascending.

    Args:
        buffer: The bytes.
        starts: First byte of each range.
        ends: The position behind each range.
        fragments: Whether bytes that are not zero and belong to no value count too.
    """
    rows = [row for part in portions(buffer, starts, ends, fragments=fragments) for row in part]
    rows.sort(key=lambda row: row.value_at)
    return rows


def portions(
    buffer: Buffer, starts: Iterable[int], ends: Iterable[int], *, fragments: bool
) -> Iterator[list[CarvedRecord]]:
    """The same in lists of at most PORTION rows, for ranges with millions of them; ascending within each range.

    Args:
        buffer: The bytes.
        starts: First byte of each range.
        ends: The position behind each range.
        fragments: Whether bytes that are not zero and belong to no value count too.
    """
    rows: list[CarvedRecord] = []
    for start, end in zip(starts, ends, strict=True):
        for row in _rows(buffer, start, end, fragments=fragments):
            if row.value_len or row.key_len:
                rows.append(row)
            if len(rows) == PORTION:
                yield rows
                rows = []
    if rows:
        yield rows


def _rows(buffer: Buffer, start: int, end: int, *, fragments: bool) -> Iterator[CarvedRecord]:
    """The values of one range, and what is not zero between them."""
    after = start
    for row in _values(buffer, start, end):
        if fragments:
            yield from _fragments(buffer, after, row.start)
        yield row
        after = row.end
    if fragments:
        yield from _fragments(buffer, after, end)


def batch(buffer: Buffer, source: str, rows: list[CarvedRecord], place: Place, page_size: int = 0) -> RecordBatch:
    """The records as columns.

    Args:
        buffer: The bytes that the records were carved from.
        source: Name of their file.
        rows: The records.
        place: The place of all of them.
        page_size: Bytes of a page; 0 where the file has none, and `page` is unknown.
    """
    table = np.array(rows, np.int64).reshape(-1, len(CarvedRecord._fields)).T
    columns = dict(zip(CarvedRecord._fields, table, strict=True))
    return RecordBatch.of(
        source,
        buffer,
        mapped=True,
        place=place,
        key_at=columns["key_at"],
        key_len=columns["key_len"],
        value_at=columns["value_at"],
        value_len=columns["value_len"],
        mod_revision=columns["mod_revision"],
        sub_revision=columns["sub_revision"],
        create_revision=columns["create_revision"],
        version=columns["version"],
        page=columns["value_at"] // page_size if page_size else np.full(len(rows), UNKNOWN, np.int64),
        state=columns["state"].astype(np.uint8),
    )


def _values(buffer: Buffer, start: int, end: int) -> Iterator[CarvedRecord]:
    """Records, and values without one, in one range of bytes: ascending and disjoint."""
    floor, record = start, None
    for at, is_revision in _anchors(buffer, start, end):
        if at < floor:
            continue
        if is_revision:
            record = _behind_revision(buffer, at, floor, end)
        else:
            record = _before_value(buffer, at, floor, end) or _without_record(buffer, at, floor, end)
        if record is not None:
            yield record
            floor = record.end


def _anchors(buffer: Buffer, start: int, end: int) -> Iterator[tuple[int, bool]]:
    """The positions of revisions' separators (True) and of signatures, ascending."""
    revisions = zip(buffer.occurrences(SUBREVISION, start, end), repeat(True))
    values = (zip(buffer.occurrences(signature, start, end), repeat(False)) for signature in SIGNATURES)
    return merge(revisions, *values)


def _behind_revision(buffer: Buffer, at: int, floor: int, end: int) -> CarvedRecord | None:
    """The record behind the revision key whose separator lies at `at`; None where there is none."""
    suffix = buffer.slice(at + 8, 3)
    tombstone = suffix[1:2] == b"t"
    record_at = at + 10 if tombstone else at + 9
    damaged = buffer.slice(record_at, 1) != KEY_TAG
    record = _record(buffer, record_at, end, damaged=damaged)
    if record is None:
        return None
    if damaged and (tombstone or at - 8 < floor):
        return None
    mod_revision = int.from_bytes(buffer.slice(at - 8, 8), "big") if at - 8 >= floor else record.mod_revision
    if not tombstone and record.mod_revision != mod_revision:
        return None
    state = record.state | (State.TOMBSTONE if tombstone else 0)
    return record._replace(start=max(floor, at - 8), mod_revision=mod_revision, sub_revision=suffix[0], state=state)


def _before_value(buffer: Buffer, at: int, floor: int, end: int) -> CarvedRecord | None:
    """The record or put request whose value begins at `at`: every possible beginning before it is tried."""
    low = max(floor, at - _NEAR)
    before = buffer.slice(low, at - low)
    place = before.rfind(b"\n")
    while place >= 0:
        record = _record(buffer, low + place, end)
        if record is not None and record.value_at == at:
            return record
        place = before.rfind(b"\n", 0, place)
    return None


def _record(buffer: Buffer, at: int, end: int, *, damaged: bool = False) -> CarvedRecord | None:
    """A KeyValue, or a PutRequest, that begins at `at`; its value may be cut by `end`.

    damaged: whether its first byte, the key's tag, may be any; it is `head-lost` then.
    """
    if not damaged and buffer.slice(at, 1) != KEY_TAG:
        return None
    key_len, key_at = number(buffer, at + 1, end)
    after = key_at + key_len
    if not 0 < key_len <= _LONGEST_KEY or after > end:
        return None
    fields, after = _numbers(buffer, after, end)
    if after < 0:
        return None
    create_revision, mod_revision, version = fields
    tag = buffer.slice(after, 1)
    value_len, value_at = 0, after
    if after < end and tag == (b"\x2a" if mod_revision >= 0 else b"\x12"):
        value_len, value_at = number(buffer, after + 1, end)
        if value_len < 0:
            return None
    elif mod_revision < 0 and not _is_path(buffer.slice(key_at, key_len)):
        return None
    state = State.TAIL_LOST if value_at + value_len > end else State(0)
    if damaged:
        state |= State.HEAD_LOST
    value_len = min(value_len, end - value_at)
    stop = value_at + value_len
    if stop < end and buffer.slice(stop, 1) == b"\x30" and mod_revision >= 0:
        lease, behind = number(buffer, stop + 1, end)
        stop = behind if lease >= 0 else stop
    return CarvedRecord(
        start=at,
        end=stop,
        key_at=key_at,
        key_len=key_len,
        value_at=value_at,
        value_len=value_len,
        mod_revision=mod_revision,
        create_revision=create_revision,
        version=version,
        state=state,
    )


def _numbers(buffer: Buffer, after: int, end: int) -> tuple[list[int], int]:
    """The fields 2 to 4 from `after` on, UNKNOWN where they are absent, and the position behind; -1 for a bad one."""
    fields = [UNKNOWN, UNKNOWN, UNKNOWN]
    for place, tag in enumerate((b"\x10", b"\x18", b"\x20")):
        if buffer.slice(after, 1) == tag:
            fields[place], after = number(buffer, after + 1, end)
            if fields[place] < 0:
                return fields, UNKNOWN
    return fields, after


def _is_path(key: bytes) -> bool:
    return key.startswith(b"/") and key.isascii()


def _without_record(buffer: Buffer, at: int, floor: int, end: int) -> CarvedRecord:
    """A value without its record, of the length in the field before it or in its envelope, else up to the end.

    It ends where the next one begins. Signatures that follow each other too closely are one fragment: none of them
    begins an object.
    """
    length = _length_before(buffer, at, floor) or envelope_length(buffer.slice(at, 64))
    following = _next_signature(buffer, at, min(end, at + length) if length else end)
    if length and at + length <= end and following == UNKNOWN:
        return CarvedRecord(at, at + length, value_at=at, value_len=length, state=State.HEAD_LOST)
    stop, last = following, at
    while UNKNOWN < stop - last < SMALLEST and stop != UNKNOWN:
        last, stop = stop, _next_signature(buffer, stop, end)
    if last != at and stop != UNKNOWN:
        stop = last  # the last of them may begin an object
    stop = end if stop == UNKNOWN else stop
    length = len(buffer.slice(at, stop - at).rstrip(b"\0"))
    state = State.HEAD_LOST | State.TAIL_LOST
    return CarvedRecord(at, at + length, value_at=at, value_len=length, state=state)


def _next_signature(buffer: Buffer, at: int, end: int) -> int:
    """Where the next signature begins, behind the one at `at` and before `end`; UNKNOWN where none does."""
    match = _ANY_SIGNATURE.search(buffer.view(at + 1, min(end + LONGEST_SIGNATURE - 1, buffer.size)))
    if match is None or at + 1 + match.start() >= end:
        return UNKNOWN
    return at + 1 + match.start()


def value_at(buffer: Buffer, at: int, end: int) -> CarvedRecord:
    """The value whose signature stands at `at`, without a record, before `end`.

    Args:
        buffer: The bytes.
        at: Where the signature begins.
        end: Where the value ends at the latest.
    """
    return _without_record(buffer, at, at, end)


def _length_before(buffer: Buffer, at: int, floor: int) -> int:
    """The length in the header of a protobuf field whose content begins at `at`; 0 where there is none."""
    for size in range(1, 5):
        if at - size - 1 >= floor and buffer.slice(at - size - 1, 1) in (b"\x2a", b"\x12"):
            length, after = number(buffer, at - size, at)
            if after == at and length > len(SIGNATURES[0]):
                return length
    return 0


def _fragments(buffer: Buffer, start: int, end: int) -> list[CarvedRecord]:
    """The bytes between two values that are not zero, such as the tail of a value whose head was overwritten."""
    at, stop = buffer.trimmed(start, end)
    length = stop - at
    if not length:
        return []
    return [CarvedRecord(at, at + length, value_at=at, value_len=length, state=State.HEAD_LOST)]


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
