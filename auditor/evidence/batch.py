"""The seam that every kind of evidence shares: stored values as columns, and what could not be read as gaps."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.model.vocabulary import Place, State

UNKNOWN = -1


class Extent(NamedTuple):
    """One part of a value in its source; `source` names another file where that holds it."""

    offset: int
    length: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """n stored values of one source; n is at most one million.

    source: the name of the file the positions point into. data: its bytes. mapped: whether a position in `data` is
    an offset in the source. The columns are of shape (n,); -1 is unknown, key_at
    too: a fragment has lost its key. key_len and value_len are uint32, place is
    uint8, state is uint8 (bits of State), all others int64. `order` is a raft index or row id.
    `extents` lists, by row, the parts of values that are not contiguous in the source. Where `data` is not mapped,
    stored_at and stored_len say where in the source each value begins, and how many bytes of it hold the value.
    """

    source: str
    data: Buffer
    mapped: bool
    key_at: Ints
    key_len: NDArray[np.uint32]
    value_at: Ints
    value_len: NDArray[np.uint32]
    mod_revision: Ints
    sub_revision: Ints
    create_revision: Ints
    version: Ints
    ordinal: Ints
    page: Ints
    place: NDArray[np.uint8]
    state: NDArray[np.uint8]
    extents: dict[int, tuple[Extent, ...]]
    stored_at: Ints | None = None
    stored_len: Ints | None = None

    def __len__(self) -> int:
        return int(self.key_at.size)

    def take(self, rows: Ints | Bools | slice) -> "RecordBatch":
        """The same batch with only these rows."""
        columns = {name: getattr(self, name)[rows] for name in self.columns()}
        extents = self.extents
        if extents:
            kept = np.arange(len(self))[rows].tolist()
            extents = {new: extents[old] for new, old in enumerate(kept) if old in extents}
        return replace(self, **columns, extents=extents)

    @classmethod
    def joined(cls, batches: "Sequence[RecordBatch]") -> "RecordBatch":
        """Batches of one source and one buffer as one."""
        if len(batches) == 1:
            return batches[0]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(batch, name) for batch in batches]) for name in batches[0].columns()
        }
        starts = np.cumsum([0, *map(len, batches)]).tolist()
        extents = {
            start + row: parts
            for start, batch in zip(starts, batches, strict=False)
            for row, parts in batch.extents.items()
        }
        return replace(batches[0], **columns, extents=extents)

    def columns(self) -> list[str]:
        """The names of the fields that hold one cell a row."""
        return [f.name for f in fields(self) if f.name not in _WHOLE and getattr(self, f.name) is not None]

    @property
    def located(self) -> bool:
        """Whether the values have an offset in their source at all."""
        return self.mapped or self.stored_at is not None

    @property
    def offset(self) -> Ints:
        """Where in the source each value begins; where the batch is not `located`, its place in `data`."""
        return self.value_at if self.stored_at is None else self.stored_at

    @property
    def size(self) -> Ints:
        """How many bytes of the source hold each value."""
        return self.value_len.astype(np.int64) if self.stored_len is None else self.stored_len

    def part(self, row: int, start: int, length: int) -> tuple[int, int]:
        """Where in the source the bytes from `start` on of a value lie: offset, and length up to where they break."""
        if row in self.extents:
            for each in self.extents[row]:
                if start < each.length and not each.source:
                    return each.offset + start, min(length, each.length - start)
                start -= each.length
            return int(self.offset[row]), 0
        at = int(self.offset[row])
        if self.state[row] & State.ENCODED:
            # four letters of base64 hold three bytes
            return at + start // 3 * 4, (start + length + 2) // 3 * 4 - start // 3 * 4
        return at + start, length

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
