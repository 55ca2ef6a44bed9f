"""From a path to its audit: every piece of evidence that is found there, one after another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from auditor.audit import expectations
from auditor.errors import AuditorError, UsageError
from auditor.evidence.discovery import exhibits
from auditor.evidence.exhibit import Exhibit
from auditor.model.audit import Audit
from auditor.model.findings import Rows
from auditor.options import Options, Progress
from auditor.run_log import RunLog

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access


def one(
    path: str,
    options: Options,
    progress: Progress | None,
    ahead: Callable[[Rows], None] | None,
    access: "Access | None" = None,
    arriving: Progress | None = None,
) -> Audit:
    """The audit of what lies at a path; where that holds several pieces of evidence, of all of them together.

    Raises UnreadableEvidence where none of them can be read.
    """
    log = RunLog()
    expectations.check(options)
    access = _access(path, options, access)
    if access is not None:
        from auditor.evidence.live.exhibit import gather as reach

        return _examine(reach(access, options, arriving, log), options, progress, ahead, log)
    with exhibits.opened(path, options) as found:
        if len(found) == 1:
            ((_, opener),) = found
            return _examine(opener(), options, progress, ahead, log)
        if options.baseline:
            raise UsageError(f"--baseline is of one piece of evidence: {path} holds {len(found)}")
        log(f"found {len(found)} pieces of evidence in {found.containers[0].name}")
        from auditor.scanning import merge

        made: list[merge.Outcome] = []
        for name, opener in found:
            try:
                result: Audit | str = _examine(opener(), options, progress, None, RunLog())
            except AuditorError as error:
                result = str(error)
            made.append(merge.Outcome(name, found.containers[0].name, result))
        log("concluded")
        audit = merge.merge(found.containers[0].name, made, log)
        if ahead is not None:
            ahead(audit.rows)
        return audit


@contextmanager
def single(
    path: str, options: Options, access: "Access | None", arriving: Progress | None, log: RunLog
) -> Iterator[Exhibit]:
    """The one piece of evidence that lies at a path, or behind a live endpoint, opened.

    Raises UsageError where a container holds several.
    """
    access = _access(path, options, access)
    if access is not None:
        from auditor.evidence.live.exhibit import gather as reach

        with reach(access, options, arriving, log) as evidence:
            yield evidence
        return
    with exhibits.opened(path, options) as found:
        if len(found) != 1:
            raise UsageError(f"{found.containers[0].name} holds {len(found)} pieces of evidence, and one is wanted")
        ((_, opener),) = found
        with opener() as evidence:
            evidence.work_dir = options.work_dir
            yield evidence


def _access(path: str, options: Options, access: "Access | None") -> "Access | None":
    """How to reach the evidence, where it is live. Raises UsageError where the options do not fit."""
    from auditor.evidence.live.access import Access, endpoints, is_endpoint

    if access is None and is_endpoint(path):
        access = Access(endpoints([path]))
    expectations.live(options, live=access is not None)
    return access


def _examine(
    evidence: Exhibit, options: Options, progress: Progress | None, ahead: Callable[[Rows], None] | None, log: RunLog
) -> Audit:
    with evidence as files:
        files.work_dir = options.work_dir
        log(f"opened {len(files.files)} of the evidence's files for reading")
        if options.expect_sha256:
            expectations.sha256(files, options.expect_sha256, progress)
            log("the SHA-256 is the expected one")
        from auditor.audit.examine import examine  # the files are being hashed while numpy and the rest are imported

        return examine(files, options, progress, ahead, log)
