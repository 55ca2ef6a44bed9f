"""Pages that the database does not show: freed, superseded by the WAL, or frames of it that no longer count.

Leaf pages of tables are read as rows; the rest is searched.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence import carve, ledger
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.kine import file_format, overflow, records, residue, rows, structure
from auditor.evidence.kine.accounts import Accounts
from auditor.evidence.kine.lookup import ByPage
from auditor.evidence.kine.overflow import Assembled, Claims, PayloadParts
from auditor.evidence.kine.pages import Cells, Pages, Parsed, parse
from auditor.evidence.kine.schema import KineColumns
from auditor.evidence.kine.stale import Structure
from auditor.model.vocabulary import Place


@dataclass(frozen=True, slots=True)
class DatabaseFiles:
    """The files of one database: the database itself, and its WAL."""

    sources: tuple[str, ...]
    """The names of the files."""
    buffers: tuple[Buffer, ...]
    """Their bytes; either may be empty."""
    page_size: int
    usable: int
    """Bytes of a page without the reserved ones."""
    columns: KineColumns
    claims: Claims
    """The overflow pages that rows have claimed."""
    work_dir: str
    """The folder of private files; the system's own where empty."""
    accounts: Accounts
    """What is accounted for in them."""
    structure: Structure = residue.NOTHING_KNOWN
    """What the database keeps for itself."""


@dataclass(frozen=True, slots=True)
class UnreferencedPages(Columns):
    """Page images of one file: columns of shape (n,)."""

    number: Ints
    at: Ints
    """Offset of the image."""
    row: NDArray[np.uint8]
    """The place of rows."""
    rest: NDArray[np.uint8]
    """The place of other values."""
    state: NDArray[np.uint8]
    """Bits of State."""
    lead: Ints
    """Bytes to leave out at the beginning of a page that is no b-tree page."""

    @property
    def pages(self) -> Pages:
        return Pages(self.number, self.at)


MOST_NUMBERED = 1 << 24
"""Pages up to which the number of each has a byte that is zero: no text is taken for numbers."""


def read(files: DatabaseFiles, file: int, images: UnreferencedPages, lookup: ByPage) -> Iterator[RecordBatch]:
    """The values in these pages.

    Args:
        files: The files.
        file: The file of the pages.
        images: The pages.
        lookup: Where an overflow page lies.
    """
    buffer = files.buffers[file]
    images = images.take(np.argsort(images.at, kind="stable"))
    pages = images.pages
    parsed = parse(buffer, pages, files.page_size, files.usable, images.lead)
    files.accounts.add(file, *parsed.fixed)
    files.accounts.add_header(file, pages)
    sound, names = structure.sound_keys(buffer, parsed.keys)
    files.accounts.add_keys(file, parsed.keys.take(sound), names)
    local, spilled = parsed.cells.take(parsed.cells.next == 0), parsed.cells.take(parsed.cells.next > 0)
    table_rows, faults = local_rows(files, file, pages, local)
    files.accounts.add_rows(table_rows)
    page = np.delete(local.page, faults)
    yield from rows.batches(replace(table_rows, state=images.state[page]), images.row[page], visible=False)

    def lookup_cells(numbers: Ints, cells: Ints) -> tuple[Ints, Ints]:
        return lookup(numbers, pages.at[spilled.page[cells]])

    file_of_cell = np.full(spilled.page.size, file, np.int64)
    parts, whole = overflow.follow(files.buffers, spilled, file_of_cell, lookup_cells, files.claims, files.usable)
    malformed = local.take(faults)
    files.accounts.add_chains(parts, _own_parts(file, images, parsed, parts), np.zeros(parts.row.size, np.bool_))
    if whole.size:
        table_rows, faults = assembled_rows(
            files, spilled, parts, whole, pages.number[spilled.page], images.state[spilled.page]
        )
        files.accounts.add_rows(table_rows)
        page = np.delete(spilled.page, faults)
        yield from rows.batches(table_rows, images.row[page], visible=False)
        malformed = Cells.concatenate([malformed, spilled.take(faults)])
    yield from _tails(files, images, parts, spilled.page[parts.row])
    start, end = _unclaimed(files, file, images, parsed)
    if ledger.enabled:
        rest = structure.reserved(buffer, pages, files.page_size, files.usable)
        odd = parsed.keys.take(~sound)
        start = np.concatenate((start, rest.start, odd.payload))
        end = np.concatenate((end, rest.end, odd.payload + odd.local))
    start = np.concatenate((start, malformed.payload))
    end = np.concatenate((end, malformed.payload + malformed.local))
    page = np.maximum(np.searchsorted(pages.at, start, "right") - 1, 0)
    if start.size:
        yield from search(files, file, start, end, images.rest[page], pages.number[page], images.state[page])


def _tails(files: DatabaseFiles, images: UnreferencedPages, parts: PayloadParts, page: Ints) -> Iterator[RecordBatch]:
    """The values behind the payloads in overflow pages. page: the row of `images` that each part's cell lies in."""
    for source in range(len(files.buffers)):
        tails = (parts.rest > 0) & (parts.file == source)
        at, own = (parts.at + parts.size)[tails], page[tails]
        unknown = np.full(own.size, UNKNOWN, np.int64)
        yield from search(files, source, at, at + parts.rest[tails], images.rest[own], unknown, images.state[own])


