"""Search for very many patterns at once, without compilation: by the aligned words of the bytes.

A pattern of fifteen bytes, wherever it lies, covers exactly one word of eight bytes whose position is a multiple of
eight. So only these words are looked at, an eighth of the positions, and the index of a pattern is the eight words
that it may cover. Two tables of one bit a slot rule out almost every word. A pattern of eleven bytes covers a word at
a multiple of four, and one of eight bytes a word at a multiple of two, but for the word's first byte.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Bytes, Ints, Words
from auditor.arrays.parallel import chunks, ranges
from auditor.hunt.literal_search import MOST

WORD = 8
STEPS = {15: 8, 11: 4, 8: 2}
"""Length of a pattern, and bytes from one aligned word to the next. The last `length - step + 1` bytes of a word
count.
"""
STRIPE = 1 << 23
"""Words that a thread searches at once."""
BLOCK = 1 << 15
"""Words looked up at once, so few that they and their slots stay in the processor's cache."""
PORTION = 1 << 18
"""Words compared with patterns at once."""
_MIXES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)
_ONES = np.uint64(0x0101010101010101)


class WordSearcher:
    """The index of patterns of one length."""

    overflowing: set[int]
    """Numbers of the patterns with more than MOST hits."""

    def __init__(self, patterns: Bytes) -> None:
        """patterns: uint8 of shape (n, length), a length of STEPS; a pattern's number is its row."""
        self._length = patterns.shape[1]
        self._step = STEPS[self._length]
        self._skipped = _skipped(self._length)
        self._skipped_bits = np.uint64(8 * self._skipped)
        # the patterns in the order of their keys: key, row, first word, last word
        first, last = words_of(patterns[:, :WORD]), words_of(patterns[:, -WORD:])
        keys = _keys(first, last)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._first, self._last = first[self._order], last[self._order]
        # every word that a pattern may cover, in order, and of each a bit for every distance at which one covers it
        self._words = np.concatenate([_covered(patterns, distance) for distance in range(self._step)])
        self._words.sort()
        self._words = self._words[np.append(True, self._words[1:] != self._words[:-1])]
        self._distances = np.zeros(self._words.size, np.uint8)
        for distance in range(self._step):
            covered = np.sort(_covered(patterns, distance))  # in order, the search is four times faster
            self._distances[np.searchsorted(self._words, covered)] |= np.uint8(1 << distance)
        self._zeros = bool(self._words[0] == 0)  # zeros fill every page, and other words may share their slot
        bits = max(16, (self._words.size * 16).bit_length())  # words fill at most a sixteenth of the slots
        self._tables = [_Table(self._words, mix, bits) for mix in _MIXES]
        self.overflowing = set()

    def search(self, buffer: Buffer) -> tuple[Ints, Ints]:
        """Pattern numbers and starts of all hits, by start: int64 of shape (hits,)."""
        words = buffer.strided_words(self._step)
        stripes = chunks(words.size, STRIPE)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            parts = list(pool.map(lambda stripe: self._in_stripe(buffer, words[stripe], stripe.start), stripes))
        none = np.zeros(0, np.int64)
        numbers = np.concatenate([part[0] for part in parts] or [none])
        starts = np.concatenate([part[1] for part in parts] or [none])
        within = _firsts(numbers, MOST)
        self.overflowing.update(numbers[~within].tolist())
        return numbers[within], starts[within]

    def _in_stripe(self, buffer: Buffer, words: Words, begin: int) -> tuple[Ints, Ints]:
        """Pattern numbers and starts, by start, of at most MOST + 1 hits of each.

        begin: number of the first word.
        """
        # positions of words that a pattern may cover, and their indices in self._words
        at = self._likely(words)
        likely = words[at] >> self._skipped_bits
        which = np.minimum(np.searchsorted(self._words, likely), self._words.size - 1)
        exact = self._words[which] == likely
        at, which = (at[exact] + begin) * self._step + self._skipped, which[exact]
        # hits of keys: index of the first pattern with the key, and start
        hits = [self._compare(buffer, at[part], self._distances[which[part]]) for part in chunks(at.size, PORTION)]
        none = np.zeros(0, np.int64)
        places = np.concatenate([place for place, _ in hits] or [none])
        starts = np.concatenate([start for _, start in hits] or [none])
        within = _firsts(places, MOST + 1)
        low, starts = places[within], starts[within]
        # each hit once for every pattern with its key
        counts = np.searchsorted(self._keys, self._keys[low], "right") - low
        places, starts = ranges(low, counts), np.repeat(starts, counts)
        matches = self._whole(buffer, places, starts)
        numbers, starts = self._order[places[matches]], starts[matches]
        order = np.lexsort((numbers, starts))
        return numbers[order], starts[order]

    def _likely(self, words: Words) -> Ints:
        """Indices of the words whose slots are full in both tables."""
        first, second = self._tables
        indices: list[Ints] = [np.zeros(0, np.int64)]
        for part in chunks(words.size, BLOCK):
            block = np.ascontiguousarray(words[part])  # overlapping words are copied once
            block = block >> self._skipped_bits if self._skipped else block
            rows = np.flatnonzero(first.contains(block))
            candidates = block[rows]
            likely = second.contains(candidates)
            if not self._zeros:
                likely &= candidates != 0
            rows = rows[likely]
            if rows.size:
                indices.append(rows + part.start)
        return np.concatenate(indices)

    def _compare(self, buffer: Buffer, at: Ints, distances: Bytes) -> tuple[Ints, Ints]:
        """Index of the first pattern with the key, and start, of keys whose patterns may cover the words at `at`."""
        rows, distance = np.nonzero(
            distances[:, None] & np.left_shift(np.uint8(1), np.arange(self._step, dtype=np.uint8))
        )
        starts = at[rows] - distance
        starts = starts[(starts >= 0) & (starts + self._length <= buffer.size)]
        keys = _keys(buffer.words(starts), buffer.words(starts + self._length - WORD))
        places = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        matches = self._keys[places] == keys
        return places[matches], starts[matches]

    def _whole(self, buffer: Buffer, places: Ints, starts: Ints) -> Bools:
        """Whether the bytes at each start are those of the pattern."""
        first, last = buffer.words(starts), buffer.words(starts + self._length - WORD)
        matches: Bools = (first == self._first[places]) & (last == self._last[places])
        return matches


