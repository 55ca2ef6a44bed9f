"""Rows of `kine` in unallocated parts of pages, and in freed pages.

SQLite overwrites the first four bytes of a freed cell (fileformat2.html, section 1.6, freeblocks): its sizes. The
record's header behind them has the types of the columns; the other bytes are searched for values.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import ranges
from auditor.evidence import carve
from auditor.evidence.batch import UNKNOWN
from auditor.evidence.headless import CarvedRecord
from auditor.evidence.kine import file_format, records
from auditor.evidence.kine.schema import KineColumns
from auditor.evidence.kine.stale import Structure
from auditor.model.vocabulary import State

AT_ONCE = 1 << 22
"""Bytes of a batch of positions."""
SHORTEST, LONGEST = 9, 40
"""Bytes of a kine record's header: one a column, and more where values are long."""
LEAD = 12
"""Bytes of a cell before its record: two varints, of which the first four bytes may be gone."""
LONGEST_NAME = 1 << 12
ZEROED = 16
"""Zeros at the end of a value by which it is known that SQLite wrote over it (secure_delete): no value ends so."""
NOTHING_KNOWN = Structure()
NAMES = (b"/", b"compact_rev_key", b"gap-")
"""Beginnings of the names of rows."""


class Shares(NamedTuple):
    """Bytes of what was searched: all others are fragments."""

    row: int = 0
    """Rows and values."""
    structure: int = 0
    """Old copies of structure, and what is too short for a value."""
    empty: int = 0
    """Zeros."""


def search(
    buffer: Buffer, start: Ints, end: Ints, columns: KineColumns, usable: int, structure: Structure = NOTHING_KNOWN
) -> tuple[list[CarvedRecord], Shares]:
    """The rows, values and fragments in these stretches, ascending; a row with a previous value is two. With them, what
    the bytes of the stretches are.

    Args:
        buffer: The file.
        start: Where the stretches begin.
        end: Where they end.
        columns: Places of kine's columns in a row.
        usable: Bytes of a page without the reserved ones.
        structure: What the database keeps for itself, whose old copies are no fragments.
    """
    filled = buffer.nonzero(np.minimum(start, buffer.size), np.minimum(end, buffer.size))
    start, end = start[filled], end[filled]
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    cells = _apart(_rows(buffer, start, end, columns, usable))
    values = [row for _, _, rows in cells for row in rows]
    rest, old = [], 0
    for row in _rest(buffer, start, end, [(first, last) for first, last, _ in cells]):
        if row.key_at < 0 and structure.explains(buffer.slice(row.value_at, row.value_len)):
            old += row.end - row.start
        else:
            rest.append(row)
    known = sum(last - first for first, last, _ in cells) + carve.explained(buffer, rest)
    fragments = sum(row.end - row.start for row in rest) - carve.explained(buffer, rest)
    empty = max(int((end - start).sum()) - known - old - fragments, 0)
    return [*values, *rest], Shares(known, old, empty)


def _rest(buffer: Buffer, start: Ints, end: Ints, cells: list[tuple[int, int]]) -> list[CarvedRecord]:
    """The bare values and fragments in the stretches outside the rows."""
    firsts, lasts = [], []
    number = 0
    for low, high in zip(start.tolist(), end.tolist(), strict=True):
        at = low
        while number < len(cells) and cells[number][0] < high:
            first, last = cells[number]
            if first > at:
                firsts.append(at)
                lasts.append(first)
            at = max(at, last)
            number += 1
        if at < high:
            firsts.append(at)
            lasts.append(high)
    return carve.search(buffer, firsts, lasts, fragments=True)


def _apart(cells: Iterator["_Cell"]) -> list[tuple[int, int, list[CarvedRecord]]]:
    """Start, end and rows of the cells; one that begins inside another's values has overwritten them."""
    separate: list[tuple[int, int, list[CarvedRecord]]] = []
    for cell in cells:
        floor = cell.low
        if separate:
            first, last, rows = separate[-1]
            if cell.at < last and not (rows and cell.at > rows[0].value_at):
                continue
            if cell.at < last:
                separate[-1] = (first, cell.at, [_cut(row, cell.at) for row in rows if row.value_at < cell.at])
            floor = max(floor, min(last, cell.at))
        separate.append((max(floor, cell.at - LEAD), cell.end, cell.rows))
    return separate


def _cut(row: CarvedRecord, end: int) -> CarvedRecord:
    """The part of a row before an offset."""
    if row.end <= end:
        return row
    return row._replace(end=end, value_len=end - row.value_at, state=row.state | State.TAIL_LOST)


class _Cell(NamedTuple):
    """One record."""

    low: int
    """The start of its stretch."""
    at: int
    end: int
    rows: list[CarvedRecord]
    """Its value and its previous value."""


def _rows(buffer: Buffer, start: Ints, end: Ints, columns: KineColumns, usable: int) -> Iterator[_Cell]:
    """Rows by their record headers, ascending."""
    batch = np.cumsum(end - start) // AT_ONCE
    edges = np.flatnonzero(np.diff(batch, prepend=-1, append=-2))
    for first, last in pairwise(edges.tolist()):
        yield from _batch_rows(buffer, start[first:last], end[first:last], columns, usable)


