"""The tables of a SQLite file, and which columns of `kine` are which (kine pkg/drivers/sqlite/sqlite.go)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.kine import records
from auditor.evidence.kine.pages import Cells
from auditor.text import printable

MOST = 1000
"""Tables and indexes looked at."""
_FIELDS = ("name", "created", "deleted", "create_revision", "prev_revision", "value", "old_value")


@dataclass(frozen=True, slots=True)
class Table:
    """One entry of sqlite_schema. kind: `table` or `index`; sql: how it was made."""

    kind: str
    name: str
    root: int
    sql: str


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
        """The columns in which kine writes no text: one that stands there hides from who reads the others."""
        return tuple(sorted(set(range(self.count)) - {self.name, self.value, self.old_value}))


def tables(buffer: Buffer, cells: Cells) -> list[Table]:
    """The entries that decode; sqlite_schema is type, name, tbl_name, rootpage, sql (fileformat2.html, section 2.6)."""
    found = records.decode(buffer, cells.payload, cells.local, cells.size, 5)
    read = []
    for row in np.flatnonzero(found.good)[:MOST].tolist():
        one = found.take(np.array([row]))
        end = int(cells.payload[row] + cells.local[row])
        kind, name, sql = (_text(one, column, end) for column in (0, 1, 4))
        read.append(Table(printable(kind), printable(name), int(one.number(3)[0]), sql.decode("utf-8", "replace")))
    return read


def _text(one: records.Records, column: int, end: int) -> bytes:
    (at,), (size,) = (part.tolist() for part in one.text(column))
    return one.buffer.slice(at, max(min(size, end - at), 0))


def columns(table: Table) -> KineColumns | None:
    """Where a `kine` table keeps what; None where its definition lacks a column."""
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
