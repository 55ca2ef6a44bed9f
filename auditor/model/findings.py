"""What was found: findings, rows and counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auditor.model.vocabulary import BaselineState, FindingKind, Place, Provider, Severity


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many stored values of a resource are under a provider and key name, in one place."""

    resource: str
    exempt: bool
    prefix: str
    provider: Provider
    key_name: str
    place: Place
    values: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of one value."""

    kind: FindingKind
    severity: Severity
    accepted: str = ""
    """Until when and why; empty where it is not accepted."""
    baseline: BaselineState | None = None
    """Its state beside an earlier report; None where there is none."""


Cell: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Rows:
    """The stored values of the selected resources as reports show them, sorted by source and offset."""

    columns: Mapping[str, Sequence[Cell]]
    """By name, one cell a value: auditor.model.table.COLUMNS, without evidence, finding and severity."""
    findings: Sequence[tuple[Finding, ...]]
    """Of each value."""

    def __len__(self) -> int:
        return len(self.findings)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over the selected values."""

    places: tuple[tuple[Place, Provider, str, int, int], ...]
    """Place, provider, key name, values, and how many of them were opened."""
    findings: tuple[tuple[FindingKind, Severity, int], ...]
    readable: int
    """Plaintext values."""
    contents: int
    """Distinct stored bytes among them."""
    objects: int
    """Distinct keys among them."""
    in_use: int
    """Of them those that hold the same content as the current, encrypted value."""
    undetermined: int
    """Of them those whose current value could not be compared."""
    readable_places: tuple[Place, ...]
    freed_pages: tuple[int, ...]
    """The freed pages of the database that hold readable values."""
    accepted: tuple[tuple[FindingKind, Severity, int], ...] = ()
    """Of `findings` those that --ignore accepts."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One entry of an ignore file."""

    path: str
    """Where it stands in the file."""
    reason: str
    expires: str
    expired: bool
    matches: int
    """Findings that it is of."""


@dataclass(frozen=True, slots=True)
class AbsentFinding:
    """A finding of the baseline that was not found again."""

    id: str
    finding: str
    severity: str
    place: str
    resource: str
    namespace: str
    name: str
    key: str
    source: str
    offset: int | str


@dataclass(frozen=True, slots=True)
class Baseline:
    """Findings beside those of an earlier report."""

    name: str
    """Of its file."""
    sha256: str
    """Of its file."""
    evidence: str
    """SHA-256 of the evidence that it is of."""
    same_evidence: bool
    """Whether every file of it is one of this evidence's."""
    new: int
    still: int
    moved: int
    """Of those gone, how many are new in another place."""
    gone: tuple[AbsentFinding, ...]


@dataclass(frozen=True, slots=True)
class Control:
    """Whether this run found the readable values that were planted for it: by place, planted and found."""

    planted: tuple[tuple[Place, bool], ...]

    @property
    def found(self) -> bool:
        return bool(self.planted) and all(found for _, found in self.planted)


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """How much of the selected values one key holds."""

    provider: Provider
    key_name: str
    kek_id: str
    places: tuple[tuple[Place, int], ...]
    resources: tuple[str, ...]
    oldest: int | None
    """Lowest mod revision."""
    newest: int | None
    """Highest mod revision."""
    values: int
    """0 for a configured key that nothing read needs."""
    opened: int
    """By a supplied key."""
    configured: bool
    """Whether a configuration names the key."""
    objects: tuple[str, ...]
    """Etcd keys of some of them, printable."""
