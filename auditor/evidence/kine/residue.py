"""Rows of `kine` in bytes that nothing describes any more: unallocated parts of pages, and pages that were freed.

SQLite overwrites the first four bytes of a freed cell (fileformat2.html, section 1.6, freeblocks): its sizes. The
header of the record behind them says what the columns are; what no header accounts for is searched for values.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.arrays.parallel import ranges
from auditor.evidence import carve
from auditor.evidence.batch import UNKNOWN
from auditor.evidence.carve import CarvedRecord
from auditor.evidence.kine import file_format, records
from auditor.evidence.kine.schema import KineColumns
from auditor.model.vocabulary import State

AT_ONCE = 1 << 22
"""Bytes whose positions are held together."""
SHORTEST, LONGEST = 9, 40
"""Bytes of the header of a record of kine's: one a column, and more where values are long."""
LEAD = 12
"""Bytes of a cell before its record: two varints, of which the first four bytes may be gone."""
LONGEST_NAME = 1 << 12
FEW = 8
"""Bytes left over between two cells that are not told: no value, and hardly a part of one."""
PREFIX = b"/registry/"
"""How kine expects names to begin: it writes /registry/health itself (pkg/drivers/generic/generic.go)."""
BETWEEN = 24
"""Bytes of sizes, types and numbers between two names in cells of kine's indexes."""
_NAME = re.compile(rb"/registry/[!-~]*")
_NAMES = (b"/", b"compact_rev_key", b"gap-")


def search(buffer: Buffer, start: Ints, end: Ints, columns: KineColumns, usable: int) -> list[CarvedRecord]:
    """Every row, value and fragment in these stretches, ascending; a row is two where it holds a previous value."""
    filled = buffer.nonzero(np.minimum(start, buffer.size), np.minimum(end, buffer.size))
    start, end = start[filled], end[filled]
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    cells = _apart(_rows(buffer, start, end, columns, usable))
    found = [row for _, _, rows in cells for row in rows]
    return [*found, *_rest(buffer, start, end, [(first, last) for first, last, _ in cells])]


def _rest(buffer: Buffer, start: Ints, end: Ints, cells: list[tuple[int, int]]) -> list[CarvedRecord]:
    """What the rows leave of the stretches, searched for bare values and fragments."""
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
    found = carve.search(buffer, firsts, lasts, fragments=True)
    return [row for row in found if row.key_at >= 0 or not _nothing(buffer.slice(row.value_at, row.value_len))]


def _nothing(raw: bytes) -> bool:
    """Whether bytes are too few to be told as anything, or names with numbers between them: cells of an index."""
    if len(raw) < FEW:
        return True
    return PREFIX in raw and all(len(part.strip(b"\0")) <= BETWEEN for part in _NAME.split(raw))


def _apart(cells: Iterator["_Cell"]) -> list[tuple[int, int, list[CarvedRecord]]]:
    """Start, end and rows of the cells. Where one begins inside another's values, it was written over them."""
    kept: list[tuple[int, int, list[CarvedRecord]]] = []
    for cell in cells:
        floor = cell.low
        if kept:
            first, last, rows = kept[-1]
            if cell.at < last and not (rows and cell.at > rows[0].value_at):
                continue
            if cell.at < last:
                kept[-1] = (first, cell.at, [_cut(row, cell.at) for row in rows if row.value_at < cell.at])
            floor = max(floor, min(last, cell.at))
        kept.append((max(floor, cell.at - LEAD), cell.end, cell.rows))
    return kept


def _cut(row: CarvedRecord, end: int) -> CarvedRecord:
    """The row as far as another has not overwritten it."""
    if row.end <= end:
        return row
    return row._replace(end=end, value_len=end - row.value_at, state=row.state | State.TAIL_LOST)


class _Cell(NamedTuple):
    """One record: the stretch's start, where it begins and ends, and its values."""

    low: int
    at: int
    end: int
    rows: list[CarvedRecord]


def _rows(buffer: Buffer, start: Ints, end: Ints, columns: KineColumns, usable: int) -> Iterator[_Cell]:
    """Rows by their record headers, ascending."""
    which = np.cumsum(end - start) // AT_ONCE
    edges = np.flatnonzero(np.diff(which, prepend=-1, append=-2))
    for first, last in pairwise(edges.tolist()):
        yield from _some(buffer, start[first:last], end[first:last], columns, usable)


