"""Payloads with overflow pages, assembled in a private buffer, and the origin of each byte.

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
"""Page numbers and the row of each -> file (-1 where there is no such page) and offset of its image."""


@dataclass(frozen=True, slots=True)
class PayloadParts(Columns):
    """Parts of payloads, one in the cell and one in each overflow page: columns of shape (n,)."""

    row: Ints
    """The row of Cells."""
    file: Ints
    at: Ints
    size: Ints
    rest: Ints
    """Bytes of the page behind the payload's end."""


class Claims:
    """The overflow pages of each file that a chain has claimed, by `at // unit`."""

    def __init__(self, files: tuple[Buffer, ...], units: tuple[int, ...]) -> None:
        self._units = units
        self._claimed = [np.zeros(buffer.size // unit + 2, np.bool_) for buffer, unit in zip(files, units, strict=True)]

    def free(self, file: Ints, at: Ints) -> Bools:
        free = np.zeros(file.shape, np.bool_)
        for number, (claimed, unit) in enumerate(zip(self._claimed, self._units, strict=True)):
            same_file = file == number
            free[same_file] = ~claimed[at[same_file] // unit]
        return free

    def claim(self, file: Ints, at: Ints) -> None:
        for number, (claimed, unit) in enumerate(zip(self._claimed, self._units, strict=True)):
            claimed[at[file == number] // unit] = True


def follow(
    files: tuple[Buffer, ...], cells: Cells, file_of_cell: Ints, lookup: Lookup, claims: Claims, usable: int
) -> tuple[PayloadParts, Bools]:
    """The parts of every payload, in their order, and which payloads are whole.

    Args:
        files: The buffers.
        cells: Cells, of which some have overflow pages.
        file_of_cell: The file of each cell.
        lookup: Where a page lies.
        claims: The pages of chains that were followed before.
        usable: Bytes of a page without the reserved ones.

    Step by step over all chains at once. A page belongs to the first chain that claims it, so that cycles end.
    """
    every = np.arange(cells.page.size)
    parts = [PayloadParts(every, file_of_cell, cells.payload, cells.local, np.zeros(every.size, np.int64))]
    remaining = cells.size - cells.local
    whole = np.ones(every.size, np.bool_)
    rows, numbers = every[remaining > 0], cells.next[remaining > 0]
    # rows, numbers: the payloads that go on, and the next page of each; good: which of these pages are theirs
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
        size = np.minimum(remaining[rows], usable - 4)
        remaining[rows] -= size
        parts.append(PayloadParts(rows, file, at + 4, size, usable - 4 - size))
        numbers = np.zeros(rows.size, np.int64)
        for source, buffer in enumerate(files):
            same_file = file == source
            numbers[same_file] = file_format.be32(buffer.words(at[same_file]))
        unfinished = remaining[rows] > 0
        rows, numbers = rows[unfinished], numbers[unfinished]
    payload_parts = PayloadParts.concatenate(parts)
    return payload_parts.take(np.argsort(payload_parts.row, kind="stable")), whole


class Assembled:
    """The payloads of cells, one directly behind the other in `buffer`; `at` and `size` of each."""

    def __init__(self, files: tuple[Buffer, ...], parts: PayloadParts, count: int, work_dir: str) -> None:
        self.parts = parts
        self.size = np.bincount(parts.row, parts.size, count).astype(np.int64)
        self.at = np.cumsum(self.size) - self.size
        self._part_at = np.cumsum(parts.size) - parts.size
        total = int(self.size.sum())
        room = scratch_buffer(total, "overflow pages", work_dir)
        view = memoryview(room)
        target = 0
        for file, at, size in zip(parts.file.tolist(), parts.at.tolist(), parts.size.tolist(), strict=True):
            view[target : target + size] = files[file].view(at, at + size)
            target += size
        self.buffer = Buffer(room)

    def extents(self, at: int, size: int) -> list[Extent]:
        """The origins of a part of the buffer, in the order of its bytes; their source is the file's number."""
        first = int(np.searchsorted(self._part_at, at, "right")) - 1
        extents = []
        while size > 0 and first < self._part_at.size:
            skip = at - int(self._part_at[first])
            length = min(int(self.parts.size[first]) - skip, size)
            if length > 0:
                extents.append(Extent(int(self.parts.at[first]) + skip, length, str(int(self.parts.file[first]))))
                at, size = at + length, size - length
            first += 1
        return extents
