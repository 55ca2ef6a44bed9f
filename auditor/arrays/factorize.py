"""Equal byte strings of one buffer share a number, whatever they hold and however many there are."""

import hashlib
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from auditor.arrays.buffer import LONG, Buffer
from auditor.arrays.dtypes import Ints, Words
from auditor.arrays.parallel import parallel_for

ENDS = 128
"""Bytes of a string, half of them at each end, that are hashed first."""
SLOTS = 16
"""Bits of a hash that number a table's slots."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FACTORS: Words = np.array([pow(0x9E3779B97F4A7C15, 2 * i + 1, 1 << 64) for i in range(1, 9)], np.uint64)
"""Odd multipliers of the eight words of a block in hashes()."""


def hashes(buffer: Buffer, at: Ints, length: Ints, key: int = 0, *, ends: bool = False) -> Words:
    """A 64-bit mix of each byte string. Not proof of equality: see factorize().

    Args:
        buffer: The bytes.
        at: Positions of the strings.
        length: Their bytes.
        key: What the mix begins with, 64 bits.
        ends: Whether one longer than ENDS is mixed of its two ends alone: most strings differ there.
    """
    return _in_parts(partial(_hash_of_ends if ends else _hash_of_all, key=key), buffer, at, length)


def _in_parts(digest: Callable[[Buffer, Ints, Ints], Words], buffer: Buffer, at: Ints, length: Ints) -> Words:
    digests = np.empty(at.size, np.uint64)

    def work(part: slice) -> None:
        digests[part] = digest(buffer, at[part], length[part])

    parallel_for(at.size, work)
    return digests


def _hash_of_all(buffer: Buffer, at: Ints, length: Ints, key: int) -> Words:
    digests = _begin(length, key)
    long = np.flatnonzero(length > LONG)
    for row in long.tolist():
        raw = buffer.slice(int(at[row]), int(length[row]))
        digests[row] ^= np.uint64(int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little"))
    for rows, block, mask in buffer.strings(at, np.where(length > LONG, 0, length) if long.size else length):
        block &= mask
        digests[rows] = _mix_block(digests[rows], block)
    return digests


def _begin(length: Ints, key: int) -> Words:
    """The hashes of no bytes."""
    return (length.astype(np.uint64) ^ np.uint64(key)) * _MIX


def _hash_of_ends(buffer: Buffer, at: Ints, length: Ints, key: int) -> Words:
    long = length > ENDS
    digests = _hash_of_all(buffer, at, np.where(long, 0, length), key)
    rows = np.flatnonzero(long)
    if rows.size:
        first, size = at[rows], length[rows]
        state = _mix_block(_begin(size, key), buffer.blocks(first, ENDS // 16))
        digests[rows] = _mix_block(state, buffer.blocks(first + size - ENDS // 2, ENDS // 16))
    return digests


def factorize(buffer: Buffer, at: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Equal byte strings share a code, as pandas.factorize() has it: codes (n,), and by code one row that has it.

    Strings are grouped by a hash and then compared byte for byte, so a collision, forced or not, never joins
    two different strings.

    Args:
        buffer: The bytes.
        at: Positions of the strings.
        length: Their bytes.
    """
    if not at.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    digests = hashes(buffer, at, length, ends=True)
    codes, representatives = codes_of(digests)
    alike = np.flatnonzero((length > ENDS) & (np.bincount(codes) > 1)[codes])
    if alike.size:
        digests[alike] = hashes(buffer, at[alike], length[alike])
        codes, representatives = codes_of(digests)
    collisions: list[int] = []

    def verify(part: slice) -> None:
        other = representatives[codes[part]]
        rows = np.flatnonzero(other != np.arange(part.start, part.stop))
        other, rows = other[rows], rows + part.start
        if (length[rows] != length[other]).any() or not buffer.equal(at[rows], at[other], length[rows]).all():
            collisions.append(part.start)

    parallel_for(at.size, verify)
    return exact_codes(map(buffer.slice, at.tolist(), length.tolist())) if collisions else (codes, representatives)


def exact_codes(texts: Iterable[bytes]) -> tuple[Ints, Ints]:
    """Codes and heads without hashes, for strings of which two collide: slower, and right."""
    numbers: dict[bytes, int] = {}
    codes: list[int] = []
    heads: list[int] = []
    for row, text in enumerate(texts):
        code = numbers.setdefault(text, len(heads))
        if code == len(heads):
            heads.append(row)
        codes.append(code)
    return np.array(codes, np.int64), np.array(heads, np.int64)


def _mix_block(before: Words, block: Words) -> Words:
    """The hashes after one more block of words, shape (n, up to 8). Overwrites the block."""
    block ^= block >> np.uint64(29)  # or high bits of two words would cancel each other out
    state = before ^ (block @ _FACTORS[: block.shape[1]])
    state = (state ^ (state >> np.uint64(29))) * _MIX
    digests: Words = state ^ (state >> np.uint64(32))
    return digests


def codes_of(digests: Words) -> tuple[Ints, Ints]:
    """Equal hashes share a code, in the order of the hashes; and one row of each."""
    return _codes_by_slot(digests) or _codes_by_sorting(digests)


def _codes_by_slot(digests: Words) -> tuple[Ints, Ints] | None:
    """codes_of() without sorting, where few hashes are different and no two of them share a slot; else None."""
    slot = (digests >> np.uint64(64 - SLOTS)).astype(np.uint16)
    table = np.zeros(1 << SLOTS, np.uint64)
    table[slot] = digests
    if (table[slot] != digests).any():
        return None
    used = np.zeros(1 << SLOTS, np.bool_)
    used[slot] = True
    codes: Ints = (np.cumsum(used) - 1)[slot]
    representatives = np.empty(int(used.sum()), np.int64)
    representatives[codes] = np.arange(digests.size)
    return codes, representatives


def _codes_by_sorting(digests: Words) -> tuple[Ints, Ints]:
    order = np.argsort(digests)
    ascending = digests[order]
    first = np.ones(digests.size, np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    rank = np.cumsum(first, out=ascending.view(np.int64))  # what was sorted is not needed any more
    rank -= 1
    codes = np.empty(digests.size, np.int64)
    codes[order] = rank
    return codes, order[first]
