"""An exhibit: one item of evidence, its opened files by role; and the role of a file by its magic number.

Nothing is opened for writing, and no lock is taken: /proc/locks shows whether a running member holds one.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from auditor import platform
from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import exports, foreign, magic
from auditor.evidence.containers.residue import Residue
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap, Live, Unexamined

if TYPE_CHECKING:
    from auditor.evidence.sweep import FileSweep

STEP = 1 << 22
"""Bytes that are looked at, at once."""


class Role(Enum):
    """The role of a file in its store; the value is its name in words."""

    DATABASE = "database"
    SPARE = "another database file"
    LOG = "WAL segment"
    LOG_COPY = "WAL file set aside"
    RAFT_SNAPSHOT = "raft snapshot"
    BACKUP = "object of an etcd backup"
    DUMP = "etcdctl dump"
    SQL_DUMP = "dump in SQL"
    POSTGRES_TOC = "table of contents of pg_dump's"
    OBJECT_BACKUP = "backup of objects"
    OBJECTS = "objects in a file"
    IMAGE = "raw bytes"
    SQLITE = "SQLite database"
    SQLITE_LOG = "SQLite WAL"
    SQLITE_INDEX = "SQLite's index of its WAL, which holds no values"
    SQLITE_JOURNAL = "SQLite's rollback journal"
    DQLITE_LOG = "segment of dqlite's log"
    DQLITE_SNAPSHOT = "snapshot of dqlite's"
    DQLITE_DATABASE = "database of dqlite's on disk"
    DQLITE_META = "dqlite's own, which holds no values"
    RANGE = "keys of a live etcd"
    COMPANION = "file that came with it"
    TEXT = "text beside it, searched for values that are given"
    OTHER = "file of no known kind, swept and not read"


SQLITE_SIBLINGS = {"-wal": Role.SQLITE_LOG, "-shm": Role.SQLITE_INDEX, "-journal": Role.SQLITE_JOURNAL}
"""SQLite's files beside a database: in WAL mode, and its rollback journal (fileformat2.html; walformat.html)."""
_ROLES = {
    magic.Kind.DATABASE: Role.DATABASE,
    magic.Kind.SQLITE: Role.SQLITE,
    magic.Kind.SQLITE_LOG: Role.SQLITE_LOG,
    magic.Kind.OBJECT_BACKUP: Role.OBJECT_BACKUP,
}


