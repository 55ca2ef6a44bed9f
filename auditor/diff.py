"""What became of each object between two pieces of evidence: two audits' selections -> columns of a Diff.

Of every object the current value is compared, which is what the API serves. Two facts are kept apart: the form, in
which it is stored, and the content, which a rewrite must not change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from auditor import pairing, policy
from auditor.columns import Bools, Ints, counts
from auditor.model import Cell, Finding, Opened, Place, Provider, Severity
from auditor.selection import Selection
from auditor.storage import values
from auditor.text import printables, restore


class Form(IntEnum):
    """How the form of an object's current value differs. UNKNOWN: of no known form, or under a key not told."""

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
        return "re-keyed" if self is Form.RE_KEYED else self.name.lower().replace("_", " ")


class Content(IntEnum):
    """Whether the content is the same on both sides; NONE where the object is on one side only."""

    NONE = 0
    SAME = 1
    CHANGED = 2
    UNKNOWN = 3

    @property
    def label(self) -> str:
        return self.name.lower() if self else ""


EACH = {
    "provider": "identity, aescbc, aesgcm, secretbox, kms v1, kms v2 or unknown: what the prefix claims",
    "key_name": "the key's or the KMS plugin's name",
    "kek_id": "KMS v2's keyID, which stands in clear",
    "opened": "yes, no key, failed or not tried; empty for what needs no key",
    "mod_revision": "etcd's mod revision",
    "size": "bytes of the stored value",
}
"""What stands in the columns of each side."""
COLUMNS: dict[str, str] = {
    "form": "became encrypted, re-keyed, still plaintext, turned to plaintext, appeared, vanished, unchanged, unknown",
    "content": "whether type and data of a Secret (of others all but the metadata) are the same on both sides: same, "
    "changed, unknown; empty where one side has no such object",
    "resource": "as an EncryptionConfiguration names it",
    "namespace": "from the etcd key; empty for cluster-scoped objects",
    "name": "from the etcd key",
    "key": "the etcd key, of AFTER where it is there",
    **{f"{side}_{name}": f"{told}; in {side.upper()}" for side in ("before", "after") for name, told in EACH.items()},
    "finding": "what a scan of AFTER finds of this value, joined with ;",
    "severity": "the highest of those findings",
    "detail": "what else there is to say",
}
NUMBERS = frozenset(f"{side}_{name}" for side in ("before", "after") for name in ("mod_revision", "size"))


