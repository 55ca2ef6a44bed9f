"""What is wrong with a data set that cannot be read, or that lacks rows: the file or the backup, and the way out."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.fleet.dataset import LISTING, LISTING_SCHEMA
from auditor.fleet.errors import DataSetError
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.manifest import MANIFEST, TableFile
from auditor.fleet.schema import TABLES
from auditor.text import plural, shown

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STORED = """
CREATE TABLE stored AS
SELECT backup, count(*) AS rows, count(*) FILTER (judged <> 'out of scope') AS judged,
    count(*) FILTER (resource = 'secrets' AND place = 'latest') AS secrets
FROM all_inventory GROUP BY backup;
CREATE VIEW counted AS
SELECT * FROM all_backups WHERE state = 'examined' AND backup IN (SELECT backup FROM listing_arrow)"""
"""stored: how many stored values each backup has, of them those that were judged, and current Secrets.
counted: the rows of the backups that the report is about and that were examined."""
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
        if what := _of_file(folder, file):
            return DataSetError(f"{folder.shown}: {file.path} {what}: {AGAIN}")
    return None


def of_contents(
    connection: "DuckDBPyConnection", folder: DataSetFolder, files: Sequence[TableFile], *, compared: bool
) -> DataSetError | None:
    """The first file that is another one than the manifest names, or the first backup whose rows are not all there.

    Without this a table that lost rows would say of a backup that it holds nothing.

    Args:
        connection: Of DuckDB, with the listing, the views of the tables, and `stored`.
        folder: The data set.
        files: The files of the tables, by the manifest.
        compared: Whether the value ids of all backups of the listing are of the data set's own key.
    """
    sizes = folder.sizes()
    rows: dict[str, int] = {}
    if files:
        query = "SELECT file_name, num_rows FROM parquet_file_metadata(?::VARCHAR[])"
        rows = dict(connection.execute(query, [[folder.location(file.path) for file in files]]).fetchall())
    for file in files:
        size, count = sizes.get(file.path, 0), rows.get(folder.location(file.path), 0)
        if (size, count) != (file.size, file.rows):
            measure = f"{plural(count, 'row')} in {plural(size, 'byte')}"
            what = _of_file(folder, file) or f"has {measure}, and by {MANIFEST} {file.rows:,} in {file.size:,}"
            return DataSetError(f"{folder.shown}: {file.path} {what}: {AGAIN}")
    for query in (_TWICE, *_LACKING, *([_LACKING_VALUES] if compared else [])):
        if lacking := connection.execute(query).fetchone():
            table, url, count, expected = lacking
            return DataSetError(
                f"{folder.shown}: the table {table} is damaged: it has {plural(count, 'row')} of {shown(url)}, "
                f"which has {expected:,}: {AGAIN}"
            )
    return None


_TWICE = "SELECT 'backups', any_value(url), count(*), 1 FROM all_backups GROUP BY backup HAVING count(*) > 1 LIMIT 1"
_LACKING = (
    """SELECT 'backups', l.url, 0, 1 FROM listing_arrow l JOIN stored USING (backup)
        WHERE backup NOT IN (SELECT backup FROM all_backups) LIMIT 1""",
    """SELECT 'inventory', b.url, coalesce(s.rows, 0), coalesce(b.inventory_rows, b.values)
        FROM counted b LEFT JOIN stored s USING (backup)
        WHERE coalesce(s.rows, 0) <> b.inventory_rows
            OR b.inventory_rows IS NULL AND coalesce(s.judged, 0) < b.values LIMIT 1""",
    """SELECT 'findings', b.url, coalesce(f.rows, 0), coalesce(b.finding_rows, 1)
        FROM counted b LEFT JOIN (SELECT backup, count(*) AS rows FROM all_findings GROUP BY backup) f USING (backup)
        WHERE coalesce(f.rows, 0) <> b.finding_rows
            OR b.finding_rows IS NULL AND b.severity <> '' AND f.rows IS NULL LIMIT 1""",
    """SELECT 'keys', b.url, coalesce(k.rows, 0), b.key_rows
        FROM counted b LEFT JOIN (SELECT backup, count(*) AS rows FROM all_keys GROUP BY backup) k USING (backup)
        WHERE coalesce(k.rows, 0) <> b.key_rows LIMIT 1""",
)
"""A backup with other numbers of rows than its own row says; that of an earlier version of the tool says less."""
_LACKING_VALUES = """
SELECT 'values', b.url, coalesce(v.rows, 0), b.value_ids
FROM counted b LEFT JOIN (SELECT backup, count(*) AS rows FROM all_values GROUP BY backup) v USING (backup)
WHERE coalesce(v.rows, 0) <> b.value_ids LIMIT 1"""


def _of_file(folder: DataSetFolder, file: TableFile) -> str:
    """What keeps a file of a table from being read; empty for nothing."""
    raw = folder.read(file.path)
    return "is not there" if raw is None else _of_table(raw, file.table)


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
