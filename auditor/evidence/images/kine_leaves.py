"""Leaf pages of kine's table at any offset of an image, by the values in them.

A page of SQLite's says neither its number nor its size: it is looked for backwards from a value, and accepted where
every cell of it is a row of kine's. Pages of one file, or of one log, stand in equal distances: where one is met, the
others are looked for there first.
Format: sqlite.org fileformat2.html, sections 1.6 (B-tree Pages) and 4.1 (WAL File Format).
"""

from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.kine import file_format, records
from auditor.evidence.kine.pages import Cells, Pages, parse
from auditor.evidence.kine.residue import NAMES
from auditor.evidence.kine.schema import KineColumns
from auditor.evidence.kine.wal import FRAME

COLUMNS = KineColumns()
AT_ONCE = 256
"""Values from which a page is looked for at once, backwards byte by byte."""
WORK = 1 << 27
"""Steps of the search in an image of any size; as many again for each eight bytes of it."""
LEAST_CELL = 6
"""Bytes of a cell and its pointer, at least."""
HEAD = 8
"""Bytes of the header of a leaf page."""
LAYERS = 8
"""How many candidates that overlap each other are looked at."""
FRAGMENTED = 60
"""Fragmented free bytes of a page, at most (section 1.6)."""


class Leaves(NamedTuple):
    """n pages of one size, ascending, and their cells."""

    size: int
    """Bytes of a page."""
    at: Ints
    """Where each page begins, of shape (n,)."""
    cells: Cells
    """Rows of kine's; `page` is the row of `at`."""

    @property
    def start(self) -> Ints:
        """Where the part of each cell begins that lies in its page."""
        return self.cells.payload

    @property
    def end(self) -> Ints:
        """The position behind it."""
        return self.cells.payload + self.cells.local


def read(buffer: Buffer, anchors: Ints, sizes: dict[int, Ints]) -> list[Leaves]:
    """The pages that hold some of these values, by size; those of one size do not overlap.

    Args:
        buffer: The image.
        anchors: Where values begin, ascending.
        sizes: Sizes of pages, and for each where pages of that size may begin.
    """
    found = []
    for size, origins in sizes.items():
        search = _Search(buffer, size)
        search.run(anchors, origins)
        leaves = _cells(buffer, _apart(np.unique(np.concatenate(search.pages)), size), size)
        if leaves.at.size:
            found.append(leaves)
            anchors = anchors[~inside(anchors, leaves.at, size)]
    return found


def inside(at: Ints, pages: Ints, size: int) -> Bools:
    """Which positions lie in a page. pages: where they begin, ascending."""
    row = np.searchsorted(pages, at, "right") - 1
    held: Bools = row >= 0
    held[held] = at[held] - pages[row[held]] < size
    return held


def _apart(pages: Ints, size: int) -> Ints:
    """Pages without those that overlap the one before."""
    kept, end = [], -1
    for at in pages.tolist():
        if at >= end:
            kept.append(at)
            end = at + size
    return np.array(kept, np.int64)


