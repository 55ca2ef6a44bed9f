"""Rows of `kine` as stored values: their columns, their places by the newest row of each name, and batches.

Rows: kine pkg/drivers/generic/generic.go. Every write is a row; `old_value` is a copy of the value of the row before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import chunks
from auditor.evidence.batch import MOST_ROWS, UNKNOWN, Extent, RecordBatch
from auditor.evidence.kine.overflow import Assembled
from auditor.evidence.kine.records import Records
from auditor.evidence.kine.schema import KineColumns
from auditor.model.vocabulary import Place, State

COMPACTED = b"compact_rev_key"
REUSED = "its overflow pages may hold another value by now"
"""Of a value in freed pages whose parts are joined by page numbers: SQLite frees a chain without wiping them, and
nothing in the file says whether a page of it was written since (fileformat2.html, section 1.7)."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one buffer: columns of shape (n,)."""

    records: Records
    available: Ints
    """Bytes of each payload that the buffer holds."""
    rowid: Ints
    page: Ints
    state: NDArray[np.uint8]
    """Bits of State."""
    columns: KineColumns
    sources: tuple[str, ...]
    """The names of the files."""
    file: int = 0
    """The file of the buffer."""
    assembled: Assembled | None = None
    """The payloads, where the buffer is no file's."""

    @property
    def deleted(self) -> Bools:
        deleted: Bools = self.records.number(self.columns.deleted) == 1
        return deleted

    def names(self) -> tuple[Ints, Ints]:
        """Position and length of each name; -1 and 0 where the buffer does not hold all of it."""
        at, length = self.records.text(self.columns.name)
        whole = (length >= 0) & (at + length <= self.records.at + self.available)
        return np.where(whole, at, -1), np.where(whole, length, 0)


def joined_names(every: Sequence[Rows]) -> bytes:
    """The names of all rows, apart from each other."""
    return b"\0".join(name for rows in every for name in rows.records.buffer.slices(*rows.names()))


def places(every: Sequence[Rows]) -> list[NDArray[np.uint8]]:
    """The place of each visible row: latest, history or deleted, by the newest row of its name."""
    # name_numbers: one numbering of names over all buffers; codes: the number of each row's name
    name_numbers: dict[bytes, int] = {}
    codes_by_buffer, ids, deletions = [], [], []
    for rows in every:
        at, length = rows.names()
        number, heads = factorize(rows.records.buffer, np.maximum(at, 0), length)
        names = rows.records.buffer.slices(np.maximum(at, 0)[heads], length[heads])
        codes = np.array([name_numbers.setdefault(name, len(name_numbers)) for name in names], np.int64)
        codes_by_buffer.append(codes[number] if heads.size else number)
        ids.append(rows.rowid)
        deletions.append(rows.deleted)
    number, rowid, deleted = np.concatenate(codes_by_buffer), np.concatenate(ids), np.concatenate(deletions)
    newest = np.full(len(name_numbers), UNKNOWN, np.int64)
    np.maximum.at(newest, number, rowid)
    last = rowid == newest[number]
    is_deleted = np.zeros(len(name_numbers), np.bool_)
    is_deleted[number[last & deleted]] = True
    place = np.where(is_deleted[number], Place.DELETED, np.where(last, Place.LATEST, Place.HISTORY)).astype(np.uint8)
    return np.split(place, np.cumsum([len(rowids) for rowids in ids])[:-1])


def compacted(every: Sequence[Rows]) -> int | None:
    """The compacted revision: prev_revision in the newest row of kine's own key."""
    revisions: list[tuple[int, int]] = []
    for rows in every:
        at, length = rows.names()
        matches = np.flatnonzero(rows.records.buffer.starts_with(np.maximum(at, 0), length, COMPACTED))
        matches = matches[length[matches] == len(COMPACTED)]
        previous = rows.records.number(rows.columns.prev_revision)
        revisions += zip(rows.rowid[matches].tolist(), previous[matches].tolist(), strict=True)
    return max(revisions)[1] if revisions else None


