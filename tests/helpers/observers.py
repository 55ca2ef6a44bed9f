"""An observer of what one test is interested in."""

from collections.abc import Callable

from auditor.model.findings import Rows
from auditor.observer import Observer


class Calling(Observer):
    """Calls what it was given."""

    def __init__(
        self,
        received: Callable[[int, int], object] = lambda _, __: None,
        rows: Callable[[Rows], object] = lambda _: None,
        step: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._received = received
        self._rows = rows
        self._step = step

    def received(self, done: int, total: int) -> None:
        self._received(done, total)

    def rows(self, rows: Rows) -> None:
        self._rows(rows)

    def step(self, text: str) -> None:
        self._step(text)
