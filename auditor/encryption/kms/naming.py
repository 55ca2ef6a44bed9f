"""The KEKs of stored values, and the distinct wrapped keys among them: array arithmetic, then a loop over those."""

from collections.abc import Iterator

import numpy as np
from google.protobuf.message import DecodeError

from auditor.arrays.dtypes import Ints
from auditor.arrays.factorize import factorize
from auditor.encryption.kms.identify import identify
from auditor.encryption.kms.interface import WrappedKey
from auditor.evidence.batch import RecordBatch
from auditor.kubernetes import prefixes, wrapped_keys
from auditor.kubernetes.prefixes import Prefixes
from auditor.model.kms import Kek
from auditor.model.vocabulary import KMS_PROVIDERS, Provider
from auditor.protobuf.envelope_pb2 import EncryptedObject


def distinct(batch: RecordBatch, values: Prefixes, rows: Ints) -> tuple[Ints, Ints]:
    """Of each row the number of its wrapped key, and of each wrapped key one row; -1 for rows without one.

    Rows of KMS v2 with one wrapped key and two KEK ids have two.

    Args:
        batch: the records.
        values: their prefixes.
        rows: the rows to look at.
    """
    at, length = wrapped_keys.positions(batch, values)
    number = np.full(rows.size, -1, np.int64)
    own = np.flatnonzero(length[rows] > 0)
    keyed = rows[own]
    wrapped, _ = factorize(batch.data, at[keyed], length[keyed])
    id_at, id_length = prefixes.kek_ids(batch, values)
    ids, _ = factorize(batch.data, id_at[keyed], np.maximum(id_length[keyed], 0))
    pairs = np.stack((wrapped, ids, id_length[keyed] < 0), axis=1)
    _, first, codes = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    number[own] = codes.reshape(-1)
    return number, keyed[first]


def wrapped_keys_of(batch: RecordBatch, values: Prefixes, rows: Ints) -> Iterator[WrappedKey]:
    """The wrapped key of each row, of those that distinct() answers.

    Args:
        batch: the records.
        values: their prefixes.
        rows: of values with a wrapped key.
    """
    at, length = wrapped_keys.positions(batch, values)
    for row, wrapped in zip(rows.tolist(), batch.data.slices(at[rows], length[rows]), strict=True):
        if values.provider[row] == Provider.KMS_V1:
            yield WrappedKey(wrapped)
            continue
        begin = int(values.name_at[row] + values.name_len[row]) + 1
        stored = batch.data.slice(begin, int(batch.value_at[row] + batch.value_len[row]) - begin)
        try:
            envelope = EncryptedObject.FromString(stored)
        except DecodeError:
            yield WrappedKey(wrapped)
        else:
            key_id = envelope.key_id.decode("utf-8", "replace")
            yield WrappedKey(wrapped, key_id, frozenset(envelope.annotations.items()))


def keks(batch: RecordBatch, values: Prefixes) -> tuple[Ints, list[Kek | None]]:
    """Of each value the number of its KEK among the KEKs, shape (n,), and these: the first is none.

    Args:
        batch: the records.
        values: their prefixes.
    """
    number = np.zeros(len(batch), np.int64)
    rows = np.flatnonzero(np.isin(values.provider, KMS_PROVIDERS))
    if not rows.size:
        return number, [None]
    codes, heads = distinct(batch, values, rows)
    known: dict[Kek | None, int] = {None: 0}
    named = [known.setdefault(identify(key), len(known)) for key in wrapped_keys_of(batch, values, heads)]
    number[rows] = np.array([*named, 0], np.int64)[codes]  # -1 is the last
    return number, list(known)
