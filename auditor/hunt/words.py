"""Search for very many patterns at once, without compiling them: by the whole words of the bytes.

A pattern of SPAN bytes, wherever it lies, covers exactly one word of eight bytes whose position is a multiple of eight.
So only these words are looked at, an eighth of the positions, and each pattern is known by the eight words that it may
cover. Two tables of one byte a slot say of almost every word that it is none of them.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from auditor.columns import Bools, Buffer, Bytes, Ints, Words, chunks, expand
from auditor.hunt.engine import MOST

WORD = 8
SPAN = 2 * WORD - 1
STRIPE = 1 << 23
"""Words that a thread takes at once."""
BLOCK = 1 << 15
"""Words looked up at once: they and their slots stay in the processor's cache."""
MOST_WORK = 1 << 22
"""Places in one stripe at which a word would have to be compared with patterns; one with more is told and left."""
_MIXES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)


class WordSearcher:
    """patterns: uint8 of shape (n, SPAN); a pattern's number is its row.

    `overflowing`: numbers of the patterns that were left for their many hits.
    """

    def __init__(self, patterns: Bytes) -> None:
        covered = np.lib.stride_tricks.sliding_window_view(patterns, WORD, axis=1)
        words: Words = np.ascontiguousarray(covered).view("<u8")[:, :, 0]
        self._first, self._last = words[:, 0].copy(), words[:, -1].copy()
        order = np.argsort(words, axis=None)
        self._words = words.reshape(-1)[order]
        self._pattern, self._shift = np.divmod(order, WORD)
        bits = max(16, int(self._words.size * 10).bit_length())  # no more than a tenth of the slots is taken
        self._tables = [_Table(self._words, mix, bits) for mix in _MIXES]
        self.overflowing: set[int] = set()

    def search(self, buffer: Buffer) -> tuple[Ints, Ints]:
        """Pattern numbers and starts of all hits, by start: int64 of shape (hits,)."""
        stripes = list(chunks(buffer.size // WORD, STRIPE))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            parts = list(pool.map(lambda stripe: self._in_stripe(buffer, stripe), stripes))
        left = np.concatenate([part[2] for part in parts] or [np.zeros(0, np.int64)])
        numbers = np.concatenate([part[0] for part in parts] or [left])
        starts = np.concatenate([part[1] for part in parts] or [left])
        kept = _firsts(numbers, MOST)
        self.overflowing.update(left.tolist(), numbers[~kept].tolist())
        return numbers[kept], starts[kept]

    def _in_stripe(self, buffer: Buffer, stripe: slice) -> tuple[Ints, Ints, Ints]:
        """Pattern numbers and starts, by start, of no more than MOST + 1 hits of each; patterns that were left."""
        words: Words = np.frombuffer(buffer.data, "<u8", stripe.stop - stripe.start, stripe.start * WORD)
        at = self._likely(words)
        order = np.argsort(words[at])
        at = at[order]
        low = np.searchsorted(self._words, words[at])
        high = np.searchsorted(self._words, words[at], "right")
        at, low, high = at[low < high], low[low < high], high[low < high]
        heads, first, group, size = np.unique(low, return_index=True, return_inverse=True, return_counts=True)
        many = high[first] - heads
        heavy = size * many > MOST_WORK
        left = self._pattern[expand(heads[heavy], many[heavy])]
        light = ~heavy[group]
        at, low, high = at[light], low[light], high[light]
        found = [
            self._compared(buffer, (at[part] + stripe.start) * WORD, low[part], high[part])
            for part in _portions(high - low)
        ]
        numbers = np.concatenate([each for each, _ in found] or [low])
        starts = np.concatenate([each for _, each in found] or [low])
        order = np.lexsort((numbers, starts))
        numbers, starts = numbers[order], starts[order]
        kept = _firsts(numbers, MOST + 1)
        return numbers[kept], starts[kept], left

    def _likely(self, words: Words) -> Ints:
        """Positions of the words that both tables know."""
        slots, known = np.empty(BLOCK, np.uint64), np.empty(BLOCK, np.bool_)
        near, sure = self._tables
        kept: list[Ints] = [np.zeros(0, np.int64)]
        for part in chunks(words.size, BLOCK):
            block = words[part]
            rows = np.flatnonzero(near.known(block, slots[: block.size], known[: block.size]))
            some = block[rows]
            rows = rows[sure.known(some, slots[: some.size], known[: some.size])]
            if rows.size:
                kept.append(rows + part.start)
        return np.concatenate(kept)

    def _compared(self, buffer: Buffer, at: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints]:
        """Numbers and starts of the patterns that stand there whole of those that cover the words at `at`."""
        rows = expand(low, high - low)
        numbers = self._pattern[rows]
        starts = np.repeat(at, high - low) - self._shift[rows]
        inside = np.flatnonzero((starts >= 0) & (starts + SPAN <= buffer.size))
        numbers, starts = numbers[inside], starts[inside]
        same = (buffer.words(starts) == self._first[numbers]) & (buffer.words(starts + WORD - 1) == self._last[numbers])
        return numbers[same], starts[same]


class _Table:
    """Which slots the words take that are looked for."""

    def __init__(self, words: Words, mix: int, bits: int) -> None:
        self._mix, self._shift = np.uint64(mix), np.uint64(64 - bits)
        self._taken = np.zeros(1 << bits, np.bool_)
        self._taken[(words * self._mix) >> self._shift] = True

    def known(self, words: Words, slots: Words, out: Bools) -> Bools:
        """Whether the slot of each word is taken; slots and out are written over."""
        np.multiply(words, self._mix, out=slots)
        np.right_shift(slots, self._shift, out=slots)
        return np.take(self._taken, slots.view(np.int64), out=out, mode="clip")  # `clip` looks up without a copy


def _firsts(numbers: Ints, most: int) -> Bools:
    """Which entries are among the first `most` of their number."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    rank = np.arange(ordered.size) - np.searchsorted(ordered, ordered)
    kept = np.empty(ordered.size, np.bool_)
    kept[order] = rank < most
    return kept


def _portions(sizes: Ints) -> Iterator[slice]:
    """Stretches of rows whose sizes come to about MOST_WORK each."""
    ends = np.cumsum(sizes)
    start = 0
    while start < ends.size:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + MOST_WORK, "right")))
        yield slice(start, stop)
        start = stop
