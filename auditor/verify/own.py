"""Whether a file that lies beside evidence is a report of etcd-auditor's: a scan of a folder needs no word of it."""

from pathlib import Path

from auditor.errors import AuditorError
from auditor.text import shown


def is_report(path: Path) -> bool:
    """Whether a file is a report that is what its own hashes say."""
    from auditor.verify import files, report  # wait until a folder holds what may be one
    from auditor.verify.checks import Check

    name = shown(path.name)
    try:
        raw = files.read(path)
        if not report.looks_like_one(raw):
            return False
        document = report.load(name, raw)
        return not isinstance(document, Check) and all(check.holds for check in report.check(name, document, raw))
    except (AuditorError, OSError):
        return False
