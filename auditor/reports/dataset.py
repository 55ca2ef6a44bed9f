"""Findings, inventory and evidence as one Parquet data set that grows from run to run: hive-partitioned by evidence.

FOLDER/findings/evidence=SHA256/data.parquet, FOLDER/inventory/... the same, FOLDER/sources/... one row a file, with
the exhibit, the cluster and the conclusion that it belongs to. They join by `evidence` and `source`: a file may be an
argument twice, and files without a hash share one partition.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.model import table
from auditor.model.audit import Audit, ExhibitSummary
from auditor.model.findings import Cell
from auditor.model.table import Table
from auditor.model.vocabulary import Severity
from auditor.reports import parquet
from auditor.text import encode

UNKNOWN = "unknown"
"""The partition of rows without a hash: --quick, or a finding of a configuration. Many runs add files to it."""
DatasetFile = tuple[PurePath, pa.Table]


def files(audit: Audit) -> Iterator[DatasetFile]:
    """(path in the data set, content) of every file."""
    sources = _sources(audit)
    # in a shared partition a file is named after its sources, so that no run overwrites another's
    run = hashlib.sha256(encode(repr(sources))).hexdigest()[:16]

    def path(name: str, sha256: str) -> PurePath:
        return PurePath(name, f"evidence={sha256 or UNKNOWN}", "data.parquet" if sha256 else f"data-{run}.parquet")

    for name, cells in (
        ("findings", table.findings(audit.rows, audit.evidence)),
        ("inventory", table.inventory(audit.rows, audit.evidence)),
    ):
        for sha256, part in _split(cells, next(iter(sources), "")):
            yield path(name, sha256), parquet.table(part)
    for sha256, rows in sources.items():
        yield path("sources", sha256), pa.Table.from_pylist(rows, schema=SOURCES)


def write(table: pa.Table, out: IO[bytes]) -> None:
    pq.write_table(table, out, compression="zstd")


SOURCES = pa.schema(
    [(name, pa.string()) for name in ("source", "kind", "modified", "part", "cluster", "verdict", "trailer", "problem")]
    + [(name, pa.int64()) for name in ("size", "revision", "values", "readable", "current_holders", "gaps")]
)


def _split(table: Table, first: str) -> Iterator[tuple[str, Table]]:
    """The rows of each partition, without the column that its name holds.

    Without rows it is one empty table under `first`: a query needs at least that.
    """
    rows: dict[str, list[int]] = {} if len(table) else {first: []}
    for number, sha256 in enumerate(table.columns["evidence"]):
        rows.setdefault(str(sha256), []).append(number)
    for sha256, numbers in rows.items():
        columns: dict[str, Sequence[Cell]] = {
            name: [column[row] for row in numbers] for name, column in table.columns.items() if name != "evidence"
        }
        yield sha256, Table(columns)


def _sources(audit: Audit) -> dict[str, list[dict[str, object]]]:
    """Every file with its exhibit; an exhibit that could not be read is a row without a file."""
    from auditor.scanning.merge import as_part

    parts = audit.parts or (as_part(audit),)
    owner = {source: part for part in parts for source in part.sources}
    rows: dict[str, list[dict[str, object]]] = {}
    for source in audit.evidence.sources:
        part = owner[source.name]
        row = {"source": source.name, "kind": source.kind, "modified": source.modified, "size": source.size}
        rows.setdefault(source.sha256, []).append(row | _conclusion(part))
    for part in parts:
        if part.problem:
            rows.setdefault("", []).append(_conclusion(part))
    return rows


def _conclusion(part: ExhibitSummary) -> dict[str, object]:
    numbers = {
        name: getattr(part, name) for name in ("cluster", "revision", "values", "readable", "current_holders", "gaps")
    }
    return {
        **numbers,
        "part": part.name,
        "verdict": part.verdict(Severity.MEDIUM).value,
        "trailer": part.trailer.label if part.trailer else "",
        "problem": part.problem,
    }
