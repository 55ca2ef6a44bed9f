"""The words of the audit: closed lists and small frozen records. Imports nothing from the rest of the package."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pandas as pd


class Place(IntEnum):
    """Where the bytes of a stored value lie, the most visible first."""

    LATEST = 0
    HISTORY = 1
    DELETED = 2
    OLD_VALUE = 3
    PREVIOUS_ROOT = 4
    FREED = 5
    SLACK = 6
    WAL = 7
    UNPLACED = 8

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


class Provider(IntEnum):
    """What the prefix of a stored value claims: the transformer of k8s.io/apiserver that wrote it."""

    UNKNOWN = 0
    IDENTITY = 1
    AESCBC = 2
    AESGCM = 3
    SECRETBOX = 4
    KMS_V1 = 5
    KMS_V2 = 6

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


class Encoding(IntEnum):
    """How a readable value is encoded; NONE where it is not readable."""

    NONE = 0
    PROTOBUF = 1
    JSON = 2
    CBOR = 3

    @property
    def label(self) -> str:
        return "" if self is Encoding.NONE else self.name.lower()


class State(IntFlag):
    """What is out of the ordinary about a stored value's bytes."""

    TOMBSTONE = 1
    HEAD_LOST = 2
    TAIL_LOST = 4
    UNCOMMITTED = 8
    NOT_YET_APPLIED = 16
    SUPERSEDED = 32
    BAD_CHECKSUM = 64
    ENCODED = 128

    @property
    def labels(self) -> str:
        return ";".join((flag.name or "").lower().replace("_", "-") for flag in State if flag in self)


class Severity(IntEnum):
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        return self.name.lower()


class Finding(IntFlag):
    """What an auditor must know of a value. Bits, since one value may earn several."""

    PLAINTEXT = 1
    KNOWN_KEY = 2
    KEY_PRESENT = 4
    COPIED_VALUE = 8
    MISPLACED = 16
    UNDECRYPTABLE = 32
    ORPHANED = 64
    CONFIGURATION = 128
    UNRECOGNISED = 256
    STALE_PROVIDER = 512
    STALE_KEY = 1024
    STALE_KEK = 2048
    WEAK_PROVIDER = 4096

    @property
    def label(self) -> str:
        return (self.name or "").lower().replace("_", "-")


class Opened(IntEnum):
    NOT_TRIED = 0
    NO_KEY = 1
    YES = 2
    FAILED = 3

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


class Verdict(Enum):
    FINDINGS = "findings"
    INCONCLUSIVE = "inconclusive"
    NONE = "no findings in what was examined"


@dataclass(frozen=True, slots=True)
class Gap:
    """A part inside the audit's scope that was not read or not concluded on."""

    source: str
    offset: int
    length: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unexamined:
    """A part that this run leaves out; `decisive` ones keep the conclusion from being complete."""

    what: str
    reason: str
    decisive: bool


@dataclass(frozen=True, slots=True)
class Backend:
    """What the etcd backend says of itself; None where it does not say.

    `revision` is the store's current revision, `newest_record` the main revision of its last record (what
    etcdutl snapshot status prints as revision), `buckets` (name, number of pairs) of each bucket.
    """

    revision: int
    newest_record: int
    compacted: int | None
    scheduled: int | None
    storage_version: str | None
    cluster_version: str | None
    consistent_index: int | None
    term: int | None
    members: tuple[tuple[str, str], ...]
    cluster_id: str | None
    buckets: tuple[tuple[str, int], ...]
    page_size: int
    pages: int
    auth_enabled: bool

    @property
    def pairs(self) -> int:
        """Number of pairs in all buckets: `totalKey` of etcdutl snapshot status up to etcd 3.5."""
        return sum(count for _, count in self.buckets)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which Kubernetes cluster this is: the kube-system namespace's uid and creation, and the newest time seen.

    Empty where not readable. `newest` is the latest time in the metadata of the most recently written objects.
    """

    uid: str = ""
    created: str = ""
    newest: str = ""
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stat:
    """What the file system says of a file: bytes, and its times in UTC to the nanosecond."""

    size: int = 0
    mtime: str = ""
    ctime: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the evidence. sha256: lower-case hex, empty where it was not computed.

    changed: what differed at the end of the run, empty where nothing did. before, after: the run.
    """

    name: str
    kind: str
    size: int
    modified: str
    sha256: str
    changed: str
    before: Stat = Stat()
    after: Stat = Stat()


