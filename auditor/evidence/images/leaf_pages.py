"""Leaf pages of etcd's `key` bucket at any offset of an image, by the revision keys in them.

The elements of a leaf stand in a table behind its header, and the first key behind the table: from that key the header
is looked for, element by element. A page says its number, and never the size of a page or its file.
Format: bbolt internal/common/page.go and inode.go; etcd server/storage/mvcc/revision.go.
"""

from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import ranges
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt.elements import ELEMENT, Leaves
from auditor.evidence.bbolt.meta import HEADER
from auditor.evidence.etcd import mvcc
from auditor.evidence.ledger import Account, Ledger
from auditor.model.vocabulary import PageKind, Place

BEFORE = 8
"""Bytes of a revision key before its separator."""
LARGEST_NUMBER, LARGEST_OVERFLOW = 1 << 40, 1 << 16
"""Page ids, and pages behind a header, that a database of etcd's may have."""
_LOW, _HIGH = np.uint64(0xFFFFFFFF), np.uint64(32)


class LeafPages(NamedTuple):
    """n pages, ascending, and the records in them."""

    at: Ints
    """Where the header begins."""
    number: Ints
    """Page id."""
    end: Ints
    """The position behind its last record."""
    records: RecordBatch
    owner: Ints
    """Row of each record's page."""
    separators: Ints
    """Where the separator of each record's revision key stands."""
    proven: Bools
    """Whether the record behind each one stands where the page says: its own bytes are the page's."""


def read(buffer: Buffer, source: str, separators: Ints, ledger: Ledger) -> LeafPages:
    """The pages and records around the separators of revision keys.

    Args:
        buffer: The image.
        source: Its name.
        separators: Where the separators stand, ascending.
        ledger: Of the image.
    """
    first = separators[separators >= BEFORE + HEADER + ELEMENT] - BEFORE
    at, count = _headers(buffer, first)
    number = buffer.words(at).astype(np.int64)
    leaves, owner = _elements(buffer, at, count, number)
    records, rows = mvcc.read_freed(buffer, source, leaves, ledger, exact=True)
    records.place[:] = Place.UNPLACED
    owner = owner[rows]
    # a record is followed by the next one of its page: what stands between the two is contiguous
    proven = np.zeros(rows.size, np.bool_)
    proven[:-1] = (owner[1:] == owner[:-1]) & (rows[1:] == rows[:-1] + 1)
    end = at.copy()
    np.maximum.at(end, owner, (leaves.value_at + leaves.value_len)[rows])
    kept = end > at
    ledger.add(Account.STRUCTURE, at[kept], (at + HEADER + ELEMENT * count)[kept])
    new = np.cumsum(kept) - 1
    separators = leaves.key_at[rows] + BEFORE
    return LeafPages(
        at=at[kept],
        number=number[kept],
        end=end[kept],
        records=records,
        owner=new[owner],
        separators=separators,
        proven=proven,
    )


def _headers(buffer: Buffer, key_at: Ints) -> tuple[Ints, Ints]:
    """Where the pages begin whose first key is one of these, and their elements; ascending.

    Step by step the table is read from its end: an element that is none ends the search for its key.
    """
    found: list[tuple[Ints, Ints]] = []
    element, step = key_at.copy(), 0
    while element.size and step < 0xFFFF:
        step += 1
        element = element - ELEMENT
        keep = element >= HEADER
        element = element[keep]
        flags = buffer.words(element)
        sizes = buffer.words(element + 8)
        key_len = sizes & _LOW
        keep = ((flags & _LOW) == 0) & ((key_len == mvcc.REVISION) | (key_len == mvcc.TOMBSTONE))
        element, pos = element[keep], (flags >> _HIGH)[keep].astype(np.int64)
        head = np.flatnonzero(pos == ELEMENT * step)
        header = buffer.words(element[head] - 8)
        sound = (header & np.uint64(0xFFFF)) == PageKind.LEAF
        sound &= ((header >> np.uint64(16)) & np.uint64(0xFFFF)) == step
        sound &= (header >> _HIGH) < LARGEST_OVERFLOW
        sound &= buffer.words(element[head] - HEADER) - np.uint64(2) < LARGEST_NUMBER
        found.append((element[head][sound] - HEADER, np.full(int(sound.sum()), step, np.int64)))
        others = np.ones(element.size, np.bool_)
        others[head[sound]] = False
        element = element[others]
    at = np.concatenate([np.zeros(0, np.int64), *(each for each, _ in found)])
    count = np.concatenate([np.zeros(0, np.int64), *(each for _, each in found)])
    order = np.argsort(at, kind="stable")
    return at[order], count[order]


def _elements(buffer: Buffer, at: Ints, count: Ints, number: Ints) -> tuple[Leaves, Ints]:
    """The elements whose keys are revisions where their page says, and the row of each one's page."""
    owner = np.repeat(np.arange(at.size), count)
    cell = ranges(at + HEADER, count, ELEMENT)
    flags, sizes = buffer.words(cell), buffer.words(cell + 8)
    key_len, value_len = (sizes & _LOW).astype(np.int64), (sizes >> _HIGH).astype(np.int64)
    key_at = cell + (flags >> _HIGH).astype(np.int64)
    value_at = key_at + key_len
    valid = ((flags & _LOW) == 0) & ((key_len == mvcc.REVISION) | (key_len == mvcc.TOMBSTONE))
    valid &= (key_at >= np.repeat(at + HEADER + ELEMENT * count, count)) & (value_at < buffer.size)
    # bbolt writes keys and values one behind the other: an element that does not follow is not this page's
    valid[1:] &= (owner[1:] != owner[:-1]) | (key_at[1:] == (value_at + value_len)[:-1])
    value_len = np.minimum(value_len, np.maximum(buffer.size - value_at, 0))
    leaves = Leaves.of(
        flags=np.zeros(cell.size, np.uint8),
        key_at=key_at,
        key_len=key_len,
        value_at=value_at,
        value_len=value_len,
        page=np.repeat(number, count),
    )
    return leaves.take(valid), owner[valid]
