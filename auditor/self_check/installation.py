"""The installed files against the record that was written at their installation, and the versions of the dependencies
against the published lock.

Installers write of every file its SHA-256 into RECORD (packaging.python.org, "Recording installed projects"). Whoever
changes a file can change its line there as well: what a record cannot rule out is an author, and the lock is for what
was meant to be installed.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import metadata, resources
from pathlib import Path

DISTRIBUTION = "etcd-auditor"
PACKAGE = Path(__file__).parents[1]
LOCK = "lock.txt"
_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)(?P<marker> ;.*)?")


class State(Enum):
    """What a comparison says."""

    MATCHES = "matches"
    DIFFERS = "differs"
    NO_RECORD = "no record"
    NO_LOCK = "no lock"
    NOT_INSTALLED = "not installed"


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one distribution against its record."""

    name: str
    """Of the distribution."""
    version: str
    """Of the distribution; empty where it is not installed."""
    state: State
    """MATCHES, DIFFERS or NO_RECORD."""
    count: int
    """Files that were hashed."""
    differing: tuple[str, ...] = ()
    """Files that are missing, changed, or not in the record, each with the word for it."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One distribution of the published lock."""

    name: str
    """Of the distribution."""
    locked: str
    """Version in the lock; several where it depends on the Python."""
    installed: str
    """Version that is installed; empty where it is not."""
    state: State
    """MATCHES, DIFFERS, or NOT_INSTALLED for what the lock has for other systems."""


def program() -> Files:
    """The running program's files. NO_RECORD where it runs from a source tree."""
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return Files(DISTRIBUTION, "", State.NO_RECORD, 0)
    own = [file for file in distribution.files or () if file.parts[0] == PACKAGE.name]
    if not own or Path(str(distribution.locate_file(own[0]))).resolve().parents[len(own[0].parts) - 2] != PACKAGE:
        return Files(DISTRIBUTION, distribution.version, State.NO_RECORD, 0)
    result = _of_record(DISTRIBUTION, distribution)
    recorded = {Path(str(distribution.locate_file(file))).resolve() for file in own}
    extra = [file for file in sorted(PACKAGE.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
    odd = [f"not recorded: {file.relative_to(PACKAGE.parent)}" for file in extra if file.resolve() not in recorded]
    state = State.DIFFERS if odd else result.state
    return Files(DISTRIBUTION, result.version, state, result.count, (*result.differing, *odd))


def dependencies() -> Iterator[Files]:
    """The files of every dependency of the lock that is installed, one distribution after another."""
    for name in _lock():
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield _of_record(name, distribution)


def lock() -> tuple[Locked, ...]:
    """The dependencies against the published lock; empty where the package has none."""
    return tuple(_locked(name, entries) for name, entries in _lock().items())


def _locked(name: str, entries: list[tuple[str, str]]) -> Locked:
    versions = [version for version, _ in entries]
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        elsewhere = all(marker for _, marker in entries)
        return Locked(name, " or ".join(versions), "", State.NOT_INSTALLED if elsewhere else State.DIFFERS)
    return Locked(name, " or ".join(versions), installed, State.MATCHES if installed in versions else State.DIFFERS)


def _lock() -> dict[str, list[tuple[str, str]]]:
    """Versions and markers of each distribution of the lock: several where they depend on the Python."""
    file = resources.files(__package__) / LOCK
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    entries: dict[str, list[tuple[str, str]]] = {}
    for match in filter(None, map(_LINE.fullmatch, lines)):
        entries.setdefault(match["name"], []).append((match["version"], match["marker"] or ""))
    return entries


def _of_record(name: str, distribution: metadata.Distribution) -> Files:
    count, differing = 0, []
    for file in distribution.files or ():
        if file.hash is None or file.hash.mode not in hashlib.algorithms_guaranteed:
            continue
        path = Path(str(distribution.locate_file(file)))
        count += 1
        if not path.is_file():
            differing.append(f"missing: {file}")
        elif _digest(path, file.hash.mode) != file.hash.value:
            differing.append(f"changed: {file}")
    state = State.DIFFERS if differing else State.MATCHES if count else State.NO_RECORD
    return Files(name, distribution.version, state, count, tuple(differing))


def _digest(path: Path, algorithm: str) -> str:
    """As a record has it: base64 for URLs, without padding."""
    with path.open("rb") as file:
        return urlsafe_b64encode(hashlib.file_digest(file, algorithm).digest()).rstrip(b"=").decode()
