"""Several exhibits at once: a process for each, a few at a time, and one audit of all.

An exhibit that cannot be read, or that kills its process, is reported and does not stop the others.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from auditor import errors, platform
from auditor.audit import rotation_together
from auditor.errors import UsageError
from auditor.evidence.discovery import arguments
from auditor.evidence.live.access import is_endpoint
from auditor.model.audit import Audit
from auditor.model.evidence import PageMap
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.scanning.merge import Outcome, merge
from auditor.scanning.one import one

End: TypeAlias = Any
"""An end of a pipe of multiprocessing: a Connection, or what Windows has instead."""
MOST_JOBS = 4
"""Processes at once by default: each maps a file and hashes it, and more of them only delay each other."""
ExhibitDone = Callable[[int, int, Outcome], None]
"""Called with the number of exhibits done, of exhibits in all, and the outcome of the last."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A process that audits one exhibit. The read end of `lifeline` ends it when this process dies."""

    number: int
    process: BaseProcess
    answer: End
    lifeline: End


def check(options: Options) -> None:
    """Raises UsageError where an option belongs to a single exhibit."""
    if options.expect_sha256:
        raise UsageError("--expect-sha256 is the hash of one evidence item: scan it by itself")
    if options.baseline:
        raise UsageError("--baseline is of one evidence item: scan it by itself")
    if options.current and is_endpoint(options.current):
        raise UsageError("--current takes no endpoint with several evidence items: give a snapshot of it")
    if options.wal_dir:
        raise UsageError("--wal-dir belongs to one data directory: scan it by itself")
    if options.rotation and options.redact_names and not options.redact_key:
        raise UsageError(rotation_together.ORDINALS)


def scan(paths: Sequence[str], options: Options, jobs: int = 0, report: ExhibitDone | None = None) -> Audit:
    """One audit of all exhibits.

    Args:
        paths: The evidence.
        options: What to audit and how far.
        jobs: Processes at once; by default as many as there are processors, and at most MOST_JOBS.
        report: Called after every exhibit.

    Raises:
        UnreadableEvidence: None can be read.
        UsageError: An option belongs to a single exhibit.
    """
    check(options)
    if options.rotation:
        from auditor.audit.exposed_values import run_key

        run_key()  # before the processes are forked, which compare values by its hashes
    if options.kms_budget:
        raise UsageError("--kms-budget is of one evidence item: scan it by itself")
    log = RunLog()
    names = arguments.names(paths)
    outcomes: list[Outcome] = []
    waiting = deque(enumerate(paths))
    running: list[_Running] = []
    limit = jobs or min(MOST_JOBS, os.cpu_count() or 1)
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                running.append(_start(*waiting.popleft(), options))
            ready = connection.wait([each.answer for each in running])
            for job in [each for each in running if each.answer in ready]:
                running.remove(job)
                outcome = Outcome(names[job.number], names[job.number], _result(job))
                outcomes.append(outcome)
                if report is not None:
                    report(len(outcomes), len(paths), outcome)
    finally:
        for job in running:
            job.process.kill()
            _end(job)
    log.step(f"examined {len(paths):,} evidence items, {limit} at once")
    return merge("", outcomes, log)


def _start(number: int, path: str, options: Options) -> _Running:
    if platform.forks_safely():
        context: BaseContext = get_context("fork")
        child: Callable[..., None] = _forked
    else:
        context = get_context("spawn")
        child = _child
    receiver, sender = context.Pipe(duplex=False)
    alive, lifeline = context.Pipe(duplex=False)
    # of a spawned process only the ends that it uses are opened there
    ends = (sender, alive, receiver, lifeline) if child is _forked else (sender, alive)
    process: BaseProcess = vars(type(context))["Process"](target=child, args=(path, options, *ends), daemon=True)
    process.start()
    sender.close()
    alive.close()
    return _Running(number, process, receiver, lifeline)


def _forked(path: str, options: Options, sender: End, alive: End, receiver: End, lifeline: End) -> None:
    receiver.close()
    lifeline.close()
    _child(path, options, sender, alive)


def _child(path: str, options: Options, sender: End, alive: End) -> None:
    """Audit one exhibit and send the outcome; ends with the parent process, whatever ends that."""
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    try:
        # the page map is of one database and does not go into a report of several
        sender.send(replace(one(path, options), pages=PageMap.NONE))
    except BaseException as error:  # noqa: BLE001
        sender.send(errors.describe(error))
    sender.close()
    os._exit(0)


def _end_with_parent(alive: End) -> None:
    with suppress(EOFError, OSError):
        alive.recv_bytes()  # nothing is ever sent: this returns when the parent's end is closed
    os._exit(1)


def _result(job: _Running) -> Audit | str:
    try:
        result: Audit | str = job.answer.recv()
    except (EOFError, OSError):
        job.process.join()
        code = job.process.exitcode or 0
        result = (
            errors.describe_signal(-code)
            if code < 0
            else "the reading process ended without a word; nothing was concluded"
        )
    _end(job)
    return result


def _end(job: _Running) -> None:
    job.answer.close()
    job.process.join()
    job.lifeline.close()
    job.process.close()
