"""Runs: a page with a header and its overflow pages. Their elements, and the bytes that no element accounts for.

Unlike tree.py this module needs no root: it reads freed pages as what they were, and the slack of all pages.
Format: bbolt internal/common/page.go and inode.go; layout of freed pages: tx.go (write), internal/freelist.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks, ranges
from auditor.evidence.bbolt.elements import ELEMENT, Leaves, Spans, overlaps, valid_elements
from auditor.evidence.bbolt.meta import BODY, HEADER
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


def gaps_between(walker: Walker, runs: Runs, elements: Sequence[Spans]) -> tuple[Ints, Ints]:
    """Start and end of the ranges in these runs that neither header, element table nor payload accounts for.

    Args:
        walker: The walker of their file.
        runs: The runs.
        elements: The elements of these runs' leaf pages.
    """
    payloads = [*elements, *_branch_keys(walker, runs.take(runs.kinds == PageKind.BRANCH))]
    # runs are disjoint and ascend, payloads are disjoint inside them: sorted, the n-th start pairs with the n-th end
    starts = np.concatenate((_payload_starts(walker, runs), *(spans.end for spans in payloads)))
    starts.sort()
    ends = np.concatenate((runs.ends * walker.page_size, *(spans.start for spans in payloads)))
    ends.sort()
    nonempty = ends > starts
    return starts[nonempty], ends[nonempty]


def _payload_starts(walker: Walker, runs: Runs) -> Ints:
    """The position behind header and element table of each run."""
    begin, end = runs.pages * walker.page_size, runs.ends * walker.page_size
    table = np.full(begin.shape, HEADER)
    with_table = np.isin(runs.kinds, (PageKind.LEAF, PageKind.BRANCH))
    table[with_table] += ELEMENT * runs.counts[with_table]
    freelists = runs.kinds == PageKind.FREELIST
    table[freelists] += 8 * _freelist_slots(walker, runs.take(freelists))
    table[runs.kinds == PageKind.META] += BODY
    table[begin + table > end] = HEADER  # a count that does not fit is ignored
    begin += table
    return begin


def _freelist_slots(walker: Walker, runs: Runs) -> Ints:
    """Slots of freelist runs: with a count of MANY the first slot holds the real one."""
    stored = walker.ids[runs.pages * (walker.page_size // ELEMENT) + 1, 0]
    return np.where(runs.counts < MANY, runs.counts, np.minimum(stored, np.uint64(1 << 40)).astype(np.int64) + 1)


def _branch_keys(walker: Walker, runs: Runs) -> Iterator[Spans]:
    """The keys of branch runs."""
    size = walker.page_size
    runs = runs.take(HEADER + ELEMENT * runs.counts <= (runs.ends - runs.pages) * size)
    for part in chunks(runs.pages.size, PORTION):
        pages, counts = runs.pages[part], runs.counts[part]
        cells = ranges(pages * (size // ELEMENT) + 1, counts)
        pos, key_len = walker.cells[cells][:, :2].astype(np.int64).T
        at = cells * ELEMENT + pos
        end = np.repeat(runs.ends[part] * size, counts)
        table = np.repeat(pages * size + HEADER + ELEMENT * counts, counts)
        owner = np.repeat(np.arange(pages.size), counts)
        valid = (at >= table) & (at + key_len <= end)
        valid[valid] = ~overlaps(owner[valid], (at - table)[valid], (at + key_len - table)[valid])
        yield Spans(at[valid], (at + key_len)[valid], pages[owner[valid]])
