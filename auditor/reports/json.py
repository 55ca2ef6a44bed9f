"""The whole audit as one JSON document."""

import json
from dataclasses import asdict
from enum import Enum
from typing import IO, Any

from auditor.model import Audit, Severity
from auditor.reports.columns import COLUMNS, findings

VERSION = 1


def document(audit: Audit, fail_on: Severity) -> dict[str, Any]:
    """Plain values only. `findings` is a table: `columns` names and explains its columns."""
    return {
        "format": "etcd-auditor",
        "version": VERSION,
        "verdict": audit.verdict.value,
        "exit_code": audit.exit_code(fail_on),
        "fail_on": fail_on.label,
        "complete": audit.complete,
        "policy": audit.policy,
        "evidence": _plain(asdict(audit.evidence)),
        "tally": {
            "places": [
                {"place": place.label, "provider": provider.label, "key_name": name, "values": count, "opened": opened}
                for place, provider, name, count, opened in audit.tally.places
            ],
            "findings": [
                {"finding": finding.label, "severity": severity.label, "values": count}
                for finding, severity, count in audit.tally.marks
            ],
            "readable": {
                "values": audit.tally.readable,
                "distinct_contents": audit.tally.contents,
                "distinct_objects": audit.tally.objects,
                "same_as_latest": audit.tally.in_use,
            },
        },
        "coverage": [_plain(asdict(row)) for row in audit.coverage],
        "gaps": [_plain(asdict(gap)) for gap in audit.gaps],
        "not_examined": [_plain(asdict(part)) for part in audit.unexamined],
        "notes": list(audit.notes),
        "columns": COLUMNS,
        "findings": [dict(zip(COLUMNS, row, strict=True)) for row in findings(audit).rows()],
        "run": {**asdict(audit.run), "options": dict(audit.run.options)},
    }


def write(audit: Audit, fail_on: Severity, out: IO[str]) -> None:
    json.dump(document(audit, fail_on), out, indent=1, ensure_ascii=True)
    out.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return getattr(value, "label", value.value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value
