"""One pass over a dump in SQL: comments, commands and statements, and the rows of kine among them."""

import re
from dataclasses import dataclass, field

from auditor.evidence.beginnings import LEAST, TextSearch
from auditor.evidence.containers import exports
from auditor.evidence.containers.residue import holds_value
from auditor.evidence.file import EvidenceFile
from auditor.evidence.sql import copy_rows, grammar, insert_rows
from auditor.evidence.sql.rows import COLUMNS, TextRows
from auditor.evidence.sql.spans import Spans
from auditor.model.evidence import Gap
from auditor.model.vocabulary import EvidenceKind
from auditor.text import printable

_ENDS = {
    EvidenceKind.POSTGRES_DUMP: re.compile(rb"-- PostgreSQL database (?:cluster )?dump complete"),
    EvidenceKind.MYSQL_DUMP: re.compile(rb"-- Dump completed"),
}
"""The comment with which a dump ends that begins with one."""


@dataclass
class Walk:
    """One pass over a dump: rows of kine, and what of the file was understood."""

    file: EvidenceFile
    kind: EvidenceKind
    rows: TextRows = field(default_factory=TextRows)
    accounted: Spans = field(default_factory=Spans)
    """Stretches that were read."""
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """kine's tables: the columns of each, by database and name."""
    foreign: dict[str, list[int]] = field(default_factory=dict)
    """Rows of other tables: offset of the first, and bytes of all."""
    gaps: list[Gap] = field(default_factory=list)
    search: TextSearch = field(default_factory=TextSearch)
    """Of the comments, as one text."""
    database: str = ""
    """Of those that the dump holds, where it names them."""

    def run(self, copy: bytes = b"") -> None:
        """Walk over the whole file.

        Args:
            copy: The statement COPY whose rows the file begins with; empty where it holds its statements itself.
        """
        text, at = self.file.map, 0
        if (match := grammar.COPY.match(copy)) is not None:
            at = self._rows_of_copy(match, 0)
        while True:
            blank = grammar.BLANK.match(text, at)
            end = blank.end() if blank is not None else at
            self.accounted.add(at, end)
            at = end
            if at >= self.file.size:
                break
            if (after := self._item(at)) > at:
                at = after
                continue
            following = grammar.NEXT_STATEMENT.search(text, at)
            at = following.end() if following is not None else self.file.size
        self._end()

    def _item(self, at: int) -> int:
        """The position behind what begins here; the same one where it is nothing of a dump."""
        text = self.file.map
        if (match := grammar.COPY.match(text, at, at + grammar.LONGEST_LINE)) is not None:
            return self._copy(match)
        if (match := grammar.INSERT.match(text, at, at + grammar.LONGEST_LINE)) is not None:
            return self._insert(match)
        if (match := grammar.CREATE.match(text, at, at + grammar.LONGEST_LINE)) is not None:
            self._create(match)
        elif (match := grammar.USE.match(text, at, at + 256)) is not None:
            self.database = match["database"].decode("utf-8", "replace")
        elif (match := grammar.META.match(text, at, at + grammar.LONGEST_LINE)) is not None:
            if match["command"] in {b"connect", b"c"}:
                self.database = match["rest"].decode("utf-8", "replace").strip()
            return self._structure(at, match.end())
        if (match := grammar.COMMENTS.match(text, at, at + grammar.LONGEST_LINE)) is not None:
            return self._comments(at, match.end())
        if (match := grammar.COMMENT.match(text, at, at + grammar.LONGEST_LINE)) is not None:
            return self._comments(at, match.end())
        if (match := grammar.STATEMENT.match(text, at, at + grammar.LONGEST)) is not None:
            return self._structure(at, match.end())
        return at

    def _comments(self, start: int, end: int) -> int:
        """Account for comments, beside those before them: a value may go on from line to line."""
        words = grammar.MARKS.sub(b"", self.file.map[start:end])
        return end if self.search.holds(words) else self._structure(start, end)

    def _structure(self, start: int, end: int) -> int:
        """Account for a statement without rows; one in which a value begins is left out, and so a gap."""
        if end - start < LEAST or not holds_value(self.file.map[start:end]):
            self.accounted.add(start, end)
        return end

    def _create(self, match: "re.Match[bytes]") -> None:
        table = grammar.name(match["table"])
        if grammar.is_kine(table):
            body = self.file.map[match.end() : match.end() + grammar.LONGEST_LINE]
            self.tables[self._label(table)] = grammar.defined(body) or COLUMNS

    def _label(self, table: str) -> str:
        return f"{self.database}/{table.lower()}"

    def _columns(self, table: str, listed_columns: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        """The number of one of kine's tables, and the columns of its rows; a gap where they are none of kine's."""
        label = self._label(table)
        columns = listed_columns or self.tables.get(label, COLUMNS)
        self.tables.setdefault(label, columns)
        return list(self.tables).index(label), columns

    def _copy(self, match: "re.Match[bytes]") -> int:
        self._structure(match.start(), match.end())
        return self._rows_of_copy(match, match.end())

    def _rows_of_copy(self, match: "re.Match[bytes]", begin: int) -> int:
        """Read the rows behind a COPY, which begin at a position; the position behind them."""
        table = grammar.name(match["table"])
        columns = grammar.listed(match["columns"])
        if grammar.is_kine(table):
            number, columns = self._columns(table, columns)
            if grammar.fits(columns):
                at, ended = copy_rows.read(self.file, begin, columns, self.rows, self.accounted, number)
                if not ended:
                    self._cut(begin, f"the rows of {printable(table.encode())} do not end")
                return at
        at, size = copy_rows.skip(self.file, begin)
        if size < 0:
            self._cut(begin, f"the rows of {printable(table.encode())} do not end")
            size = self.file.size - begin
        self._other(table, begin, size)
        self.accounted.add(begin + size, at)
        return at

    def _insert(self, match: "re.Match[bytes]") -> int:
        table, begin = grammar.name(match["table"]), match.end()
        self._structure(match.start(), begin)
        number = -1
        columns: tuple[str, ...] = ()
        if grammar.is_kine(table):
            number, columns = self._columns(table, grammar.listed(match["columns"]))
        statement = insert_rows.Statement(self.file, self.kind, columns, number)
        if table.lower() == "sqlite_sequence":
            statement.pattern, statement.known = insert_rows.SEQUENCE, True
        end, whole = statement.read(begin, self.rows, self.accounted)
        if not statement.known:
            self._other(table, begin, end - begin)
        if not whole and end >= self.file.size:
            self._cut(begin, f"the rows of {printable(table.encode())} do not end")
        return end

    def _other(self, table: str, at: int, size: int) -> None:
        """Count the rows of a table that is not kine's, or of which the columns are not."""
        if size:
            entry = self.foreign.setdefault(table, [at, 0])
            entry[1] += size

    def _cut(self, at: int, reason: str) -> None:
        name = self.file.name
        self.gaps.append(Gap(name, at, self.file.size - at, f"{name}: {reason}: cut"))

    def _end(self) -> None:
        """A gap where a dump that begins with a comment of its program does not end as that does."""
        head, tail = self.file.map[: grammar.LONGEST_LINE], self.file.map[-grammar.LONGEST_LINE :]
        name = self.file.name
        if self.kind is EvidenceKind.SQLITE_DUMP:
            if re.search(rb"BEGIN TRANSACTION;", head) and not re.search(rb"\bCOMMIT;", tail):
                reason = f"{name} does not end in COMMIT, as SQLite's dumps do: cut, or made of a damaged database"
                self.gaps.append(Gap(name, self.file.size, 0, reason))
            return
        if exports.has_comment(head) and not _ENDS[self.kind].search(tail):
            reason = f"{name} does not end with the comment that its program writes last: cut, or put together by hand"
            self.gaps.append(Gap(name, self.file.size, 0, reason))
