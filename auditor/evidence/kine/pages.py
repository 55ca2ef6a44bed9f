"""Pages of a SQLite file as columns: their cells, the stretches that no cell accounts for, and trees of them.

Format: sqlite.org fileformat2.html, section 1.6 (B-tree Pages), 1.5 (The Freelist).
"""

from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints, Words
from auditor.arrays.parallel import ranges
from auditor.evidence.gaps import listed
from auditor.evidence.kine import file_format, records
from auditor.evidence.kine.file_format import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF

MOST_POINTED = 8192
"""Bytes of a page in which a pointer cannot be mistaken for two letters of text."""


@dataclass(frozen=True, slots=True)
class Pages(Columns):
    """Page images of one file: columns of shape (n,). number: of the page; at: offset of its image."""

    number: Ints
    at: Ints


@dataclass(frozen=True, slots=True)
class Cells(Columns):
    """Cells of table leaves: columns. page: row of Pages; payload: where it begins; size: its bytes; local: how many
    of them lie here; next: first overflow page, 0 where there is none.
    """

    page: Ints
    rowid: Ints
    payload: Ints
    size: Ints
    local: Ints
    next: Ints


@dataclass(frozen=True, slots=True)
class Parsed:
    """What page images hold. cells: of the table leaves. start, end: stretches that are neither structure nor cell.

    tree: which pages are b-tree pages that hold; damaged: which look like one and do not hold together.
    """

    cells: Cells
    start: Ints
    end: Ints
    tree: Bools
    damaged: Bools


def parse(buffer: Buffer, pages: Pages, page_size: int, usable: int, lead: Ints | None = None) -> Parsed:
    """Read b-tree pages, ascending by where they lie; a page of another kind is one stretch from byte `lead` of it."""
    top = pages.at + np.where(pages.number == 1, file_format.HEADER, 0)
    head = buffer.words(top)
    kind = (head & np.uint64(0xFF)).astype(np.int64)
    btree = np.isin(kind, (INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF)) & (pages.number > 0)
    btree &= pages.at + page_size <= buffer.size
    interior = (kind == INDEX_INTERIOR) | (kind == TABLE_INTERIOR)
    count = np.where(btree, file_format.be16(head, 3), 0)
    pointers = top + np.where(interior, 12, 8)
    body = pointers + 2 * count
    limit = pages.at + usable
    fits = body <= limit
    count, damaged = np.where(fits, count, 0), btree & ~fits
    row = np.repeat(np.arange(pages.at.size), count)
    begin = pages.at[row] + file_format.be16(buffer.words(ranges(pointers, count, 2)))
    start, end, cells, good = _cells(buffer, kind[row], begin, row, limit[row], usable)
    good &= (begin >= body[row]) & (end <= limit[row])
    if lead is not None:  # no tree leads here: one changed byte makes an index of a page of rows
        index = np.flatnonzero(good & np.isin(kind[row], (INDEX_INTERIOR, INDEX_LEAF)))
        keys = cells.take(index)
        good[index] = records.decode(buffer, keys.payload, keys.local, keys.size, records.INDEXED).good
    good &= ~_overlapping(start, end, good)
    damaged[row[~good]] = True
    free_at, free_end, free_bad = _freeblocks(buffer, pages, head, btree & fits, body, limit)
    damaged[free_bad] = True
    leaf = good & (kind[row] == TABLE_LEAF)
    first = np.where(btree & fits, body, pages.at if lead is None else pages.at + lead)
    known_at = np.concatenate((start[good], free_at, limit))
    known_end = np.concatenate((end[good], free_end, pages.at + page_size))
    known_page = np.concatenate((row[good], np.searchsorted(pages.at, free_at, "right") - 1, np.arange(top.size)))
    begins, ends = _between(first, known_at, known_end, known_page, limit)
    if usable <= MOST_POINTED:
        begins = _behind_pointers(buffer, begins, ends, pages.at, body, usable)
    return Parsed(cells.take(leaf), begins, ends, btree & ~damaged, damaged)


