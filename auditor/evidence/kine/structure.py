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
from auditor.evidence.kine.schema import Table
from auditor.evidence.kine.stale import STATISTICS
from auditor.evidence.ledger import Intervals as Stretches

LARGEST_ROOT = 52
"""Offset of the header's field that is not zero in a database with pointer maps."""
ENTRY = 5
"""Bytes of an entry of a pointer map: the kind of a page, and the number of the one that names it."""
KINDS = 5
"""The kinds of page in pointer maps, from 1 on."""
_HEADER = 64
"""Bytes of a header of a record of statistics at most."""

_STATEMENT = re.compile(rb"CREATE (?:TABLE|(?:UNIQUE )?INDEX)[ A-Za-z0-9_,().!=<>*+\"`'\[\]\t\r\n-]{1,1000}")
"""What kine and SQLite themselves create: no view, no trigger, no text in it that is not a name or a number."""
ZERO, ZEROS = 72, 20
"""Offset and length of the header's bytes that are reserved, and zero."""


def expansion(buffer: Buffer) -> Stretches:
    """The bytes of a database's header that SQLite leaves zero."""
    return _filled(buffer, np.array([ZERO], np.int64), np.array([ZERO + ZEROS], np.int64))


def reserved(buffer: Buffer, pages: Pages, page_size: int, usable: int) -> Stretches:
    """The bytes at the end of pages that the header reserves for an extension, where they are not zero."""
    if usable == page_size:
        return Stretches(np.zeros(0, np.int64), np.zeros(0, np.int64))
    return _filled(buffer, pages.at + usable, np.minimum(pages.at + page_size, buffer.size))


def _filled(buffer: Buffer, start: Ints, end: Ints) -> Stretches:
    filled = buffer.nonzero(start, end)
    return Stretches(start[filled], end[filled])


def odd_keys(buffer: Buffer, keys: Cells) -> Stretches:
    """The entries of indexes that hold anything but a name and numbers: kine's are of names, ids and revisions."""
    decoded = records.decode(buffer, keys.payload, keys.local, keys.size, records.INDEXED)
    sound = decoded.good & (keys.local == keys.size)
    for column in range(records.INDEXED):
        at, length = decoded.text(column)
        texts = np.flatnonzero(sound & (length > 0))
        sound[texts] = (decoded.serial[column][texts] % 2 == 1) & printable(buffer, at[texts], length[texts])
    return Stretches(keys.payload[~sound], (keys.payload + keys.local)[~sound])


def odd_entries(buffer: Buffer, cells: Cells) -> Stretches:
    """The rows of sqlite_schema that create something else than a table or an index."""
    decoded = records.decode(buffer, cells.payload, cells.local, cells.size, 5)
    sound = decoded.good & (cells.local == cells.size)
    texts = [decoded.text(column) for column in (0, 1, 2, 4)]
    for row in np.flatnonzero(sound).tolist():
        kind, *names, sql = (buffer.slice(int(at[row]), max(int(length[row]), 0)) for at, length in texts)
        sound[row] = (
            kind in (b"table", b"index")
            and all(name.isascii() and len(name) <= _HEADER for name in names)
            and (not sql or _STATEMENT.fullmatch(sql) is not None)
        )
    return Stretches(cells.payload[~sound], (cells.payload + cells.local)[~sound])


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
