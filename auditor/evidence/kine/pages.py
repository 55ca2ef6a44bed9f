"""Pages of a SQLite file as columns: their cells, and their unallocated stretches.

Format: sqlite.org fileformat2.html, section 1.6 (B-tree Pages).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints, Words
from auditor.arrays.parallel import ranges
from auditor.evidence.kine import file_format, records
from auditor.evidence.kine.file_format import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF
from auditor.evidence.ledger import Intervals

MOST_POINTED = 8192
"""The largest page in which no pointer equals two letters of text."""


@dataclass(frozen=True, slots=True)
class Pages(Columns):
    """Page images of one file: columns of shape (n,)."""

    number: Ints
    at: Ints
    """Offset of the image."""


@dataclass(frozen=True, slots=True)
class Cells(Columns):
    """Cells of table leaves: columns of shape (n,)."""

    page: Ints
    """The row of Pages."""
    rowid: Ints
    payload: Ints
    """Offset of the payload."""
    size: Ints
    """Bytes of the payload."""
    local: Ints
    """Bytes of it that lie in the cell."""
    next: Ints
    """The first overflow page, 0 for none."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The contents of page images."""

    cells: Cells
    """The cells of table leaves."""
    fixed: Intervals
    """What is structure: heads of pages and cells, pointers, heads of freeblocks, links. Not ascending."""
    start: Ints
    """Where stretches begin that are neither structure nor cell."""
    end: Ints
    keys: Cells
    """The cells of pages of indexes."""
    tree: Bools
    """Which pages are sound b-tree pages."""
    damaged: Bools
    """Which pages look like b-tree pages and do not hold together."""


def parse(buffer: Buffer, pages: Pages, page_size: int, usable: int, lead: Ints | None = None) -> Parsed:
    """The contents of b-tree pages; a page of another kind is one stretch.

    Args:
        buffer: The file.
        pages: The page images, by ascending offset.
        page_size: Bytes of a page.
        usable: Bytes of it without the reserved ones.
        lead: Bytes of each page before its stretch; None for the pages of a tree.
    """
    heads = _headers(buffer, pages, page_size, usable)
    kind, body, limit, sound = heads.kind, heads.body, heads.limit, heads.sound
    damaged = heads.btree & ~sound
    # columns of one row a cell, by its pointer: `row` is its page's
    row = np.repeat(np.arange(pages.at.size), heads.count)
    pointed = ranges(heads.pointers, heads.count, 2)
    begin = pages.at[row] + file_format.be16(buffer.words(pointed))
    start, end, cells, good = _cells(buffer, kind[row], begin, row, limit[row], usable)
    good &= (begin >= body[row]) & (end <= limit[row])
    indexed = np.isin(kind[row], (INDEX_INTERIOR, INDEX_LEAF))
    if lead is not None:  # no tree leads here: one changed byte makes an index of a page of rows
        index = np.flatnonzero(good & indexed)
        keys = cells.take(index)
        good[index] = records.decode(buffer, keys.payload, keys.local, keys.size, records.INDEXED).good
    good &= ~_overlapping(start, end, good)
    damaged[row[~good]] = True
    free_at, free_end, free_bad = _freeblocks(buffer, pages, heads.words, sound, body, limit)
    damaged[free_bad] = True
    first = np.where(sound, body, pages.at if lead is None else pages.at + lead)
    # what accounts for bytes: cells, the heads of freeblocks, the reserved bytes of each page
    known_at = np.concatenate((start[good], free_at, limit))
    known_end = np.concatenate((end[good], free_end, pages.at + page_size))
    known_page = np.concatenate((row[good], np.searchsorted(pages.at, free_at, "right") - 1, np.arange(heads.top.size)))
    begins, ends = unpointed, _ = _between(first, known_at, known_end, known_page, limit)
    if usable <= MOST_POINTED:
        begins = _behind_pointers(buffer, begins, ends, pages.at, body, usable)
    led = ~sound & (pages.number != 1)
    others = ((pages.at[led], first[led]), (free_at, free_end), (unpointed, begins))
    fixed = (*_heads(heads, row, pointed, good), *_cell_heads(cells.take(good), start[good]), *others)
    return Parsed(
        cells=cells.take(good & (kind[row] == TABLE_LEAF)),
        keys=cells.take(good & indexed),
        fixed=Intervals(*(np.concatenate(column) for column in zip(*fixed, strict=True))),
        start=begins,
        end=ends,
        tree=heads.btree & ~damaged,
        damaged=damaged,
    )


@dataclass(frozen=True, slots=True)
class _Heads:
    """Columns of one row a page."""

    words: Words
    """The first eight bytes of its header."""
    kind: Ints
    count: Ints
    """Its cells; 0 where they have no room."""
    top: Ints
    """Where its header begins."""
    pointers: Ints
    """Where its cell pointers begin."""
    body: Ints
    """The first byte behind them."""
    limit: Ints
    """The position behind the last usable byte."""
    btree: Bools
    """Whether it says that it is a b-tree page, and lies whole in the file."""
    sound: Bools
    """Whether it is one, and has room for the pointers."""


def _headers(buffer: Buffer, pages: Pages, page_size: int, usable: int) -> _Heads:
    """The headers of pages. Arguments: as of parse()."""
    top = pages.at + np.where(pages.number == 1, file_format.HEADER, 0)
    words = buffer.words(top)
    kind = (words & np.uint64(0xFF)).astype(np.int64)
    btree = np.isin(kind, (INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF)) & (pages.number > 0)
    btree &= pages.at + page_size <= buffer.size
    interior = (kind == INDEX_INTERIOR) | (kind == TABLE_INTERIOR)
    count = np.where(btree, file_format.be16(words, 3), 0)
    pointers = top + np.where(interior, 12, 8)
    body = pointers + 2 * count
    limit = pages.at + usable
    fits = body <= limit
    return _Heads(
        words=words,
        kind=kind,
        count=np.where(fits, count, 0),
        top=top,
        pointers=pointers,
        body=body,
        limit=limit,
        btree=btree,
        sound=btree & fits,
    )


