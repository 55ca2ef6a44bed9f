"""Wrapped data keys in KMS values, and the version of the KEK that one names.

Sources: k8s.io/apiserver pkg/storage/value/encrypt/envelope/envelope.go (v1: u16 length, wrapped key) and
.../envelope/kmstypes/v2/api.proto (EncryptedObject, field 3); Vault and OpenBao transit (`vault:v2:...`), whose key
version stands in clear even where the KEK id names none.
"""

import re

import numpy as np

from auditor.arrays.buffer import varints
from auditor.arrays.dtypes import Ints
from auditor.arrays.factorize import factorize
from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import prefixes
from auditor.kubernetes.prefixes import Prefixes
from auditor.model.vocabulary import Provider

TRANSIT = b"vault:v"
"""The beginning of what Vault's transit engine wraps."""
_VERSION = re.compile(rb"vault:v[0-9]{1,10}")
_LONGEST = 1 + len("vault:v0123456789")
_FIELD_3 = 0x1A


def positions(batch: RecordBatch, values: Prefixes) -> tuple[Ints, Ints]:
    """Position and length of the wrapped key of each KMS value, shape (n,); length -1 for values without one.

    Args:
        batch: the records.
        values: their prefixes.
    """
    at = np.zeros(len(batch), np.int64)
    length = np.full(len(batch), -1, np.int64)
    named = ~values.malformed & (values.name_len >= 0)
    end = batch.value_at + batch.value_len
    rows = np.flatnonzero((values.provider == Provider.KMS_V1) & named)
    start = values.name_at[rows] + values.name_len[rows] + 1
    head = batch.data.words(start)
    size = ((head & np.uint64(0xFF)) << np.uint64(8) | (head >> np.uint64(8) & np.uint64(0xFF))).astype(np.int64)
    at[rows], length[rows] = start + 2, np.where(start + 2 + size <= end[rows], size, -1)
    # field 3 of EncryptedObject follows the KEK's id: tag in the lowest byte of `head`, length above it
    id_at, id_length = prefixes.kek_ids(batch, values)
    rows = np.flatnonzero((id_length >= 0) & (id_at + id_length < end))
    start = id_at[rows] + id_length[rows]
    head = batch.data.words(start)
    size, width = varints(head >> np.uint64(8))
    valid = ((head & np.uint64(0xFF)) == _FIELD_3) & (width > 0) & (start + 1 + width + size <= end[rows])
    at[rows], length[rows] = start + 1 + width, np.where(valid, size, -1)
    return at, length


def versions(batch: RecordBatch, values: Prefixes) -> tuple[Ints, list[str]]:
    """Of each value the index of its KEK's version among the texts, shape (n,), and the texts: the first is none.

    Args:
        batch: the records.
        values: their prefixes.
    """
    number = np.zeros(len(batch), np.int64)
    at, length = positions(batch, values)
    rows = np.flatnonzero(length > len(TRANSIT))
    rows = rows[batch.data.starts_with(at[rows], length[rows], TRANSIT)]
    end = batch.data.find_nth(at[rows], np.minimum(length[rows], _LONGEST), ord(":"), 1)
    rows, end = rows[end > 0], end[end > 0]
    codes, heads = factorize(batch.data, at[rows], end)
    texts = [
        text.decode() if _VERSION.fullmatch(text) else "" for text in batch.data.slices(at[rows[heads]], end[heads])
    ]
    number[rows] = np.array([position if text else 0 for position, text in enumerate(texts, 1)], np.int64)[codes]
    return number, ["", *texts]
