"""Hashes inside a report, by which `etcd-auditor verify` tells whether, and where, it was changed.

They are no signatures: who changes a report can make them anew. What is signed or time-stamped is the file of sums.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from auditor.reports import csv
from auditor.reports.columns import Table


class _Sink:
    """Text that is hashed as UTF-8 instead of being kept."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, text: str) -> int:
        self.digest.update(text.encode("utf-8", "surrogateescape"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))  # hashed in one go: 50,000 lines one by one take five times as long


def findings(table: Table, prepared: list[str] | None = None) -> str:
    """SHA-256 of the findings as --csv writes them: the hash of that file, whether it was written or not.

    prepared: what csv.prepare() made of the table, where that was done already.
    """
    sink = _Sink()
    csv.write(table, sink, prepared)
    return sink.digest.hexdigest()


def rows(prepared: list[str], table: Table) -> list[str]:
    """The first eight digits of the SHA-256 of each line of that CSV but the header: to tell which finding differs."""
    lines = zip(table.columns["id"], table.columns["evidence"], prepared[1:], strict=True)
    return [
        hashlib.sha256(f"{id_},{sha256},{text}\n".encode("utf-8", "surrogateescape")).hexdigest()[:8]
        for id_, sha256, text in lines
    ]


def section(value: Any) -> str:
    """SHA-256 of plain values as JSON in ASCII: keys sorted, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def seal(document: dict[str, Any], table: Table, prepared: list[str] | None = None) -> dict[str, Any]:
    """What a document's `hashes` hold: of `findings` as CSV, of all else section by section.

    `run` differs from run to run; it holds a hash of itself.
    """
    prepared = csv.prepare(table) if prepared is None else prepared
    sections = {name: section(part) for name, part in document.items() if name not in UNSEALED}
    return {"findings": findings(table, prepared), "rows": rows(prepared, table), "sections": sections}


def seal_run(run: dict[str, Any]) -> str:
    return section({name: part for name, part in run.items() if name != "sha256"})


UNSEALED = frozenset({"findings", "hashes", "run"})
