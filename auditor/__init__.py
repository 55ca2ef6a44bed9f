"""etcd-auditor: which Secrets can be read out of an etcd snapshot, and where they lie.

import auditor
audit = auditor.scan("snapshot.db")
audit.findings      # a pandas DataFrame, one row a finding
"""

from os import PathLike
from pathlib import Path

from auditor.model import Audit, Severity
from auditor.options import Options, Progress

__all__ = ["Audit", "Options", "Severity", "__version__", "scan"]
__version__ = "0.1.0"


def scan(path: "str | PathLike[str]", options: Options | None = None, progress: Progress | None = None) -> Audit:
    """Audit one evidence file, which is only read.

    Raises auditor.errors.UnreadableEvidence where nothing in it can be read as an etcd database.
    """
    from auditor.evidence.file import EvidenceFile

    options = options or Options()
    with EvidenceFile(Path(path), hashed=not options.quick) as file:
        from auditor.audit import examine  # the file is being hashed while numpy and the rest are imported

        return examine(file, options, progress)
