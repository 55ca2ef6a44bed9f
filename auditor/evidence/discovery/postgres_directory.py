"""pg_dump's directory format: a folder with `toc.dat` and a file for each table's data, compressed or not."""

from pathlib import Path

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import magic
from auditor.evidence.containers.decompress import Damaged, mapped, unpacked
from auditor.evidence.containers.extracted import Extractor
from auditor.evidence.containers.limits import Budget, Limits
from auditor.evidence.containers.postgres_archive import Entry, toc
from auditor.evidence.containers.residue import OwnBytes
from auditor.evidence.discovery import data_directory
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap
from auditor.text import shown

TOC = "toc.dat"
_ENDINGS = ("", ".gz", ".lz4", ".zst")


def is_one(folder: Path) -> bool:
    """Whether a folder holds an archive of pg_dump."""
    try:
        with (folder / TOC).open("rb") as file:
            return file.read(len(magic.POSTGRES)) == magic.POSTGRES
    except OSError:
        return False


def gather(name: str, folder: Path, limits: Limits, work_dir: str, *, hashed: bool) -> Exhibit:
    """The archive as an exhibit: the data of kine's table, and what else lies there as gaps.

    Args:
        name: The folder's name.
        folder: The folder.
        limits: For what is compressed.
        work_dir: The folder for private files.
        hashed: Whether files are hashed.

    Raises UnreadableEvidence where no data of kine's table is in it.
    """
    contents = EvidenceFile.open(folder / TOC, hashed=hashed)
    exhibit = Exhibit(name, [(Role.POSTGRES_TOC, contents)], directory=True)
    try:
        try:
            entries = toc(mapped(contents.map), contents.name)[0].by_file()
        except Damaged as error:
            raise UnreadableEvidence(str(error)) from None
        known = {TOC}
        for file, entry in entries.items():
            path = next((path for end in _ENDINGS if (path := folder / f"{Path(file).name}{end}").is_file()), None)
            if path is None:
                reason = f"{shown(file)}, which {TOC} names, is not in {name}"
                exhibit.gaps.append(Gap(shown(file), 0, 0, reason))
            elif entry.is_kine and exhibit.copy is None:
                known.add(path.name)
                _add(exhibit, path, entry, limits, work_dir, hashed=hashed)
        for path in data_directory.entries(exhibit, folder, folder):
            if path.name not in known:
                _other(exhibit, path, entries, hashed=hashed)
        if exhibit.copy is None:
            raise UnreadableEvidence(f"{name} is an archive of pg_dump without data of kine's table")
    except BaseException:
        exhibit.__exit__(None, None, None)
        raise
    return exhibit


def _add(exhibit: Exhibit, path: Path, entry: Entry, limits: Limits, work_dir: str, *, hashed: bool) -> None:
    """Add the data of kine's table, unpacked where it is compressed."""
    file = EvidenceFile.open(path, hashed=hashed, name=shown(path.name))
    kind = magic.of(file.map)
    exhibit.copy = entry.copy
    if kind not in magic.STREAMS:
        exhibit.files.insert(0, (Role.SQL_DUMP, file))
        return
    exhibit.containers = (file,)
    own = OwnBytes()
    name = f"{file.name}!{path.stem}"
    content = unpacked(mapped(file.map), kind, Budget(limits, file.name, file.size), file.name, own)
    extracted = Extractor(work_dir).fill(content, name, hashed=hashed)
    if extracted.broken:
        exhibit.gaps.append(Gap(name, extracted.size, 0, extracted.broken))
    exhibit.residues += own.kept
    exhibit.files.insert(0, (Role.SQL_DUMP, extracted.open(name)))


def _other(exhibit: Exhibit, path: Path, entries: dict[str, Entry], *, hashed: bool) -> None:
    """A gap for a file that is not of kine's table; it is swept where it is not compressed."""
    named = next((entry for file, entry in entries.items() if path.name.startswith(Path(file).name)), None)
    if named is None:
        data_directory.foreign(exhibit, path.parent, path, hashed=hashed)
        return
    size = path.lstat().st_size
    if hashed and size and len(exhibit.of(Role.OTHER)) < data_directory.MOST_OTHERS:
        exhibit.files.append((Role.OTHER, EvidenceFile.open(path, hashed=True, name=shown(path.name))))
    reason = f"{shown(path.name)} holds {shown(named.tag)}, which is not `kine`: only swept"
    exhibit.gaps.append(Gap(shown(path.name), 0, size, reason))