def in_cells(parts: PayloadParts) -> Bools:
    """Which parts of payloads lie in the cells: the first of each."""
    first = np.ones(parts.row.size, np.bool_)
    np.not_equal(parts.row[1:], parts.row[:-1], out=first[1:])
    return first


def _own_parts(file: int, images: UnreferencedPages, parsed: Parsed, parts: PayloadParts) -> Bools:
    """Which parts of payloads lie in cells, or in pages that were read here and are of no tree."""
    page = np.maximum(np.searchsorted(images.at, parts.at, "right") - 1, 0)
    own: Bools = in_cells(parts)
    if images.at.size:
        own |= (parts.file == file) & (images.at[page] == parts.at - 4) & ~parsed.tree[page] & ~parsed.damaged[page]
    return own


def local_rows(files: DatabaseFiles, file: int, pages: Pages, cells: Cells) -> tuple[rows.Rows, Ints]:
    """The rows of cells without overflow pages, and which of the cells are no rows."""
    candidates = records.decode(files.buffers[file], cells.payload, cells.local, cells.size, files.columns.count)
    good = candidates.good & (cells.local == cells.size) & candidates.numeric(files.columns.numbers)
    sound = cells.take(good)
    table_rows = rows.Rows(
        records=candidates.take(good),
        available=sound.local,
        rowid=sound.rowid,
        page=pages.number[sound.page],
        state=np.zeros(sound.page.size, np.uint8),
        columns=files.columns,
        sources=files.sources,
        file=file,
    )
    return table_rows, np.flatnonzero(~good)


def assembled_rows(
    files: DatabaseFiles, cells: Cells, parts: PayloadParts, whole: Bools, numbers: Ints, state: NDArray[np.uint8]
) -> tuple[rows.Rows, Ints]:
    """The rows of cells with overflow pages, and which of the cells are no rows.

    Args:
        files: The files.
        cells: The cells.
        parts: The parts of their payloads.
        whole: Which payloads are whole.
        numbers: The page of each cell.
        state: Bits of State of each cell.
    """
    assembled = Assembled(files.buffers, parts, whole.size, files.work_dir)
    candidates = records.decode(
        assembled.buffer, assembled.at, np.minimum(assembled.size, cells.local), cells.size, files.columns.count
    )
    good = candidates.good & candidates.numeric(files.columns.numbers)
    table_rows = rows.Rows(
        records=candidates.take(good),
        available=assembled.size[good],
        rowid=cells.rowid[good],
        page=numbers[good],
        state=state[good],
        columns=files.columns,
        sources=files.sources,
        assembled=assembled,
    )
    return table_rows, np.flatnonzero(~good)


def _unclaimed(files: DatabaseFiles, file: int, images: UnreferencedPages, parsed: Parsed) -> tuple[Ints, Ints]:
    """The stretches outside the overflow pages of rows."""
    page = np.searchsorted(images.pages.at, parsed.start, "right") - 1
    free = files.claims.free(np.full(page.size, file, np.int64), images.pages.at[page])
    free |= parsed.tree[page]
    return parsed.start[free], parsed.end[free]


def search(
    files: DatabaseFiles,
    file: int,
    start: Ints,
    end: Ints,
    place: NDArray[np.uint8],
    number: Ints,
    state: NDArray[np.uint8] | None = None,
    *,
    inner: bool = False,
) -> Iterator[RecordBatch]:
    """The values in stretches of one file.

    Args:
        files: The files.
        file: The file of the stretches.
        start: Where they begin.
        end: Where they end.
        place: The place of each.
        number: The page of each.
        state: Bits of State of each; none where None.
        inner: Whether they are parts of payloads with overflow pages.
    """
    buffer = files.buffers[file]
    for value in np.unique(place).tolist():
        same_place = place == value
        values, shares = residue.search(
            buffer, start[same_place], end[same_place], files.columns, files.usable, files.structure
        )
        files.accounts.searched(file, start[same_place], end[same_place], shares, inner=inner)
        if not values:
            continue
        batch = carve.batch(buffer, files.sources[file], sorted(values, key=lambda row: row.value_at), Place(value))
        order = np.argsort(start[same_place], kind="stable")
        owner = order[np.searchsorted(start[same_place][order], batch.value_at, "right") - 1]
        page = number[same_place][owner]
        flags = batch.state if state is None else batch.state | state[same_place][owner]
        yield replace(batch, page=page, state=flags)


def lead(buffer: Buffer, pages: Pages, size: int, usable: int) -> Ints:
    """Bytes to leave out at the beginning of pages that are no b-tree pages.

    The number of the next overflow page; of a trunk page of a freelist the numbers of free pages, and those behind them
    that its count no longer reaches (fileformat2.html, section 1.5).

    Args:
        buffer: The file.
        pages: The page images.
        size: Pages of the database.
        usable: Bytes of a page without the reserved ones.
    """
    head = buffer.words(pages.at)
    following: Ints = np.where(file_format.be32(head) <= size, 4, 0)
    if size >= MOST_NUMBERED:
        return following
    count = file_format.be32(head, 4)
    trunk = (following > 0) & (count > 0) & (8 + 4 * count <= usable)
    for row in np.flatnonzero(trunk).tolist():
        words = np.frombuffer(buffer.slice(int(pages.at[row]), usable & ~3), ">u4")[2:]
        listed = int(np.argmin(np.append((words > 0) & (words <= size), False)))
        numbers = words[: count[row]]
        if listed >= numbers.size == np.unique(numbers).size:
            following[row] = 8 + 4 * listed
    return following
