"""Findings, rows and counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auditor.model.kms import Kek
from auditor.model.vocabulary import BaselineState, FindingKind, Place, Provider, Severity


@dataclass(frozen=True, slots=True)
class Coverage:
    """The number of stored values of a resource under one provider and key name, in one place."""

    resource: str
    """Name of the resource; empty for keys under no storage prefix."""
    exempt: bool
    """Whether kube-apiserver never encrypts it."""
    prefix: str
    """Storage prefix of the resource's objects; empty for keys under none."""
    provider: Provider
    """Provider that the values' prefix claims."""
    key_name: str
    """Name of the key or KMS plugin; empty where the values name none."""
    place: Place
    """Place of the values."""
    values: int
    """Number of the values."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of one value."""

    kind: FindingKind
    """Kind of finding, one bit."""
    severity: Severity
    """Severity of this finding."""
    accepted: str = ""
    """Date and reason of its acceptance; empty where it is not accepted."""
    baseline: BaselineState | None = None
    """State in comparison with an earlier report; None without --baseline."""
    grouped: bool = False
    """Whether it has no row of its own among the findings: the row of its group reports it."""
    values: int = 0
    """Number of values that the row of a group stands for; 0 in every other row."""


Cell: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of reports: stored values of the selected resources; hits of a hunt, findings of configurations and of
    providers, which have no stored value.
    """

    columns: Mapping[str, Sequence[Cell]]
    """Columns by name, one cell a value: auditor.model.table.COLUMNS, without evidence, finding and severity."""
    findings: Sequence[tuple[Finding, ...]]
    """Findings of each value."""

    def __len__(self) -> int:
        return len(self.findings)

    def in_order(self) -> "Rows":
        """The rows by source, offset and finding; those without an offset last in their source."""
        if not self.columns:
            return self
        distinct = {id(own): own for own in self.findings}  # rows share their tuples of findings
        labels = {number: own[0].kind.label if own else "" for number, own in distinct.items()}
        keys = [
            (str(source), offset == "", int(offset or 0), labels[id(own)])
            for source, offset, own in zip(self.columns["source"], self.columns["offset"], self.findings, strict=True)
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        columns = {name: [column[row] for row in order] for name, column in self.columns.items()}
        return Rows(columns, [self.findings[row] for row in order])


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over the selected values."""

    places: tuple[tuple[Place, Provider, str, int, int], ...]
    """Place, provider, key name, number of values, and number of opened values."""
    findings: tuple[tuple[FindingKind, Severity, int], ...]
    """Kind, severity and number of findings."""
    readable: int
    """Number of plaintext values."""
    contents: int
    """Number of distinct stored bytes among the plaintext values."""
    objects: int
    """Number of distinct etcd keys among the plaintext values."""
    current_holders: int
    """Number of plaintext leftovers that hold what is current: yes, part and elsewhere of SameAsLatest."""
    objects_of_holders: int
    """Number of distinct etcd keys among those."""
    undetermined: int
    """Number of plaintext leftovers of which that is unknown."""
    readable_places: tuple[Place, ...]
    """Places that hold plaintext values."""
    freed_pages: tuple[int, ...]
    """Numbers of the freed pages of the database that hold plaintext values."""
    accepted: tuple[tuple[FindingKind, Severity, int], ...] = ()
    """Part of `findings` that --ignore accepts."""
    unreadable: tuple[int, ...] = ()
    """Lowest and highest mod revision of the values that no supplied key opens, or no provider in force reads; empty
    where there are none, or their revisions are not known or of different stores.
    """


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One entry of an ignore file."""

    path: str
    """Path of the entry in the file, such as `accepted[0]`."""
    reason: str
    """Reason that the file states."""
    expires: str
    """Last day on which the entry counts, ISO 8601 in UTC."""
    expired: bool
    """Whether that day is over."""
    matches: int
    """Number of findings that fit the entry."""


@dataclass(frozen=True, slots=True)
class AbsentFinding:
    """A finding of the baseline that is not among the run's: the cells of its row in the earlier report."""

    id: str
    """Id of the stored value."""
    finding: str
    """Label of the kind of finding."""
    severity: str
    """Label of the severity."""
    place: str
    """Label of the place."""
    resource: str
    """Name of the resource."""
    namespace: str
    """Namespace of the object."""
    name: str
    """Name of the object."""
    key: str
    """Etcd key."""
    source: str
    """File that the offset points into."""
    offset: int | str
    """Offset of the value's first byte; empty where it has none."""
    mod_revision: int | str = ""
    """Revision that wrote it; empty where it has none."""
    provider: str = ""
    """Label of the provider."""
    key_name: str = ""
    """Name of the key or KMS plugin."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The run's findings in comparison with those of an earlier report."""

    name: str
    """Printable name of the report's file."""
    sha256: str
    """SHA-256 of the report's file."""
    evidence: str
    """SHA-256 of the evidence that the report is of."""
    same_evidence: bool
    """Whether every file of that evidence is a file of this run's."""
    new: int
    """Number of findings that the report does not have."""
    unchanged: int
    """Number of findings that the report has too."""
    moved: int
    """Number of absent findings that are new in another place."""
    absent: tuple[AbsentFinding, ...]
    """Findings of the report that the run does not have."""


