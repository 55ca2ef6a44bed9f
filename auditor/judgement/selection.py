"""Selections: the stored values of the judged resources, by source, with their findings."""

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
from auditor.model.vocabulary import Encoding, FindingKind, Opened, Place, Provider, SameAsLatest, Severity, State
from auditor.text import printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Candidate
    from auditor.evidence.reading import Reading


class KeyLabel(NamedTuple):
    """Provider and key name in a value's prefix, or the key that was tried on it."""

    provider: Provider
    """The provider."""
    name: str
    """Name of the key, printable; empty where the value names none."""
    candidate: "Candidate | None" = None
    """Key that was tried; None where the label is that of the prefix alone."""

    @property
    def pair(self) -> tuple[Provider, str]:
        """Provider and name."""
        return self.provider, self.name

    @property
    def secret(self) -> bytes:
        """The local key's bytes, since keys of one name may differ; empty for a KMS."""
        return self.candidate.secret if self.candidate is not None else b""


class Grade(NamedTuple):
    """The properties of a value that the severity of its findings depends on."""

    findings: FindingKind
    """Bits of the findings."""
    place: Place
    """Place of the value."""
    current: bool
    """Whether the API server reads the value, or would."""
    same: SameAsLatest
    """Whether what the value holds is current."""

    def severity(self, finding: FindingKind) -> Severity:
        """The severity of one of the findings."""
        return policy.severity(finding, current=self.current, same_as_latest=self.same.current)


@dataclass(frozen=True)
class Selection:
    """n values of one source, with columns of shape (n,): prefixes, keys and findings."""

    authoritative: bool
    """Whether the API server reads the source's latest values: the evidence's own database, or one beside it."""
    batch: RecordBatch
    """Records of the values."""
    prefixes: prefixes.Prefixes
    """Provider, encoding and key name by the prefix of each value."""
    resources: tuple[Resource, ...]
    """Every resource in the evidence."""
    resource: NDArray[np.int32]
    """Resource of each value, an index into resources."""
    findings: NDArray[np.uint16]
    """Findings of each value, bits of FindingKind; only mark() writes them."""
    key_labels: tuple[KeyLabel, ...]
    """Labels in the values' prefixes, then those of the keys that were tried."""
    key_label: Ints
    """Label of each value, an index into key_labels."""
    same_as_latest: NDArray[np.uint8]
    """Whether what each value holds is current, codes of SameAsLatest, by leftovers.compare()."""
    opened: NDArray[np.uint8]
    """Outcome of opening each value, codes of Opened."""
    objects: Mapping[int, Object] = field(default_factory=dict)
    """Opened objects by row."""
    reasons: dict[int, str] = field(default_factory=dict)
    """Reasons for findings by row; only mark() writes them."""
    plaintexts: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    """Opened bytes by row; empty without a hunt."""
    own: bool = False
    """Whether the source is the evidence's own file, as Reading.own has it."""
    exported: bool = False
    """Whether an API server answered with the values, decrypted."""

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: Ints) -> "Selection":
        """The values of some rows, without their plaintexts."""
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
        """Whether the API server reads each value: the latest, and those that become so at etcd's next start."""
        pending = self.batch.has(State.NOT_YET_APPLIED)
        return self.batch.at(Place.LATEST) | pending if self.authoritative else pending

    @property
    def identified(self) -> Bools:
        """Whether each value can be judged: not a fragment of unknown resource or provider."""
        return _identified(Classified(self.batch, self.prefixes, self.resource), self.resources)

    @property
    def untried(self) -> Bools:
        """Whether each value is encrypted and whole, and its KMS was not asked or said nothing of its data key."""
        encrypted = self.prefixes.provider > Provider.IDENTITY
        whole = self.identified & (self.batch.key_at >= 0) & ~self.batch.has(State.HEAD_LOST | State.TAIL_LOST)
        untried: Bools = encrypted & whole & (self.opened == Opened.NOT_TRIED)
        return untried

    def grades(self) -> Dictionary[Grade]:
        """The grade of each value."""
        columns = (self.findings, self.batch.place, self.served | self.batch.at(Place.LATEST), self.same_as_latest)
        return from_columns(columns, (1 << len(FindingKind), len(Place), 2, len(SameAsLatest)), _grade)

    def mark(self, rows: Ints | list[int], finding: int, reason: str = "") -> None:
        """Add a finding to some values, with a reason where its name does not say all.

        Args:
            rows: of the values.
            finding: bits of FindingKind.
            reason: text for the column `detail`; empty for none.
        """
        self.findings[rows] |= np.uint16(finding)
        for row in np.asarray(rows).tolist() if reason else ():
            self.reasons[row] = "; ".join(part for part in (self.reasons.get(row, ""), reason) if part)

    @cached_property
    def by_key(self) -> tuple[Ints, Ints]:
        """Groups of equal etcd keys: number of each value's group (n,), and one row of each group."""
        return factorize(self.batch.data, self.batch.key_at, self.batch.key_size)

    @cached_property
    def by_value(self) -> tuple[Ints, Ints]:
        """Groups of equal stored bytes: number of each value's group (n,), and one row of each group."""
        return factorize(self.batch.data, self.batch.value_at, self.batch.value_size)

    def decode(self, row: int) -> Object | None:
        """The object of a readable or opened value; None where it is neither."""
        return self.decoded(np.array([row]), content=True)[0]

    def decoded(self, rows: Ints, *, content: bool, credentials: bool = False) -> list[Object | None]:
        """decode() of every row, with digests of the objects' contents and with `valid_until` only on request."""
        batch = self.batch
        raw = batch.data.slices(batch.value_at[rows], batch.value_len[rows])
        readable = (self.prefixes.provider[rows] == Provider.IDENTITY).tolist()
        kinds = [Encoding(code) for code in range(len(Encoding))]
        encodings = [kinds[code] for code in self.prefixes.encoding[rows].tolist()]
        truncated = batch.has(State.TAIL_LOST)[rows].tolist()
        keyless = (batch.key_at[rows] < 0).tolist()
        decoded: list[Object | None] = []
        for row, value, plain, encoding, short, no_key in zip(
            rows.tolist(), raw, readable, encodings, truncated, keyless, strict=True
        ):
            if not plain:
                decoded.append(self.objects.get(row))
            elif no_key and not value.startswith(prefixes.READABLE):
                decoded.append(objects.tail(value))
            else:
                decoded.append(objects.decode(value, encoding, cut=short, content=content, credentials=credentials))
        return decoded

    def key(self, row: int) -> bytes:
        """The etcd key; for a fragment without its key, that of its object."""
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
        """Whether each value has the finding PLAINTEXT."""
        readable: Bools = (self.findings & np.uint16(FindingKind.PLAINTEXT)) != 0
        return readable


