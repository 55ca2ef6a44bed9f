"""From the command line's arguments to exhibits: files, data directories, folders of them, patterns, URLs."""

import glob
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auditor.errors import UsageError
from auditor.evidence.containers.member_name import is_member
from auditor.evidence.discovery import bystanders, companions, databases, packed, remote
from auditor.evidence.discovery.config_files import is_configuration_file
from auditor.evidence.discovery.paths import is_evidence, is_sqlite, is_whole
from auditor.evidence.exhibit import SQLITE_SIBLINGS
from auditor.text import shown

URL = "://"
_REPORT = re.compile(rb'<!doctype html>|\s*\{\s*"format"\s*:\s*"etcd-auditor', re.IGNORECASE)
LISTED = 5
"""Items of a folder that a message names."""
_REPORT_HEAD = 64
"""Bytes in which a report's beginning lies."""


def _none(_: Path) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies in folders beside the evidence, and is no item of its own."""

    passed: list[str] = field(default_factory=list)
    """Names of the files that are known to hold no values."""
    texts: list[str] = field(default_factory=list)
    """Paths of these files."""
    companions: list[tuple[str, str]] = field(default_factory=list)
    """Paths of those that may hold a configuration, told by content, and of the folder whose evidence they are read
    with: their own, or the one that was named where nothing else lies in theirs."""
    given: Sequence[str] = ()
    """Configurations that options name: they are read whatever lies beside them."""


def resolve_arguments(
    arguments: Sequence[str], is_report: Callable[[Path], bool] = _none, beside: Beside | None = None
) -> list[str]:
    """Paths and URLs without repetitions, in the order of the arguments. Raises UsageError for a pattern without match.

    A folder that is no data directory stands for the files in it and below it that are not known to hold no values;
    where there is none, for itself.

    Args:
        arguments: Of the command line.
        is_report: Whether a text of no known kind is a report that verifies.
        beside: Where the files are added that are no evidence.
    """
    search = _Search(is_report, beside or Beside())
    resolved: list[str] = []
    for text in arguments:
        if URL in text or os.path.lexists(text):
            resolved += [text] if URL in text else search.path(Path(text))
        elif glob.has_magic(text) and not remote.is_bare(text):
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - patterns may be absolute
            if not matches:
                raise UsageError(f"{shown(text)}: nothing matches this pattern")
            resolved += [path for match in matches for path in search.path(Path(match))]
        else:
            resolved.append(text)
    return list(dict.fromkeys(resolved))


def single(argument: str, is_report: Callable[[Path], bool] = _none) -> str:
    """The one evidence item that an argument stands for: of a folder of files that in it, else the argument.

    Raises UsageError for a folder with several.
    """
    if URL in argument or not os.path.isdir(argument):  # noqa: PTH112 - a text of the command line
        return argument
    items = resolve_arguments([argument], is_report)
    if len(items) > 1:
        listed = ", ".join(shown(os.path.relpath(each, argument)) for each in items[:LISTED])
        more = f" and {len(items) - LISTED:,} more" if len(items) > LISTED else ""
        raise UsageError(f"{shown(argument)} holds {len(items):,} evidence items: give one of them ({listed}{more})")
    return items[0]


def names(paths: Sequence[str]) -> list[str]:
    """The names of paths in reports: the last part, and more of it where two would have the same name."""
    last = [_last(path) for path in paths]
    if len(set(last)) == len(last):
        return last
    local = [os.path.abspath(path) for path in paths if URL not in path]  # noqa: PTH100 - links are not resolved
    common = os.path.commonpath([os.path.dirname(path) for path in local]) if local else ""  # noqa: PTH120
    return [
        _url(path) if URL in path else shown(os.path.relpath(os.path.abspath(path), common))  # noqa: PTH100
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
        bare: Whether it is a data directory, whose files are named from it on; one beside it as `../NAME`.

    A file beside the exhibit keeps its name, in the same folder.
    """

    def rename(name: str) -> str:
        if bare:
            return posixpath.normpath(f"{base}/{name}")
        if name == original or is_member(name, original):
            return base + name.removeprefix(original)
        return f"{base.rpartition('/')[0]}/{name}".removeprefix("/")

    return rename


def is_data_directory(path: Path) -> bool:
    base = path / "member" if (path / "member").is_dir() else path
    return (base / "snap" / "db").is_file() or any((base / "wal").glob("*.wal"))