def _batch_rows(buffer: Buffer, start: Ints, end: Ints, columns: KineColumns, usable: int) -> Iterator[_Cell]:
    length = np.minimum(end, buffer.size) - start
    at = ranges(start, np.maximum(length - SHORTEST, 0))
    # the first column is the row id, which is NULL in the record
    likely = (buffer.data[at] >= SHORTEST) & (buffer.data[at] <= LONGEST) & (buffer.data[at + 1] == 0)
    whole = _candidates(buffer, at[likely], start, end, columns, headless=False)
    # before a small row id, the four bytes that a freeblock overwrites reach into the record; SQLite joins
    # freeblocks, so that such a record may begin anywhere
    maybe = (buffer.data[at] == 0) & (buffer.data[at + 1] > 12) & (at > 0)
    cut = _candidates(buffer, at[maybe] - 1, start, end, columns, headless=True)
    cells = []
    for rows, low, stop in (whole, cut):
        local = np.minimum(file_format.local(rows.size, usable, table=True), stop - rows.at)
        cells += list(_cells(rows, low, local, columns))
    yield from sorted(cells, key=lambda cell: cell.at)


def _candidates(
    buffer: Buffer, at: Ints, start: Ints, end: Ints, columns: KineColumns, *, headless: bool
) -> tuple[records.Records, Ints, Ints]:
    """The records that begin at some of these positions, with start and end of their stretches."""
    stretch = np.searchsorted(start, at + headless, "right") - 1
    stop = end[stretch]
    unknown_size = np.zeros(at.size, np.int64)
    candidates = records.decode(buffer, at, stop - at, unknown_size, columns.count, headless=headless)
    serial = candidates.serial
    good = candidates.good & (serial[0] == 0) & candidates.numeric(columns.numbers)
    name_at, name_len = candidates.text(columns.name)
    good &= (serial[columns.name] % 2 == 1) & (name_len > 0) & (name_len < LONGEST_NAME) & (name_at + name_len <= stop)
    for column in (columns.created, columns.deleted, columns.create_revision, columns.prev_revision):
        good &= serial[column] <= 9
    for column in (columns.value, columns.old_value):
        good &= (serial[column] == 0) | (serial[column] >= 12)
    rows = np.flatnonzero(good)
    kine_names = np.zeros(rows.size, np.bool_)
    for text in NAMES:
        kine_names |= buffer.starts_with(name_at[rows], name_len[rows], text)
    rows = rows[kine_names]
    texts = buffer.slices(name_at[rows], name_len[rows])
    rows = rows[np.array([_is_name(text) for text in texts], np.bool_)]
    return candidates.take(rows), start[stretch[rows]], stop[rows]


def _is_name(text: bytes) -> bool:
    try:
        return text.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _cells(candidates: records.Records, low: Ints, local: Ints, columns: KineColumns) -> Iterator[_Cell]:
    """The records with their values. local: bytes of each that are not overwritten."""
    at = candidates.at
    before = candidates.buffer.slices(np.maximum(low, at - LEAD), np.minimum(at - low, LEAD))
    rowid = np.array([_row_id(raw, size) for raw, size in zip(before, candidates.size.tolist(), strict=True)], np.int64)
    created, deleted = candidates.number(columns.created) == 1, candidates.number(columns.deleted) == 1
    create, previous = candidates.number(columns.create_revision), candidates.number(columns.prev_revision)
    previous = np.where(previous > 0, previous, UNKNOWN)
    create_revision = np.where(created, rowid, np.where(create > 0, create, UNKNOWN))
    name_at, name_len = candidates.text(columns.name)
    values = []
    for column, own in ((columns.value, np.where(deleted, previous, rowid)), (columns.old_value, previous)):
        value_at, size = candidates.text(column)
        available = np.minimum(size, at + local - value_at)
        end = value_at + available
        zeroed = (available >= ZEROED) & ~candidates.buffer.nonzero(np.maximum(end - ZEROED, 0), np.maximum(end, 0))
        state = np.where((available < size) | zeroed, State.TAIL_LOST, State(0))
        unknown = np.full(at.size, UNKNOWN, np.int64)
        # the fields of CarvedRecord, in its order
        fields = (
            value_at,
            value_at + available,
            name_at,
            name_len,
            value_at,
            available,
            own,
            unknown,
            create_revision,
            unknown,
            state,
        )
        values.append(np.stack(fields, axis=1).tolist() if at.size else [])
    ends = np.minimum(at + local, at + candidates.size)
    for start, place, end, *pair in zip(low.tolist(), at.tolist(), ends.tolist(), *values, strict=True):
        rows = [CarvedRecord._make(fields) for fields in pair]
        yield _Cell(start, place, end, [row for row in rows if row.value_len > 0])


def _row_id(before: bytes, size: int) -> int:
    """The row id in front of a record, behind the payload's size; UNKNOWN where they are overwritten."""
    mark = file_format.encoded_varint(size)
    at = before.rfind(mark, 0, -1)
    while at >= 0:
        if (rowid := file_format.whole_varint(before[at + len(mark) :])) > 0:
            return rowid
        at = before.rfind(mark, 0, at + len(mark) - 1)
    return UNKNOWN
