"""From a path to one exhibit: a file and what belongs beside it, or a folder that is one as a whole."""

import stat
from dataclasses import dataclass, field
from pathlib import Path

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import magic
from auditor.evidence.containers.limits import Limits
from auditor.evidence.discovery import bystanders, companions, data_directory
from auditor.evidence.dqlite import names as dqlite_names
from auditor.evidence.exhibit import SQLITE_SIBLINGS, Exhibit, Role, role_of
from auditor.evidence.file import EvidenceFile
from auditor.evidence.gardener import objects
from auditor.model.evidence import Gap
from auditor.text import shown

_EVIDENCE = magic.CONTAINERS | magic.STORES
SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Unpacking:
    """Settings for compressed objects of a backup."""

    limits: Limits = field(default_factory=Limits)
    work_dir: str = ""
    """The folder for private files; the system's own where empty."""


def gather(path: Path, wal_dir: Path | None, unpacking: Unpacking = Unpacking(), *, hashed: bool) -> Exhibit:
    """The exhibit at a path, opened.

    Args:
        path: A file, a data directory, or a folder that is one exhibit.
        wal_dir: etcd's --wal-dir, for a data directory.
        unpacking: Settings for compressed objects.
        hashed: Whether the files are hashed.

    Raises UnreadableEvidence where it is neither a readable file nor a data directory.
    """
    name = shown(path.name or path.resolve().name)
    if not path.is_dir():
        if wal_dir is not None:
            raise UnreadableEvidence(f"{name} is no data directory: --wal-dir belongs to one")
        return _single(name, path, unpacking, hashed=hashed)
    exhibit = _other_folder(name, path, unpacking, hashed=hashed) if wal_dir is None else None
    return exhibit or data_directory.read(name, path, wal_dir, hashed=hashed)


def is_whole(folder: Path) -> bool:
    """Whether a folder is one exhibit: kine's database with its WAL, dqlite's data directory, Gardener's backups, an
    archive of pg_dump, what MicroK8s' dbctl packs.
    """
    if dqlite_names.is_directory(folder) or _is_of_dbctl(folder):
        return True
    if (folder / "toc.dat").is_file():
        from auditor.evidence.discovery import postgres_directory

        return postgres_directory.is_one(folder)
    try:
        database = _sqlite_in(folder)
        if database is not None:
            own = {database.name, *(database.name + ending for ending in SQLITE_SIBLINGS)}
            return all(
                entry.name in own or (bystanders.is_bystander(entry) and not companions.is_companion(entry.name))
                for entry in folder.iterdir()
            )
        backups = objects.in_folder(folder)
        return bool(backups) and not any(is_evidence(entry) for entry in folder.iterdir() if entry not in backups)
    except OSError:
        return False
    except UnreadableEvidence:
        return False  # several databases: each is an exhibit


def is_evidence(path: Path) -> bool:
    """Whether a regular file is a store, a container or an export by its first bytes; an unreadable one counts."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(magic.HEAD)
        return magic.sniff(head) in _EVIDENCE or role_of(head) is not None
    except (OSError, UnreadableEvidence):
        return True


def _single(name: str, path: Path, unpacking: Unpacking, *, hashed: bool) -> Exhibit:
    """One file, identified by magic number, and what belongs to it."""
    if objects.object_name(path.name):
        return _backup(Exhibit(name), [path], unpacking, hashed=hashed)
    exhibit = Exhibit.of_file(name, EvidenceFile.open(path, hashed=hashed))
    return _sqlite(exhibit, path, hashed=hashed) if exhibit.of(Role.SQLITE) else exhibit


def _other_folder(name: str, path: Path, unpacking: Unpacking, *, hashed: bool) -> Exhibit | None:
    """A folder with kine's database, dqlite's data, Gardener's backups or an archive of pg_dump; None for any other."""
    if dqlite_names.is_directory(path):
        from auditor.evidence.discovery import dqlite_directory  # as below

        return dqlite_directory.gather(name, path, unpacking.limits, unpacking.work_dir, hashed=hashed)
    if _is_of_dbctl(path):
        from auditor.evidence.discovery import dbctl_directory

        return dbctl_directory.gather(name, path, unpacking.work_dir, hashed=hashed)
    if (path / "toc.dat").is_file():
        from auditor.evidence.discovery import postgres_directory  # the libraries of archives wait until there is one

        if postgres_directory.is_one(path):
            return postgres_directory.gather(name, path, unpacking.limits, unpacking.work_dir, hashed=hashed)
    if (database := _sqlite_in(path)) is not None:
        exhibit = Exhibit(name, [(Role.SQLITE, EvidenceFile.open(database, hashed=hashed))])
        _others(exhibit, path, {database.name, *(database.name + ending for ending in SQLITE_SIBLINGS)}, hashed=hashed)
        return _sqlite(exhibit, database, hashed=hashed)
    if backups := objects.in_folder(path):
        exhibit = Exhibit(name, directory=True)
        _others(exhibit, path, {backup.name for backup in backups}, hashed=hashed)
        return _backup(exhibit, backups, unpacking, hashed=hashed)
    return None


