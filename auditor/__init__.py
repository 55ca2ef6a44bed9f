"""etcd-auditor: which Secrets can be read out of an etcd snapshot, and where they lie.

import auditor
audit = auditor.scan("snapshot.db")
audit.findings      # a pandas DataFrame, one row a finding
"""

import os
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import AuditorError, UnreadableEvidence, UsageError
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity, Verdict
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.version import __version__

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access

__all__ = [
    "Audit",
    "AuditorError",
    "Observer",
    "Options",
    "Severity",
    "UnreadableEvidence",
    "UsageError",
    "Verdict",
    "__version__",
    "scan",
]


def scan(
    path: "str | PathLike[str]",
    options: Options | None = None,
    *,
    observer: Observer = SILENT,
    access: "Access | None" = None,
    current_access: "Access | None" = None,
) -> Audit:
    """Audit a database file, a data directory, a container of some, or a live etcd or remote object by its URL.

    The evidence is only read.

    Args:
        path: The evidence; not looked at where `access` is given.
        options: What to audit and how far; by default the Secrets of the evidence.
        observer: Its methods are called with the run's progress, and with the rows before the evidence is hashed.
        access: How to reach a live etcd.
        current_access: How to reach the evidence that options.current names, where that is live.

    Raises:
        auditor.errors.UnreadableEvidence: Nothing in the evidence can be read as etcd's.
        auditor.audit.expectations.UnexpectedEvidence: The evidence is not what the options expect.
        auditor.errors.UsageError: The options contradict each other.
    """
    from auditor.scanning.one import one

    options = options or Options()
    earlier = None
    if options.baseline:
        from auditor.verify import baseline

        earlier = baseline.load(Path(options.baseline))
    return one(os.fspath(path), options, observer, access, earlier, current_access)
