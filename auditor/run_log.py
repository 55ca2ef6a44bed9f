"""What a run did, and when: lines that name neither this machine nor its folders, so that they may be handed on."""

import time
from datetime import UTC, datetime


class RunLog:
    """Steps of one run, with the seconds since it began."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self._begin = time.monotonic()
        self._lines: list[tuple[float, str]] = []

    def __call__(self, step: str) -> None:
        self._lines.append((round(time.monotonic() - self._begin, 3), step))

    @property
    def lines(self) -> tuple[tuple[float, str], ...]:
        return tuple(self._lines)
