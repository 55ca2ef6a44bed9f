"""The sweep: a search of the bytes that are hashed, which knows nothing of the parse and must agree with it.

A reader looks where values ought to be. The sweep looks everywhere for the beginnings of readable values; whoever
started it compares what it meets with the rows of the readers (audit/agreement.py). The signatures come in as data:
this module knows bytes and positions, nothing of Kubernetes.

A signature that is split over pages which are not contiguous in the file is not met: a limitation, not a promise.
"""

import threading
from array import array
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor import platform
from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.errors import NOTHING, READ_FAILURE, UnreadableEvidence
from auditor.evidence.file import EvidenceFile
from auditor.evidence.hashing import WINDOW, let_go
from auditor.evidence.signatures import Signature

CROWDED = 64
"""Bytes of a window for each hit that it may have: a window with more is a gap from its last hit on."""
LEAST = 1 << 10
"""Hits that every window may have, however short."""
SHIFT = 8
"""Bits of a hit's code that say which signature it is."""

_NUMBER = (1 << SHIFT) - 1
_NO_CODES: Ints = np.zeros(0, np.int64)


class Hits(NamedTuple):
    """Where signatures end: columns of shape (hits,), ascending by end and distinct."""

    signature: NDArray[np.uint8]
    """Its place in the order of the signatures."""
    end: Ints
    """The offset behind its last byte."""
    crowded: tuple[tuple[int, int], ...]
    """Stretches that were not searched to their end: (start, end)."""


