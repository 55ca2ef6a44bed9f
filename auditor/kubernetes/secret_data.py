"""The data values of many Secrets at once, by position: array arithmetic where an object is a plain v1 Secret.

Field numbers: k8s.io/api core/v1 (generated.proto): Secret.metadata 1, data 2, type 3, stringData 4, immutable 5; an
entry of a map has its key in field 1 and its value in field 2. Go writes both, in this order, even where one is empty.
"""

from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.kubernetes import objects, plausibility

MOST_FIELDS = 64
"""Fields of a Secret that are looked at for all Secrets together; one with more has a parser of its own."""
_METADATA, _DATA, _TYPE, _STRING_DATA, _IMMUTABLE = 0x0A, 0x12, 0x1A, 0x22, 0x28
_KEY, _VALUE = 0x0A, 0x12
"""Tags of an entry's fields."""
_OCTET = np.uint64(0xFF)
_TAG_BITS = np.uint64(8)
_LONGEST_SIZE = 5
"""Bytes of a length."""


@dataclass(frozen=True, slots=True)
class DataEntries(Columns):
    """n data values of Secrets of one buffer, in the order of the Secrets: columns of shape (n,)."""

    secret: Ints
    """Number of the Secret, an index into the positions that entries() takes."""
    name_at: Ints
    """Position of the value's name."""
    name_len: Ints
    """Bytes of the name."""
    value_at: Ints
    """Position of the value."""
    value_len: Ints
    """Bytes of the value."""


def entries(buffer: Buffer, at: Ints, length: Ints) -> tuple[DataEntries, Bools]:
    """The data values of the Secrets that are plain, and which ones are; the others need objects.data().

    Args:
        buffer: The bytes.
        at: Positions of the stored values.
        length: Their bytes, int64.
    """
    start = at + len(objects.SECRET)
    size, width = varints(buffer.words(np.minimum(start, buffer.size)))
    cursor = start + width
    end = cursor + size
    # the envelope ends in two empty texts, and holds nothing else behind the object
    plain = buffer.starts_with(at, length, objects.SECRET) & _sized(width) & (end + len(objects.PLAIN) == at + length)
    plain &= buffer.starts_with(np.where(plain, end, 0), np.where(plain, len(objects.PLAIN), 0), objects.PLAIN)
    found: list[DataEntries] = []
    rows = np.flatnonzero(plain & (cursor < end))
    for _ in range(MOST_FIELDS):
        if not rows.size:
            break
        words = buffer.words(cursor[rows])
        tag = words & _OCTET
        inner, width = varints(words >> _TAG_BITS)
        content = cursor[rows] + 1 + width
        after = np.where(tag == _IMMUTABLE, content, content + inner)
        fits = _sized(width) & (after <= end[rows]) & np.isin(tag, (_METADATA, _DATA, _TYPE, _STRING_DATA, _IMMUTABLE))
        is_data = fits & ((tag == _DATA) | (tag == _STRING_DATA))
        part, whole = _entry(buffer, rows[is_data], content[is_data], after[is_data])
        fits[is_data] &= whole
        found.append(part)
        plain[rows[~fits]] = False
        cursor[rows] = after
        rows = rows[fits & (after < end[rows])]
    plain[rows] = False
    every = DataEntries.concatenate(found or [_entry(buffer, *(np.zeros(0, np.int64),) * 3)[0]])
    every = every.take(plain[every.secret])
    return every.take(np.argsort(every.secret, kind="stable")), plain


def _sized(width: Ints) -> Bools:
    sized: Bools = (width > 0) & (width <= _LONGEST_SIZE)
    return sized


def _entry(buffer: Buffer, secret: Ints, at: Ints, end: Ints) -> tuple[DataEntries, Bools]:
    """The entry of a map between two positions, and whether it is one as Go writes it."""
    words = buffer.words(at)
    name_len, width = varints(words >> _TAG_BITS)
    name_at = at + 1 + width
    name_end = name_at + name_len
    whole = ((words & _OCTET) == _KEY) & _sized(width) & (name_end < end)
    words = buffer.words(np.where(whole, name_end, 0))
    value_len, width = varints(words >> _TAG_BITS)
    value_at = name_end + 1 + width
    whole &= ((words & _OCTET) == _VALUE) & _sized(width) & (value_at + value_len == end)
    return DataEntries(secret, name_at, name_len, value_at, value_len), whole


def names(buffer: Buffer, table: DataEntries) -> tuple[list[bytes], Ints]:
    """The distinct names of the values (plausibility.data_name()), and of each value the index of its own."""
    codes, heads = factorize(buffer, table.name_at, table.name_len)
    texts = list(map(plausibility.data_name, buffer.slices(table.name_at[heads], table.name_len[heads])))
    number_of = {name: number for number, name in enumerate(dict.fromkeys(texts))}
    numbers = np.fromiter(map(number_of.__getitem__, texts), np.int64, len(texts))
    return list(number_of), numbers[codes]
