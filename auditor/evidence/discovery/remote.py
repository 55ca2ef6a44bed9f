"""Evidence in a bucket or behind a web server: streamed into a private file without a name, and nowhere else.

fsspec and the libraries under it make the connections, with the credentials that they find in the environment.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from auditor.errors import AuditorError, MissingExtra, UnreadableEvidence
from auditor.evidence.containers.limits import Refused
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.evidence.file import EvidenceFile

BUCKETS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs"}
"""URL schemes, and fsspec's library for each."""
WEB = {"https", "http"}
BLOCK = 8 << 20
"""Bytes of a request."""
BARE = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
"""An endpoint without a scheme, as etcdctl takes it."""
_VERSIONS = {"s3fs": re.compile(r"\?versionId=[A-Za-z0-9._-]+$"), "gcsfs": re.compile(r"#[0-9]+$")}
"""The end of the URL of one version of an object, as the libraries read it: Google calls its number the generation."""


class Unreachable(UnreadableEvidence):
    """An object that does not arrive whole: the next attempt may fetch it."""


class Denied(UnreadableEvidence):
    """An object to which the store denies access."""


def is_bare(text: str) -> bool:
    """Whether a text may be endpoints without a scheme, `HOST:PORT` and commas; it may be a file's name as well."""
    return all(BARE.fullmatch(each.strip()) for each in text.split(","))


def is_remote(text: str) -> bool:
    """Whether a text is the URL of one object; an http URL without a path is an endpoint's."""
    try:
        parts = urlsplit(text)
    except ValueError:  # no URL: reported as an endpoint or a path
        return False
    several = "," in parts.netloc  # endpoints, as etcdctl takes them
    return parts.scheme in BUCKETS or (parts.scheme in WEB and parts.path not in {"", "/"} and not several)


def shown(url: str) -> str:
    """A URL without what may be secret in it: user, password, and the signature in a query."""
    parts = urlsplit(url)
    before, _, host = parts.netloc.rpartition("@")
    # abfss://container@account.dfs.core.windows.net/path: no user, and without it the object is not named
    container = f"{before}@" if BUCKETS.get(parts.scheme) == "adlfs" and before and ":" not in before else ""
    return _printable(f"{parts.scheme}://{container}{host}{parts.path}{version(url)}")


def name(url: str) -> str:
    """The name of an object in reports: the last part of its path."""
    last = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    return _printable(f"{last}{version(url)}") if last else shown(url)


def version(url: str) -> str:
    """The end of a bucket's URL that names one version of an object; empty for the current one."""
    pattern = _VERSIONS.get(BUCKETS.get(url.partition("://")[0], ""))
    return match[0] if pattern is not None and (match := pattern.search(url)) else ""


def plain(url: str) -> str:
    """A URL without the version of its object."""
    return url.removesuffix(version(url))


def read(url: str, most: int) -> bytes:
    """The object in memory. Raises UnreadableEvidence where it does not arrive whole, Refused for more bytes."""
    with _open(url) as (source, _):
        return b"".join(_blocks(source, url, most))


def fetch(url: str, options: Options) -> "tuple[EvidenceFile, list[str]]":
    """The object as an opened file, and notes on its origin.

    Raises UnreadableEvidence where it does not arrive whole, UsageError where a library is missing.
    """
    from auditor.evidence.containers.decompress import Stream
    from auditor.evidence.containers.extracted import Extractor

    store = Extractor(options.work_dir)
    with _open(url) as (source, facts):
        size = facts.get("size")
        if isinstance(size, int) and size > options.max_unpacked:
            raise Refused(f"{shown(url)} has {size:,} bytes, more than {options.max_unpacked:,}: raise --max-unpacked")
        stream = Stream(_blocks(source, url, options.max_unpacked))
        extracted = store.fill(stream, shown(url), size if isinstance(size, int) else 0, hashed=not options.quick)
    received = extracted.size
    if isinstance(size, int) and received != size:
        extracted.close()
        raise Unreachable(f"{shown(url)}: {received:,} bytes came of {size:,}: the connection was cut; try again")
    file = extracted.open(name(url))
    file.stored = next((_moment(facts[key]) for key in MODIFIED if facts.get(key)), "")
    origin = [f"{label} {_printable(str(facts[key]))}" for key, label in _FACTS.items() if facts.get(key)]
    note = f"streamed from {shown(url)}, {received:,} bytes, into a private file without a name"
    return file, [", ".join([note, *origin])]


