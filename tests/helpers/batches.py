"""Record batches in memory."""

from collections.abc import Sequence

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import RecordBatch
from auditor.model.vocabulary import Place


def batch(records: Sequence[tuple[bytes, bytes]], place: Place = Place.LATEST, tail: bytes = b"") -> RecordBatch:
    """Records in memory, each key and value directly behind the other, `tail` behind the last."""
    count = len(records)
    key_len = np.array([len(key) for key, _ in records], np.uint32)
    value_len = np.array([len(value) for _, value in records], np.uint32)
    size = key_len.astype(np.int64) + value_len
    key_at = np.cumsum(size) - size
    numbers = np.arange(1, count + 1, dtype=np.int64)
    return RecordBatch.of(
        "memory",
        Buffer(b"".join(key + value for key, value in records) + tail),
        mapped=True,
        place=place,
        key_at=key_at,
        key_len=key_len,
        value_at=key_at + key_len,
        value_len=value_len,
        mod_revision=numbers,
        sub_revision=np.zeros(count, np.int64),
        create_revision=numbers.copy(),
        version=np.ones(count, np.int64),
    )


def values_batch(values: Sequence[bytes], tail: bytes = b"") -> RecordBatch:
    """Values under the keys of Secrets that all differ."""
    return batch([(b"/registry/secrets/n/s%d" % number, value) for number, value in enumerate(values)], tail=tail)
