"""The records of a WAL segment in its ledger."""

from collections.abc import Callable

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.etcd import wire
from auditor.evidence.etcd.requests import Parts
from auditor.evidence.etcd.wire import Entries, Records
from auditor.evidence.ledger import Account, Ledger, columns
from auditor.evidence.protobuf_wire import WireError


def add_frames(ledger: Ledger, at: Ints, ends: tuple[Ints, Ints, Ints]) -> None:
    """Add the frames of regular records: length, type, checksum, and the tag of the data.

    Args:
        ledger: Of the segment.
        at: Where the frames begin.
        ends: The positions behind type and checksum, and where the data begin.
    """
    kind, crc, data = ends
    ledger.chain(
        at,
        (Account.STRUCTURE, np.maximum(kind, at + wire.LENGTH_FIELD)),
        (Account.CHECKSUM, crc),
        (Account.STRUCTURE, data),
    )


def add_whole(ledger: Ledger, records: Records, chosen: Bools) -> None:
    """Add the data of records that are structure throughout."""
    ledger.add(Account.STRUCTURE, records.start[chosen], records.end[chosen])


def add_entries(ledger: Ledger, records: Records, entries: Entries) -> None:
    """Add the regular entries: the key and the value of each, and the fields around them."""
    rows = np.flatnonzero(entries.regular)
    start, end = records.start[rows], records.end[rows]
    key_at, key_stop = (np.clip(column[rows], start, end) for column in (entries.key.value, entries.key.stop))
    value_at, value_stop = (np.clip(column[rows], start, end) for column in (entries.value.value, entries.value.stop))
    written = value_stop > value_at
    value_at, value_stop = np.where(written, value_at, key_stop), np.where(written, value_stop, key_stop)
    ledger.chain(
        start,
        (Account.STRUCTURE, key_at),
        (Account.ROW, key_stop),
        (Account.STRUCTURE, value_at),
        (Account.ROW, value_stop),
        (Account.STRUCTURE, end),
    )


def add(ledger: Ledger, start: int, raw: bytes, account: Callable[[bytes], Parts]) -> None:
    """Add the data of one record.

    Args:
        ledger: Of the segment.
        start: Where they begin.
        raw: The data.
        account: Its intervals; raises WireError for what does not decode, and is not accounted for.
    """
    try:
        parts = account(raw)
    except WireError:
        return
    for each in {account for account, _, _ in parts}:
        at, end = columns([(begin, stop) for own, begin, stop in parts if own is each])
        ledger.add(each, at + start, end + start)
