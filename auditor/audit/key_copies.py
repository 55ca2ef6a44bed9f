"""Copies of etcd keys in the indexes of a store: what the sweep meets in one is its row's own."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.ledger import Intervals
from auditor.kubernetes.store import Classified


class KeyCopies:
    """The copies, by source, and the keys that they may be copies of.

    copies: where they lie, ascending. parts: the stored values whose keys count.
    """

    def __init__(self, copies: Mapping[str, Intervals], parts: Sequence[Classified]) -> None:
        self._copies, self._parts = copies, parts

    @cached_property
    def _keys(self) -> frozenset[bytes]:
        """The keys of all values. Only read where something is met in a copy."""
        keys: set[bytes] = set()
        for part in self._parts:
            rows = np.flatnonzero(part.batch.key_at >= 0)
            keys.update(part.batch.data.slices(part.batch.key_at[rows], part.batch.key_size[rows]))
        return frozenset(keys)

    def holds(self, source: str, buffer: Buffer, at: Ints) -> Bools:
        """Which bytes of a source lie in a text of an index that is the key of a row.

        Args:
            source: Its name.
            buffer: Its bytes.
            at: The positions.
        """
        inside = np.zeros(at.size, np.bool_)
        copies = self._copies.get(source)
        if copies is None or not copies.start.size or not at.size:
            return inside
        row = np.searchsorted(copies.start, at, "right") - 1
        near = np.flatnonzero((row >= 0) & (at < copies.end[np.maximum(row, 0)]))
        for hit in near.tolist():
            begin, end = int(copies.start[row[hit]]), int(copies.end[row[hit]])
            inside[hit] = buffer.slice(begin, end - begin) in self._keys
        return inside
