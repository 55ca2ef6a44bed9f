"""The tables of a SQLite file, and the places of kine's columns (kine pkg/drivers/sqlite/sqlite.go)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.kine import records
from auditor.evidence.kine.pages import Cells
from auditor.evidence.kine.stale import BEFORE
from auditor.text import printable

MOST = 1000
"""Tables and indexes at most."""
_FIELDS = ("name", "created", "deleted", "create_revision", "prev_revision", "value", "old_value")


@dataclass(frozen=True, slots=True)
class Table:
    """One entry of sqlite_schema."""

    kind: str
    """`table`, `index`, `view` or `trigger`."""
    name: str
    root: int
    """The number of the root page, 0 for none."""
    sql: str
    """The CREATE statement."""


@dataclass(frozen=True, slots=True)
class KineColumns:
    """Places of kine's columns in its records, and how many there are."""

    count: int = 9
    name: int = 1
    created: int = 2
    deleted: int = 3
    create_revision: int = 4
    prev_revision: int = 5
    value: int = 7
    old_value: int = 8

    @property
    def numbers(self) -> tuple[int, ...]:
        """The columns in which kine writes no text; a text in one of them would go unread."""
        return tuple(sorted(set(range(self.count)) - {self.name, self.value, self.old_value}))


def tables(buffer: Buffer, cells: Cells) -> list[Table]:
    """The entries that decode; sqlite_schema is type, name, tbl_name, rootpage, sql (fileformat2.html, section 2.6)."""
    entries = records.decode(buffer, cells.payload, cells.local, cells.size, 5)
    tables = []
    for row in np.flatnonzero(entries.good)[:MOST].tolist():
        entry = entries.take(np.array([row]))
        end = int(cells.payload[row] + cells.local[row])
        kind, name, sql = (_text(entry, column, end) for column in (0, 1, 4))
        tables.append(Table(printable(kind), printable(name), int(entry.number(3)[0]), sql.decode("utf-8", "replace")))
    return tables


def entries(buffer: Buffer, cells: Cells) -> list[bytes]:
    """The cells of the schema as they stand in their pages, with what lies just before each: its size and row id."""
    start, end = np.maximum(cells.payload[:MOST] - BEFORE, 0), (cells.payload + cells.local)[:MOST]
    return buffer.slices(start, end - start)


def _text(entry: records.Records, column: int, end: int) -> bytes:
    (at,), (size,) = (values.tolist() for values in entry.text(column))
    return entry.buffer.slice(at, max(min(size, end - at), 0))


def columns(table: Table) -> KineColumns | None:
    """The places of the columns of a `kine` table; None where its definition lacks one."""
    names = column_names(table.sql)
    if not set(_FIELDS) <= set(names):
        return None
    places = {field: names.index(field) for field in _FIELDS}
    return KineColumns(count=len(names), **places)


def column_names(sql: str) -> Sequence[str]:
    """The names in a CREATE TABLE, in order; constraints of the table are none."""
    inside = sql.partition("(")[2].rpartition(")")[0]
    depth, parts = 0, [""]
    for letter in inside:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    words = [part.split(maxsplit=1)[0] for part in parts if part.strip()]
    return [word.strip('"`[]').lower() for word in words]
