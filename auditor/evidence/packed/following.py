"""SHA-256 of a private file while it is being written: a second pass over gigabytes is not needed."""

import hashlib
import os
import threading

from auditor.evidence.file import TRAILER, Hashing, trailer_length

WINDOW = 1 << 20
"""Bytes read back and hashed at once: few enough to stay in the processor's cache between the two."""
LAG = 8 << 20
"""Bytes between two words of the writer's: the hashing thread is woken no more often."""


class Following(Hashing):
    """The hashes of a file that grows: whoever writes it says how far it is, and when it is whole.

    What is hashed is read back from the file: the bytes that the scan will see.
    """

    def __init__(self, descriptor: int) -> None:
        self.done = 0
        self._window = memoryview(bytearray(WINDOW))
        self._descriptor = os.dup(descriptor)  # the file may be closed before the thread has seen that it is not wanted
        self._written = 0
        self._whole_size = -1
        self._more = threading.Condition()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._head = self._whole = hashlib.sha256()
        self._thread = threading.Thread(target=self._run, name="hashing", daemon=True)
        self._thread.start()

    def written(self, size: int) -> None:
        """The file has at least this many bytes."""
        if size - self._written >= LAG:
            with self._more:
                self._written = size
                self._more.notify()

    def finish(self, size: int) -> None:
        """The file is whole."""
        with self._more:
            self._written = self._whole_size = size
            self._more.notify()

    def stop(self) -> None:
        self._stop.set()
        with self._more:
            self._more.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            digest = hashlib.sha256()
            while self._whole_size < 0 and not self._stop.is_set():
                with self._more:
                    self._more.wait_for(self._ready)
                self._read(digest, self._written - TRAILER)  # whether there is a trailer shows at the end
            split = self._whole_size - trailer_length(self._whole_size)
            self._read(digest, split)
            self._head = digest.copy()
            self._read(digest, self._whole_size)
            self._whole = digest
        except BaseException as error:  # noqa: BLE001 - handed on by result()
            self._failure = error
        finally:
            os.close(self._descriptor)

    def _ready(self) -> bool:
        return self._whole_size >= 0 or self._stop.is_set() or self._written - TRAILER > self.done

    def _read(self, digest: "hashlib._Hash", end: int) -> None:
        while self.done < end and not self._stop.is_set():
            count = os.preadv(self._descriptor, [self._window[: end - self.done]], self.done)
            digest.update(self._window[:count])
            self.done += count
