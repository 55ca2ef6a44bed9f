"""Run a command in a process of its own, so that whatever happens to it becomes a message and an exit code.

A file that shrinks under its mapping kills the process that reads it (SIGBUS); no exception handler sees that.
Nothing here prints a traceback: one could quote what was being read.
"""

import os
import pickle
import select
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from auditor.cli import wait
from auditor.errors import NOTHING, describe, describe_signal

FAILED = 2
KEPT = 1 << 30
"""Bytes that are kept when they are freed."""
LARGEST = 1 << 23
"""Up to so many bytes a piece of memory is one of these: a column of a million records. Larger ones, faulted in anew,
leave no holes between others."""
INTERRUPTED = 130
INTERRUPTION = f"interrupted; {NOTHING}"
TURN = 1e-4
"""Seconds for which a thread may keep the interpreter's lock from another: by default it is fifty times as long, which
the thread that hashes would wait between any two windows."""


def run(task: Callable[[], int]) -> int:
    """The exit code of `task`; 2 for every failure, with a line on standard error that says what failed.

    A process that was prepared gets it pickled.
    """
    if not hasattr(os, "fork"):
        return guarded(task)
    global _early
    sys.stdout.flush()
    sys.stderr.flush()
    if _early is None:
        child = _start(task)
    else:
        child, _early = _early.take(task), None
    return _code(wait.wait(child, _say))


def prepare(modules: Sequence[str]) -> None:
    """Start the process that run() will use: it imports these while the command line is still being read.

    Importing takes a fourth of a short scan. dismiss() ends a process that got no task.
    """
    global _early  # noqa: PLW0603
    if not hasattr(os, "fork"):
        return
    # until the child has said what it does about an interrupt, there is none
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        near, far = os.pipe()
        try:
            _early = _Early(_start(partial(_await, near, far, modules, before)), far)
        except OSError:
            os.close(far)
            raise
        finally:
            os.close(near)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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


def _start(task: Callable[[], int]) -> int:
    child = os.fork()
    if not child:
        os._exit(_in_child(task))
    return child


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
        return FAILED
    signal.signal(signal.SIGINT, interrupted)
    task: Callable[[], int] = pickle.loads(raw)  # noqa: S301 - from the process that we are a copy of
    return task()


def _code(ended: wait.Ended) -> int:
    """The exit code of a process that has ended, or does not; what is not its own is said."""
    if ended.status is not None and not os.WIFSIGNALED(ended.status):
        return os.waitstatus_to_exitcode(ended.status)
    if ended.asked:
        left = "" if ended.status is not None else "; the reading process ends when the drive of the evidence answers"
        _say(f"{INTERRUPTION}{left}")
    elif ended.status is not None:
        _say(describe_signal(os.WTERMSIG(ended.status)))
    return INTERRUPTED if ended.asked == signal.SIGINT else FAILED


def guarded(task: Callable[[], int]) -> int:
    """`task` with every exception turned into a message without a byte of evidence."""
    try:
        return task()
    except KeyboardInterrupt:
        _say(INTERRUPTION)
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has gone; what is left in the buffer must not raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BaseException as error:  # noqa: BLE001
        _say(describe(error))
    return FAILED


def _in_child(task: Callable[[], int]) -> int:
    _no_core_dumps()
    _keep_memory()
    sys.setswitchinterval(TURN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    code = guarded(task)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return FAILED
    return code


def _keep_memory() -> None:
    """Have glibc keep what is freed: else it gives each large column back, and faults it in again for the next.

    mallopt(3): M_TRIM_THRESHOLD is -1, M_MMAP_THRESHOLD -3. Other C libraries have no such function, and no such need.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        tune = ctypes.CDLL(None).mallopt
        tune(-1, KEPT)
        tune(-3, LARGEST)


def _no_core_dumps() -> None:
    """A core of this process would hold Secrets. A limit of 1 byte also stops cores piped to a program; 0 does not."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = 0 if hard == 0 else 1
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))


def _say(text: str) -> None:
    sys.stderr.write(f"etcd-auditor: {text}\n")
