"""Pages that the database does not show: freed, older than the log, or frames of the log that no longer count.

What still stands there as a leaf is read as rows; the rest is searched.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence import carve
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.kine import file_format, overflow, records, residue, rows
from auditor.evidence.kine.overflow import Assembled, Claims, Pieces
from auditor.evidence.kine.pages import Cells, Pages, Parsed, parse
from auditor.evidence.kine.schema import KineColumns
from auditor.evidence.kine.wal import FRAME, HEADER, Log
from auditor.model.vocabulary import Place


@dataclass(frozen=True, slots=True)
class Store:
    """The files of one database and what they share. files[0] is the database, files[1] its log (perhaps empty)."""

    sources: tuple[str, ...]
    files: tuple[Buffer, ...]
    page_size: int
    usable: int
    columns: KineColumns
    claims: Claims
    work_dir: str


@dataclass(frozen=True, slots=True)
class UnreferencedPages(Columns):
    """Page images of one file: columns beside Pages. row, rest: places of rows, and of what else lies there."""

    number: Ints
    at: Ints
    row: NDArray[np.uint8]
    rest: NDArray[np.uint8]
    state: NDArray[np.uint8]
    lead: Ints

    @property
    def pages(self) -> Pages:
        return Pages(self.number, self.at)


ByPage = Callable[[Ints, Ints], tuple[Ints, Ints]]
"""Page numbers, and where the leaf lies that asks for each -> file (-1: none) and offset of the page's image."""


def read(store: Store, file: int, loose: UnreferencedPages, lookup: ByPage) -> Iterator[RecordBatch]:
    """Everything in these pages."""
    buffer = store.files[file]
    loose = loose.take(np.argsort(loose.at, kind="stable"))
    pages = loose.pages
    parsed = parse(buffer, pages, store.page_size, store.usable, loose.lead)
    here, more = parsed.cells.take(parsed.cells.next == 0), parsed.cells.take(parsed.cells.next > 0)
    made, bad = visible(store, file, pages, here)
    page = np.delete(here.page, bad)
    yield from rows.batches(replace(made, state=loose.state[page]), loose.row[page], visible=False)

    def asked(numbers: Ints, cells: Ints) -> tuple[Ints, Ints]:
        return lookup(numbers, pages.at[more.page[cells]])

    own = np.full(more.page.size, file, np.int64)
    pieces, whole = overflow.follow(store.files, more, own, asked, store.claims, store.usable)
    odd = here.take(bad)
    if whole.size:
        made, bad = together(store, more, pieces, whole, pages.number[more.page], loose.state[more.page])
        page = np.delete(more.page, bad)
        yield from rows.batches(made, loose.row[page], visible=False)
        odd = Cells.concatenate([odd, more.take(bad)])
    for which in range(len(store.files)):
        tails = (pieces.rest > 0) & (pieces.file == which)
        at, page = (pieces.at + pieces.size)[tails], more.page[pieces.row[tails]]
        nothing = np.full(page.size, UNKNOWN, np.int64)
        yield from searched(store, which, at, at + pieces.rest[tails], loose.rest[page], nothing, loose.state[page])
    start, end = _unclaimed(store, file, loose, parsed)
    start = np.concatenate((start, odd.payload))
    end = np.concatenate((end, odd.payload + odd.local))
    page = np.maximum(np.searchsorted(pages.at, start, "right") - 1, 0)
    if start.size:
        yield from searched(store, file, start, end, loose.rest[page], pages.number[page], loose.state[page])


def visible(store: Store, file: int, pages: Pages, cells: Cells) -> tuple[rows.Rows, Ints]:
    """Rows of whole cells of one file, and which of the cells are none."""
    found = records.decode(store.files[file], cells.payload, cells.local, cells.size, store.columns.count)
    good = found.good & (cells.local == cells.size) & found.numeric(store.columns.numbers)
    mine = cells.take(good)
    made = rows.Rows(
        records=found.take(good),
        held=mine.local,
        rowid=mine.rowid,
        page=pages.number[mine.page],
        state=np.zeros(mine.page.size, np.uint8),
        columns=store.columns,
        sources=store.sources,
        file=file,
    )
    return made, np.flatnonzero(~good)