def _some(buffer: Buffer, start: Ints, end: Ints, columns: KineColumns, usable: int) -> Iterator[_Cell]:
    length = np.minimum(end, buffer.size) - start
    at = ranges(start, np.maximum(length - SHORTEST, 0))
    # the first column is the row id, which is NULL in the record
    likely = (buffer.data[at] >= SHORTEST) & (buffer.data[at] <= LONGEST) & (buffer.data[at + 1] == 0)
    whole = _held(buffer, at[likely], start, end, columns, headless=False)
    # where the row id is small, the four bytes that a freeblock overwrites reach into the record; freeblocks are
    # joined later, so that such a record may begin anywhere
    maybe = (buffer.data[at] == 0) & (buffer.data[at + 1] > 12) & (at > 0)
    cut = _held(buffer, at[maybe] - 1, start, end, columns, headless=True)
    cells = []
    for held, low, stop in (whole, cut):
        local = np.minimum(file_format.local(held.size, usable, table=True), stop - held.at)
        cells += list(_cells(held, low, local, columns))
    yield from sorted(cells, key=lambda cell: cell.at)


def _held(
    buffer: Buffer, at: Ints, start: Ints, end: Ints, columns: KineColumns, *, headless: bool
) -> tuple[records.Records, Ints, Ints]:
    """The records that begin at some of these positions, and the stretch that each lies in."""
    which = np.searchsorted(start, at + headless, "right") - 1
    stop = end[which]
    nothing = np.zeros(at.size, np.int64)
    found = records.decode(buffer, at, stop - at, nothing, columns.count, headless=headless)
    serial = found.serial
    good = found.good & (serial[0] == 0) & found.numeric(columns.numbers)
    name_at, name_len = found.text(columns.name)
    good &= (serial[columns.name] % 2 == 1) & (name_len > 0) & (name_len < LONGEST_NAME) & (name_at + name_len <= stop)
    for column in (columns.created, columns.deleted, columns.create_revision, columns.prev_revision):
        good &= serial[column] <= 9
    for column in (columns.value, columns.old_value):
        good &= (serial[column] == 0) | (serial[column] >= 12)
    rows = np.flatnonzero(good)
    named = np.zeros(rows.size, np.bool_)
    for text in _NAMES:
        named |= buffer.starts_with(name_at[rows], name_len[rows], text)
    rows = rows[named]
    texts = buffer.slices(name_at[rows], name_len[rows])
    rows = rows[np.array([_is_name(text) for text in texts], np.bool_)]
    return found.take(rows), start[which[rows]], stop[rows]


def _is_name(text: bytes) -> bool:
    try:
        return text.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _cells(held: records.Records, low: Ints, local: Ints, columns: KineColumns) -> Iterator[_Cell]:
    """The records with their values. local: bytes of each that still lie there."""
    at = held.at
    before = held.buffer.slices(np.maximum(low, at - LEAD), np.minimum(at - low, LEAD))
    rowid = np.array([_row_id(raw, size) for raw, size in zip(before, held.size.tolist(), strict=True)], np.int64)
    created, deleted = held.number(columns.created) == 1, held.number(columns.deleted) == 1
    create, previous = held.number(columns.create_revision), held.number(columns.prev_revision)
    previous = np.where(previous > 0, previous, UNKNOWN)
    born = np.where(created, rowid, np.where(create > 0, create, UNKNOWN))
    name_at, name_len = held.text(columns.name)
    values = []
    for column, own in ((columns.value, np.where(deleted, previous, rowid)), (columns.old_value, previous)):
        value_at, size = held.text(column)
        kept = np.minimum(size, at + local - value_at)
        state = np.where(kept < size, State.TAIL_LOST, State(0))
        unknown = np.full(at.size, UNKNOWN, np.int64)
        # the fields of CarvedRecord, in its order
        found = (value_at, value_at + kept, name_at, name_len, value_at, kept, own, unknown, born, unknown, state)
        values.append(np.stack(found, axis=1).tolist() if at.size else [])
    ends = np.minimum(at + local, at + held.size)
    for start, place, end, *pair in zip(low.tolist(), at.tolist(), ends.tolist(), *values, strict=True):
        rows = [CarvedRecord._make(fields) for fields in pair]
        yield _Cell(start, place, end, [row for row in rows if row.value_len > 0])


def _row_id(before: bytes, size: int) -> int:
    """The row id in front of a record, where the payload's size in front of it is still there; else unknown."""
    mark = file_format.encoded_varint(size)
    at = before.rfind(mark, 0, -1)
    while at >= 0:
        if (found := file_format.whole_varint(before[at + len(mark) :])) > 0:
            return found
        at = before.rfind(mark, 0, at + len(mark) - 1)
    return UNKNOWN
