"""The vocabulary of the audit: its closed lists."""

from enum import Enum, IntEnum, IntFlag


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
    V2_STORE = 8
    UNPLACED = 9

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


class PageKind(IntFlag):
    """The kind of a database page: one byte of a page map, and in bbolt's pages the header's own flags.

    bbolt internal/common/page.go: branchPageFlag, leafPageFlag, metaPageFlag, freelistPageFlag. A SQLite page is named
    after the bbolt page of the same use.
    """

    FREED = 0x00
    """A page that no root reaches: a map is filled with it before the pages are walked."""
    BRANCH = 0x01
    LEAF = 0x02
    META = 0x04
    FREELIST = 0x10
    """In SQLite a trunk page of the freelist."""
    OVERFLOW = 0x20
    """A continuation of the page before it; in SQLite an overflow page, or a page of another table."""
    PREVIOUS_ROOT = 0x40
    """A page that only the previous meta page's root reaches; in SQLite one with a newer image in the WAL."""
    PAST_HIGH_WATER = 0x80
    """A page past the high-water mark, which the meta page calls the number of pages."""


class Provider(IntEnum):
    """The transformer of k8s.io/apiserver that a stored value's prefix claims."""

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

    @property
    def prefix(self) -> str:
        """What stands between `k8s:enc:` and the key name of its values, its last colon included."""
        return f"{self.name.lower().replace('_', ':')}:" if self in KMS_PROVIDERS else f"{self.name.lower()}:v1:"


LOCAL_PROVIDERS = (Provider.AESCBC, Provider.AESGCM, Provider.SECRETBOX)
"""The providers whose keys stand in an EncryptionConfiguration."""
KMS_VERSIONS = {Provider.KMS_V1: 1, Provider.KMS_V2: 2}
KMS_PROVIDERS = tuple(KMS_VERSIONS)


class Encoding(IntEnum):
    """The encoding of a readable value; NONE where it is not readable."""

    NONE = 0
    PROTOBUF = 1
    JSON = 2
    CBOR = 3

    @property
    def label(self) -> str:
        return "" if self is Encoding.NONE else self.name.lower()


class State(IntFlag):
    """Anomalies of a stored value's bytes."""

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
    """The severity of a finding."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        return self.name.lower()


class FindingKind(IntFlag):
    """The kind of a finding. Bits, since one value may have several findings."""

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


HUNTED = FindingKind.COPIED_VALUE | FindingKind.KEY_PRESENT
"""Findings of a hit, whose offset is the hit's own."""
VALUELESS = FindingKind.CONFIGURATION | HUNTED
"""Findings with rows of their own, which are no stored values: of a configuration, or of a hit."""
VALUELESS_LABELS = frozenset(kind.label for kind in FindingKind if kind & VALUELESS)


class Opened(IntEnum):
    """The outcome of opening a stored value with the supplied keys."""

    NOT_TRIED = 0
    NO_KEY = 1
    YES = 2
    FAILED = 3

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


class SameAsLatest(IntEnum):
    """Whether a leftover's data values are current ones: in the Secret of its own key, or in any other."""

    NOT_COMPARED = 0
    """A current value itself, or one that no current value is compared with."""
    YES = 1
    """All are, in the Secret of its own key; of other resources the content is that of the current object."""
    NO = 2
    """None is, and all that could hold one was read."""
    UNKNOWN = 3
    """None is known to be, and something that could hold one was not read."""
    PART = 4
    """Some are, in the Secret of its own key."""
    ELSEWHERE = 5
    """Some are, in Secrets of other keys."""

    @property
    def label(self) -> str:
        return "" if self is SameAsLatest.NOT_COMPARED else self.name.lower()

    @property
    def current(self) -> bool:
        """Whether the leftover holds something that is current."""
        return self in {SameAsLatest.YES, SameAsLatest.PART, SameAsLatest.ELSEWHERE}


