"""Which files make up one piece of evidence: a database file, or an etcd data directory with all that lies in it.

Layout: etcd server/etcdserver/api/snap (snapshotter.go, db.go), server/storage/wal (wal.go, repair.go),
server/storage/backend (defrag's db.tmp.*). Nothing is opened for writing, and no lock is taken: /proc/locks tells
whether a running member holds one.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from auditor.errors import UnreadableEvidence
from auditor.evidence import objects
from auditor.evidence.file import EvidenceFile
from auditor.evidence.packed import sniff
from auditor.evidence.packed.limits import Limits
from auditor.model import Gap, Live, Unexamined
from auditor.text import printable

if TYPE_CHECKING:
    from auditor.evidence.live.gather import Ranged
    from auditor.evidence.packed.private import Filled

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
    SETTINGS = "file that came with it"


_MARKED = {
    sniff.Kind.DATABASE: Role.DATABASE,
    sniff.Kind.SQLITE: Role.SQLITE,
    sniff.Kind.SQLITE_LOG: Role.SQLITE_LOG,
}
SQLITE = b"SQLite format 3\0"
_SNAP = (
    (re.compile(r"db"), Role.DATABASE),
    (re.compile(r"[0-9a-f]{16}\.snap\.db|db\.tmp\..*|tmp.*|.*\.tmp|.*\.snap\.db\.broken"), Role.SPARE),
    (re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}\.snap(\.broken)?"), Role.RAFT_SNAPSHOT),
)
_WAL = (
    (re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}\.wal"), Role.LOG),
    (re.compile(r".*\.tmp|.*\.broken"), Role.LOG_COPY),
)
_ANY_LOG = ((re.compile(".*"), Role.LOG_COPY),)
_WAL_TMP = "wal.tmp"
_FOLDERS = {"snap": _SNAP, "wal": _WAL, _WAL_TMP: _ANY_LOG}


@dataclass(frozen=True, slots=True)
class Unpacking:
    """How far packed objects may go, and the folder for what they hold."""

    limits: Limits = field(default_factory=Limits)
    work_dir: str = ""


@dataclass
class Evidence:
    """The opened files, by role and in the order of their names; `gaps` names those that are none of etcd's.

    containers: what the files were unpacked from; closed by whoever opened them. settings: files that came with the
    evidence and may hold its keys; only those that are reported with this piece are among `files` too. work_dir: for
    private files with what is decoded of it, the system's folder where empty.
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
    ranged: "Ranged | None" = None
    unexamined: list[Unexamined] = field(default_factory=list)
    work_dir: str = ""

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


def gather(path: Path, wal_dir: Path | None, unpacking: Unpacking = Unpacking(), *, hashed: bool) -> Evidence:
    """Open what `path` is. Raises UnreadableEvidence where it is neither a readable file nor a data directory."""
    name = printable(os.fsencode(path.name or path.resolve().name))
    if not path.is_dir():
        if wal_dir is not None:
            raise UnreadableEvidence(f"{name} is no data directory: --wal-dir belongs to one")
        return _single(name, path, unpacking, hashed=hashed)
    found = _other_folder(name, path, unpacking, hashed=hashed) if wal_dir is None else None
    return found or _directory(name, path, wal_dir, hashed=hashed)


def _single(name: str, path: Path, unpacking: Unpacking, *, hashed: bool) -> Evidence:
    """One file, told by its first bytes, and what belongs to it."""
    if objects.named(path.name):
        return _backup(Evidence(name), [path], unpacking, hashed=hashed)
    found = single(name, EvidenceFile(path, hashed=hashed))
    return _sqlite(found, path, hashed=hashed) if found.of(Role.SQLITE) else found


def _other_folder(name: str, path: Path, unpacking: Unpacking, *, hashed: bool) -> Evidence | None:
    """A folder with kine's database or with Gardener's backups; None where it is neither."""
    if (database := _sqlite_in(path)) is not None:
        found = Evidence(name, [(Role.SQLITE, EvidenceFile(database, hashed=hashed))])
        _others(found, path, {database.name, *(database.name + ending for ending in _BESIDE)})
        return _sqlite(found, database, hashed=hashed)
    if listed := objects.in_folder(path):
        found = Evidence(name, directory=True)
        _others(found, path, {each.name for each in listed})
        return _backup(found, listed, unpacking, hashed=hashed)
    return None


def _others(found: Evidence, folder: Path, names: set[str]) -> None:
    """A gap for everything else in a folder."""
    for entry in _entries(found, folder, folder):
        if entry.name not in names:
            _foreign(found, folder, entry)


