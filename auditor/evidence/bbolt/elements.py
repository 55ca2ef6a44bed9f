"""The elements of leaf pages as columns: positions of keys and values, and the checks that an element is valid.

Format: bbolt internal/common/inode.go and page.go.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints

IS_BUCKET = 0x01
"""The flag of an element whose value is a bucket (BucketLeafFlag)."""
ELEMENT = 16
"""Bytes of an element (leafPageElement, branchPageElement)."""
LARGEST_KEY = 32768
"""Bytes of a key, at most (bucket.go, MaxKeySize)."""
Sizes: TypeAlias = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Leaves(Columns):
    """n elements of leaf pages in key order; columns of shape (n,), as narrow as their numbers allow."""

    flags: NDArray[np.uint8]
    """IS_BUCKET or 0."""
    key_at: Ints
    """Position of each key in the buffer."""
    key_len: Sizes
    """Bytes of each key."""
    value_at: Ints
    """Position of each value."""
    value_len: Sizes
    """Bytes of each value."""
    page: Ints
    """Page id (pgid) of the leaf."""

    @classmethod
    def of(cls, *, flags: Any, key_at: Ints, key_len: Any, value_at: Ints, value_len: Any, page: Ints) -> "Leaves":
        """Valid elements out of columns of any integer type."""
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
        """Columns of `rows` rows, uninitialised."""
        return cls(
            flags=np.empty(rows, np.uint8),
            key_at=np.empty(rows, np.int64),
            key_len=np.empty(rows, np.uint32),
            value_at=np.empty(rows, np.int64),
            value_len=np.empty(rows, np.uint32),
            page=np.empty(rows, np.int64),
        )


def valid_elements(flags: Any, key_len: Any, key_at: Ints, value_end: Ints, table_end: Any, end: Any) -> Bools:
    """Which elements are valid: flags that bbolt knows, a key, and both parts between element table and end.

    Args:
        flags: The elements' flags.
        key_len: Bytes of their keys.
        key_at: Positions of their keys.
        value_end: Positions behind their values.
        table_end: Positions behind the element table of their run.
        end: Positions behind their run.
    """
    valid: Bools = (flags <= IS_BUCKET) & (key_len >= 1) & (key_len <= LARGEST_KEY)
    valid &= (key_at >= table_end) & (value_end <= end)
    return valid


def overlaps(owner: Ints, start: Ints, end: Ints) -> Bools:
    """Which payloads share bytes with one before them in the same run.

    Args:
        owner: Row of each payload's run, ascending.
        start: First byte of each payload, from its run's element table on.
        end: The position behind it, counted likewise.
    """
    # reach: the furthest end so far, of the owner's own number in the high bits
    reach = np.maximum.accumulate((owner << 40) + end)
    overlap = np.zeros(owner.shape, np.bool_)
    overlap[1:] = (owner << 40)[1:] + start[1:] < reach[:-1]
    return overlap
