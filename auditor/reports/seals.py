"""Hashes inside a report, by which `etcd-auditor verify` tells whether, and where, it was changed.

They are no signatures: who changes a report can make them anew. What is signed or time-stamped is the file of sums.
"""

import hashlib
import json
from itertools import islice
from typing import Any

from auditor.model import table
from auditor.model.audit import Audit
from auditor.reports import csv
from auditor.reports.csv import AT_ONCE, Sheet
from auditor.text import encode


def findings(audit: Audit) -> str:
    """SHA-256 of the findings as --csv writes them: the hash of that file, whether it was written or not."""
    return lines(csv.sheet(table.findings(audit.rows, audit.evidence)))[0]


def lines(sheet: Sheet) -> tuple[str, list[str]]:
    """SHA-256 of a sheet as CSV, and the first eight digits of that of each line but the header: to find a change."""
    whole, each = hashlib.sha256(), []
    every = iter(sheet)
    while block := [encode(line) for line in islice(every, AT_ONCE)]:
        whole.update(b"".join(block))
        each += [hashlib.sha256(raw).hexdigest()[:8] for raw in block]
    return whole.hexdigest(), each[1:]


def section(value: Any) -> str:
    """SHA-256 of plain values as JSON in ASCII: keys sorted, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def seal(document: dict[str, Any], sheet: Sheet) -> dict[str, Any]:
    """What a document's `hashes` hold: of `findings` as CSV, of all else section by section.

    `run` differs from run to run; it holds a hash of itself.
    """
    sections = {name: section(part) for name, part in document.items() if name not in UNSEALED}
    whole, each = lines(sheet)
    return {"findings": whole, "rows": each, "sections": sections}


def seal_run(run: dict[str, Any]) -> str:
    return section({name: part for name, part in run.items() if name != "sha256"})


UNSEALED = frozenset({"findings", "hashes", "run"})
