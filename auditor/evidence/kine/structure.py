"""Bytes of a SQLite file that hold no values and are checked to be what they ought to be.

Format: sqlite.org fileformat2.html, section 1.3 (The Database Header), 1.6 (B-tree Pages: reserved bytes), 1.8 (Pointer
Map or Ptrmap Pages), 2.6 (The sqlite_schema table), 2.6.3 (The sqlite_stat1 table).
"""

import re
from collections.abc import Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.etcd.wire import printable
from auditor.evidence.kine import file_format, records
from auditor.evidence.kine.image import Image
from auditor.evidence.kine.pages import Cells, Pages
from auditor.evidence.kine.residue import NAMES
from auditor.evidence.kine.schema import Table
from auditor.evidence.kine.stale import STATISTICS
from auditor.evidence.ledger import Intervals as Stretches

LARGEST_ROOT = 52
"""Offset of the header's field that is not zero in a database with pointer maps."""
ENTRY = 5
"""Bytes of an entry of a pointer map: the kind of a page, and the number of the one that names it."""
FIRST_PART = 64
"""Bytes of a name, at most, before its first slash."""
KINDS = 5
"""The kinds of page in pointer maps, from 1 on."""
_HEADER = 64
"""Bytes of a header of a record of statistics at most."""

_STATEMENT = re.compile(rb"CREATE (?:TABLE|(?:UNIQUE )?INDEX)[ A-Za-z0-9_,().!=<>*+\"`'\[\]\t\r\n-]{1,1000}")
"""What kine and SQLite themselves create: no view, no trigger, no text in it that is not a name or a number."""
LONGEST_WORD = 64
_LITERAL = re.compile(rb"[xX]'|'[^']{%d,}|[A-Za-z0-9_]{%d,}" % (LONGEST_WORD, LONGEST_WORD))
"""Within a statement: a blob, as the default of a column that every row has, or a text that is longer than any name."""


def expansion(buffer: Buffer) -> Stretches:
    """The bytes of a database's header that SQLite leaves zero."""
    return _filled(buffer, *(np.array([at], np.int64) for at in file_format.ZEROS))


def reserved(buffer: Buffer, pages: Pages, page_size: int, usable: int) -> Stretches:
    """The bytes at the end of pages that the header reserves for an extension, where they are not zero."""
    if usable == page_size:
        return Stretches(np.zeros(0, np.int64), np.zeros(0, np.int64))
    return _filled(buffer, pages.at + usable, np.minimum(pages.at + page_size, buffer.size))


def _filled(buffer: Buffer, start: Ints, end: Ints) -> Stretches:
    filled = buffer.nonzero(start, end)
    return Stretches(start[filled], end[filled])


def sound_keys(buffer: Buffer, keys: Cells) -> tuple[Bools, Stretches]:
    """Which entries of indexes hold a name and numbers alone, as kine's do, and where their names lie."""
    decoded = records.decode(buffer, keys.payload, keys.local, keys.size, records.INDEXED)
    sound: Bools = decoded.good & (keys.local == keys.size)
    names = []
    for column in range(records.INDEXED):
        at, length = decoded.text(column)
        texts = np.flatnonzero(sound & (length > 0))
        sound[texts] = (decoded.serial[column][texts] % 2 == 1) & _names(buffer, at[texts], length[texts])
        texts = texts[sound[texts]]
        names.append((at[texts], (at + length)[texts]))
        numbers = np.flatnonzero(sound & (length < 0))
        sound[numbers] = records.sound_number(decoded.serial[column][numbers], decoded.number(column)[numbers])
    return sound, Stretches(*(np.concatenate(column) for column in zip(*names, strict=True)))


def _names(buffer: Buffer, at: Ints, length: Ints) -> Bools:
    """Which texts are printable and begin as names in kine do, or are paths of another kind without quotation marks."""
    begins = np.logical_or.reduce([buffer.starts_with(at, length, name) for name in NAMES])
    path = (buffer.find(at, length, ord("/"), FIRST_PART) > 0) & (buffer.find(at, length, ord('"')) < 0)
    named: Bools = (begins | path) & printable(buffer, at, length)
    return named


