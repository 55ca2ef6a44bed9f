"""Search for many patterns at once with hyperscan: literal bytes, compiled and run in several threads.

hyperscan's lengths are 32-bit: a longer buffer gives no hits and no error, so it is searched in stripes.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints

LARGEST = 1 << 30
"""Bytes that one call of hyperscan may search."""
STRIPE = 1 << 26
"""Bytes that a thread searches at once."""
PART = 75_000
"""Patterns of one database: compilation takes longer than linear, and every database is a pass over the bytes."""
MOST = 1000
"""Raw hits of one pattern; the hits beyond them are counted and dropped."""


class Searcher:
    """Patterns, compiled in the background. A pattern's number is its index in the order of add()."""

    longest: int
    """Bytes of the longest pattern."""
    overflowing: set[int]
    """Numbers of the patterns with more than MOST hits."""

    def __init__(self, patterns: Sequence[bytes] = ()) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        self._databases: list[Future[Any]] = []
        self._count = 0
        self.longest = 0
        self.overflowing = set()
        self.add(patterns)

    def add(self, patterns: Sequence[bytes]) -> None:
        """Compile further patterns."""
        for zero in (False, True):
            chosen = [number for number, pattern in enumerate(patterns) if (b"\0" in pattern) is zero]
            for at in range(0, len(chosen), PART):
                part = chosen[at : at + PART]
                texts, first = [patterns[number] for number in part], self._count
                self._databases.append(self._pool.submit(_compile, texts, [first + number for number in part]))
        self._count += len(patterns)
        self.longest = max(self.longest, max(map(len, patterns), default=0))

    def search(self, buffer: Buffer) -> tuple[Ints, Ints]:
        """Pattern numbers and ends of all hits: int64 of shape (hits,)."""
        databases = [database.result() for database in self._databases]
        overlap = max(self.longest - 1, 0)
        stripe = min(STRIPE, LARGEST)
        jobs = [(database, start) for start in range(0, buffer.size, stripe) for database in databases]
        hits: list[tuple[int, int]] = []
        counts: dict[int, int] = {}

        def work(job: tuple[Any, int]) -> None:
            database, start = job
            low = max(0, start - overlap)
            view = buffer.view(low, min(start + stripe, buffer.size))

            def hit(pattern: int, _: int, end: int, *__: Any) -> None:
                if low + end <= start:
                    return  # the stripe before has it
                counts[pattern] = counts.get(pattern, 0) + 1
                if counts[pattern] <= MOST:
                    hits.append((pattern, low + end))

            _run(database, view, hit)

        for _ in self._pool.map(work, jobs):
            pass
        self.overflowing |= {pattern for pattern, count in counts.items() if count > MOST}
        hits.sort(key=lambda pair: (pair[1], pair[0]))
        table = np.array(hits, np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]


def _compile(texts: Sequence[bytes], numbers: Sequence[int]) -> Any:
    """One database. A zero ends a literal of hyperscan: patterns with a zero are compiled as expressions."""
    import hyperscan

    literal = b"\0" not in texts[0]
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=list(texts) if literal else [b"".join(b"\\x%02x" % octet for octet in text) for text in texts],
        ids=list(numbers),
        elements=len(texts),
        flags=[0] * len(texts),
        literal=literal,
    )
    return database


def _run(database: Any, view: memoryview, hit: Callable[..., None]) -> None:
    import hyperscan

    database.scan(view, match_event_handler=hit, scratch=hyperscan.Scratch(database))
