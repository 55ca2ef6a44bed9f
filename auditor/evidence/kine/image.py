"""The pages that make up a SQLite database, out of its file and its WAL: its trees, and its freelist.

Format: sqlite.org fileformat2.html, section 1.6 (B-tree Pages), 1.5 (The Freelist).
"""

from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints, Words
from auditor.arrays.parallel import ranges
from auditor.evidence.gaps import listed
from auditor.evidence.kine import file_format
from auditor.evidence.kine.file_format import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF
from auditor.evidence.kine.pages import Pages

NOWHERE = 65535
"""In the place of a file: the page is in none."""


class Image:
    """The pages of a database, by number from 1.

    where: the index of a page's file, NOWHERE for none; at: the offset of its image.
    """

    def __init__(self, files: tuple[Buffer, ...], size: int, page_size: int, usable: int) -> None:
        self.files = files
        self.size, self.page_size, self.usable = size, page_size, usable
        self.where = np.full(size + 1, NOWHERE, np.uint16)
        self.at = np.zeros(size + 1, np.int64)

    def put(self, file: int, pages: Pages) -> None:
        """Read these pages from a file."""
        inside = (pages.number > 0) & (pages.number <= self.size)
        self.where[pages.number[inside]] = file
        self.at[pages.number[inside]] = pages.at[inside]

    def has(self, numbers: Ints) -> Bools:
        inside = (numbers > 0) & (numbers <= self.size)
        present: Bools = inside & (self.where[np.where(inside, numbers, 0)] != NOWHERE)
        return present

    def words(self, numbers: Ints, offset: Ints) -> Words:
        """Eight bytes at an offset of each page."""
        words = np.zeros(numbers.shape, np.uint64)
        for file, buffer in enumerate(self.files):
            same_file = self.where[numbers] == file
            words[same_file] = buffer.words(self.at[numbers[same_file]] + offset[same_file])
        return words

    def of(self, file: int, mask: Bools) -> Pages:
        """The pages of a mask that lie in one file, by ascending offset."""
        numbers = np.flatnonzero(mask & (self.where == file))
        order = np.argsort(self.at[numbers], kind="stable")
        return Pages(numbers[order], self.at[numbers[order]])


@dataclass(frozen=True, slots=True)
class Tree:
    """The pages of one b-tree, by number."""

    leaves: Ints
    interior: Ints
    faults: tuple[tuple[int, str], ...]
    """Page number and reason."""


def walk(image: Image, root: int, referenced: Bools, *, table: bool = True) -> Tree:
    """The b-tree under a root, level by level.

    Args:
        image: The database.
        root: The number of the root page.
        referenced: A mask of the pages that something refers to; this tree's are added.
        table: Whether it is a table's tree, else an index's; a page of the other kind is a fault.
    """
    leaf_kind, inner_kind = (TABLE_LEAF, TABLE_INTERIOR) if table else (INDEX_LEAF, INDEX_INTERIOR)
    frontier = np.array([root], np.int64)
    leaves, interior = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    faults: list[tuple[int, str]] = []
    while frontier.size:
        frontier, first = np.unique(frontier, return_index=True)[0], frontier
        if frontier.size < first.size:
            faults.append((int(first[0]), "a page is named twice in one level of a b-tree"))
        present = image.has(frontier)
        _list(faults, frontier[~present], "is named by a b-tree and is not in the file")
        frontier = frontier[present]
        repeated = referenced[frontier]
        _list(faults, frontier[repeated], "is named by a b-tree, and by something else already")
        frontier = frontier[~repeated]
        referenced[frontier] = True
        top = np.where(frontier == 1, file_format.HEADER, 0)
        head = image.words(frontier, top)
        kind = (head & np.uint64(0xFF)).astype(np.int64)
        leaf, inner = kind == leaf_kind, kind == inner_kind
        _list(faults, frontier[~leaf & ~inner], "is named by a b-tree and is none of its pages")
        referenced[frontier[~leaf & ~inner]] = False
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


def freelist(image: Image, trunk: int, referenced: Bools) -> tuple[Ints, Ints, list[tuple[int, str]]]:
    """Trunk pages and leaf pages of the freelist, and faults. referenced: as for walk()."""
    trunks: list[int] = []
    leaves = [np.zeros(0, np.int64)]
    faults: list[tuple[int, str]] = []
    while trunk:
        page = np.array([trunk], np.int64)
        if not image.has(page)[0] or referenced[trunk]:
            faults.append((trunk, f"page {trunk} is named by the freelist and is not free, or not in the file"))
            break
        referenced[trunk] = True
        trunks.append(trunk)
        head = image.words(page, np.zeros(1, np.int64))
        following, count = int(file_format.be32(head)[0]), int(file_format.be32(head, 4)[0])
        if 8 + 4 * count > image.usable:
            faults.append((trunk, f"page {trunk} of the freelist counts {count:,} pages, more than it can hold"))
            count = 0
        leaf_numbers = file_format.be32(image.words(np.repeat(page, count), 8 + 4 * np.arange(count, dtype=np.int64)))
        numbers = np.unique(leaf_numbers)
        if numbers.size < leaf_numbers.size:
            faults.append((trunk, f"page {trunk} of the freelist names a page twice"))
        good = image.has(numbers)
        good[good] = ~referenced[numbers[good]]
        _list(faults, numbers[~good], "is named by the freelist and is not free, or not in the file")
        referenced[numbers[good]] = True
        leaves.append(numbers[good])
        trunk = following
    return np.array(trunks, np.int64), np.concatenate(leaves), faults
