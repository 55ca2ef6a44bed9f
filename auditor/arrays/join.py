"""Pair the rows of two buffers that hold the same bytes there: column arithmetic, whatever the buffers are."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import chunks, parallel_for, ranges

Strings: TypeAlias = tuple[Buffer, Ints, Ints]
"""A buffer, and positions and lengths (int64, shape (n,)) of byte strings in it."""


def groups(parts: Sequence[Strings]) -> tuple[list[Ints], int]:
    """Equal byte strings of any of the parts share a number: numbers of each part, and how many there are."""
    length = np.concatenate([sizes for _, _, sizes in parts])
    at = np.cumsum(length) - length
    numbers, heads = factorize(Buffer(b"".join(map(packed, parts))), at, length)
    ends = np.cumsum([sizes.size for _, _, sizes in parts])
    return np.split(numbers, ends[:-1]), int(heads.size)


def packed(strings: Strings) -> bytes:
    """The byte strings one directly behind the other."""
    buffer, at, length = strings
    ends = np.cumsum(length)
    target = np.empty(int(ends[-1]) if ends.size else 0, np.uint8)
    for part in chunks(at.size):
        first = int(ends[part][0] - length[part][0])
        target[first : int(ends[part][-1])] = buffer.data[ranges(at[part], length[part])]
    return target.tobytes()


def outer_join(one: Strings, other: Strings) -> tuple[Ints, Ints]:
    """For each distinct string of either side its row there, -1 where a side has none; of equal ones the last."""
    (mine, theirs), count = groups((one, other))
    rows = np.full((2, count), -1, np.int64)
    rows[0, mine] = np.arange(mine.size)
    rows[1, theirs] = np.arange(theirs.size)
    return rows[0], rows[1]


def identical(one: Strings, other: Strings) -> Bools:
    """Which pairs of strings, row by row, are the same bytes."""
    (buffer, at, length), (there, where, size) = one, other
    same: Bools = length == size
    rows = np.flatnonzero(same)

    def look(part: slice) -> None:
        mine = rows[part]
        same[mine] = buffer.equal(at[mine], where[mine], length[mine], there)

    parallel_for(rows.size, look, size=1 << 12)
    return same
