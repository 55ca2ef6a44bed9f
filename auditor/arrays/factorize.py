"""Equal byte strings of one buffer share a number, whatever they hold and however many there are."""

import hashlib
from collections.abc import Callable

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


def hashes(buffer: Buffer, at: Ints, length: Ints) -> Words:
    """A 64-bit mix of each byte string. Not proof of equality: see factorize()."""
    return _in_parts(_hash_of_all, buffer, at, length)


def _in_parts(digest: Callable[[Buffer, Ints, Ints], Words], buffer: Buffer, at: Ints, length: Ints) -> Words:
    hashed = np.empty(at.size, np.uint64)

    def work(part: slice) -> None:
        hashed[part] = digest(buffer, at[part], length[part])

    parallel_for(at.size, work)
    return hashed


def _hash_of_all(buffer: Buffer, at: Ints, length: Ints) -> Words:
    mixed = length.astype(np.uint64) * _MIX
    long = np.flatnonzero(length > LONG)
    for row in long.tolist():
        raw = buffer.slice(int(at[row]), int(length[row]))
        mixed[row] = int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")
    for rows, block, mask in buffer.strings(at, np.where(length > LONG, 0, length) if long.size else length):
        block &= mask
        mixed[rows] = _mix_block(mixed[rows], block)
    return mixed


def _hash_of_ends(buffer: Buffer, at: Ints, length: Ints) -> Words:
    """A hash of all of a short string, and of the two ends of one longer than ENDS: most strings differ there."""
    long = length > ENDS
    mixed = _hash_of_all(buffer, at, np.where(long, 0, length))
    rows = np.flatnonzero(long)
    if rows.size:
        first, size = at[rows], length[rows]
        state = _mix_block(size.astype(np.uint64) * _MIX, buffer.blocks(first, ENDS // 16))
        mixed[rows] = _mix_block(state, buffer.blocks(first + size - ENDS // 2, ENDS // 16))
    return mixed


def factorize(buffer: Buffer, at: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Equal byte strings share a code, as pandas.factorize() has it: codes (n,), and by code one row that has it.

    Strings are grouped by a hash and then compared byte for byte, so a collision, forced or not, never joins
    two different strings.
    """
    if not at.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    hashed = _in_parts(_hash_of_ends, buffer, at, length)
    codes, representatives = _codes_of(hashed)
    alike = np.flatnonzero((length > ENDS) & (np.bincount(codes) > 1)[codes])
    if alike.size:
        hashed[alike] = hashes(buffer, at[alike], length[alike])
        codes, representatives = _codes_of(hashed)
    collisions: list[int] = []

    def verify(part: slice) -> None:
        other = representatives[codes[part]]
        rows = np.flatnonzero(other != np.arange(part.start, part.stop))
        other, rows = other[rows], rows + part.start
        if (length[rows] != length[other]).any() or not buffer.equal(at[rows], at[other], length[rows]).all():
            collisions.append(part.start)

    parallel_for(at.size, verify)
    return _group_exactly(buffer, at, length) if collisions else (codes, representatives)


def _group_exactly(buffer: Buffer, at: Ints, length: Ints) -> tuple[Ints, Ints]:
    """factorize() without hashes, for strings of which two collide: slower, and right."""
    numbers: dict[bytes, int] = {}
    codes = np.empty(at.size, np.int64)
    representatives: list[int] = []
    for row, (start, size) in enumerate(zip(at.tolist(), length.tolist(), strict=True)):
        text = buffer.slice(start, size)
        code = numbers.setdefault(text, len(representatives))
        if code == len(representatives):
            representatives.append(row)
        codes[row] = code
    return codes, np.array(representatives, np.int64)


def _mix_block(before: Words, block: Words) -> Words:
    """The hashes after one more block of words, shape (n, up to 8). Overwrites the block."""
    block ^= block >> np.uint64(29)  # or high bits of two words would cancel each other out
    state = before ^ (block * _FACTORS[: block.shape[1]]).sum(axis=1)
    state = (state ^ (state >> np.uint64(29))) * _MIX
    mixed: Words = state ^ (state >> np.uint64(32))
    return mixed


def _codes_of(hashed: Words) -> tuple[Ints, Ints]:
    """Equal hashes share a code, in the order of the hashes; and one row of each."""
    return _codes_by_slot(hashed) or _codes_by_sorting(hashed)


def _codes_by_slot(hashed: Words) -> tuple[Ints, Ints] | None:
    """_codes_of() without sorting, where few hashes are different and no two of them share a slot; else None."""
    slot = (hashed >> np.uint64(64 - SLOTS)).astype(np.uint16)
    table = np.zeros(1 << SLOTS, np.uint64)
    table[slot] = hashed
    if (table[slot] != hashed).any():
        return None
    used = np.zeros(1 << SLOTS, np.bool_)
    used[slot] = True
    codes: Ints = (np.cumsum(used) - 1)[slot]
    representatives = np.empty(int(used.sum()), np.int64)
    representatives[codes] = np.arange(hashed.size)
    return codes, representatives


def _codes_by_sorting(hashed: Words) -> tuple[Ints, Ints]:
    order = np.argsort(hashed)
    ordered = hashed[order]
    first = np.ones(hashed.size, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    rank = np.cumsum(first, out=ordered.view(np.int64))  # what was sorted is not needed any more
    rank -= 1
    codes = np.empty(hashed.size, np.int64)
    codes[order] = rank
    return codes, order[first]
