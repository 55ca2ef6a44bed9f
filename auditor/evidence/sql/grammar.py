"""The grammar of dumps: what stands between rows, and how a row of `kine` stands in COPY and in INSERT.

pg_dump src/bin/pg_dump/pg_dump.c (dumpTableData_copy, dumpTableData_insert), psql's meta-commands; mysqldump
client/mysqldump.c (dump_table), mariadb-dump alike; mydumper.c (dump_table_data), with double quotation marks; sqlite3
shell.c (dump_callback). Every expression is possessive: a text that is no dump costs one pass.
"""

import re
from collections.abc import Sequence
from functools import cache

from auditor.evidence.containers import exports
from auditor.evidence.expressions import repeated
from auditor.evidence.notation import Notation
from auditor.evidence.sql.rows import COLUMNS, NULL, NUMBERS, TEXTS, Text
from auditor.model.vocabulary import EvidenceKind

LONGEST = 1 << 20
"""Bytes of a statement that holds no rows, at most."""
LONGEST_LINE = 1 << 16
"""Bytes of a comment, of a meta-command, of a list of columns."""
LONGEST_ROW = 1 << 28
"""Bytes of a row, at most: two values of 16 MB, each byte written as four letters or more."""
_NAME = rb"(?:[`\"\[]?[\w$]++[`\"\]]?\.)?[`\"\[]?[\w$]++[`\"\]]?"
BLANK = re.compile(rb"[ \t\r\n\f;]*+")
COMMENTS = re.compile(
    rb"(?:--(?:[ \t][^\n]*+|\r?)\n[\s;]*+|#[^\n]*+\n[\s;]*+|/\*[^*]{0,4096}\*/[\s;]*+|" + exports.REMARK + rb")+"
)
"""Comments, and words for people, one behind the other: of as many as a dump may have, each by itself takes long."""
MARKS = re.compile(rb"(?m)^[ \t]*(?:--|#)[ \t]?|/\*|\*/")
"""What makes comments of a text."""
COMMENT = re.compile(rb"--(?:[ \t][^\n]*+|\r?)(?:\n|\Z)|#[^\n]*+(?:\n|\Z)|/\*.*?\*/", re.DOTALL)
META = re.compile(rb"\\(?P<command>connect|restrict|unrestrict|encoding|c)\b(?P<rest>[^\n]*+)(?:\n|\Z)")
COPY = re.compile(
    rb"COPY\s+(?P<table>" + _NAME + rb")\s*(?:\((?P<columns>[^()]{0,4096})\))?\s*FROM\s+stdin[^;\n]{0,200};\r?\n",
    re.IGNORECASE,
)
INSERT = re.compile(
    rb"(?:INSERT\s+(?:IGNORE\s+|OR\s+\w+\s+)?INTO|REPLACE\s+INTO)\s+(?P<table>" + _NAME + rb")\s*"
    rb"(?:\((?P<columns>[^()]{0,4096})\)\s*)?(?:OVERRIDING\s+SYSTEM\s+VALUE\s+)?VALUES\s*",
    re.IGNORECASE,
)
CREATE = re.compile(
    rb"CREATE\s+(?:UNLOGGED\s+|TEMPORARY\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<table>" + _NAME + rb")\s*\(",
    re.IGNORECASE,
)
USE = re.compile(rb"USE\s+[`\"]?(?P<database>[\w$-]{1,128})[`\"]?\s*;", re.IGNORECASE)
_WORDS = (
    rb"SET|CREATE|ALTER|DROP|LOCK|UNLOCK|PRAGMA|BEGIN|COMMIT|ROLLBACK|START|USE|SELECT|GRANT|REVOKE|COMMENT|DELETE|"
    rb"ANALYZE|CHANGE|CALL|FLUSH|RESET|SECURITY|REFRESH|END"
)
STATEMENT = re.compile(
    rb"(?:"
    + _WORDS
    + rb")\b"
    + repeated(
        rb"[^;'\"`$]++|'" + repeated(rb"[^'\\]++|''|\\.") + rb"'|\"[^\"]*+\"|`[^`]*+`"
        rb"|\$(?P<tag>\w*+)\$.*?\$(?P=tag)\$|\$",
        rb"body",
    )
    + rb";",
    re.IGNORECASE | re.DOTALL,
)
END_OF_COPY = re.compile(rb"\\\.\r?(?:\n|\Z)")
NEXT_STATEMENT = re.compile(
    rb"\n(?=--|/\*|\\|(?:" + _WORDS + rb"|COPY|INSERT|REPLACE)\s)",
    re.IGNORECASE,
)
BETWEEN_ROWS = re.compile(rb"\s*+(?:ON\s+CONFLICT\s+DO\s+NOTHING\s*+(?=;))?([,;])", re.IGNORECASE)
"""What separates rows, or ends a statement (pg_dump --on-conflict-do-nothing)."""
_NUMBER = rb"(?:-?\d{1,20}|NULL|true|false)"
_ESCAPED, _DOUBLED = repeated(rb"[^'\\]++|\\.|''"), repeated(rb"[^']++|''")
_IN_DOUBLE_QUOTES = repeated(rb"[^\"\\]++|\\.")
_STRINGS = {
    EvidenceKind.MYSQL_DUMP: rb"(?:'" + _ESCAPED + rb"'|\"" + _IN_DOUBLE_QUOTES + rb"\")",
    EvidenceKind.POSTGRES_DUMP: rb"(?:'" + _DOUBLED + rb"'|E'" + _ESCAPED + rb"')",
    EvidenceKind.SQLITE_DUMP: rb"'" + _DOUBLED + rb"'",
}
_ANY = {
    kind: rb"(?:NULL|0[xX][0-9A-Fa-f]*+|[xX]'[0-9A-Fa-f]*+'|(?:_[a-z0-9]{1,20}\s*)?" + string + rb")"
    for kind, string in _STRINGS.items()
}
_INTRODUCER = re.compile(rb"_[a-z0-9]{1,20}\s*")
_COLUMN = re.compile(rb"\s*[`\"\[]?(\w{1,64})[`\"\]]?\s*(?:,|\Z)")
_DEFINITION = re.compile(
    rb"\s*[`\"\[]?(\w{1,64})[`\"\]]?"
    + repeated(rb"[^,()]|\(" + repeated(rb"[^()]|\([^()]{0,200}\)") + rb"\)")
    + rb"(?:,|(?=\)))"
)
_NUMBERS = {b"null": -1, b"\\n": -1, b"true": 1, b"false": 0}
_CONSTRAINTS = {"primary", "unique", "key", "index", "constraint", "check", "foreign", "fulltext"}


