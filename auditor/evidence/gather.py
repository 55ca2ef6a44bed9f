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
from auditor.evidence.file import EvidenceFile
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
    SETTINGS = "file that came with it"


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


@dataclass
class Evidence:
    """The opened files, by role and in the order of their names; `gaps` names those that are none of etcd's.

    containers: what the files were unpacked from; closed by whoever opened them. settings: files that came with the
    evidence and may hold its keys; only those that are reported with this piece are among `files` too.
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
        return single(name, EvidenceFile(path, hashed=hashed))
    return _directory(name, path, wal_dir, hashed=hashed)


def single(name: str, file: EvidenceFile) -> Evidence:
    """One opened file as evidence of its own; it takes the file."""
    return Evidence(name, [(Role.DATABASE, file)])


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
