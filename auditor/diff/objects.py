"""The change of each object between two exhibits: two audits' selections -> columns of a Diff.

The current value of every object is compared, the one that the API serves. Its form, in which it is stored, and its
content, which a rewrite must not change, are separate facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from auditor.arrays import join
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import value_counts
from auditor.diff import joined_buffers
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.model.vocabulary import Opened, Place, Provider
from auditor.text import restore


class FormChange(IntEnum):
    """How the form of an object's current value differs. UNKNOWN: of no known form, or under an unidentified key."""

    UNCHANGED = 0
    BECAME_ENCRYPTED = 1
    RE_KEYED = 2
    STILL_PLAINTEXT = 3
    TURNED_TO_PLAINTEXT = 4
    APPEARED = 5
    VANISHED = 6
    UNKNOWN = 7

    @property
    def label(self) -> str:
        return "re-keyed" if self is FormChange.RE_KEYED else self.name.lower().replace("_", " ")


class Content(IntEnum):
    """Whether the content is the same on both sides; NONE where the object is on one side only."""

    NONE = 0
    SAME = 1
    CHANGED = 2
    UNKNOWN = 3

    @property
    def label(self) -> str:
        return self.name.lower() if self else ""


@dataclass(frozen=True, slots=True)
class Diff:
    """n objects, compared."""

    before: Selection
    """The current values of BEFORE."""
    after: Selection
    """The current values of AFTER."""
    rows: Ints
    """Shape (2, n): the row of each object on either side, or -1."""
    form: NDArray[np.uint8]
    """Codes of FormChange."""
    content: NDArray[np.uint8]
    """Codes of Content."""
    rewritten: Bools
    """Whether the mod revision differs."""
    recreated: Bools
    """Whether the object was deleted and created in between."""

    def __len__(self) -> int:
        return int(self.form.size)

    def tally(self) -> dict[tuple[FormChange, Content], int]:
        """The number of objects by form and content."""
        codes = self.form.astype(np.int64) * len(Content) + self.content
        return {
            (FormChange(code // len(Content)), Content(code % len(Content))): count
            for code, count in value_counts(codes)
        }

    def findings(self) -> Ints:
        """Bits of FindingKind of each object's value in AFTER; 0 where it has none there."""
        bits = np.zeros(len(self), np.int64)
        present = self.rows[1] >= 0
        bits[present] = self.after.findings[self.rows[1][present]]
        return bits


def current(selections: Sequence[Selection]) -> Selection | None:
    """The current values of the selected resources; None where there is no authoritative database."""
    authoritative = [each for each in selections if each.authoritative]
    serving = [each for each in authoritative if (each.batch.at(Place.LATEST) & (each.batch.key_at >= 0)).any()]
    parts = [
        values.take(np.flatnonzero(values.batch.at(Place.LATEST) & values.identified & (values.batch.key_at >= 0)))
        for values in serving or authoritative[:1]
    ]
    return (parts[0] if len(parts) == 1 else joined_buffers.concatenate(parts)) if parts else None


def compare(before: Selection, after: Selection, *, same_cluster: bool) -> Diff:
    """The comparison of two sides.

    Args:
        before: The current() values of BEFORE.
        after: The current() values of AFTER.
        same_cluster: Whether their revisions can be compared.
    """
    storage_prefixes = _prefixes(before), _prefixes(after)
    strip = storage_prefixes[0] != storage_prefixes[1] and len(storage_prefixes[0]) == len(storage_prefixes[1]) == 1
    rows = np.stack(join.outer_join(_keys(before, strip=strip), _keys(after, strip=strip)))
    both = np.flatnonzero((rows >= 0).all(axis=0))
    before_rows, after_rows = rows[0][both], rows[1][both]
    identical = join.identical(_values(before, before_rows), _values(after, after_rows))
    form = np.zeros(rows.shape[1], np.uint8)
    form[rows[0] < 0], form[rows[1] < 0] = FormChange.APPEARED, FormChange.VANISHED
    form[both] = _forms(before, after, before_rows, after_rows, identical)
    content = np.zeros(rows.shape[1], np.uint8)
    content[both] = _contents(before, after, before_rows, after_rows, identical)
    rewritten, recreated = np.zeros((2, rows.shape[1]), np.bool_)
    if same_cluster:
        rewritten[both] = before.batch.mod_revision[before_rows] != after.batch.mod_revision[after_rows]
        recreated[both] = before.batch.create_revision[before_rows] != after.batch.create_revision[after_rows]
    return Diff(
        before=before, after=after, rows=rows, form=form, content=content, rewritten=rewritten, recreated=recreated
    )


def _prefixes(side: Selection) -> set[str]:
    return {side.resources[code].prefix for code, _ in value_counts(side.resource.astype(np.int64))}


def _keys(side: Selection, *, strip: bool) -> join.Strings:
    """The etcd keys; strip: without their storage prefix, which differs between the two."""
    batch = side.batch
    cut = np.array([len(restore(resource.prefix)) if strip else 0 for resource in side.resources], np.int64)[
        side.resource
    ]
    return batch.data, batch.key_at + cut, batch.key_size - cut


def _values(side: Selection, rows: Ints) -> join.Strings:
    return side.batch.data, side.batch.value_at[rows], side.batch.value_size[rows]


def _forms(
    before: Selection, after: Selection, before_rows: Ints, after_rows: Ints, identical: Bools
) -> NDArray[np.uint8]:
    """Form of each pair of rows."""
    plain, now = before.prefixes.provider[before_rows], after.prefixes.provider[after_rows]
    was_plain, is_plain = plain == Provider.IDENTITY, now == Provider.IDENTITY
    names: dict[object, int] = {}
    secrets: dict[bytes, int] = {b"": 0}
    label, secret = (
        np.stack(pair)
        for pair in zip(
            *(_key_numbers(each, rows, names, secrets) for each, rows in ((before, before_rows), (after, after_rows))),
            strict=True,
        )
    )
    keks = [_keks(each, rows) for each, rows in ((before, before_rows), (after, after_rows))]
    (kek, kek_now), _ = join.groups(keks)
    re_keyed = (label[0] != label[1]) | (kek != kek_now) | ((secret[0] != secret[1]) & (secret > 0).all(axis=0))
    identified = _key_identified(before, before_rows) & _key_identified(after, after_rows)
    # one of two values under a name is decrypted and the other is not: that is another key's, or damaged
    opened = np.stack([before.opened[before_rows], after.opened[after_rows]])
    alike = (label[0] == label[1]) & (opened == Opened.FAILED).any(axis=0)
    identified &= ~(alike & (opened == Opened.YES).any(axis=0))
    form = np.full(before_rows.size, FormChange.UNCHANGED, np.uint8)
    form[re_keyed] = FormChange.RE_KEYED
    form[~identified & ~identical] = FormChange.UNKNOWN
    form[was_plain & ~is_plain] = FormChange.BECAME_ENCRYPTED
    form[was_plain & is_plain] = FormChange.STILL_PLAINTEXT
    form[~was_plain & is_plain] = FormChange.TURNED_TO_PLAINTEXT
    unreadable = (plain == Provider.UNKNOWN) | (now == Provider.UNKNOWN)
    unreadable |= before.prefixes.malformed[before_rows] | after.prefixes.malformed[after_rows]
    form[unreadable & ~identical] = FormChange.UNKNOWN
    return form


def _key_numbers(side: Selection, rows: Ints, names: dict[object, int], secrets: dict[bytes, int]) -> tuple[Ints, Ints]:
    """Numbers that both sides share: one of provider and key name, one of the local key that opened the value, or 0."""
    label = np.array(
        [names.setdefault(pair, len(names)) for pair in (label.pair for label in side.key_labels)], np.int64
    )
    local_keys = [secrets.setdefault(label.secret, len(secrets)) for label in side.key_labels]
    opened = side.opened[rows] == Opened.YES
    return label[side.key_label[rows]], np.where(opened, np.array(local_keys, np.int64)[side.key_label[rows]], 0)


def _keks(side: Selection, rows: Ints) -> join.Strings:
    at, length = prefixes.kek_ids(side.batch, side.prefixes)
    return side.batch.data, at[rows], np.maximum(length[rows], 0)


def _key_identified(side: Selection, rows: Ints) -> Bools:
    """Values whose key is identified: a name that is ambiguous without the key is not."""
    known: Bools = (side.prefixes.name_len[rows] != prefixes.AMBIGUOUS) | (side.opened[rows] == Opened.YES)
    return known


def _contents(
    before: Selection, after: Selection, before_rows: Ints, after_rows: Ints, identical: Bools
) -> NDArray[np.uint8]:
    """Content of each pair of rows; only values whose bytes differ are decoded."""
    content = np.full(before_rows.size, Content.SAME, np.uint8)
    rows = np.flatnonzero(~identical)
    content[rows] = Content.UNKNOWN
    known = rows[_readable(before, before_rows[rows]) & _readable(after, after_rows[rows])]
    was, now = before.decoded(before_rows[known], content=True), after.decoded(after_rows[known], content=True)
    for row, old, new in zip(known.tolist(), was, now, strict=True):
        if old is not None and new is not None and old.content and new.content:
            content[row] = Content.SAME if old.content == new.content else Content.CHANGED
    return content


def _readable(side: Selection, rows: Ints) -> Bools:
    readable: Bools = (side.prefixes.provider[rows] == Provider.IDENTITY) | (side.opened[rows] == Opened.YES)
    return readable


def by_key(side: Selection) -> dict[tuple[Provider, str], int]:
    """The number of values by provider and key."""
    counts: dict[tuple[Provider, str], int] = {}
    for number, count in value_counts(side.key_label):
        pair = side.key_labels[number].pair
        counts[pair] = counts.get(pair, 0) + count
    return counts
