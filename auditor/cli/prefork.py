"""A process that is started before the command line is parsed, and imports the modules of its task meanwhile."""

import os
import pickle
import select
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from auditor import platform
from auditor.cli.orphan import ORPHAN_CODE


def prepare(modules: Sequence[str], start: Callable[[Callable[[], int]], int]) -> None:
    """Start the process that take() uses: it imports modules while the command line is still being parsed.

    Importing takes a fourth of a short scan. dismiss() ends a process that gets no task.

    Args:
        modules: The modules.
        start: Forks a process for a task, and returns its number.
    """
    global _early  # noqa: PLW0603
    if not platform.has_fork():
        return
    with platform.interrupts_held() as mask:  # none before the child has set its own handler
        near, far = os.pipe()
        try:
            _early = _Early(start(partial(_await, near, far, modules, mask)), far)
        except OSError:
            os.close(far)
            raise
        finally:
            os.close(near)


def take(task: Callable[[], int]) -> int | None:
    """The number of the prepared process, which runs the task; None where there is no such process."""
    global _early
    if _early is None:
        return None
    child, _early = _early.take(task), None
    return child


def dismiss() -> int:
    """End a prepared process that has no task: it would keep the output open. Returns 0."""
    global _early
    early, _early = _early, None
    if early is not None:
        platform.kill_hard(early.child)
        os.waitpid(early.child, 0)
        with suppress(OSError):  # an interrupt may have ended take()
            os.close(early.pipe)
    return 0


@dataclass(frozen=True, slots=True)
class _Early:
    """A process that waits for its task, and the pipe over which it gets it."""

    child: int
    pipe: int

    def take(self, task: Callable[[], int]) -> int:
        raw = pickle.dumps(task)
        with (
            suppress(BrokenPipeError),
            os.fdopen(self.pipe, "wb") as out,
        ):  # a dead process is reported by the wait for it
            out.write(raw)
        return self.child


_early: _Early | None = None


def _await(near: int, far: int, modules: Sequence[str], mask: Iterable[int]) -> int:
    """Import modules until the task comes, and run it.

    Args:
        near: The end of the pipe to read the task from.
        far: The other end.
        modules: The modules.
        mask: Blocked signals, once SIGINT has its handler.
    """
    os.close(far)
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent process reports the interrupt
    platform.set_signal_mask(mask)
    for module in modules:
        if select.select([near], [], [], 0)[0]:
            break
        with suppress(Exception):  # the command reports the error when it imports the same module
            import_module(module)
    with os.fdopen(near, "rb") as pipe:
        raw = pipe.read()
    if not raw:  # the parent process was killed
        return ORPHAN_CODE
    signal.signal(signal.SIGINT, handler)
    task: Callable[[], int] = pickle.loads(raw)  # noqa: S301 - from the parent process
    return task()