def _heads(heads: _Heads, row: Ints, pointed: Ints, good: Bools) -> Iterator[tuple[Ints, Ints]]:
    """The headers of b-tree pages, and the pointers to cells that are possible: starts and ends.

    Args:
        heads: Of all pages.
        row: The page of each cell.
        pointed: Where the pointer to each cell lies.
        good: Which cells are possible.
    """
    whole = heads.sound.copy()
    whole[row[~good]] = False
    partly = heads.sound & ~whole
    yield heads.top[whole], heads.body[whole]
    yield heads.top[partly], heads.pointers[partly]
    single = pointed[good & ~whole[row]]
    yield single, single + 2


def _cell_heads(cells: Cells, start: Ints) -> Iterator[tuple[Ints, Ints]]:
    """What is structure in cells: sizes, row ids and children before the payload, and the link behind it."""
    yield start, cells.payload
    linked = cells.next > 0
    behind = (cells.payload + cells.local)[linked]
    yield behind, behind + 4


def _behind_pointers(buffer: Buffer, start: Ints, end: Ints, page_at: Ints, body: Ints, usable: int) -> Ints:
    """The starts of stretches, moved behind stale cell pointers."""
    start = start.copy()
    page = np.searchsorted(page_at, start, "right") - 1
    rows = np.flatnonzero(start == body[page])
    while rows.size:
        pointer = file_format.be16(buffer.words(start[rows]))
        rows = rows[(pointer >= 8) & (pointer < usable) & (start[rows] + 2 <= end[rows])]
        start[rows] += 2
    return start


def _cells(
    buffer: Buffer, kind: Ints, begin: Ints, row: Ints, limit: Ints, usable: int
) -> tuple[Ints, Ints, Cells, Bools]:
    """Start and end of each cell, the cells as columns, and which of them are possible."""
    after = begin + np.where((kind == TABLE_INTERIOR) | (kind == INDEX_INTERIOR), 4, 0)
    words = buffer.words(after)
    number, width = file_format.varints(words)
    good = (width > 0) & (begin < limit)
    table = kind == TABLE_LEAF
    rowid, second = file_format.varints(buffer.words(after + width))
    good &= ~table | (second > 0)
    payload = after + width + np.where(table, second, 0)
    size = np.where(kind == TABLE_INTERIOR, 0, number)
    good &= size < 1 << 40
    size = np.where(good, size, 0)
    local = np.where(table, file_format.local(size, usable, table=True), file_format.local(size, usable, table=False))
    spilled = local < size
    end = np.maximum(payload + local + np.where(spilled, 4, 0), begin + 4)
    good &= end <= limit
    following = np.where(spilled & good, file_format.be32(buffer.words(np.where(good, payload + local, 0))), 0)
    cells = Cells(page=row, rowid=rowid, payload=payload, size=size, local=local, next=following)
    return begin, end, cells, good


def _overlapping(start: Ints, end: Ints, good: Bools) -> Bools:
    """Which good cells begin before an earlier one ends."""
    rows = np.flatnonzero(good)
    order = rows[np.argsort(start[rows], kind="stable")]
    reach = np.maximum.accumulate(end[order])
    bad = np.zeros(start.shape, np.bool_)
    bad[order[1:]] = start[order[1:]] < reach[:-1]
    return bad


def _freeblocks(
    buffer: Buffer, pages: Pages, head: Words, sound: Bools, body: Ints, limit: Ints
) -> tuple[Ints, Ints, Ints]:
    """The four bytes of structure of every freeblock, and the pages with a broken chain of them."""
    at, bad = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    rows = np.flatnonzero(sound)
    place = pages.at[rows] + file_format.be16(head[rows], 1)
    rows, place = rows[place > pages.at[rows]], place[place > pages.at[rows]]
    while rows.size:
        fits = (place >= body[rows]) & (place + 4 <= limit[rows])
        bad.append(rows[~fits])
        rows, place = rows[fits], place[fits]
        at.append(place)
        following = pages.at[rows] + file_format.be16(buffer.words(place))
        going = following > place  # they ascend, so that a chain ends within its page
        bad.append(rows[~going & (following > pages.at[rows])])
        rows, place = rows[going], following[going]
    blocks = np.concatenate(at)
    blocks.sort()
    return blocks, blocks + 4, np.concatenate(bad)


def _between(first: Ints, start: Ints, end: Ints, page: Ints, limit: Ints) -> tuple[Ints, Ints]:
    """The bytes of each page from `first` on outside these stretches."""
    order = np.lexsort((start, page))
    start, end, page = start[order], end[order], page[order]
    # pages do not overlap in their file and ascend in it, so that one running maximum serves them all
    reach = np.maximum.accumulate(end) if end.size else end
    before = np.concatenate((first[:1], reach[:-1])) if end.size else end
    first_of_page = np.ones(page.size, np.bool_)
    np.not_equal(page[1:], page[:-1], out=first_of_page[1:])
    before = np.where(first_of_page, first[page], np.maximum(before, first[page]))
    stop = np.minimum(start, limit[page])
    nonempty = stop > before
    return before[nonempty], stop[nonempty]