class _Table:
    """A bit for each slot that the patterns' words fill, so small that it stays in the processor's cache."""

    def __init__(self, words: Words, mix: int, bits: int) -> None:
        self._mix, self._shift = np.uint64(mix), np.uint64(64 - bits)
        self._full = np.zeros(1 << bits - 3, np.uint8)
        for part in chunks(words.size):
            slots = (words[part] * self._mix) >> self._shift
            bit = np.left_shift(np.uint8(1), (slots & 7).astype(np.uint8))
            np.bitwise_or.at(self._full, (slots >> np.uint64(3)).view(np.int64), bit)

    def contains(self, words: Words) -> Bools:
        """Whether the slot of each word is full."""
        slots = words * self._mix
        slots >>= self._shift
        bit = slots.astype(np.uint8)
        bit &= 7
        slots >>= np.uint64(3)
        full = np.take(self._full, slots.view(np.int64), mode="clip")  # `clip` skips the check of bounds
        full >>= bit
        full &= 1
        return full.view(np.bool_)


def repeating(patterns: Bytes) -> Bools:
    """The patterns with a word of one repeated byte: zeros, spaces and the like fill whole pages."""
    repeats = np.zeros(len(patterns), np.bool_)
    for distance in range(STEPS[patterns.shape[1]]):
        words = _covered(patterns, distance)
        repeats |= words == (words & np.uint64(0xFF)) * (_ONES >> np.uint64(8 * _skipped(patterns.shape[1])))
    return repeats


def _skipped(length: int) -> int:
    """The number of first bytes of a word that do not count for patterns of this length."""
    return WORD - (length - STEPS[length] + 1)


def _covered(patterns: Bytes, distance: int) -> Words:
    """The bytes that count of the word that each pattern covers at this distance from its first byte."""
    counted = np.zeros((len(patterns), WORD), np.uint8)
    width = WORD - _skipped(patterns.shape[1])
    counted[:, :width] = patterns[:, distance : distance + width]
    return words_of(counted)


def words_of(octets: Bytes) -> Words:
    """Rows of eight bytes as words."""
    words: Words = np.ascontiguousarray(octets).view("<u8")[..., 0]
    return words


def _keys(first: Words, last: Words) -> Words:
    """A mix of the first and the last word of a pattern. Not proof of equality."""
    mixed = first * np.uint64(_MIXES[0])
    keys: Words = (mixed ^ (mixed >> _HALF) ^ last) * np.uint64(_MIXES[1])
    return keys


def _firsts(numbers: Ints, most: int) -> Bools:
    """The entries that are among the first `most` of their number."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    rank = np.arange(ordered.size) - np.searchsorted(ordered, ordered)
    within = np.empty(ordered.size, np.bool_)
    within[order] = rank < most
    return within
