"""Hashes inside a report, by which `etcd-auditor verify` tells whether, and where, it was changed.

They are no signatures: who changes a report can make them anew. What is signed or time-stamped is the file of sums.
"""

import hashlib
import json
from typing import Any

from auditor.reports.csv import Sheet


def findings(sheet: Sheet) -> str:
    """SHA-256 of the findings as --csv writes them: the hash of that file, whether it was written or not."""
    return hashlib.sha256(sheet.text.encode("utf-8", "surrogateescape")).hexdigest()


def rows(sheet: Sheet) -> list[str]:
    """The first eight digits of the SHA-256 of each line of that CSV but the header: to tell which finding differs."""
    return [hashlib.sha256(line.encode("utf-8", "surrogateescape")).hexdigest()[:8] for line in sheet.lines[1:]]


def section(value: Any) -> str:
    """SHA-256 of plain values as JSON in ASCII: keys sorted, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def seal(document: dict[str, Any], sheet: Sheet) -> dict[str, Any]:
    """What a document's `hashes` hold: of `findings` as CSV, of all else section by section.

    `run` differs from run to run; it holds a hash of itself.
    """
    sections = {name: section(part) for name, part in document.items() if name not in UNSEALED}
    return {"findings": findings(sheet), "rows": rows(sheet), "sections": sections}


def seal_run(run: dict[str, Any]) -> str:
    return section({name: part for name, part in run.items() if name != "sha256"})


UNSEALED = frozenset({"findings", "hashes", "run"})
