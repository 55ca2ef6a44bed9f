"""Several pieces of evidence at once: a process for each, a few at a time, and one audit of all.

A piece that cannot be read, or that kills its process, is told and does not stop the others.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from auditor import errors
from auditor.errors import UsageError
from auditor.evidence.discovery import arguments
from auditor.model.audit import Audit
from auditor.model.evidence import PageMap
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.scanning.merge import Outcome, merge
from auditor.scanning.one import one

MOST_JOBS = 4
"""Processes at once where the user does not say: each maps a file and hashes it, which more of them only delay."""
ExhibitDone = Callable[[int, int, Outcome], None]
"""Called with the number of pieces done, of pieces in all, and what came of the last."""


@dataclass(frozen=True, slots=True)
class _Running:
    number: int
    process: BaseProcess
    answer: Connection
    lifeline: int


def scan(paths: Sequence[str], options: Options, jobs: int = 0, told: ExhibitDone | None = None) -> Audit:
    """One audit of all. jobs: processes at once, by default as many as there are processors, and no more than four.

    Raises UnreadableEvidence where none can be read.
    """
    if options.expect_sha256:
        raise UsageError("--expect-sha256 is the hash of one piece of evidence: scan it by itself")
    if options.baseline:
        raise UsageError("--baseline is of one piece of evidence: scan it by itself")
    if options.wal_dir:
        raise UsageError("--wal-dir belongs to one data directory: scan it by itself")
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
            for each in [one for one in running if one.answer in connection.wait([one.answer for one in running])]:
                running.remove(each)
                outcome = Outcome(names[each.number], names[each.number], _result(each))
                outcomes.append(outcome)
                if told is not None:
                    told(len(outcomes), len(paths), outcome)
    finally:
        for each in running:
            each.process.kill()
            _end(each)
    log.step(f"examined {len(paths):,} pieces of evidence, {limit} at once")
    return merge("", outcomes, log)


def _start(number: int, path: str, options: Options) -> _Running:
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    alive, lifeline = os.pipe()
    process = context.Process(target=_child, args=(path, options, sender, receiver, alive, lifeline), daemon=True)
    process.start()
    sender.close()
    os.close(alive)
    return _Running(number, process, receiver, lifeline)


def _child(path: str, options: Options, sender: Connection, receiver: Connection, alive: int, lifeline: int) -> None:
    """Audit one piece and send what came of it; ends with the parent, whatever ends that."""
    receiver.close()
    os.close(lifeline)
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    try:
        # the page map is of one database and does not go into a report of several
        sender.send(replace(one(path, options), pages=PageMap.NONE))
    except BaseException as error:  # noqa: BLE001
        sender.send(errors.describe(error))
    sender.close()
    os._exit(0)


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)  # nothing is ever written: it returns when the parent's end is closed
    os._exit(1)


def _result(each: _Running) -> Audit | str:
    try:
        received: Audit | str = each.answer.recv()
    except (EOFError, OSError):
        each.process.join()
        code = each.process.exitcode or 0
        received = (
            errors.describe_signal(-code)
            if code < 0
            else "the reading process ended without a word; nothing was concluded"
        )
    _end(each)
    return received


def _end(each: _Running) -> None:
    each.answer.close()
    each.process.join()
    os.close(each.lifeline)
    each.process.close()
