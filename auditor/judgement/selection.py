"""The stored values that an audit is about: one batch's rows of the selected resources, and what was found of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints, Words
from auditor.arrays.factorize import factorize, hashes
from auditor.evidence.batch import RecordBatch
from auditor.judgement import policy
from auditor.kubernetes import fragments, objects, prefixes
from auditor.kubernetes.objects import Object
from auditor.kubernetes.resources import Resource
from auditor.kubernetes.store import Classified, concatenate
from auditor.model.vocabulary import Encoding, FindingKind, Opened, Place, Provider, State
from auditor.text import printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Candidate

SAME, DIFFERENT, UNKNOWN = 1, 2, 3
"""Whether a leftover holds the content of the current value; 0 where the question does not apply."""


@dataclass(frozen=True)
class Selection:
    """n values of one source. of: index of each into resource; label: into labels; bits: Finding bits, uint16.

    main: whether the source's latest values are in force: it is the evidence's own database, or (`beside`) a file
    that belongs to it.
    same: uint8, shape (n,), SAME, DIFFERENT, UNKNOWN or 0; filled by compare(). opened: uint8, codes of Opened.
    found: by row, the objects that keys opened; reasons: by row, what is to be said of it. plaintexts: by row, what
    keys opened, kept only where a hunt asks for it. candidates: the keys that the last labels stand for. secrets: the
    local ones' bytes, one each, empty for a KMS: names alone do not tell keys apart.
    """

    authoritative: bool
    batch: RecordBatch
    prefixes: prefixes.Prefixes
    resources: tuple[Resource, ...]
    resource: NDArray[np.int32]
    findings: NDArray[np.uint16]
    key_labels: tuple[tuple[Provider, str], ...]
    key_label: Ints
    same_as_latest: NDArray[np.uint8]
    opened: NDArray[np.uint8]
    objects: Mapping[int, Object] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    plaintexts: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    companion: bool = False
    candidates: "tuple[Candidate, ...]" = field(default=(), repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: Ints) -> "Selection":
        new = {old: number for number, old in enumerate(rows.tolist())} if self.objects or self.reasons else {}
        return replace(
            self,
            batch=self.batch.take(rows),
            prefixes=self.prefixes.take(rows),
            resource=self.resource[rows],
            findings=self.findings[rows],
            key_label=self.key_label[rows],
            same_as_latest=self.same_as_latest[rows],
            opened=self.opened[rows],
            objects={new[row]: found for row, found in self.objects.items() if row in new},
            reasons={new[row]: reason for row, reason in self.reasons.items() if row in new},
            plaintexts={},
        )

    @property
    def served(self) -> Bools:
        """Which values the API server reads: the latest, and what becomes so at etcd's next start."""
        pending = self.batch.has(State.NOT_YET_APPLIED)
        return self.batch.at(Place.LATEST) | pending if self.authoritative else pending

    @property
    def identified(self) -> Bools:
        """Which values can be judged: all but fragments that do not say of what resource, or how encoded, they are."""
        return _identified(Classified(self.batch, self.prefixes, self.resource), self.resources)

    def mark_codes(self) -> Ints:
        """What severities depend on, in one number: bits << 8 | place << 4 | in force << 2 | same."""
        current = (self.served | self.batch.at(Place.LATEST)).astype(np.int64)
        codes: Ints = (
            self.findings.astype(np.int64) << 8
            | self.batch.place.astype(np.int64) << 4
            | current << 2
            | self.same_as_latest
        )
        return codes

    @cached_property
    def by_key(self) -> tuple[Ints, Ints]:
        """Equal etcd keys share a number: numbers (n,), and one row of each."""
        return factorize(self.batch.data, self.batch.key_at, self.batch.key_size)

    @cached_property
    def by_value(self) -> tuple[Ints, Ints]:
        """Equal stored bytes share a number: numbers (n,), and one row of each."""
        return factorize(self.batch.data, self.batch.value_at, self.batch.value_size)

    def decode(self, row: int) -> Object | None:
        """What a readable or opened value is; None where neither."""
        return self.decoded(np.array([row]), content=True)[0]

    def decoded(self, rows: Ints, *, content: bool) -> list[Object | None]:
        """decode() of every row. Without `content` the digests of what the objects hold stay empty."""
        batch = self.batch
        raw = batch.data.slices(batch.value_at[rows], batch.value_len[rows])
        readable = (self.prefixes.provider[rows] == Provider.IDENTITY).tolist()
        kinds = [Encoding(code) for code in range(len(Encoding))]
        encodings = [kinds[code] for code in self.prefixes.encoding[rows].tolist()]
        cut = batch.has(State.TAIL_LOST)[rows].tolist()
        headless = (batch.key_at[rows] < 0).tolist()
        found: list[Object | None] = []
        for row, value, plain, encoding, short, lost in zip(
            rows.tolist(), raw, readable, encodings, cut, headless, strict=True
        ):
            if not plain:
                found.append(self.objects.get(row))
            elif lost and not value.startswith(prefixes.READABLE):
                found.append(objects.tail(value))
            else:
                found.append(objects.decode(value, encoding, cut=short, content=content))
        return found

    def key(self, row: int) -> bytes:
        """The etcd key; of a fragment that lost it, the one that its object would have."""
        if self.batch.key_at[row] >= 0:
            return self.batch.key(row)
        said = self.decode(row)
        name = self.resources[self.resource[row]].name
        path = next((each.path for each in self.resources if each.name == name and each.path), "")
        if said is None or not said.name or not path:
            return b""
        return b"/".join(part for part in (restore(path), said.namespace, said.name) if part)

    @property
    def plaintext(self) -> Bools:
        readable: Bools = (self.findings & np.uint16(FindingKind.PLAINTEXT)) != 0
        return readable


