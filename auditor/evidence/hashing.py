"""SHA-256 of evidence: of a file beside its scan, or of a private file while it is being written."""

import hashlib
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeAlias

from auditor import platform
from auditor.errors import NOTHING, READ_FAILURE, UnreadableEvidence
from auditor.observer import Observer

TRAILER = 32
SECTOR = 512
LAG = 8 << 20
"""Bytes between two words of the writer's: the hashing thread is woken no more often."""
WINDOW = 1 << 22
"""Bytes read and hashed at once, without the interpreter's lock.

Few enough to stay in the processor's cache between the two, and enough not to wait for the lock all the time.
"""
AHEAD = 2
"""Windows that the hash may be ahead of whoever listens."""
STEP = 0.1
"""Seconds between two calls of an observer."""

Listener: TypeAlias = "SimpleQueue[tuple[int, memoryview, int] | None]"


def trailer_length(size: int) -> int:
    """32 where a file of this size ends in etcd's SHA-256, else 0: etcdutl's own rule (etcdutl/snapshot)."""
    return TRAILER if size % SECTOR == TRAILER else 0


def let_go(descriptor: int) -> None:
    """Close what was only read: a drive that has died fails at that too, and has been told of."""
    with suppress(OSError):
        os.close(descriptor)


class FileHash:
    """SHA-256 of a whole file and of all but etcd's trailer, computed in a thread of its own.

    done: bytes hashed so far; size: bytes in all. The file is read by its descriptor, through a window: through a
    mapping the same takes a fifth longer, and a file that shrinks would end the process.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self.done = 0
        self.size = size
        self._descriptor = os.dup(descriptor)  # the file may be closed before the thread has seen that it is not wanted
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._free.put(memoryview(bytearray(min(WINDOW, max(size, 1)))))
        self._lock = threading.Lock()
        self._ended = False
        self._listener: Listener | None = None
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._data_at = 0
        """Where data begin again, behind `done` or at it, as far as that is known."""
        self._zeros: memoryview | None = None
        self._head = self._whole = hashlib.sha256()
        self._thread = threading.Thread(target=self._run, name="hashing", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            digest = hashlib.sha256()
            size = self._follow(digest)
            self._read(digest, size - trailer_length(size))
            self._head = digest.copy()
            self._read(digest, size)
            self._whole = digest
        except BaseException as error:  # noqa: BLE001 - handed on by result()
            self._failure = error
        finally:
            let_go(self._descriptor)
            with self._lock:
                self._ended = True
                if self._listener is not None:
                    self._listener.put(None)

    def _follow(self, digest: "hashlib._Hash") -> int:  # noqa: ARG002 - for a file that still grows
        """The file's size, once it is known."""
        return self.size

    def _read(self, digest: "hashlib._Hash", end: int) -> None:
        while self.done < end and not self._stop.is_set():
            if hole := self._hole(end):
                digest.update(hole)
                self._tell(hole, len(hole))
                continue
            window = self._free.get()
            try:
                count = platform.read_into(self._descriptor, window[: end - self.done], self.done)
            except OSError as error:
                raise UnreadableEvidence(
                    f"{READ_FAILURE} ({error.strerror} at offset {self.done:,}); {NOTHING}"
                ) from None
            if not count:
                raise UnreadableEvidence(f"{READ_FAILURE} (it ends at offset {self.done:,}); {NOTHING}")
            digest.update(window[:count])
            if not self._tell(window, count):
                self._free.put(window)
        if self.done < end:  # else the hash of a part would be taken for the file's
            raise UnreadableEvidence(f"hashing was ended at offset {self.done:,}; {NOTHING}")

    def _tell(self, window: memoryview, count: int) -> bool:
        """Go on behind a window; whether somebody listens, and has it."""
        with self._lock:
            listener = self._listener
        if listener is not None:
            listener.put((self.done, window, count))
        self.done += count
        return listener is not None

    def _hole(self, end: int) -> memoryview | None:
        """The zeros of a hole from `done` on, where the system tells holes and one fills a window: they are not read.

        end: where the hole ends at the latest.
        """
        if self.done < self._data_at:
            return None
        try:
            self._data_at = platform.seek_data(self._descriptor, self.done)
        except (OSError, AttributeError):  # no data from there on, or a system without holes
            self._data_at = self._end_of_hole()
        count = min(self._data_at, end) - self.done
        if count < WINDOW:
            self._data_at = max(self._data_at, self.done + WINDOW)  # asked again behind the next window
            return None
        if self._zeros is None:
            self._zeros = memoryview(bytes(WINDOW))
        return self._zeros

    def _end_of_hole(self) -> int:
        """The file's size where it ends in a hole from `done` on, else nothing that is a hole."""
        try:
            hole = platform.seek_hole(self._descriptor, self.done)
            return os.fstat(self._descriptor).st_size if hole == self.done else self.done
        except (OSError, AttributeError):
            return self.done

    def listen(self) -> "Listener":
        """The windows that are hashed from now on: offset, bytes and their number; None behind the last.

        One that cannot be written to is of a hole: zeros.

        Whoever takes a window gives it back with release(): the hash reads no further than its free windows reach.
        """
        listener: Listener = SimpleQueue()
        with self._lock:
            if self._ended:
                listener.put(None)
            else:
                self._listener = listener
                for _ in range(AHEAD):
                    self._free.put(memoryview(bytearray(min(WINDOW, max(self.size, 1)))))
        return listener

    def release(self, window: memoryview) -> None:
        """Give a window of listen() back."""
        if not window.readonly:  # of a hole
            self._free.put(window)

    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Wait so long at most."""
        self._thread.join(seconds)

    def wait(self, observer: Observer) -> None:
        """Wait, and tell the observer how far it is."""
        wait([self], observer)

    def result(self) -> tuple[str, str]:
        """Hex digests: the whole file, and all but its trailer. Raises UnreadableEvidence."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._whole.hexdigest(), self._head.hexdigest()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class HashWhileWriting(FileHash):
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
            self.size = self._written = size
            self._final = True
            self._more.notify()

    def stop(self) -> None:
        self._stop.set()
        with self._more:
            self._more.notify()
        super().stop()

    def _hole(self, end: int) -> None:
        """None is looked for: to ask for one would move the position at which the file is written."""

    def _follow(self, digest: "hashlib._Hash") -> int:
        while not self._final and not self._stop.is_set():
            with self._more:
                self._more.wait_for(self._ready)
            self._read(digest, self._written - TRAILER)  # whether there is a trailer shows at the end
        return self._written

    def _ready(self) -> bool:
        return self._final or self._stop.is_set() or self._written - TRAILER > self.done


class NoHash:
    """In place of a FileHash where none is computed: --quick, and keys instead of a file."""

    done = size = 0

    def alive(self) -> bool:
        return False

    def listen(self) -> Listener:
        """No window at all."""
        listener: Listener = SimpleQueue()
        listener.put(None)
        return listener

    def release(self, window: memoryview) -> None:
        """There is nothing to give back."""

    def join(self, seconds: float) -> None:
        """There is nothing to wait for."""

    def wait(self, observer: Observer) -> None:
        """There is nothing to tell."""

    def result(self) -> tuple[str, str]:
        """Empty digests."""
        return "", ""

    def stop(self) -> None:
        """There is nothing to stop."""


Hashing = FileHash | NoHash


def wait(hashes: Sequence[Hashing], observer: Observer) -> None:
    """Wait for all, and tell the observer how far they are together. result() raises what went wrong."""
    total = sum(each.size for each in hashes)
    while busy := [each for each in hashes if each.alive()]:
        busy[0].join(STEP)
        observer.hashed(sum(each.done for each in hashes), total)
