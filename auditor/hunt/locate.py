"""Holders of positions in a source: the stored value around a position."""

from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.batch import Extent, RecordBatch
from auditor.kubernetes.resources import Resource
from auditor.kubernetes.store import Store


@dataclass(frozen=True, slots=True)
class Holder:
    """One stored value."""

    batch: RecordBatch
    """Batch of its record."""
    row: int
    """Row of its record."""
    resource: Resource
    """Resource of its key."""


class ValueIndex:
    """All stored values in one buffer, by start.

    Where the buffer is the source itself, the extents of reassembled values are in the index too: the `data` of their
    holder's batch is another buffer.
    """

    def __init__(self, store: Store, source: str, buffer: Buffer) -> None:
        self._parts = [part for part in store.parts if part.batch.source == source and part.batch.data is buffer]
        self._resources = store.resources
        # one entry a value: start and length in the buffer, index into self._parts, row of the part
        start = np.concatenate([part.batch.value_at for part in self._parts] or [np.zeros(0, np.int64)])
        length = np.concatenate([part.batch.value_len for part in self._parts] or [np.zeros(0, np.uint32)])
        number = np.concatenate(
            [np.full(len(part), number, np.int32) for number, part in enumerate(self._parts)] or [start]
        )
        row = np.concatenate([np.arange(len(part), dtype=np.int32) for part in self._parts] or [start])
        if any(part.batch.mapped for part in self._parts):
            more = self._reassembled(store, source, buffer)
            start, length, number, row = (
                np.concatenate((column, other))
                for column, other in zip((start, length, number, row), more, strict=True)
            )
        stored = length > 0
        order = np.argsort(start[stored], kind="stable")
        self._start = start[stored][order]
        self._end = self._start + length[stored][order]
        self._part, self._row = number[stored][order], row[stored][order]

    def _reassembled(self, store: Store, source: str, buffer: Buffer) -> Ints:
        """Start, length, part and row of every extent in this source of a value that another buffer holds."""
        rows = []
        for part in store.parts:
            batch = part.batch
            if batch.data is buffer or not batch.located:
                continue
            self._parts.append(part)
            for row, (at, size) in enumerate(zip(batch.offset.tolist(), batch.size.tolist(), strict=True)):
                every = batch.extents.get(row, (Extent(at, size),))
                extents = [extent for extent in every if (extent.source or batch.source) == source]
                rows += [(extent.offset, extent.length, len(self._parts) - 1, row) for extent in extents]
        return np.array(rows, np.int64).reshape(-1, 4).T

    def around(self, at: Ints) -> tuple[Ints, Bools]:
        """The number of the last value that starts at or before each position, and whether the position lies in it."""
        which = np.maximum(np.searchsorted(self._start, at, "right") - 1, 0)
        if not self._start.size:
            return which, np.zeros(at.shape, np.bool_)
        inside: Bools = (self._start[which] <= at) & (at < self._end[which])
        return which, inside

    def holder(self, number: int) -> Holder:
        """The value of a number that around() returns."""
        part = self._parts[int(self._part[number])]
        row = int(self._row[number])
        return Holder(part.batch, row, self._resources[int(part.resource[row])])
