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
    """One finding of one value. accepted: until when and why; baseline: beside an earlier report."""

    kind: FindingKind
    severity: Severity
    accepted: str = ""
    baseline: BaselineState | None = None


Cell: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Rows:
    """The stored values of the selected resources as reports show them, sorted by source and offset.

    columns: by name, each of one cell a value; reports/columns.py says what each holds, and adds evidence, finding
    and severity. marks: what was found of each value.
    """

    columns: Mapping[str, Sequence[Cell]]
    findings: Sequence[tuple[Finding, ...]]

    def __len__(self) -> int:
        return len(self.findings)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over the selected values. places: (place, provider, key name, values, opened); marks: by severity.

    readable: plaintext values found; contents and objects: distinct stored bytes and distinct keys among them;
    in_use: those that hold the same content as the current, encrypted value; undetermined: those of which the
    current value could not be compared. freed_pages: the freed pages of the database that hold readable values.
    accepted: of marks, those that --ignore accepts.
    """

    places: tuple[tuple[Place, Provider, str, int, int], ...]
    findings: tuple[tuple[FindingKind, Severity, int], ...]
    readable: int
    contents: int
    objects: int
    in_use: int
    undetermined: int
    readable_places: tuple[Place, ...]
    freed_pages: tuple[int, ...]
    accepted: tuple[tuple[FindingKind, Severity, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One entry of an ignore file. path: where it stands in the file; matches: findings that it is of."""

    path: str
    reason: str
    expires: str
    expired: bool
    matches: int


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
    """What an earlier report had. name, sha256: its file; evidence: the SHA-256 of what it is of.

    same_evidence: whether every file of it is one of this evidence's. moved: of those gone, how many are new in
    another place.
    """

    name: str
    sha256: str
    evidence: str
    same_evidence: bool
    new: int
    still: int
    moved: int
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
    """How much of the selected values one key holds. oldest, newest: mod revisions. opened: by a supplied key.

    configured: a configuration names the key. values is 0 for a configured key that nothing read needs.
    """

    provider: Provider
    key_name: str
    kek_id: str
    places: tuple[tuple[Place, int], ...]
    resources: tuple[str, ...]
    oldest: int | None
    newest: int | None
    values: int
    opened: int
    configured: bool
    objects: tuple[str, ...]