class _Search:
    """The search of folders for evidence.

    is_report: whether a text of no known kind is a report that verifies. beside: where the files are added that are no
    evidence.
    """

    def __init__(self, is_report: Callable[[Path], bool], beside: Beside) -> None:
        self._is_report = is_report
        self._beside = beside
        self._lonely: list[Path] = []
        """Files that may hold a configuration, in folders without evidence."""

    def path(self, path: Path) -> list[str]:
        if _begins_as_report(path) and self._is_own(path):
            raise UsageError(
                f"{shown(path.name)} is a report of etcd-auditor, and no evidence: `etcd-auditor verify` checks it"
            )
        if not path.is_dir() or is_data_directory(path) or is_whole(path):
            return [str(path)]
        inner = [*self._inside(path)]
        lonely, self._lonely = self._lonely, []
        if any(each.is_dir() or is_evidence(each) for each in inner):
            self._beside.companions.extend((str(each), str(path)) for each in lonely)
        else:
            inner += [each for each in lonely if not any(_is_same(each, config) for config in self._beside.given)]
        return [str(each) for each in inner] or [str(path)]

    def _inside(self, folder: Path) -> Iterator[Path]:
        """The evidence in a folder and below it, by content, and all that is not known to hold no values.

        What cannot be read is reported by whoever opens it, under its name. Links to folders are followed where they
        lead out of the folder: what lies in it is met there.
        """
        unlisted: list[Path] = []
        for root, folders, files in os.walk(folder, onerror=lambda error: unlisted.append(Path(error.filename))):
            parent = Path(root)
            exhibits = [name for name in sorted(folders) if is_data_directory(parent / name) or is_whole(parent / name)]
            links = [name for name in sorted(folders) if name not in exhibits and (parent / name).is_symlink()]
            yield from self._files([parent / name for name in sorted(files)], folder, alone=not exhibits)
            yield from (parent / name for name in exhibits)
            yield from (parent / name for name in links if not _leads_into(parent / name, folder))
            folders[:] = [name for name in sorted(folders) if name not in exhibits and name not in links]
        yield from unlisted

    def _files(self, paths: Sequence[Path], folder: Path, *, alone: bool) -> Iterator[Path]:
        """The files of one folder that need an exhibit of their own.

        Args:
            paths: All of its files.
            folder: The folder that was named.
            alone: Whether no folder in it is an exhibit.

        A configuration is read with the evidence beside it, else with all of the folder that was named; where there is
        none, whoever opens it names it as a gap.
        """
        companions = [path for path in paths if self._may_be_configuration(path)]
        own = [path for path in paths if path not in companions and not self._is_beside(path, folder)]
        if alone and not any(map(is_evidence, own)):
            self._lonely += companions
        else:
            self._beside.companions.extend((str(each), str(each.parent)) for each in companions)
        yield from sorted(own)

    def _may_be_configuration(self, path: Path) -> bool:
        """Whether a file may hold a configuration, whatever its name; a report that speaks of one does not."""
        if is_evidence(path):
            return packed.is_configuration_container(path)
        return is_configuration_file(path) and not self._is_own(path)

    def _is_own(self, path: Path) -> bool:
        """Whether it is a report that verifies, and no value begins in what it quotes."""
        try:
            return _is_regular(path) and self._is_report(path) and not bystanders.holds_readable(path)
        except OSError:
            return False

    def _is_beside(self, path: Path, folder: Path) -> bool:
        """Whether a file needs no exhibit of its own: it is read with another, or is known to hold no values."""
        base = next((path.name.removesuffix(ending) for ending in SQLITE_SIBLINGS if path.name.endswith(ending)), "")
        if base and is_sqlite(path.with_name(base)):
            return True
        if is_evidence(path) and not _is_schema(path):
            # OpenShift's archive of keys is read with the snapshot of its stamp
            return companions.is_companion(path.name) and companions.is_paired(path)
        if bystanders.is_bystander(path) or self._is_own(path):
            self._beside.passed.append(shown(path.relative_to(folder).as_posix()))
            self._beside.texts.append(str(path))
            return True
        return False


def _is_schema(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bystanders.is_schema(path.name, file.read(bystanders.HEAD))
    except OSError:
        return False


def _begins_as_report(path: Path) -> bool:
    """Whether a file may be a report: only such a one is read whole before it is opened as evidence."""
    try:
        if not _is_regular(path):
            return False
        with path.open("rb") as file:
            return _REPORT.match(file.read(_REPORT_HEAD)) is not None
    except OSError:
        return False


def _is_same(path: Path, other: str) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _leads_into(link: Path, folder: Path) -> bool:
    try:
        return link.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _url(url: str) -> str:
    return databases.shown(url) if databases.is_database(url) else remote.shown(url)


def _last(path: str) -> str:
    if databases.is_database(path):
        return databases.shown(path)
    if URL in path:
        return remote.name(path)
    return shown(Path(path).name or Path(path).resolve().name)
