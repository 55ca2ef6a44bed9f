"""etcd-auditor: which Secrets can be read out of an etcd snapshot, and where they lie.

import auditor
audit = auditor.scan("snapshot.db")
audit.findings      # a pandas DataFrame, one row a finding
"""

from collections.abc import Callable
from os import PathLike
from pathlib import Path

from auditor.model import Audit, Rows, Severity
from auditor.options import Options, Progress
from auditor.runlog import Log

__all__ = ["Audit", "Options", "Severity", "__version__", "scan"]
__version__ = "0.1.0"


def scan(
    path: "str | PathLike[str]",
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    ahead: Callable[[Rows], None] | None = None,
) -> Audit:
    """Audit a database file or a data directory, which are only read.

    ahead: called with the rows while the evidence is still being hashed: reports can be prepared meanwhile.
    Raises auditor.errors.UnreadableEvidence where nothing in it can be read as etcd's, and
    auditor.expectations.UnexpectedEvidence where it is not what the options expect.
    """
    from auditor import expectations
    from auditor.evidence.gather import gather

    options = options or Options()
    log = Log()
    expectations.check(options)
    with gather(Path(path), Path(options.wal_dir) if options.wal_dir else None, hashed=not options.quick) as files:
        log(f"opened {len(files.files)} of the evidence's files for reading")
        if options.expect_sha256:
            expectations.sha256(files, options.expect_sha256, progress)
            log("the SHA-256 is the expected one")
        from auditor.audit import examine  # the files are being hashed while numpy and the rest are imported

        return examine(files, options, progress, ahead, log)
