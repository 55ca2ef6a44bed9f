"""Search for very many patterns at once, without compiling them: by the whole words of the bytes.

A pattern of SPAN bytes, wherever it lies, covers exactly one word of eight bytes whose position is a multiple of eight.
So only these words are looked at, an eighth of the positions, and each pattern is known by the eight words that it may
cover. Two tables of one bit a slot say of almost every word that it is none of them.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from auditor.columns import Bools, Buffer, Bytes, Ints, Words, chunks, expand
from auditor.hunt.engine import MOST

WORD = 8
SPAN = 2 * WORD - 1
STRIPE = 1 << 23
"""Words that a thread takes at once."""
BLOCK = 1 << 15
"""Words looked up at once: they and their slots stay in the processor's cache."""
PORTION = 1 << 18
"""Places compared at once."""
_MIXES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)


class WordSearcher:
    """patterns: uint8 of shape (n, SPAN); a pattern's number is its row.

    `overflowing`: numbers of the patterns that were left for their many hits.
    """

    def __init__(self, patterns: Bytes) -> None:
        words = _covered(patterns)
        keys = _keys(words[:, 0], words[:, -1])
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._first, self._last = words[self._order, 0], words[self._order, -1]
        order = np.argsort(words, axis=None)
        every = words.reshape(-1)[order]
        begins = np.flatnonzero(np.append(True, every[1:] != every[:-1]))
        self._words = every[begins]
        shifts = np.left_shift(np.uint8(1), (order % WORD).astype(np.uint8))
        self._shifts: NDArray[np.uint8] = np.bitwise_or.reduceat(shifts, begins)
        self._zeros = bool(self._words[0] == 0)  # zeros fill every page, and their slot may be another's
        bits = max(16, (self._words.size * 16).bit_length())  # no more than a sixteenth of the slots is taken
        self._tables = [_Table(self._words, mix, bits) for mix in _MIXES]
        self.overflowing: set[int] = set()

    def search(self, buffer: Buffer) -> tuple[Ints, Ints]:
        """Pattern numbers and starts of all hits, by start: int64 of shape (hits,)."""
        stripes = list(chunks(buffer.size // WORD, STRIPE))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            parts = list(pool.map(lambda stripe: self._in_stripe(buffer, stripe), stripes))
        none = np.zeros(0, np.int64)
        numbers = np.concatenate([part[0] for part in parts] or [none])
        starts = np.concatenate([part[1] for part in parts] or [none])
        kept = _firsts(numbers, MOST)
        self.overflowing.update(numbers[~kept].tolist())
        return numbers[kept], starts[kept]

    def _in_stripe(self, buffer: Buffer, stripe: slice) -> tuple[Ints, Ints]:
        """Pattern numbers and starts, by start, of no more than MOST + 1 hits of each."""
        words: Words = np.frombuffer(buffer.data, "<u8", stripe.stop - stripe.start, stripe.start * WORD)
        at = self._likely(words)
        which = np.minimum(np.searchsorted(self._words, words[at]), self._words.size - 1)
        known = self._words[which] == words[at]
        at, which = (at[known] + stripe.start) * WORD, which[known]
        found = [self._compared(buffer, at[part], self._shifts[which[part]]) for part in chunks(at.size, PORTION)]
        none = np.zeros(0, np.int64)
        places = np.concatenate([each for each, _ in found] or [none])
        starts = np.concatenate([each for _, each in found] or [none])
        kept = _firsts(places, MOST + 1)
        low, starts = places[kept], starts[kept]
        many = np.searchsorted(self._keys, self._keys[low], "right") - low
        places, starts = expand(low, many), np.repeat(starts, many)
        same = self._whole(buffer, places, starts)
        numbers, starts = self._order[places[same]], starts[same]
        order = np.lexsort((numbers, starts))
        return numbers[order], starts[order]

    def _likely(self, words: Words) -> Ints:
        """Positions of the words that both tables know."""
        near, sure = self._tables
        kept: list[Ints] = [np.zeros(0, np.int64)]
        for part in chunks(words.size, BLOCK):
            block = words[part]
            rows = np.flatnonzero(near.known(block))
            some = block[rows]
            wanted = sure.known(some)
            if not self._zeros:
                wanted &= some != 0
            rows = rows[wanted]
            if rows.size:
                kept.append(rows + part.start)
        return np.concatenate(kept)

    def _compared(self, buffer: Buffer, at: Ints, shifts: NDArray[np.uint8]) -> tuple[Ints, Ints]:
        """Where a pattern stands that covers the word at `at`: the first place of its key, and its start."""
        rows, shift = np.nonzero(shifts[:, None] & np.left_shift(np.uint8(1), np.arange(WORD, dtype=np.uint8)))
        starts = at[rows] - shift
        starts = starts[(starts >= 0) & (starts + SPAN <= buffer.size)]
        keys = _keys(buffer.words(starts), buffer.words(starts + SPAN - WORD))
        places = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        same = self._keys[places] == keys
        return places[same], starts[same]

    def _whole(self, buffer: Buffer, places: Ints, starts: Ints) -> Bools:
        """Whether the bytes at each start are those of the pattern."""
        first, last = buffer.words(starts), buffer.words(starts + SPAN - WORD)
        same: Bools = (first == self._first[places]) & (last == self._last[places])
        return same


class _Table:
    """Which slots the words take that are looked for: a bit for each, so that it stays in the processor's cache."""

    def __init__(self, words: Words, mix: int, bits: int) -> None:
        self._mix, self._shift = np.uint64(mix), np.uint64(64 - bits)
        taken = np.zeros(1 << bits, np.bool_)
        taken[(words * self._mix) >> self._shift] = True
        self._taken = np.packbits(taken, bitorder="little")

    def known(self, words: Words) -> Bools:
        """Whether the slot of each word is taken."""
        slots = words * self._mix
        slots >>= self._shift
        bit = slots.astype(np.uint8)
        bit &= 7
        slots >>= np.uint64(3)
        found = np.take(self._taken, slots.view(np.int64), mode="clip")  # `clip` looks up without checking first
        found >>= bit
        found &= 1
        return found.view(np.bool_)


def repeating(patterns: Bytes) -> Bools:
    """Which patterns have a word of one byte eight times: zeros, spaces and the like fill whole stretches."""
    words = _covered(patterns)
    same: Bools = (words == (words >> np.uint64(8) | words << np.uint64(56))).any(axis=1)
    return same


def _covered(patterns: Bytes) -> Words:
    """The words that a pattern may cover, by its first byte's distance from the word: shape (n, WORD)."""
    windows = np.lib.stride_tricks.sliding_window_view(patterns, WORD, axis=1)
    words: Words = np.ascontiguousarray(windows).view("<u8")[:, :, 0]
    return words


def _keys(first: Words, last: Words) -> Words:
    """A mix of the first and the last word of SPAN bytes. Not proof of equality."""
    mixed = first * np.uint64(_MIXES[0])
    keys: Words = (mixed ^ (mixed >> _HALF) ^ last) * np.uint64(_MIXES[1])
    return keys


def _firsts(numbers: Ints, most: int) -> Bools:
    """Which entries are among the first `most` of their number."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    rank = np.arange(ordered.size) - np.searchsorted(ordered, ordered)
    kept = np.empty(ordered.size, np.bool_)
    kept[order] = rank < most
    return kept
