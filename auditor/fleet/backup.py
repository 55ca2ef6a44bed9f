"""A backup of a fleet: an object or a path of a source, and what tells it from any other."""

import hashlib
from dataclasses import dataclass
from enum import Enum

from auditor.evidence.discovery import remote
from auditor.fleet import name_time
from auditor.text import encode

NEVER = "1970-01-01T00:00:00Z"
"""The last modification of what has none that is known."""
ID = 24
"""Hexadecimal digits of a backup's id: 96 bits."""


class State(Enum):
    """What became of a backup."""

    EXAMINED = "examined"
    """An audit was made of it; what of it was not read are gaps."""
    UNREADABLE = "unreadable"
    """Nothing in it could be read as etcd's: it is damaged, or no backup."""
    REFUSED = "refused"
    """It exceeds a limit, or is not what the options expect."""
    DENIED = "denied"
    """The store denies access."""
    ARCHIVED = "archived"
    """It lies in a storage class from which nothing is read at once."""
    UNREACHABLE = "unreachable"
    """The store did not send it whole, or did not take its rows."""
    NO_ROOM = "no room"
    """The scratch disk or the memory of the worker does not hold it."""
    KILLED = "killed"
    """The process that read it died."""
    FAULT = "fault"
    """A fault of etcd-auditor's own."""

    @property
    def passing(self) -> bool:
        """Whether the same attempt may succeed a moment later."""
        return self in {State.UNREACHABLE, State.NO_ROOM, State.KILLED}

    @property
    def again(self) -> bool:
        """Whether the next run attempts it again without being told to."""
        return self in {State.DENIED, State.ARCHIVED, State.UNREACHABLE, State.NO_ROOM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """An object or a path of a source, as its listing shows it."""

    url: str
    """The path or URL that opens it; of a version of an object with `?versionId=` (S3) or `#GENERATION` (Google)."""
    source: str
    """The SOURCE that it was listed for."""
    size: int
    """Bytes."""
    modified: str
    """Last modification, ISO 8601 in UTC, as exact as the store says it."""
    etag: str = ""
    """The store's tag of the content; empty where it has none."""
    archived: bool = False
    """Whether its storage class is an archive's, from which nothing is read at once."""
    anew: bool = False
    """Whether nothing tells this content of the URL from another: it is examined in every run."""
    real: str = ""
    """Its path without links and `..`; empty for a URL."""
    files: str = ""
    """Digest of name, size and time of each file that is read with it; empty where it is one file or object."""
    latest: bool = True
    """Whether it is what its URL without a version reads; else an earlier version, or one of a removed object."""

    @property
    def places(self) -> tuple[str, ...]:
        """The URL, and the path without links: patterns may be of either."""
        return (self.url, self.real) if self.real else (self.url,)

    @property
    def taken(self) -> str:
        """The time at which it was taken, ISO 8601 in UTC: that in its name, else the last modification."""
        return name_time.of(self.name, self.modified) or f"{self.modified[:19]}Z"

    @property
    def kept(self) -> str:
        """The URL as the data set has it: of a web server's without user, password and signature."""
        return public_url(self.url)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return remote.plain(self.kept).rstrip("/").rpartition("/")[2]

    @property
    def month(self) -> str:
        """Year and month of `taken`."""
        return self.taken[:7]

    @property
    def folder(self) -> str:
        """The folder or prefix that it lies in."""
        return remote.plain(self.url).rstrip("/").rpartition("/")[0]

    @property
    def content(self) -> str:
        """What tells this content of the URL from any other."""
        own = (self.url, self.etag, str(self.size), self.modified)
        return "\0".join((*own, self.files) if self.files else own)

    def id(self, settings: str) -> str:
        """The id of this content under these settings, the same in every run. settings: of Settings.fingerprint."""
        return hashlib.sha256(encode(f"{self.content}\0{settings}")).hexdigest()[:ID]


def public_url(url: str) -> str:
    """A path or URL without what may be secret in it."""
    return remote.shown(url) if url.partition("://")[0] in remote.WEB else url
