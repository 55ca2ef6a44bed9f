"""Fields of many protobuf messages at once, by columns: the contents of those that a message type declares.

One step reads one field of every message that is not yet at its end; the messages inside it become rows of the next
step. What is declared is a compiled message (auditor/protobuf/); all other fields are skipped.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import parallel_for
from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields
from auditor.kubernetes.field_heads import MOST, MOST_FIELDS, heads_at

ENVELOPE = 4
"""Bytes of `k8s\\0`, before the envelope."""
CHUNK = 1 << 12
"""Messages that are walked together: their columns stay in the processor's cache."""
FEW = 32
"""Messages below which a step by columns takes longer than a loop: one message may have a million fields."""


@dataclass(frozen=True, slots=True)
class Leaves(Columns):
    """n declared fields that hold no message: columns of shape (n,)."""

    row: Ints
    """Row of the message that was walked."""
    field: NDArray[np.int16]
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
        row, parent, at, size = (np.zeros(0, np.int64) for _ in range(4))
        return cls(row, np.zeros(0, np.int16), parent, at, size)


class Schema(NamedTuple):
    """The declared fields below some message types, as tables."""

    roots: dict[str, int]
    """Code of each message type, by name."""
    leaves: list[tuple[str, str]]
    """Name of the message type and of the field, of every declared field that holds no message."""
    table: NDArray[np.int16]
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
    table = np.zeros((len(roots), MOST_FIELDS), np.int16)
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
    number: Ints
    offset: Ints
    """Where the fields of its type begin in Schema.table."""


class LeavesByField:
    """The leaves of a walk, which are put together for one field at a time."""

    def __init__(self, tables: Schema, chunks: Sequence[Leaves]) -> None:
        """chunks: each in the order of its fields."""
        self._tables, self._chunks = tables, chunks
        every = np.arange(len(tables.leaves) + 1)
        self._bounds = [np.searchsorted(leaves.field, every).tolist() for leaves in chunks]

    def of(self, messages: Iterable[str], names: Collection[str]) -> Leaves:
        """The leaves of some fields of some types of messages."""
        wanted = {(message, name) for message in messages for name in names}
        numbers = [number for number, leaf in enumerate(self._tables.leaves) if leaf in wanted]
        parts = [
            leaves.take(slice(bounds[number], bounds[number + 1]))
            for number in numbers
            for leaves, bounds in zip(self._chunks, self._bounds, strict=True)
            if bounds[number] < bounds[number + 1]
        ]
        return Leaves.concatenate(parts or [Leaves.none()])


def walk(buffer: Buffer, at: Ints, size: Ints, message: Ints, tables: Schema) -> tuple[LeavesByField, Bools]:
    """The declared fields in n messages, and which of the messages are malformed: shape (n,).

    Args:
        buffer: The bytes.
        at: Positions of the messages.
        size: Their bytes.
        message: Code of each message's type.
        tables: The declared fields.
    """
    malformed = np.zeros(at.size, np.bool_)
    parts: dict[int, Leaves] = {}
    counts: dict[int, int] = {}

    def work(part: slice) -> None:
        rows = np.arange(part.start, part.stop)
        end = np.minimum(at[part] + size[part], buffer.size)
        front = _Front(at[part], end, rows, np.arange(rows.size), message[part].astype(np.int64) * MOST_FIELDS)
        front = _Front(*(column[size[part] > 0] for column in front))
        chunk = _Walk(buffer, tables, malformed, rows.size)
        leaves = Leaves.concatenate(list(chunk.steps(front)))
        parts[part.start] = leaves.take(np.argsort(leaves.field, kind="stable"))
        counts[part.start] = chunk.count

    parallel_for(at.size, work, size=CHUNK)
    every, numbers = [], 0
    for start in sorted(parts):
        # numbers are unique in a chunk: shifted, they are in all
        every.append(replace(parts[start], parent=parts[start].parent + numbers))
        numbers += counts[start]
    return LeavesByField(tables, every), malformed


class _Walk:
    """The walk of one chunk."""

    def __init__(self, buffer: Buffer, tables: Schema, malformed: Bools, count: int) -> None:
        self._buffer, self._table, self._malformed = buffer, tables.table.ravel(), malformed
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
        heads = heads_at(self._buffer, front.at)
        start, length = heads.start, heads.length
        # compared without a sum: a length may be as large as a number can be
        good = heads.good & (length <= front.end - start)
        target = self._table[front.offset + heads.number]
        if not good.all():
            self._malformed[front.row[~good]] = True
            target[~good] = 0
        after = start + length
        leaf = np.flatnonzero(target < 0)
        text = heads.text[leaf]
        leaves = Leaves(
            row=front.row[leaf],
            field=~target[leaf],
            parent=front.number[leaf],
            at=np.where(text, start[leaf], heads.value[leaf]),
            size=np.where(text, length[leaf], -1),
        )
        follow = good & (after < front.end)
        onward = front._replace(at=after)
        if not follow.all():
            rows = np.flatnonzero(follow)
            onward = _Front(*(column[rows] for column in onward))
        inner = np.flatnonzero((target > 0) & heads.text & (length > 0))
        if inner.size:
            numbers = np.arange(self.count, self.count + inner.size)
            self.count += inner.size
            offset = (target[inner].astype(np.int64) - 1) * MOST_FIELDS
            into = _Front(start[inner], after[inner], front.row[inner], numbers, offset)
            onward = _Front(*map(np.concatenate, zip(onward, into, strict=True)))
        return leaves, onward

    def _loop(self, front: _Front) -> Leaves:
        """The leaves in the last few messages, without columns."""
        cells: list[tuple[int, int, int, int, int]] = []
        stack = list(zip(*(column.tolist() for column in front), strict=True))
        while stack:
            at, end, row, parent, offset = stack.pop()
            raw = self._buffer.slice(at, max(end - at, 0))
            try:
                for number, wire, start, stop in fields(raw, 0, len(raw)):
                    target = int(self._table[offset + number]) if number < MOST_FIELDS else 0
                    if target > 0 and wire == BYTES:
                        stack.append((at + start, at + stop, row, self.count, (target - 1) * MOST_FIELDS))
                        self.count += 1
                    elif target < 0 and wire == BYTES:
                        cells.append((row, -1 - target, parent, at + start, stop - start))
                    elif target < 0 and wire == VARINT:
                        cells.append((row, -1 - target, parent, min(start, MOST), -1))
            except WireError:
                self._malformed[row] = True
        table = np.array(cells, np.int64).reshape(-1, 5)
        row, field, parent, at, size = table.T.copy()
        return Leaves(row, field.astype(np.int16), parent, at, size)


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
