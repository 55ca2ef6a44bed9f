"""The wait for the process that reads the evidence: signals are passed on, and a drive that stalls is reported.

A process blocked on a mapped file of a stalled network drive sleeps in the kernel, and handles no signal; its parent
does.
"""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from auditor import platform

PATIENCE = 2.0
"""Seconds from a signal until a process that sleeps in the kernel is killed, and then until it is abandoned."""
STEP = 10.0
"""Seconds between two looks at the process."""
STALL_STEPS = 3
"""Steps without an answer of the drive, after which that is reported."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a process."""

    status: int | None
    """As of os.waitpid(); None where a killed process does not end."""
    interrupt: int
    """The signal that this process got meanwhile, or 0."""


def wait(child: int, say: Callable[[str], None], step: float = STEP) -> Exit:
    """Wait until `child` ends. A second signal kills it, and so does the first where the drive stalls.

    Args:
        child: The number of the process.
        say: Called with every message for the user.
        step: Seconds between two looks at the process.
    """
    near, far = os.pipe()
    platform.set_blocking(far, blocking=False)
    try:
        with _signals(far):
            return _attend(child, near, say, step)
    finally:
        os.close(near)
        os.close(far)


@contextmanager
def _signals(pipe: int) -> Iterator[None]:
    """The numbers of incoming signals go into a pipe; a signal that is ignored at start stays ignored.

    SIGINT and SIGTERM have no effect afterwards: only the message about the end remains.
    """
    before = signal.set_wakeup_fd(pipe, warn_on_full_buffer=False)
    child_signal = platform.child_signal()
    handler = signal.signal(child_signal, _ignore)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ignore)
    try:
        yield
    finally:
        signal.signal(child_signal, handler)
        signal.set_wakeup_fd(before)


def _ignore(number: int, frame: object) -> None:
    """A handler without effect: the number in the pipe counts."""


def _attend(child: int, pipe: int, say: Callable[[str], None], step: float) -> Exit:
    interrupt, killed, idle = 0, False, 0
    last: tuple[tuple[str, ...], ...] = ()
    while True:
        status = platform.ended(child)
        if status is not None:
            return Exit(status, interrupt)
        if select.select([pipe], [], [], PATIENCE if interrupt else step)[0]:
            for number in os.read(pipe, 64):
                if number == platform.child_signal():
                    continue
                killed = bool(interrupt)
                # a terminal sends SIGINT to the child too, which heeds the first one only
                if killed:
                    platform.kill_hard(child)
                else:
                    os.kill(child, number)
                interrupt = interrupt or number
            continue
        now = _asleep(child)
        if killed:
            return Exit(None, interrupt)
        if interrupt and now:
            killed = True
            platform.kill_hard(child)
        idle = idle + 1 if now and now == last else 0
        last = now
        if idle == STALL_STEPS and not interrupt:
            say(
                f"the drive of the evidence has not answered for {step * STALL_STEPS:.0f} s; still waiting, Ctrl-C ends"
            )


def _asleep(process: int) -> tuple[tuple[str, ...], ...]:
    """The activity of a process and its descendants, where one of their threads waits for a drive.

    The number, processor time and page faults of each thread (proc(5), /proc/pid/stat); empty where none waits, and on
    systems without /proc.
    """
    threads, waits = [], False
    for thread in (platform.PROC / str(process) / "task").glob("*"):
        try:
            state, *fields = (thread / "stat").read_text().rpartition(")")[2].split()
            children = (thread / "children").read_text().split()
        except OSError:  # the thread has just ended
            continue
        waits |= state == "D"
        threads.append((thread.name, *fields[6:12]))
        for descendant in children:
            activity = _asleep(int(descendant))
            waits |= bool(activity)
            threads += activity
    return tuple(threads) if waits else ()
