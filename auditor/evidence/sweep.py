"""The sweep: a search of the bytes that are hashed, which knows nothing of the parse and must agree with it.

A reader looks where values ought to be. The sweep looks everywhere for the beginnings of readable values: what it meets
outside every row of the readers is a fragment (sweep_rows.py). What it searches for comes in as data: this module knows
bytes and positions, nothing of Kubernetes.

A signature that is split over pages which are not contiguous in the file is not met: a limitation, not a promise.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Queue
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dtypes import Ints

CROWDED = 64
"""Bytes of a window for each hit that it may have: a window with more is a gap from its last hit on."""
LEAST = 1 << 10
"""Hits that every window may have, however short."""


class Signature(NamedTuple):
    """The beginning of a readable value.

    pattern: an expression of hyperscan's, `.` matching every byte. opening: bytes with which every match begins.
    longest: the most bytes that a match has; windows overlap by one less.
    """

    pattern: bytes
    opening: bytes
    longest: int


class Hits(NamedTuple):
    """Where signatures end: columns of shape (hits,), ascending and distinct.

    signature: uint8, its place in the order of the signatures. end: int64, behind its last byte. crowded: stretches
    that were not searched to their end, (start, end).
    """

    signature: NDArray[np.uint8]
    end: Ints
    crowded: tuple[tuple[int, int], ...]


class Sweep:
    """A search of windows that follow each other, in a thread of its own.

    Whoever reads the bytes feeds it: feed() hands a window on and returns at once, unless the window before is still
    being searched. A window must stay as it is until the next feed() or result().
    """

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self._signatures = tuple(signatures)
        self._overlap = max((each.longest for each in signatures), default=1) - 1
        self._windows: Queue[tuple[memoryview, int] | None] = Queue(1)
        self._idle = threading.Event()
        self._idle.set()
        self._numbers: list[int] = []
        self._ends: list[int] = []
        self._crowded: list[tuple[int, int]] = []
        self._tail = b""
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._thread.start()

    def feed(self, window: memoryview, at: int) -> None:
        """Search a window whose first byte is byte `at` of the medium; the window before is free again."""
        self._idle.wait()
        self._idle.clear()
        self._windows.put((window, at))

    def result(self) -> Hits:
        """What was met in all windows. Raises what the search raised."""
        self.stop()
        if self._failure is not None:
            raise self._failure
        table = np.array([self._numbers, self._ends], np.int64)
        table = np.unique(table[::-1], axis=1)[::-1] if table.size else table.reshape(2, 0)
        return Hits(table[0].astype(np.uint8), table[1], tuple(self._crowded))

    def stop(self) -> None:
        """Wait for the window that is being searched, and end the thread. Once is enough, and twice does no harm."""
        if self._thread.is_alive():
            self._windows.put(None)
            self._thread.join()

    def _run(self) -> None:
        try:
            search = _Search(self._signatures)
            while (item := self._windows.get()) is not None:
                if self._failure is None:
                    self._search(search, *item)
                self._idle.set()
        except BaseException as error:  # noqa: BLE001 - handed on by result()
            self._failure = error
            self._idle.set()
            while self._windows.get() is not None:
                self._idle.set()

    def _search(self, search: "_Search", window: memoryview, at: int) -> None:
        # what begins in the window before and ends in this one; what lies in this one alone is met twice, counted once
        before = len(self._tail)
        numbers, ends = search.run(memoryview(self._tail + bytes(window[: self._overlap])), LEAST)
        for number, end in zip(numbers, ends, strict=True):
            if end > before:
                self._numbers.append(number)
                self._ends.append(at + end - before)
        most = LEAST + len(window) // CROWDED
        numbers, ends = search.run(window, most)
        self._numbers += numbers
        self._ends += [at + end for end in ends]
        if len(ends) > most:
            self._crowded.append((at + ends[-1], at + len(window)))
        self._tail = (self._tail + bytes(window[-self._overlap :]))[-self._overlap :]


class _Search:
    """Signatures compiled to one database of hyperscan's, with its scratch space: for one thread."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        import hyperscan  # waits until something is searched

        self._scanner = hyperscan
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[each.pattern for each in signatures],
            ids=list(range(len(signatures))),
            elements=len(signatures),
            flags=[hyperscan.HS_FLAG_DOTALL] * len(signatures),
        )
        self._scratch = hyperscan.Scratch(self._database)

    def run(self, view: memoryview, most: int) -> tuple[list[int], list[int]]:
        """Numbers and ends of the matches, in the order of their ends; one more than `most` where there are more."""
        numbers: list[int] = []
        ends: list[int] = []

        def hit(number: int, _: int, end: int, *__: Any) -> bool:
            numbers.append(number)
            ends.append(end)
            return len(ends) > most

        with suppress(self._scanner.ScanTerminated):
            self._database.scan(view, match_event_handler=hit, scratch=self._scratch)
        return numbers, ends