def name(raw: bytes) -> str:
    """A table's name without its quotation marks."""
    return re.sub(r"[`\"\[\]]", "", raw.decode("utf-8", "replace"))


def is_kine(table: str) -> bool:
    return table.rpartition(".")[2].lower() == "kine"


def listed(raw: bytes | None) -> tuple[str, ...]:
    """The columns of a list in parentheses; none where there is no list."""
    return tuple(match[1].decode().lower() for match in _COLUMN.finditer(raw or b""))


def defined(raw: bytes) -> tuple[str, ...]:
    """The columns of a CREATE TABLE by what stands behind its opening parenthesis."""
    columns: list[str] = []
    at = 0
    while (match := _DEFINITION.match(raw, at)) is not None and match.end() > at:
        column = match[1].decode().lower()
        if column not in _CONSTRAINTS:
            columns.append(column)
        at = match.end()
    return tuple(columns)


def fits(columns: Sequence[str]) -> bool:
    """Whether the columns are those of kine's table, in any order, perhaps with more."""
    return {*NUMBERS, *TEXTS} <= set(columns) and len(set(columns)) == len(columns)


@cache
def row(kind: EvidenceKind, columns: tuple[str, ...]) -> re.Pattern[bytes]:
    """The expression of a row of INSERT; a group for each of NUMBERS and TEXTS.

    Args:
        kind: Whose dump it is, which decides how strings are written.
        columns: Of the row, in their order.
    """
    cells = []
    for column in columns:
        value = _NUMBER if column in NUMBERS or column == "lease" else _ANY[kind]
        group = f"?P<{column}>".encode() if column in COLUMNS else b"?:"
        cells.append(b"(" + group + value + b")")
    return re.compile(rb"\s*+\(\s*+" + rb"\s*+,\s*+".join(cells) + rb"\s*+\)", re.DOTALL | re.IGNORECASE)


@cache
def other_row(kind: EvidenceKind) -> re.Pattern[bytes]:
    """The expression of a row of INSERT into any table."""
    cell = rb"(?:" + _ANY[kind] + rb"|[-+\w.]++|\w+\(" + repeated(rb"[^()']|'[^']*+'") + rb"\))"
    more = repeated(rb"\s*+,\s*+" + cell, rb"more")
    return re.compile(rb"\s*+\(\s*+" + cell + more + rb"\s*+\)", re.DOTALL | re.IGNORECASE)


def number(raw: bytes) -> int:
    """The number of a column; -1 of NULL. Raises ValueError where it is none."""
    known = _NUMBERS.get(raw.lower())
    return int(raw) if known is None else known


def literal(raw: bytes, at: int, kind: EvidenceKind, *, is_bytes: bool) -> Text:
    """The text of a literal of INSERT, without what encloses it.

    Args:
        raw: The literal.
        at: Its position in the file.
        kind: Whose dump it is.
        is_bytes: Whether it is of a column of bytes, which PostgreSQL writes in a format of its own.
    """
    if raw[:4].lower() == b"null":
        return NULL
    if raw[:2].lower() == b"0x":
        return Text(at + 2, len(raw) - 2, Notation.HEX)
    if raw[:2].lower() == b"x'":
        return Text(at + 2, len(raw) - 3, Notation.HEX)
    escaped = kind is EvidenceKind.MYSQL_DUMP
    if (introducer := _INTRODUCER.match(raw)) is not None:
        at, raw = at + introducer.end(), raw[introducer.end() :]
    elif raw[:1] in {b"E", b"e"}:
        at, raw, escaped = at + 1, raw[1:], True
    at, content = at + 1, raw[1:-1]
    if kind is EvidenceKind.POSTGRES_DUMP and is_bytes:
        for beginning in (b"\\\\x", b"\\x") if escaped else (b"\\x",):
            if content.startswith(beginning):
                return Text(at + len(beginning), len(content) - len(beginning), Notation.HEX)
        if not escaped:
            return Text(at, len(content), Notation.QUOTED_BYTEA)
    return Text(at, len(content), Notation.BACKSLASHED if escaped else Notation.QUOTED)


def copied(raw: bytes, at: int, *, is_bytes: bool) -> Text:
    """The text of a field of COPY.

    Args:
        raw: The field.
        at: Its position in the file.
        is_bytes: Whether it is of a bytea.
    """
    if raw == b"\\N":
        return NULL
    if is_bytes and raw.startswith(b"\\\\x"):
        return Text(at + 3, len(raw) - 3, Notation.HEX)
    return Text(at, len(raw), Notation.COPY_BYTEA if is_bytes else Notation.COPY)
