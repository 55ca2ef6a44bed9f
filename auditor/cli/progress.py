"""A bar while evidence arrives or is hashed: on a terminal, and nowhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from auditor.options import Progress

if TYPE_CHECKING:
    from auditor.scanning.many import ExhibitDone
    from auditor.scanning.merge import Outcome


@contextmanager
def counting() -> Iterator["ExhibitDone | None"]:
    """What to call with every piece of evidence that is done: a line each, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return

    def told(done: int, total: int, outcome: "Outcome") -> None:
        said = outcome.result if isinstance(outcome.result, str) else outcome.result.verdict.value
        sys.stderr.write(f"[{done}/{total}] {outcome.name}: {said}\n")

    yield told


@contextmanager
def bars() -> Iterator[Callable[[str], Progress | None]]:
    """What gives, for the name of a step, what to call with bytes done and bytes in all.

    A bar appears when its step begins. None is given where standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:

        def step(name: str) -> Progress:
            task = bar.add_task(name, total=None, visible=False)

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, visible=True)

            return show

        yield step


@contextmanager
def hashing() -> Iterator[Progress | None]:
    """The bar of the one step that every command has."""
    with bars() as step:
        yield step("hashing")
