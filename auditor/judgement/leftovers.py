"""Leftovers: stored values that are not the current ones of their keys, in comparison with the current ones."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Words
from auditor.arrays.factorize import hashes
from auditor.judgement.selection import DIFFERENT, SAME, UNKNOWN, Selection
from auditor.model.vocabulary import Place


def locate(selections: Sequence[Selection]) -> list[tuple[list[int], list[bytes]]]:
    """For each selection: the rows of its leftovers that can be judged, and their etcd keys; b"" for an unknown key."""
    leftovers = []
    for values in selections:
        rows = np.flatnonzero(~(values.batch.at(Place.LATEST) & values.authoritative) & values.identified).tolist()
        leftovers.append((rows, [values.key(row) for row in rows]))
    return leftovers


def compare(selections: Sequence[Selection]) -> list[Selection]:
    """The selections with `same_as_latest`: whether each leftover has the content of its key's current value."""
    leftovers = locate(selections)
    keys = {key for _, row_keys in leftovers for key in row_keys}
    if not keys:
        return list(selections)
    latest = _latest(selections, keys)
    contents: dict[bytes, bytes] = {}
    compared = []
    for values, (rows, row_keys) in zip(selections, leftovers, strict=True):
        same = np.zeros(len(values), np.uint8)
        same[rows] = [
            _same(values, row, latest.get(key), contents, key) if key else UNKNOWN
            for row, key in zip(rows, row_keys, strict=True)
        ]
        compared.append(replace(values, same_as_latest=same))
    return compared


def _latest(selections: Sequence[Selection], keys: Collection[bytes]) -> dict[bytes, tuple[Selection, int]]:
    """Selection and row of the current value of each key."""
    latest: dict[bytes, tuple[Selection, int]] = {}
    # the hashes of the keys, in order; `nearest` is the one that the hash of a row's key could be
    key_hashes = np.sort(_hashes(keys))
    for values in selections:
        batch = values.batch
        current = np.flatnonzero(batch.at(Place.LATEST)) if values.authoritative else np.zeros(0, np.int64)
        own = hashes(batch.data, batch.key_at[current], batch.key_len[current].astype(np.int64))
        nearest = key_hashes[np.minimum(np.searchsorted(key_hashes, own), key_hashes.size - 1)]
        for row in current[nearest == own].tolist():  # equal hashes prove nothing
            if (key := batch.key(row)) in keys:
                latest[key] = (values, row)
    return latest


def _hashes(texts: Collection[bytes]) -> Words:
    """hashes() of some byte strings."""
    length = np.array([len(text) for text in texts], np.int64)
    return hashes(Buffer(b"".join(texts)), np.cumsum(length) - length, length)


def _same(
    values: Selection, row: int, current: tuple[Selection, int] | None, contents: dict[bytes, bytes], key: bytes
) -> int:
    """Whether a leftover has the content of the current value. contents: of current values by key, filled here."""
    if current is None:
        return DIFFERENT
    other, at = current
    if values.batch.value_len[row] == other.batch.value_len[at] and values.batch.value(row) == other.batch.value(at):
        return SAME
    if key not in contents:
        latest = other.decode(at)
        contents[key] = latest.content if latest is not None else b""
    leftover = values.decode(row)
    if leftover is None or not leftover.content or not contents[key]:
        return UNKNOWN
    return SAME if leftover.content == contents[key] else DIFFERENT
