"""CSV, safe to open in a spreadsheet: a cell that one would take for a formula gets a leading apostrophe.

To undo it, drop the first character of every cell that begins with an apostrophe.
"""

import csv
from collections.abc import Sequence
from typing import IO

from auditor.model import Cell
from auditor.reports.columns import NUMBERS, Table

FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def write(table: Table, out: IO[str]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    inert = [column if name in NUMBERS else _inert(column) for name, column in table.columns.items()]
    writer.writerows(zip(*inert, strict=True))


def _inert(column: Sequence[Cell]) -> Sequence[Cell]:
    distinct = set(column)
    if not any(str(cell).startswith(FORMULA) for cell in distinct):
        return column
    return [f"'{cell}" if str(cell).startswith(FORMULA) else cell for cell in column]
