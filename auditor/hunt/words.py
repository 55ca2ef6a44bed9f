"""Search for very many patterns at once, without compiling them: by the whole words of the bytes.

A pattern of SPAN bytes, wherever it lies, covers exactly one word of eight bytes whose position is a multiple of eight.
So only these words are looked at, an eighth of the positions, and each pattern is known by the eight words that it may
cover. Two tables of one bit a slot say of almost every word that it is none of them.
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
        self._order = np.argsort(words, axis=None)
        self._words = words.reshape(-1)[self._order]
        self._zeros = bool(self._words[0] == 0)  # zeros fill every page, and their slot may be another's
        bits = max(16, (self._words.size * 16).bit_length())  # no more than a sixteenth of the slots is taken
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
        left = self._order[expand(heads[heavy], many[heavy])] // WORD
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

    def _compared(self, buffer: Buffer, at: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints]:
        """Numbers and starts of the patterns that stand there whole of those that cover the words at `at`."""
        numbers, shifts = np.divmod(self._order[expand(low, high - low)], WORD)
        starts = np.repeat(at, high - low) - shifts
        inside = np.flatnonzero((starts >= 0) & (starts + SPAN <= buffer.size))
        numbers, starts = numbers[inside], starts[inside]
        same = (buffer.words(starts) == self._first[numbers]) & (buffer.words(starts + WORD - 1) == self._last[numbers])
        return numbers[same], starts[same]


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
