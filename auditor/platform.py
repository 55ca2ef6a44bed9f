"""What differs between Linux, macOS and Windows: no other module asks which system it runs on.

A call is looked up by its name where it is needed: a system that lacks it takes the other way, whichever system it is.
"""

import errno
import io
import mmap
import os
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROC = Path("/proc")
"""proc(5), where the system has it."""
BINARY = getattr(os, "O_BINARY", 0)
"""Flag of open(2) without which Windows writes a carriage return before every line feed."""
NONBLOCK = getattr(os, "O_NONBLOCK", 0)
"""Flag of open(2) without which a named pipe waits for a writer."""
MODE = 0o600
TRIM_THRESHOLD = 1 << 30
"""Bytes that the process keeps when they are freed."""
MMAP_THRESHOLD = 1 << 23
"""Bytes of the largest block that is kept: a column of a million records. Larger ones, faulted in anew, leave no holes
between others."""
PR_SET_PDEATHSIG = 1
IN_PAGE_ERROR = 0xC0000006
"""STATUS_IN_PAGE_ERROR (ntstatus.h): the end of a process on Windows that touches mapped bytes which are gone."""
_ZEROS = bytes(1 << 20)
_NOT_HERE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
"""Errors of open(2) where the kernel or the file system has no O_TMPFILE."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in "123456789")}
"""Names of devices on Windows, whatever their ending and the folder."""
_position = threading.Lock()
"""Held between a seek and the access behind it: descriptors of one open file share their position."""


def has_fork() -> bool:
    """Whether a process can be forked."""
    return hasattr(os, "fork")


def forks_safely() -> bool:
    """Whether a process with threads and loaded libraries may be forked. macOS' own libraries do not allow it."""
    return has_fork() and sys.platform != "darwin"


def fork() -> int:
    """As os.fork(), where has_fork()."""
    child: int = _call("fork")
    return child


def kill_hard(process: int) -> None:
    """End a process that handles no signal any more."""
    os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def signal_name(number: int) -> str:
    """The name of a signal; its number where the system knows none."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def ended(process: int) -> int | None:
    """The status of a child process, as of os.waitpid(); None while it runs."""
    number, status = os.waitpid(process, getattr(os, "WNOHANG", 0))
    return status if number else None


def status_signal(status: int) -> int:
    """The signal that ended a process, by its status; 0 for none."""
    signalled: bool = _call("WIFSIGNALED", status)
    return int(_call("WTERMSIG", status)) if signalled else 0


def child_signal() -> int:
    """The signal that tells of the end of a child process; 0 where there is none."""
    return int(getattr(signal, "SIGCHLD", 0))


def set_blocking(descriptor: int, *, blocking: bool) -> None:
    """As os.set_blocking(); without effect where the system has no such mode."""
    if hasattr(os, "set_blocking"):
        with suppress(OSError):
            os.set_blocking(descriptor, blocking)


@contextmanager
def interrupts_held() -> Iterator[Iterable[int]]:
    """SIGINT waits until the end of the block; the mask of blocked signals as it was."""
    block, restore = getattr(signal, "SIG_BLOCK", 0), getattr(signal, "SIG_SETMASK", 2)
    change: Any = getattr(signal, "pthread_sigmask", None)
    if change is None:
        yield ()
        return
    mask: Iterable[int] = change(block, {signal.SIGINT})
    try:
        yield mask
    finally:
        change(restore, mask)


def set_signal_mask(mask: Iterable[int]) -> None:
    """Block these signals and no others."""
    change: Any = getattr(signal, "pthread_sigmask", None)
    if change is not None:
        change(getattr(signal, "SIG_SETMASK", 2), mask)


def end_with_parent() -> bool:
    """Have the kernel kill this process when its parent ends; whether it can (prctl(2), PR_SET_PDEATHSIG)."""
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        prctl = ctypes.CDLL(None).prctl
        return int(prctl(PR_SET_PDEATHSIG, getattr(signal, "SIGKILL", 9), 0, 0, 0)) == 0
    return False


def no_core_dumps() -> None:
    """A core of this process would hold Secrets. A limit of 1 byte also stops cores piped to a program; 0 does not.

    Windows Error Reporting is told to show and keep nothing (SetErrorMode: critical errors, general faults).
    """
    try:
        import resource
    except ImportError:
        import ctypes

        with suppress(AttributeError, KeyError, OSError):
            vars(ctypes)["windll"].kernel32.SetErrorMode(0x0001 | 0x0002)
        return
    limits: Any = resource
    _, hard = limits.getrlimit(limits.RLIMIT_CORE)
    limit = 0 if hard == 0 else 1
    limits.setrlimit(limits.RLIMIT_CORE, (limit, limit))


def keep_memory() -> None:
    """Have glibc keep freed memory: else it returns each large column, and faults it in again for the next.

    mallopt(3): M_TRIM_THRESHOLD is -1, M_MMAP_THRESHOLD -3. Other C libraries have no such function, and no such need.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        tune = ctypes.CDLL(None).mallopt
        tune(-1, TRIM_THRESHOLD)
        tune(-3, MMAP_THRESHOLD)


