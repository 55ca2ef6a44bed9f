"""A process that is started before the command line is read, and imports meanwhile what its task will need."""

import os
import pickle
import select
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module

ORPHANED = 2
"""The exit code of a process that never gets a task; nobody waits for it."""


def prepare(modules: Sequence[str], start: Callable[[Callable[[], int]], int]) -> None:
    """Start the process that take() will use: it imports these while the command line is still being read.

    start: forks a process for a task, and answers with its number. Importing takes a fourth of a short scan. dismiss()
    ends a process that got no task.
    """
    global _early  # noqa: PLW0603
    if not hasattr(os, "fork"):
        return
    # until the child has said what it does about an interrupt, there is none
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        near, far = os.pipe()
        try:
            _early = _Early(start(partial(_await, near, far, modules, before)), far)
        except OSError:
            os.close(far)
            raise
        finally:
            os.close(near)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def take(task: Callable[[], int]) -> int | None:
    """The number of the prepared process, which runs the task now; None where none was prepared."""
    global _early
    if _early is None:
        return None
    child, _early = _early.take(task), None
    return child


def dismiss() -> int:
    """End the process that was prepared and is not needed: it would keep our output open. Answers 0."""
    global _early
    early, _early = _early, None
    if early is not None:
        os.kill(early.child, signal.SIGKILL)
        os.waitpid(early.child, 0)
        with suppress(OSError):  # an interrupt may have ended the handing over
            os.close(early.pipe)
    return 0


@dataclass(frozen=True, slots=True)
class _Early:
    """A process that waits for its task, and the pipe over which it gets it."""

    child: int
    pipe: int

    def take(self, task: Callable[[], int]) -> int:
        raw = pickle.dumps(task)
        with suppress(BrokenPipeError), os.fdopen(self.pipe, "wb") as out:  # of what it died, is told by waiting for it
            out.write(raw)
        return self.child


_early: _Early | None = None


def _await(near: int, far: int, modules: Sequence[str], blocked: Iterable[int]) -> int:
    """Import until the task comes, and run it. blocked: signals, once it is said what is done about SIGINT."""
    os.close(far)
    interrupted = signal.getsignal(signal.SIGINT)
    if interrupted is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to say yet that the other process does not
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    for module in modules:
        if select.select([near], [], [], 0)[0]:
            break
        with suppress(Exception):  # whatever is wrong is told by the command, when it imports the same
            import_module(module)
    with os.fdopen(near, "rb") as pipe:
        raw = pipe.read()
    if not raw:  # the other process was killed
        return ORPHANED
    signal.signal(signal.SIGINT, interrupted)
    task: Callable[[], int] = pickle.loads(raw)  # noqa: S301 - from the process that we are a copy of
    return task()
