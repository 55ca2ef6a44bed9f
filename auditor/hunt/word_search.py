"""Search for very many patterns at once, without compiling them: by the whole words of the bytes.

A pattern of fifteen bytes, wherever it lies, covers exactly one word of eight bytes whose position is a multiple of
eight. So only these words are looked at, an eighth of the positions, and each pattern is known by the eight words that
it may cover. Two tables of one bit a slot say of almost every word that it is none of them. One of eleven bytes covers
a word at a multiple of four, and one of eight, at a multiple of two, a word but for its first byte.
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
"""Bytes of a pattern, and from one of the words that are looked at to the next. Of a word the last
`length - step + 1` bytes count."""
STRIPE = 1 << 23
"""Words that a thread takes at once."""
BLOCK = 1 << 15
"""Words looked up at once: they and their slots stay in the processor's cache."""
PORTION = 1 << 18
"""Places compared at once."""
_MIXES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)
_ONES = np.uint64(0x0101010101010101)


class WordSearcher:
    """patterns: uint8 of shape (n, length), a length of STEPS; a pattern's number is its row.

    `overflowing`: numbers of the patterns that were left for their many hits.
    """

    def __init__(self, patterns: Bytes) -> None:
        self._length = patterns.shape[1]
        self._step = STEPS[self._length]
        self._lost = _lost(self._length)
        self._unseen = np.uint64(8 * self._lost)
        first, last = words_of(patterns[:, :WORD]), words_of(patterns[:, -WORD:])
        keys = _keys(first, last)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._first, self._last = first[self._order], last[self._order]
        self._words = np.concatenate([_covered(patterns, distance) for distance in range(self._step)])
        self._words.sort()
        self._words = self._words[np.append(True, self._words[1:] != self._words[:-1])]
        self._distances = np.zeros(self._words.size, np.uint8)
        for distance in range(self._step):
            mine = np.sort(_covered(patterns, distance))  # ordered, they are found four times faster
            self._distances[np.searchsorted(self._words, mine)] |= np.uint8(1 << distance)
        self._zeros = bool(self._words[0] == 0)  # zeros fill every page, and their slot may be another's
        bits = max(16, (self._words.size * 16).bit_length())  # no more than a sixteenth of the slots is taken
        self._tables = [_Table(self._words, mix, bits) for mix in _MIXES]
        self.overflowing: set[int] = set()

    def search(self, buffer: Buffer) -> tuple[Ints, Ints]:
        """Pattern numbers and starts of all hits, by start: int64 of shape (hits,)."""
        words = buffer.strided_words(self._step)
        stripes = chunks(words.size, STRIPE)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            parts = list(pool.map(lambda stripe: self._in_stripe(buffer, words[stripe], stripe.start), stripes))
        none = np.zeros(0, np.int64)
        numbers = np.concatenate([part[0] for part in parts] or [none])
        starts = np.concatenate([part[1] for part in parts] or [none])
        kept = _firsts(numbers, MOST)
        self.overflowing.update(numbers[~kept].tolist())
        return numbers[kept], starts[kept]

    def _in_stripe(self, buffer: Buffer, words: Words, begin: int) -> tuple[Ints, Ints]:
        """Pattern numbers and starts, by start, of no more than MOST + 1 hits of each. begin: number of the first."""
        at = self._likely(words)
        likely = words[at] >> self._unseen
        which = np.minimum(np.searchsorted(self._words, likely), self._words.size - 1)
        known = self._words[which] == likely
        at, which = (at[known] + begin) * self._step + self._lost, which[known]
        found = [self._compared(buffer, at[part], self._distances[which[part]]) for part in chunks(at.size, PORTION)]
        none = np.zeros(0, np.int64)
        places = np.concatenate([each for each, _ in found] or [none])
        starts = np.concatenate([each for _, each in found] or [none])
        kept = _firsts(places, MOST + 1)
        low, starts = places[kept], starts[kept]
        many = np.searchsorted(self._keys, self._keys[low], "right") - low
        places, starts = ranges(low, many), np.repeat(starts, many)
        same = self._whole(buffer, places, starts)
        numbers, starts = self._order[places[same]], starts[same]
        order = np.lexsort((numbers, starts))
        return numbers[order], starts[order]

    def _likely(self, words: Words) -> Ints:
        """Positions of the words that both tables know."""
        near, sure = self._tables
        kept: list[Ints] = [np.zeros(0, np.int64)]
        for part in chunks(words.size, BLOCK):
            block = np.ascontiguousarray(words[part])  # where they overlap, they are put side by side once
            block = block >> self._unseen if self._lost else block
            rows = np.flatnonzero(near.known(block))
            some = block[rows]
            wanted = sure.known(some)
            if not self._zeros:
                wanted &= some != 0
            rows = rows[wanted]
            if rows.size:
                kept.append(rows + part.start)
        return np.concatenate(kept)

    def _compared(self, buffer: Buffer, at: Ints, distances: Bytes) -> tuple[Ints, Ints]:
        """Where a pattern stands that covers the word at `at`: the first place of its key, and its start."""
        rows, distance = np.nonzero(
            distances[:, None] & np.left_shift(np.uint8(1), np.arange(self._step, dtype=np.uint8))
        )
        starts = at[rows] - distance
        starts = starts[(starts >= 0) & (starts + self._length <= buffer.size)]
        keys = _keys(buffer.words(starts), buffer.words(starts + self._length - WORD))
        places = np.minimum(np.searchsorted(self._keys, keys), self._keys.size - 1)
        same = self._keys[places] == keys
        return places[same], starts[same]

    def _whole(self, buffer: Buffer, places: Ints, starts: Ints) -> Bools:
        """Whether the bytes at each start are those of the pattern."""
        first, last = buffer.words(starts), buffer.words(starts + self._length - WORD)
        same: Bools = (first == self._first[places]) & (last == self._last[places])
        return same


class _Table:
    """Which slots the words take that are looked for: a bit for each, so that it stays in the processor's cache."""

    def __init__(self, words: Words, mix: int, bits: int) -> None:
        self._mix, self._shift = np.uint64(mix), np.uint64(64 - bits)
        self._taken = np.zeros(1 << bits - 3, np.uint8)
        for part in chunks(words.size):
            slots = (words[part] * self._mix) >> self._shift
            bit = np.left_shift(np.uint8(1), (slots & 7).astype(np.uint8))
            np.bitwise_or.at(self._taken, (slots >> np.uint64(3)).view(np.int64), bit)

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
    """Which patterns have a word of one byte again and again: zeros, spaces and the like fill whole stretches."""
    found = np.zeros(len(patterns), np.bool_)
    for distance in range(STEPS[patterns.shape[1]]):
        words = _covered(patterns, distance)
        found |= words == (words & np.uint64(0xFF)) * (_ONES >> np.uint64(8 * _lost(patterns.shape[1])))
    return found


def _lost(length: int) -> int:
    """How many first bytes of a word do not count for patterns of this length."""
    return WORD - (length - STEPS[length] + 1)


def _covered(patterns: Bytes, distance: int) -> Words:
    """What counts of the word that each pattern covers whose first byte lies so far before it."""
    counted = np.zeros((len(patterns), WORD), np.uint8)
    width = WORD - _lost(patterns.shape[1])
    counted[:, :width] = patterns[:, distance : distance + width]
    return words_of(counted)


def words_of(octets: Bytes) -> Words:
    """Eight bytes a row, as one word each."""
    words: Words = np.ascontiguousarray(octets).view("<u8")[..., 0]
    return words


def _keys(first: Words, last: Words) -> Words:
    """A mix of the first and the last word of a pattern. Not proof of equality."""
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
