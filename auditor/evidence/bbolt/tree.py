"""The walk through bbolt's trees, a whole level at a time.

Format: bbolt internal/common/page.go, inode.go and bucket.go. Every id, count, offset and length is checked before
it is used; an invalid one becomes a gap, and each page is entered once, so cycles and shared subtrees end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import CHUNK, chunks, parallel_for, ranges
from auditor.evidence.bbolt.elements import ELEMENT, Leaves, overlaps, valid_elements
from auditor.evidence.bbolt.meta import HEADER, NOT_SYNCED, Meta
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Ledger
from auditor.model.evidence import Gap
from auditor.model.vocabulary import PageKind

Shorts: TypeAlias = NDArray[np.uint16]

DEEPEST = 64
"""Levels of a tree, at most."""
OUTSIDE, SHARED = 1, 2
"""Damage of an element: it points outside its page, or into the one before it."""
_NOWHERE = 1 << 62
_DEFECTS = (
    "its header names page {pgid}",
    "expected a branch (01) or leaf (02), found flags {kind:02x}",
    "its {run} pages reach past the last page, {last}",
    "its {count} elements do not fit into {span} bytes",
    "a branch without children",
)
"""Defects of a page; the first that applies is reported."""


@dataclass
class Walker:
    """The pages of one database file under one meta."""

    buffer: Buffer
    meta: Meta
    source: str
    """Name of the file."""
    size: int
    """Bytes of the database, without a trailer."""
    gaps: list[Gap] = field(default_factory=list)
    """Pages that were not read, or not all of them."""
    ledger: Ledger = field(init=False)
    """What is accounted for in the file."""
    page_size: int = field(init=False)
    """Bytes of a page."""
    total: int = field(init=False)
    """Whole pages of the file."""
    pages: int = field(init=False)
    """Pages below the high-water mark."""
    kinds: NDArray[np.uint8] = field(init=False)
    """PageKind of every page, shape (total,); FREED until a walk reaches it."""
    cells: NDArray[np.uint32] = field(init=False)
    """The file as rows of 16 bytes, the size of page headers and elements, shape (n, 4), in the file's byte order."""
    ids: NDArray[np.uint64] = field(init=False)
    """The same as words of 64 bits, shape (n, 2)."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.source, self.buffer.size)
        self.page_size = self.meta.page_size
        self.total = self.size // self.page_size
        self.pages = min(self.meta.high_water, self.total)
        self.kinds = np.full(self.total, PageKind.FREED, np.uint8)
        self.kinds[: min(2, self.pages)] = PageKind.META
        self.kinds[self.pages :] = PageKind.PAST_HIGH_WATER
        u4 = np.dtype(self.meta.order + "u4")
        # page headers and elements start at multiples of 16: 16 = HEADER, and pages are powers of two from 1024
        usable = self.buffer.data[: self.buffer.size // ELEMENT * ELEMENT]
        self.cells = usable.view(u4).reshape(-1, 4)
        self._half = usable.view(self.meta.order + "u2").reshape(-1, 8)
        self.ids = usable.view(self.meta.order + "u8").reshape(-1, 2)
        self._freelist()

    def gap(self, page: int, reason: str) -> None:
        """Add a gap of one page."""
        self.gaps.append(self._gap_at(page, reason))

    def _gap_at(self, page: int, reason: str) -> Gap:
        where = page * self.page_size
        return Gap(self.source, where, self.page_size, f"page {page} at offset {where}: {reason}")

    def _gaps(self, rows: Ints, pages: Ints, reason: Callable[[int], str]) -> None:
        """Add gaps for these rows of `pages`."""

        def one(row: int) -> Gap:
            page = int(pages[row])
            return self._gap_at(page, reason(row)) if 2 <= page < self.pages else self._outside(page)

        def rest(more: Ints) -> Gap:
            return Gap(self.source, 0, more.size * self.page_size, f"{more.size} more damaged pages, not listed")

        self.gaps += listed(rows, one, rest)

    def walk(self, root: int) -> Leaves:
        """All leaf elements of the tree under page `root`."""
        # level: the page ids of one level; kinds, counts and runs: flags, elements and pages of each run
        level = np.array([min(root, _NOWHERE)], np.int64)
        leaves: list[Leaves] = []
        for _ in range(DEEPEST):
            level, kinds, counts, runs = self._enter(level)
            if not level.size:
                break
            at_leaf = kinds == PageKind.LEAF
            if at_leaf.any():
                leaves.append(self._elements(level[at_leaf], counts[at_leaf], runs[at_leaf]))
            level = self._children(level[~at_leaf], counts[~at_leaf])
        else:
            for page in level[:16].tolist():
                self.gap(page, f"lies deeper than {DEEPEST} levels")
        return Leaves.concatenate(leaves or [Leaves.empty()])  # nearly always one: they lie in one level

    def _enter(self, ids: Ints) -> tuple[Ints, Shorts, Shorts, Ints]:
        """The valid pages of a level: ids, flags, element counts, and pages of each run."""
        inside = (ids >= 2) & (ids < self.pages)
        self._gaps(np.flatnonzero(~inside), ids, lambda _: "")
        ids = ids[inside]
        kinds, counts = np.empty(ids.size, np.uint16), np.empty(ids.size, np.uint16)
        runs = np.empty(ids.size, np.int64)
        defect = np.zeros(ids.size, np.uint8)

        def check(part: slice) -> None:
            pgid, kinds[part], counts[part], runs[part] = self._headers(ids[part])
            flags, run = kinds[part], runs[part]
            needed = HEADER + ELEMENT * counts[part].astype(np.int64)
            defects = (
                pgid != ids[part],
                (flags != PageKind.BRANCH) & (flags != PageKind.LEAF),
                ids[part] + run > self.pages,
                needed > run * self.page_size,
                (flags == PageKind.BRANCH) & (counts[part] == 0),
            )
            for code in range(len(defects), 0, -1):  # the first that applies is reported
                defect[part][defects[code - 1]] = code

        parallel_for(ids.size, check)
        for code in np.unique(defect[defect > 0]).tolist():
            self._gaps(np.flatnonzero(defect == code), ids, partial(self._defect, ids, _DEFECTS[code - 1]))
        valid = defect == 0
        valid &= self._claim(ids, runs, kinds, valid)
        if valid.all():
            return ids, kinds, counts, runs
        return ids[valid], kinds[valid], counts[valid], runs[valid]

    def _headers(self, ids: Ints) -> tuple[Ints, Shorts, Shorts, Ints]:
        """The headers of these pages: pgid, flags, count, and the pages of the run (overflow + 1)."""
        header = self.cells[ids * (self.page_size // ELEMENT)]
        halves = header.view(self.meta.order + "u2")
        pgid = header.view(self.meta.order + "u8")[:, 0].astype(np.int64)
        return pgid, halves[:, 4], halves[:, 5], header[:, 3].astype(np.int64) + 1

    def _defect(self, ids: Ints, template: str, row: int) -> str:
        pgid, kind, count, run = (int(column[0]) for column in self._headers(ids[row : row + 1]))
        facts = {"pgid": pgid, "kind": kind, "count": count, "run": run, "span": run * self.page_size}
        return template.format(last=self.pages - 1, **facts)

    def _claim(self, ids: Ints, runs: Ints, kinds: Shorts, valid: Bools) -> Bools:
        """Mark each valid run in `kinds`; returns which are marked. A run with a page of another one is a gap."""
        rows = np.flatnonzero(valid)
        if self._claim_disjoint(ids[rows], runs[rows], kinds[rows]):
            return valid
        order = rows[np.argsort(ids[rows], kind="stable")]
        ends = np.maximum.accumulate(ids[order] + runs[order])
        clash = np.zeros(order.size, np.bool_)
        clash[1:] = ids[order[1:]] < ends[:-1]
        owners = order[~clash]
        pages = ranges(ids[owners], runs[owners])
        used = self.kinds[pages] != PageKind.FREED
        if used.any():
            owner = np.repeat(np.arange(owners.size), runs[owners])[used]
            clash[np.flatnonzero(~clash)[np.unique(owner)]] = True
            owners = order[~clash]
        self._gaps(order[clash], ids, lambda _: "reached twice: a cycle, or runs of pages that overlap")
        self.kinds[ranges(ids[owners], runs[owners])] = PageKind.OVERFLOW
        self.kinds[ids[owners]] = kinds[owners]
        allowed = np.zeros(ids.shape, np.bool_)
        allowed[owners] = True
        return allowed

    def _claim_disjoint(self, ids: Ints, runs: Ints, kinds: Shorts) -> bool:
        """Whether no page of these runs is in use or in two of them; if so, mark them all.

        False for few pages too: the check reads the whole map, once for every level of a tree.
        """
        count = int(runs.sum())
        if not self.pages >> 6 <= count <= self.pages:
            return False
        pages = np.zeros(self.total, np.bool_)
        for part in chunks(ids.size):
            pages[ranges(ids[part], runs[part])] = True
        if np.count_nonzero(pages) < count or (pages & (self.kinds != PageKind.FREED)).any():
            return False
        self.kinds[pages] = PageKind.OVERFLOW
        self.kinds[ids] = kinds
        return True

    def _children(self, ids: Ints, counts: Shorts) -> Ints:
        """Page ids of the children of branch pages."""
        cell = ranges(ids * (self.page_size // ELEMENT) + 1, counts)
        child: Ints = np.minimum(self.ids[cell, 1], np.uint64(_NOWHERE)).astype(np.int64)
        return child

    def _elements(self, ids: Ints, counts: Shorts, runs: Ints) -> Leaves:
        """The valid elements of these leaf pages; one gap a page for the others."""
        stops = np.cumsum(counts, dtype=np.int64)
        total = int(stops[-1])
        leaves = Leaves.empty(total)
        damage = np.zeros(total, np.uint8)

        def parse(part: slice) -> None:
            sizes = counts[part].astype(np.int64)
            # rows: the part's elements; from `owner` on a row is an element, with the bounds of its page's payloads
            rows = slice(int(stops[part][0] - sizes[0]), int(stops[part][-1]))
            start = ids[part] * self.page_size
            owner = np.repeat(np.arange(sizes.size), sizes)
            table = (start + HEADER + ELEMENT * sizes)[owner]
            end = (start + runs[part] * self.page_size)[owner]
            cells = ranges(start // ELEMENT + 1, sizes)
            flags, pos, key_len, value_len = self.cells[cells].T
            key_at = cells * ELEMENT + pos
            value_at = key_at + key_len
            ends = value_at + value_len
            valid = valid_elements(flags, key_len, key_at, ends, table, end)
            overlap = np.zeros(valid.shape, np.bool_)
            overlap[valid] = overlaps(owner[valid], (key_at - table)[valid], (ends - table)[valid])
            damage[rows][~valid], damage[rows][overlap] = OUTSIDE, SHARED
            leaves.flags[rows] = flags
            leaves.key_at[rows], leaves.key_len[rows] = key_at, key_len
            leaves.value_at[rows], leaves.value_len[rows] = value_at, value_len
            leaves.page[rows] = ids[part][owner]

        parallel_for(ids.size, parse, size=max(1, CHUNK * ids.size // max(total, 1)))
        if not damage.any():
            return leaves
        self._refuse(leaves.page, damage, stops - counts, ids)
        return leaves.take(damage == 0)

    def _refuse(self, page: Ints, damage: NDArray[np.uint8], begins: Ints, ids: Ints) -> None:
        """One gap a page for its invalid elements.

        Args:
            page: Page id of every element.
            damage: OUTSIDE, SHARED or 0 of every element.
            begins: First element of every page.
            ids: Page id of every page.
        """
        rows = np.flatnonzero(damage)
        pages, first, counts = np.unique(page[rows], return_index=True, return_counts=True)
        first = rows[first]
        order = np.argsort(ids, kind="stable")
        begin = begins[order[np.searchsorted(ids[order], pages)]]
        where = pages * self.page_size + HEADER + ELEMENT * (first - begin)

        def reason(row: int) -> str:
            why = "overlaps the one before" if damage[first[row]] == SHARED else "points outside its page"
            return f"{counts[row]} of its elements are damaged; the first, at offset {where[row]}, {why}"

        self._gaps(np.arange(pages.size), pages, reason)

    def _freelist(self) -> None:
        """Mark the pages of a stored freelist; etcd on Linux stores none."""
        page = self.meta.freelist
        if page == NOT_SYNCED:
            return
        if not 2 <= page < self.pages:
            self.gaps.append(self._outside(page))
            return
        cell = page * (self.page_size // ELEMENT)
        run = int(self.cells[cell, 3]) + 1
        if int(self.ids[cell, 0]) != page or int(self._half[cell, 4]) != PageKind.FREELIST or page + run > self.pages:
            self.gap(page, "expected a freelist (10)")
            return
        self.kinds[page] = PageKind.FREELIST
        self.kinds[page + 1 : page + run] = PageKind.OVERFLOW

    def _outside(self, page: int) -> Gap:
        """The gap of a page id that leads to no page of the file."""
        at = page * self.page_size
        if 2 <= page < self.meta.high_water:
            reason = f"page {page} at offset {at} is missing: the file ends at {self.buffer.size}"
            return Gap(self.source, min(at, self.buffer.size), self.page_size, reason)
        reason = f"a page id {page} is outside 2..{self.meta.high_water - 1}"
        return Gap(self.source, self.meta.page * self.page_size, self.page_size, reason)
