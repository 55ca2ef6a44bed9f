"""The log of a run: steps and times that name neither this machine nor its folders, and may be handed on."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from auditor.observer import SILENT, Observer

if TYPE_CHECKING:
    from auditor.model.findings import Rows


class RunLog(Observer):
    """The steps of one run, with the seconds since its beginning. Every call is passed on to another observer."""

    def __init__(self, observer: Observer = SILENT) -> None:
        self.started = datetime.now(UTC)
        self._begin = time.monotonic()
        self._lines: list[tuple[float, str]] = []
        self._observer = observer

    def received(self, done: int, total: int) -> None:
        self._observer.received(done, total)

    def hashed(self, done: int, total: int) -> None:
        self._observer.hashed(done, total)

    def unwrapped(self, done: int, total: int) -> None:
        self._observer.unwrapped(done, total)

    def confirm(self, text: str) -> bool:
        return self._observer.confirm(text)

    def rows(self, rows: "Rows") -> None:
        self._observer.rows(rows)

    def step(self, text: str) -> None:
        self._lines.append((round(time.monotonic() - self._begin, 3), text))
        self._observer.step(text)

    @property
    def lines(self) -> tuple[tuple[float, str], ...]:
        return tuple(self._lines)
