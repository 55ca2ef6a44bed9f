"""Walk bbolt's trees level by level, whole levels at a time.

Format: bbolt internal/common/page.go, inode.go and bucket.go. Every id, count, offset and length is checked before
it is used; what does not hold becomes a gap, and each page is entered once, so cycles and shared subtrees end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.columns import Bools, Buffer, Ints, expand, spread
from auditor.evidence.meta import HEADER, NOT_SYNCED, Meta
from auditor.model import Gap

BRANCH, LEAF, META, FREELIST = 0x01, 0x02, 0x04, 0x10
OVERFLOW, FREED, PREVIOUS, PAST = 0x20, 0x00, 0x40, 0x80
"""Kinds of a page map beside bbolt's own flags: continuation of a run, reached by no root, reached by the older root
only, past the high-water mark."""
IS_BUCKET = 0x01
ELEMENT = 16
LARGEST_KEY = 32768
DEEPEST = 64
NAMED_GAPS = 100
"""Gaps of one kind that are listed each by itself; the rest of them are counted in one."""
_NOWHERE = 1 << 62


class Leaves(NamedTuple):
    """Elements of leaf pages, in key order: positions and sizes in bytes, int64 of shape (n,)."""

    flags: Ints
    key_at: Ints
    key_len: Ints
    value_at: Ints
    value_len: Ints
    page: Ints


class Spans(NamedTuple):
    """Where the elements of leaf pages begin and end, and the first page of each; int64 of shape (n,)."""

    start: Ints
    end: Ints
    page: Ints


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
        self.kinds: NDArray[np.uint8] = np.full(self.total, FREED, np.uint8)
        self.kinds[: min(2, self.pages)] = META
        self.kinds[self.pages :] = PAST
        u4 = np.dtype(self.meta.order + "u4")
        # page headers and elements start at multiples of 16: 16 = HEADER, and pages are powers of two from 1024
        usable = self.buffer.data[: self.buffer.size // ELEMENT * ELEMENT]
        self.cells = usable.view(u4).reshape(-1, 4)
        self._half = usable.view(self.meta.order + "u2").reshape(-1, 8)
        self.ids = usable.view(self.meta.order + "u8").reshape(-1, 2)
        self._freelist()

    def gap(self, page: int, reason: str) -> None:
        where = page * self.page_size
        self.gaps.append(Gap(self.source, where, self.page_size, f"page {page} at offset {where}: {reason}"))

    def _gaps(self, rows: Ints, pages: Ints, reason: Callable[[int], str]) -> None:
        """A gap for each of these rows of `pages`; past NAMED_GAPS one for all the others."""
        for row in rows[:NAMED_GAPS].tolist():
            page = int(pages[row])
            if 2 <= page < self.pages:
                self.gap(page, reason(row))
            else:
                self.gaps.append(self._outside(page))
        if (more := rows.size - NAMED_GAPS) > 0:
            self.gaps.append(Gap(self.source, 0, more * self.page_size, f"{more} more damaged pages, not listed"))

    def walk(self, root: int) -> Leaves:
        """All leaf elements of the tree under page `root`."""
        level = np.array([min(root, _NOWHERE)], np.int64)
        leaves: list[Leaves] = []
        for _ in range(DEEPEST):
            level, kinds, counts, spans = self._enter(level)
            if not level.size:
                break
            at_leaf = kinds == LEAF
            if at_leaf.any():
                leaves.append(self._elements(level[at_leaf], counts[at_leaf], spans[at_leaf]))
            level = self._children(level[~at_leaf], counts[~at_leaf])
        else:
            for page in level[:16].tolist():
                self.gap(page, f"lies deeper than {DEEPEST} levels")
        self.walked += [Spans(each.key_at, each.value_at + each.value_len, each.page) for each in leaves]
        return joined(leaves)

    def _enter(self, ids: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """The pages of a level that hold what they should: ids, kinds, element counts, spans in bytes."""
        inside = (ids >= 2) & (ids < self.pages)
        self._gaps(np.flatnonzero(~inside), ids, lambda _: "")
        ids = ids[inside]
        cell = ids * (self.page_size // ELEMENT)
        header = np.empty((ids.size, 4), self.cells.dtype)

        def gather(part: slice) -> None:
            header[part] = self.cells[cell[part]]

        spread(ids.size, gather)
        own = header.view(self.meta.order + "u8")[:, 0].astype(np.int64)
        kinds = header.view(self.meta.order + "u2")[:, 4].astype(np.int64)
        counts = header.view(self.meta.order + "u2")[:, 5].astype(np.int64)
        runs = header[:, 3].astype(np.int64) + 1
        spans = runs * self.page_size
        reasons = (
            (own != ids, "its header names page {own}"),
            ((kinds != BRANCH) & (kinds != LEAF), "expected a branch (01) or leaf (02), found flags {kind:02x}"),
            (ids + runs > self.pages, "its {run} pages reach past the last page, {last}"),
            (HEADER + ELEMENT * counts > spans, "its {count} elements do not fit into {span} bytes"),
            ((kinds == BRANCH) & (counts == 0), "a branch without children"),
        )
        good = np.ones(ids.shape, np.bool_)
        for bad, reason in reasons:
            rows = np.flatnonzero(bad & good)
            if rows.size:
                facts = {"own": own, "kind": kinds, "run": runs, "count": counts, "span": spans}
                self._gaps(rows, ids, _explain(reason, facts, self.pages - 1))
            good &= ~bad
        good &= self._claim(ids, runs, kinds, good)
        return ids[good], kinds[good], counts[good], spans[good]

    def _claim(self, ids: Ints, runs: Ints, kinds: Ints, good: Bools) -> Bools:
        """Mark each run of pages as used; refuse pages that something else uses already."""
        rows = np.flatnonzero(good)
        order = rows[np.argsort(ids[rows], kind="stable")]
        ends = np.maximum.accumulate(ids[order] + runs[order])
        clash = np.zeros(order.size, np.bool_)
        clash[1:] = ids[order[1:]] < ends[:-1]
        kept = order[~clash]
        claimed = expand(ids[kept], runs[kept])
        used = self.kinds[claimed] != FREED
        if used.any():
            owner = np.repeat(np.arange(kept.size), runs[kept])[used]
            clash[np.flatnonzero(~clash)[np.unique(owner)]] = True
            kept = order[~clash]
        self._gaps(order[clash], ids, lambda _: "reached twice: a cycle, or runs of pages that overlap")
        self.kinds[expand(ids[kept], runs[kept])] = OVERFLOW
        self.kinds[ids[kept]] = kinds[kept]
        allowed = np.zeros(ids.shape, np.bool_)
        allowed[kept] = True
        return allowed

    def _children(self, ids: Ints, counts: Ints) -> Ints:
        cell = expand(ids * (self.page_size // ELEMENT) + 1, counts)
        child: Ints = np.minimum(self.ids[cell, 1], np.uint64(_NOWHERE)).astype(np.int64)
        return child

    def _elements(self, ids: Ints, counts: Ints, spans: Ints) -> Leaves:
        start = ids * self.page_size
        cells = expand(start // ELEMENT + 1, counts)
        page = np.repeat(ids, counts)
        end = np.repeat(start + spans, counts)
        table = np.repeat(start + HEADER + ELEMENT * counts, counts)
        raw = self.cells[cells].astype(np.int64)
        flags, pos, key_len, value_len = raw.T
        key_at = cells * ELEMENT + pos
        value_at = key_at + key_len
        bad = (flags > IS_BUCKET) | (key_len < 1) | (key_len > LARGEST_KEY)
        bad |= (key_at < table) | (value_at + value_len > end)
        shared = np.zeros(bad.shape, np.bool_)
        rank = np.repeat(np.arange(ids.size), counts)
        shared[~bad] = overlapping(rank[~bad], (key_at - table)[~bad], (value_at + value_len - table)[~bad])
        bad |= shared
        if bad.any():
            self._refuse(page, bad, shared, cells)
            good = ~bad
            flags, key_at, key_len = flags[good], key_at[good], key_len[good]
            value_at, value_len, page = value_at[good], value_len[good], page[good]
        return Leaves(flags, key_at, key_len, value_at, value_len, page)

    def _refuse(self, page: Ints, bad: Bools, shared: Bools, cells: Ints) -> None:
        """One gap a page for its elements that point outside it or into each other."""
        rows = np.flatnonzero(bad)
        numbers, first, counts = np.unique(page[rows], return_index=True, return_counts=True)
        first = rows[first]

        def reason(row: int) -> str:
            why = "overlaps the one before" if shared[first[row]] else "points outside its page"
            where = int(cells[first[row]]) * ELEMENT
            return f"{counts[row]} of its elements are damaged; the first, at offset {where}, {why}"

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
        if int(self.ids[cell, 0]) != page or int(self._half[cell, 4]) != FREELIST or page + run > self.pages:
            self.gap(page, "expected a freelist (10)")
            return
        self.kinds[page] = FREELIST
        self.kinds[page + 1 : page + run] = OVERFLOW

    def _outside(self, page: int) -> Gap:
        at = page * self.page_size
        if 2 <= page < self.meta.high_water:
            reason = f"page {page} at offset {at} is missing: the file ends at {self.buffer.size}"
            return Gap(self.source, min(at, self.buffer.size), self.page_size, reason)
        reason = f"a page id {page} is outside 2..{self.meta.high_water - 1}"
        return Gap(self.source, self.meta.page * self.page_size, self.page_size, reason)


def overlapping(owner: Ints, start: Ints, end: Ints) -> Bools:
    """Which payloads share bytes with one before them of the same owner; owners ascend, positions begin at each."""
    reach = np.maximum.accumulate((owner << 40) + end)
    shared = np.zeros(owner.shape, np.bool_)
    shared[1:] = (owner << 40)[1:] + start[1:] < reach[:-1]
    return shared


def _explain(template: str, facts: dict[str, Ints], last: int) -> Callable[[int], str]:
    return lambda row: template.format(last=last, **{name: column[row] for name, column in facts.items()})


def joined(parts: Sequence[Leaves]) -> Leaves:
    if len(parts) == 1:  # nearly always: the leaves of a tree lie in one level
        return parts[0]
    return Leaves(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else empty()


def empty() -> Leaves:
    nothing = np.zeros(0, np.int64)
    return Leaves(nothing, nothing, nothing, nothing, nothing, nothing)
