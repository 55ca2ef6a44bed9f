"""Rows of kine's on pages of its database, with the pages on which their values go on, and the groups of these pages.

A value that goes on in overflow pages is put together where something says on which number they lie where. SQLite
frees such pages without wiping them: whatever lies there now may be another's. A readable value must end as objects
do; of every one the column `detail` says that it was put together.
Format: sqlite.org fileformat2.html, sections 1.6 and 1.7.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.evidence import carve
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.images import kine_leaves, kine_parts
from auditor.evidence.images.bare import LARGEST
from auditor.evidence.images.kine_leaves import COLUMNS, Leaves
from auditor.evidence.images.kine_parts import Parts
from auditor.evidence.images.values import broken
from auditor.evidence.kine import overflow, records, rows, unreferenced
from auditor.evidence.kine.accounts import Accounts
from auditor.evidence.kine.file_format import page_size_fits
from auditor.evidence.kine.overflow import Claims, PayloadParts
from auditor.evidence.kine.pages import Cells
from auditor.evidence.kine.unreferenced import DatabaseFiles
from auditor.evidence.ledger import Account, Ledger
from auditor.model.vocabulary import Place

DEFAULT_SIZE = 4096
"""Bytes of a page of kine's and of dqlite's databases, where nothing says otherwise."""
JOINED = "put together from its overflow pages, which may hold another value by now"
EMPTY = np.zeros(0, np.int64)


class KinePages(NamedTuple):
    """Pages of kine's in an image, and what they hold."""

    records: RecordBatch
    """Values that lie in their pages, or the parts of them that do."""
    leaf: Ints
    """The leaf of each of these records, counted over all sizes."""
    joined: tuple[RecordBatch, ...]
    """Values that were put together."""
    joined_leaf: tuple[Ints, ...]
    """The leaf of each of these."""
    start: Ints
    """Where what is explained begins: rows, and parts of them in overflow pages. Not ascending."""
    end: Ints
    by_size: tuple[tuple[Leaves, Parts], ...]
    """The leaves of each size, and what they belong to."""


def read(buffer: Buffer, source: str, marks: tuple[Ints, Ints], ledger: Ledger, work_dir: str) -> KinePages:
    """The rows on pages that hold some of these values.

    Args:
        buffer: The image.
        source: Its name.
        marks: Where values begin that may be of kine's, and where the name of SQLite's format stands; ascending.
        ledger: Of the image.
        work_dir: The folder of private files; the system's own where empty.
    """
    anchors, heads = marks
    every = kine_leaves.read(buffer, anchors, _sizes(buffer, heads)) if anchors.size else []
    by_size = [(leaves, kine_parts.read(buffer, leaves, heads)) for leaves in every]
    empty = carve.batch(buffer, source, [], Place.UNPLACED)
    held, owners, joined, joined_owners = [empty], [EMPTY], list[RecordBatch](), list[Ints]()
    starts, ends, before = [EMPTY], [EMPTY], 0
    for leaves, parts in by_size:
        reader = _Reader(buffer, source, leaves, (before, work_dir))
        reader.read(parts)
        held, owners = [*held, *reader.held], [*owners, *reader.owners]
        joined, joined_owners = [*joined, *reader.joined], [*joined_owners, *reader.joined_owners]
        starts, ends = [*starts, *reader.starts], [*ends, *reader.ends]
        head_end = leaves.at + kine_leaves.HEAD + 2 * np.bincount(leaves.cells.page, minlength=leaves.at.size)
        ledger.add(Account.STRUCTURE, leaves.at, head_end)
        before += leaves.at.size
    return KinePages(
        records=RecordBatch.concatenate(held),
        leaf=np.concatenate(owners),
        joined=tuple(joined),
        joined_leaf=tuple(joined_owners),
        start=np.concatenate(starts),
        end=np.concatenate(ends),
        by_size=tuple(by_size),
    )


def _sizes(buffer: Buffer, heads: Ints) -> dict[int, Ints]:
    """Sizes of pages, and where such pages may begin: those that databases in the image state, and the usual one."""
    origins: dict[int, list[int]] = {DEFAULT_SIZE: [0]}
    for head in heads.tolist()[: kine_parts.MOST]:
        size = int.from_bytes(buffer.slice(head + 16, 2), "big")
        size = 65536 if size == 1 else size
        if page_size_fits(size):
            origins.setdefault(size, []).append(head % size)
    return {size: np.unique(np.array(begins, np.int64)) for size, begins in origins.items()}


