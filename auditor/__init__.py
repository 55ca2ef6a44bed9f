"""etcd-auditor: which Secrets can be read out of an etcd snapshot, and where they lie.

import auditor
audit = auditor.scan("snapshot.db")
audit.findings      # a pandas DataFrame, one row a finding
"""

import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.model import Audit, Rows, Severity
from auditor.options import Options, Progress
from auditor.runlog import Log

if TYPE_CHECKING:
    from auditor.evidence.gather import Evidence
    from auditor.evidence.live.access import Access

__all__ = ["Audit", "Options", "Severity", "__version__", "scan"]
__version__ = "0.1.0"


def scan(
    path: "str | PathLike[str]",
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    ahead: Callable[[Rows], None] | None = None,
    access: "Access | None" = None,
    arriving: Progress | None = None,
) -> Audit:
    """Audit a database file, a data directory, or a live etcd by its `https://` URL; each is only read.

    access: how to reach a live etcd; then `path` is not looked at. arriving: called with bytes done and bytes in all
    while it sends. ahead: called with the rows while the evidence is still being hashed: reports can be prepared
    meanwhile.
    Raises auditor.errors.UnreadableEvidence where nothing in it can be read as etcd's, and
    auditor.expectations.UnexpectedEvidence where it is not what the options expect.
    """
    from auditor import expectations

    options = options or Options()
    log = Log()
    expectations.check(options)
    with _opened(path, options, access, arriving, log) as files:
        log(f"opened {len(files.files)} of the evidence's files for reading")
        if options.expect_sha256:
            expectations.sha256(files, options.expect_sha256, progress)
            log("the SHA-256 is the expected one")
        from auditor.audit import examine  # the files are being hashed while numpy and the rest are imported

        return examine(files, options, progress, ahead, log)


def _opened(
    path: "str | PathLike[str]", options: Options, access: "Access | None", arriving: Progress | None, log: Log
) -> "Evidence":
    """What `path` or `access` leads to, opened."""
    from auditor import expectations
    from auditor.evidence.live.access import Access, endpoints, is_endpoint

    if access is None and is_endpoint(os.fspath(path)):
        access = Access(endpoints([os.fspath(path)]))
    expectations.live(options, live=access is not None)
    if access is not None:
        from auditor.evidence.live.gather import gather as reach

        return reach(access, options, arriving, log)
    from auditor.evidence.gather import gather

    return gather(Path(path), Path(options.wal_dir) if options.wal_dir else None, hashed=not options.quick)