def sequences(buffer: Buffer, cells: Cells, tables: Sequence[Table]) -> Bools:
    """Which rows of sqlite_sequence hold a table's name and a number."""
    decoded = records.decode(buffer, cells.payload, cells.local, cells.size, 2)
    at, length = decoded.text(0)
    known = {table.name.encode() for table in tables if table.kind == "table"}
    sound: Bools = (
        decoded.good & (cells.local == cells.size) & records.sound_number(decoded.serial[1], decoded.number(1))
    )
    sound[sound] = [text in known for text in buffer.slices(at[sound], np.maximum(length, 0)[sound])]
    return sound


def sound_entries(buffer: Buffer, cells: Cells) -> Bools:
    """Which rows of sqlite_schema create a table or an index, and nothing else."""
    decoded = records.decode(buffer, cells.payload, cells.local, cells.size, 5)
    sound: Bools = decoded.good & (cells.local == cells.size)
    texts = [decoded.text(column) for column in (0, 1, 2, 4)]
    for row in np.flatnonzero(sound).tolist():
        kind, *names, sql = (buffer.slice(int(at[row]), max(int(length[row]), 0)) for at, length in texts)
        sound[row] = (
            kind in (b"table", b"index")
            and all(name.isascii() and len(name) <= _HEADER for name in names)
            and (not sql or (_STATEMENT.fullmatch(sql) is not None and _LITERAL.search(sql) is None))
        )
    return sound


def pointer_maps(image: Image, referenced: Bools) -> Ints:
    """The numbers of the pages that are pointer maps and hold nothing else; a page in their place that is not, is none.

    Args:
        image: The database.
        referenced: A mask of the pages that something refers to.
    """
    none = np.zeros(0, np.int64)
    if (
        not image.has(np.array([1]))[0]
        or not file_format.be32(image.words(np.array([1], np.int64), np.array([LARGEST_ROOT], np.int64))).any()
    ):
        return none
    most = image.usable // ENTRY
    numbers = np.arange(2, image.size + 1, most + 1, dtype=np.int64)
    numbers = numbers[image.has(numbers)]
    sound = [number for number in numbers[~referenced[numbers]].tolist() if _is_pointer_map(image, number, most)]
    return np.array(sound, np.int64) if sound else none


def _is_pointer_map(image: Image, number: int, most: int) -> bool:
    """Whether a page names a kind and a page of the database in each entry, and is zero behind the last."""
    raw = image.files[int(image.where[number])].slice(int(image.at[number]), image.usable)
    octets = np.frombuffer(raw, np.uint8)
    entries = octets[: most * ENTRY].reshape(-1, ENTRY)
    kind = entries[:, 0]
    parents = np.ascontiguousarray(entries[:, 1:]).view(">u4")[:, 0]
    # entries of pages behind the end are what is left of a longer database: their parents may lie behind it, too
    sound = ((kind >= 1) & (kind <= KINDS) & (parents <= image.size)) | ((kind == 0) & (parents == 0))
    past = np.arange(most) + number + 1 > image.size
    stale = past & (kind <= KINDS) & (parents < 1 << 24)
    return bool((sound | stale).all()) and not octets[most * ENTRY :].any() and image.size < 1 << 24


def statistics(buffer: Buffer, cells: Cells, tables: Sequence[Table]) -> Bools:
    """Which rows of sqlite_stat1 hold a table's name, an index's, and numbers, and nothing else."""
    names = b"|".join(re.escape(table.name.encode()) for table in tables)
    row = re.compile(rb"(?:%b)(?:%b)?%b" % (names, names, STATISTICS))
    sound = np.zeros(cells.page.size, np.bool_)
    for number in np.flatnonzero((cells.next == 0) & (cells.size == cells.local)).tolist():
        payload = buffer.slice(int(cells.payload[number]), int(cells.local[number]))
        header = payload[0] if payload else 0
        sound[number] = 0 < header < _HEADER and row.fullmatch(payload, header) is not None
    return sound


OWN = {"sqlite_sequence": sequences, "sqlite_stat1": statistics}
"""Which rows of SQLite's own tables are what it writes there, by the table's name."""
