"""The values of an image as one batch: those whose end is another's are cut, and of equal ones the best is told."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.images.bare import BLOCK, ENDING
from auditor.model.vocabulary import State

LISTED = 4096
"""Offsets of one value that are listed, at most."""
HEAD = 96
"""Bytes of a value by which its beginning is known: its prefix, and what follows of its payload."""
_PROTOBUF = np.uint64(int.from_bytes(b"k8s\0\n", "little"))
_FIVE, _FOUR = np.uint64((1 << 40) - 1), np.uint64((1 << 32) - 1)
_ENDING = np.uint64(int.from_bytes(ENDING, "little"))
_ENCRYPTED = np.uint64(int.from_bytes(b"k8s:enc:", "little"))
_CLOSING = np.frombuffer(b"}\n", np.uint8)


def broken(buffer: Buffer, at: Ints, size: Ints) -> Bools:
    """Which readable values do not end as objects do: their length is another's, or their end is overwritten.

    Args:
        buffer: The image.
        at: Where the values begin.
        size: Their bytes.
    """
    words, end = buffer.words(at), at + size
    last = buffer.words(np.maximum(end - len(ENDING), 0)) & _FOUR
    protobuf = ((words & _FIVE) == _PROTOBUF) & (last != _ENDING)
    json = ((words & np.uint64(0xFF)) == ord("{")) & ~np.isin(buffer.data[np.maximum(end - 1, 0)], _CLOSING)
    cut: Bools = (size > 0) & (protobuf | json)
    return cut


def settle(buffer: Buffer, records: RecordBatch, origin: Ints, proven: Bools) -> Bools:
    """Which values are told: of those that begin at one byte the best. The broken ones are cut at their block's end.

    Args:
        buffer: The image.
        records: The values; state and length are written. Those that say most come first.
        origin: Where the blocks of each one's page are counted from.
        proven: Which are known to be whole.
    """
    at = records.value_at
    bad = broken(buffer, at, records.value_size) & ~proven
    order = np.lexsort((np.arange(at.size), bad, at))
    again = np.zeros(at.size, np.bool_)
    again[order[1:]] = (at[order[1:]] == at[order[:-1]]) & (records.value_len[order[1:]] > 0)
    boundary = origin + ((at - origin) // BLOCK + 1) * BLOCK
    torn = bad & (at + records.value_size > boundary)
    records.value_len[torn] = (boundary - at)[torn]
    records.state[bad] |= np.uint8(State.TAIL_LOST)
    return ~again


def across(buffer: Buffer, records: RecordBatch, origin: Ints, proven: Bools) -> Bools:
    """Which encrypted values begin in one block and end in another, which may be another file's by now.

    Arguments as in settle().
    """
    begin = buffer.words(records.value_at)
    end = records.value_at + np.maximum(records.value_size - 1, 0)
    encrypted = begin == _ENCRYPTED
    several = (records.value_at - origin) // BLOCK != (end - origin) // BLOCK
    loose: Bools = several & encrypted & ~proven
    return loose


class Distinct(NamedTuple):
    """Rows without their copies."""

    rows: Ints
    """The best row of each value, ascending."""
    copies: dict[int, list[int]]
    """By row, the offsets of the others."""
    first: Ints
    """By row of all, the one that stands for it."""


def distinct(buffer: Buffer, records: RecordBatch, rank: NDArray[np.uint8]) -> Distinct:
    """Equal values of one key and revision as one; a revision that is not known is any.

    Args:
        buffer: The image.
        records: The values.
        rank: Of each, how little is known of where it lies: the lowest stands for all.
    """
    count = len(records)
    keys, _ = factorize(buffer, np.maximum(records.key_at, 0), np.where(records.key_at >= 0, records.key_size, 0))
    contents, _ = factorize(buffer, records.value_at, records.value_size)
    keyed = records.key_at >= 0
    revision = records.mod_revision
    # equal contents together, those with a key first, then by key and by revision, the best first
    order = np.lexsort((records.value_at, rank, -revision, keys, ~keyed, contents))
    first = np.arange(count)
    copies: dict[int, list[int]] = {}
    head = -1
    columns = zip(*(each[order].tolist() for each in (contents, keyed, keys, revision)), order.tolist(), strict=True)
    before: tuple[int, bool, int, int] | None = None
    for content, has_key, key, own, row in columns:
        same = before is not None and before[0] == content and (not has_key or (before[2] == key and before[1]))
        same = same and (own in (UNKNOWN, before[3]) if before is not None else False)
        if same:
            first[row] = head
            copies.setdefault(head, []).append(int(records.value_at[row]))
        else:
            head, before = row, (content, has_key, key, own)
    rows = np.flatnonzero(first == np.arange(count))
    return Distinct(rows, {row: sorted(offsets) for row, offsets in copies.items()}, first)


def without_beginnings(buffer: Buffer, records: RecordBatch, one: Distinct) -> Distinct:
    """Distinct values without the bare ones that begin as a whole value does: an encrypted one says not where it ends.

    Args:
        buffer: The image.
        records: The values.
        one: The distinct ones among them.
    """
    rows = one.rows
    cut = ((records.state[rows] & np.uint8(State.TAIL_LOST)) > 0) & (records.key_at[rows] < 0)
    if not cut.any() or cut.all():
        return one
    size = records.value_size[rows]
    heads, _ = factorize(buffer, records.value_at[rows], np.minimum(size, HEAD))
    wholes: dict[int, list[int]] = {}
    for place in np.flatnonzero(~cut & (size >= HEAD) & np.isin(heads, heads[cut])).tolist():
        wholes.setdefault(int(heads[place]), []).append(place)
    kept, copies, first = np.ones(rows.size, np.bool_), dict(one.copies), one.first.copy()
    for place in np.flatnonzero(cut).tolist():
        row = int(rows[place])
        for other in wholes.get(int(heads[place]), ()):
            whole, length = int(rows[other]), min(int(size[place]), int(size[other]))
            if records.value(row)[:length] == records.value(whole)[:length]:
                kept[place] = False
                also = [int(records.value_at[row]), *copies.pop(row, [])]
                copies[whole] = sorted([*copies.get(whole, []), *also])
                first[first == row] = whole
                break
    return Distinct(rows[kept], copies, first)


def also_at(offsets: list[int]) -> str:
    """The other offsets of a value in words."""
    more = f" and {len(offsets) - LISTED:,} more" if len(offsets) > LISTED else ""
    return f"the same bytes at {', '.join(map(str, offsets[:LISTED]))}{more}"
