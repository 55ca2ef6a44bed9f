"""A data directory of dqlite: the role of each of its files, in a folder and in an archive.

Layout: canonical/raft src/uv.h, canonical/go-dqlite app, canonical/k8s-dqlite pkg/server.
"""

from collections.abc import Sequence
from pathlib import Path

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import magic
from auditor.evidence.containers.decompress import mapped, unpacked
from auditor.evidence.containers.extracted import Extractor
from auditor.evidence.containers.limits import Budget, Limits
from auditor.evidence.containers.residue import OwnBytes
from auditor.evidence.discovery import bystanders, data_directory
from auditor.evidence.discovery.config_files import is_configuration_file
from auditor.evidence.discovery.extraction import ExtractedMember
from auditor.evidence.dqlite import names
from auditor.evidence.dqlite.names import Kind
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import shown

ROLES = {
    Kind.CLOSED: Role.DQLITE_LOG,
    Kind.OPEN: Role.DQLITE_LOG,
    Kind.SNAPSHOT: Role.DQLITE_SNAPSHOT,
    Kind.META: Role.DQLITE_META,
    Kind.METADATA: Role.DQLITE_META,
}
MOST_FILES = 1000
"""Files of log and snapshots that are read, the newest first: each is open until the end."""
_TLS_KEY = "cluster.key"


def gather(name: str, folder: Path, limits: Limits, work_dir: str, *, hashed: bool) -> Exhibit:
    """A data directory of dqlite as an exhibit; a gap for what cannot be read, and for what dqlite does not write.

    Args:
        name: The folder's name.
        folder: The folder.
        limits: For snapshots that are compressed.
        work_dir: The folder for private files.
        hashed: Whether files are hashed.

    Raises Refused where a snapshot unpacks to more than the limits.
    """
    exhibit = Exhibit(name, directory=True, has_wal=True, work_dir=work_dir)
    passed: list[str] = []
    try:
        every = list(data_directory.entries(exhibit, folder, folder))
        kinds = {entry: own.kind for entry in every if (own := names.of(entry.name)) is not None}
        left_out = _left_out([entry for entry in every if kinds.get(entry) in {Kind.CLOSED, Kind.OPEN}])
        for entry in every:
            if entry in left_out:
                reason = f"{shown(entry.name)}: {MOST_FILES:,} newer files of the log are read, this one is not"
                exhibit.gaps.append(Gap(shown(entry.name), 0, entry.lstat().st_size, reason))
            elif entry in kinds and not entry.is_dir():
                data_directory.add_file(exhibit, entry, ROLES[kinds[entry]], shown(entry.name), hashed=hashed)
            elif entry.name == names.DATABASES and entry.is_dir():
                for database in data_directory.entries(exhibit, folder, entry):
                    _database(exhibit, folder, database, hashed=hashed)
            else:
                passed += _other(exhibit, folder, entry, hashed=hashed)
        _unpack(exhibit, limits, work_dir, hashed=hashed)
    except BaseException:
        exhibit.__exit__(None, None, None)
        raise
    if _TLS_KEY in passed:
        exhibit.notes.append(TLS_NOTE)
    if passed:
        exhibit.notes.append(bystanders.note(passed, exhibit.name))
    exhibit.files.sort(key=lambda entry: entry[0] in {Role.OTHER, Role.COMPANION})
    return exhibit


def _other(exhibit: Exhibit, folder: Path, entry: Path, *, hashed: bool) -> list[str]:
    """Add a file that raft does not write: one that may hold keys, or a gap; its name where it holds no values."""
    if is_configuration_file(entry):
        _add_companion(exhibit, entry, hashed=hashed)
    elif bystanders.is_bystander(entry):
        exhibit.bystanders.append(entry)
        return [shown(entry.name)]
    else:
        data_directory.foreign(exhibit, folder, entry, hashed=hashed, writer="dqlite")
    return []


TLS_NOTE = (
    f"{_TLS_KEY} is the key of dqlite's own TLS, the same on every node of the cluster: whoever holds it and reaches a "
    "node can ask its database; keep it apart from backups"
)


def _left_out(entries: Sequence[Path]) -> set[Path]:
    """The oldest files of the log beyond MOST_FILES; open ones are the newest."""
    return set(sorted(entries, key=lambda entry: entry.name)[: max(len(entries) - MOST_FILES, 0)])


def _database(exhibit: Exhibit, folder: Path, entry: Path, *, hashed: bool) -> None:
    """Add a database on disk, which versions with disk mode keep."""
    try:
        with entry.open("rb") as file:
            own = magic.sniff(file.read(magic.HEAD)) is magic.Kind.SQLITE
        if own:
            name = shown(entry.relative_to(folder).as_posix())
            exhibit.files.append((Role.DQLITE_DATABASE, EvidenceFile.open(entry, hashed=hashed, name=name)))
            return
    except (OSError, UnreadableEvidence):
        pass  # the gap says that it was not read
    data_directory.foreign(exhibit, folder, entry, hashed=hashed, writer="dqlite")


def _add_companion(exhibit: Exhibit, entry: Path, *, hashed: bool) -> None:
    """Add a file that may hold keys: they are reported with the directory."""
    file = EvidenceFile.open(entry, hashed=hashed, name=shown(entry.name))
    exhibit.companions = (*exhibit.companions, file)
    exhibit.files.append((Role.COMPANION, file))


def _unpack(exhibit: Exhibit, limits: Limits, work_dir: str, *, hashed: bool) -> None:
    """Unpack the snapshots that are compressed, each into a private file; the others are read as they lie."""
    own = OwnBytes()
    for place, (role, file) in enumerate(exhibit.files):
        kind = magic.of(file.map) if role is Role.DQLITE_SNAPSHOT else magic.Kind.OTHER
        if kind not in magic.STREAMS:
            continue
        name = f"{file.name}!unpacked"
        content = unpacked(mapped(file.map), kind, Budget(limits, file.name, file.size), file.name, own)
        extracted = Extractor(work_dir).fill(content, name, hashed=hashed)
        if extracted.broken:
            exhibit.gaps.append(Gap(name, extracted.size, 0, extracted.broken))
        exhibit.containers = (*exhibit.containers, file)
        exhibit.files[place] = (role, extracted.open(name))
    exhibit.residues += own.kept


def archived(name: str, members: Sequence[ExtractedMember]) -> Exhibit:
    """A data directory out of an archive; it takes the files."""
    exhibit = Exhibit(name, directory=True, has_wal=True)
    try:
        for member in members:
            own = names.of_evidence(str(member.name))
            role = ROLES[own.kind] if own is not None else Role.DQLITE_DATABASE
            if not member.file.size:
                member.file.close()
                exhibit.notes.append(f"{member.name} is empty")
                continue
            exhibit.files.append((role, member.file.open(str(member.name))))
    except BaseException:
        exhibit.__exit__(None, None, None)
        raise
    return exhibit


def place(path: str) -> tuple[str, str] | None:
    """The directory of dqlite's that a member's path may lie in, and the file in it; None for any other path."""
    top, _, name = path.rpartition("/")
    if names.of(name) is not None:
        return top, name
    above, _, folder = top.rpartition("/")
    return (above, f"{folder}/{name}") if folder == names.DATABASES else None
