"""SIGINT and SIGTERM during a command that ends with a report all the same."""

import signal
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Interrupt:
    """The signals in a `with`: noted, and raised as KeyboardInterrupt only where work can be broken off."""

    def __init__(self) -> None:
        self.came = False
        self.breaks: Callable[[], bool] = lambda: False
        """Whether what is done now can be broken off anywhere."""

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # what comes later only ends what is ending
            signal.signal(number, signal.SIG_IGN)

    def check(self) -> None:
        """Raises KeyboardInterrupt where a signal came already."""
        if self.came:
            raise KeyboardInterrupt

    def _note(self, *_: object) -> None:
        self.came = True
        if self.breaks():
            raise KeyboardInterrupt
