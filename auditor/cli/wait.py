"""Wait for the process that reads the evidence: pass on what is to end it, and say when its drive does not answer.

Whoever reads a mapped file of a network drive that stalls sleeps in the kernel, where no handler of Python's runs:
neither Ctrl-C nor a limit of time inside that process would be noticed.
"""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 2.0
"""Seconds until a process that was asked to end, and sleeps in the kernel, is killed; and until it is left behind."""
STEP = 10.0
"""Seconds between two looks at whether it still reads."""
SILENT = 3
"""How many steps without an answer of the drive are told."""
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Ended:
    """status: as os.waitpid() tells it, None where the process does not end though killed. asked: by which signal."""

    status: int | None
    asked: int


def wait(child: int, say: Callable[[str], None], step: float = STEP) -> Ended:
    """Until `child` has ended. A second signal kills it; the first is given time, unless the drive takes it all."""
    near, far = os.pipe()
    os.set_blocking(far, False)
    try:
        with _signals(far):
            return _attend(child, near, say, step)
    finally:
        os.close(near)
        os.close(far)


@contextmanager
def _signals(pipe: int) -> Iterator[None]:
    """The numbers of the signals that arrive go into a pipe; one that whoever started us has us ignore stays ignored.

    SIGINT and SIGTERM stay without effect afterwards: what is left to do is to say how it ended.
    """
    before = signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)
    old = signal.signal(signal.SIGCHLD, _noted)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _noted)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, old)
        signal.set_wakeup_fd(before)


def _noted(number: int, frame: object) -> None:
    """The wake-up of the pipe is what counts."""


def _attend(child: int, pipe: int, say: Callable[[str], None], step: float) -> Ended:
    asked, killed, silent = 0, False, 0
    last: tuple[tuple[str, ...], ...] = ()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return Ended(status, asked)
        if select.select([pipe], [], [], PATIENCE if asked else step)[0]:
            for number in os.read(pipe, 64):
                if number == signal.SIGCHLD:
                    continue
                killed = bool(asked)
                # the terminal has sent SIGINT to the child too: once more would interrupt what it does about the first
                if killed or number == signal.SIGTERM:
                    os.kill(child, signal.SIGKILL if killed else signal.SIGTERM)
                asked = asked or number
            continue
        now = _asleep(child)
        if killed:
            return Ended(None, asked)
        if asked and now:
            killed = True
            os.kill(child, signal.SIGKILL)
        silent = silent + 1 if now and now == last else 0
        last = now
        if silent == SILENT and not asked:
            say(f"the drive of the evidence has not answered for {step * SILENT:.0f} s; still waiting, Ctrl-C ends")


def _asleep(process: int) -> tuple[tuple[str, ...], ...]:
    """What a process and those that it started have done so far, where one of their threads waits for a drive.

    Of each thread its number, processor time and page faults (proc(5), /proc/pid/stat); empty where none waits, and
    where the system does not tell.
    """
    threads, waits = [], False
    for thread in (PROC / str(process) / "task").glob("*"):
        try:
            state, *fields = (thread / "stat").read_text().rpartition(")")[2].split()
            children = (thread / "children").read_text().split()
        except OSError:  # it has just ended
            continue
        waits |= state == "D"
        threads.append((thread.name, *fields[6:12]))
        for each in children:
            below = _asleep(int(each))
            waits |= bool(below)
            threads += below
    return tuple(threads) if waits else ()