_BESIDE = {"-wal": Role.SQLITE_LOG, "-shm": Role.SQLITE_INDEX}
"""What SQLite keeps beside a database in WAL mode (fileformat2.html, section 4; walformat.html)."""


def _backup(found: Evidence, listed: list[Path], unpacking: Unpacking, *, hashed: bool) -> Evidence:
    """The objects of Gardener's backups, unpacked; a gap for each that is not readable, unless it is the only one."""
    for path in listed:
        try:
            opened = objects.open_object(path, unpacking.limits, unpacking.work_dir, hashed=hashed)
        except UnreadableEvidence as error:
            if len(listed) == 1:
                raise
            found.gaps.append(Gap(objects.shown(path), 0, 0, str(error)))
            continue
        found.files.append((Role.BACKUP, opened.file))
        found.gaps += opened.gaps
        found.notes += [opened.note] if opened.note else []
    if not found.files:
        raise UnreadableEvidence(f"{found.name}: none of its {len(listed):,} objects can be read")
    return found


def _sqlite_in(folder: Path) -> Path | None:
    """The SQLite database of a folder such as k3s's server/db; None where there is none, or where etcd's own lies."""
    if (folder / "member").is_dir() or (folder / "snap").is_dir():
        return None
    found = []
    for path in sorted(folder.glob("*.db")):
        try:
            with path.open("rb") as file:
                if path.is_file() and file.read(len(SQLITE)) == SQLITE:
                    found.append(path)
        except OSError:
            continue
    if len(found) > 1:
        names = ", ".join(printable(os.fsencode(path.name)) for path in found)
        raise UnreadableEvidence(f"{printable(os.fsencode(folder))} holds several SQLite databases ({names}): give one")
    return found[0] if found else None


def _sqlite(found: Evidence, path: Path, *, hashed: bool) -> Evidence:
    """Open what lies beside a SQLite database; what is not there is said by the reader, which knows what it means."""
    for ending, role in _BESIDE.items():
        beside = path.with_name(path.name + ending)
        shown = printable(os.fsencode(beside.name))
        try:
            about = beside.stat()
            if stat.S_ISREG(about.st_mode) and not about.st_size:
                found.notes.append(f"{shown} is empty")
                found.has_wal |= role is Role.SQLITE_LOG
                continue
            found.files.append((role, EvidenceFile(beside, hashed=hashed, name=shown)))
            found.has_wal |= role is Role.SQLITE_LOG
        except FileNotFoundError:
            found.notes.append(f"there is no {shown} beside {printable(os.fsencode(path.name))}")
        except (OSError, UnreadableEvidence) as error:
            why = str(error) if isinstance(error, UnreadableEvidence) else f"{shown}: {error.strerror}"
            found.gaps.append(Gap(shown, 0, 0, why))
    return found


def single(name: str, file: EvidenceFile) -> Evidence:
    """One opened file as evidence of its own; it takes the file. Raises UnreadableEvidence for what etcdctl prints in
    a form that loses bytes.
    """
    try:
        role = told(bytes(file.map[: sniff.HEAD]))
    except UnreadableEvidence as error:
        file.close()
        raise UnreadableEvidence(f"{name}: {error}") from None
    # what nothing tells is read as a database: its first pages may be damaged
    return Evidence(name, [(role or Role.DATABASE, file)])


def told(head: bytes) -> Role | None:
    """What a file that begins so is; None for what has no mark of its own.

    head: sniff.HEAD bytes, or all there are. Raises UnreadableEvidence as single() does.
    """
    kind = sniff.sniff(head)
    if kind in _MARKED:
        return _MARKED[kind]
    if kind is not sniff.Kind.OTHER:
        return None
    from auditor.evidence import dump, gardener  # numpy waits until the file is being hashed

    if dump.sniff(head[: dump.LOOKED_AT]):
        return Role.DUMP
    return Role.BACKUP if gardener.is_increment(head) else None


def with_log(name: str, database: EvidenceFile, log: EvidenceFile) -> Evidence:
    """A database out of a container, and what lay beside it under the name of SQLite's log."""
    found = single(name, database)
    if found.of(Role.SQLITE):
        found.files.append((Role.SQLITE_LOG, log))
        found.has_wal = True
    else:
        log.close()
        found.gaps.append(
            Gap(log.name, 0, log.size, f"{log.name} lies beside a database that is not SQLite's: not read")
        )
    return found


