"""The memory of a command and of everything that it starts, looked at while it runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

OFTEN = 0.05
"""Seconds between two looks."""


class Peaks:
    """The most bytes of its own (`RssAnon`: neither mapped files nor shared) that each process had, by its kind."""

    def __init__(self) -> None:
        self._peaks: dict[tuple[int, float], int] = {}
        self._kinds: dict[tuple[int, float], str] = {}

    def look(self, process: psutil.Process) -> None:
        """One look at a process; one that has ended meanwhile has none."""
        with suppress(OSError, psutil.Error, StopIteration):
            lines = Path("/proc", str(process.pid), "status").read_text().splitlines()
            own = next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))
            key = (process.pid, process.create_time())
            self._peaks[key] = max(own, self._peaks.get(key, 0))
            if key not in self._kinds:
                self._kinds[key] = "reading" if "forkserver" in " ".join(process.parent().cmdline()) else "other"

    def of(self, kind: str) -> list[int]:
        """The peaks of the processes that read backups (`reading`), or of all `other` ones, ascending."""
        return sorted(peak for key, peak in self._peaks.items() if self._kinds.get(key) == kind)


@contextmanager
def watched(pid: int, peaks: Peaks) -> Iterator[None]:
    """Look at a process and its children, again and again."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(OFTEN):
            with suppress(psutil.Error):
                first = psutil.Process(pid)
                for each in (first, *first.children(recursive=True)):
                    peaks.look(each)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