MODIFIED = ("LastModified", "last_modified", "updated")
"""The time of an object's last write, in s3fs, adlfs and gcsfs."""
_FACTS = {
    **dict.fromkeys(("ETag", "etag"), "ETag"),
    **dict.fromkeys(MODIFIED, "last modified"),
    **dict.fromkeys(("VersionId", "version_id", "generation"), "version"),
}
"""The facts about an object that a note says, by their keys in s3fs, adlfs and gcsfs."""


class _open:  # noqa: N801 - used as a function is
    """The object, opened for reading, and the facts that its server sends.

    The texts of a library's errors are not repeated: they quote URLs, which may be signed.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> tuple[IO[bytes], dict[str, Any]]:
        scheme = urlsplit(self._url).scheme
        try:
            from fsspec.core import url_to_fs

            system, path = url_to_fs(self._url)
            facts: dict[str, Any] = system.info(path)
            if facts.get("type") == "directory":
                raise IsADirectoryError
            # a web server need not know ranges: its answer is read as one stream
            self._file: IO[bytes] = system.open(path, "rb", block_size=0 if scheme in WEB else BLOCK)
        except ImportError:
            library = BUCKETS.get(scheme, "aiohttp")
            raise MissingExtra(shown(self._url), library, "remote") from None
        except Exception as error:  # noqa: BLE001
            raise _kind(error)(f"{shown(self._url)} cannot be opened: {_why(error)}") from None
        return self._file, facts

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _moment(value: Any) -> str:
    """A time of a store, a datetime or ISO 8601, in UTC; empty where it is none."""
    from auditor.text import moment

    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, OSError):
        return ""


def _printable(text: str) -> str:
    from auditor.text import shown

    return shown(text)


def _blocks(source: IO[bytes], url: str, most: int) -> Iterator[bytes]:
    """The object in blocks. Raises Refused after `most` bytes."""
    count = 0
    while True:
        try:
            block = source.read(BLOCK)
        except Exception as error:  # noqa: BLE001
            raise _kind(error)(f"{shown(url)}: cut off after {count:,} bytes: {_why(error)}; try again") from None
        if not block:
            return
        count += len(block)
        if count > most:
            raise Refused(f"{shown(url)} has more than {most:,} bytes: raise --max-unpacked if that is right")
        yield block


_DENIED = {401, 403}


def _denies(error: BaseException) -> bool:
    # status_code: Azure's errors; status: aiohttp's
    answers = {getattr(error, name, 0) for name in ("status_code", "status")}
    return isinstance(error, PermissionError) or bool(_DENIED & answers)


def _origin(error: BaseException) -> BaseException:
    """What a library met that calls any failure a file which is not found."""
    while isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _kind(error: BaseException) -> type[UnreadableEvidence]:
    """The error that one of a library's becomes."""
    error = _origin(error)
    if isinstance(error, AuditorError | FileNotFoundError | IsADirectoryError):
        return UnreadableEvidence
    return Denied if _denies(error) else Unreachable


def _why(error: BaseException) -> str:
    error = _origin(error)
    if isinstance(error, AuditorError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "there is no such object"
    if isinstance(error, IsADirectoryError):
        return "it is a folder or a bucket: name one object in it"
    if _denies(error):
        return "access is denied; look at the credentials in the environment"
    if isinstance(error, OSError) and error.errno:
        return f"the server is not reached: {os.strerror(error.errno).lower()}"
    return f"{type(error).__name__}; check the URL, and the credentials in the environment"
