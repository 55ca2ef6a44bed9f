"""Old copies of what SQLite keeps for itself: entries of the schema, cells of indexes, sequences, statistics.

SQLite moves cells within a page and from page to page and leaves the old bytes, in unallocated parts of pages, in freed
pages and in superseded frames. What is told apart here holds no values; all other bytes are fragments.
"""

import re
from collections.abc import Sequence

FEW = 8
"""Fewer bytes are no value, and hardly a part of one."""
BETWEEN = 24
"""Bytes of sizes, types and numbers between two names in cells of kine's indexes."""
PREFIX = b"/registry/"
"""The beginning of names: kine writes /registry/health itself (pkg/drivers/generic/generic.go)."""
_CUT = (PREFIX, b"compact_rev_key")
"""Beginnings of names by which one that is cut is known."""
BESIDE = 14
"""Bytes of a cell without its beginning, and of what SQLite wrote over that, beside another that is whole."""
_ROW = re.compile(rb"[\x00-\xff]{0,3}[\x0a-\x28]\x00[\x0d-\xff][\x00-\xff]?[\x00-\x06\x08\x09]{5}[\x00-\xff]{0,4}")
"""The beginning of a row of kine's, cut before its name: NULL for its id, a text, five numbers."""
LONGEST = 1 << 16
"""Bytes of the longest stretch that is looked at: those of a page."""
BEFORE = 6
"""Bytes of a cell before its payload, at most, that are compared with: its size and its row id."""
STATISTICS = rb"(?:[0-9]{1,19}(?: [0-9]{1,19}){0,9}(?: unordered| noskipscan| sz=[0-9]{1,9})*)"
"""The numbers of a row of sqlite_stat1, as ANALYZE writes them."""
_INDEX = re.compile(
    rb"indexkine_[a-z_]{1,60}kine[\x00-\x7f]{1,4}CREATE (?:UNIQUE )?INDEX kine_[a-z_]{1,60} on kine ?"
    rb"\((?:(?:, ?)?(?:id|name|created|deleted|create_revision|prev_revision|lease)(?: DESC)?){1,8}\)",
    re.IGNORECASE,
)
"""The entry of an index of kine's in the schema: one that was dropped is no longer there."""
_NAME = re.compile(re.escape(PREFIX) + rb"[!-~]*")
_ZEROS = re.compile(rb"\0{2,}")
_NUMBERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Bytes of a number by its serial type (fileformat2.html, section 2.1)."""


class Structure:
    """What a database keeps for itself, of which old copies may lie anywhere."""

    def __init__(self, entries: Sequence[bytes] = (), names: Sequence[str] = ()) -> None:
        """What is known of a database.

        Args:
            entries: The cells of its schema.
            names: The names of its tables and indexes.
        """
        self._entries = b"\xff".join(entries)
        tables = b"|".join(re.escape(name.encode()) for name in sorted(names, key=len, reverse=True) if name)
        row = rb"\x03[\x0f-\x7f][\x01-\x06\x08\x09](?:%b)[\x00-\xff]{0,8}" % tables
        statistics = rb"(?:%b)(?:%b)?%b" % (tables, tables, STATISTICS)
        self._rows = re.compile(rb"%b|%b" % (row, statistics)) if tables else None

    def explains(self, raw: bytes) -> bool:
        """Whether bytes are old copies, names with numbers between them, or too few to be anything."""
        if len(raw) < FEW:
            return True
        if PREFIX in raw and all(len(part.strip(b"\0")) <= BETWEEN for part in _NAME.split(raw)):
            return True
        parts = (part.strip(b"\0") for part in _ZEROS.split(raw))
        return all(len(part) < FEW or (len(part) <= LONGEST and self._explained(part)) for part in parts)

    def _explained(self, part: bytes) -> bool:
        at = unknown = 0
        most = FEW
        while at < len(part):
            if length := self._row(part, at) or self._copy(part, at) or _index_cell(part, at):
                most = max(most, BESIDE)
            elif length := _name(part, at):
                most = BETWEEN
            elif unknown + 1 < most or self._follows(part, at + 1, unknown + 1):
                at, unknown = at + 1, unknown + 1
                continue
            else:
                return _cut(part, at - unknown)
            at, unknown = at + length, 0
        return True

    def _follows(self, part: bytes, at: int, unknown: int) -> bool:
        """Whether a cell or an entry follows within few more bytes."""
        return any(
            self._row(part, place) or self._copy(part, place) or _index_cell(part, place)
            for place in range(at, at + max(BESIDE - unknown, 0))
        )

    def _copy(self, part: bytes, at: int) -> int:
        """Bytes from here on that stand in the schema; 0 where they are few."""
        if part[at : at + FEW] not in self._entries or at + FEW > len(part):
            return 0
        low, high = FEW, len(part) - at
        while low < high:
            middle = (low + high + 1) // 2
            if part[at : at + middle] in self._entries:
                low = middle
            else:
                high = middle - 1
        return low

    def _row(self, part: bytes, at: int) -> int:
        row = _INDEX.match(part, at) or (self._rows.match(part, at) if self._rows is not None else None)
        return row.end() - at if row is not None else 0


def _name(part: bytes, at: int) -> int:
    name = _NAME.match(part, at)
    return name.end() - at if name is not None else 0


def _cut(part: bytes, at: int) -> bool:
    """Whether the end of a part is the beginning of a cell: its numbers, and a name that is cut."""
    rest = part[at:]
    return _ROW.fullmatch(rest) is not None or any(
        len(rest) <= BETWEEN + size and rest.endswith(name[:size]) for name in _CUT for size in range(4, len(name) + 1)
    )


def _index_cell(part: bytes, at: int) -> int:
    """Bytes of a cell of an index that holds nothing but numbers; 0 where none stands here."""
    if at + 2 > len(part):
        return 0
    size, header = part[at], part[at + 1]
    types = part[at + 2 : at + 1 + header]
    if not 2 < header <= FEW or len(types) < header - 1 or any(kind not in _NUMBERS for kind in types):
        return 0
    whole = header + sum(_NUMBERS[kind] for kind in types) == size
    return 1 + size if whole and at + 1 + size <= len(part) else 0
