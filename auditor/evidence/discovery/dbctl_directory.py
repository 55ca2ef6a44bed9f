"""A folder as MicroK8s' dbctl writes one before it packs it: `N.key` and `N.data`, thousands of small files.

They are read once, into a private tar, as dbctl packs them: each would be a file of its own, open until the end.
"""

import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from auditor.evidence.containers.decompress import Stream
from auditor.evidence.containers.extracted import Extractor
from auditor.evidence.containers.object_backups import DBCTL
from auditor.evidence.discovery import bystanders, data_directory
from auditor.evidence.exhibit import Exhibit, Role
from auditor.model.evidence import Gap
from auditor.text import shown

BLOCK = 512


def gather(name: str, folder: Path, work_dir: str, *, hashed: bool) -> Exhibit:
    """Its objects as an exhibit; a gap for a file that cannot be read, and for one that dbctl does not write.

    Args:
        name: The folder's name.
        folder: The folder.
        work_dir: The folder for private files.
        hashed: Whether files are hashed.

    Raises NoRoom where there is no room for a copy.
    """
    exhibit = Exhibit(name, directory=True)
    passed: list[str] = []
    own: list[Path] = []
    try:
        for entry in data_directory.entries(exhibit, folder, folder):
            if DBCTL.fullmatch(entry.name) is not None and entry.is_file():
                own.append(entry)
            elif bystanders.is_bystander(entry):
                passed.append(shown(entry.name))
                exhibit.bystanders.append(entry)
            else:
                data_directory.foreign(exhibit, folder, entry, hashed=hashed, writer="dbctl")
        packed = f"{name}!objects.tar"
        extracted = Extractor(work_dir).fill(Stream(_tar(exhibit, own)), packed, hashed=hashed)
        exhibit.files.insert(0, (Role.OBJECT_BACKUP, extracted.open(packed)))
    except BaseException:
        exhibit.__exit__(None, None, None)
        raise
    exhibit.notes.append(f"{packed}: {len(own):,} files of {name} one behind the other, as a tar; offsets are of that")
    if passed:
        exhibit.notes.append(bystanders.note(passed, exhibit.name))
    return exhibit


def _tar(exhibit: Exhibit, entries: list[Path]) -> Iterator[bytes]:
    """The tar of these files, block by block."""
    for entry in entries:
        try:
            if not stat.S_ISREG(entry.stat().st_mode):
                raise OSError(0, "no regular file")
            content = entry.read_bytes()
        except OSError as error:
            exhibit.gaps.append(Gap(shown(entry.name), 0, 0, f"{shown(entry.name)}: {error.strerror}"))
            continue
        member = tarfile.TarInfo(entry.name)
        member.size = len(content)
        yield member.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % BLOCK)
    yield bytes(2 * BLOCK)
