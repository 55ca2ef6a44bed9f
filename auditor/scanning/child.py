"""One task in a child process of its own: what `scan` of many and a fleet's workers run an exhibit in.

A file that shrinks under its mapping, or memory that runs out, kills the child and nothing else; a parent that ends,
however it ends, takes its children with it.
"""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeAlias, TypeVar

from auditor import errors, platform

T = TypeVar("T")
End: TypeAlias = Any
"""An end of a pipe of multiprocessing: a Connection, or what Windows has instead."""
SILENCE = "the reading process ended without a word; nothing was concluded"


class Start(Enum):
    """How a child begins; where a process cannot be forked safely it is spawned in either case."""

    FORK = "fork"
    """As a copy of this process, which has no other threads."""
    SERVER = "forkserver"
    """As a copy of a process that has loaded `preloaded` and has no threads, whatever this one has."""


@dataclass(frozen=True, slots=True, eq=False)
class Child(Generic[T]):
    """A process that computes one answer of type T. Its read end of `lifeline` ends it when this process dies."""

    process: BaseProcess
    answer: End
    lifeline: End


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a child without an answer."""

    reason: str
    """A sentence about it."""


def start(task: Callable[[], T], how: Start = Start.FORK, preloaded: Sequence[str] = ()) -> Child[T]:
    """A child that runs the task.

    Args:
        task: Answers, or raises what result() describes; pickled where the child is no fork of this process.
        how: How the child begins.
        preloaded: Modules of the process that Start.SERVER copies, which is started once; one that is not installed is
            left out.
    """
    context: Any = get_context(how.value if platform.forks_safely() else "spawn")
    forked = context.get_start_method() == Start.FORK.value
    if context.get_start_method() == Start.SERVER.value:
        context.set_forkserver_preload(list(preloaded))
    receiver, sender = context.Pipe(duplex=False)
    alive, lifeline = context.Pipe(duplex=False)
    # of any other process only the ends that it uses are opened there
    arguments = (task, sender, alive, receiver, lifeline) if forked else (task, sender, alive)
    process: BaseProcess = context.Process(target=_forked if forked else _run, args=arguments, daemon=True)
    process.start()
    sender.close()
    alive.close()
    return Child(process, receiver, lifeline)


def result(child: Child[T]) -> T | Death | str:
    """The answer, once there is one: of the task, what its exception says, or how the process died."""
    try:
        answer: T | str = child.answer.recv()
    except (EOFError, OSError):
        child.process.join()
        code = child.process.exitcode or 0
        end(child)
        return Death(errors.describe_signal(-code) if code < 0 else SILENCE)
    end(child)
    return answer


def end(child: Child[T]) -> None:
    """Wait for the end of a child that has answered, or was killed."""
    child.answer.close()
    child.process.join()
    child.lifeline.close()
    child.process.close()


def kill(child: Child[T]) -> None:
    """End a child at once."""
    child.process.kill()
    end(child)


def _forked(task: Callable[[], T], sender: End, alive: End, receiver: End, lifeline: End) -> None:
    receiver.close()
    lifeline.close()
    _run(task, sender, alive)


def _run(task: Callable[[], T], sender: End, alive: End) -> None:
    """Run the task and send its answer; ends with the parent process, whatever ends that."""
    platform.no_core_dumps()
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    answer: T | str
    try:
        answer = task()
    except BaseException as error:  # noqa: BLE001
        answer = errors.describe(error)
    with suppress(OSError):
        sender.send(answer)
    os._exit(0)


def _end_with_parent(alive: End) -> None:
    with suppress(EOFError, OSError):
        alive.recv_bytes()  # nothing is ever sent: it returns when the parent's end is closed
    os._exit(1)