def drop_pages(address: int, size: int) -> None:
    """Release the pages of a mapping, without the interpreter's lock; an access reads them again (madvise(2))."""
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        advise(address, size, vars(mmap).get("MADV_DONTNEED", 4))


def read_into(descriptor: int, window: memoryview, offset: int) -> int:
    """Fill a window with a file's bytes from an offset on; their number. Raises OSError."""
    if hasattr(os, "preadv"):
        return int(_call("preadv", descriptor, [window], offset))
    with _position:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return io.FileIO(descriptor, closefd=False).readinto(window) or 0


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """As os.pread(). Raises OSError."""
    if hasattr(os, "pread"):
        content: bytes = _call("pread", descriptor, size, offset)
        return content
    with _position:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> int:
    """As os.pwrite(). Raises OSError."""
    if hasattr(os, "pwrite"):
        return int(_call("pwrite", descriptor, data, offset))
    with _position:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)


def seek_data(descriptor: int, offset: int) -> int:
    """Where data begin, from an offset on. Raises OSError where none do, AttributeError where holes are not told."""
    return os.lseek(descriptor, offset, _constant("SEEK_DATA"))


def seek_hole(descriptor: int, offset: int) -> int:
    """Where a hole begins, from an offset on. Raises OSError, and AttributeError where holes are not told."""
    return os.lseek(descriptor, offset, _constant("SEEK_HOLE"))


def free_space(descriptor: int, folder: Path) -> int:
    """Bytes that a file may still grow by."""
    if hasattr(os, "statvfs"):
        file_system = _call("statvfs", descriptor)
        return int(file_system.f_bavail * file_system.f_frsize)
    return shutil.disk_usage(folder).free


def allocate(descriptor: int, size: int) -> None:
    """Give an empty file `size` zero bytes that no full disk takes away later. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        _call("posix_fallocate", descriptor, 0, size)
        return
    at = 0
    while at < size:
        at += write_at(descriptor, _ZEROS[: size - at], at)


def nameless_file(folder: Path) -> int | None:
    """A new file that has no name, to read and write; None where none can be made. Raises OSError."""
    flag = getattr(os, "O_TMPFILE", 0)
    if not flag:
        return None
    try:
        return os.open(folder, flag | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), MODE)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    return None


def vanishing_file(folder: Path) -> int | None:
    """A new file that the system removes with the process that holds it open; None where it cannot. Raises OSError.

    Windows: O_TEMPORARY; another process of the same user may see its name meanwhile.
    """
    flag = getattr(os, "O_TEMPORARY", 0)
    if not flag:
        return None
    while True:
        path = folder / f".etcd-auditor-{secrets.token_hex(8)}.partial"
        with suppress(FileExistsError):
            return os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flag | BINARY | getattr(os, "O_NOINHERIT", 0), MODE
            )


def renames_open_files() -> bool:
    """Whether a file that is open may be renamed and removed."""
    return not hasattr(os, "O_TEMPORARY")


def device(number: int) -> str:
    """The number of a file system as /proc/locks writes it; empty on a system without such."""
    if not hasattr(os, "major"):
        return ""
    return f"{_call('major', number):02x}:{_call('minor', number):02x}"


def locks() -> list[str] | None:
    """The device and inode of every locked file, as `device:inode`; None on a system that does not show locks."""
    try:
        lines = (PROC / "locks").read_text().splitlines()
    except OSError:
        return None
    return [line.split()[5] for line in lines if len(line.split()) > 5]


def is_device_name(name: str) -> bool:
    """Whether Windows takes a file's name for a device, in any folder: `con`, `nul.csv`."""
    return not renames_open_files() and name.partition(".")[0].strip().lower() in _RESERVED


def limits() -> list[str]:
    """What this system does not give, in words for a report; none on Linux."""
    missing = []
    if locks() is None:
        missing.append("locks are not shown: a running member is known only by files that change meanwhile")
    if not renames_open_files():
        missing.append("files have no modes: reports are as private as their folder")
    return missing


def _constant(name: str) -> int:
    """A number of os that not every system has. Raises AttributeError."""
    number: int = getattr(os, name)
    return number


def _call(name: str, *arguments: Any) -> Any:
    """A function of os that not every system has."""
    return vars(os)[name](*arguments)
