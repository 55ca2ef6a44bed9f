"""Walk bbolt's trees level by level, whole levels at a time.

Format: bbolt internal/common/page.go, inode.go and bucket.go. Every id, count, offset and length is checked before
it is used; what does not hold becomes a gap, and each page is entered once, so cycles and shared subtrees end.
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
from auditor.evidence.bbolt.elements import ELEMENT, Leaves, Spans, fitting, overlapping
from auditor.evidence.bbolt.meta import HEADER, NOT_SYNCED, Meta
from auditor.evidence.gaps import listed
from auditor.model.evidence import Gap
from auditor.model.vocabulary import PageKind

Shorts: TypeAlias = NDArray[np.uint16]

DEEPEST = 64
OUTSIDE, SHARED = 1, 2
"""Damage of an element: it points outside its page, or into the one before it."""
_NOWHERE = 1 << 62
_WRONG = (
    "its header names page {own}",
    "expected a branch (01) or leaf (02), found flags {kind:02x}",
    "its {run} pages reach past the last page, {last}",
    "its {count} elements do not fit into {span} bytes",
    "a branch without children",
)
"""What can be wrong with a page, in the order in which it is told."""


@dataclass
class Walker:
    """The pages of one database file under one meta: `kinds` (uint8, one a page) is what the walks reached.

    `size` is the database's, without a trailer; `total` its whole pages, `pages` those of them below the high-water
    mark. `walked`: where the elements of every leaf page lie that the walks reached, in parts.
    """

    buffer: Buffer
    meta: Meta
    source: str
    size: int
    gaps: list[Gap] = field(default_factory=list)
    walked: list[Spans] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page_size = self.meta.page_size
        self.total = self.size // self.page_size
        self.pages = min(self.meta.high_water, self.total)
        self.kinds: NDArray[np.uint8] = np.full(self.total, PageKind.FREED, np.uint8)
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
        self.gaps.append(self._at(page, reason))

    def _at(self, page: int, reason: str) -> Gap:
        where = page * self.page_size
        return Gap(self.source, where, self.page_size, f"page {page} at offset {where}: {reason}")

    def _gaps(self, rows: Ints, pages: Ints, reason: Callable[[int], str]) -> None:
        """Gaps for these rows of `pages`."""

        def one(row: int) -> Gap:
            page = int(pages[row])
            return self._at(page, reason(row)) if 2 <= page < self.pages else self._outside(page)

        def rest(more: Ints) -> Gap:
            return Gap(self.source, 0, more.size * self.page_size, f"{more.size} more damaged pages, not listed")

        self.gaps += listed(rows, one, rest)

    def walk(self, root: int) -> Leaves:
        """All leaf elements of the tree under page `root`."""
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
        self.walked += [Spans(each.key_at, each.value_at + each.value_len, each.page) for each in leaves]
        return Leaves.concatenate(leaves or [Leaves.empty()])  # nearly always one: they lie in one level

    def _enter(self, ids: Ints) -> tuple[Ints, Shorts, Shorts, Ints]:
        """The pages of a level that hold what they should: ids, kinds, element counts, and pages of each run."""
        inside = (ids >= 2) & (ids < self.pages)
        self._gaps(np.flatnonzero(~inside), ids, lambda _: "")
        ids = ids[inside]
        kinds, counts = np.empty(ids.size, np.uint16), np.empty(ids.size, np.uint16)
        runs = np.empty(ids.size, np.int64)
        fault = np.zeros(ids.size, np.uint8)

        def look(part: slice) -> None:
            own, kinds[part], counts[part], runs[part] = self._headers(ids[part])
            kind, run = kinds[part], runs[part]
            needed = HEADER + ELEMENT * counts[part].astype(np.int64)
            wrong = (
                own != ids[part],
                (kind != PageKind.BRANCH) & (kind != PageKind.LEAF),
                ids[part] + run > self.pages,
                needed > run * self.page_size,
                (kind == PageKind.BRANCH) & (counts[part] == 0),
            )
            for code in range(len(wrong), 0, -1):  # the first that is wrong is the one that is told
                fault[part][wrong[code - 1]] = code

        parallel_for(ids.size, look)
        for code in np.unique(fault[fault > 0]).tolist():
            self._gaps(np.flatnonzero(fault == code), ids, partial(self._wrong, ids, _WRONG[code - 1]))
        good = fault == 0
        good &= self._claim(ids, runs, kinds, good)
        if good.all():
            return ids, kinds, counts, runs
        return ids[good], kinds[good], counts[good], runs[good]

    def _headers(self, ids: Ints) -> tuple[Ints, Shorts, Shorts, Ints]:
        """What the headers of these pages say: the page's own number, its kind, its elements, the pages of its run."""
        header = self.cells[ids * (self.page_size // ELEMENT)]
        halves = header.view(self.meta.order + "u2")
        own = header.view(self.meta.order + "u8")[:, 0].astype(np.int64)
        return own, halves[:, 4], halves[:, 5], header[:, 3].astype(np.int64) + 1

    def _wrong(self, ids: Ints, template: str, row: int) -> str:
        own, kind, count, run = (int(column[0]) for column in self._headers(ids[row : row + 1]))
        facts = {"own": own, "kind": kind, "count": count, "run": run, "span": run * self.page_size}
        return template.format(last=self.pages - 1, **facts)

    def _claim(self, ids: Ints, runs: Ints, kinds: Shorts, good: Bools) -> Bools:
        """Mark each run of pages as used; refuse pages that something else uses already."""
        rows = np.flatnonzero(good)
        if self._apart(ids[rows], runs[rows], kinds[rows]):
            return good
        order = rows[np.argsort(ids[rows], kind="stable")]
        ends = np.maximum.accumulate(ids[order] + runs[order])
        clash = np.zeros(order.size, np.bool_)
        clash[1:] = ids[order[1:]] < ends[:-1]
        kept = order[~clash]
        claimed = ranges(ids[kept], runs[kept])
        used = self.kinds[claimed] != PageKind.FREED
        if used.any():
            owner = np.repeat(np.arange(kept.size), runs[kept])[used]
            clash[np.flatnonzero(~clash)[np.unique(owner)]] = True
            kept = order[~clash]
        self._gaps(order[clash], ids, lambda _: "reached twice: a cycle, or runs of pages that overlap")
        self.kinds[ranges(ids[kept], runs[kept])] = PageKind.OVERFLOW
        self.kinds[ids[kept]] = kinds[kept]
        allowed = np.zeros(ids.shape, np.bool_)
        allowed[kept] = True
        return allowed

    def _apart(self, ids: Ints, runs: Ints, kinds: Shorts) -> bool:
        """Whether nothing uses any of these pages, and none of them is claimed twice: then they are marked.

        Only of many pages: it looks at the whole map, which a tree of single pages would have it do for each of them.
        """
        claimed = int(runs.sum())
        if not self.pages >> 6 <= claimed <= self.pages:
            return False
        mine = np.zeros(self.total, np.bool_)
        for part in chunks(ids.size):
            mine[ranges(ids[part], runs[part])] = True
        if np.count_nonzero(mine) < claimed or (mine & (self.kinds != PageKind.FREED)).any():
            return False
        self.kinds[mine] = PageKind.OVERFLOW
        self.kinds[ids] = kinds
        return True

    def _children(self, ids: Ints, counts: Shorts) -> Ints:
        cell = ranges(ids * (self.page_size // ELEMENT) + 1, counts)
        child: Ints = np.minimum(self.ids[cell, 1], np.uint64(_NOWHERE)).astype(np.int64)
        return child

    def _elements(self, ids: Ints, counts: Shorts, runs: Ints) -> Leaves:
        """The elements of these leaf pages that hold; one gap a page for those that do not."""
        behind = np.cumsum(counts, dtype=np.int64)
        total = int(behind[-1])
        found = Leaves.empty(total)
        damage = np.zeros(total, np.uint8)

        def parse(part: slice) -> None:
            many = counts[part].astype(np.int64)
            rows = slice(int(behind[part][0] - many[0]), int(behind[part][-1]))
            start = ids[part] * self.page_size
            owner = np.repeat(np.arange(many.size), many)
            table = (start + HEADER + ELEMENT * many)[owner]
            end = (start + runs[part] * self.page_size)[owner]
            cells = ranges(start // ELEMENT + 1, many)
            flags, pos, key_len, value_len = self.cells[cells].T
            key_at = cells * ELEMENT + pos
            value_at = key_at + key_len
            ends = value_at + value_len
            good = fitting(flags, key_len, key_at, ends, table, end)
            shared = np.zeros(good.shape, np.bool_)
            shared[good] = overlapping(owner[good], (key_at - table)[good], (ends - table)[good])
            damage[rows][~good], damage[rows][shared] = OUTSIDE, SHARED
            found.flags[rows] = flags
            found.key_at[rows], found.key_len[rows] = key_at, key_len
            found.value_at[rows], found.value_len[rows] = value_at, value_len
            found.page[rows] = ids[part][owner]

        parallel_for(ids.size, parse, size=max(1, CHUNK * ids.size // max(total, 1)))
        if not damage.any():
            return found
        self._refuse(found.page, damage, behind - counts, ids)
        return found.take(damage == 0)

    def _refuse(self, page: Ints, damage: NDArray[np.uint8], begins: Ints, ids: Ints) -> None:
        """One gap a page for its elements that point outside it or into each other; begins: the first row of each."""
        rows = np.flatnonzero(damage)
        numbers, first, counts = np.unique(page[rows], return_index=True, return_counts=True)
        first = rows[first]
        order = np.argsort(ids, kind="stable")
        begin = begins[order[np.searchsorted(ids[order], numbers)]]
        where = numbers * self.page_size + HEADER + ELEMENT * (first - begin)

        def reason(row: int) -> str:
            why = "overlaps the one before" if damage[first[row]] == SHARED else "points outside its page"
            return f"{counts[row]} of its elements are damaged; the first, at offset {where[row]}, {why}"

        self._gaps(np.arange(numbers.size), numbers, reason)

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
        at = page * self.page_size
        if 2 <= page < self.meta.high_water:
            reason = f"page {page} at offset {at} is missing: the file ends at {self.buffer.size}"
            return Gap(self.source, min(at, self.buffer.size), self.page_size, reason)
        reason = f"a page id {page} is outside 2..{self.meta.high_water - 1}"
        return Gap(self.source, self.meta.page * self.page_size, self.page_size, reason)
