"""Payloads that go on in overflow pages, put together in a private buffer; where each byte came from is kept.

Format: sqlite.org fileformat2.html, section 1.7 (Cell Payload Overflow Pages).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.batch import Extent
from auditor.evidence.kine import file_format
from auditor.evidence.kine.pages import Cells
from auditor.evidence.scratch import scratch_buffer

Lookup = Callable[[Ints, Ints], tuple[Ints, Ints]]
"""Page numbers, and for each the row that asks -> file (-1 where there is no such page) and offset of its image."""


@dataclass(frozen=True, slots=True)
class Pieces(Columns):
    """Parts of payloads: columns. row: of the cells; file, at: where it lies; size: bytes; last: 0, or the bytes
    behind the payload's end in the same page.
    """

    row: Ints
    file: Ints
    at: Ints
    size: Ints
    rest: Ints


class Claims:
    """Which pages of each file hold the overflow of something already, by `at // unit`."""

    def __init__(self, files: tuple[Buffer, ...], units: tuple[int, ...]) -> None:
        self._units = units
        self._taken = [np.zeros(buffer.size // unit + 2, np.bool_) for buffer, unit in zip(files, units, strict=True)]

    def free(self, file: Ints, at: Ints) -> Bools:
        free = np.zeros(file.shape, np.bool_)
        for number, (taken, unit) in enumerate(zip(self._taken, self._units, strict=True)):
            mine = file == number
            free[mine] = ~taken[at[mine] // unit]
        return free

    def claim(self, file: Ints, at: Ints) -> None:
        for number, (taken, unit) in enumerate(zip(self._taken, self._units, strict=True)):
            taken[at[file == number] // unit] = True


def follow(
    files: tuple[Buffer, ...], cells: Cells, own: Ints, lookup: Lookup, claims: Claims, usable: int
) -> tuple[Pieces, Bools]:
    """The parts of every payload, in their order, and which payloads are whole. own: the file of each cell.

    Step by step over all chains at once. A page belongs to the first chain that claims it, so that cycles end.
    """
    every = np.arange(cells.page.size)
    found = [Pieces(every, own, cells.payload, cells.local, np.zeros(every.size, np.int64))]
    left = cells.size - cells.local
    whole = np.ones(every.size, np.bool_)
    rows, numbers = every[left > 0], cells.next[left > 0]
    while rows.size:
        file, at = lookup(numbers, rows)
        good = file >= 0
        good[good] = claims.free(file[good], at[good])
        places = np.flatnonzero(good)
        _, first = np.unique(np.stack((file[places], at[places])), axis=1, return_index=True)
        good[:] = False
        good[places[first]] = True
        whole[rows[~good]] = False
        rows, file, at = rows[good], file[good], at[good]
        claims.claim(file, at)
        size = np.minimum(left[rows], usable - 4)
        left[rows] -= size
        found.append(Pieces(rows, file, at + 4, size, usable - 4 - size))
        numbers = np.zeros(rows.size, np.int64)
        for which, buffer in enumerate(files):
            mine = file == which
            numbers[mine] = file_format.be32(buffer.words(at[mine]))
        going = left[rows] > 0
        rows, numbers = rows[going], numbers[going]
    pieces = Pieces.concatenate(found)
    return pieces.take(np.argsort(pieces.row, kind="stable")), whole


class Assembled:
    """The payloads of cells, one directly behind the other in `buffer`; at, size: of each."""

    def __init__(self, files: tuple[Buffer, ...], pieces: Pieces, count: int, work_dir: str) -> None:
        self.pieces = pieces
        self.size = np.bincount(pieces.row, pieces.size, count).astype(np.int64)
        self.at = np.cumsum(self.size) - self.size
        self._piece_at = np.cumsum(pieces.size) - pieces.size
        total = int(self.size.sum())
        room = scratch_buffer(total, "overflow pages", work_dir)
        view = memoryview(room)
        target = 0
        for file, at, size in zip(pieces.file.tolist(), pieces.at.tolist(), pieces.size.tolist(), strict=True):
            view[target : target + size] = files[file].view(at, at + size)
            target += size
        self.buffer = Buffer(room)

    def extents(self, at: int, size: int) -> list[Extent]:
        """Where the bytes of a part of the buffer lie: file as a number, in the order of the bytes."""
        first = int(np.searchsorted(self._piece_at, at, "right")) - 1
        parts = []
        while size > 0 and first < self._piece_at.size:
            skip = at - int(self._piece_at[first])
            length = min(int(self.pieces.size[first]) - skip, size)
            if length > 0:
                parts.append(Extent(int(self.pieces.at[first]) + skip, length, str(int(self.pieces.file[first]))))
                at, size = at + length, size - length
            first += 1
        return parts
