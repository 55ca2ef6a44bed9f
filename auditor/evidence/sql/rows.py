"""Rows of `kine` in a text as stored values: decoded names and values, their places, and record batches.

Rows: kine pkg/drivers/generic/generic.go. Every write is a row; `old_value` is a copy of the value of the row before.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.arrays.factorize import factorize
from auditor.evidence import notation as notations
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.file import EvidenceFile
from auditor.evidence.kine.rows import COMPACTED
from auditor.evidence.notation import Notation
from auditor.evidence.scratch import scratch_buffer
from auditor.model.vocabulary import Place, State

COLUMNS = ("id", "name", "created", "deleted", "create_revision", "prev_revision", "lease", "value", "old_value")
"""kine's own order."""
NUMBERS = ("id", "created", "deleted", "create_revision", "prev_revision")
TEXTS = ("name", "value", "old_value")
LARGEST = (1 << 63) - 1
_WIDTH = len(NUMBERS) + 1 + 3 * len(TEXTS)


class Text(NamedTuple):
    """The text of a name or value in a file."""

    at: int
    size: int
    """Bytes of the text; -1 of NULL."""
    notation: int


NULL = Text(0, -1, Notation.HEX)


@dataclass(slots=True)
class TextRows:
    """Rows of one file in the order in which they stand."""

    cells: "array[int]" = field(default_factory=lambda: array("q"))
    """A row after the other: NUMBERS, the number of its table, then Text of each of TEXTS."""

    def __len__(self) -> int:
        return len(self.cells) // _WIDTH

    def add(self, numbers: Sequence[int], table: int, texts: Sequence[Text]) -> None:
        """Add a row.

        Args:
            numbers: Those of NUMBERS.
            table: Which of the file's tables of this name it is of.
            texts: Those of TEXTS.
        """
        self.cells.extend((*(min(max(number, -1), LARGEST) for number in numbers), table))
        for text in texts:
            self.cells.extend(text)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as columns of shape (rows,), their names and values decoded into one buffer."""

    file: EvidenceFile
    data: Buffer
    numbers: dict[str, Ints]
    """By column of kine's, and `table`."""
    at: dict[str, Ints]
    """Position of each text in `data`."""
    size: dict[str, Ints]
    """Its bytes; -1 of NULL."""
    stored_at: dict[str, Ints]
    """Offset of each text in the file."""
    stored_len: dict[str, Ints]
    notation: dict[str, Ints]
    broken: Ints
    """Rows of which a text cannot be decoded."""


