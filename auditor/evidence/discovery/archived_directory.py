"""Data directories in an archive: the members that make up one, by the folders that etcd lays out."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers.extracted import ExtractedFile
from auditor.evidence.discovery import data_directory
from auditor.evidence.exhibit import Exhibit, Role

_MEMBER = re.compile(r"(?P<top>(?:.*?/)??)(?:member/)?(?P<folder>snap|wal|wal\.tmp|wal/wal\.tmp)/(?P<name>[^/]+)")


class Place(NamedTuple):
    """Where in a data directory a file lies."""

    top: str
    """The directory's own path, empty or ending in a slash."""
    folder: str
    """One of etcd's: snap, wal, wal.tmp, wal/wal.tmp."""
    name: str


def match(path: str) -> Place | None:
    """None for a path that is no place of a data directory."""
    parts = _MEMBER.fullmatch(path)
    return Place(parts["top"], parts["folder"], parts["name"]) if parts else None


def role(place: Place) -> Role | None:
    """What a file is to etcd; None for what etcd does not write there."""
    return data_directory.role(place.folder.rpartition("/")[2], place.name)


def is_one(places: Collection[Place]) -> bool:
    """Whether files make up a data directory: a database, or a segment of a WAL."""
    roles = {role(place) for place in places}
    return Role.DATABASE in roles or Role.LOG in roles


def evidence(name: str, files: Sequence[tuple[Place, str, ExtractedFile]]) -> Exhibit:
    """A data directory out of files with their places and names; it takes the files."""
    has_wal = any(role(place) is Role.LOG and file.size for place, _, file in files)
    exhibit = Exhibit(name, directory=True, has_wal=has_wal)
    try:
        for place, file_name, file in files:
            data_directory.add(exhibit, role(place), file_name, file)
        if not exhibit.known:
            raise UnreadableEvidence(f"{name} is a data directory without a file that holds anything")
    except BaseException:
        exhibit.__exit__(None, None, None)
        raise
    exhibit.files.sort(key=data_directory.in_order)
    return exhibit
