"""What evidence is: its files, what the store says of itself, and what was not read."""

from dataclasses import dataclass
from typing import ClassVar

from auditor.model.vocabulary import EvidenceKind, LiveWay, Trailer


@dataclass(frozen=True, slots=True)
class Gap:
    """A part inside the audit's scope that was not read or not concluded on."""

    source: str
    """Name of the file."""
    offset: int
    """Bytes from its beginning."""
    length: int
    """Bytes; 0 where it is not known."""
    reason: str


@dataclass(frozen=True, slots=True)
class Unexamined:
    """A part that this run leaves out."""

    what: str
    reason: str
    decisive: bool
    """Whether it keeps the conclusion from being complete."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What the etcd backend says of itself; None where it does not say.

    `revision` is the store's current revision, `newest_record` the main revision of its last record (what
    etcdutl snapshot status prints as revision), `buckets` (name, number of pairs) of each bucket.
    """

    UNKNOWN: ClassVar["Backend"]
    """What is known of a store to which no root leads."""

    revision: int
    newest_record: int
    compacted: int | None
    scheduled: int | None
    storage_version: str | None
    cluster_version: str | None
    consistent_index: int | None
    term: int | None
    members: tuple[tuple[str, str], ...]
    cluster_id: int | None
    buckets: tuple[tuple[str, int], ...]
    page_size: int
    pages: int
    auth_enabled: bool

    @property
    def pairs(self) -> int:
        """Number of pairs in all buckets: `totalKey` of etcdutl snapshot status up to etcd 3.5."""
        return sum(count for _, count in self.buckets)


Backend.UNKNOWN = Backend(
    revision=0,
    newest_record=0,
    compacted=None,
    scheduled=None,
    storage_version=None,
    cluster_version=None,
    consistent_index=None,
    term=None,
    members=(),
    cluster_id=None,
    buckets=(),
    page_size=0,
    pages=0,
    auth_enabled=False,
)


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
    """One file of the evidence."""

    name: str
    kind: str
    """What it is, in words."""
    size: int
    """Bytes."""
    modified: str
    """ISO 8601 in UTC."""
    sha256: str
    """Lower-case hex; empty where it was not computed."""
    changed: str
    """What differed at the end of the run; empty where nothing did."""
    before: Stat = Stat()
    """As the run began."""
    after: Stat = Stat()
    """As it ended."""


@dataclass(frozen=True, slots=True)
class Live:
    """Through whom a live etcd was read."""

    way: LiveWay
    endpoint: str
    member_id: int
    cluster_id: int
    etcd_version: str
    revision: int
    """Of a range that of all its keys; of a snapshot that of the member when it was asked."""

    @property
    def description(self) -> str:
        """What such evidence is, in words."""
        return f"live {self.way.label} of {self.endpoint}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence as it was read: a database file, a data directory of several `sources`, or a live endpoint.

    description: the kind in words, of a directory with what its database is. containers: what they were unpacked from,
    the outermost first.

    name, size, modified, sha256 and changed are those of the database, in a directory without one the first file's.
    """

    name: str
    kind: EvidenceKind
    description: str
    size: int
    modified: str
    sha256: str
    trailer: Trailer
    trailer_bytes: int
    """32 or 0: how many bytes at the end of the database are its trailer."""
    changed: str
    backend: Backend
    cluster: Cluster
    sources: tuple[Source, ...]
    directory: bool
    """Whether it is a data directory, or several exhibits."""
    containers: tuple[Source, ...] = ()
    """What the sources were unpacked from, the outermost first."""
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class PageMap:
    """What each page of the database is."""

    NONE: ClassVar["PageMap"]
    """Of evidence without pages."""
    source: str
    """Name of the database's file."""
    page_size: int
    kinds: bytes
    """One byte a page: auditor.model.vocabulary.PageKind."""
    first: int = 0
    """Number of the first page: 0 of bbolt, 1 of SQLite."""


PageMap.NONE = PageMap("", 0, b"")
