"""The images of one database's pages over time: those of the log's transactions, and those of snapshots."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.kine.pages import Pages
from auditor.model.vocabulary import State

UNDATED = -1


@dataclass(frozen=True, slots=True)
class PageImages(Columns):
    """Images of pages: columns of shape (n,)."""

    file: Ints
    number: Ints
    at: Ints
    """Offset of the image in its file."""
    time: Ints
    """The index of the entry after which the page was so; UNDATED where it is not known."""
    run: Ints
    """Stretch of time without a hole: every change in it is known."""
    base: Bools
    """Whether it is of a snapshot's state, whenever it was written."""
    log: Bools
    """Whether it is a frame of a log: raft's own, or SQLite's in a snapshot."""
    state: NDArray[np.uint8]
    """Bits of State."""

    @property
    def counts(self) -> Bools:
        """Which images were once the state of their page."""
        counts: Bools = (self.state & np.uint8(State.UNCOMMITTED | State.BAD_CHECKSUM)) == 0
        counts &= self.time != UNDATED
        return counts


class Timeline:
    """The images of one database.

    images: all of them. current: which of them make up its newest state.
    """

    def __init__(self, images: PageImages, current: Bools) -> None:
        self.images, self.current = images, current
        usable = np.flatnonzero(images.counts)
        order = np.lexsort((images.log[usable], images.time[usable], images.number[usable]))
        self._rows = usable[order]
        self._number, self._time = images.number[self._rows], images.time[self._rows]

    def pages(self, file: int, mask: Bools) -> Pages:
        """The images of a mask that lie in one file, by ascending offset."""
        rows = self.rows(file, mask)
        return Pages(self.images.number[rows], self.images.at[rows])

    def rows(self, file: int, mask: Bools) -> Ints:
        """The same as rows of `images`."""
        rows = np.flatnonzero(mask & (self.images.file == file))
        return rows[np.argsort(self.images.at[rows], kind="stable")]

    def lookup(self, numbers: Ints, owner: Ints) -> tuple[Ints, Ints]:
        """File (-1: none) and offset of the image of each page at the time of another image.

        The newest one until then; or that of a later snapshot, where no change until it is known. Both only where no
        entry between them is missing.

        Args:
            numbers: The pages.
            owner: The rows of `images` that name them.
        """
        images = self.images
        time, run = images.time[owner], images.run[owner]
        slot = self._before(numbers, time)
        found = self._is(slot, numbers, run)
        after = slot + 1
        later = ~found & self._is(after, numbers, run)
        later[later] = images.base[self._rows[after[later]]]
        slot = np.where(later, after, slot)
        found = (found | later) & (time != UNDATED)
        rows = self._rows[np.where(found, slot, 0)] if self._rows.size else np.zeros(numbers.shape, np.int64)
        return np.where(found, images.file[rows], -1), images.at[rows]

    def _before(self, numbers: Ints, time: Ints) -> Ints:
        """The last slot of each number up to a time; the slot before the number's first where there is none."""
        # both columns as one ascending key: times are ranked, so that neither is cut
        times = np.unique(np.concatenate((self._time, time)))
        width = times.size + 1
        ranks = np.searchsorted(times, self._time)
        keys = self._number * width + ranks
        slots: Ints = np.searchsorted(keys, numbers * width + np.searchsorted(times, time), "right") - 1
        return slots

    def _is(self, slot: Ints, numbers: Ints, run: Ints) -> Bools:
        """Whether slots are of these pages, in these stretches of time."""
        inside = (slot >= 0) & (slot < self._rows.size)
        known = np.where(inside, slot, 0)
        if not self._rows.size:
            return np.zeros(slot.shape, np.bool_)
        matches: Bools = inside & (self._number[known] == numbers) & (self.images.run[self._rows[known]] == run)
        return matches


def runs(indexes: Ints, times: Sequence[int]) -> tuple[Ints, Ints]:
    """The stretches of time of entries, ascending and each once, and of snapshots.

    Args:
        indexes: Of the entries.
        times: Of the snapshots.
    """
    own: Ints = np.cumsum(np.diff(indexes, prepend=indexes[:1]) > 1, dtype=np.int64) if indexes.size else indexes
    points = np.array(times, np.int64)
    if not indexes.size:
        return own, np.arange(points.size, dtype=np.int64)
    # a snapshot after entry n is of the stretch with entry n, and of the one that begins with n + 1
    slot = np.searchsorted(indexes, points)
    known = np.minimum(slot, indexes.size - 1)
    matches = (indexes[known] == points) | (indexes[known] == points + 1)
    run: Ints = np.where(matches, own[known], int(own[-1]) + 1 + np.arange(points.size))
    return own, run
