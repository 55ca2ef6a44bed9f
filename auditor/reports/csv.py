"""CSV, safe to open in a spreadsheet: a cell that one would take for a formula gets a leading apostrophe.

To undo it, drop the first character of every cell that begins with an apostrophe.
"""

import csv
import io
from collections.abc import Sequence
from typing import IO

from auditor.model import Cell
from auditor.reports.columns import COLUMNS, NUMBERS, Table

FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_AHEAD = [name for name in COLUMNS if name not in {"id", "evidence"}]
"""The columns behind the evidence's hash, which is known last."""


def prepare(table: Table) -> list[str]:
    """Of every row the text behind its first two cells, id and evidence: made while the evidence is being hashed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_AHEAD)
    columns = ((name, table.columns[name]) for name in _AHEAD)
    inert = [column if name in NUMBERS else _inert(column) for name, column in columns]
    writer.writerows(zip(*inert, strict=True))
    return text.getvalue().split("\n")[:-1]  # no cell holds a line end: names are escaped, and all else is ours


def write(table: Table, out: IO[str], prepared: list[str] | None = None) -> None:
    first, *rest = prepare(table) if prepared is None else prepared
    out.write(f"id,evidence,{first}\n")
    rows = zip(table.columns["id"], table.columns["evidence"], rest, strict=True)
    out.writelines(f"{id_},{sha256},{text}\n" for id_, sha256, text in rows)


def _inert(column: Sequence[Cell]) -> Sequence[Cell]:
    distinct = set(column)
    if not any(str(cell).startswith(FORMULA) for cell in distinct):
        return column
    return [f"'{cell}" if str(cell).startswith(FORMULA) else cell for cell in column]
