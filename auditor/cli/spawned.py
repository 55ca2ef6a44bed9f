"""The process that reads the evidence, where a system cannot fork: started anew, and given its task through a pipe.

Its own command line names the pipe, and nothing else: what the task holds is in no list of processes, and in no file.
"""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from auditor import inputs
from auditor.cli.orphan import ORPHAN_CODE

COMMAND = "__read"
"""The word behind which the program's command line names the pipe."""
SIZE = 8
"""Bytes of the number of the task's bytes, little endian, before them."""
PATIENCE = 2.0
"""Seconds from an interrupt until the process is killed."""


def start(pipes: Mapping[str, bytes], task: Callable[[], int]) -> "Reader":
    """Start a process for a task.

    Args:
        pipes: The bytes of pipes that this process has read, by path.
        task: What it runs; it must be one that pickle takes.
    """
    content = pickle.dumps((dict(pipes), task))
    near, far = os.pipe()
    try:
        name, options = _inherited(near)
        process = subprocess.Popen([*_program(), COMMAND, name], stdin=0, stdout=1, stderr=2, **options)  # noqa: S603
    except BaseException:
        os.close(far)
        raise
    finally:
        os.close(near)
    with suppress(BrokenPipeError):  # a process that has died is reported by the wait for it
        _write(far, len(content).to_bytes(SIZE, "little") + content)
    return Reader(process, far)


class Reader:
    """A process that was started; its pipe stays open until it has ended, and ends it when this process dies."""

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: int) -> None:
        self._process = process
        self._pipe = pipe

    def wait(self) -> tuple[int, bool]:
        """Its exit code, negative for a signal, and whether the wait was interrupted."""
        interrupted = False
        try:
            while True:
                try:
                    return self._process.wait(PATIENCE if interrupted else None), interrupted
                except KeyboardInterrupt:  # a console sends it to both processes
                    interrupted = True
                except subprocess.TimeoutExpired:
                    self._process.kill()
        finally:
            os.close(self._pipe)


def run(name: str, in_child: Callable[[Callable[[], int]], int]) -> int:
    """The exit code of the task that comes through the pipe of a name, run in this process.

    Args:
        name: What start() called the pipe.
        in_child: Runs a task as a process that reads evidence runs it.
    """
    near = _opened(int(name))
    size = int.from_bytes(_read(near, SIZE), "little")
    raw = _read(near, size)
    if len(raw) < size or not size:  # the parent process was killed
        return ORPHAN_CODE
    threading.Thread(target=_end_with_parent, args=(near,), name="lifeline", daemon=True).start()
    pipes, task = pickle.loads(raw)  # noqa: S301 - from the parent process
    inputs.hand_over(pipes)
    return in_child(task)


def _program() -> list[str]:
    """The beginning of this program's own command line; of a single file that holds Python there is nothing else."""
    return [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "auditor"]


def _inherited(descriptor: int) -> tuple[str, dict[str, Any]]:
    """A name for a descriptor that a new process inherits, and the options of Popen that hand it on."""
    if not hasattr(subprocess, "STARTUPINFO"):
        return str(descriptor), {"pass_fds": (descriptor,)}
    import msvcrt

    handle = int(vars(msvcrt)["get_osfhandle"](descriptor))
    vars(os)["set_handle_inheritable"](handle, True)
    return str(handle), {"startupinfo": vars(subprocess)["STARTUPINFO"](lpAttributeList={"handle_list": [handle]})}


def _opened(number: int) -> int:
    """The descriptor of an inherited pipe."""
    if not hasattr(subprocess, "STARTUPINFO"):
        return number
    import msvcrt

    return int(vars(msvcrt)["open_osfhandle"](number, os.O_RDONLY | vars(os)["O_BINARY"]))


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _read(descriptor: int, size: int) -> bytes:
    """So many bytes, or those up to the end."""
    content = b""
    while len(content) < size and (more := os.read(descriptor, size - len(content))):
        content += more
    return content


def _end_with_parent(near: int) -> None:
    os.read(near, 1)  # nothing more is written: the read returns when the parent's end is closed
    os._exit(ORPHAN_CODE)
