"""From the command line's arguments to exhibits: files, data directories, folders of them, patterns, URLs."""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.containers import magic
from auditor.evidence.containers.member_name import is_member
from auditor.evidence.discovery import companions, remote
from auditor.evidence.discovery.paths import is_whole
from auditor.evidence.exhibit import role_of
from auditor.text import shown

URL = "://"
LOG = "-wal"
"""What SQLite adds to a database's name for its WAL (fileformat2.html, section 4)."""
_EVIDENCE = magic.CONTAINERS | {magic.Kind.DATABASE, magic.Kind.SQLITE}


def resolve_arguments(arguments: Sequence[str]) -> list[str]:
    """Paths and URLs without repetitions, in the order of the arguments. Raises UsageError for a pattern without match.

    A folder that is no data directory stands for the evidence in it and below it; where there is none, for itself.
    """
    resolved: list[str] = []
    for text in arguments:
        if URL in text or os.path.lexists(text):
            resolved += [text] if URL in text else _path(Path(text))
        elif glob.has_magic(text):
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - patterns may be absolute
            if not matches:
                raise UsageError(f"{shown(text)}: nothing matches this pattern")
            resolved += [path for match in matches for path in _path(Path(match))]
        else:
            resolved.append(text)
    return list(dict.fromkeys(resolved))


def names(paths: Sequence[str]) -> list[str]:
    """The names of paths in reports: the last part, and more of it where two would have the same name."""
    last = [_last(path) for path in paths]
    if len(set(last)) == len(last):
        return last
    local = [os.path.abspath(path) for path in paths if URL not in path]  # noqa: PTH100 - links are not resolved
    common = os.path.commonpath([os.path.dirname(path) for path in local]) if local else ""  # noqa: PTH120
    return [
        remote.shown(path) if URL in path else shown(os.path.relpath(os.path.abspath(path), common))  # noqa: PTH100
        for path in paths
    ]


def outermost(exhibit: str, containers: Sequence[str]) -> str:
    """The name of the file, folder or container that an exhibit is, or is a member of.

    containers: names of the containers that belong to it; one that lies beside a snapshot does not hold it.
    """
    return next((name for name in containers if exhibit == name or is_member(exhibit, name)), exhibit)


def rename_members(base: str, original: str, *, bare: bool) -> Callable[[str], str]:
    """A function from the names of an exhibit's files to their names among several exhibits.

    Args:
        base: The new name of the argument: a file, a folder or a container.
        original: Its own name.
        bare: Whether it is a data directory, whose files are named from it on.

    A file beside the exhibit keeps its name, in the same folder.
    """

    def rename(name: str) -> str:
        if bare:
            return f"{base}/{name}"
        if name == original or is_member(name, original):
            return base + name.removeprefix(original)
        return f"{base.rpartition('/')[0]}/{name}".removeprefix("/")

    return rename


def is_data_directory(path: Path) -> bool:
    base = path / "member" if (path / "member").is_dir() else path
    return (base / "snap" / "db").is_file() or any((base / "wal").glob("*.wal"))


def _path(path: Path) -> list[str]:
    if not path.is_dir() or is_data_directory(path) or is_whole(path):
        return [str(path)]
    return [str(inner) for inner in _inside(path)] or [str(path)]


def _inside(folder: Path) -> Iterator[Path]:
    """The evidence in a folder and below it, by content; links to folders are not followed."""
    for root, folders, files in os.walk(folder):
        parent = Path(root)
        for name in sorted(files):
            path = parent / name
            if not companions.is_companion(name) and _is_evidence(path):
                yield path
        exhibits = [name for name in sorted(folders) if is_data_directory(parent / name) or is_whole(parent / name)]
        yield from (parent / name for name in exhibits)
        folders[:] = [name for name in sorted(folders) if name not in exhibits]


def _is_evidence(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(magic.HEAD)
            kind = magic.sniff(head)
            if kind is magic.Kind.SQLITE_LOG:  # a WAL beside its database is read with it
                return not path.with_name(path.name.removesuffix(LOG)).is_file() or not path.name.endswith(LOG)
            return kind in _EVIDENCE or role_of(head) is not None
    except (OSError, UnreadableEvidence):
        return True  # an unreadable file is reported, not passed over


def _last(path: str) -> str:
    if URL in path:
        return remote.name(path)
    return shown(Path(path).name or Path(path).resolve().name)
