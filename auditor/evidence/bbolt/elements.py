"""The elements of leaf pages as columns: where each key and value lies, and which of them can be so.

Format: bbolt internal/common/inode.go and page.go.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Ints

IS_BUCKET = 0x01
ELEMENT = 16
LARGEST_KEY = 32768
Sizes: TypeAlias = NDArray[np.uint32]


class Leaves(NamedTuple):
    """Elements of leaf pages, in key order: positions and sizes in bytes, of shape (n,).

    Flags are uint8 and sizes uint32, as narrow as what they hold: there are as many of them as records.
    """

    flags: NDArray[np.uint8]
    key_at: Ints
    key_len: Sizes
    value_at: Ints
    value_len: Sizes
    page: Ints

    @classmethod
    def of(cls, flags: Any, key_at: Ints, key_len: Any, value_at: Ints, value_len: Any, page: Ints) -> "Leaves":
        """Columns of any integers, of elements that hold."""
        narrow = (flags.astype(np.uint8), key_at, key_len.astype(np.uint32), value_at, value_len.astype(np.uint32))
        return cls(*narrow, page)

    def take(self, rows: Bools) -> "Leaves":
        """These of the elements."""
        return Leaves(
            self.flags[rows],
            self.key_at[rows],
            self.key_len[rows],
            self.value_at[rows],
            self.value_len[rows],
            self.page[rows],
        )


class Spans(NamedTuple):
    """Where the elements of leaf pages begin and end, and the first page of each; int64 of shape (n,)."""

    start: Ints
    end: Ints
    page: Ints


def fitting(flags: Any, key_len: Any, key_at: Ints, value_end: Ints, table_end: Any, end: Any) -> Bools:
    """Which elements hold: a kind that bbolt knows, a key, and all of it between the element table and the end."""
    good: Bools = (flags <= IS_BUCKET) & (key_len >= 1) & (key_len <= LARGEST_KEY)
    good &= (key_at >= table_end) & (value_end <= end)
    return good


def overlapping(owner: Ints, start: Ints, end: Ints) -> Bools:
    """Which payloads share bytes with one before them of the same owner; owners ascend, positions begin at each."""
    reach = np.maximum.accumulate((owner << 40) + end)
    shared = np.zeros(owner.shape, np.bool_)
    shared[1:] = (owner << 40)[1:] + start[1:] < reach[:-1]
    return shared


def joined(parts: Sequence[Leaves]) -> Leaves:
    if len(parts) == 1:  # nearly always: the leaves of a tree lie in one level
        return parts[0]
    return Leaves(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else empty()


def empty() -> Leaves:
    nothing = np.zeros(0, np.int64)
    return Leaves.of(nothing, nothing, nothing, nothing, nothing, nothing)
