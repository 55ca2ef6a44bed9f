"""Evidence: its files, what its store says of itself, and what was not read."""

from dataclasses import dataclass
from typing import ClassVar

from auditor.model.vocabulary import EvidenceKind, LiveWay, Trailer


@dataclass(frozen=True, slots=True)
class Gap:
    """A part inside the audit's scope that was not read or not concluded."""

    source: str
    """Name of the file."""
    offset: int
    """Offset of the part in the file, in bytes."""
    length: int
    """Length of the part in bytes; 0 where it is not known."""
    reason: str
    """Why it was not read or not concluded."""


@dataclass(frozen=True, slots=True)
class Unexamined:
    """A part that this run leaves out."""

    what: str
    """The part, in words."""
    reason: str
    """Why it is left out."""
    decisive: bool
    """Whether it keeps the conclusion from being complete."""
    may_be_current: bool = False
    """Whether current values may stand in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The bytes of one medium by what its readers account for; they add up to its size."""

    medium: str
    """Name of the file, the layer or the buffer."""
    size: int
    """Bytes of the medium."""
    structure: int
    """Fields that its format names, each once and checked."""
    row: int
    """Keys and values of stored values."""
    empty: int
    """Zeros, and padding whose value the format fixes."""
    checksum: int
    """Checksums."""
    inner: int
    """Bytes that are a medium of their own."""
    unaccounted: int
    """All else; each of them that is not zero is carved, and a fragment or a gap where that explains nothing."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The metadata of an etcd backend; None where the backend has none.

    Sources: etcd server/storage/schema (buckets and keys of bucket `meta`), server/storage/mvcc.
    """

    UNKNOWN: ClassVar["Backend"]
    """The backend of a store to which no root leads."""

    revision: int
    """Current revision of the store."""
    newest_record: int
    """Main revision of the last record, which etcdutl snapshot status prints as revision."""
    compacted: int | None
    """Revision of the last finished compaction: `finishedCompactRev`."""
    scheduled: int | None
    """Revision of the last scheduled compaction: `scheduledCompactRev`."""
    storage_version: str | None
    """Version of the storage schema, since etcd 3.6: `storageVersion`."""
    cluster_version: str | None
    """Version of etcd that the cluster agreed on: `clusterVersion`."""
    consistent_index: int | None
    """Index of the last raft entry that the backend applied: `consistent_index`."""
    term: int | None
    """Raft term of that entry: `term`."""
    members: tuple[tuple[str, str], ...]
    """Id and name of each member of the etcd cluster."""
    cluster_id: int | None
    """Id of the etcd cluster, computed from its members; None where members were removed."""
    buckets: tuple[tuple[str, int], ...]
    """Name and number of pairs of each bucket."""
    page_size: int
    """Bytes of a page."""
    pages: int
    """Number of pages below the high-water mark."""
    auth_enabled: bool
    """Whether etcd's own authentication is on: `authEnabled`."""

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
class PrefixCluster:
    """What is stored under one storage prefix. Texts are empty where they are not readable."""

    prefix: str
    uid: str = ""
    """Uid of its kube-system namespace."""
    created: str = ""
    """Creation of that namespace, ISO 8601 in UTC."""
    values: int = 0
    """Stored values under the prefix, of every resource and in every place."""
    own: bool = False
    """Whether it has a kube-system namespace, readable or not: that of another API server of a cluster has none."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Kubernetes cluster of the evidence. Texts are empty where they are not readable."""

    uid: str = ""
    """Uid of the kube-system namespace; empty where several prefixes have different ones."""
    created: str = ""
    """Creation of the kube-system namespace, ISO 8601 in UTC."""
    newest: str = ""
    """Latest time in the metadata of the most recently written objects, ISO 8601 in UTC."""
    prefixes: tuple[str, ...] = ()
    """Storage prefixes."""
    clusters: tuple[PrefixCluster, ...] = ()
    """The cluster under each storage prefix."""

    @property
    def several(self) -> bool:
        """Whether more than one storage prefix is that of a cluster."""
        return sum(each.own for each in self.clusters) > 1

    @property
    def identity(self) -> str:
        """The uids of all its clusters in one text; empty where none is readable."""
        return self.uid or ", ".join(sorted({each.uid for each in self.clusters if each.uid}))


