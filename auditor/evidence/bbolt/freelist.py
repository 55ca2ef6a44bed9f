"""A stored freelist against the trees: what `bbolt check` fails, is no sound database.

Every page below the high-water mark is reached by the root or named by the freelist, once and not both: bbolt writes
over a page that is named. Sources: bbolt tx_check.go, internal/freelist (Read), internal/common/page.go.
"""

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.evidence.bbolt.elements import ELEMENT
from auditor.evidence.bbolt.meta import HEADER
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.gaps import listed
from auditor.model.evidence import Gap
from auditor.model.vocabulary import PageKind

SLOT = 8
"""Bytes of a page id."""
MANY = 0xFFFF
"""The count of a freelist page that has its count in the first slot instead (FreelistPageCount)."""
_IN_USE = "the freelist names it as free, and it is in use: etcd would write over it"
_TWICE = "the freelist names it twice"
_LOST = "no root reaches it, and the freelist does not name it"


def check(walker: Walker) -> None:
    """Add gaps of the walker where its freelist and its trees, which were walked, do not agree.

    A database without a stored freelist is sound in this: bbolt makes the list anew from the trees.
    """
    page = walker.meta.freelist
    if not 2 <= page < walker.pages or walker.kinds[page] != PageKind.FREELIST:
        return  # not stored, or a gap already
    ids = _ids(walker, page)
    if ids is None:
        walker.gap(page, "the ids that it counts do not fit into its pages")
        return
    outside = (ids < 2) | (ids >= walker.meta.high_water)
    if count := int(outside.sum()):
        walker.gap(page, f"{count:,} of its ids are outside 2..{walker.meta.high_water - 1}")
    named, times = np.unique(ids[~outside & (ids < walker.pages)], return_counts=True)
    free = np.zeros(walker.total, np.bool_)
    free[named] = True
    unreached = walker.kinds == PageKind.FREED
    damaged = bool(walker.gaps)  # what a page that was not read leads to is lost with it
    _gaps(walker, named[~unreached[named]], _IN_USE)
    _gaps(walker, named[times > 1], _TWICE)
    if not damaged:
        _gaps(walker, np.flatnonzero(unreached & ~free), _LOST)


def _ids(walker: Walker, page: int) -> Ints | None:
    """The page ids of a freelist; None where they do not fit into its run."""
    start = page * walker.page_size
    cell = start // ELEMENT
    order = walker.meta.order
    count = int(walker.cells[cell].view(order + "u2")[5])
    end = start + (int(walker.cells[cell, 3]) + 1) * walker.page_size
    first = start + HEADER
    if count == MANY:
        count = int(walker.ids[cell + 1, 0])
        first += SLOT
    if first + SLOT * count > end:
        return None
    stored = walker.buffer.data[first : first + SLOT * count].view(order + "u8")
    ids: Ints = np.minimum(stored, np.uint64(1 << 62)).astype(np.int64)
    return ids


def _gaps(walker: Walker, pages: Ints, reason: str) -> None:
    size = walker.page_size

    def one(page: int) -> Gap:
        return Gap(walker.source, page * size, size, f"page {page} at offset {page * size}: {reason}")

    def rest(more: Ints) -> Gap:
        return Gap(walker.source, 0, more.size * size, f"{more.size:,} more pages, not listed: {reason}")

    walker.gaps += listed(pages, one, rest)
