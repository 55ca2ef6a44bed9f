"""The seam that every kind of evidence shares: stored values as columns, and what could not be read as gaps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Required, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.model.vocabulary import Place, State

UNKNOWN = -1
MOST_ROWS = 1_000_000
"""Values of one batch."""


class Extent(NamedTuple):
    """One part of a value in its source; `source` names another file where that holds it."""

    offset: int
    length: int
    source: str = ""


class KnownColumns(TypedDict, total=False):
    """The columns of a RecordBatch that a reader may know; lengths of any width."""

    key_at: Required[Ints]
    key_len: Required[NDArray[np.integer[Any]]]
    value_at: Required[Ints]
    value_len: Required[NDArray[np.integer[Any]]]
    mod_revision: Ints
    sub_revision: Ints
    create_revision: Ints
    version: Ints
    ordinal: Ints
    page: Ints
    state: NDArray[np.uint8]
    stored_at: Ints
    stored_len: Ints


@dataclass(frozen=True, slots=True)
class RecordBatch(Columns):
    """n stored values of one source; n is at most MOST_ROWS.

    Every column is of shape (n,), and int64 where nothing else is said; -1 is unknown.
    """

    source: str
    """Name of the file that the positions point into."""
    data: Buffer
    mapped: bool
    """Whether a position in `data` is an offset in the source."""
    key_at: Ints
    """Position of each key in `data`; -1 of a fragment, which has lost its key."""
    key_len: NDArray[np.uint32]
    value_at: Ints
    value_len: NDArray[np.uint32]
    mod_revision: Ints
    sub_revision: Ints
    create_revision: Ints
    version: Ints
    ordinal: Ints
    """Raft index of an entry of the log, id of a row of kine's."""
    page: Ints
    place: NDArray[np.uint8]
    state: NDArray[np.uint8]
    """Bits of State."""
    extents: dict[int, tuple[Extent, ...]]
    """By row, the parts of values that are not contiguous in the source."""
    stored_at: Ints | None = None
    """Where `data` is not mapped: offset in the source where each value begins."""
    stored_len: Ints | None = None
    """Where `data` is not mapped: bytes of the source that hold each value."""

    @classmethod
    def of(
        cls,
        source: str,
        data: Buffer,
        *,
        mapped: bool,
        place: Place | NDArray[np.uint8],
        **known: Unpack[KnownColumns],
    ) -> Self:
        """A batch of the columns that its reader knows; the others are unknown, and not writable; state is 0.

        place: of all values, or of each.
        """
        rows = known["key_at"].size
        columns: dict[str, Any] = {
            **dict.fromkeys(_OFTEN_UNKNOWN, np.broadcast_to(np.int64(UNKNOWN), rows)),
            "state": np.zeros(rows, np.uint8),
            **known,
            "key_len": known["key_len"].astype(np.uint32, copy=False),
            "value_len": known["value_len"].astype(np.uint32, copy=False),
            "place": np.full(rows, place, np.uint8) if isinstance(place, Place) else place,
        }
        return cls(source=source, data=data, mapped=mapped, extents={}, **columns)

    def split(self) -> tuple[Self, ...]:
        """The same rows in batches of MOST_ROWS at most."""
        return tuple(self.take(slice(at, at + MOST_ROWS)) for at in range(0, len(self), MOST_ROWS))

    def take(self, rows: Ints | Bools | slice) -> Self:
        batch = super(RecordBatch, self).take(rows)  # slots=True makes a second class of this one
        if not self.extents:
            return batch
        old = np.arange(len(self))[rows].tolist()
        return replace(batch, extents={new: self.extents[row] for new, row in enumerate(old) if row in self.extents})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Batches of one source and one buffer as one."""
        starts = np.cumsum([0, *map(len, parts)]).tolist()
        extents = {
            start + row: where
            for start, batch in zip(starts, parts, strict=False)
            for row, where in batch.extents.items()
        }
        return replace(super(RecordBatch, cls).concatenate(parts), extents=extents)

    @property
    def key_size(self) -> Ints:
        """key_len, wide enough to be reckoned with."""
        return self.key_len.astype(np.int64)

    @property
    def value_size(self) -> Ints:
        """value_len, wide enough to be reckoned with."""
        return self.value_len.astype(np.int64)

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
        return self.value_size if self.stored_len is None else self.stored_len

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


_OFTEN_UNKNOWN = ("mod_revision", "sub_revision", "create_revision", "version", "ordinal", "page")
"""Columns that not every kind of evidence has."""