@dataclass
class Exhibit:
    """One item of evidence, opened."""

    name: str
    files: list[tuple[Role, EvidenceFile]] = field(default_factory=list)
    """The opened files by role, in the order of their names."""
    bystanders: list[Path] = field(default_factory=list)
    """Files beside the store that are known to hold no values."""
    gaps: list[Gap] = field(default_factory=list)
    """Files that are not the store's, or could not be opened."""
    notes: list[str] = field(default_factory=list)
    """Remarks for the report."""
    directory: bool = False
    """Whether this is an etcd data directory."""
    has_wal: bool = False
    """Whether the store's write-ahead log is part of it."""
    containers: tuple[EvidenceFile, ...] = ()
    """The archives that the files were unpacked from; their opener closes them."""
    residues: list[Residue] = field(default_factory=list)
    """What these hold beside their members, as far as a value begins in it."""
    companions: tuple[EvidenceFile, ...] = ()
    """Companion files that may hold keys; those that are reported with this exhibit are among `files` too."""
    live: Live | None = None
    """The endpoint, where this is a live etcd."""
    index: "array[int]" = field(default_factory=lambda: array("q"))
    """Index of a range's spool, as etcd/range_answer.py reads it."""
    storage_prefixes: tuple[str, ...] = ()
    """Those of a range's keys; none where the keys tell."""
    unexamined: list[Unexamined] = field(default_factory=list)
    """Parts that were left out while the exhibit was opened."""
    foreign: str = ""
    """Why no reader can read it, with its name; empty where one may."""
    copy: bytes | None = None
    """Where its file is a table's data out of an archive of pg_dump: the COPY before it; empty of INSERTs."""
    live_table: bool = False
    """Whether its file is what a live database answered."""
    raw: bool = False
    """Whether the user says that its database is a member's own, which has no trailer."""
    sweep: "FileSweep | None" = None
    """The search of its raw bytes, where that has begun before they are read."""
    work_dir: str = ""
    """Folder for scratch files with decoded values; the system's folder for temporary files where empty."""

    @classmethod
    def of_file(cls, name: str, file: EvidenceFile) -> Self:
        """One opened file as an exhibit, which owns it from now on.

        What is no store by its content (a dump of SQL, an error page, zeros) is only swept: its reader refuses it.
        Raises UnreadableEvidence for output of etcdctl in a form that loses bytes.
        """
        head = bytes(file.map[: magic.HEAD])
        try:
            role = role_of(head)
        except UnreadableEvidence as error:
            file.close()
            raise UnreadableEvidence(f"{name}: {error}") from None
        if role is None and foreign.is_objects(head):
            role = Role.OBJECTS
        if role is None and (what := foreign.describe(head, name) or _zeros(file)):
            return cls(name, [(Role.OTHER, file)], foreign=f"{name} is {what}")
        # a file without a magic number is read as a database: its first pages may be damaged
        return cls(name, [(role or Role.DATABASE, file)])

    @classmethod
    def with_siblings(cls, name: str, database: EvidenceFile, siblings: Sequence[tuple[Role, EvidenceFile]]) -> Self:
        """A database out of a container with the files beside it that have the names of SQLite's; it owns all.

        Args:
            name: The exhibit's name.
            database: The database.
            siblings: The files beside it by role; each is only swept, and a gap, if the database is not SQLite.
        """
        try:
            exhibit = cls.of_file(name, database)
        except BaseException:
            for _, file in siblings:
                file.close()
            raise
        for role, file in siblings:
            if exhibit.of(Role.SQLITE):
                exhibit.add_sibling(role, file)
                continue
            exhibit.files.append((Role.OTHER, file))
            reason = f"{file.name} lies beside a database that is not SQLite's: not read"
            exhibit.gaps.append(Gap(file.name, 0, file.size, reason))
        return exhibit

    def add_sibling(self, role: Role, file: EvidenceFile) -> None:
        """Add one of SQLite's files beside the database. A rollback journal is only swept: that is a gap."""
        self.files.append((role, file))
        self.has_wal |= role is Role.SQLITE_LOG
        if role is Role.SQLITE_JOURNAL:
            reason = f"{file.name} is SQLite's rollback journal: its pages, as they were before, are only swept"
            self.gaps.append(Gap(file.name, 0, file.size, reason))

    def of(self, role: Role) -> list[EvidenceFile]:
        """The files of one role."""
        return [file for file_role, file in self.files if file_role is role]

    @property
    def known(self) -> list[EvidenceFile]:
        """The files that are of a store, or came with it."""
        return [file for role, file in self.files if role is not Role.OTHER]

    @property
    def in_use(self) -> bool:
        """Whether a process holds a lock on one of the files: a running member does."""
        locks = platform.locks()
        inodes = {f"{platform.device(file.before.st_dev)}:{file.before.st_ino}" for _, file in self.files}
        return not inodes.isdisjoint(locks or ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for _, file in self.files:
            file.close()


def _zeros(file: EvidenceFile) -> str:
    """The words for a file of zeros alone; empty for any other."""
    for at in range(0, file.size, STEP):
        if file.map[at : at + STEP].strip(b"\0"):
            return ""
    return f"zeros alone, {file.size:,} bytes: what stood there is not in it; take the backup again"


def role_of(head: bytes) -> Role | None:
    """The role of a file by its first bytes; None where they identify nothing.

    head: the first magic.HEAD bytes, or the whole file. Raises UnreadableEvidence as Exhibit.of_file() does.
    """
    kind = magic.sniff(head)
    if kind in _ROLES:
        return _ROLES[kind]
    if kind is not magic.Kind.OTHER:
        return None
    if exports.dump(head[: exports.DUMP_HEAD]) is not None:
        return Role.DUMP
    if exports.sql_dump(head[: exports.SQL_HEAD]) is not None:
        return Role.SQL_DUMP
    return Role.BACKUP if exports.is_increment(head) else None
