"""An etcd data directory: the role of each of its files, and the files that etcd does not put there.

Layout: etcd server/etcdserver/api/snap (snapshotter.go, db.go), server/storage/wal (wal.go, repair.go),
server/storage/backend (defrag's db.tmp.*).
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import UnreadableEvidence
from auditor.evidence.discovery import distributions
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import plural, shown

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
MOST_OTHERS = 64
"""Files of no known kind that are swept, at most: each is open until the end."""
_FOLDERS = {"snap": _SNAP, "wal": _WAL, _WAL_TMP: _ANY_LOG}


def role(folder: str, name: str) -> Role | None:
    """The role of a file in one of etcd's folders (snap, wal, wal.tmp); None for what etcd does not write there."""
    return next((role for pattern, role in _FOLDERS[folder] if pattern.fullmatch(name)), None)


def add(exhibit: Exhibit, role: Role | None, name: str, file: "ExtractedFile") -> None:
    """Add a file of an unpacked data directory, or a gap or note in its place; the exhibit takes the file.

    Args:
        exhibit: The data directory.
        role: The file's role; None for what etcd does not write.
        name: The file's name in reports.
        file: The file.

    Raises UnreadableEvidence where the database cannot be mapped.
    """
    if role is None:
        exhibit.gaps.append(Gap(name, 0, file.size, f"{name} is nothing that etcd writes: not read"))
    elif not file.size:
        exhibit.notes.append(f"{name} is empty")
    if not file.size or (role is None and len(exhibit.of(Role.OTHER)) >= MOST_OTHERS):
        file.close()
        return
    try:
        exhibit.files.append((role or Role.OTHER, file.open(name)))
    except UnreadableEvidence as error:
        if role is Role.DATABASE:
            raise
        exhibit.gaps.append(Gap(name, 0, 0, str(error)))


def in_order(entry: tuple[Role, EvidenceFile]) -> tuple[bool, str]:
    """The place of a file among others: by its name, and behind them where it is nothing of etcd's."""
    return entry[0] is Role.OTHER, entry[1].name


def read(name: str, path: Path, wal_dir: Path | None, *, hashed: bool) -> Exhibit:
    """A data directory with its files.

    Args:
        name: Its name in reports.
        path: The directory.
        wal_dir: etcd's --wal-dir, where the WAL does not lie in the directory.
        hashed: Whether its files are hashed.

    Raises UnreadableEvidence where it is no data directory, or where its database is unreadable.
    """
    base = path / "member" if (path / "member").is_dir() else path
    snap, wal = base / "snap", wal_dir or base / "wal"
    top = path if wal_dir is None else wal.parent
    if not snap.is_dir() and not wal.is_dir():
        count = sum(len(files) for _, _, files in os.walk(path))
        raise UnreadableEvidence(
            f"nothing in {name} is evidence: {plural(count, 'file')} looked at; an etcd data directory would hold "
            "member/snap or member/wal"
        )
    exhibit = Exhibit(name, directory=True, has_wal=wal.is_dir())
    try:
        if wal_dir is not None and (base / "wal").is_dir() and not wal.samefile(base / "wal"):
            _aside(exhibit, path, base / "wal")
        _known(exhibit, path, base, {"snap", "wal"} | ({"member"} if base == path else set()), hashed=hashed)
        if base != path:
            _known(exhibit, path, path, {"member"}, hashed=hashed)
        folders = (
            (path, snap, _SNAP),
            (top, wal, _WAL),
            (path, base / _WAL_TMP, _ANY_LOG),
            (top, wal / _WAL_TMP, _ANY_LOG),
        )
        for parent, folder, kinds in folders:
            if folder.is_dir():
                _folder(exhibit, parent, folder, kinds, hashed=hashed)
        if wal.is_dir() and not exhibit.of(Role.LOG):
            reason = "the folder holds no segment of a WAL: what etcd wrote last is not there"
            exhibit.gaps.append(Gap(_name(top, wal), 0, 0, reason))
    except BaseException:
        exhibit.__exit__(None, None, None)
        raise
    if not exhibit.known:
        raise UnreadableEvidence(f"{name} holds no file of etcd's: neither a database nor a WAL")
    exhibit.files.sort(key=in_order)
    return exhibit


