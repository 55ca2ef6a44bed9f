"""From a path to its audit: every exhibit that lies there, one after another."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auditor.audit import expectations
from auditor.errors import AuditorError, UsageError
from auditor.evidence.discovery import exhibits
from auditor.evidence.exhibit import Exhibit
from auditor.model.audit import Audit
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.scanning import newer
from auditor.scanning.exhibit import live, reach

if TYPE_CHECKING:
    from auditor.audit.baseline import BaselineReport
    from auditor.audit.judgement import Judged
    from auditor.audit.newer import Judge
    from auditor.evidence.live.access import Access


def one(
    path: str,
    options: Options,
    observer: Observer = SILENT,
    access: "Access | None" = None,
    earlier: "BaselineReport | None" = None,
    current_access: "Access | None" = None,
    judged: "Judged | None" = None,
) -> Audit:
    """The audit of the exhibit at a path, or of all exhibits of a container together.

    Args:
        path: The evidence.
        options: What to audit and how far.
        observer: Its methods are called with the run's progress.
        access: How to reach a live etcd; then `path` is not looked at.
        earlier: The report that options.baseline names.
        current_access: How to reach the evidence that options.current names, where it is live.
        judged: Called with the judgement of each exhibit, while it is open.

    Raises:
        UnreadableEvidence: No exhibit can be read.
    """
    log = RunLog(observer)
    expectations.check(options)
    with newer.opened(options, current_access, log) as judge:
        return _one(path, options, log, access, _Comparison(earlier, judge, judged))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What an exhibit is compared with, and who compares it."""

    earlier: "BaselineReport | None"
    judge: "Judge | None"
    judged: "Judged | None"


def _one(
    path: str,
    options: Options,
    log: RunLog,
    access: "Access | None",
    comparison: "_Comparison",
) -> Audit:
    access = reach(path, options, access)
    if access is not None:
        return _examine(live(access, options, log), options, log, comparison)
    with exhibits.opened(path, options) as opened:
        if len(opened) == 1:
            ((_, opener),) = opened
            return _examine(opener(), options, log, comparison)
        if options.baseline:
            raise UsageError(f"--baseline is of one evidence item: {path} holds {len(opened)}")
        if options.kms_budget:
            raise UsageError(f"--kms-budget is of one evidence item: {path} holds {len(opened)}")
        return _all(opened, options, log, comparison)


def _all(members: exhibits.Exhibits, options: Options, log: RunLog, comparison: "_Comparison") -> Audit:
    """One audit of every exhibit of a container."""
    from auditor.audit import rotation_together
    from auditor.scanning import merge

    rotation_together.check(options)
    container = members.containers[0].name
    log.step(f"found {len(members)} evidence items in {container}")
    outcomes: list[merge.Outcome] = []
    for name, opener in members:
        try:
            result: Audit | str = _examine(opener(), options, RunLog(_Hashing(log)), replace(comparison, earlier=None))
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

    def unwrapped(self, done: int, total: int) -> None:
        self._observer.unwrapped(done, total)

    def confirm(self, text: str) -> bool:
        return self._observer.confirm(text)


def _examine(exhibit: Exhibit, options: Options, log: RunLog, comparison: "_Comparison") -> Audit:
    with exhibit as files:
        files.work_dir, files.raw = options.work_dir, options.raw
        log.step(f"opened {len(files.files)} of the evidence's files for reading")
        if options.expect_sha256:
            expectations.sha256(files, options.expect_sha256, log)
            log.step("the SHA-256 is the expected one")
        from auditor.audit.examine import examine  # imported while the files are being hashed: numpy takes time

        return examine(files, options, log, comparison.earlier, comparison.judge, comparison.judged)
