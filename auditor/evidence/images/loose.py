"""What lies on no page and in no frame that holds: records behind revision keys, puts, rows of kine's, bare values."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence import carve
from auditor.evidence.headless import CarvedRecord
from auditor.evidence.images.bare import LARGEST, SMALLEST, BareValues
from auditor.evidence.images.values import broken
from auditor.evidence.kine import residue
from auditor.evidence.kine.schema import KineColumns
from auditor.model.evidence import Gap
from auditor.model.vocabulary import State

MOST = 1 << 20
"""Beginnings that are looked at one by one, at most."""
DECODED = 4
"""Bytes of JSON that may be decoded for each byte of the image."""
_PAGE = 4096
"""Bytes of a page of kine's and of dqlite's databases."""
_TAGS = (0x12, 0x2A)
"""Of the value in a PutRequest, and in a KeyValue."""
_LONGEST_VARINT, _CONTINUED = 10, 0x80
_NAME = b"/"
_BEFORE = 1024
"""Bytes before a value that are searched for its row: a name, some numbers, and the record's header."""


class Loose(NamedTuple):
    """Records by kind, and what was left out."""

    revisions: list[CarvedRecord]
    puts: list[CarvedRecord]
    kine: list[CarvedRecord]
    bare: list[CarvedRecord]
    gaps: list[Gap]


class Spans:
    """Bytes that are explained: starts and ends of intervals, in any order, which may overlap."""

    def __init__(self, start: Ints, end: Ints) -> None:
        order = np.argsort(start, kind="stable")
        self._start, self._reach = start[order], np.maximum.accumulate(end[order]) if end.size else end

    def hold(self, at: Ints) -> Bools:
        """Which positions lie in one of them."""
        row = np.searchsorted(self._start, at, "right") - 1
        inside: Bools = row >= 0
        inside[inside] = at[inside] < self._reach[row[inside]]
        return inside


def read(buffer: Buffer, source: str, separators: Ints, values: Ints) -> Loose:
    """The records at beginnings that no page and no frame explains.

    Args:
        buffer: The image.
        source: Its name.
        separators: Of revision keys, ascending.
        values: Beginnings of values, ascending.
    """
    gaps = [*_too_many(source, separators, "revision keys"), *_too_many(source, values, "values")]
    separators, values = separators[:MOST], values[:MOST]
    revisions = list(_revisions(buffer, separators))
    values = values[~_spans(buffer, revisions).hold(values)]
    puts = list(_puts(buffer, values[_tagged(buffer, values)]))
    values = values[~_spans(buffer, puts).hold(values)]
    kine = _kine(buffer, values)
    values = values[~_spans(buffer, kine).hold(values)]
    bare, left = _bare(buffer, values)
    if left.size:
        reason = f"{source}: {left.size:,} more beginnings of values among too many of JSON, not looked at"
        gaps.append(Gap(source, int(left[0]), int(left[-1] - left[0]), reason))
    return Loose(revisions, puts, kine, bare, gaps)


def _too_many(source: str, at: Ints, what: str) -> Iterator[Gap]:
    if at.size > MOST:
        begin, end = int(at[MOST]), int(at[-1])
        reason = f"{source}: {at.size - MOST:,} more beginnings of {what}, on no page and in no frame, not looked at"
        yield Gap(source, begin, end - begin, reason)


def _spans(buffer: Buffer, records: list[CarvedRecord]) -> Spans:
    """The bytes of those records whose values end as they ought to."""
    table = np.array(
        [(min(row.start, row.value_at), row.end, row.value_at, row.value_len) for row in records], np.int64
    )
    start, end, at, size = table.reshape(-1, 4).T
    whole = ~broken(buffer, at, size)
    return Spans(start[whole], end[whole])


def _revisions(buffer: Buffer, separators: Ints) -> Iterator[CarvedRecord]:
    floor = 0
    for at in separators.tolist():
        if at < floor + 8:
            continue
        record = carve.behind_revision(buffer, at, floor, min(buffer.size, at + LARGEST))
        if record is not None and record.mod_revision > 0 and record.key_len:
            yield record
            floor = record.end


def _tagged(buffer: Buffer, values: Ints) -> Bools:
    """Which values follow the tag of a value, in a KeyValue or a PutRequest, and a varint."""
    tagged = np.zeros(values.size, np.bool_)
    more = np.ones(values.size, np.bool_)
    for width in range(1, _LONGEST_VARINT + 1):
        octet, tag = (buffer.data[np.maximum(values - back, 0)] for back in (width, width + 1))
        more &= ((octet < _CONTINUED) if width == 1 else (octet >= _CONTINUED)) & (values > width)
        tagged |= more & np.isin(tag, _TAGS)
    return tagged


def _puts(buffer: Buffer, values: Ints) -> Iterator[CarvedRecord]:
    floor = 0
    for at in values.tolist():
        if at < floor:
            continue
        record = carve.before_value(buffer, at, floor, min(buffer.size, at + LARGEST))
        if record is not None:
            yield record
            floor = record.end


def near_names(buffer: Buffer, values: Ints) -> Ints:
    """The values that may be of kine's rows: a name stands near before them. values: where they begin."""
    values = values[:MOST]
    near = [_NAME in buffer.slice(max(at - _BEFORE, 0), min(at, _BEFORE)) for at in values.tolist()]
    return values[np.array(near, np.bool_)]


def _kine(buffer: Buffer, values: Ints) -> list[CarvedRecord]:
    """Rows of kine's whose values begin here: what lies on the page of each is searched for records."""
    at = near_names(buffer, values)
    if not at.size:
        return []
    start, end = np.maximum(at - _BEFORE, 0), np.minimum(at + _PAGE, buffer.size)
    first = np.append(True, start[1:] > end[:-1])
    last = np.append(np.flatnonzero(first)[1:] - 1, at.size - 1)
    rows, _ = residue.search(buffer, start[first], end[last], KineColumns(), _PAGE)
    return [row for row in rows if row.key_at >= 0]


def _bare(buffer: Buffer, values: Ints) -> tuple[list[CarvedRecord], Ints]:
    """The bare values, and the beginnings that are left when too much JSON was decoded."""
    bare, records, floor = BareValues(buffer), list[CarvedRecord](), 0
    for place, at in enumerate(values.tolist()):
        if at < floor:
            continue
        if bare.spent > DECODED * buffer.size + LARGEST:
            return records, values[place:]
        record = bare.at(at, min(buffer.size, at + LARGEST))
        if record is None:
            continue
        following = int(values[place + 1]) if place + 1 < values.size else buffer.size
        if record.state & State.TAIL_LOST and following - at < SMALLEST:
            continue
        if record.state & State.TAIL_LOST and record.end > following:
            record = record._replace(end=following, value_len=following - at)
        records.append(record)
        floor = record.end
    return records, values[:0]
