"""What evidence is: its files, what the store says of itself, and what was not read."""

from dataclasses import dataclass

from auditor.model.vocabulary import Trailer


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

    way: str
    """`snapshot stream` or `range`."""
    endpoint: str
    member_id: int
    cluster_id: int
    etcd_version: str
    revision: int
    """Of a range that of all its keys; of a snapshot that of the member when it was asked."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence as it was read: a database file, a data directory of several `sources`, or a live endpoint.

    name, size, modified, sha256 and changed are those of the database; in a directory without one the first file's.
    """

    name: str
    kind: str
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

    source: str
    """Name of the database's file."""
    page_size: int
    kinds: bytes
    """One byte a page: auditor.model.vocabulary.PageKind."""
    first: int = 0
    """Number of the first page: 0 of bbolt, 1 of SQLite."""
