"""The end of a child process with its parent, whatever ends that: nobody else would stop it.

prctl(2), PR_SET_PDEATHSIG, where the system has it; elsewhere a pipe that only the parent can write to, and never does.
"""

import os
import threading

from auditor import platform

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
        if platform.end_with_parent():
            os.close(self._near)
            if os.getppid() != self._parent:  # it ended before the kernel was asked
                os._exit(ORPHAN_CODE)
            return
        threading.Thread(target=_end_with_parent, args=(self._near,), name="lifeline", daemon=True).start()


def _end_with_parent(near: int) -> None:
    os.read(near, 1)  # nothing is ever written: the read returns when the parent's end is closed
    os._exit(ORPHAN_CODE)
