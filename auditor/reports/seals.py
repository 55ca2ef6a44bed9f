"""Hashes inside a report, by which `etcd-auditor verify` tells whether, and where, it was changed.

They are no signatures: whoever changes a report can recompute them. The list of checksums is signed or time-stamped.
"""

import hashlib
import json
from itertools import islice
from typing import Any

from auditor.model import table
from auditor.model.audit import Audit
from auditor.reports import csv
from auditor.reports.csv import BLOCK_LINES, Sheet
from auditor.text import encode


def findings(audit: Audit) -> str:
    """SHA-256 of the findings as CSV: the hash of the file that --csv writes."""
    return lines(csv.sheet(table.findings(audit.rows, audit.evidence)))[0]


def lines(sheet: Sheet) -> tuple[str, list[str]]:
    """SHA-256 of a sheet as CSV, and the first eight digits of each line's, which locate a change."""
    whole = hashlib.sha256()
    digests: list[str] = []
    texts = iter(sheet)
    while block := [encode(line) for line in islice(texts, BLOCK_LINES)]:
        whole.update(b"".join(block))
        digests += [hashlib.sha256(raw).hexdigest()[:8] for raw in block]
    return whole.hexdigest(), digests[1:]


def section(value: Any) -> str:
    """SHA-256 of plain values as JSON in ASCII: keys sorted, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def seal(document: dict[str, Any], sheet: Sheet) -> dict[str, Any]:
    """The `hashes` of a document: one of `findings` as CSV, and one of each other section.

    `run` differs from run to run; it holds a hash of itself.
    """
    sections = {name: section(part) for name, part in document.items() if name not in UNSEALED}
    whole, digests = lines(sheet)
    return {"findings": whole, "rows": digests, "sections": sections}


def seal_sections(document: dict[str, Any], rows: str = "") -> dict[str, Any]:
    """The `hashes` of a document of another command than `scan`: of each section, of its rows, and of the hashes.

    Args:
        document: The document.
        rows: The section of the rows, whose hashes locate a change; empty where there is none.
    """
    hashes: dict[str, Any] = {"sections": {name: section(part) for name, part in document.items() if name != rows}}
    if rows:
        hashes["rows"] = [section(row)[:8] for row in document[rows]]
    return {**hashes, "own": section(hashes)}


def seal_run(run: dict[str, Any]) -> str:
    """The hash that `run` holds of itself."""
    return section({name: part for name, part in run.items() if name != "sha256"})


UNSEALED = frozenset({"findings", "hashes", "run"})