def together(
    store: Store, cells: Cells, pieces: Pieces, whole: Bools, numbers: Ints, state: NDArray[np.uint8]
) -> tuple[rows.Rows, Ints]:
    """Rows of cells that go on in overflow pages, and which of the cells are none. numbers: of each cell's page."""
    made = Assembled(store.files, pieces, whole.size, store.work_dir)
    found = records.decode(made.buffer, made.at, np.minimum(made.size, cells.local), cells.size, store.columns.count)
    good = found.good & found.numeric(store.columns.numbers)
    rest = rows.Rows(
        records=found.take(good),
        held=made.size[good],
        rowid=cells.rowid[good],
        page=numbers[good],
        state=state[good],
        columns=store.columns,
        sources=store.sources,
        assembled=made,
    )
    return rest, np.flatnonzero(~good)


def _unclaimed(store: Store, file: int, loose: UnreferencedPages, parsed: Parsed) -> tuple[Ints, Ints]:
    """The stretches, without those of pages that a row's value goes on in."""
    page = np.searchsorted(loose.pages.at, parsed.start, "right") - 1
    free = store.claims.free(np.full(page.size, file, np.int64), loose.pages.at[page])
    free |= parsed.tree[page]
    return parsed.start[free], parsed.end[free]


def searched(
    store: Store,
    file: int,
    start: Ints,
    end: Ints,
    place: NDArray[np.uint8],
    number: Ints,
    state: NDArray[np.uint8] | None = None,
) -> Iterator[RecordBatch]:
    """What is found in stretches of one file; place, number, state: of the page of each."""
    buffer = store.files[file]
    for which in np.unique(place).tolist():
        mine = place == which
        found = residue.search(buffer, start[mine], end[mine], store.columns, store.usable)
        if not found:
            continue
        made = carve.batch(buffer, store.sources[file], sorted(found, key=lambda row: row.value_at), Place(which))
        order = np.argsort(start[mine], kind="stable")
        of = order[np.searchsorted(start[mine][order], made.value_at, "right") - 1]
        page = number[mine][of]
        flags = made.state if state is None else made.state | state[mine][of]
        yield replace(made, page=page, state=flags)


class Rounds:
    """Looks overflow pages up as they were when a frame was written: in the same round of the log, up to the end of
    the frame's transaction; else in the database file.
    """

    def __init__(self, log: Log, main_pages: int, page_size: int) -> None:
        self._log, self._main, self._size = log, main_pages, page_size
        self._numbers = np.unique(log.number)
        count = log.number.size
        which = np.searchsorted(self._numbers, log.number)
        self._keys = (log.generation * (self._numbers.size + 1) + which) * (count + 1) + np.arange(count)
        self._order = np.argsort(self._keys, kind="stable")
        self._keys = self._keys[self._order]

    def __call__(self, numbers: Ints, at: Ints) -> tuple[Ints, Ints]:
        log = self._log
        frames = frame_of(at, self._size)
        count = log.number.size
        which = np.searchsorted(self._numbers, numbers)
        which = np.minimum(which, self._numbers.size - 1)
        known = self._numbers[which] == numbers
        base = (log.generation[frames] * (self._numbers.size + 1) + which) * (count + 1)
        slot = np.searchsorted(self._keys, base + log.until[frames], "right") - 1
        there = known & (slot >= 0)
        there &= self._keys[np.maximum(slot, 0)] >= base
        frame = self._order[np.maximum(slot, 0)]
        beside = ~there & (numbers > 0) & (numbers <= self._main)
        file = np.where(there, 1, np.where(beside, 0, -1))
        return file, np.where(there, log.at[frame], np.maximum(numbers - 1, 0) * self._size)


def frame_of(at: Ints, page_size: int) -> Ints:
    """The number of the frame whose page image lies at `at`."""
    return (at - HEADER - FRAME) // (FRAME + page_size)


def lead(buffer: Buffer, pages: Pages, size: int) -> Ints:
    """Bytes to leave out at the beginning of pages that are no b-tree pages: the number of a next page."""
    following: Ints = np.where(file_format.be32(buffer.words(pages.at)) <= size, 4, 0)
    return following
