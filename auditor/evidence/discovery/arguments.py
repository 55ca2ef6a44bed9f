"""From what the command line names to pieces of evidence: files, data directories, folders of them, patterns, URLs."""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.containers import magic
from auditor.evidence.discovery import companions, remote
from auditor.evidence.discovery.paths import is_whole
from auditor.evidence.exhibit import role_of
from auditor.text import shown

URL = "://"
IN = "!"
"""What stands between a container's name and that of what it holds."""
LOG = "-wal"
"""What SQLite adds to a database's name for its log (fileformat2.html, section 4)."""
_EVIDENCE = magic.CONTAINERS | {magic.Kind.DATABASE, magic.Kind.SQLITE}


def resolve_arguments(given: Sequence[str]) -> list[str]:
    """Paths and URLs, each once, in the order given. Raises UsageError for a pattern that nothing matches.

    A folder that is no data directory stands for the evidence in it and below it; where there is none, for itself.
    """
    made: list[str] = []
    for text in given:
        if URL in text or os.path.lexists(text):
            made += [text] if URL in text else _path(Path(text))
        elif glob.has_magic(text):
            found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - patterns may be absolute
            if not found:
                raise UsageError(f"{shown(text)}: nothing matches this pattern")
            made += [each for path in found for each in _path(Path(path))]
        else:
            made.append(text)
    return list(dict.fromkeys(made))


def names(paths: Sequence[str]) -> list[str]:
    """What reports call each: the last part of its path, and more of it where two would be called the same."""
    last = [_last(each) for each in paths]
    if len(set(last)) == len(last):
        return last
    local = [os.path.abspath(each) for each in paths if URL not in each]  # noqa: PTH100 - links are not resolved
    common = os.path.commonpath([os.path.dirname(each) for each in local]) if local else ""  # noqa: PTH120
    return [
        remote.shown(each) if URL in each else shown(os.path.relpath(os.path.abspath(each), common))  # noqa: PTH100
        for each in paths
    ]


def outermost(exhibit: str, containers: Sequence[str]) -> str:
    """The name of the file, folder or container that an exhibit came from: a file's own name may hold IN too.

    containers: names of those that belong to it; one that lies beside a snapshot is not where that came from.
    """
    return next((name for name in containers if exhibit == name or exhibit.startswith(f"{name}{IN}")), exhibit)


def rename_members(base: str, original: str, *, bare: bool) -> Callable[[str], str]:
    """From what the files of one exhibit are called to what they are called among several.

    base: what is to stand for the file, folder or container given, which by itself is called `original`.
    bare: a data directory, whose files are named from it on. A file beside it keeps its name, in the same folder.
    """

    def renamed(name: str) -> str:
        if bare:
            return f"{base}/{name}"
        if name == original or name.startswith(f"{original}{IN}"):
            return base + name.removeprefix(original)
        return f"{base.rpartition('/')[0]}/{name}".removeprefix("/")

    return renamed


def is_data_directory(path: Path) -> bool:
    base = path / "member" if (path / "member").is_dir() else path
    return (base / "snap" / "db").is_file() or any((base / "wal").glob("*.wal"))


def _path(path: Path) -> list[str]:
    if not path.is_dir() or is_data_directory(path) or is_whole(path):
        return [str(path)]
    return [str(each) for each in _inside(path)] or [str(path)]


def _inside(folder: Path) -> Iterator[Path]:
    """The evidence in a folder and below it, by content; links to folders are not followed."""
    for path, folders, files in os.walk(folder):
        here = Path(path)
        for name in sorted(files):
            each = here / name
            if not companions.is_companion(name) and _is_evidence(each):
                yield each
        data = [name for name in sorted(folders) if is_data_directory(here / name) or is_whole(here / name)]
        yield from (here / name for name in data)
        folders[:] = [name for name in sorted(folders) if name not in data]


def _is_evidence(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(magic.HEAD)
            kind = magic.sniff(head)
            if kind is magic.Kind.SQLITE_LOG:  # one beside its database is read with that
                return not path.with_name(path.name.removesuffix(LOG)).is_file() or not path.name.endswith(LOG)
            return kind in _EVIDENCE or role_of(head) is not None
    except (OSError, UnreadableEvidence):
        return True  # what cannot be read is told as such, not passed over


def _last(path: str) -> str:
    if URL in path:
        return remote.name(path)
    return shown(Path(path).name or Path(path).resolve().name)
