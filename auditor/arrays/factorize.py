"""Equal byte strings of one buffer share a number, whatever they hold and however many there are."""

import hashlib
from collections.abc import Callable

import numpy as np

from auditor.arrays.buffer import LONG, Buffer
from auditor.arrays.dtypes import Ints, Words
from auditor.arrays.parallel import parallel_for

ENDS = 128
"""Bytes of a string, half of them at each end, by which strings are told apart first."""
SLOTS = 16
"""Bits of a hash that tell a few strings apart."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FACTORS: Words = np.array([pow(0x9E3779B97F4A7C15, 2 * i + 1, 1 << 64) for i in range(1, 9)], np.uint64)
"""Odd multipliers of the eight words of a block in hashes()."""


def hashes(buffer: Buffer, at: Ints, length: Ints) -> Words:
    """A 64-bit mix of each byte string. Not proof of equality: see group()."""
    return _in_parts(_whole, buffer, at, length)


def _in_parts(digest: Callable[[Buffer, Ints, Ints], Words], buffer: Buffer, at: Ints, length: Ints) -> Words:
    hashed = np.empty(at.size, np.uint64)

    def work(part: slice) -> None:
        hashed[part] = digest(buffer, at[part], length[part])

    parallel_for(at.size, work)
    return hashed


def _whole(buffer: Buffer, at: Ints, length: Ints) -> Words:
    mixed = length.astype(np.uint64) * _MIX
    long = np.flatnonzero(length > LONG)
    for row in long.tolist():
        raw = buffer.slice(int(at[row]), int(length[row]))
        mixed[row] = int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")
    for rows, block, mask in buffer.strings(at, np.where(length > LONG, 0, length) if long.size else length):
        block &= mask
        mixed[rows] = _mixed(mixed[rows], block)
    return mixed


def _ends(buffer: Buffer, at: Ints, length: Ints) -> Words:
    """The same, of strings longer than ENDS only of the two ends of each: most strings differ there."""
    long = length > ENDS
    mixed = _whole(buffer, at, np.where(long, 0, length))
    rows = np.flatnonzero(long)
    if rows.size:
        first, size = at[rows], length[rows]
        each = _mixed(size.astype(np.uint64) * _MIX, buffer.blocks(first, ENDS // 16))
        mixed[rows] = _mixed(each, buffer.blocks(first + size - ENDS // 2, ENDS // 16))
    return mixed


def factorize(buffer: Buffer, at: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Equal byte strings share a number: numbers (n,), and one row of each group by its number.

    Strings are grouped by a hash and then compared byte for byte, so a collision, forced or not, never joins
    two different strings.
    """
    if not at.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    hashed = _in_parts(_ends, buffer, at, length)
    numbers, heads = _numbered(hashed)
    alike = np.flatnonzero((length > ENDS) & (np.bincount(numbers) > 1)[numbers])
    if alike.size:
        hashed[alike] = hashes(buffer, at[alike], length[alike])
        numbers, heads = _numbered(hashed)
    collisions: list[int] = []

    def verify(part: slice) -> None:
        head = heads[numbers[part]]
        rows = np.flatnonzero(head != np.arange(part.start, part.stop))
        head, rows = head[rows], rows + part.start
        if (length[rows] != length[head]).any() or not buffer.equal(at[rows], at[head], length[rows]).all():
            collisions.append(part.start)

    parallel_for(at.size, verify)
    return _group_exactly(buffer, at, length) if collisions else (numbers, heads)


def _group_exactly(buffer: Buffer, at: Ints, length: Ints) -> tuple[Ints, Ints]:
    """group() for strings of which two collide in the hash: slower, and right."""
    seen: dict[bytes, int] = {}
    numbers = np.empty(at.size, np.int64)
    heads: list[int] = []
    for row, (start, size) in enumerate(zip(at.tolist(), length.tolist(), strict=True)):
        text = buffer.slice(start, size)
        number = seen.setdefault(text, len(heads))
        if number == len(heads):
            heads.append(row)
        numbers[row] = number
    return numbers, np.array(heads, np.int64)


def _mixed(before: Words, block: Words) -> Words:
    """A hash after one more block of words, shape (n, up to 8); the block is changed."""
    block ^= block >> np.uint64(29)  # or high bits of two words would cancel each other out
    each = before ^ (block * _FACTORS[: block.shape[1]]).sum(axis=1)
    each = (each ^ (each >> np.uint64(29))) * _MIX
    mixed: Words = each ^ (each >> np.uint64(32))
    return mixed


def _numbered(hashed: Words) -> tuple[Ints, Ints]:
    """The same hashes share a number, in the order of the hashes; and one row of each."""
    return _few(hashed) or _sorted(hashed)


def _few(hashed: Words) -> tuple[Ints, Ints] | None:
    """_numbered() without sorting, where few hashes are different and no two of them share a slot; else None."""
    slot = (hashed >> np.uint64(64 - SLOTS)).astype(np.uint16)
    table = np.zeros(1 << SLOTS, np.uint64)
    table[slot] = hashed
    if (table[slot] != hashed).any():
        return None
    used = np.zeros(1 << SLOTS, np.bool_)
    used[slot] = True
    numbers: Ints = (np.cumsum(used) - 1)[slot]
    heads = np.empty(int(used.sum()), np.int64)
    heads[numbers] = np.arange(hashed.size)
    return numbers, heads


def _sorted(hashed: Words) -> tuple[Ints, Ints]:
    order = np.argsort(hashed)
    ordered = hashed[order]
    first = np.ones(hashed.size, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    rank = np.cumsum(first, out=ordered.view(np.int64))  # what was sorted is not needed any more
    rank -= 1
    numbers = np.empty(hashed.size, np.int64)
    numbers[order] = rank
    return numbers, order[first]
