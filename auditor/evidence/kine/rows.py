"""Rows of `kine` as stored values: their columns, what each name's newest row makes of the others, and batches.

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


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows of one buffer. held: bytes of each payload that are there; rowid, page: columns; state: bits of State.

    assembled: where the buffer is not the source itself. sources: names of the files; file: which of them it is, of
    rows that lie in one.
    """

    records: Records
    held: Ints
    rowid: Ints
    page: Ints
    state: NDArray[np.uint8]
    columns: KineColumns
    sources: tuple[str, ...]
    file: int = 0
    assembled: Assembled | None = None

    @property
    def deleted(self) -> Bools:
        gone: Bools = self.records.number(self.columns.deleted) == 1
        return gone

    def names(self) -> tuple[Ints, Ints]:
        """Position and length of each name; -1 and 0 where it is not there as a whole."""
        at, length = self.records.text(self.columns.name)
        there = (length >= 0) & (at + length <= self.records.at + self.held)
        return np.where(there, at, -1), np.where(there, length, 0)


def places(every: Sequence[Rows]) -> list[NDArray[np.uint8]]:
    """Of each row of the visible table: latest, history or deleted, by the newest row of its name."""
    known: dict[bytes, int] = {}
    keys_of, ids, gone = [], [], []
    for rows in every:
        at, length = rows.names()
        number, heads = factorize(rows.records.buffer, np.maximum(at, 0), length)
        names = rows.records.buffer.slices(np.maximum(at, 0)[heads], length[heads])
        of = np.array([known.setdefault(name, len(known)) for name in names], np.int64)
        keys_of.append(of[number] if heads.size else number)
        ids.append(rows.rowid)
        gone.append(rows.deleted)
    number, rowid, deleted = np.concatenate(keys_of), np.concatenate(ids), np.concatenate(gone)
    newest = np.full(len(known), UNKNOWN, np.int64)
    np.maximum.at(newest, number, rowid)
    last = rowid == newest[number]
    dead = np.zeros(len(known), np.bool_)
    dead[number[last & deleted]] = True
    place = np.where(dead[number], Place.DELETED, np.where(last, Place.LATEST, Place.HISTORY)).astype(np.uint8)
    return np.split(place, np.cumsum([len(each) for each in ids])[:-1])


def compacted(every: Sequence[Rows]) -> int | None:
    """The revision that kine compacted to: prev_revision of the newest row of its own key."""
    found: list[tuple[int, int]] = []
    for rows in every:
        at, length = rows.names()
        mine = np.flatnonzero(rows.records.buffer.starts_with(np.maximum(at, 0), length, COMPACTED))
        mine = mine[length[mine] == len(COMPACTED)]
        previous = rows.records.number(rows.columns.prev_revision)
        found += zip(rows.rowid[mine].tolist(), previous[mine].tolist(), strict=True)
    return max(found)[1] if found else None


def batches(rows: Rows, place: NDArray[np.uint8], *, visible: bool) -> Iterator[RecordBatch]:
    """The values and the previous values of these rows; place: of each row. visible: the database shows them."""
    old = np.where(place == Place.LATEST, np.uint8(Place.OLD_VALUE), place) if visible else place
    columns = rows.columns
    created = rows.records.number(columns.created) == 1
    create = np.where(created, rows.rowid, rows.records.number(columns.create_revision))
    previous = rows.records.number(columns.prev_revision)
    previous = np.where(previous > 0, previous, UNKNOWN)
    # a tombstone has no value of its own: older kine repeats the last one in it
    own = np.where(rows.deleted, previous, rows.rowid)
    for column, main, born, where in (
        (columns.value, own, create, place),
        (columns.old_value, previous, np.where(created, UNKNOWN, create), old),
    ):
        at, length = rows.records.text(column)
        kept = np.minimum(length, rows.records.at + rows.held - at)
        some = np.flatnonzero((length >= 0) & ((kept > 0) | (length == 0)))
        cut = np.where(kept < length, np.uint8(State.TAIL_LOST), np.uint8(0))
        born = np.where(born > 0, born, UNKNOWN)
        for part in chunks(some.size, MOST_ROWS):
            mine = some[part]
            yield from _made(rows, mine, (at[mine], kept[mine], main[mine], born[mine], where[mine], cut[mine]))


def _made(rows: Rows, mine: Ints, told: tuple[NDArray[np.integer], ...]) -> Iterator[RecordBatch]:
    at, length, main, born, where, cut = told
    key_at, key_len = rows.names()
    batch = RecordBatch.of(
        rows.sources[rows.file],
        rows.records.buffer,
        mapped=rows.assembled is None,
        place=where.astype(np.uint8),
        key_at=key_at[mine],
        key_len=key_len[mine],
        value_at=at.astype(np.int64),
        value_len=length,
        mod_revision=main.astype(np.int64),
        create_revision=born.astype(np.int64),
        ordinal=rows.rowid[mine],
        page=rows.page[mine],
        state=rows.state[mine] | cut.astype(np.uint8),
    )
    yield from [batch] if rows.assembled is None else _located(batch, rows.assembled, rows.sources)


def _located(batch: RecordBatch, assembled: Assembled, sources: tuple[str, ...]) -> Iterator[RecordBatch]:
    """Values that were put together, by the file that holds their first byte."""
    parts = [
        assembled.extents(at, size) for at, size in zip(batch.value_at.tolist(), batch.value_len.tolist(), strict=True)
    ]
    first = np.array([int(each[0].source) if each else 0 for each in parts], np.int64)
    for file, source in enumerate(sources):
        rows = np.flatnonzero((first == file) & (batch.value_len > 0))
        if not rows.size:
            continue
        mine = [parts[row] for row in rows.tolist()]
        taken = batch.take(rows)
        extents = {
            row: tuple(
                Extent(part.offset, part.length, "" if int(part.source) == file else sources[int(part.source)])
                for part in each
            )
            for row, each in enumerate(mine)
            if len(each) > 1
        }
        stored_at = np.array([each[0].offset for each in mine], np.int64)
        yield replace(taken, source=source, extents=extents, stored_at=stored_at)
