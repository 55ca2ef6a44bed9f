"""Records of a table as columns: which bytes of a payload are which column's (fileformat2.html, section 2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.kine import file_format

INDEXED = 8
"""Columns of an index and its rowid: kine's have up to four."""


@dataclass(frozen=True, slots=True)
class Records(Columns):
    """n records of one buffer. at: where the payload begins; serial, begin: of shape (columns, n), the serial type of
    each column and how far behind `at` its bytes begin. good: which records hold together.
    """

    buffer: Buffer
    at: Ints
    serial: Ints
    begin: Ints
    size: Ints
    good: Bools

    def number(self, column: int) -> Ints:
        """An integer column; 0 where it holds none."""
        serial = self.serial[column]
        size = np.where((serial > 0) & (serial < 7), file_format.serial_size(serial), 0)
        found: Ints = file_format.signed(self.buffer.words(self.at + self.begin[column]), size)
        return np.where(serial == 9, 1, found)

    def text(self, column: int) -> tuple[Ints, Ints]:
        """Position and length of a text or blob; length -1 where the column holds none."""
        serial = self.serial[column]
        return self.at + self.begin[column], np.where(serial >= 12, file_format.serial_size(serial), -1)

    def numeric(self, columns: Sequence[int]) -> Bools:
        """Which records hold neither text nor blob in any of these columns."""
        found: Bools = np.logical_and.reduce(self.serial[list(columns)] < 12, axis=0)
        return found


def decode(buffer: Buffer, at: Ints, local: Ints, size: Ints, columns: int, *, headless: bool = False) -> Records:
    """Records of `columns` columns; local: bytes that lie at `at`; size: of the payload, 0 where it is not known.

    A record may be older than its table's last columns: they are NULL then. headless: the first byte, the size of the
    record's header, is gone; it has all columns then.
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
    for column in range(columns):
        going = (place < end) & good
        value, taken = file_format.varints(buffer.words(at + place))
        good &= ~going | ((taken > 0) & (value < 1 << 40) & (value != 10) & (value != 11))
        serial[column] = np.where(going & good, value, 0)
        place = np.where(going & good, place + taken, place)
    sizes = file_format.serial_size(serial)
    begin = place + np.cumsum(sizes, axis=0) - sizes
    body = place + sizes.sum(axis=0)
    good &= ((place == end) | headless) & ((size == 0) | (body == size)) & (place > 1)
    return Records(buffer=buffer, at=at, serial=serial, begin=begin, size=body, good=good)