def batches(rows: Rows, place: NDArray[np.uint8], *, visible: bool) -> Iterator[RecordBatch]:
    """The values and the previous values of rows.

    Args:
        rows: The rows.
        place: The place of each.
        visible: Whether the database shows them; the previous value of a latest row has a place of its own then.
    """
    old = np.where(place == Place.LATEST, np.uint8(Place.OLD_VALUE), place) if visible else place
    columns = rows.columns
    created = rows.records.number(columns.created) == 1
    create = np.where(created, rows.rowid, rows.records.number(columns.create_revision))
    previous = rows.records.number(columns.prev_revision)
    previous = np.where(previous > 0, previous, UNKNOWN)
    # a tombstone has no value of its own: older kine repeats the last one
    own = np.where(rows.deleted, previous, rows.rowid)
    for column, mod_revision, create_revision, places in (
        (columns.value, own, create, place),
        (columns.old_value, previous, np.where(created, UNKNOWN, create), old),
    ):
        at, length = rows.records.text(column)
        available = np.minimum(length, rows.records.at + rows.available - at)
        # an empty previous value is what a copy of the table makes of NULL
        empty = (length == 0) & (column == columns.value)
        present = np.flatnonzero((length >= 0) & ((available > 0) | empty))
        cut = np.where(available < length, np.uint8(State.TAIL_LOST), np.uint8(0))
        create_revision = np.where(create_revision > 0, create_revision, UNKNOWN)
        for part in chunks(present.size, MOST_ROWS):
            selected = present[part]
            values = (at, available, mod_revision, create_revision, places, cut)
            yield from _batch(rows, selected, tuple(column[selected] for column in values))


def _batch(rows: Rows, selected: Ints, columns: tuple[NDArray[np.integer], ...]) -> Iterator[RecordBatch]:
    """The batch of some rows, or one a file where the values are assembled; columns: as batches() makes them."""
    at, length, mod_revision, create_revision, places, cut = columns
    key_at, key_len = rows.names()
    batch = RecordBatch.of(
        rows.sources[rows.file],
        rows.records.buffer,
        mapped=rows.assembled is None,
        place=places.astype(np.uint8),
        key_at=key_at[selected],
        key_len=key_len[selected],
        value_at=at.astype(np.int64),
        value_len=length,
        mod_revision=mod_revision.astype(np.int64),
        create_revision=create_revision.astype(np.int64),
        ordinal=rows.rowid[selected],
        page=rows.page[selected],
        state=rows.state[selected] | cut.astype(np.uint8),
    )
    yield from [batch] if rows.assembled is None else _located(batch, rows.assembled, rows.sources)


def _located(batch: RecordBatch, assembled: Assembled, sources: tuple[str, ...]) -> Iterator[RecordBatch]:
    """Assembled values, by the file of their first byte."""
    parts = [
        assembled.extents(at, size) for at, size in zip(batch.value_at.tolist(), batch.value_len.tolist(), strict=True)
    ]
    first = np.array([int(origins[0].source) if origins else 0 for origins in parts], np.int64)
    for file, source in enumerate(sources):
        rows = np.flatnonzero((first == file) & (batch.value_len > 0))
        if not rows.size:
            continue
        selected_parts = [parts[row] for row in rows.tolist()]
        values = batch.take(rows)
        extents = {
            row: tuple(
                Extent(part.offset, part.length, "" if int(part.source) == file else sources[int(part.source)])
                for part in origins
            )
            for row, origins in enumerate(selected_parts)
            if len(origins) > 1
        }
        stored_at = np.array([origins[0].offset for origins in selected_parts], np.int64)
        remarks = {row: REUSED for row in extents if values.place[row] == Place.FREED}
        yield replace(values, source=source, extents=extents, stored_at=stored_at, remarks=remarks)