def select(
    parts: Sequence[Classified],
    resources: tuple[Resource, ...],
    judged: Bools,
    *,
    authoritative: bool,
    plaintext: bool,
    companion: bool = False,
) -> Selection:
    """The values of one source of which the resource is judged, by what they claim to be.

    judged: which of the resources, shape (len(resources),). plaintext: whether readable values are expected.
    """
    values = concatenate([part.take(np.flatnonzero(judged[part.resource] & part.stores)) for part in parts])
    batch, claims = values.batch, values.prefixes
    labels, label = label_values(batch, claims)
    findings = policy.judge(claims.provider, claims.malformed, plaintext=plaintext)
    findings[~_identified(values, resources)] = 0  # not judged: listed, and named as not examined
    opened = np.where(claims.provider > Provider.IDENTITY, np.uint8(Opened.NO_KEY), np.uint8(Opened.NOT_TRIED))
    return Selection(
        authoritative=authoritative,
        batch=batch,
        prefixes=claims,
        resources=resources,
        resource=values.resource,
        findings=findings,
        key_labels=labels,
        key_label=label,
        same_as_latest=np.zeros(len(values), np.uint8),
        opened=opened,
        companion=companion,
    )


def _identified(values: Classified, resources: Sequence[Resource]) -> Bools:
    unidentified = np.array([resource is fragments.UNIDENTIFIED for resource in resources], np.bool_)
    stump = values.batch.has(State.TAIL_LOST) & (values.prefixes.provider == Provider.UNKNOWN)
    identified: Bools = ~(unidentified[values.resource] | stump)
    return identified


def label_values(batch: RecordBatch, stored: prefixes.Prefixes) -> tuple[tuple[tuple[Provider, str], ...], Ints]:
    """Provider and key name of every value: the distinct pairs, and for each value the index of its own."""
    labels = [(provider, "") for provider in Provider]
    label = stored.provider.astype(np.int64)
    named = np.flatnonzero((stored.name_len >= 0) & ~stored.malformed)
    at = batch.value_at[named]
    numbers, heads = factorize(batch.data, at, stored.name_at[named] + stored.name_len[named] - at)
    label[named] = numbers + len(labels)
    for head in named[heads].tolist():
        name = batch.data.slice(int(stored.name_at[head]), int(stored.name_len[head]))
        labels.append((Provider(int(stored.provider[head])), printable(name)))
    return tuple(labels), label


def leftovers(selections: Sequence[Selection]) -> list[tuple[list[int], list[bytes]]]:
    """Of each, the rows that can be judged and are not in force, and their etcd keys; b"" where it is not told."""
    rows = [
        np.flatnonzero(~(each.batch.at(Place.LATEST) & each.authoritative) & each.identified).tolist()
        for each in selections
    ]
    return [(mine, [each.key(row) for row in mine]) for each, mine in zip(selections, rows, strict=True)]


def compare(selections: Sequence[Selection]) -> list[Selection]:
    """The same with `same_as_latest` of every leftover: does it hold the content of what its key holds now?"""
    left = leftovers(selections)
    asked = {key for _, keys in left for key in keys}
    if not asked:
        return list(selections)
    latest: dict[bytes, tuple[Selection, int]] = {}
    hashed = np.sort(_hashes(asked))
    for each in selections:
        current = np.flatnonzero(each.batch.at(Place.LATEST)) if each.authoritative else np.zeros(0, np.int64)
        at, length = each.batch.key_at[current], each.batch.key_size[current]
        mine = hashes(each.batch.data, at, length)
        nearest = hashed[np.minimum(np.searchsorted(hashed, mine), hashed.size - 1)]
        current = current[nearest == mine]  # hashes alone prove nothing
        for row in current.tolist():
            if (key := each.batch.key(row)) in asked:
                latest[key] = (each, row)
    contents: dict[bytes, bytes] = {}
    compared = []
    for each, (rows, keys) in zip(selections, left, strict=True):
        same = np.zeros(len(each), np.uint8)
        same[rows] = [
            _same(each, row, latest.get(key), contents, key) if key else UNKNOWN
            for row, key in zip(rows, keys, strict=True)
        ]
        compared.append(replace(each, same_as_latest=same))
    return compared


def _hashes(texts: Collection[bytes]) -> Words:
    """hashes() of some byte strings."""
    length = np.array([len(text) for text in texts], np.int64)
    return hashes(Buffer(b"".join(texts)), np.cumsum(length) - length, length)


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
