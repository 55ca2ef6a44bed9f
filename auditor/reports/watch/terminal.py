"""The progress of a rewrite: a table that moves on a terminal, plain lines in a pipe."""

import math
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
TICK = 1.0
"""Seconds between two looks at the state."""
LINES = 10.0
"""Seconds between two lines where there is no terminal."""
LEAST_PAUSE = 4
"""Times that a look takes, which are between it and the next."""


class Board:
    """The progress on a console, under `head`: `with board: board.show(progress)`."""

    def __init__(
        self, console: Console, every: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """A board.

        Args:
            console: A terminal, or a pipe.
            every: Seconds between two lines in a pipe, of which one comes whatever has changed, or between two states
                on a terminal; None for what fits the console.
            clock: The time in seconds.
        """
        self.head = ""
        self._every = every or (TICK if console.is_terminal else LINES)
        # a line comes at a look: so many looks that one is due when the line is
        self._look_every = self._every if console.is_terminal else self._every / math.ceil(self._every / TICK)
        self._promised = every is not None
        self._console = console
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

    def pause(self, took: float = 0.0) -> float:
        """Seconds until the next look at the state, where the last one took so many: a fifth of the time at most.

        Where the lines then cannot come as often as was asked for, it says so, once.
        """
        pause = max(self._look_every, LEAST_PAUSE * took)
        if self._promised and pause > self._every:
            self._promised = False
            self.say(f"a look at the state takes {took:.1f} s: one comes every {pause:.1f} s, not {self._every:g} s")
        return pause

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
    console.print(Text(head, {0: "bold", 1: "bold red"}.get(code, "bold yellow")))
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
