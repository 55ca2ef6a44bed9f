"""A command in a process of its own, so that any failure becomes a message and an exit code.

A file that shrinks under its mapping kills the process that reads it (SIGBUS); no exception handler sees that.
No traceback is printed: one could quote the evidence.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial

from auditor import inputs, platform, sandbox
from auditor.cli import orphan, prefork, spawned, wait
from auditor.errors import NOTHING, describe, describe_code, describe_signal

FAILURE = 2
INTERRUPT_CODE = 130
PIPE_CODE = 141
"""The exit code where nobody reads the output any more: that of a program which SIGPIPE ends."""
CODES = {0, 1, FAILURE, 3, INTERRUPT_CODE, PIPE_CODE}
"""The exit codes of the program."""
INTERRUPTION = f"interrupted; {NOTHING}"
TURN = 1e-4
"""Seconds that a thread may keep the interpreter's lock. By default it is fifty times as long, and the hashing thread
would wait so long between any two windows."""


def run(task: Callable[[], int], limits: sandbox.Limits) -> int:
    """The exit code of `task`; 2 for every failure, with a line on standard error that says what failed.

    A prepared process gets the task pickled.

    Args:
        task: What is run.
        limits: Of the sandbox that it is run in.
    """
    task = partial(_confined, limits, task)
    sys.stdout.flush()
    sys.stderr.flush()
    if not platform.has_fork():
        return guard(lambda: _end_of(spawned.start(inputs.contents(), task)))
    child = prefork.take(partial(_with_inputs, inputs.contents(), task))
    if child is None:
        child = start(task)
    return _code(wait.wait(child, _say))


def _with_inputs(pipes: Mapping[str, bytes], task: Callable[[], int]) -> int:
    """The exit code of a task that needs the bytes of pipes which the first process has read."""
    inputs.hand_over(pipes)
    return task()


def _confined(limits: sandbox.Limits, task: Callable[[], int]) -> int:
    """The exit code of a task in a sandbox."""
    if not limits.exemption:
        sandbox.prepare()
    sandbox.enter(limits)
    return task()


def start(task: Callable[[], int]) -> int:
    """The number of a forked process that runs the task, and that ends with this one."""
    lifeline = orphan.Lifeline()
    child = platform.fork()
    if not child:
        lifeline.child()
        os._exit(in_child(task))
    lifeline.parent()
    return child


def _code(end: wait.Exit) -> int:
    """The exit code of a process; a message where it is not the process's own."""
    number = 0 if end.status is None else platform.status_signal(end.status)
    if end.status is not None and not number:
        return os.waitstatus_to_exitcode(end.status)
    if end.interrupt:
        orphan = "" if end.status is not None else "; the reading process ends when the drive of the evidence answers"
        _say(f"{INTERRUPTION}{orphan}")
    elif end.status is not None:
        _say(describe_signal(number))
    return INTERRUPT_CODE if end.interrupt == signal.SIGINT else FAILURE


def _end_of(reader: spawned.Reader) -> int:
    """The exit code of a spawned process; a message where it is not the process's own."""
    code, interrupted = reader.wait()
    if code in CODES:
        return code
    if interrupted:
        _say(INTERRUPTION)
        return INTERRUPT_CODE
    _say(describe_signal(-code) if code < 0 else describe_code(code))
    return FAILURE


def guard(task: Callable[[], int]) -> int:
    """The exit code of `task`, with every exception turned into a message without a byte of evidence."""
    try:
        return task()
    except KeyboardInterrupt:
        _say(INTERRUPTION)
        return INTERRUPT_CODE
    except BrokenPipeError:
        # nobody reads the output any more; the rest of the buffer must not raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CODE
    except BaseException as error:  # noqa: BLE001
        _say(describe(error))
    return FAILURE


def in_child(task: Callable[[], int]) -> int:
    """The exit code of a task in the process that reads the evidence."""
    platform.no_core_dumps()
    platform.keep_memory()
    sys.setswitchinterval(TURN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    code = guard(task)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return FAILURE
    return code


def _interrupt(*_: object) -> None:
    """Interrupt the task, once: a terminal's Ctrl-C comes from the terminal, and again from the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stderr.write(f"etcd-auditor: {text}\n")
