"""Record batches, the seam of every store: stored values as columns of positions in one buffer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Required, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence import notation as notations
from auditor.evidence.notation import Notation
from auditor.model.vocabulary import Place, State

UNKNOWN = -1
MOST_ROWS = 1_000_000
"""Values of one batch, at most."""
MOST_ZEROS = 3
"""Zeros that a value of unknown length is tried with: four last bytes of a ciphertext are zeros once in 2**32."""


class Extent(NamedTuple):
    """One contiguous part of a value in its source."""

    offset: int
    length: int
    source: str = ""
    """Name of the file that holds the part; empty for the batch's own source."""


class KnownColumns(TypedDict, total=False):
    """The columns that RecordBatch.of() takes; lengths of any integer type."""

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
    notation: NDArray[np.uint8]
    text: Buffer
    associated_at: Ints
    associated_len: Ints


@dataclass(frozen=True, slots=True)
class RecordBatch(Columns):
    """n stored values of one source; n is at most MOST_ROWS.

    Every column is of shape (n,), and int64 unless its type differs; -1 is unknown.
    """

    source: str
    """Name of the file that the positions point into."""
    data: Buffer
    """The bytes that key_at and value_at point into."""
    mapped: bool
    """Whether a position in `data` is an offset in the source."""
    key_at: Ints
    """Position of each key in `data`; -1 of a fragment, which has lost its key."""
    key_len: NDArray[np.uint32]
    """Bytes of each key."""
    value_at: Ints
    """Position of each value in `data`."""
    value_len: NDArray[np.uint32]
    """Bytes of each value."""
    mod_revision: Ints
    """Revision of each write: mvccpb.KeyValue's mod_revision."""
    sub_revision: Ints
    """Number of each write within its transaction."""
    create_revision: Ints
    """Revision of each key's creation."""
    version: Ints
    """Writes of each key since its creation."""
    ordinal: Ints
    """Raft index of an entry of the WAL, id of a row of kine's table."""
    page: Ints
    """Number of the page that holds each value's record."""
    place: NDArray[np.uint8]
    """Codes of Place."""
    state: NDArray[np.uint8]
    """Bits of State."""
    extents: dict[int, tuple[Extent, ...]]
    """By row, the parts of values that are not contiguous in the source."""
    stored_at: Ints | None = None
    """Where `data` is not mapped: offset in the source where each value begins."""
    stored_len: Ints | None = None
    """Where `data` is not mapped: bytes of the source that hold each value."""
    notation: NDArray[np.uint8] | None = None
    """Codes of Notation of the values that are encoded in the source; base64 where None."""
    text: Buffer | None = None
    """The source, where a notation has escapes: the text of a part of a value is looked for in it."""
    associated_at: Ints | None = None
    """Position of the associated data of each value; None where that is the etcd key."""
    associated_len: Ints | None = None
    """Its bytes; 0 of a value whose associated data is its key."""
    remarks: dict[int, str] = field(default_factory=dict)
    """By row, what its reader has to say of a value, for the column `detail`."""

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

        Args:
            source: Name of the file.
            data: The bytes that the positions point into.
            mapped: Whether a position is an offset in the file.
            place: The place of all values, or of each.
            **known: The columns; keys and values are required.
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
        """The same batch with only these rows."""
        batch = super(RecordBatch, self).take(rows)  # slots=True makes a second class of this one
        if not self.extents and not self.remarks:
            return batch
        old = np.arange(len(self))[rows].tolist()
        return replace(
            batch,
            extents={new: self.extents[row] for new, row in enumerate(old) if row in self.extents},
            remarks={new: self.remarks[row] for new, row in enumerate(old) if row in self.remarks},
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Batches of one source and one buffer as one; columns that some of them lack are 0 there."""
        parts = [part.padded(_OPTIONAL & {name for each in parts for name in each.columns()}) for part in parts]
        starts = np.cumsum([0, *map(len, parts)]).tolist()
        extents = {
            start + row: cells
            for start, batch in zip(starts, parts, strict=False)
            for row, cells in batch.extents.items()
        }
        remarks = {
            start + row: remark
            for start, batch in zip(starts, parts, strict=False)
            for row, remark in batch.remarks.items()
        }
        text = next((batch.text for batch in parts if batch.text is not None), None)
        return replace(super(RecordBatch, cls).concatenate(parts), extents=extents, remarks=remarks, text=text)

    def padded(self, names: set[str]) -> Self:
        """The same batch with these columns, of zeros where it has none."""
        missing: dict[str, Any] = {
            name: np.zeros(len(self), _OPTIONAL_TYPES[name]) for name in names if getattr(self, name) is None
        }
        return replace(self, **missing) if missing else self

    @property
    def key_size(self) -> Ints:
        """key_len as int64, wide enough for arithmetic."""
        return self.key_len.astype(np.int64)

    @property
    def value_size(self) -> Ints:
        """value_len as int64, wide enough for arithmetic."""
        return self.value_len.astype(np.int64)

    @property
    def located(self) -> bool:
        """Whether the values have offsets in their source."""
        return self.mapped or self.stored_at is not None

    @property
    def offset(self) -> Ints:
        """Offset of each value in the source; its position in `data` where the batch is not `located`."""
        return self.value_at if self.stored_at is None else self.stored_at

    @property
    def size(self) -> Ints:
        """Bytes of the source that hold each value."""
        return self.value_size if self.stored_len is None else self.stored_len

    def part(self, row: int, start: int, length: int) -> tuple[int, int]:
        """Offset and length in the source of a part of a value, up to the end of its extent.

        Args:
            row: Row of the value.
            start: First byte of the part, from the value's beginning.
            length: Bytes of the part.
        """
        if row in self.extents:
            for extent in self.extents[row]:
                if start < extent.length and not extent.source:
                    return extent.offset + start, min(length, extent.length - start)
                start -= extent.length
            return int(self.offset[row]), 0
        at = int(self.offset[row])
        if self.state[row] & State.ENCODED:
            notation = Notation.BASE64 if self.notation is None else Notation(int(self.notation[row]))
            raw = b"" if self.text is None else self.text.slice(at, int(self.size[row]))
            begin, size = notations.part(raw, notation, start, length)
            return at + begin, size
        return at + start, length

    def has(self, flag: State) -> Bools:
        """Which rows have the flag."""
        rows: Bools = (self.state & np.uint8(flag)) != 0
        return rows

    def at(self, place: Place) -> Bools:
        """Which rows lie in the place."""
        rows: Bools = self.place == place
        return rows

    def associated(self, rows: Ints) -> list[bytes]:
        """What values are authenticated with beside themselves: their etcd keys, but in some backups."""
        keys = self.data.slices(self.key_at[rows], self.key_len[rows])
        if self.associated_at is None or self.associated_len is None:
            return keys
        own = self.data.slices(self.associated_at[rows], self.associated_len[rows])
        return [data or key for data, key in zip(own, keys, strict=True)]

    def key(self, row: int) -> bytes:
        return self.data.slice(int(self.key_at[row]), int(self.key_len[row]))

    def value(self, row: int) -> bytes:
        return self.data.slice(int(self.value_at[row]), int(self.value_len[row]))

    def with_zeros(self, row: int) -> Iterator[bytes]:
        """A value whose end is not known, with the first zeros behind it: as many of them may be its own last bytes."""
        if not self.state[row] & State.TAIL_LOST:
            return
        value, end = self.value(row), int(self.value_at[row] + self.value_len[row])
        behind = self.data.slice(end, MOST_ZEROS)
        for count in range(1, len(behind) - len(behind.lstrip(b"\0")) + 1):
            yield value + bytes(count)


_OPTIONAL_TYPES = {"notation": np.uint8, "associated_at": np.int64, "associated_len": np.int64}
_OPTIONAL = set(_OPTIONAL_TYPES)
"""Columns that not every batch of a source has."""
_OFTEN_UNKNOWN = ("mod_revision", "sub_revision", "create_revision", "version", "ordinal", "page")
"""Columns that not every store has."""
