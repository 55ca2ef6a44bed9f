"""Records in JSON in the ledger of their file: strings of base64 are a medium, the text around them structure."""

import numpy as np

from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd.json_records import JsonRecords
from auditor.evidence.ledger import Account, Ledger
from auditor.model.evidence import Balance

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
