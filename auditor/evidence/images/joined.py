"""Values that lie in several pages, told once: the whole one stands for what of it lies cut elsewhere in the image."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.batch import RecordBatch
from auditor.evidence.images.values import Distinct, also_at
from auditor.model.vocabulary import State

_OfRow = tuple[bytes, int]
"""A key, and a revision."""


class Joined(NamedTuple):
    """Values in several pages without their copies."""

    batches: tuple[RecordBatch, ...]
    kept: Bools
    """Which of the distinct values in one place are no part of these."""
    total: int
    copies: int
    """Copies of these that lie elsewhere, whole."""


def without_copies(records: RecordBatch, one: Distinct, batches: tuple[RecordBatch, ...]) -> Joined:
    """The distinct ones of values in several pages, and of those in one place without the parts of these.

    Args:
        records: Values in one place.
        one: The distinct ones among them.
        batches: Values in several pages.
    """
    best: dict[tuple[_OfRow, bytes], tuple[int, int]] = {}
    others: dict[tuple[int, int], list[int]] = {}
    by_row: dict[_OfRow, list[tuple[int, int]]] = {}
    for number, batch in enumerate(batches):
        for row, (key, revision, offset) in enumerate(_heads(batch)):
            again = best.setdefault(((key, revision), bytes(batch.value(row))), (number, row))
            if again == (number, row):
                by_row.setdefault((key, revision), []).append(again)
            else:
                others.setdefault(again, []).append(offset)
    copies = sum(map(len, others.values()))
    kept = np.ones(one.rows.size, np.bool_)
    cut = np.flatnonzero((records.state[one.rows] & np.uint8(State.TAIL_LOST)) > 0) if by_row else ()
    for place in cut:
        row = int(one.rows[place])
        key = records.data.slice(int(records.key_at[row]), int(records.key_size[row])) if records.key_len[row] else b""
        part = bytes(records.value(row))
        for whole in by_row.get((key, int(records.mod_revision[row])), ()):
            if bytes(batches[whole[0]].value(whole[1])).startswith(part):
                kept[place] = False
                others.setdefault(whole, []).append(int(records.value_at[row]))
                break
    return Joined(tuple(_distinct(batches, set(best.values()), others)), kept, len(best), copies)


def _heads(batch: RecordBatch) -> list[tuple[bytes, int, int]]:
    """Key, revision and offset of each value."""
    keys = batch.data.slices(np.maximum(batch.key_at, 0), np.where(batch.key_at >= 0, batch.key_size, 0))
    return list(zip(keys, batch.mod_revision.tolist(), batch.offset.tolist(), strict=True))


def _distinct(
    batches: tuple[RecordBatch, ...], best: set[tuple[int, int]], others: dict[tuple[int, int], list[int]]
) -> list[RecordBatch]:
    """The batches with the best rows alone. others: offsets of the copies of each."""
    distinct = []
    for number, batch in enumerate(batches):
        remarks = dict(batch.remarks)
        for row in range(len(batch)):
            if offsets := others.get((number, row)):
                remarks[row] = "; ".join(filter(None, (remarks.get(row, ""), also_at(sorted(offsets)))))
        rows: Ints = np.array([row for row in range(len(batch)) if (number, row) in best], np.int64)
        if rows.size:
            distinct.append(replace(batch, remarks=remarks).take(rows))
    return distinct
