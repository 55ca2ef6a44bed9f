"""Records of a table as columns: the bytes of each column in a payload (fileformat2.html, section 2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.kine import file_format

INDEXED = 8
"""Columns of an index and its rowid: kine's have up to four."""

MOST = 1 << 40
"""Numbers in a row or an index of kine's are ids, revisions, seconds and flags: smaller than this."""


@dataclass(frozen=True, slots=True)
class Records(Columns):
    """Records of one buffer: columns of shape (n,), or (columns of the table, n)."""

    buffer: Buffer
    at: Ints
    """Where the payload begins."""
    serial: Ints
    """The serial type of each column."""
    begin: Ints
    """How far behind `at` each column begins."""
    size: Ints
    """Bytes of the payload."""
    good: Bools
    """Which records hold together."""

    def number(self, column: int) -> Ints:
        """An integer column; 0 where it holds none."""
        serial = self.serial[column]
        size = np.where((serial > 0) & (serial < 7), file_format.serial_size(serial), 0)
        value: Ints = file_format.signed(self.buffer.words(self.at + self.begin[column]), size)
        return np.where(serial == 9, 1, value)

    def text(self, column: int) -> tuple[Ints, Ints]:
        """Position and length of a text or blob; length -1 where the column holds none."""
        serial = self.serial[column]
        return self.at + self.begin[column], np.where(serial >= 12, file_format.serial_size(serial), -1)

    def numeric(self, columns: Sequence[int]) -> Bools:
        """Which records hold neither text nor blob in any of these columns."""
        numeric: Bools = np.logical_and.reduce(self.serial[list(columns)] < 12, axis=0)
        return numeric


def decode(buffer: Buffer, at: Ints, local: Ints, size: Ints, columns: int, *, headless: bool = False) -> Records:
    """The records at some offsets; columns that a record's header lacks are NULL.

    Args:
        buffer: The file.
        at: Where the payloads begin.
        local: Bytes of each that lie there.
        size: Bytes of each payload, 0 where not known.
        columns: How many columns the table has.
        headless: Whether the first byte, the size of the header, is overwritten; the record has all columns then.
    """
    if headless:
        total, width = np.full(at.shape, 1 << 16, np.int64), np.ones(at.shape, np.int64)
        good = local > columns
    else:
        total, width = file_format.varints(buffer.words(at))
        good = (width > 0) & (total <= local) & (total < 1 << 16)
    end = np.where(good, total, 0)
    place = width.copy()
    serial = np.zeros((columns, at.size), np.int64)
    # column by column over all records: `place` moves through the header, whose end is `end`
    for column in range(columns):
        unfinished = (place < end) & good
        value, length = file_format.varints(buffer.words(at + place))
        good &= ~unfinished | ((length > 0) & (value < 1 << 40) & (value != 10) & (value != 11))
        serial[column] = np.where(unfinished & good, value, 0)
        place = np.where(unfinished & good, place + length, place)
    sizes = file_format.serial_size(serial)
    begin = place + np.cumsum(sizes, axis=0) - sizes
    body = place + sizes.sum(axis=0)
    good &= ((place == end) | headless) & ((size == 0) | (body == size)) & (place > 1)
    return Records(buffer=buffer, at=at, serial=serial, begin=begin, size=body, good=good)


def sound_number(serial: Ints, number: Ints) -> Bools:
    """Which columns hold nothing, or a number that kine writes: none of eight bytes, no fraction.

    serial: the types of the columns; number: their values.
    """
    sound: Bools = (serial == 0) | (((serial < 6) | (serial >= 8)) & (serial < 10) & (number >= 0) & (number < MOST))
    return sound
