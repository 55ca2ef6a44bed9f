"""Tables of rows: their columns, in order and with a description, and the tables of findings and of stored values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

from auditor.arrays.dictionary import Dictionary, constant, encode, from_table
from auditor.model.evidence import Evidence
from auditor.model.findings import Cell, Finding, Rows
from auditor.model.vocabulary import VALUELESS

COLUMNS: dict[str, str] = {
    "id": "the same for the same value in the same evidence, on every run",
    "evidence": "SHA-256 of the evidence file, empty where it was not hashed",
    "place": "where the bytes lie: latest, history, deleted, old-value, previous-root, freed, "
    "slack, wal, v2-store, unplaced",
    "finding": "the finding; in the inventory several are joined with ;",
    "severity": "low, medium, high or critical; in the inventory the highest",
    "judged": "pass, finding or out of scope",
    "resource": "as an EncryptionConfiguration names it",
    "namespace": "from the etcd key; empty for cluster-scoped objects",
    "name": "from the etcd key",
    "uid": "of the object, where it is readable",
    "key": "the etcd key",
    "provider": "identity, aescbc, aesgcm, secretbox, kms v1, kms v2 or unknown: what the prefix claims",
    "key_name": "the key's or the KMS plugin's name in the prefix; empty where ambiguous",
    "kek_id": "KMS v2's keyID, stored in clear",
    "encoding": "protobuf, json or cbor, of what is readable",
    "decrypted": "yes, no key, failed or not tried; empty for what needs no key",
    "same_as_latest": "yes, part, elsewhere, no or unknown: whether what a leftover holds is current, by value",
    "type": "of a readable Secret",
    "data_keys": "names of the data of a readable Secret, joined with ;",
    "valid_until": "last day, UTC, of what authenticates in a readable or decrypted Secret; none stated, or unknown",
    "used_by": "objects that refer to the Secret, the first ten and +N; no reference found, or unknown",
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
    "detail": "further particulars",
}
NUMBERS = frozenset({"create_revision", "mod_revision", "version", "offset", "size", "page"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table of COLUMNS, column by column."""

    columns: dict[str, Sequence[Cell]]
    """Every column of COLUMNS, by name and in order."""

    def rows(self) -> "zip[tuple[Cell, ...]]":
        """The cells row by row."""
        return zip(*self.columns.values(), strict=True)

    def __len__(self) -> int:
        return len(self.columns["id"])


def findings(rows: Rows, evidence: Evidence) -> Table:
    """One row a finding, sorted by source, offset and finding."""
    return with_hashes(of_findings(rows), evidence)


def inventory(rows: Rows, evidence: Evidence) -> Table:
    """One row a stored value; several findings are joined, the severity is the highest."""
    return with_hashes(of_values(rows), evidence)


def of_findings(rows: Rows) -> Table:
    """findings() before the hashes of the evidence are known: their column is empty."""
    encoded = rows.findings
    if isinstance(encoded, Dictionary) and all(
        len(own) == 1 and not own[0].grouped and not remarks(own[0]) for own in encoded.values
    ):
        # nearly always: one finding a row
        kinds = from_table([finding.kind.label for (finding,) in encoded.values], encoded.codes)
        levels = from_table([finding.severity.label for (finding,) in encoded.values], encoded.codes)
        return _table(rows.columns, kinds, levels)
    pairs = pairs_of(rows)
    chosen = [row for row, _ in pairs]
    every = chosen == list(range(len(rows)))
    columns = {name: column if every else [column[row] for row in chosen] for name, column in rows.columns.items()}
    labels = {finding: (finding.kind.label, finding.severity.label) for finding in {finding for _, finding in pairs}}
    if any(map(remarks, labels)):
        columns["detail"] = [
            _detail(cell, finding) for cell, (_, finding) in zip(columns["detail"], pairs, strict=True)
        ]
    return _table(columns, [labels[finding][0] for _, finding in pairs], [labels[finding][1] for _, finding in pairs])


def pairs_of(rows: Rows) -> list[tuple[int, Finding]]:
    """Every finding with the number of its row, in the order of the table of findings."""
    return [
        (row, finding)
        for row, own in enumerate(rows.findings)
        for finding in (own if len(own) < 2 else sorted(own, key=lambda finding: finding.kind.label))
        if not finding.grouped
    ]


def remarks(finding: Finding) -> str:
    """Remarks on a finding: its baseline state, and its acceptance."""
    state = f"baseline: {finding.baseline.label}" if finding.baseline else ""
    return "; ".join(filter(None, (state, finding.accepted)))


def _detail(detail: Cell, *own: Finding) -> str:
    """A cell of the column `detail` with the remarks on the row's findings."""
    return "; ".join(filter(None, dict.fromkeys((str(detail), *map(remarks, own)))))


def of_values(rows: Rows) -> Table:
    """inventory() before the hashes of the evidence are known: their column is empty."""
    numbers = value_rows(rows)
    columns = rows.columns
    if len(numbers) < len(rows):
        columns = {name: [column[row] for row in numbers] for name, column in columns.items()}
    labels = {
        own: (";".join(finding.kind.label for finding in own), max(finding.severity for finding in own).label)
        for own in set(rows.findings)
        if own
    }
    if any(map(remarks, {finding for own in labels for finding in own})):
        columns = {
            **columns,
            "detail": [_detail(columns["detail"][place], *rows.findings[row]) for place, row in enumerate(numbers)],
        }
    nothing = ("", "")
    cells = [labels.get(rows.findings[row], nothing) for row in numbers]
    return _table(columns, [kinds for kinds, _ in cells], [level for _, level in cells])


def is_value(findings: tuple[Finding, ...]) -> bool:
    """Whether a row with these findings is that of a stored value."""
    return not (findings and (findings[0].values or findings[0].kind & VALUELESS))


def value_rows(rows: Rows) -> list[int]:
    """The numbers of the rows of stored values. Rows share their tuples of findings: each tuple is judged once."""
    encoded = rows.findings
    if isinstance(encoded, Dictionary):
        if all(map(is_value, encoded.values)):
            return list(range(len(rows)))
        is_one = np.array([is_value(own) for own in encoded.values])
        numbers: list[int] = np.flatnonzero(is_one[encoded.codes]).tolist()
        return numbers
    distinct = {id(own): own for own in encoded}
    values = {key for key, own in distinct.items() if is_value(own)}
    return [row for row, own in enumerate(encoded) if id(own) in values]


def with_hashes(table: Table, evidence: Evidence) -> Table:
    """The table with the SHA-256 of each row's file."""
    hashes = {file.name: file.sha256 for file in evidence.sources}
    source = encode(table.columns["source"])
    sha256 = from_table([hashes.get(str(name), evidence.sha256) for name in source.values], source.codes)
    return Table({**table.columns, "evidence": sha256})


def _table(columns: Mapping[str, Sequence[Cell]], finding: Sequence[Cell], level: Sequence[Cell]) -> Table:
    added: dict[str, Sequence[Cell]] = {"evidence": constant("", len(finding)), "finding": finding, "severity": level}
    return Table({name: added[name] if name in added else columns.get(name, ()) for name in COLUMNS})


def frame(table: Table) -> "pd.DataFrame":
    """Numbers as Int64 with <NA> for what is unknown or does not apply; everything else as text, without rows too."""
    import pandas as pd  # not at module level: the import takes 0.4 s

    columns = {
        name: pd.array([cell if isinstance(cell, int) else None for cell in cells], "Int64")
        if name in NUMBERS
        else pd.Series(cells, dtype="str")
        for name, cells in table.columns.items()
    }
    return pd.DataFrame(columns)