def _behind_pointers(buffer: Buffer, start: Ints, end: Ints, page_at: Ints, body: Ints, usable: int) -> Ints:
    """The starts of stretches, moved behind what earlier cells left in the array of pointers to them."""
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
    """Start and end of each cell, the cells as columns, and which of them can be."""
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
    """Which cells begin before one that begins earlier has ended; those that are no good do not count."""
    rows = np.flatnonzero(good)
    order = rows[np.argsort(start[rows], kind="stable")]
    reach = np.maximum.accumulate(end[order])
    bad = np.zeros(start.shape, np.bool_)
    bad[order[1:]] = start[order[1:]] < reach[:-1]
    return bad


def _freeblocks(
    buffer: Buffer, pages: Pages, head: Words, sound: Bools, body: Ints, limit: Ints
) -> tuple[Ints, Ints, Ints]:
    """The four bytes of structure of every freeblock, and the pages whose chain of them does not hold."""
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
    found = np.concatenate(at)
    found.sort()
    return found, found + 4, np.concatenate(bad)


def _between(first: Ints, start: Ints, end: Ints, page: Ints, limit: Ints) -> tuple[Ints, Ints]:
    """What lies in each page from `first` on outside these stretches."""
    order = np.lexsort((start, page))
    start, end, page = start[order], end[order], page[order]
    # pages do not overlap in their file and ascend in it, so that one running maximum serves them all
    reach = np.maximum.accumulate(end) if end.size else end
    before = np.concatenate((first[:1], reach[:-1])) if end.size else end
    fresh = np.ones(page.size, np.bool_)
    np.not_equal(page[1:], page[:-1], out=fresh[1:])
    before = np.where(fresh, first[page], np.maximum(before, first[page]))
    stop = np.minimum(start, limit[page])
    some = stop > before
    return before[some], stop[some]


class Image:
    """The database that its pages make up: by number, in which file each lies and where. Numbers begin with 1.

    files: the buffers; where: index of the file, 255 where the page is in none; at: offset in it.
    """

    def __init__(self, files: tuple[Buffer, ...], size: int, page_size: int, usable: int) -> None:
        self.files = files
        self.size, self.page_size, self.usable = size, page_size, usable
        self.where = np.full(size + 1, 255, np.uint8)
        self.at = np.zeros(size + 1, np.int64)

    def put(self, file: int, pages: Pages) -> None:
        """These pages are to be read here."""
        inside = (pages.number > 0) & (pages.number <= self.size)
        self.where[pages.number[inside]] = file
        self.at[pages.number[inside]] = pages.at[inside]

    def has(self, numbers: Ints) -> Bools:
        inside = (numbers > 0) & (numbers <= self.size)
        there: Bools = inside & (self.where[np.where(inside, numbers, 0)] != 255)
        return there

    def words(self, numbers: Ints, offset: Ints) -> Words:
        """Eight bytes at an offset of each page."""
        found = np.zeros(numbers.shape, np.uint64)
        for file, buffer in enumerate(self.files):
            mine = self.where[numbers] == file
            found[mine] = buffer.words(self.at[numbers[mine]] + offset[mine])
        return found

    def of(self, file: int, wanted: Bools) -> Pages:
        """The wanted pages (a mask by number) that lie in one file, by where they lie there."""
        numbers = np.flatnonzero(wanted & (self.where == file))
        order = np.argsort(self.at[numbers], kind="stable")
        return Pages(numbers[order], self.at[numbers[order]])


@dataclass(frozen=True, slots=True)
class Tree:
    """The pages of one b-tree. faults: page number and what is wrong."""

    leaves: Ints
    interior: Ints
    faults: tuple[tuple[int, str], ...]


