"""The progress of a rewrite: a table that moves on a terminal, plain lines in a pipe."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from auditor.reports.terminal import table
from auditor.reports.watch import words
from auditor.text import moment
from auditor.watch.progress import Progress

MESSAGES = 4
"""The latest messages, under the table."""


class Board:
    """The progress on a console, under `head`: `with board: board.show(progress)`."""

    def __init__(
        self, console: Console, every: float, look_every: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """A board.

        Args:
            console: A terminal, or a pipe.
            every: Seconds between two lines in a pipe, of which one comes whatever has changed.
            look_every: Seconds between two looks at the state, for whoever shows it.
            clock: The time in seconds.
        """
        self.head = ""
        self.look_every = look_every
        self._console = console
        self._every = every
        self._clock = clock
        self._last_line: float | None = None
        self._messages: deque[str] = deque(maxlen=MESSAGES)
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._live.update(Text(f"{self.head}: reading the keys", "bold"), refresh=True)
        else:
            self._print(self.head)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Show a message about the servers."""
        if self._live is not None:
            self._messages.append(f"{moment(time.time())} {text}")
        else:
            self._print(text)

    def show(self, progress: Progress, *, last: bool = False) -> None:
        if self._live is not None:
            self._live.update(self._picture(progress), refresh=True)
            return
        now = self._clock()
        if last or self._last_line is None or now - self._last_line >= self._every:
            self._print(words.line(progress))
            self._last_line = now

    def _picture(self, progress: Progress) -> RenderableType:
        parts: list[RenderableType] = [Text(self.head, "bold"), Text(words.line(progress)), Text()]
        tables: Sequence[tuple[tuple[list[str], list[list[str]]], bool]] = (
            (words.under(progress), True),
            (words.namespaces(progress), True),
            (words.stuck(progress), False),
            (words.created(progress), False),
        )
        for (header, rows), numbers in tables:
            if rows:
                parts += [table(header, rows, numbers=numbers), Text()]
        return Group(*parts, *map(Text, self._messages))

    def _print(self, text: str) -> None:
        self._console.print(Text(f"{moment(time.time())} {text}"), soft_wrap=True)


def end(progress: Progress, console: Console, resources: Sequence[str], *, configured: bool) -> None:
    """The conclusion, and what remains."""
    code = words.exit_code(progress, configured=configured)
    head, *rest = words.conclusion(progress, resources, configured=configured)
    console.print(Text(head, {0: "bold green", 1: "bold red"}.get(code, "bold yellow")))
    for line in rest:
        console.print(Text(line))
    for (header, rows), numbers in (
        (words.under(progress), True),
        (words.namespaces(progress), True),
        (words.stuck(progress), False),
        (words.created(progress), False),
    ):
        if rows:
            console.print()
            console.print(table(header, rows, numbers=numbers))
