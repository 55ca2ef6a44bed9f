"""CSV, safe to open in a spreadsheet: a cell that one would take for a formula gets a leading apostrophe.

To undo it, drop the first character of every cell that begins with an apostrophe.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from auditor.model import Cell
from auditor.reports.columns import COLUMNS, NUMBERS, Table

FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
MOST_LINES = 1_048_576
"""Excel's limit, the header included; LibreOffice's is the same unless raised."""
_AHEAD = [name for name in COLUMNS if name not in {"id", "evidence"}]
"""The columns behind the evidence's hash, which is known last."""


def prepare(table: Table) -> list[str]:
    """Of every row the text behind its first two cells, id and evidence: made while the evidence is being hashed."""
    columns: list[list[str]] = []
    constant = False
    for name in _AHEAD:
        column = table.columns[name]
        distinct = set(column)
        texts = {cell: _cell(cell, number=name in NUMBERS) for cell in distinct}
        if len(distinct) == 1 and constant:  # neighbours that are the same in every row are joined once
            before = columns[-1][0]
            columns[-1] = [f"{before},{next(iter(texts.values()))}"] * len(table)
        else:
            columns.append([texts[cell] for cell in column])
            constant = len(distinct) == 1
    return [",".join(_AHEAD), *map(",".join, zip(*columns, strict=True))]


def lines(columns: Mapping[str, Sequence[Cell]], numbers: frozenset[str]) -> Iterator[str]:
    """Any table, the header first: of the columns in `numbers` a minus sign is one."""
    texts = []
    for name, column in columns.items():
        distinct = {cell: _cell(cell, number=name in numbers) for cell in set(column)}
        texts.append([distinct[cell] for cell in column])
    yield ",".join(columns) + "\n"
    yield from (",".join(row) + "\n" for row in zip(*texts, strict=True))


def too_long(table: Table, name: str) -> str:
    """What is to be said where spreadsheets would drop the last rows without a word; empty where they read all."""
    lines = len(table) + 1
    if lines <= MOST_LINES:
        return ""
    return f"{name} has {lines:,} lines, and spreadsheets read no more than {MOST_LINES:,}: use --inventory X.parquet"


class Writable(Protocol):
    """What a CSV is written to: a file, or a hash of what the file would be."""

    def write(self, text: str, /) -> int: ...

    def writelines(self, lines: Iterable[str], /) -> None: ...


def write(table: Table, out: Writable, prepared: list[str] | None = None) -> None:
    first, *rest = prepare(table) if prepared is None else prepared
    out.write(f"id,evidence,{first}\n")
    rows = zip(table.columns["id"], table.columns["evidence"], rest, strict=True)
    out.writelines(f"{id_},{sha256},{text}\n" for id_, sha256, text in rows)


def _cell(cell: Cell, *, number: bool) -> str:
    """RFC 4180, inert: csv.writer takes three times as long for 50,000 rows of cells that are mostly the same."""
    text = str(cell)
    if not number and text.startswith(FORMULA):
        text = f"'{text}"
    if any(mark in text for mark in ',"\n\r'):
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text
