"""The end of a child process with its parent, whatever ends that: nobody else would stop it.

prctl(2), PR_SET_PDEATHSIG, where the system has it; elsewhere a pipe that only the parent can write to, and never does.
"""

import os
import signal
import threading
from contextlib import suppress

PR_SET_PDEATHSIG = 1
ORPHAN_CODE = 2
"""The exit code of a process whose parent is gone; nobody waits for it."""


class Lifeline:
    """Made before a fork; then child() in the one process, and parent() in the other."""

    def __init__(self) -> None:
        self._parent = os.getpid()
        self._near, self._far = os.pipe()

    def parent(self) -> None:
        """Keep the far end open until this process ends."""
        os.close(self._near)

    def child(self) -> None:
        """End this process when the parent ends."""
        os.close(self._far)
        if has_death_signal():
            os.close(self._near)
            if os.getppid() != self._parent:  # it ended before the kernel was asked
                os._exit(ORPHAN_CODE)
            return
        threading.Thread(target=_end_with_parent, args=(self._near,), name="lifeline", daemon=True).start()


def has_death_signal() -> bool:
    """Whether the kernel kills this process when its parent ends, as it is asked to here."""
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        return int(ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)) == 0
    return False


def _end_with_parent(near: int) -> None:
    os.read(near, 1)  # nothing is ever written: the read returns when the parent's end is closed
    os._exit(ORPHAN_CODE)
