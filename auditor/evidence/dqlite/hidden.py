"""What the newest state of a database does not show: freed pages, pages as they were before, unallocated bytes."""

from collections.abc import Iterator

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence import ledger
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.dqlite.timeline import Timeline
from auditor.evidence.kine import unreferenced
from auditor.evidence.kine.database import Database
from auditor.evidence.kine.pages import Pages
from auditor.evidence.kine.unreferenced import DatabaseFiles, UnreferencedPages
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, State


def read(database: Database, timeline: Timeline) -> Iterator[RecordBatch]:
    """The values in it."""
    lost = Place.FREED if database.whole and database.has_kine else Place.UNPLACED
    for place, stretches in ((Place.SLACK, database.slack), (Place.UNPLACED, database.malformed)):
        for file in sorted({file for file, _, _ in stretches}):
            spans = [(start, end) for number, start, end in stretches if number == file]
            start, end = (np.concatenate(column) for column in zip(*spans, strict=True))
            places = np.full(start.size, place, np.uint8)
            numbers = _numbers(timeline, file, start)
            yield from unreferenced.search(database.files, file, start, end, places, numbers)
    shown = _shown(database, timeline)
    # from the newest to the oldest: an overflow page is of the newest row that names it
    for file in np.unique(timeline.images.file[~shown])[::-1].tolist():
        rows = timeline.rows(file, ~shown)

        def lookup(numbers: Ints, at: Ints, rows: Ints = rows) -> tuple[Ints, Ints]:
            return timeline.lookup(numbers, rows[np.searchsorted(timeline.images.at[rows], at)])

        yield from unreferenced.read(database.files, file, _pages(database, timeline, rows, lost), lookup)


def _shown(database: Database, timeline: Timeline) -> Bools:
    """Which images the newest state shows: those that a tree or a chain of it refers to, and that are not free."""
    images, image = timeline.images, database.image
    inside = timeline.current & (images.number <= image.size)
    known = np.where(inside, images.number, 0)
    shown: Bools = inside & database.referenced[known] & ~database.free[known]
    return shown


def _pages(database: Database, timeline: Timeline, rows: Ints, lost: Place) -> UnreferencedPages:
    """Images of one file with their places.

    Args:
        database: The database, read.
        timeline: All images.
        rows: Those of the file, by ascending offset.
        lost: The place of current pages that nothing refers to.
    """
    images, image = timeline.images.take(rows), database.image
    current = timeline.current[rows]
    inside = current & (images.number <= image.size)
    known = np.where(inside, images.number, 0)
    free = inside & database.free[known]
    older = np.where(images.log, Place.WAL, Place.FREED)
    place = np.where(free | (current & ~inside), Place.FREED, np.where(inside, lost, older)).astype(np.uint8)
    state = images.state | np.where(current, np.uint8(0), np.uint8(State.SUPERSEDED))
    buffer = database.files.buffers[int(images.file[0])]
    pages = Pages(images.number, images.at)
    lead = unreferenced.lead(buffer, pages, image.size, database.head.usable)
    trunk = np.isin(pages.number, database.trunks) & inside
    lead[trunk] = np.maximum(lead[trunk], 8)
    return UnreferencedPages(number=pages.number, at=pages.at, row=place, rest=place, state=state, lead=lead)


def _numbers(timeline: Timeline, file: int, at: Ints) -> Ints:
    """The number of the page that holds each offset of a file."""
    pages = timeline.pages(file, timeline.current)
    row = np.maximum(np.searchsorted(pages.at, at, "right") - 1, 0)
    numbers: Ints = pages.number[row]
    return numbers


def rest(files: DatabaseFiles, logs: Bools, gaps: list[Gap]) -> Iterator[RecordBatch]:
    """The values in what nothing accounts for; closes the accounts, when everything else is read.

    Args:
        files: The files.
        logs: Which of them are of the log.
        gaps: Those of the reading, to which what two structures claim is added.
    """
    if not ledger.enabled:
        return
    outer, inner, doubled = files.accounts.close()
    gaps += doubled
    for file, pair in enumerate(zip(outer, inner, strict=True)):
        for is_inner, (start, end) in enumerate(pair):
            if start.size:
                place = np.full(start.size, Place.WAL if logs[file] else Place.SLACK, np.uint8)
                unknown = np.full(start.size, UNKNOWN, np.int64)
                yield from unreferenced.search(files, file, start, end, place, unknown, inner=bool(is_inner))
