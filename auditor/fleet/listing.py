"""From SOURCEs to backups: folders, patterns, prefixes of buckets, lists in a file."""

import fnmatch
import glob
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from auditor.errors import MissingExtra, UsageError
from auditor.evidence.discovery import companions, remote
from auditor.evidence.discovery.arguments import URL, resolve_arguments
from auditor.fleet.backup import Backup
from auditor.text import instant, shown
from auditor.verify.own import is_report

LIST = "@"
"""What the name of a file with sources begins with on the command line."""
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE", "Archive"})
"""Storage classes from which nothing is read at once: S3's `StorageClass`, Azure's access tier."""


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
    """Every backup of some sources, each once, sorted by URL.

    Raises:
        UsageError: A source does not exist or cannot be listed; without a whole list nothing is complete.
    """
    every = [backup for source in sources for backup in (_remote if URL in source else _local)(source)]
    return sorted({backup.url: backup for backup in reversed(every)}.values(), key=lambda backup: backup.url)


def _local(source: str) -> Iterator[Backup]:
    for text in resolve_arguments([source], is_report):
        path = Path(text)
        try:
            own = [inner.stat() for inner in path.rglob("*") if inner.is_file()] if path.is_dir() else [path.stat()]
        except OSError as error:
            if text == source:
                raise UsageError(f"{shown(source)}: {error.strerror}") from None
            own = []  # listed, and reported by whoever opens it
        yield Backup(
            url=str(path.absolute()),
            source=source,
            size=sum(each.st_size for each in own),
            modified=instant(max((each.st_mtime_ns for each in own), default=0)),
        )


def _remote(source: str) -> Iterator[Backup]:
    scheme = urlsplit(source).scheme
    if scheme in remote.WEB:
        yield Backup(url=source, source=remote.shown(source), size=0, modified="1970-01-01T00:00:00Z")
        return
    if scheme not in remote.BUCKETS:
        raise UsageError(f"{remote.shown(source)}: no source of backups: a folder, a pattern, s3://, gs://, az://")
    try:
        found = _objects(source)
    except ImportError:
        raise MissingExtra(remote.shown(source), remote.BUCKETS[scheme], "remote") from None
    except Exception as error:  # noqa: BLE001 - the texts of libraries' errors quote URLs, which may be signed
        why = "there is no such bucket or prefix" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise UsageError(f"{remote.shown(source)} cannot be listed: {why}; look at the credentials too") from None
    if not found:
        raise UsageError(f"{remote.shown(source)}: there is no object under this prefix")
    for path, facts in sorted(found.items()):
        if facts.get("type") != "file" or companions.is_companion(path.rpartition("/")[2]):
            continue
        yield Backup(
            url=f"{scheme}://{path}",
            source=source,
            size=int(facts.get("size") or 0),
            modified=_modified(facts),
            etag=str(facts.get("ETag") or facts.get("etag") or "").strip('"'),
            archived=str(facts.get("StorageClass") or facts.get("blob_tier") or "") in ARCHIVES,
        )


def _objects(source: str) -> Mapping[str, Mapping[str, Any]]:
    """Every object under a prefix or of a pattern, with the facts that the store lists."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(source)
    system.invalidate_cache()
    if glob.has_magic(path):
        # one list of the folder above the first wildcard: a store knows prefixes only
        folder = path[: next(at for at, mark in enumerate(path) if mark in "*?[")].rpartition("/")[0]
        listed = system.find(folder, detail=True)
        return {name: facts for name, facts in listed.items() if fnmatch.fnmatchcase(name, path)}
    found: Mapping[str, Mapping[str, Any]] = system.find(path, detail=True)
    return found


def _modified(facts: Mapping[str, Any]) -> str:
    """The last modification as a store's library says it: a time, or text."""
    value = next((facts[key] for key in ("LastModified", "last_modified", "updated") if facts.get(key)), None)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(value) if value else "1970-01-01T00:00:00Z"
