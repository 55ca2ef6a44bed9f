"""The objects under a bucket's prefix, with the facts that the store lists; of S3 and Google's every version of each.

Source of the names of facts: the libraries under fsspec (s3fs, gcsfs, adlfs), S3's ListObjectVersions, and objects.list
of Google's JSON API with `versions=true`. Azure's are listed as they are today: no server of the tests keeps versions.
"""

import fnmatch
import glob
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from auditor.errors import MissingExtra, UsageError
from auditor.evidence.discovery import remote
from auditor.fleet.backup import NEVER, Backup

ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE", "Archive"})
"""Storage classes from which nothing is read at once: S3's `StorageClass`, Azure's access tier."""
S3 = "s3"
"""The scheme of stores that tell versions by an id, and what keeps an object from being removed."""
NO_VERSION = "null"
"""S3's id of an object that was written while versions were off."""


@dataclass(frozen=True, slots=True)
class Objects:
    """What lies under one prefix."""

    objects: tuple[Backup, ...]
    versions: bool
    """Whether earlier versions are among them, where the store has some."""
    deleted: int = 0
    """Delete markers: objects, or versions of them, that a listing without versions does not show."""


def objects(source: str) -> Objects:
    """What lies under a prefix, or fits a pattern.

    Raises:
        UsageError: It cannot be listed, or there is nothing.
        MissingExtra: The library of its store is not installed.
    """
    scheme = urlsplit(source).scheme
    try:
        listed = _VERSIONED[scheme](source) if scheme in _VERSIONED else None
        listed = listed if listed is not None else Objects(tuple(_current(source)), versions=False)
    except ImportError:
        raise MissingExtra(remote.shown(source), remote.BUCKETS[scheme], "remote") from None
    except Exception as error:  # noqa: BLE001 - the texts of libraries' errors quote URLs, which may be signed
        why = "there is no such bucket or prefix" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise UsageError(f"{remote.shown(source)} cannot be listed: {why}; look at the credentials too") from None
    if not listed.objects:
        raise UsageError(f"{remote.shown(source)}: there is no object under this prefix")
    return listed


