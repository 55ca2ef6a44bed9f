"""Progress bars of receiving, hashing and unwrapping: on a terminal only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from auditor.observer import SILENT, Observer

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, Task, TaskID

    from auditor.scanning.many import ExhibitDone
    from auditor.scanning.merge import Outcome

UNWRAPPING = "unwrapping"


@contextmanager
def counting() -> Iterator["ExhibitDone | None"]:
    """A callback for every exhibit that is done, which prints a line; None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return

    def write(done: int, total: int, outcome: "Outcome") -> None:
        conclusion = outcome.result if isinstance(outcome.result, str) else outcome.result.verdict().value
        sys.stderr.write(f"[{done}/{total}] {outcome.name}: {conclusion}\n")

    yield write


class _Bars(Observer):
    """A bar for each of two steps; it appears when its step begins."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._hashing = progress.add_task("hashing", total=None, visible=False)
        self._reading = progress.add_task("reading", total=None, visible=False)
        self._unwrapping = progress.add_task(UNWRAPPING, total=None, visible=False)

    def hashed(self, done: int, total: int) -> None:
        self._show(self._hashing, done, total)

    def received(self, done: int, total: int) -> None:
        self._show(self._reading, done, total)

    def unwrapped(self, done: int, total: int) -> None:
        self._show(self._unwrapping, done, total)

    def confirm(self, text: str) -> bool:
        if not sys.stdin.isatty():
            return False
        self._progress.stop()
        sys.stderr.write(f"{text}\nCall? [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        self._progress.start()
        return answer.strip().lower() in {"y", "yes"}

    def _show(self, task: "TaskID", done: int, total: int) -> None:
        self._progress.update(task, completed=done, total=total, visible=True)


@contextmanager
def bars() -> Iterator[Observer]:
    """An observer that shows how much is received and hashed; a silent one where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield SILENT
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), *_amounts(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bars(progress)


def _amounts() -> "tuple[ProgressColumn, ProgressColumn]":
    """Bytes, and bytes a second; of what is unwrapped the number of keys."""
    from rich.progress import DownloadColumn, TransferSpeedColumn
    from rich.text import Text

    class Amount(DownloadColumn):
        def render(self, task: "Task") -> Text:
            if task.description != UNWRAPPING:
                return super().render(task)
            return Text(f"{int(task.completed):,} of {int(task.total or 0):,} wrapped keys", "progress.download")

    class Speed(TransferSpeedColumn):
        def render(self, task: "Task") -> Text:
            return super().render(task) if task.description != UNWRAPPING else Text("")

    return Amount(), Speed()
