"""Elements of etcd's buckets in the ledger of their file: records of the `key` bucket, pairs of the others."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools
from auditor.evidence import protobuf_wire
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt.elements import Leaves
from auditor.evidence.etcd import buckets
from auditor.evidence.ledger import Account, Ledger

KEY, VALUE = 1, 5
"""Fields of mvccpb.KeyValue that are rows."""
NUMBERS = frozenset({2, 3, 4, 6})
"""Its other fields: revisions, version, lease."""
FEW = 4096
"""Pairs of a bucket other than `key` and `lease` that are parsed: those with facts hold a handful."""


def add_records(ledger: Ledger, leaves: Leaves, batch: RecordBatch, chosen: Bools, odd: Sequence[int]) -> None:
    """Add the elements of records: revision and fields, key, fields, value, lease.

    Args:
        ledger: Of the file.
        leaves: The elements.
        batch: Their records, row by row.
        chosen: The records that were read.
        odd: Rows whose fields are not in etcd's order, or not all known.
    """
    regular = chosen.copy()
    regular[list(odd)] = False
    rows = slice(None) if regular.all() else np.flatnonzero(regular)
    key_at, value_at = batch.key_at[rows], batch.value_at[rows]
    ledger.chain(
        leaves.key_at[rows],
        (Account.STRUCTURE, key_at),
        (Account.ROW, key_at + batch.key_len[rows]),
        (Account.STRUCTURE, value_at),
        (Account.ROW, value_at + batch.value_len[rows]),
        (Account.STRUCTURE, leaves.value_at[rows] + leaves.value_len[rows]),
    )
    for row in odd:
        if chosen[row]:
            start, at = int(leaves.key_at[row]), int(leaves.value_at[row])
            ledger.one(Account.STRUCTURE, start, at)
            _add_fields(ledger, batch.data, at, at + int(leaves.value_len[row]))


def _add_fields(ledger: Ledger, buffer: Buffer, at: int, end: int) -> None:
    """The known fields of one KeyValue, of each the last, which is the one that counts."""
    raw = buffer.slice(at, end - at)
    known: dict[int, tuple[int, int, int]] = {}
    begin = 0
    for number, kind, start, stop in protobuf_wire.fields(raw, 0, len(raw)):
        if kind == protobuf_wire.VARINT:
            _, start = protobuf_wire.varint(raw, protobuf_wire.varint(raw, begin, len(raw))[1], len(raw))
            stop = start
        if number in (KEY, VALUE) or number in NUMBERS:
            known[number] = begin, start, stop
        begin = stop
    for begin, start, stop in known.values():
        ledger.one(Account.STRUCTURE, at + begin, at + start)
        ledger.one(Account.ROW, at + start, at + stop)


def add_pairs(ledger: Ledger, buffer: Buffer, bucket: bytes, leaves: Leaves) -> None:
    """Add the pairs of a bucket other than `key` that are what etcd stores in it."""
    end = leaves.value_at + leaves.value_len
    if bucket == b"lease":
        sound = buckets.leases(buffer, leaves)
        ledger.add(Account.STRUCTURE, leaves.key_at[sound], end[sound])
        return
    for row in range(min(leaves.flags.size, FEW)):
        key_at, value_at = int(leaves.key_at[row]), int(leaves.value_at[row])
        key = buffer.slice(key_at, value_at - key_at)
        if buckets.known(bucket, key, buffer.slice(value_at, int(end[row]) - value_at)):
            ledger.one(Account.STRUCTURE, key_at, int(end[row]))
