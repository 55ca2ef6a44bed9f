"""CSV, safe to open in a spreadsheet: where one would take a cell for a formula, an apostrophe stands before it.

Spreadsheets split lines at commas, semicolons, tabs or bars, by country and by the import's settings: the apostrophe
stands at the beginning of a cell and behind each such mark in it. To undo it, drop every apostrophe that stands there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO

from auditor.arrays.dictionary import Dictionary, encode_if_smaller
from auditor.model.audit import Audit
from auditor.model.findings import Cell, Rows
from auditor.model.table import NUMBERS, Table, inventory, of_findings, with_hashes
from auditor.reports.interface import Report

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "'")
"""What a formula may begin with, full-width signs too: an East Asian Excel takes them for their narrow ones."""
_UNSAFE = (",", '"', "\r", *(f"\n{mark}" for mark in FORMULA))
_SEPARATORS = (";", "|", "\t")
_INNER = re.compile(r"""([,;|\t\n\r])(?="*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r'])""")
"""A mark at which some spreadsheets split, before what one of them would take for a formula."""
MOST_LINES = 1_048_576
"""Excel's limit, the header included; LibreOffice's is the same unless raised."""
BLOCK_LINES = 1 << 12
"""Lines of one write."""
_FIRST = {"id", "evidence"}
"""The first columns: the hash of the evidence is known last."""


def prepare(table: Table) -> list[str]:
    """The text of every row behind its first two cells, id and evidence: it needs no hash of the evidence."""
    columns: list[list[str]] = []
    constant = False
    names = [name for name in table.columns if name not in _FIRST]  # a report of an earlier version has others
    for name in names:
        column = encode_if_smaller(table.columns[name])
        if not isinstance(column, Dictionary):
            columns.append(_cells(column, number=name in NUMBERS))
            constant = False
            continue
        texts = _cells(column.values, number=name in NUMBERS)
        if len(texts) == 1 and constant:  # neighbours that are the same in every row are joined once
            before = columns[-1][0]
            columns[-1] = [f"{before},{texts[0]}"] * len(table)
        else:
            columns.append(column.map(texts))
            constant = len(texts) == 1 and len(table) > 0
    return [",".join(names), *map(",".join, zip(*columns, strict=True))]


def lines(columns: Mapping[str, Sequence[Cell]], numbers: frozenset[str]) -> Iterator[str]:
    """The lines of any table, the header first. A minus sign begins no formula in the columns `numbers`."""
    texts = [_cells(column, number=name in numbers) for name, column in columns.items()]
    yield ",".join(columns) + "\n"
    yield from (",".join(row) + "\n" for row in zip(*texts, strict=True))


def too_long(table: Table, name: str) -> str:
    """A warning where spreadsheets would silently drop the last rows; empty where they read all."""
    lines = len(table) + 1
    if lines <= MOST_LINES:
        return ""
    return f"{name} has {lines:,} lines, and spreadsheets read no more than {MOST_LINES:,}: use --inventory X.parquet"


@dataclass(frozen=True)
class Sheet:
    """A table as CSV. Its lines are joined one by one: all at once they would fill the memory."""

    ids: Sequence[Cell]
    evidence: Sequence[Cell]
    rest: list[str]
    """The lines of prepare()."""

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        """Each line with its end, the header first."""
        yield f"id,evidence,{self.rest[0]}\n"
        texts = islice(self.rest, 1, None)
        for id_, sha256, text in zip(self.ids, self.evidence, texts, strict=True):
            yield f"{id_},{sha256},{text}\n"


def sheet(table: Table, rest: list[str] | None = None) -> Sheet:
    """The table as CSV. rest: the lines of prepare(), where they exist already."""
    return Sheet(table.columns["id"], table.columns["evidence"], rest or prepare(table))


def write(table: Table, out: IO[str], prepared: Sheet | None = None) -> None:
    """Write a table.

    Args:
        table: The table.
        out: The text stream.
        prepared: Its sheet(), where that exists already.
    """
    lines = iter(prepared or sheet(table))
    while block := "".join(islice(lines, BLOCK_LINES)):
        out.write(block)


class FindingsSheet:
    """The findings of one audit as a table and as CSV, shared by the reports that need them.

    prepare() may be called while the evidence is still being hashed; else the first use calls it.
    """

    def __init__(self) -> None:
        self._table: Table | None = None
        self._rest: list[str] = []
        self._sealed: Table | None = None

    def prepare(self, rows: Rows) -> Table:
        """The table without the hash of the evidence. Its lines of CSV are prepared with it."""
        if self._table is None:
            self._table = of_findings(rows)
            self._rest = prepare(self._table)
        return self._table

    def table(self, audit: Audit) -> Table:
        """The table with the hashes."""
        if self._sealed is None:
            self._sealed = with_hashes(self.prepare(audit.rows), audit.evidence)
        return self._sealed

    def sheet(self, audit: Audit) -> Sheet:
        return sheet(self.table(audit), self._rest)


class CsvReport(Report):
    """One line a finding."""

    def __init__(self, findings: FindingsSheet) -> None:
        self._findings = findings
        self._table = Table({})

    def prepare(self, rows: Rows) -> None:
        self._findings.prepare(rows)

    def write(self, audit: Audit, out: IO[str]) -> None:
        self._table = self._findings.table(audit)
        write(self._table, out, self._findings.sheet(audit))

    def rows(self, audit: Audit) -> int:  # noqa: ARG002 - as it was written
        return len(self._table)

    def caution(self, name: str) -> str:
        return too_long(self._table, name)


class InventoryCsv(Report):
    """One line a value of the selected resources."""

    def __init__(self) -> None:
        self._table = Table({})

    def write(self, audit: Audit, out: IO[str]) -> None:
        self._table = inventory(audit.rows, audit.evidence)
        write(self._table, out)

    def rows(self, audit: Audit) -> int:  # noqa: ARG002 - as it was written
        return len(self._table)

    def caution(self, name: str) -> str:
        return too_long(self._table, name)


def _cells(cells: Sequence[Cell], *, number: bool) -> list[str]:
    """_cell() of each. Safe cells, which nearly all are, are examined as one text."""
    texts = list(map(str, cells))
    if number:
        return texts
    whole = "\n".join(("", *texts))
    if whole.count("\n") == len(texts) and not any(mark in whole for mark in _UNSAFE) and not _is_split(whole):
        return texts
    return list(map(_cell, texts))


def _is_split(text: str) -> bool:
    """Whether a mark in the text would begin a formula where spreadsheets split there."""
    return any(mark in text for mark in _SEPARATORS) and _INNER.search(text) is not None


def _cell(text: str) -> str:
    """RFC 4180, inert: csv.writer takes three times as long for 50,000 rows of cells that are mostly the same."""
    if text.lstrip('"').startswith(FORMULA):
        text = f"'{text}"
    text = _INNER.sub(r"\1'", text)
    if any(mark in text for mark in ',"\n\r'):
        doubled = text.replace('"', '""')
        return f'"{doubled}"'
    return text
