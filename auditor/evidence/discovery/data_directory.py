"""An etcd data directory: what each file in it is to etcd, and what etcd does not put there.

Layout: etcd server/etcdserver/api/snap (snapshotter.go, db.go), server/storage/wal (wal.go, repair.go),
server/storage/backend (defrag's db.tmp.*).
"""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import UnreadableEvidence
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.evidence.containers.extracted import ExtractedFile

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


def role(folder: str, name: str) -> Role | None:
    """What a file in one of etcd's folders (snap, wal, wal.tmp) is; None for what etcd does not write there."""
    return next((role for pattern, role in _FOLDERS[folder] if pattern.fullmatch(name)), None)


def add(found: Exhibit, role: Role | None, name: str, file: "ExtractedFile") -> None:
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


def read(name: str, path: Path, wal_dir: Path | None, *, hashed: bool) -> Exhibit:
    """The files of the data directory `path`. Raises UnreadableEvidence: it is none, or its database is unreadable."""
    base = path / "member" if (path / "member").is_dir() else path
    snap, wal = base / "snap", wal_dir or base / "wal"
    top = path if wal_dir is None else wal.parent
    if not snap.is_dir() and not wal.is_dir():
        raise UnreadableEvidence(f"{name} is no etcd data directory: it holds neither member/snap nor member/wal")
    found = Exhibit(name, directory=True, has_wal=wal.is_dir())
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


def _known(found: Exhibit, top: Path, folder: Path, names: set[str]) -> None:
    """A gap for everything in a folder of folders that etcd does not put there."""
    for entry in entries(found, top, folder):
        if entry.name not in names | {_WAL_TMP}:
            foreign(found, top, entry)


def _folder(
    found: Exhibit, top: Path, folder: Path, kinds: tuple[tuple[re.Pattern[str], Role], ...], *, hashed: bool
) -> None:
    for entry in entries(found, top, folder):
        if entry.name == _WAL_TMP and entry.is_dir():
            continue
        role = next((role for pattern, role in kinds if pattern.fullmatch(entry.name)), None)
        if role is None or entry.is_dir():
            foreign(found, top, entry)
            continue
        shown = _name(top, entry)
        try:
            about = entry.stat()
            if stat.S_ISREG(about.st_mode) and not about.st_size:
                found.notes.append(f"{shown} is empty")
                continue
            found.files.append((role, EvidenceFile.open(entry, hashed=hashed, name=shown)))
        except (OSError, UnreadableEvidence) as error:
            why = str(error) if isinstance(error, UnreadableEvidence) else f"{shown}: {error.strerror}"
            if role is Role.DATABASE:
                raise UnreadableEvidence(why) from None
            found.gaps.append(Gap(shown, 0, 0, why))


def entries(found: Exhibit, top: Path, folder: Path) -> Iterator[Path]:
    """What lies in a folder, by name; a gap where it cannot be listed."""
    try:
        yield from sorted(folder.iterdir())
    except OSError as error:
        found.gaps.append(Gap(_name(top, folder), 0, 0, f"the folder cannot be listed: {error.strerror}"))


def foreign(found: Exhibit, top: Path, entry: Path) -> None:
    """A gap for what none of etcd's files is called."""
    shown = _name(top, entry)
    try:
        size = entry.lstat().st_size
    except OSError:
        size = 0
    found.gaps.append(Gap(shown, 0, size, f"{shown} is nothing that etcd writes: not read"))


def _name(top: Path, entry: Path) -> str:
    return shown(entry.relative_to(top).as_posix())
