"""Leftovers: stored values that are not the current ones of their keys, in comparison with what is current.

A Secret is compared by value: each of its data values with every one of every current Secret, whatever its name. Any
other object is compared as a whole, with the current one of its key.
"""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints, Words
from auditor.arrays.factorize import hashes
from auditor.judgement import current_values, keyless, secret_comparison, secret_values
from auditor.judgement.current_values import CurrentValues
from auditor.judgement.secret_comparison import Habit
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import SameAsLatest

if TYPE_CHECKING:
    from auditor.encryption.keyring import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """What leftovers are compared with, as the questioned are with a standard of known origin."""

    selections: Sequence[Selection]
    """Values, the current ones among them."""
    complete: bool = True
    """Whether every stored value that could be a current one is in the selections."""
    newer: bool = False
    """Whether they are of newer evidence: then this evidence's own latest values are compared too."""


def locate(selections: Sequence[Selection], *, latest_too: bool = False) -> list[Ints]:
    """For each selection the rows that are compared: of those that can be judged its leftovers, or its latest too."""
    return [np.flatnonzero((latest_too | ~current_values.current(values)) & values.identified) for values in selections]


def compared(selections: Sequence[Selection]) -> Container[bytes] | None:
    """Etcd keys of the objects whose contents compare() needs; None for all, since a Secret is compared with all."""
    keys: set[bytes] = set()
    for values, rows in zip(selections, locate(selections), strict=True):
        if secret_values.are_secrets(values)[rows].any() or keyless.keyless(values).any():  # it may open to a Secret
            return None
        keys.update(map(values.key, rows.tolist()))
    return keys


def compare(
    selections: Sequence[Selection],
    standard: Standard | None = None,
    *,
    keyring: "Keyring | None" = None,
    habit: Habit = Habit(),  # noqa: B008 - frozen
) -> list[Selection]:
    """The selections with `same_as_latest`, and in `reasons` which values are current and where.

    Args:
        selections: The values.
        standard: What they are compared with; by default their own current values.
        keyring: Opens a Secret once more, where it is to be seen whether a current value in it is a common one.
        habit: What is too common to say anything.
    """
    standard = standard or Standard(selections=selections)
    leftovers = locate(selections, latest_too=standard.newer)
    if not any(rows.size for rows in leftovers):
        return list(selections)
    secrets = [secret_values.are_secrets(values)[rows] for values, rows in zip(selections, leftovers, strict=True)]
    same = [np.zeros(len(values), np.uint8) for values in selections]
    reasons = [dict(values.reasons) for values in selections]
    if any(chosen.any() for chosen in secrets):
        chosen_rows = [rows[chosen] for rows, chosen in zip(leftovers, secrets, strict=True)]
        current = CurrentValues(standard.selections, list(zip(selections, chosen_rows, strict=True)))
        complete = standard.complete and bool(current.whole.all())
        for number, (values, rows, codes, texts) in enumerate(zip(selections, chosen_rows, same, reasons, strict=True)):
            verdicts = secret_comparison.compare(values, rows, number, current, keyring, habit, complete=complete)
            codes[rows] = verdicts.same
            for row, text in verdicts.reasons.items():
                texts[row] = f"{before}; {text}" if (before := texts.get(row)) else text
    others = [rows[~chosen] for rows, chosen in zip(leftovers, secrets, strict=True)]
    for codes, rows, answers in zip(same, others, _by_content(selections, others, standard), strict=True):
        codes[rows] = answers
    return [
        replace(values, same_as_latest=codes, reasons=texts)
        for values, codes, texts in zip(selections, same, reasons, strict=True)
    ]


def _by_content(selections: Sequence[Selection], leftovers: Sequence[Ints], standard: Standard) -> list[list[int]]:
    """The comparison of objects as wholes: codes of SameAsLatest for the leftovers of each selection."""
    row_keys = [[values.key(row) for row in rows.tolist()] for values, rows in zip(selections, leftovers, strict=True)]
    latest = _latest(standard.selections, {key for keys in row_keys for key in keys})
    contents: dict[bytes, bytes] = {}
    absent = SameAsLatest.NO if standard.complete else SameAsLatest.UNKNOWN
    return [
        [
            _same(values, row, latest[key], contents, key) if key in latest else absent if key else SameAsLatest.UNKNOWN
            for row, key in zip(rows.tolist(), keys, strict=True)
        ]
        for values, rows, keys in zip(selections, leftovers, row_keys, strict=True)
    ]


def _latest(selections: Sequence[Selection], keys: Collection[bytes]) -> dict[bytes, tuple[Selection, int]]:
    """Selection and row of the current value of each key."""
    latest: dict[bytes, tuple[Selection, int]] = {}
    if not keys:
        return latest
    # the hashes of the keys, in order; `nearest` is the one that the hash of a row's key could be
    key_hashes = np.sort(_hashes(keys))
    for values in selections:
        batch = values.batch
        current = np.flatnonzero(current_values.current(values))
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
    values: Selection, row: int, current: tuple[Selection, int], contents: dict[bytes, bytes], key: bytes
) -> SameAsLatest:
    """Whether a leftover has the content of the current value. contents: of current values by key, filled here."""
    other, at = current
    if values.batch.value_len[row] == other.batch.value_len[at] and values.batch.value(row) == other.batch.value(at):
        return SameAsLatest.YES
    if key not in contents:
        latest = other.decode(at)
        contents[key] = latest.content if latest is not None else b""
    leftover = values.decode(row)
    if leftover is None or not leftover.content or not contents[key]:
        return SameAsLatest.UNKNOWN
    return SameAsLatest.YES if leftover.content == contents[key] else SameAsLatest.NO
