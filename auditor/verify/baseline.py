"""The baseline, an earlier report to compare a run with: checked against its own hashes before use."""

import hashlib
from pathlib import Path

from auditor.audit.baseline import WORDS, BaselineReport
from auditor.audit.ids import with_letter
from auditor.errors import UsageError
from auditor.text import shown
from auditor.verify import files, report
from auditor.verify.checks import Check


def load(path: Path) -> BaselineReport:
    """The baseline in a file. Raises UsageError for anything but an unchanged JSON report of etcd-auditor."""
    raw, name = files.read(path), shown(path.name)
    if not report.looks_like_one(raw):
        raise UsageError(f"--baseline {name} is no JSON report of etcd-auditor")
    document = report.load(name, raw)
    if isinstance(document, Check):
        raise UsageError(f"--baseline {name}: {document.text}")
    if "findings" not in document:
        raise UsageError(f"--baseline {name} holds no findings: give the JSON report")
    for check in report.check(name, document, raw):
        if not check.holds:
            raise UsageError(f"--baseline {name}: {check.text}; see etcd-auditor verify")
    rows = [{**row, "id": with_letter(str(row["id"]))} for row in report.rows(document)]
    evidence, options = document.get("evidence"), document["run"].get("options")
    known = all(str(row[column]) in labels for row in rows for column, labels in WORDS.items())
    if not (known and isinstance(evidence, dict) and isinstance(options, dict)):
        raise UsageError(f"--baseline {name}: it holds what no report of ours does")
    return BaselineReport(
        name=name,
        sha256=hashlib.sha256(raw).hexdigest(),
        evidence=str(evidence.get("sha256", "")),
        rows=rows,
        options=options,
        redaction=str(document.get("redaction", "")),
        complete=bool(document.get("complete")),
    )
