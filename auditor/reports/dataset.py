"""Findings, inventory and evidence as one Parquet data set that grows from run to run: hive-partitioned by evidence.

FOLDER/findings/evidence=SHA256/data.parquet, FOLDER/inventory/... the same, FOLDER/sources/... one row a file, with
the piece of evidence, the cluster and the conclusion that it belongs to. Joined by `evidence`.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.model import Audit, Cell, Part
from auditor.reports import columns, parquet
from auditor.reports.columns import Table

UNKNOWN = "unknown"
"""The partition of what has no hash: --quick, or a finding of a configuration."""
Written = tuple[PurePath, pa.Table]


def files(audit: Audit) -> Iterator[Written]:
    """(path in the data set, content) of every file."""
    for name, table in (("findings", columns.findings(audit)), ("inventory", columns.inventory(audit))):
        for sha256, part in _split(table):
            yield _path(name, sha256), parquet.table(part)
    for sha256, rows in _sources(audit).items():
        yield _path("sources", sha256), pa.Table.from_pylist(rows, schema=SOURCES)


def write(table: pa.Table, out: IO[bytes]) -> None:
    pq.write_table(table, out, compression="zstd")


SOURCES = pa.schema(
    [(name, pa.string()) for name in ("source", "kind", "modified", "part", "cluster", "verdict", "trailer", "problem")]
    + [(name, pa.int64()) for name in ("size", "revision", "values", "readable", "in_use", "gaps")]
)


def _path(name: str, sha256: str) -> PurePath:
    return PurePath(name, f"evidence={sha256 or UNKNOWN}", "data.parquet")


def _split(table: Table) -> Iterator[tuple[str, Table]]:
    """The rows of each evidence, without the column that the partition's name holds."""
    rows: dict[str, list[int]] = {}
    for number, sha256 in enumerate(table.columns["evidence"]):
        rows.setdefault(str(sha256), []).append(number)
    for sha256, chosen in rows.items():
        kept: dict[str, Sequence[Cell]] = {
            name: [column[row] for row in chosen] for name, column in table.columns.items() if name != "evidence"
        }
        yield sha256, Table(kept)


def _sources(audit: Audit) -> dict[str, list[dict[str, object]]]:
    """Every file with the piece that it belongs to; a piece that could not be read is a row without a file."""
    from auditor.merging import as_part

    parts = audit.parts or (as_part(audit),)
    made: dict[str, list[dict[str, object]]] = {}
    for source in audit.evidence.sources:
        part = _owner(source.name, parts)
        row = {"source": source.name, "kind": source.kind, "modified": source.modified, "size": source.size}
        made.setdefault(source.sha256, []).append(row | _said(part))
    for part in parts:
        if part.problem:
            made.setdefault("", []).append(_said(part))
    return made


def _owner(source: str, parts: Sequence[Part]) -> Part:
    """The piece whose name begins the file's; the first where it came beside one."""
    fitting = [part for part in parts if source == part.name or source.startswith((f"{part.name}/", f"{part.name}!"))]
    return max(fitting, key=lambda part: len(part.name), default=parts[0])


def _said(part: Part) -> dict[str, object]:
    said = {name: getattr(part, name) for name in ("cluster", "revision", "values", "readable", "in_use", "gaps")}
    return {**said, "part": part.name, "verdict": part.verdict.value, "trailer": part.trailer, "problem": part.problem}
