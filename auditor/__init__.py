"""etcd-auditor: which Secrets can be read out of an etcd snapshot, and where they lie.

import auditor
audit = auditor.scan("snapshot.db")
audit.findings      # a pandas DataFrame, one row a finding
"""

import os
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.version import __version__

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access

__all__ = ["Audit", "Observer", "Options", "Severity", "__version__", "scan"]


def scan(
    path: "str | PathLike[str]",
    options: Options | None = None,
    *,
    observer: Observer = SILENT,
    access: "Access | None" = None,
) -> Audit:
    """Audit a database file, a data directory, a container of some, or a live etcd or remote object by its URL.

    Each is only read.

    observer: what is told how far the run is, and of the rows before the evidence is hashed. access: how to reach a
    live etcd; then `path` is not looked at.
    Raises auditor.errors.UnreadableEvidence where nothing in it can be read as etcd's, and
    auditor.audit.expectations.UnexpectedEvidence where it is not what the options expect.
    """
    from auditor.scanning.one import one

    options = options or Options()
    earlier = None
    if options.baseline:
        from auditor.verify import baseline

        earlier = baseline.load(Path(options.baseline))
    return one(os.fspath(path), options, observer, access, earlier)
