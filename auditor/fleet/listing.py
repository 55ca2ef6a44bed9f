"""From SOURCEs to what lies in them: folders, patterns, prefixes of buckets, lists in a file."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from auditor.errors import UsageError
from auditor.evidence.discovery import paths, remote
from auditor.evidence.discovery.arguments import URL, resolve_arguments
from auditor.evidence.exhibit import SQLITE_SIBLINGS
from auditor.fleet import bucket, places, web
from auditor.fleet.backup import ID, NEVER, Backup
from auditor.hunt.neighbours import LARGEST
from auditor.text import encode, shown
from auditor.verify.own import is_report

LIST = "@"
"""What the name of a file with sources begins with on the command line."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in the sources."""

    backups: tuple[Backup, ...]
    """Each once, sorted by URL."""
    small: tuple[Backup, ...]
    """Objects that are small enough to hold nothing but keys, those among `backups` too; sorted by URL."""
    unversioned: tuple[str, ...]
    """Sources in a store whose earlier versions, where it has some, are not among them."""
    deleted: int
    """Delete markers of stores with versions."""

    @property
    def earlier(self) -> int:
        """The number of backups that are earlier versions, or of a removed object."""
        return sum(not backup.latest for backup in self.backups)


def expand(arguments: Sequence[str]) -> list[str]:
    """The sources, those in files (`@FILE`, one a line, `#` begins a comment) in their place. Raises UsageError."""
    sources: list[str] = []
    for argument in arguments:
        if not argument.startswith(LIST):
            sources.append(argument)
            continue
        try:
            lines = Path(argument[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UsageError(f"{shown(argument[1:])}: the list of sources cannot be read: {why}") from None
        sources += [text for line in lines if (text := line.strip()) and not text.startswith("#")]
    if not sources:
        raise UsageError("there is no source: name a folder, a pattern, a bucket's prefix, or @FILE with some")
    return list(dict.fromkeys(sources))


def backups(sources: Sequence[str]) -> list[Backup]:
    """Every backup of some sources, each once, sorted by URL. Raises UsageError as listing() does."""
    return list(listing(sources).backups)


def listing(sources: Sequence[str]) -> Listing:
    """What lies in some sources.

    Raises:
        UsageError: A source does not exist or cannot be listed; without a whole list nothing is complete.
    """
    found: dict[str, Backup] = {}
    small: dict[str, Backup] = {}
    unversioned: list[str] = []
    deleted = 0
    for source in sources:
        if URL not in source:
            for each in _local(source):
                _add(found, each)
            for each in _small(source):
                _add(small, each)
            continue
        scheme = urlsplit(source).scheme
        if scheme in remote.WEB:
            found[source] = web.backup(source)
            continue
        if scheme not in remote.BUCKETS:
            raise UsageError(f"{remote.shown(source)}: no source of backups: a folder, a pattern, s3://, gs://, az://")
        listed = bucket.objects(source)
        deleted += listed.deleted
        unversioned += [] if listed.versions else [remote.shown(source)]
        small.update((each.url, each) for each in listed.objects if 0 < each.size <= LARGEST and not each.archived)
        for each in listed.objects:
            found.setdefault(each.url, each)
    return Listing(
        backups=tuple(sorted(found.values(), key=lambda backup: backup.url)),
        small=tuple(sorted(small.values(), key=lambda backup: backup.url)),
        unversioned=tuple(unversioned),
        deleted=deleted,
    )


def _local(source: str) -> Iterator[Backup]:
    for text in resolve_arguments([source], is_report):
        path = Path(text)
        try:
            files = [_facts(path, path.name)] if not path.is_dir() else list(_inside(path))
        except OSError as error:
            if text == source:
                raise UsageError(f"{shown(source)}: {error.strerror}") from None
            files = []  # listed, and reported by whoever opens it
        if files and paths.is_sqlite(path):
            siblings = (path.with_name(path.name + ending) for ending in SQLITE_SIBLINGS)
            files += [_facts(each, each.name) for each in siblings if each.is_file()]
        several = len(files) > 1 or path.is_dir()
        backup = _file(path, source, sum(size for _, size, _ in files), max((at for *_, at in files), default=0))
        yield replace(backup, files=hashlib.sha256(encode(repr(sorted(files)))).hexdigest()[:ID]) if several else backup


def _facts(path: Path, name: str) -> tuple[str, int, int]:
    """Name, size, and time in nanoseconds of a file that is read with a backup. Raises OSError."""
    status = path.stat()
    return name, status.st_size, status.st_mtime_ns


def _inside(folder: Path) -> Iterator[tuple[str, int, int]]:
    """_facts() of every file in a folder and below it, also where links lead to."""
    met = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        met.add(os.path.realpath(root))
        folders[:] = [name for name in folders if os.path.realpath(os.path.join(root, name)) not in met]  # noqa: PTH118
        for name in names:
            path = Path(root, name)
            with suppress(OSError):  # whoever opens it says so
                yield _facts(path, path.relative_to(folder).as_posix())


def _add(found: dict[str, Backup], backup: Backup) -> None:
    """Add a backup once: a file under its own path rather than under that of a link to it."""
    name = backup.real or backup.url
    if name not in found or backup.url == backup.real != found[name].url:
        found[name] = backup


def _file(path: Path, source: str, size: int, nanoseconds: int) -> Backup:
    real, url = places.real(path), path.absolute()
    if ".." in url.parts:  # the same file has the same URL, from wherever it was named
        url = Path(real) if url.name == ".." else Path(os.path.realpath(url.parent), url.name)
    return Backup(url=str(url), real=real, source=source, size=size, modified=_written(nanoseconds))


def _small(source: str) -> Iterator[Backup]:
    """Every small file of a source, whatever it is."""
    for text in _matches(source):
        files = (
            (f"{root}/{name}" for root, _, names in os.walk(text) for name in names) if os.path.isdir(text) else (text,)  # noqa: PTH112
        )
        for file in files:
            path = Path(file)
            try:
                status = path.stat()
            except OSError:
                continue  # who can open it for an audit says so
            if path.is_file() and 0 < status.st_size <= LARGEST:
                yield _file(path, source, status.st_size, status.st_mtime_ns)


def _written(nanoseconds: int) -> str:
    """The time of a file, ISO 8601 in UTC to the nanosecond, before 1970 too; 1970 for a time that no calendar has."""
    try:
        whole = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=nanoseconds // 10**9)
    except OverflowError:
        return NEVER
    return f"{whole.isoformat()[:19]}.{nanoseconds % 10**9:09d}Z"


def _matches(source: str) -> list[str]:
    """The paths that a source of this machine names: itself, or what fits the pattern."""
    import glob

    if os.path.lexists(source) or not glob.has_magic(source):
        return [source]
    return sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - patterns may be absolute
