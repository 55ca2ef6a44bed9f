"""The elements of leaf pages as columns: where each key and value lies, and which of them can be so.

Format: bbolt internal/common/inode.go and page.go.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints

IS_BUCKET = 0x01
ELEMENT = 16
LARGEST_KEY = 32768
Sizes: TypeAlias = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Leaves(Columns):
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
        return cls(
            flags=flags.astype(np.uint8),
            key_at=key_at,
            key_len=key_len.astype(np.uint32),
            value_at=value_at,
            value_len=value_len.astype(np.uint32),
            page=page,
        )

    @classmethod
    def empty(cls, rows: int = 0) -> "Leaves":
        """Columns of so many rows, to be filled."""
        return cls(
            flags=np.empty(rows, np.uint8),
            key_at=np.empty(rows, np.int64),
            key_len=np.empty(rows, np.uint32),
            value_at=np.empty(rows, np.int64),
            value_len=np.empty(rows, np.uint32),
            page=np.empty(rows, np.int64),
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
