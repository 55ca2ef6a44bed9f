"""Bytes of a SQLite file that hold no values and are checked to be what they ought to be.

Format: sqlite.org fileformat2.html, section 1.8 (Pointer Map or Ptrmap Pages), 2.6.3 (The sqlite_stat1 table).
"""

import re
from collections.abc import Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.kine import file_format
from auditor.evidence.kine.image import Image
from auditor.evidence.kine.pages import Cells
from auditor.evidence.kine.schema import Table
from auditor.evidence.kine.stale import STATISTICS

LARGEST_ROOT = 52
"""Offset of the header's field that is not zero in a database with pointer maps."""
ENTRY = 5
"""Bytes of an entry of a pointer map: the kind of a page, and the number of the one that names it."""
KINDS = 5
"""The kinds of page in pointer maps, from 1 on."""
_HEADER = 64
"""Bytes of a header of a record of statistics at most."""


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
