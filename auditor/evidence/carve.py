"""Carving: stored values out of bytes that no structure describes, by etcd's revision keys and values' signatures.

A record is accepted where its fields parse and agree with the revision before them. A value's signature leads back to
its record; without one the value is a fragment. Other bytes that are not zero are fragments too.
Formats: etcd server/storage/mvcc/revision.go, api/mvccpb/kv.proto, api/etcdserverpb/rpc.proto (PutRequest).
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import MOST_ROWS, UNKNOWN, RecordBatch
from auditor.evidence.protobuf_wire import LONGEST, varint_at
from auditor.model.vocabulary import Place, State

SIGNATURES = (b"k8s\0\n", b"k8s:enc:", b'{"kind":"')
"""How stored values begin: an envelope's type, an encrypting prefix, JSON."""
SUBREVISION = b"_\0\0\0\0\0\0\0"
"""Inside a revision key, between its main and the last byte of its sub revision (mvcc/revision.go).

No transaction of Kubernetes writes 256 records.
"""
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
    rows: list[CarvedRecord] = []
    for start, end in zip(starts, ends, strict=True):
        values = list(_values(buffer, start, end))
        rows += values
        if fragments:
            edges = [(start, start), *((row.start, row.end) for row in values), (end, end)]
            for (_, after), (before, _) in pairwise(edges):
                rows += _fragments(buffer, after, before)
        if len(rows) > MOST_ROWS:
            break
    rows = [row for row in rows if row.value_len or row.key_len]
    rows.sort(key=lambda row: row.value_at)
    return rows[:MOST_ROWS]


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
    # anchors: positions of revisions' separators and of signatures; limits: for each, where the next signature lies
    anchors = [(at, True) for at in buffer.occurrences(SUBREVISION, start, end)]
    anchors += [(at, False) for signature in SIGNATURES for at in buffer.occurrences(signature, start, end)]
    anchors.sort()
    limits = [end] * len(anchors)
    for number in range(len(anchors) - 1, 0, -1):
        at, is_revision = anchors[number]
        limits[number - 1] = limits[number] if is_revision else at
    floor, record = start, None
    for (at, is_revision), limit in zip(anchors, limits, strict=True):
        if at < floor:
            continue
        if is_revision:
            record = _behind_revision(buffer, at, floor, end)
        else:
            record = _before_value(buffer, at, floor, end) or _without_record(buffer, at, floor, limit)
        if record is not None:
            yield record
            floor = record.end


def _behind_revision(buffer: Buffer, at: int, floor: int, end: int) -> CarvedRecord | None:
    """The record behind the revision key whose separator lies at `at`; None where there is none."""
    suffix = buffer.slice(at + 8, 3)
    tombstone = suffix[1:2] == b"t"
    record_at = at + 10 if tombstone else at + 9
    record = _record(buffer, record_at, end)
    if record is None:
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


def _record(buffer: Buffer, at: int, end: int) -> CarvedRecord | None:
    """A KeyValue, or a PutRequest, that begins at `at`; its value may be cut by `end`."""
    if buffer.slice(at, 1) != b"\n":
        return None
    key_len, key_at = number(buffer, at + 1, end)
    after = key_at + key_len
    if not 0 < key_len <= _LONGEST_KEY or after > end:
        return None
    fields = [UNKNOWN, UNKNOWN, UNKNOWN]
    for place, tag in enumerate((b"\x10", b"\x18", b"\x20")):
        if buffer.slice(after, 1) == tag:
            fields[place], after = number(buffer, after + 1, end)
            if fields[place] < 0:
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


def _is_path(key: bytes) -> bool:
    return key.startswith(b"/") and key.isascii()


def _without_record(buffer: Buffer, at: int, floor: int, end: int) -> CarvedRecord:
    """A value without its record, of the length in the field before it or in its envelope, else up to the end."""
    length = _length_before(buffer, at, floor) or envelope_length(buffer.slice(at, 64))
    state = State.HEAD_LOST
    if not length or at + length > end:
        state |= State.TAIL_LOST
        length = len(buffer.slice(at, end - at).rstrip(b"\0"))
    return CarvedRecord(at, at + length, value_at=at, value_len=length, state=state)


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
    raw = buffer.slice(start, end - start)
    at = start + len(raw) - len(raw.lstrip(b"\0"))
    length = len(raw.strip(b"\0"))
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
