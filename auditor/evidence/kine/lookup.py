"""Where an overflow page lies: in the log at the time of a frame, else in the database file."""

from collections.abc import Callable

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.evidence.kine.wal import FRAME, HEADER, WalFrames

ByPage = Callable[[Ints, Ints], tuple[Ints, Ints]]
"""Page numbers and the offset of the leaf of each -> file (-1: none) and offset of the page's image."""


class WalLookup:
    """A lookup of overflow pages at the time of a frame: in its WAL generation up to the end of its transaction, else
    in the database file.
    """

    def __init__(self, log: WalFrames, file_pages: int, page_size: int) -> None:
        self._log, self._file_pages, self._size = log, file_pages, page_size
        self._numbers = np.unique(log.number)
        count = log.number.size
        codes = np.searchsorted(self._numbers, log.number)
        self._keys = (log.generation * (self._numbers.size + 1) + codes) * (count + 1) + np.arange(count)
        self._order = np.argsort(self._keys, kind="stable")
        self._keys = self._keys[self._order]

    def __call__(self, numbers: Ints, at: Ints) -> tuple[Ints, Ints]:
        log = self._log
        frames = frame_of(at, self._size)
        count = log.number.size
        codes = np.searchsorted(self._numbers, numbers)
        codes = np.minimum(codes, self._numbers.size - 1)
        known = self._numbers[codes] == numbers
        base = (log.generation[frames] * (self._numbers.size + 1) + codes) * (count + 1)
        slot = np.searchsorted(self._keys, base + log.until[frames], "right") - 1
        present = known & (slot >= 0)
        present &= self._keys[np.maximum(slot, 0)] >= base
        frame = self._order[np.maximum(slot, 0)]
        in_file = ~present & (numbers > 0) & (numbers <= self._file_pages)
        file = np.where(present, 1, np.where(in_file, 0, -1))
        return file, np.where(present, log.at[frame], np.maximum(numbers - 1, 0) * self._size)


def frame_of(at: Ints, page_size: int) -> Ints:
    """The number of the frame whose page image lies at `at`."""
    return (at - HEADER - FRAME) // (FRAME + page_size)
