"""etcd-auditor: which Secrets can be read out of an etcd snapshot, and where they lie.

import auditor
audit = auditor.scan("snapshot.db")
audit.findings      # a pandas DataFrame, one row a finding
"""

import os
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING

from auditor.model.audit import Audit
from auditor.model.findings import Rows
from auditor.model.vocabulary import Severity
from auditor.options import Options, Progress
from auditor.version import __version__

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access

__all__ = ["Audit", "Options", "Severity", "__version__", "scan"]


def scan(
    path: "str | PathLike[str]",
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    ahead: Callable[[Rows], None] | None = None,
    access: "Access | None" = None,
    arriving: Progress | None = None,
) -> Audit:
    """Audit a database file, a data directory, a container of some, or a live etcd or remote object by its URL.

    Each is only read.

    access: how to reach a live etcd; then `path` is not looked at. arriving: called with bytes done and bytes in all
    while it sends. ahead: called with the rows while the evidence is still being hashed: reports can be prepared
    meanwhile.
    Raises auditor.errors.UnreadableEvidence where nothing in it can be read as etcd's, and
    auditor.audit.expectations.UnexpectedEvidence where it is not what the options expect.
    """
    from auditor.scanning.one import one

    return one(os.fspath(path), options or Options(), progress, ahead, access, arriving)
