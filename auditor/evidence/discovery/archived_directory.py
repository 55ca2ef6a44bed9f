"""Data directories in an archive: which members make up one, by the folders that etcd lays out."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from auditor.errors import UnreadableEvidence
from auditor.evidence.containers.extracted import ExtractedFile
from auditor.evidence.discovery import data_directory
from auditor.evidence.exhibit import Exhibit, Role

_MEMBER = re.compile(r"(?P<top>(?:.*?/)??)(?:member/)?(?P<folder>snap|wal|wal\.tmp|wal/wal\.tmp)/(?P<name>[^/]+)")


class Place(NamedTuple):
    """Where in a data directory a file lies. top: the directory's own path, empty or ending in a slash."""

    top: str
    folder: str
    name: str


def match(path: str) -> Place | None:
    """None for a path that is no place of a data directory."""
    found = _MEMBER.fullmatch(path)
    return Place(found["top"], found["folder"], found["name"]) if found else None


def role(place: Place) -> Role | None:
    """What a file is to etcd; None for what etcd does not write there."""
    return data_directory.role(place.folder.rpartition("/")[2], place.name)


def is_one(places: Sequence[Place]) -> bool:
    """Whether files make up a data directory: a database, or a segment of a WAL."""
    roles = {role(each) for each in places}
    return Role.DATABASE in roles or Role.LOG in roles


def evidence(name: str, files: Sequence[tuple[Place, str, ExtractedFile]]) -> Exhibit:
    """A data directory out of (place, way, file); it takes the files."""
    found = Exhibit(name, directory=True, has_wal=any(place.folder == "wal" for place, _, _ in files))
    try:
        for place, way, file in files:
            data_directory.add(found, role(place), way, file)
        if not found.files:
            raise UnreadableEvidence(f"{name} is a data directory without a file that holds anything")
    except BaseException:
        found.__exit__(None, None, None)
        raise
    found.files.sort(key=lambda each: each[1].name)
    return found