def _is_of_dbctl(folder: Path) -> bool:
    """Whether a folder holds what MicroK8s' dbctl packs."""
    return (folder / "0.key").is_file() and (folder / "0.data").is_file()


def _others(exhibit: Exhibit, folder: Path, names: set[str], *, hashed: bool) -> None:
    """A gap for every other entry of a folder that is not known to hold no values."""
    passed: list[str] = []
    for entry in data_directory.entries(exhibit, folder, folder):
        if entry.name in names:
            continue
        if bystanders.is_bystander(entry):
            passed.append(shown(entry.name))
            exhibit.bystanders.append(entry)
        else:
            data_directory.foreign(exhibit, folder, entry, hashed=hashed)
    if passed:
        exhibit.notes.append(bystanders.note(passed, exhibit.name))


def _backup(exhibit: Exhibit, paths: list[Path], unpacking: Unpacking, *, hashed: bool) -> Exhibit:
    """Add the objects of Gardener's backups, unpacked; a gap for an unreadable one, unless it is the only one."""
    for path in paths:
        try:
            opened = objects.open_object(path, unpacking.limits, unpacking.work_dir, hashed=hashed)
        except UnreadableEvidence as error:
            if len(paths) == 1:
                raise
            exhibit.gaps.append(Gap(shown(path.name), 0, 0, str(error)))
            continue
        exhibit.files.append((Role.BACKUP, opened.file))
        exhibit.gaps += opened.gaps
        exhibit.residues += opened.residues
        exhibit.notes += [opened.note] if opened.note else []
    exhibit.files.sort(key=lambda entry: entry[0] is Role.OTHER)
    if not exhibit.of(Role.BACKUP):
        raise UnreadableEvidence(f"{exhibit.name}: none of its {len(paths):,} objects can be read")
    return exhibit


def _sqlite_in(folder: Path) -> Path | None:
    """The SQLite database of a folder such as k3s's server/db; None where there is none, or where etcd's own lies."""
    if (folder / "member").is_dir() or (folder / "snap").is_dir():
        return None
    databases = [path for path in sorted(folder.glob("*.db")) if is_sqlite(path)]
    if len(databases) > 1:
        names = ", ".join(shown(path.name) for path in databases)
        raise UnreadableEvidence(f"{shown(folder)} holds several SQLite databases ({names}): give one")
    return databases[0] if databases else None


def is_sqlite(path: Path) -> bool:
    """Whether a regular file begins as SQLite's databases do; a pipe is not opened."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


def _sqlite(exhibit: Exhibit, path: Path, *, hashed: bool) -> Exhibit:
    """Add SQLite's files beside the database; the reader reports what an absent one means."""
    for ending, role in SQLITE_SIBLINGS.items():
        companion = path.with_name(path.name + ending)
        name = shown(companion.name)
        try:
            status = companion.stat()
            if stat.S_ISREG(status.st_mode) and not status.st_size:
                exhibit.notes.append(f"{name} is empty")
                exhibit.has_wal |= role is Role.SQLITE_LOG
                continue
            exhibit.add_sibling(role, EvidenceFile.open(companion, hashed=hashed, name=name))
        except FileNotFoundError:
            if role is Role.SQLITE_JOURNAL:
                continue
            exhibit.notes.append(f"there is no {name} beside {shown(path.name)}")
        except (OSError, UnreadableEvidence) as error:
            why = str(error) if isinstance(error, UnreadableEvidence) else f"{name}: {error.strerror}"
            exhibit.gaps.append(Gap(name, 0, 0, why))
    return exhibit