class _Search:
    """Pages of one size: at known distances, and, where that leads to none, backwards from values."""

    def __init__(self, buffer: Buffer, size: int) -> None:
        self._buffer = buffer
        self._size = size
        self._work = WORK + buffer.size // 8
        self._steps: list[tuple[int, int]] = []
        self._tried: set[tuple[int, int]] = set()
        self.pages = [np.zeros(0, np.int64)]

    def run(self, anchors: Ints, origins: Ints) -> None:
        """Look for the pages of all anchors. origins: where pages may begin."""
        for origin in origins.tolist():
            self._add(origin)
        pending = self._by_steps(anchors)
        while pending.size and self._work > 0:
            chunk, pending = pending[:AT_ONCE], pending[AT_ONCE:]
            pages = self._backwards(chunk)
            if pages.size:
                self.pages.append(pages)
                for page in pages.tolist():
                    self._add(page)
                pending = self._by_steps(pending)

    def _add(self, page: int) -> None:
        """Pages of a file, and pages of a log, may stand at multiples of these distances from a page."""
        for step in (self._size, self._size + FRAME):
            if (step, page % step) not in self._tried:
                self._tried.add((step, page % step))
                self._steps.append((step, page % step))

    def _by_steps(self, pending: Ints) -> Ints:
        """The anchors that no page at a known distance holds."""
        while self._steps and pending.size and self._work > 0:
            step, origin = self._steps.pop()
            self._work -= pending.size
            page = pending - (pending - origin) % step
            page = np.unique(page[(page >= 0) & (pending - page < self._size)])
            page = page[_heads(self._buffer, page, self._size)]
            pages = _sound(self._buffer, page, self._size)
            self.pages.append(pages)
            pending = pending[~inside(pending, pages, self._size)]
        return pending

    def _backwards(self, anchors: Ints) -> Ints:
        """The pages that begin within a page's length before the anchors."""
        first = np.maximum(anchors - self._size + 1, 0)
        apart = np.append(True, first[1:] > anchors[:-1])
        begins, ends = first[apart], anchors[np.append(apart[1:], True)]
        self._work -= int((ends - begins).sum()) + AT_ONCE
        marks = [np.zeros(0, np.int64)]
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            marks.append(np.flatnonzero(self._buffer.data[begin:end] == file_format.TABLE_LEAF) + begin)
        at = np.concatenate(marks)
        at = at[_heads(self._buffer, at, self._size)]
        pages = [np.zeros(0, np.int64)]
        for _ in range(LAYERS):
            layer = _apart(at, self._size)
            pages.append(_sound(self._buffer, layer, self._size))
            at = np.setdiff1d(at, layer, assume_unique=True)
        return np.unique(np.concatenate(pages))


def _heads(buffer: Buffer, at: Ints, size: int) -> Bools:
    """Which pages begin as a leaf of a table does."""
    head = buffer.words(at)
    free, count, content = (file_format.be16(head, byte) for byte in (1, 3, 5))
    good = (head & np.uint64(0xFF)).astype(np.int64) == file_format.TABLE_LEAF
    good &= (count > 0) & (count <= size // LEAST_CELL) & (content >= HEAD + 2 * count) & (content < size)
    good &= (free == 0) | ((free >= content) & (free <= size - 4))
    good &= (head >> np.uint64(56)).astype(np.int64) <= FRAGMENTED
    fits: Bools = good & (at + size <= buffer.size)
    return fits


def _sound(buffer: Buffer, at: Ints, size: int) -> Ints:
    """The pages of which every cell is a row of kine's, one with a name of kine's at least."""
    return _cells(buffer, at, size).at


def _cells(buffer: Buffer, at: Ints, size: int) -> Leaves:
    """The pages of which every cell is a row of kine's, and their cells. at: ascending."""
    numbers = np.full(at.size, 2, np.int64)  # of no first page, which begins otherwise
    parsed = parse(buffer, Pages(numbers, at), size, size)
    cells = parsed.cells
    rows = records.decode(buffer, cells.payload, cells.local, cells.size, COLUMNS.count)
    name_at, name_len = rows.text(COLUMNS.name)
    good = rows.good & rows.numeric(COLUMNS.numbers) & (rows.serial[0] == 0) & (name_len > 0) & (cells.rowid > 0)
    good &= name_at + name_len <= cells.payload + cells.local
    named = np.zeros(good.size, np.bool_)
    for text in NAMES:
        named |= buffer.starts_with(name_at, np.maximum(name_len, 0), text)
    good &= named
    sound = parsed.tree & ~parsed.damaged & (np.bincount(cells.page, minlength=at.size) > 0)
    sound[cells.page[~good]] = False
    new = np.cumsum(sound) - 1
    own = cells.take(sound[cells.page])
    return Leaves(size, at[sound], Cells(new[own.page], own.rowid, own.payload, own.size, own.local, own.next))
