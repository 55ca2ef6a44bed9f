"""Fields of many protobuf messages at once, by columns: the contents of those that a message type declares.

One step reads one field of every message that is not yet at its end; the messages inside it become rows of the next
step. What is declared is a compiled message (auditor/protobuf/); all other fields are skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import parallel_for
from auditor.evidence.protobuf_wire import BYTES, FIXED32, FIXED64, LONGEST, VARINT, WireError, fields, varint_at

ENVELOPE = 4
"""Bytes of `k8s\\0`, before the envelope."""
MOST_FIELDS = 64
"""Field numbers that a declared message may have."""
CHUNK = 1 << 11
"""Messages that are walked together: their columns stay in the processor's cache."""
FEW = 32
"""Messages below which a step by columns takes longer than a loop: one message may have a million fields."""


@dataclass(frozen=True, slots=True)
class Leaves(Columns):
    """n declared fields that hold no message: columns of shape (n,), int64."""

    row: Ints
    """Row of the message that was walked."""
    field: Ints
    """Index of the field in Schema.leaves."""
    parent: Ints
    """Number of the message that holds the field, unique in one walk."""
    at: Ints
    """Position of the content; of a number its value."""
    size: Ints
    """Bytes of the content; -1 of a number."""

    @classmethod
    def none(cls) -> "Leaves":
        """No fields."""
        return cls(*(np.zeros(0, np.int64) for _ in range(5)))


class Schema(NamedTuple):
    """The declared fields below some message types, as tables."""

    roots: dict[str, int]
    """Code of each message type, by name."""
    leaves: list[tuple[str, str]]
    """Name of the message type and of the field, of every declared field that holds no message."""
    table: NDArray[np.int32]
    """By message code and field number: 0 for a field that is skipped, code + 1 of a message, -1 - index of a leaf."""

    def field(self, message: str, name: str) -> int:
        """The index in `leaves`."""
        return self.leaves.index((message, name))


@cache
def schema(module: Any) -> Schema:
    """The schema of all message types of a compiled module."""
    types = module.DESCRIPTOR.message_types_by_name
    roots = {name: code for code, name in enumerate(types)}
    leaves: list[tuple[str, str]] = []
    table = np.zeros((len(roots), MOST_FIELDS), np.int32)
    for name, message in types.items():
        for field in message.fields:
            if field.message_type is not None:
                table[roots[name], field.number] = roots[field.message_type.name] + 1
            else:
                leaves.append((name, field.name))
                table[roots[name], field.number] = -len(leaves)
    return Schema(roots, leaves, table)


class _Front(NamedTuple):
    """Messages of which a field is read next: columns of shape (n,)."""

    at: Ints
    end: Ints
    row: Ints
    message: Ints
    number: Ints


def walk(buffer: Buffer, at: Ints, size: Ints, message: Ints, tables: Schema) -> tuple[Leaves, Bools]:
    """The declared fields in n messages, and which of the messages are malformed: shape (n,).

    Args:
        buffer: The bytes.
        at: Positions of the messages.
        size: Their bytes.
        message: Code of each message's type.
        tables: The declared fields.
    """
    malformed = np.zeros(at.size, np.bool_)
    parts: dict[int, list[Leaves]] = {}
    counts: dict[int, int] = {}

    def work(part: slice) -> None:
        rows = np.arange(part.start, part.stop)
        end = np.minimum(at[part] + size[part], buffer.size)
        front = _Front(at[part], end, rows, message[part].astype(np.int64), np.arange(rows.size))
        front = _Front(*(column[size[part] > 0] for column in front))
        chunk = _Walk(buffer, tables, malformed, rows.size)
        parts[part.start] = list(chunk.steps(front))
        counts[part.start] = chunk.count

    parallel_for(at.size, work, size=CHUNK)
    leaves, numbers = [Leaves.none()], 0
    for start in sorted(parts):
        # numbers are unique in a chunk: shifted, they are in all
        leaves.extend(replace(part, parent=part.parent + numbers) for part in parts[start])
        numbers += counts[start]
    return Leaves.concatenate(leaves), malformed


