"""The words of the audit: its closed lists."""

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
    UNPLACED = 8

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


class PageKind(IntFlag):
    """What a page of a database is: one byte of a page map, and in bbolt's pages the header's own flags.

    bbolt internal/common/page.go: branchPageFlag, leafPageFlag, metaPageFlag, freelistPageFlag. A SQLite page is named
    after the bbolt page of the same use.
    """

    FREED = 0x00
    """No root reaches it."""
    BRANCH = 0x01
    LEAF = 0x02
    META = 0x04
    FREELIST = 0x10
    """Of SQLite a trunk page of its freelist."""
    OVERFLOW = 0x20
    """It continues the page before it; of SQLite an overflow page, or one of another table."""
    PREVIOUS_ROOT = 0x40
    """Only the previous meta page's root reaches it; of SQLite a newer image of it is in the WAL."""
    PAST_HIGH_WATER = 0x80
    """It lies past the high-water mark, which the meta page calls the number of pages."""


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


class FindingKind(IntFlag):
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


class EvidenceKind(Enum):
    """What a piece of evidence is."""

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
    LIVE_SNAPSHOT = "live snapshot stream"
    LIVE_RANGE = "live range"

    @property
    def label(self) -> str:
        return self.value


class LiveWay(Enum):
    """How a live etcd was read."""

    SNAPSHOT = "snapshot stream"
    RANGE = "range"

    @property
    def label(self) -> str:
        return self.value


class Trailer(Enum):
    """Whether etcd's SHA-256 at the end of a snapshot is that of the bytes before it."""

    MATCHES = "matches"
    DOES_NOT_MATCH = "does not match"
    NOT_CHECKED = "not checked"
    NONE = "none"

    @property
    def label(self) -> str:
        return str(self.value)


class BaselineState(Enum):
    """A finding beside those of an earlier report: SARIF 2.1.0, section 3.27.24, baselineState."""

    NEW = "new"
    UNCHANGED = "unchanged"
    ABSENT = "absent"

    @property
    def label(self) -> str:
        """The word for readers of every other format."""
        return {BaselineState.UNCHANGED: "still there", BaselineState.ABSENT: "gone"}.get(self, self.value)


class RedactionMethod(Enum):
    """What stands for the names of objects."""

    ORDINALS = "ordinals"
    KEYED = "keyed"


class Verdict(Enum):
    FINDINGS = "findings"
    INCONCLUSIVE = "inconclusive"
    NONE = "no findings in what was examined"
