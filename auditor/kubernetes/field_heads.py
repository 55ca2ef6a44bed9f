"""The heads of protobuf fields at many positions at once: number, wire type, and where the content is."""

from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.protobuf_wire import BYTES, FIXED32, FIXED64, LONGEST, VARINT, varint_at

MOST_FIELDS = 64
"""Field numbers that a declared message may have."""
_U, _H = np.uint64, np.uint32
MOST = (1 << 62) - 1
"""Numbers above it are read as this one: as lengths they are beyond every buffer."""
_FIXED: Ints = np.array([-1, 8, -1, -1, -1, 4, -1, -1], np.int64)
"""Bytes of the content by wire type; -1 for one that states them, and for one that is none."""
_DECLARED: Bools = np.isin(np.arange(8), (VARINT, BYTES))
"""Wire types of the fields that are declared."""


class Heads(NamedTuple):
    """The field at each of n positions: columns of shape (n,)."""

    number: Ints
    """Its number; 0, which none has, of one that is neither a varint nor a text, or has a number above the declared."""
    text: Bools
    value: Ints
    """Value of a varint, or bytes of a text."""
    start: Ints
    length: Ints
    """Start and bytes of the content."""
    good: Bools
    """Whether the field is well formed; its end is not looked at."""


def heads_at(buffer: Buffer, at: Ints) -> Heads:
    """The fields at some positions: in columns those with a tag of one byte and a varint of two, which are most."""
    near = buffer.words(at).astype(np.uint32)
    # of wire types 0 and 2, which these are, the bit of 2 tells texts
    second = (near >> _H(15)) & _H(1)
    value = ((near >> _H(8)) & _H(0x7F)) | (((near >> _H(9)) & _H(0x3F80)) * second)
    text = (near & _H(BYTES)) != 0
    size = second + _H(1)
    heads = Heads(
        number=((near & _H(0xFF)) >> _H(3)).astype(np.int64),
        text=text,
        value=value.astype(np.int64),
        start=at + (size * text + _H(1)),
        length=np.where(text, value, size).astype(np.int64),
        good=np.ones(at.size, np.bool_),
    )
    long = ((near & _H(0x85)) != 0) | ((near & _H(0x808000)) == _H(0x808000))
    if long.any():
        rows = np.flatnonzero(long)
        _correct(buffer, at, rows, heads)
    return heads


def _correct(buffer: Buffer, at: Ints, rows: Ints, heads: Heads) -> None:
    """Correct the fields of other wire types, and those with a tag of two bytes or a varint of four."""
    words = buffer.words(at[rows])
    wide = (words & _U(0x80)) != 0
    tag_size = wide + np.int64(1)
    tag = (words & _U(0x7F)) | np.where(wide, (words >> _U(1)) & _U(0x3F80), _U(0))
    rest = words >> (tag_size << 3).view(np.uint64)
    stops = ~rest & _U(0x80808080)
    octets = rest & (stops ^ (stops - _U(1)))
    value = (octets & _U(0x7F)) | ((octets >> _U(1)) & _U(0x3F80))
    value |= ((octets >> _U(2)) & _U(0x1FC000)) | ((octets >> _U(3)) & _U(0xFE00000))
    value_size = (np.bitwise_count(stops ^ (stops - _U(1))) >> np.uint8(3)).astype(np.int64)
    wire = (tag & _U(7)).view(np.int64)
    text = wire == BYTES
    number = (tag >> _U(3)).view(np.int64)
    heads.number[rows] = np.where(_DECLARED[wire] & (number < MOST_FIELDS), number, 0)
    heads.text[rows], heads.value[rows] = text, value.view(np.int64)
    heads.start[rows] = at[rows] + tag_size + np.where(text, value_size, 0)
    heads.length[rows] = np.where(text, value.view(np.int64), np.where(wire == VARINT, value_size, _FIXED[wire]))
    heads.good[rows] = heads.length[rows] >= 0
    longer = (wide & ((words & _U(0x8000)) != 0)) | ((stops == 0) & ((wire == VARINT) | text))
    _read_long(buffer, at, rows[longer], heads)


def _read_long(buffer: Buffer, at: Ints, rows: Ints, heads: Heads) -> None:
    """Correct the fields with a tag or a varint too long for _correct()."""
    for row in rows.tolist():
        raw = buffer.slice(int(at[row]), 2 * LONGEST)
        tag = varint_at(raw, 0, len(raw))
        wire = tag[0] & 7 if tag is not None else -1
        heads.good[row] = tag is not None and wire in (VARINT, FIXED64, BYTES, FIXED32)
        if tag is None or not heads.good[row]:
            continue
        number = varint_at(raw, tag[1], len(raw)) if wire in (VARINT, BYTES) else (0, tag[1])
        heads.good[row] = number is not None
        value, end = number or (0, 0)
        declared = wire in (VARINT, BYTES) and tag[0] >> 3 < MOST_FIELDS
        heads.number[row], heads.text[row] = tag[0] >> 3 if declared else 0, wire == BYTES
        heads.value[row] = value = min(value, MOST)
        heads.start[row] = at[row] + (end if wire == BYTES else tag[1])
        heads.length[row] = value if wire == BYTES else end - tag[1] if wire == VARINT else _FIXED[wire]
