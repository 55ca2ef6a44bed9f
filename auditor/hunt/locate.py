"""What holds a position of a source: the stored value around it, or the kind of page it lies in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.batch import Extent, RecordBatch
from auditor.evidence.exhibit import Exhibit, Role
from auditor.kubernetes.registry import Keys
from auditor.kubernetes.resources import Resource
from auditor.model.evidence import PageMap
from auditor.model.vocabulary import PageKind, Place

_WAL = frozenset({Role.LOG, Role.LOG_COPY, Role.SQLITE_LOG})


@dataclass(frozen=True, slots=True)
class Holder:
    """One stored value: the batch and row that it is, and its resource."""

    batch: RecordBatch
    row: int
    resource: Resource


class ValueIndex:
    """All stored values in one buffer, by where they begin.

    Where the buffer is the source itself, the parts of those values that lie in it and were put together elsewhere
    are there too: their holder's `data` is another buffer.
    """

    def __init__(self, batches: Sequence[RecordBatch], found: Keys, source: str, buffer: Buffer) -> None:
        self._parts = [
            (batch, of)
            for batch, of in zip(batches, found.resource, strict=True)
            if batch.source == source and batch.data is buffer
        ]
        self._table = found.table
        start = np.concatenate([batch.value_at for batch, _ in self._parts] or [np.zeros(0, np.int64)])
        length = np.concatenate([batch.value_len for batch, _ in self._parts] or [np.zeros(0, np.uint32)])
        part = np.concatenate(
            [np.full(len(batch), at, np.int32) for at, (batch, _) in enumerate(self._parts)] or [start]
        )
        row = np.concatenate([np.arange(len(batch), dtype=np.int32) for batch, _ in self._parts] or [start])
        if any(batch.mapped for batch, _ in self._parts):
            more = self._elsewhere(batches, found, source, buffer)
            start, length, part, row = (
                np.concatenate((column, other)) for column, other in zip((start, length, part, row), more, strict=True)
            )
        some = length > 0
        order = np.argsort(start[some], kind="stable")
        self._start = start[some][order]
        self._end = self._start + length[some][order]
        self._part, self._row = part[some][order], row[some][order]

    def _elsewhere(self, batches: Sequence[RecordBatch], found: Keys, source: str, buffer: Buffer) -> Ints:
        """Start, length, batch and row of every part in this source of a value that another buffer holds."""
        rows = []
        for batch, of in zip(batches, found.resource, strict=True):
            if batch.data is buffer or not batch.located:
                continue
            self._parts.append((batch, of))
            for row, (at, size) in enumerate(zip(batch.offset.tolist(), batch.size.tolist(), strict=True)):
                parts = batch.extents.get(row, (Extent(at, size),))
                extents = [extent for extent in parts if (extent.source or batch.source) == source]
                rows += [(extent.offset, extent.length, len(self._parts) - 1, row) for extent in extents]
        return np.array(rows, np.int64).reshape(-1, 4).T

    def around(self, at: Ints) -> tuple[Ints, Bools]:
        """The value that begins last before each position, and whether the position lies in it."""
        which = np.maximum(np.searchsorted(self._start, at, "right") - 1, 0)
        if not self._start.size:
            return which, np.zeros(at.shape, np.bool_)
        inside: Bools = (self._start[which] <= at) & (at < self._end[which])
        return which, inside

    def holder(self, number: int) -> Holder:
        batch, of = self._parts[int(self._part[number])]
        row = int(self._row[number])
        return Holder(batch, row, self._table[int(of[row])])


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies at positions outside every stored value."""

    pages: PageMap
    wal: frozenset[str]
    """Names of the files that belong to a write-ahead log."""

    @classmethod
    def of(cls, exhibit: Exhibit, pages: PageMap) -> "Layout":
        return cls(pages, frozenset(file.name for role, file in exhibit.files if role in _WAL))

    def page(self, source: str, at: int) -> int:
        """Number of the page that a position lies in; -1 in a file without pages."""
        pages = self.pages
        return at // pages.page_size + pages.first if source == pages.source and pages.page_size else -1

    def place(self, source: str, at: int) -> Place:
        """Where a position outside every stored value lies: by the role of its file, or by the kind of its page."""
        pages = self.pages
        if source != pages.source or not pages.page_size:
            return Place.WAL if source in self.wal else Place.UNPLACED
        page = at // pages.page_size
        kind = pages.kinds[page] if page < len(pages.kinds) else PageKind.PAST_HIGH_WATER
        return {PageKind.FREED: Place.FREED, PageKind.PREVIOUS_ROOT: Place.PREVIOUS_ROOT}.get(
            PageKind(kind), Place.SLACK
        )