class EvidenceKind(Enum):
    """The kind of an exhibit."""

    API_SNAPSHOT = "API snapshot"
    NO_TRAILER = "API snapshot without its trailer, or a raw database file that looks like one"
    RAW_DATABASE = "raw database file"
    ROOTLESS_DATABASE = "database file without a valid root"
    DATA_DIRECTORY = "etcd data directory"
    BACKUP = "Gardener's etcd backup"
    JSON_DUMP = "etcdctl dump, JSON"
    PROTOBUF_DUMP = "etcdctl dump, protobuf"
    KINE_DATABASE = "kine's SQLite database"
    KINE_WAL = "kine's SQLite database: its write-ahead log alone"
    DQLITE_DIRECTORY = "dqlite's data directory"
    POSTGRES_DUMP = "PostgreSQL dump"
    POSTGRES_ARCHIVE = "archive of pg_dump"
    MYSQL_DUMP = "MySQL or MariaDB dump"
    SQLITE_DUMP = "SQL dump of SQLite's"
    VCLUSTER_SNAPSHOT = "vCluster's snapshot"
    RANCHER_BACKUP = "backup of Rancher's backup-restore-operator"
    DBCTL_BACKUP = "backup of MicroK8s' dbctl"
    VELERO_BACKUP = "Velero's backup"
    OBJECTS = "objects of Kubernetes in a file"
    IMAGE = "raw bytes, carved by signature"
    UNRECOGNISED = "file of no known kind, in which the sweep met the beginnings of values"
    LIVE_SNAPSHOT = "live snapshot stream"
    LIVE_RANGE = "live range"
    LIVE_TABLE = "kine's table in a live database"

    @property
    def label(self) -> str:
        return self.value

    @property
    def is_kine(self) -> bool:
        """Whether the exhibit holds kine's table."""
        kinds = EvidenceKind
        stores = kinds.KINE_DATABASE, kinds.KINE_WAL, kinds.DQLITE_DIRECTORY, kinds.LIVE_TABLE
        return self in {*stores, kinds.POSTGRES_DUMP, kinds.POSTGRES_ARCHIVE, kinds.MYSQL_DUMP, kinds.SQLITE_DUMP}


EXPORTS = frozenset({EvidenceKind.OBJECTS, EvidenceKind.RANCHER_BACKUP, EvidenceKind.VELERO_BACKUP})
"""Kinds of what an API server answered with: it read it, and it was decrypted."""


class LiveWay(Enum):
    """The method by which a live etcd is read."""

    SNAPSHOT = "snapshot stream"
    RANGE = "range"

    @property
    def label(self) -> str:
        return self.value


class Trailer(Enum):
    """The state of the SHA-256 that etcd appends to a snapshot: whether it is that of the bytes before it."""

    MATCHES = "matches"
    DOES_NOT_MATCH = "does not match"
    NOT_CHECKED = "not checked"
    NONE = "none"

    @property
    def label(self) -> str:
        return str(self.value)


class BaselineState(Enum):
    """The state of a finding in comparison with an earlier report: SARIF 2.1.0, section 3.27.24, baselineState."""

    NEW = "new"
    UNCHANGED = "unchanged"
    ABSENT = "absent"

    @property
    def label(self) -> str:
        """The word in every other format."""
        return {BaselineState.UNCHANGED: "still there", BaselineState.ABSENT: "gone"}.get(self, self.value)


class RedactionMethod(Enum):
    """The method of redaction: ordinals, or pseudonyms by a key."""

    ORDINALS = "ordinals"
    KEYED = "keyed"


class Verdict(Enum):
    """The conclusion of an audit."""

    FINDINGS = "findings"
    ACCEPTED = "accepted findings"
    INCONCLUSIVE = "inconclusive"
    NONE = "no findings in what was examined"

    @classmethod
    def of(
        cls, highest: "Severity | None", accepted: "Severity | None", fail_on: "Severity", *, complete: bool
    ) -> "Verdict":
        """The verdict of a run.

        Args:
            highest: the highest severity among the findings that are not accepted; None where there are none.
            accepted: the same of those that --ignore accepts.
            fail_on: the least severity that fails the run.
            complete: whether everything inside the scope was read and concluded.
        """
        if highest is not None and highest >= fail_on:
            return cls.FINDINGS
        if not complete:
            return cls.INCONCLUSIVE
        standing = max((level for level in (highest, accepted) if level is not None), default=Severity.LOW)
        return cls.ACCEPTED if standing >= Severity.MEDIUM else cls.NONE
