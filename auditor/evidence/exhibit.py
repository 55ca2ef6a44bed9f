"""One piece of evidence: its opened files, by what each of them is; and what a single file is, by its first bytes.

Nothing is opened for writing, and no lock is taken: /proc/locks tells whether a running member holds one.
"""

import os
from array import array
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import exports, magic
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap, Live, Unexamined

LOCKS = Path("/proc/locks")


class Role(Enum):
    """What a file of a data directory is to etcd."""

    DATABASE = "database"
    SPARE = "another database file"
    LOG = "WAL segment"
    LOG_COPY = "WAL file set aside"
    RAFT_SNAPSHOT = "raft snapshot"
    BACKUP = "object of an etcd backup"
    DUMP = "etcdctl dump"
    SQLITE = "SQLite database"
    SQLITE_LOG = "SQLite WAL"
    SQLITE_INDEX = "SQLite's index of its WAL, which holds no values"
    RANGE = "keys of a live etcd"
    SETTINGS = "file that came with it"


_MARKED = {
    magic.Kind.DATABASE: Role.DATABASE,
    magic.Kind.SQLITE: Role.SQLITE,
    magic.Kind.SQLITE_LOG: Role.SQLITE_LOG,
}


@dataclass
class Exhibit:
    """The opened files, by role and in the order of their names; `gaps` names those that are none of etcd's.

    containers: what the files were unpacked from; closed by whoever opened them. settings: files that came with the
    evidence and may hold its keys; only those that are reported with this piece are among `files` too. index: of the
    spool of a range, as etcd/range_answer.py reads it. unexamined: what was left out when the files were made.
    work_dir: for private files with what is decoded of it, the system's folder where empty.
    """

    name: str
    files: list[tuple[Role, EvidenceFile]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    directory: bool = False
    has_wal: bool = False
    containers: tuple[EvidenceFile, ...] = ()
    settings: tuple[EvidenceFile, ...] = ()
    live: Live | None = None
    index: "array[int]" = field(default_factory=lambda: array("q"))
    unexamined: list[Unexamined] = field(default_factory=list)
    work_dir: str = ""

    @classmethod
    def of_file(cls, name: str, file: EvidenceFile) -> Self:
        """One opened file as evidence of its own; it takes the file.

        Raises UnreadableEvidence for what etcdctl prints in a form that loses bytes.
        """
        try:
            role = role_of(bytes(file.map[: magic.HEAD]))
        except UnreadableEvidence as error:
            file.close()
            raise UnreadableEvidence(f"{name}: {error}") from None
        # what nothing tells is read as a database: its first pages may be damaged
        return cls(name, [(role or Role.DATABASE, file)])

    @classmethod
    def with_wal(cls, name: str, database: EvidenceFile, wal: EvidenceFile) -> Self:
        """A database out of a container, and what lay beside it under the name of SQLite's WAL; it takes both."""
        exhibit = cls.of_file(name, database)
        if exhibit.of(Role.SQLITE):
            exhibit.files.append((Role.SQLITE_LOG, wal))
            exhibit.has_wal = True
        else:
            wal.close()
            reason = f"{wal.name} lies beside a database that is not SQLite's: not read"
            exhibit.gaps.append(Gap(wal.name, 0, wal.size, reason))
        return exhibit

    def of(self, role: Role) -> list[EvidenceFile]:
        return [file for each, file in self.files if each is role]

    @property
    def in_use(self) -> bool:
        """Whether a process holds a lock on one of the files: a running member does."""
        try:
            lines = LOCKS.read_text().splitlines()
        except OSError:
            return False
        held = {line.split()[5] for line in lines if len(line.split()) > 5}
        mine = {
            f"{os.major(file.before.st_dev):02x}:{os.minor(file.before.st_dev):02x}:{file.before.st_ino}"
            for _, file in self.files
        }
        return bool(held & mine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for _, file in self.files:
            file.close()


def role_of(head: bytes) -> Role | None:
    """What a file that begins so is; None for what has no mark of its own.

    head: magic.HEAD bytes, or all there are. Raises UnreadableEvidence as Exhibit.of_file() does.
    """
    kind = magic.sniff(head)
    if kind in _MARKED:
        return _MARKED[kind]
    if kind is not magic.Kind.OTHER:
        return None
    if exports.dump(head[: exports.DUMP_HEAD]) is not None:
        return Role.DUMP
    return Role.BACKUP if exports.is_increment(head) else None
