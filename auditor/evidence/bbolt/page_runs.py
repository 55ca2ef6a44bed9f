"""Runs: a page with a header and its overflow pages, and the elements of those that are leaves.

Unlike tree.py this module needs no root: it reads freed pages as what they were.
Format: bbolt internal/common/page.go and inode.go; layout of freed pages: tx.go (write), internal/freelist.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import ranges
from auditor.evidence.bbolt.elements import ELEMENT, Leaves, overlaps, valid_elements
from auditor.evidence.bbolt.meta import HEADER
from auditor.evidence.bbolt.tree import Walker
from auditor.model.vocabulary import PageKind

MANY = 0xFFFF
"""The count of a freelist page that has its count in the first slot instead (page.go, FreelistPageCount)."""
PORTION = 1 << 10
"""Branch pages, of some hundred elements, that are read as one chunk."""


@dataclass(frozen=True, slots=True)
class Runs(Columns):
    """n runs, ascending and disjoint; columns of shape (n,)."""

    pages: Ints
    """Page id of the first page."""
    kinds: NDArray[np.uint16]
    """The header's flags: a PageKind."""
    counts: NDArray[np.uint32]
    """Elements that the header claims."""
    ends: Ints
    """Page id behind the last page."""
    whole: Bools
    """Whether the run still has all the overflow pages that the header claims."""


class Elements(NamedTuple):
    """The valid elements of leaf runs."""

    leaves: Leaves
    owner: Ints
    """Row of each element's run."""
    cut: Bools
    """Which values go on behind their run's end."""
    sound: Bools
    """Which runs have valid elements only; shape (runs,)."""


def live_runs(walker: Walker) -> Runs:
    """The runs of the walker's tree, its freelist and its metas among them."""
    pages = np.flatnonzero(np.isin(walker.kinds, (PageKind.BRANCH, PageKind.LEAF, PageKind.FREELIST, PageKind.META)))
    return _runs(walker, pages, walker.kinds[pages].astype(np.uint16))


def stale_runs(walker: Walker, pages: Ints) -> Runs:
    """The runs that still begin in these pages, which no root reaches; a META among them is a stale header."""
    header = walker.cells[pages * (walker.page_size // ELEMENT)]
    pgid = header.view(walker.meta.order + "u8")[:, 0].astype(np.int64)
    kinds = header.view(walker.meta.order + "u2")[:, 4].astype(np.uint16)
    valid = (pgid == pages) & np.isin(kinds, (PageKind.BRANCH, PageKind.LEAF, PageKind.META, PageKind.FREELIST))
    return _runs(walker, pages[valid], kinds[valid], within=pages)


def _runs(walker: Walker, pages: Ints, kinds: NDArray[np.uint16], within: Ints | None = None) -> Runs:
    """The runs at these pages: each ends before the next one, and before a page outside `within`, if given."""
    # header: pgid as two words, flags and count in one, overflow
    header = walker.cells[pages * (walker.page_size // ELEMENT)]
    counts = header.view(walker.meta.order + "u2")[:, 5].astype(np.uint32)
    claims = pages + np.where(kinds == PageKind.META, 1, header[:, 3].astype(np.int64) + 1)
    boundary = np.zeros(walker.total + 1, np.bool_)
    boundary[-1] = True
    if within is not None:
        boundary[:-1] = True
        boundary[within] = False
    boundary[pages] = True
    edges = np.flatnonzero(boundary)
    ends = np.minimum(claims, edges[np.searchsorted(edges, pages, "right")])
    return Runs(pages, kinds, counts, ends, ends == claims)


def elements(walker: Walker, runs: Runs) -> Elements:
    """The elements of leaf runs, each checked against its own run's bytes."""
    size = walker.page_size
    readable = (runs.kinds == PageKind.LEAF) & (HEADER + ELEMENT * runs.counts <= (runs.ends - runs.pages) * size)
    sound = readable | (runs.kinds != PageKind.LEAF)
    rows = np.flatnonzero(readable)
    starts, counts, ends = runs.pages[readable], runs.counts[readable], runs.ends[readable]
    # from here on a row is an element: its cell of 16 bytes, its run, and where that run ends
    cells = ranges(starts * (size // ELEMENT) + 1, counts)
    owner, end = np.repeat(rows, counts), np.repeat(ends * size, counts)
    flags, pos, key_len, value_len = walker.cells[cells].astype(np.int64).T
    key_at = cells * ELEMENT + pos
    value_at = key_at + key_len
    table = np.repeat(starts * size + HEADER + ELEMENT * counts, counts)
    # in a run without its end, only the beginning of a value must lie inside
    needed = np.where(np.repeat(runs.whole[readable], counts), value_at + value_len, value_at)
    valid = valid_elements(flags, key_len, key_at, needed, table, end)
    valid[valid] = ~overlaps(owner[valid], (key_at - table)[valid], (value_at + value_len - table)[valid])
    sound[owner[~valid]] = False
    cut = (value_at + value_len > end)[valid]
    length = np.where(cut, (end - value_at)[valid], value_len[valid])
    page = np.repeat(starts, counts)[valid]
    leaves = Leaves.of(
        flags=flags[valid],
        key_at=key_at[valid],
        key_len=key_len[valid],
        value_at=value_at[valid],
        value_len=length,
        page=page,
    )
    return Elements(leaves, owner[valid], cut, sound)
