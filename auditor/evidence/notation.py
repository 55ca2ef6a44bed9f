"""Notations: how a text stands for the bytes of a value. Decoding, and the text of a part of a value.

PostgreSQL: manual, sections 8.4 (bytea, hex and escape format), 4.1.2 (string constants), COPY (text format). MySQL
and MariaDB: manual, string literals; mysqldump's escapes are mysql_real_escape_string()'s. SQLite: lang_expr.html.
"""

import re
from binascii import Error, a2b_base64, unhexlify
from collections.abc import Callable
from enum import IntEnum
from itertools import islice

_COPY = rb"\\(?:[0-7]{1,3}|x[0-9A-Fa-f]{1,2}|[^0-7x])"
"""A byte that COPY escapes; \\x without digits stands for an x, and is never written."""


class Notation(IntEnum):
    """How a text stands for bytes."""

    BASE64 = 0
    HEX = 1
    QUOTED = 2
    """SQL's own string: a quotation mark is doubled."""
    BACKSLASHED = 3
    """MySQL's string: escapes, and doubled quotation marks."""
    COPY = 4
    """A field of PostgreSQL's COPY."""
    COPY_BYTEA = 5
    """A bytea in escape format, in a field of COPY."""
    QUOTED_BYTEA = 6
    """A bytea in escape format, in SQL's own string."""
    YAML = 7
    """An object as YAML writes it: it is read as JSON, and a part of it is looked for in all of its text."""

    @property
    def escapes(self) -> bool:
        """Whether bytes stand for themselves, but those that are escaped."""
        return Notation.HEX < self < Notation.YAML


_LETTERS = dict(zip(b"abfnrtv0Z", b"\a\b\f\n\r\t\v\0\x1a", strict=True))
_ESCAPES: dict[Notation, re.Pattern[bytes]] = {
    # \% and \_ stand for both of their letters
    Notation.BACKSLASHED: re.compile(rb"\\[^%_]|''", re.DOTALL),
    Notation.QUOTED: re.compile(rb"''"),
    Notation.COPY: re.compile(_COPY, re.DOTALL),
    Notation.COPY_BYTEA: re.compile(rb"\\\\\\\\|\\\\[0-7]{3}|" + _COPY, re.DOTALL),
    Notation.QUOTED_BYTEA: re.compile(rb"\\\\|\\[0-7]{3}|''"),
}
"""What stands for a byte and is longer than it."""
_UNITS = {
    notation: re.compile(pattern.pattern + rb"|.", re.DOTALL) for notation, pattern in _ESCAPES.items()
}  # the text of one byte


def decode(raw: bytes, notation: Notation) -> bytes:
    """The bytes that a text stands for. Raises ValueError, without a byte of it, where it is none."""
    try:
        if notation is Notation.HEX:
            return unhexlify(raw)
        if notation is Notation.BASE64:
            return a2b_base64(raw, strict_mode=True)
        return _ESCAPES[notation].sub(_STANDS_FOR[notation], raw)
    except (Error, ValueError):
        raise ValueError("no text of this notation") from None


def part(raw: bytes, notation: Notation, start: int, length: int) -> tuple[int, int]:
    """Position and length, in the text of a value, of the text of a part of it.

    Args:
        raw: The text of the value; without meaning for base64 and hex.
        notation: Of the text.
        start: First byte of the part, from the value's beginning.
        length: Bytes of the part.
    """
    if notation is Notation.HEX:
        return 2 * start, 2 * length
    if notation is Notation.BASE64:
        # four letters hold three bytes
        begin = start // 3 * 4
        return begin, (start + length + 2) // 3 * 4 - begin
    if notation is Notation.YAML:
        return 0, len(raw)
    units = [match.span() for match in islice(_UNITS[notation].finditer(raw), start, start + length)]
    return (units[0][0], units[-1][1] - units[0][0]) if units else (len(raw), 0)


def _of_backslashed(match: "re.Match[bytes]") -> bytes:
    text = match[0]
    return b"'" if text == b"''" else _LETTERS_OF_MYSQL.get(text[1:], text[1:])


def _of_copy(match: "re.Match[bytes]") -> bytes:
    text = match[0][1:]
    if text[:1].isdigit():
        return bytes([int(text, 8) & 0xFF])
    if text[:1] == b"x" and len(text) > 1:
        return bytes([int(text[1:], 16)])
    return _LETTERS_OF_COPY.get(text, text)


def _of_copy_bytea(match: "re.Match[bytes]") -> bytes:
    text = match[0]
    if text == rb"\\\\":
        return b"\\"
    return _octal(text[2:]) if text.startswith(rb"\\") and len(text) > 2 else _of_copy(match)


def _of_quoted_bytea(match: "re.Match[bytes]") -> bytes:
    text = match[0]
    if text == b"''":
        return b"'"
    return b"\\" if text == rb"\\" else _octal(text[1:])


def _octal(digits: bytes) -> bytes:
    number = int(digits, 8)
    if number > 0xFF:
        raise ValueError
    return bytes([number])


# MySQL has \0 \b \n \r \t \Z; COPY has \b \f \n \r \t \v
_LETTERS_OF_MYSQL = {bytes([letter]): bytes([_LETTERS[letter]]) for letter in b"bnrt0Z"}
_LETTERS_OF_COPY = {bytes([letter]): bytes([_LETTERS[letter]]) for letter in b"bfnrtv"}
_STANDS_FOR: dict[Notation, Callable[["re.Match[bytes]"], bytes]] = {
    Notation.BACKSLASHED: _of_backslashed,
    Notation.QUOTED: lambda _: b"'",
    Notation.COPY: _of_copy,
    Notation.COPY_BYTEA: _of_copy_bytea,
    Notation.QUOTED_BYTEA: _of_quoted_bytea,
}