def _grade(findings: int, place: int, current: int, same: int) -> Grade:
    return Grade(FindingKind(findings), Place(place), bool(current), SameAsLatest(same))


def select(
    parts: Sequence[Classified],
    resources: tuple[Resource, ...],
    in_scope: Bools,
    *,
    authoritative: bool,
    plaintext: bool,
    own: bool = False,
) -> Selection:
    """The values of one source whose resource is judged, with the findings that their prefixes alone show.

    Args:
        parts: of one source and one buffer.
        resources: every resource in the evidence.
        in_scope: whether each of the resources is judged, shape (len(resources),).
        authoritative: whether the API server reads the source's latest values.
        plaintext: whether the policy expects readable values.
        own: whether the source is the evidence's own file.
    """
    values = concatenate([part.take(np.flatnonzero(in_scope[part.resource] & part.stores)) for part in parts])
    batch, claims = values.batch, values.prefixes
    labels, label = label_values(batch, claims)
    findings = policy.judge(claims.provider, claims.malformed, plaintext=plaintext)
    findings[~_identified(values, resources)] = 0  # listed as unexamined instead
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
        own=own,
    )


def select_by_source(store: Store, in_scope: Bools, reading: "Reading", *, plaintext: bool) -> list[Selection]:
    """select() for every source and buffer of the store.

    Args:
        store: all stored values of the evidence.
        in_scope: whether each resource is judged.
        reading: says whether the API server reads the latest values of a source.
        plaintext: whether the policy expects readable values.
    """
    selections = []
    for parts in store.by_source():
        source = parts[0].batch.source
        selected = select(
            parts,
            store.resources,
            in_scope,
            authoritative=reading.serves(source),
            plaintext=plaintext,
            own=source == reading.own,
        )
        selections.append(replace(selected, exported=reading.exported))
    return selections


def _identified(values: Classified, resources: Sequence[Resource]) -> Bools:
    unidentified = np.array([resource is fragments.UNIDENTIFIED for resource in resources], np.bool_)
    unnamed = values.batch.has(State.TAIL_LOST) & (values.prefixes.provider == Provider.UNKNOWN)
    identified: Bools = ~(unidentified[values.resource] | unnamed)
    return identified


def label_values(batch: RecordBatch, claims: prefixes.Prefixes) -> tuple[tuple[KeyLabel, ...], Ints]:
    """Provider and key name of every value: the distinct labels, and the index of each value's label."""
    labels = [KeyLabel(provider, "") for provider in Provider]
    label = claims.provider.astype(np.int64)
    rows = np.flatnonzero((claims.name_len >= 0) & ~claims.malformed)
    at = batch.value_at[rows]
    numbers, heads = factorize(batch.data, at, claims.name_at[rows] + claims.name_len[rows] - at)
    label[rows] = numbers + len(labels)
    for head in rows[heads].tolist():
        name = batch.data.slice(int(claims.name_at[head]), int(claims.name_len[head]))
        labels.append(KeyLabel(Provider(int(claims.provider[head])), printable(name)))
    return tuple(labels), label
