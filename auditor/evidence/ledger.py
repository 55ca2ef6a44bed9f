"""The ledger of a medium: which of its bytes the readers account for, as intervals of a closed list.

A medium is whatever positions point into: a file, an unpacked layer, a decoded or assembled buffer. A reader adds an
interval where it has read and checked bytes, never for what is left over. Bytes that no interval covers, and bytes
that two of them cover, are unaccounted: audit and carving are told of them, and of what they hold.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.model.evidence import Balance

enabled = True
"""Whether readers look at what no interval covers. For the tests that measure what the sweep alone would miss."""


class Account(IntEnum):
    """What an interval holds."""

    STRUCTURE = 0
    """Fields that the format names, each once and checked."""
    ROW = 1
    """Key or value of a stored value."""
    EMPTY = 2
    """Zeros, or padding whose value the format fixes."""
    CHECKSUM = 3
    """A checksum that was verified, or is verified with the hash of the file."""
    MEDIUM = 4
    """Bytes that are a medium of their own."""
    UNACCOUNTED = 5
    """All else."""


class Intervals(NamedTuple):
    """Intervals of bytes: columns of shape (n,), ascending."""

    start: Ints
    end: Ints

    @property
    def total(self) -> int:
        """Bytes of all of them; they are disjoint."""
        return int((self.end - self.start).sum())


NO_INTERVALS = Intervals(np.zeros(0, np.int64), np.zeros(0, np.int64))


class _Rows(NamedTuple):
    """Intervals that follow one another, row by row."""

    start: Ints
    """Where the first of each row begins."""
    parts: tuple[tuple[Account, Ints], ...]
    """The account of each, and the positions behind it, where the next begins."""


class Ledger:
    """The accounts of one medium.

    name: of the medium in reports. size: its bytes.
    """

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size
        self._rows: list[_Rows] = []
        # what the rows cover, neighbours as one: what is between intervals needs neither their accounts nor their seams
        self._covered: list[Intervals] = []
        self._totals = [0] * len(Account)
        self.overlaps = NO_INTERVALS
        """What settle() has met that two intervals cover."""

    def add(self, account: Account, start: Ints, end: Ints) -> None:
        """Add intervals of one account; empty ones count for nothing. The columns are not copied.

        Args:
            account: What they hold.
            start: First byte of each, int64.
            end: The position behind each.
        """
        self.chain(start, (account, end))

    def one(self, account: Account, start: int, end: int) -> None:
        """Add a single interval."""
        self.add(account, np.array([start], np.int64), np.array([end], np.int64))

    def chain(self, start: Ints, *parts: tuple[Account, Ints]) -> None:
        """Add intervals that follow one another, row by row; empty ones count for nothing. No column is copied.

        Args:
            start: Where the first of each row begins.
            *parts: The account of each and the positions behind it, where the next begins.
        """
        if not start.size:
            return
        lengths = []
        at = start
        for _, end in parts:
            lengths.append(end - at)
            at = end
        if len(parts) > 1 and min(int(length.min()) for length in lengths) < 0:
            self._unchained(start, parts)
            return
        for (account, _), length in zip(parts, lengths, strict=True):
            self._totals[account] += int(np.maximum(length, 0).sum() if len(parts) == 1 else length.sum())
        self._rows.append(_Rows(start, parts))
        covered = _joined(Intervals(start, at))
        if covered.start.size:
            self._covered.append(covered)

    def _unchained(self, start: Ints, parts: Sequence[tuple[Account, Ints]]) -> None:
        """chain() where a part ends before it begins, and counts for nothing."""
        for account, end in parts:
            self.chain(start, (account, end))
            start = end

    def intervals(self) -> Iterator[tuple[Account, Intervals]]:
        """All intervals, in the order in which they were added."""
        for start, parts in self._rows:
            begin = start
            for account, end in parts:
                yield account, _filled(Intervals(begin, end))
                begin = end

    def extend(self, other: "Ledger", chosen: Bools, size: int) -> None:
        """Add another ledger's intervals of the same medium that begin in some of its pages.

        Args:
            other: The other ledger.
            chosen: Which pages.
            size: Bytes of a page.
        """
        for account, (start, end) in other.intervals():
            rows = chosen[np.minimum(start // size, chosen.size - 1)]
            self.add(account, start[rows], end[rows])

    def settle(self, start: int = 0, end: int | None = None) -> Intervals:
        """What is unaccounted in a part of the medium: holes between its intervals, and where two of them overlap.

        Bytes that two intervals cover count as unaccounted, and for neither account. Intervals that reach past the
        medium are cut.

        Args:
            start: Where the part begins.
            end: Where it ends; the end of the medium where None.
        """
        end = self.size if end is None else end
        starts = np.sort(np.concatenate([*(each.start for each in self._covered), np.array([end], np.int64)]))
        ends = np.sort(np.concatenate([np.array([start], np.int64), *(each.end for each in self._covered)]))
        # where nothing overlaps, each sorted end pairs with the start that follows it
        if (ends <= starts).all():
            hole = np.flatnonzero(starts > ends)
            return Intervals(ends[hole], starts[hole])
        return self._untangled(start, end)

    def _untangled(self, start: int, end: int) -> Intervals:
        """settle() where intervals overlap, or reach past the part."""
        starts, ends = (np.concatenate([each[column] for each in self._covered]) for column in range(2))
        edges = np.concatenate((starts, ends, np.array([start, end], np.int64)))
        steps = np.ones(edges.size, np.int64)
        steps[starts.size : -2], steps[-2:] = -1, 0
        order = np.argsort(edges, kind="stable")
        edges, depth = edges[order], np.cumsum(steps[order])
        bad = (depth[:-1] != 1) & (edges[1:] > edges[:-1]) & (edges[:-1] >= start) & (edges[1:] <= end)
        outside = (depth[:-1] > 0) & (edges[1:] > edges[:-1]) & ((edges[:-1] < start) | (edges[1:] > end))
        doubled = bad & (depth[:-1] > 1)
        self._deduct(Intervals(edges[:-1][doubled | outside], edges[1:][doubled | outside]))
        self.overlaps = merged(Intervals(edges[:-1][doubled], edges[1:][doubled]))
        return merged(Intervals(edges[:-1][bad], edges[1:][bad]))

    def _deduct(self, parts: Intervals) -> None:
        """Take bytes that do not count off the accounts that named them."""
        before = np.concatenate((np.zeros(1, np.int64), np.cumsum(parts.end - parts.start)))

        def below(at: Ints) -> Ints:
            row = np.searchsorted(parts.start, at, "right")
            inside = (
                np.minimum(at - parts.start[row - 1], (parts.end - parts.start)[row - 1]) if parts.start.size else 0
            )
            covered: Ints = np.where(row > 0, before[np.maximum(row - 1, 0)] + inside, 0)
            return covered

        for account, intervals in self.intervals():
            self._totals[account] -= int((below(intervals.end) - below(intervals.start)).sum())

    def close(self, buffer: Buffer, edges: Ints | None = None) -> Intervals:
        """settle() of the whole medium, with what holds nothing but zeros counted as empty. Returns the rest.

        Args:
            buffer: The medium's bytes.
            edges: Positions at which what is unaccounted is parted; none where None.
        """
        open_ = self.settle()
        if edges is not None or self.overlaps.start.size:
            open_ = cut(open_, np.concatenate([*self.overlaps, *([] if edges is None else [edges])]))
        filled = buffer.nonzero(open_.start, open_.end)
        rest = Intervals(open_.start[filled], open_.end[filled])
        self._totals[Account.EMPTY] += open_.total - rest.total
        self._totals[Account.UNACCOUNTED] += rest.total
        return rest

    def explain(self, account: Account, count: int) -> None:
        """Move bytes that were unaccounted to another account: carving has told what they are."""
        count = min(count, self._totals[Account.UNACCOUNTED])
        self._totals[Account.UNACCOUNTED] -= count
        self._totals[account] += count

    def balance(self) -> Balance:
        """The bytes of each account."""
        return Balance(
            medium=self.name,
            size=self.size,
            structure=self._totals[Account.STRUCTURE],
            row=self._totals[Account.ROW],
            empty=self._totals[Account.EMPTY],
            checksum=self._totals[Account.CHECKSUM],
            inner=self._totals[Account.MEDIUM],
            unaccounted=self._totals[Account.UNACCOUNTED],
        )


def _filled(intervals: Intervals) -> Intervals:
    """Those that are not empty."""
    start, end = intervals
    filled = end > start
    return intervals if filled.all() else Intervals(start[filled], end[filled])


def _joined(intervals: Intervals) -> Intervals:
    """Those that are not empty, in their order; each that begins where the one before it ends is one with it."""
    start, end = _filled(intervals)
    seam = start[1:] == end[:-1]
    if not seam.any():
        return Intervals(start, end)
    return Intervals(start[np.append(True, ~seam)], end[np.append(~seam, True)])


def merged(intervals: Intervals) -> Intervals:
    """Ascending intervals with those that touch or overlap as one."""
    start, end = intervals
    if not start.size:
        return intervals
    reach = np.maximum.accumulate(end)
    first = np.ones(start.size, np.bool_)
    first[1:] = start[1:] > reach[:-1]
    last = np.append(np.flatnonzero(first)[1:] - 1, start.size - 1)
    return Intervals(start[first], reach[last])


def cut(intervals: Intervals, at: Ints) -> Intervals:
    """Ascending disjoint intervals, parted at these positions where they lie inside."""
    start, end = intervals
    row = np.searchsorted(start, at, "right") - 1
    inside = row >= 0
    inside[inside] = (at[inside] > start[row[inside]]) & (at[inside] < end[row[inside]])
    at = np.unique(at[inside])  # of many positions few lie inside
    return Intervals(*(np.sort(np.concatenate((column, at))) for column in (start, end)))


def columns(pairs: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    """Starts and ends of a few intervals as columns."""
    table: NDArray[Any] = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
