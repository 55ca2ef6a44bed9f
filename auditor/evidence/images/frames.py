"""Frames of etcd's write-ahead log at any offset of an image, and the puts in them.

A frame is accepted where its length, its record and its entry fit into each other to the last byte. Its checksum
continues that of the record before it: where that record lies right before, it says whether the frame is whole.
Format: etcd server/storage/wal/encoder.go, walpb/record.proto.
"""

from typing import NamedTuple

import crc32c
import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.etcd import wire
from auditor.evidence.etcd.wal_records import ENTRY
from auditor.evidence.ledger import Account, Ledger
from auditor.model.vocabulary import Place, State

LENGTH_BEFORE = 3
"""Bytes of a frame's length before the four that are zero, where the signature begins."""
_LENGTH = np.uint64((1 << 56) - 1)
_TOP = np.uint64(56)


class Frames(NamedTuple):
    """n frames, ascending: columns of shape (n,)."""

    at: Ints
    stop: Ints
    records: RecordBatch
    """The puts of entries, place UNPLACED, ordinal the raft index."""


def read(buffer: Buffer, source: str, marks: Ints, ledger: Ledger) -> Frames:
    """The frames whose signature begins at these positions, and their puts.

    Args:
        buffer: The image.
        source: Its name.
        marks: Where the signature begins, ascending.
        ledger: Of the image.
    """
    at = marks[marks >= LENGTH_BEFORE] - LENGTH_BEFORE
    length = buffer.words(at)
    top = (length >> _TOP).astype(np.int64)
    end = at + wire.LENGTH_FIELD + (length & _LENGTH).astype(np.int64)
    stop = end + np.where(top >= 0x80, top & 7, 0)
    fits = (stop <= buffer.size) & ((stop - at) % wire.ALIGNED == 0)
    at, end, stop = at[fits], end[fits], stop[fits]
    regular, (kind, crc, data) = wire.messages(buffer, at + wire.LENGTH_FIELD, end, (b"\x08", b"\x10", b"\x1a"))
    regular &= kind.present & crc.present & (data.stop > data.value) & (data.stop == end)
    rows = np.flatnonzero(regular)
    at, stop, start, end = at[rows], stop[rows], data.value[rows], data.stop[rows]
    stored = crc.value[rows] & 0xFFFFFFFF
    entry = np.flatnonzero(kind.value[rows] == ENTRY)
    columns = wire.entries(buffer, start[entry], end[entry])
    whole = columns.regular
    torn = _torn(buffer, (at, stop, start, end), stored)[entry]
    owner, key_at, key_len, value_at, value_len = columns.puts.T
    records = RecordBatch.of(
        source,
        buffer,
        mapped=True,
        place=Place.UNPLACED,
        key_at=key_at.copy(),
        key_len=key_len,
        value_at=value_at.copy(),
        value_len=value_len,
        ordinal=columns.raft_index[owner],
        state=np.where(torn[owner], np.uint8(State.BAD_CHECKSUM), np.uint8(0)),
    )
    entry = entry[whole]
    ledger.add(Account.STRUCTURE, at[entry], start[entry])
    ledger.chain(
        start[entry][np.searchsorted(np.flatnonzero(whole), owner)],
        (Account.STRUCTURE, records.key_at),
        (Account.ROW, records.key_at + records.key_size),
        (Account.STRUCTURE, records.value_at),
        (Account.ROW, records.value_at + records.value_size),
    )
    return Frames(at[entry], stop[entry], records)


def _torn(buffer: Buffer, where: tuple[Ints, Ints, Ints, Ints], stored: Ints) -> Bools:
    """Which frames do not continue the checksum of the frame that lies right before them.

    Args:
        buffer: The image.
        where: Where frames begin and end, and their data do.
        stored: The checksum of each.
    """
    at, stop, start, end = where
    order = np.argsort(stop, kind="stable")
    before = np.searchsorted(stop[order], at)
    before = np.where(before < stop.size, order[np.minimum(before, stop.size - 1)], UNKNOWN) if stop.size else before
    known = np.flatnonzero((before >= 0) & (stop[np.maximum(before, 0)] == at)) if stop.size else before
    torn = np.zeros(at.size, np.bool_)
    view, checksum = memoryview(buffer.data.data), crc32c.crc32c
    for row in known.tolist():
        actual = checksum(view[int(start[row]) : int(end[row])], int(stored[before[row]]))
        torn[row] = actual != stored[row]
    return torn