def table(file: EvidenceFile, rows: TextRows, work_dir: str) -> Table:
    """The rows with their texts decoded. Raises NoRoom.

    Args:
        file: The text.
        rows: Of it.
        work_dir: Folder for the buffer, if it is large.
    """
    cells = np.array(rows.cells, np.int64).reshape(-1, _WIDTH).T
    numbers = dict(zip((*NUMBERS, "table"), cells, strict=False))
    texts = cells[len(NUMBERS) + 1 :].reshape(len(TEXTS), 3, -1)
    halves = np.where(texts[:, 2] == Notation.HEX, 2, 1)
    total = int((np.maximum(texts[:, 1], 0) // halves).sum())
    room = scratch_buffer(max(total, 1), f"what {file.name} holds in text", work_dir)
    at, size, broken = _decode(file, texts, memoryview(room))
    return Table(
        file=file,
        data=Buffer(room),
        numbers=numbers,
        at=dict(zip(TEXTS, at, strict=True)),
        size=dict(zip(TEXTS, size, strict=True)),
        stored_at=dict(zip(TEXTS, texts[:, 0], strict=True)),
        stored_len=dict(zip(TEXTS, texts[:, 1], strict=True)),
        notation=dict(zip(TEXTS, texts[:, 2], strict=True)),
        broken=broken,
    )


def _decode(file: EvidenceFile, texts: Ints, room: memoryview) -> tuple[Ints, Ints, Ints]:
    """Write texts into `room`: the position and size there of each, and the rows of which one is none."""
    at, size = np.zeros((2, *texts.shape[::2]), np.int64)
    broken: list[int] = []
    end = 0
    for row, cells in enumerate(texts.transpose(2, 0, 1).tolist()):
        for column, (begin, length, notation) in enumerate(cells):
            at[column, row], size[column, row] = end, length
            if length <= 0:
                continue
            try:
                content = notations.decode(file.map[begin : begin + length], Notation(notation))
            except ValueError:
                broken.append(row)
                size[column, row] = -1
                continue
            room[end : end + len(content)] = content
            size[column, row] = len(content)
            end += len(content)
    return at, size, np.unique(np.array(broken, np.int64))


def batches(rows: Table) -> Iterator[RecordBatch]:
    """The values of rows, and their previous values."""
    if not rows.at["name"].size:
        return
    place = _places(rows)
    old = np.where(place == Place.LATEST, np.uint8(Place.OLD_VALUE), place)
    identifier, deleted = rows.numbers["id"], rows.numbers["deleted"] == 1
    created = rows.numbers["created"] == 1
    create = np.where(created, identifier, rows.numbers["create_revision"])
    previous = np.where(rows.numbers["prev_revision"] > 0, rows.numbers["prev_revision"], UNKNOWN)
    # a tombstone has no value of its own: older kine repeats the last one
    own = np.where(deleted, previous, identifier)
    for column, mod_revision, create_revision, places in (
        ("value", own, create, place),
        ("old_value", previous, np.where(created, UNKNOWN, create), old),
    ):
        # an empty previous value is what a copy of the table makes of NULL
        present = np.flatnonzero(rows.size[column] >= (column == "old_value"))
        if present.size:
            create_revision = np.where(create_revision > 0, create_revision, UNKNOWN)
            yield from _batch(rows, column, present, mod_revision, create_revision, places).split()


def _batch(
    rows: Table, column: str, present: Ints, mod_revision: Ints, create_revision: Ints, place: NDArray[np.uint8]
) -> RecordBatch:
    return RecordBatch.of(
        rows.file.name,
        rows.data,
        mapped=False,
        place=place[present],
        key_at=rows.at["name"][present],
        key_len=np.maximum(rows.size["name"][present], 0),
        value_at=rows.at[column][present],
        value_len=rows.size[column][present],
        mod_revision=mod_revision[present],
        create_revision=create_revision[present],
        ordinal=rows.numbers["id"][present],
        state=np.full(present.size, State.ENCODED, np.uint8),
        stored_at=rows.stored_at[column][present],
        stored_len=rows.stored_len[column][present],
        notation=rows.notation[column][present].astype(np.uint8),
        text=Buffer(rows.file.map),
    )


def _places(rows: Table) -> NDArray[np.uint8]:
    """The place of each row: latest, history or deleted, by the newest row of its name in its table."""
    size = np.maximum(rows.size["name"], 0)
    names, heads = factorize(rows.data, rows.at["name"], size)
    number = names + rows.numbers["table"] * max(heads.size, 1)
    _, number = np.unique(number, return_inverse=True)
    identifier, deleted = rows.numbers["id"], rows.numbers["deleted"] == 1
    newest = np.full(int(number.max(initial=-1)) + 1, UNKNOWN, np.int64)
    np.maximum.at(newest, number, identifier)
    last = identifier == newest[number]
    is_deleted = np.zeros(newest.size, np.bool_)
    is_deleted[number[last & deleted]] = True
    return np.where(is_deleted[number], Place.DELETED, np.where(last, Place.LATEST, Place.HISTORY)).astype(np.uint8)


def compacted(rows: Table) -> int | None:
    """The compacted revision: prev_revision in the newest row of kine's own key."""
    size = np.maximum(rows.size["name"], 0)
    matches = np.flatnonzero((size == len(COMPACTED)) & rows.data.starts_with(rows.at["name"], size, COMPACTED))
    if not matches.size:
        return None
    newest = matches[np.argmax(rows.numbers["id"][matches])]
    return int(rows.numbers["prev_revision"][newest])