class _Walk:
    """The walk of one chunk."""

    def __init__(self, buffer: Buffer, tables: Schema, malformed: Bools, count: int) -> None:
        self._buffer, self._tables, self._malformed = buffer, tables, malformed
        self.count = count

    def steps(self, front: _Front) -> Iterator[Leaves]:
        """The leaves, step by step."""
        while front.at.size > FEW:
            leaves, front = self._step(front)
            if len(leaves):
                yield leaves
        yield self._loop(front)

    def _step(self, front: _Front) -> tuple[Leaves, _Front]:
        """One field of every message: its leaves, and what is read next."""
        heads = _heads(self._buffer, front.at)
        wire, start, length = heads.wire, heads.start, heads.length
        # compared without a sum: a length may be as large as a number can be
        good = heads.good & (length <= front.end - start)
        if not good.all():
            self._malformed[front.row[~good]] = True
        field = np.where(good & (heads.number < MOST_FIELDS), heads.number, 0)
        target = self._tables.table.ravel()[front.message * MOST_FIELDS + field]
        leaf = np.flatnonzero((target < 0) & ((wire == BYTES) | (wire == VARINT)))
        inner = np.flatnonzero((target > 0) & (wire == BYTES) & (length > 0))
        text = wire[leaf] == BYTES
        leaves = Leaves(
            row=front.row[leaf],
            field=-1 - target[leaf].astype(np.int64),
            parent=front.number[leaf],
            at=np.where(text, start[leaf], heads.value[leaf]),
            size=np.where(text, length[leaf], -1),
        )
        numbers = np.arange(self.count, self.count + inner.size)
        self.count += inner.size
        after = start + length
        follow = np.flatnonzero(good & (after < front.end))
        return leaves, _Front(
            at=np.concatenate((after[follow], start[inner])),
            end=np.concatenate((front.end[follow], after[inner])),
            row=np.concatenate((front.row[follow], front.row[inner])),
            message=np.concatenate((front.message[follow], target[inner].astype(np.int64) - 1)),
            number=np.concatenate((front.number[follow], numbers)),
        )

    def _loop(self, front: _Front) -> Leaves:
        """The leaves in the last few messages, without columns."""
        cells: list[tuple[int, int, int, int, int]] = []
        stack = list(zip(*(column.tolist() for column in front), strict=True))
        while stack:
            at, end, row, message, parent = stack.pop()
            raw = self._buffer.slice(at, max(end - at, 0))
            try:
                for number, wire, start, stop in fields(raw, 0, len(raw)):
                    target = int(self._tables.table[message, number]) if number < MOST_FIELDS else 0
                    if target > 0 and wire == BYTES:
                        stack.append((at + start, at + stop, row, target - 1, self.count))
                        self.count += 1
                    elif target < 0 and wire == BYTES:
                        cells.append((row, -1 - target, parent, at + start, stop - start))
                    elif target < 0 and wire == VARINT:
                        cells.append((row, -1 - target, parent, min(start, _MOST), -1))
            except WireError:
                self._malformed[row] = True
        table = np.array(cells, np.int64).reshape(-1, 5)
        return Leaves(*table.T.copy())


class _Heads(NamedTuple):
    """The field at each of n positions: columns of shape (n,)."""

    number: Ints
    wire: Ints
    value: Ints
    """Value of a varint, or bytes of a text."""
    start: Ints
    length: Ints
    """Start and bytes of the content."""
    good: Bools
    """Whether the field is well formed; its end is not looked at."""


def _heads(buffer: Buffer, at: Ints) -> _Heads:
    """The fields at some positions. One gather reads two bytes of a tag and four of a length: nearly every field."""
    words = buffer.words(at)
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
    start = at + tag_size + np.where(text, value_size, 0)
    length = np.where(text, value.view(np.int64), np.where(wire == VARINT, value_size, _FIXED[wire]))
    heads = _Heads((tag >> _U(3)).view(np.int64), wire, value.view(np.int64), start, length, length >= 0)
    long = (wide & ((words & _U(0x8000)) != 0)) | ((stops == 0) & ((wire == VARINT) | text))
    if long.any():
        _read_long(buffer, at, np.flatnonzero(long), heads)
    return heads


def _read_long(buffer: Buffer, at: Ints, rows: Ints, heads: _Heads) -> None:
    """Correct the fields with a tag or a varint too long for _heads()."""
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
        heads.number[row], heads.wire[row] = min(tag[0] >> 3, MOST_FIELDS), wire
        heads.value[row] = value = min(value, _MOST)
        heads.start[row] = at[row] + (end if wire == BYTES else tag[1])
        heads.length[row] = value if wire == BYTES else end - tag[1] if wire == VARINT else _FIXED[wire]


_U = np.uint64
_MOST = (1 << 62) - 1
"""Numbers above it are read as this one: as lengths they are beyond every buffer."""
_FIXED: Ints = np.array([-1, 8, -1, -1, -1, 4, -1, -1], np.int64)
"""Bytes of the content by wire type; -1 for one that states them, and for one that is none."""


def unwrap(buffer: Buffer, at: Ints, size: Ints) -> tuple[Ints, Ints, Bools]:
    """Position and bytes of the objects in envelopes (runtime.Unknown), and whether each envelope is as Go writes it.

    `k8s\\0`, the type in field 1 of less than 128 bytes, the object in field 2.
    """
    head = at + ENVELOPE
    whole = (size > ENVELOPE + 2) & buffer.starts_with(head, size - ENVELOPE, b"\x0a")
    type_size = (buffer.words(head + 1) & np.uint64(0xFF)).astype(np.int64)
    raw = head + 2 + type_size
    end = at + size
    whole &= (type_size < 0x80) & (raw < end)
    raw = np.where(whole, raw, at)
    whole &= (buffer.words(raw) & np.uint64(0xFF)) == np.uint64(0x12)
    length, length_size = varints(buffer.words(raw + 1))
    start = raw + 1 + length_size
    whole &= (length_size > 0) & (start <= end) & (length <= end - start)
    return start, np.where(whole, length, 0), whole


ENVELOPE = 4
"""Bytes of `k8s\\0`."""
