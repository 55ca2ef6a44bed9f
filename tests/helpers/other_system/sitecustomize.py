"""Python on Linux without what another system lacks: imported by every interpreter that has this folder on its path.

AUDITOR_TEST_SYSTEM names the system. This shows missing calls and files that cannot be unlinked while they are open; it
does not show another system's paths, consoles and locks.
"""

import io
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

SYSTEM = os.environ.get("AUDITOR_TEST_SYSTEM", "")
TEMPORARY = 1 << 29
"""A flag of open(2) that Linux does not have, in place of O_TEMPORARY."""
LACKS: dict[str, dict[ModuleType, Sequence[str]]] = {
    "darwin": {os: ("posix_fallocate", "O_TMPFILE", "sched_getaffinity"), mmap: (), signal: (), socket: ()},
    "win32": {
        os: [
            "fork",
            "forkpty",
            "preadv",
            "preadv2",
            "pread",
            "pwrite",
            "pwritev",
            "statvfs",
            "fstatvfs",
            "posix_fallocate",
            "posix_fadvise",
            "O_TMPFILE",
            "O_NONBLOCK",
            "O_CLOEXEC",
            "major",
            "minor",
            "set_blocking",
            "SEEK_DATA",
            "SEEK_HOLE",
            "sched_getaffinity",
            "getppid",
            "mkfifo",
            "getuid",
            "geteuid",
            "getgid",
            "fchmod",
            "fchown",
        ],
        mmap: ("MADV_DONTNEED",),
        signal: ["SIGBUS", "SIGKILL", "SIGCHLD", "SIGPIPE", "SIGHUP", "pthread_sigmask", "SIG_BLOCK", "SIG_SETMASK"],
        socket: ("AF_UNIX",),
    },
}


def without_proc() -> None:
    """No /proc for this program."""
    opened, listed, raw = io.open, os.scandir, os.open

    def hidden(path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith("/proc/")

    def refusing(call: Callable[..., Any]) -> Any:
        def refused(path: object = ".", *arguments: Any, **options: Any) -> Any:
            if hidden(path):
                raise FileNotFoundError(2, "No such file or directory")
            return call(path, *arguments, **options)

        return refused

    io.open, os.scandir, os.open = refusing(opened), refusing(listed), refusing(raw)


def with_open_files_kept() -> None:
    """An open file can be neither unlinked nor renamed; one that is opened with O_TEMPORARY goes with its process."""
    raw, unlink, rename, replace, link = os.open, os.unlink, os.rename, os.replace, os.link

    def is_open(path: Any) -> bool:
        inode = os.stat(path)  # noqa: PTH116
        for number in range(3, 256):
            try:
                own = os.fstat(number)
            except OSError:
                continue
            if (own.st_dev, own.st_ino) == (inode.st_dev, inode.st_ino):
                return True
        return False

    def keeping(call: Callable[..., Any]) -> Any:
        def kept(path: Any, *arguments: Any, **options: Any) -> Any:
            if os.path.exists(path) and is_open(path):  # noqa: PTH110
                raise PermissionError(13, "the file is in use")
            return call(path, *arguments, **options)

        return kept

    def opening(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        descriptor = raw(path, flags & ~TEMPORARY, *arguments, **options)
        if flags & TEMPORARY:
            unlink(path)
        return descriptor

    os.open, os.O_TEMPORARY = opening, TEMPORARY  # type: ignore[attr-defined]
    os.unlink, os.rename, os.replace, os.link = (keeping(each) for each in (unlink, rename, replace, link))
    os.remove = os.unlink


def with_disk_usage() -> None:
    """As Windows has it, by another call."""
    import shutil

    asked = os.statvfs

    def usage(path: Any) -> Any:
        state = asked(path)
        return SimpleNamespace(free=state.f_bavail * state.f_frsize)

    shutil.disk_usage = usage


if SYSTEM in LACKS:
    with_disk_usage()
    for module, names in LACKS[SYSTEM].items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    without_proc()
    if SYSTEM == "win32":
        sys.modules["resource"] = None  # type: ignore[assignment]
        with_open_files_kept()
