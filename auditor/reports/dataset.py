"""Findings, inventory and evidence as one Parquet data set that grows from run to run: hive-partitioned by evidence.

FOLDER/findings/evidence=SHA256/data.parquet, FOLDER/inventory/... the same, FOLDER/sources/... one row a file, with
the piece of evidence, the cluster and the conclusion that it belongs to. Joined by `evidence` and `source`: a file may
have been given twice, and what has no hash is in one partition.
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
from auditor.reports import parquet
from auditor.text import encode

UNKNOWN = "unknown"
"""The partition of what has no hash: --quick, or a finding of a configuration. Many runs put files into it."""
Written = tuple[PurePath, pa.Table]


def files(audit: Audit) -> Iterator[Written]:
    """(path in the data set, content) of every file."""
    sources = _sources(audit)
    # called after what was read where the partition is not its own, so that no run is in another's way
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
    + [(name, pa.int64()) for name in ("size", "revision", "values", "readable", "in_use", "gaps")]
)


def _split(table: Table, first: str) -> Iterator[tuple[str, Table]]:
    """The rows of each evidence, without the column that the partition's name holds.

    Of no rows an empty table under `first`: what is not there cannot be asked.
    """
    rows: dict[str, list[int]] = {} if len(table) else {first: []}
    for number, sha256 in enumerate(table.columns["evidence"]):
        rows.setdefault(str(sha256), []).append(number)
    for sha256, chosen in rows.items():
        columns: dict[str, Sequence[Cell]] = {
            name: [column[row] for row in chosen] for name, column in table.columns.items() if name != "evidence"
        }
        yield sha256, Table(columns)


def _sources(audit: Audit) -> dict[str, list[dict[str, object]]]:
    """Every file with the piece that it belongs to; a piece that could not be read is a row without a file."""
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
    numbers = {name: getattr(part, name) for name in ("cluster", "revision", "values", "readable", "in_use", "gaps")}
    return {
        **numbers,
        "part": part.name,
        "verdict": part.verdict.value,
        "trailer": part.trailer.label if part.trailer else "",
        "problem": part.problem,
    }
