"""Joins of the byte strings of several buffers: equal strings, paired rows."""

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
    """Equal byte strings of any of the parts share a code: the codes of each part, and how many there are."""
    length = np.concatenate([sizes for _, _, sizes in parts])
    at = np.cumsum(length) - length
    codes, representatives = factorize(Buffer(b"".join(map(packed, parts))), at, length)
    ends = np.cumsum([sizes.size for _, _, sizes in parts])
    return np.split(codes, ends[:-1]), int(representatives.size)


def packed(strings: Strings) -> bytes:
    """The byte strings, concatenated."""
    buffer, at, length = strings
    ends = np.cumsum(length)
    target = np.empty(int(ends[-1]) if ends.size else 0, np.uint8)
    for part in chunks(at.size):
        first = int(ends[part][0] - length[part][0])
        target[first : int(ends[part][-1])] = buffer.data[ranges(at[part], length[part])]
    return target.tobytes()


def outer_join(one: Strings, other: Strings) -> tuple[Ints, Ints]:
    """Row by row one distinct string: its last row in `one` and in `other`, -1 where a side lacks it."""
    (codes, other_codes), count = groups((one, other))
    rows = np.full((2, count), -1, np.int64)
    rows[0, codes] = np.arange(codes.size)
    rows[1, other_codes] = np.arange(other_codes.size)
    return rows[0], rows[1]


def identical(one: Strings, other: Strings) -> Bools:
    """Which pairs of strings, row by row, are the same bytes."""
    (buffer, at, length), (other_buffer, other_at, other_length) = one, other
    same: Bools = length == other_length
    rows = np.flatnonzero(same)

    def compare(part: slice) -> None:
        chunk = rows[part]
        same[chunk] = buffer.equal(at[chunk], other_at[chunk], length[chunk], other_buffer)

    parallel_for(rows.size, compare, size=1 << 12)
    return same