def _aside(exhibit: Exhibit, top: Path, wal: Path) -> None:
    """A gap for every file of the directory's own WAL, where --wal-dir names another."""
    for entry in entries(exhibit, top, wal):
        name = _name(top, entry)
        reason = f"{name} is of the directory's own WAL, and --wal-dir names another: scan the directory without it too"
        exhibit.gaps.append(Gap(name, 0, entry.lstat().st_size, reason))


def _known(exhibit: Exhibit, top: Path, folder: Path, names: set[str], *, hashed: bool) -> None:
    """A gap for every entry that is none of these folders."""
    for entry in entries(exhibit, top, folder):
        if entry.name not in names | {_WAL_TMP}:
            foreign(exhibit, top, entry, hashed=hashed)


def _folder(
    exhibit: Exhibit, top: Path, folder: Path, kinds: tuple[tuple[re.Pattern[str], Role], ...], *, hashed: bool
) -> None:
    for entry in entries(exhibit, top, folder):
        if entry.name == _WAL_TMP and entry.is_dir():
            continue
        role = next((role for pattern, role in kinds if pattern.fullmatch(entry.name)), None)
        if role is None or entry.is_dir():
            foreign(exhibit, top, entry, hashed=hashed)
            continue
        add_file(exhibit, entry, role, _name(top, entry), hashed=hashed)


def add_file(exhibit: Exhibit, entry: Path, role: Role, name: str, *, hashed: bool) -> None:
    """Add a file; a note for an empty one, a gap for one that cannot be opened.

    Raises UnreadableEvidence for an etcd database that cannot be.
    """
    try:
        status = entry.stat()
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            exhibit.notes.append(f"{name} is empty")
            return
        exhibit.files.append((role, EvidenceFile.open(entry, hashed=hashed, name=name)))
    except (OSError, UnreadableEvidence) as error:
        why = str(error) if isinstance(error, UnreadableEvidence) else f"{name}: {error.strerror}"
        if role is Role.DATABASE:
            raise UnreadableEvidence(why) from None
        exhibit.gaps.append(Gap(name, 0, 0, why))


def entries(exhibit: Exhibit, top: Path, folder: Path) -> Iterator[Path]:
    """The entries of a folder, by name; a gap where it cannot be listed."""
    try:
        yield from sorted(folder.iterdir())
    except OSError as error:
        exhibit.gaps.append(Gap(_name(top, folder), 0, 0, f"the folder cannot be listed: {error.strerror}"))


def foreign(exhibit: Exhibit, top: Path, entry: Path, *, hashed: bool, writer: str = "etcd") -> None:
    """A gap for a file that etcd does not write, a note for one that a distribution is known to put there.

    A regular one is swept all the same, where files are hashed.

    Args:
        exhibit: The directory.
        top: The folder that names begin at.
        entry: The file.
        hashed: Whether files are hashed.
        writer: Who writes the directory, in words.
    """
    name = _name(top, entry)
    if owner := distributions.owner(entry):
        exhibit.notes.append(f"{name} is {owner}'s own, and holds no values")
        return
    size = 0
    try:
        status = entry.lstat()
        size = status.st_size
        if hashed and size and stat.S_ISREG(status.st_mode) and len(exhibit.of(Role.OTHER)) < MOST_OTHERS:
            exhibit.files.append((Role.OTHER, EvidenceFile.open(entry, hashed=True, name=name)))
    except (OSError, UnreadableEvidence):
        pass  # the gap says that it was not read
    exhibit.gaps.append(Gap(name, 0, size, f"{name} is nothing that {writer} writes: not read"))


def _name(top: Path, entry: Path) -> str:
    return shown(entry.relative_to(top).as_posix())
