"""Names of the files in a data directory of dqlite.

canonical/raft and canonical/dqlite src/raft: uv.h (templates), uv_list.c, uv_metadata.c, uv_fs.c (temporary files);
canonical/go-dqlite app/files.go (cluster.yaml, info.yaml), canonical/dqlite src/server.c (dqlite-lock).
"""

import re
from enum import Enum
from pathlib import Path
from typing import NamedTuple


class Kind(Enum):
    """What a file is to dqlite; the value is its name in words."""

    CLOSED = "closed segment of the log"
    OPEN = "open segment of the log"
    SNAPSHOT = "snapshot"
    META = "description of a snapshot"
    METADATA = "term and vote"


class Name(NamedTuple):
    """A file by its name."""

    kind: Kind
    numbers: tuple[int, ...] = ()
    """First and last index of a closed segment, the counter of an open one, term, index and time of a snapshot."""


DATABASES = "database"
"""The folder of databases on disk, of versions with disk mode."""
_NUMBER = r"(\d{1,20})"
_NAMES = (
    (Kind.CLOSED, re.compile(r"(\d{16,20})-(\d{16,20})")),
    (Kind.OPEN, re.compile(rf"open-{_NUMBER}")),
    (Kind.META, re.compile(rf"snapshot-{_NUMBER}-{_NUMBER}-{_NUMBER}\.meta")),
    (Kind.SNAPSHOT, re.compile(rf"snapshot-{_NUMBER}-{_NUMBER}-{_NUMBER}")),
    (Kind.METADATA, re.compile(r"metadata([12])")),
)
FORMAT = (1).to_bytes(8, "little")
"""The first bytes of segments, of descriptions of snapshots, and of term and vote; an LZ4 frame is a snapshot's too."""
DECISIVE = frozenset({Kind.CLOSED, Kind.OPEN, Kind.META, Kind.METADATA})
"""Kinds of files that, with these first bytes, only dqlite writes."""


def of(name: str) -> Name | None:
    """The file of a name without its folders; None for one that dqlite's raft does not write."""
    for kind, pattern in _NAMES:
        if (match := pattern.fullmatch(name)) is not None:
            return Name(kind, tuple(map(int, match.groups())))
    return None


def of_evidence(name: str) -> Name | None:
    """The same of a name in reports, that of an unpacked file too: `archive!folder/snapshot-1-2-3!unpacked`."""
    parts = name.removesuffix("!unpacked").split("!")
    return of(parts[-1].rpartition("/")[2])


def is_own(name: str, head: bytes) -> bool:
    """Whether a file is one of dqlite's, by its name without folders and its first bytes; no LZ4 frame is one yet."""
    own = of(name)
    if own is None:
        return False
    return head[: len(FORMAT)] == FORMAT or (own.kind is Kind.OPEN and len(head) >= len(FORMAT) and not any(head))


def is_directory(folder: Path) -> bool:
    """Whether a folder is a data directory of dqlite's: it holds a file that only dqlite writes."""
    try:
        return any(_is_decisive(entry) for entry in sorted(folder.iterdir()))
    except OSError:
        return False


def _is_decisive(entry: Path) -> bool:
    own = of(entry.name)
    if own is None or own.kind not in DECISIVE or not entry.is_file():
        return False
    with entry.open("rb") as file:
        return file.read(len(FORMAT)) == FORMAT