@dataclass(frozen=True, slots=True)
class Live:
    """Through whom a live etcd was read. way: `snapshot stream` or `range`. Ids in hex, as etcdctl prints them.

    revision: of a range that of all its keys; of a snapshot that of the member when it was asked for.
    """

    way: str
    endpoint: str
    member_id: str
    cluster_id: str
    etcd_version: str
    revision: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence as it was read: a database file, a data directory of several `sources`, or a live endpoint.

    containers: what they were unpacked from, the outermost first.

    name, size, modified, sha256 and changed are those of the database, in a directory without one the first file's.
    trailer: `matches`, `does not match`, `not checked` or `none`.
    """

    name: str
    kind: str
    size: int
    modified: str
    sha256: str
    trailer: str
    trailer_bytes: int
    changed: str
    backend: Backend
    cluster: Cluster
    sources: tuple[Source, ...]
    directory: bool
    containers: tuple[Source, ...] = ()
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class PageMap:
    """What each page of the database is: one byte a page.

    1 branch, 2 leaf, 4 meta, 16 freelist, 32 continues the page before, 0 reached by no root, 64 by the older root
    only, 128 past the high-water mark. first: number of the first page.
    """

    source: str
    page_size: int
    kinds: bytes
    first: int = 0


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
class Mark:
    """One finding of one value. accepted: until when and why; baseline: `new` or `still there`; each empty if not."""

    finding: Finding
    severity: Severity
    accepted: str = ""
    baseline: str = ""


Cell: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Rows:
    """The stored values of the selected resources as reports show them, sorted by source and offset.

    columns: by name, each of one cell a value; reports/columns.py says what each holds, and adds evidence, finding
    and severity. marks: what was found of each value.
    """

    columns: Mapping[str, Sequence[Cell]]
    marks: Sequence[tuple[Mark, ...]]

    def __len__(self) -> int:
        return len(self.marks)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over the selected values. places: (place, provider, key name, values, opened); marks: by severity.

    readable: plaintext values found; contents and objects: distinct stored bytes and distinct keys among them;
    in_use: those that hold the same content as the current, encrypted value; undetermined: those of which the
    current value could not be compared. freed_pages: the freed pages of the database that hold readable values.
    accepted: of marks, those that --ignore accepts.
    """

    places: tuple[tuple[Place, Provider, str, int, int], ...]
    marks: tuple[tuple[Finding, Severity, int], ...]
    readable: int
    contents: int
    objects: int
    in_use: int
    undetermined: int
    readable_places: tuple[Place, ...]
    freed_pages: tuple[int, ...]
    accepted: tuple[tuple[Finding, Severity, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One entry of an ignore file. path: where it stands in the file; matches: findings that it is of."""

    path: str
    reason: str
    expires: str
    expired: bool
    matches: int


@dataclass(frozen=True, slots=True)
class Gone:
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
    gone: tuple[Gone, ...]


@dataclass(frozen=True, slots=True)
class Control:
    """Whether this run found the readable values that were planted for it: by place, planted and found."""

    planted: tuple[tuple[Place, bool], ...]

    @property
    def found(self) -> bool:
        return bool(self.planted) and all(found for _, found in self.planted)


@dataclass(frozen=True, slots=True)
class KeyUse:
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


Setting: TypeAlias = str | bool | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """The run itself: what is needed to repeat it. Times are ISO 8601 in UTC.

    options: exactly as they were given, defaults included. case: what --case named it. tools: name and version of
    what the run was made with, empty where no report needs them. log: seconds since the start, and what was done.
    plugins: each KMS plugin that might be called, and how often it was.
    """

    version: str
    started: str
    finished: str
    options: tuple[tuple[str, Setting], ...]
    case: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    log: tuple[tuple[float, str], ...] = ()
    plugins: tuple[tuple[Provider, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of evidence among several of one run. sha256: of its database. severity: the highest of its findings.

    sources: the names of all its files. problem: why nothing in it could be read; the rest is empty then.
    """

    name: str
    kind: str = ""
    size: int = 0
    sha256: str = ""
    trailer: str = ""
    cluster: str = ""
    revision: int = 0
    verdict: Verdict = Verdict.INCONCLUSIVE
    complete: bool = False
    severity: Severity | None = None
    values: int = 0
    readable: int = 0
    in_use: int = 0
    gaps: int = 0
    sources: tuple[str, ...] = ()
    problem: str = ""

    def exit_code(self, fail_on: Severity) -> int:
        """What this piece alone would end with."""
        if self.problem:
            return 2
        if self.severity is not None and self.severity >= fail_on:
            return 1
        return 0 if self.complete else 3


@dataclass(frozen=True)
class Audit:
    """Everything one run saw and concluded; every report is made from this and from nothing else.

    rows: one for each stored value of the selected resources; empty where no report needs rows. policy: the policy
    in words. notes: what was observed and is not judged. redaction: what became of names: empty, `ordinals`, or
    `keyed` with a check of the key. parts: the pieces of evidence, where there are several.
    """

    evidence: Evidence
    pages: PageMap
    policy: str
    resources: tuple[str, ...]
    coverage: tuple[Coverage, ...]
    tally: Tally
    keys: tuple[KeyUse, ...]
    rows: Rows
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]
    run: Run
    acceptances: tuple[Acceptance, ...] = ()
    baseline: Baseline | None = None
    control: Control | None = None
    redaction: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def findings(self) -> "pd.DataFrame":
        """One row a finding: the columns of the CSV, numbers as nullable Int64."""
        from auditor.reports import columns, frames

        return frames.frame(columns.findings(self))

    @property
    def inventory(self) -> "pd.DataFrame":
        """One row a stored value of the selected resources: the columns of the inventory."""
        from auditor.reports import columns, frames

        return frames.frame(columns.inventory(self))

    @cached_property
    def findings_sha256(self) -> str:
        """SHA-256 of the findings as CSV: the hash of the file that --csv writes."""
        from auditor.reports import columns, csv, seals

        return seals.findings(csv.sheet(columns.findings(self)))

    @property
    def complete(self) -> bool:
        """Whether everything inside the scope was read and concluded on."""
        return not self.gaps and not any(part.decisive for part in self.unexamined)

    @property
    def verdict(self) -> Verdict:
        if self.tally.marks:
            return Verdict.FINDINGS
        return Verdict.NONE if self.complete else Verdict.INCONCLUSIVE

    @property
    def severities(self) -> tuple[Severity, ...]:
        """Those of findings that are not accepted."""
        accepted = {(finding, severity): count for finding, severity, count in self.tally.accepted}
        return tuple(
            severity for finding, severity, count in self.tally.marks if count > accepted.get((finding, severity), 0)
        )

    def exit_code(self, fail_on: Severity) -> int:
        """1: a finding of at least this severity, not accepted. 3: no such, and not all was read. 0: neither."""
        if any(severity >= fail_on for severity in self.severities):
            return 1
        return 0 if self.complete else 3
