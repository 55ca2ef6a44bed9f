"""The seam that every kind of evidence shares: stored values as columns, and what could not be read as gaps."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.columns import Bools, Buffer, Ints
from auditor.model import Place, State

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """n stored values of one source; n is at most one million.

    source: the name of the file the positions point into. data: its bytes. mapped: whether a position in `data` is
    an offset in the source. The columns are of shape (n,); -1 is unknown, key_at
    too: a fragment has lost its key. key_len and value_len are uint32, place is
    uint8, state is uint8 (bits of State), all others int64. `order` is a raft index or row id.
    `extents` lists (offset, length) pairs for rows whose value is not contiguous in the source, by row.
    """

    source: str
    data: Buffer
    mapped: bool
    key_at: Ints
    key_len: NDArray[np.uint32]
    value_at: Ints
    value_len: NDArray[np.uint32]
    main: Ints
    sub: Ints
    create: Ints
    version: Ints
    order: Ints
    page: Ints
    place: NDArray[np.uint8]
    state: NDArray[np.uint8]
    extents: dict[int, tuple[tuple[int, int], ...]]

    def __len__(self) -> int:
        return int(self.key_at.size)

    def take(self, rows: Ints | Bools | slice) -> "Batch":
        """The same batch with only these rows."""
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in _WHOLE}
        extents = self.extents
        if extents:
            kept = np.arange(len(self))[rows].tolist()
            extents = {new: extents[old] for new, old in enumerate(kept) if old in extents}
        return replace(self, **columns, extents=extents)

    @classmethod
    def joined(cls, batches: "Sequence[Batch]") -> "Batch":
        """Batches of one source as one."""
        if len(batches) == 1:
            return batches[0]
        columns: dict[str, Any] = {
            f.name: np.concatenate([getattr(batch, f.name) for batch in batches])
            for f in fields(cls)
            if f.name not in _WHOLE
        }
        starts = np.cumsum([0, *map(len, batches)]).tolist()
        extents = {
            start + row: parts
            for start, batch in zip(starts, batches, strict=False)
            for row, parts in batch.extents.items()
        }
        return replace(batches[0], **columns, extents=extents)

    def has(self, flag: State) -> Bools:
        flagged: Bools = (self.state & np.uint8(flag)) != 0
        return flagged

    def at(self, place: Place) -> Bools:
        there: Bools = self.place == place
        return there

    def key(self, row: int) -> bytes:
        return self.data.slice(int(self.key_at[row]), int(self.key_len[row]))

    def value(self, row: int) -> bytes:
        return self.data.slice(int(self.value_at[row]), int(self.value_len[row]))


_WHOLE = {"source", "data", "mapped", "extents"}