class _Reader:
    """The rows on pages of one size."""

    def __init__(self, buffer: Buffer, source: str, leaves: Leaves, also: tuple[int, str]) -> None:
        """also: leaves of other sizes before these, and the folder of private files."""
        self._buffer = buffer
        self._source = source
        self._leaves = leaves
        self._before, self._work_dir = also
        self.held: list[RecordBatch] = []
        self.owners: list[Ints] = []
        self.joined: list[RecordBatch] = []
        self.joined_owners: list[Ints] = []
        self.starts: list[Ints] = []
        self.ends: list[Ints] = []

    def read(self, parts: Parts) -> None:
        cells = self._leaves.cells
        self._explain(cells.payload, cells.payload + cells.local)
        local = cells.next == 0
        self._hold(cells.take(local))
        huge = cells.size > 2 * LARGEST
        self._hold(cells.take(huge & ~local))
        spilled = np.flatnonzero(~local & ~huge)
        log, file = parts.log_of[cells.page[spilled]], parts.file_of[cells.page[spilled]]
        self._hold(cells.take(spilled[(log < 0) & (file < 0)]))
        for number in np.unique(log[log >= 0]).tolist():
            self._follow(cells.take(spilled[log == number]), parts, number, log=True)
        for number in np.unique(file[(log < 0) & (file >= 0)]).tolist():
            self._follow(cells.take(spilled[(log < 0) & (file == number)]), parts, number, log=False)

    def _explain(self, start: Ints, end: Ints) -> None:
        self.starts.append(start)
        self.ends.append(end)

    def _hold(self, cells: Cells) -> None:
        """Add rows as far as they lie in their pages."""
        decoded = records.decode(self._buffer, cells.payload, cells.local, cells.size, COLUMNS.count)
        table = rows.Rows(
            records=decoded,
            available=cells.local,
            rowid=cells.rowid,
            page=self._before + cells.page,
            state=np.zeros(cells.page.size, np.uint8),
            columns=COLUMNS,
            sources=(self._source,),
        )
        for batch in self._batches(table):
            self.held.append(replace(batch, page=np.full(len(batch), UNKNOWN, np.int64)))
            self.owners.append(batch.page)

    def _batches(self, table: rows.Rows) -> Iterator[RecordBatch]:
        """The values of rows; `page` is the leaf."""
        for batch in rows.batches(table, np.full(table.rowid.size, Place.UNPLACED, np.uint8), visible=False):
            if (batch.value_len > 0).any():
                yield batch.take(batch.value_len > 0)

    def _follow(self, cells: Cells, parts: Parts, number: int, *, log: bool) -> None:
        """Add rows with overflow pages of one database or one log."""
        buffer, size = self._buffer, self._leaves.size
        frames = parts.logs[number] if log else None
        # a log's frames go on in its database, which is known where there is one alone
        file = (parts.files[0] if len(parts.files) == 1 else None) if log else parts.files[number]
        cells = cells.take(_distinct(buffer, cells))

        def lookup(numbers: Ints, row: Ints) -> tuple[Ints, Ints]:
            at = np.full(numbers.size, -1, np.int64)
            if frames is not None:
                at = frames.find(numbers, self._leaves.at[cells.page[row]])
            if file is not None:
                at = np.where(at < 0, file.find(numbers), at)
            return np.where((at >= 0) & (at + size <= buffer.size), 0, -1), np.maximum(at, 0)

        claims, in_first = Claims((buffer,), (size,)), np.zeros(cells.page.size, np.int64)
        pieces, whole = overflow.follow((buffer,), cells, in_first, lookup, claims, size)
        pieces, place = pieces.take(whole[pieces.row]), np.flatnonzero(whole)
        if place.size:
            pieces = replace(pieces, row=np.searchsorted(place, pieces.row))
            table, faults = self._assembled(cells.take(place), pieces)
            place = np.delete(place, faults)
            sound = _ends_well(table)
            whole = np.isin(np.arange(whole.size), place[sound])
            self._join(_taken(table, sound))
            own = np.isin(pieces.row, np.delete(np.arange(place.size + faults.size), faults)[sound])
            self._explain(pieces.at[own], (pieces.at + pieces.size)[own])
        self._hold(cells.take(~whole))

    def _join(self, table: rows.Rows) -> None:
        for batch in self._batches(table):
            remarks = dict.fromkeys(batch.extents, JOINED)
            self.joined_owners.append(batch.page)
            self.joined.append(replace(batch, page=np.full(len(batch), UNKNOWN, np.int64), remarks=remarks))

    def _assembled(self, cells: Cells, pieces: PayloadParts) -> tuple[rows.Rows, Ints]:
        """The rows of cells whose payloads are whole, and which of the cells are none."""
        files = DatabaseFiles(
            sources=(self._source,),
            buffers=(self._buffer,),
            page_size=self._leaves.size,
            usable=self._leaves.size,
            columns=COLUMNS,
            claims=Claims((), ()),
            work_dir=self._work_dir,
            accounts=Accounts((), ()),
        )
        whole, state = np.ones(cells.page.size, np.bool_), np.zeros(cells.page.size, np.uint8)
        return unreferenced.assembled_rows(files, cells, pieces, whole, self._before + cells.page, state)


def _ends_well(table: rows.Rows) -> Bools:
    """Which rows have readable values that end as objects do, or none that are readable."""
    sound = np.ones(table.rowid.size, np.bool_)
    for column in (COLUMNS.value, COLUMNS.old_value):
        at, size = table.records.text(column)
        sound &= ~broken(table.records.buffer, np.maximum(at, 0), np.maximum(size, 0))
    return sound


def _taken(table: rows.Rows, selected: Bools) -> rows.Rows:
    """Some rows of a table."""
    return replace(
        table,
        records=table.records.take(selected),
        available=table.available[selected],
        rowid=table.rowid[selected],
        page=table.page[selected],
        state=table.state[selected],
    )


def _distinct(buffer: Buffer, cells: Cells) -> Ints:
    """The cells without those that are the same in every byte: a log has a page as often as it was written."""
    content, _ = factorize(buffer, cells.payload, cells.local + 4)
    _, first = np.unique(np.stack((content, cells.rowid, cells.size)), axis=1, return_index=True)
    return np.sort(first)
