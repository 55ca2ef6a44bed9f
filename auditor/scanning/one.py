"""From a path to its audit: every exhibit that lies there, one after another."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auditor.audit import expectations
from auditor.errors import AuditorError, UsageError
from auditor.evidence.discovery import exhibits
from auditor.evidence.exhibit import Exhibit
from auditor.model.audit import Audit
from auditor.observer import SILENT, Calls, Observer
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.scanning import current_opener
from auditor.scanning.exhibit import live, reach

if TYPE_CHECKING:
    from auditor.audit.baseline import BaselineReport
    from auditor.audit.current_evidence import Judge
    from auditor.audit.judgement import JudgementListener
    from auditor.encryption.kms.client import Client
    from auditor.evidence.live.access import Access


def one(
    path: str,
    options: Options,
    observer: Observer = SILENT,
    access: "Access | None" = None,
    earlier: "BaselineReport | None" = None,
    current_access: "Access | None" = None,
    listener: "JudgementListener | None" = None,
) -> Audit:
    """The audit of the exhibit at a path, or of all exhibits of a container together.

    Args:
        path: The evidence.
        options: What to audit and how far.
        observer: Its methods are called with the run's progress.
        access: How to reach a live etcd; then `path` is not looked at.
        earlier: The report that options.baseline names.
        current_access: How to reach the evidence that options.current names, where it is live.
        listener: Called with the judgement of each exhibit, while it is open.

    Raises:
        UnreadableEvidence: No exhibit can be read.
    """
    log = RunLog(observer)
    expectations.check(options)
    clients = _clients(options)
    try:
        with current_opener.opened(options, current_access, log, clients) as judge:
            return _one(path, options, log, access, _Run(earlier, judge, listener, clients))
    finally:
        for client in clients:
            client.close()


def _clients(options: Options) -> "tuple[Client, ...]":
    """The clients of --kms: all exhibits of the run share them, so that no wrapped key is asked for twice."""
    if not options.kms:
        return ()
    from auditor.judgement.criteria import kms_clients  # ciphers and YAML wait until they are needed

    return kms_clients(options)


@dataclass(frozen=True, slots=True)
class _Run:
    """What the exhibits of a run share: what they are compared with, who compares them, and the clients of --kms."""

    earlier: "BaselineReport | None"
    judge: "Judge | None"
    listener: "JudgementListener | None"
    clients: "tuple[Client, ...]"


def _one(
    path: str,
    options: Options,
    log: RunLog,
    access: "Access | None",
    run: "_Run",
) -> Audit:
    access = reach(path, options, access)
    if access is not None:
        return _examine(live(access, options, log), options, log, run)
    with exhibits.opened(path, options) as opened:
        if len(opened) == 1:
            ((_, opener),) = opened
            return _examine(opener(), options, log, run)
        if options.baseline:
            raise UsageError(f"--baseline is of one evidence item: {path} holds {len(opened)}")
        return _all(opened, options, log, run)


def _all(members: exhibits.Exhibits, options: Options, log: RunLog, run: "_Run") -> Audit:
    """One audit of every exhibit of a container."""
    from auditor.scanning import merge, merged_rotation

    merged_rotation.check(options)
    container = members.containers[0].name
    log.step(f"found {len(members)} evidence items in {container}")
    outcomes: list[merge.Outcome] = []
    for name, opener in members:
        try:
            result: Audit | str = _examine(opener(), options, RunLog(_Hashing(log)), replace(run, earlier=None))
        except AuditorError as error:
            result = str(error)
        outcomes.append(merge.Outcome(name, container, result))
    log.step("concluded")
    audit = merge.merge(container, outcomes, log)
    if run.clients:  # they count on from one exhibit to the next
        calls = tuple(calls for client in run.clients for calls in client.tracks())
        audit = replace(audit, run=replace(audit.run, kms=calls))
    log.rows(audit.rows)
    return audit


class _Hashing(Calls):
    """Passes on the hashing of one exhibit among several too; rows and steps are those of all together."""

    def hashed(self, done: int, total: int) -> None:
        self._observer.hashed(done, total)


def _examine(exhibit: Exhibit, options: Options, log: RunLog, run: "_Run") -> Audit:
    with exhibit as files:
        files.work_dir, files.raw = options.work_dir, options.raw
        log.step(f"opened {len(files.files)} of the evidence's files for reading")
        if options.expect_sha256:
            expectations.sha256(files, options.expect_sha256, log)
            log.step("the SHA-256 is the expected one")
        from auditor.audit.examine import examine  # imported while the files are being hashed: numpy takes time

        return examine(files, options, log, run.earlier, run.judge, run.listener, run.clients)
