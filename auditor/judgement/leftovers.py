"""Stored values that no root leads to as the current ones: what their keys hold now, and whether it is the same."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Words
from auditor.arrays.factorize import hashes
from auditor.judgement.selection import DIFFERENT, SAME, UNKNOWN, Selection
from auditor.model.vocabulary import Place


def locate(selections: Sequence[Selection]) -> list[tuple[list[int], list[bytes]]]:
    """Of each, the rows that can be judged and are not in force, and their etcd keys; b"" where it is unknown."""
    rest = []
    for values in selections:
        rows = np.flatnonzero(~(values.batch.at(Place.LATEST) & values.authoritative) & values.identified).tolist()
        rest.append((rows, [values.key(row) for row in rows]))
    return rest


def compare(selections: Sequence[Selection]) -> list[Selection]:
    """The same with `same_as_latest` of every leftover: does it hold the content of what its key holds now?"""
    rest = locate(selections)
    keys = {key for _, row_keys in rest for key in row_keys}
    if not keys:
        return list(selections)
    latest = _latest(selections, keys)
    contents: dict[bytes, bytes] = {}
    compared = []
    for values, (rows, row_keys) in zip(selections, rest, strict=True):
        same = np.zeros(len(values), np.uint8)
        same[rows] = [
            _same(values, row, latest.get(key), contents, key) if key else UNKNOWN
            for row, key in zip(rows, row_keys, strict=True)
        ]
        compared.append(replace(values, same_as_latest=same))
    return compared


def _latest(selections: Sequence[Selection], keys: Collection[bytes]) -> dict[bytes, tuple[Selection, int]]:
    """Where the current value of each of the keys lies."""
    latest: dict[bytes, tuple[Selection, int]] = {}
    hashed = np.sort(_hashes(keys))
    for values in selections:
        batch = values.batch
        current = np.flatnonzero(batch.at(Place.LATEST)) if values.authoritative else np.zeros(0, np.int64)
        own = hashes(batch.data, batch.key_at[current], batch.key_len[current].astype(np.int64))
        nearest = hashed[np.minimum(np.searchsorted(hashed, own), hashed.size - 1)]
        for row in current[nearest == own].tolist():  # hashes alone prove nothing
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
    if current is None:
        return DIFFERENT
    there, at = current
    if values.batch.value_len[row] == there.batch.value_len[at] and values.batch.value(row) == there.batch.value(at):
        return SAME
    if key not in contents:
        latest = there.decode(at)
        contents[key] = latest.content if latest is not None else b""
    leftover = values.decode(row)
    if leftover is None or not leftover.content or not contents[key]:
        return UNKNOWN
    return SAME if leftover.content == contents[key] else DIFFERENT
