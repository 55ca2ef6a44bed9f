"""Rows of a statement INSERT ... VALUES: parentheses around the values, commas between them."""

import re
from dataclasses import dataclass, field

from auditor.evidence.containers.residue import holds_value
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gaps import LISTED
from auditor.evidence.sql import grammar
from auditor.evidence.sql.rows import COLUMNS, NUMBERS, TEXTS, TextRows
from auditor.evidence.sql.spans import Spans
from auditor.model.vocabulary import EvidenceKind

SEQUENCE = re.compile(rb"\s*+\('[^'\\]{1,200}',\d{1,19}\)")
"""A row of SQLite's own table of sequences: a table and a number."""
_NEXT_ROW = re.compile(rb"\)\s*,\s*(?=\(\s*\d{1,19}\s*,)")


@dataclass(slots=True)
class Statement:
    """The rows of one statement."""

    file: EvidenceFile
    kind: EvidenceKind
    """Whose dump it is."""
    columns: tuple[str, ...]
    """Of its rows; none of a table that is not kine's."""
    table: int
    """Number of kine's table."""
    kine: bool = field(init=False)
    known: bool = field(init=False)
    """Whether its rows are accounted for."""
    pattern: re.Pattern[bytes] = field(init=False)
    more: bool = field(init=False)
    """Whether its rows have columns that kine's have not."""

    def __post_init__(self) -> None:
        self.kine = self.known = grammar.fits(self.columns)
        self.more = not set(COLUMNS).issuperset(self.columns)
        self.pattern = grammar.row(self.kind, self.columns) if self.kine else grammar.other_row(self.kind)

    def read(self, at: int, rows: TextRows, accounted: Spans) -> tuple[int, bool]:
        """Add the rows from a position on; the position behind the statement, and whether all of it was read.

        Args:
            at: Where the first row begins.
            rows: Where kine's are added.
            accounted: Where the stretches that were read are added.
        """
        text, damaged = self.file.map, 0
        while True:
            row = self.pattern.match(text, at, at + grammar.LONGEST_ROW)
            separator = grammar.BETWEEN_ROWS.match(text, row.end(), row.end() + 64) if row is not None else None
            if row is None or separator is None or not self._add(row, rows):
                damaged += 1
                following = _NEXT_ROW.search(text, at, at + grammar.LONGEST_ROW)
                if not self.kine or following is None or damaged > LISTED:
                    return self._behind(at), False
                at = following.end()
                continue
            if self.known:
                accounted.add(at, separator.end())
            at = separator.end()
            if separator[1] == b";":
                return at, not damaged

    def _behind(self, at: int) -> int:
        """Where the next statement begins, or the end of the file."""
        following = grammar.NEXT_STATEMENT.search(self.file.map, at)
        return following.end() if following is not None else self.file.size

    def _others(self, row: "re.Match[bytes]") -> bytes:
        """A row's text without the names and values that are read."""
        parts, at = [], row.start()
        for begin, end in sorted(row.span(column) for column in TEXTS):
            parts.append(self.file.map[at:begin])
            at = end
        return b"\n".join([*parts, self.file.map[at : row.end()]])

    def _add(self, row: "re.Match[bytes]", rows: TextRows) -> bool:
        """Add a row of kine; whether it is one."""
        if not self.kine:
            return True
        try:
            numbers = [grammar.number(row[column]) for column in NUMBERS]
        except ValueError:
            return False
        if self.more and holds_value(self._others(row)):
            return False
        texts = [
            grammar.literal(row[column], row.start(column), self.kind, is_bytes=column != "name") for column in TEXTS
        ]
        rows.add(numbers, self.table, texts)
        return True
