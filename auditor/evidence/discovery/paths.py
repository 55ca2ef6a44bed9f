"""From a path to one piece of evidence: a file and what belongs beside it, or a folder that is one as a whole."""

import stat
from dataclasses import dataclass, field
from pathlib import Path

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers.limits import Limits
from auditor.evidence.discovery import data_directory
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gardener import objects
from auditor.model.evidence import Gap
from auditor.text import shown

SQLITE = b"SQLite format 3\0"
_BESIDE = {"-wal": Role.SQLITE_LOG, "-shm": Role.SQLITE_INDEX}
"""What SQLite keeps beside a database in WAL mode (fileformat2.html, section 4; walformat.html)."""


@dataclass(frozen=True, slots=True)
class Unpacking:
    """How far packed objects may go, and the folder for what they hold."""

    limits: Limits = field(default_factory=Limits)
    work_dir: str = ""


def gather(path: Path, wal_dir: Path | None, unpacking: Unpacking = Unpacking(), *, hashed: bool) -> Exhibit:
    """Open what `path` is. Raises UnreadableEvidence where it is neither a readable file nor a data directory."""
    name = shown(path.name or path.resolve().name)
    if not path.is_dir():
        if wal_dir is not None:
            raise UnreadableEvidence(f"{name} is no data directory: --wal-dir belongs to one")
        return _single(name, path, unpacking, hashed=hashed)
    found = _other_folder(name, path, unpacking, hashed=hashed) if wal_dir is None else None
    return found or data_directory.read(name, path, wal_dir, hashed=hashed)


def is_whole(folder: Path) -> bool:
    """Whether a folder is one piece of evidence: kine's database with its log, or Gardener's backups."""
    try:
        return _sqlite_in(folder) is not None or bool(objects.in_folder(folder))
    except UnreadableEvidence:
        return False  # several databases: each is a piece


def _single(name: str, path: Path, unpacking: Unpacking, *, hashed: bool) -> Exhibit:
    """One file, told by its first bytes, and what belongs to it."""
    if objects.named(path.name):
        return _backup(Exhibit(name), [path], unpacking, hashed=hashed)
    found = Exhibit.of_file(name, EvidenceFile.open(path, hashed=hashed))
    return _sqlite(found, path, hashed=hashed) if found.of(Role.SQLITE) else found


def _other_folder(name: str, path: Path, unpacking: Unpacking, *, hashed: bool) -> Exhibit | None:
    """A folder with kine's database or with Gardener's backups; None where it is neither."""
    if (database := _sqlite_in(path)) is not None:
        found = Exhibit(name, [(Role.SQLITE, EvidenceFile.open(database, hashed=hashed))])
        _others(found, path, {database.name, *(database.name + ending for ending in _BESIDE)})
        return _sqlite(found, database, hashed=hashed)
    if listed := objects.in_folder(path):
        found = Exhibit(name, directory=True)
        _others(found, path, {each.name for each in listed})
        return _backup(found, listed, unpacking, hashed=hashed)
    return None


def _others(found: Exhibit, folder: Path, names: set[str]) -> None:
    """A gap for everything else in a folder."""
    for entry in data_directory.entries(found, folder, folder):
        if entry.name not in names:
            data_directory.foreign(found, folder, entry)


def _backup(found: Exhibit, listed: list[Path], unpacking: Unpacking, *, hashed: bool) -> Exhibit:
    """The objects of Gardener's backups, unpacked; a gap for each that is not readable, unless it is the only one."""
    for path in listed:
        try:
            opened = objects.open_object(path, unpacking.limits, unpacking.work_dir, hashed=hashed)
        except UnreadableEvidence as error:
            if len(listed) == 1:
                raise
            found.gaps.append(Gap(shown(path.name), 0, 0, str(error)))
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
        names = ", ".join(shown(path.name) for path in found)
        raise UnreadableEvidence(f"{shown(folder)} holds several SQLite databases ({names}): give one")
    return found[0] if found else None


def _sqlite(found: Exhibit, path: Path, *, hashed: bool) -> Exhibit:
    """Open what lies beside a SQLite database; what is not there is said by the reader, which knows what it means."""
    for ending, role in _BESIDE.items():
        beside = path.with_name(path.name + ending)
        name = shown(beside.name)
        try:
            about = beside.stat()
            if stat.S_ISREG(about.st_mode) and not about.st_size:
                found.notes.append(f"{name} is empty")
                found.has_wal |= role is Role.SQLITE_LOG
                continue
            found.files.append((role, EvidenceFile.open(beside, hashed=hashed, name=name)))
            found.has_wal |= role is Role.SQLITE_LOG
        except FileNotFoundError:
            found.notes.append(f"there is no {name} beside {shown(path.name)}")
        except (OSError, UnreadableEvidence) as error:
            why = str(error) if isinstance(error, UnreadableEvidence) else f"{name}: {error.strerror}"
            found.gaps.append(Gap(name, 0, 0, why))
    return found