@dataclass(frozen=True, slots=True)
class Control:
    """The positive control of a run: readable values planted for the run to find."""

    planted: tuple[tuple[Place, bool], ...]
    """Place of each planted value, and whether the run finds it."""

    @property
    def success(self) -> bool:
        """Whether the run finds every planted value."""
        return bool(self.planted) and all(detected for _, detected in self.planted)


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """The use of one key among the selected values."""

    provider: Provider
    """Provider that the values' prefix claims."""
    key_name: str
    """Name of the key or KMS plugin; empty where the values name none."""
    kek_id: str
    """KMS v2's keyID; empty for other providers."""
    kek_version: str
    """Version of the KEK that the wrapped data keys name, `vault:v2`; empty where they name none."""
    places: tuple[tuple[Place, int], ...]
    """Number of values under the key in each place."""
    resources: tuple[str, ...]
    """Names of the resources of these values."""
    oldest: int | None
    """Lowest mod revision; None where no value needs the key."""
    newest: int | None
    """Highest mod revision; None where no value needs the key."""
    values: int
    """Number of values under the key; 0 for a configured key that none of them needs."""
    opened: int
    """Number of these values that a supplied key opens."""
    failed: int
    """Number of these values that a supplied key of this name was tried on, and does not open."""
    origin: str
    """Origin of the key, where several keys of this name are supplied; empty where its name says which it is."""
    configured: bool
    """Whether a configuration names the key."""
    objects: tuple[str, ...]
    """Etcd keys of some of these values, printable."""
    kek: Kek | None = None
    """The KEK that the wrapped data keys name; None where they name none, and for other providers."""
    answered: tuple[str, ...] = ()
    """Keys that really unwrapped these data keys, as the answers to --kms name them; none where nothing was called."""


@dataclass(frozen=True, slots=True)
class BootstrapRecord:
    """The record that k3s and RKE2 keep of their configuration, as far as a server token decrypts it."""

    key: str
    """Etcd key: its last part is a digest of the server token."""
    values: int
    """Number of its values."""
    places: tuple[tuple[Place, int], ...]
    """Number of its values in each place."""
    opened: int
    """Number of the values that the server token decrypts, or an empty one."""
    tokenless: bool
    """Whether an empty server token decrypts them: anyone can."""
    named: bool
    """Whether the key is of the server token that is supplied."""
    tried: bool
    """Whether a server token is supplied."""
    keys: tuple[str, ...]
    """Encryption keys in the decrypted values, PROVIDER/NAME, printable."""
