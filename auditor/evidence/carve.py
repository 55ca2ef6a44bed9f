"""Carving: stored values out of bytes that no structure describes, by etcd's revision keys and values' signatures.

A record is accepted where its fields parse and agree with the revision before them. A value's signature leads back to
its record; without one the value is a fragment. Other bytes that are not zero are fragments too.
Formats: etcd server/storage/mvcc/revision.go, api/mvccpb/kv.proto, api/etcdserverpb/rpc.proto (PutRequest).
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import repeat

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.headless import CARVED, LONGEST_SIGNATURE, CarvedRecord, number, without_record
from auditor.model.vocabulary import Place, State

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


def explained(buffer: Buffer, rows: Iterable[CarvedRecord]) -> int:
    """Bytes of records, and of values that begin as values do; what else is not zero is a fragment."""
    return sum(
        row.end - row.start
        for row in rows
        if row.key_at >= 0 or buffer.slice(row.value_at, LONGEST_SIGNATURE).startswith(CARVED)
    )


def _values(buffer: Buffer, start: int, end: int) -> Iterator[CarvedRecord]:
    """Records, and values without one, in one range of bytes: ascending and disjoint."""
    floor, record = start, None
    for at, is_revision in _anchors(buffer, start, end):
        if at < floor:
            continue
        if is_revision:
            record = behind_revision(buffer, at, floor, end)
        else:
            record = before_value(buffer, at, floor, end) or without_record(buffer, at, floor, end)
        if record is not None:
            yield record
            floor = record.end


def _anchors(buffer: Buffer, start: int, end: int) -> Iterator[tuple[int, bool]]:
    """The positions of revisions' separators (True) and of signatures, ascending."""
    revisions = zip(buffer.occurrences(SUBREVISION, start, end), repeat(True))
    values = (zip(buffer.occurrences(signature, start, end), repeat(False)) for signature in CARVED)
    return merge(revisions, *values)


def behind_revision(buffer: Buffer, at: int, floor: int, end: int) -> CarvedRecord | None:
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


def before_value(buffer: Buffer, at: int, floor: int, end: int) -> CarvedRecord | None:
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


def _fragments(buffer: Buffer, start: int, end: int) -> list[CarvedRecord]:
    """The bytes between two values that are not zero, such as the tail of a value whose head was overwritten."""
    at, stop = buffer.trimmed(start, end)
    length = stop - at
    if not length:
        return []
    return [CarvedRecord(at, at + length, value_at=at, value_len=length, state=State.HEAD_LOST)]