def _current(source: str) -> Iterator[Backup]:
    """Every object under a prefix or of a pattern, as it is today."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(source)
    system.invalidate_cache()
    # of a pattern one list of the folder above the first wildcard: a store knows prefixes only
    listed: Mapping[str, Mapping[str, Any]] = system.find(_fixed(path), detail=True)
    for name, facts in sorted(listed.items()):
        if facts.get("type") == "file" and (
            name == path or not glob.has_magic(path) or fnmatch.fnmatchcase(name, path)
        ):
            yield Backup(
                url=f"{urlsplit(source).scheme}://{name}",
                source=source,
                size=int(facts.get("size") or 0),
                modified=_modified(facts),
                etag=str(facts.get("ETag") or facts.get("etag") or "").strip('"'),
                archived=str(facts.get("StorageClass") or facts.get("blob_tier") or "") in ARCHIVES,
            )


def _versions(source: str) -> Objects | None:
    """Every version of every object; None where the store, or its owner, does not list them."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(source)
    bucket, _, prefix = _fixed(path).partition("/")
    found: list[Backup] = []
    deleted = 0
    more: dict[str, str] = {}
    while True:
        try:
            page = system.call_s3("list_object_versions", Bucket=bucket, Prefix=prefix, **more)
        except (PermissionError, NotImplementedError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            return None
        fitting = [each for each in page.get("Versions", ()) if _fits(f"{bucket}/{each['Key']}", path)]
        found += [_version(source, bucket, each) for each in fitting]
        deleted += sum(_fits(f"{bucket}/{each['Key']}", path) for each in page.get("DeleteMarkers", ()))
        if not page.get("IsTruncated"):
            return Objects(tuple(found), versions=True, deleted=deleted)
        more = {"KeyMarker": page.get("NextKeyMarker", ""), "VersionIdMarker": page.get("NextVersionIdMarker", "")}


def _version(source: str, bucket: str, facts: Mapping[str, Any]) -> Backup:
    version = facts.get("VersionId") or NO_VERSION
    ending = "" if version == NO_VERSION and facts.get("IsLatest") else f"?versionId={version}"
    return Backup(
        url=f"s3://{bucket}/{facts['Key']}{ending}",
        source=source,
        size=int(facts.get("Size") or 0),
        modified=_modified(facts),
        etag=str(facts.get("ETag") or "").strip('"'),
        archived=str(facts.get("StorageClass") or "") in ARCHIVES,
        latest=bool(facts.get("IsLatest")),
    )


def _generations(source: str) -> Objects:
    """Every generation of every object: in Google's stores each content has one, whether older ones are kept or not."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(source, version_aware=True)
    system.invalidate_cache()
    listed: Mapping[str, Mapping[str, Any]] = system.find(_fixed(path), detail=True, versions=True)
    scheme = urlsplit(source).scheme
    return Objects(
        tuple(
            Backup(
                url=f"{scheme}://{facts['name']}#{facts['generation']}",
                source=source,
                size=int(facts.get("size") or 0),
                # of the generation itself: `updated` and the ETag change with its metadata
                modified=str(facts.get("timeCreated") or _modified(facts)),
                etag=str(facts.get("md5Hash") or facts.get("crc32c") or ""),
                # the time at which another one took its place, or it was removed
                latest=not facts.get("timeDeleted"),
            )
            for facts in listed.values()
            if facts.get("type") == "file" and _fits(str(facts["name"]), path)
        ),
        versions=True,
    )


_VERSIONED: Mapping[str, Callable[[str], Objects | None]] = {S3: _versions, "gs": _generations, "gcs": _generations}
"""What lists the versions of a store, by its scheme."""


def _fixed(path: str) -> str:
    """A path, or of a pattern the folder above its first wildcard."""
    if not glob.has_magic(path):
        return path
    return path[: next(at for at, mark in enumerate(path) if mark in "*?[")].rpartition("/")[0]


def _fits(name: str, path: str) -> bool:
    """Whether an object is a path, lies in the folder of that name, or fits the pattern; folders themselves do not."""
    if name.endswith("/"):
        return False
    if glob.has_magic(path):
        return fnmatch.fnmatchcase(name, path)
    return name == path or name.startswith(f"{path.rstrip('/')}/")


def _modified(facts: Mapping[str, Any]) -> str:
    """The last modification as a store's library says it: a time, or text."""
    value = next((facts[key] for key in remote.MODIFIED if facts.get(key)), None)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(value) if value else NEVER


_NOT_LOCKED = frozenset(
    {"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest", "MethodNotAllowed"}
)
"""S3's answers where an object, or its bucket, has no lock."""
NOT_HELD = "none"


def hold(url: str) -> str:
    """What keeps an object from being removed: mode and end of its lock, a legal hold; empty where nobody tells.

    Source: S3's HeadObject and GetObjectLockConfiguration. url: of one object; of other stores nothing is asked.
    """
    if urlsplit(url).scheme != S3:
        return ""
    from fsspec.core import url_to_fs

    try:
        system, _ = url_to_fs(url)
    except ImportError:
        return ""
    bucket, _, key = remote.plain(url).partition("://")[2].partition("/")
    version = remote.version(url).partition("=")[2]
    place = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
    head = _asked(system, "head_object", place)
    if head is None:
        return ""
    mode, legal = head.get("ObjectLockMode"), head.get("ObjectLockLegalHoldStatus")
    parts = [f"{str(mode).lower()} until {_day(head.get('ObjectLockRetainUntilDate'))}"] if mode else []
    if held := [*parts, *(["legal hold"] if legal == "ON" else [])]:
        return ", ".join(held)
    # without a permission of its own S3 leaves both out of the answer: only a bucket without locks tells that none is
    return NOT_HELD if _asked(system, "get_object_lock_configuration", {"Bucket": bucket}) == {} else ""


def _asked(system: Any, method: str, place: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The answer of the store; empty where there is no lock, None where it does not say."""
    try:
        answer: Mapping[str, Any] = system.call_s3(method, **place)
    except Exception as error:  # noqa: BLE001 - whatever a library raises, the question stays open
        response = getattr(error.__cause__, "response", None) or {}
        return {} if response.get("Error", {}).get("Code") in _NOT_LOCKED else None
    return answer


def _day(value: object) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d") if isinstance(value, datetime) else str(value or "no day")