@dataclass(frozen=True, slots=True)
class Diff:
    """n objects. before, after: the current values; rows: of each, shape (2, n), row on either side or -1.

    form, content: uint8, codes of Form and Content. rewritten: whether its mod revision differs. again: whether it
    was deleted and created in between.
    """

    before: Selection
    after: Selection
    rows: Ints
    form: NDArray[np.uint8]
    content: NDArray[np.uint8]
    rewritten: Bools
    again: Bools

    def __len__(self) -> int:
        return int(self.form.size)

    def tally(self) -> dict[tuple[Form, Content], int]:
        codes = self.form.astype(np.int64) * len(Content) + self.content
        return {(Form(code // len(Content)), Content(code % len(Content))): count for code, count in counts(codes)}

    def marks(self) -> Ints:
        """Bits of Finding of each object's value in AFTER; 0 where it has none there."""
        bits = np.zeros(len(self), np.int64)
        there = self.rows[1] >= 0
        bits[there] = self.after.bits[self.rows[1][there]]
        return bits


def current(selections: Sequence[Selection]) -> Selection | None:
    """The current values of the selected resources; None where there is no database whose values are in force."""
    for each in selections:
        if each.main:
            return each.take(np.flatnonzero(each.batch.at(Place.LATEST) & each.told & (each.batch.key_at >= 0)))
    return None


def compare(before: Selection, after: Selection, *, same_cluster: bool) -> Diff:
    """Both of current() values. same_cluster: whether revisions can be compared."""
    cut = _prefixes(before), _prefixes(after)
    strip = cut[0] != cut[1] and len(cut[0]) == len(cut[1]) == 1
    rows = np.stack(pairing.paired(_keys(before, strip=strip), _keys(after, strip=strip)))
    both = np.flatnonzero((rows >= 0).all(axis=0))
    one, other = rows[0][both], rows[1][both]
    identical = pairing.identical(_values(before, one), _values(after, other))
    form = np.zeros(rows.shape[1], np.uint8)
    form[rows[0] < 0], form[rows[1] < 0] = Form.APPEARED, Form.VANISHED
    form[both] = _forms(before, after, one, other, identical)
    content = np.zeros(rows.shape[1], np.uint8)
    content[both] = _contents(before, after, one, other, identical)
    rewritten, again = np.zeros((2, rows.shape[1]), np.bool_)
    if same_cluster:
        rewritten[both] = before.batch.main[one] != after.batch.main[other]
        again[both] = before.batch.create[one] != after.batch.create[other]
    return Diff(before, after, rows, form, content, rewritten, again)


def _prefixes(each: Selection) -> set[str]:
    return {each.resource[of].prefix for of, _ in counts(each.of.astype(np.int64))}


def _keys(each: Selection, *, strip: bool) -> pairing.Strings:
    """The etcd keys; strip: without their storage prefix, which differs between the two."""
    batch = each.batch
    cut = np.array([len(restore(resource.prefix)) if strip else 0 for resource in each.resource], np.int64)[each.of]
    return batch.data, batch.key_at + cut, batch.key_len.astype(np.int64) - cut


def _values(each: Selection, rows: Ints) -> pairing.Strings:
    return each.batch.data, each.batch.value_at[rows], each.batch.value_len[rows].astype(np.int64)


def _forms(before: Selection, after: Selection, one: Ints, other: Ints, identical: Bools) -> NDArray[np.uint8]:
    """Form of each pair of rows."""
    plain, now = before.values.provider[one], after.values.provider[other]
    was_plain, is_plain = plain == Provider.IDENTITY, now == Provider.IDENTITY
    names: dict[object, int] = {}
    secrets: dict[bytes, int] = {b"": 0}
    label, secret = (
        np.stack(pair)
        for pair in zip(
            *(_numbered(each, rows, names, secrets) for each, rows in ((before, one), (after, other))), strict=True
        )
    )
    keks = [_keks(each, rows) for each, rows in ((before, one), (after, other))]
    (kek, kek_now), _ = pairing.groups(keks)
    re_keyed = (label[0] != label[1]) | (kek != kek_now) | ((secret[0] != secret[1]) & (secret > 0).all(axis=0))
    told = _told(before, one) & _told(after, other)
    form = np.full(one.size, Form.UNCHANGED, np.uint8)
    form[re_keyed] = Form.RE_KEYED
    form[~told & ~identical] = Form.UNKNOWN
    form[was_plain & ~is_plain] = Form.BECAME_ENCRYPTED
    form[was_plain & is_plain] = Form.STILL_PLAINTEXT
    form[~was_plain & is_plain] = Form.TURNED_TO_PLAINTEXT
    lost = (plain == Provider.UNKNOWN) | (now == Provider.UNKNOWN)
    lost |= before.values.malformed[one] | after.values.malformed[other]
    form[lost & ~identical] = Form.UNKNOWN
    return form


def _numbered(each: Selection, rows: Ints, names: dict[object, int], secrets: dict[bytes, int]) -> tuple[Ints, Ints]:
    """Numbers that both sides share: of provider and key name, and of the local key that opened the value, or 0."""
    label = np.array([names.setdefault(pair, len(names)) for pair in each.labels], np.int64)
    own = len(each.labels) - len(each.secrets)
    behind = [0] * own + [secrets.setdefault(text, len(secrets)) for text in each.secrets]
    opened = each.opened[rows] == Opened.YES
    return label[each.label[rows]], np.where(opened, np.array(behind, np.int64)[each.label[rows]], 0)


def _keks(each: Selection, rows: Ints) -> pairing.Strings:
    at, length = values.kek_ids(each.batch, each.values)
    return each.batch.data, at[rows], np.maximum(length[rows], 0)


def _told(each: Selection, rows: Ints) -> Bools:
    """Of which values the key is known: a name that is ambiguous without the key is not."""
    known: Bools = (each.values.name_len[rows] != values.AMBIGUOUS) | (each.opened[rows] == Opened.YES)
    return known


def _contents(before: Selection, after: Selection, one: Ints, other: Ints, identical: Bools) -> NDArray[np.uint8]:
    """Content of each pair of rows; only those of which the bytes differ are decoded."""
    content = np.full(one.size, Content.SAME, np.uint8)
    rows = np.flatnonzero(~identical)
    content[rows] = Content.UNKNOWN
    known = rows[_readable(before, one[rows]) & _readable(after, other[rows])]
    was, now = before.decoded(one[known], content=True), after.decoded(other[known], content=True)
    for row, old, new in zip(known.tolist(), was, now, strict=True):
        if old is not None and new is not None and old.content and new.content:
            content[row] = Content.SAME if old.content == new.content else Content.CHANGED
    return content


def _readable(each: Selection, rows: Ints) -> Bools:
    readable: Bools = (each.values.provider[rows] == Provider.IDENTITY) | (each.opened[rows] == Opened.YES)
    return readable


def problems(diff: Diff) -> Ints:
    """The objects that are not as they should be, changed, or of no form that is told: numbers into the Diff."""
    bits = diff.marks()
    serious = [code for code, _ in counts(bits) if _finding(code)[1] not in {"", Severity.LOW.label}]
    wrong = np.isin(bits, serious) | (diff.content == Content.CHANGED) | (diff.form == Form.UNKNOWN)
    return np.flatnonzero(wrong)


def columns(diff: Diff, chosen: Ints | None = None, most: int | None = None) -> Mapping[str, Sequence[Cell]]:
    """One row an object, in the order of their etcd keys: COLUMNS, ready to be written.

    chosen: numbers of the objects, all where it is None; most: how many of them, the first.
    """
    keys = _etcd_keys(diff, np.arange(len(diff)) if chosen is None else chosen)
    numbers = np.array([number for _, number in (sorted(keys)[:most])], np.int64)
    rows = diff.rows[:, numbers]
    before, after = (_side(each, mine) for each, mine in zip((diff.before, diff.after), rows, strict=True))
    sides = [after if there else before for there in (rows[1] >= 0).tolist()]
    key, path, resource = ([side[name][row] for row, side in enumerate(sides)] for name in ("key", "path", "resource"))
    names = [str(text)[int(length) + 1 :].rpartition("/") for text, length in zip(key, path, strict=True)]
    bits = diff.marks()[numbers]
    found = {code: _finding(code) for code, _ in counts(bits)}
    labels = [found[code] for code in bits.tolist()]
    made: dict[str, Sequence[Cell]] = {
        "form": _labels(diff.form[numbers], [form.label for form in Form]),
        "content": _labels(diff.content[numbers], [content.label for content in Content]),
        "resource": resource,
        "namespace": [namespace for namespace, _, _ in names],
        "name": [name for _, _, name in names],
        "key": key,
        **{f"before_{name}": before[name] for name in EACH},
        **{f"after_{name}": after[name] for name in EACH},
        "finding": [finding for finding, _ in labels],
        "severity": [level for _, level in labels],
        "detail": np.where(diff.again[numbers], "deleted and created again", "").tolist(),
    }
    return {name: made[name] for name in COLUMNS}


def _etcd_keys(diff: Diff, numbers: Ints) -> list[tuple[bytes, int]]:
    """The etcd key of each object, of AFTER where it is there, and its number."""
    found: list[tuple[bytes, int]] = []
    gone = diff.rows[1][numbers] < 0
    for each, side, mine in ((diff.after, 1, numbers[~gone]), (diff.before, 0, numbers[gone])):
        rows, batch = diff.rows[side][mine], each.batch
        keys = batch.data.slices(batch.key_at[rows], batch.key_len[rows].astype(np.int64))
        found += zip(keys, mine.tolist(), strict=True)
    return found


def _side(each: Selection, rows: Ints) -> dict[str, list[Cell]]:
    """What one side says of every object, empty where it has none; `path`: length of the key's part before names."""
    there = np.flatnonzero(rows >= 0)
    every = there.size == rows.size
    mine = rows[there]
    batch = each.batch.take(mine)
    stored = each.values.take(mine)
    at, length = values.kek_ids(batch, stored)
    paths = [len(resource.path) for resource in each.resource]

    def spread(cells: Sequence[Cell]) -> list[Cell]:
        if every:
            return list(cells)
        column: list[Cell] = [""] * rows.size
        for place, cell in zip(there.tolist(), cells, strict=True):
            column[place] = cell
        return column

    opened = ["", *(state.label for state in Opened if state)]
    return {
        "key": spread(printables(batch.data.slices(batch.key_at, batch.key_len.astype(np.int64)))),
        "path": spread(_labels(each.of[mine], paths)),
        "resource": spread(_labels(each.of[mine], [resource.name for resource in each.resource])),
        "provider": spread(_labels(stored.provider, [provider.label for provider in Provider])),
        "key_name": spread(_labels(each.label[mine], [name for _, name in each.labels])),
        "kek_id": spread(printables(batch.data.slices(at, np.maximum(length, 0)))),
        "opened": spread(_labels(each.opened[mine], opened)),
        "mod_revision": spread(batch.main.tolist()),
        "size": spread(batch.value_len.tolist()),
    }


def _labels(codes: NDArray[np.generic], meaning: Sequence[Cell]) -> list[Cell]:
    return [meaning[code] for code in codes.tolist()]


def _finding(bits: int) -> tuple[str, str]:
    """Findings of a current value, joined, and the highest severity."""
    found = list(Finding(bits))
    levels = [policy.severity(each, current=True, same_as_latest=False) for each in found]
    return ";".join(each.label for each in found), max(levels, default=Severity.LOW).label if found else ""


def by_key(each: Selection) -> dict[tuple[Provider, str], int]:
    """How many values are under each provider and key."""
    found: dict[tuple[Provider, str], int] = {}
    for number, count in counts(each.label):
        found[each.labels[number]] = found.get(each.labels[number], 0) + count
    return found
