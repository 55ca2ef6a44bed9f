"""SHA-256 of a private file while it is being written: a second pass over gigabytes is not needed."""

import hashlib
import threading

from auditor.evidence.file import TRAILER, WINDOW, Hashing

LAG = 8 << 20
"""Bytes between two words of the writer's: the hashing thread is woken no more often."""


class Following(Hashing):
    """The hashes of a file that grows: whoever writes it says how far it is, and when it is whole.

    What is hashed is read back from the file: the bytes that the scan will see.
    """

    def __init__(self, descriptor: int) -> None:
        self._written = 0
        self._final = False
        self._more = threading.Condition()
        super().__init__(descriptor, WINDOW)

    def written(self, size: int) -> None:
        """The file has at least this many bytes."""
        if size - self._written >= LAG:
            with self._more:
                self._written = size
                self._more.notify()

    def finish(self, size: int) -> None:
        """The file is whole."""
        with self._more:
            self._written, self._final = size, True
            self._more.notify()

    def stop(self) -> None:
        self._stop.set()
        with self._more:
            self._more.notify()
        super().stop()

    def _follow(self, digest: "hashlib._Hash") -> int:
        while not self._final and not self._stop.is_set():
            with self._more:
                self._more.wait_for(self._ready)
            self._read(digest, self._written - TRAILER)  # whether there is a trailer shows at the end
        return self._written

    def _ready(self) -> bool:
        return self._final or self._stop.is_set() or self._written - TRAILER > self.done