class Search:
    """Signatures in windows that follow each other."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        import hyperscan  # waits until something is searched

        self._overlap = max(signature.longest for signature in signatures) - 1
        places = list(enumerate(signatures))
        parts = [
            [(place, each) for place, each in places if not each.apart],
            *([pair] for pair in places if pair[1].apart),
        ]
        self._engines = [_Engine(hyperscan, part) for part in parts if part]
        self._codes: list[Ints] = []
        self._crowded: list[tuple[int, int]] = []
        self._tail = b""

    def feed(self, window: memoryview, at: int) -> None:
        """Search a window whose first byte is byte `at` of the medium; it follows the window before."""
        if not len(window):
            return
        most = LEAST + len(window) // CROWDED
        codes = self._run(window, at, most)
        if codes.size > most:
            self._crowded.append((int(codes[-1]) >> SHIFT, at + len(window)))
        if self._tail:
            codes = self._with_seam(codes, window, at)
        if not (codes[1:] > codes[:-1]).all():  # of signatures that end together any may come first
            codes = np.unique(codes)
        if codes.size:
            self._codes.append(codes)
        self._tail = (self._tail + bytes(window[-self._overlap :]))[-self._overlap :]

    def _with_seam(self, codes: Ints, window: memoryview, at: int) -> Ints:
        """The codes of a window, and before them those of what begins in the window before and ends in this one.

        What lies in this window alone is met twice.
        """
        seam = self._run(memoryview(self._tail + bytes(window[: self._overlap])), at - len(self._tail), LEAST)
        seam = seam[seam >> SHIFT > at]
        return np.concatenate((seam, codes)) if seam.size else codes

    def skip(self, zeros: memoryview, at: int) -> None:
        """Pass over a window of zeros: no signature lies in them, but one may begin or end in them.

        at: the offset of the first one.
        """
        self.feed(zeros[: self._overlap], at)

    def hits(self) -> Hits:
        """What all windows hold; the next one is the first of another medium."""
        codes = np.concatenate([_NO_CODES, *self._codes])
        crowded = tuple(self._crowded)
        self._codes, self._crowded, self._tail = [], [], b""
        return Hits((codes & _NUMBER).astype(np.uint8), codes >> SHIFT, crowded)

    def _run(self, view: memoryview, at: int, most: int) -> Ints:
        """Codes of the matches, in the order of their ends; more than `most` where there are more.

        at: the offset of the first byte.
        """
        codes = [self._matches(engine, view, most) for engine in self._engines]
        if len(codes) == 1 or not any(each.size for each in codes[1:]):
            return codes[0] + (at << SHIFT)
        stops = [int(each[-1]) for each in codes if each.size > most]  # searched no further than there
        every = np.sort(np.concatenate(codes))
        return (every[: most + 1] if not stops else every[every <= min(stops)][: most + 1]) + (at << SHIFT)

    def _matches(self, engine: "_Engine", view: memoryview, most: int) -> Ints:
        """Codes of one engine's matches, whose offsets count from the view's first byte."""
        codes = engine.matches(view, most)
        if not engine.behind:
            return codes
        if codes.size <= most:
            return engine.whole(codes, view)
        # of what is behind a match nothing is known yet: the window may be less crowded than it seems
        return engine.exact.matches(view, most)


class _Engine:
    """Signatures that are searched together. The engine chooses by itself by what it looks for them."""

    def __init__(self, hyperscan: Any, signatures: Sequence[tuple[int, Signature]]) -> None:
        """hyperscan: the module. signatures: each with its place among all."""
        self._hyperscan, self._signatures = hyperscan, signatures
        self.behind = {place: signature.behind for place, signature in signatures if signature.behind}
        self._database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[signature.pattern for _, signature in signatures],
            ids=[place for place, _ in signatures],
            elements=len(signatures),
            flags=[
                hyperscan.HS_FLAG_DOTALL | (hyperscan.HS_FLAG_CASELESS if signature.caseless else 0)
                for _, signature in signatures
            ],
        )
        self._scratch = hyperscan.Scratch(self._database)

    @cached_property
    def exact(self) -> "_Engine":
        """The engine that searches whole signatures: slow, and right where too many match to look behind them."""
        return _Engine(self._hyperscan, [(place, each.whole) for place, each in self._signatures])

    def matches(self, view: memoryview, most: int) -> Ints:
        """Codes of the matches in a view, in the order of their ends; more than `most` where there are more."""
        codes = array("q")
        append = codes.append

        def hit(number: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            append(end << SHIFT | number)
            return len(codes) > most

        with suppress(self._hyperscan.ScanTerminated):
            self._database.scan(view, match_event_handler=hit, scratch=self._scratch)
        return np.frombuffer(codes, np.int64) if codes else _NO_CODES

    def whole(self, codes: Ints, view: memoryview) -> Ints:
        """The codes of those matches behind which stands what must, in the order of their ends."""
        if not codes.size:
            return codes
        buffer, number, kept = Buffer(view), codes & _NUMBER, np.ones(codes.size, np.bool_)
        for place, behind in self.behind.items():
            rows = np.flatnonzero(number == place)
            if rows.size:
                end = codes[rows] >> SHIFT
                kept[rows] = buffer.starts_with(end, buffer.size - end, behind)
                codes[rows] += len(behind) << SHIFT
        return np.sort(codes[kept])


class FileSweep:
    """A search of one file in a thread of its own, in the windows that are hashed.

    It ends early where the hash does; result() is for whoever has the file's hash.
    """

    def __init__(self, file: EvidenceFile, signatures: Sequence[Signature]) -> None:
        self.file = file
        self._signatures = signatures
        self._hits: Hits | None = None
        self._failure: BaseException | None = None
        self._descriptor = file.duplicate()  # the file may be closed before the thread has seen that it is not wanted
        self._unwanted = False
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        file.at_close.append(self.stop)  # the file may change from then on, and shrink
        self._thread.start()

    def result(self) -> Hits:
        """What the whole file holds. Raises what ended the search."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        if self._hits is None:
            raise RuntimeError("the sweep ended with the hash, before the end of the file")
        return self._hits

    def stop(self) -> None:
        """Search no further: nobody wants the result."""
        self._unwanted = True

    def _run(self) -> None:
        hashing, size = self.file.hashing, self.file.size
        listener = hashing.listen()
        try:
            search = self._started()
            done = 0
            while (window := listener.get()) is not None:
                at, content, count = window
                if search is not None:
                    search = self._searched(search, done, at, content[:count])
                    done = at + count
                hashing.release(content)
            if search is not None and hashing.done >= size and self._searched(search, done, size, memoryview(b"")):
                self._hits = search.hits()
        finally:
            let_go(self._descriptor)

    def _started(self) -> Search | None:
        try:
            return Search(self._signatures)
        except BaseException as error:  # noqa: BLE001 - handed on by result()
            self._failure = error
            return None

    def _searched(self, search: Search, done: int, at: int, window: memoryview) -> Search | None:
        """The search after a window at an offset, and what of the file was hashed before anyone listened.

        None where it ended: the hash goes on without it.
        """
        try:
            if self._unwanted:
                return None
            self._feed(search, done, at)
            if window.readonly and len(window):
                search.skip(window, at)
            else:
                search.feed(window, at)
        except BaseException as error:  # noqa: BLE001 - handed on by result()
            self._failure = error
            return None
        return search

    def _feed(self, search: Search, start: int, end: int) -> None:
        """Search a part of the file, read anew: through the mapping a file that shrinks would end the process."""
        while start < end:
            content = platform.read_at(self._descriptor, min(WINDOW, end - start), start)
            if not content:
                raise UnreadableEvidence(f"{READ_FAILURE} (it ends at offset {start:,}); {NOTHING}")
            search.feed(memoryview(content), start)
            start += len(content)
