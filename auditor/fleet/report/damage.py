"""What is wrong with a data set that cannot be read: the file, and the way out."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.fleet.dataset import LISTING, LISTING_SCHEMA
from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.manifest import TableFile
from auditor.fleet.schema import TABLES

GROWN = frozenset({"backups", "keys"})
"""Tables of which files of an earlier version of the tool may lack columns."""
AGAIN = "restore it, or scan into another --dataset"
_NEEDED = ("backup", "url", "source_argument", "modified", "taken", "label", "size", "chosen")


def listing(raw: bytes, folder: DataSetFolder) -> tuple[pa.Table, dict[str, Any]]:
    """The rows of the listing, and what the run that made it says of itself. Raises DataSetError."""
    try:
        table = pq.read_table(pa.BufferReader(raw))
        about: dict[str, Any] = json.loads(table.schema.metadata[b"run"])
        rows = table.select(_NEEDED)
        due = table["due"] if "due" in table.column_names else pa.nulls(table.num_rows, pa.bool_())
        rows = rows.append_column("due", due.cast(pa.bool_()))  # an earlier version of the tool says nothing of it
        damaged = not {"listed", "sources", "clusters", "first_look"} <= set(about)
        damaged |= rows.schema.types[:-1] != [LISTING_SCHEMA.field(name).type for name in _NEEDED]
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError):
        damaged = True
    if damaged:
        raise DataSetError(
            f"{folder.shown}: {LISTING} is damaged: restore it, or remove it and scan the same sources again"
        )
    return rows, about


def of_tables(folder: DataSetFolder, files: Sequence[TableFile]) -> DataSetError | None:
    """The first file of the tables that cannot be read; None where each can."""
    for file in files:
        raw = folder.read(file.path)
        what = "is not there" if raw is None else _of_table(raw, file.table)
        if what:
            return DataSetError(f"{folder.shown}: {file.path} {what}: {AGAIN}")
    return None


def _of_table(raw: bytes, table: str) -> str:
    """What is wrong with a file of a table; empty for nothing."""
    try:
        file = pq.ParquetFile(pa.BufferReader(raw))
        for _ in file.iter_batches():
            pass
    except (pa.ArrowException, OSError):
        return "is damaged"
    kinds = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
    needed = {"backup"} if table in GROWN else set(TABLES[table].names)
    known = needed.union(kinds).intersection(TABLES[table].names)
    fits = all(kinds.get(name) == TABLES[table].field(name).type for name in known)
    return "" if fits else f"is no file of the table {table}"
