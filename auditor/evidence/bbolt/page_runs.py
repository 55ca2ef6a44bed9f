"""Runs of pages that begin with a header of their own: their elements, and the bytes that no element accounts for.

Unlike tree.py this asks for no root: it reads freed pages as what they were, and the slack of all of them.
Format: bbolt internal/common/page.go and inode.go; what lies where: tx.go (write), internal/freelist.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks, ranges
from auditor.evidence.bbolt.elements import ELEMENT, Leaves, Spans, fitting, overlapping
from auditor.evidence.bbolt.meta import BODY, HEADER
from auditor.evidence.bbolt.tree import Walker
from auditor.model.vocabulary import PageKind

MANY = 0xFFFF
PORTION = 1 << 10
"""Branch pages whose elements, some hundred of each, are looked at together."""


@dataclass(frozen=True, slots=True)
class Runs(Columns):
    """n runs, ascending and apart: first page, kind (uint16), element count (uint32), the page behind the last; (n,).

    whole: whether all the pages that the header claims are still the run's own.
    """

    pages: Ints
    kinds: NDArray[np.uint16]
    counts: NDArray[np.uint32]
    ends: Ints
    whole: Bools


class Elements(NamedTuple):
    """The elements of leaf runs that hold. owner: row of the run; cut: the run ends before the value does.

    sound: which of the runs had no element that does not hold, shape (runs,).
    """

    leaves: Leaves
    owner: Ints
    cut: Bools
    sound: Bools


def live_runs(walker: Walker) -> Runs:
    """The runs that the walker's tree is made of, its freelist and its metas among them."""
    pages = np.flatnonzero(np.isin(walker.kinds, (PageKind.BRANCH, PageKind.LEAF, PageKind.FREELIST, PageKind.META)))
    return _runs(walker, pages, walker.kinds[pages].astype(np.uint16))


def stale_runs(walker: Walker, pages: Ints) -> Runs:
    """The runs that still begin in these pages, which no root reaches; META among them only by a stale header."""
    header = walker.cells[pages * (walker.page_size // ELEMENT)]
    own = header.view(walker.meta.order + "u8")[:, 0].astype(np.int64)
    kinds = header.view(walker.meta.order + "u2")[:, 4].astype(np.uint16)
    good = (own == pages) & np.isin(kinds, (PageKind.BRANCH, PageKind.LEAF, PageKind.META, PageKind.FREELIST))
    return _runs(walker, pages[good], kinds[good], within=pages)


def _runs(walker: Walker, pages: Ints, kinds: NDArray[np.uint16], within: Ints | None = None) -> Runs:
    """A run ends before the next one, and before a page that is not `within` the pages looked at."""
    header = walker.cells[pages * (walker.page_size // ELEMENT)]
    counts = header.view(walker.meta.order + "u2")[:, 5].astype(np.uint32)
    claimed = pages + np.where(kinds == PageKind.META, 1, header[:, 3].astype(np.int64) + 1)
    boundary = np.zeros(walker.total + 1, np.bool_)
    boundary[-1] = True
    if within is not None:
        boundary[:-1] = True
        boundary[within] = False
    boundary[pages] = True
    stops = np.flatnonzero(boundary)
    ends = np.minimum(claimed, stops[np.searchsorted(stops, pages, "right")])
    return Runs(pages, kinds, counts, ends, ends == claimed)


def elements(walker: Walker, runs: Runs) -> Elements:
    """Elements of leaf runs, each checked against its own run's bytes."""
    size = walker.page_size
    fits = (runs.kinds == PageKind.LEAF) & (HEADER + ELEMENT * runs.counts <= (runs.ends - runs.pages) * size)
    sound = fits | (runs.kinds != PageKind.LEAF)
    number = np.flatnonzero(fits)
    starts, counts, ends = runs.pages[fits], runs.counts[fits], runs.ends[fits]
    cells = ranges(starts * (size // ELEMENT) + 1, counts)
    owner, end = np.repeat(number, counts), np.repeat(ends * size, counts)
    flags, pos, key_len, value_len = walker.cells[cells].astype(np.int64).T
    key_at = cells * ELEMENT + pos
    value_at = key_at + key_len
    table = np.repeat(starts * size + HEADER + ELEMENT * counts, counts)
    # of a run that has lost its end, a value may have lost its own
    last = np.where(np.repeat(runs.whole[fits], counts), value_at + value_len, value_at)
    good = fitting(flags, key_len, key_at, last, table, end)
    good[good] = ~overlapping(owner[good], (key_at - table)[good], (value_at + value_len - table)[good])
    sound[owner[~good]] = False
    cut = (value_at + value_len > end)[good]
    length = np.where(cut, (end - value_at)[good], value_len[good])
    page = np.repeat(starts, counts)[good]
    leaves = Leaves.of(flags[good], key_at[good], key_len[good], value_at[good], length, page)
    return Elements(leaves, owner[good], cut, sound)


def gaps_between(walker: Walker, runs: Runs, elements: Sequence[Spans]) -> tuple[Ints, Ints]:
    """Start and end of the stretches of these runs that neither header, element table nor payload accounts for.

    elements: those of these runs' leaf pages.
    """
    payloads = [*elements, *_branches(walker, runs.take(runs.kinds == PageKind.BRANCH))]
    # runs are apart and ascend, payloads lie apart inside them: sorted, the n-th start pairs with the n-th end
    starts = np.concatenate((_bodies(walker, runs), *(each.end for each in payloads)))
    starts.sort()
    ends = np.concatenate((runs.ends * walker.page_size, *(each.start for each in payloads)))
    ends.sort()
    some = ends > starts
    return starts[some], ends[some]


def _bodies(walker: Walker, runs: Runs) -> Ints:
    """Where the payloads of runs begin: behind header and element table."""
    begin, end = runs.pages * walker.page_size, runs.ends * walker.page_size
    table = np.full(begin.shape, HEADER)
    counted = np.isin(runs.kinds, (PageKind.LEAF, PageKind.BRANCH))
    table[counted] += ELEMENT * runs.counts[counted]
    lists = runs.kinds == PageKind.FREELIST
    table[lists] += 8 * _ids(walker, runs.take(lists))
    table[runs.kinds == PageKind.META] += BODY
    table[begin + table > end] = HEADER  # a count that does not fit says nothing
    begin += table
    return begin


def _ids(walker: Walker, runs: Runs) -> Ints:
    """Slots of freelist runs: a count of 0xFFFF says that the first slot holds the real one."""
    real = walker.ids[runs.pages * (walker.page_size // ELEMENT) + 1, 0]
    return np.where(runs.counts < MANY, runs.counts, np.minimum(real, np.uint64(1 << 40)).astype(np.int64) + 1)


def _branches(walker: Walker, runs: Runs) -> Iterator[Spans]:
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
        good = (at >= table) & (at + key_len <= end)
        good[good] = ~overlapping(owner[good], (at - table)[good], (at + key_len - table)[good])
        yield Spans(at[good], (at + key_len)[good], pages[owner[good]])
