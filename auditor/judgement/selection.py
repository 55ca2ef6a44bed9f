"""The stored values that an audit is about: of each source those of the selected resources, and their findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.dictionary import Dictionary, from_columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.evidence.batch import RecordBatch
from auditor.judgement import policy
from auditor.kubernetes import fragments, objects, prefixes
from auditor.kubernetes.objects import Object
from auditor.kubernetes.resources import Resource
from auditor.kubernetes.store import Classified, Store, concatenate
from auditor.model.vocabulary import Encoding, FindingKind, Opened, Place, Provider, Severity, State
from auditor.text import printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Candidate
    from auditor.evidence.reading import Reading

SAME, DIFFERENT, UNKNOWN = 1, 2, 3
"""Whether a leftover holds the content of the current value; 0 where the question does not apply."""


class KeyLabel(NamedTuple):
    """Provider and key name that a value names, or the key that opened it."""

    provider: Provider
    name: str
    """Printable; empty where the value names none."""
    candidate: "Candidate | None" = None
    """The key that was tried; None where the stored bytes alone say so."""

    @property
    def pair(self) -> tuple[Provider, str]:
        return self.provider, self.name

    @property
    def secret(self) -> bytes:
        """The local key's bytes, empty for a KMS: names alone do not tell keys apart."""
        return self.candidate.secret if self.candidate is not None else b""


class Grade(NamedTuple):
    """What the severity of a value's findings depends on."""

    findings: FindingKind
    place: Place
    current: bool
    """Whether the API server reads the value, or would."""
    same: int
    """SAME, DIFFERENT, UNKNOWN or 0, as in Selection.same_as_latest."""

    def severity(self, finding: FindingKind) -> Severity:
        return policy.severity(finding, current=self.current, same_as_latest=self.same == SAME)


@dataclass(frozen=True)
class Selection:
    """n values of one source: what they claim to be, which keys open them, and their findings."""

    authoritative: bool
    """Whether the source's latest values are in force: it is the evidence's own database, or a companion of it."""
    batch: RecordBatch
    prefixes: prefixes.Prefixes
    resources: tuple[Resource, ...]
    resource: NDArray[np.int32]
    """Of each value the index into resources."""
    findings: NDArray[np.uint16]
    """Bits of FindingKind, written by mark() alone."""
    key_labels: tuple[KeyLabel, ...]
    """What values name, then the keys that were tried."""
    key_label: Ints
    """Of each value the index into key_labels."""
    same_as_latest: NDArray[np.uint8]
    """SAME, DIFFERENT, UNKNOWN or 0, made by compare()."""
    opened: NDArray[np.uint8]
    """Codes of Opened."""
    objects: Mapping[int, Object] = field(default_factory=dict)
    """By row, what keys opened."""
    reasons: dict[int, str] = field(default_factory=dict)
    """By row, why it is as it is, written by mark() alone."""
    plaintexts: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    """By row, the bytes that keys opened, kept only where a hunt asks for them."""
    companion: bool = False
    """Whether the source is a file beside the evidence's own database."""

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: Ints) -> "Selection":
        new = {old: row for row, old in enumerate(rows.tolist())} if self.objects or self.reasons else {}
        return replace(
            self,
            batch=self.batch.take(rows),
            prefixes=self.prefixes.take(rows),
            resource=self.resource[rows],
            findings=self.findings[rows],
            key_label=self.key_label[rows],
            same_as_latest=self.same_as_latest[rows],
            opened=self.opened[rows],
            objects={new[row]: opened for row, opened in self.objects.items() if row in new},
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

    def grades(self) -> Dictionary[Grade]:
        """Of each value what severities depend on."""
        columns = (self.findings, self.batch.place, self.served | self.batch.at(Place.LATEST), self.same_as_latest)
        return from_columns(columns, (1 << len(FindingKind), len(Place), 2, UNKNOWN + 1), _grade)

    def mark(self, rows: Ints | list[int], finding: int, reason: str = "") -> None:
        """Add a finding to some values, and why, where that is more than its name says."""
        self.findings[rows] |= np.uint16(finding)
        for row in np.asarray(rows).tolist() if reason else ():
            self.reasons[row] = "; ".join(part for part in (self.reasons.get(row, ""), reason) if part)

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
        decoded: list[Object | None] = []
        for row, value, plain, encoding, short, lost in zip(
            rows.tolist(), raw, readable, encodings, cut, headless, strict=True
        ):
            if not plain:
                decoded.append(self.objects.get(row))
            elif lost and not value.startswith(prefixes.READABLE):
                decoded.append(objects.tail(value))
            else:
                decoded.append(objects.decode(value, encoding, cut=short, content=content))
        return decoded

    def key(self, row: int) -> bytes:
        """The etcd key; of a fragment that lost it, the one that its object would have."""
        if self.batch.key_at[row] >= 0:
            return self.batch.key(row)
        decoded = self.decode(row)
        name = self.resources[self.resource[row]].name
        path = next((resource.path for resource in self.resources if resource.name == name and resource.path), "")
        if decoded is None or not decoded.name or not path:
            return b""
        return b"/".join(part for part in (restore(path), decoded.namespace, decoded.name) if part)

    @property
    def plaintext(self) -> Bools:
        readable: Bools = (self.findings & np.uint16(FindingKind.PLAINTEXT)) != 0
        return readable


def _grade(findings: int, place: int, current: int, same: int) -> Grade:
    return Grade(FindingKind(findings), Place(place), bool(current), same)


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


def select_by_source(store: Store, judged: Bools, evidence: "Reading", *, plaintext: bool) -> list[Selection]:
    """select() for each source and buffer; which sources are in force, the reading says."""
    selections = []
    for parts in store.by_source():
        source = parts[0].batch.source
        selections.append(
            select(
                parts,
                store.resources,
                judged,
                authoritative=evidence.serves(source),
                plaintext=plaintext,
                companion=source in evidence.companions,
            )
        )
    return selections


def _identified(values: Classified, resources: Sequence[Resource]) -> Bools:
    unidentified = np.array([resource is fragments.UNIDENTIFIED for resource in resources], np.bool_)
    stump = values.batch.has(State.TAIL_LOST) & (values.prefixes.provider == Provider.UNKNOWN)
    identified: Bools = ~(unidentified[values.resource] | stump)
    return identified


def label_values(batch: RecordBatch, claims: prefixes.Prefixes) -> tuple[tuple[KeyLabel, ...], Ints]:
    """Provider and key name of every value: the distinct labels, and for each value the index of its own."""
    labels = [KeyLabel(provider, "") for provider in Provider]
    label = claims.provider.astype(np.int64)
    named = np.flatnonzero((claims.name_len >= 0) & ~claims.malformed)
    at = batch.value_at[named]
    numbers, heads = factorize(batch.data, at, claims.name_at[named] + claims.name_len[named] - at)
    label[named] = numbers + len(labels)
    for head in named[heads].tolist():
        name = batch.data.slice(int(claims.name_at[head]), int(claims.name_len[head]))
        labels.append(KeyLabel(Provider(int(claims.provider[head])), printable(name)))
    return tuple(labels), label
