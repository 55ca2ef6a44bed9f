"""One task in a child process of its own: what `scan` of many and a fleet's workers run an exhibit in.

A file that shrinks under its mapping, or memory that runs out, kills the child and nothing else; a parent that ends,
however it ends, takes its children with it.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from auditor import errors
from auditor.scanning.core_dumps import no_core_dumps

T = TypeVar("T")
SILENCE = "the reading process ended without a word; nothing was concluded"


class Start(Enum):
    """How a child begins."""

    FORK = "fork"
    """As a copy of this process, which has no other threads."""
    SERVER = "forkserver"
    """As a copy of a process that has loaded PRELOADED and has no threads, whatever this one has."""


PRELOADED = ("numpy", "auditor.audit.examine", "auditor.scanning.one", "pyarrow.parquet")
"""Modules of the process that Start.SERVER copies; one that is not installed is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Child(Generic[T]):
    """A process that computes one answer of type T, and ends when `answer` is closed."""

    process: BaseProcess
    answer: Connection


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a child without an answer."""

    reason: str
    """A sentence about it."""


def start(task: Callable[[], T], how: Start = Start.FORK) -> Child[T]:
    """A child that runs the task.

    Args:
        task: Answers, or raises what result() describes; pickled where the child is no fork of this process.
        how: How the child begins.
    """
    context: ForkContext | ForkServerContext = get_context("fork")
    if how is Start.SERVER:
        context = get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
    near, far = context.Pipe()
    process = context.Process(target=_run, args=(task, far, near if how is Start.FORK else None), daemon=True)
    process.start()
    far.close()
    return Child(process, near)


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
    """Wait for the end of a child, which closing its connection brings about."""
    child.answer.close()
    child.process.join()
    child.process.close()


def kill(child: Child[T]) -> None:
    """End a child at once."""
    child.process.kill()
    end(child)


def _run(task: Callable[[], T], connection: Connection, parents: Connection | None) -> None:
    """Run the task and send its answer. parents: the other end, where a fork has inherited it."""
    if parents is not None:
        parents.close()
    no_core_dumps()
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    answer: T | str
    try:
        answer = task()
    except BaseException as error:  # noqa: BLE001
        answer = errors.describe(error)
    with suppress(OSError):
        connection.send(answer)
    os._exit(0)


def _end_with_parent(connection: Connection) -> None:
    with suppress(EOFError, OSError):
        connection.recv_bytes()  # nothing is ever sent: it returns when the parent's end is closed
    os._exit(1)
