"""Records in JSON in the ledger of their file: strings of base64 are a medium, the text around them structure."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd.json_records import JsonRecords
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Account, Ledger, columns
from auditor.model.evidence import Balance, Gap

DECODED = "what it holds in base64"


def add(ledger: Ledger, records: JsonRecords) -> None:
    """Add objects: the text of each, and its key and value.

    Args:
        ledger: Of the file.
        records: Its objects.
    """
    table = np.array(records.spans, np.int64).reshape(-1, 8)
    start, end = np.array(records.bounds, np.int64).reshape(-1, 2).T
    key_at, value_at = table[:, 0], table[:, 2]
    key_end, value_end = key_at + table[:, 1], value_at + table[:, 3]
    ledger.chain(
        start,
        (Account.STRUCTURE, key_at),
        (Account.MEDIUM, key_end),
        (Account.STRUCTURE, value_at),
        (Account.MEDIUM, value_end),
        (Account.STRUCTURE, end),
    )


def decoded(name: str, records: RecordBatch) -> Balance:
    """The bytes of the keys and values that were decoded. name: of the file."""
    own = Ledger(f"{name}: {DECODED}", records.data.size)
    for at, size in ((records.key_at, records.key_size), (records.value_at, records.value_size)):
        own.add(Account.ROW, at, at + size)
    own.close(records.data)
    return own.balance()


def unexplained(ledger: Ledger, buffer: Buffer, gaps: Sequence[Gap]) -> list[Gap]:
    """Gaps for what nothing in a dump accounts for and no gap names. Closes its ledger.

    Args:
        ledger: Of the file.
        buffer: Its bytes.
        gaps: Those that are known.
    """
    own = [gap for gap in gaps if gap.length]
    edges = [edge for gap in own for edge in (gap.offset, gap.offset + gap.length)]
    rest = ledger.close(buffer, np.array(edges, np.int64))
    known = sorted((gap.offset, gap.offset + gap.length) for gap in own)
    start, end = columns(known)
    reach = np.maximum.accumulate(end)
    row = np.searchsorted(start, rest.start, "right") - 1
    open_ = np.ones(rest.start.size, np.bool_)
    if start.size:
        open_ = (row < 0) | (reach[np.maximum(row, 0)] <= rest.start)

    def one(row: int) -> Gap:
        at, size = int(rest.start[row]), int(rest.end[row] - rest.start[row])
        reason = f"{ledger.name}: nothing accounts for the {size:,} bytes from offset {at:,} on"
        return Gap(ledger.name, at, size, reason)

    def others(more: Ints) -> Gap:
        reason = f"{ledger.name}: {more.size:,} more parts that nothing accounts for"
        return Gap(ledger.name, int(rest.start[more[0]]), 0, reason)

    return list(listed(np.flatnonzero(open_), one, others))