@dataclass(frozen=True, slots=True)
class Stat:
    """The file system's entry of a file. Times are in UTC to the nanosecond."""

    size: int = 0
    """Bytes."""
    mtime: str = ""
    """Last change of the content."""
    ctime: str = ""
    """Last change of the content or of the inode."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the evidence."""

    name: str
    """Printable name."""
    kind: str
    """Kind of file, in words."""
    size: int
    """Bytes."""
    modified: str
    """Modification time, ISO 8601 in UTC."""
    sha256: str
    """SHA-256 in lower-case hex; empty where it is not computed."""
    changed: str
    """Difference between the beginning and the end of the run; empty where there is none."""
    before: Stat = Stat()
    """File system's entry at the beginning of the run."""
    after: Stat = Stat()
    """File system's entry at the end of the run."""
    stored: str | None = None
    """Of what was received: when its store last wrote it, ISO 8601 in UTC, empty where it does not say; else None."""


@dataclass(frozen=True, slots=True)
class Live:
    """The member through which a live etcd was read."""

    way: LiveWay
    """Snapshot stream or range."""
    endpoint: str
    """Address of the member."""
    member_id: int
    """Id of the member."""
    cluster_id: int
    """Id of the etcd cluster."""
    etcd_version: str
    """Version of the member's etcd."""
    revision: int
    """Revision at which a range reads all its keys; before a snapshot, the member's revision."""

    @property
    def description(self) -> str:
        """The kind of evidence, in words."""
        return f"live {self.way.label} of {self.endpoint}"


@dataclass(frozen=True, slots=True)
class CurrentReference:
    """Newer evidence of the same cluster: what is current in it decides what leftovers hold."""

    name: str
    """Printable name."""
    description: str
    """Kind of evidence, in words."""
    revision: int
    """Current revision of its store; 0 where it is not known."""
    newest: str
    """Newest time in its most recently written objects, ISO 8601 in UTC."""
    limits: tuple[str, ...] = ()
    """Why it does not say of every value whether it is current."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence as it was read: a database file, a data directory of several `sources`, or a live endpoint.

    Size, modification time and hash are those of the database; without a database, those of the first file.
    """

    name: str
    """Printable name of the evidence."""
    kind: EvidenceKind
    """Kind of evidence."""
    description: str
    """Kind in words; of a directory with the kind of its database."""
    size: int
    """Bytes of the database."""
    modified: str
    """Modification time of the database, ISO 8601 in UTC."""
    sha256: str
    """SHA-256 of the database in lower-case hex; empty where it is not computed."""
    trailer: Trailer
    """State of the SHA-256 that etcd appends to a snapshot."""
    trailer_bytes: int
    """Bytes of the trailer at the end of the database: 32 or 0."""
    changed: str
    """Differences of the files between the beginning and the end of the run; empty where there are none."""
    backend: Backend
    """Metadata of the etcd backend."""
    cluster: Cluster
    """The Kubernetes cluster that the evidence is of."""
    sources: tuple[Source, ...]
    """All files of the evidence."""
    directory: bool
    """Whether the evidence is a data directory, or several exhibits."""
    containers: tuple[Source, ...] = ()
    """Containers that the sources were unpacked from, the outermost first."""
    live: Live | None = None
    """Member of a live etcd; None for files."""


@dataclass(frozen=True, slots=True)
class PageMap:
    """The kind of each page of the database."""

    NONE: ClassVar["PageMap"]
    """Page map of evidence without pages."""

    source: str
    """Name of the database's file."""
    page_size: int
    """Bytes of a page; 0 where there are no pages."""
    kinds: bytes
    """Kind of each page, one byte a page: auditor.model.vocabulary.PageKind."""
    first: int = 0
    """Number of the first page: 0 in bbolt, 1 in SQLite."""


PageMap.NONE = PageMap("", 0, b"")