def walk(image: Image, root: int, taken: Bools, *, table: bool = True) -> Tree:
    """Level by level from the root. taken: pages that something holds already, by number; this tree's are added.

    table: its pages are a table's, else an index's. A page of the other kind is a fault: its cells mean something else.
    """
    leaf_kind, inner_kind = (TABLE_LEAF, TABLE_INTERIOR) if table else (INDEX_LEAF, INDEX_INTERIOR)
    frontier = np.array([root], np.int64)
    leaves, interior = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    faults: list[tuple[int, str]] = []
    while frontier.size:
        frontier, first = np.unique(frontier, return_index=True)[0], frontier
        if frontier.size < first.size:
            faults.append((int(first[0]), "a page is named twice in one level of a b-tree"))
        there = image.has(frontier)
        _list(faults, frontier[~there], "is named by a b-tree and is not in the file")
        frontier = frontier[there]
        twice = taken[frontier]
        _list(faults, frontier[twice], "is named by a b-tree, and by something else already")
        frontier = frontier[~twice]
        taken[frontier] = True
        top = np.where(frontier == 1, file_format.HEADER, 0)
        head = image.words(frontier, top)
        kind = (head & np.uint64(0xFF)).astype(np.int64)
        leaf, inner = kind == leaf_kind, kind == inner_kind
        _list(faults, frontier[~leaf & ~inner], "is named by a b-tree and is none of its pages")
        taken[frontier[~leaf & ~inner]] = False
        leaves.append(frontier[leaf])
        interior.append(frontier[inner])
        frontier, top, count = frontier[inner], top[inner], file_format.be16(head[inner], 3)
        fits = top + 12 + 2 * count <= image.usable
        _list(faults, frontier[~fits], "counts more cells than a page holds")
        count = np.where(fits, count, 0)
        owner = np.repeat(frontier, count)
        cell = file_format.be16(image.words(owner, ranges(top + 12, count, 2)))
        inside = cell + 4 <= image.usable
        _list(faults, np.unique(owner[~inside]), "points past its own end")
        children = file_format.be32(image.words(owner[inside], cell[inside]))
        frontier = np.concatenate((children, file_format.be32(image.words(frontier, top + 8))))
    return Tree(np.concatenate(leaves), np.concatenate(interior), tuple(faults))


def _list(faults: list[tuple[int, str]], numbers: Ints, what: str) -> None:
    faults += listed(
        numbers,
        lambda number: (number, f"page {number} {what}"),
        lambda more: (int(more[0]), f"{more.size:,} more pages, not listed: each {what}"),
    )


def freelist(image: Image, trunk: int, taken: Bools) -> tuple[Ints, Ints, list[tuple[int, str]]]:
    """Trunk pages and leaf pages of the freelist, and faults. taken: as for walk()."""
    trunks: list[int] = []
    leaves = [np.zeros(0, np.int64)]
    faults: list[tuple[int, str]] = []
    while trunk:
        here = np.array([trunk], np.int64)
        if not image.has(here)[0] or taken[trunk]:
            faults.append((trunk, f"page {trunk} is named by the freelist and is not free, or not in the file"))
            break
        taken[trunk] = True
        trunks.append(trunk)
        head = image.words(here, np.zeros(1, np.int64))
        following, count = int(file_format.be32(head)[0]), int(file_format.be32(head, 4)[0])
        if 8 + 4 * count > image.usable:
            faults.append((trunk, f"page {trunk} of the freelist counts {count:,} pages, more than it can hold"))
            count = 0
        listed = file_format.be32(image.words(np.repeat(here, count), 8 + 4 * np.arange(count, dtype=np.int64)))
        numbers = np.unique(listed)
        good = image.has(numbers)
        good[good] = ~taken[numbers[good]]
        _list(faults, numbers[~good], "is named by the freelist and is not free, or not in the file")
        taken[numbers[good]] = True
        leaves.append(numbers[good])
        trunk = following
    return np.array(trunks, np.int64), np.concatenate(leaves), faults
