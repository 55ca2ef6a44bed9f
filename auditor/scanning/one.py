"""From a path to its audit: every exhibit that lies there, one after another."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from auditor.audit import expectations
from auditor.errors import AuditorError, UsageError
from auditor.evidence.discovery import exhibits
from auditor.evidence.exhibit import Exhibit
from auditor.model.audit import Audit
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.run_log import RunLog

if TYPE_CHECKING:
    from auditor.audit.baseline import BaselineReport
    from auditor.evidence.live.access import Access


def one(
    path: str,
    options: Options,
    observer: Observer = SILENT,
    access: "Access | None" = None,
    earlier: "BaselineReport | None" = None,
) -> Audit:
    """The audit of the exhibit at a path, or of all exhibits of a container together.

    Args:
        path: The evidence.
        options: What to audit and how far.
        observer: Its methods are called with the run's progress.
        access: How to reach a live etcd; then `path` is not looked at.
        earlier: The report that options.baseline names.

    Raises:
        UnreadableEvidence: No exhibit can be read.
    """
    log = RunLog(observer)
    expectations.check(options)
    access = _access(path, options, access)
    if access is not None:
        from auditor.evidence.live import exhibit as live

        return _examine(live.gather(access, options, log), options, log, earlier)
    with exhibits.opened(path, options) as opened:
        if len(opened) == 1:
            ((_, opener),) = opened
            return _examine(opener(), options, log, earlier)
        if options.baseline:
            raise UsageError(f"--baseline is of one evidence item: {path} holds {len(opened)}")
        return _all(opened, options, log)


def _all(members: exhibits.Exhibits, options: Options, log: RunLog) -> Audit:
    """One audit of every exhibit of a container."""
    from auditor.scanning import merge

    container = members.containers[0].name
    log.step(f"found {len(members)} evidence items in {container}")
    outcomes: list[merge.Outcome] = []
    for name, opener in members:
        try:
            result: Audit | str = _examine(opener(), options, RunLog(_Hashing(log)))
        except AuditorError as error:
            result = str(error)
        outcomes.append(merge.Outcome(name, container, result))
    log.step("concluded")
    audit = merge.merge(container, outcomes, log)
    log.rows(audit.rows)
    return audit


class _Hashing(Observer):
    """Passes on the hashing of one exhibit among several; rows and steps are those of all together."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def hashed(self, done: int, total: int) -> None:
        self._observer.hashed(done, total)


@contextmanager
def single(path: str, options: Options, observer: Observer, access: "Access | None" = None) -> Iterator[Exhibit]:
    """The one exhibit that lies at a path, or behind a live endpoint, opened.

    Args:
        path: The evidence.
        options: Where its WAL lies, and how containers are unpacked.
        observer: Its methods are called with the progress of receiving.
        access: How to reach a live etcd; then `path` is not looked at.

    Raises:
        UsageError: A container holds several exhibits.
    """
    access = _access(path, options, access)
    if access is not None:
        from auditor.evidence.live import exhibit as live

        with live.gather(access, options, observer) as exhibit:
            yield exhibit
        return
    with exhibits.opened(path, options) as opened:
        if len(opened) != 1:
            raise UsageError(f"{opened.containers[0].name} holds {len(opened)} evidence items, and one is wanted")
        ((_, opener),) = opened
        with opener() as exhibit:
            exhibit.work_dir = options.work_dir
            yield exhibit


def _access(path: str, options: Options, access: "Access | None") -> "Access | None":
    """How to reach the evidence, where it is live. Raises UsageError where the options do not fit."""
    from auditor.evidence.live.access import Access, endpoints, is_endpoint

    if access is None and is_endpoint(path):
        access = Access(endpoints([path]))
    expectations.live(options, live=access is not None)
    return access


def _examine(exhibit: Exhibit, options: Options, log: RunLog, earlier: "BaselineReport | None" = None) -> Audit:
    with exhibit as files:
        files.work_dir = options.work_dir
        log.step(f"opened {len(files.files)} of the evidence's files for reading")
        if options.expect_sha256:
            expectations.sha256(files, options.expect_sha256, log)
            log.step("the SHA-256 is the expected one")
        from auditor.audit.examine import examine  # imported while the files are being hashed: numpy takes time

        return examine(files, options, log, earlier)
