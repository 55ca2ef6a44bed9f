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
from auditor.evidence import dump, gardener
from auditor.evidence.file import EvidenceFile
from auditor.evidence.sqlite import form
from auditor.model import Gap, Live, Unexamined
from auditor.text import printable

if TYPE_CHECKING:
    from auditor.evidence.live.gather import Ranged

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


@dataclass
class Evidence:
    """The opened files, by role and in the order of their names; `gaps` names those that are none of etcd's."""

    name: str
    files: list[tuple[Role, EvidenceFile]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    directory: bool = False
    has_wal: bool = False
    live: Live | None = None
    ranged: "Ranged | None" = None
    unexamined: list[Unexamined] = field(default_factory=list)

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


def gather(path: Path, wal_dir: Path | None, *, hashed: bool) -> Evidence:
    """Open what `path` is. Raises UnreadableEvidence where it is neither a readable file nor a data directory."""
    name = printable(os.fsencode(path.name or path.resolve().name))
    if not path.is_dir():
        if wal_dir is not None:
            raise UnreadableEvidence(f"{name} is no data directory: --wal-dir belongs to one")
        return _single(name, path, hashed=hashed)
    found = _other_folder(name, path, hashed=hashed) if wal_dir is None else None
    return found or _directory(name, path, wal_dir, hashed=hashed)


def _single(name: str, path: Path, *, hashed: bool) -> Evidence:
    """One file, told by its first bytes, and what belongs to it."""
    file = EvidenceFile(path, hashed=hashed)
    head = bytes(file.map[: dump.LOOKED_AT])
    try:
        kind = dump.sniff(head)
    except UnreadableEvidence as error:
        file.close()
        raise UnreadableEvidence(f"{name}: {error}") from None
    if kind:
        return Evidence(name, [(Role.DUMP, file)])
    if gardener.is_increment(head) or gardener.named(path.name):
        file.close()
        return _backup(Evidence(name), [path], hashed=hashed)
    if form.is_database(head):
        return _sqlite(Evidence(name, [(Role.SQLITE, file)]), path, hashed=hashed)
    return Evidence(name, [(Role.DATABASE, file)])


def _other_folder(name: str, path: Path, *, hashed: bool) -> Evidence | None:
    """A folder with kine's database or with Gardener's backups; None where it is neither."""
    if (database := _sqlite_in(path)) is not None:
        found = Evidence(name, [(Role.SQLITE, EvidenceFile(database, hashed=hashed))])
        _others(found, path, {database.name, *(database.name + ending for ending in _BESIDE)})
        return _sqlite(found, database, hashed=hashed)
    if objects := gardener.in_folder(path):
        found = Evidence(name, directory=True)
        _others(found, path, {each.name for each in objects})
        return _backup(found, objects, hashed=hashed)
    return None


def _others(found: Evidence, folder: Path, names: set[str]) -> None:
    """A gap for everything else in a folder."""
    for entry in _entries(found, folder, folder):
        if entry.name not in names:
            _foreign(found, folder, entry)


_BESIDE = {"-wal": Role.SQLITE_LOG, "-shm": Role.SQLITE_INDEX}
"""What SQLite keeps beside a database in WAL mode (fileformat2.html, section 4; walformat.html)."""


def _backup(found: Evidence, objects: list[Path], *, hashed: bool) -> Evidence:
    """The objects of Gardener's backups, unpacked; a gap for each that is not readable, unless it is the only one."""
    for path in objects:
        try:
            file, note = gardener.open_object(path, gardener.shown(path), hashed=hashed)
        except UnreadableEvidence as error:
            if len(objects) == 1:
                raise
            found.gaps.append(Gap(gardener.shown(path), 0, 0, str(error)))
            continue
        found.files.append((Role.BACKUP, file))
        found.notes += [note] if note else []
    if not found.files:
        raise UnreadableEvidence(f"{found.name}: none of its {len(objects):,} objects can be read")
    return found


def _sqlite_in(folder: Path) -> Path | None:
    """The SQLite database of a folder such as k3s's server/db; None where there is none, or where etcd's own lies."""
    if (folder / "member").is_dir() or (folder / "snap").is_dir():
        return None
    found = []
    for path in sorted(folder.glob("*.db")):
        try:
            with path.open("rb") as file:
                if path.is_file() and form.is_database(file.read(16)):
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
