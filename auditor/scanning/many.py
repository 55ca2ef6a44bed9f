"""Several exhibits at once: a process for each, a few at a time, and one audit of all.

An exhibit that cannot be read, or that kills its process, is reported and does not stop the others.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import connection

from auditor.errors import UsageError
from auditor.evidence.discovery import arguments
from auditor.evidence.live.access import is_endpoint
from auditor.model.audit import Audit
from auditor.model.evidence import PageMap
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.scanning import child
from auditor.scanning.child import Child, Death
from auditor.scanning.merge import Outcome, merge
from auditor.scanning.one import one

MOST_JOBS = 4
"""Processes at once by default: each maps a file and hashes it, and more of them only delay each other."""
ExhibitDone = Callable[[int, int, Outcome], None]
"""Called with the number of exhibits done, of exhibits in all, and the outcome of the last."""


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
    if options.rotation:
        from auditor.scanning import merged_rotation

        merged_rotation.check(options)


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
    key = b""
    if options.rotation:
        from auditor.audit import exposed_values

        key = exposed_values.run_key()
    if options.kms_budget:
        raise UsageError("--kms-budget is of one evidence item: scan it by itself")
    log = RunLog()
    names = arguments.names(paths)
    outcomes: list[Outcome] = []
    waiting = deque(enumerate(paths))
    running: dict[Child[Audit], int] = {}
    limit = jobs or min(MOST_JOBS, os.cpu_count() or 1)
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                number, path = waiting.popleft()
                running[child.start(partial(_audit, path, options, key))] = number
            ready = connection.wait([each.answer for each in running])
            for job in [each for each in running if each.answer in ready]:
                name = names[running.pop(job)]
                outcome = Outcome(name, name, _result(job))
                outcomes.append(outcome)
                if report is not None:
                    report(len(outcomes), len(paths), outcome)
    finally:
        for job in running:
            child.kill(job)
    log.step(f"examined {len(paths):,} evidence items, {limit} at once")
    return merge("", outcomes, log)


def _audit(path: str, options: Options, key: bytes) -> Audit:
    """The audit of one exhibit. key: of the hashes by which values of several exhibits are compared; empty for none."""
    if key:
        from auditor.audit import exposed_values

        exposed_values.share(key)
    # the page map is of one database and does not go into a report of several
    return replace(one(path, options), pages=PageMap.NONE)


def _result(job: Child[Audit]) -> Audit | str:
    result = child.result(job)
    return result.reason if isinstance(result, Death) else result