def is_whole(folder: Path) -> bool:
    """Whether a folder is one piece of evidence: kine's database with its log, or Gardener's backups."""
    try:
        return _sqlite_in(folder) is not None or bool(objects.in_folder(folder))
    except UnreadableEvidence:
        return False  # several databases: each is a piece


def role(folder: str, name: str) -> Role | None:
    """What a file in one of etcd's folders (snap, wal, wal.tmp) is; None for what etcd does not write there."""
    return next((role for pattern, role in _FOLDERS[folder] if pattern.fullmatch(name)), None)


def add(found: Evidence, role: Role | None, name: str, file: "Filled") -> None:
    """One more file of a data directory that was unpacked, or a gap or note in its place; it takes the file.

    Raises UnreadableEvidence where the database cannot be mapped.
    """
    if role is None or not file.size:
        file.close()
        if role is None:
            found.gaps.append(Gap(name, 0, file.size, f"{name} is nothing that etcd writes: not read"))
        else:
            found.notes.append(f"{name} is empty")
        return
    try:
        found.files.append((role, file.open(name)))
    except UnreadableEvidence as error:
        if role is Role.DATABASE:
            raise
        found.gaps.append(Gap(name, 0, 0, str(error)))


def _directory(name: str, path: Path, wal_dir: Path | None, *, hashed: bool) -> Evidence:
    base = path / "member" if (path / "member").is_dir() else path
    snap, wal = base / "snap", wal_dir or base / "wal"
    top = path if wal_dir is None else wal.parent
    if not snap.is_dir() and not wal.is_dir():
        raise UnreadableEvidence(f"{name} is no etcd data directory: it holds neither member/snap nor member/wal")
    found = Evidence(name, directory=True, has_wal=wal.is_dir())
    try:
        _known(found, path, base, {"snap", "wal"} | ({"member"} if base == path else set()))
        if base != path:
            _known(found, path, path, {"member"})
        if snap.is_dir():
            _folder(found, path, snap, _SNAP, hashed=hashed)
        if wal.is_dir():
            _folder(found, top, wal, _WAL, hashed=hashed)
        if (base / _WAL_TMP).is_dir():
            _folder(found, path, base / _WAL_TMP, _ANY_LOG, hashed=hashed)
        if (wal / _WAL_TMP).is_dir():
            _folder(found, top, wal / _WAL_TMP, _ANY_LOG, hashed=hashed)
    except BaseException:
        found.__exit__(None, None, None)
        raise
    if not found.files:
        raise UnreadableEvidence(f"{name} holds no file of etcd's: neither a database nor a WAL")
    found.files.sort(key=lambda each: each[1].name)
    return found


def _known(found: Evidence, top: Path, folder: Path, names: set[str]) -> None:
    """A gap for everything in a folder of folders that etcd does not put there."""
    for entry in _entries(found, top, folder):
        if entry.name not in names | {_WAL_TMP}:
            _foreign(found, top, entry)


def _folder(
    found: Evidence, top: Path, folder: Path, kinds: tuple[tuple[re.Pattern[str], Role], ...], *, hashed: bool
) -> None:
    for entry in _entries(found, top, folder):
        if entry.name == _WAL_TMP and entry.is_dir():
            continue
        role = next((role for pattern, role in kinds if pattern.fullmatch(entry.name)), None)
        if role is None or entry.is_dir():
            _foreign(found, top, entry)
            continue
        shown = _name(top, entry)
        try:
            about = entry.stat()
            if stat.S_ISREG(about.st_mode) and not about.st_size:
                found.notes.append(f"{shown} is empty")
                continue
            found.files.append((role, EvidenceFile(entry, hashed=hashed, name=shown)))
        except (OSError, UnreadableEvidence) as error:
            if role is Role.DATABASE:
                raise
            why = str(error) if isinstance(error, UnreadableEvidence) else f"{shown}: {error.strerror}"
            found.gaps.append(Gap(shown, 0, 0, why))


def _entries(found: Evidence, top: Path, folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.iterdir())
    except OSError as error:
        found.gaps.append(Gap(_name(top, folder), 0, 0, f"the folder cannot be listed: {error.strerror}"))


def _foreign(found: Evidence, top: Path, entry: Path) -> None:
    shown = _name(top, entry)
    try:
        size = entry.lstat().st_size
    except OSError:
        size = 0
    found.gaps.append(Gap(shown, 0, size, f"{shown} is nothing that etcd writes: not read"))


def _name(top: Path, entry: Path) -> str:
    return printable(os.fsencode(entry.relative_to(top).as_posix()))
