"""The stored values that an audit is about: one batch's rows of the selected resources, and what was found of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from auditor import policy
from auditor.batch import Batch
from auditor.columns import Bools, Ints
from auditor.model import Encoding, Finding, Opened, Place, Provider
from auditor.storage import objects, values
from auditor.storage.resources import Resource
from auditor.text import printable

SAME, DIFFERENT, UNKNOWN = 1, 2, 3
"""Whether a leftover holds the content of the current value; 0 where the question does not apply."""


@dataclass(frozen=True)
class Selection:
    """n values of one source. of: index of each into resource; label: into labels; bits: Finding bits, uint16.

    tag: what tells the source from the others of the same evidence, whatever the evidence file is called.
    same: uint8, shape (n,), SAME, DIFFERENT, UNKNOWN or 0; filled by compare(). opened: uint8, codes of Opened.
    found: by row, the objects that keys opened; reasons: by row, what is to be said of it.
    """

    tag: str
    batch: Batch
    values: values.Values
    resource: tuple[Resource, ...]
    of: NDArray[np.int32]
    bits: NDArray[np.uint16]
    labels: tuple[tuple[Provider, str], ...]
    label: Ints
    same: NDArray[np.uint8]
    opened: NDArray[np.uint8]
    found: Mapping[int, objects.Object] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: Ints) -> "Selection":
        new = {old: number for number, old in enumerate(rows.tolist())} if self.found or self.reasons else {}
        return replace(
            self,
            batch=self.batch.take(rows),
            values=self.values.take(rows),
            of=self.of[rows],
            bits=self.bits[rows],
            label=self.label[rows],
            same=self.same[rows],
            opened=self.opened[rows],
            found={new[row]: found for row, found in self.found.items() if row in new},
            reasons={new[row]: reason for row, reason in self.reasons.items() if row in new},
        )

    def mark_codes(self) -> Ints:
        """What severities depend on, in one number: bits << 8 | place << 4 | same."""
        codes: Ints = self.bits.astype(np.int64) << 8 | self.batch.place.astype(np.int64) << 4 | self.same
        return codes

    def decode(self, row: int) -> objects.Object | None:
        """What a readable or opened value is; None where neither."""
        if self.values.provider[row] != Provider.IDENTITY:
            return self.found.get(row)
        return objects.decode(self.batch.value(row), Encoding(int(self.values.encoding[row])))

    @property
    def plaintext(self) -> Bools:
        readable: Bools = (self.bits & np.uint16(Finding.PLAINTEXT)) != 0
        return readable


def select(
    batch: Batch,
    stored: values.Values,
    resource: NDArray[np.int32],
    table: tuple[Resource, ...],
    wanted: Bools,
    *,
    plaintext: bool,
) -> Selection:
    """The rows whose resource is wanted and which store a value, judged by what they claim to be."""
    rows = np.flatnonzero(wanted[resource] & ~values.no_value(batch))
    mine, kept = stored.take(rows), batch.take(rows)
    labels, label = label_values(kept, mine)
    bits = policy.judge(mine.provider, mine.malformed, plaintext=plaintext)
    opened = np.where(mine.provider > Provider.IDENTITY, np.uint8(Opened.NO_KEY), np.uint8(Opened.NOT_TRIED))
    return Selection("", kept, mine, table, resource[rows], bits, labels, label, np.zeros(rows.size, np.uint8), opened)


def label_values(batch: Batch, stored: values.Values) -> tuple[tuple[tuple[Provider, str], ...], Ints]:
    """Provider and key name of every value: the distinct pairs, and for each value the index of its own."""
    labels = [(provider, "") for provider in Provider]
    label = stored.provider.astype(np.int64)
    named = np.flatnonzero((stored.name_len >= 0) & ~stored.malformed)
    at = batch.value_at[named]
    numbers, heads = batch.data.group(at, stored.name_at[named] + stored.name_len[named] - at)
    label[named] = numbers + len(labels)
    for head in named[heads].tolist():
        name = batch.data.slice(int(stored.name_at[head]), int(stored.name_len[head]))
        labels.append((Provider(int(stored.provider[head])), printable(name)))
    return tuple(labels), label


def compare(selections: Sequence[Selection]) -> None:
    """Fill `same` for every leftover: does it hold the content of what the same key holds now?"""
    left = [np.flatnonzero(each.batch.place != Place.LATEST) for each in selections]
    if not any(rows.size for rows in left):
        return
    keys = {each.batch.key(row) for each, rows in zip(selections, left, strict=True) for row in rows.tolist()}
    latest: dict[bytes, tuple[Selection, int]] = {}
    for each in selections:
        for row in np.flatnonzero(each.batch.at(Place.LATEST)).tolist():
            if (key := each.batch.key(row)) in keys:
                latest[key] = (each, row)
    contents: dict[bytes, bytes] = {}
    for each, rows in zip(selections, left, strict=True):
        for row in rows.tolist():
            key = each.batch.key(row)
            each.same[row] = _same(each, row, latest.get(key), contents, key)


def _same(
    each: Selection, row: int, current: tuple[Selection, int] | None, contents: dict[bytes, bytes], key: bytes
) -> int:
    if current is None:
        return DIFFERENT
    there, at = current
    if each.batch.value_len[row] == there.batch.value_len[at] and each.batch.value(row) == there.batch.value(at):
        return SAME
    if key not in contents:
        now = there.decode(at)
        contents[key] = now.content if now is not None else b""
    mine = each.decode(row)
    if mine is None or not mine.content or not contents[key]:
        return UNKNOWN
    return SAME if mine.content == contents[key] else DIFFERENT
