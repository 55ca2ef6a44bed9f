"""Array arithmetic over the bytes of one buffer: batches of records are read without a loop.

Every function takes columns of n positions (int64, bytes from the start of the buffer) and returns columns of n
values. Positions past the end read as zero bytes; negative positions are not allowed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Bools, Bytes, Ints, Words
from auditor.arrays.parallel import chunks, parallel_for, ranges

_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
LONG = 1 << 16
"""Strings longer than this are compared, hashed and looked at as they lie: a string as long as a log takes a minute in
blocks, and a copy of itself."""

_WIDE = 512
"""Bytes of a block of a longer range: a gather of such blocks is three times as fast as one of cache lines."""


class Buffer:
    """Bytes that columns point into: a mapped file, or bytes in memory.

    data: the bytes as an array, at least eight; size: their number without padding.
    """

    def __init__(self, raw: Any) -> None:
        data = np.frombuffer(raw, np.uint8)
        if data.size < 8:  # one word must fit: every gather reads whole words
            data = np.concatenate((data, np.zeros(8, np.uint8)))
        self.size = len(raw)
        self._raw = raw
        self.data: Bytes = data
        self._last = data.size - 8
        self._words: Words = np.ndarray((data.size - 7,), "<u8", buffer=data.data, strides=(1,))

    def slice(self, at: int, length: int) -> bytes:
        """A copy of `length` bytes from `at` on, fewer at the end."""
        return bytes(self._raw[at : at + length])

    def view(self, start: int, end: int) -> memoryview:
        """The bytes from start to end, not copied."""
        return memoryview(self._raw)[start:end]

    def slices(self, at: Ints, length: NDArray[np.integer[Any]]) -> list[bytes]:
        """slice() of every row."""
        raw = self._raw
        return [bytes(raw[start:end]) for start, end in zip(at.tolist(), (at + length).tolist(), strict=True)]

    def views(self, at: Ints, length: NDArray[np.integer[Any]]) -> Iterator[memoryview]:
        """The bytes of every row, not copied."""
        raw = memoryview(self._raw)
        return (raw[start:end] for start, end in zip(at.tolist(), (at + length).tolist(), strict=True))

    def occurrences(self, pattern: bytes, start: int, end: int) -> Iterator[int]:
        """Every position of `pattern` in the bytes from start to end."""
        at = self._find(pattern, start, end)
        while at >= 0:
            yield at
            at = self._find(pattern, at + 1, end)

    def _find(self, pattern: bytes, start: int, end: int) -> int:
        """The first position of `pattern` in the bytes from start to end; -1 where there is none.

        mmap.find of CPython up to 3.11.4 reads the byte behind `end` (gh-105235), which behind a file that ends with
        its last page is no memory of ours: the last byte of a buffer is left to a copy of its last bytes.
        """
        at: int = self._raw.find(pattern, start, min(end, self.size - 1))
        if at >= 0 or end < self.size:
            return at
        last = self.size - len(pattern)
        return last if last >= start and self._raw[last:] == pattern else -1

    def words(self, at: Ints) -> Words:
        """The eight bytes at each position as a little-endian number, so that the first byte is the lowest."""
        if int(at.max(initial=0)) <= self._last:
            inside: Words = self._words[at]
            return inside
        start = np.minimum(at, self._last)
        shift = (np.minimum(at - start, 8) * 8).astype(np.uint64)
        words: Words = np.where(shift < 64, self._words[start] >> np.minimum(shift, np.uint64(63)), np.uint64(0))
        return words

    def strided_words(self, step: int) -> Words:
        """The words at every multiple of `step` that lie whole in the buffer, not copied."""
        return self._words[::step]

    def blocks(self, at: Ints, count: int) -> Words:
        """`count` words from each position on, shape (n, count): one gather instead of many."""
        if int(at.max(initial=0)) + 8 * count > self.data.size:
            return np.stack([self.words(at + 8 * i) for i in range(count)], axis=1)
        # void items have no alignment, so that one fancy index copies a whole block from any position
        whole = np.ndarray((self.data.size - 8 * count + 1,), f"V{8 * count}", buffer=self.data.data, strides=(1,))
        return whole[at].view("<u8").reshape(-1, count)

    def starts_with(self, at: Ints, length: Ints, prefix: bytes) -> Bools:
        """Which of the byte strings begin with `prefix`.

        Args:
            at: Positions of the strings.
            length: Their bytes.
            prefix: The prefix, of any length.
        """
        same = length >= len(prefix)
        for i in range(0, len(prefix), 8):
            part = prefix[i : i + 8]
            word = np.uint64(int.from_bytes(part, "little"))
            same &= (self.words(at + i) & _mask(np.int64(len(part)))) == word
        return same

    def find(self, at: Ints, length: Ints, byte: int, limit: int = 1 << 20, *, text: bool = False) -> Ints:
        """Distance to the first `byte` in each string; -1 where there is none.

        Args:
            at: Positions of the strings.
            length: Their bytes.
            byte: The byte to find.
            limit: Bytes of each string that are searched at most.
            text: Whether a byte outside printable ASCII ends the search.
        """
        distance = np.full(at.shape, -1, np.int64)
        rows = np.flatnonzero(length > 0)
        pattern = np.uint64(byte) * _ONES
        for step in range(0, limit, 8):
            if not rows.size:
                break
            words = self.words(at[rows] + step)
            difference = words ^ pattern
            # a byte's high bit is set where it is the pattern; the lowest is right: borrows flag wrongly only above one
            matches = (difference - _ONES) & ~difference & _HIGH
            hits = matches
            if text:
                hits = matches | (words & _HIGH) | ((words - np.uint64(0x20) * _ONES) & ~words & _HIGH)
            lowest = hits & (~hits + np.uint64(1))
            place = step + (np.bitwise_count(lowest - np.uint64(1)).astype(np.int64) >> 3)
            hit = ((matches & lowest) != 0) & (place < np.minimum(length[rows], limit))
            distance[rows[hit]] = place[hit]
            rows = rows[(hits == 0) & (length[rows] > step + 8)]
        return distance

    def find_nth(self, at: Ints, length: Ints, byte: int, number: int) -> Ints:
        """Distance to the `number`-th (from 0) `byte` in each string; -1 where there are fewer.

        Args:
            at: Positions of the strings.
            length: Their bytes.
            byte: The byte to find.
            number: How many of it come first.
        """
        # hits: for each of the first 32 bytes of a string one bit, set where it is the byte
        near = np.minimum(length, 32)
        hits = np.packbits(self.blocks(at, 4).view(np.uint8) == byte, axis=-1, bitorder="little").view("<u4")[:, 0]
        hits &= (np.uint64((1 << 32) - 1) >> (32 - near).astype(np.uint64)).astype(np.uint32)
        for _ in range(number):
            hits &= hits - np.uint32(1)
        distance: Ints = np.bitwise_count((hits & (~hits + np.uint32(1))) - np.uint32(1)).astype(np.int64)
        distance[hits == 0] = -1
        far = np.flatnonzero((hits == 0) & (length > 32))
        begin = np.zeros(far.size, np.int64)
        for _ in range(number + 1):
            step = self.find(at[far] + begin, length[far] - begin, byte)
            begin, far = (begin + step + 1)[step >= 0], far[step >= 0]
        distance[far] = begin - 1
        return distance

    def equal(self, at: Ints, other: Ints, length: Ints, other_buffer: "Buffer | None" = None) -> Bools:
        """Which pairs of strings of the same length are the same bytes.

        Args:
            at: Positions of the first strings.
            other: Positions of the second strings.
            length: Bytes of each pair.
            other_buffer: The buffer that `other` points into; this one where it is None.
        """
        same = np.ones(at.shape, np.bool_)
        second = other_buffer or self
        for row in np.flatnonzero(length > LONG).tolist():
            size = int(length[row])
            same[row] = self.slice(int(at[row]), size) == second.slice(int(other[row]), size)
        wide = np.flatnonzero((length >= _WIDE) & (length <= LONG))
        for part in chunks(wide.size, _WIDE):
            rows = wide[part]
            (mine, first), (its, _) = (_wide_blocks(start[rows], length[rows]) for start in (at, other))
            block, others = self.blocks(mine, _WIDE // 8), second.blocks(its, _WIDE // 8)
            if not np.array_equal(block, others):
                same[rows] = np.logical_and.reduceat((block == others).all(axis=1), first)
        length = np.where(length >= _WIDE, 0, length)
        pairs = zip(self.strings(at, length), second.strings(other, length), strict=True)
        for (selected, block, mask), (_, others, _) in pairs:
            block ^= others
            block &= mask
            if block.any():  # of all rows together it is said at once, and nearly always they are the same
                same[selected] &= ~block.any(axis=1)
        return same

    def nonzero(self, start: Ints, end: Ints) -> Bools:
        """Which of these ranges of bytes hold anything but zeros."""
        filled = np.zeros(start.shape, np.bool_)
        # long ranges are looked at in place: a gather would copy them
        large = np.flatnonzero(end - start > LONG)
        for row in large.tolist():
            filled[row] = any(
                self.data[at : min(at + LONG, int(end[row]))].any()
                for at in range(int(start[row]), int(end[row]), LONG)
            )

        def scan(part: slice) -> None:
            length = end[part] - start[part]
            wide = np.flatnonzero((length >= _WIDE) & (length <= LONG))
            if wide.size:
                filled[part.start + wide] = self._any_wide(start[part][wide], length[wide])
            first, length = start[part], np.where(length >= _WIDE, 0, length)
            # whole blocks of 64 bytes, and whether the rest behind them (`ragged`) holds anything
            whole = length // 64
            rest = first + whole * 64
            ragged = np.any(self.blocks(rest, 8) & _MASKS.take(np.minimum(first + length - rest, 64), axis=0), axis=1)
            blocks = self.blocks(ranges(first, whole, 64), 8)
            if blocks.any():
                rows = np.flatnonzero(whole)
                begins = np.cumsum(whole[rows]) - whole[rows]
                ragged[rows] |= np.logical_or.reduceat(blocks.any(axis=1), begins)
            filled[part] |= ragged

        parallel_for(start.size, scan, size=1 << 9)
        return filled

    def _any_wide(self, start: Ints, length: Ints) -> Bools:
        """Which ranges of at least a wide block hold anything but zeros."""
        at, first = _wide_blocks(start, length)
        blocks = self.blocks(at, _WIDE // 8)
        if not blocks.max():  # of all that is looked for the fastest, and nearly always the answer
            return np.zeros(start.size, np.bool_)
        filled: Bools = np.logical_or.reduceat(blocks.any(axis=1), first)
        return filled

    def trimmed(self, start: int, end: int) -> tuple[int, int]:
        """The range without the zeros at its beginning and end; empty where it holds nothing else."""
        step = 1 << 20
        while start < end:
            part = self.data[start : min(start + step, end)]
            if part.any():
                start += int(np.argmax(part != 0))
                break
            start += part.size
        while end > start:
            part = self.data[max(end - step, start) : end]
            if part.any():
                end -= int(np.argmax(part[::-1] != 0))
                break
            end -= part.size
        return start, end

    def strings(self, at: Ints, length: Ints) -> Iterator[tuple[Any, Words, Words]]:
        """Strings in blocks of up to eight words: rows not at their end, their words, masks of their bits."""
        rows: Any = slice(None)
        longest = int(length.max(initial=0))
        for step in range(0, longest, 64):
            if step:
                rows = np.flatnonzero(length > step)
            count = min((longest - step + 7) // 8, 8)
            mask = _MASKS[:, :count].take(np.minimum(length[rows] - step, 64), axis=0)
            yield rows, self.blocks(at[rows] + step, count), mask


def _wide_blocks(start: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Where the wide blocks are that cover each range, the last of which ends with it; and the first of each range."""
    count = (length + _WIDE - 1) // _WIDE
    at, ends = ranges(start, count, _WIDE), np.cumsum(count)
    at[ends - 1] = start + length - _WIDE
    return at, ends - count


def varints(words: Words) -> tuple[Ints, Ints]:
    """Protobuf varints at the low end of words: value and size in bytes; size 0 where it does not end in the word."""
    # the last byte of a varint is the lowest without its high bit; `octets` are the bytes up to it
    stops = ~words & _HIGH
    lowest = stops & (~stops + np.uint64(1))
    size = np.where(stops == 0, 0, (np.bitwise_count(lowest - np.uint64(1)).astype(np.int64) >> 3) + 1)
    octets = words & (lowest | (lowest - np.uint64(1)))
    value = octets & np.uint64(0x7F)
    for i in range(1, int(size.max(initial=1))):
        value |= ((octets >> np.uint64(8 * i)) & np.uint64(0x7F)) << np.uint64(7 * i)
    return value.astype(np.int64), size


def _mask(length: Any) -> Any:
    """A word whose lowest `length` (0 to 8) bytes are ones."""
    return _MASKS[length, 0]


_MASKS: Words = np.array(
    [[(1 << (8 * min(max(length - 8 * word, 0), 8))) - 1 for word in range(8)] for length in range(65)], np.uint64
)
"""For each length from 0 to 64 the eight words that mask the first bytes of a block of 64."""
