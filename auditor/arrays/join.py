"""Joins of the byte strings of several buffers: equal strings, paired rows."""

from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import codes_of, exact_codes, hashes
from auditor.arrays.parallel import parallel_for, split_by

Strings: TypeAlias = tuple[Buffer, Ints, Ints]
"""A buffer, and positions and lengths (int64, shape (n,)) of byte strings in it."""


def groups(parts: Sequence[Strings], key: int = 0) -> tuple[list[Ints], int]:
    """Equal byte strings of any of the parts share a code: the codes of each part, and how many there are.

    As factorize(), of several buffers, none of which is copied: hashes group, and bytes are compared.

    Args:
        parts: The strings.
        key: Of the hashes, 64 bits; the codes are in their order.
    """
    ends = np.cumsum([at.size for _, at, _ in parts])[:-1]
    digests = np.concatenate([np.zeros(0, np.uint64), *(hashes(*part, key, ends=True) for part in parts)])
    codes, heads = codes_of(digests)
    other = np.flatnonzero(~_as_heads(parts, codes, heads))
    if other.size:  # alike at both ends: all of the bytes are hashed
        alike = np.bincount(codes[other], minlength=heads.size) > 0
        rows = np.split(alike[codes], ends)
        digests[alike[codes]] = np.concatenate(
            [hashes(*_take(part, np.flatnonzero(chosen)), key) for part, chosen in zip(parts, rows, strict=True)]
        )
        codes, heads = codes_of(digests)
        if not _as_heads(parts, codes, heads).all():
            texts = (map(buffer.slice, at.tolist(), length.tolist()) for buffer, at, length in parts)
            codes, heads = exact_codes(chain.from_iterable(texts))
    return np.split(codes, ends), int(heads.size)


def _as_heads(parts: Sequence[Strings], codes: Ints, heads: Ints) -> Bools:
    """Which strings, numbered through all parts, are the same bytes as the head of their code."""
    sizes = [at.size for _, at, _ in parts]
    part = np.repeat(np.arange(len(parts)), sizes)
    first = np.cumsum([0, *sizes])
    head = heads[codes]
    same = np.ones(codes.size, np.bool_)
    rows = np.flatnonzero(head != np.arange(codes.size))
    for pair, places in split_by(part[rows] * len(parts) + part[head[rows]]):
        own, other = divmod(pair, len(parts))
        mine, its = rows[places], head[rows[places]]
        same[mine] = identical(_take(parts[own], mine - first[own]), _take(parts[other], its - first[other]))
    return same


def _take(strings: Strings, rows: Ints) -> Strings:
    buffer, at, length = strings
    return buffer, at[rows], length[rows]


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
