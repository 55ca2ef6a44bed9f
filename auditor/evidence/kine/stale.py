"""Old copies of what SQLite keeps for itself: entries of the schema, cells of indexes, sequences, statistics.

SQLite moves cells within a page and from page to page and leaves the old bytes, in unallocated parts of pages, in freed
pages and in superseded frames. What is told apart here holds no values; all other bytes are fragments.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache

FEW = 8
"""Fewer bytes are no value, and hardly a part of one."""
BETWEEN = 24
"""Bytes of sizes, types and numbers between two names in cells of kine's indexes."""
PREFIX = b"/registry/"
"""The beginning of names: kine writes /registry/health itself (pkg/drivers/generic/generic.go)."""
_CUT = (PREFIX, b"compact_rev_key")
"""Beginnings of names by which one that is cut is known."""
SHORT, SHORTEST = 3, 10
"""Bytes of a name that say little, and of what may stand before no more of one."""
BESIDE = 14
"""Bytes of a cell without its beginning, and of what SQLite wrote over that, beside another that is whole."""
_ROW = re.compile(rb"[\x00-\xff]{0,4}[\x0a-\x28]\x00[\x0d-\xff][\x00-\xff]?[\x00-\x06\x08\x09]{2,5}[\x00-\xff]{0,4}")
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
_PATH = re.compile(rb"[a-z0-9./:_-]+")
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789./:_-")
PIECE = 8
"""Bytes of the shortest part of a name that is told."""
BRIEF, LETTERS = 18, 5
"""Bytes that old cell pointers, or zeros, leave of a cell of an index, at most; letters that tell a row's name."""
_LETTERED = re.compile(rb"[ -~]{8}")
_TEXT = re.compile(rb"[ -~]{12}")
"""Letters in a row: fewer are hardly a part of a value; more than are left of a name."""
_BINARY = re.compile(rb"[\x80-\xff][\x00-\x7f]*" * 4)
"""Four high bytes: more than the numbers of one cell have."""
_HEAD = re.compile(
    rb"(?:[\x10-\xff][\x03-\x05])?[\x0d-\xff][\x00-\x7f]?[\x01-\x06\x08\x09]{1,2}"
    rb"/(?:r(?:e(?:g(?:i(?:s(?:t(?:r(?:y/?)?)?)?)?)?)?)?)?"
)
"""The beginning of a cell of an index: its size, if it is there, types of a name and one or two numbers, a cut name."""
_POINTERS = re.compile(rb"(?:(?!(?:\x00[ -~]){3})[\x00-\x1f][\x00-\xff]){3,}|(?:([\x00-\x1f][\x00-\xff])\1)")
"""Old cell pointers of a page of up to 8 KiB, whose first byte is never a letter; none are letters of UTF-16."""
_NAME = re.compile(re.escape(PREFIX) + rb"[!-~]*")
_ZEROS = re.compile(rb"\0{2,}")
_NUMBERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Bytes of a number by its serial type (fileformat2.html, section 2.1)."""


class Structure:
    """What a database keeps for itself, of which old copies may lie anywhere."""

    def __init__(
        self, entries: Sequence[bytes] = (), names: Sequence[str] = (), rows: Callable[[], bytes] = bytes
    ) -> None:
        """What is known of a database.

        Args:
            entries: The cells of its schema.
            names: The names of its tables and indexes.
            rows: Joins the names of its rows, where they are asked for.
        """
        self._row_names = cache(rows)
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
        return all(self._brief(part) or (len(part) <= LONGEST and self._explained(part)) for part in parts)

    def _brief(self, part: bytes) -> bool:
        """Whether few bytes are what is left of one cell of an index: not many letters, or some of a row's name."""
        if len(part) < FEW:
            return True
        if len(part) > BRIEF or _TEXT.search(part) is not None or _BINARY.search(part) is not None:
            return False
        return _LETTERED.search(part) is None or any(
            (path := _PATH.match(part, at)) is not None and self._longest(part, at, path.end()) >= LETTERS
            for at in range(len(part))
        )

    def _piece(self, part: bytes, at: int, unknown: int) -> int:
        """Bytes of a part of a row's name from here on, the rest of which is overwritten; 0 where none stands here.

        A few of them count where those of another name follow. unknown: bytes before that nothing explains.
        """
        if unknown > 1 and part[at - 1] in _LETTERS and part[at - 2] in _LETTERS:  # one may be of a number
            return 0
        path = _PATH.match(part, at)
        if path is None:
            return 0
        length = self._longest(part, at, path.end())
        another = 1 < length < PIECE and self._longest(part, at + length, path.end()) >= PIECE
        return length if length >= PIECE or another else 0

    def _longest(self, part: bytes, at: int, end: int) -> int:
        """Bytes from here on that stand in the name of a row."""
        names = self._row_names()
        low, high = 0, end - at
        while low < high:
            middle = (low + high + 1) // 2
            if part[at : at + middle] in names:
                low = middle
            else:
                high = middle - 1
        return low

    def _explained(self, part: bytes) -> bool:
        at = unknown = 0
        most = FEW
        while at < len(part):
            if length := self._row(part, at) or self._copy(part, at) or _index_cell(part, at):
                most = max(most, BESIDE)
            elif length := _name(part, at) or _head(part, at):
                most = BETWEEN
            elif length := _pointers(part, at) or self._piece(part, at, unknown):
                most = FEW if length < PIECE else BESIDE
            elif unknown + 1 < most or self._follows(part, at + 1, unknown + 1):
                at, unknown = at + 1, unknown + 1
                continue
            else:
                return _cut(part, at - unknown)
            at, unknown = at + length, 0
        return True

    def _follows(self, part: bytes, at: int, unknown: int) -> bool:
        """Whether a cell, an entry or a name follows within few more bytes."""
        return any(
            _name(part, place) or self._row(part, place) or self._copy(part, place) or _index_cell(part, place)
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


def _head(part: bytes, at: int) -> int:
    head = _HEAD.match(part, at)
    return head.end() - at if head is not None else 0


def _pointers(part: bytes, at: int) -> int:
    pointers = _POINTERS.match(part, at)
    return pointers.end() - at if pointers is not None else 0


def _name(part: bytes, at: int) -> int:
    name = _NAME.match(part, at)
    return name.end() - at if name is not None else 0


def _cut(part: bytes, at: int) -> bool:
    """Whether the end of a part is the beginning of a cell: its numbers, and a name that is cut."""
    rest = part[at:]
    return _ROW.fullmatch(rest) is not None or any(
        len(rest) <= size + (BETWEEN if size > SHORT else SHORTEST) and rest.endswith(name[:size])
        for name in _CUT
        for size in range(2, len(name) + 1)
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
