"""The columns of every table of rows, in their order, and what each says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

from auditor.arrays.dictionary import Dictionary, constant, encode, from_table
from auditor.model.evidence import Evidence
from auditor.model.findings import Cell, Finding, Rows
from auditor.model.vocabulary import FindingKind

COLUMNS: dict[str, str] = {
    "id": "the same for the same value in the same evidence, on every run",
    "evidence": "SHA-256 of the evidence file, empty where it was not hashed",
    "place": "where the bytes lie: latest, history, deleted, old-value, previous-root, freed, slack, wal, unplaced",
    "finding": "what was found; in the inventory several are joined with ;",
    "severity": "low, medium, high or critical; in the inventory the highest",
    "judged": "pass, finding or out of scope",
    "resource": "as an EncryptionConfiguration names it",
    "namespace": "from the etcd key; empty for cluster-scoped objects",
    "name": "from the etcd key",
    "uid": "of the object, where it is readable",
    "key": "the etcd key",
    "provider": "identity, aescbc, aesgcm, secretbox, kms v1, kms v2 or unknown: what the prefix claims",
    "key_name": "the key's or the KMS plugin's name in the prefix; empty where ambiguous",
    "kek_id": "KMS v2's keyID, which stands in clear",
    "encoding": "protobuf, json or cbor, of what is readable",
    "opened": "yes, no key, failed or not tried; empty for what needs no key",
    "same_as_latest": "whether a leftover holds the content of the current value: yes, no or unknown",
    "type": "of a readable Secret",
    "data_keys": "names of the data of a readable Secret, joined with ;",
    "created": "creation time of the object, UTC",
    "create_revision": "etcd's create revision",
    "mod_revision": "etcd's mod revision",
    "version": "etcd's version of the key",
    "state": "what is out of the ordinary about the bytes, joined with ;",
    "source": "the file that offset points into",
    "offset": "of the stored value's first byte in source",
    "size": "bytes of the stored value",
    "extents": "offset+length of each part, where a value is not contiguous in source",
    "page": "number of the page that holds the value",
    "also_in": "the best other place that holds the same key with identical stored bytes",
    "detail": "what else there is to say",
}
NUMBERS = frozenset({"create_revision", "mod_revision", "version", "offset", "size", "page"})
ELSEWHERE = FindingKind.CONFIGURATION | FindingKind.COPIED_VALUE | FindingKind.KEY_PRESENT
"""Findings with rows of their own: of a configuration, or of a hit inside whatever holds it; no stored values."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of COLUMNS, column by column."""

    columns: dict[str, Sequence[Cell]]

    def rows(self) -> "zip[tuple[Cell, ...]]":
        return zip(*self.columns.values(), strict=True)

    def __len__(self) -> int:
        return len(self.columns["id"])


def findings(rows: Rows, evidence: Evidence) -> Table:
    """One row a finding, sorted by source, offset and finding."""
    return sealed(of_findings(rows), evidence)


def inventory(rows: Rows, evidence: Evidence) -> Table:
    """One row a stored value; several findings are joined, the severity is the highest."""
    return sealed(of_values(rows), evidence)


def of_findings(rows: Rows) -> Table:
    """findings() while the evidence's hash is not known yet: its column is empty."""
    marks = rows.findings
    if isinstance(marks, Dictionary) and all(len(each) == 1 and not noted(each[0]) for each in marks.values):
        # one finding a row, as nearly always
        finding = from_table([mark.kind.label for (mark,) in marks.values], marks.codes)
        return _table(rows.columns, finding, from_table([mark.severity.label for (mark,) in marks.values], marks.codes))
    pairs = pairs_of(rows)
    chosen = [row for row, _ in pairs]
    every = chosen == list(range(len(rows)))
    columns = {name: column if every else [column[row] for row in chosen] for name, column in rows.columns.items()}
    labels = {mark: (mark.kind.label, mark.severity.label) for mark in {mark for _, mark in pairs}}
    if any(map(noted, labels)):
        columns["detail"] = [_joined(cell, mark) for cell, (_, mark) in zip(columns["detail"], pairs, strict=True)]
    return _table(columns, [labels[mark][0] for _, mark in pairs], [labels[mark][1] for _, mark in pairs])


def pairs_of(rows: Rows) -> list[tuple[int, Finding]]:
    """Row and mark of every finding, in the order of the table of findings."""
    return [
        (row, mark)
        for row, marks in enumerate(rows.findings)
        for mark in (marks if len(marks) < 2 else sorted(marks, key=lambda mark: mark.kind.label))
    ]


def noted(mark: Finding) -> str:
    """What is to be said of a finding beside what it is: whether it is new, and whether it is accepted."""
    return "; ".join(filter(None, (f"baseline: {mark.baseline.label}" if mark.baseline else "", mark.accepted)))


def _joined(detail: Cell, *marks: Finding) -> str:
    return "; ".join(filter(None, dict.fromkeys((str(detail), *map(noted, marks)))))


def of_values(rows: Rows) -> Table:
    """inventory() while the evidence's hash is not known yet: its column is empty."""
    kept = stored(rows)
    columns = rows.columns
    if len(kept) < len(rows):
        columns = {name: [column[row] for row in kept] for name, column in columns.items()}
    labels = {
        marks: (";".join(mark.kind.label for mark in marks), max(mark.severity for mark in marks).label)
        for marks in set(rows.findings)
        if marks
    }
    if any(map(noted, {mark for marks in labels for mark in marks})):
        columns = {
            **columns,
            "detail": [_joined(columns["detail"][at], *rows.findings[row]) for at, row in enumerate(kept)],
        }
    nothing = ("", "")
    found = [labels.get(rows.findings[row], nothing) for row in kept]
    return _table(columns, [finding for finding, _ in found], [level for _, level in found])


def is_value(marks: tuple[Finding, ...]) -> bool:
    """Whether a row with these findings is a stored value's."""
    return not (marks and marks[0].kind & ELSEWHERE)


def stored(rows: Rows) -> list[int]:
    """The numbers of the rows that are stored values. Rows share their marks, so that few are looked at."""
    marks = rows.findings
    if isinstance(marks, Dictionary):
        if all(map(is_value, marks.values)):
            return list(range(len(rows)))
        kept: list[int] = np.flatnonzero(np.array([is_value(each) for each in marks.values])[marks.codes]).tolist()
        return kept
    known = {id(each): each for each in marks}
    wanted = {key for key, each in known.items() if is_value(each)}
    return [row for row, each in enumerate(marks) if id(each) in wanted]


def sealed(table: Table, evidence: Evidence) -> Table:
    """The table with the SHA-256 of each row's file."""
    hashes = {each.name: each.sha256 for each in evidence.sources}
    source = encode(table.columns["source"])
    sha256 = from_table([hashes.get(str(name), evidence.sha256) for name in source.values], source.codes)
    return Table({**table.columns, "evidence": sha256})


def _table(columns: Mapping[str, Sequence[Cell]], finding: Sequence[Cell], level: Sequence[Cell]) -> Table:
    added: dict[str, Sequence[Cell]] = {"evidence": constant("", len(finding)), "finding": finding, "severity": level}
    return Table({name: added[name] if name in added else columns.get(name, ()) for name in COLUMNS})


def frame(table: Table) -> "pd.DataFrame":
    """Numbers as Int64 with <NA> for what is unknown or does not apply; everything else as text."""
    import pandas as pd  # made when asked for: the import takes 0.4 s

    made = pd.DataFrame(table.columns)
    for name in NUMBERS:
        made[name] = pd.array([cell if isinstance(cell, int) else None for cell in table.columns[name]], "Int64")
    return made
